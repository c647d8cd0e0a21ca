Broot_of_squareJÁ€Ä>Á”Œ?Z?
ß?