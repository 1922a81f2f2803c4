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
        let document = xml::parse(text, &rows, self.limits.document_bytes_max)
            .map_err(|mistake| mistakes_fault(&source, &[mistake]))?;
        let asker = self.pages.document.as_ref().and_then(|page| page.url.as_ref());
        if !may_read(document.root(), asker) {
            let message = format!("the server of {} does not let this page read it", page.url);
            return Err(Fault::new("error.noauthorization", message));
        }
        let Some(name) = name else {
            return Ok(());
        };
        let trees = document.root().children().filter_map(tree).collect();
        self.scopes.set_document(level, name, &Value::List(trees)).map_err(|mut fault| {
            if fault.message.contains("memory") {
                fault.event = BAD_FETCH.to_owned();
            }
            fault
        })
    }
}

/// A node as `dom.js` has it; white space between elements is kept.
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
                Value::List(node.children().filter_map(tree).collect()),
            ]
        }
        NodeType::PI => {
            let pi = node.pi()?;
            vec![Value::Number(7.0), text(pi.target), text(pi.value.unwrap_or_default())]
        }
        NodeType::Root => return None,
        NodeType::Text => {
            let kind = if is_cdata(node) { 4.0 } else { 3.0 };
            vec![Value::Number(kind), text(node.text().unwrap_or_default())]
        }
    }))
}

/// Whether a text is one section of CDATA, which the reader does not tell.
fn is_cdata(node: Node<'_, '_>) -> bool {
    const START: &str = "<![CDATA[";
    let (document, at) = (node.document().input_text(), node.range().start);
    let before = document.get(..at).is_some_and(|before| before.ends_with(START));
    before || document.get(at..).is_some_and(|rest| rest.starts_with(START))
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
