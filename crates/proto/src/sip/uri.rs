//! Addresses: sip, sips and tel URIs, and whatever else somebody writes before a colon.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::str::FromStr;

use super::grammar::{
    Escaped, PASSWORD, SyntaxError, URI, URI_HEADER, URI_PARAM, USER, check_escaped, escape, find,
    is, unescape,
};
use super::host::{HostPort, read_host_port};

pub use super::host::Host;

/// Longest URI, in octets: no device has a longer one, and it bounds what is compared.
const URI_BYTES_MAX: usize = 4_096;
/// Most parameters, and most headers, of a URI: comparing two looks at each pair of them.
const URI_PARAMS_MAX: usize = 64;

/// Which kind of address a URI is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`, which asks for TLS all the way.
    Sips,
    /// `tel:`, RFC 3966.
    Tel,
    /// Anything else; such a URI is opaque.
    Other,
}

/// A URI that was read whole: what it is made of, and its text unchanged.
///
/// `==` compares the text; [`Uri::same_as`] compares as RFC 3261 §19.1.4 wants it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uri {
    text: Box<str>,
    scheme: Scheme,
    /// Of sip and sips: the user; of tel: the number.
    user: Option<Range<u16>>,
    password: Option<Range<u16>>,
    host: Option<Host>,
    port: Option<u16>,
    /// Parameters with their leading `;`.
    params: Range<u16>,
    /// Headers without their leading `?`.
    headers: Range<u16>,
}

impl Uri {
    /// Reads a whole text as one URI.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let (scheme, body, parts) = read_parts(text)?;
        let moved = |span: Range<usize>| to_u16(span.start + body)..to_u16(span.end + body);
        Ok(Self {
            text: text.into(),
            scheme,
            user: parts.user.map(moved),
            password: parts.password.map(moved),
            host: parts.host.as_ref().map(HostPort::host),
            port: parts.host.and_then(|host| host.port),
            params: moved(parts.params),
            headers: moved(parts.headers),
        })
    }

    /// `sip:[user@]host[:port]`; whatever the user part may not hold is escaped.
    pub fn sip(user: Option<&str>, host: &Host, port: Option<u16>) -> Self {
        Self::build("sip:", user, host, port)
    }

    /// `sips:[user@]host[:port]`; whatever the user part may not hold is escaped.
    pub fn sips(user: Option<&str>, host: &Host, port: Option<u16>) -> Self {
        Self::build("sips:", user, host, port)
    }

    fn build(scheme: &str, user: Option<&str>, host: &Host, port: Option<u16>) -> Self {
        let mut text = String::from(scheme);
        let scheme = if scheme == "sips:" { Scheme::Sips } else { Scheme::Sip };
        let user = user.filter(|user| !user.is_empty()).map(|user| {
            let start = text.len();
            escape(user, USER, &mut text);
            let span = to_u16(start)..to_u16(text.len());
            text.push('@');
            span
        });
        text.push_str(&host.to_string());
        if let Some(port) = port {
            text.push(':');
            text.push_str(&port.to_string());
        }
        let end = to_u16(text.len());
        let host = Some(host.clone());
        let (params, headers) = (end..end, end..end);
        Self { text: text.into(), scheme, user, password: None, host, port, params, headers }
    }

    /// The same URI with one parameter more, or changed; an empty value makes a flag.
    pub fn with_param(&self, name: &str, value: &str) -> Self {
        let mut text = self.text[..usize::from(self.params.start)].to_owned();
        for (old_name, old_value) in self.params() {
            if !same_escaped(old_name, name) {
                push_param(&mut text, old_name, old_value);
            }
        }
        let mut escaped = (String::new(), String::new());
        escape(name, URI_PARAM, &mut escaped.0);
        escape(value, URI_PARAM, &mut escaped.1);
        push_param(&mut text, &escaped.0, &escaped.1);
        if !self.headers.is_empty() {
            text.push('?');
            text.push_str(self.slice(&self.headers));
        }
        // Only a URI that grows past its limit is refused; it then stays as it was.
        Self::parse(&text).unwrap_or_else(|_| self.clone())
    }

    /// The same URI with one header more (RFC 3261 §19.1.1); whatever it may not hold is escaped.
    ///
    /// `None` where it grows past the limit of URIs, or is of a scheme without headers.
    pub fn with_header(&self, name: &str, value: &str) -> Option<Self> {
        if !matches!(self.scheme, Scheme::Sip | Scheme::Sips) {
            return None;
        }
        let mut text = self.text.clone().into_string();
        text.push(if self.headers.is_empty() { '?' } else { '&' });
        escape(name, URI_HEADER, &mut text);
        text.push('=');
        escape(value, URI_HEADER, &mut text);
        Self::parse(&text).ok()
    }

    /// The same URI as a Request-URI may hold it: without headers and `method` parameter.
    ///
    /// RFC 3261 §19.1.1, table 1: neither may stand in a Request-URI.
    pub fn for_request_line(&self) -> Cow<'_, Self> {
        if self.headers.is_empty() && self.param("method").is_none() {
            return Cow::Borrowed(self);
        }
        let mut text = self.text[..usize::from(self.params.start)].to_owned();
        for (name, value) in self.params() {
            if !same_escaped(name, "method") {
                push_param(&mut text, name, value);
            }
        }
        Cow::Owned(Self::parse(&text).unwrap_or_else(|_| self.clone()))
    }

    /// The URI as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Which kind of address it is.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The user, or the number of a tel URI, escapes and all.
    pub fn user(&self) -> Option<&str> {
        self.user.as_ref().map(|span| self.slice(span))
    }

    /// The user's octets with escapes resolved; they may hold anything, NUL too.
    pub fn user_octets(&self) -> Option<Cow<'_, [u8]>> {
        self.user().map(unescape)
    }

    /// The password, escapes and all.
    pub fn password(&self) -> Option<&str> {
        self.password.as_ref().map(|span| self.slice(span))
    }

    /// The host of a sip or sips URI.
    pub const fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// The port, where one is written.
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// Where a literal address points: its port or the scheme's default, 5060 or 5061.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        let default = if self.scheme == Scheme::Sips { 5061 } else { 5060 };
        Some(SocketAddr::new(self.host()?.ip()?, self.port.unwrap_or(default)))
    }

    /// A parameter's value, escapes and all; `Some("")` for a flag such as `lr`.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().find(|(other, _)| same_escaped(other, name)).map(|(_, value)| value)
    }

    /// Whether the URI is a loose router's (`lr`, RFC 3261 §16.12).
    pub fn is_loose_router(&self) -> bool {
        self.param("lr").is_some()
    }

    /// Every parameter in order, escapes and all; a flag's value is empty.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self.slice(&self.params);
        text.split(';').skip(1).map(|param| param.split_once('=').unwrap_or((param, "")))
    }

    /// Every header in order, escapes and all.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self.slice(&self.headers);
        text.split('&')
            .filter(|header| !header.is_empty())
            .map(|header| header.split_once('=').unwrap_or((header, "")))
    }

    /// Whether both are the same address by RFC 3261 §19.1.4, or RFC 3966 §4 for tel.
    pub fn same_as(&self, other: &Self) -> bool {
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Sip | Scheme::Sips => self.same_sip(other),
            Scheme::Tel => {
                let number = |uri: &Self| {
                    let digits = uri.user().unwrap_or_default().bytes();
                    let digits = digits.filter(|octet| !is_visual_separator(*octet));
                    digits.map(|octet| octet.to_ascii_lowercase()).collect::<Vec<_>>()
                };
                number(self) == number(other) && self.has_all(other) && other.has_all(self)
            }
            Scheme::Other => self.text == other.text,
        }
    }

    fn same_sip(&self, other: &Self) -> bool {
        /// Parameters that make a difference even where only one URI has them.
        const DECISIVE: [&str; 5] = ["maddr", "method", "transport", "ttl", "user"];
        let same_text = |one: Option<&str>, two: Option<&str>| match (one, two) {
            (Some(one), Some(two)) => comparable(one).eq(comparable(two)),
            (None, None) => true,
            _ => false,
        };
        let same_hosts = match (&self.host, &other.host) {
            (Some(one), Some(two)) => one.same_as(two),
            _ => false,
        };
        same_hosts
            && self.port == other.port
            && same_text(self.user(), other.user())
            && same_text(self.password(), other.password())
            && DECISIVE.iter().all(|name| self.param(name).is_some() == other.param(name).is_some())
            && self.params().all(|(name, value)| {
                other.param(name).is_none_or(|other_value| same_escaped(value, other_value))
            })
            && same_headers(self, other)
    }

    /// Whether every parameter of `other` is here with the same value.
    fn has_all(&self, other: &Self) -> bool {
        other.params().all(|(name, value)| {
            self.param(name).is_some_and(|own_value| same_escaped(own_value, value))
        })
    }

    fn slice(&self, span: &Range<u16>) -> &str {
        &self.text[usize::from(span.start)..usize::from(span.end)]
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uri({})", self.text)
    }
}

impl FromStr for Uri {
    type Err = SyntaxError;

    fn from_str(text: &str) -> Result<Self, SyntaxError> {
        Self::parse(text)
    }
}

/// Where the parts of a URI stand behind its scheme.
struct Parts<'a> {
    user: Option<Range<usize>>,
    password: Option<Range<usize>>,
    host: Option<HostPort<'a>>,
    params: Range<usize>,
    headers: Range<usize>,
}

/// Reads a URI and says where the text behind its scheme starts; allocates nothing.
fn read_parts(text: &str) -> Result<(Scheme, usize, Parts<'_>), SyntaxError> {
    if text.len() > URI_BYTES_MAX {
        return Err(SyntaxError::new(URI_BYTES_MAX, "a URI of at most 4096 octets"));
    }
    let colon = find(text, b':').unwrap_or(0);
    let scheme = check_scheme(&text[..colon])?;
    let start = colon + 1;
    let body = &text[start..];
    let parts = match scheme {
        Scheme::Sip | Scheme::Sips => read_sip(body),
        Scheme::Tel => read_tel(body),
        Scheme::Other => read_opaque(body),
    };
    Ok((scheme, start, parts.map_err(|error| error.shifted(start))?))
}

/// Whether a text is a URI; allocates nothing.
pub(crate) fn check_uri(text: &str) -> Result<(), SyntaxError> {
    read_parts(text).map(|_| ())
}

fn check_scheme(text: &str) -> Result<Scheme, SyntaxError> {
    let is_right = text.starts_with(|sign: char| sign.is_ascii_alphabetic())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+-.".contains(&octet));
    match text {
        _ if !is_right => Err(SyntaxError::new(0, "a scheme such as sip and a colon")),
        _ if text.eq_ignore_ascii_case("sip") => Ok(Scheme::Sip),
        _ if text.eq_ignore_ascii_case("sips") => Ok(Scheme::Sips),
        _ if text.eq_ignore_ascii_case("tel") => Ok(Scheme::Tel),
        _ => Ok(Scheme::Other),
    }
}

/// `[user[:password]@]host[:port][;params][?headers]`, RFC 3261 §19.1.1.
fn read_sip(text: &str) -> Result<Parts<'_>, SyntaxError> {
    // Neither parameters nor headers may hold an @ unescaped: the first one ends the user.
    let at = find(text, b'@');
    let mut user = None;
    let mut password = None;
    if let Some(at) = at {
        let colon = find(&text[..at], b':');
        let user_end = colon.unwrap_or(at);
        if user_end == 0 {
            return Err(SyntaxError::new(0, "a user before the @"));
        }
        check_escaped(&text[..user_end], USER, "a character that a user may have")?;
        user = Some(0..user_end);
        if let Some(colon) = colon {
            let start = colon + 1;
            check_escaped(&text[start..at], PASSWORD, "a character that a password may have")
                .map_err(|error| error.shifted(start))?;
            password = Some(start..at);
        }
    }
    let host_start = at.map_or(0, |at| at + 1);
    let host = read_host_port(&text[host_start..]).map_err(|error| error.shifted(host_start))?;
    let params_start = host_start + host.taken;
    let question = find(&text[params_start..], b'?').map(|offset| params_start + offset);
    let params = params_start..question.unwrap_or(text.len());
    check_params(&text[params.clone()]).map_err(|error| error.shifted(params.start))?;
    let headers = question.map_or(text.len(), |question| question + 1)..text.len();
    if question.is_some() {
        check_headers(&text[headers.clone()]).map_err(|error| error.shifted(headers.start))?;
    }
    Ok(Parts { user, password, host: Some(host), params, headers })
}

/// `number[;params]`, RFC 3966 §3.
fn read_tel(text: &str) -> Result<Parts<'_>, SyntaxError> {
    let end = text.find(';').unwrap_or(text.len());
    let number = &text[..end];
    let digits = number.strip_prefix('+').unwrap_or(number);
    let is_global = digits.len() < number.len();
    let is_digit = |octet: u8| match is_global {
        true => octet.is_ascii_digit(),
        false => octet.is_ascii_hexdigit() || b"*#".contains(&octet),
    };
    let is_right = digits.bytes().all(|octet| is_digit(octet) || is_visual_separator(octet))
        && digits.bytes().any(is_digit);
    if !is_right {
        return Err(SyntaxError::new(0, "a telephone number"));
    }
    check_params(&text[end..]).map_err(|error| error.shifted(end))?;
    let headers = text.len()..text.len();
    let params = end..text.len();
    Ok(Parts { user: Some(0..end), password: None, host: None, params, headers })
}

fn read_opaque(text: &str) -> Result<Parts<'_>, SyntaxError> {
    if text.is_empty() {
        return Err(SyntaxError::new(0, "something after the colon"));
    }
    if let Some(at) = text.bytes().position(|octet| !is(octet, URI)) {
        return Err(SyntaxError::new(at, "no space, quote or bracket inside a URI"));
    }
    let end = text.len()..text.len();
    let (params, headers) = (end.clone(), end);
    Ok(Parts { user: None, password: None, host: None, params, headers })
}

/// `*(";" name ["=" value])`, already cut at the question mark.
fn check_params(text: &str) -> Result<(), SyntaxError> {
    const EXPECTED: &str = "a semicolon and a URI parameter";
    if !text.is_empty() && !text.starts_with(';') {
        return Err(SyntaxError::new(0, EXPECTED));
    }
    let mut at = 0;
    for (count, param) in text.split(';').skip(1).enumerate() {
        at += 1;
        if count == URI_PARAMS_MAX {
            return Err(SyntaxError::new(at, "at most 64 URI parameters"));
        }
        let (name, value) = param.split_once('=').unwrap_or((param, "-"));
        if name.is_empty() || value.is_empty() {
            return Err(SyntaxError::new(at, EXPECTED));
        }
        check_escaped(name, URI_PARAM, EXPECTED).map_err(|error| error.shifted(at))?;
        check_escaped(value, URI_PARAM, EXPECTED)
            .map_err(|error| error.shifted(at + name.len() + 1))?;
        at += param.len();
    }
    Ok(())
}

/// `name "=" value *("&" name "=" value)`.
fn check_headers(text: &str) -> Result<(), SyntaxError> {
    const EXPECTED: &str = "name=value behind the question mark";
    let mut at = 0;
    for (count, header) in text.split('&').enumerate() {
        if count == URI_PARAMS_MAX {
            return Err(SyntaxError::new(at, "at most 64 URI headers"));
        }
        let (name, value) = header.split_once('=').ok_or(SyntaxError::new(at, EXPECTED))?;
        if name.is_empty() {
            return Err(SyntaxError::new(at, EXPECTED));
        }
        check_escaped(name, URI_HEADER, EXPECTED).map_err(|error| error.shifted(at))?;
        check_escaped(value, URI_HEADER, EXPECTED)
            .map_err(|error| error.shifted(at + name.len() + 1))?;
        at += header.len() + 1;
    }
    Ok(())
}

fn same_headers(one: &Uri, two: &Uri) -> bool {
    let has_all = |some: &Uri, others: &Uri| {
        some.headers().all(|(name, value)| {
            others.headers().any(|(other_name, other_value)| {
                same_escaped(name, other_name) && comparable(value).eq(comparable(other_value))
            })
        })
    };
    one.headers().count() == two.headers().count() && has_all(one, two) && has_all(two, one)
}

/// Escapes resolved where RFC 3261 §19.1.4 calls them equal to their character.
fn comparable(text: &str) -> impl Iterator<Item = (u8, bool)> {
    Escaped::new(text).map(|unit| unit.comparable())
}

/// The same without case, as parameters compare.
fn same_escaped(one: &str, two: &str) -> bool {
    let lower = |text| comparable(text).map(|(octet, kept)| (octet.to_ascii_lowercase(), kept));
    lower(one).eq(lower(two))
}

const fn is_visual_separator(octet: u8) -> bool {
    matches!(octet, b'-' | b'.' | b'(' | b')')
}

fn push_param(text: &mut String, name: &str, value: &str) {
    text.push(';');
    text.push_str(name);
    if !value.is_empty() {
        text.push('=');
        text.push_str(value);
    }
}

/// A place inside a URI; those are far below 64 k (`URI_BYTES_MAX`).
fn to_u16(offset: usize) -> u16 {
    u16::try_from(offset).unwrap_or(u16::MAX)
}

#[cfg(test)]
#[path = "uri_tests.rs"]
mod tests;
