//! Decision whether a tag becomes an element of the page, as far as a stream of tags allows.
//!
//! A parser builds a complete tree. This code tracks only what a page's own elements depend on: templates, whose
//! content is not part of the page; SVG and MathML, with other elements and text rules; and raw text elements. If more
//! of the tree would be needed, the page is [lost](Tree::is_lost).

use crate::{tag::Tag, tokens::Content};

/// Maximum tracked depth of SVG or MathML.
const MAX_DEPTH: usize = 256;

/// Kind of content after a start tag of an HTML element, by its name.
pub fn content(name: &[u8]) -> Content {
    match name {
        // With scripting enabled, `noscript` is a raw text element.
        b"title" | b"textarea" | b"style" | b"xmp" | b"iframe" | b"noembed" | b"noframes" | b"noscript" => Content::Raw,
        b"script" => Content::Script,
        b"plaintext" => Content::Plaintext,
        _ => Content::Data,
    }
}

/// Whether an element never has an end tag.
pub fn is_void(name: &[u8]) -> bool {
    matches!(
        name,
        b"area"
            | b"base"
            | b"basefont"
            | b"bgsound"
            | b"br"
            | b"col"
            | b"embed"
            | b"frame"
            | b"hr"
            | b"img"
            | b"image"
            | b"input"
            | b"keygen"
            | b"link"
            | b"meta"
            | b"param"
            | b"source"
            | b"track"
            | b"wbr"
    )
}

/// Whether an element's end tag is optional.
pub fn is_implied(name: &[u8]) -> bool {
    matches!(
        name,
        b"p" | b"li"
            | b"dd"
            | b"dt"
            | b"option"
            | b"optgroup"
            | b"rb"
            | b"rp"
            | b"rt"
            | b"rtc"
            | b"caption"
            | b"colgroup"
            | b"tbody"
            | b"td"
            | b"tfoot"
            | b"th"
            | b"thead"
            | b"tr"
    )
}

/// State of the tree at a position.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Open elements, starting with the outermost of SVG or MathML.
    inside: Vec<Node>,
    /// Number of open templates.
    templates: usize,
    /// Whether a `select` is open, whose content model differs between browser versions.
    is_select: bool,
    lost: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    name: Vec<u8>,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Svg,
    MathMl,
    /// Element of SVG or MathML whose children are HTML.
    HtmlPoint,
    /// Element of MathML whose children are HTML, with two exceptions.
    TextPoint,
    Html,
}

impl Tree {
    /// Whether the meaning of tags is unknown.
    pub const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Whether text follows the rules of SVG and MathML.
    pub fn is_foreign(&self) -> bool {
        self.inside.last().is_some_and(|node| node.kind != Kind::Html)
    }

    /// Whether the position is in the page itself, outside SVG, MathML, templates and `select`.
    pub fn is_plain(&self) -> bool {
        self.inside.is_empty() && !self.lost && self.templates == 0 && !self.is_select
    }

    /// Handles a start tag. Returns the kind of content after it.
    pub fn start(&mut self, tag: &Tag) -> Content {
        let name = tag.name.as_slice();
        if !self.is_html(tag) {
            if !is_breakout(tag) {
                self.enter(tag);
                return Content::Data;
            }
            self.break_out();
        }
        match name {
            b"svg" | b"math" => {
                self.enter(tag);
                return Content::Data;
            }
            b"template" => self.templates += 1,
            b"select" => self.is_select = true,
            // The content of a frameset is not part of the page.
            b"frameset" => self.lost = true,
            _ => {}
        }
        if !self.inside.is_empty() && !is_void(name) {
            if closes_paragraph(name) && self.inside.last().is_some_and(|node| node.name == b"p") {
                self.inside.pop();
            }
            self.push(name, Kind::Html);
        }
        content(name)
    }

    /// Handles an end tag.
    pub fn end(&mut self, tag: &Tag) {
        let name = tag.name.as_slice();
        match self.inside.last() {
            None => self.close(name),
            Some(Node { kind: Kind::Html, name: open }) => match name {
                _ if open == name => {
                    self.inside.pop();
                    self.close(name);
                }
                b"br" => {}
                _ => self.lost = true,
            },
            Some(_) if matches!(name, b"br" | b"p") => self.break_out(),
            Some(_) => {
                let foreign = self.inside.iter().rev().take_while(|node| node.kind != Kind::Html);
                match foreign.take(MAX_DEPTH).position(|node| node.name == name) {
                    Some(above) => self.inside.truncate(self.inside.len() - above - 1),
                    // It may end an outer element.
                    None => self.lost = true,
                }
            }
        }
    }

    fn close(&mut self, name: &[u8]) {
        match name {
            b"template" => self.templates = self.templates.saturating_sub(1),
            b"select" => self.is_select = false,
            _ => {}
        }
    }

    /// Whether a start tag follows the rules of HTML.
    fn is_html(&self, tag: &Tag) -> bool {
        match self.inside.last() {
            None => true,
            Some(node) => match node.kind {
                Kind::Html | Kind::HtmlPoint => true,
                Kind::TextPoint => !matches!(tag.name.as_slice(), b"mglyph" | b"malignmark"),
                Kind::MathMl => node.name == b"annotation-xml" && tag.name == b"svg",
                Kind::Svg => false,
            },
        }
    }

    /// Opens an element of SVG or MathML.
    fn enter(&mut self, tag: &Tag) {
        if tag.is_self_closing {
            return;
        }
        let name = tag.name.as_slice();
        let is_math = match self.inside.last().map(|node| (node.kind, node.name.as_slice())) {
            _ if self.is_html(tag) => name == b"math",
            Some((Kind::MathMl | Kind::TextPoint, _) | (Kind::HtmlPoint, b"annotation-xml")) => true,
            _ => false,
        };
        let encoding = || {
            let encoding = tag.attribute("encoding").map(|encoding| encoding.value.to_ascii_lowercase());
            matches!(encoding.as_deref(), Some(b"text/html" | b"application/xhtml+xml"))
        };
        let kind = match (is_math, name) {
            (false, b"foreignobject" | b"desc" | b"title") => Kind::HtmlPoint,
            (false, _) => Kind::Svg,
            (true, b"mi" | b"mo" | b"mn" | b"ms" | b"mtext") => Kind::TextPoint,
            (true, b"annotation-xml") if encoding() => Kind::HtmlPoint,
            (true, _) => Kind::MathMl,
        };
        self.push(name, kind);
    }

    fn push(&mut self, name: &[u8], kind: Kind) {
        self.lost |= self.inside.len() >= MAX_DEPTH;
        self.inside.push(Node { name: name.to_vec(), kind });
    }

    /// Closes elements of SVG and MathML up to one whose children are HTML.
    fn break_out(&mut self) {
        while self.inside.last().is_some_and(|node| matches!(node.kind, Kind::Svg | Kind::MathMl)) {
            self.inside.pop();
        }
    }
}

/// Whether a start tag ends SVG and MathML.
fn is_breakout(tag: &Tag) -> bool {
    match tag.name.as_slice() {
        b"b" | b"big" | b"blockquote" | b"body" | b"br" | b"center" | b"code" | b"dd" | b"div" | b"dl" | b"dt"
        | b"em" | b"embed" | b"h1" | b"h2" | b"h3" | b"h4" | b"h5" | b"h6" | b"head" | b"hr" | b"i" | b"img"
        | b"li" | b"listing" | b"menu" | b"meta" | b"nobr" | b"ol" | b"p" | b"pre" | b"ruby" | b"s" | b"small"
        | b"span" | b"strong" | b"strike" | b"sub" | b"sup" | b"table" | b"tt" | b"u" | b"ul" | b"var" => true,
        b"font" => ["color", "face", "size"].iter().any(|name| tag.attribute(name).is_some()),
        _ => false,
    }
}

/// Whether a start tag ends an open paragraph.
fn closes_paragraph(name: &[u8]) -> bool {
    matches!(
        name,
        b"address"
            | b"article"
            | b"aside"
            | b"blockquote"
            | b"center"
            | b"details"
            | b"dialog"
            | b"dir"
            | b"div"
            | b"dl"
            | b"fieldset"
            | b"figcaption"
            | b"figure"
            | b"footer"
            | b"form"
            | b"h1"
            | b"h2"
            | b"h3"
            | b"h4"
            | b"h5"
            | b"h6"
            | b"header"
            | b"hgroup"
            | b"hr"
            | b"main"
            | b"menu"
            | b"nav"
            | b"ol"
            | b"p"
            | b"pre"
            | b"search"
            | b"section"
            | b"summary"
            | b"ul"
    )
}

/// Whether [`Tree`] needs the attributes of tags with this name.
pub fn looks_at(name: &[u8]) -> bool {
    matches!(name, b"font" | b"annotation-xml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokenizer;

    /// Names of the elements in the page itself; `!` if it was lost.
    fn found(document: &str) -> String {
        let (mut tokenizer, mut tree) = (Tokenizer::new(looks_at), Tree::default());
        let (mut bytes, mut names) = (document.as_bytes(), Vec::new());
        while !bytes.is_empty() && !tree.is_lost() {
            let (read, tag) = tokenizer.next(bytes);
            bytes = &bytes[read..];
            match tag {
                Some(tag) if tag.is_end => {
                    tree.end(&tag);
                    tokenizer.follow(Content::Data, tree.is_foreign());
                }
                Some(tag) => {
                    let content = tree.start(&tag);
                    tokenizer.follow(content, tree.is_foreign());
                    if tree.is_plain() && !matches!(tag.name.as_slice(), b"svg" | b"math") {
                        names.push(String::from_utf8(tag.name).unwrap());
                    }
                }
                None => {}
            }
        }
        if tree.is_lost() {
            names.push("!".into());
        }
        names.join(" ")
    }

    #[test]
    fn elements_of_the_page_are_told_from_others() {
        for (document, expected) in [
            ("<template><a></a><template><b></template></template><i>", "i"),
            ("<svg><x></svg><i>", "i"),
            ("<svg/><i>", "i"),
            ("<svg><title><b></b></title><x/></svg><i>", "i"),
            ("<svg><style><x></style></svg><i>", "i"),
            ("<svg><style><!-- </svg> --><x></style></svg><i>", "i"),
            ("<svg><![CDATA[</svg><x>]]></svg><i>", "i"),
            ("<svg><foreignObject><p>a<div>b</div></foreignObject><x></svg><i>", "i"),
            ("<svg><g><x><div><i>", "div i"),
            ("<svg><font><font size=1><i>", "font i"),
            ("<math><mi><b></b></mi><x><annotation-xml><y></annotation-xml></math><i>", "i"),
            ("<math><annotation-xml encoding='Text/HTML'><b></b></annotation-xml></math><i>", "i"),
            ("<math><annotation-xml><svg><title><b></b></title></svg></annotation-xml></math><i>", "i"),
            ("<svg><g></p><i>", "i"),
            ("<svg><g></div><i>", "!"),
            ("<svg><foreignObject><b><div></b></foreignObject></svg><i>", "!"),
            ("<frameset><i>", "!"),
        ] {
            assert_eq!(found(document), expected, "{document}");
        }
    }
}
