BvariableJ7€ @þ‹?Sk¿@â
@7€ @7€ @$R<@