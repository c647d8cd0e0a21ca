//! Moments and days.

use crate::error::{Error, ErrorKind, Result};
use alloc::format;
use bytemuck::{Pod, Zeroable};
use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Pod, Zeroable)]
#[repr(transparent)]
pub struct Millis(pub i64);

/// A day: the number of whole days since 1970-01-01, UTC.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Day(pub i32);

impl Millis {
    /// Milliseconds in a day.
    pub const DAY: i64 = 86_400_000;

    /// The day that the moment lies in.
    pub const fn day(self) -> Day {
        Day(self.0.div_euclid(Self::DAY) as i32)
    }

    /// The moment lies between the years 1970 and 2262.
    pub(crate) fn check(self) -> Result<()> {
        if (0..=9_223_372_036_854).contains(&self.0) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::BadRequest,
            format!("`at` is {}; it needs milliseconds since 1970, up to the year 2262", self.0),
        ))
    }
}

impl Day {
    /// Whole days from `earlier` to this day; negative if it is later.
    pub const fn since(self, earlier: Self) -> i32 {
        self.0.saturating_sub(earlier.0)
    }
}
