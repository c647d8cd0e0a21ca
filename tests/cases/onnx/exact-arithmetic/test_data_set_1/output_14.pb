Binverted_twiceJÁ€Ä>Ë”Œ?	Zø
ß?