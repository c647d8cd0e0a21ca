//! Elements of Tradewind, and the meaning of their attributes.
//!
//! `tests/cases/elements.json` has the rules shared by page and edge.

use crate::tag::Tag;

/// Default number of products in a slot.
const LIMIT: u16 = 8;
/// Maximum number of products in a slot.
const MAX_LIMIT: u16 = 48;

/// `<tradewind-slot>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// Name.
    pub name: String,
    /// Number of products to show.
    pub limit: u16,
    /// Products not to show.
    pub exclude: Vec<String>,
    /// Whether a framework owns its children, which must stay.
    pub is_hydrated: bool,
}

/// Decoding of text in other encodings than UTF-8.
pub trait Decode {
    /// Decodes bytes that are not all ASCII; `None` for an unknown encoding.
    fn decode(&self, bytes: &[u8]) -> Option<String>;
}

impl Slot {
    /// Reads a slot from its start tag.
    pub fn of(tag: &Tag, decode: &impl Decode) -> Self {
        let value = |name| value(tag, name, decode).unwrap_or_default();
        let mut exclude: Vec<String> = Vec::new();
        for sku in value("exclude").split_ascii_whitespace() {
            if !exclude.iter().any(|known| known == sku) {
                exclude.push(sku.to_owned());
            }
        }
        let is_hydrated = tag.attribute("hydrate").is_some();
        Self { name: value("name"), limit: limit(&value("limit")), exclude, is_hydrated }
    }
}

/// Value of an attribute.
pub fn value(tag: &Tag, name: &str, decode: &impl Decode) -> Option<String> {
    let bytes = &tag.attribute(name)?.value;
    let text = match str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() => text.to_owned(),
        _ => decode.decode(bytes)?,
    };
    let text = text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}");
    Some(unescaped(&text))
}

/// Replaces character references in a value.
pub fn unescaped(value: &str) -> String {
    htmlize::unescape_attribute(value).into_owned()
}

/// Parses a number of products, by HTML's rules for non-negative integers.
fn limit(text: &str) -> u16 {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0c', '\r']);
    let (sign, digits) = text.strip_prefix('-').map_or((1, text.strip_prefix('+').unwrap_or(text)), |rest| (-1, rest));
    let digits = digits.bytes().take_while(u8::is_ascii_digit);
    let number = digits.fold(0_i32, |number, digit| number.saturating_mul(10).saturating_add(i32::from(digit - b'0')));
    match u16::try_from(number.saturating_mul(sign).min(i32::from(MAX_LIMIT))) {
        Ok(0) | Err(_) => LIMIT,
        Ok(limit) => limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokens::Tokenizer;
    use serde_json::Value;

    struct Utf8;

    impl Decode for Utf8 {
        fn decode(&self, bytes: &[u8]) -> Option<String> {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
    }

    #[test]
    fn attributes_mean_what_they_mean_in_the_page() {
        let cases: Value = serde_json::from_str(include_str!("../../tests/cases/elements.json")).unwrap();
        for case in cases["cases"].as_array().unwrap() {
            let html = case["html"].as_str().unwrap();
            let (_, tag) = Tokenizer::new(|_| true).next(html.as_bytes());
            let slot = Slot::of(&tag.unwrap(), &Utf8);
            let exclude: Vec<_> = case["exclude"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
            assert_eq!(
                (slot.name.as_str(), u64::from(slot.limit)),
                (case["name"].as_str().unwrap(), case["limit"].as_u64().unwrap()),
                "{html}"
            );
            assert_eq!(slot.exclude, exclude, "{html}");
        }
    }

    #[test]
    fn character_references_are_replaced_as_in_attributes() {
        for (value, expected) in [
            ("T&amp;J", "T&J"),
            ("&#84;&#x54;&#X54", "TTT"),
            ("a&copy=1&copy;", "a&copy=1©"),
            ("&copya &copy", "&copya ©"),
            ("&notit; &notin;", "&notit; ∉"),
            ("&#0;&#128;&#xD800;", "\u{fffd}€\u{fffd}"),
            ("&;&&#;&#x;", "&;&&#;&#x;"),
        ] {
            assert_eq!(unescaped(value), expected, "{value}");
        }
    }
}
