//! Tags of an HTML document, found by the states of HTML's tokenizer while the document comes in pieces.
//!
//! This is [the standard's machine](https://html.spec.whatwg.org/multipage/parsing.html#tokenization) without what
//! it does for text and doctypes: a tag in a comment, a script or an attribute's value is no tag. Which text follows a
//! start tag depends on the element, so whoever builds the tree says so with [`Tokenizer::follow`].

use crate::tag::{Attribute, Tag};
use std::mem;

/// What comes after a start tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Text and tags.
    Data,
    /// Text up to the end tag of the same name.
    Raw,
    /// The same, by the rules for scripts.
    Script,
    /// Text up to the end of the document.
    Plaintext,
}

/// Where in the markup a position is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place<'a> {
    /// Text between tags.
    Text,
    /// Text of an element that has no tags in it.
    TextOf(&'a [u8]),
    /// A comment or a declaration.
    Comment,
    /// The name of a tag.
    TagName,
    /// The name of an attribute, or where one may begin.
    AttributeName,
    /// A value without quotes, or where a value may begin.
    Unquoted,
    /// A quoted value.
    Quoted {
        /// The tag's name.
        tag: &'a [u8],
        /// The attribute's name.
        attribute: &'a [u8],
        /// The value before the position.
        before: &'a [u8],
    },
}

/// The states that the standard names, without "state" and with those merged that differ in errors only.
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

/// Text of an element that has no tags in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Text {
    Raw,
    Script,
    Escaped,
    DoubleEscaped,
}

/// The machine.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    state: State,
    /// Bytes so far.
    at: u64,
    tag: Tag,
    /// Bytes of the tag's attributes.
    len: usize,
    /// The name of the last start tag, whose end tag ends raw text.
    last: Vec<u8>,
    /// Letters that may be an end tag's name, or `script` in a script's comment.
    word: Vec<u8>,
    /// Whether `<![CDATA[` begins a section here: in SVG and MathML only.
    is_foreign: bool,
    /// Whether the attributes of a tag of this name are wanted.
    wants: fn(&[u8]) -> bool,
}

impl Tokenizer {
    /// A machine before a document, which keeps the attributes of start tags whose name `wants` holds of.
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

    /// The machine behind a start tag that was returned earlier.
    pub fn rewind(&mut self, behind: u64) {
        *self = Self { at: behind, ..Self::new(self.wants) };
    }

    /// Bytes that were read.
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// Says what text follows the start tag that was just returned, and whether it is inside SVG or MathML.
    pub fn follow(&mut self, content: Content, is_foreign: bool) {
        self.is_foreign = is_foreign;
        self.state = match content {
            Content::Data => State::Data,
            Content::Raw => State::Raw(Text::Raw),
            Content::Script => State::Raw(Text::Script),
            Content::Plaintext => State::Plaintext,
        };
    }

    /// Where the tag begins that the position is in: its attributes are wanted, or its name is not yet known.
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

    /// Where in the markup the position is.
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

    /// Reads bytes up to the end of the next tag, or all of them. Returns how many were read.
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

    /// How many bytes the state does not look at.
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

    /// Takes in a byte; returns the tag that it ends.
    fn step(&mut self, byte: u8) -> Option<Tag> {
        use State::*;
        // A state that leaves a byte to another one asks for it again.
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
                // A doctype ends at the first `>`, too.
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

    /// At the `<` of what may be a tag.
    fn begin(&mut self) {
        self.tag = Tag { span: self.at..self.at, ..Tag::default() };
        self.len = 0;
    }

    /// Behind a tag's name.
    fn named(&mut self, next: State) -> State {
        self.tag.name_end = self.at;
        next
    }

    /// A letter of a word; more than fit are none that is known.
    fn spell(&mut self, letter: u8) {
        if self.word.len() <= Tag::MAX_NAME {
            self.word.push(letter.to_ascii_lowercase());
        }
    }

    /// The attributes of the tag that is read, as far as they are wanted and fit.
    fn wanted(&mut self, len: usize) -> Option<&mut Vec<Attribute>> {
        if self.tag.is_end || self.tag.is_too_long || !(self.wants)(&self.tag.name) {
            return None;
        }
        self.len += len;
        self.tag.is_too_long = self.len > Tag::MAX_ATTRIBUTES;
        Some(&mut self.tag.attributes)
    }

    /// Before the first letter of an attribute's name.
    fn attribute(&mut self) {
        let at = self.at;
        if let Some(attributes) = self.wanted(size_of::<Attribute>()) {
            attributes.push(Attribute { span: at..at, is_complete: true, ..Attribute::default() });
        }
    }

    /// A letter of an attribute's name.
    fn letter(&mut self, byte: u8) {
        let end = self.at + 1;
        if let Some(attribute) = self.wanted(1).and_then(|attributes| attributes.last_mut()) {
            attribute.name.push(byte.to_ascii_lowercase());
            attribute.span.end = end;
        }
    }

    /// At the equals sign behind an attribute's name.
    fn equals(&mut self) -> State {
        if let Some(attribute) = self.wanted(1).and_then(|attributes| attributes.last_mut()) {
            attribute.is_complete = false;
        }
        State::BeforeValue
    }

    /// Bytes of an attribute's value.
    fn value(&mut self, bytes: &[u8]) {
        if let Some(attribute) = self.wanted(bytes.len()).and_then(|attributes| attributes.last_mut()) {
            attribute.value.extend_from_slice(bytes);
        }
    }

    /// The value ends, as far as is known, `ahead` bytes ahead.
    fn complete(&mut self, ahead: u64) {
        let end = self.at + ahead;
        if let Some(attribute) = self.wanted(0).and_then(|attributes| attributes.last_mut()) {
            attribute.span.end = end;
            attribute.is_complete = true;
        }
    }

    /// At the `>` of a tag.
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
