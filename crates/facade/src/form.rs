//! Form fields, as `application/x-www-form-urlencoded` writes them, and text in old encodings.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use percent_encoding::percent_decode;

use crate::refusal::Mistake;

/// Most fields in one form; the largest form known has 17.
const FIELDS_MAX: usize = 200;

/// The fields of a request, in the order in which they came.
///
/// A field that comes twice is kept twice: what that means is for the reader to say.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form {
    fields: Vec<(String, String)>,
}

/// Why a body is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// More fields than any form has.
    #[error("form has more than {FIELDS_MAX} fields")]
    TooManyFields,
}

impl Form {
    /// A form without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads `name=value&name=value`; any bytes are read, in UTF-8 or else in Windows-1252.
    pub fn parse(body: &[u8]) -> Result<Self, FormError> {
        let mut form = Self::new();
        for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = unescape(halves.next().unwrap_or_default());
            form.push(name, unescape(halves.next().unwrap_or_default()))?;
        }
        Ok(form)
    }

    /// Adds a field.
    pub fn push(&mut self, name: String, value: String) -> Result<(), FormError> {
        if self.fields.len() == FIELDS_MAX {
            return Err(FormError::TooManyFields);
        }
        self.fields.push((name, value));
        Ok(())
    }

    /// Every value of this field, in order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |field| field.0 == name).map(|field| field.1.as_str())
    }

    /// Every field's name and value, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|field| (field.0.as_str(), field.1.as_str()))
    }

    /// Whether a field of this name came, empty or not.
    pub fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }
}

/// Names only: a form may hold a PIN.
impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.fields.iter().map(|field| &field.0)).finish()
    }
}

/// Writes fields as `application/x-www-form-urlencoded` (WHATWG URL §5.2).
pub fn encode<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Reads bytes as UTF-8, or else as Windows-1252, which every byte is.
///
/// Old clients and spreadsheets write the latter; it holds Latin-1.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| windows_1252(*byte)).collect()),
    }
}

fn unescape(text: &[u8]) -> String {
    let spaced: Vec<u8> =
        text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    let bytes: Cow<'_, [u8]> = percent_decode(&spaced).into();
    decode(&bytes).into_owned()
}

/// WHATWG Encoding, index windows-1252: Latin-1 but for 0x80 to 0x9F.
fn windows_1252(byte: u8) -> char {
    const HIGH_CONTROLS: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match byte {
        0x80..=0x9f => HIGH_CONTROLS[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

/// Reads a whole number of a form, digits alone; or the mistake, and what would be right.
pub(crate) fn number(text: &str, range: RangeInclusive<u32>) -> Result<u32, (Mistake, String)> {
    let (least, most) = range.clone().into_inner();
    let expected = format!("a whole number from {least} to {most}");
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err((Mistake::Malformed, expected));
    }
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or((Mistake::OutOfRange, expected))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(body: &[u8]) -> Vec<(String, String)> {
        Form::parse(body).unwrap().fields
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.into(), value.into())
    }

    #[test]
    fn escapes_and_plus_signs_are_read() {
        assert_eq!(
            fields(b"phone_number=%2B1617&scheduled_time=%2B3+days&&flag"),
            [pair("phone_number", "+1617"), pair("scheduled_time", "+3 days"), pair("flag", ""),]
        );
    }

    #[test]
    fn text_that_is_not_utf_8_is_read_as_windows_1252() {
        assert_eq!(fields(b"a=M%FCller+%80"), [pair("a", "Müller €")]);
        assert_eq!(fields("a=M%C3%BCller".as_bytes()), [pair("a", "Müller")]);
    }

    #[test]
    fn broken_escapes_stay_as_they_are() {
        assert_eq!(fields(b"a=100%&b=%zz"), [pair("a", "100%"), pair("b", "%zz")]);
    }

    #[test]
    fn form_with_too_many_fields_is_refused() {
        assert_eq!(Form::parse(&b"a&".repeat(201)), Err(FormError::TooManyFields));
    }

    #[test]
    fn form_shows_no_values_in_logs() {
        let form = Form::parse(b"login=ann&pin=98765432").unwrap();
        assert_eq!(format!("{form:?}"), r#"["login", "pin"]"#);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Form::parse(&body);
        }

        #[test]
        fn what_is_encoded_reads_back(name in "\\PC{1,20}", value in "\\PC{0,40}") {
            let body = encode([(name.as_str(), value.as_str())]);
            prop_assert_eq!(fields(body.as_bytes()), [pair(&name, &value)]);
        }
    }
}
