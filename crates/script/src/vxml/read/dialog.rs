//! Reads forms, menus, their items, links and grammars (VoiceXML 2.0 §2, §3).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use roxmltree::Node;

use super::super::document::{
    Act, Choice, Choosable, Dialog, Field, Filled, FilledMode, Given, GrammarRef, GrammarScope,
    GrammarSource, InputItem, Item, ItemKind, Link, Menu, Outcome, Statement,
};
use super::super::fault::{BAD_FETCH, Fault};
use super::super::grammar::{self, Grammar, Inline, Mode};
use super::Reader;
use super::content::{has_text, is_spoken, own_text};
use crate::srgs::simple_number;

impl Reader<'_> {
    pub(super) fn form(&mut self, node: Node<'_, '_>) -> Dialog {
        let mut dialog = self.dialog(node);
        let mut init = Vec::new();
        let mut named = Vec::new();
        for child in node.children().filter(Node::is_element) {
            match child.tag_name().name() {
                "var" | "script" | "data" => init.extend(self.statement(child)),
                "catch" | "error" | "help" | "noinput" | "nomatch" => {
                    dialog.catches.push(self.catch(child));
                }
                "property" => dialog.properties.push(self.property(child)),
                "link" => dialog.links.push(Arc::new(self.link(child))),
                "grammar" => dialog.grammars.push(self.grammar(child)),
                "filled" => {
                    let filled = self.filled(child, None);
                    dialog.filled.push(filled);
                    let names = self.names(child, "namelist");
                    named.extend(names.map(|names| (dialog.filled.len() - 1, names)));
                }
                name => {
                    if let Some(item) = self.item(child, name, &mut dialog) {
                        init.push(Statement {
                            act: Act::DeclareItem(dialog.items.len()),
                            place: self.place(child),
                        });
                        dialog.items.push(item);
                    }
                }
            }
        }
        dialog.init = init.into();
        self.unique_items(&dialog);
        self.settle_filled(&mut dialog, named);
        dialog
    }

    fn dialog(&mut self, node: Node<'_, '_>) -> Dialog {
        let scope = match self.word(node, "scope", &["dialog", "document"]) {
            "document" => GrammarScope::Document,
            _ => GrammarScope::Dialog,
        };
        Dialog {
            id: self.attribute(node, "id").map(str::to_owned),
            scope,
            init: Arc::from(Vec::new()),
            items: Vec::new(),
            filled: Vec::new(),
            catches: Vec::new(),
            links: Vec::new(),
            properties: Vec::new(),
            grammars: Vec::new(),
            place: self.place(node),
        }
    }

    /// Two items of one name are a mistake of the page (VoiceXML 2.0 §2.1.3).
    fn unique_items(&mut self, dialog: &Dialog) {
        let mut seen = HashSet::new();
        for item in dialog.items.iter().filter(|item| item.named) {
            if !seen.insert(item.name.as_str()) {
                let message = format!("a second form item has the name {}", item.name);
                self.mistake_at(&item.place, message);
            }
        }
    }

    /// What each `<filled>` of the form waits for, now that its items are known.
    fn settle_filled(&mut self, dialog: &mut Dialog, named: Vec<(usize, Vec<String>)>) {
        let items: HashMap<&str, usize> = dialog
            .items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.named && item.is_input())
            .map(|(at, item)| (item.name.as_str(), at))
            .collect();
        for (filled, names) in named {
            let mut awaited = BTreeSet::new();
            for name in names {
                match items.get(name.as_str()) {
                    Some(item) => {
                        awaited.insert(*item);
                    }
                    None => {
                        let message = format!("<filled> waits for {name}, which is no input item");
                        self.mistake_at(&dialog.filled[filled].place, message);
                    }
                }
            }
            dialog.filled[filled].awaited = Some(awaited.into_iter().collect());
        }
    }

    fn item(&mut self, node: Node<'_, '_>, tag: &str, dialog: &mut Dialog) -> Option<Item> {
        let kind = match tag {
            "block" => ItemKind::Block(self.content(node)),
            "field" => ItemKind::Field(self.field(node, dialog)),
            "initial" => self.initial(node),
            "object" => self.object(node, dialog),
            "record" => self.record(node, dialog),
            "subdialog" => self.subdialog(node, dialog),
            "transfer" => self.transfer(node, dialog),
            _ => return None,
        };
        let given = self.attribute(node, "name");
        self.made_up_names += 1;
        Some(Item {
            name: given.map_or_else(|| format!("_item{}", self.made_up_names), str::to_owned),
            named: given.is_some(),
            expr: self.expr(node, "expr"),
            cond: self.expr(node, "cond"),
            kind,
            place: self.place(node),
        })
    }

    fn field(&mut self, node: Node<'_, '_>, dialog: &mut Dialog) -> Field {
        let mut field = Field {
            input: InputItem::default(),
            slot: String::new(),
            modal: self.boolean(node, "modal").unwrap_or(false),
            options: Vec::new(),
        };
        let name = self.attribute(node, "name").unwrap_or_default();
        field.slot = self.attribute(node, "slot").unwrap_or(name).to_owned();
        if let Some(kind) = self.attribute(node, "type") {
            let place = self.attribute_place(node, "type");
            // Keys first: without a recognizer they are all there is.
            let modes = [Mode::Dtmf, Mode::Voice];
            for mode in modes.into_iter().filter(|mode| *mode == Mode::Dtmf || is_english(node)) {
                let built = grammar::builtin_of(kind, mode);
                field.input.grammars.push(Arc::new(GrammarRef {
                    source: self.compiled(built),
                    scope: None,
                    base: None,
                    fetch: super::FetchRule::default(),
                    place: place.clone(),
                }));
            }
        }
        let item = dialog.items.len();
        for child in node.children().filter(Node::is_element) {
            match child.tag_name().name() {
                "filled" => {
                    let filled = self.filled(child, Some(item));
                    dialog.filled.push(filled);
                }
                "option" => field.options.push(self.choosable(child, false)),
                _ => {}
            }
        }
        self.input_item(node, &mut field.input);
        field
    }

    /// Prompts, handlers, links, properties and grammars of an input item.
    pub(super) fn input_item(&mut self, node: Node<'_, '_>, input: &mut InputItem) {
        let children: Vec<_> = node.children().collect();
        let mut at = 0;
        while at < children.len() {
            let bare = children[at..].iter().take_while(|child| is_spoken(**child)).count();
            if bare > 0 {
                let prompt = self.prompt_of(&children[at..at + bare]);
                input.prompts.extend(prompt.map(Arc::new));
                at += bare;
                continue;
            }
            let child = children[at];
            match child.tag_name().name() {
                "catch" | "error" | "help" | "noinput" | "nomatch" => {
                    input.catches.push(self.catch(child));
                }
                "prompt" => input.prompts.push(Arc::new(self.prompt(child))),
                "property" => input.properties.push(self.property(child)),
                "link" => input.links.push(Arc::new(self.link(child))),
                "grammar" => input.grammars.push(self.own_grammar(child)),
                _ => {}
            }
            at += 1;
        }
    }

    pub(super) fn filled(&mut self, node: Node<'_, '_>, item: Option<usize>) -> Filled {
        let chosen = node.has_attribute("namelist") || node.has_attribute("mode");
        if item.is_some() && chosen {
            let message = "<filled> inside an input item has no mode and no namelist; those are \
                           for a <filled> of the form";
            self.mistake(node, message);
        }
        let mode = match self.word(node, "mode", &["all", "any"]) {
            "any" => FilledMode::Any,
            _ => FilledMode::All,
        };
        Filled {
            item,
            mode,
            awaited: item.map(|item| vec![item]),
            content: self.content(node),
            place: self.place(node),
        }
    }

    // Menus.

    pub(super) fn menu(&mut self, node: Node<'_, '_>) -> Dialog {
        let mut dialog = self.dialog(node);
        let mut input = InputItem::default();
        self.input_item(node, &mut input);
        // A menu is dialog and item in one: its handlers and properties are the dialog's.
        dialog.catches = std::mem::take(&mut input.catches);
        dialog.properties = std::mem::take(&mut input.properties);
        let numbered = self.boolean(node, "dtmf").unwrap_or(false);
        let choices = self.choices(node, numbered);
        self.made_up_names += 1;
        let place = self.place(node);
        dialog.items.push(Item {
            name: format!("_item{}", self.made_up_names),
            named: false,
            expr: None,
            cond: None,
            kind: ItemKind::Menu(Menu { input, choices }),
            place: place.clone(),
        });
        dialog.init = Arc::from(vec![Statement { act: Act::DeclareItem(0), place }]);
        dialog
    }

    fn choices(&mut self, node: Node<'_, '_>, numbered: bool) -> Vec<Choice> {
        let mut choices = Vec::new();
        let mut number = 0;
        let approximate = self.word(node, "accept", &["exact", "approximate"]) == "approximate";
        let tags = node.children().filter(|child| child.has_tag_name_local("choice"));
        for child in tags {
            let grammars = self.grammars(child);
            let mut choosable = self.choosable(child, approximate);
            if numbered && choosable.keys.is_empty() {
                number += 1;
                // Only the first nine get a key (VoiceXML 2.0 §2.2.1).
                if number <= 9 {
                    choosable.keys = number.to_string();
                    choosable.own_grammars = self.own_grammars(&choosable);
                }
            } else if numbered && !matches!(choosable.keys.as_str(), "0" | "*" | "#") {
                let message = format!(
                    "dtmf=\"{}\" in a menu that numbers its choices; only 0, * and # are free",
                    choosable.keys
                );
                self.mistake(child, message);
            }
            if !grammars.is_empty() {
                // Its own grammars stand for its words, not for its keys (§2.2.2).
                choosable.own_grammars.retain(|grammar| grammar.is_dtmf());
            }
            choices.push(Choice { choosable, grammars, then: self.outcome(child) });
        }
        choices
    }

    fn choosable(&mut self, node: Node<'_, '_>, approximate: bool) -> Choosable {
        let given = self.attribute(node, "dtmf").unwrap_or_default();
        let keys: String = given.chars().filter(|key| !key.is_whitespace()).collect();
        if let Some(stray) = keys.chars().find(|key| !grammar::is_key(*key)) {
            self.mistake(
                node,
                format!("dtmf=\"{given}\": {stray} is no key; keys are 0-9 * # A-D"),
            );
        }
        let approximate = match node.attribute("accept") {
            Some(_) => self.word(node, "accept", &["exact", "approximate"]) == "approximate",
            None => approximate,
        };
        let mut choosable = Choosable {
            approximate,
            keys,
            text: own_text(node),
            value: self.attribute(node, "value").map(str::to_owned),
            own_grammars: Vec::new(),
            place: self.place(node),
        };
        choosable.own_grammars = self.own_grammars(&choosable);
        choosable
    }

    /// The grammars of a choice's or option's keys and of its words.
    fn own_grammars(&mut self, choosable: &Choosable) -> Vec<Arc<GrammarRef>> {
        let keys = (!choosable.keys.is_empty()).then(|| Grammar::keys(&choosable.keys));
        let words = Grammar::phrase(&choosable.text, choosable.approximate);
        let grammars = keys.into_iter().chain(words);
        let grammars = grammars.map(|grammar| {
            Arc::new(GrammarRef {
                source: self.compiled(Ok(grammar)),
                scope: None,
                base: None,
                fetch: super::FetchRule::default(),
                place: choosable.place.clone(),
            })
        });
        grammars.collect()
    }

    // Links and grammars.

    pub(super) fn link(&mut self, node: Node<'_, '_>) -> Link {
        let mut grammars = self.grammars(node);
        grammars.extend(self.choosable(node, false).own_grammars);
        Link { grammars, then: self.outcome(node) }
    }

    /// Where a choice or a link leads.
    fn outcome(&mut self, node: Node<'_, '_>) -> Outcome {
        let name = self.exactly_one(node, &["next", "expr", "event", "eventexpr"]);
        match name {
            Some(event @ ("event" | "eventexpr")) => {
                let event = self.given(node, event);
                Outcome::Throw(self.throw(node, event), self.place(node))
            }
            Some(page) => Outcome::Go {
                to: self.given(node, page),
                base: self.base.clone(),
                fetch: self.fetch(node),
                place: self.place(node),
            },
            None => Outcome::Go {
                to: Given::Literal(String::new()),
                base: None,
                fetch: super::FetchRule::default(),
                place: self.place(node),
            },
        }
    }

    fn grammars(&mut self, node: Node<'_, '_>) -> Vec<Arc<GrammarRef>> {
        let grammars = node.children().filter(|child| child.has_tag_name_local("grammar"));
        grammars.map(|child| self.own_grammar(child)).collect()
    }

    /// A grammar that reaches no further than what it stands in (VoiceXML 2.0 §3.1.3).
    fn own_grammar(&mut self, node: Node<'_, '_>) -> Arc<GrammarRef> {
        if node.has_attribute("scope") {
            let message = "a grammar of an input item, link or choice has no scope; those of forms \
                           have";
            self.mistake(node, message);
        }
        self.grammar(node)
    }

    fn grammar(&mut self, node: Node<'_, '_>) -> Arc<GrammarRef> {
        if let Some(weight) = node.attribute("weight")
            && simple_number(weight.trim()).is_none()
        {
            let message = format!("weight=\"{weight}\"; it is a number like 2, 0.5 or 3.1");
            self.mistake(node, message);
        }
        let inline = node.children().any(|child| child.is_element() || has_text(child));
        let name = self.at_most_one(node, &["src", "srcexpr"]);
        let scope = node.attribute("scope").map(|_| {
            match self.word(node, "scope", &["dialog", "document"]) {
                "document" => GrammarScope::Document,
                _ => GrammarScope::Dialog,
            }
        });
        let source = match (name, inline) {
            (Some(name), true) => {
                let message = format!("<grammar> has both {name} and rules; it takes one of them");
                self.mistake(node, message);
                GrammarSource::At(self.given(node, name))
            }
            (Some(name), false) => self.external_grammar(node, name),
            (None, true) => self.inline_grammar(node),
            (None, false) => {
                self.mistake(node, "<grammar> needs exactly one of src, srcexpr or rules");
                GrammarSource::At(Given::Literal(String::new()))
            }
        };
        Arc::new(GrammarRef {
            source,
            scope,
            base: self.base_of(node),
            fetch: self.fetch(node),
            place: self.place(node),
        })
    }

    fn external_grammar(&mut self, node: Node<'_, '_>, name: &str) -> GrammarSource {
        let given = self.given(node, name);
        if let Given::Literal(uri) = &given
            && let Some(built) = grammar::builtin_at(uri)
        {
            return self.compiled(built);
        }
        match self.unknown_format(node) {
            Some(unknown) => unknown,
            None => GrammarSource::At(given),
        }
    }

    fn inline_grammar(&mut self, node: Node<'_, '_>) -> GrammarSource {
        if let Some(unknown) = self.unknown_format(node) {
            return unknown;
        }
        let base = self.base_of(node);
        let media_type = self.attribute(node, "type").unwrap_or_default();
        let text = node.children().find(|child| child.is_text() && has_text(*child));
        let built = if node.children().any(|child| child.is_element()) {
            grammar::compile(node, self.rows, base.as_ref(), self.states_left)
        } else if let Some(node) = text {
            let (text, at) = (node.text().unwrap_or_default(), node.range().start);
            if media_type.is_empty() && !text.trim_start().starts_with("#ABNF") {
                let message = "an inline grammar in another form than SRGS; it would have <rule> \
                               elements, or begin with #ABNF 1.0;";
                return GrammarSource::Refused(Fault::unsupported("format", message));
            }
            let at = at + self.rows.text_from(at).find("#ABNF").unwrap_or(0);
            let (rows, left) = (self.rows, self.states_left);
            grammar::compile_text(text.trim_start(), media_type, rows, at, base.as_ref(), left)
        } else {
            Err(Vec::new())
        };
        match built {
            Ok(Inline::Compiled(grammar)) => self.compiled(Ok(*grammar)),
            Ok(Inline::Draft(draft)) => GrammarSource::Draft(draft),
            Err(mistakes) => {
                self.mistakes.extend(mistakes);
                GrammarSource::Refused(Fault::new(BAD_FETCH, "the grammar has mistakes"))
            }
        }
    }

    /// A media type that says that this is no SRGS.
    fn unknown_format(&mut self, node: Node<'_, '_>) -> Option<GrammarSource> {
        let given = self.attribute(node, "type")?;
        if grammar::is_srgs(given) {
            return None;
        }
        let message = format!(
            "grammars of type {given}; application/srgs+xml and application/srgs are understood"
        );
        Some(GrammarSource::Refused(Fault::unsupported("format", message)))
    }

    fn compiled(&mut self, built: Result<Grammar, Fault>) -> GrammarSource {
        match built {
            Ok(grammar) if grammar.states() > self.states_left => {
                let message = "the grammars of the page are too large together";
                GrammarSource::Refused(Fault::new(BAD_FETCH, message))
            }
            Ok(grammar) => {
                self.states_left -= grammar.states();
                GrammarSource::Inline(Arc::new(grammar))
            }
            Err(fault) => GrammarSource::Refused(fault),
        }
    }
}

/// Whether the language around is English, or none is said.
fn is_english(node: Node<'_, '_>) -> bool {
    let language = node.ancestors().find_map(|node| node.attribute((super::XML, "lang")));
    language.is_none_or(|language| {
        language.split('-').next().is_some_and(|primary| primary.eq_ignore_ascii_case("en"))
    })
}

/// Tag names without their namespace: grammars stand in VoiceXML's or in SRGS's.
trait LocalName {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.is_element() && self.tag_name().name() == name
    }
}
