//! Legs of shipments.

use super::clock::Clock;
use crate::{
    domain::time::Millis,
    error::{Error, ErrorKind, Result},
};
use alloc::format;

/// The way of a shipment from one place to another, as it is known when it is dispatched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leg<'a> {
    /// The code of the place where it starts.
    pub from: &'a str,
    /// The code of the place where it ends.
    pub to: &'a str,
    /// When it starts.
    pub departs: Millis,
    /// Minutes by which the clocks of the start are ahead of UTC.
    pub utc_offset: i16,
    /// Kilometres.
    pub distance: f32,
}

impl Leg<'_> {
    /// The largest difference of a clock from UTC, in minutes.
    pub const MAX_OFFSET: i16 = 1_440;

    pub(crate) fn check(&self) -> Result<()> {
        self.departs.check()?;
        if self.utc_offset.unsigned_abs() > Self::MAX_OFFSET.unsigned_abs() {
            let message = format!("a clock that is {} minutes ahead of UTC; at most a day is taken", self.utc_offset);
            return Err(Error::new(ErrorKind::BadRequest, message));
        }
        if !(0.0..=50_000.0).contains(&self.distance) {
            return Err(Error::new(ErrorKind::BadRequest, "a distance that is not 0 to 50,000 kilometres"));
        }
        Ok(())
    }

    /// Its departure by the clock of its start.
    pub(crate) const fn departure(&self) -> Clock {
        Clock::new(self.departs, self.utc_offset)
    }
}
