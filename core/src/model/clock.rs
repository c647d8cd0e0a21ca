//! Local time.

use crate::domain::time::Millis;

/// Moment in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// Milliseconds since 1970-01-01 00:00, local time.
    local: i64,
}

impl Clock {
    /// Hours in a week.
    pub const WEEK: u8 = 168;

    /// Converts a moment to local time, `utc_offset` minutes ahead of UTC.
    pub const fn new(at: Millis, utc_offset: i16) -> Self {
        Self { local: at.0.saturating_add(utc_offset as i64 * 60_000) }
    }

    /// Start of an hour of the week, counted from Monday 00:00.
    pub const fn hour_of_week(hour: u8) -> Self {
        // The first Monday after 1970-01-01.
        Self { local: 4 * Millis::DAY + hour as i64 * 3_600_000 }
    }

    /// Hour of the day (0 to 23).
    pub const fn hour(self) -> f32 {
        (self.local.rem_euclid(Millis::DAY) / 3_600_000) as f32
    }

    /// Day of the week (0 for Monday to 6 for Sunday).
    pub const fn weekday(self) -> f32 {
        // 1970-01-01 was a Thursday.
        (self.local.div_euclid(Millis::DAY) + 3).rem_euclid(7) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_weekdays_are_in_local_time() {
        let at = |utc_offset| {
            let clock = Clock::new(Millis(1_512_345_600_000), utc_offset);
            (clock.hour(), clock.weekday())
        };
        assert_eq!(at(0), (0.0, 0.0), "Monday");
        assert_eq!(at(-1), (23.0, 6.0), "Sunday, a minute to midnight");
        assert_eq!(at(330), (5.0, 0.0));
    }

    #[test]
    fn hours_of_the_week_begin_on_monday() {
        for hour in 0..Clock::WEEK {
            let clock = Clock::hour_of_week(hour);
            assert_eq!((clock.hour(), clock.weekday()), (f32::from(hour % 24), f32::from(hour / 24)));
        }
    }
}
