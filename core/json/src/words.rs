//! Words for the evidence of an insight, by language.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tradewind_core::Source;

/// The section of a pack with words: for each language (BCP 47, such as `en`), for each source, a text for each plural
/// form of its value (Unicode CLDR: `one`, `few`, `many`, `other`, …), in which `{value}` stands for the value.
///
/// ```
/// use tradewind_json::Words;
/// let words: Words = serde_json::from_str(
///     r#"{"en": {"days_since_order": {"one": "last ordered {value} day ago", "other": "last ordered {value} days ago"}}}"#,
/// )?;
/// assert_eq!(words.check(&[]), Ok(()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Words(BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>);

/// The plural forms of Unicode CLDR.
const FORMS: [&str; 6] = ["zero", "one", "two", "few", "many", "other"];

impl Words {
    /// Checks that every language has words for each of some sources, and that each text is of a source.
    ///
    /// # Errors
    /// What is missing, or of no use.
    pub fn check(&self, told: &[Source]) -> Result<(), String> {
        for (language, texts) in &self.0 {
            if let Some(missing) = told.iter().find(|source| !texts.contains_key(source.name())) {
                return Err(format!("`{language}` has no words for `{}`", missing.name()));
            }
            for (name, forms) in texts {
                if !Source::ALL.iter().any(|source| source.name() == name) {
                    return Err(format!("`{language}` has words for `{name}`, which is not a source"));
                }
                if let Some(form) = forms.keys().find(|form| !FORMS.contains(&form.as_str())) {
                    return Err(format!(
                        "`{language}`, `{name}`: unknown plural form `{form}` (expected {})",
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

    /// The languages.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_are_missing_or_of_no_use_are_named() {
        let check = |text: &str| serde_json::from_str::<Words>(text).unwrap().check(&[Source::DaysSinceOrder]);
        assert_eq!(check("{}"), Ok(()));
        assert_eq!(check(r#"{"de": {"days_since_order": {"other": "vor {value} Tagen"}}}"#), Ok(()));
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
