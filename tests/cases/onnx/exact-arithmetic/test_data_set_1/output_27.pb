B
power_-1.0J!K~@mn?9=–¿L+D?