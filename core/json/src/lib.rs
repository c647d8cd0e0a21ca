//! Requests and replies as people write and read them: JSON, with types of their own, so that
//! the messages of the module can be positional and these can be forgiving to read and strict to
//! parse. Moments are RFC 3339 or milliseconds since 1970, days are dates.
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
mod quote;
mod rank;

pub use allocate::{AllocatedOrder, Order, Policy as AllocationPolicy, Shipment as AllocatedShipment};
pub use exceptions::{Alternative, Scan, Shipment, ShipmentLine};
pub use quote::{PriceRequest, PublicQuote, QuoteReply, QuoteRequest};
pub use rank::{
    ChannelName, Product, Products, Purchase, Quantity, RankReply, RankRequest, RankedItem, Search, StorefrontEvent,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use tradewind_core::{Day, Millis};

/// A moment: read from RFC 3339 or milliseconds since 1970, written in RFC 3339.
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

const EPOCH: jiff::civil::Date = jiff::civil::Date::constant(1970, 1, 1);

impl std::str::FromStr for Moment {
    type Err = jiff::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(Millis(text.parse::<jiff::Timestamp>()?.as_millisecond())))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Moment;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a moment in RFC 3339, or milliseconds since 1970")
            }

            fn visit_i64<E: serde::de::Error>(self, millis: i64) -> Result<Moment, E> {
                Ok(Moment(Millis(millis)))
            }

            fn visit_u64<E: serde::de::Error>(self, millis: u64) -> Result<Moment, E> {
                i64::try_from(millis).map(|millis| Moment(Millis(millis))).map_err(E::custom)
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Moment, E> {
                text.parse().map_err(|error| E::custom(format_args!("`{text}` is no moment: {error}")))
            }
        }
        deserializer.deserialize_any(Visitor)
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
        match EPOCH.checked_add(jiff::Span::new().try_days(self.0.0).unwrap_or_default()) {
            Ok(date) => serializer.collect_str(&date),
            Err(_) => serializer.serialize_i32(self.0.0),
        }
    }
}
