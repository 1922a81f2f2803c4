//! Finds what is wrong with a text that is no XML: all of it, in words for whoever wrote it.
//!
//! The XML reader stops at the first mistake and speaks of tokens. This one goes on, and is only
//! asked once the reader has refused the text.

use super::place::{Mistake, Rows};

/// Most mistakes that are told; behind the first few, one follows from the other.
const MISTAKES_MAX: usize = 20;
/// Signs of a text that are shown.
const SHOWN_MAX: usize = 30;

/// All that keeps a text from being well-formed, in its order; none where nothing was found.
pub(super) fn mistakes(text: &str, rows: &Rows<'_>) -> Vec<Mistake> {
    if let Some(mistake) = no_xml_at_all(text, rows) {
        return vec![mistake];
    }
    let (open, found) = (Vec::new(), Vec::new());
    let mut reader = Reader { text, at: 0, rows, open, rooted: false, found };
    reader.run();
    let mut found = reader.found;
    found.sort_by_key(|mistake| (mistake.row, mistake.column));
    found.truncate(MISTAKES_MAX);
    found
}

/// Something else altogether, of which nobody wants to hear each sign.
fn no_xml_at_all(text: &str, rows: &Rows<'_>) -> Option<Mistake> {
    let blank = |c: char| c.is_whitespace();
    let content = text.trim_start_matches(blank);
    let at = text.len() - content.len();
    if content.is_empty() {
        return Some(rows.mistake(0, "the document is empty"));
    }
    let head: String = content.chars().take(20).collect::<String>().to_ascii_lowercase();
    if head.starts_with("<!doctype html") || head.starts_with("<html") {
        let message = "this is a page of HTML, as servers send for people to read; look at what \
                       the server answers in a browser";
        return Some(rows.mistake(at, message));
    }
    if !content.starts_with('<') {
        let shown: String = content.chars().take(SHOWN_MAX).collect();
        let message = format!("this is no XML, which begins with <; it begins with {shown:?}");
        return Some(rows.mistake(at, message));
    }
    if content.starts_with("<?xml") && at > 0 {
        let message = "nothing may stand before <?xml, no blank and no empty row either";
        return Some(rows.mistake(0, message));
    }
    None
}

struct Reader<'t, 'r> {
    text: &'t str,
    at: usize,
    rows: &'r Rows<'r>,
    /// Elements that are open, and where each begins.
    open: Vec<(&'t str, usize)>,
    /// The root has been there.
    rooted: bool,
    found: Vec<Mistake>,
}

impl<'t> Reader<'t, '_> {
    fn run(&mut self) {
        while self.at < self.text.len() && self.found.len() < MISTAKES_MAX {
            let rest = self.rest();
            let until = rest.find('<').unwrap_or(rest.len());
            let (start, words) = (self.at, &rest[..until]);
            self.references(start, words);
            if self.open.is_empty() && !words.trim().is_empty() {
                let before = words.len() - words.trim_start().len();
                let message = "there is text outside of the root element, where none may stand";
                self.mistake(start + before, message);
            }
            self.at += until;
            if self.at < self.text.len() {
                self.markup();
            }
        }
        for (name, at) in std::mem::take(&mut self.open) {
            self.mistake(at, format!("<{name}> is never closed: </{name}> is missing"));
        }
    }

    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn mistake(&mut self, at: usize, message: impl Into<String>) {
        self.found.push(self.rows.mistake(at, message));
    }

    fn markup(&mut self) {
        let rest = self.rest();
        if rest.starts_with("<!--") {
            self.skip("-->", "this comment is never closed: --> is missing");
        } else if rest.starts_with("<![CDATA[") {
            self.skip("]]>", "this CDATA section is never closed: ]]> is missing");
        } else if rest.starts_with("<?") {
            self.skip("?>", "this instruction is never closed: ?> is missing");
        } else if rest.starts_with("<!") {
            self.skip(">", "this declaration is never closed: > is missing");
        } else if rest.starts_with("</") {
            self.end_tag();
        } else if rest[1..].starts_with(is_name_start) {
            self.start_tag();
        } else {
            self.mistake(self.at, "a plain < is written &lt;");
            self.at += 1;
        }
    }

    fn skip(&mut self, end: &str, otherwise: &str) {
        match self.rest().find(end) {
            Some(found) => self.at += found + end.len(),
            None => {
                self.mistake(self.at, otherwise);
                self.at = self.text.len();
            }
        }
    }

    fn end_tag(&mut self) {
        let start = self.at;
        self.at += 2;
        let rest = self.rest();
        let blanks = rest.len() - rest.trim_start().len();
        self.at += blanks;
        let name = self.name();
        let rest = self.rest();
        let end = rest.find(['>', '<']).unwrap_or(rest.len());
        if blanks > 0 || !rest[..end].trim().is_empty() || !rest[end..].starts_with('>') {
            self.mistake(start, format!("this end tag is written </{name}>"));
        }
        self.at += end + usize::from(rest[end..].starts_with('>'));
        let Some(depth) = self.open.iter().rposition(|(open, _)| *open == name) else {
            let message = match self.open.last() {
                Some((open, at)) => {
                    let (row, column) = self.rows.row_and_column(*at);
                    format!("</{name}> closes nothing; what is open is <{open}> of {row}:{column}")
                }
                None => format!("</{name}> closes nothing, and nothing is open"),
            };
            self.mistake(start, message);
            return;
        };
        let (row, column) = self.rows.row_and_column(start);
        for (open, at) in self.open.split_off(depth).into_iter().skip(1) {
            let message = format!(
                "<{open}> is never closed: </{open}> is missing before </{name}> at {row}:{column}"
            );
            self.mistake(at, message);
        }
    }

    fn start_tag(&mut self) {
        let start = self.at;
        self.at += 1;
        let name = self.name();
        if self.open.is_empty() && self.rooted {
            let message = format!("<{name}> stands behind the root element; there is one root");
            self.mistake(start, message);
        }
        self.rooted = true;
        let mut seen: Vec<&str> = Vec::new();
        loop {
            let rest = self.rest();
            self.at += rest.len() - rest.trim_start().len();
            let rest = self.rest();
            if rest.starts_with("/>") {
                self.at += 2;
                return;
            }
            if rest.starts_with('>') {
                self.at += 1;
                break;
            }
            if rest.is_empty() || rest.starts_with('<') {
                self.mistake(start, format!("the tag <{name} is never closed: > is missing"));
                if rest.is_empty() {
                    return;
                }
                break;
            }
            if !self.attribute(name, &mut seen) {
                break;
            }
        }
        self.open.push((name, start));
    }

    /// Reads an attribute; false where what follows cannot be told.
    fn attribute(&mut self, element: &str, seen: &mut Vec<&'t str>) -> bool {
        let start = self.at;
        let name = self.name();
        if name.is_empty() {
            let sign = self.rest().chars().next().unwrap_or_default();
            self.mistake(start, format!("{sign:?} may not stand in the tag <{element}>"));
            self.at += sign.len_utf8();
            return true;
        }
        if seen.contains(&name) {
            self.mistake(start, format!("<{element}> has {name} twice"));
        }
        seen.push(name);
        let rest = self.rest().trim_start();
        let Some(value) = rest.strip_prefix('=').map(str::trim_start) else {
            self.mistake(start, format!("{name} has no value; it is written {name}=\"...\""));
            return true;
        };
        self.at = self.text.len() - value.len();
        let Some(quote) = value.chars().next().filter(|sign| matches!(sign, '"' | '\'')) else {
            let end = value.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/'));
            let plain: String = value[..end.unwrap_or(value.len())].chars().take(30).collect();
            let message = format!("the value of {name} needs quotes: {name}=\"{plain}\"");
            self.mistake(start, message);
            self.at += end.unwrap_or(value.len());
            return true;
        };
        self.at += 1;
        let value = &value[1..];
        let end = value.find(quote).unwrap_or(value.len());
        let inner = &value[..end];
        if let Some(sign) = inner.find('<') {
            // Where a quote is missing, the next tag is taken for the value.
            if end == value.len() || inner[..sign].contains(['>', '\n']) {
                let message = format!("the value of {name} is never closed: {quote} is missing");
                self.mistake(start, message);
                self.at += sign;
                return false;
            }
            self.mistake(self.at + sign, format!("a < in the value of {name} is written &lt;"));
        } else if end == value.len() {
            let message = format!("the value of {name} is never closed: {quote} is missing");
            self.mistake(start, message);
        }
        self.references(self.at, inner);
        self.at += (end + 1).min(value.len());
        true
    }

    fn name(&mut self) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !is_name_part(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// Looks for `&` that begins nothing, and for signs that no XML has.
    fn references(&mut self, start: usize, text: &str) {
        for (at, _) in text.match_indices('&') {
            let rest = &text[at + 1..];
            let name = rest.split_once(';').map(|(name, _)| name).unwrap_or_default();
            let number = name.strip_prefix('#');
            let known = matches!(name, "amp" | "apos" | "gt" | "lt" | "quot")
                || number.is_some_and(|number| !number.is_empty());
            let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
            if known {
                continue;
            }
            let message = match plain {
                true => format!("there is no &{name}; in XML; write the sign itself"),
                false => "a plain & is written &amp;".to_owned(),
            };
            self.mistake(start + at, message);
        }
        let odd =
            |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{7f}'..='\u{9f}');
        if let Some((at, sign)) = text.char_indices().find(|(_, c)| odd(*c)) {
            let code = u32::from(sign);
            self.mistake(start + at, format!("the sign U+{code:04X} may not stand in XML"));
        }
    }
}

fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | ':')
}

fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | ':' | '-' | '.' | '\u{b7}')
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::sync::Arc;

    use super::*;

    fn told(text: &str) -> String {
        let rows = Rows::new(&Arc::from("x"), text);
        mistakes(text, &rows).iter().fold(String::new(), |mut told, mistake| {
            let _ = writeln!(told, "{mistake}");
            told
        })
    }

    #[test]
    fn every_mistake_of_a_text_is_told_with_what_would_be_right() {
        let text = "<?xml version='1.0'?>\n<vxml>\n<form id=main>\n <block>\n  \
                    <if cond=\"a < 3 && b\">Tom & Jerry&nbsp;<log/>\n </block>\n \
                    <goto next='x?a=1&b=2'/>\n 3 < 4 <x checked a='1' a='2'/></say>\n</form>\n";
        expect_test::expect![[r#"
            2:1: <vxml> is never closed: </vxml> is missing
            3:7: the value of id needs quotes: id="main"
            5:3: <if> is never closed: </if> is missing before </block> at 6:2
            5:15: a < in the value of cond is written &lt;
            5:19: a plain & is written &amp;
            5:20: a plain & is written &amp;
            5:29: a plain & is written &amp;
            5:36: there is no &nbsp; in XML; write the sign itself
            7:19: a plain & is written &amp;
            8:4: a plain < is written &lt;
            8:11: checked has no value; it is written checked="..."
            8:25: <x> has a twice
            8:32: </say> closes nothing; what is open is <form> of 3:1
        "#]]
        .assert_eq(&told(text));
    }

    #[test]
    fn what_is_no_xml_at_all_is_told_once() {
        let texts = [
            "",
            " \n\n",
            "<!DOCTYPE html>\n<html><br></html>",
            "\n<HTML><p>",
            "Fatal error: no such file in /var/www/index.php",
            "{\"actions\": []}",
            "\n<?xml version='1.0'?><vxml/>",
            "<a/><b/>",
            "<a/>b",
            "<a><!-- b",
            "<a b='c><d e='f'/></a>",
            "<a b='c",
            "<a",
            "<a></ a></a b>",
            "<a>\u{1}</a>",
            "<",
        ];
        let told: String = texts.iter().map(|text| told(text)).collect();
        expect_test::expect![[r#"
            1:1: the document is empty
            1:1: the document is empty
            1:1: this is a page of HTML, as servers send for people to read; look at what the server answers in a browser
            2:1: this is a page of HTML, as servers send for people to read; look at what the server answers in a browser
            1:1: this is no XML, which begins with <; it begins with "Fatal error: no such file in /"
            1:1: this is no XML, which begins with <; it begins with "{\"actions\": []}"
            1:1: nothing may stand before <?xml, no blank and no empty row either
            1:5: <b> stands behind the root element; there is one root
            1:5: there is text outside of the root element, where none may stand
            1:1: <a> is never closed: </a> is missing
            1:4: this comment is never closed: --> is missing
            1:4: the value of b is never closed: ' is missing
            1:1: the tag <a is never closed: > is missing
            1:4: the value of b is never closed: ' is missing
            1:1: the tag <a is never closed: > is missing
            1:4: this end tag is written </a>
            1:9: this end tag is written </a>
            1:9: </a> closes nothing, and nothing is open
            1:4: the sign U+0001 may not stand in XML
            1:1: a plain < is written &lt;
        "#]]
        .assert_eq(&told);
    }

    #[test]
    fn nothing_is_told_of_a_text_that_is_in_order() {
        let text = "<?xml version=\"1.0\"?>\n<!-- a < b & c -->\n<!DOCTYPE vxml>\n<x:vxml a = 'b\">' \
                    c=\"&amp;&#10;&#xA;\"><![CDATA[a < b && c]]>é &lt;\n</x:vxml >\n<?pi?>\n";
        assert_eq!(told(text), "");
    }
}
