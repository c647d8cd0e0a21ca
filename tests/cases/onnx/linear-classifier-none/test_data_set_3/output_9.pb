
Bsingle_text_scoresJPÍƒ?DEó¼Íƒ?DEó¼(¯ø?P^q¿ ÞC¾Ä{˜?Ð:4?`Š—>Y@ÀY@¡@hÐBhÎÂÍƒ?DEó¼Íƒ?DEó¼"‘É‰"‘I