//! Finding out what a file is: encoding, delimiter, header and columns, from its first 64 KiB.

use csv_core::{ReadRecordResult, ReaderBuilder};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};
use serde::Serialize;
use utoipa::ToSchema;

use super::column::{Column, Field, columns, looks_like_a_number};
use super::{COLUMNS_MAX, ColumnReport, ImportError, ImportOptions};
use crate::refusal::shortened;

/// How much of a file is looked at to find out what it is, in bytes.
pub(super) const SAMPLE_BYTES: usize = 64 * 1024;
/// Rows of it that are looked at.
const SAMPLE_ROWS: usize = 200;

/// What separates the cells of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab.
    Tab,
    /// `|`
    Pipe,
}

impl Delimiter {
    /// Every delimiter, the likelier before the others.
    pub const ALL: [Self; 4] = [Self::Comma, Self::Semicolon, Self::Tab, Self::Pipe];

    /// The sign.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Pipe => b'|',
        }
    }

    /// The delimiter of this sign or name, as `;` and `semicolon`.
    pub fn from_word(word: &str) -> Option<Self> {
        let is = |delimiter: &Self| {
            let (sign, name) = match delimiter {
                Self::Comma => (",", "comma"),
                Self::Semicolon => (";", "semicolon"),
                Self::Tab => ("\t", "tab"),
                Self::Pipe => ("|", "pipe"),
            };
            word == sign || word.eq_ignore_ascii_case(name)
        };
        Self::ALL.into_iter().find(is)
    }
}

/// What was found out of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Layout {
    /// Name of its encoding.
    pub encoding: String,
    /// What separates its cells.
    pub delimiter: Delimiter,
    /// Whether its first row names the columns.
    pub header: bool,
    /// Its columns and what they are taken for.
    pub columns: Vec<ColumnReport>,
}

/// What was found out, for reading on.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) encoding: &'static Encoding,
    /// Records at the beginning that are no contacts.
    pub(super) skip: u32,
    pub(super) layout: Layout,
    pub(super) columns: Vec<Column>,
}

/// Finds out what a file is that begins with `sample`, or is no more than it.
pub(super) fn sniff(
    sample: &[u8],
    whole: bool,
    options: &ImportOptions,
) -> Result<Found, ImportError> {
    if is_workbook(sample) {
        return Err(ImportError::Workbook);
    }
    let encoding = match &options.encoding {
        Some(name) => Encoding::for_label(name.trim().as_bytes())
            .ok_or_else(|| ImportError::Encoding(name.clone()))?,
        None => encoding(sample, whole),
    };
    let text = encoding.decode_with_bom_removal(sample).0;
    // The last line of a part may be half a line.
    let text = match text.rfind('\n') {
        Some(end) if !whole => &text[..=end],
        _ => &text,
    };
    let hint = hint(text);
    let body =
        if hint.is_some() { text.split_once('\n').map_or("", |parts| parts.1) } else { text };
    let delimiter = options.delimiter.or(hint).unwrap_or_else(|| delimiter(body));
    let mut rows = rows(body, delimiter);
    rows.retain(|row| row.iter().any(|cell| !cell.trim().is_empty()));
    if rows.is_empty() {
        return Err(ImportError::Empty);
    }
    let width = rows.iter().map(Vec::len).max().unwrap_or(0);
    if width > COLUMNS_MAX {
        return Err(ImportError::Columns(width));
    }
    let header = options.header.unwrap_or_else(|| is_header(&rows));
    let names = header.then(|| rows.remove(0));
    let mut columns = columns(names.as_deref(), &rows, &options.mapping)?;
    if options.numbers_only {
        let others = columns.iter_mut().filter(|column| column.field != Field::Number);
        others.for_each(|column| column.field = Field::Ignore);
    }
    let layout = Layout {
        encoding: encoding.name().to_ascii_lowercase(),
        delimiter,
        header,
        columns: columns.iter().enumerate().map(|(nth, column)| told(nth, column, &rows)).collect(),
    };
    let skip = u32::from(hint.is_some()) + u32::from(header);
    Ok(Found { encoding, skip, layout, columns })
}

fn told(nth: usize, column: &Column, rows: &[Vec<String>]) -> ColumnReport {
    let mut cells = rows.iter().filter_map(|row| row.get(nth)).filter(|cell| !cell.is_empty());
    ColumnReport {
        name: column.name.clone(),
        field: column.field.word(),
        sample: cells.next().map(|cell| shortened(cell)).unwrap_or_default(),
    }
}

/// The delimiter that a spreadsheet names in a first line of its own: `sep=;`.
fn hint(text: &str) -> Option<Delimiter> {
    let line = text.lines().next()?.trim_end_matches('\r');
    let word = line.trim_matches('"').strip_prefix("sep=")?;
    Delimiter::from_word(word)
}

/// Archives (a workbook is one), old workbooks, and PDF.
fn is_workbook(sample: &[u8]) -> bool {
    let signs: [&[u8]; 4] = [b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"\x1f\x8b"];
    signs.iter().any(|sign| sample.starts_with(sign))
}

fn encoding(sample: &[u8], whole: bool) -> &'static Encoding {
    if let Some((encoding, _)) = Encoding::for_bom(sample) {
        return encoding;
    }
    // Spreadsheets' "Unicode text" without its mark: every second byte of plain letters is 0.
    let zeros = |odd: usize| {
        sample.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count() * 4 > sample.len()
    };
    if sample.len() >= 4 && zeros(1) {
        return UTF_16LE;
    }
    if sample.len() >= 4 && zeros(0) {
        return UTF_16BE;
    }
    match std::str::from_utf8(sample) {
        Ok(_) => UTF_8,
        // The sample may end within a letter.
        Err(error) if !whole && error.error_len().is_none() => UTF_8,
        Err(_) => WINDOWS_1252,
    }
}

/// The delimiter that cuts the rows into the most cells of which all rows have as many.
fn delimiter(text: &str) -> Delimiter {
    let score = |delimiter: Delimiter| {
        let rows = rows(text, delimiter);
        let rows: Vec<&Vec<String>> =
            rows.iter().filter(|row| row.iter().any(|c| !c.is_empty())).collect();
        let width = rows.first().map_or(1, |row| row.len());
        let alike = rows.iter().filter(|row| row.len() == width).count();
        if width < 2 { 0 } else { alike * 1_000 / rows.len().max(1) * 10 + width.min(9) }
    };
    let best = Delimiter::ALL.into_iter().rev().max_by_key(|delimiter| score(*delimiter));
    best.unwrap_or(Delimiter::Comma)
}

/// The first rows of a text.
fn rows(text: &str, delimiter: Delimiter) -> Vec<Vec<String>> {
    let mut reader = ReaderBuilder::new().delimiter(delimiter.byte()).build();
    let mut input = text.as_bytes();
    let (mut cells, mut ends) = (vec![0; text.len().max(1)], vec![0; COLUMNS_MAX * 4]);
    let mut rows = Vec::new();
    let (mut cells_len, mut ends_len) = (0, 0);
    while rows.len() < SAMPLE_ROWS {
        let (result, read, more_cells, more_ends) =
            reader.read_record(input, &mut cells[cells_len..], &mut ends[ends_len..]);
        input = &input[read..];
        cells_len += more_cells;
        ends_len += more_ends;
        match result {
            // The next call sees an empty input, which is the end.
            ReadRecordResult::InputEmpty => {}
            ReadRecordResult::OutputFull
            | ReadRecordResult::OutputEndsFull
            | ReadRecordResult::End => break,
            ReadRecordResult::Record => {
                let mut from = 0;
                let cell = |end: &usize| {
                    let bytes = &cells[from..*end];
                    from = *end;
                    String::from_utf8_lossy(bytes).into_owned()
                };
                rows.push(ends[..ends_len].iter().map(cell).collect());
                (cells_len, ends_len) = (0, 0);
            }
        }
    }
    rows
}

/// A header has no number in it, and more than blanks in the columns where numbers follow.
fn is_header(rows: &[Vec<String>]) -> bool {
    let Some(first) = rows.first() else {
        return false;
    };
    !first.iter().any(|cell| looks_like_a_number(cell) || cell.trim().parse::<f64>().is_ok())
}
