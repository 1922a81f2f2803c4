//! Does executable content, statement by statement (VoiceXML 2.0 §5.3).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::document::{
    Act, BargeinType, Block, Expr, FetchRule, Foreach, Given, ItemKind, LogPart, Prompt,
    ScriptSource, Statement, Target, Throw,
};
use super::event::Event;
use super::fault::{Fault, LIMIT};
use super::fia::{Drained, HangUp, Task, Vxml};
use super::form::Visit;
use super::limits::Line;
use super::load::Loading;
use super::place::Place;
use super::prompt::{Bargein, resolve};
use super::read::squeeze;
use super::render::{Surroundings, render};
use super::schema::shorten;
use super::scope::Level;
use super::value::Value;
use crate::step::{Method, Step};

/// Statements under way.
#[derive(Debug)]
pub(super) struct Running {
    /// Blocks and loops entered, innermost last.
    entered: Vec<Entered>,
    pub(super) purpose: Purpose,
}

#[derive(Debug)]
enum Entered {
    /// A block, and its next statement.
    Block(Block, usize),
    /// A loop, and its next turn.
    Loop { foreach: Arc<Foreach<Block>>, length: usize, next: usize },
}

/// What comes next of statements under way.
pub(super) enum Next {
    End,
    /// A block and a place in it.
    Statement(Block, usize),
    /// The next turn of a loop, which has so many loops around it.
    Turn {
        foreach: Arc<Foreach<Block>>,
        depth: usize,
        at: usize,
    },
}

/// Why statements run, and so what comes after them.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A form item's own content.
    Block,
    /// An event handler; whether it asked for the prompts to be played again.
    Catch { reprompt: bool },
    /// One `<filled>`; then the others that are due, for these items.
    Filled(std::collections::VecDeque<usize>, Vec<usize>),
    /// A dialog's variables; then its items, or what was matched on the way here.
    InitDialog(Option<Value>),
    /// A page's variables; then this dialog.
    InitDocument(Option<usize>),
    /// An application root's variables; then the page's.
    InitRoot(Option<usize>),
}

impl Running {
    pub(super) fn new(block: &Block, purpose: Purpose) -> Self {
        Self { entered: vec![Entered::Block(Arc::clone(block), 0)], purpose }
    }

    pub(super) fn next(&mut self) -> Next {
        loop {
            let depth = self.loops().saturating_sub(1);
            match self.entered.last_mut() {
                None => return Next::End,
                Some(Entered::Block(block, at)) if *at < block.len() => {
                    *at += 1;
                    return Next::Statement(Arc::clone(block), *at - 1);
                }
                Some(Entered::Loop { foreach, length, next }) if *next < *length => {
                    *next += 1;
                    let (foreach, at) = (Arc::clone(foreach), *next - 1);
                    return Next::Turn { foreach, depth, at };
                }
                Some(_) => {
                    self.entered.pop();
                }
            }
        }
    }

    fn enter(&mut self, block: &Block) {
        self.entered.push(Entered::Block(Arc::clone(block), 0));
    }

    /// Loops under way.
    fn loops(&self) -> usize {
        self.entered.iter().filter(|entered| matches!(entered, Entered::Loop { .. })).count()
    }
}

impl Vxml {
    pub(super) fn execute(&mut self, statement: &Statement) -> Result<(), Fault> {
        self.usage.statement(&self.limits)?;
        self.perform(statement).map_err(|fault| fault.at(&statement.place))
    }

    fn perform(&mut self, statement: &Statement) -> Result<(), Fault> {
        match &statement.act {
            Act::Assign { name, expr } => self.scopes.assign(name, expr),
            Act::Clear { names } => self.clear(names.as_deref()),
            Act::Data { name, from, names, how, fetch } => {
                self.data(name.as_deref(), from, names, *how, fetch, &statement.place)
            }
            Act::DeclareItem(item) => self.declare_item(*item),
            Act::Disconnect { names } => self.disconnect(names),
            Act::Exit { expr, names } => self.exit_with(expr.as_ref(), names),
            Act::Foreach(foreach) => self.foreach(foreach),
            Act::Goto { to, fetch } => self.goto(to, fetch, &statement.place),
            Act::If(branches) => self.branch(branches),
            Act::Log { label, expr, parts } => self.log(label, expr.as_ref(), parts),
            Act::Prompt(prompt) => self.speak(prompt),
            Act::Reprompt => {
                self.reprompt();
                Ok(())
            }
            Act::Return { names, throw } => {
                self.return_to_caller(names, throw.as_ref(), &statement.place)
            }
            Act::Script { source, fetch } => self.script(source, fetch, &statement.place),
            Act::Submit { to, names, how, fetch } => {
                self.submit(to, names.as_deref(), *how, fetch, &statement.place)
            }
            Act::Throw(throw) => self.throw_given(throw, &statement.place),
            Act::Var { name, expr } => self.var(name, expr.as_ref()),
        }
    }

    fn var(&mut self, name: &str, expr: Option<&Expr>) -> Result<(), Fault> {
        let purpose = self.running.as_ref().map(|running| &running.purpose);
        if matches!(purpose, Some(Purpose::InitDialog(_))) && self.take_param(name)? {
            return Ok(());
        }
        let level = self.scopes.innermost();
        match expr {
            Some(expr) => self.scopes.declare_as(level, name, expr),
            None => self.scopes.declare(level, name),
        }
    }

    /// `<foreach>`: goes through a copy of the array (VoiceXML 2.1 §6).
    fn foreach(&mut self, foreach: &Arc<Foreach<Block>>) -> Result<(), Fault> {
        let depth = self.running.as_ref().map_or(0, Running::loops);
        let length = self.scopes.begin_loop(depth, &foreach.array)?;
        if let Some(running) = &mut self.running {
            let foreach = Arc::clone(foreach);
            running.entered.push(Entered::Loop { foreach, length, next: 0 });
        }
        Ok(())
    }

    /// One turn of a loop.
    pub(super) fn turn(
        &mut self,
        foreach: &Foreach<Block>,
        depth: usize,
        at: usize,
    ) -> Result<(), Fault> {
        self.usage.statement(&self.limits)?;
        let level = self.scopes.innermost();
        let turned = self.scopes.turn_loop(depth, at, level, &foreach.item);
        turned.map_err(|fault| fault.at(&foreach.place))?;
        if let Some(running) = &mut self.running {
            running.enter(&foreach.content);
        }
        Ok(())
    }

    fn branch(&mut self, branches: &[(Option<Expr>, Block)]) -> Result<(), Fault> {
        for (cond, block) in branches {
            if self.scopes.holds(cond.as_ref())? {
                if let Some(running) = &mut self.running {
                    running.enter(block);
                }
                return Ok(());
            }
        }
        Ok(())
    }

    /// `<clear>`: form items as if never visited, other variables undefined (§5.3.3).
    fn clear(&mut self, names: Option<&[String]>) -> Result<(), Fault> {
        let dialog = self.visit.as_ref().map(|visit| Arc::clone(&visit.dialog));
        let Some(names) = names else {
            let items = dialog.iter().flat_map(|dialog| &dialog.items);
            for (at, item) in items.enumerate() {
                self.reset(at);
                self.scopes.set(Level::Dialog, &item.name, Value::Undefined)?;
            }
            return Ok(());
        };
        for name in names {
            self.usage.statement(&self.limits)?;
            let own = name.strip_prefix("dialog.").unwrap_or(name);
            if let Some(at) = dialog.as_ref().and_then(|dialog| dialog.item(own)) {
                self.reset(at);
                self.scopes.set(Level::Dialog, own, Value::Undefined)?;
            } else if !self.scopes.clear(name)? {
                return Err(Fault::semantic(format!("<clear> of {name}, which is not declared")));
            }
        }
        Ok(())
    }

    fn reset(&mut self, item: usize) {
        if let Some(visit) = &mut self.visit {
            visit.reset(item);
        }
    }

    /// The variable of a form item; one without a value waits to be filled.
    fn declare_item(&mut self, at: usize) -> Result<(), Fault> {
        let Some(visit) = &self.visit else {
            return Ok(());
        };
        let dialog = Arc::clone(&visit.dialog);
        let Some(item) = dialog.items.get(at) else {
            return Ok(());
        };
        match &item.expr {
            Some(expr) => self.scopes.declare_as(Level::Dialog, &item.name, expr),
            None => self.scopes.declare(Level::Dialog, &item.name),
        }
    }

    // Leaving.

    fn disconnect(&mut self, names: &[String]) -> Result<(), Fault> {
        let values = self.named_values(names)?;
        self.exit.get_or_insert_default().extend(values);
        if self.hang_up == HangUp::Heard {
            self.begin_exit(BTreeMap::new());
        } else {
            self.running = None;
            self.drain(Drained::Disconnect);
        }
        Ok(())
    }

    /// The last prompts are played: hang up, and let the document run on without a callee.
    pub(super) fn disconnected(&mut self) {
        if self.hang_up == HangUp::No {
            self.steps.push_back(Step::HangUp);
        }
        self.phase = super::fia::Phase::Busy;
        self.hear_hang_up();
    }

    fn exit_with(&mut self, expr: Option<&Expr>, names: &[String]) -> Result<(), Fault> {
        let mut values = self.named_values(names)?;
        if let Some(expr) = expr {
            let value = self.scopes.evaluate_data(expr)?;
            values.insert(EXIT_VALUE.to_owned(), given_back(&value));
        }
        self.begin_exit(values);
        Ok(())
    }

    fn named_values(&mut self, names: &[String]) -> Result<BTreeMap<String, String>, Fault> {
        let mut values = BTreeMap::new();
        let mut bytes = 0;
        for name in names {
            let value = given_back(&self.scopes.read(name)?);
            bytes += value.len();
            self.check_submit(bytes)?;
            values.insert(name.clone(), value);
        }
        Ok(values)
    }

    /// Bytes of values that leave the script at once have a limit.
    pub(super) fn check_submit(&self, bytes: usize) -> Result<(), Fault> {
        let max = self.limits.submit_bytes_max;
        if bytes > max {
            let message = format_args!("values of more than {max} bytes at once");
            return Err(Fault::limit("submit_bytes_max", message));
        }
        Ok(())
    }

    fn goto(&mut self, to: &Target, fetch: &FetchRule, place: &Place) -> Result<(), Fault> {
        match to {
            Target::Page(given) => {
                let address = self.given(given)?;
                let base = self.pages.base();
                self.go(&address, base.as_ref(), fetch, place)
            }
            Target::Item(given) => {
                let name = self.given(given)?;
                let found = self.visit.as_ref().and_then(|visit| visit.dialog.item(&name));
                let (Some(item), Some(visit)) = (found, &mut self.visit) else {
                    let message = format!("there is no form item {name} in this form");
                    return Err(Fault::bad_fetch(message));
                };
                visit.next_item = Some(item);
                // A handler that says nothing of prompts keeps the next item's back (§5.3.6).
                let running = self.running.take();
                if let Some(Purpose::Catch { reprompt }) = running.map(|running| running.purpose) {
                    visit.quiet = !reprompt;
                }
                self.scopes.close(Level::Anonymous)?;
                self.task = Task::Select;
                Ok(())
            }
        }
    }

    /// Throws what an element throws.
    pub(super) fn throw_given(&mut self, throw: &Throw, place: &Place) -> Result<(), Fault> {
        let event = self.event(throw)?;
        self.throw(event, Some(place));
        Ok(())
    }

    /// The event that an element throws.
    pub(super) fn event(&mut self, throw: &Throw) -> Result<Event, Fault> {
        let name = self.given(&throw.event)?;
        let message = match &throw.message {
            Some(message) => Some(self.given(message)?),
            None => None,
        };
        if name.is_empty() || name.len() > EVENT_MAX_BYTES || name.contains(char::is_whitespace) {
            let name = shorten(&name);
            return Err(Fault::semantic(format!("\"{name}\" is no name of an event")));
        }
        Ok(Event { name, message })
    }

    pub(super) fn given(&mut self, given: &Given) -> Result<String, Fault> {
        match given {
            Given::Literal(text) => Ok(text.clone()),
            Given::Expr(expr) => Ok(self.scopes.evaluate(expr)?.to_text()),
        }
    }

    // Saying.

    fn reprompt(&mut self) {
        let purpose = self.running.as_mut().map(|running| &mut running.purpose);
        if let Some(Purpose::Catch { reprompt }) = purpose {
            *reprompt = true;
        }
    }

    fn speak(&mut self, prompt: &Arc<Prompt>) -> Result<(), Fault> {
        if self.scopes.holds(prompt.cond.as_ref())? {
            self.queue(prompt)?;
        }
        Ok(())
    }

    /// Puts a prompt, as it reads now, in the row of those to be played.
    pub(super) fn queue(&mut self, prompt: &Prompt) -> Result<(), Fault> {
        let base = self.pages.base();
        let visit = self.visit.as_ref();
        let around = Surroundings {
            base: base.as_ref(),
            language: self.pages.language(),
            properties: self.pages.properties(visit),
            choices: choices_at_hand(visit),
            loops: self.running.as_ref().map_or(0, Running::loops),
        };
        let bargein = bargein(prompt, &around)?;
        let prompts = render(prompt, &around, &mut self.scopes);
        let prompts = prompts.map_err(|fault| fault.at(&prompt.place))?;
        if self.hang_up == HangUp::Heard {
            return Ok(());
        }
        self.prompts.push(bargein, prompt.timeout, prompts, &self.limits)
    }

    fn log(&mut self, label: &str, expr: Option<&Expr>, parts: &[LogPart]) -> Result<(), Fault> {
        let mut text = String::new();
        for part in parts {
            match part {
                LogPart::Text(own) => text.push_str(own),
                LogPart::Value(expr) => {
                    text.push_str(&self.scopes.evaluate(expr)?.to_text());
                }
            }
        }
        if let Some(expr) = expr {
            text.push(' ');
            text.push_str(&self.scopes.evaluate(expr)?.to_text());
        }
        let text = squeeze(&text);
        match self.usage.log(text.len() + label.len(), &self.limits)? {
            Line::Told => self.steps.push_back(Step::Log { label: label.to_owned(), text }),
            Line::FirstLost => {
                let max = self.limits.call_log_bytes_max;
                let message = format!(
                    "limit call_log_bytes_max: more than {max} bytes logged in a call; nothing \
                     more is logged of it, and it goes on"
                );
                self.steps.push_back(Step::Problem { event: LIMIT.to_owned(), message });
            }
            Line::Lost => {}
        }
        Ok(())
    }

    fn script(
        &mut self,
        source: &ScriptSource,
        fetch: &FetchRule,
        place: &Place,
    ) -> Result<(), Fault> {
        let level = self.scopes.innermost();
        match source {
            ScriptSource::Inline(code) => self.scopes.script(level, code),
            ScriptSource::At(given) => {
                let address = self.given(given)?;
                let url = resolve(self.pages.base().as_ref(), &address)?;
                self.usage.resource(&self.limits)?;
                let rule = self.properties().fetch("script", fetch)?;
                let then = Loading::Script { level, place: place.clone() };
                self.request(url, Method::Get, &rule, then)
            }
        }
    }
}

/// What may interrupt a prompt: what it says itself, else what the properties say.
fn bargein(prompt: &Prompt, around: &Surroundings<'_>) -> Result<Bargein, Fault> {
    let allowed = prompt.bargein.map_or_else(|| around.properties.bargein(), Ok)?;
    let kind = prompt.bargein_type.map_or_else(|| around.properties.bargein_type(), Ok)?;
    Ok(match (allowed, kind) {
        (false, _) => Bargein::Never,
        (true, BargeinType::Hotword) => Bargein::Hotword,
        (true, BargeinType::Speech) => Bargein::Speech,
    })
}

/// Words and keys of the menu or the options at hand.
fn choices_at_hand(visit: Option<&Visit>) -> Option<Vec<(String, String)>> {
    let choices: Vec<_> = match &visit?.item_at_hand()?.kind {
        ItemKind::Menu(menu) => menu.choices.iter().map(|choice| &choice.choosable).collect(),
        ItemKind::Field(field) if !field.options.is_empty() => field.options.iter().collect(),
        _ => return None,
    };
    let pairs = choices.into_iter().map(|choice| (choice.text.clone(), choice.keys.clone()));
    Some(pairs.collect())
}

/// Longest name of an event; counting goes by every prefix of it.
const EVENT_MAX_BYTES: usize = 200;

/// The name of an exit's `expr` among the values given back.
const EXIT_VALUE: &str = "exit";

/// A value as it is given back: texts as they are, objects as JSON.
fn given_back(value: &Value) -> String {
    if value.is_object() { value.to_json().to_string() } else { value.to_text() }
}
