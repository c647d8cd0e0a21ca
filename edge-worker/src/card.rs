//! Cards: HTML templates of products in slots.
//!
//! Values are escaped, which is safe only in text and in quoted attributes: a card with a field in a script, a style, a
//! comment or an unquoted attribute is refused. `tests/cases/cards.json` has the rules shared by page and edge.

use crate::{
    elements::unescaped,
    tag::Tag,
    tokens::{Content, Place, Tokenizer},
    tree::{content, is_implied, is_void},
};
use serde::Deserialize;

/// Template in which `{name}` is replaced by an escaped value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Card(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Html(String),
    Field(usize),
}

/// Values of a card's fields.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// SKU of the product.
    pub sku: String,
    /// Title.
    pub title: String,
    /// Address of its page.
    pub url: String,
    /// Category.
    pub category: String,
    /// Price, with the currency.
    pub price: String,
    /// List price, if it differs.
    pub list: String,
    /// Time of delivery.
    pub delivery: String,
    /// Reason for the recommendation.
    pub reason: String,
}

const NAMES: [&str; 8] = ["sku", "title", "url", "category", "price", "list", "delivery", "reason"];

impl Card {
    /// Renders the card of a product.
    pub fn html(&self, fields: &Fields) -> String {
        let Fields { sku, title, url, category, price, list, delivery, reason } = fields;
        let values = [sku, title, url, category, price, list, delivery, reason];
        let part = |part: &Part| match part {
            Part::Html(html) => html.clone(),
            Part::Field(field) => values.get(*field).map(|value| escape(value)).unwrap_or_default(),
        };
        self.0.iter().map(part).collect()
    }
}

impl TryFrom<String> for Card {
    type Error = String;

    fn try_from(template: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut reader = Reader { tokenizer: Tokenizer::new(|_| true), open: Vec::new() };
        let mut rest = template.as_str();
        while let Some((html, after)) = rest.split_once('{') {
            let (name, after) =
                after.split_once('}').ok_or_else(|| format!("`card` has `{{` without `}}` before `{after}`"))?;
            let field = NAMES.iter().position(|known| *known == name).ok_or_else(|| {
                format!(
                    "`card` has the unknown field `{{{name}}}` (expected {})",
                    NAMES.map(|name| format!("{{{name}}}")).join(" ")
                )
            })?;
            reader.read(html.as_bytes())?;
            reader.check(name)?;
            // The value does not affect the parsing there.
            reader.read(b"x")?;
            parts.extend([Part::Html(ascii(html)), Part::Field(field)]);
            rest = after;
        }
        reader.read(rest.as_bytes())?;
        reader.end()?;
        parts.push(Part::Html(ascii(rest)));
        Ok(Self(parts))
    }
}

/// Parser of a template, with a browser's rules.
struct Reader {
    tokenizer: Tokenizer,
    /// Open elements.
    open: Vec<Vec<u8>>,
}

impl Reader {
    fn read(&mut self, mut html: &[u8]) -> Result<(), String> {
        while !html.is_empty() {
            let (read, tag) = self.tokenizer.next(html);
            html = html.get(read..).unwrap_or_default();
            match tag {
                Some(tag) if tag.is_end => self.close(&tag)?,
                Some(tag) => self.open(tag),
                None => {}
            }
        }
        Ok(())
    }

    fn open(&mut self, tag: Tag) {
        self.tokenizer.follow(content(&tag.name), false);
        let is_foreign = |name: &[u8]| matches!(name, b"svg" | b"math");
        let closes_itself = tag.is_self_closing && self.open.iter().chain([&tag.name]).any(|name| is_foreign(name));
        if !is_void(&tag.name) && !closes_itself {
            self.open.push(tag.name);
        }
    }

    fn close(&mut self, tag: &Tag) -> Result<(), String> {
        self.tokenizer.follow(Content::Data, false);
        match self.open.iter().rposition(|name| *name == tag.name) {
            Some(place) => self.open.truncate(place),
            None if is_void(&tag.name) => {}
            None => return Err(format!("`card` has `</{}>` without a start tag", text(&tag.name))),
        }
        Ok(())
    }

    /// An unclosed card would absorb the following content.
    fn end(&self) -> Result<(), String> {
        if !self.tokenizer.is_in_data() {
            return Err("`card` ends within a tag, a comment or a raw text element: close it".into());
        }
        match self.open.iter().find(|name| !is_implied(name)) {
            Some(name) => Err(format!("`card` has `<{0}>` without an end tag: add `</{0}>`", text(name))),
            None => Ok(()),
        }
    }

    /// Checks whether a field is allowed here.
    fn check(&self, field: &str) -> Result<(), String> {
        let place = match self.tokenizer.place() {
            Place::Text => return Ok(()),
            Place::TextOf(name) => format!("the text of `{}`", text(name)),
            Place::Comment => "a comment".into(),
            Place::TagName => "the name of a tag".into(),
            Place::AttributeName => "the name of an attribute".into(),
            Place::Unquoted => "an attribute without quotes".into(),
            Place::Quoted { tag, attribute, before } => {
                let (tag, attribute) = (text(tag), text(attribute));
                if matches!(tag.as_str(), "script" | "style" | "meta" | "link" | "base" | "object" | "embed") {
                    format!("an attribute of `{tag}`")
                } else if is_code(&attribute) {
                    format!("the attribute `{attribute}`")
                } else if is_address(&attribute) && !is_fixed(&text(before), field) {
                    return Err(format!(
                        "`card` has `{{{field}}}` in `{attribute}`, where it may say another scheme: begin the address \
                         with `{{url}}`, `/`, `?`, `#` or `https://`"
                    ));
                } else {
                    return Ok(());
                }
            }
        };
        Err(format!(
            "`card` has `{{{field}}}` in {place}, where a value cannot be escaped: put it into text or a quoted attribute"
        ))
    }
}

/// Attributes whose value is code, a style, a document, or becomes another attribute.
fn is_code(attribute: &str) -> bool {
    attribute.starts_with("on")
        || matches!(attribute, "style" | "srcdoc" | "values" | "to" | "from" | "by" | "attributename")
}

/// Attributes whose value is an address.
fn is_address(attribute: &str) -> bool {
    matches!(
        attribute,
        "href"
            | "src"
            | "action"
            | "formaction"
            | "xlink:href"
            | "poster"
            | "srcset"
            | "imagesrcset"
            | "data"
            | "cite"
            | "background"
            | "longdesc"
            | "ping"
            | "manifest"
            | "profile"
            | "usemap"
            | "codebase"
            | "archive"
            | "classid"
            | "icon"
            | "dynsrc"
            | "lowsrc"
    )
}

/// Whether the text before a field in an address fixes its target, or the field is the checked address itself.
fn is_fixed(before: &str, field: &str) -> bool {
    // Normalised like a browser does.
    let before: String = unescaped(before).chars().filter(|letter| !matches!(letter, '\t' | '\n' | '\r')).collect();
    let before = before.trim_start_matches(|letter| letter <= ' ').to_ascii_lowercase();
    // A leading `{url}` was parsed as `x`.
    let before = before.as_str();
    if before.is_empty() {
        return field == "url";
    }
    let scheme = before.split(['/', '?', '#', '\\']).next().unwrap_or_default();
    matches!(scheme, "http:" | "https:") || (scheme.len() < before.len() && !scheme.contains(':'))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Escapes text for an element or a quoted attribute, in any encoding of the page.
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    ascii(&html)
}

/// Converts HTML to ASCII, so that it is the same in any encoding.
fn ascii(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    for letter in html.chars() {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            text.push_str(&format!("&#{};", u32::from(letter)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn fields_are_escaped_and_the_template_is_not() {
        let card = Card::try_from(String::from("<a href=\"{url}\" title='→'>{title}</a>")).unwrap();
        let fields = Fields { title: "Tea & \"1/2\" <€>".into(), url: "/p?a=1&b='".into(), ..Fields::default() };
        assert_eq!(
            card.html(&fields),
            "<a href=\"/p?a=1&amp;b=&#39;\" title='&#8594;'>Tea &amp; &quot;1/2&quot; &lt;&#8364;&gt;</a>"
        );
    }

    #[test]
    fn a_field_stands_where_escaping_holds() {
        let cases: Value = serde_json::from_str(include_str!("../../tests/cases/cards.json")).unwrap();
        for case in cases["cases"].as_array().unwrap() {
            let card = case["card"].as_str().unwrap();
            match (Card::try_from(card.to_owned()), case["error"].as_str()) {
                (Ok(_), None) => {}
                (Err(error), Some(expected)) => assert!(error.contains(expected), "{card}: {error}"),
                (read, expected) => panic!("{card}: {read:?}, not {expected:?}"),
            }
        }
    }

    #[test]
    fn a_card_ends_where_it_began() {
        for (card, expected) in [
            ("<a>{title", "without `}`"),
            ("<div><b>{title}</b>", "`<div>` without an end tag"),
            ("{title}</div>", "`</div>` without a start tag"),
            ("<b>{title}</b><!-- ", "within"),
            ("<b>{title}</b><a href='", "within"),
            ("<b>{title}</b><textarea>", "within"),
        ] {
            let error = Card::try_from(card.to_owned()).unwrap_err();
            assert!(error.contains(expected), "{card}: {error}");
        }
        assert!(Card::try_from(String::from("<li>{title}<br><img src='/a'><p>{price}")).is_ok());
    }
}
