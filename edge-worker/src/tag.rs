//! A tag of HTML, and where its parts are.

use std::ops::Range;

/// A start tag or an end tag. Positions count the document's bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tag {
    /// From `<` to behind `>`.
    pub span: Range<u64>,
    /// Whether it is an end tag.
    pub is_end: bool,
    /// In small letters, cut off behind [`Tag::MAX_NAME`] bytes.
    pub name: Vec<u8>,
    /// Where the name ends.
    pub name_end: u64,
    /// As written, the second of a name included; only of the tags that the tokenizer is asked for.
    pub attributes: Vec<Attribute>,
    /// Whether it ends with `/>`.
    pub is_self_closing: bool,
    /// Whether there were more attributes than [`Tag::MAX_ATTRIBUTES`] bytes.
    pub is_too_long: bool,
}

/// An attribute as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attribute {
    /// In small letters.
    pub name: Vec<u8>,
    /// Undecoded.
    pub value: Vec<u8>,
    /// Name, equals sign and value with its quotes.
    pub span: Range<u64>,
    /// Whether a value follows the equals sign, if there is one.
    pub is_complete: bool,
}

impl Tag {
    /// Bytes of a name that are kept.
    pub const MAX_NAME: usize = 64;
    /// Bytes of attributes that are kept.
    pub const MAX_ATTRIBUTES: usize = 64 << 10;

    /// The attribute of a name: the first one, if there are several.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name.as_bytes())
    }

    /// Where another attribute may be written.
    pub fn room(&self) -> u64 {
        match self.attributes.last() {
            Some(last) if last.is_complete => last.span.end,
            _ => self.name_end,
        }
    }
}
