//! Dates in HTTP headers, in every form that servers have been seen to write.

use domain::time::Timestamp;

/// The moment that `text` names: `Sun, 06 Nov 1994 08:49:37 GMT` and its older forms
/// (RFC 9110 §5.6.7), read as leniently as cookies ask for (RFC 6265 §5.1.1).
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    let mut date = Parts::default();
    for token in text.split(is_delimiter).filter(|token| !token.is_empty()).take(TOKENS_MAX) {
        date.take(token);
    }
    date.moment()
}

/// More tokens than any date has.
const TOKENS_MAX: usize = 16;

#[derive(Default)]
struct Parts {
    time: Option<(i64, i64, i64)>,
    day: Option<i64>,
    month: Option<i64>,
    year: Option<i64>,
}

impl Parts {
    /// The first token that looks like a part is that part.
    fn take(&mut self, token: &str) {
        if self.time.is_none()
            && let Some(time) = time_of_day(token)
        {
            self.time = Some(time);
        } else if self.day.is_none()
            && let Some(day) = number(token, 1..=2)
        {
            self.day = Some(day);
        } else if self.month.is_none()
            && let Some(month) = month(token)
        {
            self.month = Some(month);
        } else if self.year.is_none()
            && let Some(year) = number(token, 2..=4)
        {
            self.year = Some(match year {
                0..70 => year + 2_000,
                70..100 => year + 1_900,
                _ => year,
            });
        }
    }

    fn moment(&self) -> Option<Timestamp> {
        let ((hour, minute, second), day) = (self.time?, self.day?);
        let (month, year) = (self.month?, self.year?);
        let valid = (1..=days_in(month, year)).contains(&day)
            && year >= 1_601
            && hour <= 23
            && minute <= 59
            && second <= 60;
        valid.then(|| {
            let seconds = hour * 3_600 + minute * 60 + second;
            Timestamp::from_seconds(days_since_1970(year, month, day) * 86_400 + seconds)
        })
    }
}

fn is_delimiter(sign: char) -> bool {
    !(sign.is_ascii_alphanumeric() || sign == ':')
}

fn time_of_day(token: &str) -> Option<(i64, i64, i64)> {
    let mut parts = token.split(':').map(|part| number(part, 1..=2));
    match (parts.next()?, parts.next()?, parts.next()?, parts.next()) {
        (Some(hour), Some(minute), Some(second), None) => Some((hour, minute, second)),
        _ => None,
    }
}

fn number(token: &str, digits: std::ops::RangeInclusive<usize>) -> Option<i64> {
    let plain = digits.contains(&token.len()) && token.bytes().all(|sign| sign.is_ascii_digit());
    plain.then(|| token.parse().ok()).flatten()
}

fn month(token: &str) -> Option<i64> {
    const MONTHS: [&str; 12] =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let start = token.get(..3)?;
    let position = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(start))?;
    i64::try_from(position).ok().map(|position| position + 1)
}

fn days_in(month: i64, year: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the Gregorian calendar. Years begin in March here, so that the leap day
/// is their last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        parse(text).map(Timestamp::as_seconds)
    }

    #[test]
    fn every_form_of_http_date_names_the_same_moment() {
        let forms = [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "06 nov 1994 08:49:37",
            "Sun, 6-NOV-1994 8:49:37 GMT",
        ];
        for form in forms {
            assert_eq!(seconds(form), Some(784_111_777), "{form}");
        }
    }

    #[test]
    fn leap_days_and_ends_of_time_are_right() {
        let dates = [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Wed, 31 Dec 1969 23:59:59 GMT", Some(-1)),
            ("Tue, 29 Feb 2000 00:00:00 GMT", Some(951_782_400)),
            ("Wed, 29 Feb 2023 00:00:00 GMT", None),
            ("Fri, 29 Feb 2100 00:00:00 GMT", None),
            ("Tue, 19 Jan 2038 03:14:08 GMT", Some(2_147_483_648)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
        ];
        for (text, expected) in dates {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        let texts =
            ["", "0", "-1", "tomorrow", "Sun, 06 Nov 1994", "32 Jan 2020 00:00:00", "25:00:00"];
        for text in texts {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
