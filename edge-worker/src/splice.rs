//! Streaming of a page, with its slots and prices filled.
//!
//! Bytes outside filled elements pass unchanged. An element is filled when its end tag has arrived, within
//! [`Splicer::MAX_HELD`] bytes, and only if that end tag closes it; until then its bytes are buffered. Before the first
//! element everything is buffered, so that a page without elements passes unchanged, including headers.

use crate::{
    elements::{Decode, Slot, value},
    tag::Tag,
    tokens::{Content, Tokenizer},
    tree::{Tree, is_implied, is_void, looks_at},
};
use std::mem;

const SLOT: &[u8] = b"tradewind-slot";
const PRICE: &[u8] = b"tradewind-price";
/// Attribute of the root element with the region.
const REGION: &str = "data-tradewind-region";
/// Name of a `<meta>` with a product that the page is about.
const PRODUCT: &str = "tradewind-product";
/// Attribute of a filled element.
const FILLED: &str = "data-tradewind";
/// Shadow root that shows the cards of a slot instead of its children, which stay.
const SHADOW: &str = "<template shadowrootmode=\"open\"><slot name=\"tradewind\"></slot></template>";

/// Source of an element's content: HTML in ASCII, which is the same in any encoding.
pub trait Fill: Decode {
    /// Content of a slot; `None` keeps the origin's.
    fn slot(&mut self, slot: &Slot) -> Option<String>;
    /// Content of a price for a SKU; `None` keeps the origin's.
    fn price(&mut self, sku: &str) -> Option<String>;
    /// Code of the shopper's region.
    fn region(&self) -> String;
    /// Takes note of a product that the page is about; returns whether the page gets data about it.
    fn product(&mut self, sku: String) -> bool;
    /// Data for the page, after all filled elements.
    fn hand_over(&mut self) -> String;
    /// Handles the page's declaration of its encoding. Returns whether the encoding is ASCII-compatible.
    fn encoding(&mut self, label: &str, by: Declared) -> bool;
}

/// Source of a declared encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Declared {
    /// Byte order mark, which overrides everything else.
    Mark,
    /// Element, which the header overrides.
    Element,
}

/// Page being streamed.
pub struct Splicer<F> {
    fill: F,
    tokenizer: Tokenizer,
    tree: Tree,
    /// Bytes that were neither sent nor replaced.
    held: Vec<u8>,
    /// Position of the start of `held`.
    base: u64,
    /// Bytes ready to send.
    out: Vec<u8>,
    /// Position in `out` for the region's attribute in the root element, until the first element is found.
    root: Option<usize>,
    /// Whether the root element has arrived.
    is_rooted: bool,
    /// Whether there are elements to fill, or may be.
    is_found: bool,
    /// Whether filling has ended.
    is_over: bool,
    open: Option<Open>,
    /// Slots that begin before this position are left alone.
    skip: u64,
    /// Number of elements without an end.
    unended: usize,
    /// The first bytes, up to the length of the longest byte order mark.
    first: Vec<u8>,
}

/// Slot or price whose end tag has not arrived.
struct Open {
    tag: Tag,
    /// Tree after the start tag.
    tree: Tree,
    /// Open elements inside.
    inside: Vec<Vec<u8>>,
    /// Whether it contains other elements to fill.
    is_nested: bool,
}

impl<F: Fill> Splicer<F> {
    /// Maximum buffered bytes of one element, or of one tag.
    pub const MAX_HELD: usize = 64 << 10;
    /// Maximum number of elements without an end before a page is left alone.
    const MAX_UNENDED: usize = 64;
    /// Maximum open elements in a slot.
    const MAX_DEPTH: usize = 256;

    /// Creates the state before a page's first byte.
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

    /// Source of the content.
    pub const fn fill(&self) -> &F {
        &self.fill
    }

    /// Whether there are elements to fill. Until then, no bytes are sent.
    pub const fn is_found(&self) -> bool {
        self.is_found
    }

    /// Number of the page's bytes sent, unchanged or replaced.
    pub fn left(&self) -> u64 {
        if self.is_found { self.base } else { 0 }
    }

    /// Treats the page as one with elements to fill, so that buffered bytes are sent.
    pub fn release(&mut self) -> Vec<u8> {
        self.find();
        mem::take(&mut self.out)
    }

    /// Takes bytes of the page, and returns bytes to send.
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

    /// Returns the remaining bytes at the end of the page.
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

    /// Detects a byte order mark.
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

    /// Position up to which bytes may be sent.
    fn pending(&self) -> u64 {
        let tag = self.tokenizer.pending().filter(|_| !self.is_over);
        match &self.open {
            Some(open) => open.tag.span.start,
            None => tag.unwrap_or(u64::MAX),
        }
    }

    /// Number of bytes waiting for the end of an element or a tag.
    fn waiting(&self) -> usize {
        let end = self.base + self.held.len() as u64;
        end.saturating_sub(self.pending()) as usize
    }

    /// Handles the tags that have arrived.
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
            // A price in a slot is replaced with it.
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
                // Elements after the data for the page are not filled.
                self.is_over = !script.is_empty();
            }
            return;
        };
        let own = open.tag.name == tag.name;
        match open.inside.iter().rposition(|name| *name == tag.name) {
            Some(place) => open.inside.truncate(place),
            None if own => {
                // An end tag does not close an element with an open special element inside.
                if open.inside.iter().all(|name| is_implied(name) || !is_special(name)) {
                    self.closed(tag);
                }
            }
            None if matches!(tag.name.as_slice(), b"p" | b"br") || is_void(&tag.name) => {}
            // It ends an outer element.
            None => self.give_up(),
        }
    }

    /// Fills the open element at its end tag.
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
                // The prices inside may still be filled.
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

    /// Handles the root element: adds the region if requested, or if an element was found.
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

    /// Records that there is an element to fill.
    fn find(&mut self) {
        self.is_found = true;
        if let Some(place) = self.root.take() {
            let attribute = written(REGION, &self.fill.region());
            self.out.splice(place..place, attribute.into_bytes());
        }
    }

    /// Writes an attribute into a tag, replacing one with the same name.
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

    /// Handles the encoding declared in a `meta`.
    fn declared(&mut self, tag: &Tag) {
        let value = |name| value(tag, name, &self.fill);
        let is_type = || value("http-equiv").is_some_and(|it| it.eq_ignore_ascii_case("content-type"));
        let label = value("charset").or_else(|| charset(&value("content").filter(|_| is_type())?));
        if let Some(label) = label {
            self.is_over |= !self.fill.encoding(&label, Declared::Element);
        } else if value("name").as_deref() == Some(PRODUCT)
            && let Some(sku) = value("content")
            && self.fill.product(sku)
        {
            self.find();
        }
    }

    /// Gives up on the open element, whose end is missing or too far away: it stays unchanged, and its content is read
    /// again.
    fn give_up(&mut self) {
        self.unended += 1;
        match self.open.take().filter(|_| self.unended <= Self::MAX_UNENDED) {
            Some(open) => self.back_to(open),
            // A tag that does not end, or too many elements.
            None => self.is_over = true,
        }
    }

    /// Returns to the position after the start tag of an element.
    fn back_to(&mut self, open: Open) {
        self.tree = open.tree;
        self.tokenizer.rewind(open.tag.span.end);
    }

    /// Sends bytes up to a position unchanged.
    fn leave_to(&mut self, end: u64) {
        let len = self.before(end);
        self.out.extend(self.held.drain(..len));
        self.base += len as u64;
    }

    /// Drops bytes up to a position.
    fn drop_to(&mut self, end: u64) {
        let len = self.before(end);
        self.held.drain(..len);
        self.base += len as u64;
    }

    fn before(&self, end: u64) -> usize {
        usize::try_from(end.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.held.len())
    }
}

/// Whether an end tag with another name stops at this element, by HTML's list of special elements.
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

/// Encoding in the content of a `meta`, by the standard's algorithm.
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
mod tests;
