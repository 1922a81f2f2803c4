//! Makes one grammar of a document and all that it refers to; says what is still to be fetched.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use url::Url;

use super::builtin;
use super::grammar::{Grammar, Interpretation, Part};
use super::model::{At, Draft, Expansion, Form, Mode, Reference, Repeat, Target};
use super::network::{Cost, Network, Over, State, index};
use crate::vxml::Mistake;

/// Documents that were fetched for a grammar, by address without fragment.
#[derive(Debug, Default)]
pub struct Library {
    held: BTreeMap<String, Held>,
}

#[derive(Clone, Debug)]
enum Held {
    Draft(Arc<Draft>),
    Missing(String),
}

impl Library {
    /// A document was had, and is well made.
    pub fn add(&mut self, url: &Url, draft: Arc<Draft>) {
        self.held.insert(key(url), Held::Draft(draft));
    }

    /// A document was not had, or is not well made; `why` is told where it is referred to.
    pub fn miss(&mut self, url: &Url, why: impl Into<String>) {
        self.held.insert(key(url), Held::Missing(why.into()));
    }

    /// The document of an address, if it is here.
    pub fn get(&self, url: &Url) -> Option<&Arc<Draft>> {
        match self.held.get(&key(url)) {
            Some(Held::Draft(draft)) => Some(draft),
            Some(Held::Missing(_)) | None => None,
        }
    }

    /// Forgets all documents.
    pub fn clear(&mut self) {
        self.held.clear();
    }
}

fn key(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    url.into()
}

/// What linking came to.
#[derive(Debug)]
pub enum Linked {
    /// These documents are referred to and are not in the library; with them, or with the word
    /// that they cannot be had, it goes on.
    Needs(Vec<Url>),
    /// The grammar.
    Ready(Box<Grammar>),
}

/// Most documents of one grammar.
const DOCUMENTS_MAX: usize = 50;

/// Links a document: from its root rule, or from the public rule that is named, or without a root
/// from any of its public rules. `states_max` bounds the result; repeats multiply.
pub fn link(
    draft: &Arc<Draft>,
    rule: Option<&str>,
    library: &Library,
    states_max: usize,
) -> Result<Linked, Vec<Mistake>> {
    let own = Document {
        draft: Arc::clone(draft),
        meaning: Interpretation::Tags(draft.tag_format),
        via: At { row: 1, column: 1 },
    };
    let linker = Linker {
        library,
        states_max,
        documents: vec![own],
        numbers: HashMap::new(),
        rules: HashMap::new(),
        order: Vec::new(),
        resolved: HashMap::new(),
        needs: Vec::new(),
        network: Network::default(),
        mistakes: Vec::new(),
    };
    linker.run(rule)
}

/// The grammar of a builtin type with its parameters, as `digits?length=4` (VoiceXML 2.0 App. P).
pub fn link_builtin(kind: &str, mode: Mode) -> Result<Grammar, builtin::Refusal> {
    let (draft, kind) = builtin::draft(kind, mode)?;
    let draft = Arc::new(draft);
    let linked = link(&draft, None, &Library::default(), BUILTIN_STATES_MAX);
    let Ok(Linked::Ready(mut grammar)) = linked else {
        return Err(builtin::Refusal::Parameter("its parameters make it too large".to_owned()));
    };
    grammar.parts[0].meaning = Interpretation::Builtin(kind);
    Ok(*grammar)
}

/// A thousand digits one by one.
const BUILTIN_STATES_MAX: usize = 60_000;

/// A document in use.
struct Document {
    draft: Arc<Draft>,
    meaning: Interpretation,
    /// Where in the first document the reference stands that leads here.
    via: At,
}

struct Linker<'l> {
    library: &'l Library,
    states_max: usize,
    documents: Vec<Document>,
    /// Documents by address, or by `builtin:` name.
    numbers: HashMap<String, u32>,
    /// Rules of the network by document and rule.
    rules: HashMap<(u32, usize), u32>,
    /// The same in the order of their numbers.
    order: Vec<Option<(u32, usize)>>,
    resolved: HashMap<(u32, String), u32>,
    needs: Vec<Url>,
    network: Network,
    mistakes: Vec<Mistake>,
}

impl Linker<'_> {
    fn run(mut self, rule: Option<&str>) -> Result<Linked, Vec<Mistake>> {
        let root = self.roots(rule);
        let mut next = 0;
        while next < self.order.len() {
            if let Some((document, rule)) = self.order[next] {
                let draft = Arc::clone(&self.documents[document as usize].draft);
                self.resolve_all(document, &draft.rules[rule].expansion);
            }
            next += 1;
        }
        // All documents are wanted before anything is refused, so that all mistakes are told.
        if !self.needs.is_empty() {
            return Ok(Linked::Needs(self.needs));
        }
        let (Some(root), true) = (root, self.mistakes.is_empty()) else {
            return Err(self.mistakes);
        };
        for number in 0..self.order.len() {
            if let Some((document, rule)) = self.order[number] {
                self.rule(index(number), document, rule);
            }
        }
        if !self.mistakes.is_empty() {
            return Err(self.mistakes);
        }
        self.network.settle(root);
        let parts = self.documents.into_iter();
        Ok(Linked::Ready(Box::new(Grammar {
            mode: parts.as_slice()[0].draft.mode,
            network: self.network,
            parts: parts.map(|it| Part { draft: it.draft, meaning: it.meaning }).collect(),
            resolved: self.resolved,
            origins: self.order,
        })))
    }

    // Which rules there are.

    /// The rule that input must match.
    fn roots(&mut self, rule: Option<&str>) -> Option<u32> {
        let draft = Arc::clone(&self.documents[0].draft);
        let named = match rule {
            Some(name) => match draft.index.get(name) {
                // The root may be named too; it can be had without its name anyway.
                Some(found) if draft.rules[*found].public || draft.root() == rule => Some(*found),
                Some(found) => {
                    let at = draft.rules[*found].at;
                    let message = format!("the rule {name} is private; it needs scope public");
                    self.mistake(0, at, message);
                    return None;
                }
                None => {
                    self.mistake(0, At { row: 1, column: 1 }, format!("there is no rule {name}"));
                    return None;
                }
            },
            None => draft.root().and_then(|root| draft.index.get(root)).copied(),
        };
        if let Some(found) = named {
            return Some(self.rule_number(0, found));
        }
        self.any_public(&draft)
    }

    /// Without a root, any public rule may match (SRGS 1.0 §4.7); where there is but one rule,
    /// that one.
    fn any_public(&mut self, draft: &Draft) -> Option<u32> {
        let choices = draft.rules.iter().enumerate();
        let choices = choices.filter(|(_, rule)| rule.public || draft.rules.len() == 1);
        let choices: Vec<usize> = choices.map(|(number, _)| number).collect();
        match choices.as_slice() {
            [] => {
                let message = "nothing can be matched: a grammar needs a root or a public rule";
                self.mistake(0, At { row: 1, column: 1 }, message);
                None
            }
            [only] => Some(self.rule_number(0, *only)),
            _ => {
                let root = self.network.add_rule("", 0);
                self.order.push(None);
                let start = self.network.start(root);
                let end = self.network.state();
                for (order, choice) in choices.into_iter().enumerate() {
                    let rule = self.rule_number(0, choice);
                    let site = self.network.site(format!("${}", draft.rules[choice].name));
                    let cost = Cost::FREE.ordered(order);
                    self.network.join(start, Over::Call { rule, site }, end, cost);
                }
                self.network.finish(root, end);
                Some(root)
            }
        }
    }

    fn rule_number(&mut self, document: u32, rule: usize) -> u32 {
        if let Some(known) = self.rules.get(&(document, rule)) {
            return *known;
        }
        let name = &self.documents[document as usize].draft.rules[rule].name;
        let number = self.network.add_rule(name, document);
        self.rules.insert((document, rule), number);
        self.order.push(Some((document, rule)));
        number
    }

    // What references lead to.

    fn resolve_all(&mut self, document: u32, expansion: &Expansion) {
        match expansion {
            Expansion::OneOf(choices) => {
                choices.iter().for_each(|choice| self.resolve_all(document, &choice.expansion));
            }
            Expansion::Reference(reference) => self.resolve(document, reference),
            Expansion::Repeat(repeat) => self.resolve_all(document, &repeat.body),
            Expansion::Sequence(parts) => {
                parts.iter().for_each(|part| self.resolve_all(document, part));
            }
            Expansion::Garbage
            | Expansion::Null
            | Expansion::Tag(_)
            | Expansion::Token(_)
            | Expansion::Void => {}
        }
    }

    fn resolve(&mut self, from: u32, reference: &Reference) {
        let label = label(&reference.target);
        let external = matches!(reference.target, Target::External { .. });
        if !external && self.resolved.contains_key(&(from, label.clone())) {
            return;
        }
        let found = match &reference.target {
            Target::Builtin(kind) => self.builtin(from, kind, reference.at),
            Target::External { url, rule, form, .. } => {
                let document = self.document(from, url, *form, reference.at);
                document.and_then(|it| self.rule_of(from, it, rule.as_deref(), reference.at))
            }
            Target::Local(name) => {
                let draft = &self.documents[from as usize].draft;
                draft.index.get(name).copied().map(|rule| (from, rule))
            }
        };
        if let Some((document, rule)) = found {
            let number = self.rule_number(document, rule);
            self.resolved.insert((from, label), number);
        }
    }

    fn document(&mut self, from: u32, url: &Url, form: Option<Form>, at: At) -> Option<u32> {
        let number = if self.documents[0].draft.url.as_ref() == Some(url) {
            0
        } else if let Some(known) = self.numbers.get(url.as_str()) {
            *known
        } else {
            let draft = match self.library.held.get(url.as_str()) {
                Some(Held::Draft(draft)) => Arc::clone(draft),
                Some(Held::Missing(why)) => {
                    self.mistake(from, at, format!("the grammar {url} cannot be had: {why}"));
                    return None;
                }
                None => {
                    if !self.needs.contains(url) {
                        self.needs.push(url.clone());
                    }
                    return None;
                }
            };
            let meaning = Interpretation::Tags(draft.tag_format);
            self.enter(from, url.to_string(), draft, meaning, at)?
        };
        let draft = Arc::clone(&self.documents[number as usize].draft);
        if form.is_some_and(|form| form != draft.form) {
            let message = format!("the grammar {url} is of another media type than promised here");
            self.mistake(from, at, message);
            return None;
        }
        let wanted = self.documents[0].draft.mode;
        if draft.mode != wanted {
            let (is, wanted) = (draft.mode.name(), wanted.name());
            self.mistake(from, at, format!("the grammar {url} is of mode {is}, this of {wanted}"));
            return None;
        }
        Some(number)
    }

    fn rule_of(
        &mut self,
        from: u32,
        document: u32,
        rule: Option<&str>,
        at: At,
    ) -> Option<(u32, usize)> {
        let draft = Arc::clone(&self.documents[document as usize].draft);
        let message = match rule {
            None => match draft.root().and_then(|root| draft.index.get(root)) {
                Some(root) => return Some((document, *root)),
                None => format!("{} has no root; the reference must name a rule", draft.name),
            },
            Some(name) => match draft.index.get(name) {
                // A document may refer to its own rules by its whole address.
                Some(found) if draft.rules[*found].public || from == document => {
                    return Some((document, *found));
                }
                Some(_) => format!("the rule {name} of {} is private", draft.name),
                None => format!("{} has no rule {name}", draft.name),
            },
        };
        self.mistake(from, at, message);
        None
    }

    fn builtin(&mut self, from: u32, kind: &str, at: At) -> Option<(u32, usize)> {
        let mode = self.documents[0].draft.mode;
        let name = format!("builtin:{kind}");
        let number = match self.numbers.get(&name) {
            Some(known) => *known,
            None => {
                let kind = kind.trim_start_matches('/');
                let (kind, other) = match (kind.split_once('/'), mode) {
                    (Some(("dtmf", kind)), mode) => (kind, mode == Mode::Voice),
                    (Some(("grammar" | "voice", kind)), mode) => (kind, mode == Mode::Dtmf),
                    _ => (kind, false),
                };
                if other {
                    let message = format!("{name} is not of mode {}", mode.name());
                    self.mistake(from, at, message);
                    return None;
                }
                match builtin::draft(kind, mode) {
                    Ok((draft, kind)) => {
                        let meaning = Interpretation::Builtin(kind);
                        self.enter(from, name, Arc::new(draft), meaning, at)?
                    }
                    Err(refusal) => {
                        self.mistake(from, at, refusal.to_string());
                        return None;
                    }
                }
            }
        };
        self.rule_of(from, number, None, at)
    }

    fn enter(
        &mut self,
        from: u32,
        name: String,
        draft: Arc<Draft>,
        meaning: Interpretation,
        at: At,
    ) -> Option<u32> {
        if self.documents.len() >= DOCUMENTS_MAX {
            self.mistake(
                from,
                at,
                format!("the grammar refers to more than {DOCUMENTS_MAX} others"),
            );
            return None;
        }
        let via = if from == 0 { at } else { self.documents[from as usize].via };
        let number = index(self.documents.len());
        self.documents.push(Document { draft, meaning, via });
        self.numbers.insert(name, number);
        Some(number)
    }

    /// Mistakes are told where the first document leads to them.
    fn mistake(&mut self, document: u32, at: At, message: impl Into<String>) {
        if self.mistakes.len() >= super::builder::MISTAKES_MAX {
            return;
        }
        let it = &self.documents[document as usize];
        let (place, message) = match document {
            0 => (at, message.into()),
            _ => {
                let name = &it.draft.name;
                (it.via, format!("{name}:{}:{}: {}", at.row, at.column, message.into()))
            }
        };
        self.mistakes.push(Mistake { row: place.row, column: place.column, message });
    }

    // States.

    fn rule(&mut self, number: u32, document: u32, rule: usize) {
        let draft = Arc::clone(&self.documents[document as usize].draft);
        let start = self.network.start(number);
        let end = self.build(document, &draft.rules[rule].expansion, start);
        self.network.finish(number, end);
        if self.network.states() > self.states_max && self.mistakes.is_empty() {
            let max = self.states_max;
            let message = format!("too large: grammars may have {max} states here");
            self.mistake(document, draft.rules[rule].at, message);
        }
    }

    fn is_full(&self) -> bool {
        self.network.states() > self.states_max
    }

    fn build(&mut self, document: u32, expansion: &Expansion, from: State) -> State {
        if self.is_full() {
            return from;
        }
        match expansion {
            Expansion::Garbage => {
                let at = self.network.step(from, Over::Nothing);
                self.network.join(at, Over::Any, at, Cost::FREE);
                at
            }
            Expansion::Null => from,
            Expansion::OneOf(choices) => {
                let weights = choices.iter().map(|choice| choice.weight.unwrap_or(1.0));
                let heaviest = weights.fold(0.0_f64, f64::max);
                let end = self.network.state();
                for (order, choice) in choices.iter().enumerate() {
                    let weight = choice.weight.unwrap_or(1.0);
                    let share = if heaviest > 0.0 { weight / heaviest } else { 1.0 };
                    let begin = self.network.state();
                    let cost = Cost::of(share).ordered(order);
                    self.network.join(from, Over::Nothing, begin, cost);
                    let at = self.build(document, &choice.expansion, begin);
                    self.network.join(at, Over::Nothing, end, Cost::FREE);
                }
                end
            }
            Expansion::Reference(reference) => {
                let label = label(&reference.target);
                match self.resolved.get(&(document, label.clone())).copied() {
                    Some(rule) => {
                        let site = self.network.site(label);
                        self.network.step(from, Over::Call { rule, site })
                    }
                    None => self.network.state(),
                }
            }
            Expansion::Repeat(repeat) => self.repeat(document, repeat, from),
            Expansion::Sequence(parts) => {
                parts.iter().fold(from, |at, part| self.build(document, part, at))
            }
            Expansion::Tag(tag) => self.network.tag(from, tag),
            Expansion::Token(token) => {
                self.network.token(from, &token.text, token.language.as_ref())
            }
            // Nothing leads to the new state.
            Expansion::Void => self.network.state(),
        }
    }

    fn repeat(&mut self, document: u32, repeat: &Repeat, from: State) -> State {
        let (again, enough) = match repeat.probability {
            Some(probability) => (Cost::of(probability), Cost::of(1.0 - probability)),
            None => (Cost::FREE, Cost::FREE),
        };
        let (mut least, mut most) = (repeat.least, repeat.most);
        if repeat.body.is_silent() {
            // Nothing any number of times is nothing once (SRGS 1.0 §2.5).
            least = least.min(1);
            most = Some(most.unwrap_or(1).min(1));
        }
        let mut at = from;
        for _ in 0..least {
            if self.is_full() {
                return at;
            }
            at = self.once(document, &repeat.body, at, Cost::FREE);
        }
        let end = self.network.state();
        let Some(most) = most else {
            self.network.join(at, Over::Nothing, end, Cost::FREE);
            let turn = self.once(document, &repeat.body, end, again);
            self.network.join(turn, Over::Nothing, end, Cost::FREE);
            let out = self.network.state();
            self.network.join(end, Over::Nothing, out, enough);
            return out;
        };
        for _ in least..most {
            if self.is_full() {
                return end;
            }
            // Among equals, the longer one is meant.
            self.network.join(at, Over::Nothing, end, enough.ordered(1));
            at = self.once(document, &repeat.body, at, again);
        }
        self.network.join(at, Over::Nothing, end, Cost::FREE);
        end
    }

    /// One turn of a repeat; a state of its own keeps turns of nothing within the limit.
    fn once(&mut self, document: u32, body: &Expansion, from: State, cost: Cost) -> State {
        let begin = self.network.state();
        self.network.join(from, Over::Nothing, begin, cost);
        self.build(document, body, begin)
    }
}

/// What a reference looks like in a parse.
pub(crate) fn label(target: &Target) -> String {
    match target {
        Target::Builtin(kind) => format!("$<builtin:{kind}>"),
        Target::External { uri, .. } => format!("$<{uri}>"),
        Target::Local(name) => format!("${name}"),
    }
}
