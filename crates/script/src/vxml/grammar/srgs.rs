//! Compiles SRGS 1.0 in its XML form.

use std::collections::HashMap;
use std::sync::Arc;

use roxmltree::Node;

use super::super::fault::Fault;
use super::super::limits::Limits;
use super::super::place::{Mistake, Rows};
use super::super::{schema, xml};
use super::network::{Network, Over, State};
use super::{Grammar, Interpretation, Mode, is_key};

/// Why a grammar cannot be had.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It asks for what this machine does not do.
    Fault(Fault),
    /// It is wrong.
    Mistakes(Vec<Mistake>),
}

/// Whether a media type says SRGS in its XML form, or says nothing.
pub(crate) fn is_srgs_xml(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    matches!(
        essence.to_ascii_lowercase().as_str(),
        "" | "application/srgs+xml" | "application/grammar+xml" | "application/xml" | "text/xml"
    )
}

/// Compiles a grammar that was fetched; `rule` is the fragment of its address.
pub(crate) fn compile_text(
    text: &str,
    name: &Arc<str>,
    rule: Option<&str>,
    limits: &Limits,
) -> Result<Grammar, Trouble> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows = Rows::new(name, text);
    let document = xml::parse(text, &rows, limits.document_bytes_max)
        .map_err(|mistake| Trouble::Mistakes(vec![mistake]))?;
    let root = document.root_element();
    let mut mistakes = Vec::new();
    if root.tag_name().name() != "grammar" {
        let message = format!("the root is <{}>; a grammar has <grammar>", root.tag_name().name());
        mistakes.push(rows.mistake(root.range().start, message));
        return Err(Trouble::Mistakes(mistakes));
    }
    if root.attribute("version") != Some("1.0") {
        mistakes.push(rows.mistake(root.range().start, "<grammar> needs version=\"1.0\""));
    }
    schema::check(root, &rows, &mut mistakes);
    if !mistakes.is_empty() {
        return Err(Trouble::Mistakes(mistakes));
    }
    compile_rule(root, rule, &rows, limits.grammar_states_max)
}

/// Compiles a grammar that stands in a document; `root` names the rule to match.
pub(crate) fn compile(
    grammar: Node<'_, '_>,
    rows: &Rows<'_>,
    states_max: usize,
) -> Result<Grammar, Trouble> {
    compile_rule(grammar, None, rows, states_max)
}

fn compile_rule(
    grammar: Node<'_, '_>,
    rule: Option<&str>,
    rows: &Rows<'_>,
    states_max: usize,
) -> Result<Grammar, Trouble> {
    let wrong = |message: String| {
        Err(Trouble::Mistakes(vec![rows.mistake(grammar.range().start, message)]))
    };
    match grammar.attribute("mode") {
        // Its words are for a recognizer.
        None | Some("voice") => return Ok(Grammar::voice()),
        Some("dtmf") => {}
        Some(mode) => return wrong(format!("mode=\"{mode}\"; it is dtmf or voice")),
    }
    let mut compiler = Compiler {
        rows,
        states_max,
        network: Network::default(),
        rules: HashMap::new(),
        mistakes: Vec::new(),
        fault: None,
    };
    let rules: Vec<_> = grammar.children().filter(|node| is_named(*node, "rule")).collect();
    compiler.declare(&rules);
    for node in &rules {
        compiler.rule(*node);
    }
    let root = match rule.or_else(|| grammar.attribute("root")) {
        Some(name) => compiler.rules.get(name).copied().ok_or(name),
        None => compiler.any_public(&rules).ok_or(""),
    };
    let root = match root {
        Ok(root) => root,
        Err("") => return wrong("<grammar> needs root, or a rule with scope=\"public\"".into()),
        Err(name) => return wrong(format!("there is no rule {name}")),
    };
    if let Some(fault) = compiler.fault {
        return Err(Trouble::Fault(fault));
    }
    if !compiler.mistakes.is_empty() {
        return Err(Trouble::Mistakes(compiler.mistakes));
    }
    let meaning = interpretation(grammar, &compiler.network);
    let mut network = compiler.network;
    network.settle(root);
    Ok(Grammar { mode: Mode::Dtmf, network, meaning })
}

/// How tags are to be read; tags in an unknown format are not read (SRGS 1.0 §4.8).
fn interpretation(grammar: Node<'_, '_>, network: &Network) -> Interpretation {
    let format = grammar.attribute("tag-format").unwrap_or_default().trim();
    let head: Vec<String> =
        grammar.children().filter(|node| is_named(*node, "tag")).map(text_of).collect();
    let tagless = network.tags.is_empty() && head.is_empty();
    match format.strip_prefix("semantics/1.0") {
        Some(_) if tagless => Interpretation::Plain,
        Some(kind) if kind.ends_with("-literals") => Interpretation::Literals,
        Some(_) => Interpretation::Script { head },
        None => Interpretation::Plain,
    }
}

struct Compiler<'c> {
    rows: &'c Rows<'c>,
    states_max: usize,
    network: Network,
    rules: HashMap<String, u32>,
    mistakes: Vec<Mistake>,
    fault: Option<Fault>,
}

impl Compiler<'_> {
    fn declare(&mut self, rules: &[Node<'_, '_>]) {
        for node in rules {
            let id = node.attribute("id").unwrap_or_default();
            if id.is_empty() {
                self.mistake(*node, "<rule> needs an id");
            }
            let rule = self.network.add_rule(id);
            if self.rules.insert(id.to_owned(), rule).is_some() {
                self.mistake(*node, format!("a second rule has the id {id}"));
            }
        }
    }

    /// Without a root, any public rule may match (SRGS 1.0 §4.7); where there is but one rule,
    /// that one.
    fn any_public(&mut self, rules: &[Node<'_, '_>]) -> Option<u32> {
        let public = |node: &Node<'_, '_>| node.attribute("scope") == Some("public");
        let ids = rules.iter().filter(|node| public(node) || rules.len() == 1);
        let ids = ids.filter_map(|node| node.attribute("id"));
        let choices: Vec<u32> = ids.filter_map(|id| self.rules.get(id).copied()).collect();
        if choices.len() < 2 {
            return choices.first().copied();
        }
        let root = self.network.add_rule("");
        let start = self.network.start(root);
        let end = self.network.state();
        for rule in choices {
            self.network.join(start, Over::Call(rule), end);
        }
        self.network.finish(root, end);
        Some(root)
    }

    fn rule(&mut self, node: Node<'_, '_>) {
        let id = node.attribute("id").unwrap_or_default();
        let Some(rule) = self.rules.get(id).copied() else {
            return;
        };
        let start = self.network.start(rule);
        let end = self.sequence(node, start);
        self.network.finish(rule, end);
    }

    /// All that is in an element, one after the other.
    fn sequence(&mut self, node: Node<'_, '_>, from: State) -> State {
        let mut at = from;
        for child in node.children() {
            if self.is_full(node) {
                return at;
            }
            if child.is_text() {
                at = self.words(child, child.text().unwrap_or_default(), at);
                continue;
            }
            at = match child.tag_name().name() {
                "item" => self.item(child, at),
                "one-of" => self.alternatives(child, at),
                "ruleref" => self.reference(child, at),
                "tag" => self.network.tag(at, &text_of(child)),
                "token" => self.words(child, &text_of(child), at),
                _ => at,
            };
        }
        at
    }

    /// Keys; `715` is three of them.
    fn words(&mut self, node: Node<'_, '_>, text: &str, from: State) -> State {
        let mut at = from;
        for word in text.split_whitespace() {
            let word = word.trim_matches('"');
            let word = word.strip_prefix("dtmf-").unwrap_or(word);
            let keys = match word {
                "star" => "*",
                "pound" => "#",
                keys => keys,
            };
            if let Some(stray) = keys.chars().find(|key| !is_key(*key)) {
                let message = format!("{stray} in \"{word}\" is no key; keys are 0-9 * # A-D");
                self.mistake(node, message);
                return at;
            }
            for key in keys.chars() {
                at = self.network.token(at, &key.to_string());
            }
        }
        at
    }

    fn alternatives(&mut self, node: Node<'_, '_>, from: State) -> State {
        let end = self.network.state();
        for item in node.children().filter(|child| is_named(*child, "item")) {
            let begin = self.network.step(from, Over::Nothing);
            let at = self.item(item, begin);
            self.network.join(at, Over::Nothing, end);
        }
        end
    }

    fn item(&mut self, node: Node<'_, '_>, from: State) -> State {
        let Some(text) = node.attribute("repeat") else {
            return self.sequence(node, from);
        };
        let Some((least, most)) = repeat(text) else {
            let message = format!("repeat=\"{text}\"; it is written as 3, 2-4 or 1-");
            self.mistake(node, message);
            return from;
        };
        let mut at = from;
        for _ in 0..least {
            if self.is_full(node) {
                return at;
            }
            at = self.once(node, at);
        }
        let end = self.network.step(at, Over::Nothing);
        match most {
            None => {
                let again = self.once(node, end);
                self.network.join(again, Over::Nothing, end);
            }
            Some(most) => {
                for _ in least..most {
                    if self.is_full(node) {
                        return end;
                    }
                    at = self.once(node, at);
                    self.network.join(at, Over::Nothing, end);
                }
            }
        }
        end
    }

    /// One turn of a repeat; a state of its own keeps turns of nothing within the limit.
    fn once(&mut self, node: Node<'_, '_>, from: State) -> State {
        let begin = self.network.step(from, Over::Nothing);
        self.sequence(node, begin)
    }

    fn reference(&mut self, node: Node<'_, '_>, from: State) -> State {
        match (node.attribute("special"), node.attribute("uri")) {
            (Some("NULL"), None) => from,
            // Nothing leads to the new state.
            (Some("VOID"), None) => self.network.state(),
            (Some("GARBAGE"), None) => {
                let at = self.network.step(from, Over::Nothing);
                self.network.join(at, Over::Any, at);
                at
            }
            (Some(special), None) => {
                let message = format!("special=\"{special}\"; it is NULL, VOID or GARBAGE");
                self.mistake(node, message);
                from
            }
            (None, Some(uri)) => self.call(node, uri.trim(), from),
            (Some(_), Some(_)) | (None, None) => {
                self.mistake(node, "<ruleref> needs exactly one of uri, special");
                from
            }
        }
    }

    fn call(&mut self, node: Node<'_, '_>, uri: &str, from: State) -> State {
        let Some(name) = uri.strip_prefix('#') else {
            let place = self.rows.place(node.range().start);
            let message =
                format!("<ruleref uri=\"{uri}\"> into another grammar; only #rule is had");
            self.fault.get_or_insert(Fault::unsupported("ruleref", message).at(&place));
            return from;
        };
        match self.rules.get(name).copied() {
            Some(rule) => self.network.step(from, Over::Call(rule)),
            None => {
                self.mistake(node, format!("there is no rule {name}"));
                from
            }
        }
    }

    /// Whether the limit on states is reached, which is a mistake once.
    fn is_full(&mut self, node: Node<'_, '_>) -> bool {
        let full = self.network.states() > self.states_max;
        if full && self.mistakes.is_empty() {
            let max = self.states_max;
            self.mistake(node, format!("too large: the page has {max} states left for grammars"));
        }
        full
    }

    fn mistake(&mut self, node: Node<'_, '_>, message: impl Into<String>) {
        if self.mistakes.len() < schema::MISTAKES_MAX {
            self.mistakes.push(self.rows.mistake(node.range().start, message));
        }
    }
}

/// `3` → 3 to 3, `2-4` → 2 to 4, `1-` → 1 to any.
fn repeat(text: &str) -> Option<(u32, Option<u32>)> {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    match text.trim().split_once('-') {
        None => number(text).map(|exactly| (exactly, Some(exactly))),
        Some((least, "")) => number(least).map(|least| (least, None)),
        Some((least, most)) => {
            let (least, most) = (number(least)?, number(most)?);
            (least <= most).then_some((least, Some(most)))
        }
    }
}

fn is_named(node: Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

fn text_of(node: Node<'_, '_>) -> String {
    let texts = node.children().filter(Node::is_text);
    texts.filter_map(|child| child.text()).collect()
}
