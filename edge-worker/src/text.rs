//! Formatted prices and dates, by the platform's `Intl`, like in pages.

use js_sys::{Date, Function, JSON};
use tradewind_core::{Currency, Millis, Money, rank::Reason, snapshot::Promise};
use tradewind_json::{self as json, Statement};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = Intl)]
    type NumberFormat;
    #[wasm_bindgen(constructor, catch, js_namespace = Intl)]
    fn new(locale: &str, options: &JsValue) -> Result<NumberFormat, JsValue>;
    #[wasm_bindgen(method, getter)]
    fn format(this: &NumberFormat) -> Function;

    #[wasm_bindgen(js_namespace = Intl)]
    type DateTimeFormat;
    #[wasm_bindgen(constructor, catch, js_namespace = Intl)]
    fn new(locale: &str, options: &JsValue) -> Result<DateTimeFormat, JsValue>;
    #[wasm_bindgen(method, catch, js_name = formatRange)]
    fn range(this: &DateTimeFormat, from: &Date, to: &Date) -> Result<String, JsValue>;
}

/// Language and currency.
pub struct Words {
    /// The catalogue of reasons.
    reasons: json::Words,
    locale: String,
    numbers: NumberFormat,
    money: NumberFormat,
    days: DateTimeFormat,
    /// Digits of the currency's minor unit.
    digits: u32,
}

impl Words {
    /// Creates the formatting of a locale.
    ///
    /// # Errors
    /// For an invalid locale, and for a currency without a minor unit.
    pub fn new(locale: &str, currency: Currency) -> Result<Self, String> {
        let options = |text: &str| JSON::parse(text).unwrap_or(JsValue::UNDEFINED);
        let wrong =
            |error| format!("`locale` is `{locale}`, for amounts in {currency}: {}", tradewind_js::said(&error));
        // The digits of ISO 4217, which may differ from this platform's `Intl`.
        let digits = currency.digits().map_err(|error| error.message().to_owned())?;
        let style = format!(
            r#"{{"style":"currency","currency":"{currency}","minimumFractionDigits":{digits},"maximumFractionDigits":{digits}}}"#
        );
        let money = NumberFormat::new(locale, &options(&style)).map_err(wrong)?;
        let days = DateTimeFormat::new(locale, &options(r#"{"month":"short","day":"numeric","timeZone":"UTC"}"#))
            .map_err(wrong)?;
        let reasons = json::Words::shop();
        let language = reasons.language(locale);
        // Numbers are those of the language that the words are in.
        let language = if locale.starts_with(language) { locale } else { language };
        let numbers = NumberFormat::new(language, &options(r#"{"maximumFractionDigits":1}"#)).map_err(wrong)?;
        Ok(Self { reasons, locale: locale.to_owned(), numbers, money, days, digits })
    }

    /// Formats an amount with its currency.
    pub fn money(&self, amount: Money) -> String {
        // No amount is above 10¹³ minor units, so the nearest float is unambiguous.
        let major = amount.0 as f64 / f64::from(10_u32.pow(self.digits));
        formatted(&self.money, major).unwrap_or_else(|| self.decimal(amount))
    }

    /// Why a product is where it is; `name` gives the name of a product that the reason speaks of.
    pub fn reason(&self, reason: &Reason, name: impl Fn(&str) -> String) -> String {
        let mut said = Statement::of(reason);
        if let Reason::GoesWith { sku } = reason {
            said = said.with("sku", name(sku.as_str()));
        }
        let number = |value| formatted(&self.numbers, value).unwrap_or_default();
        self.reasons.say(&self.locale, &said, &number).unwrap_or_default()
    }

    /// Formats an amount in the currency's major unit: `12.90`.
    pub fn decimal(&self, amount: Money) -> String {
        amount.decimal(self.digits)
    }

    /// Formats the days of delivery of an order, given the UTC offset in minutes.
    pub fn delivery(&self, promise: &Promise, at: Millis, utc_offset: i16) -> String {
        let today = Millis(at.0 + i64::from(utc_offset) * 60_000).day();
        let date = |days: u8| Date::new(&((f64::from(today.0) + f64::from(days)) * Millis::DAY as f64).into());
        self.days.range(&date(promise.min_days), &date(promise.max_days)).unwrap_or_default()
    }
}

fn formatted(format: &NumberFormat, number: f64) -> Option<String> {
    format.format().call1(&JsValue::UNDEFINED, &number.into()).ok()?.as_string()
}
