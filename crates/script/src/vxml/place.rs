//! Where in which document something stands, so that every message can say it.

use std::fmt;
use std::sync::Arc;

/// A place in a document, as people count: rows and columns from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The document's address, or `document` where it came without one.
    pub(crate) source: Arc<str>,
    pub(crate) row: u32,
    pub(crate) column: u32,
}

impl Place {
    /// The document as a whole.
    pub(crate) fn whole(source: &Arc<str>) -> Self {
        Self { source: Arc::clone(source), row: 0, column: 0 }
    }

    /// The platform itself, for what no document asked for.
    pub(crate) fn platform() -> Self {
        Self::whole(&Arc::from("platform"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.row == 0 {
            write!(f, "{}", self.source)
        } else {
            write!(f, "{}:{}:{}", self.source, self.row, self.column)
        }
    }
}

/// Something wrong in a document, found without running it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Row, from 1.
    pub row: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.row, self.column, self.message)
    }
}

/// Longest row whose columns are counted in characters; beyond it in bytes, which is cheap.
const COLUMN_COUNT_MAX_BYTES: usize = 2_000;

/// Turns byte offsets of one text into places.
pub(crate) struct Rows<'t> {
    name: Arc<str>,
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Rows<'t> {
    pub(crate) fn new(name: &Arc<str>, text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1));
        Self { name: Arc::clone(name), text, starts: starts.collect() }
    }

    /// The text from a byte offset on.
    pub(crate) fn text_from(&self, offset: usize) -> &'t str {
        self.text.get(offset..).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Row and column of a byte offset; offsets past the end count as the end.
    pub(crate) fn row_and_column(&self, offset: usize) -> (u32, u32) {
        let offset = offset.min(self.text.len());
        let row = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[row - 1];
        let column = match self.text.get(start..offset) {
            Some(before) if before.len() <= COLUMN_COUNT_MAX_BYTES => before.chars().count(),
            _ => offset - start,
        };
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (count(row), count(column + 1))
    }

    pub(crate) fn place(&self, offset: usize) -> Place {
        let (row, column) = self.row_and_column(offset);
        Place { source: Arc::clone(&self.name), row, column }
    }

    pub(crate) fn mistake(&self, offset: usize, message: impl Into<String>) -> Mistake {
        let (row, column) = self.row_and_column(offset);
        Mistake { row, column, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_count_from_one_in_characters() {
        let rows = Rows::new(&Arc::from("x"), "aé<b>\n<c/>\n");
        let at = |offset| rows.row_and_column(offset);
        assert_eq!([at(0), at(3), at(7), at(99)], [(1, 1), (1, 3), (2, 1), (3, 1)]);
    }

    #[test]
    fn a_very_long_row_is_counted_in_bytes() {
        let text = "é".repeat(3_000);
        let rows = Rows::new(&Arc::from("x"), &text);
        assert_eq!(rows.row_and_column(6_000), (1, 6_001));
    }
}
