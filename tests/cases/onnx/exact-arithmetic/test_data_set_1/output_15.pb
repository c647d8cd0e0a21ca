Bnegative_twiceJÁ€Ä>Á”Œ?Zø
ß?