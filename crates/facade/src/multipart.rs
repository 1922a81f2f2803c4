//! Parts of a `multipart/form-data` body (RFC 7578), out of chunks of bytes in bounded memory.

use memchr::memmem;

use crate::form;

/// Longest head of a part, in bytes; that of a browser has some 150.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Longest boundary, in bytes (RFC 2046 §5.1.1).
const BOUNDARY_MAX: usize = 70;
/// Most parts in one body.
const PARTS_MAX: usize = 200;

/// One thing found in a body, in order: each part begins, has data, and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A part begins.
    Begin {
        /// Name of its field.
        name: String,
        /// Name of its file; `None` where it is a plain field.
        file_name: Option<String>,
    },
    /// Some of its data.
    Data(Vec<u8>),
    /// It ends.
    End,
}

/// Why a body is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MultipartError {
    /// `Content-Type` names no boundary of 1 to 70 letters.
    #[error("multipart/form-data without a boundary of 1 to {BOUNDARY_MAX} letters")]
    Boundary,
    /// What follows a boundary is neither a line break nor the end.
    #[error("a boundary is not followed by a line break")]
    AfterBoundary,
    /// The head of a part does not end.
    #[error("head of a part is longer than {HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    /// A part that names no field.
    #[error("a part has no Content-Disposition: form-data with a name")]
    NoName,
    /// More parts than any form has.
    #[error("form has more than {PARTS_MAX} parts")]
    TooManyParts,
    /// The last boundary is missing.
    #[error("body ends before its last boundary")]
    Truncated,
}

/// Reads a body: [`Multipart::push`] bytes, take every [`Multipart::piece`], at last
/// [`Multipart::finish`].
#[derive(Debug)]
pub struct Multipart {
    /// Line break, two hyphens, boundary.
    delimiter: Vec<u8>,
    buffer: Vec<u8>,
    phase: Phase,
    parts: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before the first boundary: to be ignored.
    Preamble,
    /// Right after a boundary.
    AfterBoundary,
    Head,
    /// Right before the line break that ends a head.
    DataStart,
    Data,
    /// After the last boundary: to be ignored.
    Epilogue,
}

impl Multipart {
    /// A body whose Content-Type is `content_type`.
    pub fn new(content_type: &str) -> Result<Self, MultipartError> {
        let boundary = parameter(content_type, "boundary").unwrap_or_default();
        if !(1..=BOUNDARY_MAX).contains(&boundary.len()) || boundary.contains(['\r', '\n']) {
            return Err(MultipartError::Boundary);
        }
        Ok(Self {
            delimiter: format!("\r\n--{boundary}").into_bytes(),
            // The first boundary may open the body; all others follow a line break.
            buffer: b"\r\n".to_vec(),
            phase: Phase::Preamble,
            parts: 0,
        })
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.phase != Phase::Epilogue {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next thing found; `None` until more bytes come.
    pub fn piece(&mut self) -> Result<Option<Piece>, MultipartError> {
        loop {
            match self.phase {
                Phase::Preamble => {
                    let found = memmem::find(&self.buffer, &self.delimiter);
                    self.buffer.drain(..found.unwrap_or(self.undecided_from()));
                    if found.is_none() {
                        return Ok(None);
                    }
                    self.buffer.drain(..self.delimiter.len());
                    self.phase = Phase::AfterBoundary;
                }
                Phase::AfterBoundary => {
                    if !self.after_boundary()? {
                        return Ok(None);
                    }
                }
                Phase::Head => return self.head(),
                Phase::DataStart => {
                    if !self.data_start() {
                        return Ok(None);
                    }
                }
                Phase::Data => return Ok(self.data()),
                Phase::Epilogue => {
                    self.buffer.clear();
                    return Ok(None);
                }
            }
        }
    }

    /// Takes the end of the body.
    pub fn finish(self) -> Result<(), MultipartError> {
        if self.phase == Phase::Epilogue { Ok(()) } else { Err(MultipartError::Truncated) }
    }

    /// Where bytes begin that may belong to a delimiter not yet whole.
    fn undecided_from(&self) -> usize {
        self.buffer.len().saturating_sub(self.delimiter.len() - 1)
    }

    /// `false` until enough bytes are there.
    fn after_boundary(&mut self) -> Result<bool, MultipartError> {
        if self.buffer.starts_with(b"--") {
            self.phase = Phase::Epilogue;
            return Ok(true);
        }
        // Padding by the transport (RFC 2046 §5.1.1).
        let padding = self.buffer.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        if padding > HEAD_BYTES_MAX {
            return Err(MultipartError::HeadTooLong);
        }
        match &self.buffer[padding..] {
            [b'\r', b'\n', ..] => {
                // The line break stays: it also ends a head without any lines.
                self.buffer.drain(..padding);
                self.phase = Phase::Head;
                Ok(true)
            }
            [] | [b'\r'] => Ok(false),
            [b'-'] if padding == 0 => Ok(false),
            _ => Err(MultipartError::AfterBoundary),
        }
    }

    fn head(&mut self) -> Result<Option<Piece>, MultipartError> {
        let Some(end) = memmem::find(&self.buffer, b"\r\n\r\n") else {
            return if self.buffer.len() > HEAD_BYTES_MAX {
                Err(MultipartError::HeadTooLong)
            } else {
                Ok(None)
            };
        };
        if end > HEAD_BYTES_MAX {
            return Err(MultipartError::HeadTooLong);
        }
        let head = form::decode(&self.buffer[..end]).into_owned();
        // The line break before the data stays: it is the delimiter's own where the part is empty.
        self.buffer.drain(..end + 2);
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(MultipartError::TooManyParts);
        }
        let disposition = head.split("\r\n").find_map(disposition).ok_or(MultipartError::NoName)?;
        let name = parameter(disposition, "name").ok_or(MultipartError::NoName)?;
        let file_name =
            parameter(disposition, "filename").or_else(|| parameter(disposition, "filename*"));
        self.phase = Phase::DataStart;
        Ok(Some(Piece::Begin { name, file_name }))
    }

    /// Drops the line break after the head, unless the part is empty and the break is the
    /// delimiter's; `false` until that can be told.
    fn data_start(&mut self) -> bool {
        let known = self.buffer.len().min(self.delimiter.len());
        let may_be_delimiter = self.buffer[..known] == self.delimiter[..known];
        if may_be_delimiter && known < self.delimiter.len() {
            return false;
        }
        if !may_be_delimiter {
            self.buffer.drain(..2);
        }
        self.phase = Phase::Data;
        true
    }

    fn data(&mut self) -> Option<Piece> {
        if let Some(end) = memmem::find(&self.buffer, &self.delimiter) {
            if end > 0 {
                return Some(Piece::Data(self.buffer.drain(..end).collect()));
            }
            self.buffer.drain(..self.delimiter.len());
            self.phase = Phase::AfterBoundary;
            return Some(Piece::End);
        }
        match self.undecided_from() {
            0 => None,
            decided => Some(Piece::Data(self.buffer.drain(..decided).collect())),
        }
    }
}

/// The value of a Content-Disposition line.
fn disposition(line: &str) -> Option<&str> {
    let (name, value) = line.split_once(':')?;
    let kind = value.trim_start().get(.."form-data".len())?;
    (name.trim().eq_ignore_ascii_case("content-disposition")
        && kind.eq_ignore_ascii_case("form-data"))
    .then_some(value)
}

/// A parameter of a header value, unquoted; browsers write a quote inside as `%22` or `\"`.
fn parameter(value: &str, wanted: &str) -> Option<String> {
    let mut rest = value.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted),
            None => match after.split_once(';') {
                Some((value, after)) => (value.trim().to_owned(), after),
                None => (after.trim().to_owned(), ""),
            },
        };
        if name.trim_matches([' ', '\t', ';']).eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut escaped = false;
    for (at, sign) in text.char_indices() {
        match sign {
            '"' if !escaped => return (value.replace("%22", "\""), &text[at + 1..]),
            // Only before a quote: old browsers send the backslashes of a path as they are.
            '\\' if !escaped && text[at + 1..].starts_with('"') => escaped = true,
            sign => {
                value.push(sign);
                escaped = false;
            }
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/form-data; boundary=\"x-y\"";

    fn read(body: &[u8], chunk: usize) -> Result<String, MultipartError> {
        let mut multipart = Multipart::new(TYPE)?;
        let mut out = String::new();
        for bytes in body.chunks(chunk) {
            multipart.push(bytes);
            while let Some(piece) = multipart.piece()? {
                match piece {
                    Piece::Begin { name, file_name: None } => out += &format!("{name}="),
                    Piece::Begin { name, file_name: Some(file) } => {
                        out += &format!("{name}({file})=");
                    }
                    Piece::Data(data) => out += &form::decode(&data),
                    Piece::End => out += ";",
                }
            }
        }
        multipart.finish()?;
        Ok(out)
    }

    fn part(head: &str, data: &str) -> String {
        format!("--x-y\r\nContent-Disposition: form-data; {head}\r\n\r\n{data}\r\n")
    }

    #[test]
    fn fields_and_files_are_read_however_the_bytes_arrive() {
        let body = format!(
            "ignored\r\n{}{}{}{}--x-y--\r\nignored",
            part("name=\"login\"", "ann"),
            part(
                "name=\"list\"; filename=\"a\\\"b%22.csv\"\r\nContent-Type: text/csv",
                "1\r\n--x\r\n2"
            ),
            part("name=empty", ""),
            part("filename=\"C:\\dir\\x.txt\"; name=\"path\"", "\r\n"),
        );
        let expected = "login=ann;list(a\"b\".csv)=1\r\n--x\r\n2;empty=;path(C:\\dir\\x.txt)=\r\n;";
        for chunk in 1..80 {
            assert_eq!(read(body.as_bytes(), chunk).as_deref(), Ok(expected), "{chunk}");
        }
    }

    #[test]
    fn padding_after_a_boundary_is_allowed_and_text_is_not() {
        let body = part("name=a", "1").replacen("--x-y", "--x-y \t", 1) + "--x-y--";
        assert_eq!(read(body.as_bytes(), 9).as_deref(), Ok("a=1;"));
        let body = part("name=a", "1").replacen("--x-y", "--x-yz", 1) + "--x-y--";
        assert_eq!(read(body.as_bytes(), 9), Err(MultipartError::AfterBoundary));
    }

    #[test]
    fn bodies_with_mistakes_are_refused_by_name() {
        let whole = part("name=a", "1") + "--x-y--";
        assert_eq!(read(&whole.as_bytes()[..whole.len() - 3], 5), Err(MultipartError::Truncated));
        assert_eq!(read(b"", 1), Err(MultipartError::Truncated));
        assert_eq!(read(b"--x-y\r\n\r\nx\r\n--x-y--", 3), Err(MultipartError::NoName));
        let nameless = part("filename=\"a\"", "1");
        assert_eq!(read(nameless.as_bytes(), 5), Err(MultipartError::NoName));
        let endless = format!("--x-y\r\nA: {}", "b".repeat(20_000));
        assert_eq!(read(endless.as_bytes(), 999), Err(MultipartError::HeadTooLong));
        let many = part("name=a", "1").repeat(201);
        assert_eq!(read(many.as_bytes(), 999), Err(MultipartError::TooManyParts));
    }

    #[test]
    fn content_type_without_a_usable_boundary_is_refused() {
        for content_type in ["multipart/form-data", "multipart/form-data; boundary=", "x; a=b"] {
            assert_eq!(Multipart::new(content_type).err(), Some(MultipartError::Boundary));
        }
        let long = format!("multipart/form-data; boundary={}", "b".repeat(71));
        assert_eq!(Multipart::new(&long).err(), Some(MultipartError::Boundary));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_and_chunks_make_no_difference(
            pieces in proptest::collection::vec(
                prop_oneof![
                    Just("--x-y"), Just("\r\n"), Just("--"), Just("\r"), Just("\n"), Just("é"),
                    Just("Content-Disposition: form-data; name=\"a\""), Just("; filename=b"),
                    Just("\r\n\r\n"), Just("text"), Just(" "),
                ],
                0..40,
            ),
            chunk in 1_usize..20,
        ) {
            let body = pieces.concat();
            prop_assert_eq!(read(body.as_bytes(), chunk), read(body.as_bytes(), 100_000));
        }
    }
}
