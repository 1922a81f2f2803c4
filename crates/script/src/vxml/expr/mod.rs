//! The ECMAScript engine of one call: QuickJS, with limits, made when first needed.
//!
//! Scripts get no objects of ours but data, no clock and no randomness. What they may use is
//! bounded: memory and stack by the engine, work by counting its interrupt ticks. A single
//! builtin on a text of megabytes is not interrupted; it ends by itself.
//!
//! The engine has no scopes as VoiceXML has them, so each scope is an object, and an expression
//! becomes a function that looks its names up in one after the other (`with`).

mod convert;
mod dom;
mod keep;
mod meter;
mod syntax;

use std::cell::RefCell;
use std::sync::Arc;

use domain::time::Timestamp;
use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::function::Args;
use rquickjs::object::{Filter, Property};
use rquickjs::{Context, Ctx, Function, Object, Runtime};

use self::convert::{data_from_js, from_js, to_js};
use self::meter::Meter;
use super::fault::Fault;
use super::limits::Limits;
use super::schema::shorten;
use super::value::Value;

pub(crate) use self::keep::OWN_LEVELS;

/// Builtins that scripts get: those of ECMAScript 5 and what came with them since. Promises are
/// there only because async functions need them; nothing ever settles.
type Builtins = (
    intrinsic::Eval,
    intrinsic::Date,
    intrinsic::RegExpCompiler,
    intrinsic::RegExp,
    intrinsic::Json,
    intrinsic::Promise,
);

/// What it takes to read a script.
type Parser = (intrinsic::Eval, intrinsic::RegExpCompiler, intrinsic::RegExp);

/// A scope, widest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Session = 0,
    Application = 1,
    Document = 2,
    Dialog = 3,
    Anonymous = 4,
}

/// The names of scopes as variables; an anonymous one has none.
const LEVEL_NAMES: [&str; 4] = ["session", "application", "document", "dialog"];

/// The engine of one call.
pub(crate) struct Engine {
    context: Context,
    /// Where declarations of scripts are found out; made when the first script comes.
    parser: Option<Context>,
    runtime: Runtime,
    meter: Arc<Meter>,
    seed: u64,
    /// Whether the builtins of `builtins.js` are in place.
    installed: bool,
}

/// What the host keeps in the engine, out of the reach of scripts: the scopes in the order of
/// [`Level`], the object that names them, the clock, builtins set aside, what `keep.rs` keeps, and
/// what makes documents.
type Kept<'js> = RefCell<Vec<rquickjs::Value<'js>>>;

const NAMES: usize = 5;
const CLOCK: usize = 6;
const ASIDE: usize = 7;

impl Engine {
    pub(crate) fn new(limits: &Limits, seed: u64, session: &Value) -> Result<Self, Fault> {
        let failed =
            |error| Fault::semantic(format!("the ECMAScript engine cannot start: {error}"));
        let runtime = Runtime::new().map_err(failed)?;
        runtime.set_memory_limit(limits.script_memory_max_bytes);
        runtime.set_max_stack_size(limits.script_stack_max_bytes);
        let meter = Arc::new(Meter::new(limits));
        let watched = Arc::clone(&meter);
        runtime.set_interrupt_handler(Some(Box::new(move || watched.tick())));
        let context = Context::custom::<Builtins>(&runtime).map_err(failed)?;
        let engine = Self { context, parser: None, runtime, meter, seed, installed: false };
        engine.enter(|ctx| furnish(ctx, session))?;
        Ok(engine)
    }

    // Scopes and variables.

    /// A new, empty scope.
    pub(crate) fn open(&self, level: Level) -> Result<(), Fault> {
        self.enter(|ctx| {
            let scope = Object::new_proto(ctx.clone(), None)?;
            place(ctx, level, Some(scope))
        })
    }

    /// Makes the document's scope the application's.
    pub(crate) fn share(&self) -> Result<(), Fault> {
        self.enter(|ctx| place(ctx, Level::Document, scope(ctx, Level::Application)?))
    }

    pub(crate) fn close(&self, level: Level) -> Result<(), Fault> {
        self.enter(|ctx| place(ctx, level, None))
    }

    pub(crate) fn owns(&self, level: Level, name: &str) -> Result<bool, Fault> {
        self.enter(|ctx| match scope(ctx, level)? {
            Some(scope) => scope.contains_key(name),
            None => Ok(false),
        })
    }

    pub(crate) fn get(&self, level: Level, name: &str) -> Result<Value, Fault> {
        self.enter(|ctx| match scope(ctx, level)? {
            Some(scope) => from_js(ctx, scope.get(name)?),
            None => Ok(Value::Undefined),
        })
    }

    pub(crate) fn set(&self, level: Level, name: &str, value: &Value) -> Result<(), Fault> {
        self.enter(|ctx| match scope(ctx, level)? {
            Some(scope) => scope.set(name, to_js(ctx, value)?),
            None => Ok(()),
        })
    }

    /// Changes a session variable, which scripts cannot.
    pub(crate) fn update_session(
        &self,
        group: &str,
        key: &str,
        value: &Value,
    ) -> Result<(), Fault> {
        self.enter(|ctx| {
            let session = scope(ctx, Level::Session)?;
            let group = session.map(|session| session.get::<_, Object<'_>>(group)).transpose()?;
            group.map_or(Ok(()), |group| group.prop(key, fixed(to_js(ctx, value)?)))
        })
    }

    /// `application.lastresult$`: a list of results that has the properties of the first itself.
    pub(crate) fn set_results(&self, results: &[Value]) -> Result<(), Fault> {
        self.enter(|ctx| {
            let list = to_js(ctx, &Value::List(results.to_vec()))?;
            if let (Some(Value::Record(properties)), Some(list)) =
                (results.first(), list.as_object())
            {
                for (name, value) in properties {
                    list.set(name.as_str(), to_js(ctx, value)?)?;
                }
            }
            match scope(ctx, Level::Application)? {
                Some(scope) => scope.set("lastresult$", list),
                None => Ok(()),
            }
        })
    }

    pub(crate) fn set_time(&self, now: Timestamp) -> Result<(), Fault> {
        self.enter(|ctx| {
            let clock = kept(ctx, CLOCK)?;
            clock.as_object().map_or(Ok(()), |clock| clock.set("now", now.as_millis() as f64))
        })
    }

    // Expressions and scripts.

    /// Evaluates an expression in the scopes at hand.
    pub(crate) fn evaluate(&mut self, text: &str) -> Result<Value, Fault> {
        self.expression(text, from_js)
    }

    /// Evaluates an expression and takes its value apart: for data that leaves the engine.
    pub(crate) fn evaluate_data(&mut self, text: &str) -> Result<Value, Fault> {
        self.expression(text, data_from_js)
    }

    /// Evaluates an expression and stores its value, whatever it is, in a variable.
    pub(crate) fn keep(&mut self, level: Level, name: &str, text: &str) -> Result<(), Fault> {
        self.expression(text, |ctx, value| match scope(ctx, level)? {
            Some(scope) => scope.set(name, value),
            None => Ok(()),
        })
    }

    /// Evaluates `name = (text)`, where `name` may be a path of properties and elements.
    pub(crate) fn assign(&mut self, name: &str, text: &str) -> Result<(), Fault> {
        self.prepare(text)?;
        let assigned = self.enter(|ctx| {
            complete(ctx, name)?;
            complete(ctx, text)?;
            run(ctx, &format!("{name}=({text}\n)")).map(|_| ())
        });
        assigned.map_err(|fault| quote(fault, text))
    }

    /// Evaluates a text that is ours, outside of all scopes.
    pub(crate) fn evaluate_apart(&mut self, text: &str) -> Result<Value, Fault> {
        self.prepare(text)?;
        self.enter(|ctx| data_from_js(ctx, evaluate(ctx, text)?))
    }

    /// Runs a script; what it declares at its top becomes variables of that scope.
    pub(crate) fn script(&mut self, level: Level, text: &str) -> Result<(), Fault> {
        self.prepare(text)?;
        let declared = self.declared(text)?;
        self.enter(|ctx| {
            let Some(own) = scope(ctx, level)? else {
                return Ok(());
            };
            let scopes = chain(ctx)?;
            let mut source = opening(scopes.len(), ",__own");
            source.push('{');
            for (name, is_function) in &declared {
                if *is_function {
                    source.push_str(&format!("__own[\"{name}\"]={name};"));
                } else if !own.contains_key(name.as_str())? {
                    own.set(name.as_str(), rquickjs::Undefined)?;
                }
            }
            source.push_str(text);
            source.push_str("\n}})");
            let code: Function<'_> = evaluate(ctx, &source)?;
            let mut arguments = Args::new(ctx.clone(), scopes.len() + 1);
            for scope in scopes.into_iter().chain([own.clone()]) {
                arguments.push_arg(scope)?;
            }
            let outcome = code.call_arg::<()>(arguments);
            sweep(ctx, &own)?;
            outcome
        })
    }

    /// What a script declares at its top: names, and whether each is a function.
    ///
    /// Declarations take effect before the first statement, and the first statement is a throw:
    /// so nothing runs. It happens in a world of its own, which has nothing in it.
    fn declared(&mut self, text: &str) -> Result<Vec<(String, bool)>, Fault> {
        let context = match &self.parser {
            Some(context) => context.clone(),
            None => {
                let made = Context::custom::<Parser>(&self.runtime);
                let made = made.map_err(|error| Fault::semantic(error.to_string()))?;
                self.enter_in(&made, empty)?;
                self.parser.insert(made).clone()
            }
        };
        self.enter_in(&context, |ctx| {
            // What `eval` declares can be taken back; what a script of its own declares cannot.
            let eval = ctx.userdata::<Function<'_>>().ok_or(rquickjs::Error::Unknown)?;
            only_the_throw(ctx, eval.call((format!("throw 0;{text}"),)))?;
            let globals = ctx.globals();
            let mut declared = Vec::new();
            for name in globals.keys::<String>() {
                let name = name?;
                let value: rquickjs::Value<'_> = globals.get(name.as_str())?;
                globals.remove(name.as_str())?;
                declared.push((name, value.is_function()));
            }
            Ok(declared)
        })
    }

    /// What comes before any text of a document is evaluated.
    fn prepare(&mut self, text: &str) -> Result<(), Fault> {
        refuse_bigints(text)?;
        if self.installed || !SPOKEN_OF.iter().any(|name| text.contains(name)) {
            return Ok(());
        }
        self.installed = true;
        let seed = (self.seed ^ (self.seed >> 32)) as u32;
        self.enter(|ctx| {
            let install: Function<'_> = evaluate(ctx, include_str!("builtins.js"))?;
            install.call((kept(ctx, ASIDE)?, seed, kept(ctx, CLOCK)?))
        })
    }

    fn expression<T>(
        &mut self,
        text: &str,
        then: impl for<'js> FnOnce(&Ctx<'js>, rquickjs::Value<'js>) -> rquickjs::Result<T>,
    ) -> Result<T, Fault> {
        self.prepare(text)?;
        let outcome = self.enter(|ctx| {
            complete(ctx, text)?;
            let value = run(ctx, text)?;
            then(ctx, value)
        });
        outcome.map_err(|fault| quote(fault, text))
    }

    fn enter<T>(
        &self,
        work: impl for<'js> FnOnce(&Ctx<'js>) -> rquickjs::Result<T>,
    ) -> Result<T, Fault> {
        self.enter_in(&self.context, work)
    }

    fn enter_in<T>(
        &self,
        context: &Context,
        work: impl for<'js> FnOnce(&Ctx<'js>) -> rquickjs::Result<T>,
    ) -> Result<T, Fault> {
        self.meter.start();
        let outcome = context.with(|ctx| work(&ctx).map_err(|error| explain(&ctx, &error)));
        self.meter.stop()?;
        outcome.map_err(|message| match self.meter.has_stopped() {
            true => Fault::semantic("the script ran too long and was stopped"),
            false => Fault::semantic(message),
        })
    }
}

/// Names whose builtins come from `builtins.js`; until a text has one of them, they are gone.
const SPOKEN_OF: [&str; 5] = ["Date", "Function", "constructor", "eval", "random"];

/// Builtins that no script gets.
const REFUSED: [&str; 9] = [
    "AggregateError",
    "AsyncDisposableStack",
    "BigInt",
    "DisposableStack",
    "Iterator",
    "Promise",
    "Reflect",
    "SuppressedError",
    "queueMicrotask",
];

/// Makes the world that scripts find: without what they must not have, with the session's data.
fn furnish<'js>(ctx: &Ctx<'js>, session: &Value) -> rquickjs::Result<()> {
    let globals = ctx.globals();
    let aside = Object::new(ctx.clone())?;
    for name in ["Date", "Function", "eval"] {
        aside.set(name, globals.get::<_, rquickjs::Value<'js>>(name)?)?;
        globals.remove(name)?;
    }
    for name in REFUSED {
        globals.remove(name)?;
    }
    globals.get::<_, Object<'js>>("Math")?.remove("random")?;
    // Every kind of function knows what makes its kind from text.
    let kinds = "[function(){},function*(){},async function(){},async function*(){}]";
    let kinds: Vec<Object<'js>> = evaluate(ctx, kinds)?;
    for kind in kinds {
        if let Some(kind) = kind.get_prototype() {
            kind.prop("constructor", Property::from(rquickjs::Undefined).configurable())?;
        }
    }
    let clock = Object::new(ctx.clone())?;
    let names = Object::new_proto(ctx.clone(), None)?;
    let mut all = vec![rquickjs::Value::new_undefined(ctx.clone()); NAMES];
    all.extend([names.into_value(), clock.into_value(), aside.into_value()]);
    all.extend(keep::empty(ctx)?);
    all.push(rquickjs::Value::new_undefined(ctx.clone()));
    // Only a borrow under way could refuse, and there is none.
    let _ = ctx.store_userdata::<Kept<'js>>(RefCell::new(all));
    let session = protected(ctx, session)?.into_object();
    if let Some(session) = &session {
        name_originator(session)?;
    }
    place(ctx, Level::Session, session)
}

/// Makes a world with nothing in it but a way to read scripts, which only the host has.
fn empty(ctx: &Ctx<'_>) -> rquickjs::Result<()> {
    let globals = ctx.globals();
    let eval: Function<'_> = globals.get("eval")?;
    let _ = ctx.store_userdata(eval);
    let names: Result<Vec<String>, _> = globals.own_keys(Filter::new().string()).collect();
    for name in names? {
        // A few cannot be removed, and can be declared by nobody either.
        let _ = globals.remove(name.as_str());
    }
    Ok(())
}

/// Session data as objects that scripts cannot change.
fn protected<'js>(ctx: &Ctx<'js>, value: &Value) -> rquickjs::Result<rquickjs::Value<'js>> {
    let Value::Record(properties) = value else {
        return to_js(ctx, value);
    };
    let object = Object::new(ctx.clone())?;
    for (name, value) in properties {
        object.prop(name.as_str(), fixed(protected(ctx, value)?))?;
    }
    Ok(object.into_value())
}

/// The one who made the call is one of the two ends, not a copy (VoiceXML 2.0 §5.1.4).
fn name_originator(session: &Object<'_>) -> rquickjs::Result<()> {
    let Ok(connection) = session.get::<_, Object<'_>>("connection") else {
        return Ok(());
    };
    let local: rquickjs::Value<'_> = connection.get("local")?;
    connection.prop("originator", fixed(local))
}

/// A property that assignment does not change.
fn fixed(value: rquickjs::Value<'_>) -> Property<rquickjs::Value<'_>> {
    Property::from(value).enumerable().configurable()
}

fn kept<'js>(ctx: &Ctx<'js>, at: usize) -> rquickjs::Result<rquickjs::Value<'js>> {
    let kept = ctx.userdata::<Kept<'js>>().ok_or(rquickjs::Error::Unknown)?;
    let value = kept.borrow().get(at).cloned();
    value.ok_or(rquickjs::Error::Unknown)
}

fn keep_at<'js>(ctx: &Ctx<'js>, at: usize, value: rquickjs::Value<'js>) -> rquickjs::Result<()> {
    let kept = ctx.userdata::<Kept<'js>>().ok_or(rquickjs::Error::Unknown)?;
    kept.borrow_mut()[at] = value;
    Ok(())
}

fn scope<'js>(ctx: &Ctx<'js>, level: Level) -> rquickjs::Result<Option<Object<'js>>> {
    Ok(kept(ctx, level as usize)?.into_object())
}

/// Puts a scope in its place, or takes it away.
fn place<'js>(ctx: &Ctx<'js>, level: Level, scope: Option<Object<'js>>) -> rquickjs::Result<()> {
    let names = kept(ctx, NAMES)?;
    if let (Some(name), Some(names)) = (LEVEL_NAMES.get(level as usize), names.as_object()) {
        match &scope {
            Some(scope) => names.set(*name, scope.clone())?,
            None => names.remove(*name)?,
        }
    }
    let value =
        scope.map_or_else(|| rquickjs::Value::new_undefined(ctx.clone()), Object::into_value);
    keep_at(ctx, level as usize, value)
}

/// All scopes there are, from the widest in; the names of the scopes are wider still.
fn chain<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Vec<Object<'js>>> {
    let kept = ctx.userdata::<Kept<'js>>().ok_or(rquickjs::Error::Unknown)?;
    let kept = kept.borrow();
    let mut scopes: Vec<Object<'js>> = Vec::new();
    for value in [&kept[NAMES]].into_iter().chain(&kept[..NAMES]) {
        if let Some(scope) = value.as_object().filter(|scope| scopes.last() != Some(scope)) {
            scopes.push(scope.clone());
        }
    }
    Ok(scopes)
}

/// Evaluates an expression in the scopes at hand.
fn run<'js>(ctx: &Ctx<'js>, text: &str) -> rquickjs::Result<rquickjs::Value<'js>> {
    let scopes = chain(ctx)?;
    let innermost = scopes.last().cloned();
    let mut source = opening(scopes.len(), "");
    source.push_str("return (");
    source.push_str(text);
    source.push_str("\n)})");
    let code: Function<'js> = evaluate(ctx, &source)?;
    let mut arguments = Args::new(ctx.clone(), scopes.len());
    for scope in scopes {
        arguments.push_arg(scope)?;
    }
    let outcome = code.call_arg(arguments);
    if let Some(innermost) = innermost {
        sweep(ctx, &innermost)?;
    }
    outcome
}

/// Variables made by assigning to undeclared names belong where that happened.
fn sweep<'js>(ctx: &Ctx<'js>, scope: &Object<'js>) -> rquickjs::Result<()> {
    let globals = ctx.globals();
    let thrown = ctx.has_exception().then(|| ctx.catch());
    for name in globals.keys::<String>() {
        let name = name?;
        scope.set(name.as_str(), globals.get::<_, rquickjs::Value<'js>>(name.as_str())?)?;
        globals.remove(name.as_str())?;
    }
    if let Some(thrown) = thrown {
        let _ = ctx.throw(thrown);
    }
    Ok(())
}

/// Evaluates a text as a sloppy global script: `with` is what makes the scope chain.
fn evaluate<'js, V: rquickjs::FromJs<'js>>(ctx: &Ctx<'js>, text: &str) -> rquickjs::Result<V> {
    let mut options = EvalOptions::default();
    options.strict = false;
    ctx.eval_with_options(text, options)
}

/// `(function(scopes…){with(scope)with(scope)…`
fn opening(depth: usize, more: &str) -> String {
    let names: Vec<String> = (0..depth).map(|n| format!("__s{n}")).collect();
    let with: String = names.iter().map(|name| format!("with({name})")).collect();
    format!("(function({}{more}){{{with}", names.join(","))
}

/// Sees to it that a text is a whole expression, so that it cannot close our brackets.
fn complete(ctx: &Ctx<'_>, text: &str) -> rquickjs::Result<()> {
    let outcome: rquickjs::Result<()> = evaluate(ctx, &format!("throw 0;({text}\n)"));
    only_the_throw(ctx, outcome)
}

/// Whether nothing went wrong but the throw that was put in front.
fn only_the_throw(ctx: &Ctx<'_>, outcome: rquickjs::Result<()>) -> rquickjs::Result<()> {
    let Err(rquickjs::Error::Exception) = outcome else {
        return outcome;
    };
    let thrown = ctx.catch();
    if thrown.as_int() == Some(0) {
        return Ok(());
    }
    Err(ctx.throw(thrown))
}

/// Big integers have builtins that run for minutes without a break, so there are none. They can
/// only come from literals; code made from text is checked alike (`builtins.js`).
fn refuse_bigints(text: &str) -> Result<(), Fault> {
    let part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let bigint = |word: &str| word.starts_with(|c: char| c.is_ascii_digit()) && word.ends_with('n');
    match text.split(|c| !part(c)).find(|word| bigint(word)) {
        None => Ok(()),
        Some(word) => Err(Fault::semantic(format!(
            "{} would be a big integer, and there are none here; a text is written '5' + 'n'",
            shorten(word)
        ))),
    }
}

/// Adds the expression to what went wrong in it.
fn quote(mut fault: Fault, text: &str) -> Fault {
    if !fault.is_limit() {
        fault.message = format!("{} in \"{}\"", fault.message, shorten(text.trim()));
    }
    fault
}

/// What an error says, as one sentence.
fn explain(ctx: &Ctx<'_>, error: &rquickjs::Error) -> String {
    if !error.is_exception() {
        return error.to_string();
    }
    let thrown = ctx.catch();
    let text = match thrown.as_exception() {
        Some(exception) => {
            let name = exception.as_object().get::<_, String>("name").unwrap_or_default();
            let message = exception.message().unwrap_or_default();
            format!("{name}: {message}")
        }
        None => match thrown.as_string().map(rquickjs::String::to_string) {
            Some(Ok(text)) => format!("the script threw \"{text}\""),
            _ => "the script threw a value".to_owned(),
        },
    };
    match text.char_indices().nth(MESSAGE_MAX_CHARS) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// A script may throw a text of megabytes.
const MESSAGE_MAX_CHARS: usize = 300;

#[cfg(test)]
mod tests;
