//! Requests and replies in JSON, where they are not simply the types of the core: those write themselves for people,
//! with moments in RFC 3339, days as dates and probabilities from 0 to 1. The types in here leave out what a shell adds,
//! take sets by name, or hide what not everyone may know.
//!
//! ```
//! use tradewind_json::RankRequest;
//! let request: RankRequest = serde_json::from_str(
//!     r#"{"at": "2017-12-04T00:00:00Z", "limit": 10, "events": [
//!         {"at": "2017-11-30T00:00:00Z", "channel": "store", "purchase": {"lines": [{"sku": "1082185", "quantity": 1}]}},
//!         {"at": "2017-12-03T22:26:40Z", "view": {"sku": "995242"}}]}"#,
//! )?;
//! let message = request.message("recommend", &Default::default())?;
//! assert_eq!(message.events.len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod exceptions;
mod insight;
mod quote;
mod rank;
mod words;

pub use exceptions::{Alternative, Shipment, ShipmentLine};
pub use insight::{InsightItem, InsightReply, InsightRequest};
pub use quote::{PriceRequest, PublicQuote, QuoteReply, QuoteRequest};
pub use rank::{Product, Products, Purchase, RankReply, RankRequest, Search, StorefrontEvent};
pub use words::{Field, Statement, Words, number};

use serde::{Deserialize, Serialize};
use tradewind_core::Currency;

/// A document with amounts, and the currency in whose minor units they are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Priced<T> {
    /// The currency of all amounts.
    pub currency: Currency,
    /// The document.
    #[serde(flatten)]
    pub document: T,
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_a_document() {
        assert_eq!(without_bom(b"\xef\xbb\xbf{}"), b"{}");
        assert_eq!(without_bom(b"\xef\xbb{}"), b"\xef\xbb{}");
    }
}
