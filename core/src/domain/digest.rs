//! Digests, which identify packs, snapshots and models.

use core::fmt;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, SeqAccess, Visitor},
};

/// SHA-256 digest.
pub type Digest = [u8; 32];

/// Decodes a digest in a loop over its bytes: the code that serde derives for arrays is unrolled, and long.
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

/// Like [`read`], for an optional digest.
pub(crate) fn read_optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Digest>, D::Error> {
    #[derive(Deserialize)]
    struct Present(#[serde(deserialize_with = "read")] Digest);
    Ok(Option::<Present>::deserialize(deserializer)?.map(|Present(digest)| digest))
}
