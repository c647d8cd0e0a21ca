Bleast_of_itselfJÁ€Ä>Á”Œ?Zø
ß?