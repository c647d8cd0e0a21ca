
2a2a2b2b2b2a2b2a2a2cBthree_ovr_label