
2c2c2c2c2a2c2a2c2c2cBthree_ovr_label