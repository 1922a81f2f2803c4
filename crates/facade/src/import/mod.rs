//! Lists of contacts as people have them: CSV of any sane dialect, read in bounded memory.
//!
//! [`ImportReader`] finds out encoding, delimiter and header, maps columns to fields, and says of
//! every row either a contact or all that is wrong with it: row, column, found, expected, fix. It
//! decides alone and keeps nothing but fingerprints of the numbers and references that it has seen,
//! those of long files in a [`Scratch`].
//! [`ImportReport`] gathers what people and clients want to read before they commit.

mod column;
mod fault;
mod layout;
mod report;
mod row;
mod seen;
#[cfg(test)]
mod tests;

pub use column::{Field, Mapping, MappingError};
pub use fault::{CellFault, Fault};
pub use layout::{Delimiter, Layout};
pub use report::{ColumnReport, FaultReport, ImportReport, PreviewRow};
pub use seen::Scratch;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder, WriterBuilder};
use domain::contact::NewContact;
use domain::region::Country;
use encoding_rs::{Decoder, Encoding};

use layout::{Found, SAMPLE_BYTES, sniff};
use row::RowReader;
use seen::Seen;

/// Longest row, in bytes, quotes and line breaks inside included; a longer one is another kind of
/// file, or one with a quote that is never closed.
pub const ROW_BYTES_MAX: usize = 64 * 1024;
/// Most columns of a file.
pub const COLUMNS_MAX: usize = 256;

/// What the client says of its file; all else is found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// What stands in which column, by the header's names or by number from 1.
    pub mapping: Mapping,
    /// What separates cells.
    pub delimiter: Option<Delimiter>,
    /// Name of the encoding, as `windows-1252`.
    pub encoding: Option<String>,
    /// Whether the first row names the columns.
    pub header: Option<bool>,
    /// Whether a number that came before in the file is taken again.
    pub keep_duplicates: bool,
    /// Whether nothing but numbers is wanted: all other columns are ignored, and nothing is too much
    /// that came before.
    pub numbers_only: bool,
    /// The country as whose numbers are read that name none, so that one number written in two ways
    /// is found twice; without it numbers are compared as they are written.
    pub home: Option<Country>,
}

/// One row that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportRow {
    /// A contact to take in.
    Contact {
        /// Line of the file on which the row begins, from 1.
        line: u64,
        /// Whom to call, and what goes with it.
        contact: NewContact,
        /// Its cells as they were.
        cells: Vec<String>,
    },
    /// A row that is not taken in; the others are.
    Rejected {
        /// Line of the file on which the row begins, from 1.
        line: u64,
        /// All that is wrong with it.
        faults: Vec<CellFault>,
        /// Its cells as they were.
        cells: Vec<String>,
    },
}

impl ImportRow {
    /// The same row with something wrong that its cells do not show.
    #[must_use]
    pub fn rejected(self, fault: CellFault) -> Self {
        match self {
            Self::Contact { line, cells, .. } => {
                Self::Rejected { line, faults: vec![fault], cells }
            }
            Self::Rejected { line, mut faults, cells } => {
                faults.push(fault);
                Self::Rejected { line, faults, cells }
            }
        }
    }
}

/// Why a file is no list at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It has nothing but blank rows.
    #[error("file is empty, expected a row for each contact")]
    Empty,
    /// The encoding's name is unknown.
    #[error("encoding {0:?} is unknown, expected a name such as utf-8 or windows-1252")]
    Encoding(String),
    /// A spreadsheet's own file.
    #[error("file is a spreadsheet's own or an archive, save it as CSV (UTF-8)")]
    Workbook,
    /// The columns do not fit.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// More columns than any list has.
    #[error("file has {0} columns, expected at most {COLUMNS_MAX}")]
    Columns(usize),
    /// What came before in the file cannot be kept; whoever runs the program repairs it.
    #[error("cannot keep what came before in the file: {0}")]
    Scratch(String),
}

/// Reads a list; give it the file's bytes by [`ImportReader::push`], then [`ImportReader::finish`].
#[derive(Debug, Default)]
pub struct ImportReader {
    options: ImportOptions,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The beginning of the file, until there is enough of it to know what it is.
    Sniffing(Sniffing),
    Reading(Box<Reading>),
}

#[derive(Debug, Default)]
struct Sniffing {
    sample: Vec<u8>,
    seen: Seen,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Sniffing(Sniffing::default())
    }
}

struct Reading {
    decoder: Decoder,
    text: String,
    records: Reader,
    /// Cells of the record under way, one after the other, and where each ends.
    cells: Vec<u8>,
    cells_len: usize,
    ends: Vec<usize>,
    ends_len: usize,
    /// The record under way is longer than a row may be; what comes of it is thrown away.
    cut: bool,
    /// Records at the beginning that are no contacts: a spreadsheet's hint, the header.
    skip: u32,
    layout: Layout,
    rows: RowReader,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("layout", &self.layout).finish_non_exhaustive()
    }
}

impl ImportReader {
    /// A reader at the beginning of a file, all of which may be kept in memory.
    pub fn new(options: ImportOptions) -> Self {
        Self { options, stage: Stage::default() }
    }

    /// A reader at the beginning of a file of any length, in as much memory: what came before in it
    /// is kept in `scratch`. `seed` is random.
    pub fn keeping_in(options: ImportOptions, seed: u64, scratch: Box<dyn Scratch>) -> Self {
        let seen = Seen::new(seed, scratch);
        Self { options, stage: Stage::Sniffing(Sniffing { sample: Vec::new(), seen }) }
    }

    /// Takes the next bytes and appends the rows that they complete to `out`.
    ///
    /// After an error the file is to be given up.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<ImportRow>) -> Result<(), ImportError> {
        match &mut self.stage {
            Stage::Sniffing(Sniffing { sample, .. }) => {
                sample.extend_from_slice(bytes);
                if sample.len() >= SAMPLE_BYTES {
                    self.begin(false, out)?;
                }
                Ok(())
            }
            Stage::Reading(reading) => reading.push(bytes, false, out),
        }
    }

    /// Takes the end of the file: its last row may have no line break. Answers what was found out.
    pub fn finish(mut self, out: &mut Vec<ImportRow>) -> Result<Layout, ImportError> {
        if matches!(self.stage, Stage::Sniffing(_)) {
            self.begin(true, out)?;
        }
        match self.stage {
            Stage::Sniffing(_) => Err(ImportError::Empty),
            Stage::Reading(mut reading) => {
                reading.push(&[], true, out)?;
                Ok(reading.layout)
            }
        }
    }

    /// What was found out of the file, once enough of it is here.
    pub fn layout(&self) -> Option<&Layout> {
        match &self.stage {
            Stage::Sniffing(_) => None,
            Stage::Reading(reading) => Some(&reading.layout),
        }
    }

    fn begin(&mut self, whole: bool, out: &mut Vec<ImportRow>) -> Result<(), ImportError> {
        let Stage::Sniffing(sniffing) = &mut self.stage else {
            return Ok(());
        };
        let Sniffing { sample, seen } = std::mem::take(sniffing);
        let Found { encoding, skip, layout, columns } = sniff(&sample, whole, &self.options)?;
        let rows = RowReader::new(columns, &self.options, seen);
        let mut reading = Box::new(Reading::new(encoding, skip, layout, rows));
        reading.push(&sample, false, out)?;
        self.stage = Stage::Reading(reading);
        Ok(())
    }
}

impl Reading {
    fn new(encoding: &'static Encoding, skip: u32, layout: Layout, rows: RowReader) -> Self {
        Self {
            decoder: encoding.new_decoder_with_bom_removal(),
            text: String::new(),
            records: records(layout.delimiter),
            cells: vec![0; ROW_BYTES_MAX],
            cells_len: 0,
            ends: vec![0; COLUMNS_MAX + 1],
            ends_len: 0,
            cut: false,
            skip,
            layout,
            rows,
        }
    }

    fn push(
        &mut self,
        bytes: &[u8],
        last: bool,
        out: &mut Vec<ImportRow>,
    ) -> Result<(), ImportError> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        text.reserve(self.decoder.max_utf8_buffer_length(bytes.len()).unwrap_or(bytes.len() * 3));
        // Room is reserved for all of it, so one call takes it all.
        let _ = self.decoder.decode_to_string(bytes, &mut text, last);
        self.records(text.as_bytes(), out)?;
        if last {
            self.records(&[], out)?;
        }
        self.text = text;
        Ok(())
    }

    /// Reads records until the input is used up; an empty input is the end of the file.
    fn records(&mut self, mut input: &[u8], out: &mut Vec<ImportRow>) -> Result<(), ImportError> {
        let ending = input.is_empty();
        if ending && self.cells_len == 0 && self.ends_len == 0 && !self.cut {
            // Nothing is under way; the reader may still hold the state of a lone quote.
            let (_, _, cells, ends) =
                self.records.read_record(&[], &mut self.cells, &mut self.ends);
            if ends == 0 {
                return Ok(());
            }
            (self.cells_len, self.ends_len) = (cells, ends);
            return self.record(self.records.line(), out);
        }
        loop {
            let (result, read, cells, ends) = self.records.read_record(
                input,
                &mut self.cells[self.cells_len..],
                &mut self.ends[self.ends_len..],
            );
            // A line break that ended the record is counted if it was the one sign or the last of two.
            let counted = read.checked_sub(1).is_some_and(|last| input[last] == b'\n');
            input = &input[read..];
            self.cells_len += cells;
            self.ends_len += ends;
            match result {
                ReadRecordResult::InputEmpty if ending => {}
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok(()),
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    self.cut = true;
                    (self.cells_len, self.ends_len) = (0, 0);
                }
                ReadRecordResult::Record => {
                    self.record(self.records.line() - u64::from(counted), out)?;
                    if ending {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// A record is whole, which ends on this line.
    fn record(&mut self, last_line: u64, out: &mut Vec<ImportRow>) -> Result<(), ImportError> {
        let (ends, cut) = (self.ends_len.min(COLUMNS_MAX), std::mem::take(&mut self.cut));
        let mut cells = Vec::with_capacity(ends);
        let mut from = 0;
        for end in &self.ends[..ends] {
            let bytes = self.cells.get(from..*end).unwrap_or_default();
            cells.push(String::from_utf8_lossy(bytes).into_owned());
            from = *end;
        }
        (self.cells_len, self.ends_len) = (0, 0);
        if self.skip > 0 && cells.iter().any(|cell| !cell.trim().is_empty()) {
            self.skip -= 1;
            return Ok(());
        }
        let breaks: usize = cells.iter().map(|cell| cell.matches('\n').count()).sum();
        let begins = last_line.saturating_sub(u64::try_from(breaks).unwrap_or(0)).max(1);
        if cut {
            out.push(self.rows.too_long(last_line, cells));
        } else if cells.iter().any(|cell| !cell.trim().is_empty()) {
            let read = self.rows.read(begins, cells);
            out.push(read.map_err(|error| ImportError::Scratch(error.to_string()))?);
        }
        Ok(())
    }
}

/// A reader of records of this dialect: quotes double inside quotes, and any line break ends a row.
fn records(delimiter: Delimiter) -> Reader {
    ReaderBuilder::new().delimiter(delimiter.byte()).build()
}

/// Writes the rejected rows as a CSV file that can be repaired and imported again: the columns of the
/// file, then `rejected line` and `rejected for`, which an import ignores.
#[derive(Debug)]
pub struct RejectedWriter {
    columns: usize,
    delimiter: Delimiter,
}

impl RejectedWriter {
    /// A writer for rows of a file of this layout, and the header to begin with.
    pub fn new(layout: &Layout) -> (Self, String) {
        let writer = Self { columns: layout.columns.len(), delimiter: layout.delimiter };
        let mut names: Vec<&str> =
            layout.columns.iter().map(|column| column.name.as_str()).collect();
        names.extend(["rejected line", "rejected for"]);
        let header = writer.write(&names);
        (writer, header)
    }

    /// The row of a rejected one.
    pub fn row(&self, line: u64, faults: &[CellFault], cells: &[String]) -> String {
        let sentences: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let (line, error) = (line.to_string(), sentences.join("; "));
        let mut row: Vec<&str> = cells.iter().map(String::as_str).collect();
        row.resize(self.columns, "");
        row.extend([line.as_str(), error.as_str()]);
        self.write(&row)
    }

    fn write(&self, cells: &[&str]) -> String {
        let mut writer = WriterBuilder::new().delimiter(self.delimiter.byte()).build();
        let bytes: usize = cells.iter().map(|cell| 2 * cell.len() + 3).sum();
        let (mut row, mut at) = (vec![0; bytes + 8], 0);
        for (nth, cell) in cells.iter().enumerate() {
            if nth > 0 {
                at += writer.delimiter(&mut row[at..]).1;
            }
            at += writer.field(cell.as_bytes(), &mut row[at..]).2;
        }
        at += writer.terminator(&mut row[at..]).1;
        row.truncate(at);
        String::from_utf8_lossy(&row).into_owned()
    }
}
