
2c2c2b2c2a2a2b2c2c2cBthree_ovr_label