//! `<data>`: XML from a server, for scripts to read (VoiceXML 2.1 §5).

use std::sync::Arc;

use roxmltree::{Node, NodeType};
use url::Url;

use super::document::{FetchRule, Given, SubmitHow};
use super::fault::{BAD_FETCH, Fault};
use super::fia::Vxml;
use super::load::{Loading, mistakes_fault};
use super::place::{Place, Rows};
use super::prompt::resolve;
use super::scope::Level;
use super::value::Value;
use super::xml;
use crate::step::Fetched;

impl Vxml {
    pub(super) fn data(
        &mut self,
        name: Option<&str>,
        from: &Given,
        names: &[String],
        how: SubmitHow,
        fetch: &FetchRule,
        place: &Place,
    ) -> Result<(), Fault> {
        let level = self.scopes.innermost();
        let address = self.given(from)?;
        let fields = self.fields(names)?;
        let mut url = resolve(self.pages.base().as_ref(), &address)?;
        let method = super::load::method(how, fields, &mut url);
        self.usage.resource(&self.limits)?;
        let rule = self.properties().fetch("data", fetch)?;
        let name = name.map(str::to_owned);
        self.request(url, method, &rule, Loading::Data { level, name, place: place.clone() })
    }

    pub(super) fn data_came(
        &mut self,
        page: &Fetched,
        level: Level,
        name: Option<&str>,
    ) -> Result<(), Fault> {
        let text = page.text.strip_prefix('\u{feff}').unwrap_or(&page.text);
        let source: Arc<str> = page.url.as_str().into();
        let rows = Rows::new(&source, text);
        let document = xml::parse_page(text, &rows, self.limits.document_bytes_max)
            .map_err(|mistakes| mistakes_fault(&source, &mistakes))?;
        let asker = self.pages.document.as_ref().and_then(|page| page.url.as_ref());
        if !may_read(document.root(), asker) {
            let message = format!("the server of {} does not let this page read it", page.url);
            return Err(Fault::new("error.noauthorization", message));
        }
        let Some(name) = name else {
            return Ok(());
        };
        let trees = document.root().children().flat_map(trees).collect();
        self.scopes.set_document(level, name, &Value::List(trees)).map_err(|mut fault| {
            if fault.message.contains("memory") {
                fault.event = BAD_FETCH.to_owned();
            }
            fault
        })
    }
}

/// Nodes as `dom.js` has them: one, but for a text that the reader has made of several.
fn trees(node: Node<'_, '_>) -> Vec<Value> {
    let leaf = |kind: f64, text: String| Value::List(vec![Value::Number(kind), Value::text(text)]);
    match node.node_type() {
        NodeType::Text => {
            let parts = text_parts(node).into_iter();
            parts.map(|(cdata, text)| leaf(if cdata { 4.0 } else { 3.0 }, text)).collect()
        }
        _ => tree(node).into_iter().collect(),
    }
}

/// A node that is no text, as `dom.js` has it; white space between elements is kept.
///
/// The XML reader refuses depths that would make this recursion deep.
fn tree(node: Node<'_, '_>) -> Option<Value> {
    let text = |text: &str| Value::text(text);
    Some(Value::List(match node.node_type() {
        NodeType::Comment => {
            vec![Value::Number(8.0), text(node.text().unwrap_or_default())]
        }
        NodeType::Element => {
            let declared = node.namespaces().filter(|space| declares(node, space)).map(|space| {
                let name = space.name().map_or("xmlns".into(), |name| format!("xmlns:{name}"));
                Value::List(vec![text(&name), text(XMLNS), text(space.uri())])
            });
            let attributes = node.attributes().map(|attribute| {
                let prefix = attribute.namespace().and_then(|uri| prefix_of(node, uri));
                Value::List(vec![
                    text(&qualified(prefix, attribute.name())),
                    attribute.namespace().map_or(Value::Null, text),
                    text(attribute.value()),
                ])
            });
            let tag = node.tag_name();
            let own_text = node.document().input_text().get(node.range()).unwrap_or_default();
            vec![
                Value::Number(1.0),
                text(tag_as_written(own_text).unwrap_or(tag.name())),
                tag.namespace().map_or(Value::Null, text),
                Value::List(declared.chain(attributes).collect()),
                Value::List(node.children().flat_map(trees).collect()),
            ]
        }
        NodeType::PI => {
            let pi = node.pi()?;
            vec![Value::Number(7.0), text(pi.target), text(pi.value.unwrap_or_default())]
        }
        NodeType::Root | NodeType::Text => return None,
    }))
}

const CDATA: &str = "<![CDATA[";

/// The texts and sections of CDATA that the reader has made one text of, and whether each is a
/// section; a section is a node of its own (DOM Level 2 Core §1.3).
fn text_parts(node: Node<'_, '_>) -> Vec<(bool, String)> {
    let whole = node.text().unwrap_or_default();
    let (document, at) = (node.document().input_text(), node.range().start);
    let before = document.get(..at).is_some_and(|before| before.ends_with(CDATA));
    let start = if before { at - CDATA.len() } else { at };
    let mut rest = document.get(start..).unwrap_or_default();
    let mut parts: Vec<(bool, &str)> = Vec::new();
    loop {
        if let Some(section) = rest.strip_prefix(CDATA) {
            let (inner, after) = section.split_once("]]>").unwrap_or((section, ""));
            parts.push((true, inner));
            rest = after;
        } else {
            let end = rest.find('<').unwrap_or(rest.len());
            if end == 0 {
                break;
            }
            parts.push((false, &rest[..end]));
            rest = &rest[end..];
        }
    }
    match parts.as_slice() {
        [] => vec![(false, whole.to_owned())],
        [(cdata, _)] => vec![(*cdata, whole.to_owned())],
        _ => {
            let text = |(cdata, text)| (cdata, if cdata { lines(text) } else { unescaped(text) });
            parts.into_iter().map(text).collect()
        }
    }
}

/// Ends of lines as XML has them.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// A text without its references. There are only those of XML itself and those to characters: a
/// document that declares others is refused.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for (number, part) in lines(text).split('&').enumerate() {
        let reference = if number == 0 { None } else { part.split_once(';') };
        match reference.and_then(|(name, rest)| Some((character(name)?, rest))) {
            Some((character, rest)) => {
                plain.push(character);
                plain.push_str(rest);
            }
            None => plain.push_str(part),
        }
    }
    plain
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "apos" => Some('\''),
        "gt" => Some('>'),
        "lt" => Some('<'),
        "quot" => Some('"'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix('x') {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

/// Whether a namespace is declared on this element and not further out.
fn declares(node: Node<'_, '_>, space: &roxmltree::Namespace<'_>) -> bool {
    let xml = space.name() == Some("xml");
    let outer = node.parent_element().and_then(|outer| {
        outer.namespaces().find(|known| known.name() == space.name()).map(|known| known.uri())
    });
    !xml && outer != Some(space.uri())
}

/// The namespace of namespace declarations.
const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

fn qualified(prefix: Option<&str>, name: &str) -> String {
    prefix.map_or_else(|| name.to_owned(), |prefix| format!("{prefix}:{name}"))
}

fn prefix_of<'n>(node: Node<'n, '_>, uri: &str) -> Option<&'n str> {
    if uri == "http://www.w3.org/XML/1998/namespace" {
        return Some("xml");
    }
    node.lookup_prefix(uri)
}

/// The name in a start tag, with its prefix, which the reader resolves away.
fn tag_as_written(element: &str) -> Option<&str> {
    let tag = element.strip_prefix('<')?;
    let end = tag.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/'))?;
    tag.get(..end).filter(|name| !name.is_empty())
}

/// Whether the document's own word, if it has one, lets this page read it: processing instructions
/// `<?access-control allow="…" deny="…"?>` before the root element, with lists of hosts as
/// `*.example.com`.
fn may_read(root: Node<'_, '_>, asker: Option<&Url>) -> bool {
    let rules: Vec<&str> = root
        .children()
        .take_while(|node| !node.is_element())
        .filter_map(|node| node.pi())
        .filter(|pi| pi.target == "access-control")
        .map(|pi| pi.value.unwrap_or_default())
        .collect();
    if rules.is_empty() {
        return true;
    }
    let host = asker.and_then(Url::host_str).unwrap_or_default();
    let named = |list: &str| {
        rules
            .iter()
            .filter_map(|rule| pseudo_attribute(rule, list))
            .any(|hosts| hosts.split_whitespace().any(|pattern| covers(pattern, host)))
    };
    named("allow") && !named("deny")
}

fn covers(pattern: &str, host: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|sub| sub.ends_with('.')),
        None => pattern == "*" || (pattern == host && !host.is_empty()),
    }
}

/// The value of `name="value"` in a processing instruction.
fn pseudo_attribute<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.match_indices(name).find_map(|(at, _)| {
        let before = text[..at].chars().next_back();
        let rest = text[at + name.len()..].trim_start().strip_prefix('=')?.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, _) = rest[1..].split_once(quote)?;
        before.is_none_or(char::is_whitespace).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(rules: &str, asker: &str) -> bool {
        let text = format!("<!-- c -->{rules}<a/>");
        let document = roxmltree::Document::parse(&text).unwrap();
        may_read(document.root(), Url::parse(asker).ok().as_ref())
    }

    #[test]
    fn sections_of_cdata_are_told_from_the_texts_around_them() {
        let parts = |inner: &str| {
            let text = format!("<a>{inner}</a>");
            let document = roxmltree::Document::parse(&text).unwrap();
            let texts = document.root_element().children().filter(Node::is_text);
            let parts: Vec<Vec<(bool, String)>> = texts.map(text_parts).collect();
            let told = |(cdata, text): &(bool, String)| match *cdata {
                true => format!("[{text}]"),
                false => text.clone(),
            };
            parts.iter().map(|it| it.iter().map(told).collect::<Vec<_>>().join("|")).collect()
        };
        let told: [Vec<String>; 6] = [
            "t&lt;x<![CDATA[u&amp;\r\nv]]>&#65;&#x42;&amp;amp;\rw",
            "<![CDATA[]]><![CDATA[b]]>",
            "one<!-- c --><![CDATA[two]]><b/>three",
            "plain &amp; simple",
            "<![CDATA[<only>]]>",
            "a<![CDATA[b]]><?pi?>c",
        ]
        .map(parts);
        assert_eq!(told[0], ["t<x|[u&amp;\nv]|AB&amp;\nw"]);
        assert_eq!(told[1], ["[]|[b]"]);
        assert_eq!(told[2], ["one", "[two]", "three"]);
        assert_eq!(told[3], ["plain & simple"]);
        assert_eq!(told[4], ["[<only>]"]);
        assert_eq!(told[5], ["a|[b]", "c"]);
    }

    #[test]
    fn a_document_says_who_may_read_it() {
        let page = "http://www.example.com/x.vxml";
        let verdicts = [
            "",
            "<?access-control allow=\"*\"?>",
            "<?access-control allow='www.example.com'?>",
            "<?access-control allow='other.com *.example.com'?>",
            "<?access-control allow='example.com'?>",
            "<?access-control allow='*' deny='www.example.com'?>",
            "<?access-control?>",
            "<?access-control disallow='*'?>",
        ]
        .map(|rules| allowed(rules, page));
        assert_eq!(verdicts, [true, true, true, true, false, false, false, false]);
        assert!(!allowed("<?access-control allow='www.example.com'?>", "no address"));
    }
}
