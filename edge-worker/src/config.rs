//! The configuration: one JSON document for page and edge, whose object `edge` is the edge's own.

use crate::{card::Card, region::Place};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::{collections::BTreeMap, fmt};
use tradewind_core::{Millis, quote::Objective};
use tradewind_json::unhex;

/// What the edge reads of the document. The page reads fields of its own in it, so unknown ones are no error here.
#[derive(Debug, Deserialize)]
pub struct Config {
    /// Paths of the packs, among the static assets.
    pub packs: Vec<String>,
    /// Path of the public snapshot, among the static assets.
    pub snapshot: String,
    /// The products' titles and links.
    pub products: Products,
    /// The keys of which one must have signed packs and snapshot.
    #[serde(deserialize_with = "keys")]
    pub keys: Vec<[u8; 32]>,
    /// How a product looks in a slot.
    pub card: Card,
    /// The language of prices and dates, as BCP 47 has it.
    pub locale: String,
    /// What prices are for.
    pub objective: Objective,
    /// Decide as of this moment instead of the clock's: for a snapshot of the past.
    #[serde(default)]
    pub at: Option<Millis>,
    /// The edge's own settings.
    pub edge: Edge,
}

/// The edge's own settings.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edge {
    /// The key of the whole snapshot in R2. Without it, prices are computed from what the public one publishes.
    #[serde(default)]
    pub private: Option<String>,
    /// Where the snapshot's regions are.
    pub regions: BTreeMap<String, Place>,
    /// Offer shoppers to keep their profile in a cookie that only the edge can read.
    #[serde(default)]
    pub profiles: bool,
    /// How often the document is looked at.
    #[serde(default = "refresh_seconds")]
    pub refresh_seconds: u32,
    /// Origins of pages that may call the API, beside the shop's own.
    #[serde(default)]
    pub cors: Vec<String>,
}

/// A product's texts.
#[derive(Debug, Deserialize)]
pub struct Product {
    /// What it is called.
    pub title: String,
    /// Its page.
    pub url: String,
    /// Its category.
    #[serde(default)]
    pub category: String,
}

/// Where products' texts are, among the static assets. Nobody signs them, so their digest is said here.
#[derive(Debug, Clone, Deserialize)]
#[serde(expecting = "`products` needs `url` and `integrity`: {\"url\": …, \"integrity\": \"sha384-…\"}")]
pub struct Products {
    /// The path.
    pub url: String,
    /// Their Subresource Integrity.
    pub integrity: Integrity,
}

/// A digest as Subresource Integrity writes it: `sha384-` and its base64.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Integrity(String);

impl TryFrom<String> for Integrity {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // Lengths of base64, and how many of it are padding.
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
            Err(format!("`{text}` is no integrity: write `sha384-` and the 64 digits of base64 of the file's SHA-384"))
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
        return Err(D::Error::custom("`keys` is empty; name the key that signs packs and snapshots"));
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
