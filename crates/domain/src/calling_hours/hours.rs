//! A table of permitted hours: by day of the week, on holidays, on named dates.

use std::collections::BTreeMap;
use std::fmt;

use jiff::civil::{Date, Weekday};

use crate::holidays::{Holidays, weekday_of};
use crate::time::Timestamp;
use crate::zones::{DayBound, Zone};

/// Most spans of one day; more is a mistake of a program that wrote them.
const SPANS_MAX: usize = 24;
/// Most dates with hours of their own.
const DATES_MAX: usize = 1_000;
/// Minutes of a day.
const MINUTES_A_DAY: u16 = 1_440;
/// Days that are looked through for the next opening: a year, and a holiday more.
const DAYS_AHEAD_MAX: u32 = 400;

/// Part of a local day: `from <= minute < to`, in minutes since midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Span {
    from: u16,
    to: u16,
}

/// Permitted hours of every local day.
///
/// Written as rows, one a line or parted by `;`:
/// `mon-fri 09:00-12:00,13:00-18:00; sat closed; holiday closed; holidays US US-AL;
/// date 2026-12-24 09:00-12:00; zone America/Chicago`. Days that are not named are closed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Hours {
    /// Monday first.
    days: [Vec<Span>; 7],
    /// Hours of holidays; those of the day of the week where there are none.
    holiday: Option<Vec<Span>>,
    /// Calendars whose holidays count.
    calendars: Vec<String>,
    /// Dates with hours of their own.
    dates: BTreeMap<Date, Vec<Span>>,
    /// The zone whose clocks count; the callee's without it.
    zone: Option<Zone>,
}

/// Why a text is no table of hours. Who wrote it repairs it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoursError {
    /// A word that is no day.
    #[error("{0:?} is no day: write mon, mon-fri, sat,sun, every-day, holiday or date 2026-12-24")]
    Day(String),
    /// Nothing is ever open.
    #[error("no day is named")]
    Empty,
    /// Hours that are none.
    #[error("{0:?} are no hours: write 09:00-18:00, several with commas, open or closed")]
    Hours(String),
    /// Hours over midnight.
    #[error("{0:?} ends before it begins: split hours over midnight, 22:00-24:00 and 00:00-02:00")]
    OverMidnight(String),
    /// Spans of one day that overlap.
    #[error("{0:?} has hours that overlap")]
    Overlap(String),
    /// The same day twice.
    #[error("{0:?} names a day a second time")]
    Repeated(String),
    /// More than anybody needs.
    #[error("more than {DATES_MAX} dates or {SPANS_MAX} spans a day")]
    TooMany,
    /// A calendar that is not known.
    #[error("calendar {0:?} is unknown")]
    UnknownCalendar(String),
    /// A zone that is not in the database.
    #[error("zone {0:?} is unknown, write a name of the IANA database as America/New_York")]
    Zone(String),
}

/// What hours say about a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Permitted, at least until then.
    Open {
        /// First moment that may no longer be.
        closes: Timestamp,
    },
    /// Not permitted before then.
    Closed {
        /// First moment that is; none within a year.
        opens: Option<Timestamp>,
    },
}

impl Hours {
    /// Reads a table; see [`Hours`] for its form.
    pub fn parse(text: &str) -> Result<Self, HoursError> {
        let mut hours = HoursReader::default();
        for row in text.split([';', '\n']).map(str::trim).filter(|row| !row.is_empty()) {
            if !hours.row(row)? {
                return Err(HoursError::Day(row.split_whitespace().next().unwrap_or(row).into()));
            }
        }
        hours.finish()
    }

    /// Refuses a table that names a calendar which `holidays` lacks.
    pub fn check_calendars(&self, holidays: &Holidays) -> Result<(), HoursError> {
        match self.calendars.iter().find(|name| holidays.calendar(name).is_none()) {
            Some(name) => Err(HoursError::UnknownCalendar(name.clone())),
            None => Ok(()),
        }
    }

    /// The zone whose clocks count; none where the callee's do.
    pub const fn zone(&self) -> Option<&Zone> {
        self.zone.as_ref()
    }

    /// What it says about `at` by the clocks of `zone`.
    pub fn look(&self, at: Timestamp, zone: &Zone, holidays: &Holidays) -> Look {
        let mut date = zone.local(at).date();
        for _ in 0..DAYS_AHEAD_MAX {
            for span in self.spans(date, holidays) {
                let opens = zone.bound(date, span.from, DayBound::Opens);
                let closes = zone.bound(date, span.to, DayBound::Closes);
                let (Some(opens), Some(closes)) = (opens, closes) else {
                    return Look::Closed { opens: None };
                };
                if closes <= at || closes <= opens {
                    continue;
                }
                return if opens <= at {
                    Look::Open { closes }
                } else {
                    Look::Closed { opens: Some(opens) }
                };
            }
            match date.tomorrow() {
                Ok(tomorrow) => date = tomorrow,
                Err(_) => break,
            }
        }
        Look::Closed { opens: None }
    }

    /// The holiday that rules on a local date, where one does.
    pub fn holiday<'a>(&self, date: Date, holidays: &'a Holidays) -> Option<&'a str> {
        self.holiday.as_ref()?;
        holidays.on(date, self.calendars.iter().map(String::as_str))
    }

    fn spans(&self, date: Date, holidays: &Holidays) -> &[Span] {
        if let Some(spans) = self.dates.get(&date) {
            return spans;
        }
        match &self.holiday {
            Some(spans) if self.holiday(date, holidays).is_some() => spans,
            _ => &self.days[day_index(date.weekday())],
        }
    }

    /// The rows that it is written as, one a line; reads back as the same table.
    fn rows(&self) -> Vec<String> {
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let mut rows = Vec::new();
        let mut from = 0;
        while from < names.len() {
            let same = self.days[from..].iter().take_while(|day| **day == self.days[from]).count();
            let days = match same {
                7 => "every-day".to_owned(),
                1 => names[from].to_owned(),
                same => format!("{}-{}", names[from], names[from + same - 1]),
            };
            rows.push(format!("{days} {}", written(&self.days[from])));
            from += same;
        }
        if let Some(spans) = &self.holiday {
            rows.push(format!("holiday {}", written(spans)));
        }
        if !self.calendars.is_empty() {
            rows.push(format!("holidays {}", self.calendars.join(" ")));
        }
        let dates = self.dates.iter();
        rows.extend(dates.map(|(date, spans)| format!("date {date} {}", written(spans))));
        if let Some(zone) = &self.zone {
            rows.push(format!("zone {zone}"));
        }
        rows
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rows().join("; "))
    }
}

/// A table that is being read, row by row.
#[derive(Debug, Default)]
pub(crate) struct HoursReader {
    hours: Hours,
    is_named: [bool; 7],
}

impl HoursReader {
    /// Takes a row in; false where it is none of a table of hours.
    pub(crate) fn row(&mut self, row: &str) -> Result<bool, HoursError> {
        let (key, rest) = row.split_once(char::is_whitespace).unwrap_or((row, ""));
        let (key, rest) = (key.to_ascii_lowercase(), rest.trim());
        match key.as_str() {
            "zone" => {
                let zone = Zone::named(rest).ok_or_else(|| HoursError::Zone(rest.into()))?;
                self.hours.zone = Some(zone);
            }
            "holidays" => {
                self.hours.calendars.extend(rest.split_whitespace().map(str::to_ascii_uppercase));
            }
            "holiday" => self.hours.holiday = Some(spans(rest)?),
            "date" => {
                let (date, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
                let parsed = date.parse().map_err(|_| HoursError::Day(date.into()))?;
                let rest = if rest.trim().is_empty() { "closed" } else { rest.trim() };
                if self.hours.dates.insert(parsed, spans(rest)?).is_some() {
                    return Err(HoursError::Repeated(row.into()));
                }
                if self.hours.dates.len() > DATES_MAX {
                    return Err(HoursError::TooMany);
                }
            }
            days => {
                let Some(days) = days_of(days) else {
                    return Ok(false);
                };
                let spans = spans(rest)?;
                for day in days {
                    if std::mem::replace(&mut self.is_named[day], true) {
                        return Err(HoursError::Repeated(row.into()));
                    }
                    self.hours.days[day].clone_from(&spans);
                }
            }
        }
        Ok(true)
    }

    /// Whether every day of the week has been named.
    pub(crate) fn names_all_days(&self) -> bool {
        self.is_named.iter().all(|named| *named)
    }

    /// The table, where it names a day at all.
    pub(crate) fn finish(self) -> Result<Hours, HoursError> {
        let names_none = !self.is_named.contains(&true) && self.hours.dates.is_empty();
        if names_none { Err(HoursError::Empty) } else { Ok(self.hours) }
    }
}

/// Numbers of the days that `mon-fri`, `sat,sun` or `every-day` names.
fn days_of(text: &str) -> Option<Vec<usize>> {
    if text == "every-day" {
        return Some((0..7).collect());
    }
    let mut days = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day_index(weekday_of(first)?), day_index(weekday_of(last)?));
        // `sat-mon` goes over the end of the week.
        let count = (last + 7 - first) % 7;
        days.extend((first..=first + count).map(|day| day % 7));
    }
    Some(days)
}

fn day_index(weekday: Weekday) -> usize {
    usize::try_from(weekday.to_monday_zero_offset()).unwrap_or(0)
}

fn spans(text: &str) -> Result<Vec<Span>, HoursError> {
    match text.to_ascii_lowercase().as_str() {
        "closed" => return Ok(Vec::new()),
        "open" => return Ok(vec![Span { from: 0, to: MINUTES_A_DAY }]),
        _ => {}
    }
    let mut spans = Vec::new();
    for part in text.split(',').map(str::trim) {
        let wrong = || HoursError::Hours(text.into());
        let (from, to) = part.split_once('-').ok_or_else(wrong)?;
        let from = minute(from).ok_or_else(wrong)?;
        let to = minute(to).ok_or_else(wrong)?;
        if to <= from {
            return Err(HoursError::OverMidnight(part.into()));
        }
        spans.push(Span { from, to });
    }
    if spans.len() > SPANS_MAX {
        return Err(HoursError::TooMany);
    }
    spans.sort_unstable();
    if spans.windows(2).any(|pair| pair[1].from < pair[0].to) {
        return Err(HoursError::Overlap(text.into()));
    }
    // Spans that touch are one: where a clock change is between them nothing must close.
    spans.dedup_by(|next, before| {
        let touch = before.to == next.from;
        if touch {
            before.to = next.to;
        }
        touch
    });
    Ok(spans)
}

/// `9:30`, `09:30`, `9` and `24:00` as minutes since midnight.
fn minute(text: &str) -> Option<u16> {
    let text = text.trim();
    let (hour, minute) = text.split_once(':').unwrap_or((text, "00"));
    let digits = |text: &str, least: usize| {
        let well_formed =
            (least..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        well_formed.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (hour, minute) = (digits(hour, 1)?, digits(minute, 2)?);
    let sum = hour * 60 + minute;
    (minute < 60 && sum <= MINUTES_A_DAY).then_some(sum)
}

fn written(spans: &[Span]) -> String {
    match spans {
        [] => "closed".to_owned(),
        [Span { from: 0, to: MINUTES_A_DAY }] => "open".to_owned(),
        spans => {
            let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
            let spans: Vec<String> = spans
                .iter()
                .map(|span| format!("{}-{}", clock(span.from), clock(span.to)))
                .collect();
            spans.join(",")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match Hours::parse(text) {
            Ok(hours) => hours.to_string(),
            Err(error) => format!("refused: {error}"),
        }
    }

    #[test]
    fn table_is_read_and_written_back() {
        let forms = [
            ("mon-fri 9-18", "mon-fri 09:00-18:00; sat-sun closed"),
            ("every-day open", "every-day open"),
            (
                "sat-mon 10:00-11:00,11:00-12:30",
                "mon 10:00-12:30; tue-fri closed; sat-sun 10:00-12:30",
            ),
            (
                "mon,wed 8:30-24:00\nholiday closed\nholidays us\ndate 2026-12-24\nzone europe/berlin",
                "mon 08:30-24:00; tue closed; wed 08:30-24:00; thu-sun closed; holiday closed; \
                 holidays US; date 2026-12-24 closed; zone Europe/Berlin",
            ),
        ];
        for (text, expected) in forms {
            assert_eq!(read(text), expected);
            assert_eq!(read(expected), expected);
        }
    }

    #[test]
    fn what_is_no_table_is_refused_with_the_way_to_write_it() {
        let refusals = [
            ("", "no day is named"),
            ("monday 9-18", "\"monday\" is no day"),
            ("mon 9-18; mon 8-9", "names a day a second time"),
            ("mon 22:00-02:00", "split hours over midnight"),
            ("mon 9:00-12:00,11:00-13:00", "overlap"),
            ("mon 9:60-12:00", "are no hours"),
            ("mon 9:00", "are no hours"),
            ("mon 9-25", "are no hours"),
            ("mon +9-12", "are no hours"),
            ("date 2026-02-30", "is no day"),
            ("mon 9-18; zone Mars", "zone \"Mars\" is unknown"),
        ];
        for (text, expected) in refusals {
            assert!(read(text).contains(expected), "{text}: {}", read(text));
        }
    }
}
