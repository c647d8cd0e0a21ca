B	times_oneJÁ€Ä>Á”Œ?Zø
ß?