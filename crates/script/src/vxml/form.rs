//! Forms and menus: which item is next, what it listens for, what an answer fills
//! (VoiceXML 2.0 §2.1.6, App. C).

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::document::{
    Dialog, Document, FetchRule, GrammarRef, GrammarScope, GrammarSource, InputItem, Item,
    ItemKind, Object, Outcome,
};
use super::event::Counters;
use super::fault::Fault;
use super::fia::{HangUp, Task, Vxml};
use super::grammar::{self, Grammar, Shelved};
use super::listen::Active;
use super::load::{Loading, unfit_fault};
use super::place::Place;
use super::prompt::{resolve, tapered};
use super::run::{Purpose, Running};
use super::schema::shorten;
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
    /// Values that the caller of a subdialog gives its form, and where they were given.
    pub(super) params: Vec<(String, Place)>,
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
            params: Vec::new(),
            prompt_counts: vec![0; dialog.items.len()],
            item_events: vec![Counters::default(); dialog.items.len()],
            events: Counters::default(),
        }
    }

    pub(super) fn item_at_hand(&self) -> Option<&Item> {
        self.dialog.items.get(self.item?)
    }

    /// The item at hand, by its place among those of the dialog, and its name.
    pub(super) fn named_item(&self) -> Option<(usize, String)> {
        self.item.zip(self.item_at_hand().map(|item| item.name.clone()))
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
    /// A grammar of the item at hand.
    Item,
    /// A grammar of a form: of the page, or of its root; by number.
    Form { root: bool, dialog: usize },
    /// An option of the field at hand, with its value.
    Option(String),
    /// A command that is understood everywhere.
    Universal(&'static str),
}

/// Grammars that may match, and what a match of each came from, in order of precedence.
type InForce = VecDeque<(Source, Arc<GrammarRef>)>;

/// Grammars being made ready, in order of precedence.
#[derive(Debug)]
pub(super) struct Activation {
    waiting: InForce,
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
        let params = std::mem::take(&mut self.params);
        let visit = Visit { params, ..Visit::new(dialog) };
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
            Purpose::InitDialog(matched) => {
                self.check_params()?;
                match matched {
                    Some(matched) => return self.fill_form(&matched),
                    None => Task::Select,
                }
            }
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
        if !std::mem::take(&mut visit.quiet) {
            self.queue_prompts(dialog, at)?;
        }
        match &item.kind {
            ItemKind::Block(content) => {
                self.scopes.set(Level::Dialog, &item.name, Value::Bool(true))?;
                self.scopes.open(Level::Anonymous)?;
                self.running = Some(Running::new(content, Purpose::Block));
                Ok(())
            }
            ItemKind::Field(_)
            | ItemKind::Initial(_)
            | ItemKind::Menu(_)
            | ItemKind::Record(_)
            | ItemKind::Transfer(_) => {
                self.task = Task::Collect;
                Ok(())
            }
            ItemKind::Object(object) => {
                self.refuse_object(object).map_err(|fault| fault.at(&item.place))
            }
            ItemKind::Subdialog(subdialog) => {
                let called = self.call_subdialog(subdialog, &item.place);
                called.map_err(|fault| fault.at(&item.place))
            }
        }
    }

    /// There is no platform code to be run; what it would be given is evaluated all the same, for
    /// the mistakes in it (VoiceXML 2.0 §2.3.5).
    fn refuse_object(&mut self, object: &Object) -> Result<(), Fault> {
        for param in &object.params {
            self.given(&param.value).map_err(|fault| fault.at(&param.place))?;
        }
        let message = format!("there is no object {} here", shorten(&object.class));
        Err(Fault::unsupported("objectname", message))
    }

    /// Queues the prompts of an item; a block has none of its own.
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
            None => Activation { waiting: self.grammars_in_force()?, ready: Vec::new() },
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
        let at_hand =
            self.visit.as_ref().and_then(|visit| Some((Arc::clone(&visit.dialog), visit.item?)));
        match &at_hand {
            Some((dialog, at)) => match &dialog.items[*at].kind {
                ItemKind::Record(_) => self.begin_record(dialog, *at, &activation.ready),
                ItemKind::Transfer(_) => self.begin_transfer(dialog, *at, &activation.ready),
                _ => self.listen(activation.ready),
            },
            None => self.listen(activation.ready),
        }
    }

    /// The compiled grammar; `None` where a fetch was begun.
    fn ready_grammar(&mut self, wanted: &GrammarRef) -> Result<Option<Arc<Grammar>>, Fault> {
        // An expression is evaluated when its fetch begins and not again when it ends.
        let fetched = self.pages.fetched_grammar.take();
        let (address, shelved) = match &wanted.source {
            GrammarSource::Inline(grammar) => return Ok(Some(Arc::clone(grammar))),
            GrammarSource::Refused(fault) => return Err(fault.clone()),
            GrammarSource::Draft(draft) => {
                let shelved = self.grammars.of(draft, &wanted.place, &self.limits);
                (String::new(), shelved)
            }
            GrammarSource::At(given) => {
                let address = fetched.map_or_else(|| self.given(given), Ok)?;
                if address.trim_start().starts_with('#') {
                    // §3.1.1.4.
                    let message = format!("{address}: a grammar is not a part of this page");
                    return Err(Fault::semantic(message));
                }
                if let Some(built) = grammar::builtin_at(&address) {
                    return built.map(|grammar| Some(Arc::new(grammar)));
                }
                let base = wanted.base.clone().or_else(|| self.pages.base());
                let url = resolve(base.as_ref(), &address)?;
                (address, self.grammars.at(&url, &self.limits))
            }
        };
        match shelved.map_err(unfit_fault)? {
            Shelved::Ready(grammar) => Ok(Some(grammar)),
            Shelved::Needs(url) => {
                self.usage.resource(&self.limits)?;
                let rule = self.properties().fetch("grammar", &wanted.fetch)?;
                let place = wanted.place.clone();
                let then = Loading::Grammar { url: url.clone(), address, place };
                self.request(url, Method::Get, &rule, then)?;
                Ok(None)
            }
        }
    }

    /// Every grammar in force at the item at hand, in order of precedence (§3.1.4).
    fn grammars_in_force(&self) -> Result<InForce, Fault> {
        let mut found = InForce::new();
        let Some(visit) = &self.visit else {
            return Ok(found);
        };
        let modal = visit.item_at_hand().is_some_and(|item| own_grammars(item, &mut found));
        if modal {
            return Ok(found);
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
        for command in self.properties().universals()? {
            found.extend(universal(command));
        }
        Ok(found)
    }

    // Process.

    /// A match: fills, chooses, or goes where it leads (App. C, "process").
    pub(super) fn matched(&mut self, source: Source, value: Value) -> Result<(), Fault> {
        match source {
            Source::Chosen(outcome) => self.follow(&outcome),
            Source::Item => self.fill_field(value),
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
            Source::Universal(command) => {
                self.throw_own(command);
                Ok(())
            }
        }
    }

    fn follow(&mut self, outcome: &Outcome) -> Result<(), Fault> {
        match outcome {
            Outcome::Go { to, base, fetch, place } => {
                let address = self.given(to)?;
                let base = base.clone().or_else(|| self.pages.base());
                self.go(&address, base.as_ref(), fetch, place)
            }
            Outcome::Throw(throw, place) => self.throw_given(throw, place),
        }
    }
}

/// The grammars of an item itself; true where no others may be heard.
fn own_grammars(item: &Item, found: &mut InForce) -> bool {
    match &item.kind {
        ItemKind::Field(field) => {
            items_own(&field.input, found);
            for option in &field.options {
                let text = if option.text.is_empty() { &option.keys } else { &option.text };
                let value = option.value.as_ref().unwrap_or(text);
                let grammars = option.own_grammars.iter().cloned();
                found.extend(grammars.map(|grammar| (Source::Option(value.clone()), grammar)));
            }
            field.modal
        }
        ItemKind::Menu(menu) => {
            for choice in &menu.choices {
                let source = Source::Chosen(choice.then.clone());
                let grammars = choice.choosable.own_grammars.iter().chain(&choice.grammars);
                found.extend(grammars.map(|grammar| (source.clone(), Arc::clone(grammar))));
            }
            false
        }
        ItemKind::Record(record) => {
            items_own(&record.input, found);
            record.modal
        }
        ItemKind::Transfer(transfer) => {
            items_own(&transfer.input, found);
            // Only what stands in it may end it (§2.3.7.2).
            true
        }
        ItemKind::Block(_)
        | ItemKind::Initial(_)
        | ItemKind::Object(_)
        | ItemKind::Subdialog(_) => false,
    }
}

fn items_own(input: &InputItem, found: &mut InForce) {
    let grammars = input.grammars.iter().cloned();
    found.extend(grammars.map(|grammar| (Source::Item, grammar)));
}

/// The grammar of a command that is understood everywhere.
fn universal(command: &'static str) -> Option<(Source, Arc<GrammarRef>)> {
    let grammar = Grammar::phrase(command, false)?;
    let grammar = GrammarRef {
        source: GrammarSource::Inline(Arc::new(grammar)),
        scope: None,
        base: None,
        fetch: FetchRule::default(),
        place: Place::platform(),
    };
    Some((Source::Universal(command), Arc::new(grammar)))
}

fn links(links: &[Arc<super::document::Link>], found: &mut InForce) {
    for link in links {
        for grammar in &link.grammars {
            found.push_back((Source::Chosen(link.then.clone()), Arc::clone(grammar)));
        }
    }
}

/// What reaches through a whole page: its links, and its dialogs of document scope.
fn wide_grammars(page: &Document, root: bool, here: Option<usize>, found: &mut InForce) {
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
