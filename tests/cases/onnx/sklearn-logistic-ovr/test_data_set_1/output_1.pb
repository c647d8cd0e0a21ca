BprobabilitiesJÍÁ;šý©>
)?