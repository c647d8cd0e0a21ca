//! Money and rates, as integers.

use crate::error::{Error, ErrorKind, Result};
use alloc::{format, string::String};
use bytemuck::{Pod, Zeroable};
use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Amount in minor units of the snapshot's currency, for example cents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Pod, Zeroable)]
#[serde(transparent)]
#[repr(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Money(pub i64);

/// Rate in hundredths of a percent: 10,000 is 100 %.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Pod, Zeroable)]
#[serde(transparent)]
#[repr(transparent)]
pub struct BasisPoints(pub i32);

/// Currency code of ISO 4217: three capital letters, for example `USD`.
///
/// Three bytes in messages and packs, text in JSON.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, pattern = "^[A-Z]{3}$"))]
pub struct Currency([u8; 3]);

impl Money {
    /// Maximum amount in a message or snapshot: 10¹³ minor units, a hundred billion.
    ///
    /// The sum of a million such amounts fits in an `i64`.
    pub const MAX: Self = Self(10_000_000_000_000);

    /// Rounds a number of minor units to the nearest amount: halves away from zero, limited to ±[`MAX`](Self::MAX).
    /// `None` for NaN.
    ///
    /// The only conversion of a model's output to money.
    pub fn nearest(units: f64) -> Option<Self> {
        if units.is_nan() {
            return None;
        }
        let bound = Self::MAX.0 as f64;
        let whole = units.clamp(-bound, bound) as i64;
        let rest = units.clamp(-bound, bound) - whole as f64;
        Some(Self(whole + i64::from(rest >= 0.5) - i64::from(rest <= -0.5)))
    }

    /// Share of the amount, rounded down (towards negative infinity).
    #[must_use]
    pub const fn share(self, rate: BasisPoints) -> Self {
        // Multiply quotient and remainder separately, so that no product overflows an i64.
        let (whole, rate) = (BasisPoints::WHOLE.0 as i64, rate.0 as i64);
        let (many, rest) = (self.0.div_euclid(whole), self.0.rem_euclid(whole));
        Self(many.saturating_mul(rate) + (rest * rate).div_euclid(whole))
    }

    /// Amount in major units, for a minor unit of `digits` decimal digits: `12.90`.
    pub fn decimal(self, digits: u32) -> String {
        let unit = 10_u64.saturating_pow(digits);
        let (whole, rest) = (self.0.unsigned_abs() / unit, self.0.unsigned_abs() % unit);
        let sign = if self.0 < 0 { "-" } else { "" };
        match digits as usize {
            0 => format!("{sign}{whole}"),
            digits => format!("{sign}{whole}.{rest:0digits$}"),
        }
    }

    /// Checks the range of a received amount.
    pub(crate) fn check(self, what: &str) -> Result<()> {
        if (-Self::MAX.0..=Self::MAX.0).contains(&self.0) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::BadRequest,
            format!("`{what}` is {} minor units; the limit is {}", self.0, Self::MAX.0),
        ))
    }
}

impl BasisPoints {
    /// 100 %.
    pub const WHOLE: Self = Self(10_000);

    /// Checks the range of a received rate: 0 to 10,000 %.
    pub(crate) fn check(self, what: &str) -> Result<()> {
        if (0..=100 * Self::WHOLE.0).contains(&self.0) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::BadRequest, format!("`{what}` is {} basis points, not 0 to 1,000,000", self.0)))
    }
}

impl Currency {
    /// Creates a currency from its code.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) unless `code` is three capital letters.
    pub fn new(code: &str) -> Result<Self> {
        match code.as_bytes() {
            &[a, b, c] if [a, b, c].iter().all(u8::is_ascii_uppercase) => Ok(Self([a, b, c])),
            _ => Err(Error::new(ErrorKind::BadRequest, format!("`{code}` is not a code of ISO 4217, such as `USD`"))),
        }
    }

    /// Code of the currency.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or("???")
    }

    /// Decimal digits of the minor unit (0, 2, 3 or 4), by ISO 4217: an amount in minor units is divided by ten to this
    /// power.
    ///
    /// # Errors
    /// [`BadRequest`](ErrorKind::BadRequest) for a code that is not in the standard, or has no minor unit, such as
    /// `XAU` (gold).
    pub fn digits(self) -> Result<u32> {
        let found = ISO_4217.iter().find(|(_, codes)| codes.split(' ').any(|code| code == self.as_str()));
        found.map(|(digits, _)| *digits).ok_or_else(|| {
            let code = self.as_str();
            Error::new(
                ErrorKind::BadRequest,
                format!("`{code}` has no minor unit in ISO 4217; use a code such as `EUR`"),
            )
        })
    }

    /// Checks a received code.
    pub(crate) fn check(self) -> Result<()> {
        Self::new(self.as_str()).map(drop)
    }
}

/// Currencies by number of digits of their minor unit: ISO 4217, list one, as published on 2026-01-01.
const ISO_4217: [(u32, &str); 4] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY \
         COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS \
         INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR \
         MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP \
         STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.as_str())
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return <[u8; 3]>::deserialize(deserializer).map(Self);
        }
        Self::new(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_rounded_away_from_zero_and_nan_has_no_amount() {
        let cases = [(0.4, 0), (0.5, 1), (-0.5, -1), (1.499, 1), (199.5, 200), (1e300, Money::MAX.0)];
        cases.into_iter().for_each(|(units, money)| assert_eq!(Money::nearest(units), Some(Money(money)), "{units}"));
        assert_eq!(Money::nearest(f64::NAN), None);
    }

    #[test]
    fn a_share_never_exceeds_its_amount() {
        assert_eq!(Money(999).share(BasisPoints(3_333)), Money(332));
        assert_eq!(Money(-1).share(BasisPoints(1)), Money(-1));
        assert_eq!(Money::MAX.share(BasisPoints(1_000_000)), Money(Money::MAX.0 * 100));
    }
}
