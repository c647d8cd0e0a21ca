//! Texts for codes, by language.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use tradewind_core::Source;

/// Texts of codes: for each language (BCP 47, such as `en`) and each code, a text in one or more forms.
///
/// The form is selected by the first field that the form `other` names in braces. A number selects the form of itself
/// (`=0`), or else its plural form (Unicode CLDR: `one`, `few`, `many`, `other`, …); a text selects the form of itself.
/// A field that is itself a code is replaced by that code's text.
///
/// The words of a pack have texts for the sources that are evidence: [`Words::check`].
///
/// ```
/// use tradewind_json::{Statement, Words, number};
/// let words: Words = serde_json::from_str(
///     r#"{"en": {"days_since_order": {"one": "last ordered {value} day ago", "other": "last ordered {value} days ago"}}}"#,
/// )?;
/// assert_eq!(words.check(&[]), Ok(()));
/// let fact = Statement::new("days_since_order").with("value", 7.0);
/// assert_eq!(words.say("en-US", &fact, &|value| number("en", value)).as_deref(), Some("last ordered 7 days ago"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Words(BTreeMap<String, Texts>);

/// Forms of each code.
type Texts = BTreeMap<String, BTreeMap<String, String>>;

/// Plural forms of Unicode CLDR.
const FORMS: [&str; 6] = ["zero", "one", "two", "few", "many", "other"];

/// Code with its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    code: String,
    fields: BTreeMap<String, Field>,
}

/// Value that a text can name in braces.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// Number, which selects a plural form.
    Number(f64),
    /// Text, which selects the form of itself.
    Text(String),
}

impl From<f64> for Field {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<String> for Field {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Statement {
    /// Creates a code without fields.
    pub fn new(code: impl Into<String>) -> Self {
        Self { code: code.into(), fields: BTreeMap::new() }
    }

    /// Adds a field, or replaces the one of this name.
    #[must_use]
    pub fn with(mut self, name: &str, field: impl Into<Field>) -> Self {
        self.fields.insert(name.to_owned(), field.into());
        self
    }

    /// Converts an enum as it is in JSON: `"code"`, `{"code": {"field": …}}`, or `{"code": …}` with one field of the
    /// code's name. Lists and objects in it are ignored.
    pub fn of(code: &impl Serialize) -> Self {
        let (code, value) = match serde_json::to_value(code).unwrap_or_default() {
            Value::Object(object) => object.into_iter().next().unwrap_or_default(),
            Value::String(code) => (code, Value::Null),
            _ => (String::new(), Value::Null),
        };
        let fields = match value {
            Value::Object(fields) => {
                fields.into_iter().filter_map(|(name, value)| Some((name, field(value)?))).collect()
            }
            value => field(value).map(|value| (code.clone(), value)).into_iter().collect(),
        };
        Self { code, fields }
    }

    /// Code of the statement.
    pub fn code(&self) -> &str {
        &self.code
    }
}

fn field(value: Value) -> Option<Field> {
    match value {
        Value::Number(number) => number.as_f64().map(Field::Number),
        Value::String(text) => Some(Field::Text(text)),
        _ => None,
    }
}

impl Words {
    /// Texts for reasons of rankings and prices, which page and edge show to shoppers.
    pub fn shop() -> Self {
        Self::of([("en", include_str!("words/shop.en.json")), ("de", include_str!("words/shop.de.json"))])
    }

    /// Texts for exceptions, evidence and actions, on the warehouse's page.
    pub fn warehouse() -> Self {
        Self::of([("en", include_str!("words/warehouse.en.json")), ("de", include_str!("words/warehouse.de.json"))])
    }

    /// Reads the languages of this crate; a test checks them.
    fn of(languages: [(&str, &str); 2]) -> Self {
        let texts = |text| serde_json::from_str(text).unwrap_or_default();
        Self(languages.into_iter().map(|(language, text)| (language.to_owned(), texts(text))).collect())
    }

    /// Best language for a locale: the locale itself, its language, or English; empty if all are missing.
    pub fn language(&self, locale: &str) -> &str {
        let language = locale.split('-').next().unwrap_or_default();
        let found = [locale, language, "en"].into_iter().find_map(|language| self.0.get_key_value(language));
        found.map_or("", |(language, _)| language)
    }

    /// Text of a statement in the best language for a locale; `number` formats numbers. `None` if the code has no text.
    pub fn say(&self, locale: &str, statement: &Statement, number: &dyn Fn(f64) -> String) -> Option<String> {
        phrase(self.0.get(self.language(locale))?, statement, &statement.code, number)
    }

    /// Checks that every language has a text for each of `told`, and that every text is for a source.
    ///
    /// # Errors
    /// Missing or unknown entry.
    pub fn check(&self, told: &[Source]) -> Result<(), String> {
        for (language, texts) in &self.0 {
            if let Some(missing) = told.iter().find(|source| !texts.contains_key(source.name())) {
                return Err(format!("`{language}` has no words for `{}`", missing.name()));
            }
            for (name, forms) in texts {
                if !Source::ALL.iter().any(|source| source.name() == name) {
                    return Err(format!("`{language}` has words for `{name}`, which is not a source"));
                }
                let is_form = |form: &str| {
                    FORMS.contains(&form) || form.strip_prefix('=').is_some_and(|number| number.parse::<f64>().is_ok())
                };
                if let Some(form) = forms.keys().find(|form| !is_form(form)) {
                    return Err(format!(
                        "`{language}`, `{name}`: unknown plural form `{form}` (expected {}, or a number such as `=0`)",
                        FORMS.join(", ")
                    ));
                }
                if !forms.contains_key("other") {
                    return Err(format!("`{language}`, `{name}` lacks the form `other`"));
                }
            }
        }
        Ok(())
    }

    /// Languages with texts.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Text of a code with the fields of a statement.
fn phrase(texts: &Texts, statement: &Statement, code: &str, number: &dyn Fn(f64) -> String) -> Option<String> {
    let forms = texts.get(code)?;
    let other = forms.get("other")?;
    let first = other.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    let form = match first.and_then(|(name, _)| statement.fields.get(name)) {
        Some(Field::Text(text)) => forms.get(text),
        Some(Field::Number(value)) => {
            let shown = rounded(*value);
            forms.get(&format!("={shown}")).or_else(|| forms.get(plural(shown)))
        }
        None => None,
    };
    let (mut said, mut rest) = (String::new(), form.unwrap_or(other).as_str());
    while let Some((before, (name, after))) =
        rest.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
    {
        said.push_str(before);
        // Use the text of the field's own code, but only one level deep.
        let is_nested = code != statement.code || name == code;
        let own = if is_nested { None } else { phrase(texts, statement, name, number) };
        match (own, statement.fields.get(name)) {
            (Some(own), _) => said.push_str(&own),
            (None, Some(Field::Number(value))) => said.push_str(&number(rounded(*value))),
            (None, Some(Field::Text(text))) => said.push_str(text),
            (None, None) => {}
        }
        rest = after;
    }
    said.push_str(rest);
    Some(said)
}

/// Plural form of a number in English and German (Unicode CLDR); pages use `Intl` for other languages.
fn plural(number: f64) -> &'static str {
    if number == 1.0 { "one" } else { "other" }
}

/// Rounds a number to one decimal, as displayed.
fn rounded(number: f64) -> f64 {
    (10.0 * number).round() / 10.0
}

/// Formats a number with at most one decimal, in English or German: `1,234.5` or `1.234,5`.
pub fn number(language: &str, number: f64) -> String {
    let (group, point) = if language.starts_with("de") { ('.', ',') } else { (',', '.') };
    let text = rounded(number.abs()).to_string();
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let mut said = String::from(if number < 0.0 { "-" } else { "" });
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            said.push(group);
        }
        said.push(digit);
    }
    if !decimals.is_empty() {
        said.push(point);
        said.push_str(decimals);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_core::{
        Sku, allocate, exceptions::ExceptionKind, price_guard::Bound, quote::PriceReason, rank::Reason, tracking::State,
    };

    fn said(words: &Words, locale: &str, code: &impl Serialize) -> String {
        let language = words.language(locale).to_owned();
        words.say(locale, &Statement::of(code), &|value| number(&language, value)).unwrap_or_default()
    }

    #[test]
    fn reasons_have_texts_in_english_and_german() {
        let words = Words::shop();
        let bought = |orders, days_ago| Reason::BoughtBefore { orders, days_ago };
        for (reason, english, german) in [
            (bought(1, 0), "bought once, today", "einmal gekauft, heute"),
            (bought(3, 1), "bought 3 times, last yesterday", "3-mal gekauft, zuletzt gestern"),
            (bought(2, 40), "bought 2 times, last 40 days ago", "2-mal gekauft, zuletzt vor 40 Tagen"),
            (
                Reason::DueAgain { every_days: 1 },
                "bought every day, so due again",
                "täglich gekauft, also wieder fällig",
            ),
            (
                Reason::DueAgain { every_days: 7 },
                "bought every 7 days, so due again",
                "alle 7 Tage gekauft, also wieder fällig",
            ),
            (Reason::LookedAt, "viewed recently", "kürzlich angesehen"),
            (Reason::GoesWith { sku: Sku::new("tea").unwrap() }, "goes with tea", "passt zu tea"),
            (Reason::Popular { orders_in_10000: 0 }, "seldom bought", "selten gekauft"),
            (
                Reason::Popular { orders_in_10000: 1_234 },
                "in 1,234 of 10,000 recent orders",
                "in 1.234 von 10.000 Bestellungen",
            ),
        ] {
            assert_eq!(said(&words, "en-GB", &reason), english);
            assert_eq!(said(&words, "de-CH", &reason), german);
            assert_eq!(said(&words, "fr", &reason), english, "English is the default");
        }
    }

    #[test]
    fn every_code_has_words_in_every_language() {
        let (shop, warehouse) = (Words::shop(), Words::warehouse());
        let bounds =
            [Bound::Floor, Bound::MinimumAdvertised, Bound::Ceiling, Bound::DayStep, Bound::WeekStep, Bound::Range];
        let prices = [
            PriceReason::Locked,
            PriceReason::ModelFault,
            PriceReason::Unchanged,
            PriceReason::Lowered,
            PriceReason::Raised,
            PriceReason::StockShort,
            PriceReason::StockLong,
        ];
        for language in ["en", "de"] {
            for reason in bounds.map(PriceReason::Held).into_iter().chain(prices) {
                let text = said(&shop, language, &reason);
                assert!(text.contains(' '), "{language}: {reason:?} is `{text}`");
            }
            let stuck = ExceptionKind::Stuck { state: State::OutForDelivery };
            assert!(!said(&warehouse, language, &stuck).contains('_'), "{language}");
            for reason in [allocate::Reason::NoStock, allocate::Reason::Cost] {
                let text =
                    warehouse.say(language, &Statement::new("reason").with("reason", said_code(&reason)), &|value| {
                        number(language, value)
                    });
                assert!(text.is_some_and(|text| !text.contains('_')), "{language}: {reason:?}");
            }
        }
        for words in [shop, warehouse] {
            let codes: Vec<Vec<&String>> = words.0.values().map(|texts| texts.keys().collect()).collect();
            assert!(codes.len() == 2 && codes[0] == codes[1], "a language lacks words that the other has");
            assert!(words.0.values().flat_map(Texts::values).all(|forms| forms.contains_key("other")));
        }
    }

    fn said_code(code: &impl Serialize) -> String {
        serde_json::to_value(code).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn numbers_are_formatted_by_language() {
        for (value, english, german) in [
            (0.0, "0", "0"),
            (12.34, "12.3", "12,3"),
            (1_234_567.0, "1,234,567", "1.234.567"),
            (-1_000.5, "-1,000.5", "-1.000,5"),
        ] {
            assert_eq!((number("en", value), number("de", value)), (english.to_owned(), german.to_owned()));
        }
    }

    #[test]
    fn recursive_texts_terminate() {
        let words: Words =
            serde_json::from_str(r#"{"en": {"a": {"other": "a{b}"}, "b": {"other": "b{a}{b}"}}}"#).unwrap();
        let both = Statement::new("a").with("a", 1.0).with("b", 2.0);
        assert_eq!(words.say("en", &both, &|value| value.to_string()).as_deref(), Some("ab12"));
    }

    #[test]
    fn missing_and_unknown_texts_are_named() {
        let check = |text: &str| serde_json::from_str::<Words>(text).unwrap().check(&[Source::DaysSinceOrder]);
        assert_eq!(check("{}"), Ok(()));
        assert_eq!(check(r#"{"de": {"days_since_order": {"=1": "gestern", "other": "vor {value} Tagen"}}}"#), Ok(()));
        for (text, wrong) in [
            (r#"{"de": {}}"#, "`days_since_order`"),
            (r#"{"de": {"days_since_order": {"one": "gestern"}}}"#, "`other`"),
            (r#"{"de": {"days_since_order": {"other": "", "both": ""}}}"#, "`both`"),
            (r#"{"de": {"days_since_order": {"other": ""}, "moon": {"other": ""}}}"#, "`moon`"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }
}
