//! Reads the XML form (SRGS 1.0 Appendix C).

use std::sync::Arc;

use roxmltree::Node;
use url::Url;

use super::builder::Builder;
use super::model::{
    Choice, Draft, Expansion, Form, Lexicon, Meta, Repeat, SPECIAL, TagFormat, repeat_range,
    simple_number,
};
use crate::vxml::Mistake;
use crate::vxml::place::Rows;
use crate::vxml::xml;

/// The namespace of SRGS 1.0.
const SRGS: &str = "http://www.w3.org/2001/06/grammar";
const XML: &str = "http://www.w3.org/XML/1998/namespace";

/// Reads a document of its own.
pub(crate) fn read(
    text: &str,
    rows: &Rows<'_>,
    url: Option<&Url>,
    embedded: bool,
    bytes_max: usize,
) -> Result<Draft, Vec<Mistake>> {
    let document = xml::parse_page(text, rows, bytes_max)?;
    let root = document.root_element();
    if root.tag_name().name() != "grammar" {
        let message = format!("the root is <{}>; a grammar has <grammar>", root.tag_name().name());
        return Err(vec![rows.mistake(root.range().start, message)]);
    }
    Reader { to: Builder::new(Form::Xml, rows, url, embedded), strict: true }.grammar(root)
}

/// Reads a grammar that stands in a document which has been checked, names and all, and which
/// says language and version for it.
pub(crate) fn read_node(
    grammar: Node<'_, '_>,
    rows: &Rows<'_>,
    url: Option<&Url>,
) -> Result<Draft, Vec<Mistake>> {
    Reader { to: Builder::new(Form::Xml, rows, url, true), strict: false }.grammar(grammar)
}

struct Reader<'r> {
    to: Builder<'r>,
    /// Names of elements and attributes are yet to be checked.
    strict: bool,
}

type Language = Option<Arc<str>>;

/// Text between elements, and where it begins.
#[derive(Default)]
struct Words {
    text: String,
    at: usize,
}

impl Words {
    fn add(&mut self, node: Node<'_, '_>) {
        if self.text.trim().is_empty() {
            self.at = node.range().start;
        }
        self.text.push_str(node.text().unwrap_or_default());
    }
}

impl Reader<'_> {
    fn grammar(mut self, node: Node<'_, '_>) -> Result<Draft, Vec<Mistake>> {
        let at = node.range().start;
        self.head(node, at);
        let language = self.to.language.clone();
        for child in node.children() {
            if child.is_text() {
                self.no_text(child, "grammar");
            }
            if !child.is_element() || self.is_foreign(child) {
                continue;
            }
            match child.tag_name().name() {
                "rule" => self.rule(child, &language),
                "meta" => self.meta(child),
                "lexicon" => self.lexicon(child),
                "tag" => {
                    self.attributes(child, &[]);
                    self.to.head_tag(&text_of(child), text_start(child));
                }
                "metadata" => {}
                _ => self.stray(child, "grammar", GRAMMAR_CHILDREN),
            }
        }
        self.to.finish(at)
    }

    fn head(&mut self, node: Node<'_, '_>, at: usize) {
        if self.strict {
            self.attributes(node, GRAMMAR_ATTRIBUTES);
            let namespace = node.tag_name().namespace();
            if namespace != Some(SRGS) && !self.to.is_embedded() {
                self.to.mistake(at, format!("<grammar> needs xmlns=\"{SRGS}\""));
            }
        }
        match node.attribute("version") {
            Some("1.0") => {}
            None if self.to.is_embedded() => {}
            _ => self.to.mistake(at, "<grammar> needs version=\"1.0\""),
        }
        if let Some(mode) = node.attribute("mode") {
            self.to.set_mode(mode, at);
        }
        // In a document, the language around it is its own.
        let language = match self.strict {
            true => node.attribute((XML, "lang")),
            false => node.ancestors().find_map(|node| node.attribute((XML, "lang"))),
        };
        self.to.language = language.and_then(|language| self.to.language_tag(language, at));
        if let Some(base) = node.attribute((XML, "base")).filter(|_| self.strict) {
            self.to.set_base(base, at);
        } else if let Some(base) = meta_base(node) {
            self.to.set_base(base, at);
        }
        self.to.root = node.attribute("root").map(|root| (root.to_owned(), at));
        if let Some(format) = node.attribute("tag-format") {
            self.to.tag_format = Some(TagFormat::named(format));
        }
    }

    fn meta(&mut self, node: Node<'_, '_>) {
        self.attributes(node, &["content", "http-equiv", "name"]);
        let at = node.range().start;
        let content = node.attribute("content");
        match (node.attribute("name"), node.attribute("http-equiv"), content) {
            (Some(name), None, Some(content)) => self.to.metas.push(Meta {
                name: name.to_owned(),
                content: content.to_owned(),
                http_equiv: false,
            }),
            (None, Some(name), Some(content)) => self.to.metas.push(Meta {
                name: name.to_owned(),
                content: content.to_owned(),
                http_equiv: true,
            }),
            _ => self.to.mistake(at, "<meta> needs content and one of name, http-equiv"),
        }
    }

    fn lexicon(&mut self, node: Node<'_, '_>) {
        self.attributes(node, &["type", "uri"]);
        match node.attribute("uri") {
            Some(uri) => self.to.lexicons.push(Lexicon {
                uri: uri.to_owned(),
                media_type: node.attribute("type").map(str::to_owned),
            }),
            None => self.to.mistake(node.range().start, "<lexicon> needs uri"),
        }
    }

    fn rule(&mut self, node: Node<'_, '_>, language: &Language) {
        self.attributes(node, &["id", "scope"]);
        let at = node.range().start;
        let public = match node.attribute("scope") {
            None | Some("private") => false,
            Some("public") => true,
            Some(scope) => {
                self.to.mistake(at, format!("scope=\"{scope}\"; it is public or private"));
                false
            }
        };
        let expansion = self.sequence(node, language);
        let holds = |child: Node<'_, '_>| {
            child.is_element() && child.tag_name().name() != "example"
                || child.is_text() && has_text(child)
        };
        if !node.children().any(holds) {
            self.to.mistake(at, "<rule> is empty; a rule that matches nothing has <item/>");
        }
        match node.attribute("id") {
            Some(id) => self.to.rule(id, public, expansion, at),
            None => self.to.mistake(at, "<rule> needs an id"),
        }
    }

    /// All that is in an element, one after the other.
    fn sequence(&mut self, node: Node<'_, '_>, language: &Language) -> Expansion {
        let mut parts = Vec::new();
        let mut words = Words::default();
        for child in node.children() {
            if child.is_text() {
                words.add(child);
            } else if child.is_element() {
                // Comments do not part words; elements do.
                self.text(&mut words, language, &mut parts);
                self.part(child, node, language, &mut parts);
            }
        }
        self.text(&mut words, language, &mut parts);
        Expansion::sequence(parts)
    }

    /// An element in an expansion.
    fn part(
        &mut self,
        child: Node<'_, '_>,
        parent: Node<'_, '_>,
        language: &Language,
        parts: &mut Vec<Expansion>,
    ) {
        if self.is_foreign(child) {
            parts.push(self.foreign(child, language));
            return;
        }
        let in_rule = parent.tag_name().name() == "rule";
        match child.tag_name().name() {
            "item" => parts.push(self.item(child, language)),
            "one-of" => parts.push(self.one_of(child, language)),
            "ruleref" => parts.extend(self.reference(child)),
            "tag" => {
                self.attributes(child, &[]);
                parts.push(self.to.tag(&text_of(child), text_start(child)));
            }
            "token" => self.token(child, language, parts),
            "example" if in_rule => self.attributes(child, &[]),
            _ => {
                let children = if in_rule { RULE_CHILDREN } else { EXPANSION };
                self.stray(child, parent.tag_name().name(), children);
            }
        }
    }

    /// Words, some perhaps in quotes, which make them one token.
    fn text(&mut self, words: &mut Words, language: &Language, parts: &mut Vec<Expansion>) {
        let Words { text, at } = std::mem::take(words);
        for (number, piece) in text.split('"').enumerate() {
            match number % 2 {
                0 => self.to.words(piece, language.as_ref(), at, parts),
                _ => self.to.token(piece, language.as_ref(), at, parts),
            }
        }
        if text.matches('"').count() % 2 == 1 {
            self.to.mistake(at, "a quotation mark without its other one");
        }
    }

    fn token(&mut self, node: Node<'_, '_>, language: &Language, parts: &mut Vec<Expansion>) {
        self.attributes(node, &[]);
        let language = self.language(node, language);
        for child in node.children().filter(Node::is_element) {
            if !self.is_foreign(child) && self.strict {
                self.stray(child, "token", &[]);
            }
        }
        let text = text_of(node);
        let text = text.trim();
        let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        self.to.token(bare.unwrap_or(text), language.as_ref(), node.range().start, parts);
    }

    fn item(&mut self, node: Node<'_, '_>, language: &Language) -> Expansion {
        self.attributes(node, &["repeat", "repeat-prob", "weight"]);
        let language = self.language(node, language);
        let body = self.sequence(node, &language);
        let at = node.range().start;
        let probability = node.attribute("repeat-prob").and_then(|text| {
            let number = simple_number(text).filter(|number| *number <= 1.0);
            if number.is_none() {
                let message = format!("repeat-prob=\"{text}\"; it is a number from 0.0 to 1.0");
                self.to.mistake(at, message);
            }
            number
        });
        let Some(text) = node.attribute("repeat") else {
            return body;
        };
        match repeat_range(text.trim()) {
            Some((least, most)) => {
                Expansion::Repeat(Box::new(Repeat { body, least, most, probability }))
            }
            None => {
                let message = format!("repeat=\"{text}\"; it is written as 3, 2-4 or 1-");
                self.to.mistake(at, message);
                body
            }
        }
    }

    fn one_of(&mut self, node: Node<'_, '_>, language: &Language) -> Expansion {
        self.attributes(node, &[]);
        let language = self.language(node, language);
        let mut choices = Vec::new();
        for child in node.children() {
            if child.is_text() {
                self.no_text(child, "one-of");
            } else if child.is_element() && child.tag_name().name() == "item" {
                let weight = self.weight(child);
                choices.push(Choice { weight, expansion: self.item(child, &language) });
            } else if child.is_element() && !self.is_foreign(child) && self.strict {
                self.stray(child, "one-of", &["item"]);
            }
        }
        if choices.is_empty() {
            self.to.mistake(node.range().start, "<one-of> needs at least one <item>");
        }
        Expansion::OneOf(choices)
    }

    fn weight(&mut self, node: Node<'_, '_>) -> Option<f64> {
        let text = node.attribute("weight")?;
        let number = simple_number(text.trim());
        if number.is_none() {
            let message = format!("weight=\"{text}\"; it is a number like 2, 0.5 or 3.1");
            self.to.mistake(node.range().start, message);
        }
        number
    }

    fn reference(&mut self, node: Node<'_, '_>) -> Option<Expansion> {
        self.attributes(node, &["special", "type", "uri"]);
        let at = node.range().start;
        for child in node.children() {
            if child.is_text() {
                self.no_text(child, "ruleref");
            } else if child.is_element() && !self.is_foreign(child) && self.strict {
                self.stray(child, "ruleref", &[]);
            }
        }
        match (node.attribute("special"), node.attribute("uri")) {
            (Some("NULL"), None) => Some(Expansion::Null),
            (Some("VOID"), None) => Some(Expansion::Void),
            (Some("GARBAGE"), None) => Some(Expansion::Garbage),
            (Some(special), None) => {
                let names = SPECIAL.join(", ");
                self.to.mistake(at, format!("special=\"{special}\"; it is one of {names}"));
                None
            }
            (None, Some(uri)) => {
                // Drafts of the standard let a reference say its language; it changes nothing.
                self.language(node, &None);
                self.to.reference(uri, node.attribute("type"), at)
            }
            (Some(_), Some(_)) | (None, None) => {
                self.to.mistake(at, "<ruleref> needs exactly one of uri, special");
                None
            }
        }
    }

    /// An element of another vocabulary. Whoever wrote it may want it left out, or only its
    /// tags left out: both are matched.
    fn foreign(&mut self, node: Node<'_, '_>, language: &Language) -> Expansion {
        let mut parts = Vec::new();
        let mut words = Words::default();
        for child in node.children() {
            if child.is_text() {
                words.add(child);
            } else if child.is_element() {
                self.text(&mut words, language, &mut parts);
                if self.is_foreign(child) {
                    parts.push(self.foreign(child, language));
                }
            }
        }
        self.text(&mut words, language, &mut parts);
        let body = Expansion::sequence(parts);
        if body.is_silent() {
            return Expansion::Null;
        }
        Expansion::Repeat(Box::new(Repeat { body, least: 0, most: Some(1), probability: None }))
    }

    fn language(&mut self, node: Node<'_, '_>, around: &Language) -> Language {
        match node.attribute((XML, "lang")) {
            Some(language) => self.to.language_tag(language, node.range().start),
            None => around.clone(),
        }
    }

    // Names.

    /// Whether an element belongs to neither SRGS nor, in a document, to that.
    fn is_foreign(&self, node: Node<'_, '_>) -> bool {
        self.strict && !matches!(node.tag_name().namespace(), None | Some(SRGS))
    }

    fn no_text(&mut self, node: Node<'_, '_>, parent: &str) {
        if has_text(node) && self.strict {
            let text = node.text().unwrap_or_default();
            let start = text.len() - text.trim_start().len();
            let message = format!("text may not stand in <{parent}>");
            self.to.mistake(node.range().start + start, message);
        }
    }

    fn stray(&mut self, node: Node<'_, '_>, parent: &str, children: &[&str]) {
        if !self.strict {
            return;
        }
        let may = match children {
            [] => "nothing may".to_owned(),
            _ => format!("there may stand <{}>", children.join(">, <")),
        };
        let message = format!("<{}> may not stand in <{parent}>; {may}", node.tag_name().name());
        self.to.mistake(node.range().start, message);
    }

    fn attributes(&mut self, node: Node<'_, '_>, known: &[&str]) {
        if !self.strict {
            return;
        }
        for attribute in node.attributes() {
            // Attributes of other namespaces (xsi:schemaLocation, xml:lang) are nobody's mistake.
            if attribute.namespace().is_none() && !known.contains(&attribute.name()) {
                let may = match known {
                    [] => "it has none".to_owned(),
                    _ => format!("it may have {}", known.join(", ")),
                };
                let name = node.tag_name().name();
                let message = format!("<{name}> has no attribute {}; {may}", attribute.name());
                self.to.mistake(attribute.range().start, message);
            }
        }
    }
}

const GRAMMAR_ATTRIBUTES: &[&str] = &["mode", "root", "tag-format", "version"];
const GRAMMAR_CHILDREN: &[&str] = &["lexicon", "meta", "metadata", "rule", "tag"];
const EXPANSION: &[&str] = &["item", "one-of", "ruleref", "tag", "token"];
const RULE_CHILDREN: &[&str] = &["example", "item", "one-of", "ruleref", "tag", "token"];

/// `<meta name="base">`, as drafts of the standard had it.
fn meta_base<'n>(node: Node<'n, '_>) -> Option<&'n str> {
    let is_base = |node: &Node<'_, '_>| node.is_element() && node.attribute("name") == Some("base");
    node.children()
        .filter(|node| node.tag_name().name() == "meta")
        .find(is_base)?
        .attribute("content")
}

fn has_text(node: Node<'_, '_>) -> bool {
    node.text().is_some_and(|text| !text.trim().is_empty())
}

/// Where the text of an element begins.
fn text_start(node: Node<'_, '_>) -> usize {
    let text = node.children().find(Node::is_text);
    text.map_or(node.range().start, |text| text.range().start)
}

fn text_of(node: Node<'_, '_>) -> String {
    let texts = node.children().filter(Node::is_text);
    texts.filter_map(|child| child.text()).collect()
}
