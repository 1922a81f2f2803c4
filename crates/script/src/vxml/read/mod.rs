//! Makes a document from its text, and finds everything that is wrong in it.

mod content;
mod dialog;
mod items;
mod prompt;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use roxmltree::Node;
use url::Url;

use super::document::{
    Catch, Document, Expr, FetchRule, Given, Located, Property, Statement, Throw,
};
use super::limits::Limits;
use super::place::{Mistake, Place, Rows};
use super::schema;
use super::xml;

pub(crate) use prompt::escaped;

/// Reads a document that came from `url`; `name` stands for it in messages.
pub(crate) fn read(
    text: &str,
    name: &Arc<str>,
    url: Option<&Url>,
    limits: &Limits,
) -> Result<Document, Vec<Mistake>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let rows = Rows::new(name, text);
    let xml = xml::parse_page(text, &rows, limits.document_bytes_max)?;
    let mut reader = Reader {
        rows: &rows,
        base: url.cloned(),
        mistakes: Vec::new(),
        made_up_names: 0,
        states_left: limits.grammar_states_max,
    };
    let document = reader.document(xml.root_element(), url);
    let mut mistakes = reader.mistakes;
    if mistakes.is_empty() {
        return Ok(document);
    }
    mistakes.sort_by_key(|mistake| (mistake.row, mistake.column));
    mistakes.truncate(schema::MISTAKES_MAX);
    Err(mistakes)
}

/// What is being read, and what was found wrong so far.
struct Reader<'r> {
    rows: &'r Rows<'r>,
    /// What relative addresses resolve against at this place.
    base: Option<Url>,
    mistakes: Vec<Mistake>,
    /// Names given to form items that have none.
    made_up_names: u32,
    /// States that grammars may yet have.
    states_left: usize,
}

const XML: &str = "http://www.w3.org/XML/1998/namespace";

impl Reader<'_> {
    fn document(&mut self, root: Node<'_, '_>, url: Option<&Url>) -> Document {
        self.root_element(root);
        schema::check(root, self.rows, &mut self.mistakes);
        self.base = self.base_of(root);
        let application = self.attribute(root, "application").map(|value| Located {
            value: value.to_owned(),
            place: self.attribute_place(root, "application"),
        });
        let mut document = Document {
            url: url.cloned(),
            base: self.base.clone(),
            name: Arc::clone(self.rows.name()),
            language: self.language(root),
            application,
            init: Arc::from(Vec::new()),
            catches: Vec::new(),
            links: Vec::new(),
            properties: Vec::new(),
            dialogs: Vec::new(),
        };
        let mut init: Vec<Statement> = Vec::new();
        for child in root.children().filter(Node::is_element) {
            match child.tag_name().name() {
                "var" | "script" | "data" => init.extend(self.statement(child)),
                "catch" | "error" | "help" | "noinput" | "nomatch" => {
                    document.catches.push(self.catch(child));
                }
                "property" => document.properties.push(self.property(child)),
                "link" => document.links.push(Arc::new(self.link(child))),
                "form" => document.dialogs.push(Arc::new(self.form(child))),
                "menu" => document.dialogs.push(Arc::new(self.menu(child))),
                "meta" => {
                    self.exactly_one(child, &["name", "http-equiv"]);
                    self.required(child, "content");
                }
                _ => {}
            }
        }
        document.init = init.into();
        self.unique_ids(root);
        document
    }

    fn root_element(&mut self, root: Node<'_, '_>) {
        let tag = root.tag_name();
        if tag.name() != "vxml" {
            let message = format!("the root is <{}>; a VoiceXML page has <vxml>", tag.name());
            self.mistake(root, message);
            return;
        }
        if let Some(namespace) = tag.namespace().filter(|namespace| *namespace != schema::VXML) {
            let message = format!("the namespace is {namespace}; VoiceXML has {}", schema::VXML);
            self.mistake(root, message);
        }
        match root.attribute("version") {
            Some("2.0" | "2.1") => {}
            Some(version) => {
                let place = "VoiceXML version";
                self.mistake(root, format!("{place} {version}; 2.0 and 2.1 are understood"));
            }
            None => self.mistake(root, "<vxml> needs version=\"2.0\" or version=\"2.1\""),
        }
    }

    fn unique_ids(&mut self, root: Node<'_, '_>) {
        let mut seen = HashSet::new();
        for dialog in root.children().filter(Node::is_element) {
            let named = matches!(dialog.tag_name().name(), "form" | "menu");
            let Some(id) = dialog.attribute("id").filter(|_| named) else {
                continue;
            };
            if !seen.insert(id) {
                self.mistake(dialog, format!("a second dialog has the id {id}"));
            }
        }
    }

    /// `<catch>` and its short forms (VoiceXML 2.0 §5.2.2, §5.2.3).
    fn catch(&mut self, node: Node<'_, '_>) -> Catch {
        let events = match node.tag_name().name() {
            "catch" => self.attribute(node, "event").unwrap_or_default().to_owned(),
            short => short.to_owned(),
        };
        Catch {
            events: events
                .split_whitespace()
                .map(|name| name.trim_end_matches('.').to_owned())
                .collect(),
            count: self.count(node),
            cond: self.expr(node, "cond"),
            content: self.content(node),
            place: self.place(node),
        }
    }

    fn property(&mut self, node: Node<'_, '_>) -> Property {
        Property {
            name: self.required(node, "name").to_owned(),
            value: self.required(node, "value").to_owned(),
            place: self.place(node),
        }
    }

    fn throw(&mut self, node: Node<'_, '_>, event: Given) -> Throw {
        let message = self.at_most_one(node, &["message", "messageexpr"]);
        Throw { event, message: message.map(|name| self.given(node, name)) }
    }

    fn fetch(&mut self, node: Node<'_, '_>) -> FetchRule {
        // When something is fetched is ours to decide.
        self.word(node, "fetchhint", &["safe", "prefetch", "stream"]);
        FetchRule {
            audio: self.attribute(node, "fetchaudio").map(str::to_owned),
            timeout: self.duration(node, "fetchtimeout"),
            maxage_s: self.integer(node, "maxage"),
            maxstale_s: self.integer(node, "maxstale"),
        }
    }

    // What attributes say.

    fn attribute<'n>(&self, node: Node<'n, '_>, name: &str) -> Option<&'n str> {
        node.attribute(name)
    }

    /// An attribute that must be there; empty, and a mistake, where it is not.
    fn required<'n>(&mut self, node: Node<'n, '_>, name: &str) -> &'n str {
        if let Some(value) = node.attribute(name) {
            return value;
        }
        let message = format!("<{}> needs the attribute {name}", node.tag_name().name());
        self.mistake(node, message);
        ""
    }

    fn expr(&self, node: Node<'_, '_>, name: &str) -> Option<Expr> {
        let text = node.attribute(name)?;
        Some(Expr { text: Arc::from(text), place: self.attribute_place(node, name) })
    }

    fn required_expr(&mut self, node: Node<'_, '_>, name: &str) -> Expr {
        self.required(node, name);
        self.expr(node, name)
            .unwrap_or_else(|| Expr { text: Arc::from("undefined"), place: self.place(node) })
    }

    /// The value of an attribute; those whose names speak of expressions are evaluated.
    fn given(&self, node: Node<'_, '_>, name: &str) -> Given {
        let expr = self.expr(node, name).filter(|_| name.contains("expr"));
        if let Some(expr) = expr {
            return Given::Expr(expr);
        }
        Given::Literal(node.attribute(name).unwrap_or_default().trim().to_owned())
    }

    /// Which one of these attributes is there; more than one is a mistake.
    fn at_most_one(&mut self, node: Node<'_, '_>, names: &[&'static str]) -> Option<&'static str> {
        let mut present = names.iter().filter(|name| node.has_attribute(**name));
        let first = present.next().copied();
        if let (Some(first), Some(second)) = (first, present.next()) {
            let tag = node.tag_name().name();
            let message = format!("<{tag}> has both {first} and {second}; it takes one of them");
            self.mistake(node, message);
        }
        first
    }

    /// Which one of these attributes is there; none or more than one is a mistake.
    fn exactly_one(&mut self, node: Node<'_, '_>, names: &[&'static str]) -> Option<&'static str> {
        let found = self.at_most_one(node, names);
        if found.is_none() {
            let tag = node.tag_name().name();
            let message = format!("<{tag}> needs exactly one of {}", names.join(", "));
            self.mistake(node, message);
        }
        found
    }

    fn boolean(&mut self, node: Node<'_, '_>, name: &str) -> Option<bool> {
        match node.attribute(name)? {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                self.mistake(node, format!("{name}=\"{other}\"; it is true or false"));
                None
            }
        }
    }

    fn integer(&mut self, node: Node<'_, '_>, name: &str) -> Option<u32> {
        let text = node.attribute(name)?.trim();
        let number = text.parse().ok();
        if number.is_none() {
            self.mistake(node, format!("{name}=\"{text}\"; it is a whole number from 0"));
        }
        number
    }

    /// `count`, from 1; 1 where it is not given.
    fn count(&mut self, node: Node<'_, '_>) -> u32 {
        match self.integer(node, "count") {
            Some(0) => {
                self.mistake(node, "count=\"0\"; counts start at 1");
                1
            }
            Some(count) => count,
            None => 1,
        }
    }

    fn duration(&mut self, node: Node<'_, '_>, name: &str) -> Option<Duration> {
        let text = node.attribute(name)?;
        let duration = parse_duration(text);
        if duration.is_none() {
            let message = format!("{name}=\"{text}\"; a time is written as 3s, 0.5s or 850ms");
            self.mistake(node, message);
        }
        duration
    }

    /// One of a few words; the first where it is not given.
    fn word(&mut self, node: Node<'_, '_>, name: &str, words: &[&'static str]) -> &'static str {
        let Some(text) = node.attribute(name) else {
            return words[0];
        };
        if let Some(word) = words.iter().find(|word| **word == text) {
            return word;
        }
        let choices = words.join(" or ");
        self.mistake(node, format!("{name}=\"{text}\"; it is {choices}"));
        words[0]
    }

    fn names(&self, node: Node<'_, '_>, name: &str) -> Option<Vec<String>> {
        let text = node.attribute(name)?;
        Some(text.split_whitespace().map(str::to_owned).collect())
    }

    fn language(&self, node: Node<'_, '_>) -> Option<String> {
        node.attribute((XML, "lang")).map(|language| language.trim().to_owned())
    }

    /// What relative addresses in this element resolve against.
    fn base_of(&mut self, node: Node<'_, '_>) -> Option<Url> {
        self.own_base(node).or_else(|| self.base.clone())
    }

    /// The element's own `xml:base`.
    fn own_base(&mut self, node: Node<'_, '_>) -> Option<Url> {
        let text = node.attribute((XML, "base"))?;
        let resolved = match &self.base {
            Some(base) => base.join(text.trim()),
            None => Url::parse(text.trim()),
        };
        if let Err(error) = &resolved {
            self.mistake(node, format!("xml:base=\"{text}\" is no address: {error}"));
        }
        resolved.ok()
    }

    // Places.

    fn place(&self, node: Node<'_, '_>) -> Place {
        self.rows.place(node.range().start)
    }

    fn attribute_place(&self, node: Node<'_, '_>, name: &str) -> Place {
        match node.attribute_node(name) {
            Some(attribute) => self.rows.place(attribute.range_value().start),
            None => self.place(node),
        }
    }

    fn mistake_at(&mut self, place: &Place, message: String) {
        self.mistakes.push(Mistake { row: place.row, column: place.column, message });
    }

    fn mistake(&mut self, node: Node<'_, '_>, message: impl Into<String>) {
        // A broken page repeats its mistakes; the first ones say what there is to say.
        if self.mistakes.len() < schema::MISTAKES_MAX * 2 {
            self.mistakes.push(self.rows.mistake(node.range().start, message));
        }
    }
}

/// A time designation (VoiceXML 2.0 §6.5): `3s`, `+0.7s`, `850ms`; at most a day.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let text = text.strip_prefix('+').unwrap_or(text);
    let (number, unit_ms) = match text.strip_suffix("ms") {
        Some(number) => (number, 1.0),
        None => (text.strip_suffix('s')?, 1_000.0),
    };
    let digits = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if !digits || number.ends_with('.') || number.is_empty() {
        return None;
    }
    let millis = number.parse::<f64>().ok()? * unit_ms;
    (millis <= DURATION_MAX_MS).then(|| Duration::from_micros((millis * 1_000.0) as u64))
}

/// Longest time that a document may ask to wait for anything: a day.
const DURATION_MAX_MS: f64 = 86_400_000.0;

/// Text with every run of white space as one blank.
pub(crate) fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
