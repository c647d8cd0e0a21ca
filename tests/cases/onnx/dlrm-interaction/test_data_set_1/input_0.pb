BnumbersJ,7¿ÿ/Š?<IÂ>f
e½