//! Requests and replies as people write and read them: JSON, with types of their own, so that
//! the messages of the module can be positional and these can be forgiving to read and strict to
//! parse. Moments are RFC 3339 or milliseconds since 1970, of the years 2000 to 2100; days are dates.
//!
//! ```
//! use tradewind_json::RankRequest;
//! let request: RankRequest = serde_json::from_str(
//!     r#"{"at": 1512345600000, "limit": 10, "events": [
//!         {"at": 1512000000000, "channel": "store", "purchase": {"lines": [{"sku": "1082185", "quantity": 1}]}},
//!         {"at": 1512340000000, "view": {"sku": "995242"}}]}"#,
//! )?;
//! let message = request.message("recommend", &Default::default())?;
//! assert_eq!(message.events.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod allocate;
mod exceptions;
mod insight;
mod quote;
mod rank;
mod words;

pub use allocate::{AllocatedOrder, Order, Policy as AllocationPolicy, Shipment as AllocatedShipment};
pub use exceptions::{Alternative, Scan, Shipment, ShipmentLine};
pub use insight::{EvidenceItem, InsightItem, InsightReply, InsightRequest};
pub use quote::{PriceRequest, PublicQuote, QuoteReply, QuoteRequest};
pub use rank::{
    ChannelName, Product, Products, Purchase, Quantity, RankReply, RankRequest, RankedItem, Search, StorefrontEvent,
};

pub use words::Words;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tradewind_core::{Day, Error, ErrorKind, Millis};

/// A moment: read from RFC 3339 or milliseconds since 1970, written in RFC 3339. Moments before 2000 and after 2100 are
/// refused, which are seconds or nanoseconds taken for milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
pub struct Moment(pub Millis);

/// A day: a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = Date))]
pub struct Date(pub Day);

/// The bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of just so many pairs of hexadecimal digits.
pub fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if digits.len() != 2 * N || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (n, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).ok()?;
    }
    Some(bytes)
}

/// A JSON document without the byte order mark that some programs write before it (RFC 8259, section 8.1).
pub fn without_bom(document: &[u8]) -> &[u8] {
    document.strip_prefix("\u{feff}".as_bytes()).unwrap_or(document)
}

const EPOCH: jiff::civil::Date = jiff::civil::Date::constant(1970, 1, 1);

impl Moment {
    /// The first moment that is read: 2000-01-01 00:00 UTC.
    pub const FIRST: Self = Self(Millis(946_684_800_000));
    /// The last moment that is read: the end of 2100, UTC.
    pub const LAST: Self = Self(Millis(4_133_980_799_999));

    /// A moment of these years, as `given` wrote it.
    fn within(at: Millis, given: impl std::fmt::Display) -> Result<Self, Error> {
        let wrong = if at < Self::FIRST.0 {
            "before 2000: milliseconds since 1970 are expected; did you give seconds?"
        } else if at > Self::LAST.0 {
            "after 2100: milliseconds since 1970 are expected; did you give micro- or nanoseconds?"
        } else {
            return Ok(Self(at));
        };
        Err(Error::new(ErrorKind::BadRequest, format!("moment `{given}` lies {wrong}")))
    }

    /// Reads a moment of any year, for documents that were kept before years were checked.
    ///
    /// # Errors
    /// The deserializer's.
    pub fn of_any_year<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MomentVisitor).map(|(at, _)| Self(at))
    }
}

/// Reads a [`Moment`] as milliseconds since 1970; for `#[serde(deserialize_with = …)]`.
fn millis<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Moment::deserialize(deserializer).map(|Moment(at)| at.0)
}

impl std::str::FromStr for Moment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::within(timestamp(text)?, text)
    }
}

/// The moment of a text, of any year.
fn timestamp(text: &str) -> Result<Millis, Error> {
    match (text.parse::<i64>(), text.parse::<jiff::Timestamp>()) {
        (Ok(millis), _) => Ok(Millis(millis)),
        (_, Ok(moment)) => Ok(Millis(moment.as_millisecond())),
        (_, Err(error)) => Err(Error::new(
            ErrorKind::BadRequest,
            format!("`{text}` is no moment: RFC 3339 or milliseconds since 1970 are expected: {error}"),
        )),
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (at, given) = deserializer.deserialize_any(MomentVisitor)?;
        Self::within(at, given).map_err(D::Error::custom)
    }
}

/// Reads a moment of any year, and how it was written.
struct MomentVisitor;

impl serde::de::Visitor<'_> for MomentVisitor {
    type Value = (Millis, String);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a moment in RFC 3339, or milliseconds since 1970")
    }

    fn visit_i64<E: serde::de::Error>(self, millis: i64) -> Result<Self::Value, E> {
        Ok((Millis(millis), millis.to_string()))
    }

    fn visit_u64<E: serde::de::Error>(self, millis: u64) -> Result<Self::Value, E> {
        Ok((Millis(i64::try_from(millis).unwrap_or(i64::MAX)), millis.to_string()))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        timestamp(text).map(|at| (at, text.to_owned())).map_err(E::custom)
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match jiff::Timestamp::from_millisecond(self.0.0) {
            Ok(moment) => serializer.collect_str(&moment),
            Err(_) => serializer.serialize_i64(self.0.0),
        }
    }
}

impl Date {
    /// The day, if it lies in the years that moments may be of, wherever it is that day.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest).
    pub fn checked(self) -> Result<Day, Error> {
        let (first, last) = (Moment::FIRST.0.day(), Moment::LAST.0.day());
        if (first..=last).contains(&self.0) {
            return Ok(self.0);
        }
        let day = self.civil().map_or_else(|_| self.0.0.to_string(), |day| day.to_string());
        Err(Error::new(ErrorKind::BadRequest, format!("the day `{day}` lies outside of the years 2000 to 2100")))
    }

    fn civil(self) -> Result<jiff::civil::Date, jiff::Error> {
        EPOCH.checked_add(jiff::Span::new().try_days(self.0.0)?)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let date: jiff::civil::Date =
            text.parse().map_err(|error| D::Error::custom(format_args!("`{text}` is no date: {error}")))?;
        let days = date.since(EPOCH).map_err(D::Error::custom)?.get_days();
        Ok(Self(Day(days)))
    }
}

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.civil() {
            Ok(date) => serializer.collect_str(&date),
            Err(_) => serializer.serialize_i32(self.0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_of_the_years_2000_to_2100_however_they_are_written() {
        let read = |text: &str| serde_json::from_str::<Moment>(text).map_err(|error| error.to_string());
        for text in ["946684800000", "\"2000-01-01T00:00:00Z\"", "4133980799999", "\"2100-12-31T23:59:59.999Z\""] {
            let moment = read(text).unwrap();
            assert_eq!(read(&serde_json::to_string(&moment).unwrap()), Ok(moment), "{text}");
            assert_eq!(text.trim_matches('"').parse(), Ok(moment), "{text}");
        }
        for (text, said) in [
            ("946684799999", "before 2000"),
            (
                "1512345600",
                "`1512345600` lies before 2000: milliseconds since 1970 are expected; did you give seconds?",
            ),
            ("\"1999-12-31T23:59:59.999Z\"", "before 2000"),
            ("0", "before 2000"),
            ("-1", "before 2000"),
            ("4133980800000", "after 2100"),
            ("\"2101-01-01T00:00:00Z\"", "after 2100"),
            ("18446744073709551615", "after 2100"),
            ("\"1512345600\"", "before 2000"),
            ("\"2017-12-04\"", "2017-12-04"),
            ("1.5", "moment"),
            ("null", "moment"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn what_was_kept_is_read_whatever_its_year() {
        let read = |text: &str| {
            let mut document = serde_json::Deserializer::from_str(text);
            Moment::of_any_year(&mut document).map(|Moment(at)| at.0).ok()
        };
        assert_eq!(read("\"2300-01-01T00:00:00Z\""), Some(10_413_792_000_000));
        assert_eq!(read("-1"), Some(-1));
        assert!(serde_json::from_str::<Date>("\"2300-01-01\"").unwrap().checked().is_err());
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_document() {
        assert_eq!(without_bom(b"\xef\xbb\xbf{}"), b"{}");
        assert_eq!(without_bom(b"\xef\xbb{}"), b"\xef\xbb{}");
    }
}
