BvariableJñ†¾õ
¾vç"?