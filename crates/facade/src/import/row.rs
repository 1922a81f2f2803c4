//! One row: a contact, or all that is wrong with it.

use std::io;

use domain::contact::{NewContact, TEXT_MAX};
use domain::number::canonical::Canonical;
use domain::number::{Destination, DestinationError};
use domain::region::Country;
use domain::terms::{Priority, VariableError};
use domain::zones::Zone;

use super::column::{Column, Field};
use super::fault::{CellFault, Fault};
use super::seen::{Seen, What};
use super::{ImportOptions, ImportRow, ROW_BYTES_MAX};

/// Fewest digits of a number: short codes have three.
const DIGITS_MIN: usize = 3;
/// What a number looks like.
const NUMBER: &str = "a number such as +12125550101";

/// Reads rows, and remembers which numbers and references came before.
#[derive(Debug)]
pub(super) struct RowReader {
    columns: Vec<Column>,
    keep_duplicates: bool,
    home: Option<Country>,
    seen: Seen,
}

impl RowReader {
    pub(super) fn new(columns: Vec<Column>, options: &ImportOptions, seen: Seen) -> Self {
        let keep_duplicates = options.keep_duplicates || options.numbers_only;
        Self { columns, keep_duplicates, home: options.home, seen }
    }

    /// A row that is cut off.
    pub(super) fn too_long(&self, line: u64, cells: Vec<String>) -> ImportRow {
        let expected = format!("a row of at most {ROW_BYTES_MAX} bytes and 256 cells");
        let found = cells.first().map_or("", String::as_str);
        let faults = vec![CellFault::new(Fault::RowTooLong, "", found, expected)];
        ImportRow::Rejected { line, faults, cells }
    }

    /// Reads a row; fails where what was seen before cannot be kept.
    pub(super) fn read(&mut self, line: u64, cells: Vec<String>) -> io::Result<ImportRow> {
        let mut faults = Vec::new();
        let contact = self.contact(&cells, &mut faults);
        if let Some(contact) = &contact
            && faults.is_empty()
        {
            self.seen_before(line, contact, &mut faults)?;
        }
        Ok(match contact {
            Some(contact) if faults.is_empty() => ImportRow::Contact { line, contact, cells },
            _ => ImportRow::Rejected { line, faults, cells },
        })
    }

    fn contact(&self, cells: &[String], faults: &mut Vec<CellFault>) -> Option<NewContact> {
        if let Some(extra) = cells.get(self.columns.len()..).filter(|extra| {
            // Some programs end every row with delimiters.
            extra.iter().any(|cell| !cell.trim().is_empty())
        }) {
            let expected = format!("the {} cells that the file has columns", self.columns.len());
            faults.push(CellFault::new(Fault::ExtraCells, "", &extra.join(" "), expected));
        }
        let at = self.columns.iter().position(|column| column.field == Field::Number)?;
        let cell = cells.get(at).map_or("", String::as_str);
        let destination = number(&self.columns[at].name, cell).map_err(|f| faults.push(f)).ok();
        // Without a number, a stand-in, so that the row's other mistakes are found as well.
        let mut contact = NewContact::new(match &destination {
            Some(destination) => destination.clone(),
            None => Destination::number("000").ok()?,
        });
        for (column, cell) in self.columns.iter().zip(cells) {
            if let Err(fault) = take(&mut contact, column, cell) {
                faults.push(fault);
            }
        }
        destination.map(|_| contact)
    }

    /// The form in which its number is compared.
    fn number(&self, contact: &NewContact) -> String {
        match self.home {
            Some(home) => Canonical::of(contact.destination.dialed(), home).key().to_owned(),
            None => contact.destination.digits().to_owned(),
        }
    }

    fn seen_before(
        &mut self,
        line: u64,
        contact: &NewContact,
        faults: &mut Vec<CellFault>,
    ) -> io::Result<()> {
        let column = |field| {
            let named = self.columns.iter().find(|column| column.field == field);
            named.map_or("", |column| column.name.as_str())
        };
        if !contact.reference.is_empty()
            && let Some(first) = self.seen.note(What::Reference, &contact.reference, line)?
        {
            let (name, found) = (column(Field::Reference), &contact.reference);
            let expected = format!("a reference other than that of line {first}");
            faults.push(CellFault::new(Fault::DuplicateReference, name, found, expected));
        }
        if !self.keep_duplicates
            && let number = self.number(contact)
            && let Some(first) = self.seen.note(What::Number, &number, line)?
        {
            let (name, found) = (column(Field::Number), contact.destination.dialed());
            let expected = format!("a number other than that of line {first}");
            faults.push(CellFault::new(Fault::Duplicate, name, found, expected));
        }
        Ok(())
    }
}

/// Puts a cell where its column belongs.
fn take(contact: &mut NewContact, column: &Column, cell: &str) -> Result<(), CellFault> {
    let fault = |fault, expected: &str| Err(CellFault::new(fault, &column.name, cell, expected));
    let trimmed = cell.trim();
    match &column.field {
        Field::Ignore | Field::Number => {}
        _ if trimmed.is_empty() => {}
        _ if cell.contains('\u{fffd}') || cell.contains('\0') => {
            return fault(Fault::Garbled, "letters of the file's encoding");
        }
        Field::CallerId => match contact.destination.clone().with_caller_id(trimmed) {
            Ok(destination) => contact.destination = destination,
            Err(_) => return fault(Fault::NotANumber, "a number to show, or an empty cell"),
        },
        Field::Parameters | Field::Reference if cell.chars().count() > TEXT_MAX => {
            return fault(Fault::TooLong, &format!("at most {TEXT_MAX} characters"));
        }
        Field::Parameters => contact.parameters = cell.to_owned(),
        Field::PostalCode => contact.place.postal_code = Some(trimmed.to_owned()),
        Field::Priority => match trimmed.parse().ok().and_then(Priority::new) {
            Some(priority) => contact.priority = Some(priority),
            None => return fault(Fault::Priority, "a whole number from 1 to 10"),
        },
        Field::Reference => contact.reference = trimmed.to_owned(),
        Field::Region => contact.place.region = Some(trimmed.to_owned()),
        Field::Variable(name) => {
            if let Err(error) = contact.variables.add(name, cell)
                && !matches!(error, VariableError::Repeated(_))
            {
                return fault(Fault::TooLong, "variables of at most 16,384 bytes in a row");
            }
        }
        Field::Zone => match Zone::named(trimmed) {
            Some(zone) => contact.place.zone = Some(zone.name().to_owned()),
            None => return fault(Fault::Zone, "a zone such as America/Chicago"),
        },
    }
    Ok(())
}

/// Reads a number, and where it is none tells the usual mistakes apart.
fn number(column: &str, cell: &str) -> Result<Destination, CellFault> {
    let fault = |fault, expected: &str| Err(CellFault::new(fault, column, cell, expected));
    let trimmed = cell.trim().trim_start_matches('\'');
    if trimmed.is_empty() {
        return fault(Fault::Missing, NUMBER);
    }
    if trimmed.contains("(0)") && trimmed.contains('+') {
        return fault(Fault::TrunkPrefix, &trimmed.replace("(0)", ""));
    }
    match trimmed.parse::<Destination>() {
        Ok(number) if number.digits().len() < DIGITS_MIN => {
            fault(Fault::TooShort, "a number of 3 digits or more")
        }
        Ok(number) => Ok(number),
        Err(_) if is_scientific(trimmed) => fault(Fault::Scientific, NUMBER),
        Err(DestinationError::Empty) => fault(Fault::Missing, NUMBER),
        Err(DestinationError::TooLong(_)) => fault(Fault::TooLong, "at most 32 digits"),
        Err(DestinationError::NotADigit('/' | ',' | ';' | '\n'))
            if trimmed.split(['/', ',', ';', '\n']).filter(|n| has_digits(n)).count() > 1 =>
        {
            fault(Fault::SeveralNumbers, "one number")
        }
        Err(_) => fault(Fault::NotANumber, NUMBER),
    }
}

fn has_digits(text: &str) -> bool {
    text.bytes().filter(u8::is_ascii_digit).count() >= 5
}

/// `4.91701E+11`, with a point or a comma.
fn is_scientific(text: &str) -> bool {
    let text = text.to_ascii_uppercase().replace(',', ".");
    text.split_once('E').is_some_and(|(mantissa, exponent)| {
        mantissa.parse::<f64>().is_ok() && exponent.parse::<i32>().is_ok()
    })
}
