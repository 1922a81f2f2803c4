//! Moments in words, as clients of older systems write them: `+3 days`, `tomorrow 9am EST`.
//!
//! The grammar is a strict part of what PHP's `strtotime` reads: parts of a moment (date, time,
//! zone, interval) in any order, each at most once. What could mean two things is refused.
//! docs/api/plum.md "Times in words" has the table.

mod read;
#[cfg(test)]
mod tests;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, ToSpan, Zoned};

use domain::time::Timestamp;

use crate::zone::{Zone, moment};

/// Longest text that can be a moment, in characters.
const TEXT_MAX: usize = 100;
/// Latest moment accepted, 2100-01-01; beyond it somebody wrote milliseconds.
pub const MOMENT_MAX: Timestamp = Timestamp::from_seconds(4_102_444_800);

/// Which end of a window a moment is.
///
/// Where a clock change makes a local time come twice or not at all, a window opens at the later
/// and closes at the earlier meaning, so that it is never wider than the client can have meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The moment until which it is open.
    Closes,
    /// The moment from which it is open.
    Opens,
}

/// Why a text is no moment.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// A zone that means several.
    #[error(
        "zone {0:?} means several, write an offset such as +05:30 or a name such as Asia/Kolkata"
    )]
    AmbiguousZone(String),
    /// Nothing is there.
    #[error("text is empty")]
    Empty,
    /// The calendar or the clock has no such day or time.
    #[error("{0:?} does not exist")]
    NoSuch(String),
    /// Before 1970 or after 2100.
    #[error("moment is not between 1970 and 2100")]
    OutOfRange,
    /// Two dates, two times, two zones.
    #[error("{0} is given twice")]
    Repeated(&'static str),
    /// More than anybody needs.
    #[error("text is longer than {TEXT_MAX} characters")]
    TooLong,
    /// It could mean several things.
    #[error("{text:?} is unclear: {hint}")]
    Unclear {
        /// The part.
        text: String,
        /// How to write it.
        hint: &'static str,
    },
    /// A word that the grammar does not have.
    #[error("{0:?} is not understood")]
    Unknown(String),
    /// The day of the week is not that of the date.
    #[error("{date} is a {is}, not a {written}")]
    WrongWeekday {
        /// The date, as `2011-10-14`.
        date: String,
        /// Its day of the week.
        is: &'static str,
        /// The day of the week that was written.
        written: &'static str,
    },
}

/// Reads `text` as a moment, seen at `now` from a place in `zone`.
///
/// A moment that is over is read too: what it means is for the caller to say.
pub fn parse(
    text: &str,
    now: Timestamp,
    zone: &Zone,
    bound: Bound,
) -> Result<Timestamp, WhenError> {
    let found = read::read(text)?;
    if let Some(seconds) = found.unix {
        return in_range(Timestamp::from_seconds(seconds));
    }
    let zone = found.zone.clone().unwrap_or_else(|| zone.0.clone());
    let now = moment(now).to_zoned(zone.clone());
    let mut at = match (found.date(&now)?, found.time) {
        (None, None) => now,
        (None, Some(time)) => localized(now.date().to_datetime(time), &zone, bound)?,
        (Some(date), time) => {
            let time = time.unwrap_or(Time::midnight());
            localized(date.to_datetime(time), &zone, bound)?
        }
    };
    for (count, unit) in &found.intervals {
        let span = unit.span(*count).ok_or(WhenError::OutOfRange)?;
        at = at.checked_add(span).map_err(|_| WhenError::OutOfRange)?;
    }
    in_range(Timestamp::from_millis(at.timestamp().as_millisecond()))
}

fn localized(local: DateTime, zone: &TimeZone, bound: Bound) -> Result<Zoned, WhenError> {
    let ambiguous = zone.to_ambiguous_zoned(local);
    match bound {
        Bound::Closes => ambiguous.earlier(),
        Bound::Opens => ambiguous.later(),
    }
    .map_err(|_| WhenError::OutOfRange)
}

fn in_range(at: Timestamp) -> Result<Timestamp, WhenError> {
    (Timestamp::from_seconds(0)..MOMENT_MAX)
        .contains(&at)
        .then_some(at)
        .ok_or(WhenError::OutOfRange)
}

/// The parts of a moment, as they were written.
#[derive(Debug, Default)]
struct Found {
    /// Seconds since the epoch; nothing else is written then.
    unix: Option<i64>,
    day: Option<Day>,
    weekday: Option<(Weekday, Which)>,
    time: Option<Time>,
    zone: Option<TimeZone>,
    intervals: Vec<(i64, Unit)>,
}

#[derive(Clone, Copy, Debug)]
enum Day {
    /// This many days from today.
    FromToday(i64),
    /// Of the calendar; without a year it is this year's.
    Calendar { year: Option<i16>, month: i8, day: i8 },
}

/// Which of the weekdays of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// The first one from today on.
    Coming,
    /// The last one before today.
    Last,
    /// The first one after today.
    Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Unit {
    fn span(self, count: i64) -> Option<Span> {
        // Days and longer keep the time of day; shorter ones are elapsed time.
        match self {
            Self::Second => Span::new().try_seconds(count).ok(),
            Self::Minute => Span::new().try_minutes(count).ok(),
            Self::Hour => Span::new().try_hours(count).ok(),
            Self::Day => Span::new().try_days(count).ok(),
            Self::Week => Span::new().try_weeks(count).ok(),
            Self::Month => Span::new().try_months(count).ok(),
            Self::Year => Span::new().try_years(count).ok(),
        }
    }
}

impl Found {
    fn date(&self, now: &Zoned) -> Result<Option<Date>, WhenError> {
        let today = now.date();
        match (self.day, self.weekday) {
            (None, None) => Ok(None),
            (None, Some((weekday, which))) => {
                if !self.intervals.is_empty() {
                    return Err(WhenError::Unclear {
                        text: weekday_name(weekday).into(),
                        hint: "write a date instead of a day of the week with an interval",
                    });
                }
                next_weekday(today, weekday, which).map(Some)
            }
            (Some(day), weekday) => {
                let date = day.date(today)?;
                match weekday {
                    Some((written, _)) if date.weekday() != written => {
                        Err(WhenError::WrongWeekday {
                            date: date.to_string(),
                            is: weekday_name(date.weekday()),
                            written: weekday_name(written),
                        })
                    }
                    _ => Ok(Some(date)),
                }
            }
        }
    }
}

impl Day {
    fn date(self, today: Date) -> Result<Date, WhenError> {
        match self {
            Self::FromToday(days) => {
                today.checked_add(days.days()).map_err(|_| WhenError::OutOfRange)
            }
            Self::Calendar { year, month, day } => {
                let year = year.unwrap_or(today.year());
                Date::new(year, month, day)
                    .map_err(|_| WhenError::NoSuch(format!("{year:04}-{month:02}-{day:02}")))
            }
        }
    }
}

fn next_weekday(today: Date, weekday: Weekday, which: Which) -> Result<Date, WhenError> {
    let date = match which {
        Which::Coming if today.weekday() == weekday => Ok(today),
        Which::Coming | Which::Next => today.nth_weekday(1, weekday),
        Which::Last => today.nth_weekday(-1, weekday),
    };
    date.map_err(|_| WhenError::OutOfRange)
}

const fn weekday_name(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}
