//! Texts of the pages.

use axum::http::{HeaderMap, header};
use tradewind_core::{
    Millis, Money, Probability, Quantiles,
    exceptions::{Evidence, ExceptionKind, Step},
    snapshot::Storefront,
};
use tradewind_json::{Statement, Words, number};

/// Word catalogue in the reader's language.
pub(super) struct Reader {
    words: Words,
    language: String,
}

impl Reader {
    /// Reader of a request: the first language of its `Accept-Language` in the catalogue, or English.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let words = Words::warehouse();
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let mut ranges = accepted.split(',').map(|range| range.split(';').next().unwrap_or_default().trim());
        let is_known = |locale: &str| locale.starts_with("en") || words.language(locale) != "en";
        let locale = ranges.find(|locale| is_known(locale)).unwrap_or("en");
        let language = words.language(locale).to_owned();
        Self { words, language }
    }

    /// Reader in English, for text without a request.
    pub(super) fn english() -> Self {
        Self { words: Words::warehouse(), language: "en".to_owned() }
    }

    /// Its language.
    pub(super) fn language(&self) -> &str {
        &self.language
    }

    /// A text of the page itself, which is its own words in English.
    pub(super) fn label(&self, text: &str) -> String {
        self.code("label", text)
    }

    fn say(&self, statement: &Statement) -> String {
        let number = |value| number(&self.language, value);
        self.words.say(&self.language, statement, &number).unwrap_or_default()
    }

    pub(super) fn kind(&self, kind: ExceptionKind) -> String {
        self.say(&Statement::of(&kind))
    }

    /// A code that is the value of a field, such as a `state` or the `reason` of a shortfall.
    pub(super) fn code(&self, field: &str, code: &str) -> String {
        self.say(&Statement::new(field).with(field, code.to_owned()))
    }

    pub(super) fn evidence(&self, evidence: &Evidence) -> String {
        let said = Statement::of(evidence);
        self.say(&match evidence {
            Evidence::Leg { probability } => said.with("probability", percent(*probability)),
            Evidence::Overdue { promised, minutes } => {
                said.with("promised", moment(*promised)).with("minutes", self.span(*minutes))
            }
            Evidence::ToDelivery { since, typical, probability, .. } => {
                let said = said.with("since", moment(*since)).with("probability", percent(*probability));
                self.with_typical(said, typical)
            }
            Evidence::Stay { minutes, typical, .. } => {
                self.with_typical(said.with("minutes", self.span(*minutes)), typical)
            }
            Evidence::Stock { demand, probability, .. } => {
                said.with("demand", f64::from(demand.p50.round())).with("probability", percent(*probability))
            }
            Evidence::Scanned { at, .. } => said.with("at", moment(*at)),
            Evidence::Fault(fault) => said.with("fault", Statement::of(fault).code().to_owned()),
        })
    }

    fn with_typical(&self, said: Statement, typical: &Quantiles) -> Statement {
        said.with("typical", self.span(typical.p50 as u32)).with("at_most", self.span(typical.p90 as u32))
    }

    pub(super) fn step(&self, step: &Step, storefront: &Storefront) -> String {
        let said = Statement::of(step);
        self.say(&match step {
            Step::Reroute { cost, .. } | Step::Upgrade { cost, .. } => said.with("cost", money(*cost, storefront)),
            Step::Split { later, .. } => said.with("later", later.len() as f64),
            Step::Hold | Step::Notify { .. } => said,
        })
    }

    /// Minutes as a span of time.
    fn span(&self, minutes: u32) -> String {
        let (unit, span) = match minutes {
            0..120 => ("span_minutes", f64::from(minutes)),
            120..2_880 => ("span_hours", f64::from(minutes / 60)),
            _ => ("span_days", f64::from(minutes) / 1_440.0),
        };
        self.say(&Statement::new(unit).with(unit, span))
    }
}

pub(super) fn money(amount: Money, storefront: &Storefront) -> String {
    let currency = storefront.currency;
    match currency.digits() {
        Ok(digits) => format!("{} {currency}", amount.decimal(digits).replace('-', "−")),
        Err(_) => format!("{} minor units of {currency}", amount.0),
    }
}

pub(super) fn percent(probability: Probability) -> String {
    format!("{:.0} %", 100.0 * probability.as_f64())
}

/// Formats a moment in UTC, to the minute.
pub(super) fn moment(at: Millis) -> String {
    let text = at.to_string();
    let minute = text.get(..16).unwrap_or(&text);
    format!("{} UTC", minute.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_core::{Catalog, Currency, snapshot::Prices};

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        for (code, text) in [("USD", "−12.90 USD"), ("JPY", "−1290 JPY"), ("KWD", "−1.290 KWD"), ("RSD", "−12.90 RSD")]
        {
            let storefront = Storefront {
                currency: Currency::new(code).unwrap(),
                issued: Millis(0),
                expires: Millis(0),
                catalog: Catalog::default(),
                prices: Prices::default(),
                regions: vec![],
                published: None,
                slice_of: None,
            };
            assert_eq!(money(Money(-1_290), &storefront), text);
        }
    }
}
