BprobabilitiesJT½s>DZ+?6#;>½s>DZ+?6#;>½s>DZ+?6#;>½s>DZ+?6#;>½s>DZ+?6#;>Šåt?ýV*:óý.=Yñ
8³?×o”: