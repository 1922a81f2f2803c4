//! The uploaded list of `queuecalls.php`, read row by row from chunks of bytes in bounded memory.
//!
//! Two forms: a plain text with `number, message_reference, call_parameters` in each row, and a CSV
//! file whose header begins with `destination`. docs/api/plum.md "The list" has the rules.

#[cfg(test)]
mod tests;

use domain::contact::{NewContact, TEXT_MAX};
use domain::number::Destination;

use super::request::PHONE_NUMBER_MAX;
use crate::form;
use crate::list::{
    ListError, ListRow, ReadRow, check_columns, is_destination, rejected, too_many_cells,
};
use crate::rows::{self, Separator, cells};

/// Reads a list.
pub type ListReader = crate::list::ListReader<List>;

/// Plain, or a table: the first row tells.
#[derive(Debug, Default)]
pub struct List(Kind);

#[derive(Debug, Default)]
enum Kind {
    /// Nothing but blank rows and comments so far.
    #[default]
    Open,
    /// Number, reference and parameters; the separator is found in the first row that has one.
    Plain { separator: Option<Separator> },
    /// Columns with names.
    Table { separator: Separator, columns: Vec<Column> },
}

#[derive(Debug, PartialEq, Eq)]
enum Column {
    Destination,
    Parameters,
    Reference,
    /// A variable of the call, by name.
    Variable(String),
}

impl ReadRow for List {
    fn read_row(&mut self, number: u64, text: &str) -> Result<Option<ListRow>, ListError> {
        if matches!(self.0, Kind::Open) {
            if let Some(separator) = header_separator(text) {
                self.0 = Kind::Table { separator, columns: columns(text, separator)? };
                return Ok(None);
            }
            self.0 = Kind::Plain { separator: None };
        }
        Ok(match &mut self.0 {
            Kind::Open => None,
            Kind::Plain { separator } => {
                *separator = separator.or_else(|| Separator::find(text));
                Some(plain_row(number, text, *separator))
            }
            Kind::Table { separator, columns } => {
                Some(table_row(number, text, *separator, columns))
            }
        })
    }
}

/// The separator of a header row: one whose first cell names the destination.
fn header_separator(text: &str) -> Option<Separator> {
    let text = text.trim_start();
    let (quoted, name) = match text.strip_prefix('"') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let name_len =
        name.find(|sign: char| !(sign.is_ascii_alphabetic() || sign == '_')).unwrap_or(name.len());
    if !is_destination(&name[..name_len]) {
        return None;
    }
    let after = &name[name_len..];
    let after = if quoted { after.strip_prefix('"')? } else { after };
    match after.trim_start_matches(' ').chars().next() {
        None => Some(Separator::Comma),
        Some(sign) => Separator::of(sign),
    }
}

fn columns(text: &str, separator: Separator) -> Result<Vec<Column>, ListError> {
    let names = cells(text, separator).map_err(|error| ListError::Header(error.to_string()))?;
    check_columns(&names)?;
    let column = |(place, name): (usize, &String)| match name.trim() {
        _ if place == 0 => Column::Destination,
        "call_parameters" => Column::Parameters,
        "message_reference" => Column::Reference,
        name => Column::Variable(name.to_owned()),
    };
    Ok(names.iter().enumerate().map(column).collect())
}

fn table_row(number: u64, text: &str, separator: Separator, columns: &[Column]) -> ListRow {
    let cells = match cells(text, separator) {
        Ok(cells) => cells,
        Err(error) => return rejected(number, text, "", error.to_string()),
    };
    let first = cells.first().map_or("", String::as_str);
    if cells.len() > columns.len() {
        let reason = too_many_cells(cells.len(), columns.len());
        return rejected(number, first, "", reason);
    }
    let mut reference = "";
    let mut parameters = String::new();
    let mut variables = Vec::new();
    for (column, cell) in columns.iter().zip(&cells) {
        match column {
            Column::Destination => {}
            Column::Parameters => parameters.clone_from(cell),
            Column::Reference => reference = cell,
            Column::Variable(name) => variables.push((name.as_str(), cell.as_str())),
        }
    }
    if !variables.is_empty() {
        if !parameters.is_empty() {
            parameters.push('&');
        }
        parameters.push_str(&form::encode(variables));
    }
    contact(number, first, reference, parameters)
}

fn plain_row(number: u64, text: &str, separator: Option<Separator>) -> ListRow {
    let Some(separator) = separator else {
        return contact(number, text, "", String::new());
    };
    // Between tabs everything is as it stands there; only spreadsheets quote, and they use commas.
    let parts = if separator == Separator::Tab {
        text.splitn(3, '\t').map(str::to_owned).collect()
    } else {
        match rows::plain_cells(text, separator) {
            Ok(parts) => parts,
            Err(error) => return rejected(number, text, "", error.to_string()),
        }
    };
    let mut parts = parts.into_iter();
    let mut part = || parts.next().unwrap_or_default();
    let (phone_number, reference, parameters) = (part(), part(), part());
    contact(number, &phone_number, &reference, parameters)
}

fn contact(row: u64, phone_number: &str, reference: &str, parameters: String) -> ListRow {
    match new_contact(phone_number, reference, parameters) {
        Ok(contact) => ListRow::Contact { row, contact },
        Err(reason) => rejected(row, phone_number, reference, reason),
    }
}

fn new_contact(
    phone_number: &str,
    reference: &str,
    parameters: String,
) -> Result<NewContact, String> {
    let length = phone_number.chars().count();
    if length > PHONE_NUMBER_MAX {
        return Err(format!(
            "phone_number has {length} characters, expected at most {PHONE_NUMBER_MAX}"
        ));
    }
    let destination: Destination = phone_number.parse().map_err(|error| {
        format!("{error}, expected a number such as +12125550101;ani=8005550199;postd=2")
    })?;
    for (name, text) in [("message_reference", reference), ("call_parameters", &parameters)] {
        let length = text.chars().count();
        if length > TEXT_MAX {
            return Err(format!("{name} has {length} characters, expected at most {TEXT_MAX}"));
        }
        if text.contains('\0') {
            return Err(format!("{name} has a NUL, expected text"));
        }
    }
    Ok(NewContact { reference: reference.to_owned(), parameters, ..NewContact::new(destination) })
}
