//! Legs of shipments.

use super::clock::Clock;
use crate::{
    domain::time::Millis,
    error::{Error, ErrorKind, Result},
};
use alloc::format;

/// Journey of a shipment between two locations, as known at dispatch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leg<'a> {
    /// Code of the origin.
    pub from: &'a str,
    /// Code of the destination.
    pub to: &'a str,
    /// Moment of departure.
    pub departs: Millis,
    /// Offset of local time at the origin from UTC, in minutes.
    pub utc_offset: i16,
    /// Distance, in kilometres.
    pub distance: f32,
}

impl Leg<'_> {
    /// Maximum offset from UTC, in minutes.
    pub const MAX_OFFSET: i16 = 1_440;

    pub(crate) fn check(&self) -> Result<()> {
        self.departs.check()?;
        if self.utc_offset.unsigned_abs() > Self::MAX_OFFSET.unsigned_abs() {
            let message = format!("invalid UTC offset of {} minutes: at most a day is allowed", self.utc_offset);
            return Err(Error::new(ErrorKind::BadRequest, message));
        }
        if !(0.0..=50_000.0).contains(&self.distance) {
            return Err(Error::new(ErrorKind::BadRequest, "a distance is not 0 to 50,000 kilometres"));
        }
        Ok(())
    }

    /// Departure in local time at the origin.
    pub(crate) const fn departure(&self) -> Clock {
        Clock::new(self.departs, self.utc_offset)
    }
}
