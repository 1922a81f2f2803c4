//! What people and clients read before they commit an import: counts, columns, preview, faults.

use std::collections::BTreeMap;

use domain::contact::NewContact;
use serde::Serialize;
use utoipa::ToSchema;

use super::fault::{CellFault, Fault};
use super::{ImportRow, Layout};

/// Faults that are shown, of all kinds together; all are counted.
const SHOWN_MAX: usize = 100;
/// Contacts that are shown.
const PREVIEW_MAX: usize = 5;

/// A column of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ColumnReport {
    /// Its name; `column 3` where the file names none.
    pub name: String,
    /// What it is taken for: `number`, `reference`, `var.NAME`, `ignore` and so on.
    pub field: String,
    /// What stands in its first row that is not empty.
    pub sample: String,
}

/// What an import comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportReport {
    /// Rows, blank ones and the header left out.
    pub rows: u64,
    /// Rows that are taken in.
    pub accepted: u64,
    /// Rows that are not.
    pub rejected: u64,
    /// Rows among those whose number came before in the file.
    pub duplicates: u64,
    /// What was found out of the file.
    pub layout: Option<Layout>,
    /// The first contacts.
    pub preview: Vec<PreviewRow>,
    /// What is wrong, by the way in which it is repaired, the most frequent first.
    pub faults: Vec<FaultReport>,
}

/// A contact as it would be taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PreviewRow {
    /// Line of the file.
    pub line: u64,
    /// Whom to call, as it will be dialed.
    pub destination: String,
    /// The client's own id.
    pub reference: String,
    /// Named values for the script.
    pub variables: BTreeMap<String, String>,
}

/// All faults of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FaultReport {
    /// The kind.
    pub fault: Fault,
    /// How it is repaired.
    pub fix: String,
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub examples: Vec<FaultExample>,
}

/// One fault and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FaultExample {
    /// Line of the file.
    pub line: u64,
    /// Name of the column; empty where it is the row as a whole.
    pub column: String,
    /// What stands there, shortened.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl ImportReport {
    /// Takes note of a row.
    pub fn add(&mut self, row: &ImportRow) {
        self.rows += 1;
        match row {
            ImportRow::Contact { line, contact, .. } => {
                self.accepted += 1;
                if self.preview.len() < PREVIEW_MAX {
                    self.preview.push(PreviewRow::of(*line, contact));
                }
            }
            ImportRow::Rejected { line, faults, .. } => {
                self.rejected += 1;
                for fault in faults {
                    self.fault(*line, fault);
                }
            }
        }
    }

    fn fault(&mut self, line: u64, fault: &CellFault) {
        self.duplicates += u64::from(fault.fault == Fault::Duplicate);
        let shown: usize = self.faults.iter().map(|kind| kind.examples.len()).sum();
        let at = self.faults.iter().position(|kind| kind.fault == fault.fault);
        let at = at.unwrap_or_else(|| {
            let (fix, count) = (fault.fault.fix().to_owned(), 0);
            self.faults.push(FaultReport { fault: fault.fault, fix, count, examples: Vec::new() });
            self.faults.len() - 1
        });
        let kind = &mut self.faults[at];
        kind.count += 1;
        // Room is left for the first of each other kind.
        if shown < SHOWN_MAX - Fault::ALL.len() || kind.examples.is_empty() {
            kind.examples.push(FaultExample {
                line,
                column: fault.column.clone(),
                found: fault.found.clone(),
                expected: fault.expected.clone(),
            });
        }
    }

    /// The report at the end of the file.
    #[must_use]
    pub fn finish(mut self, layout: Layout) -> Self {
        self.layout = Some(layout);
        self.faults.sort_by(|a, b| b.count.cmp(&a.count).then(a.fault.cmp(&b.fault)));
        self
    }
}

impl PreviewRow {
    fn of(line: u64, contact: &NewContact) -> Self {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self {
            line,
            destination: contact.destination.to_string(),
            reference: contact.reference.clone(),
            variables: contact.variables.iter().map(own).collect(),
        }
    }
}
