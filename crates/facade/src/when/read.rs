//! Takes a moment in words apart: date, time, zone and intervals.

use jiff::civil::{Time, Weekday};
use jiff::tz::{Offset, TimeZone};

use super::{Day, Found, TEXT_MAX, Unit, WhenError, Which};
use crate::zone::{Zone, abbreviated, is_ambiguous};

/// A piece of the text, in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// Blanks and commas.
    Gap,
    /// Digits.
    Number(&'a str),
    /// Any other sign.
    Sign(char),
    /// Letters; with a slash inside, the name of a zone.
    Word(&'a str),
}

/// Takes `text` apart.
pub(super) fn read(text: &str) -> Result<Found, WhenError> {
    if text.chars().count() > TEXT_MAX {
        return Err(WhenError::TooLong);
    }
    let text = text.to_ascii_lowercase().replace("a.m.", "am").replace("p.m.", "pm");
    let mut reader = Reader { tokens: tokens(text.trim()), at: 0, found: Found::default() };
    if reader.tokens.iter().all(|token| *token == Token::Gap) {
        return Err(WhenError::Empty);
    }
    while let Some(token) = reader.next() {
        match token {
            Token::Gap => {}
            Token::Number(digits) => reader.number(digits)?,
            Token::Sign(sign @ ('+' | '-')) => reader.signed(sign)?,
            Token::Sign('@') => reader.unix_sign()?,
            Token::Sign(sign) => return Err(WhenError::Unknown(sign.into())),
            Token::Word(word) => reader.word(word)?,
        }
    }
    Ok(reader.found)
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '0'..='9' => run(rest, |sign| sign.is_ascii_digit()),
            'a'..='z' => word_len(rest),
            ' ' | ',' | '\t' | '\r' | '\n' => run(rest, |sign| " ,\t\r\n".contains(sign)),
            sign => sign.len_utf8(),
        };
        let (piece, after) = rest.split_at(len);
        match first {
            '0'..='9' => tokens.push(Token::Number(piece)),
            'a'..='z' => tokens.push(Token::Word(piece)),
            ' ' | ',' | '\t' | '\r' | '\n' => tokens.push(Token::Gap),
            // The full stop of an abbreviation, as in "oct. 14th".
            '.' if matches!(tokens.last(), Some(Token::Word(_))) => {}
            sign => tokens.push(Token::Sign(sign)),
        }
        rest = after;
    }
    tokens
}

/// Letters; and all of `america/port-au-prince`.
fn word_len(text: &str) -> usize {
    let letters = run(text, |sign| sign.is_ascii_lowercase() || sign == '_');
    let mut after = text[letters..].chars();
    if after.next() == Some('/') && after.next().is_some_and(|sign| sign.is_ascii_lowercase()) {
        run(text, |sign| sign.is_ascii_alphanumeric() || "_/+-".contains(sign))
    } else {
        letters
    }
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|sign| !belongs(sign)).unwrap_or(text.len())
}

struct Reader<'a> {
    tokens: Vec<Token<'a>>,
    at: usize,
    found: Found,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        let token = self.peek(0);
        self.at += 1;
        token
    }

    fn peek(&self, ahead: usize) -> Option<Token<'a>> {
        self.tokens.get(self.at + ahead).copied()
    }

    /// The next token that is no gap, and how far ahead it is.
    fn peek_past_gap(&self) -> (usize, Option<Token<'a>>) {
        let ahead = usize::from(self.peek(0) == Some(Token::Gap));
        (ahead, self.peek(ahead))
    }

    /// Takes the sign if it comes next.
    fn take_sign(&mut self, sign: char) -> bool {
        let comes = self.peek(0) == Some(Token::Sign(sign));
        self.at += usize::from(comes);
        comes
    }

    /// Takes the digits if they come next.
    fn take_number(&mut self) -> Option<&'a str> {
        let Some(Token::Number(digits)) = self.peek(0) else {
            return None;
        };
        self.at += 1;
        Some(digits)
    }

    /// Takes the word after an optional gap if `wanted` knows it.
    fn take_word<T>(&mut self, wanted: impl Fn(&str) -> Option<T>) -> Option<T> {
        let (ahead, Some(Token::Word(word))) = self.peek_past_gap() else {
            return None;
        };
        let meaning = wanted(word)?;
        self.at += ahead + 1;
        Some(meaning)
    }

    fn number(&mut self, digits: &'a str) -> Result<(), WhenError> {
        match self.peek(0) {
            Some(Token::Sign(':')) => return self.clock(digits),
            Some(Token::Sign(sign @ ('-' | '/' | '.'))) => return self.date(digits, sign),
            _ => {}
        }
        if let Some(half) = self.take_word(half_of_day) {
            return self.set_time(digits, "0", "0", Some(half));
        }
        if let Some(unit) = self.take_word(unit) {
            return self.interval(1, digits, unit);
        }
        let ordinal = self.take_ordinal();
        self.take_word(|word| (word == "of").then_some(()));
        if let Some(month) = self.take_word(month) {
            let year = self.take_year();
            return self.set_calendar(year, month, digits);
        }
        match digits.len() {
            4 if !ordinal && self.lacks_year() => self.add_year(digits),
            8 if !ordinal => self.compact_date(digits),
            9..=11 if !ordinal && self.tokens.len() == 1 => self.set_unix(digits),
            _ => Err(unclear(digits, "is it a day, a year or a time?")),
        }
    }

    /// `14th`, with the ordinal's letters right after the digits.
    fn take_ordinal(&mut self) -> bool {
        let ordinal = matches!(self.peek(0), Some(Token::Word("st" | "nd" | "rd" | "th")));
        self.at += usize::from(ordinal);
        ordinal
    }

    /// A year of four digits that is not the hour of a time without colon.
    fn take_year(&mut self) -> Option<&'a str> {
        let ahead = usize::from(matches!(self.peek(0), Some(Token::Gap | Token::Sign('-'))));
        let Some(Token::Number(digits)) = self.peek(ahead) else {
            return None;
        };
        let is_year = digits.len() == 4 && self.peek(ahead + 1) != Some(Token::Sign(':'));
        if is_year {
            self.at += ahead + 1;
        }
        is_year.then_some(digits)
    }

    /// `23:05`, `23:05:10.250`, `11:05 pm`.
    fn clock(&mut self, hour: &str) -> Result<(), WhenError> {
        self.at += 1;
        let minute = self.take_number().unwrap_or_default();
        let mut second = "0";
        if self.take_sign(':') {
            second = self.take_number().unwrap_or_default();
            if self.take_sign('.') {
                // Parts of a second decide nothing in a dial queue.
                self.take_number();
            }
        }
        if minute.len() != 2 || !(second == "0" || second.len() == 2) {
            return Err(WhenError::NoSuch(format!("{hour}:{minute}")));
        }
        let half = self.take_word(half_of_day);
        self.set_time(hour, minute, second, half)
    }

    /// `2011-10-14`, `2011/10/14`, `10/14/2011`, `10/14`, `14-10-2011`, `14.10.2011`, `14-oct-2011`.
    fn date(&mut self, first: &'a str, sign: char) -> Result<(), WhenError> {
        self.at += 1;
        if let Some(month) = self.take_word(month) {
            let year = self.take_year();
            return self.set_calendar(year, month, first);
        }
        let second = self.take_number().unwrap_or_default();
        let third = self.take_sign(sign).then(|| self.take_number()).flatten();
        let written = format!("{first}{sign}{second}{sign}{}", third.unwrap_or_default());
        let (year, month, day) = match (first.len(), sign, third) {
            (4, '-' | '/', Some(third)) => (Some(first), second, third),
            (1 | 2, '/', third) => (third, first, second),
            (1 | 2, _, Some(third)) => (Some(third), second, first),
            _ => return Err(unclear(&written, "write a date as 2011-10-14")),
        };
        if year.is_some_and(|year| year.len() != 4) {
            return Err(unclear(&written, "write the year with four digits"));
        }
        let month: i8 = month.parse().unwrap_or(0);
        self.set_calendar(year, month, day)
    }

    fn compact_date(&mut self, digits: &str) -> Result<(), WhenError> {
        let month: i8 = digits[4..6].parse().unwrap_or(0);
        self.set_calendar(Some(&digits[..4]), month, &digits[6..])
    }

    /// A signed number: an interval, or an offset from UTC after a time.
    fn signed(&mut self, sign: char) -> Result<(), WhenError> {
        let signed = sign_of(sign);
        self.at += usize::from(self.peek(0) == Some(Token::Gap));
        let Some(digits) = self.take_number() else {
            return Err(WhenError::Unknown(sign.into()));
        };
        if self.peek(0) != Some(Token::Sign(':'))
            && let Some(unit) = self.take_word(unit)
        {
            return self.interval(signed, digits, unit);
        }
        if self.found.time.is_none() {
            return Err(unclear(digits, "write a unit, as in +3 days"));
        }
        let offset = self.offset(signed, digits)?;
        self.set_zone(TimeZone::fixed(offset))
    }

    /// `0400`, `04`, `04:00`, `4`, after its sign.
    fn offset(&mut self, sign: i32, digits: &'a str) -> Result<Offset, WhenError> {
        let (hours, minutes) = match digits.len() {
            1 | 2 if self.take_sign(':') => (digits, self.take_number().unwrap_or_default()),
            1 | 2 => (digits, "0"),
            4 => digits.split_at(2),
            _ => ("", ""),
        };
        let no_such = || WhenError::NoSuch(format!("offset {digits}"));
        let hours: i32 = hours.parse().map_err(|_| no_such())?;
        let minutes: i32 = minutes.parse().map_err(|_| no_such())?;
        if hours > 14 || minutes > 59 {
            return Err(no_such());
        }
        Offset::from_seconds(sign * (hours * 3_600 + minutes * 60)).map_err(|_| no_such())
    }

    fn unix_sign(&mut self) -> Result<(), WhenError> {
        match (self.take_number(), self.tokens.len()) {
            (Some(digits), 2) => self.set_unix(digits),
            _ => Err(unclear("@", "write @ and seconds since 1970, and nothing else")),
        }
    }

    fn set_unix(&mut self, digits: &str) -> Result<(), WhenError> {
        self.found.unix = Some(digits.parse().map_err(|_| WhenError::OutOfRange)?);
        Ok(())
    }

    fn word(&mut self, word: &'a str) -> Result<(), WhenError> {
        match word {
            "at" | "from" | "in" | "now" | "on" | "the" => Ok(()),
            // The T of 2011-10-14T23:05.
            "t" if self.found.day.is_some() && matches!(self.peek(0), Some(Token::Number(_))) => {
                Ok(())
            }
            "today" => self.set_day(Day::FromToday(0)),
            "tomorrow" => self.set_day(Day::FromToday(1)),
            "yesterday" => self.set_day(Day::FromToday(-1)),
            "midnight" => self.set_time("0", "0", "0", None),
            "noon" => self.set_time("12", "0", "0", None),
            "next" => self.following(word, 1, Which::Next),
            "this" => self.following(word, 0, Which::Coming),
            "last" => self.following(word, -1, Which::Last),
            "ago" => self.negate(),
            _ => self.named(word),
        }
    }

    /// `next monday`, `next week`.
    fn following(&mut self, word: &str, count: i64, which: Which) -> Result<(), WhenError> {
        if let Some(weekday) = self.take_word(weekday) {
            return self.set_weekday(weekday, which);
        }
        match self.take_word(unit) {
            Some(unit) => {
                self.found.intervals.push((count, unit.0));
                Ok(())
            }
            None => Err(unclear(word, "write a day of the week or a unit after it")),
        }
    }

    /// A month, a day of the week, or a zone.
    fn named(&mut self, word: &'a str) -> Result<(), WhenError> {
        if let Some(month) = month(word) {
            self.at += usize::from(matches!(self.peek(0), Some(Token::Gap | Token::Sign('-'))));
            self.take_word(|word| (word == "the").then_some(()));
            self.at += usize::from(self.peek(0) == Some(Token::Gap));
            let day = match self.take_number() {
                Some(day) if day.len() <= 2 && self.peek(0) != Some(Token::Sign(':')) => day,
                _ => return Err(unclear(word, "write the day after the month, as in oct 14th")),
            };
            self.take_ordinal();
            let year = self.take_year();
            return self.set_calendar(year, month, day);
        }
        if let Some(weekday) = weekday(word) {
            return self.set_weekday(weekday, Which::Coming);
        }
        if let ("gmt" | "utc", Some(Token::Sign(sign @ ('+' | '-'))), Some(Token::Number(digits))) =
            (word, self.peek(0), self.peek(1))
            && self.peek(2).is_none_or(|after| !matches!(after, Token::Word(_)))
        {
            self.at += 2;
            let offset = self.offset(sign_of(sign), digits)?;
            return self.set_zone(TimeZone::fixed(offset));
        }
        match abbreviated(word).or_else(|| Zone::named(word).map(|zone| zone.0)) {
            Some(zone) => self.set_zone(zone),
            None if is_ambiguous(word) => Err(WhenError::AmbiguousZone(word.into())),
            None => Err(WhenError::Unknown(word.into())),
        }
    }

    fn interval(&mut self, sign: i32, digits: &str, unit: (Unit, i64)) -> Result<(), WhenError> {
        let count: u32 = digits.parse().map_err(|_| WhenError::OutOfRange)?;
        let count = i64::from(sign) * i64::from(count) * unit.1;
        self.found.intervals.push((count, unit.0));
        Ok(())
    }

    fn negate(&mut self) -> Result<(), WhenError> {
        if self.found.intervals.is_empty() {
            return Err(unclear("ago", "write an interval before it"));
        }
        for interval in &mut self.found.intervals {
            interval.0 = -interval.0;
        }
        Ok(())
    }

    fn set_time(
        &mut self,
        hour: &str,
        minute: &str,
        second: &str,
        half: Option<Half>,
    ) -> Result<(), WhenError> {
        let no_such = || WhenError::NoSuch(format!("{hour}:{minute}"));
        let hour: i8 = hour.parse().map_err(|_| no_such())?;
        let hour = match (half, hour) {
            (None, hour) => hour,
            (Some(Half::Morning), 12) => 0,
            (Some(Half::Afternoon), 12) => 12,
            (Some(Half::Morning), 1..=11) => hour,
            (Some(Half::Afternoon), 1..=11) => hour + 12,
            (Some(_), _) => return Err(no_such()),
        };
        let minute: i8 = minute.parse().map_err(|_| no_such())?;
        let second: i8 = second.parse().map_err(|_| no_such())?;
        let time = Time::new(hour, minute, second, 0).map_err(|_| no_such())?;
        once(&mut self.found.time, time, "time")
    }

    fn set_zone(&mut self, zone: TimeZone) -> Result<(), WhenError> {
        once(&mut self.found.zone, zone, "zone")
    }

    fn set_weekday(&mut self, weekday: Weekday, which: Which) -> Result<(), WhenError> {
        once(&mut self.found.weekday, (weekday, which), "day of the week")
    }

    fn set_day(&mut self, day: Day) -> Result<(), WhenError> {
        once(&mut self.found.day, day, "date")
    }

    fn set_calendar(&mut self, year: Option<&str>, month: i8, day: &str) -> Result<(), WhenError> {
        let no_such = || WhenError::NoSuch(format!("day {day} of month {month}"));
        let year = match year {
            Some(year) => Some(year.parse().map_err(|_| WhenError::OutOfRange)?),
            None => None,
        };
        let day: i8 = day.parse().map_err(|_| no_such())?;
        if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(no_such());
        }
        self.set_day(Day::Calendar { year, month, day })
    }

    fn lacks_year(&self) -> bool {
        matches!(self.found.day, Some(Day::Calendar { year: None, .. }))
    }

    /// The year of `Wed Oct 12 23:05:00 EDT 2011`.
    fn add_year(&mut self, digits: &str) -> Result<(), WhenError> {
        if let Some(Day::Calendar { year, .. }) = &mut self.found.day {
            *year = Some(digits.parse().map_err(|_| WhenError::OutOfRange)?);
        }
        Ok(())
    }
}

const fn sign_of(sign: char) -> i32 {
    if sign == '-' { -1 } else { 1 }
}

fn once<T>(slot: &mut Option<T>, value: T, what: &'static str) -> Result<(), WhenError> {
    match slot.replace(value) {
        Some(_) => Err(WhenError::Repeated(what)),
        None => Ok(()),
    }
}

fn unclear(text: &str, hint: &'static str) -> WhenError {
    WhenError::Unclear { text: text.into(), hint }
}

#[derive(Clone, Copy, Debug)]
enum Half {
    Afternoon,
    Morning,
}

fn half_of_day(word: &str) -> Option<Half> {
    match word {
        "am" => Some(Half::Morning),
        "pm" => Some(Half::Afternoon),
        _ => None,
    }
}

fn unit(word: &str) -> Option<(Unit, i64)> {
    Some(match word {
        "s" | "sec" | "secs" | "second" | "seconds" => (Unit::Second, 1),
        "min" | "mins" | "minute" | "minutes" => (Unit::Minute, 1),
        "h" | "hour" | "hours" | "hr" | "hrs" => (Unit::Hour, 1),
        "d" | "day" | "days" => (Unit::Day, 1),
        "week" | "weeks" => (Unit::Week, 1),
        "fortnight" | "fortnights" => (Unit::Week, 2),
        "month" | "months" => (Unit::Month, 1),
        "year" | "years" => (Unit::Year, 1),
        _ => return None,
    })
}

fn month(word: &str) -> Option<i8> {
    Some(match word {
        "jan" | "january" => 1,
        "feb" | "february" => 2,
        "mar" | "march" => 3,
        "apr" | "april" => 4,
        "may" => 5,
        "jun" | "june" => 6,
        "jul" | "july" => 7,
        "aug" | "august" => 8,
        "sep" | "sept" | "september" => 9,
        "oct" | "october" => 10,
        "nov" | "november" => 11,
        "dec" | "december" => 12,
        _ => return None,
    })
}

fn weekday(word: &str) -> Option<Weekday> {
    Some(match word {
        "mon" | "monday" => Weekday::Monday,
        "tue" | "tues" | "tuesday" => Weekday::Tuesday,
        "wed" | "weds" | "wednesday" => Weekday::Wednesday,
        "thu" | "thur" | "thurs" | "thursday" => Weekday::Thursday,
        "fri" | "friday" => Weekday::Friday,
        "sat" | "saturday" => Weekday::Saturday,
        "sun" | "sunday" => Weekday::Sunday,
        _ => return None,
    })
}
