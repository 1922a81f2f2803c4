//! Which elements and attributes may stand where: VoiceXML 2.1 with its SSML 1.0 and SRGS 1.0.
//!
//! One table for everything that VoiceXML has, also for what is not built yet, so that a
//! document is judged by the standard and not by what we can run.

use roxmltree::Node;

use super::place::{Mistake, Rows};

/// The namespace of VoiceXML 2.0 and 2.1.
pub(crate) const VXML: &str = "http://www.w3.org/2001/vxml";
/// The namespace of SRGS 1.0.
pub(crate) const SRGS: &str = "http://www.w3.org/2001/06/grammar";
/// The namespace of SSML 1.0.
const SSML: &str = "http://www.w3.org/2001/10/synthesis";

/// What may stand in and on one element.
struct Rule {
    name: &'static str,
    attributes: &'static [&'static [&'static str]],
    children: &'static [&'static [&'static str]],
    content: Content,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Content {
    /// Whatever it likes.
    Anything,
    /// Elements only.
    Elements,
    /// Elements and text.
    Mixed,
}

const FETCH: &[&str] = &["fetchaudio", "fetchhint", "fetchtimeout", "maxage", "maxstale"];
const ITEM: &[&str] = &["cond", "expr", "name"];
const THROW: &[&str] = &["event", "eventexpr", "message", "messageexpr"];
const HANDLER: &[&str] = &["cond", "count"];
const SUBMIT: &[&str] = &["enctype", "method", "namelist"];

const SPOKEN: &[&str] = &["audio", "enumerate", "value"];
const HANDLERS: &[&str] = &["catch", "error", "help", "noinput", "nomatch"];
const EXECUTABLE: &[&str] = &[
    "assign",
    "audio",
    "clear",
    "data",
    "disconnect",
    "enumerate",
    "exit",
    "foreach",
    "goto",
    "if",
    "log",
    "prompt",
    "reprompt",
    "return",
    "script",
    "submit",
    "throw",
    "value",
    "var",
];
const SENTENCE: &[&str] = &[
    "audio",
    "break",
    "emphasis",
    "enumerate",
    "mark",
    "phoneme",
    "prosody",
    "say-as",
    "sub",
    "value",
    "voice",
];
const STRUCTURE: &[&str] = &["p", "s"];
const EXPANSION: &[&str] = &["item", "one-of", "ruleref", "tag", "token"];

const fn rule(
    name: &'static str,
    attributes: &'static [&'static [&'static str]],
    children: &'static [&'static [&'static str]],
    content: Content,
) -> Rule {
    Rule { name, attributes, children, content }
}

use Content::{Anything, Elements, Mixed};

const RULES: &[Rule] = &[
    rule("assign", &[&["expr", "name"]], &[], Elements),
    rule("audio", &[&["expr", "src"], FETCH], &[SENTENCE, STRUCTURE, &["desc"]], Mixed),
    rule("block", &[ITEM], &[EXECUTABLE], Mixed),
    rule("break", &[&["strength", "time"]], &[], Elements),
    rule("catch", &[HANDLER, &["event"]], &[EXECUTABLE], Mixed),
    rule("choice", &[THROW, FETCH, &["accept", "dtmf", "expr", "next"]], &[&["grammar"]], Mixed),
    rule("clear", &[&["namelist"]], &[], Elements),
    rule("data", &[&["name", "src", "srcexpr"], SUBMIT, FETCH], &[], Elements),
    rule("desc", &[], &[], Mixed),
    rule("disconnect", &[&["namelist"]], &[], Elements),
    rule("else", &[], &[], Elements),
    rule("elseif", &[&["cond"]], &[], Elements),
    rule("emphasis", &[&["level"]], &[SENTENCE], Mixed),
    rule("enumerate", &[], &[SENTENCE, STRUCTURE], Mixed),
    rule("error", &[HANDLER], &[EXECUTABLE], Mixed),
    rule("example", &[], &[], Mixed),
    rule("exit", &[&["expr", "namelist"]], &[], Elements),
    rule(
        "field",
        &[ITEM, &["modal", "slot", "type"]],
        &[SPOKEN, HANDLERS, &["filled", "grammar", "link", "option", "prompt", "property"]],
        Mixed,
    ),
    rule("filled", &[&["mode", "namelist"]], &[EXECUTABLE], Mixed),
    rule("foreach", &[&["array", "item"]], &[EXECUTABLE], Mixed),
    rule(
        "form",
        &[&["id", "scope"]],
        &[
            HANDLERS,
            &["block", "data", "field", "filled", "grammar", "initial", "link", "object"],
            &["property", "record", "script", "subdialog", "transfer", "var"],
        ],
        Elements,
    ),
    rule("goto", &[FETCH, &["expr", "expritem", "next", "nextitem"]], &[], Elements),
    rule(
        "grammar",
        &[
            FETCH,
            &["mode", "root", "scope", "src", "srcexpr", "tag-format", "type", "version", "weight"],
        ],
        &[&["lexicon", "meta", "metadata", "rule", "tag"]],
        Mixed,
    ),
    rule("help", &[HANDLER], &[EXECUTABLE], Mixed),
    rule("if", &[&["cond"]], &[EXECUTABLE, &["else", "elseif"]], Mixed),
    rule("initial", &[ITEM], &[SPOKEN, HANDLERS, &["link", "prompt", "property"]], Mixed),
    rule("item", &[&["repeat", "repeat-prob", "weight"]], &[EXPANSION], Mixed),
    rule("lexicon", &[&["type", "uri"]], &[], Elements),
    rule("link", &[THROW, FETCH, &["dtmf", "expr", "next"]], &[&["grammar"]], Elements),
    rule("log", &[&["expr", "label"]], &[&["value"]], Mixed),
    rule("mark", &[&["name", "nameexpr"]], &[], Elements),
    rule(
        "menu",
        &[&["accept", "dtmf", "id", "scope"]],
        &[SPOKEN, HANDLERS, &["choice", "prompt", "property"]],
        Mixed,
    ),
    rule("meta", &[&["content", "http-equiv", "name"]], &[], Elements),
    rule("metadata", &[], &[], Anything),
    rule("noinput", &[HANDLER], &[EXECUTABLE], Mixed),
    rule("nomatch", &[HANDLER], &[EXECUTABLE], Mixed),
    rule(
        "object",
        &[ITEM, FETCH, &["archive", "classid", "codebase", "codetype", "data", "type"]],
        &[SPOKEN, HANDLERS, &["filled", "param", "prompt", "property"]],
        Mixed,
    ),
    rule("one-of", &[], &[&["item"]], Elements),
    rule("option", &[&["accept", "dtmf", "value"]], &[], Mixed),
    rule("p", &[], &[SENTENCE, &["s"]], Mixed),
    rule("param", &[&["expr", "name", "type", "value", "valuetype"]], &[], Elements),
    rule("phoneme", &[&["alphabet", "ph"]], &[], Mixed),
    rule(
        "prompt",
        &[&["bargein", "bargeintype", "cond", "count", "timeout", "version"]],
        &[SENTENCE, STRUCTURE, &["foreach", "lexicon", "meta", "metadata"]],
        Mixed,
    ),
    rule("property", &[&["name", "value"]], &[], Elements),
    rule(
        "prosody",
        &[&["contour", "duration", "pitch", "range", "rate", "volume"]],
        &[SENTENCE, STRUCTURE],
        Mixed,
    ),
    rule(
        "record",
        &[ITEM, &["beep", "dtmfterm", "finalsilence", "maxtime", "modal", "type"]],
        &[SPOKEN, HANDLERS, &["filled", "grammar", "prompt", "property"]],
        Mixed,
    ),
    rule("reprompt", &[], &[], Elements),
    rule("return", &[THROW, &["namelist"]], &[], Elements),
    rule("rule", &[&["id", "scope"]], &[EXPANSION, &["example"]], Mixed),
    rule("ruleref", &[&["special", "type", "uri"]], &[], Elements),
    rule("s", &[], &[SENTENCE], Mixed),
    rule("say-as", &[&["detail", "format", "interpret-as"]], &[&["value"]], Mixed),
    rule("script", &[FETCH, &["charset", "src", "srcexpr"]], &[], Mixed),
    rule("sub", &[&["alias"]], &[], Mixed),
    rule(
        "subdialog",
        &[ITEM, SUBMIT, FETCH, &["src", "srcexpr"]],
        &[SPOKEN, HANDLERS, &["filled", "param", "prompt", "property"]],
        Mixed,
    ),
    rule("submit", &[SUBMIT, FETCH, &["expr", "next"]], &[], Elements),
    rule("tag", &[], &[], Mixed),
    rule("throw", &[THROW], &[], Elements),
    rule("token", &[], &[], Mixed),
    rule(
        "transfer",
        &[
            ITEM,
            &["aai", "aaiexpr", "bridge", "connecttimeout", "dest", "destexpr", "maxtime"],
            &["transferaudio", "type"],
        ],
        &[SPOKEN, HANDLERS, &["filled", "grammar", "prompt", "property"]],
        Mixed,
    ),
    rule("value", &[&["expr"]], &[], Elements),
    rule("var", &[&["expr", "name"]], &[], Elements),
    rule("voice", &[&["age", "gender", "name", "variant"]], &[SENTENCE, STRUCTURE], Mixed),
    rule(
        "vxml",
        &[&["application", "version"]],
        &[
            HANDLERS,
            &["data", "form", "link", "menu", "meta", "metadata", "property", "script", "var"],
        ],
        Elements,
    ),
];

/// In a prompt, only what prompts are made of (VoiceXML 2.1 §6).
const FOREACH_IN_PROMPT: Rule =
    rule("foreach", &[&["array", "item"]], &[SENTENCE, STRUCTURE, &["foreach"]], Mixed);

fn is_in_prompt(element: Node<'_, '_>) -> bool {
    let prompt = |node: Node<'_, '_>| {
        matches!(node.tag_name().name(), "audio" | "enumerate" | "prompt" | "prosody" | "voice")
    };
    element.ancestors().skip(1).any(prompt)
}

/// Checks an element and all below it; every mistake is found, not just the first.
pub(crate) fn check(element: Node<'_, '_>, rows: &Rows<'_>, mistakes: &mut Vec<Mistake>) {
    let name = element.tag_name().name();
    let Some(rule) = find(name) else {
        return;
    };
    if rule.content == Content::Anything {
        return;
    }
    check_attributes(element, rule, rows, mistakes);
    let rule = match name {
        "foreach" if is_in_prompt(element) => &FOREACH_IN_PROMPT,
        _ => rule,
    };
    for child in element.children() {
        if mistakes.len() >= MISTAKES_MAX {
            return;
        }
        if child.is_element() {
            check_child(child, rule, rows, mistakes);
        } else if child.is_text() && rule.content == Content::Elements {
            let text = child.text().unwrap_or_default().trim();
            if !text.is_empty() {
                let message = format!("text \"{}\" may not stand in <{name}>", shorten(text));
                mistakes.push(rows.mistake(child.range().start, message));
            }
        }
    }
}

/// The first letters of a text, for messages.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHORTENED_CHARS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Most mistakes that are collected of one document; a page of garbage has more than help.
pub(crate) const MISTAKES_MAX: usize = 50;
const SHORTENED_CHARS: usize = 30;

fn find(name: &str) -> Option<&'static Rule> {
    let found = RULES.binary_search_by(|rule| rule.name.cmp(name));
    found.ok().map(|at| &RULES[at])
}

fn check_child(child: Node<'_, '_>, parent: &Rule, rows: &Rows<'_>, mistakes: &mut Vec<Mistake>) {
    let tag = child.tag_name();
    let at = child.range().start;
    let ours = matches!(tag.namespace(), None | Some(VXML | SRGS | SSML));
    let known = ours && find(tag.name()).is_some();
    let allowed = parent.children.iter().any(|group| group.contains(&tag.name()));
    if known && allowed {
        check(child, rows, mistakes);
        return;
    }
    let what = if known { "may not stand" } else { "is no element of VoiceXML 2.1; it stands" };
    let message = format!(
        "<{}> {what} in <{}>; {}",
        tag.name(),
        parent.name,
        list("there may stand", parent.children, '<', '>'),
    );
    mistakes.push(rows.mistake(at, message));
}

fn check_attributes(
    element: Node<'_, '_>,
    rule: &Rule,
    rows: &Rows<'_>,
    mistakes: &mut Vec<Mistake>,
) {
    for attribute in element.attributes() {
        // Attributes of other namespaces (xsi:schemaLocation, xml:lang) are nobody's mistake.
        if attribute.namespace().is_some() {
            continue;
        }
        let name = attribute.name();
        if !rule.attributes.iter().any(|group| group.contains(&name)) {
            let message = format!(
                "<{}> has no attribute {name}; {}",
                rule.name,
                list("it may have", rule.attributes, ' ', ' '),
            );
            mistakes.push(rows.mistake(attribute.range().start, message));
        }
    }
}

/// `lead a, b, c`, in alphabetical order.
fn list(lead: &str, groups: &[&[&str]], open: char, close: char) -> String {
    let mut names: Vec<&str> = groups.iter().flat_map(|group| group.iter().copied()).collect();
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return format!("{lead} nothing");
    }
    let names: Vec<String> =
        names.into_iter().map(|name| format!("{open}{name}{close}").trim().to_owned()).collect();
    format!("{lead} {}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_in_order_so_that_they_are_found() {
        assert!(RULES.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    #[test]
    fn every_child_that_a_rule_names_has_a_rule() {
        let children = RULES.iter().flat_map(|rule| rule.children).flat_map(|group| *group);
        let strays: Vec<_> = children.filter(|child| find(child).is_none()).collect();
        assert_eq!(strays, Vec::<&&str>::new());
    }
}
