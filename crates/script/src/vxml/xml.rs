//! Reads XML from strangers: checks its shape before the reader sees it, then reads it.

use roxmltree::{Document, ParsingOptions};

use super::limits::{ATTRIBUTES_MAX, DEPTH_MAX, NODES_MAX, PREFIXES_MAX};
use super::place::{Mistake, Rows};
use super::shape;

/// Reads a text that somebody is to repair: all mistakes where it is no XML.
pub(crate) fn parse_page<'t>(
    text: &'t str,
    rows: &Rows<'_>,
    bytes_max: usize,
) -> Result<Document<'t>, Vec<Mistake>> {
    parse(text, rows, bytes_max).map_err(|first| {
        let shaped = first.message.starts_with(NOT_WELL_FORMED);
        let all = if shaped { shape::mistakes(text, rows) } else { Vec::new() };
        if all.is_empty() { vec![first] } else { all }
    })
}

/// How a mistake begins that only the reader has found.
const NOT_WELL_FORMED: &str = "not well-formed XML: ";

/// Reads a text; what is too large, too deep or may expand is refused before it is parsed.
pub(crate) fn parse<'t>(
    text: &'t str,
    rows: &Rows<'_>,
    bytes_max: usize,
) -> Result<Document<'t>, Mistake> {
    if text.len() > bytes_max {
        let message = format!("the text has {} bytes; at most {bytes_max} are read", text.len());
        return Err(rows.mistake(0, message));
    }
    Scan::new(text).run().map_err(|(at, message)| rows.mistake(at, message))?;
    if let Some((at, _)) = text.match_indices("xmlns:").nth(PREFIXES_MAX) {
        let message = format!("more than {PREFIXES_MAX} prefixes of namespaces are declared");
        return Err(rows.mistake(at, message));
    }
    let options = ParsingOptions {
        allow_dtd: true,
        nodes_limit: u32::try_from(NODES_MAX * 4).unwrap_or(u32::MAX),
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options).map_err(|error| {
        let position = error.pos();
        let message = format!("{NOT_WELL_FORMED}{error}");
        // The place stands before the message already.
        let message = message.strip_suffix(&format!(" at {position}")).unwrap_or(&message);
        Mistake { row: position.row, column: position.col, message: message.to_owned() }
    })
}

/// One pass over the markup, without recursion, that counts and refuses.
struct Scan<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    elements: usize,
}

/// Where, and what.
type Refusal = (usize, String);

impl<'t> Scan<'t> {
    fn new(text: &'t str) -> Self {
        Self { text, at: 0, depth: 0, elements: 0 }
    }

    fn run(mut self) -> Result<(), Refusal> {
        while let Some(found) = self.text[self.at..].find('<') {
            self.at += found;
            let rest = &self.text[self.at..];
            if rest.starts_with("<!--") {
                self.skip_past("-->", 4);
            } else if rest.starts_with("<![CDATA[") {
                self.skip_past("]]>", 9);
            } else if rest.starts_with("<?") {
                self.skip_past("?>", 2);
            } else if rest.starts_with("<!DOCTYPE") {
                self.doctype()?;
            } else if rest.starts_with("<!") {
                let message = "only comments, CDATA and a DOCTYPE may start with '<!' here";
                return Err((self.at, message.to_owned()));
            } else if rest.starts_with("</") {
                self.depth = self.depth.saturating_sub(1);
                self.skip_past(">", 2);
            } else {
                self.start_tag()?;
            }
        }
        Ok(())
    }

    /// To behind the next `end`; an open end is left to the reader's own message.
    fn skip_past(&mut self, end: &str, opening: usize) {
        let from = (self.at + opening).min(self.text.len());
        self.at = match self.text[from..].find(end) {
            Some(found) => from + found + end.len(),
            None => self.text.len(),
        };
    }

    fn doctype(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        match self.tag_end(|byte| byte == b'[') {
            TagEnd::Forbidden => {
                let message = "a DOCTYPE with declarations of its own ('[') is refused; write the \
                               entities out";
                Err((start, message.to_owned()))
            }
            TagEnd::Open { .. } | TagEnd::Empty { .. } => Ok(()),
        }
    }

    fn start_tag(&mut self) -> Result<(), Refusal> {
        let start = self.at;
        self.elements += 1;
        if self.elements > NODES_MAX {
            return Err((start, format!("more than {NODES_MAX} elements")));
        }
        if self.depth >= DEPTH_MAX {
            return Err((start, format!("elements nested deeper than {DEPTH_MAX}")));
        }
        let attributes = match self.tag_end(|_| false) {
            TagEnd::Empty { attributes } => attributes,
            TagEnd::Open { attributes } => {
                self.depth += 1;
                attributes
            }
            TagEnd::Forbidden => 0,
        };
        if attributes > ATTRIBUTES_MAX {
            return Err((start, format!("an element with more than {ATTRIBUTES_MAX} attributes")));
        }
        Ok(())
    }

    /// To behind the `>` of the tag at hand, minding quotes.
    fn tag_end(&mut self, forbidden: impl Fn(u8) -> bool) -> TagEnd {
        let bytes = self.text.as_bytes();
        let mut quote = None;
        let mut attributes = 0;
        let mut at = self.at + 1;
        while at < bytes.len() {
            let byte = bytes[at];
            match quote {
                Some(open) if byte == open => quote = None,
                Some(_) => {}
                None if byte == b'"' || byte == b'\'' => quote = Some(byte),
                None if byte == b'=' => attributes += 1,
                None if byte == b'>' => {
                    self.at = at + 1;
                    return if bytes[at - 1] == b'/' {
                        TagEnd::Empty { attributes }
                    } else {
                        TagEnd::Open { attributes }
                    };
                }
                None if forbidden(byte) => return TagEnd::Forbidden,
                None => {}
            }
            at += 1;
        }
        self.at = bytes.len();
        TagEnd::Open { attributes }
    }
}

enum TagEnd {
    Empty { attributes: usize },
    Open { attributes: usize },
    Forbidden,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn verdict(text: &str) -> String {
        let rows = Rows::new(&Arc::from("x"), text);
        match parse(text, &rows, 1_000_000) {
            Ok(document) => format!("<{}>", document.root_element().tag_name().name()),
            Err(mistake) => mistake.to_string(),
        }
    }

    #[test]
    fn a_doctype_without_declarations_is_read() {
        let text = "<?xml version=\"1.0\"?>\n<!DOCTYPE vxml PUBLIC '-//W3C//DTD VOICEXML 2.1//EN' \
                    \"http://www.w3.org/TR/voicexml21/vxml.dtd\">\n<!-- <a> --><vxml/>";
        assert_eq!(verdict(text), "<vxml>");
    }

    #[test]
    fn xml_bombs_are_refused_by_their_shape() {
        let wide = format!("<a {}/>", (0..70).map(|n| format!("a{n}='' ")).collect::<String>());
        let bombs = [
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>".to_owned(),
            "<!DOCTYPE a SYSTEM \"file:///etc/passwd\" [ ]><a/>".to_owned(),
            "<!DOCTYPE a SYSTEM \"a[b]>\"><a>&x;</a>".to_owned(),
            "<!ENTITY x \"y\"><a/>".to_owned(),
            "<a>".repeat(100_000),
            format!("<a>{}</a>", "<b/>".repeat(50_000)),
            wide,
            "<a b='".to_owned(),
            "<a><![CDATA[".to_owned(),
            String::new(),
        ];
        let verdicts: Vec<_> = bombs.iter().map(|bomb| verdict(bomb)).collect();
        expect_test::expect![[r#"
            1:1: a DOCTYPE with declarations of its own ('[') is refused; write the entities out
            1:1: a DOCTYPE with declarations of its own ('[') is refused; write the entities out
            1:31: not well-formed XML: unknown entity reference 'x'
            1:1: only comments, CDATA and a DOCTYPE may start with '<!' here
            1:193: elements nested deeper than 64
            1:80000: more than 20000 elements
            1:1: an element with more than 64 attributes
            1:1: not well-formed XML: unexpected end of stream
            1:13: not well-formed XML: expected ']]>'
            1:1: not well-formed XML: the document does not have a root node"#]]
        .assert_eq(&verdicts.join("\n"));
    }

    #[test]
    fn a_text_over_its_size_is_not_read() {
        let rows = Rows::new(&Arc::from("x"), "<a/>");
        assert!(parse("<a/>", &rows, 3).is_err());
    }
}
