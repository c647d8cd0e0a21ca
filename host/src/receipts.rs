//! Recorded decisions: receipts with the bytes needed for a replay.
//!
//! A record is one line of JSON: the receipt's digests, and the bytes of request and reply, all in hexadecimal.

use crate::sha256;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;
use tradewind_core::{
    Digest, WithDecision,
    guest::{Client, ClientError, Guest, Receipt},
    message::{self, Decision},
    with_decision,
};
use tradewind_json::{hex, unhex_all};

/// Recorded decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema), schema(as = Decision))]
#[non_exhaustive]
pub struct Record {
    /// SHA-256 of the module.
    pub module: Hex,
    /// Roots of the packs.
    pub packs: Vec<Hex>,
    /// Root of the snapshot.
    pub snapshot: Option<Hex>,
    /// SHA-256 of the request.
    pub request_digest: Hex,
    /// SHA-256 of the reply.
    pub reply_digest: Hex,
    /// Request.
    pub request: Hex,
    /// Reply.
    pub reply: Hex,
}

/// Bytes, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serve", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "serve", schema(value_type = String, pattern = "^([0-9a-f]{2})*$"))]
pub struct Hex(pub Vec<u8>);

/// Difference between a record and its replay.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Difference {
    /// The record is inconsistent: `part` does not have its recorded digest.
    Record(&'static str),
    /// A different file is loaded.
    Loaded {
        /// Kind of file.
        part: &'static str,
        /// Recorded digest.
        recorded: String,
        /// Current digest.
        found: String,
    },
    /// A field of the reply differs.
    Reply {
        /// Path of the field in the reply.
        field: String,
        /// Recorded value.
        recorded: String,
        /// Current value.
        found: String,
    },
}

impl Record {
    /// Record of a client's last request; `None` without a request since the last record.
    pub fn take<G: Guest>(client: &mut Client<G>, module: Digest) -> Option<Self> {
        let exchange = client.take_exchange()?;
        let Receipt { module, packs, snapshot, request, reply } = client.receipt(&exchange, module, sha256);
        let of = |digest: Digest| Hex(digest.to_vec());
        Some(Self {
            module: of(module),
            packs: packs.into_iter().map(of).collect(),
            snapshot: snapshot.map(of),
            request_digest: of(request),
            reply_digest: of(reply),
            request: Hex(exchange.request),
            reply: Hex(exchange.reply),
        })
    }

    /// Replays the decision, and returns the differences; empty if identical.
    ///
    /// # Errors
    /// If the guest is unreachable. A fault instead of a reply is a difference.
    pub fn replay<G: Guest>(
        &self,
        client: &mut Client<G>,
        module: Digest,
    ) -> Result<Vec<Difference>, ClientError<G::Error>> {
        let mut differences = Vec::new();
        let parts = [("request", &self.request, &self.request_digest), ("reply", &self.reply, &self.reply_digest)];
        for (part, bytes, digest) in parts {
            if sha256(&bytes.0)[..] != digest.0 {
                differences.push(Difference::Record(part));
            }
        }
        client.exchange(self.request.0.clone())?;
        let Some(now) = Self::take(client, module) else { return Ok(differences) };
        let shown = |parts: &[Hex]| parts.iter().map(Hex::to_string).collect::<Vec<_>>().join(" ");
        let snapshot = |record: &Self| record.snapshot.as_ref().map_or("none".into(), Hex::to_string);
        let loaded = [
            ("module", self.module.to_string(), now.module.to_string()),
            ("packs", shown(&self.packs), shown(&now.packs)),
            ("snapshot", snapshot(self), snapshot(&now)),
        ];
        for (part, recorded, found) in loaded {
            if recorded != found {
                differences.push(Difference::Loaded { part, recorded, found });
            }
        }
        if self.reply != now.reply {
            // Bytes, if they are not a valid reply.
            let shown = |reply: &Hex| readable(&reply.0).unwrap_or_else(|| reply.to_string().into());
            compare(String::new(), &shown(&self.reply), &shown(&now.reply), &mut differences);
        }
        Ok(differences)
    }
}

/// Converts a reply to JSON: the decision's name and its answer; `None` for invalid bytes.
pub fn readable(reply: &[u8]) -> Option<serde_json::Value> {
    struct Readable<'a>(&'a [u8]);
    impl WithDecision for Readable<'_> {
        type Output = Option<serde_json::Value>;

        fn with<D: Decision>(self) -> Self::Output {
            Some(serde_json::json!({ D::NAME: message::answer::<D>(self.0).ok()? }))
        }
    }
    let (number, _) = postcard::take_from_bytes::<u32>(reply).ok()?;
    match with_decision(number, Readable(reply)) {
        Some(answer) => answer,
        None => message::fault(reply).map(|fault| serde_json::json!({ "fault": fault })),
    }
}

fn compare(field: String, recorded: &serde_json::Value, found: &serde_json::Value, differences: &mut Vec<Difference>) {
    use serde_json::Value::{Array, Object};
    match (recorded, found) {
        _ if recorded == found => {}
        (Object(a), Object(b)) if a.keys().eq(b.keys()) => {
            for ((name, a), b) in a.iter().zip(b.values()) {
                compare(format!("{field}.{name}"), a, b, differences);
            }
        }
        (Array(a), Array(b)) if a.len() == b.len() => {
            for (n, (a, b)) in a.iter().zip(b).enumerate() {
                compare(format!("{field}[{n}]"), a, b, differences);
            }
        }
        _ => {
            let (recorded, found) = (recorded.to_string(), found.to_string());
            differences.push(Difference::Reply { field: field.trim_start_matches('.').to_owned(), recorded, found });
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(part) => write!(f, "the record's {part} does not match its recorded digest"),
            Self::Loaded { part, recorded, found } => write!(f, "{part}: {recorded} was loaded, now {found}"),
            Self::Reply { field, recorded, found } => write!(f, "{field} was {recorded}, now {found}"),
        }
    }
}

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        unhex_all(&text).map(Self).ok_or_else(|| D::Error::custom("expected pairs of hexadecimal digits"))
    }
}
