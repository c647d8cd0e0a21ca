//! A page on its way through, whose slots and prices are filled.
//!
//! Bytes outside of what is filled leave as they came. An element is filled once its end tag has come, within
//! [`Splicer::MAX_HELD`] bytes, and only where that end tag closes it; until then its bytes are kept back. Before the
//! first element everything is kept back, so that a page without any can leave as it is, headers included.

use crate::{
    elements::{Decode, Slot, value},
    tokens::{Content, Tag, Tokenizer},
    tree::{Tree, is_implied, is_void, looks_at},
};
use std::mem;

const SLOT: &[u8] = b"tradewind-slot";
const PRICE: &[u8] = b"tradewind-price";
/// The attribute of the root element that names the region.
const REGION: &str = "data-tradewind-region";
/// The attribute of an element that is filled.
const FILLED: &str = "data-tradewind";
/// What shows the products of a slot in place of its children, which stay: the root of a shadow tree.
const SHADOW: &str = "<template shadowrootmode=\"open\"><slot name=\"tradewind\"></slot></template>";

/// What a page is filled with: HTML in ASCII, so that it means the same in any encoding.
pub trait Fill: Decode {
    /// What is in a slot instead; none where the origin's own stays.
    fn slot(&mut self, slot: &Slot) -> Option<String>;
    /// What is in a price of a SKU instead.
    fn price(&mut self, sku: &str) -> Option<String>;
    /// The code of the shopper's region.
    fn region(&self) -> String;
    /// What the page is handed, behind all that is filled.
    fn hand_over(&mut self) -> String;
    /// Takes in what the page itself says of its encoding. Returns whether markup is ASCII in it.
    fn encoding(&mut self, label: &str, by: Declared) -> bool;
}

/// How a page says what its encoding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// By the mark before its first byte, which nothing else overrides.
    Mark,
    /// By an element, which the header overrides.
    Element,
}

/// A page on its way.
pub struct Splicer<F> {
    fill: F,
    tokenizer: Tokenizer,
    tree: Tree,
    /// Bytes of the page that have neither left nor been replaced.
    held: Vec<u8>,
    /// Where `held` begins.
    base: u64,
    /// Bytes that may leave.
    out: Vec<u8>,
    /// Where in `out` the root element takes the region's attribute, until a first element is found.
    root: Option<usize>,
    /// Whether the root element has come.
    is_rooted: bool,
    /// Whether there is something to fill, or may be.
    is_found: bool,
    /// Whether nothing more is filled.
    is_over: bool,
    open: Option<Open>,
    /// Slots that begin before this are left alone.
    skip: u64,
    /// Elements that did not end.
    unended: usize,
    /// The first bytes, as many as the longest byte order mark has.
    first: Vec<u8>,
}

/// A slot or a price whose end tag has not come.
struct Open {
    tag: Tag,
    /// The tree behind the start tag.
    tree: Tree,
    /// Open elements in it.
    inside: Vec<Vec<u8>>,
    /// Whether it has elements in it that would be filled themselves.
    is_nested: bool,
}

impl<F: Fill> Splicer<F> {
    /// The most bytes of one element, or of one tag, that are kept back.
    pub const MAX_HELD: usize = 64 << 10;
    /// Elements without an end after which a page is left alone.
    const MAX_UNENDED: usize = 64;
    /// Open elements in a slot.
    const MAX_DEPTH: usize = 256;

    /// A page before its first byte.
    pub fn new(fill: F) -> Self {
        Self {
            fill,
            tokenizer: Tokenizer::new(|name| matches!(name, SLOT | PRICE | b"html" | b"meta") || looks_at(name)),
            tree: Tree::default(),
            held: Vec::new(),
            base: 0,
            out: Vec::new(),
            root: None,
            is_rooted: false,
            is_found: false,
            is_over: false,
            open: None,
            skip: 0,
            unended: 0,
            first: Vec::new(),
        }
    }

    /// What the page is filled with.
    pub const fn fill(&self) -> &F {
        &self.fill
    }

    /// Whether there is something to fill. Until then, nothing leaves.
    pub const fn is_found(&self) -> bool {
        self.is_found
    }

    /// How many of the page's bytes have left, as they came or replaced.
    pub fn left(&self) -> u64 {
        if self.is_found { self.base } else { 0 }
    }

    /// Takes the page for one with something to fill, so that what has come leaves.
    pub fn release(&mut self) -> Vec<u8> {
        self.find();
        mem::take(&mut self.out)
    }

    /// Takes in bytes of the page, and returns those that leave.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        self.mark(bytes);
        self.read();
        while !self.is_over && self.waiting() > Self::MAX_HELD {
            self.give_up();
            self.read();
        }
        self.leave_to(self.pending());
        self.leaving()
    }

    /// What is left where the page has ended.
    pub fn finish(&mut self) -> Vec<u8> {
        while !self.is_over && self.open.is_some() {
            self.give_up();
            self.read();
        }
        self.leave_to(u64::MAX);
        if !self.is_over && self.tokenizer.is_in_data() && self.tree.is_plain() {
            let script = self.fill.hand_over();
            self.out.extend_from_slice(script.as_bytes());
        }
        self.leaving()
    }

    /// Looks for a byte order mark.
    fn mark(&mut self, bytes: &[u8]) {
        if self.first.len() >= 3 {
            return;
        }
        self.first.extend(bytes.iter().take(3 - self.first.len()));
        let label = match self.first.as_slice() {
            [0xef, 0xbb, 0xbf] => "utf-8",
            [0xfe, 0xff, ..] | [0xff, 0xfe, ..] => "utf-16",
            _ => return,
        };
        self.is_over |= !self.fill.encoding(label, Declared::Mark);
    }

    fn leaving(&mut self) -> Vec<u8> {
        if self.is_found { mem::take(&mut self.out) } else { Vec::new() }
    }

    /// Up to where bytes may leave.
    fn pending(&self) -> u64 {
        let tag = self.tokenizer.pending().filter(|_| !self.is_over);
        match &self.open {
            Some(open) => open.tag.span.start,
            None => tag.unwrap_or(u64::MAX),
        }
    }

    /// Bytes that wait for the end of an element or a tag.
    fn waiting(&self) -> usize {
        let end = self.base + self.held.len() as u64;
        end.saturating_sub(self.pending()) as usize
    }

    /// Reads the tags that have come.
    fn read(&mut self) {
        while !self.is_over {
            let from = (self.tokenizer.at() - self.base) as usize;
            let Some(rest) = self.held.get(from..).filter(|rest| !rest.is_empty()) else { return };
            let (_, tag) = self.tokenizer.next(rest);
            let Some(tag) = tag else { return };
            if tag.is_end {
                let was_plain = self.tree.is_plain();
                self.tree.end(&tag);
                self.tokenizer.follow(Content::Data, self.tree.is_foreign());
                if was_plain {
                    self.ended(&tag);
                }
            } else {
                let content = self.tree.start(&tag);
                self.tokenizer.follow(content, self.tree.is_foreign());
                if self.tree.is_plain() && !matches!(tag.name.as_slice(), b"svg" | b"math") {
                    self.started(tag);
                }
            }
            self.is_over |= self.tree.is_lost();
            if self.is_over {
                self.open = None;
            }
        }
    }

    fn started(&mut self, tag: Tag) {
        if let Some(open) = &mut self.open {
            // A price in a slot goes with it.
            open.is_nested |= tag.name == SLOT || (tag.name == PRICE && open.tag.name == PRICE);
            if !is_void(&tag.name) {
                open.inside.push(tag.name);
            }
            if open.inside.len() > Self::MAX_DEPTH {
                self.give_up();
            }
            return;
        }
        match tag.name.as_slice() {
            b"html" if !self.is_rooted => self.rooted(&tag),
            b"meta" => self.declared(&tag),
            SLOT if tag.span.start < self.skip => {}
            SLOT | PRICE if !tag.is_too_long => {
                self.find();
                self.open = Some(Open { tag, tree: self.tree.clone(), inside: Vec::new(), is_nested: false });
            }
            _ => {}
        }
    }

    fn ended(&mut self, tag: &Tag) {
        let Some(open) = &mut self.open else {
            if tag.name == b"body" && self.is_found {
                self.leave_to(tag.span.start);
                let script = self.fill.hand_over();
                self.out.extend_from_slice(script.as_bytes());
                // What comes behind is handed nothing, so it is not filled.
                self.is_over = !script.is_empty();
            }
            return;
        };
        let own = open.tag.name == tag.name;
        match open.inside.iter().rposition(|name| *name == tag.name) {
            Some(place) => open.inside.truncate(place),
            None if own => {
                // An end tag does not close what has an element in it that is to be closed first.
                if open.inside.iter().all(|name| is_implied(name) || !is_special(name)) {
                    self.closed(tag);
                }
            }
            None if matches!(tag.name.as_slice(), b"p" | b"br") || is_void(&tag.name) => {}
            // It ends an element around this one.
            None => self.give_up(),
        }
    }

    /// Fills the open element, whose end tag this is.
    fn closed(&mut self, end: &Tag) {
        let Some(open) = self.open.take() else { return };
        if open.is_nested {
            return;
        }
        let mut is_hydrated = false;
        let content = if open.tag.name == SLOT {
            let slot = Slot::of(&open.tag, &self.fill);
            is_hydrated = slot.is_hydrated;
            self.fill.slot(&slot)
        } else {
            value(&open.tag, "sku", &self.fill).and_then(|sku| self.fill.price(&sku))
        };
        let Some(content) = content else {
            if open.tag.name == SLOT {
                // The prices in it may be filled still.
                self.skip = end.span.start;
                self.back_to(open);
            }
            return;
        };
        self.write(&open.tag, FILLED, "edge");
        self.leave_to(open.tag.span.end);
        if is_hydrated {
            self.out.extend_from_slice(SHADOW.as_bytes());
            self.leave_to(end.span.start);
            self.out.extend_from_slice(format!("<!--/$--><slot slot=\"tradewind\">{content}</slot>").as_bytes());
        } else {
            self.out.extend_from_slice(content.as_bytes());
            self.drop_to(end.span.start);
        }
    }

    /// The root element: it takes the region's name, at once where it asks for it or something was found.
    fn rooted(&mut self, tag: &Tag) {
        self.is_rooted = true;
        if tag.attribute(REGION).is_some() {
            self.find();
        }
        if self.is_found {
            let region = self.fill.region();
            self.write(tag, REGION, &region);
        } else {
            self.leave_to(tag.room());
            self.root = Some(self.out.len());
        }
    }

    /// There is something to fill.
    fn find(&mut self) {
        self.is_found = true;
        if let Some(place) = self.root.take() {
            let attribute = written(REGION, &self.fill.region());
            self.out.splice(place..place, attribute.into_bytes());
        }
    }

    /// Writes an attribute into a tag, in place of one of the same name.
    fn write(&mut self, tag: &Tag, name: &str, value: &str) {
        let attribute = written(name, value);
        match tag.attribute(name) {
            Some(old) => {
                self.leave_to(old.span.start);
                self.drop_to(old.span.end);
                self.out.extend_from_slice(attribute.trim_start().as_bytes());
            }
            None => {
                self.leave_to(tag.room());
                self.out.extend_from_slice(attribute.as_bytes());
            }
        }
    }

    /// What a `meta` says of the encoding.
    fn declared(&mut self, tag: &Tag) {
        let value = |name| value(tag, name, &self.fill);
        let is_type = || value("http-equiv").is_some_and(|it| it.eq_ignore_ascii_case("content-type"));
        let label = value("charset").or_else(|| charset(&value("content").filter(|_| is_type())?));
        if let Some(label) = label {
            self.is_over |= !self.fill.encoding(&label, Declared::Element);
        }
    }

    /// The open element has no end, or none near enough: it stays, and what is in it is read again.
    fn give_up(&mut self) {
        self.unended += 1;
        match self.open.take().filter(|_| self.unended <= Self::MAX_UNENDED) {
            Some(open) => self.back_to(open),
            // A tag that does not end, or too many elements.
            None => self.is_over = true,
        }
    }

    /// Back behind the start tag of an element.
    fn back_to(&mut self, open: Open) {
        self.tree = open.tree;
        self.tokenizer.rewind(open.tag.span.end);
    }

    /// Bytes up to a position leave as they came.
    fn leave_to(&mut self, end: u64) {
        let len = self.before(end);
        self.out.extend(self.held.drain(..len));
        self.base += len as u64;
    }

    /// Bytes up to a position do not leave.
    fn drop_to(&mut self, end: u64) {
        let len = self.before(end);
        self.held.drain(..len);
        self.base += len as u64;
    }

    fn before(&self, end: u64) -> usize {
        usize::try_from(end.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.held.len())
    }
}

/// Whether an end tag of another name does not reach beyond this element, by HTML's list of special ones.
fn is_special(name: &[u8]) -> bool {
    !matches!(
        name,
        b"a" | b"abbr"
            | b"acronym"
            | b"audio"
            | b"b"
            | b"bdi"
            | b"bdo"
            | b"big"
            | b"canvas"
            | b"cite"
            | b"code"
            | b"data"
            | b"datalist"
            | b"del"
            | b"dfn"
            | b"em"
            | b"font"
            | b"i"
            | b"ins"
            | b"kbd"
            | b"label"
            | b"map"
            | b"mark"
            | b"meter"
            | b"nobr"
            | b"output"
            | b"picture"
            | b"progress"
            | b"q"
            | b"rp"
            | b"rt"
            | b"ruby"
            | b"s"
            | b"samp"
            | b"small"
            | b"span"
            | b"strike"
            | b"strong"
            | b"sub"
            | b"sup"
            | b"time"
            | b"tt"
            | b"u"
            | b"var"
            | b"video"
    ) && !name.contains(&b'-')
}

fn written(name: &str, value: &str) -> String {
    format!(" {name}=\"{}\"", crate::card::escape(value))
}

/// The encoding that the content of a `meta` names, by the standard's algorithm.
fn charset(content: &str) -> Option<String> {
    let lower = content.to_ascii_lowercase();
    let mut rest = lower.as_str();
    loop {
        let (_, behind) = rest.split_once("charset")?;
        rest = behind;
        let Some(value) = behind.trim_ascii_start().strip_prefix('=') else { continue };
        let value = value.trim_ascii_start();
        return match value.chars().next()? {
            quote @ ('"' | '\'') => value.get(1..)?.split_once(quote).map(|(label, _)| label.to_owned()),
            _ => value.split([';', ' ', '\t', '\n', '\x0c', '\r']).next().map(ToOwned::to_owned),
        };
    }
}

#[cfg(test)]
mod tests {
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

        fn hand_over(&mut self) -> String {
            if mem::take(&mut self.filled) > 0 { "<H>".into() } else { String::new() }
        }

        fn encoding(&mut self, label: &str, _: Declared) -> bool {
            self.labels.push(label.to_owned());
            !label.starts_with("utf-16")
        }
    }

    /// A page that went through in pieces of some length.
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

    /// A page in which `S` and `E` stand for a slot's tags, `F` for a filled slot, `P` and `Q` for a price and a filled one.
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
        // As many as one likes take no more than the rest of the page.
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
            // What is filled is all that differs.
            let mut rest = origin.as_str();
            for same in out.replace("<H>", "").split("[s]").flat_map(|part| part.split("[p]")).flat_map(|part| part.split(" data-tradewind=\"edge\"")) {
                let found = rest.find(same);
                prop_assert!(found.is_some(), "{} in {}", same, origin);
                rest = &rest[found.unwrap() + same.len()..];
            }
        }
    }
}
