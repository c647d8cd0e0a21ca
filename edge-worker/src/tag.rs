//! HTML tags, with the positions of their parts.

use std::ops::Range;

/// Start tag or end tag. Positions count the document's bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tag {
    /// From `<` to after `>`.
    pub span: Range<u64>,
    /// Whether it is an end tag.
    pub is_end: bool,
    /// Lower-case name, truncated to [`Tag::MAX_NAME`] bytes.
    pub name: Vec<u8>,
    /// End of the name.
    pub name_end: u64,
    /// Attributes as written, including duplicates; only for tags whose attributes are requested.
    pub attributes: Vec<Attribute>,
    /// Whether it ends with `/>`.
    pub is_self_closing: bool,
    /// Whether its attributes exceed [`Tag::MAX_ATTRIBUTES`] bytes.
    pub is_too_long: bool,
}

/// Attribute as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attribute {
    /// Lower-case name.
    pub name: Vec<u8>,
    /// Undecoded value.
    pub value: Vec<u8>,
    /// Span of name, equals sign and quoted value.
    pub span: Range<u64>,
    /// Whether a value follows the equals sign, if there is one.
    pub is_complete: bool,
}

impl Tag {
    /// Maximum bytes of a name.
    pub const MAX_NAME: usize = 64;
    /// Maximum bytes of attributes.
    pub const MAX_ATTRIBUTES: usize = 64 << 10;

    /// First attribute with a name.
    pub fn attribute(&self, name: &str) -> Option<&Attribute> {
        self.attributes.iter().find(|attribute| attribute.name == name.as_bytes())
    }

    /// Position for another attribute.
    pub fn room(&self) -> u64 {
        match self.attributes.last() {
            Some(last) if last.is_complete => last.span.end,
            _ => self.name_end,
        }
    }
}
