//! Tags of an HTML document, found by HTML's tokenizer states while the document streams.
//!
//! This is [the standard's tokenizer](https://html.spec.whatwg.org/multipage/parsing.html#tokenization) without output
//! of text and doctypes: text that looks like a tag in a comment, a script or an attribute's value is ignored. The text
//! after a start tag depends on the element, so the tree builder sets its kind with [`Tokenizer::follow`].

use crate::tag::{Attribute, Tag};
use std::mem;

/// Kind of content after a start tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Text and tags.
    Data,
    /// Text up to the end tag with the same name.
    Raw,
    /// Like `Raw`, by the rules for scripts.
    Script,
    /// Text up to the end of the document.
    Plaintext,
}

/// Syntactic position in the markup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place<'a> {
    /// Text between tags.
    Text,
    /// Text of a raw text element.
    TextOf(&'a [u8]),
    /// A comment or a declaration.
    Comment,
    /// Name of a tag.
    TagName,
    /// Name of an attribute, or a position where one may begin.
    AttributeName,
    /// Unquoted value, or a position where a value may begin.
    Unquoted,
    /// Quoted value.
    Quoted {
        /// Name of the tag.
        tag: &'a [u8],
        /// Name of the attribute.
        attribute: &'a [u8],
        /// Value before the position.
        before: &'a [u8],
    },
}

/// States named as in the standard, without "state"; states that differ only in errors are merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Data,
    Plaintext,
    Raw(Text),
    RawLessThan(Text),
    RawEndTagOpen(Text),
    RawEndTagName(Text),
    EscapeStart,
    EscapeStartDash,
    EscapedDash(Text),
    EscapedDashDash(Text),
    DoubleEscapeStart,
    DoubleEscapeEnd,
    TagOpen,
    EndTagOpen,
    TagName,
    BeforeAttributeName,
    AttributeName,
    AfterAttributeName,
    BeforeValue,
    Quoted(u8),
    Unquoted,
    AfterQuoted,
    SelfClosing,
    BogusComment,
    Declaration,
    DeclarationDash,
    CommentStart,
    CommentStartDash,
    Comment,
    CommentEndDash,
    CommentEnd,
    CommentEndBang,
    CdataStart(u8),
    Cdata,
    CdataBracket,
    CdataEnd,
}

/// Kind of a raw text element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Raw,
    Script,
    Escaped,
    DoubleEscaped,
}

/// Tokenizer.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    state: State,
    /// Bytes read so far.
    at: u64,
    tag: Tag,
    /// Bytes of the tag's attributes.
    len: usize,
    /// Name of the last start tag, whose end tag ends raw text.
    last: Vec<u8>,
    /// Letters of a possible end tag's name, or of `script` in a script's comment.
    word: Vec<u8>,
    /// Whether `<![CDATA[` begins a section here: only in SVG and MathML.
    is_foreign: bool,
    /// Whether attributes of a tag with this name are kept.
    wants: fn(&[u8]) -> bool,
}

impl Tokenizer {
    /// Creates a tokenizer, which keeps the attributes of start tags whose name satisfies `wants`.
    pub fn new(wants: fn(&[u8]) -> bool) -> Self {
        Self {
            state: State::Data,
            at: 0,
            tag: Tag::default(),
            len: 0,
            last: Vec::new(),
            word: Vec::new(),
            is_foreign: false,
            wants,
        }
    }

    /// Returns to the position after an earlier start tag.
    pub fn rewind(&mut self, behind: u64) {
        *self = Self { at: behind, ..Self::new(self.wants) };
    }

    /// Number of bytes read.
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// Sets the kind of content after the last start tag, and whether it is inside SVG or MathML.
    pub fn follow(&mut self, content: Content, is_foreign: bool) {
        self.is_foreign = is_foreign;
        self.state = match content {
            Content::Data => State::Data,
            Content::Raw => State::Raw(Text::Raw),
            Content::Script => State::Raw(Text::Script),
            Content::Plaintext => State::Plaintext,
        };
    }

    /// Start of the current tag, if its attributes are kept or its name is incomplete.
    pub fn pending(&self) -> Option<u64> {
        let pending = match self.state {
            State::TagOpen | State::EndTagOpen | State::TagName => true,
            State::BeforeAttributeName
            | State::AttributeName
            | State::AfterAttributeName
            | State::BeforeValue
            | State::Quoted(_)
            | State::Unquoted
            | State::AfterQuoted
            | State::SelfClosing => (self.wants)(&self.tag.name),
            _ => false,
        };
        pending.then_some(self.tag.span.start)
    }

    /// Whether the position is in text between tags.
    pub fn is_in_data(&self) -> bool {
        self.state == State::Data
    }

    /// Syntactic position.
    pub fn place(&self) -> Place<'_> {
        match self.state {
            State::Data => Place::Text,
            State::Plaintext
            | State::Raw(_)
            | State::RawLessThan(_)
            | State::RawEndTagOpen(_)
            | State::RawEndTagName(_)
            | State::EscapeStart
            | State::EscapeStartDash
            | State::EscapedDash(_)
            | State::EscapedDashDash(_)
            | State::DoubleEscapeStart
            | State::DoubleEscapeEnd => Place::TextOf(&self.last),
            State::TagOpen | State::EndTagOpen | State::TagName => Place::TagName,
            State::BeforeAttributeName
            | State::AttributeName
            | State::AfterAttributeName
            | State::AfterQuoted
            | State::SelfClosing => Place::AttributeName,
            State::BeforeValue | State::Unquoted => Place::Unquoted,
            State::Quoted(_) => match self.tag.attributes.last() {
                Some(attribute) => {
                    Place::Quoted { tag: &self.tag.name, attribute: &attribute.name, before: &attribute.value }
                }
                None => Place::Unquoted,
            },
            _ => Place::Comment,
        }
    }

    /// Reads bytes up to the end of the next tag, or all of them. Returns the number of bytes read.
    pub fn next(&mut self, bytes: &[u8]) -> (usize, Option<Tag>) {
        let mut read = 0;
        while let Some(rest) = bytes.get(read..).filter(|rest| !rest.is_empty()) {
            let dull = self.dull(rest);
            read += dull;
            self.at += dull as u64;
            let Some(byte) = bytes.get(read) else { break };
            let tag = self.step(*byte);
            read += 1;
            self.at += 1;
            if let Some(mut tag) = tag {
                tag.span.end = self.at;
                return (read, Some(tag));
            }
        }
        (read, None)
    }

    /// Number of bytes that the state skips.
    fn dull(&mut self, bytes: &[u8]) -> usize {
        let find = |byte: u8| bytes.iter().position(|found| *found == byte).unwrap_or(bytes.len());
        let either = |a: u8, b: u8| bytes.iter().position(|found| [a, b].contains(found)).unwrap_or(bytes.len());
        match self.state {
            State::Data | State::Raw(Text::Raw | Text::Script) => find(b'<'),
            State::Raw(_) => either(b'<', b'-'),
            State::Plaintext => bytes.len(),
            State::Comment => find(b'-'),
            State::BogusComment => find(b'>'),
            State::Cdata => find(b']'),
            State::Quoted(quote) => {
                let len = find(quote);
                self.value(bytes.get(..len).unwrap_or_default());
                len
            }
            _ => 0,
        }
    }

    /// Handles one byte; returns the tag that it ends.
    fn step(&mut self, byte: u8) -> Option<Tag> {
        use State::*;
        // Repeats if a state hands the byte to another one.
        loop {
            let next = match self.state {
                Data => {
                    if byte == b'<' {
                        self.begin();
                        TagOpen
                    } else {
                        Data
                    }
                }
                Plaintext => Plaintext,
                TagOpen => match byte {
                    b'!' => Declaration,
                    b'/' => EndTagOpen,
                    b'?' => BogusComment,
                    _ if byte.is_ascii_alphabetic() => {
                        self.state = TagName;
                        continue;
                    }
                    _ => {
                        self.state = Data;
                        continue;
                    }
                },
                EndTagOpen => match byte {
                    b'>' => Data,
                    _ if byte.is_ascii_alphabetic() => {
                        self.tag.is_end = true;
                        self.state = TagName;
                        continue;
                    }
                    _ => {
                        self.state = BogusComment;
                        continue;
                    }
                },
                TagName => match byte {
                    b'>' => return Some(self.end()),
                    b'/' => self.named(SelfClosing),
                    _ if is_space(byte) => self.named(BeforeAttributeName),
                    _ => {
                        if self.tag.name.len() < Tag::MAX_NAME {
                            self.tag.name.push(byte.to_ascii_lowercase());
                        }
                        TagName
                    }
                },
                BeforeAttributeName => match byte {
                    _ if is_space(byte) => BeforeAttributeName,
                    b'/' | b'>' => {
                        self.state = AfterAttributeName;
                        continue;
                    }
                    _ => {
                        self.attribute();
                        // An equals sign here is the first letter of a name.
                        if byte == b'=' {
                            self.letter(byte);
                            AttributeName
                        } else {
                            self.state = AttributeName;
                            continue;
                        }
                    }
                },
                AttributeName => match byte {
                    b'/' | b'>' => {
                        self.state = AfterAttributeName;
                        continue;
                    }
                    _ if is_space(byte) => AfterAttributeName,
                    b'=' => self.equals(),
                    _ => {
                        self.letter(byte);
                        AttributeName
                    }
                },
                AfterAttributeName => match byte {
                    _ if is_space(byte) => AfterAttributeName,
                    b'/' => SelfClosing,
                    b'=' => self.equals(),
                    b'>' => return Some(self.end()),
                    _ => {
                        self.attribute();
                        self.state = AttributeName;
                        continue;
                    }
                },
                BeforeValue => match byte {
                    _ if is_space(byte) => BeforeValue,
                    b'"' | b'\'' => Quoted(byte),
                    b'>' => return Some(self.end()),
                    _ => {
                        self.state = Unquoted;
                        continue;
                    }
                },
                Quoted(quote) => {
                    if byte == quote {
                        self.complete(1);
                        AfterQuoted
                    } else {
                        self.value(&[byte]);
                        Quoted(quote)
                    }
                }
                Unquoted => match byte {
                    b'>' => return Some(self.end()),
                    _ if is_space(byte) => BeforeAttributeName,
                    _ => {
                        self.value(&[byte]);
                        self.complete(1);
                        Unquoted
                    }
                },
                AfterQuoted => match byte {
                    _ if is_space(byte) => BeforeAttributeName,
                    b'/' => SelfClosing,
                    b'>' => return Some(self.end()),
                    _ => {
                        self.state = BeforeAttributeName;
                        continue;
                    }
                },
                SelfClosing => {
                    if byte == b'>' {
                        self.tag.is_self_closing = true;
                        return Some(self.end());
                    }
                    self.state = BeforeAttributeName;
                    continue;
                }
                BogusComment => {
                    if byte == b'>' {
                        Data
                    } else {
                        BogusComment
                    }
                }
                // A doctype also ends at the first `>`.
                Declaration => match byte {
                    b'-' => DeclarationDash,
                    b'[' if self.is_foreign => CdataStart(1),
                    _ => {
                        self.state = BogusComment;
                        continue;
                    }
                },
                DeclarationDash => {
                    if byte == b'-' {
                        CommentStart
                    } else {
                        self.state = BogusComment;
                        continue;
                    }
                }
                CommentStart => match byte {
                    b'-' => CommentStartDash,
                    b'>' => Data,
                    _ => {
                        self.state = Comment;
                        continue;
                    }
                },
                CommentStartDash => match byte {
                    b'-' => CommentEnd,
                    b'>' => Data,
                    _ => {
                        self.state = Comment;
                        continue;
                    }
                },
                Comment => {
                    if byte == b'-' {
                        CommentEndDash
                    } else {
                        Comment
                    }
                }
                CommentEndDash => {
                    if byte == b'-' {
                        CommentEnd
                    } else {
                        Comment
                    }
                }
                CommentEnd => match byte {
                    b'>' => Data,
                    b'!' => CommentEndBang,
                    b'-' => CommentEnd,
                    _ => Comment,
                },
                CommentEndBang => match byte {
                    b'-' => CommentEndDash,
                    b'>' => Data,
                    _ => Comment,
                },
                CdataStart(n) => match b"[CDATA[".get(usize::from(n)) {
                    Some(expected) if *expected == byte => {
                        if n == 6 {
                            Cdata
                        } else {
                            CdataStart(n + 1)
                        }
                    }
                    _ => {
                        self.state = BogusComment;
                        continue;
                    }
                },
                Cdata => {
                    if byte == b']' {
                        CdataBracket
                    } else {
                        Cdata
                    }
                }
                CdataBracket => {
                    if byte == b']' {
                        CdataEnd
                    } else {
                        Cdata
                    }
                }
                CdataEnd => match byte {
                    b']' => CdataEnd,
                    b'>' => Data,
                    _ => Cdata,
                },
                Raw(text) => match (text, byte) {
                    (_, b'<') => {
                        self.begin();
                        RawLessThan(text)
                    }
                    (Text::Escaped | Text::DoubleEscaped, b'-') => EscapedDash(text),
                    _ => Raw(text),
                },
                RawLessThan(text) => match (text, byte) {
                    (Text::DoubleEscaped, b'/') => {
                        self.word.clear();
                        DoubleEscapeEnd
                    }
                    (Text::Raw | Text::Script | Text::Escaped, b'/') => RawEndTagOpen(text),
                    (Text::Script, b'!') => EscapeStart,
                    (Text::Escaped, letter) if letter.is_ascii_alphabetic() => {
                        self.word.clear();
                        self.state = DoubleEscapeStart;
                        continue;
                    }
                    _ => {
                        self.state = Raw(text);
                        continue;
                    }
                },
                RawEndTagOpen(text) => {
                    self.word.clear();
                    self.state = if byte.is_ascii_alphabetic() { RawEndTagName(text) } else { Raw(text) };
                    continue;
                }
                RawEndTagName(text) => {
                    let is_end = self.word == self.last;
                    match byte {
                        _ if byte.is_ascii_alphabetic() => {
                            self.spell(byte);
                            RawEndTagName(text)
                        }
                        b'>' | b'/' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' if is_end => {
                            self.tag.is_end = true;
                            self.tag.name = mem::take(&mut self.word);
                            self.state = TagName;
                            continue;
                        }
                        _ => {
                            self.state = Raw(text);
                            continue;
                        }
                    }
                }
                EscapeStart => {
                    if byte == b'-' {
                        EscapeStartDash
                    } else {
                        self.state = Raw(Text::Script);
                        continue;
                    }
                }
                EscapeStartDash => {
                    if byte == b'-' {
                        EscapedDashDash(Text::Escaped)
                    } else {
                        self.state = Raw(Text::Script);
                        continue;
                    }
                }
                EscapedDash(text) => {
                    if byte == b'-' {
                        EscapedDashDash(text)
                    } else {
                        self.state = Raw(text);
                        continue;
                    }
                }
                EscapedDashDash(text) => match byte {
                    b'-' => EscapedDashDash(text),
                    b'>' => Raw(Text::Script),
                    _ => {
                        self.state = Raw(text);
                        continue;
                    }
                },
                DoubleEscapeStart | DoubleEscapeEnd => {
                    let (from, to) = if self.state == DoubleEscapeStart {
                        (Text::Escaped, Text::DoubleEscaped)
                    } else {
                        (Text::DoubleEscaped, Text::Escaped)
                    };
                    match byte {
                        _ if byte.is_ascii_alphabetic() => {
                            self.spell(byte);
                            self.state
                        }
                        b'>' | b'/' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ' => {
                            Raw(if self.word == b"script" { to } else { from })
                        }
                        _ => {
                            self.state = Raw(from);
                            continue;
                        }
                    }
                }
            };
            self.state = next;
            return None;
        }
    }

    /// Handles the `<` of a possible tag.
    fn begin(&mut self) {
        self.tag = Tag { span: self.at..self.at, ..Tag::default() };
        self.len = 0;
    }

    /// Handles the end of a tag's name.
    fn named(&mut self, next: State) -> State {
        self.tag.name_end = self.at;
        next
    }

    /// Adds a letter to a word; longer words match no known one.
    fn spell(&mut self, letter: u8) {
        if self.word.len() <= Tag::MAX_NAME {
            self.word.push(letter.to_ascii_lowercase());
        }
    }

    /// Attributes of the current tag, if they are kept and fit.
    fn wanted(&mut self, len: usize) -> Option<&mut Vec<Attribute>> {
        if self.tag.is_end || self.tag.is_too_long || !(self.wants)(&self.tag.name) {
            return None;
        }
        self.len += len;
        self.tag.is_too_long = self.len > Tag::MAX_ATTRIBUTES;
        Some(&mut self.tag.attributes)
    }

    /// Starts an attribute's name.
    fn attribute(&mut self) {
        let at = self.at;
        if let Some(attributes) = self.wanted(size_of::<Attribute>()) {
            attributes.push(Attribute { span: at..at, is_complete: true, ..Attribute::default() });
        }
    }

    /// Adds a letter to an attribute's name.
    fn letter(&mut self, byte: u8) {
        let end = self.at + 1;
        if let Some(attribute) = self.wanted(1).and_then(|attributes| attributes.last_mut()) {
            attribute.name.push(byte.to_ascii_lowercase());
            attribute.span.end = end;
        }
    }

    /// Handles the equals sign after an attribute's name.
    fn equals(&mut self) -> State {
        if let Some(attribute) = self.wanted(1).and_then(|attributes| attributes.last_mut()) {
            attribute.is_complete = false;
        }
        State::BeforeValue
    }

    /// Adds bytes to an attribute's value.
    fn value(&mut self, bytes: &[u8]) {
        if let Some(attribute) = self.wanted(bytes.len()).and_then(|attributes| attributes.last_mut()) {
            attribute.value.extend_from_slice(bytes);
        }
    }

    /// Ends the value, `ahead` bytes ahead of the position.
    fn complete(&mut self, ahead: u64) {
        let end = self.at + ahead;
        if let Some(attribute) = self.wanted(0).and_then(|attributes| attributes.last_mut()) {
            attribute.span.end = end;
            attribute.is_complete = true;
        }
    }

    /// Handles the `>` of a tag.
    fn end(&mut self) -> Tag {
        if self.state == State::TagName {
            self.tag.name_end = self.at;
        }
        self.state = State::Data;
        let tag = mem::take(&mut self.tag);
        if !tag.is_end {
            self.last.clone_from(&tag.name);
        }
        tag
    }
}

/// HTML's ASCII whitespace.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}

#[cfg(test)]
mod tests;
