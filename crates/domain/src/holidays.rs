//! Holidays as rules of the calendar: fixed days, nth weekdays, days around Easter, days observed.

use std::collections::BTreeMap;

use jiff::civil::{Date, Weekday};
use jiff::{Span, ToSpan};

use crate::dated::{DataError, Provenance, Row};

/// Which day of a year a holiday is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    /// `easter-2`: so many days from Easter Sunday of the western churches.
    Easter(i16),
    /// `jul 4`.
    Fixed { month: i8, day: i8 },
    /// `3rd mon jan`, `last mon may`; the nth is negative from the end.
    Nth { nth: i8, weekday: Weekday, month: i8 },
    /// `mon before may 25`, `tue after nov 1`: the next such weekday, that day itself left out.
    Beside { weekday: Weekday, is_after: bool, month: i8, day: i8 },
}

/// On which day a holiday is observed that falls on a weekend. The day itself stays a holiday too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Observed {
    /// Nowhere else.
    AsItFalls,
    /// Sunday on Monday.
    Monday,
    /// Saturday on Friday, Sunday on Monday.
    Nearest,
    /// Saturday and Sunday on Monday, and where that is one already on the day after.
    Substitute,
}

/// A day that comes every year.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holiday {
    name: String,
    day: Day,
    observed: Observed,
    /// First year in which it is one.
    since: i16,
}

/// The holidays of one country or region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    name: String,
    about: String,
    provenance: Provenance,
    holidays: Vec<Holiday>,
}

/// Calendars by name: `US`, `US-AL`.
#[derive(Clone, Debug, Default)]
pub struct Holidays(BTreeMap<String, Calendar>);

impl Holidays {
    /// The holiday that `date` is in any of `calendars`, its own day or the one it is observed on.
    pub fn on<'a>(&self, date: Date, calendars: impl IntoIterator<Item = &'a str>) -> Option<&str> {
        calendars.into_iter().find_map(|name| self.0.get(name)?.on(date))
    }

    /// The calendar of this name.
    pub fn calendar(&self, name: &str) -> Option<&Calendar> {
        self.0.get(name)
    }

    /// All calendars by name.
    pub fn calendars(&self) -> impl Iterator<Item = &Calendar> {
        self.0.values()
    }

    /// Takes a calendar in; one of the same name is replaced.
    pub(crate) fn add(&mut self, calendar: Calendar) {
        self.0.insert(calendar.name.clone(), calendar);
    }
}

impl Calendar {
    pub(crate) fn new(name: &str, about: &str, provenance: Provenance) -> Self {
        Self { name: name.into(), about: about.into(), provenance, holidays: Vec::new() }
    }

    /// Its name, as rules write it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose holidays it has.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Where it comes from.
    pub const fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// All days of a year's holidays, in order, observed days too; those of New Year's Day and
    /// Christmas may lie in the year beside it.
    pub fn year(&self, year: i16) -> Vec<(Date, &str)> {
        let own = |holiday: &Holiday| holiday.in_year(year);
        let mut days: Vec<(Date, &str)> = self
            .holidays
            .iter()
            .filter_map(|holiday| Some((own(holiday)?, &*holiday.name)))
            .collect();
        days.sort_unstable();
        let mut observed: Vec<(Date, &str)> = Vec::new();
        for (day, name) in &days {
            let Some(holiday) = self.holidays.iter().find(|holiday| holiday.name == *name) else {
                continue;
            };
            let Some(mut on) = holiday.observed_on(*day) else {
                continue;
            };
            if holiday.observed == Observed::Substitute {
                // Not on a day that is a holiday anyhow, or that an earlier one is observed on.
                let is_taken = |on: Date| days.iter().chain(&observed).any(|taken| taken.0 == on);
                while is_taken(on) {
                    match on.tomorrow() {
                        Ok(tomorrow) => on = tomorrow,
                        Err(_) => break,
                    }
                }
            }
            observed.push((on, name));
        }
        days.extend(observed);
        days.sort_unstable();
        days.dedup();
        days
    }

    /// The holiday that `date` is.
    pub fn on(&self, date: Date) -> Option<&str> {
        // New Year's Day that is a Saturday is observed in the year before.
        let next = (date.month() == 12).then(|| date.year().saturating_add(1));
        [Some(date.year()), next].into_iter().flatten().find_map(|year| {
            let found = |holiday: &&Holiday| holiday.is_on(date, year);
            if let Some(holiday) = self.holidays.iter().find(found) {
                return Some(&*holiday.name);
            }
            // What takes the place of another depends on all days of the year; few calendars ask.
            let may_move = |holiday: &Holiday| holiday.observed == Observed::Substitute;
            if !self.holidays.iter().any(may_move) {
                return None;
            }
            self.year(year).into_iter().find(|(day, _)| *day == date).map(|(_, name)| name)
        })
    }

    /// Reads `independence-day jul 4 observed nearest since 1870`.
    pub(crate) fn read_holiday(
        &mut self,
        file: &str,
        row: Row<'_>,
        text: &str,
    ) -> Result<(), DataError> {
        let wrong = |problem: &str| row.wrong(file, format!("{problem} in {text:?}"));
        let lower = text.to_ascii_lowercase();
        let mut words: Vec<&str> = lower.split_whitespace().collect();
        let name = words.first().copied().ok_or_else(|| wrong("no name"))?.replace('-', " ");
        words.remove(0);
        let mut holiday =
            Holiday { name, day: Day::Easter(0), observed: Observed::AsItFalls, since: i16::MIN };
        while let [.., key @ ("observed" | "since"), value] = *words.as_slice() {
            match (key, value) {
                ("observed", "monday") => holiday.observed = Observed::Monday,
                ("observed", "nearest") => holiday.observed = Observed::Nearest,
                ("observed", "substitute") => holiday.observed = Observed::Substitute,
                ("since", year) => {
                    holiday.since = year.parse().map_err(|_| wrong("since is not a year"))?;
                }
                _ => return Err(wrong("observed is none of monday, nearest, substitute")),
            }
            words.truncate(words.len() - 2);
        }
        holiday.day = day(&words).ok_or_else(|| {
            wrong("expected a day as `jul 4`, `3rd mon jan`, `mon before may 25` or `easter-2`")
        })?;
        self.holidays.push(holiday);
        Ok(())
    }
}

impl Holiday {
    /// Its own day in a year.
    fn in_year(&self, year: i16) -> Option<Date> {
        if year < self.since { None } else { self.day.in_year(year) }
    }

    /// The other day on which it is observed where its own is a weekend's.
    fn observed_on(&self, day: Date) -> Option<Date> {
        let shift = match (self.observed, day.weekday()) {
            (Observed::Nearest, Weekday::Saturday) => -1,
            (Observed::Monday | Observed::Nearest | Observed::Substitute, Weekday::Sunday) => 1,
            (Observed::Substitute, Weekday::Saturday) => 2,
            _ => return None,
        };
        day.checked_add(shift.days()).ok()
    }

    /// Whether it is on `date`, by itself or observed; what depends on other days is left out.
    fn is_on(&self, date: Date, year: i16) -> bool {
        self.in_year(year).is_some_and(|day| {
            day == date
                || self.observed != Observed::Substitute && self.observed_on(day) == Some(date)
        })
    }
}

impl Day {
    fn in_year(self, year: i16) -> Option<Date> {
        match self {
            Self::Easter(days) => easter(year)?.checked_add(Span::new().days(days)).ok(),
            Self::Fixed { month, day } => Date::new(year, month, day).ok(),
            Self::Nth { nth, weekday, month } => {
                Date::new(year, month, 1).ok()?.nth_weekday_of_month(nth, weekday).ok()
            }
            Self::Beside { weekday, is_after, month, day } => {
                let nth = if is_after { 1 } else { -1 };
                Date::new(year, month, day).ok()?.nth_weekday(nth, weekday).ok()
            }
        }
    }
}

fn day(words: &[&str]) -> Option<Day> {
    match *words {
        [easter] => {
            let days = easter.strip_prefix("easter")?;
            let days = if days.is_empty() { 0 } else { days.parse().ok()? };
            (-366..=366).contains(&days).then_some(Day::Easter(days))
        }
        [month, day] => {
            let (month, day) = month_and_day(month, day)?;
            Some(Day::Fixed { month, day })
        }
        [nth, weekday, month] => {
            let nth = match nth {
                "1st" => 1,
                "2nd" => 2,
                "3rd" => 3,
                "4th" => 4,
                "last" => -1,
                _ => return None,
            };
            Some(Day::Nth { nth, weekday: weekday_of(weekday)?, month: month_of(month)? })
        }
        [weekday, side @ ("after" | "before"), month, day] => {
            let (month, day) = month_and_day(month, day)?;
            Some(Day::Beside {
                weekday: weekday_of(weekday)?,
                is_after: side == "after",
                month,
                day,
            })
        }
        _ => None,
    }
}

fn month_and_day(month: &str, day: &str) -> Option<(i8, i8)> {
    let (month, day) = (month_of(month)?, day.parse().ok()?);
    // In a leap year, so that the 29th of February may be one.
    Date::new(2024, month, day).ok().map(|_| (month, day))
}

fn month_of(word: &str) -> Option<i8> {
    let months =
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    (1i8..).zip(months).find(|(_, name)| *name == word).map(|(month, _)| month)
}

/// The day of the week of these three letters.
pub(crate) fn weekday_of(word: &str) -> Option<Weekday> {
    Some(match word {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// Easter Sunday of the western churches in a year of the Gregorian calendar.
///
/// The golden number gives the moon, the century corrects it (Butcher's rule; Meeus,
/// Astronomical Algorithms, chapter 8).
fn easter(year: i16) -> Option<Date> {
    let year = i32::from(year);
    let golden = year.rem_euclid(19);
    let (century, of_century) = (year.div_euclid(100), year.rem_euclid(100));
    let moon_shift = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - moon_shift + 15).rem_euclid(30);
    let to_sunday =
        (32 + 2 * (century % 4) + 2 * (of_century / 4) - epact - of_century % 4).rem_euclid(7);
    let late = (golden + 11 * epact + 22 * to_sunday) / 451;
    let days = epact + to_sunday - 7 * late + 114;
    let (month, day) = (i8::try_from(days / 31).ok()?, i8::try_from(days % 31 + 1).ok()?);
    Date::new(i16::try_from(year).ok()?, month, day).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn calendar(rows: &[&str]) -> Result<Calendar, DataError> {
        let mut calendar = Calendar::new("XX", "a test", Provenance::default());
        for (nth, text) in rows.iter().enumerate() {
            calendar.read_holiday("test", Row { line: nth + 1, text }, text)?;
        }
        Ok(calendar)
    }

    fn days(row: &str, year: i16) -> Vec<String> {
        let days = calendar(&[row]).unwrap();
        days.year(year).iter().map(|(day, _)| day.strftime("%a %m-%d").to_string()).collect()
    }

    #[test]
    fn easter_is_on_the_sundays_of_the_almanac() {
        let known = [
            (1818, 3, 22),
            (1943, 4, 25),
            (2000, 4, 23),
            (2024, 3, 31),
            (2025, 4, 20),
            (2026, 4, 5),
            (2027, 3, 28),
            (2038, 4, 25),
        ];
        for (year, month, day) in known {
            assert_eq!(easter(year), Some(date(year, month, day)));
        }
        assert!((1583..=4_000).all(|year| easter(year).unwrap().weekday() == Weekday::Sunday));
    }

    #[test]
    fn moving_days_are_computed() {
        assert_eq!(days("thanksgiving 4th thu nov", 2026), ["Thu 11-26"]);
        assert_eq!(days("memorial-day last mon may", 2026), ["Mon 05-25"]);
        assert_eq!(days("victoria-day mon before may 25", 2026), ["Mon 05-18"]);
        assert_eq!(days("election-day tue after nov 1", 2026), ["Tue 11-03"]);
        assert_eq!(days("good-friday easter-2", 2026), ["Fri 04-03"]);
        assert_eq!(days("leap-day feb 29", 2027), [""; 0]);
    }

    #[test]
    fn holiday_on_a_weekend_is_observed_beside_it_and_stays_one_itself() {
        assert_eq!(
            days("independence-day jul 4 observed nearest", 2026),
            ["Fri 07-03", "Sat 07-04"]
        );
        assert_eq!(days("independence-day jul 4 observed monday", 2026), ["Sat 07-04"]);
        assert_eq!(days("a jul 5 observed monday", 2026), ["Sun 07-05", "Mon 07-06"]);
        assert_eq!(days("boxing-day dec 26 observed substitute", 2026), ["Sat 12-26", "Mon 12-28"]);
    }

    #[test]
    fn substitute_is_the_first_day_that_is_no_holiday_itself() {
        let calendar = calendar(&[
            "boxing-day dec 26 observed substitute",
            "christmas dec 25 observed substitute",
        ])
        .unwrap();
        let days = |year| {
            let days = calendar.year(year).into_iter();
            days.map(|(day, name)| format!("{} {name}", day.strftime("%a %d"))).collect::<Vec<_>>()
        };
        assert_eq!(
            days(2021),
            ["Sat 25 christmas", "Sun 26 boxing day", "Mon 27 christmas", "Tue 28 boxing day"]
        );
        assert_eq!(days(2022), ["Sun 25 christmas", "Mon 26 boxing day", "Tue 27 christmas"]);
        assert_eq!(days(2023), ["Mon 25 christmas", "Tue 26 boxing day"]);
        assert_eq!(calendar.on(date(2022, 12, 27)), Some("christmas"));
        assert_eq!(calendar.on(date(2022, 12, 28)), None);
    }

    #[test]
    fn calendars_that_are_shipped_have_the_days_of_the_almanac() {
        let holidays = crate::calling_hours::RuleBook::built_in().holidays();
        let days = |name: &str, year| {
            let days = holidays.calendar(name).unwrap().year(year).into_iter();
            days.map(|(day, _)| day.strftime("%m-%d").to_string()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            days("US", 2026),
            "01-01 01-19 02-16 05-25 06-19 07-03 07-04 09-07 10-12 11-11 11-26 12-25"
        );
        assert_eq!(days("GB", 2022), "01-01 01-03 04-15 04-18 05-02 05-30 08-29 12-25 12-26 12-27");
        assert_eq!(days("DE", 2026), "01-01 04-03 04-06 05-01 05-14 05-25 10-03 12-25 12-26");
        assert_eq!(
            days("FR", 2027),
            "01-01 03-29 05-01 05-06 05-08 05-17 07-14 08-15 11-01 11-11 12-25"
        );
        assert_eq!(
            days("CA", 2026),
            "01-01 04-03 05-18 07-01 09-07 09-30 10-12 11-11 12-25 12-26 12-28"
        );
        assert_eq!(days("AU", 2026), "01-01 01-26 04-03 04-06 04-25 12-25 12-26 12-28");
    }

    #[test]
    fn new_year_on_a_saturday_is_observed_in_the_old_year() {
        let calendar = calendar(&["new-years-day jan 1 observed nearest"]).unwrap();
        assert_eq!(calendar.on(date(2027, 12, 31)), Some("new years day"));
        assert_eq!(calendar.on(date(2026, 12, 31)), None);
    }

    #[test]
    fn holiday_is_none_before_its_first_year() {
        let calendar = calendar(&["juneteenth jun 19 since 2021"]).unwrap();
        let on = [2020, 2021].map(|year| calendar.on(date(year, 6, 19)));
        assert_eq!(on, [None, Some("juneteenth")]);
    }

    #[test]
    fn what_is_no_day_is_refused_with_the_forms_that_are() {
        for row in [
            "x",
            "x jul 32",
            "x 5th mon may",
            "x easter+a",
            "x jul 4 since x",
            "x jul 4 observed y",
        ] {
            assert!(calendar(&[row]).is_err(), "{row}");
        }
    }
}
