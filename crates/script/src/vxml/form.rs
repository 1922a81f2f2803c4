//! Forms and menus: which item is next, what it listens for, what an answer fills
//! (VoiceXML 2.0 §2.1.6, App. C).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::document::{
    Dialog, Document, Filled, FilledMode, GrammarRef, GrammarScope, GrammarSource, Item, ItemKind,
    Outcome,
};
use super::event::Counters;
use super::fault::Fault;
use super::fia::{HangUp, Task, Vxml};
use super::grammar::{self, Grammar};
use super::listen::Active;
use super::load::Loading;
use super::place::Place;
use super::prompt::{not_built, resolve, tapered};
use super::run::{Purpose, Running};
use super::scope::Level;
use super::value::Value;
use crate::step::Method;

/// A dialog being interpreted, and what is counted in it.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) dialog: Arc<Dialog>,
    /// The item at hand; none while the dialog as a whole is.
    pub(super) item: Option<usize>,
    /// The item that a `<goto>` chose.
    pub(super) next_item: Option<usize>,
    /// A handler ended without asking for prompts: the next item plays none.
    pub(super) quiet: bool,
    prompt_counts: Vec<u32>,
    item_events: Vec<Counters>,
    events: Counters,
}

impl Visit {
    fn new(dialog: &Arc<Dialog>) -> Self {
        Self {
            dialog: Arc::clone(dialog),
            item: None,
            next_item: None,
            quiet: false,
            prompt_counts: vec![0; dialog.items.len()],
            item_events: vec![Counters::default(); dialog.items.len()],
            events: Counters::default(),
        }
    }

    pub(super) fn item_at_hand(&self) -> Option<&Item> {
        self.dialog.items.get(self.item?)
    }

    /// Where events are counted now.
    pub(super) fn counters(&mut self) -> &mut Counters {
        match self.item {
            Some(item) => &mut self.item_events[item],
            None => &mut self.events,
        }
    }

    /// An item as if never visited.
    pub(super) fn reset(&mut self, item: usize) {
        self.prompt_counts[item] = 0;
        self.item_events[item] = Counters::default();
    }

    pub(super) fn place(&self) -> &Place {
        self.item_at_hand().map_or(&self.dialog.place, |item| &item.place)
    }
}

/// What a match came from.
#[derive(Clone, Debug)]
pub(super) enum Source {
    /// A choice of a menu, or a link.
    Chosen(Outcome),
    /// A grammar of the field at hand.
    Field,
    /// A grammar of a form: of the page, or of its root; by number.
    Form { root: bool, dialog: usize },
    /// An option of the field at hand, with its value.
    Option(String),
}

/// Grammars being made ready, in order of precedence.
#[derive(Debug)]
pub(super) struct Activation {
    waiting: VecDeque<(Source, Arc<GrammarRef>)>,
    ready: Vec<Active>,
}

impl Vxml {
    /// Goes into a dialog: its variables anew, its counters at zero.
    pub(super) fn enter(&mut self, at: usize, matched: Option<Value>) -> Result<(), Fault> {
        self.usage.jump(&self.limits)?;
        self.scopes.close(Level::Anonymous)?;
        self.scopes.open(Level::Dialog)?;
        let dialog = self.pages.document.as_ref().and_then(|page| page.dialogs.get(at));
        let Some(dialog) = dialog else {
            self.begin_exit(BTreeMap::new());
            return Ok(());
        };
        let visit = Visit::new(dialog);
        self.running = Some(Running::new(&dialog.init, Purpose::InitDialog(matched)));
        self.visit = Some(visit);
        Ok(())
    }

    /// Statements are done; what they were for says what comes next.
    pub(super) fn content_ended(&mut self) -> Result<(), Fault> {
        let Some(running) = self.running.take() else {
            return Ok(());
        };
        self.scopes.close(Level::Anonymous)?;
        self.task = match running.purpose {
            Purpose::Block => Task::Select,
            Purpose::Catch { reprompt } => return self.handler_ended(reprompt),
            Purpose::Filled(rest, just) => Task::Filled(rest, just),
            Purpose::InitDialog(Some(matched)) => return self.fill_form(&matched),
            Purpose::InitDialog(None) => Task::Select,
            Purpose::InitDocument(dialog) => return self.document_ready(dialog),
            Purpose::InitRoot(dialog) => Task::InitDocument(dialog),
        };
        Ok(())
    }

    fn handler_ended(&mut self, reprompt: bool) -> Result<(), Fault> {
        if let (Some(_), HangUp::No) = (&self.exit, self.hang_up) {
            // The handler was for a prompt of the farewell; the script had ended before it.
            self.begin_exit(BTreeMap::new());
        } else if let Some(visit) = &mut self.visit {
            visit.quiet = !reprompt;
            self.task = Task::Select;
        } else {
            self.begin_exit(BTreeMap::new());
        }
        Ok(())
    }

    // Select.

    /// Chooses the next item and visits it; none left ends the session (App. C, "select").
    pub(super) fn select(&mut self) -> Result<(), Fault> {
        self.usage.jump(&self.limits)?;
        self.scopes.close(Level::Anonymous)?;
        let Some(visit) = &mut self.visit else {
            self.begin_exit(BTreeMap::new());
            return Ok(());
        };
        visit.item = None;
        let dialog = Arc::clone(&visit.dialog);
        let chosen = match visit.next_item.take() {
            Some(item) => Some(item),
            None => self.first_open_item(&dialog)?,
        };
        match chosen {
            Some(item) => self.visit_item(&dialog, item),
            None => {
                self.begin_exit(BTreeMap::new());
                Ok(())
            }
        }
    }

    /// The first item without a value whose condition holds.
    fn first_open_item(&mut self, dialog: &Dialog) -> Result<Option<usize>, Fault> {
        for (at, item) in dialog.items.iter().enumerate() {
            self.usage.statement(&self.limits)?;
            let open = self.scopes.get(Level::Dialog, &item.name)?.is_undefined();
            if open && self.scopes.holds(item.cond.as_ref())? {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn visit_item(&mut self, dialog: &Arc<Dialog>, at: usize) -> Result<(), Fault> {
        let item = &dialog.items[at];
        let Some(visit) = &mut self.visit else {
            return Ok(());
        };
        visit.item = Some(at);
        let quiet = std::mem::take(&mut visit.quiet);
        match &item.kind {
            ItemKind::Block(content) => {
                self.scopes.set(Level::Dialog, &item.name, Value::Bool(true))?;
                self.scopes.open(Level::Anonymous)?;
                self.running = Some(Running::new(content, Purpose::Block));
                Ok(())
            }
            ItemKind::Field(_) | ItemKind::Menu(_) => {
                if !quiet {
                    self.queue_prompts(dialog, at)?;
                }
                self.task = Task::Collect;
                Ok(())
            }
            ItemKind::Unsupported { element, .. } => Err(not_built(element).at(&item.place)),
        }
    }

    fn queue_prompts(&mut self, dialog: &Dialog, at: usize) -> Result<(), Fault> {
        let (Some(input), Some(visit)) = (dialog.items[at].input(), &mut self.visit) else {
            return Ok(());
        };
        visit.prompt_counts[at] += 1;
        let count = visit.prompt_counts[at];
        for prompt in tapered(&input.prompts, count, &mut self.scopes)? {
            self.queue(&prompt)?;
        }
        Ok(())
    }

    // Collect.

    /// Makes all grammars ready that may match now, then listens.
    pub(super) fn collect(&mut self) -> Result<(), Fault> {
        match self.hang_up {
            HangUp::No => {}
            HangUp::Pending => {
                self.hear_hang_up();
                return Ok(());
            }
            HangUp::Heard => {
                self.begin_exit(BTreeMap::new());
                return Ok(());
            }
        }
        let mut activation = match self.activation.take() {
            Some(activation) => activation,
            None => Activation { waiting: self.grammars_in_force(), ready: Vec::new() },
        };
        while let Some((source, wanted)) = activation.waiting.pop_front() {
            let had = self.ready_grammar(&wanted);
            match had.map_err(|fault| fault.at(&wanted.place))? {
                Some(grammar) => activation.ready.push(Active { source, grammar }),
                None => {
                    // On its way; when it is here, it goes on from the cache.
                    activation.waiting.push_front((source, wanted));
                    self.activation = Some(activation);
                    return Ok(());
                }
            }
        }
        self.listen(activation.ready)
    }

    /// The compiled grammar; `None` where a fetch was begun.
    fn ready_grammar(&mut self, wanted: &GrammarRef) -> Result<Option<Arc<Grammar>>, Fault> {
        let given = match &wanted.source {
            GrammarSource::Inline(grammar) => return Ok(Some(Arc::clone(grammar))),
            GrammarSource::Refused(fault) => return Err(fault.clone()),
            GrammarSource::At(given) => given,
        };
        // An expression is evaluated when its fetch begins and not again when it ends.
        let address = match self.pages.fetched_grammar.take() {
            Some(address) => address,
            None => self.given(given)?,
        };
        if let Some(kind) = address.strip_prefix("builtin:dtmf/") {
            return grammar::builtin(kind).map(|grammar| Some(Arc::new(grammar)));
        }
        if address.starts_with("builtin:") {
            return Ok(Some(Arc::new(Grammar::voice())));
        }
        let base = wanted.base.clone().or_else(|| self.pages.base());
        let url = resolve(base.as_ref(), &address)?;
        if let Some(grammar) = self.grammars.get(url.as_str()) {
            return Ok(Some(Arc::clone(grammar)));
        }
        self.usage.resource(&self.limits)?;
        let rule = self.properties().fetch("grammar", &wanted.fetch)?;
        let then = Loading::Grammar { url: url.clone(), address, place: wanted.place.clone() };
        self.request(url, Method::Get, &rule, then);
        Ok(None)
    }

    /// Every grammar in force at the item at hand, in order of precedence (§3.1.4).
    fn grammars_in_force(&self) -> VecDeque<(Source, Arc<GrammarRef>)> {
        let mut found = VecDeque::new();
        let Some(visit) = &self.visit else {
            return found;
        };
        let modal = visit.item_at_hand().is_some_and(|item| own_grammars(item, &mut found));
        if modal {
            return found;
        }
        if let Some(input) = visit.item_at_hand().and_then(Item::input) {
            links(&input.links, &mut found);
        }
        let page = self.pages.document.as_ref();
        let here = page.and_then(|page| {
            page.dialogs.iter().position(|dialog| Arc::ptr_eq(dialog, &visit.dialog))
        });
        for grammar in &visit.dialog.grammars {
            let source = Source::Form { root: false, dialog: here.unwrap_or_default() };
            found.push_back((source, Arc::clone(grammar)));
        }
        links(&visit.dialog.links, &mut found);
        if let Some(page) = page {
            wide_grammars(page, false, here, &mut found);
        }
        if let Some(root) = &self.pages.root {
            wide_grammars(root, true, None, &mut found);
        }
        found
    }

    // Process.

    /// A match: fills, chooses, or goes where it leads (App. C, "process").
    pub(super) fn matched(&mut self, source: Source, value: Value) -> Result<(), Fault> {
        match source {
            Source::Chosen(outcome) => self.follow(&outcome),
            Source::Field => self.fill_field(value),
            Source::Form { root, dialog } => {
                let at_hand = self.visit.as_ref().zip(self.pages.document.as_ref());
                let here = at_hand.is_some_and(|(visit, page)| {
                    let own = page.dialogs.get(dialog);
                    !root && own.is_some_and(|own| Arc::ptr_eq(own, &visit.dialog))
                });
                if here {
                    return self.fill_form(&value);
                }
                if root {
                    self.become_root()?;
                }
                self.task = Task::Enter(dialog, Some(value));
                Ok(())
            }
            Source::Option(value) => self.fill_field(Value::text(value)),
        }
    }

    fn follow(&mut self, outcome: &Outcome) -> Result<(), Fault> {
        match outcome {
            Outcome::Go { to, base, fetch, place } => {
                let address = self.given(to)?;
                let base = base.clone().or_else(|| self.pages.base());
                self.go(&address, base.as_ref(), fetch, place)
            }
            Outcome::Throw(throw, place) => {
                let event = self.event(throw)?;
                self.throw(event, Some(place));
                Ok(())
            }
        }
    }

    /// Fills the field at hand: with the property that has its slot's name, or with the whole
    /// result (§3.1.6.2).
    fn fill_field(&mut self, value: Value) -> Result<(), Fault> {
        let Some((at, dialog)) =
            self.visit.as_ref().and_then(|visit| Some((visit.item?, Arc::clone(&visit.dialog))))
        else {
            return Ok(());
        };
        let item = &dialog.items[at];
        let own = match &item.kind {
            ItemKind::Field(field) => value.path(&field.slot).cloned(),
            ItemKind::Block(_) | ItemKind::Menu(_) | ItemKind::Unsupported { .. } => None,
        };
        self.fill(item, own.unwrap_or(value))?;
        self.begin_filled(&dialog, vec![at]);
        Ok(())
    }

    /// Fills every field whose slot the result has (§3.1.6.1).
    pub(super) fn fill_form(&mut self, value: &Value) -> Result<(), Fault> {
        let Some(dialog) = self.visit.as_ref().map(|visit| Arc::clone(&visit.dialog)) else {
            return Ok(());
        };
        let mut just = Vec::new();
        for (at, item) in dialog.items.iter().enumerate() {
            let ItemKind::Field(field) = &item.kind else {
                continue;
            };
            let slot = if field.slot.is_empty() { &item.name } else { &field.slot };
            if let Some(own) = value.path(slot) {
                self.fill(item, own.clone())?;
                just.push(at);
            }
        }
        self.begin_filled(&dialog, just);
        Ok(())
    }

    /// Sets an item's variable and its shadow, which says how it came (§2.3.1).
    fn fill(&mut self, item: &Item, value: Value) -> Result<(), Fault> {
        let shadow = self.pages.last_result.clone();
        self.scopes.set(Level::Dialog, &format!("{}$", item.name), shadow)?;
        self.scopes.set(Level::Dialog, &item.name, value)
    }

    fn begin_filled(&mut self, dialog: &Dialog, just: Vec<usize>) {
        self.task = Task::Filled((0..dialog.filled.len()).collect(), just);
    }

    /// The next `<filled>` that is due, in the order of the document.
    pub(super) fn next_filled(
        &mut self,
        mut rest: VecDeque<usize>,
        just: &[usize],
    ) -> Result<(), Fault> {
        let Some(dialog) = self.visit.as_ref().map(|visit| Arc::clone(&visit.dialog)) else {
            return Ok(());
        };
        while let Some(at) = rest.pop_front() {
            let filled = &dialog.filled[at];
            self.usage.statement(&self.limits)?;
            if self.is_due(&dialog, filled, just)? {
                if let Some(visit) = &mut self.visit {
                    visit.item = filled.item;
                }
                self.scopes.open(Level::Anonymous)?;
                let purpose = Purpose::Filled(rest, just.to_vec());
                self.running = Some(Running::new(&filled.content, purpose));
                return Ok(());
            }
        }
        self.task = Task::Select;
        Ok(())
    }

    fn is_due(&self, dialog: &Dialog, filled: &Filled, just: &[usize]) -> Result<bool, Fault> {
        let awaited: Vec<usize> = match &filled.awaited {
            Some(awaited) => awaited.clone(),
            None => {
                let inputs = dialog.items.iter().enumerate();
                inputs.filter(|(_, item)| is_input(item)).map(|(at, _)| at).collect()
            }
        };
        if !awaited.iter().any(|item| just.contains(item)) {
            return Ok(false);
        }
        if filled.mode == FilledMode::Any {
            return Ok(true);
        }
        for item in awaited {
            if self.scopes.get(Level::Dialog, &dialog.items[item].name)?.is_undefined() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn is_input(item: &Item) -> bool {
    match &item.kind {
        ItemKind::Field(_) | ItemKind::Menu(_) => true,
        ItemKind::Block(_) => false,
        ItemKind::Unsupported { input, .. } => *input,
    }
}

/// The grammars of an item itself; true where no others may be heard.
fn own_grammars(item: &Item, found: &mut VecDeque<(Source, Arc<GrammarRef>)>) -> bool {
    match &item.kind {
        ItemKind::Field(field) => {
            for grammar in &field.input.grammars {
                found.push_back((Source::Field, Arc::clone(grammar)));
            }
            for option in &field.options {
                let text = if option.text.is_empty() { &option.keys } else { &option.text };
                let value = option.value.as_ref().unwrap_or(text);
                let grammar = option.grammar.iter().cloned();
                found.extend(grammar.map(|grammar| (Source::Option(value.clone()), grammar)));
            }
            field.modal
        }
        ItemKind::Menu(menu) => {
            for choice in &menu.choices {
                let source = Source::Chosen(choice.then.clone());
                let grammars = choice.choosable.grammar.iter().chain(&choice.grammars);
                found.extend(grammars.map(|grammar| (source.clone(), Arc::clone(grammar))));
            }
            false
        }
        ItemKind::Block(_) | ItemKind::Unsupported { .. } => false,
    }
}

fn links(links: &[Arc<super::document::Link>], found: &mut VecDeque<(Source, Arc<GrammarRef>)>) {
    for link in links {
        for grammar in &link.grammars {
            found.push_back((Source::Chosen(link.then.clone()), Arc::clone(grammar)));
        }
    }
}

/// What reaches through a whole page: its links, and its dialogs of document scope.
fn wide_grammars(
    page: &Document,
    root: bool,
    here: Option<usize>,
    found: &mut VecDeque<(Source, Arc<GrammarRef>)>,
) {
    links(&page.links, found);
    for (at, dialog) in page.dialogs.iter().enumerate() {
        if Some(at) == here {
            continue;
        }
        for grammar in &dialog.grammars {
            if grammar.scope.unwrap_or(dialog.scope) == GrammarScope::Document {
                let source = Source::Form { root, dialog: at };
                found.push_back((source, Arc::clone(grammar)));
            }
        }
        if dialog.scope == GrammarScope::Document {
            for item in &dialog.items {
                if let ItemKind::Menu(_) = item.kind {
                    own_grammars(item, found);
                }
            }
        }
    }
}
