B
pair_labelJüÿÿÿÿÿÿÿ