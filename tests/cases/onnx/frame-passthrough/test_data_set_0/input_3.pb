BpriceJ±ÓB§Ö4BBu¯BÄ
 B0ó0Aû'@B´ßfA