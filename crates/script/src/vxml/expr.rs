//! The ECMAScript engine of one call: QuickJS, with limits, made when first needed.
//!
//! Scripts get no objects of ours but data, no clock and no randomness (`prelude.js`). What they may use is bounded: memory and stack by the engine, work by
//! counting its interrupt ticks. A single builtin on a text of megabytes is not interrupted; it
//! ends by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use domain::time::Timestamp;
use rquickjs::context::{EvalOptions, intrinsic};
use rquickjs::function::Args;
use rquickjs::{Array, Context, Ctx, Function, IntoJs, Object, Runtime};

use super::fault::Fault;
use super::limits::Limits;
use super::schema::shorten;
use super::value::Value;

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

/// A scope by its number in `prelude.js`, widest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Session = 0,
    Application = 1,
    Document = 2,
    Dialog = 3,
    Anonymous = 4,
}

/// The engine of one call.
pub(crate) struct Engine {
    context: Context,
    /// Where declarations of scripts are found out; made when the first script comes.
    hoist: Option<Context>,
    runtime: Runtime,
    meter: Arc<Meter>,
}

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
        let engine = Self { context, hoist: None, runtime, meter };
        engine.enter(|ctx| {
            let prelude: Function<'_> = evaluate(ctx, include_str!("prelude.js"))?;
            let seed = (seed ^ (seed >> 32)) as u32;
            let host: Object<'_> = prelude.call((seed, to_js(ctx, session)?))?;
            // Only a borrow under way could refuse, and there is none.
            let _ = ctx.store_userdata(host);
            Ok(())
        })?;
        Ok(engine)
    }

    /// Gives a step of the host's own a name and arguments.
    pub(crate) fn tell(&self, verb: &str, arguments: &[Argument<'_>]) -> Result<(), Fault> {
        self.enter(|ctx| call(ctx, verb, arguments).map(|_| ()))
    }

    /// Asks the host something and takes the answer as a value.
    pub(crate) fn ask(&self, verb: &str, arguments: &[Argument<'_>]) -> Result<Value, Fault> {
        self.enter(|ctx| {
            let answer = call(ctx, verb, arguments)?;
            from_js(ctx, answer)
        })
    }

    pub(crate) fn set_time(&self, now: Timestamp) -> Result<(), Fault> {
        self.tell("time", &[Argument::Value(&Value::Number(now.as_millis() as f64))])
    }

    /// Evaluates an expression in the scopes at hand.
    pub(crate) fn evaluate(&self, text: &str) -> Result<Value, Fault> {
        self.expression(text, |ctx, code| {
            let value = host(ctx, "run")?.call((code,))?;
            from_js(ctx, value)
        })
    }

    /// Evaluates an expression and stores its value, whatever it is, in a variable.
    pub(crate) fn keep(&self, level: Level, name: &str, text: &str) -> Result<(), Fault> {
        self.expression(text, |ctx, code| host(ctx, "keep")?.call((level as u8, name, code)))
    }

    /// Evaluates `name = (text)`, where `name` may be a path of properties.
    pub(crate) fn assign(&self, name: &str, text: &str) -> Result<(), Fault> {
        self.expression(text, |ctx, _| {
            let code = compile(ctx, &format!("{name}=({text}\n)"))?;
            host(ctx, "run")?.call((code,))
        })
    }

    /// Evaluates an expression and takes its value apart: for data that leaves the engine.
    pub(crate) fn evaluate_data(&self, text: &str) -> Result<Value, Fault> {
        self.expression(text, |ctx, code| {
            let value: rquickjs::Value<'_> = host(ctx, "run")?.call((code,))?;
            let value = host(ctx, "data")?.call((value,))?;
            from_js_data(ctx, value)
        })
    }

    /// Evaluates a text that is ours, outside of all scopes.
    pub(crate) fn evaluate_apart(&self, text: &str) -> Result<Value, Fault> {
        refuse_bigints(text)?;
        self.enter(|ctx| {
            let value: rquickjs::Value<'_> = evaluate(ctx, text)?;
            let value = host(ctx, "data")?.call((value,))?;
            from_js_data(ctx, value)
        })
    }

    /// Runs a script; what it declares at its top becomes variables of that scope.
    pub(crate) fn script(&mut self, level: Level, text: &str) -> Result<(), Fault> {
        refuse_bigints(text)?;
        let (variables, functions) = self.declared(text)?;
        self.enter(|ctx| {
            let depth = depth(ctx)?;
            let mut source = opening(depth, ",__declare");
            source.push('{');
            for name in &functions {
                source.push_str(&format!("__declare(\"{name}\",{name});"));
            }
            source.push_str(text);
            source.push_str("\n}})");
            let code: Function<'_> = evaluate(ctx, &source)?;
            host(ctx, "script")?.call((level as u8, code, variables))
        })
    }

    /// Variables and functions that a script declares at its top.
    fn declared(&mut self, text: &str) -> Result<(Vec<String>, Vec<String>), Fault> {
        let context = match &self.hoist {
            Some(context) => context.clone(),
            None => {
                let made = Context::custom::<Parser>(&self.runtime);
                let made = made.map_err(|error| Fault::semantic(error.to_string()))?;
                self.enter_in(&made, |ctx| {
                    let hoist: Function<'_> = evaluate(ctx, include_str!("hoist.js"))?;
                    let _ = ctx.store_userdata(hoist);
                    Ok(())
                })?;
                self.hoist.insert(made).clone()
            }
        };
        self.enter_in(&context, |ctx| {
            let hoist = ctx.userdata::<Function<'_>>();
            let hoist = hoist.ok_or(rquickjs::Error::Unknown)?;
            let lists: Array<'_> = hoist.call((text,))?;
            Ok((lists.get(0)?, lists.get(1)?))
        })
    }

    fn expression<T>(
        &self,
        text: &str,
        then: impl for<'js> FnOnce(&Ctx<'js>, Function<'js>) -> rquickjs::Result<T>,
    ) -> Result<T, Fault> {
        refuse_bigints(text)?;
        let outcome = self.enter(|ctx| {
            complete(ctx, text)?;
            let code = compile(ctx, text)?;
            then(ctx, code)
        });
        outcome.map_err(|mut fault| {
            fault.message = format!("{} in \"{}\"", fault.message, shorten(text.trim()));
            fault
        })
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
        outcome.map_err(|message| match self.meter.exceeded.load(Ordering::Relaxed) {
            true => Fault::semantic("the script ran too long and was stopped"),
            false => Fault::semantic(message),
        })
    }
}

/// An argument for the host.
pub(crate) enum Argument<'a> {
    Level(Level),
    Name(&'a str),
    Value(&'a Value),
}

fn host<'js>(ctx: &Ctx<'js>, verb: &str) -> rquickjs::Result<Function<'js>> {
    let host = ctx.userdata::<Object<'js>>().ok_or(rquickjs::Error::Unknown)?;
    host.get(verb)
}

fn call<'js>(
    ctx: &Ctx<'js>,
    verb: &str,
    arguments: &[Argument<'_>],
) -> rquickjs::Result<rquickjs::Value<'js>> {
    let mut given = Args::new(ctx.clone(), arguments.len());
    for argument in arguments {
        match argument {
            Argument::Level(level) => given.push_arg(*level as u8)?,
            Argument::Name(name) => given.push_arg(*name)?,
            Argument::Value(value) => given.push_arg(to_js(ctx, value)?)?,
        }
    }
    host(ctx, verb)?.call_arg(given)
}

fn depth(ctx: &Ctx<'_>) -> rquickjs::Result<usize> {
    host(ctx, "depth")?.call(())
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

/// A function of the scopes that gives the value of an expression.
fn compile<'js>(ctx: &Ctx<'js>, text: &str) -> rquickjs::Result<Function<'js>> {
    let mut source = opening(depth(ctx)?, "");
    source.push_str("return (");
    source.push_str(text);
    source.push_str("\n)})");
    evaluate(ctx, &source)
}

/// Sees to it that a text is a whole expression, so that it cannot close our brackets.
fn complete(ctx: &Ctx<'_>, text: &str) -> rquickjs::Result<()> {
    let outcome: rquickjs::Result<()> = evaluate(ctx, &format!("throw 0;({text}\n)"));
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
/// only come from literals; code made from text is checked alike (`prelude.js`).
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

pub(super) fn to_js<'js>(ctx: &Ctx<'js>, value: &Value) -> rquickjs::Result<rquickjs::Value<'js>> {
    let ctx = ctx.clone();
    match value {
        Value::Undefined => Ok(rquickjs::Value::new_undefined(ctx)),
        Value::Null => Ok(rquickjs::Value::new_null(ctx)),
        Value::Bool(bool) => bool.into_js(&ctx),
        Value::Number(number) => number.into_js(&ctx),
        Value::Text(text) => text.as_str().into_js(&ctx),
        Value::Opaque(text) => text.as_str().into_js(&ctx),
        Value::List(values) => {
            let array = Array::new(ctx.clone())?;
            for (at, value) in values.iter().enumerate() {
                array.set(at, to_js(&ctx, value)?)?;
            }
            Ok(array.into_value())
        }
        Value::Record(properties) => {
            let object = Object::new(ctx.clone())?;
            for (name, value) in properties {
                object.set(name.as_str(), to_js(&ctx, value)?)?;
            }
            Ok(object.into_value())
        }
    }
}

/// A value of the engine; objects keep only what they print as.
fn from_js<'js>(ctx: &Ctx<'js>, value: rquickjs::Value<'js>) -> rquickjs::Result<Value> {
    if let Some(plain) = plain(&value)? {
        return Ok(plain);
    }
    let text: String = host(ctx, "text")?.call((value,))?;
    Ok(Value::Opaque(text))
}

/// A value without behaviour: what `data` of the prelude gives.
fn from_js_data<'js>(ctx: &Ctx<'js>, value: rquickjs::Value<'js>) -> rquickjs::Result<Value> {
    if let Some(plain) = plain(&value)? {
        return Ok(plain);
    }
    if let Some(array) = value.as_array() {
        let values = array.iter::<rquickjs::Value<'js>>();
        let values = values.map(|value| from_js_data(ctx, value?));
        return Ok(Value::List(values.collect::<Result<_, _>>()?));
    }
    let Some(object) = value.as_object() else {
        return from_js(ctx, value);
    };
    let properties = object.props::<String, rquickjs::Value<'js>>();
    let properties = properties.map(|property| {
        let (name, value) = property?;
        Ok((name, from_js_data(ctx, value)?))
    });
    Ok(Value::Record(properties.collect::<rquickjs::Result<_>>()?))
}

/// A value that is no object.
fn plain(value: &rquickjs::Value<'_>) -> rquickjs::Result<Option<Value>> {
    Ok(Some(if value.is_undefined() {
        Value::Undefined
    } else if value.is_null() {
        Value::Null
    } else if let Some(bool) = value.as_bool() {
        Value::Bool(bool)
    } else if let Some(number) = value.as_number() {
        Value::Number(number)
    } else if let Some(text) = value.as_string() {
        Value::text(text.to_string()?)
    } else {
        return Ok(None);
    }))
}

/// Counts the work of evaluations.
#[derive(Debug)]
struct Meter {
    evaluation_ticks_max: u32,
    call_ticks_max: u32,
    stopwatch: Option<fn() -> Duration>,
    evaluation_time_max: Duration,
    call_time_max: Duration,
    /// Of the evaluation at hand.
    ticks: AtomicU32,
    started_us: AtomicU64,
    exceeded: AtomicBool,
    /// Of all evaluations before it.
    call_ticks: AtomicU32,
    call_time_us: AtomicU64,
}

impl Meter {
    fn new(limits: &Limits) -> Self {
        Self {
            evaluation_ticks_max: limits.evaluation_ticks_max,
            call_ticks_max: limits.call_ticks_max,
            stopwatch: limits.stopwatch,
            evaluation_time_max: limits.evaluation_time_max,
            call_time_max: limits.call_time_max,
            ticks: AtomicU32::new(0),
            started_us: AtomicU64::new(0),
            exceeded: AtomicBool::new(false),
            call_ticks: AtomicU32::new(0),
            call_time_us: AtomicU64::new(0),
        }
    }

    fn start(&self) {
        self.ticks.store(0, Ordering::Relaxed);
        self.exceeded.store(false, Ordering::Relaxed);
        self.started_us.store(self.now_us(), Ordering::Relaxed);
    }

    /// Called by the engine now and then; true stops it.
    fn tick(&self) -> bool {
        let ticks = self.ticks.fetch_add(1, Ordering::Relaxed) + 1;
        let over = ticks > self.evaluation_ticks_max
            || Duration::from_micros(self.elapsed_us()) > self.evaluation_time_max;
        if over {
            self.exceeded.store(true, Ordering::Relaxed);
        }
        over
    }

    /// Adds the evaluation to those of the call, which have a limit of their own.
    fn stop(&self) -> Result<(), Fault> {
        let ticks = self.ticks.load(Ordering::Relaxed);
        let ticks = self.call_ticks.fetch_add(ticks, Ordering::Relaxed).saturating_add(ticks);
        if ticks > self.call_ticks_max {
            return Err(Fault::limit("call_ticks_max", "the scripts of the call do too much work"));
        }
        let time_us = self.elapsed_us();
        let time_us = self.call_time_us.fetch_add(time_us, Ordering::Relaxed) + time_us;
        if Duration::from_micros(time_us) > self.call_time_max {
            return Err(Fault::limit("call_time_max", "the scripts of the call take too long"));
        }
        Ok(())
    }

    fn elapsed_us(&self) -> u64 {
        self.now_us().saturating_sub(self.started_us.load(Ordering::Relaxed))
    }

    fn now_us(&self) -> u64 {
        let now = self.stopwatch.map_or(Duration::ZERO, |stopwatch| stopwatch());
        u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
#[path = "expr_tests.rs"]
mod tests;
