//! Moments and days.

use super::{calendar, check::bad};
use crate::error::{Error, Result};
use alloc::{format, string::String};
use bytemuck::{Pod, Zeroable};
use core::{fmt, str::FromStr};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Moment: milliseconds since 1970-01-01 00:00 UTC.
///
/// That number in messages and packs; RFC 3339 text of the years 2000 to 2100 in JSON.
///
/// ```
/// use tradewind_core::Millis;
/// let moment: Millis = "2017-12-04T15:30:00+01:00".parse()?;
/// assert_eq!(moment, Millis(1_512_397_800_000));
/// assert_eq!(moment.to_string(), "2017-12-04T14:30:00Z");
/// # Ok::<(), tradewind_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Pod, Zeroable)]
#[repr(transparent)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime, description = "A moment in RFC 3339."))]
pub struct Millis(pub i64);

/// Day: whole days since 1970-01-01, UTC.
///
/// That number in messages and packs; an ISO 8601 date in JSON, such as `2017-12-04`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(value_type = String, format = Date, description = "A date."))]
pub struct Day(pub i32);

impl Millis {
    /// Milliseconds in a day.
    pub const DAY: i64 = 86_400_000;
    /// First moment that is accepted as text: 2000-01-01 00:00 UTC.
    pub const FIRST: Self = Self(946_684_800_000);
    /// Last moment that is accepted as text: the end of 2100, UTC.
    pub const LAST: Self = Self(4_133_980_799_999);

    /// Day of the moment, in UTC.
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(Self::DAY) as i32)
    }

    /// Checks that the moment is between the years 1970 and 2262.
    pub(crate) fn check(self) -> Result<()> {
        if (0..=9_223_372_036_854).contains(&self.0) {
            return Ok(());
        }
        Err(bad(format!("`at` is {}, not milliseconds from 1970 to 2262", self.0)))
    }

    /// Reads a moment of any year, for stored documents; for `#[serde(deserialize_with = …)]`.
    ///
    /// # Errors
    /// Errors of the deserializer.
    pub fn of_any_year<'de, D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        let text = String::deserialize(deserializer)?;
        calendar::moment(&text).map(Self).ok_or_else(|| D::Error::custom(no_moment(&text)))
    }
}

impl Day {
    /// Whole days from `earlier` to this day; negative if it is later.
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.saturating_sub(earlier.0)
    }

    /// Checks that the day is in the years 2000 to 2100.
    ///
    /// # Errors
    /// [`BadRequest`](crate::ErrorKind::BadRequest).
    pub(crate) fn check(self) -> Result<()> {
        if (Millis::FIRST.day()..=Millis::LAST.day()).contains(&self) {
            return Ok(());
        }
        Err(bad(format!("the day `{self}` is not in the years 2000 to 2100")))
    }
}

fn no_moment(text: &str) -> Error {
    bad(format!("invalid moment `{text}`: expected RFC 3339, such as `2017-12-04T14:00:00Z`"))
}

fn no_day(text: &str) -> Error {
    bad(format!("invalid date `{text}`: expected year, month and day, such as `2017-12-04`"))
}

impl FromStr for Millis {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let moment = calendar::moment(text).map(Self).ok_or_else(|| no_moment(text))?;
        let side = match moment {
            early if early < Self::FIRST => "before 2000",
            late if late > Self::LAST => "after 2100",
            _ => return Ok(moment),
        };
        Err(bad(format!("moment `{text}` is {side}")))
    }
}

impl FromStr for Day {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        calendar::day(text.as_bytes()).map(Self).ok_or_else(|| no_day(text))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.div_euclid(1_000), self.0.rem_euclid(1_000));
        let (hours, minutes) = (seconds.rem_euclid(86_400) / 3_600, seconds.rem_euclid(3_600) / 60);
        write!(f, "{}T{hours:02}:{minutes:02}:{:02}", self.day(), seconds.rem_euclid(60))?;
        match millis {
            0 => f.write_str("Z"),
            _ => write!(f, ".{millis:03}Z"),
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = calendar::date(self.0);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Self);
        }
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> core::result::Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i32(self.0) }
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> core::result::Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i32::deserialize(deserializer).map(Self);
        }
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn moments_are_read_from_rfc_3339_of_the_years_2000_to_2100() {
        let read = |text: &str| serde_json::from_str::<Millis>(text).map_err(|error| error.to_string());
        for (text, millis) in [
            ("2000-01-01T00:00:00Z", Millis::FIRST.0),
            ("2100-12-31T23:59:59.999Z", Millis::LAST.0),
            ("2017-12-04t14:00:00.25z", 1_512_396_000_250),
            ("2017-12-04T14:00:00.123456789+00:00", 1_512_396_000_123),
            ("2017-12-04T06:00:00-08:00", 1_512_396_000_000),
            ("2016-02-29T00:00:00Z", 1_456_704_000_000),
        ] {
            let moment = read(&format!("\"{text}\"")).unwrap();
            assert_eq!(moment, Millis(millis), "{text}");
            assert_eq!(read(&serde_json::to_string(&moment).unwrap()), Ok(moment), "{text}");
        }
        for (text, said) in [
            ("\"1999-12-31T23:59:59.999Z\"", "before 2000"),
            ("\"2101-01-01T00:00:00Z\"", "after 2100"),
            ("\"1512345600000\"", "RFC 3339"),
            ("1512345600000", "string"),
            ("\"2017-12-04\"", "`2017-12-04`"),
            ("\"2017-12-04T14:00:00\"", "RFC 3339"),
            ("\"2017-02-29T00:00:00Z\"", "RFC 3339"),
            ("\"2017-12-04T24:00:00Z\"", "RFC 3339"),
            ("\"2017-12-04T14:00:00.Z\"", "RFC 3339"),
            ("\"2017-12-04T14:00:00+1:00\"", "RFC 3339"),
            ("\"\"", "RFC 3339"),
            ("null", "string"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn stored_moments_of_any_year_are_read() {
        #[derive(Deserialize)]
        struct Kept(#[serde(deserialize_with = "Millis::of_any_year")] Millis);
        let read = |text: &str| serde_json::from_str::<Kept>(text).map(|Kept(at)| at.0).ok();
        assert_eq!(read("\"2300-01-01T00:00:00Z\""), Some(10_413_792_000_000));
        assert_eq!(read("\"1969-12-31T23:59:59.999Z\""), Some(-1));
    }

    #[test]
    fn days_are_dates() {
        for (day, text) in [(0, "1970-01-01"), (-1, "1969-12-31"), (17_504, "2017-12-04"), (11_016, "2000-02-29")] {
            assert_eq!(Day(day).to_string(), text);
            assert_eq!(text.parse::<Day>(), Ok(Day(day)));
        }
        for text in ["2017-2-1", "2017-02-30", "20170201", "2017-02-01T", "yesterday", "", "+017-02-01"] {
            assert!(text.parse::<Day>().is_err(), "{text}");
        }
        assert!(Day(120_529).check().is_err(), "2300-01-01");
    }

    #[test]
    fn messages_hold_numbers() {
        assert_eq!(postcard::to_allocvec(&(Millis(-1), Day(64))), Ok(alloc::vec![1, 128, 1]));
        assert_eq!(postcard::from_bytes(&[1, 128, 1]), Ok((Millis(-1), Day(64))));
    }
}
