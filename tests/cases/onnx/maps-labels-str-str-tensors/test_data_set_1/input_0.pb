2
never seen2
never seen2BonnBx