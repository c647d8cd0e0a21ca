BvariableJ½§
@zè?åŸº¿ãO¼?HQò¿8Ø¦¿ŠÊP>