//! Finds the mistakes in a document without running it, those in its ECMAScript too.

use std::sync::Arc;

use roxmltree::Node;

use super::expr::Engine;
use super::limits::Limits;
use super::place::{Mistake, Rows};
use super::read::read;
use super::schema::MISTAKES_MAX;
use super::targets;
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
        mistakes.extend(targets::lost(document.root_element(), &rows));
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
    fn references_that_lead_nowhere_are_found() {
        let text = "<vxml version='2.1'><catch><goto next='#leaf'/></catch>\n\
            <link next='#gone' dtmf='1'/>\n<form id='a'><block name='b'><goto next='#nowhere'/>\n\
            <goto nextitem='g'/><goto nextitem='f'/><goto next=' #m '/><goto next='#'/></block>\n\
            <field name='f'><option dtmf='1'>x</option></field>\n\
            <subdialog name='s' src='#nosub'/><catch><goto next='#caught'/></catch></form>\n\
            <menu id='m'><choice next='#lost' dtmf='1'>One</choice></menu></vxml>";
        let found: Vec<_> = check(text).iter().map(Mistake::to_string).collect();
        expect_test::expect![[r#"
            2:13: there is no dialog gone in this page; there are a, m
            3:42: there is no dialog nowhere in this page; there are a, m
            4:17: there is no form item g in this form; there are b, f, s
            6:26: there is no dialog nosub in this page; there are a, m
            6:54: there is no dialog caught in this page; there are a, m
            7:28: there is no dialog lost in this page; there are a, m"#]]
        .assert_eq(&found.join("\n"));
    }

    #[test]
    fn a_document_without_mistakes_has_none() {
        let text = "<vxml version='2.1'><script>function f() { return 1 }</script><form>\
                    <block cond='f() == 1'><log expr=\"{a: 1}.a\"/></block></form></vxml>";
        assert_eq!(check(text), Vec::new());
    }
}
