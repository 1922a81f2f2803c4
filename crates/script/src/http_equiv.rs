//! What a document says of itself in place of its server: `<meta http-equiv>` (VoiceXML 2.0
//! §6.2.1, SRGS 1.0 §4.11.1).

use std::sync::Arc;

use roxmltree::Node;

use crate::srgs;
use crate::vxml::Limits;
use crate::vxml::place::Rows;
use crate::vxml::xml;

/// How an ABNF grammar begins (SRGS 1.0 §4.1).
const ABNF: &str = "#ABNF ";

/// The header fields that a page or a grammar says of itself, by name and content, in its order.
///
/// Of VoiceXML pages and of grammars in either form; whatever else it is, and whatever cannot be
/// read, says nothing. Names are as written.
pub fn http_equivs(text: &str) -> Vec<(String, String)> {
    // Most documents say nothing, and are not read twice for it.
    if !text.contains("http-equiv") {
        return Vec::new();
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.starts_with(ABNF) { of_abnf(text) } else { of_xml(text).unwrap_or_default() }
}

fn of_abnf(text: &str) -> Vec<(String, String)> {
    let bytes_max = Limits::default().document_bytes_max;
    let given = srgs::Given { url: None, media_type: "", embedded: false, bytes_max };
    let metas = srgs::read(text, &given).map(|draft| draft.metas().to_vec()).unwrap_or_default();
    let said = metas.into_iter().filter(|meta| meta.http_equiv);
    said.map(|meta| (meta.name, meta.content)).collect()
}

fn of_xml(text: &str) -> Option<Vec<(String, String)>> {
    let rows = Rows::new(&Arc::from("document"), text);
    let document = xml::parse(text, &rows, Limits::default().document_bytes_max).ok()?;
    let root = document.root_element();
    if !matches!(root.tag_name().name(), "grammar" | "vxml") {
        return None;
    }
    let is_meta = |node: &Node<'_, '_>| {
        let (tag, own) = (node.tag_name(), root.tag_name().namespace());
        node.is_element() && tag.name() == "meta" && tag.namespace() == own
    };
    let said = root.children().filter(is_meta).filter_map(|meta| {
        Some((meta.attribute("http-equiv")?.to_owned(), meta.attribute("content")?.to_owned()))
    });
    Some(said.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        let said = http_equivs(text).into_iter();
        said.map(|(name, content)| format!("{name}: {content}")).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn pages_and_grammars_of_both_forms_say_headers() {
        let page = "\u{feff}<?xml version='1.0'?><vxml version='2.1' \
                    xmlns='http://www.w3.org/2001/vxml'><meta name='author' content='me'/>\
                    <meta http-equiv='Expires' content='0'/>\
                    <meta http-equiv='Date' content='Thu, 12 Dec 2000 23:27:21 GMT'/><form/></vxml>";
        assert_eq!(said(page), "Expires: 0 | Date: Thu, 12 Dec 2000 23:27:21 GMT");
        let xml = "<grammar version='1.0' root='r' xmlns='http://www.w3.org/2001/06/grammar'>\
                   <meta http-equiv='Cache-Control' content='max-age=60'/>\
                   <rule id='r'>yes</rule></grammar>";
        assert_eq!(said(xml), "Cache-Control: max-age=60");
        let abnf = "#ABNF 1.0;\nlanguage en-US;\nroot $r;\nmeta 'author' is 'http-equiv';\n\
                    http-equiv 'Pragma' is 'no-cache';\n$r = yes;\n";
        assert_eq!(said(abnf), "Pragma: no-cache");
    }

    #[test]
    fn what_is_no_page_and_no_grammar_says_nothing() {
        let meta = "<meta http-equiv='Expires' content='0'/>";
        let texts = [
            format!("<html><head>{meta}</head></html>"),
            format!("<html>{meta}</html>"),
            format!("<vxml>{meta}"),
            format!("<vxml><form>{meta}</form></vxml>"),
            "<vxml><x:meta xmlns:x='urn:x' http-equiv='a' content='b'/></vxml>".to_owned(),
            format!("<!DOCTYPE vxml [<!ENTITY a 'b'>]><vxml>{meta}</vxml>"),
            "<vxml><meta http-equiv='Expires'/></vxml>".to_owned(),
            "#ABNF 1.0;\nhttp-equiv 'a' 'b';".to_owned(),
            "http-equiv".to_owned(),
            format!("<vxml><!-- {meta} --></vxml>"),
        ];
        for text in texts {
            assert_eq!(said(&text), "", "{text}");
        }
    }
}
