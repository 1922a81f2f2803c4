//! Files of rules: blocks of `hours`, `calendar` and `cap`, each with its rows.

use jiff::civil::Date;

use crate::applies::Applies;
use crate::caps::{Cap, CapReader};
use crate::dated::{self, DataError, Provenance, Row};
use crate::holidays::Calendar;

use super::{HoursReader, HoursRule, RuleBook, Standing};

/// Reads a file into a book.
///
/// A block begins with `hours NAME PLACE...`, `calendar NAME` or `cap NAME PLACE...`; its rows
/// follow. What all blocks may say: `about`, `source`, `from`, `until`.
pub(super) fn read_into(book: &mut RuleBook, file: &str, text: &str) -> Result<(), DataError> {
    let (provenance, rows) = dated::read(file, text)?;
    let mut rest = rows.as_slice();
    while let [head, after @ ..] = rest {
        let length = after.iter().take_while(|row| !is_head(row)).count();
        let (body, next) = after.split_at(length);
        let block = Block { file, head: *head, body, provenance: &provenance };
        match head.split().0 {
            "hours" => {
                let rule = block.hours(book)?;
                book.hours.retain(|known| known.name != rule.name);
                book.hours.push(rule);
            }
            "calendar" => book.holidays.add(block.calendar()?),
            "cap" => {
                let cap = block.cap()?;
                book.caps.retain(|known| known.name != cap.name);
                book.caps.push(cap);
            }
            word => {
                let problem = format!("{word:?} is outside of hours, calendar and cap");
                return Err(block.wrong(*head, problem));
            }
        }
        rest = next;
    }
    book.provenance.push(provenance);
    Ok(())
}

fn is_head(row: &Row<'_>) -> bool {
    matches!(row.split().0, "hours" | "calendar" | "cap")
}

/// A block of a file, from its head to the next one.
struct Block<'a> {
    file: &'a str,
    head: Row<'a>,
    body: &'a [Row<'a>],
    provenance: &'a Provenance,
}

/// What every block may say about itself.
#[derive(Default)]
struct Facts {
    about: String,
    from: Option<Date>,
    until: Option<Date>,
    provenance: Provenance,
}

impl<'a> Block<'a> {
    fn wrong(&self, row: Row<'_>, problem: impl ToString) -> DataError {
        row.wrong(self.file, problem)
    }

    /// Name of the block, and the places that follow it.
    fn name_and_places(&self) -> Result<(&'a str, Applies), DataError> {
        let mut words = self.head.text.split_whitespace().skip(1);
        let name = words.next().ok_or_else(|| self.wrong(self.head, "the block has no name"))?;
        let mut applies = Applies::default();
        for word in words {
            if word.contains('-') {
                let region = word.parse().map_err(|error| self.wrong(self.head, error))?;
                applies.regions.push(region);
            } else {
                let country = word.parse().map_err(|error| self.wrong(self.head, error))?;
                applies.countries.push(country);
            }
        }
        Ok((name, applies))
    }

    /// Takes a row in that every block may have; false where it is another.
    fn fact(&self, row: Row<'_>, facts: &mut Facts) -> Result<bool, DataError> {
        let (key, value) = row.split();
        let date = || {
            let not_a_date = |_| self.wrong(row, format!("{value:?} is no date as 2026-12-24"));
            value.parse::<Date>().map_err(not_a_date)
        };
        match key {
            "about" => facts.about = value.to_owned(),
            "from" => facts.from = Some(date()?),
            "until" => facts.until = Some(date()?),
            "source" => facts.provenance.source = value.to_owned(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn facts(&self) -> Result<Facts, DataError> {
        let mut facts = Facts { provenance: self.provenance.clone(), ..Facts::default() };
        if !self.provenance.valid_from.is_empty() {
            let date = self.provenance.valid_from.parse();
            facts.from = Some(date.map_err(|_| self.wrong(self.head, "valid_from: is no date"))?);
        }
        Ok(facts)
    }

    fn hours(&self, book: &RuleBook) -> Result<HoursRule, DataError> {
        let (name, applies) = self.name_and_places()?;
        if applies == Applies::default() {
            return Err(self.wrong(self.head, "hours hold somewhere: name countries or regions"));
        }
        let mut facts = self.facts()?;
        let mut standing = Standing::Law;
        let mut reader = HoursReader::default();
        for row in self.body {
            if self.fact(*row, &mut facts)? {
                continue;
            }
            match row.split() {
                ("standing", "law") => standing = Standing::Law,
                ("standing", "practice") => standing = Standing::Practice,
                _ => {
                    let is_known = reader.row(row.text).map_err(|error| self.wrong(*row, error))?;
                    if !is_known {
                        return Err(self.wrong(*row, format!("{:?} is not understood", row.text)));
                    }
                }
            }
        }
        if !reader.names_all_days() {
            return Err(self.wrong(self.head, "a rule names every day of the week"));
        }
        let hours = reader.finish().map_err(|error| self.wrong(self.head, error))?;
        hours.check_calendars(&book.holidays).map_err(|error| self.wrong(self.head, error))?;
        Ok(HoursRule {
            name: name.to_owned(),
            applies,
            standing,
            about: facts.about,
            hours,
            valid_from: facts.from,
            valid_until: facts.until,
            provenance: facts.provenance,
        })
    }

    fn calendar(&self) -> Result<Calendar, DataError> {
        let (_, name) = self.head.split();
        let is_word = !name.is_empty() && !name.contains(char::is_whitespace);
        if !is_word {
            return Err(self.wrong(self.head, "a calendar has one word for a name"));
        }
        let mut facts = self.facts()?;
        let mut days = Vec::new();
        for row in self.body {
            if !self.fact(*row, &mut facts)? {
                days.push(*row);
            }
        }
        let mut calendar = Calendar::new(name, &facts.about, facts.provenance);
        for row in days {
            calendar.read_holiday(self.file, row, row.text)?;
        }
        Ok(calendar)
    }

    fn cap(&self) -> Result<Cap, DataError> {
        let (name, applies) = self.name_and_places()?;
        let mut facts = self.facts()?;
        let mut reader = CapReader::default();
        for row in self.body {
            if !self.fact(*row, &mut facts)? {
                reader.row(row.text).map_err(|problem| self.wrong(*row, problem))?;
            }
        }
        let (limits, when_asked) =
            reader.finish().map_err(|problem| self.wrong(self.head, problem))?;
        let (about, provenance) = (facts.about, facts.provenance);
        Ok(Cap { name: name.to_owned(), applies, when_asked, about, limits, provenance })
    }
}
