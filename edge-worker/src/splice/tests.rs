use super::*;
use proptest::prelude::*;

/// Fills every slot with its name and every price with its SKU, in brackets.
#[derive(Default)]
struct Named {
    filled: usize,
    labels: Vec<String>,
}

impl Decode for Named {
    fn decode(&self, bytes: &[u8]) -> Option<String> {
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}

impl Fill for Named {
    fn slot(&mut self, slot: &Slot) -> Option<String> {
        self.filled += 1;
        (slot.name != "none").then(|| format!("[{}]", slot.name))
    }

    fn price(&mut self, sku: &str) -> Option<String> {
        self.filled += 1;
        (!sku.is_empty()).then(|| format!("[{sku}]"))
    }

    fn region(&self) -> String {
        "SEA".into()
    }

    fn product(&mut self, sku: String) -> bool {
        self.filled += 1;
        !sku.is_empty()
    }

    fn hand_over(&mut self) -> String {
        if mem::take(&mut self.filled) > 0 { "<H>".into() } else { String::new() }
    }

    fn encoding(&mut self, label: &str, _: Declared) -> bool {
        self.labels.push(label.to_owned());
        !label.starts_with("utf-16")
    }
}

/// Streams a page in pieces of some length.
fn through(page: &str, piece: usize) -> String {
    let mut splicer = Splicer::new(Named::default());
    let mut out = Vec::new();
    for bytes in page.as_bytes().chunks(piece) {
        out.extend(splicer.push(bytes));
    }
    out.extend(splicer.finish());
    if !splicer.is_found() {
        assert!(out.is_empty());
        return page.to_owned();
    }
    assert_eq!(splicer.left(), page.len() as u64);
    String::from_utf8(out).unwrap()
}

const S: &str = "<tradewind-slot name=s>";
const E: &str = "</tradewind-slot>";
const FILLED_S: &str = "<tradewind-slot name=s data-tradewind=\"edge\">[s]</tradewind-slot>";

/// Page in which `S` and `E` are a slot's tags, `F` is a filled slot, `P` a price and `Q` a filled one.
fn page(text: &str) -> String {
    text.replace("{S}", S)
        .replace("{E}", E)
        .replace("{F}", FILLED_S)
        .replace("{P}", "<tradewind-price sku=p>9</tradewind-price>")
        .replace("{Q}", "<tradewind-price sku=p data-tradewind=\"edge\">[p]</tradewind-price>")
}

#[test]
fn elements_are_filled_where_their_end_tag_closes_them() {
    for (origin, expected) in [
        ("<p>1 < 2</p>", "<p>1 < 2</p>"),
        ("a{S}own{E}b", "a{F}b<H>"),
        ("{S}own<!-- {E} -->{E}<p>REST", "{F}<p>REST<H>"),
        ("{S}own<!-- {E} --><p>REST", "{S}own<!-- {E} --><p>REST"),
        ("<!-- {S} goes below -->{S}own{E}", "<!-- {S} goes below -->{F}<H>"),
        ("<script>'{S}'</script>{S}{E}", "<script>'{S}'</script>{F}<H>"),
        ("<a title='{S}'>{S}{E}", "<a title='{S}'>{F}<H>"),
        ("{S}<a title='{E}'>x</a><b>{E}c", "{F}c<H>"),
        ("{S}<textarea>{E}</textarea>{E}c", "{F}c<H>"),
        ("{S}<p>x<li>y{E}c", "{F}c<H>"),
        ("{S}<div>x{E}</div>{E}c", "{F}c<H>"),
        ("{S}<div>x{E}", "{S}<div>x{E}"),
        ("<main>{S}x</main><footer>{S}y{E}", "<main>{S}x</main><footer>{F}<H>"),
        ("{S}x{S}y{E}z{E}{P}", "{S}x{S}y{E}z{E}{Q}<H>"),
        ("{S}x{P}{E}{P}", "{F}{Q}<H>"),
        ("<tradewind-slot name=none>{P}{S}{E}x{E}{S}{E}", "<tradewind-slot name=none>{P}{S}{E}x{E}{F}<H>"),
        ("<tradewind-slot name=none>{P}x{E}", "<tradewind-slot name=none>{Q}x{E}<H>"),
        ("<tradewind-price sku=1>2<footer></footer>{P}", "<tradewind-price sku=1>2<footer></footer>{Q}<H>"),
        ("<p><tradewind-price sku=1>2</p>{P}", "<p><tradewind-price sku=1>2</p>{Q}<H>"),
        ("<TradeWind-Slot\nname=s/>x{E}", "<TradeWind-Slot\nname=s/ data-tradewind=\"edge\">[s/]{E}<H>"),
        (
            "<tradewind-slot data-tradewind=device name=s>x{E}",
            "<tradewind-slot data-tradewind=\"edge\" name=s>[s]{E}<H>",
        ),
        (
            "<tradewind-slot name=s hydrate><b>x</b>{P}{E}c",
            "<tradewind-slot name=s hydrate data-tradewind=\"edge\"><template shadowrootmode=\"open\"><slot name=\"tradewind\"></slot></template><b>x</b>{P}<!--/$--><slot slot=\"tradewind\">[s]</slot>{E}c<H>",
        ),
        ("<svg>{S}x{E}<title>{S}y{E}</title></svg>{S}{E}", "<svg>{S}x{E}<title>{S}y{E}</title></svg>{F}<H>"),
        ("<template>{S}x{E}</template>{S}x{E}", "<template>{S}x{E}</template>{F}<H>"),
        ("{S}x<svg><path/></svg><template><b></template>{E}c", "{F}c<H>"),
        ("<body>{S}x{E}</body>{P}</html>", "<body>{F}<H></body>{P}</html>"),
        ("{S}x{E}<!-- </body> --><script>'</body>'</script>", "{F}<!-- </body> --><script>'</body>'</script><H>"),
        ("{S}x{E}<textarea>", "{F}<textarea>"),
        ("<svg><g></div>{S}x{E}", "<svg><g></div>{S}x{E}"),
        ("{S}x<tradewind-slot name=\"", "{S}x<tradewind-slot name=\""),
        ("<html lang=en><p>{S}x{E}", "<html lang=en data-tradewind-region=\"SEA\"><p>{F}<H>"),
        ("<html data-tradewind-region><p>", "<html data-tradewind-region=\"SEA\"><p>"),
        ("<html data-tradewind-region='X' a><p>", "<html data-tradewind-region=\"SEA\" a><p>"),
        ("<html><p>", "<html><p>"),
    ] {
        let (origin, expected) = (page(origin), page(expected));
        for piece in 1..origin.len() + 1 {
            assert_eq!(through(&origin, piece), expected, "{origin} in pieces of {piece}");
        }
    }
}

#[test]
fn what_is_kept_back_is_bounded() {
    let mut splicer = Splicer::new(Named::default());
    splicer.push(S.as_bytes());
    let left: usize = (0..100).map(|_| splicer.push(&[b'x'; 1_000]).len()).sum();
    assert_eq!(left, 100_000 + S.len());
    let end = splicer.push(format!("{E}{S}{E}").as_bytes());
    assert_eq!(String::from_utf8(end).unwrap(), format!("{E}{FILLED_S}"));
    // Any number of them takes no more than the rest of the page.
    let page = S.repeat(20_000);
    assert_eq!(through(&page, 4_096), page);
    let page = format!("{S}<a b='{}", "x".repeat(1_000_000));
    assert_eq!(through(&page, 4_096), page);
}

#[test]
fn what_is_not_in_an_element_leaves_at_once() {
    let mut splicer = Splicer::new(Named::default());
    let mut push = |bytes: &str| String::from_utf8(splicer.push(bytes.as_bytes())).unwrap();
    assert_eq!(push("<p>hello"), "");
    assert_eq!(push(&format!("{S}{E}")), format!("<p>hello{FILLED_S}"));
    assert_eq!(push("<p>hello"), "<p>hello");
    assert_eq!(push(" <trade"), " ");
    assert_eq!(push("rs><a b='"), "<traders><a b='");
    assert_eq!(push("'><i><tradewind-slot>x"), "'><i>");
}

#[test]
fn a_page_says_what_its_encoding_is() {
    let mut splicer = Splicer::new(Named::default());
    splicer.push(
        b"<meta charset=' Latin1'><meta http-equiv=content-type content='text/html;charset charset = \"utf-8\"'>",
    );
    splicer.push(b"<!-- <meta charset=a> --><meta content='charset=b'>");
    assert_eq!(splicer.fill().labels, [" Latin1", "utf-8"]);
    for piece in 1..4 {
        assert_eq!(through(&page("\u{feff}{S}{E}"), piece), page("\u{feff}{F}<H>"));
    }
    let mut splicer = Splicer::new(Named::default());
    splicer.push(&[0xff, 0xfe]);
    splicer.push(page("{S}{E}").as_bytes());
    assert!(!splicer.is_found());
}

proptest! {
    #[test]
    fn only_elements_are_changed(
        origin in r#"(<|/|>| |x|\{S\}|\{E\}|\{P\}|<!--|-->|<script>|</script>|<div>|</div>|<p>|</p>|<svg>|</svg>|<title>|</title>|<a b='|'){0,30}"#,
        piece in 1..50usize,
    ) {
        let origin = page(&origin);
        let out = through(&origin, piece);
        prop_assert_eq!(&out, &through(&origin, 10_000));
        // Only filled elements differ.
        let mut rest = origin.as_str();
        for same in out.replace("<H>", "").split("[s]").flat_map(|part| part.split("[p]")).flat_map(|part| part.split(" data-tradewind=\"edge\"")) {
            let found = rest.find(same);
            prop_assert!(found.is_some(), "{} in {}", same, origin);
            rest = &rest[found.unwrap() + same.len()..];
        }
    }
}
