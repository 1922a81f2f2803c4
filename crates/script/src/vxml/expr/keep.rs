//! What the host keeps in the engine between expressions: scopes of callers, arrays of loops, and
//! values on their way from one context to another.

use rquickjs::{Array, Ctx, Exception, Object};

use super::super::fault::Fault;
use super::super::value::Value;
use super::convert::{length, to_js};
use super::{Engine, Level, kept, place, scope};

/// Arrays of the loops under way, by depth.
const LOOPS: usize = 8;
/// Values on their way, by name.
const HELD: usize = 9;
/// Scopes of the contexts that wait for a subdialog, outermost first.
const FRAMES: usize = 10;
/// Longest array that a loop goes through.
const LOOP_MAX: usize = 100_000;

/// The scopes that a subdialog has of its own (VoiceXML 2.0 §2.3.4).
pub(crate) const OWN_LEVELS: [Level; 4] =
    [Level::Application, Level::Document, Level::Dialog, Level::Anonymous];

/// What stands in the places of this module before anything is kept.
pub(super) fn empty<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<[rquickjs::Value<'js>; 3]> {
    let held = Object::new_proto(ctx.clone(), None)?;
    let (loops, frames) = (Array::new(ctx.clone())?, Array::new(ctx.clone())?);
    Ok([loops.into_value(), held.into_value(), frames.into_value()])
}

fn list<'js>(ctx: &Ctx<'js>, at: usize) -> rquickjs::Result<Array<'js>> {
    kept(ctx, at)?.into_array().ok_or(rquickjs::Error::Unknown)
}

fn held<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    kept(ctx, HELD)?.into_object().ok_or(rquickjs::Error::Unknown)
}

impl Engine {
    /// Sets the scopes at hand aside; afterwards there is only the session's.
    pub(crate) fn push_frame(&self) -> Result<(), Fault> {
        self.enter(|ctx| {
            let frames = list(ctx, FRAMES)?;
            let frame = Array::new(ctx.clone())?;
            for (at, level) in OWN_LEVELS.into_iter().enumerate() {
                frame.set(at, kept(ctx, level as usize)?)?;
                place(ctx, level, None)?;
            }
            frames.set(frames.len(), frame)
        })
    }

    /// Takes the scopes back that were set aside last.
    pub(crate) fn pop_frame(&self) -> Result<(), Fault> {
        self.enter(|ctx| {
            let frames = list(ctx, FRAMES)?;
            let Some(last) = frames.len().checked_sub(1) else {
                return Ok(());
            };
            let frame: Array<'_> = frames.get(last)?;
            for (at, level) in OWN_LEVELS.into_iter().enumerate() {
                let scope: rquickjs::Value<'_> = frame.get(at)?;
                place(ctx, level, scope.into_object())?;
            }
            frames.as_object().set("length", last)
        })
    }

    // Values on their way.

    pub(crate) fn drop_held(&self) -> Result<(), Fault> {
        self.enter(|ctx| {
            let held = held(ctx)?;
            let names: Result<Vec<String>, _> = held.keys::<String>().collect();
            names?.into_iter().try_for_each(|name| held.remove(name))
        })
    }

    /// Keeps the value of an expression, whatever it is, under a name.
    pub(crate) fn hold(&mut self, name: &str, text: &str) -> Result<(), Fault> {
        self.expression(text, |ctx, value| held(ctx)?.set(name, value))
    }

    pub(crate) fn hold_value(&self, name: &str, value: &Value) -> Result<(), Fault> {
        self.enter(|ctx| held(ctx)?.set(name, to_js(ctx, value)?))
    }

    /// Makes the value under a name a variable; false where there is none.
    pub(crate) fn release(&self, level: Level, name: &str) -> Result<bool, Fault> {
        self.enter(|ctx| {
            let held = held(ctx)?;
            if !held.contains_key(name)? {
                return Ok(false);
            }
            let value: rquickjs::Value<'_> = held.get(name)?;
            held.remove(name)?;
            if let Some(scope) = scope(ctx, level)? {
                scope.set(name, value)?;
            }
            Ok(true)
        })
    }

    /// Makes an object of all values on their way, and that a variable.
    pub(crate) fn release_all(&self, level: Level, variable: &str) -> Result<(), Fault> {
        self.enter(|ctx| {
            let held = held(ctx)?;
            let object = Object::new(ctx.clone())?;
            let names: Result<Vec<String>, _> = held.keys::<String>().collect();
            for name in names? {
                object.set(name.as_str(), held.get::<_, rquickjs::Value<'_>>(name.as_str())?)?;
                held.remove(name)?;
            }
            scope(ctx, level)?.map_or(Ok(()), |scope| scope.set(variable, object))
        })
    }

    // Loops.

    /// Evaluates an array and keeps a copy of it; how many elements it has.
    pub(crate) fn begin_loop(&mut self, depth: usize, text: &str) -> Result<usize, Fault> {
        self.expression(text, |ctx, value| {
            let Some(array) = value.into_array() else {
                return Err(Exception::throw_type(ctx, "there is no array to go through"));
            };
            let length = length(&array)?;
            if length > LOOP_MAX {
                let message = format!("the array has more than {LOOP_MAX} elements");
                return Err(Exception::throw_range(ctx, &message));
            }
            let copy = Array::new(ctx.clone())?;
            for at in 0..length {
                copy.set(at, array.get::<rquickjs::Value<'_>>(at)?)?;
            }
            list(ctx, LOOPS)?.set(depth, copy)?;
            Ok(length)
        })
    }

    /// Makes an element of a loop's array a variable.
    pub(crate) fn turn_loop(
        &self,
        depth: usize,
        at: usize,
        level: Level,
        name: &str,
    ) -> Result<(), Fault> {
        self.enter(|ctx| {
            let array: Array<'_> = list(ctx, LOOPS)?.get(depth)?;
            let value: rquickjs::Value<'_> = array.get(at)?;
            scope(ctx, level)?.map_or(Ok(()), |scope| scope.set(name, value))
        })
    }
}
