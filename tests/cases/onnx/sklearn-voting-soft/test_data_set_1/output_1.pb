BprobabilitiesJv³
=÷Û†>Îæ3?