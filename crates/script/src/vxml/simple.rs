//! Expressions simple enough to be evaluated without an engine: literals, variables, and whether
//! two of them are equal.
//!
//! Most of what scripts ask is of this kind, and an engine costs more than the rest of such a
//! call. Where ECMAScript would do anything but look (conversions, objects, errors), this says
//! nothing and the engine is asked.

use super::value::Value;

/// The value of a simple expression; `None` for any other. `lookup` finds the value of a dotted
/// path, or nothing where it takes an engine to say what it is.
pub(crate) fn evaluate(text: &str, lookup: impl Fn(&str) -> Option<Value>) -> Option<Value> {
    let text = text.trim();
    let Some((left, operator, right)) = comparison(text) else {
        return operand(text, &lookup).filter(|value| !value.is_object());
    };
    let (left, right) = (operand(left, &lookup)?, operand(right, &lookup)?);
    let equal = equal(&left, &right, operator.len() == 3)?;
    Some(Value::Bool(equal == operator.starts_with('=')))
}

/// Splits at the only comparison outside of quotes.
fn comparison(text: &str) -> Option<(&str, &str, &str)> {
    let mut quote = None;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().copied().enumerate() {
        match quote {
            Some(open) if byte == open => quote = None,
            Some(_) => {}
            None if byte == b'\'' || byte == b'"' => quote = Some(byte),
            None if matches!(byte, b'=' | b'!') && bytes.get(at + 1) == Some(&b'=') => {
                let length = if bytes.get(at + 2) == Some(&b'=') { 3 } else { 2 };
                let (left, rest) = text.split_at(at);
                let (operator, right) = rest.split_at(length);
                return Some((left.trim(), operator, right.trim()));
            }
            None => {}
        }
    }
    None
}

fn operand(text: &str, lookup: &impl Fn(&str) -> Option<Value>) -> Option<Value> {
    match text {
        "true" => return Some(Value::Bool(true)),
        "false" => return Some(Value::Bool(false)),
        "null" => return Some(Value::Null),
        "undefined" => return Some(Value::Undefined),
        _ => {}
    }
    match text.bytes().next()? {
        quote @ (b'\'' | b'"') => quoted(text, quote),
        b'0'..=b'9' | b'-' => number(text),
        _ if is_path(text) => lookup(text),
        _ => None,
    }
}

fn quoted(text: &str, quote: u8) -> Option<Value> {
    let quote = char::from(quote);
    let inner = text.get(1..)?.strip_suffix(quote)?;
    let plain = !inner.contains([quote, '\\', '\n', '\r']);
    plain.then(|| Value::text(inner))
}

/// Whole numbers and decimal fractions; others have notations of their own.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let octal = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    if !plain || octal || digits.starts_with('.') || digits.len() > 15 {
        return None;
    }
    text.parse().ok().map(Value::Number)
}

/// Names joined by dots.
fn is_path(text: &str) -> bool {
    text.split('.').all(|name| is_identifier(name) && !is_reserved(name))
}

/// As ECMAScript's `IsLooselyEqual` and `IsStrictlyEqual`, where neither side is converted.
fn equal(left: &Value, right: &Value, strict: bool) -> Option<bool> {
    use Value::{Bool, Null, Number, Text, Undefined};
    match (left, right) {
        (Undefined, Undefined) | (Null, Null) => Some(true),
        (Undefined, Null) | (Null, Undefined) => Some(!strict),
        (Text(left), Text(right)) => Some(left == right),
        (Bool(left), Bool(right)) => Some(left == right),
        (Number(left), Number(right)) => Some(left == right),
        (Undefined | Null, Text(_) | Bool(_) | Number(_))
        | (Text(_) | Bool(_) | Number(_), Undefined | Null) => Some(false),
        _ => None,
    }
}

/// Whether a text is a name in ECMAScript, reserved or not.
pub(crate) fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    let first = |c: char| c.is_alphabetic() || c == '_' || c == '$';
    chars.next().is_some_and(first) && chars.all(|c| first(c) || c.is_numeric())
}

/// Whether a name means something else in ECMAScript.
pub(crate) fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 40] = [
        "NaN",
        "Infinity",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "import",
        "in",
        "instanceof",
        "new",
        "null",
        "return",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "undefined",
        "var",
        "void",
        "while",
        "with",
        "yield",
    ];
    RESERVED.contains(&name)
}

/// Whether a text is what may follow a variable to name an element of it: `[index]` and `.name`,
/// any number of times, or nothing. Whether each index is an expression is for the engine to say.
pub(crate) fn are_elements(text: &str) -> bool {
    let mut rest = text;
    while !rest.is_empty() {
        if let Some(name) = rest.strip_prefix('.') {
            let end = name.find(['.', '[']).unwrap_or(name.len());
            if !is_identifier(&name[..end]) {
                return false;
            }
            rest = &name[end..];
        } else {
            match index_end(rest) {
                Some(end) => rest = &rest[end..],
                None => return false,
            }
        }
    }
    true
}

/// Where an index ends that begins here, its brackets included.
fn index_end(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0_u32, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), '\\') => return None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '[') => depth += 1,
            (None, ']') if depth == 1 => return Some(at + 1),
            (None, ']') => depth = depth.checked_sub(1)?,
            (None, _) if depth == 0 => return None,
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(path: &str) -> Option<Value> {
        match path {
            "age" => Some(Value::Number(30.0)),
            "name" => Some(Value::text("Ann")),
            "nothing" => Some(Value::Undefined),
            "session.connection" => Some(Value::Record(Vec::new())),
            _ => None,
        }
    }

    fn value(text: &str) -> Option<Value> {
        evaluate(text, variables)
    }

    #[test]
    fn literals_and_variables_need_no_engine() {
        let values = ["'a b'", "\"it's\"", " 12 ", "-1.5", "true", "name", "nothing"].map(value);
        let expected = [
            Value::text("a b"),
            Value::text("it's"),
            Value::Number(12.0),
            Value::Number(-1.5),
            Value::Bool(true),
            Value::text("Ann"),
            Value::Undefined,
        ];
        assert_eq!(values, expected.map(Some));
    }

    #[test]
    fn equality_without_conversion_needs_no_engine() {
        let texts =
            ["name == 'Ann'", "age!=30", "nothing == null", "nothing === null", "age === 31"];
        let expected = [true, false, true, false, false].map(|bool| Some(Value::Bool(bool)));
        assert_eq!(texts.map(value), expected);
    }

    #[test]
    fn everything_else_is_left_to_the_engine() {
        let texts = [
            "age == '30'",
            "age + 1",
            "'a' == 'b' == false",
            "a.b",
            "session.connection",
            "010",
            "1e3",
            "'a\\n'",
            "'a' + 'b'",
            "",
            "f()",
            "this",
            "age == ",
            "'x",
            "a = b",
            "a >= b",
            "!name",
            "'a','b'",
            "1.2.3",
        ];
        assert_eq!(texts.map(value), texts.map(|_| None));
    }

    #[test]
    fn elements_are_named_by_indices_and_properties() {
        for text in ["", "[0]", "[i].x", "['a]b'][n[1]]", ".x[0].y"] {
            assert!(are_elements(text), "{text}");
        }
        for text in ["[", "[0", "[0]x", ".", "[0].", "[0];n", "[a](1)", "x", "]", "['a\\'']"] {
            assert!(!are_elements(text), "{text}");
        }
    }
}
