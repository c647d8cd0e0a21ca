Btimes_tiny_and_hugeJçÛ€¾çÓÎ¿	Z?
§¿