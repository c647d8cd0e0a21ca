
Bsingle_scoresJP(»Õ>l"?(»Õ>l"?x1†@ñbLÀè2§@è2‡À
B|¿!þ?j#Àjc@½JÄ½ŠD(»Õ>l"?(»Õ>l"?Ø8JIÈ8JÉ