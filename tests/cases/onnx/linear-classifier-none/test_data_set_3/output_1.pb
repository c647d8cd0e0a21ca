
Bpair_scoresJP?>Y ˆ¾?>Y ˆ¾­ò•@<K@Ð¬‘@jf@Í1I¿°½¿ºˆCÀmÛ…¿»ÅHDè-D?>Y ˆ¾?>Y ˆ¾#þ=I"pI