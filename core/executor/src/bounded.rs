//! Decoding of lists with a maximum length, checked before memory is allocated.

use alloc::vec::Vec;
use core::{fmt, marker::PhantomData};
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

/// Decodes a list of at most `N` elements; for `#[serde(deserialize_with = …)]`.
///
/// # Errors
/// The deserializer's.
pub fn list<'de, const N: usize, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    deserializer.deserialize_seq(Bounded { most: N, element: PhantomData })
}

/// Like [`list`], for a list that may be absent.
///
/// # Errors
/// The deserializer's.
pub fn optional_list<'de, const N: usize, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    struct Present<const N: usize, T>(Vec<T>);
    impl<'de, const N: usize, T: Deserialize<'de>> Deserialize<'de> for Present<N, T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            list::<N, T, D>(deserializer).map(Self)
        }
    }
    Ok(Option::<Present<N, T>>::deserialize(deserializer)?.map(|present| present.0))
}

/// List with a maximum number of elements.
struct Bounded<T> {
    most: usize,
    element: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {} elements", self.most)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            if list.len() == self.most {
                return Err(A::Error::custom("a list is over its limit"));
            }
            list.push(element);
        }
        Ok(list)
    }
}
