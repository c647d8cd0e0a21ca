BprobabilitiesJS
/¾pÕß¼¿>M¿