BvariableJ°´?›P/¾ü{C¾qu]¿Ä
R¿)!ä¿ý:ô>