//! Variables and their scopes (VoiceXML 2.0 §5.1), and the evaluation of expressions in them.
//!
//! Until an expression needs ECMAScript, variables live here; then they move into the engine,
//! which keeps them from there on. Whoever asks does not see the difference.

use std::collections::{BTreeMap, HashMap};

use domain::time::Timestamp;

use super::document::Expr;
use super::expr::{Engine, OWN_LEVELS};
use super::fault::Fault;
use super::limits::Limits;
use super::simple;
use super::value::Value;

pub(crate) use super::expr::Level;

/// The variables of one call.
pub(crate) struct Scopes {
    store: Store,
    /// Whether each level is there, by its number.
    open: [bool; LEVELS],
    /// The document is its own root: its scope and the application's are one.
    own_root: bool,
    limits: Limits,
    seed: u64,
    now: Timestamp,
    /// The time the engine was last told.
    told: Option<Timestamp>,
    /// Expressions evaluated since the last input.
    evaluations: u32,
    /// Which scopes the contexts had that wait for a subdialog.
    frames: Vec<([bool; LEVELS], bool)>,
    /// `application.lastresult$`, for when the engine starts.
    results: Vec<Value>,
    /// What every application scope begins with.
    imported: Vec<(String, Value)>,
}

const LEVELS: usize = 5;

/// Names of the scopes as variables; an anonymous scope has none.
const NAMES: [(&str, Level); 4] = [
    ("application", Level::Application),
    ("dialog", Level::Dialog),
    ("document", Level::Document),
    ("session", Level::Session),
];

/// From the closest scope to the widest, the order in which names are looked up.
const INWARD_OUT: [Level; LEVELS] =
    [Level::Anonymous, Level::Dialog, Level::Document, Level::Application, Level::Session];

enum Store {
    Here(Box<Here>),
    Engine(Box<Engine>),
}

/// Variables by level.
#[derive(Default)]
struct Here {
    variables: [HashMap<String, Value>; LEVELS],
    bytes: usize,
    /// Variables of the contexts that wait for a subdialog, outermost first.
    frames: Vec<Frame>,
    /// Values on their way from one context to another.
    held: Vec<(String, Value)>,
}

/// A context that waits for a subdialog.
struct Frame {
    variables: [HashMap<String, Value>; 4],
    open: [bool; LEVELS],
    own_root: bool,
}

impl Scopes {
    pub(crate) fn new(limits: &Limits, seed: u64) -> Self {
        let mut open = [false; LEVELS];
        open[Level::Session as usize] = true;
        Self {
            store: Store::Here(Box::default()),
            open,
            own_root: false,
            limits: limits.clone(),
            seed,
            now: Timestamp::default(),
            told: None,
            evaluations: 0,
            frames: Vec::new(),
            results: Vec::new(),
            imported: Vec::new(),
        }
    }

    /// The callee did something: evaluations are counted anew.
    pub(crate) fn input(&mut self) {
        self.evaluations = 0;
    }

    /// What expressions take for the time.
    pub(crate) fn set_time(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// Whether ECMAScript was needed so far.
    #[cfg(test)]
    pub(crate) fn has_engine(&self) -> bool {
        matches!(self.store, Store::Engine(_))
    }

    // Scopes.

    /// A new, empty scope in place of the one at this level.
    pub(crate) fn open(&mut self, level: Level) -> Result<(), Fault> {
        self.open[level as usize] = true;
        if level == Level::Document {
            self.own_root = false;
        }
        match &mut self.store {
            Store::Here(here) => here.clear(level),
            Store::Engine(engine) => engine.open(level)?,
        }
        if level == Level::Application {
            for (name, value) in self.imported.clone() {
                self.set(level, &name, value)?;
            }
        }
        Ok(())
    }

    /// Values of the client's request become variables of every application scope from now on,
    /// under names that scripts can write.
    pub(crate) fn import(&mut self, values: &BTreeMap<String, String>) {
        let mut names = BTreeMap::new();
        // Names that are variables already come first: none is lost to one that becomes alike.
        for exact in [true, false] {
            for (name, value) in values.iter().filter(|(name, _)| is_variable(name) == exact) {
                names.entry(variable_name(name)).or_insert(value);
            }
        }
        let value = |(name, value): (String, &String)| (name, Value::text(value.as_str()));
        self.imported = names.into_iter().map(value).collect();
    }

    /// The document's scope is the application's from now on.
    pub(crate) fn share_document(&mut self) -> Result<(), Fault> {
        self.open[Level::Document as usize] = true;
        self.own_root = true;
        match &mut self.store {
            Store::Here(here) => {
                here.clear(Level::Document);
                Ok(())
            }
            Store::Engine(engine) => engine.share(),
        }
    }

    pub(crate) fn close(&mut self, level: Level) -> Result<(), Fault> {
        if !std::mem::replace(&mut self.open[level as usize], false) {
            return Ok(());
        }
        match &mut self.store {
            Store::Here(here) => {
                here.clear(level);
                Ok(())
            }
            Store::Engine(engine) => engine.close(level),
        }
    }

    /// Closes all scopes that go with a page.
    pub(crate) fn close_page(&mut self) -> Result<(), Fault> {
        for level in [Level::Anonymous, Level::Dialog, Level::Document] {
            self.close(level)?;
        }
        Ok(())
    }

    pub(crate) fn is_open(&self, level: Level) -> bool {
        self.open[level as usize]
    }

    /// The closest scope there is: where a statement declares its variables.
    pub(crate) fn innermost(&self) -> Level {
        let found = INWARD_OUT.into_iter().find(|level| self.is_open(*level));
        found.unwrap_or(Level::Session)
    }

    /// The level that really holds the variables of this one.
    fn actual(&self, level: Level) -> Level {
        match level {
            Level::Document if self.own_root => Level::Application,
            level => level,
        }
    }

    // Variables.

    /// Declares a variable without a value; one that is there keeps its own.
    pub(crate) fn declare(&mut self, level: Level, name: &str) -> Result<(), Fault> {
        check_name(name)?;
        if self.owns(level, name)? {
            return Ok(());
        }
        self.set(level, name, Value::Undefined)
    }

    /// Declares a variable with the value of an expression.
    pub(crate) fn declare_as(
        &mut self,
        level: Level,
        name: &str,
        expr: &Expr,
    ) -> Result<(), Fault> {
        check_name(name)?;
        self.count()?;
        if let Some(value) = self.simple(&expr.text) {
            return self.set(level, name, value);
        }
        let level = self.actual(level);
        let kept = self.engine()?.keep(level, name, &expr.text);
        kept.map_err(|fault| fault.at(&expr.place))
    }

    /// Declares a variable, or sets the one that is there.
    pub(crate) fn set(&mut self, level: Level, name: &str, value: Value) -> Result<(), Fault> {
        let level = self.actual(level);
        match &mut self.store {
            Store::Here(here) => here.set(level, name, value, self.limits.variable_bytes_max),
            Store::Engine(engine) => engine.set(level, name, &value),
        }
    }

    /// The value of a variable; undefined where it is not declared.
    pub(crate) fn get(&self, level: Level, name: &str) -> Result<Value, Fault> {
        let level = self.actual(level);
        match &self.store {
            Store::Here(here) => Ok(here.get(level, name).cloned().unwrap_or_default()),
            Store::Engine(engine) => engine.get(level, name),
        }
    }

    fn owns(&self, level: Level, name: &str) -> Result<bool, Fault> {
        let level = self.actual(level);
        match &self.store {
            Store::Here(here) => Ok(here.get(level, name).is_some()),
            Store::Engine(engine) => engine.owns(level, name),
        }
    }

    /// The closest scope that has a variable of this name.
    pub(crate) fn find(&self, name: &str) -> Result<Option<Level>, Fault> {
        for level in INWARD_OUT {
            if self.is_open(level) && self.owns(level, name)? {
                return Ok(Some(level));
            }
        }
        Ok(None)
    }

    /// `<assign>`: sets a declared variable, or a property below one.
    pub(crate) fn assign(&mut self, name: &str, expr: &Expr) -> Result<(), Fault> {
        self.count()?;
        let wrong = |fault: Fault| fault.at(&expr.place);
        let (head, elements) = name.split_at(name.find('[').unwrap_or(name.len()));
        let path: Vec<&str> = head.split('.').collect();
        if path.iter().any(|part| !simple::is_identifier(part)) || !simple::are_elements(elements) {
            return Err(wrong(Fault::semantic(format!("{name} is no name of a variable"))));
        }
        let scope = NAMES.into_iter().find(|(scope, _)| *scope == path[0]).map(|(_, level)| level);
        let found = self.find(path[0])?;
        let level = match (found, scope, path.len()) {
            (Some(level), _, _) => level,
            (None, Some(level), 2..) if self.is_open(level) => level,
            _ => {
                let message = format!(
                    "{} is not declared; declare it with <var name=\"{0}\"/> first",
                    path[0]
                );
                return Err(wrong(Fault::semantic(message)));
            }
        };
        if level == Level::Session {
            let message = format!("{name} is a session variable, which can only be read");
            return Err(wrong(Fault::semantic(message)));
        }
        let own = match (found, path.as_slice()) {
            (Some(_), [name]) | (None, [_, name]) => Some(*name),
            _ => None,
        };
        let own = own.filter(|_| elements.is_empty());
        if let (Some(own), Some(value)) = (own, self.simple(&expr.text)) {
            return self.set(level, own, value);
        }
        self.engine()?.assign(name, &expr.text).map_err(wrong)
    }

    /// Sets a variable to undefined, where it is declared; false where it is not.
    pub(crate) fn clear(&mut self, name: &str) -> Result<bool, Fault> {
        match self.find(name)? {
            None | Some(Level::Session) => Ok(false),
            Some(level) => self.set(level, name, Value::Undefined).map(|()| true),
        }
    }

    /// The declared variable of this name, for what is submitted or given back: its value, taken
    /// apart if it is an object.
    pub(crate) fn read(&mut self, name: &str) -> Result<Value, Fault> {
        self.count()?;
        self.check_declared(name)?;
        if let Some(value) = self.simple(name) {
            return Ok(value);
        }
        self.engine()?.evaluate_data(name)
    }

    /// Whether a name or path may be read.
    fn check_declared(&self, name: &str) -> Result<(), Fault> {
        let root = name.split('.').next().unwrap_or_default();
        let scope = NAMES.iter().any(|(scope, _)| *scope == root);
        if !scope && self.find(root)?.is_none() {
            return Err(Fault::semantic(format!("{name} is not declared")));
        }
        if name.split('.').any(|part| !simple::is_identifier(part)) {
            return Err(Fault::semantic(format!("{name} is no name of a variable")));
        }
        Ok(())
    }

    /// Puts a group of values among the session variables, before any script runs.
    pub(crate) fn set_session(&mut self, name: &str, group: Value) -> Result<(), Fault> {
        self.set(Level::Session, name, group)
    }

    /// Changes one value of a group of session variables, which scripts cannot.
    pub(crate) fn update_session(&mut self, group: &str, key: &str, value: Value) {
        match &mut self.store {
            Store::Here(here) => {
                let found = here.get_mut(Level::Session, group);
                if let Some(Value::Record(properties)) = found {
                    properties.retain(|(name, _)| name != key);
                    properties.push((key.to_owned(), value));
                }
            }
            Store::Engine(engine) => {
                let told = engine.update_session(group, key, &value);
                if let Err(fault) = told {
                    tracing::debug!(reason = fault.message, "session variable not updated");
                }
            }
        }
    }

    /// `application.lastresult$` (VoiceXML 2.0 §5.1.5), best result first.
    pub(crate) fn set_last_results(&mut self, results: Vec<Value>) -> Result<(), Fault> {
        match &mut self.store {
            Store::Here(_) => {
                let first = results.first().cloned().unwrap_or_default();
                self.results = results;
                self.set(Level::Application, LAST_RESULT, first)
            }
            Store::Engine(engine) => engine.set_results(&results),
        }
    }

    // Expressions.

    /// The value of an expression; an object comes as what it prints.
    pub(crate) fn evaluate(&mut self, expr: &Expr) -> Result<Value, Fault> {
        self.count()?;
        if let Some(value) = self.simple(&expr.text) {
            return Ok(value);
        }
        let value = self.engine()?.evaluate(&expr.text);
        value.map_err(|fault| fault.at(&expr.place))
    }

    /// The value of an expression, taken apart if it is an object.
    pub(crate) fn evaluate_data(&mut self, expr: &Expr) -> Result<Value, Fault> {
        self.count()?;
        if let Some(value) = self.simple(&expr.text) {
            return Ok(value);
        }
        let value = self.engine()?.evaluate_data(&expr.text);
        value.map_err(|fault| fault.at(&expr.place))
    }

    /// Whether a condition holds; without one it does.
    pub(crate) fn holds(&mut self, cond: Option<&Expr>) -> Result<bool, Fault> {
        cond.map_or(Ok(true), |cond| self.evaluate(cond).map(|value| value.truth()))
    }

    /// Runs a script in a scope.
    pub(crate) fn script(&mut self, level: Level, code: &Expr) -> Result<(), Fault> {
        self.count()?;
        let level = self.actual(level);
        let ran = self.engine()?.script(level, &code.text);
        ran.map_err(|fault| fault.at(&code.place))
    }

    /// What the tags of a grammar compute.
    pub(crate) fn interpret(&mut self, program: &str) -> Result<Value, Fault> {
        self.engine()?.evaluate_apart(program)
    }

    /// Counts an evaluation, whoever does it.
    fn count(&mut self) -> Result<(), Fault> {
        self.evaluations = self.evaluations.saturating_add(1);
        let max = self.limits.evaluations_max;
        if self.evaluations > max {
            let message = format_args!("more than {max} expressions evaluated without input");
            return Err(Fault::limit("evaluations_max", message));
        }
        Ok(())
    }

    fn simple(&self, text: &str) -> Option<Value> {
        simple::evaluate(text, |path| match &self.store {
            Store::Here(here) => self.look_up(here, path),
            Store::Engine(_) => None,
        })
    }

    /// A path among the variables here; nothing where it is not declared.
    fn look_up(&self, here: &Here, path: &str) -> Option<Value> {
        let (first, rest) = match path.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        let open = |level: &Level| self.is_open(*level);
        let found = INWARD_OUT.into_iter().filter(open).find_map(|level| here.get(level, first));
        match (found, rest) {
            (Some(value), None) => Some(value.clone()),
            (Some(value), Some(rest)) => value.path(rest).cloned(),
            (None, rest) => {
                let (_, level) = NAMES.into_iter().find(|(name, _)| *name == first)?;
                let (name, rest) =
                    rest?.split_once('.').map_or((rest?, None), |(name, rest)| (name, Some(rest)));
                let value = here.get(self.actual(level), name).filter(|_| open(&level))?;
                rest.map_or(Some(value), |rest| value.path(rest)).cloned()
            }
        }
    }

    /// The engine, with all variables moved into it at its first use.
    fn engine(&mut self) -> Result<&mut Engine, Fault> {
        if let Store::Here(here) = &mut self.store {
            let here = std::mem::take(here);
            let engine = self.start_engine(*here)?;
            self.store = Store::Engine(Box::new(engine));
        }
        let late = self.told.replace(self.now) != Some(self.now);
        match &mut self.store {
            Store::Engine(engine) => {
                if late {
                    engine.set_time(self.now)?;
                }
                Ok(engine)
            }
            Store::Here(_) => Err(Fault::semantic("the ECMAScript engine did not start")),
        }
    }

    fn start_engine(&self, mut here: Here) -> Result<Engine, Fault> {
        let session = std::mem::take(&mut here.variables[Level::Session as usize]);
        let session = Value::Record(session.into_iter().collect());
        let engine = Engine::new(&self.limits, self.seed, &session)?;
        for frame in std::mem::take(&mut here.frames) {
            frame.rebuild(&engine)?;
        }
        let levels = [Level::Application, Level::Document, Level::Dialog, Level::Anonymous];
        for level in levels.into_iter().filter(|level| self.is_open(*level)) {
            if self.actual(level) != level {
                engine.share()?;
                continue;
            }
            engine.open(level)?;
            for (name, value) in &here.variables[level as usize] {
                if name == LAST_RESULT && level == Level::Application {
                    engine.set_results(&self.results)?;
                } else {
                    engine.set(level, name, value)?;
                }
            }
        }
        for (name, value) in &here.held {
            engine.hold_value(name, value)?;
        }
        Ok(engine)
    }
}

const LAST_RESULT: &str = "lastresult$";

/// Whether scripts can write this name as that of a variable of the application.
fn is_variable(name: &str) -> bool {
    let taken = NAMES.iter().any(|(scope, _)| *scope == name) || name == LAST_RESULT;
    simple::is_identifier(name) && !simple::is_reserved(name) && !taken
}

/// The name under which a value is imported: signs that no name has become `_`, and one stands
/// before what begins with a digit or means something else.
fn variable_name(name: &str) -> String {
    let sign = |c: char| if c.is_alphanumeric() || c == '_' || c == '$' { c } else { '_' };
    let plain: String = name.chars().map(sign).collect();
    if is_variable(&plain) { plain } else { format!("_{plain}") }
}

/// What a document may name a variable (VoiceXML 2.0 §5.1).
fn check_name(name: &str) -> Result<(), Fault> {
    if name.contains('.') {
        let message = format!("{name} is a property, which is assigned and not declared");
        return Err(Fault::semantic(message));
    }
    if !simple::is_identifier(name) || simple::is_reserved(name) {
        let message =
            format!("{name} is no name of a variable; names have letters, digits, _ and $");
        return Err(Fault::semantic(message));
    }
    Ok(())
}

impl Frame {
    /// Makes its scopes in the engine and sets them aside there.
    fn rebuild(self, engine: &Engine) -> Result<(), Fault> {
        for (at, level) in OWN_LEVELS.into_iter().enumerate() {
            if !self.open[level as usize] {
                continue;
            }
            if level == Level::Document && self.own_root {
                engine.share()?;
                continue;
            }
            engine.open(level)?;
            for (name, value) in &self.variables[at] {
                engine.set(level, name, value)?;
            }
        }
        engine.push_frame()
    }
}

impl Here {
    fn get(&self, level: Level, name: &str) -> Option<&Value> {
        self.variables[level as usize].get(name)
    }

    fn get_mut(&mut self, level: Level, name: &str) -> Option<&mut Value> {
        self.variables[level as usize].get_mut(name)
    }

    fn set(
        &mut self,
        level: Level,
        name: &str,
        value: Value,
        bytes_max: usize,
    ) -> Result<(), Fault> {
        let before = self.get(level, name).map_or(0, Value::bytes);
        let bytes = (self.bytes - before.min(self.bytes)) + value.bytes();
        if bytes > bytes_max {
            let message = format_args!("variables of more than {bytes_max} bytes");
            return Err(Fault::limit("variable_bytes_max", message));
        }
        self.bytes = bytes;
        self.variables[level as usize].insert(name.to_owned(), value);
        Ok(())
    }

    fn clear(&mut self, level: Level) {
        let gone = self.variables[level as usize].drain().map(|(_, value)| value.bytes());
        self.bytes = self.bytes.saturating_sub(gone.sum());
    }
}

mod context;

#[cfg(test)]
mod tests;
