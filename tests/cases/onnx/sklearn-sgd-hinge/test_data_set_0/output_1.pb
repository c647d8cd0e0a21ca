BprobabilitiesJ8๊"mม๊"mA
rม
rAIจAIจมีก9ยีก9BTืPATืPมั*ู@ั*ูภgiAgiม