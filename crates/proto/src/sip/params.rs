//! Parameters behind a header's value: `;tag=1;lr;text="a b"`.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

use super::grammar::{Cursor, SyntaxError, TOKEN, is_token, unquote_value, write_quoted};

/// Parameters in their order, as their sender wrote them.
///
/// Names compare without case; values are kept raw, so that what is copied stays the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Params {
    /// Each parameter with its leading `;`; valid by construction.
    text: String,
}

impl Params {
    /// No parameters.
    pub const fn new() -> Self {
        Self { text: String::new() }
    }

    /// What a reader of the grammar has checked.
    pub(crate) fn from_checked(text: &str) -> Self {
        Self { text: text.into() }
    }

    /// The value as written, quotes included; `Some("")` for a flag such as `lr`.
    pub fn get(&self, name: &str) -> Option<&str> {
        find_param(&self.text, name)
    }

    /// The value as it was meant: quotes and `\x` pairs resolved.
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(unquote_value)
    }

    /// Whether the parameter is there, with or without a value.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Every parameter in order; a flag's value is empty.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        ParamIter { cursor: Cursor::new(&self.text) }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Sets one parameter, in its old place where it was there; an empty value makes a flag.
    ///
    /// A value that is neither a token nor an address is quoted. A name that is no token is
    /// ignored, for no message may hold it.
    pub fn set(&mut self, name: &str, value: &str) {
        debug_assert!(is_token(name), "a parameter's name is a token: {name:?}");
        if !is_token(name) {
            return;
        }
        let mut text = String::with_capacity(self.text.len() + name.len() + value.len() + 2);
        let mut is_set = false;
        for (old_name, old_value) in self.iter() {
            if !old_name.eq_ignore_ascii_case(name) {
                push_raw(&mut text, old_name, old_value);
            } else if !is_set {
                push_param(&mut text, name, value);
                is_set = true;
            }
        }
        if !is_set {
            push_param(&mut text, name, value);
        }
        self.text = text;
    }

    /// The same parameters and one more.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    /// Takes one parameter away; whether it was there.
    pub fn remove(&mut self, name: &str) -> bool {
        let mut text = String::with_capacity(self.text.len());
        let mut found = false;
        for (old_name, old_value) in self.iter() {
            if old_name.eq_ignore_ascii_case(name) {
                found = true;
            } else {
                push_raw(&mut text, old_name, old_value);
            }
        }
        self.text = text;
        found
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn push_raw(text: &mut String, name: &str, value: &str) {
    text.push(';');
    text.push_str(name);
    if !value.is_empty() {
        text.push('=');
        text.push_str(value);
    }
}

fn push_param(text: &mut String, name: &str, value: &str) {
    if value.is_empty() || is_plain_value(value) {
        return push_raw(text, name, value);
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    // Writing to a String cannot fail.
    let _ = write_quoted(&mut quoted, value);
    push_raw(text, name, &quoted);
}

fn is_plain_value(value: &str) -> bool {
    let mut cursor = Cursor::new(value);
    plain_value(&mut cursor).is_ok() && cursor.is_end()
}

/// The value of one parameter in a checked text.
pub(crate) fn find_param<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    ParamIter { cursor: Cursor::new(text) }
        .find(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// Reads all parameters that follow and returns them as written; maybe none.
pub(crate) fn read_params<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, SyntaxError> {
    cursor.skip_space();
    let start = cursor.at();
    let mut end = start;
    while read_param(cursor)?.is_some() {
        end = cursor.at();
    }
    cursor.seek(end);
    Ok(cursor.since(start))
}

/// Reads `;name` or `;name=value`; `None` where no semicolon follows.
fn read_param<'a>(cursor: &mut Cursor<'a>) -> Result<Option<(&'a str, &'a str)>, SyntaxError> {
    if !cursor.eat_separator(b';') {
        return Ok(None);
    }
    let name = cursor.token("a parameter's name after the semicolon")?;
    if !cursor.eat_separator(b'=') {
        return Ok(Some((name, "")));
    }
    if cursor.peek() == Some(b'"') {
        let start = cursor.at();
        cursor.quoted()?;
        return Ok(Some((name, cursor.since(start))));
    }
    Ok(Some((name, plain_value(cursor)?)))
}

/// Reads a token or a host, IPv6 with or without brackets (RFC 5118 §4.5 wants both read).
fn plain_value<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, SyntaxError> {
    const EXPECTED: &str = "a token, an address or a quoted string after the equals sign";
    let start = cursor.at();
    let is_bracketed = cursor.eat(b'[');
    let inner_start = cursor.at();
    while !cursor.run(TOKEN).is_empty() || cursor.eat(b':') {}
    let inner = cursor.since(inner_start);
    let is_address = inner.contains(':') && inner.parse::<Ipv6Addr>().is_ok();
    let is_right = match is_bracketed {
        true => cursor.eat(b']') && is_address,
        false => is_address || is_token(inner),
    };
    if is_right { Ok(cursor.since(start)) } else { Err(SyntaxError::new(start, EXPECTED)) }
}

/// Walks over parameters that were checked before.
struct ParamIter<'a> {
    cursor: Cursor<'a>,
}

impl<'a> Iterator for ParamIter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        read_param(&mut self.cursor).ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Params, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let params = Params::from_checked(read_params(&mut cursor)?);
        cursor.finish("a semicolon")?;
        Ok(params)
    }

    #[test]
    fn parameters_are_found_whatever_case_and_space_they_have() {
        let params =
            read(" ;  Tag =  abc ; lr;text = \"a; \\\"b\\\"\" ;received=[2001:db8::1]").unwrap();
        assert_eq!(params.get("tag"), Some("abc"));
        assert_eq!(params.get("LR"), Some(""));
        assert_eq!(params.text("text").as_deref(), Some("a; \"b\""));
        assert_eq!(params.get("received"), Some("[2001:db8::1]"));
        assert_eq!(params.get("absent"), None);
    }

    #[test]
    fn stray_separators_and_missing_values_are_refused() {
        for text in [";;a", ";", ";a=;b", ";a==b", ";a=\"b", ";a=1:2", ";received=[1.2.3.4]"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn parameter_set_replaces_the_old_one_in_its_place() {
        let mut params = read(";rport;branch=z9;TAG=1").unwrap();
        params.set("rport", "5060");
        params.set("tag", "two words");
        params.set("received", "2001:db8::1");
        assert!(params.remove("branch"));
        assert_eq!(params.to_string(), ";rport=5060;tag=\"two words\";received=2001:db8::1");
    }
}
