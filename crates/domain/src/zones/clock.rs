//! A zone's clock: what it shows at a moment, and the moments of a local day, clock changes included.

use std::fmt;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};

use crate::dated::{DataError, Row};
use crate::time::Timestamp;

/// A time zone of the IANA database, from the copy that is inside the program.
#[derive(Clone, PartialEq)]
pub struct Zone(TimeZone);

/// Which end of permitted hours a local time is.
///
/// Where a clock change makes a local time come twice, hours open at its last and close at its first
/// meaning; where it never comes, both mean the moment at which the clock jumps over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayBound {
    /// The moment until which is permitted.
    Closes,
    /// The moment from which is permitted.
    Opens,
}

impl Zone {
    /// Coordinated Universal Time.
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The zone of this IANA name, as `America/New_York`, in any case.
    pub fn named(name: &str) -> Option<Self> {
        // Never the machine's own database or TZ: every machine must agree.
        TimeZoneDatabase::bundled().get(name).ok().map(Self)
    }

    /// The zones of these names, of which there must be one at least, in a row of a table.
    pub(super) fn all_named<'a>(
        file: &str,
        row: Row<'_>,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<Self>, DataError> {
        let zones = names
            .map(|name| {
                let name = name.trim();
                let unknown = || row.wrong(file, format!("zone {name:?} is not in the database"));
                Self::named(name).ok_or_else(unknown)
            })
            .collect::<Result<Vec<_>, _>>()?;
        if zones.is_empty() { Err(row.wrong(file, "no zone is named")) } else { Ok(zones) }
    }

    /// Its name; `UTC` where it has none.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// The date and time that its clocks show at `at`.
    pub fn local(&self, at: Timestamp) -> DateTime {
        self.0.to_datetime(moment(at))
    }

    /// What its clocks show at `at`, for people: `Sat 2026-11-21 08:15 EST`.
    pub fn told(&self, at: Timestamp) -> String {
        let zoned = moment(at).to_zoned(self.0.clone());
        zoned.strftime("%a %Y-%m-%d %H:%M %Z").to_string()
    }

    /// The moment of a local time that bounds permitted hours; `minute` is 0 to 1440, 1440 being the
    /// end of the day. `None` beyond the calendar.
    pub fn bound(&self, date: Date, minute: u16, bound: DayBound) -> Option<Timestamp> {
        match minute {
            0 => self.day_begins(date),
            MINUTES_A_DAY => self.day_begins(date.tomorrow().ok()?),
            _ => {
                let (hour, minute) = (i8::try_from(minute / 60).ok()?, (minute % 60) as i8);
                let local = date.to_datetime(Time::new(hour, minute, 0, 0).ok()?);
                self.moment_of(local, bound)
            }
        }
    }

    /// The first moment of a local day. Where midnight comes twice, the first one: the days adjoin.
    pub fn day_begins(&self, date: Date) -> Option<Timestamp> {
        self.moment_of(date.to_datetime(Time::midnight()), DayBound::Closes)
    }

    fn moment_of(&self, local: DateTime, bound: DayBound) -> Option<Timestamp> {
        let offset = match self.0.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, after } => match bound {
                DayBound::Closes => before,
                DayBound::Opens => after,
            },
            AmbiguousOffset::Gap { after, .. } => {
                // By the clock of after the jump, the local time lies just before the jump.
                let before_jump = after.to_timestamp(local).ok()?;
                let jump = self.0.following(before_jump).next()?;
                return Some(Timestamp::from_millis(jump.timestamp().as_millisecond()));
            }
        };
        Some(Timestamp::from_millis(offset.to_timestamp(local).ok()?.as_millisecond()))
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Minutes of a day of 24 hours, the end of the day.
pub(crate) const MINUTES_A_DAY: u16 = 1_440;

/// The same moment as jiff has it; what lies outside of its 20,000 years is moved to their edge.
fn moment(at: Timestamp) -> jiff::Timestamp {
    jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or(if at.as_millis() < 0 {
        jiff::Timestamp::MIN
    } else {
        jiff::Timestamp::MAX
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn utc(zone: &str, date: Date, minute: u16, bound: DayBound) -> String {
        let at = Zone::named(zone).unwrap().bound(date, minute, bound).unwrap();
        Zone::utc().local(at).strftime("%d %H:%M").to_string()
    }

    #[test]
    fn opening_inside_the_gap_moves_forward_to_the_jump() {
        let spring = date(2026, 3, 8);
        for bound in [DayBound::Opens, DayBound::Closes] {
            assert_eq!(utc("America/New_York", spring, 150, bound), "08 07:00");
        }
        assert_eq!(utc("America/New_York", spring, 180, DayBound::Opens), "08 07:00");
        assert_eq!(utc("Australia/Lord_Howe", date(2026, 10, 4), 135, DayBound::Opens), "03 15:30");
    }

    #[test]
    fn hours_open_at_the_last_and_close_at_the_first_of_two_meanings() {
        let autumn = date(2026, 11, 1);
        assert_eq!(utc("America/New_York", autumn, 90, DayBound::Closes), "01 05:30");
        assert_eq!(utc("America/New_York", autumn, 90, DayBound::Opens), "01 06:30");
        assert_eq!(utc("America/New_York", autumn, 1_440, DayBound::Closes), "02 05:00");
    }

    #[test]
    fn days_adjoin_where_midnight_comes_twice_or_never() {
        // Havana sets its clocks back from 1:00 to 0:00, Cairo forward from 0:00 to 1:00.
        assert_eq!(utc("America/Havana", date(2026, 11, 1), 0, DayBound::Opens), "01 04:00");
        assert_eq!(utc("America/Havana", date(2026, 10, 31), 1_440, DayBound::Closes), "01 04:00");
        assert_eq!(utc("Africa/Cairo", date(2026, 4, 24), 0, DayBound::Opens), "23 22:00");
    }

    #[test]
    fn moments_beyond_the_calendar_have_no_bound_and_do_no_harm() {
        let zone = Zone::named("America/New_York").unwrap();
        assert_eq!(zone.bound(Date::MAX, 1_440, DayBound::Closes), None);
        assert_eq!(zone.local(Timestamp::from_millis(i64::MAX)).year(), 9999);
    }
}
