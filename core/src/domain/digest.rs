//! Digests, by which packs, snapshots and models are named.

use core::fmt;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};

/// A SHA-256 digest.
pub type Digest = [u8; 32];

/// Decodes a digest, byte by byte in a loop: what serde derives for an array is unrolled, and long.
pub(crate) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    struct Bytes;
    impl<'de> Visitor<'de> for Bytes {
        type Value = Digest;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("32 bytes")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut bytes: A) -> Result<Digest, A::Error> {
            let mut digest = [0; 32];
            for (n, to) in digest.iter_mut().enumerate() {
                *to = bytes.next_element()?.ok_or_else(|| A::Error::invalid_length(n, &self))?;
            }
            Ok(digest)
        }
    }
    deserializer.deserialize_tuple(32, Bytes)
}

/// As [`read`], for one that may be absent.
pub(crate) fn read_optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
    #[derive(Deserialize)]
    struct Present(#[serde(deserialize_with = "read")] Digest);
    Ok(Option::<Present>::deserialize(deserializer)?.map(|Present(digest)| digest))
}
