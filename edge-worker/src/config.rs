//! Configuration: one JSON document for page and edge, with the edge's own settings in `edge`.

use crate::{card::Card, region::Place};
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{collections::BTreeMap, fmt};
use tradewind_core::{Millis, quote::Objective};
use tradewind_json::unhex;

/// Settings read by the edge. The page has other fields in the document, so unknown fields are allowed.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Paths of the packs, among the static assets.
    pub packs: Vec<String>,
    /// Path of the public snapshot, among the static assets.
    pub snapshot: String,
    /// Titles and links of products.
    pub products: Products,
    /// Public keys; one of them must have signed packs and snapshot.
    #[serde(deserialize_with = "keys")]
    pub keys: Vec<[u8; 32]>,
    /// Template of a product in a slot.
    pub card: Card,
    /// Language of prices and dates (BCP 47).
    pub locale: String,
    /// Goals of prices.
    pub objective: Objective,
    /// Time of decisions instead of the current time, for a past snapshot.
    #[serde(default)]
    pub at: Option<Millis>,
    /// The edge's own settings.
    pub edge: Edge,
}

/// The edge's own settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// R2 key of the full snapshot. Without it, prices are computed from the public one.
    #[serde(default)]
    pub private: Option<String>,
    /// Locations of the snapshot's regions.
    pub regions: BTreeMap<String, Place>,
    /// Whether shoppers can keep their profile in a cookie that only the edge can read.
    #[serde(default)]
    pub profiles: bool,
    /// Whether pages load slices (`tradewind slice`), and need the rows of products outside them.
    #[serde(default)]
    pub slices: bool,
    /// Seconds between checks of the document.
    #[serde(default = "refresh_seconds")]
    pub refresh_seconds: u32,
    /// Origins of other pages that may call the API.
    #[serde(default)]
    pub cors: Vec<String>,
}

/// Texts of a product.
#[derive(Debug, Deserialize, Serialize)]
pub struct Product {
    /// Title.
    pub title: String,
    /// Address of its page.
    pub url: String,
    /// Category.
    #[serde(default)]
    pub category: String,
}

/// Products' texts among the static assets, pinned by digest because they are not signed.
#[derive(Debug, Clone, Deserialize)]
#[serde(expecting = "`products` needs `url` and `integrity`: {\"url\": …, \"integrity\": \"sha384-…\"}")]
pub struct Products {
    /// Path.
    pub url: String,
    /// Subresource Integrity.
    pub integrity: Integrity,
}

/// Digest in the form of Subresource Integrity: `sha384-` and base64.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Integrity(String);

impl TryFrom<String> for Integrity {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // Lengths of base64, and number of padding characters.
        let is_digest = [("sha256-", 44, 1), ("sha384-", 64, 0), ("sha512-", 88, 2)].iter().any(|(name, len, pad)| {
            text.strip_prefix(name).is_some_and(|digest| {
                let (digits, padding) = digest.split_at_checked(len - pad).unwrap_or_default();
                let is_digit = |digit: u8| digit.is_ascii_alphanumeric() || matches!(digit, b'+' | b'/');
                digest.len() == *len && digits.bytes().all(is_digit) && padding.bytes().all(|it| it == b'=')
            })
        });
        if is_digest {
            Ok(Self(text))
        } else {
            Err(format!(
                "invalid integrity `{text}` (expected `sha384-` and the 64 base64 digits of the file's SHA-384)"
            ))
        }
    }
}

impl Integrity {
    /// `sha256`, `sha384` or `sha512`.
    pub fn algorithm(&self) -> &str {
        self.0.split_once('-').map_or("", |(algorithm, _)| algorithm)
    }
}

impl fmt::Display for Integrity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const fn refresh_seconds() -> u32 {
    60
}

/// Keys of Ed25519, from 64 hexadecimal digits each.
fn keys<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<[u8; 32]>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    if texts.is_empty() {
        return Err(D::Error::custom("`keys` is empty; add the key that signs packs and snapshots"));
    }
    let key = |text: &String| {
        unhex(text).ok_or_else(|| D::Error::custom(format_args!("the key `{text}` is not 64 hexadecimal digits")))
    };
    texts.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{
        "module": {"url": "/tradewind/tradewind.wasm", "integrity": "sha384-"},
        "packs": ["/tradewind/recommend.pack"], "snapshot": "/tradewind/public.snapshot",
        "products": {"url": "/tradewind/products.json", "integrity": "INTEGRITY"}, "keys": ["KEY"], "card": "<a href=\"{url}\">{title}</a>",
        "locale": "en-US", "objective": {"margin": 1}, "edge": {"regions": {}}
    }"#;

    fn document(key: &str, integrity: &str) -> String {
        DOCUMENT.replace("KEY", key).replace("INTEGRITY", integrity)
    }

    #[test]
    fn the_document_of_the_page_is_read() {
        let document = document(&"0f".repeat(32), &format!("sha384-{}", "a".repeat(64)));
        let config: Config = serde_json::from_str(&document).unwrap();
        assert_eq!(config.keys, [[15; 32]]);
        assert_eq!(config.products.integrity.algorithm(), "sha384");
        assert!(config.at.is_none() && config.edge.private.is_none() && !config.edge.profiles);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let (key, sha384) = ("0f".repeat(32), format!("sha384-{}", "a".repeat(64)));
        let said = |document: String| serde_json::from_str::<Config>(&document).unwrap_err().to_string();
        let error = said(document("é0", &sha384));
        assert!(error.contains("`é0` is not 64 hexadecimal digits"), "{error}");
        let error = said(document(&key, &sha384).replace("{title}", "{titel}"));
        assert!(error.contains("`{titel}`"), "{error}");
        let products = format!(r#"{{"url": "/tradewind/products.json", "integrity": "{sha384}"}}"#);
        let error = said(document(&key, &sha384).replace(&products, r#""/tradewind/products.json""#));
        assert!(error.contains("`products` needs `url` and `integrity`"), "{error}");
        for (integrity, is_one) in [
            (format!("sha384-{}", "a".repeat(64)), true),
            (format!("sha256-{}=", "a".repeat(43)), true),
            (format!("sha384-{}", "a".repeat(63)), false),
            (format!("md5-{}", "a".repeat(24)), false),
            (String::new(), false),
        ] {
            let document = document(&key, &integrity);
            assert_eq!(serde_json::from_str::<Config>(&document).is_ok(), is_one, "{integrity}");
        }
    }
}
