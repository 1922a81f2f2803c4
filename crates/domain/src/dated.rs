//! Data with a date and a source: the lines that all tables under `data/` are written in.

/// Longest data file that is read, in bytes; the largest that is shipped has a thirtieth of it.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Where a table comes from, and of when it is.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Provenance {
    /// Name of the file.
    pub file: String,
    /// Day on which the table was written, `2026-11-21`.
    pub version: String,
    /// Where it was taken from.
    pub source: String,
    /// Under which terms.
    pub licence: String,
    /// First day on which it holds; empty where that is not said.
    pub valid_from: String,
}

impl Provenance {
    /// File and version in one word, as a refusal names them: `us-states 2026-11-21`.
    pub fn label(&self) -> String {
        format!("{} {}", self.file, self.version)
    }
}

/// What is wrong with a data file. Who wrote the file repairs it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {problem}")]
pub struct DataError {
    /// Name of the file.
    pub file: String,
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong, and what was expected.
    pub problem: String,
}

/// A line that says something, without comment and surrounding blanks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    /// Number of the line, from 1.
    pub(crate) line: usize,
    /// Its text; never empty.
    pub(crate) text: &'a str,
}

impl<'a> Row<'a> {
    /// First word, and what follows it.
    pub(crate) fn split(&self) -> (&'a str, &'a str) {
        let (word, rest) = self.text.split_once(char::is_whitespace).unwrap_or((self.text, ""));
        (word, rest.trim())
    }

    /// What is wrong with it.
    pub(crate) fn wrong(&self, file: &str, problem: impl ToString) -> DataError {
        DataError { file: file.into(), line: self.line, problem: problem.to_string() }
    }
}

/// Splits a file into its head (`version:`, `source:`, `licence:`, `valid_from:`) and its rows.
///
/// A `#` begins a comment; a head's key may be repeated, its values are joined by a blank.
pub(crate) fn read<'a>(file: &str, text: &'a str) -> Result<(Provenance, Vec<Row<'a>>), DataError> {
    let error =
        |line, problem: &str| DataError { file: file.into(), line, problem: problem.into() };
    if text.len() > FILE_BYTES_MAX {
        return Err(error(1, "the file has more than 4 MiB"));
    }
    let mut head = Provenance { file: file.into(), ..Provenance::default() };
    let mut rows = Vec::new();
    for (nth, line) in text.lines().enumerate() {
        let row = Row { line: nth + 1, text: without_comment(line).trim() };
        if row.text.is_empty() {
            continue;
        }
        let (key, value) = row.split();
        let into = match key {
            "version:" => &mut head.version,
            "source:" => &mut head.source,
            "licence:" => &mut head.licence,
            "valid_from:" => &mut head.valid_from,
            _ => {
                rows.push(row);
                continue;
            }
        };
        if !rows.is_empty() {
            return Err(error(row.line, "the head of a file comes before its rows"));
        }
        if !into.is_empty() {
            into.push(' ');
        }
        into.push_str(value);
    }
    if head.version.is_empty() || head.source.is_empty() {
        return Err(error(1, "the file must open with version: and source:"));
    }
    Ok((head, rows))
}

fn without_comment(line: &str) -> &str {
    line.split_once('#').map_or(line, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_is_told_from_rows_and_comments_are_dropped() {
        let text = "# a table\nversion: 2026-01-02\nsource: one\nsource: two # three\n\nrow  1 \n";
        let (head, rows) = read("table", text).unwrap();
        assert_eq!(head.label(), "table 2026-01-02");
        assert_eq!(head.source, "one two");
        assert_eq!((rows.len(), rows[0].line, rows[0].split()), (1, 6, ("row", "1")));
    }

    #[test]
    fn file_without_version_or_with_a_late_head_is_refused() {
        let problem = |text| read("table", text).unwrap_err().to_string();
        assert_eq!(problem("a b"), "table, line 1: the file must open with version: and source:");
        let late = problem("version: 1\nsource: x\nrow\nlicence: y");
        assert_eq!(late, "table, line 4: the head of a file comes before its rows");
    }
}
