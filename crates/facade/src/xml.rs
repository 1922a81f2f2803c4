//! Text as XML takes it: what cannot stand in a document is replaced, what means something escaped.

/// Appends `text` as content of an element.
pub(crate) fn push_text(out: &mut String, text: &str) {
    push(out, text, false);
}

/// Appends `text` as the value of an attribute between double quotes.
pub(crate) fn push_attribute(out: &mut String, text: &str) {
    push(out, text, true);
}

fn push(out: &mut String, text: &str, attribute: bool) {
    for sign in text.chars() {
        match sign {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' if attribute => out.push_str("&quot;"),
            // A parser would make a space of them in an attribute, and a LF of a CR anywhere.
            '\t' if attribute => out.push_str("&#9;"),
            '\n' if attribute => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            sign if is_allowed(sign) => out.push(sign),
            _ => out.push('\u{fffd}'),
        }
    }
}

/// XML 1.0 §2.2, production 2.
const fn is_allowed(sign: char) -> bool {
    matches!(sign, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn signs_of_xml_are_escaped_and_impossible_ones_replaced() {
        let mut out = String::new();
        push_text(&mut out, "a<b>&\"c\"\r\u{0}\u{8}\u{ffff}é\n");
        assert_eq!(out, "a&lt;b&gt;&amp;\"c\"&#13;\u{fffd}\u{fffd}\u{fffd}é\n");
    }

    proptest! {
        #[test]
        fn whatever_is_written_reads_back(text in "[\\PC\\t\\n\\r]{0,40}") {
            let mut document = String::from("<a b=\"");
            push_attribute(&mut document, &text);
            document.push_str("\">");
            push_text(&mut document, &text);
            document.push_str("</a>");
            let mut reader = quick_xml::Reader::from_str(&document);
            let mut content = String::new();
            loop {
                match reader.read_event().unwrap() {
                    quick_xml::events::Event::Start(start) => {
                        let attribute = start.attributes().next().unwrap().unwrap();
                        let value = &attribute.value;
                        prop_assert_eq!(quick_xml::escape::unescape(value).unwrap(), text.as_str());
                    }
                    quick_xml::events::Event::Text(part) => {
                        content.push_str(&part);
                    }
                    quick_xml::events::Event::GeneralRef(part) => {
                        content.push_str(&format!("&{};", &*part));
                    }
                    quick_xml::events::Event::Eof => break,
                    _ => {}
                }
            }
            prop_assert_eq!(quick_xml::escape::unescape(&content).unwrap(), text.as_str());
        }
    }
}
