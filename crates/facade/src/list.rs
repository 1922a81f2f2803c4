//! What a list of contacts is read into, row by row, whichever facade reads it.

use domain::contact::NewContact;

use crate::form;
use crate::refusal::shortened;
use crate::rows::{ROW_BYTES_MAX, Rows};

/// Most columns of a CSV file; more is a file of another kind.
pub(crate) const COLUMNS_MAX: usize = 64;

/// One row of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListRow {
    /// A contact to take in.
    Contact {
        /// Number of the row in the file, from 1, blank rows counted.
        row: u64,
        /// Whom to call.
        contact: NewContact,
    },
    /// A row that cannot be taken in; the others are.
    Rejected(Rejection),
}

/// Why a row cannot be taken in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Number of the row in the file, from 1, blank rows counted.
    pub row: u64,
    /// What stands where the number should, shortened.
    pub phone_number: String,
    /// Its reference, shortened; empty where it could not be read or there is none.
    pub message_reference: String,
    /// What was found and what would be right.
    pub reason: String,
}

/// Why a file is no list at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The header of a CSV file is wrong.
    #[error("header of the list: {0}")]
    Header(String),
    /// A spreadsheet's own file.
    #[error("list is a spreadsheet's own file, save it as CSV (UTF-8)")]
    Workbook,
    /// Two bytes for each letter.
    #[error("list is written in UTF-16, save it in UTF-8")]
    Utf16,
}

impl Rejection {
    /// A row that is not taken in.
    pub fn new(row: u64, phone_number: &str, reference: &str, reason: String) -> Self {
        Self {
            row,
            phone_number: shortened(phone_number.trim()),
            message_reference: shortened(reference),
            reason,
        }
    }
}

/// How a facade understands the rows of its lists.
pub trait ReadRow {
    /// Reads a row that says something: its number in the file, and its text without a line break.
    /// `None` for a header. After an error the file is to be given up.
    fn read_row(&mut self, number: u64, text: &str) -> Result<Option<ListRow>, ListError>;
}

/// Reads a list; give it the file's bytes by [`ListReader::push`], then call [`ListReader::finish`].
#[derive(Debug, Default)]
pub struct ListReader<L> {
    rows: Rows,
    list: L,
}

impl<L: ReadRow> ListReader<L> {
    /// A reader at the beginning of this list.
    pub fn new(list: L) -> Self {
        Self { rows: Rows::default(), list }
    }

    /// Takes the next bytes and appends the rows that they complete to `out`.
    ///
    /// After an error the file is to be given up.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<ListRow>) -> Result<(), ListError> {
        self.rows.push(bytes);
        self.read_rows(out)
    }

    /// Takes the end of the file: its last row may have no line break.
    pub fn finish(mut self, out: &mut Vec<ListRow>) -> Result<(), ListError> {
        self.rows.end();
        self.read_rows(out)
    }

    fn read_rows(&mut self, out: &mut Vec<ListRow>) -> Result<(), ListError> {
        while let Some(row) = self.rows.next() {
            if row.number == 1 {
                refuse_other_files(&row.bytes)?;
            }
            let bytes = row.bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&row.bytes);
            let text = form::decode(bytes);
            // A comment cannot be a number, so old lists lose nothing by it.
            if text.trim().is_empty() || text.trim_start().starts_with('#') {
                continue;
            }
            if row.cut {
                let reason = format!("row is longer than {ROW_BYTES_MAX} bytes");
                out.push(rejected(row.number, &text, "", reason));
                continue;
            }
            out.extend(self.list.read_row(row.number, &text)?);
        }
        Ok(())
    }
}

/// A row that is not taken in.
pub(crate) fn rejected(row: u64, phone_number: &str, reference: &str, reason: String) -> ListRow {
    ListRow::Rejected(Rejection::new(row, phone_number, reference, reason))
}

/// Refuses what is no text, by its first row.
fn refuse_other_files(first_row: &[u8]) -> Result<(), ListError> {
    if first_row.starts_with(b"PK\x03\x04") || first_row.starts_with(b"\xd0\xcf\x11\xe0") {
        return Err(ListError::Workbook);
    }
    if first_row.starts_with(b"\xff\xfe") || first_row.starts_with(b"\xfe\xff") {
        return Err(ListError::Utf16);
    }
    Ok(())
}

/// Refuses a header with too many columns, one without a name, or a name that stands twice.
pub(crate) fn check_columns(names: &[String]) -> Result<(), ListError> {
    if names.len() > COLUMNS_MAX {
        let reason = format!("found {} columns, expected at most {COLUMNS_MAX}", names.len());
        return Err(ListError::Header(reason));
    }
    for (place, name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            let reason = format!("column {} has no name", place + 1);
            return Err(ListError::Header(reason));
        }
        if names[..place].iter().any(|other| other.trim() == name.trim()) {
            let reason = format!("column {:?} appears twice", name.trim());
            return Err(ListError::Header(reason));
        }
    }
    Ok(())
}

/// Whether this column holds the number.
pub(crate) fn is_destination(name: &str) -> bool {
    name.eq_ignore_ascii_case("destination") || name.eq_ignore_ascii_case("phone_number")
}

/// What is said of a row with more cells than the header has names.
pub(crate) fn too_many_cells(found: usize, columns: usize) -> String {
    format!("found {found} values, expected at most the {columns} that the header names")
}
