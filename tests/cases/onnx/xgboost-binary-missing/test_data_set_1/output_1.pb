BprobabilitiesJtÖ;>c
Q?