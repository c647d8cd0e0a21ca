BnormalJ9מפtJנ?Gu°ֻ•
ְffffffְ