B
Identity:0Jv¸*?Ò	£>ºë?