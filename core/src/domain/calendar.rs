//! Gregorian calendar and RFC 3339.

/// Days in 400 years.
const ERA: i64 = 146_097;

/// Year, month and day of a day, counted from 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
pub(super) fn date(days: i32) -> (i64, i64, i64) {
    // Count from 1 March 0000: then a leap day is the last day of its year.
    let days = i64::from(days) + 719_468;
    let of_era = days.rem_euclid(ERA);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / (ERA - 1)) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = days.div_euclid(ERA) * 400 + year_of_era + month / 10;
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}

/// Days since 1970-01-01 of a date `YYYY-MM-DD`; `None` if it is invalid.
pub(super) fn day(text: &[u8]) -> Option<i32> {
    let &[ref year @ .., b'-', m, n, b'-', d, e] = text else { return None };
    let (year, month, day) = (digits(year, 4)?, digits(&[m, n], 2)?, digits(&[d, e], 2)?);
    let (years, month_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (years.div_euclid(400), years.rem_euclid(400));
    let days = era * ERA + of_era * 365 + of_era / 4 - of_era / 100 + (153 * month_from_march + 2) / 5 + day - 1;
    let days = i32::try_from(days - 719_468).ok()?;
    // A nonexistent day or month converts back to a different date.
    (date(days) == (year, month, day)).then_some(days)
}

/// Milliseconds since 1970 of a date and time with an offset; digits beyond milliseconds are dropped. `None` if
/// invalid.
pub(super) fn moment(text: &str) -> Option<i64> {
    let (date, time) = text.as_bytes().split_at_checked(10)?;
    let (clock, rest) = time.split_at_checked(9)?;
    let &[b'T' | b't', h, i, b':', m, n, b':', s, t] = clock else { return None };
    let (hours, minutes, seconds) = (digits(&[h, i], 2)?, digits(&[m, n], 2)?, digits(&[s, t], 2)?);
    let (fraction, offset) = match rest {
        [b'.', rest @ ..] => {
            let len = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, offset) = rest.split_at_checked(len).filter(|_| len > 0)?;
            let digit = |place: usize| fraction.get(place).map_or(0, |digit| i64::from(digit - b'0'));
            (100 * digit(0) + 10 * digit(1) + digit(2), offset)
        }
        _ => (0, rest),
    };
    let ahead = match *offset {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h, i, b':', m, n] => {
            let (hours, minutes) = (digits(&[h, i], 2)?, digits(&[m, n], 2)?);
            let ahead = (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)?;
            if sign == b'-' { -ahead } else { ahead }
        }
        _ => return None,
    };
    let exists = hours < 24 && minutes < 60 && seconds < 60;
    let minutes = (i64::from(day(date)?) * 24 + hours) * 60 + minutes - ahead;
    exists.then_some((minutes * 60 + seconds) * 1_000 + fraction)
}

/// Parses a number of exactly `len` digits.
fn digits(text: &[u8], len: usize) -> Option<i64> {
    let is_number = text.len() == len && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| text.iter().fold(0, |number, digit| 10 * number + i64::from(digit - b'0')))
}
