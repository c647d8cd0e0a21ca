
2c2c2a2a2c2b2c2c2c2aBthree_ovr_label