//! Sets of products, one bit each.

use super::sku::SkuId;
use crate::error::{Error, ErrorKind, Result};
use alloc::format;
use bitvec::{order::Lsb0, slice::BitSlice, vec::BitVec};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Set of products of one catalogue: bit `i` stands for [`SkuId`] `i`.
///
/// Serialized as a count and bytes, least significant bit first, with the same layout in memory. Union and complement
/// process bytes, eight products at a time.
///
/// ```
/// use tradewind_core::{SkuBits, SkuId};
/// let mut bits = SkuBits::none(10);
/// bits.insert(SkuId(3));
/// assert!(bits.contains(SkuId(3)) && !bits.contains(SkuId(4)));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkuBits(BitVec<u8, Lsb0>);

impl SkuBits {
    /// Creates an empty set for a catalogue of `len` products.
    pub fn none(len: usize) -> Self {
        Self(BitVec::repeat(false, len))
    }

    /// Creates a full set for a catalogue of `len` products.
    pub fn all(len: usize) -> Self {
        Self(BitVec::repeat(true, len)).trimmed()
    }

    /// Number of products of the catalogue.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the catalogue has no products.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Number of products in the set.
    pub fn count(&self) -> usize {
        self.0.count_ones()
    }

    /// Whether the set contains a product; `false` for a product outside the catalogue.
    pub fn contains(&self, id: SkuId) -> bool {
        self.0.get(id.0 as usize).is_some_and(|bit| *bit)
    }

    /// Products of the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = SkuId> {
        self.0.iter_ones().map(|id| SkuId(id as u32))
    }

    /// Adds a product of the catalogue.
    pub fn insert(&mut self, id: SkuId) {
        self.put(id, true);
    }

    /// Removes a product.
    pub fn remove(&mut self, id: SkuId) {
        self.put(id, false);
    }

    /// Adds all products of another set for the same catalogue.
    pub fn unite(&mut self, other: &Self) {
        for (own, other) in self.0.as_raw_mut_slice().iter_mut().zip(other.0.as_raw_slice()) {
            *own |= other;
        }
    }

    /// Products of the catalogue that are not in the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut others = self.clone();
        others.0.as_raw_mut_slice().iter_mut().for_each(|byte| *byte = !*byte);
        others.trimmed()
    }

    /// The set with zeros after its last bit.
    fn trimmed(mut self) -> Self {
        self.0.set_uninitialized(false);
        self
    }

    fn put(&mut self, id: SkuId, value: bool) {
        if let Some(mut bit) = self.0.get_mut(id.0 as usize) {
            *bit = value;
        }
    }

    /// Bytes of the set: eight products per byte, the first in the least significant bit.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_raw_slice()
    }

    /// Checks that the set is for a catalogue of `len` products.
    pub(crate) fn check(&self, len: usize, what: &str) -> Result<()> {
        if self.len() == len {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::BadRequest,
            format!("`{what}` has {} bits for a catalogue of {len} products; make it for this pack", self.len()),
        ))
    }
}

/// Whether a set stored as bytes contains a product.
pub(crate) fn contains(bytes: &[u8], id: SkuId) -> bool {
    BitSlice::<u8, Lsb0>::from_slice(bytes).get(id.0 as usize).is_some_and(|bit| *bit)
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    len: u32,
    #[serde(with = "serde_bytes")]
    bytes: &'a [u8],
}

impl Serialize for SkuBits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire { len: self.len() as u32, bytes: self.0.as_raw_slice() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SkuBits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Wire { len, bytes } = Wire::deserialize(deserializer)?;
        if bytes.len() != (len as usize).div_ceil(8) {
            return Err(serde::de::Error::custom("a bit set and its bytes differ in length"));
        }
        let mut bits = BitVec::from_slice(bytes);
        bits.truncate(len as usize);
        Ok(Self(bits).trimmed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_survives_encoding_and_decoding() {
        for len in [0, 1, 7, 8, 31, 32, 33, 100] {
            let mut bits = SkuBits::none(len);
            (0..len as u32).step_by(3).for_each(|id| bits.insert(SkuId(id)));
            let sent = postcard::to_allocvec(&bits).unwrap_or_default();
            assert_eq!(postcard::from_bytes(&sent), Ok(bits.clone()), "{len} products");
            let others = bits.complement();
            assert_eq!(others.count(), len - bits.count());
            assert_eq!(others.complement(), bits);
            bits.unite(&others);
            assert_eq!(bits, SkuBits::all(len));
            assert_eq!(postcard::to_allocvec(&SkuBits::all(len)), postcard::to_allocvec(&bits), "the same bytes");
        }
    }

    #[test]
    fn bits_past_the_end_are_not_read() {
        let sent = postcard::to_allocvec(&Wire { len: 3, bytes: &[0xff] }).unwrap_or_default();
        let bits: SkuBits = postcard::from_bytes(&sent).unwrap_or_default();
        assert_eq!((bits.len(), bits.count()), (3, 3));
    }
}
