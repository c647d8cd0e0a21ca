BscoreJR¡´
À&Ó0.FÀ