//! Values on their way into the engine and out of it.

use rquickjs::convert::Coerced;
use rquickjs::{Array, Ctx, Exception, IntoJs, Object};

use super::super::value::Value;

pub(super) fn to_js<'js>(ctx: &Ctx<'js>, value: &Value) -> rquickjs::Result<rquickjs::Value<'js>> {
    match value {
        Value::Undefined => Ok(rquickjs::Value::new_undefined(ctx.clone())),
        Value::Null => Ok(rquickjs::Value::new_null(ctx.clone())),
        Value::Bool(bool) => bool.into_js(ctx),
        Value::Number(number) => number.into_js(ctx),
        Value::Text(text) => text.as_str().into_js(ctx),
        Value::Opaque(text) => text.as_str().into_js(ctx),
        Value::List(values) => {
            let array = Array::new(ctx.clone())?;
            for (at, value) in values.iter().enumerate() {
                array.set(at, to_js(ctx, value)?)?;
            }
            Ok(array.into_value())
        }
        Value::Record(properties) => {
            let object = Object::new(ctx.clone())?;
            for (name, value) in properties {
                object.set(name.as_str(), to_js(ctx, value)?)?;
            }
            Ok(object.into_value())
        }
    }
}

/// A value of the engine; objects keep only what they print as.
pub(super) fn from_js<'js>(ctx: &Ctx<'js>, value: rquickjs::Value<'js>) -> rquickjs::Result<Value> {
    if let Some(plain) = plain(&value)? {
        return Ok(plain);
    }
    let printed = value.get::<Coerced<String>>();
    if printed.is_err() {
        // An object that cannot be printed is an object still.
        ctx.catch();
    }
    Ok(Value::Opaque(printed.map_or_else(|_| "[object]".to_owned(), |text| text.0)))
}

/// Deepest nesting of data that leaves the engine.
const DEPTH_MAX: u32 = 16;
/// Most values in data that leaves the engine.
const VALUES_MAX: u32 = 2_000;

/// A value as data; what behaves is printed.
pub(super) fn data_from_js<'js>(
    ctx: &Ctx<'js>,
    value: rquickjs::Value<'js>,
) -> rquickjs::Result<Value> {
    let mut left = VALUES_MAX;
    data(ctx, value, 0, &mut left)
}

fn data<'js>(
    ctx: &Ctx<'js>,
    value: rquickjs::Value<'js>,
    depth: u32,
    left: &mut u32,
) -> rquickjs::Result<Value> {
    *left = left.saturating_sub(1);
    if *left == 0 || depth > DEPTH_MAX {
        return Err(Exception::throw_range(ctx, "the value is too large, or part of itself"));
    }
    if let Some(plain) = plain(&value)? {
        return Ok(plain);
    }
    if let Some(array) = value.as_array() {
        let length = length(array)?;
        if length > VALUES_MAX as usize {
            return Err(Exception::throw_range(ctx, "the value is too large"));
        }
        let mut values = Vec::new();
        for at in 0..length {
            values.push(data(ctx, array.get(at)?, depth + 1, left)?);
        }
        return Ok(Value::List(values));
    }
    let Some(object) = value.as_object().filter(|object| !object.is_function()) else {
        return from_js(ctx, value);
    };
    let mut properties = Vec::new();
    for property in object.props::<String, rquickjs::Value<'js>>() {
        let (name, value) = property?;
        properties.push((name, data(ctx, value, depth + 1, left)?));
    }
    Ok(Value::Record(properties))
}

/// How many elements an array has; the engine's own way to say so knows only small numbers.
pub(super) fn length(array: &Array<'_>) -> rquickjs::Result<usize> {
    let length: f64 = array.as_object().get("length")?;
    Ok(length as usize)
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
    } else if value.is_symbol() {
        Value::Opaque("a symbol".to_owned())
    } else {
        return Ok(None);
    }))
}
