//! Character classes of RFC 3261 §25.1 and the reader that every SIP grammar here shares.

use std::borrow::Cow;
use std::fmt;

/// Where a text stops being what the grammar allows, and what would be right there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("octet {at}: expected {expected}")]
pub struct SyntaxError {
    /// Octets before the fault, counted in the value that was read.
    pub at: usize,
    /// What the grammar wants there, for people.
    pub expected: &'static str,
}

impl SyntaxError {
    /// A fault at `at`, where `expected` would have been right.
    pub const fn new(at: usize, expected: &'static str) -> Self {
        Self { at, expected }
    }

    /// The same fault in a text that starts `octets` earlier.
    pub(crate) const fn shifted(self, octets: usize) -> Self {
        Self { at: self.at + octets, expected: self.expected }
    }
}

/// A word of RFC 3261's `token`: never empty, never with a separator, a control or a space.
///
/// What is a `Token` can be written into a message without a look.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(Box<str>);

impl Token {
    /// The token, or `None` where the text is none.
    pub fn new(text: &str) -> Option<Self> {
        is_token(text).then(|| Self(text.into()))
    }

    /// The text of the token.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Class of `token` characters.
pub(crate) const TOKEN: u8 = 1;
/// Class of characters that a URI's user part may have unescaped.
pub(crate) const USER: u8 = 2;
/// Class of characters that a URI's password may have unescaped.
pub(crate) const PASSWORD: u8 = 4;
/// Class of characters that a URI parameter may have unescaped.
pub(crate) const URI_PARAM: u8 = 8;
/// Class of characters that a URI header may have unescaped.
pub(crate) const URI_HEADER: u8 = 16;
/// Class of RFC 3261's `reserved`, which an escape does not equal.
pub(crate) const RESERVED: u8 = 32;
/// Class of what any URI may hold: printable ASCII without space, quotes and angle brackets.
pub(crate) const URI: u8 = 64;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    table = mark(table, ALPHANUM, TOKEN | USER | PASSWORD | URI_PARAM | URI_HEADER | URI);
    table = mark(table, b"-.!%*_+`'~", TOKEN);
    table = mark(table, b"-_.!~*'()", USER | PASSWORD | URI_PARAM | URI_HEADER);
    table = mark(table, b"&=+$,;?/", USER);
    table = mark(table, b"&=+$,", PASSWORD);
    table = mark(table, b"[]/:&+$", URI_PARAM);
    table = mark(table, b"[]/?:+$", URI_HEADER);
    table = mark(table, b";/?:@&=+$,", RESERVED);
    mark(table, b"-_.!~*'();/?:@&=+$,%[]#|", URI)
}

const ALPHANUM: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

const fn mark(mut table: [u8; 256], signs: &[u8], class: u8) -> [u8; 256] {
    let mut index = 0;
    while index < signs.len() {
        table[signs[index] as usize] |= class;
        index += 1;
    }
    table
}

/// Whether the octet belongs to the class.
pub(crate) const fn is(octet: u8, class: u8) -> bool {
    CLASSES[octet as usize] & class != 0
}

/// Whether the text is a `token`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|octet| is(octet, TOKEN))
}

/// A text without the space and tabs at its ends.
pub(crate) fn trim(text: &str) -> &str {
    let octets = text.as_bytes();
    let is_space = |octet: &u8| matches!(octet, b' ' | b'\t');
    let start = octets.iter().take_while(|octet| is_space(octet)).count();
    let end = octets.iter().rev().take_while(|octet| is_space(octet)).count();
    text.get(start..text.len() - end).unwrap_or_default()
}

/// Where an ASCII octet first stands.
pub(crate) fn find(text: &str, wanted: u8) -> Option<usize> {
    // Values are short: a plain loop is faster than any search engine.
    text.bytes().position(|octet| octet == wanted)
}

/// Checks that a text has nothing but the class and `%HH` escapes.
pub(crate) fn check_escaped(
    text: &str,
    class: u8,
    expected: &'static str,
) -> Result<(), SyntaxError> {
    let octets = text.as_bytes();
    let mut at = 0;
    while let Some(&octet) = octets.get(at) {
        if octet == b'%' {
            let pair = octets.get(at + 1..at + 3);
            if !pair.is_some_and(|pair| pair.iter().all(u8::is_ascii_hexdigit)) {
                return Err(SyntaxError::new(at, "two hexadecimal digits after %"));
            }
            at += 3;
        } else if is(octet, class) {
            at += 1;
        } else {
            return Err(SyntaxError::new(at, expected));
        }
    }
    Ok(())
}

/// The octets of a text with its `%HH` escapes resolved; a `%` that escapes nothing stays.
pub(crate) fn unescape(text: &str) -> Cow<'_, [u8]> {
    if !text.contains('%') {
        return Cow::Borrowed(text.as_bytes());
    }
    Cow::Owned(Escaped::new(text).map(|unit| unit.octet).collect())
}

/// One octet of an escaped text.
pub(crate) struct EscapedUnit {
    /// What the octet is.
    pub(crate) octet: u8,
    /// Whether it was written as `%HH`.
    pub(crate) was_escaped: bool,
}

impl EscapedUnit {
    /// What RFC 3261 §19.1.4 compares: an escape equals its character unless that is reserved.
    pub(crate) fn comparable(&self) -> (u8, bool) {
        (self.octet, self.was_escaped && is(self.octet, RESERVED))
    }
}

/// Reads an escaped text octet by octet.
pub(crate) struct Escaped<'a> {
    rest: &'a [u8],
}

impl<'a> Escaped<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: text.as_bytes() }
    }
}

impl Iterator for Escaped<'_> {
    type Item = EscapedUnit;

    fn next(&mut self) -> Option<EscapedUnit> {
        let (&octet, rest) = self.rest.split_first()?;
        if octet == b'%'
            && let [high, low, rest @ ..] = rest
            && let (Some(high), Some(low)) = (hex_value(*high), hex_value(*low))
        {
            self.rest = rest;
            return Some(EscapedUnit { octet: high << 4 | low, was_escaped: true });
        }
        self.rest = rest;
        Some(EscapedUnit { octet, was_escaped: false })
    }
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Writes a text with everything outside the class as `%HH`.
pub(crate) fn escape(text: &str, class: u8, out: &mut String) {
    for octet in text.bytes() {
        if is(octet, class) {
            out.push(char::from(octet));
        } else {
            const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
            out.push('%');
            out.push(char::from(DIGITS[usize::from(octet >> 4)]));
            out.push(char::from(DIGITS[usize::from(octet & 15)]));
        }
    }
}

/// The text of a `quoted-string` whose quotes are off, with its `\x` pairs resolved.
pub(crate) fn unquote(inner: &str) -> Cow<'_, str> {
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut text = String::with_capacity(inner.len());
    let mut signs = inner.chars();
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => text.extend(signs.next()),
            sign => text.push(sign),
        }
    }
    Cow::Owned(text)
}

/// A parameter's value as its sender meant it: quotes and `\x` pairs resolved where it has them.
pub(crate) fn unquote_value(value: &str) -> Cow<'_, str> {
    match value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => unquote(inner),
        None => Cow::Borrowed(value),
    }
}

/// Writes a text as a `quoted-string`; CR and LF, which it cannot hold, become spaces.
pub(crate) fn write_quoted(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    out.write_char('"')?;
    for sign in text.chars() {
        match sign {
            '\r' | '\n' => out.write_char(' ')?,
            '"' | '\\' | '\0'..='\x08' | '\x0b'..='\x1f' | '\x7f' => {
                out.write_char('\\')?;
                out.write_char(sign)?;
            }
            sign => out.write_char(sign)?,
        }
    }
    out.write_char('"')
}

/// Reads a header's value, already unfolded, from left to right.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Octets read so far.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Goes back, or on, to an octet that was a boundary before.
    pub(crate) const fn seek(&mut self, at: usize) {
        self.at = at;
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) const fn is_end(&self) -> bool {
        self.at >= self.text.len()
    }

    /// What is not read yet.
    pub(crate) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// What was read since `start`.
    pub(crate) fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    pub(crate) fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    /// Reads one given ASCII octet, if it is next.
    pub(crate) fn eat(&mut self, octet: u8) -> bool {
        let found = self.peek() == Some(octet);
        self.at += usize::from(found);
        found
    }

    /// Reads one given ASCII octet with space around it, if it is next.
    pub(crate) fn eat_separator(&mut self, octet: u8) -> bool {
        let start = self.at;
        self.skip_space();
        if self.eat(octet) {
            self.skip_space();
            return true;
        }
        self.at = start;
        false
    }

    /// As many octets of the class as there are; maybe none.
    pub(crate) fn run(&mut self, class: u8) -> &'a str {
        let start = self.at;
        while self.peek().is_some_and(|octet| is(octet, class)) {
            self.at += 1;
        }
        self.since(start)
    }

    pub(crate) fn token(&mut self, expected: &'static str) -> Result<&'a str, SyntaxError> {
        match self.run(TOKEN) {
            "" => Err(self.error(expected)),
            token => Ok(token),
        }
    }

    /// Reads digits; a number too large for `u32` is `u32::MAX`, as RFC 3261 §20.19 clamps.
    pub(crate) fn clamped_number(&mut self, expected: &'static str) -> Result<u32, SyntaxError> {
        let digits = self.digits(expected)?;
        Ok(digits.parse().unwrap_or(u32::MAX))
    }

    /// Reads digits that must fit `u32`.
    pub(crate) fn number(&mut self, expected: &'static str) -> Result<u32, SyntaxError> {
        let start = self.at;
        let digits = self.digits(expected)?;
        digits.parse().map_err(|_| SyntaxError::new(start, expected))
    }

    fn digits(&mut self, expected: &'static str) -> Result<&'a str, SyntaxError> {
        let start = self.at;
        while self.peek().is_some_and(|octet| octet.is_ascii_digit()) {
            self.at += 1;
        }
        if start == self.at { Err(self.error(expected)) } else { Ok(self.since(start)) }
    }

    /// Reads a `quoted-string` and returns what stands between its quotes, pairs unresolved.
    pub(crate) fn quoted(&mut self) -> Result<&'a str, SyntaxError> {
        if !self.eat(b'"') {
            return Err(self.error("a quoted string"));
        }
        let start = self.at;
        while let Some(octet) = self.peek() {
            match octet {
                b'"' => {
                    let inner = self.since(start);
                    self.at += 1;
                    return Ok(inner);
                }
                b'\\' if self.text.as_bytes().get(self.at + 1).is_some_and(u8::is_ascii) => {
                    self.at += 2;
                }
                b'\\' => return Err(self.error("an ASCII character after the backslash")),
                _ if is_stray_control(octet) => {
                    return Err(self.error("no control character in a quoted string"));
                }
                _ => self.at += 1,
            }
        }
        Err(SyntaxError::new(self.at, "a closing quote"))
    }

    /// Fails where anything but space is left.
    pub(crate) fn finish(&mut self, expected: &'static str) -> Result<(), SyntaxError> {
        self.skip_space();
        if self.is_end() { Ok(()) } else { Err(self.error(expected)) }
    }

    /// A fault right here.
    pub(crate) const fn error(&self, expected: &'static str) -> SyntaxError {
        SyntaxError::new(self.at, expected)
    }
}

/// Whether the octet is a control that no text may have unescaped; a tab is none.
pub(crate) const fn is_stray_control(octet: u8) -> bool {
    matches!(octet, 0..=8 | 10..=31 | 127)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_string_written_is_read_as_it_was() {
        for text in ["", "plain", "a \"b\" \\c", "nul \0 bell \x07 del \x7f", "имя"] {
            let mut written = String::new();
            write_quoted(&mut written, text).unwrap();
            let mut cursor = Cursor::new(&written);
            assert_eq!(unquote(cursor.quoted().unwrap()), text);
            assert!(cursor.is_end());
        }
    }

    #[test]
    fn percent_that_escapes_nothing_stays_where_no_escape_is_checked() {
        assert_eq!(unescape("a%ZK%41%4").as_ref(), b"a%ZKA%4");
        assert_eq!(
            check_escaped("a%ZK", USER, "a user"),
            Err(SyntaxError::new(1, "two hexadecimal digits after %"))
        );
    }

    #[test]
    fn number_above_32_bits_is_refused_or_clamped_as_asked() {
        let expected = "a number below 2^32";
        assert_eq!(Cursor::new("4294967296").number(expected), Err(SyntaxError::new(0, expected)));
        assert_eq!(Cursor::new("4294967296").clamped_number(expected), Ok(u32::MAX));
        assert_eq!(Cursor::new("0009").number(expected), Ok(9));
    }

    #[test]
    fn token_is_never_empty_and_has_no_separator() {
        assert!(Token::new("!a-Method0123456789_*+`.%x'~").is_some());
        for text in ["", "a b", "a:b", "a\r\nb", "é"] {
            assert_eq!(Token::new(text), None, "{text:?}");
        }
    }
}
