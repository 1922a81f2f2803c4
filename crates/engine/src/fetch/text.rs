//! Bytes of a page as text: whatever encoding it says it has, UTF-8 where it says nothing.

use std::fmt;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Bytes in which an XML declaration must end.
const DECLARATION_BYTES_MAX: usize = 256;
/// How a grammar in the form of SRGS 1.0 §4.1 (ABNF) begins.
const ABNF: &[u8] = b"#ABNF ";

/// Why bytes are no text: a sentence for the page's author.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecodable {
    /// Row, and column in characters, of what is no sign, each from 1, where that can be told.
    pub place: Option<(u32, u32)>,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl Undecodable {
    fn whole(message: String) -> Self {
        Self { place: None, message }
    }

    /// The place behind the valid text `before`.
    fn behind(before: &str, message: String) -> Self {
        let rows = before.matches('\n').count();
        let columns = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
        Self { place: Some((count(rows), count(columns))), message }
    }
}

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((row, column)) => write!(f, "{row}:{column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Decodes a page. What its first bytes say wins over `content_type`, that over its own
/// declaration, and UTF-8 is what remains (RFC 7303 §3, XML 1.0 appendix F, SRGS 1.0 §4.1).
///
/// Bytes that are no text in the encoding are an
/// error, not a guess: a callee would hear it.
pub fn decode(content_type: &str, bytes: &[u8]) -> Result<String, Undecodable> {
    let (encoding, said_by) = if let Some((encoding, _)) = Encoding::for_bom(bytes) {
        (encoding, "its byte order mark")
    } else if let Some(encoding) = wide(bytes) {
        (encoding, "its first bytes")
    } else if let Some(label) = charset(content_type) {
        (named(label)?, "its Content-Type")
    } else if let Some(label) = declared(bytes) {
        // A declaration that can be read byte by byte is not UTF-16, whatever it says.
        let encoding = named(&label)?;
        let narrow = encoding != UTF_16LE && encoding != UTF_16BE;
        (if narrow { encoding } else { UTF_8 }, "its declaration")
    } else if bytes.starts_with(ABNF) && std::str::from_utf8(bytes).is_err() {
        // Grammars of this form are older than the habit of declaring: what is no UTF-8 in one is
        // a name in its comments more often than anything else.
        (WINDOWS_1252, "default")
    } else {
        (UTF_8, "default")
    };
    let bytes = Encoding::for_bom(bytes).map_or(bytes, |(_, length)| &bytes[length..]);
    if encoding == UTF_8 {
        return match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => {
                let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
                let message = format!(
                    "page is not valid UTF-8 (its encoding by {said_by}); save it so, or name its \
                     encoding in the Content-Type or the XML declaration"
                );
                Err(Undecodable::behind(&String::from_utf8_lossy(before), message))
            }
        };
    }
    match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => Ok(text.into_owned()),
        None => {
            let name = encoding.name();
            let message = format!("page is not valid {name} (its encoding by {said_by})");
            Err(Undecodable::whole(message))
        }
    }
}

/// The encoding of this name; those of the web's standard, under all their names.
fn named(label: &str) -> Result<&'static Encoding, Undecodable> {
    Encoding::for_label(label.as_bytes()).ok_or_else(|| {
        Undecodable::whole(format!("page says its encoding is {label:?}, which is not known"))
    })
}

/// UTF-16 that starts with `<` or `#` and has no byte order mark.
fn wide(bytes: &[u8]) -> Option<&'static Encoding> {
    match bytes {
        [0, b'<' | b'#', ..] => Some(UTF_16BE),
        [b'<' | b'#', 0, ..] => Some(UTF_16LE),
        _ => None,
    }
}

/// The `charset` of a media type.
fn charset(content_type: &str) -> Option<&str> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        (name.trim().eq_ignore_ascii_case("charset") && !value.is_empty()).then_some(value)
    })
}

/// The `encoding` of an XML declaration, or what `#ABNF 1.0 <encoding>;` says.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(DECLARATION_BYTES_MAX)];
    let head: String = head.iter().copied().take_while(u8::is_ascii).map(char::from).collect();
    if let Some(header) = head.strip_prefix("#ABNF ") {
        // A header without its semicolon is no reason to take the rest for an encoding.
        let header = header.lines().next().unwrap_or_default();
        let (_, encoding) = header.split_once(';')?.0.trim().split_once(' ')?;
        return Some(encoding.trim().to_owned());
    }
    let declaration = head.strip_prefix("<?xml")?;
    let (declaration, _) = declaration.split_once("?>")?;
    let (_, after) = declaration.split_once("encoding")?;
    let value = after.trim_start().strip_prefix('=')?.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value[1..].split_once(quote).map(|(label, _)| label.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[test]
    fn page_that_says_nothing_is_utf_8() {
        assert_eq!(decode("", "é€".as_bytes()).unwrap(), "é€");
        assert_eq!(decode("text/xml", b"").unwrap(), "");
    }

    #[test]
    fn encoding_named_by_the_server_is_used() {
        let cases: [(&str, &[u8], &str); 6] = [
            ("text/xml; charset=ISO-8859-1", b"\xe9", "é"),
            ("text/xml;CHARSET=\"latin1\"", b"\xe9", "é"),
            ("text/xml; a=b; charset = iso-8859-15", b"\xa4", "€"),
            ("text/html; charset=windows-1252", b"\x80\x92", "€’"),
            ("text/xml; charset=us-ascii", b"a", "a"),
            ("text/xml; charset=shift_jis", b"\x83\x65", "テ"),
        ];
        for (content_type, bytes, expected) in cases {
            assert_eq!(decode(content_type, bytes).as_deref(), Ok(expected), "{content_type}");
        }
    }

    #[test]
    fn encoding_named_by_the_page_is_used_where_the_server_is_silent() {
        let page = b"<?xml version='1.0' encoding = 'ISO-8859-1'?><vxml>\xe9</vxml>";
        assert!(decode("text/xml", page).unwrap().contains("<vxml>é</vxml>"));
        let grammar = b"#ABNF 1.0 ISO-8859-15;\n$r = \xa4;";
        assert!(decode("application/srgs", grammar).unwrap().contains('€'));
        let undeclared = b"#ABNF 1.0;\nmeta 'copyright' is '\xa9 me';";
        assert!(decode("application/srgs", undeclared).unwrap().contains("© me"));
        let contradicted = "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>é".as_bytes();
        assert!(decode("text/xml; charset=utf-8", contradicted).unwrap().ends_with('é'));
        let narrow = b"<?xml version=\"1.0\" encoding=\"UTF-16\"?><vxml/>";
        assert!(decode("", narrow).unwrap().ends_with("<vxml/>"));
    }

    #[test]
    fn byte_order_mark_wins_and_is_not_part_of_the_text() {
        let text = "<vxml>é</vxml>";
        let eight = [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat();
        let little = [b"\xff\xfe".to_vec(), utf16(text, u16::to_le_bytes)].concat();
        let big = [b"\xfe\xff".to_vec(), utf16(text, u16::to_be_bytes)].concat();
        for page in [eight, little, big] {
            assert_eq!(decode("text/xml; charset=latin1", &page).as_deref(), Ok(text));
        }
    }

    #[test]
    fn wide_page_without_mark_is_known_by_its_first_sign() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><vxml/>";
        assert_eq!(decode("", &utf16(text, u16::to_le_bytes)).as_deref(), Ok(text));
        assert_eq!(
            decode("text/xml; charset=utf-16", &utf16(text, u16::to_be_bytes)).as_deref(),
            Ok(text)
        );
    }

    #[test]
    fn what_cannot_be_decoded_is_an_error_that_says_where() {
        let errors = [
            decode("text/xml", b"abc\xe9"),
            decode("text/xml; charset=klingon", b"a"),
            decode("text/xml; charset=utf-16le", b"a"),
            decode("text/xml; charset=shift_jis", b"\x83"),
        ]
        .map(|text| text.unwrap_err().to_string());
        assert_eq!(
            errors,
            [
                "1:4: page is not valid UTF-8 (its encoding by default); save it so, or name its \
                 encoding in the Content-Type or the XML declaration",
                "page says its encoding is \"klingon\", which is not known",
                "page is not valid UTF-16LE (its encoding by its Content-Type)",
                "page is not valid Shift_JIS (its encoding by its Content-Type)",
            ]
        );
    }

    #[test]
    fn declaration_is_looked_for_at_the_very_start_alone() {
        for page in ["", "<", "<?xml", "<?xml?>", "<?xml encoding?>", "<?xml encoding=x?>"] {
            assert_eq!(declared(page.as_bytes()), None, "{page}");
        }
        let late = format!("<?xml {}encoding=\"latin1\"?>", " ".repeat(DECLARATION_BYTES_MAX));
        assert_eq!(declared(late.as_bytes()), None);
        assert_eq!(declared(b"#ABNF 1.0\nroot $a;"), None);
        let late = decode(
            "",
            "é\n<é>".as_bytes().iter().chain(b"\xe9").copied().collect::<Vec<_>>().as_slice(),
        );
        assert_eq!(late.unwrap_err().place, Some((2, 4)));
        assert_eq!(declared(b" <?xml encoding=\"latin1\"?>"), None);
    }
}
