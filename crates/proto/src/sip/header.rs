//! The headers of one message: an ordered list in one buffer, with typed readers.

use std::fmt::{self, Write as _};
use std::net::SocketAddr;
use std::ops::Range;

use super::challenge::Challenge;
use super::grammar::{Cursor, SyntaxError, Token, trim};
use super::message::Method;
use super::name::Name;
use super::value::{
    MediaType, NameAddr, RAck, Reason, SessionExpires, Via, check_call_id, read_cseq, read_list,
};

/// Why a header does not say what was asked of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The header is there and is not what its grammar wants. Its sender repairs it.
    #[error("{name} is malformed")]
    Malformed {
        /// Which header.
        name: Name,
        /// Where in its value, and what would be right.
        #[source]
        cause: SyntaxError,
    },
    /// The header is not there. Its sender repairs it.
    #[error("{0} is missing")]
    Missing(Name),
    /// The header may stand once and stands more than once. Its sender repairs it.
    #[error("{0} appears more than once")]
    Repeated(Name),
}

/// The headers of one message, in their order.
///
/// All text lives in one buffer, so that reading a message costs two allocations. Values are
/// unfolded and trimmed; what is appended loses its line breaks, so that no value can start a
/// header of its own. Content-Length is not kept: a body knows its length.
#[derive(Clone, Default)]
pub struct Headers {
    text: String,
    lines: Vec<Line>,
}

/// One header: where its name and its value stand in the buffer.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// `None` for a header of others, whose name is in `label`.
    pub(crate) name: Option<Name>,
    pub(crate) label: Range<u32>,
    pub(crate) value: Range<u32>,
}

impl Headers {
    /// No headers, with room for the usual number of them.
    pub fn new() -> Self {
        Self { text: String::with_capacity(512), lines: Vec::with_capacity(16) }
    }

    /// What the parser has split.
    pub(crate) const fn from_lines(text: String, lines: Vec<Line>) -> Self {
        Self { text, lines }
    }

    /// Appends one header; CR and LF in the value become spaces.
    pub fn push(&mut self, name: Name, value: impl fmt::Display) {
        let at = self.lines.len();
        self.insert(at, name, value);
    }

    /// Appends a header that SIP does not define; CR and LF in the value become spaces.
    pub fn push_other(&mut self, name: &Token, value: impl fmt::Display) {
        let known = Name::from_text(name.as_str());
        let label = self.append(name);
        let value = self.append(value);
        self.lines.push(Line { name: known, label, value });
    }

    /// Inserts one header above the first of its name, or above all where there is none.
    pub fn insert_top(&mut self, name: Name, value: impl fmt::Display) {
        let at = self.lines.iter().position(|line| line.name == Some(name)).unwrap_or(0);
        self.insert(at, name, value);
    }

    /// Puts one header in the place of all of its name, at the end where there was none.
    pub fn set(&mut self, name: Name, value: impl fmt::Display) {
        let at = self.lines.iter().position(|line| line.name == Some(name));
        self.remove(name);
        self.insert(at.unwrap_or(self.lines.len()), name, value);
    }

    /// Takes away all headers of the name and says how many there were.
    pub fn remove(&mut self, name: Name) -> usize {
        let before = self.lines.len();
        self.lines.retain(|line| line.name != Some(name));
        before - self.lines.len()
    }

    /// Appends every header of the name that `other` has, unchanged and in its order.
    pub fn copy_from(&mut self, other: &Self, name: Name) {
        for value in other.get_all(name) {
            self.push(name, value);
        }
    }

    /// The first value of the name, lists uncut.
    pub fn get(&self, name: Name) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Every value of the name in order, lists uncut.
    pub fn get_all(&self, name: Name) -> impl Iterator<Item = &str> {
        let lines = self.lines.iter().filter(move |line| line.name == Some(name));
        lines.map(|line| self.slice(&line.value))
    }

    /// The first value of a header that SIP does not define; the name in any case.
    pub fn get_other(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether a header of the name is there.
    pub fn has(&self, name: Name) -> bool {
        self.get(name).is_some()
    }

    /// Every header with its name as it is written on the wire.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().map(|line| {
            let name = match line.name {
                Some(name) => name.as_str(),
                None => self.slice(&line.label),
            };
            (name, self.slice(&line.value))
        })
    }

    /// How many headers there are.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Appends all headers as they go over the wire.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
    }

    fn slice(&self, span: &Range<u32>) -> &str {
        &self.text[span.start as usize..span.end as usize]
    }

    fn insert(&mut self, at: usize, name: Name, value: impl fmt::Display) {
        if name == Name::ContentLength {
            return;
        }
        let value = self.append(value);
        self.lines.insert(at, Line { name: Some(name), label: 0..0, value });
    }

    /// Appends a text to the buffer, on one line and trimmed, and says where it stands.
    fn append(&mut self, text: impl fmt::Display) -> Range<u32> {
        let start = self.text.len();
        // Writing to a String fails only if the value's own Display does; it then ends there.
        let _ = write!(self.text, "{text}");
        if self.text.as_bytes()[start..].iter().any(|octet| matches!(octet, b'\r' | b'\n')) {
            let tail = self.text.split_off(start);
            self.text.extend(tail.chars().map(|sign| match sign {
                '\r' | '\n' => ' ',
                sign => sign,
            }));
        }
        let tail = &self.text[start..];
        let trimmed = trim(tail);
        let leading = tail.find(trimmed).unwrap_or(0);
        let (start, end) = (start + leading, start + leading + trimmed.len());
        to_u32(start)..to_u32(end)
    }
}

/// What the headers say.
impl Headers {
    /// The hop that sent the message last: its first Via.
    pub fn via_top(&self) -> Result<Via, HeaderError> {
        let text = self.get(Name::Via).ok_or(HeaderError::Missing(Name::Via))?;
        Via::read(&mut Cursor::new(text)).map_err(|cause| malformed(Name::Via, cause))
    }

    /// Every hop, the last sender first.
    pub fn vias(&self) -> Result<Vec<Via>, HeaderError> {
        self.list(Name::Via, Via::read)
    }

    /// Who started the dialog.
    pub fn from(&self) -> Result<NameAddr, HeaderError> {
        self.single(Name::From, NameAddr::parse)
    }

    /// Whom the dialog was started with.
    pub fn to(&self) -> Result<NameAddr, HeaderError> {
        self.single(Name::To, NameAddr::parse)
    }

    /// The name of the call; compare it octet by octet.
    pub fn call_id(&self) -> Result<&str, HeaderError> {
        let call_id = self.only(Name::CallId)?.ok_or(HeaderError::Missing(Name::CallId))?;
        check_call_id(call_id).map_err(|cause| malformed(Name::CallId, cause))?;
        Ok(call_id)
    }

    /// The number and the method of the request that this is or answers.
    pub fn cseq(&self) -> Result<(u32, Method), HeaderError> {
        self.single(Name::CSeq, read_cseq)
    }

    /// Where the sender wants to be reached; `*`, which is nowhere, gives no address.
    pub fn contacts(&self) -> Result<Vec<NameAddr>, HeaderError> {
        if self.get(Name::Contact) == Some("*") {
            return Ok(Vec::new());
        }
        self.list(Name::Contact, NameAddr::read)
    }

    /// The proxies that stay in the way, in the order of the headers.
    pub fn record_routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.list(Name::RecordRoute, NameAddr::read)
    }

    /// The proxies that a request still has to visit.
    pub fn routes(&self) -> Result<Vec<NameAddr>, HeaderError> {
        self.list(Name::Route, NameAddr::read)
    }

    /// How many hops the request may still take.
    pub fn max_forwards(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(Name::MaxForwards, number)
    }

    /// How long something holds, in seconds; a number above 32 bits is clamped (§20.19).
    pub fn expires(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(Name::Expires, number)
    }

    /// The shortest registration that the registrar takes, in seconds.
    pub fn min_expires(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(Name::MinExpires, number)
    }

    /// How long the session lives without a refresh, RFC 4028.
    pub fn session_expires(&self) -> Result<Option<SessionExpires>, HeaderError> {
        self.optional(Name::SessionExpires, SessionExpires::parse)
    }

    /// The shortest session interval that a hop takes, in seconds, RFC 4028.
    pub fn min_se(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(Name::MinSe, |text| {
            let mut cursor = Cursor::new(text);
            let seconds = cursor.clamped_number("seconds")?;
            super::params::read_params(&mut cursor)?;
            cursor.finish("a semicolon or the end").map(|()| seconds)
        })
    }

    /// Extensions that the sender knows.
    pub fn supported(&self) -> impl Iterator<Item = &str> {
        self.words(Name::Supported)
    }

    /// Extensions without which the sender does not go on.
    pub fn require(&self) -> impl Iterator<Item = &str> {
        self.words(Name::Require)
    }

    /// Methods that the sender takes.
    pub fn allow(&self) -> impl Iterator<Item = Method> {
        self.words(Name::Allow).filter_map(Method::parse)
    }

    /// Whether the sender knows an extension such as `timer`.
    pub fn supports(&self, option: &str) -> bool {
        self.supported().any(|other| other.eq_ignore_ascii_case(option))
    }

    /// The words of a comma-separated header, empty ones left out.
    pub fn words(&self, name: Name) -> impl Iterator<Item = &str> {
        let values = self.get_all(name).flat_map(|value| value.split(','));
        values.map(trim).filter(|word| !word.is_empty())
    }

    /// What a server (401) wants to see before it goes on, one challenge a header.
    pub fn www_authenticate(&self) -> Result<Vec<Challenge>, HeaderError> {
        self.challenges(Name::WwwAuthenticate)
    }

    /// What a proxy (407) wants to see before it goes on, one challenge a header.
    pub fn proxy_authenticate(&self) -> Result<Vec<Challenge>, HeaderError> {
        self.challenges(Name::ProxyAuthenticate)
    }

    /// Why it happened, one Reason a protocol, RFC 3326.
    pub fn reasons(&self) -> Result<Vec<Reason>, HeaderError> {
        self.list(Name::Reason, Reason::read)
    }

    /// The cause in the telephone network's numbers, where a Reason says it.
    ///
    /// Reads past headers that are malformed: a cause is news, never worth an error.
    pub fn q850_cause(&self) -> Option<u16> {
        let mut cause = None;
        for value in self.get_all(Name::Reason) {
            let _ = read_list(value, Reason::read, |reason| {
                cause = cause.or(if reason.is_q850() { reason.cause } else { None });
            });
        }
        cause
    }

    /// Seconds after which asking again makes sense; the comment and parameters are left out.
    pub fn retry_after(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(Name::RetryAfter, |text| Cursor::new(text).clamped_number("seconds"))
    }

    /// What the body is.
    pub fn content_type(&self) -> Result<Option<MediaType>, HeaderError> {
        self.optional(Name::ContentType, MediaType::parse)
    }

    /// The number of a reliable provisional response, RFC 3262.
    pub fn rseq(&self) -> Result<Option<u32>, HeaderError> {
        self.optional(Name::RSeq, |text| {
            let mut cursor = Cursor::new(text);
            let number = cursor.number("a number below 2^32")?;
            cursor.finish("nothing behind the number").map(|()| number)
        })
    }

    /// What a PRACK acknowledges, RFC 3262.
    pub fn rack(&self) -> Result<Option<RAck>, HeaderError> {
        self.optional(Name::RAck, RAck::parse)
    }

    /// Writes into the first Via how the receiver saw its sender: `received` and `rport`.
    ///
    /// RFC 3261 §18.2.1: `received` where the sender's own account differs; RFC 3581 §4: both
    /// where it asks for `rport`. Responses to the request then go to where it came from.
    pub fn stamp_via(&mut self, source: SocketAddr) -> Result<(), HeaderError> {
        let at = self.lines.iter().position(|line| line.name == Some(Name::Via));
        let at = at.ok_or(HeaderError::Missing(Name::Via))?;
        let text = self.slice(&self.lines[at].value);
        let mut cursor = Cursor::new(text);
        let mut via = Via::read(&mut cursor).map_err(|cause| malformed(Name::Via, cause))?;
        let rest = cursor.rest().to_owned();
        let wants_port = via.rport().is_some();
        if wants_port || via.host.ip() != Some(source.ip()) {
            via.params.set("received", &source.ip().to_string());
        }
        if wants_port {
            via.params.set("rport", &source.port().to_string());
        }
        self.lines[at].value = self.append(format_args!("{via}{rest}"));
        Ok(())
    }

    /// Checks what every message is matched by and returns CSeq's method.
    pub(crate) fn check_core(&self) -> Result<Method, HeaderError> {
        if !self.has(Name::Via) {
            return Err(HeaderError::Missing(Name::Via));
        }
        self.check_list(Name::Via, Via::check)?;
        self.single(Name::From, NameAddr::check_whole)?;
        self.single(Name::To, NameAddr::check_whole)?;
        self.call_id()?;
        Ok(self.cseq()?.1)
    }

    /// Checks every Contact without keeping it.
    pub(crate) fn check_contacts(&self) -> Result<(), HeaderError> {
        if self.get(Name::Contact) == Some("*") && self.get_all(Name::Contact).count() == 1 {
            return Ok(());
        }
        self.check_list(Name::Contact, NameAddr::check)
    }

    fn check_list(
        &self,
        name: Name,
        check: impl Fn(&mut Cursor<'_>) -> Result<(), SyntaxError>,
    ) -> Result<(), HeaderError> {
        self.get_all(name)
            .try_for_each(|value| read_list(value, &check, |()| {}))
            .map_err(|cause| malformed(name, cause))
    }

    fn challenges(&self, name: Name) -> Result<Vec<Challenge>, HeaderError> {
        let read = self.get_all(name).map(Challenge::parse);
        read.collect::<Result<_, _>>().map_err(|cause| malformed(name, cause))
    }

    /// The value of a header that may stand once.
    fn only(&self, name: Name) -> Result<Option<&str>, HeaderError> {
        let mut values = self.get_all(name);
        let value = values.next();
        if values.next().is_some() {
            return Err(HeaderError::Repeated(name));
        }
        Ok(value)
    }

    fn optional<T>(
        &self,
        name: Name,
        read: impl FnOnce(&str) -> Result<T, SyntaxError>,
    ) -> Result<Option<T>, HeaderError> {
        let value = self.only(name)?;
        value.map(read).transpose().map_err(|cause| malformed(name, cause))
    }

    fn single<T>(
        &self,
        name: Name,
        read: impl FnOnce(&str) -> Result<T, SyntaxError>,
    ) -> Result<T, HeaderError> {
        self.optional(name, read)?.ok_or(HeaderError::Missing(name))
    }

    fn list<T>(
        &self,
        name: Name,
        mut read: impl FnMut(&mut Cursor<'_>) -> Result<T, SyntaxError>,
    ) -> Result<Vec<T>, HeaderError> {
        let mut list = Vec::new();
        for value in self.get_all(name) {
            read_list(value, &mut read, |item| list.push(item))
                .map_err(|cause| malformed(name, cause))?;
        }
        Ok(list)
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

const fn malformed(name: Name, cause: SyntaxError) -> HeaderError {
    HeaderError::Malformed { name, cause }
}

/// Digits alone; a number above 32 bits is clamped.
fn number(text: &str) -> Result<u32, SyntaxError> {
    let mut cursor = Cursor::new(text);
    let number = cursor.clamped_number("a number")?;
    cursor.finish("nothing behind the number").map(|()| number)
}

/// A place in the buffer. Its text is a message's head (64 kB) and what we append to it.
fn to_u32(offset: usize) -> u32 {
    u32::try_from(offset).expect("the headers of one message are far below 4 GB")
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
