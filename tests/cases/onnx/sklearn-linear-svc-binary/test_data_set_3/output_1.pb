BprobabilitiesJîˆÓ;îˆÓ;îˆÓ;îˆÓ;îˆÓ;
y¾L'ƒ>