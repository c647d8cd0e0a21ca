//! Requests and replies in JSON that differ from the types of the core, which serialize themselves for people, with
//! moments in RFC 3339, days as dates and probabilities from 0 to 1. The types in this crate leave out fields that a
//! shell adds, replace sets by names, or hide data that is not public.
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
mod page;
mod problem;
mod quote;
mod rank;
mod words;

pub use exceptions::{Alternative, Shipment, ShipmentLine};
pub use insight::{InsightItem, InsightReply, InsightRequest};
pub use page::PageProduct;
pub use problem::{PROBLEMS, Problem, ProblemKind};
pub use quote::{PriceRequest, PublicQuote, QuoteReply, QuoteRequest};
pub use rank::{Product, Products, Purchase, RankReply, RankRequest, Search, StorefrontEvent};
pub use words::{Field, Statement, Words, number};

use serde::{Deserialize, Serialize};
use tradewind_core::Currency;

/// Document with amounts, and their currency.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Priced<T> {
    /// Currency of all amounts, which are in its minor units.
    pub currency: Currency,
    /// Document with the amounts.
    #[serde(flatten)]
    pub document: T,
}

/// Encodes bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decodes exactly `N` pairs of hexadecimal digits.
pub fn unhex<const N: usize>(digits: &str) -> Option<[u8; N]> {
    unhex_all(digits)?.try_into().ok()
}

/// Decodes any number of pairs of hexadecimal digits.
pub fn unhex_all(digits: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = digits.chars().map(|digit| Some(digit.to_digit(16)? as u8)).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| 16 * high + low).collect())
}

/// Removes the byte order mark that some programs write before a JSON document (RFC 8259, section 8.1).
pub fn without_bom(document: &[u8]) -> &[u8] {
    document.strip_prefix("\u{feff}".as_bytes()).unwrap_or(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_removed() {
        assert_eq!(without_bom(b"\xef\xbb\xbf{}"), b"{}");
        assert_eq!(without_bom(b"\xef\xbb{}"), b"\xef\xbb{}");
    }
}
