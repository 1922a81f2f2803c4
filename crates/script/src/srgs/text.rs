//! Turns the bytes of a grammar into text, by what they say of their encoding.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// Bytes as text. A byte order mark decides; then what the transport said; then what the
/// document says of itself (SRGS 1.0 §1.5, RFC 3023); then UTF-8.
pub(crate) fn decode(bytes: &[u8], charset: Option<&str>) -> Result<String, String> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return whole(encoding, &bytes[length..]);
    }
    if let Some(encoding) = unmarked_utf16(bytes) {
        return whole(encoding, bytes);
    }
    let declared = declared(bytes);
    let Some(label) = charset.or(declared.as_deref()) else {
        // ABNF that declares nothing may have a name in its comments from before UTF-8.
        let older = bytes.starts_with(b"#ABNF ") && std::str::from_utf8(bytes).is_err();
        return whole(if older { WINDOWS_1252 } else { UTF_8 }, bytes);
    };
    let label = label.trim();
    match Encoding::for_label(alias(label).as_bytes()) {
        // It can be read as what it says, so it is not UTF-16 whatever it says.
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => whole(UTF_8, bytes),
        Some(encoding) => whole(encoding, bytes),
        None => Err(format!("the encoding {label} is not known")),
    }
}

/// Names that people write with and without hyphens.
fn alias(label: &str) -> String {
    let label = label.to_ascii_lowercase();
    match label.strip_prefix("iso8859") {
        Some(rest) => format!("iso-8859-{}", rest.trim_start_matches(['-', '_'])),
        None => label,
    }
}

fn whole(encoding: &'static Encoding, bytes: &[u8]) -> Result<String, String> {
    match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => Ok(text.into_owned()),
        None => Err(format!("the text is not well-formed {}", encoding.name())),
    }
}

/// UTF-16 without its mark: every other byte of an ASCII beginning is nothing.
fn unmarked_utf16(bytes: &[u8]) -> Option<&'static Encoding> {
    match bytes {
        [0, b'<' | b'#', ..] => Some(UTF_16BE),
        [b'<' | b'#', 0, ..] => Some(UTF_16LE),
        _ => None,
    }
}

/// Bytes in which a document declares its encoding.
const DECLARATION_MAX_BYTES: usize = 200;

/// `#ABNF 1.0 <encoding>;` or `<?xml … encoding="<encoding>"?>`.
fn declared(bytes: &[u8]) -> Option<String> {
    let head = &bytes[..bytes.len().min(DECLARATION_MAX_BYTES)];
    let head: String = head.iter().map(|byte| char::from(*byte)).collect();
    if let Some(rest) = head.strip_prefix("#ABNF ") {
        let (line, _) = rest.split_once(';')?;
        let (_, encoding) = line.trim().split_once(' ')?;
        return Some(encoding.trim().to_owned());
    }
    let declaration = head.strip_prefix("<?xml")?.split_once("?>")?.0;
    let value = declaration.split_once("encoding")?.1.trim_start().strip_prefix('=')?;
    let value = value.trim_start();
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value[1..].split_once(quote).map(|(encoding, _)| encoding.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
        let marked = mark.then_some('\u{feff}').into_iter().chain(text.chars());
        let units: Vec<u16> = marked.collect::<String>().encode_utf16().collect();
        let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
        units.into_iter().flat_map(bytes).collect()
    }

    #[test]
    fn a_byte_order_mark_tells_the_encoding() {
        let text = "#ABNF 1.0 UTF-16;\n예";
        for (big, mark) in [(true, true), (false, true), (true, false), (false, false)] {
            assert_eq!(decode(&utf16(text, big, mark), None).as_deref(), Ok(text));
        }
        assert_eq!(decode("\u{feff}<a/>".as_bytes(), Some("latin1")).as_deref(), Ok("<a/>"));
    }

    #[test]
    fn a_document_tells_its_own_encoding() {
        let abnf = b"#ABNF 1.0 ISO-8859-1;\nr\xe4tt";
        assert_eq!(decode(abnf, None).as_deref(), Ok("#ABNF 1.0 ISO-8859-1;\nrätt"));
        let older = b"#ABNF 1.0 ISO8859-1;\nr\xe4tt";
        assert!(decode(older, None).is_ok_and(|text| text.ends_with("rätt")));
        let xml = b"<?xml version='1.0' encoding = 'iso-8859-1'?><a>r\xe4tt</a>";
        assert!(decode(xml, None).is_ok_and(|text| text.contains("rätt")));
        let korean = b"<?xml version=\"1.0\" encoding=\"EUC-KR\"?><a>\xbf\xb9</a>";
        assert!(decode(korean, None).is_ok_and(|text| text.contains('예')));
        // A text that is plainly bytes cannot be UTF-16.
        let mislabelled = b"<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>";
        assert!(decode(mislabelled, None).is_ok());
    }

    #[test]
    fn the_transport_overrules_the_document() {
        let xml = "<?xml version='1.0' encoding='iso-8859-1'?><a>é</a>";
        assert_eq!(decode(xml.as_bytes(), Some("utf-8")).as_deref(), Ok(xml));
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        assert_eq!(
            decode(b"#ABNF 1.0 KLINGON;\n", None).unwrap_err(),
            "the encoding KLINGON is not known"
        );
        assert_eq!(
            decode(b"<?xml version=\"1.0\"?>\xff\xfe\xfd", None).unwrap_err(),
            "the text is not well-formed UTF-8"
        );
        let copyright = decode(b"#ABNF 1.0;\nmeta 'c' is '\xa9';", None);
        assert!(copyright.is_ok_and(|text| text.contains('\u{a9}')));
    }
}
