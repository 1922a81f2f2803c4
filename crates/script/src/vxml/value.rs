//! Values as they stand outside the ECMAScript engine: what is filled, returned and submitted.

use zeroize::Zeroizing;

/// A value; texts are wiped from memory when they go, since callees may have keyed them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Value {
    #[default]
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(Zeroizing<String>),
    List(Vec<Self>),
    /// Properties in order.
    Record(Vec<(String, Self)>),
    /// An object of the engine that is no plain data, with what it prints as.
    Opaque(String),
}

impl Value {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(Zeroizing::new(text.into()))
    }

    pub(crate) fn is_undefined(&self) -> bool {
        matches!(self, Self::Undefined)
    }

    /// Whether ECMAScript's `typeof` would say `object` or `function`.
    pub(crate) fn is_object(&self) -> bool {
        matches!(self, Self::List(_) | Self::Record(_) | Self::Opaque(_))
    }

    /// The property of this name; `None` where there is none.
    pub(crate) fn property(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Record(properties) => {
                let found = properties.iter().find(|(own, _)| own == name);
                found.map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The value at a dotted path below this one.
    pub(crate) fn path(&self, path: &str) -> Option<&Self> {
        path.split('.').try_fold(self, |value, name| value.property(name))
    }

    /// As ECMAScript's `ToBoolean`.
    pub(crate) fn truth(&self) -> bool {
        match self {
            Self::Undefined | Self::Null => false,
            Self::Bool(bool) => *bool,
            Self::Number(number) => *number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty(),
            Self::List(_) | Self::Record(_) | Self::Opaque(_) => true,
        }
    }

    /// As ECMAScript's `ToString`.
    pub(crate) fn to_text(&self) -> String {
        match self {
            Self::Undefined => "undefined".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Bool(bool) => bool.to_string(),
            Self::Number(number) => number_text(*number),
            Self::Text(text) => text.to_string(),
            Self::List(values) => {
                let texts = values.iter().map(|value| match value {
                    Self::Undefined | Self::Null => String::new(),
                    value => value.to_text(),
                });
                texts.collect::<Vec<_>>().join(",")
            }
            Self::Record(_) => "[object Object]".to_owned(),
            Self::Opaque(text) => text.clone(),
        }
    }

    /// As JSON, for values that are given back to whoever runs the script.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Undefined | Self::Null => Json::Null,
            Self::Bool(bool) => Json::Bool(*bool),
            // Whole numbers without a point, as JSON.stringify writes them.
            Self::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => {
                Json::from(*number as i64)
            }
            Self::Number(number) => Json::from(*number),
            Self::Text(text) => Json::String(text.to_string()),
            Self::List(values) => Json::Array(values.iter().map(Self::to_json).collect()),
            Self::Record(properties) => {
                let properties = properties.iter();
                Json::Object(properties.map(|(name, own)| (name.clone(), own.to_json())).collect())
            }
            Self::Opaque(text) => Json::String(text.clone()),
        }
    }

    /// Bytes of text in it, for the limit on variables.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Undefined | Self::Null | Self::Bool(_) | Self::Number(_) => 8,
            Self::Text(text) => text.len() + 8,
            Self::List(values) => values.iter().map(Self::bytes).sum(),
            Self::Record(properties) => {
                properties.iter().map(|(name, own)| name.len() + own.bytes()).sum()
            }
            Self::Opaque(text) => text.len(),
        }
    }
}

/// A number as ECMAScript prints it, for the numbers that scripts print: whole ones up to 21
/// digits and short fractions. Others keep Rust's shortest form, which differs in the exponent.
fn number_text(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else if number == 0.0 {
        "0".to_owned()
    } else if number.abs() < 1e-6 || number.abs() >= 1e21 {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => {
                format!("{digits}e+{exponent}")
            }
            _ => text,
        }
    } else {
        format!("{number}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_ecmascript() {
        let print = |number| Value::Number(number).to_text();
        let printed = [3.0, -0.0, 1.5, 1e21, 1e-7, f64::NAN, 123_456_789.0].map(print);
        assert_eq!(printed, ["3", "0", "1.5", "1e+21", "1e-7", "NaN", "123456789"]);
    }

    #[test]
    fn a_path_leads_to_nested_properties_or_nowhere() {
        let inner = Value::Record(vec![("b".to_owned(), Value::Number(1.0))]);
        let outer = Value::Record(vec![("a".to_owned(), inner)]);
        assert_eq!(outer.path("a.b"), Some(&Value::Number(1.0)));
        assert_eq!(outer.path("a.c"), None);
    }

    #[test]
    fn only_objects_are_objects_and_only_empty_things_are_false() {
        let record = Value::Record(Vec::new());
        assert!(record.is_object() && record.truth());
        assert!(!Value::text("").truth() && !Value::Number(f64::NAN).truth());
        assert!(Value::text("0").truth() && !Value::text("0").is_object());
    }
}
