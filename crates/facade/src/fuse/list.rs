//! The uploaded list of `bulk_queue`, read row by row from chunks of bytes in bounded memory.
//!
//! A CSV file whose header names a column `destination`; every other column is a value of the
//! call's metadata. docs/api/fuse.md "The list" has the rules.

use domain::contact::NewContact;
use domain::terms::{VARIABLE_NAME_MAX, VariableError, Variables};

use super::request::{PHONE_NUMBER, read_destination};
use crate::list::{
    ListError, ListRow, ReadRow, check_columns, is_destination, rejected, too_many_cells,
};
use crate::refusal::{Mistake, shortened};
use crate::rows::{Separator, cells};

/// Reads a list; every call of it has the same metadata.
pub type ListReader = crate::list::ListReader<List>;

/// A table with metadata.
#[derive(Debug, Default)]
pub struct List {
    /// Values for all calls; those of a row go before them.
    metadata: Variables,
    /// `None` until the header has come.
    table: Option<Table>,
}

#[derive(Debug)]
struct Table {
    separator: Separator,
    columns: Vec<String>,
    /// Which of them is the number.
    destination: usize,
}

impl List {
    /// A list whose calls all have `metadata`.
    pub fn new(metadata: Variables) -> Self {
        Self { metadata, table: None }
    }
}

impl ReadRow for List {
    fn read_row(&mut self, number: u64, text: &str) -> Result<Option<ListRow>, ListError> {
        let Some(table) = &self.table else {
            self.table = Some(Table::of_header(text)?);
            return Ok(None);
        };
        Ok(Some(match table.contact(text, &self.metadata) {
            Ok(contact) => ListRow::Contact { row: number, contact },
            Err((found, reason)) => rejected(number, &found, "", reason),
        }))
    }
}

impl Table {
    fn of_header(text: &str) -> Result<Self, ListError> {
        let header = |separator| {
            let columns = cells(text, separator).ok()?;
            let destination = columns.iter().position(|name| is_destination(name.trim()))?;
            Some(Self { separator, columns, destination })
        };
        let separators = [Separator::Comma, Separator::Semicolon, Separator::Tab, Separator::Pipe];
        let table = separators.into_iter().find_map(header).ok_or_else(|| {
            let found = shortened(text.trim());
            let expected = "the names of the columns, one of them destination";
            ListError::Header(format!("found {found:?}, expected {expected}"))
        })?;
        check_columns(&table.columns)?;
        let long = table
            .columns
            .iter()
            .map(|name| name.trim())
            .find(|name| name.len() > VARIABLE_NAME_MAX);
        match long {
            Some(name) => Err(ListError::Header(format!(
                "column {:?} has {} bytes, expected at most {VARIABLE_NAME_MAX}",
                shortened(name),
                name.len()
            ))),
            None => Ok(table),
        }
    }

    /// The call of a row; or what stands where its number should, and why it is not taken.
    fn contact(&self, text: &str, metadata: &Variables) -> Result<NewContact, (String, String)> {
        let cells =
            cells(text, self.separator).map_err(|error| rejection(text, error.to_string()))?;
        let number = cells.get(self.destination).map_or("", String::as_str);
        let refuse = |reason: String| (number.to_owned(), reason);
        if cells.len() > self.columns.len() {
            return Err(refuse(too_many_cells(cells.len(), self.columns.len())));
        }
        if number.is_empty() {
            return Err(refuse(format!("destination is missing, expected {PHONE_NUMBER}")));
        }
        let destination = read_destination(number).map_err(|(mistake, expected)| {
            refuse(match mistake {
                Mistake::TooLong => format!("destination is too long, expected {expected}"),
                _ => format!("expected {expected}"),
            })
        })?;
        let variables =
            self.variables(&cells, metadata).map_err(|error| refuse(error.to_string()))?;
        Ok(NewContact { variables, ..NewContact::new(destination) })
    }

    fn variables(
        &self,
        cells: &[String],
        metadata: &Variables,
    ) -> Result<Variables, VariableError> {
        let mut variables = Variables::default();
        for (nth, (name, cell)) in self.columns.iter().zip(cells).enumerate() {
            if nth != self.destination {
                variables.add(name.trim(), cell)?;
            }
        }
        for (name, value) in metadata.iter() {
            if variables.value(name).is_none() {
                variables.add(name, value)?;
            }
        }
        Ok(variables)
    }
}

/// A row that has no cells to speak of.
fn rejection(text: &str, reason: String) -> (String, String) {
    (text.to_owned(), reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::list::Rejection;
    use proptest::prelude::*;

    fn rows(file: &[u8], chunk: usize) -> Result<Vec<String>, ListError> {
        let mut metadata = Variables::default();
        metadata.add("shop", "Main St").unwrap();
        let mut reader = ListReader::new(List::new(metadata));
        let mut out = Vec::new();
        for bytes in file.chunks(chunk) {
            reader.push(bytes, &mut out)?;
        }
        reader.finish(&mut out)?;
        let sentence = |row: &ListRow| match row {
            ListRow::Contact { row, contact } => {
                format!("{row}: {} {}", contact.destination, contact.variables)
            }
            ListRow::Rejected(Rejection { row, phone_number, reason, .. }) => {
                format!("{row}: {phone_number:?} rejected: {reason}")
            }
        };
        Ok(out.iter().map(sentence).collect())
    }

    fn read(file: &str) -> Vec<String> {
        rows(file.as_bytes(), 7).unwrap()
    }

    fn refused(file: &str) -> String {
        rows(file.as_bytes(), 7).unwrap_err().to_string()
    }

    /// Checklist 1-003, 1-050.
    #[test]
    fn every_column_beside_the_destination_is_metadata() {
        let file = "\"destination\",\"first name\",\"id\"\n\
            \"12125550101\",\"Ann\",\"7\"\n\
            \"tel:+12125550102;ani=8005550199;postd=2\",\"Bo, Jr.\",\"\"\n";
        assert_eq!(
            read(file),
            [
                "2: 12125550101 first name=Ann&id=7&shop=Main St",
                "3: +12125550102;ani=8005550199;postd=2 first name=Bo, Jr.&id=&shop=Main St",
            ]
        );
    }

    #[test]
    fn destination_may_stand_in_any_column_and_separators_are_found() {
        assert_eq!(
            read("\u{feff}name;destination;shop\r\nAnn;6175551234;ani=8009957586;Elm\r\n"),
            ["2: 6175551234;ani=8009957586 name=Ann&shop=Elm"]
        );
        assert_eq!(read("# a list\n\nname\tPhone_Number\nAnn\t1"), ["4: 1 name=Ann&shop=Main St"]);
        assert_eq!(read("destination\n1\n\n2\n"), ["2: 1 shop=Main St", "4: 2 shop=Main St"]);
    }

    #[test]
    fn row_that_cannot_be_called_is_rejected_and_the_others_are_not() {
        let long = "9".repeat(200);
        let file = format!(
            "destination,name\nhello,Ann\n,Bo\n1,\"x\n2,y,z\n{long},a\n3,{}\n4,ok\n",
            "x".repeat(9_000)
        );
        let rows = read(&file);
        let reasons: Vec<&str> = rows.iter().map(String::as_str).collect();
        assert_eq!(reasons.len(), 7);
        assert!(reasons[0].starts_with("2: \"hello\" rejected: expected a number such as"));
        assert!(reasons[1].starts_with("3: \"\" rejected: destination is missing"));
        assert!(reasons[2].contains("a quote is not closed"), "{}", reasons[2]);
        assert!(reasons[3].contains("found 3 values, expected at most the 2"));
        assert!(reasons[4].contains("destination is too long"));
        assert!(reasons[5].contains("row is longer than 8192 bytes"));
        assert_eq!(reasons[6], "8: 4 name=ok&shop=Main St");
    }

    #[test]
    fn file_without_a_usable_header_is_refused() {
        assert!(refused("12125550101\n").contains("one of them destination"));
        assert!(refused("destination,,b\n").contains("column 2 has no name"));
        assert!(refused("destination,a,a\n").contains("appears twice"));
        let long = format!("destination,{}\n", "x".repeat(65));
        assert!(refused(&long).contains("has 65 bytes, expected at most 64"));
        assert!(rows(b"PK\x03\x04rest", 3).is_err());
    }

    proptest! {
        #[test]
        fn any_file_is_read_or_refused_and_chunks_make_no_difference(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just("destination"), Just(","), Just(";"), Just("\n"), Just("\r\n"), Just("\""),
                    Just("1212555"), Just("name"), Just("é"), Just(";ani=1"), Just("\t"), Just("#"),
                ],
                0..40,
            ),
            chunk in 1_usize..20,
        ) {
            let file = pieces.concat();
            prop_assert_eq!(rows(file.as_bytes(), chunk), rows(file.as_bytes(), 100_000));
        }
    }
}
