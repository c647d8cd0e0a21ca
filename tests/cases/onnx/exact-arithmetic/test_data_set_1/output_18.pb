B
log_of_expJÊ€Ä>Ê”Œ?Zø
ß?