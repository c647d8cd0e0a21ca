B
reducemeanJHb—¾Ò÷Ú=Víj?