//! Rows out of chunks of bytes, and cells out of rows.

use std::collections::VecDeque;

/// Longest row, in bytes: a number, a reference and parameters of the greatest length, each letter
/// four bytes long and every one quoted, fit twice.
pub(crate) const ROW_BYTES_MAX: usize = 8 * 1024;

/// One row of a file, without its line break.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// From 1, blank rows counted.
    pub(crate) number: u64,
    pub(crate) bytes: Vec<u8>,
    /// It went on beyond [`ROW_BYTES_MAX`].
    pub(crate) cut: bool,
}

/// Cuts bytes into rows at LF, CRLF or CR.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    ready: VecDeque<Row>,
    partial: Vec<u8>,
    cut: bool,
    /// The last byte was a CR: an LF that follows belongs to it.
    after_cr: bool,
    read: u64,
}

impl Rows {
    /// Takes the next bytes.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let breaks_after_cr = self.after_cr && end == 0 && bytes[0] == b'\n';
            self.extend(&bytes[..end]);
            if !breaks_after_cr {
                self.complete();
            }
            self.after_cr = bytes[end] == b'\r';
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
    }

    /// Takes the end of the file.
    pub(crate) fn end(&mut self) {
        if !self.partial.is_empty() {
            self.complete();
        }
    }

    /// The next complete row.
    pub(crate) fn next(&mut self) -> Option<Row> {
        self.ready.pop_front()
    }

    fn extend(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.after_cr = false;
        let room = ROW_BYTES_MAX - self.partial.len();
        self.partial.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.cut |= bytes.len() > room;
    }

    fn complete(&mut self) {
        self.read += 1;
        let bytes = std::mem::take(&mut self.partial);
        let cut = std::mem::take(&mut self.cut);
        // Blank rows are counted and forgotten, so that a file of line breaks costs no memory.
        if !bytes.is_empty() {
            self.ready.push_back(Row { number: self.read, bytes, cut });
        }
    }
}

/// What stands between cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Separator {
    Comma,
    Pipe,
    Semicolon,
    Tab,
}

impl Separator {
    /// The separator that this sign is.
    pub(crate) const fn of(sign: char) -> Option<Self> {
        match sign {
            ',' => Some(Self::Comma),
            '|' => Some(Self::Pipe),
            ';' => Some(Self::Semicolon),
            '\t' => Some(Self::Tab),
            _ => None,
        }
    }

    /// The separator of a plain row, the least likely sign in a text first.
    pub(crate) fn find(text: &str) -> Option<Self> {
        [Self::Tab, Self::Pipe, Self::Semicolon, Self::Comma]
            .into_iter()
            .find(|separator| separator.positions(text).next().is_some())
    }

    const fn sign(self) -> char {
        match self {
            Self::Comma => ',',
            Self::Pipe => '|',
            Self::Semicolon => ';',
            Self::Tab => '\t',
        }
    }

    /// Where it stands in `text`; a semicolon before `ani=` or `postd=` belongs to a number.
    fn positions(self, text: &str) -> impl Iterator<Item = usize> {
        text.match_indices(self.sign())
            .filter(move |(at, _)| self != Self::Semicolon || !begins_parameter(&text[at + 1..]))
            .map(|(at, _)| at)
    }
}

fn begins_parameter(text: &str) -> bool {
    ["ani=", "postd="]
        .iter()
        .any(|name| text.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
}

/// Why a row has no cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CellError {
    #[error(
        "text follows a closing quote, expected a separator there; write a quote inside as \"\""
    )]
    AfterQuote,
    #[error(
        "postd cannot be read in a list with commas, expected tabs between the parts of the row"
    )]
    KeysAndCommas,
    #[error("a quote is not closed, expected its end in the same row")]
    OpenQuote,
}

/// The cells of a CSV row (RFC 4180 §2), blanks around them dropped unless quoted.
pub(crate) fn cells(text: &str, separator: Separator) -> Result<Vec<String>, CellError> {
    let mut cells = Vec::new();
    let mut rest = Some(text);
    while let Some(text) = rest {
        let (cell, after) = cell(text, separator)?;
        cells.push(cell);
        rest = after;
    }
    Ok(cells)
}

/// The three cells of a plain row; what follows the second separator is the third cell.
pub(crate) fn plain_cells(text: &str, separator: Separator) -> Result<Vec<String>, CellError> {
    let (number, rest) = cell(text, separator)?;
    // Commas are pauses among the keys, too: nobody can tell where the keys end.
    if separator == Separator::Comma && number.to_ascii_lowercase().contains(";postd=") {
        return Err(CellError::KeysAndCommas);
    }
    let Some(rest) = rest else {
        return Ok(vec![number]);
    };
    let (reference, rest) = cell(rest, separator)?;
    let Some(rest) = rest else {
        return Ok(vec![number, reference]);
    };
    let parameters = match rest.trim_start().starts_with('"') {
        // A spreadsheet quotes a cell that holds separators.
        true => match cell(rest, separator)? {
            (parameters, None) => parameters,
            (_, Some(_)) => rest.trim().to_owned(),
        },
        false => rest.trim().to_owned(),
    };
    Ok(vec![number, reference, parameters])
}

/// The first cell of `text`, and what follows its separator.
fn cell(text: &str, separator: Separator) -> Result<(String, Option<&str>), CellError> {
    let Some(quoted) = text.trim_start_matches(' ').strip_prefix('"') else {
        return Ok(match separator.positions(text).next() {
            Some(at) => (text[..at].trim().to_owned(), Some(&text[at + 1..])),
            None => (text.trim().to_owned(), None),
        });
    };
    let mut value = String::new();
    let mut rest = quoted;
    loop {
        let (before, after) = rest.split_once('"').ok_or(CellError::OpenQuote)?;
        value.push_str(before);
        match after.strip_prefix('"') {
            Some(after) => {
                value.push('"');
                rest = after;
            }
            None => {
                let after = after.trim_start_matches(' ');
                return match after.chars().next() {
                    None => Ok((value, None)),
                    Some(sign) if sign == separator.sign() => Ok((value, Some(&after[1..]))),
                    Some(_) => Err(CellError::AfterQuote),
                };
            }
        }
    }
}
