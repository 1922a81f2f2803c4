//! Finds the mistakes in a document without running it, those in its ECMAScript too.

use std::sync::Arc;

use roxmltree::Node;

use super::expr::Engine;
use super::limits::Limits;
use super::place::{Mistake, Rows};
use super::read::read;
use super::schema::MISTAKES_MAX;
use super::value::Value;
use super::xml;

/// Attributes whose values are expressions.
const EXPRESSIONS: [&str; 10] = [
    "aaiexpr",
    "array",
    "cond",
    "destexpr",
    "eventexpr",
    "expr",
    "expritem",
    "messageexpr",
    "nameexpr",
    "srcexpr",
];

/// Finds all mistakes in a document, in the order of their places; none: it can be run.
///
/// What only shows when it runs (undeclared variables, missing pages) is not found here.
pub fn check(text: &str) -> Vec<Mistake> {
    let limits = Limits::default();
    let name: Arc<str> = Arc::from("document");
    let mut mistakes = read(text, &name, None, &limits).err().unwrap_or_default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows = Rows::new(&name, text);
    let parsed = xml::parse(text, &rows, limits.document_bytes_max);
    let engine = Engine::new(&limits, 1, &Value::Undefined);
    if let (Ok(document), Ok(mut engine)) = (parsed, engine) {
        check_scripts(document.root_element(), &rows, &mut engine, &mut mistakes);
    }
    mistakes.sort_by_key(|mistake| (mistake.row, mistake.column));
    mistakes.truncate(MISTAKES_MAX);
    mistakes
}

fn check_scripts(
    root: Node<'_, '_>,
    rows: &Rows<'_>,
    engine: &mut Engine,
    mistakes: &mut Vec<Mistake>,
) {
    for element in root.descendants().filter(Node::is_element) {
        if mistakes.len() > MISTAKES_MAX {
            return;
        }
        for attribute in element.attributes() {
            if attribute.namespace().is_some() || !EXPRESSIONS.contains(&attribute.name()) {
                continue;
            }
            if let Err(fault) = engine.check_expression(attribute.value()) {
                let at = attribute.range_value().start;
                let message = format!("{}: {}", attribute.name(), fault.message);
                mistakes.push(rows.mistake(at, message));
            }
        }
        if element.tag_name().name() == "script" {
            for code in element.children().filter(Node::is_text) {
                let checked = engine.check_script(code.text().unwrap_or_default());
                if let Err(fault) = checked {
                    mistakes.push(rows.mistake(code.range().start, fault.message));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_found_with_its_place() {
        let text = "<vxml version='2.1'>\n<script>var a = ;</script>\n<form><block>\n\
                    <if cond='a = = 1'><exit expr='1'/></if>\n<assign name='a'/>\n<no/>\n\
                    <log expr='f('/></block></form></vxml>";
        let found: Vec<_> = check(text).iter().map(Mistake::to_string).collect();
        let starts: Vec<_> = found.iter().filter_map(|text| text.split(':').next()).collect();
        assert_eq!(starts, ["2", "4", "5", "6", "7"], "{found:?}");
        assert!(found[1].contains("cond: SyntaxError"), "{}", found[1]);
    }

    #[test]
    fn a_document_without_mistakes_has_none() {
        let text = "<vxml version='2.1'><script>function f() { return 1 }</script><form>\
                    <block cond='f() == 1'><log expr=\"{a: 1}.a\"/></block></form></vxml>";
        assert_eq!(check(text), Vec::new());
    }
}
