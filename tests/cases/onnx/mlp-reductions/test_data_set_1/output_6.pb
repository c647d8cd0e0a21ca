B
reduceprodJ#Å(½ü=e m¾