//! Fields of a JSON object, read one by one so that every mistake is named, with its pointer.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use crate::refusal::{Mistake, Refusal};

/// One JSON object that is being read.
///
/// `null` is as good as a field that is not there. Fields never asked for are unknown ones.
pub(super) struct Fields<'v> {
    /// JSON pointer of the object (RFC 6901); empty for the whole document.
    pointer: String,
    map: &'v Map<String, Value>,
    asked: Vec<&'static str>,
    refusals: Vec<Refusal>,
}

/// Reads the whole document as one object.
pub(super) fn read<'v, T>(
    document: &'v Value,
    read: impl FnOnce(&mut Fields<'v>) -> Option<T>,
) -> Result<T, Vec<Refusal>> {
    let Value::Object(map) = document else {
        return Err(vec![wrong_type("", document, "an object")]);
    };
    let mut fields = Fields::new(String::new(), map);
    let value = read(&mut fields);
    match (fields.finish(), value) {
        (refusals, Some(value)) if refusals.is_empty() => Ok(value),
        (refusals, _) => Err(refusals),
    }
}

impl<'v> Fields<'v> {
    fn new(pointer: String, map: &'v Map<String, Value>) -> Self {
        Self { pointer, map, asked: Vec::new(), refusals: Vec::new() }
    }

    /// A text of at most `chars_max` characters; `None` where there is none.
    pub(super) fn text(&mut self, name: &'static str, chars_max: usize) -> Option<&'v str> {
        let value = self.value(name)?;
        let Value::String(text) = value else {
            self.refuse_type(name, value, "a string");
            return None;
        };
        let length = text.chars().count();
        if length > chars_max {
            let expected = format!("at most {chars_max} characters, not {length}");
            self.refuse(name, Mistake::TooLong, text, expected);
            return None;
        }
        if text.contains('\0') {
            self.refuse(name, Mistake::Malformed, text, "a text without NUL");
            return None;
        }
        Some(text)
    }

    /// A list of at most `many_max` texts of at most `chars_max` characters; `None` where there is
    /// none.
    pub(super) fn words(
        &mut self,
        name: &'static str,
        many_max: usize,
        chars_max: usize,
    ) -> Option<Vec<&'v str>> {
        let value = self.value(name)?;
        let Value::Array(values) = value else {
            self.refuse_type(name, value, "an array");
            return None;
        };
        if values.len() > many_max {
            let expected = format!("at most {many_max} texts, not {}", values.len());
            self.refuse_blind(name, Mistake::TooLong, expected);
            return None;
        }
        let short = |text: &&str| text.chars().count() <= chars_max;
        let words: Option<Vec<&str>> =
            values.iter().map(|value| value.as_str().filter(short)).collect();
        if words.is_none() {
            let expected = format!("texts of at most {chars_max} characters each");
            self.refuse_blind(name, Mistake::WrongType, expected);
        }
        words
    }

    /// A whole number in `range`.
    pub(super) fn number(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.value(name)?;
        let (least, most) = range.clone().into_inner();
        let expected = format!("a whole number from {least} to {most}");
        let Value::Number(number) = value else {
            self.refuse_type(name, value, &expected);
            return None;
        };
        match number.as_u64().and_then(|number| u32::try_from(number).ok()) {
            Some(number) if range.contains(&number) => Some(number),
            _ => {
                self.refuse(name, Mistake::OutOfRange, &number.to_string(), expected);
                None
            }
        }
    }

    /// `true` or `false`.
    pub(super) fn switch(&mut self, name: &'static str) -> Option<bool> {
        let value = self.value(name)?;
        let Value::Bool(switch) = value else {
            self.refuse_type(name, value, "true or false");
            return None;
        };
        Some(*switch)
    }

    /// An object inside, read by `read`.
    pub(super) fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Self) -> T,
    ) -> Option<T> {
        let value = self.value(name)?;
        let Value::Object(map) = value else {
            self.refuse_type(name, value, "an object");
            return None;
        };
        let mut inner = Self::new(self.pointer_of(name), map);
        let value = read(&mut inner);
        self.refusals.extend(inner.finish());
        Some(value)
    }

    /// Whether the field is there and holds a text.
    pub(super) fn is_text(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(Value::is_string)
    }

    /// An object of texts; what is none is refused and left out.
    pub(super) fn texts(&mut self, name: &'static str) -> Vec<(&'v str, &'v str)> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let Value::Object(map) = value else {
            self.refuse_type(name, value, "an object of texts");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for (key, value) in map {
            match value {
                Value::String(text) if !text.contains('\0') => {
                    texts.push((key.as_str(), text.as_str()));
                }
                value => self.refuse_type(name, value, "an object of texts"),
            }
        }
        texts
    }

    /// A list of texts; what is none is refused and left out.
    pub(super) fn text_list(
        &mut self,
        name: &'static str,
        items_max: usize,
        chars_max: usize,
    ) -> Vec<&'v str> {
        let mut texts = Vec::new();
        for value in self.list(name, items_max) {
            match value {
                Value::String(text) if text.chars().count() > chars_max || text.contains('\0') => {
                    let expected = format!("texts of at most {chars_max} characters, without NUL");
                    self.refuse(name, Mistake::Malformed, text, expected);
                }
                Value::String(text) => texts.push(text.as_str()),
                value => self.refuse_type(name, value, "a list of strings"),
            }
        }
        texts
    }

    /// A list of objects, each read by `read`.
    pub(super) fn objects<T>(
        &mut self,
        name: &'static str,
        items_max: usize,
        mut read: impl FnMut(&mut Self) -> T,
    ) -> Vec<T> {
        let mut items = Vec::new();
        for (nth, value) in self.list(name, items_max).iter().enumerate() {
            let Value::Object(map) = value else {
                self.refuse_type(name, value, "a list of objects");
                continue;
            };
            let mut inner = Self::new(format!("{}/{nth}", self.pointer_of(name)), map);
            items.push(read(&mut inner));
            self.refusals.extend(inner.finish());
        }
        items
    }

    fn list(&mut self, name: &'static str, items_max: usize) -> &'v [Value] {
        let Some(value) = self.value(name) else {
            return &[];
        };
        match value {
            Value::Array(items) if items.len() > items_max => {
                let expected = format!("at most {items_max} items, not {}", items.len());
                self.refuse_blind(name, Mistake::TooLong, expected);
                &[]
            }
            Value::Array(items) => items,
            value => {
                self.refuse_type(name, value, "a list");
                &[]
            }
        }
    }

    /// Whether the field is there, whatever it holds.
    pub(super) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// Remembers a mistake in a field.
    pub(super) fn refuse(
        &mut self,
        name: &str,
        mistake: Mistake,
        found: &str,
        expected: impl Into<String>,
    ) {
        let pointer = self.pointer_of(name);
        self.refusals.push(Refusal::new(pointer, mistake, found, expected));
    }

    /// Remembers that a field is missing, or should be.
    pub(super) fn refuse_blind(
        &mut self,
        name: &str,
        mistake: Mistake,
        expected: impl Into<String>,
    ) {
        let pointer = self.pointer_of(name);
        self.refusals.push(Refusal::blind(pointer, mistake, expected));
    }

    /// Remembers a refusal whose field is one of this object's names.
    pub(super) fn refuse_as(&mut self, refusal: Refusal) {
        let field = self.pointer_of(&refusal.field);
        self.refusals.push(Refusal { field, ..refusal });
    }

    fn value(&mut self, name: &'static str) -> Option<&'v Value> {
        self.asked.push(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    fn finish(mut self) -> Vec<Refusal> {
        let asked = std::mem::take(&mut self.asked);
        for name in self.map.keys().filter(|name| !asked.contains(&name.as_str())) {
            let expected = format!("one of {}", asked.join(", "));
            let pointer = self.pointer_of(name);
            self.refusals.push(Refusal::new(pointer, Mistake::Unknown, name, expected));
        }
        self.refusals
    }

    fn refuse_type(&mut self, name: &str, found: &Value, expected: &str) {
        let pointer = self.pointer_of(name);
        self.refusals.push(wrong_type(&pointer, found, expected));
    }

    fn pointer_of(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, name.replace('~', "~0").replace('/', "~1"))
    }
}

fn wrong_type(pointer: &str, found: &Value, expected: &str) -> Refusal {
    let found = match found {
        Value::Array(_) => "an array",
        Value::Bool(_) => "a boolean",
        Value::Null => "null",
        Value::Number(_) => "a number",
        Value::Object(_) => "an object",
        Value::String(_) => "a string",
    };
    Refusal::blind(pointer, Mistake::WrongType, format!("{expected}, not {found}"))
}
