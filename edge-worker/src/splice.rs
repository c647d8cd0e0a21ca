//! A page on its way through, whose slots and prices are filled.
//!
//! Bytes outside of what is filled leave as they came. An element is filled once its end tag has come, within
//! [`Splicer::MAX_HELD`] bytes, and only where that end tag closes it; until then its bytes are kept back. Before the
//! first element everything is kept back, so that a page without any can leave as it is, headers included.

use crate::{
    elements::{Decode, Slot, value},
    tag::Tag,
    tokens::{Content, Tokenizer},
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
mod tests;
