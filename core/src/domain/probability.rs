//! Probabilities.

use super::money::BasisPoints;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Probability in steps of a ten-thousandth: an integer in messages and packs, a number from 0 to 1 in JSON.
///
/// ```
/// use tradewind_core::Probability;
/// assert_eq!(serde_json::to_string(&Probability(1_234))?, "0.1234");
/// assert_eq!(serde_json::from_str::<Probability>("1")?, Probability::CERTAIN);
/// assert!(serde_json::from_str::<Probability>("1234").is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = f64, minimum = 0, maximum = 1, description = "A probability."))]
pub struct Probability(pub i32);

impl Probability {
    /// 1.
    pub const CERTAIN: Self = Self(10_000);

    /// Rounds a number from 0 to 1 to the nearest probability; halves up.
    pub(crate) fn nearest(probability: f32) -> Self {
        Self((probability * Self::CERTAIN.0 as f32 + 0.5) as i32)
    }

    /// Probability as a number from 0 to 1.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(Self::CERTAIN.0)
    }

    /// Rate by which an amount is multiplied to get its expected value.
    pub const fn rate(self) -> BasisPoints {
        BasisPoints(self.0)
    }
}

impl Serialize for Probability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_f64(self.as_f64())
        } else {
            serializer.serialize_i32(self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Probability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i32::deserialize(deserializer).map(Self);
        }
        let probability = f64::deserialize(deserializer)?;
        if !(0.0..=1.0).contains(&probability) {
            return Err(D::Error::custom("a probability is a number from 0 to 1"));
        }
        Ok(Self((probability * f64::from(Self::CERTAIN.0) + 0.5) as i32))
    }
}
