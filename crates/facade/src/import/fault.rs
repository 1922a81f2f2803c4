//! What can be wrong with a row, and how it is repaired.

use std::fmt;

use serde::Serialize;
use utoipa::ToSchema;

use super::Layout;
use crate::refusal::shortened;

/// What kind of thing is wrong; faults of one kind are repaired in one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The caller ID is none that the account may show.
    CallerId,
    /// The number is on a list of those that are not called.
    DoNotCall,
    /// The number came before in the file.
    Duplicate,
    /// The reference came before in the file.
    DuplicateReference,
    /// More cells than the header names.
    ExtraCells,
    /// Letters were lost when the file was saved in another encoding.
    Garbled,
    /// There is no number.
    Missing,
    /// Not a number.
    NotANumber,
    /// Not a priority from 1 to 10.
    Priority,
    /// The campaign has had the reference.
    ReferenceTaken,
    /// The row is longer than any.
    RowTooLong,
    /// A spreadsheet rounded the number.
    Scientific,
    /// Several numbers in one cell.
    SeveralNumbers,
    /// The text is longer than the field takes.
    TooLong,
    /// Too few digits for a number.
    TooShort,
    /// A trunk prefix in parentheses that is not dialed from abroad.
    TrunkPrefix,
    /// Not a time zone.
    Zone,
}

impl Fault {
    /// Every kind, for tables and tests.
    pub const ALL: [Self; 17] = [
        Self::CallerId,
        Self::DoNotCall,
        Self::Duplicate,
        Self::DuplicateReference,
        Self::ExtraCells,
        Self::Garbled,
        Self::Missing,
        Self::NotANumber,
        Self::Priority,
        Self::ReferenceTaken,
        Self::RowTooLong,
        Self::Scientific,
        Self::SeveralNumbers,
        Self::TooLong,
        Self::TooShort,
        Self::TrunkPrefix,
        Self::Zone,
    ];

    /// The name that clients see; never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallerId => "caller_id",
            Self::DoNotCall => "do_not_call",
            Self::Duplicate => "duplicate",
            Self::DuplicateReference => "duplicate_reference",
            Self::ExtraCells => "extra_cells",
            Self::Garbled => "garbled",
            Self::Missing => "missing",
            Self::NotANumber => "not_a_number",
            Self::Priority => "priority",
            Self::ReferenceTaken => "reference_taken",
            Self::RowTooLong => "row_too_long",
            Self::Scientific => "scientific",
            Self::SeveralNumbers => "several_numbers",
            Self::TooLong => "too_long",
            Self::TooShort => "too_short",
            Self::TrunkPrefix => "trunk_prefix",
            Self::Zone => "zone",
        }
    }

    /// How all faults of this kind are repaired.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::CallerId => "show a verified number, or have the operator verify this one",
            Self::DoNotCall => "leave the row out: the callee is not to be called",
            Self::Duplicate => "nothing to do, unless the number is to be called for each row",
            Self::DuplicateReference => "give each row a reference of its own",
            Self::ExtraCells => "put quotes around cells that contain the delimiter",
            Self::Garbled => "save the file again as CSV UTF-8, or name its encoding",
            Self::Missing => "fill in the number, or leave the row out",
            Self::NotANumber => "write the number with digits only, as +12125550101",
            Self::Priority => "write a whole number from 1 to 10, or leave the cell empty",
            Self::ReferenceTaken => "nothing to do, unless it is another call: give it another one",
            Self::RowTooLong => "close the quote that was opened on this line",
            Self::Scientific => "format the column as text in the spreadsheet and save again",
            Self::SeveralNumbers => "keep one number in a cell",
            Self::TooLong => "shorten the text",
            Self::TooShort => "write the whole number with area code",
            Self::TrunkPrefix => "leave the (0) out",
            Self::Zone => "write the name of a zone, as America/Chicago, or leave the cell empty",
        }
    }
}

/// One thing that is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CellFault {
    /// What kind of thing.
    pub fault: Fault,
    /// Name of the column; empty where it is the row as a whole.
    pub column: String,
    /// What stands there, shortened.
    pub found: String,
    /// What would be right.
    pub expected: String,
}

impl CellFault {
    /// A fault that shows what was found.
    pub(super) fn new(
        fault: Fault,
        column: &str,
        found: &str,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            fault,
            column: column.to_owned(),
            found: shortened(found.trim()),
            expected: expected.into(),
        }
    }
}

impl CellFault {
    /// The caller ID is none that the account may show.
    pub fn caller_id(layout: &Layout, shown: &str) -> Self {
        let column = column_of(layout, &["caller_id", "number"]);
        Self::new(Fault::CallerId, column, shown, "one of the account's verified caller IDs")
    }

    /// The number is on this list of those that are not called.
    pub fn do_not_call(layout: &Layout, number: &str, list: &str) -> Self {
        let expected = format!("a number that is not on the list {list:?}");
        Self::new(Fault::DoNotCall, column_of(layout, &["number"]), number, expected)
    }

    /// The campaign has had the reference: this call has it.
    pub fn reference_taken(layout: &Layout, reference: &str, call: &str) -> Self {
        let expected = format!("a reference that the campaign has not had, call {call} has it");
        let column = column_of(layout, &["reference"]);
        Self::new(Fault::ReferenceTaken, column, reference, expected)
    }
}

/// Name of the first column that is taken for one of these fields.
fn column_of<'l>(layout: &'l Layout, fields: &[&str]) -> &'l str {
    let taken_as = |field: &&str| layout.columns.iter().find(|column| column.field == **field);
    fields.iter().find_map(taken_as).map_or("", |column| column.name.as_str())
}

impl fmt::Display for CellFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.column.is_empty() {
            write!(f, "{}: ", self.column)?;
        }
        write!(f, "found {:?}, expected {} ({})", self.found, self.expected, self.fault.fix())
    }
}
