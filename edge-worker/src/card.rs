//! A product in a slot: HTML with fields.

use serde::Deserialize;

/// A template: `{name}` stands for a value, which is escaped.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Card(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Html(String),
    Field(usize),
}

/// What a card can say.
#[derive(Debug, Clone, Default)]
pub struct Fields {
    /// The product.
    pub sku: String,
    /// What it is called.
    pub title: String,
    /// Its page.
    pub url: String,
    /// Its category.
    pub category: String,
    /// Its price, with the currency.
    pub price: String,
    /// The list price, where it is another.
    pub list: String,
    /// When it arrives.
    pub delivery: String,
    /// Why it is here.
    pub reason: String,
}

const NAMES: [&str; 8] = ["sku", "title", "url", "category", "price", "list", "delivery", "reason"];

impl Card {
    /// The card of a product.
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
        let mut rest = template.as_str();
        while let Some((html, after)) = rest.split_once('{') {
            let (name, after) =
                after.split_once('}').ok_or_else(|| format!("`card` has `{{` without `}}` before `{after}`"))?;
            let field = NAMES.iter().position(|known| *known == name).ok_or_else(|| {
                format!(
                    "`card` has `{{{name}}}`, which is none of {}",
                    NAMES.map(|name| format!("{{{name}}}")).join(" ")
                )
            })?;
            parts.extend([Part::Html(ascii(html)), Part::Field(field)]);
            rest = after;
        }
        parts.push(Part::Html(ascii(rest)));
        Ok(Self(parts))
    }
}

/// Text as HTML shows it, in an element or a quoted attribute, whatever the page's encoding.
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

/// HTML in ASCII, so that it is the same in a page of any encoding.
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
    fn unknown_and_open_fields_are_refused() {
        assert!(Card::try_from(String::from("{titel}")).unwrap_err().contains("{title}"));
        assert!(Card::try_from(String::from("<a>{title")).unwrap_err().contains("without"));
    }
}
