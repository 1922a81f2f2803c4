//! From bytes to a message: strict, with limits before any work, and with a reason when it fails.
//!
//! Verdicts are those of RFC 4475 and RFC 5118. A request is checked in all that a 400 could be
//! about; a response, whose sender cannot be told, only in what it is matched by, so that a
//! broken Contact does not cost a call its 200.

use std::fmt;

use bytes::Bytes;
use memchr::{memchr2, memmem};

use super::grammar::{SyntaxError, find, is_stray_control, is_token, trim};
use super::header::{HeaderError, Headers, Line};
use super::message::{Message, Method, Request, Response};
use super::name::Name;
use super::salvage::reply_to_broken;
use super::uri::Uri;

/// Largest message, in octets: what one datagram can hold.
pub const MESSAGE_BYTES_MAX: usize = 65_536;
/// Most headers in one message; real ones have ten to forty.
pub const HEADERS_MAX: usize = 256;
/// Most continuation lines in one message; hardly anybody sends any.
pub const FOLDS_MAX: usize = 64;
/// Longest start line, and longest header with its continuation lines, in octets.
pub const LINE_BYTES_MAX: usize = 8_192;
/// Largest Max-Forwards (RFC 3261 §20.22).
const HOPS_MAX: u32 = 255;

/// Why a message was refused, and where.
///
/// `offset` counts from the first octet that was given, in the text as it was read: a line that
/// is not UTF-8 is read as Latin-1 and counts two octets for each of its signs above ASCII.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, octet {offset}: {fault}")]
pub struct ParseError {
    /// The line, from 1: the start line is the first.
    pub line: usize,
    /// Octets before the fault.
    pub offset: usize,
    /// What is wrong, and what would be right.
    pub fault: Fault,
    reply: Option<Box<Response>>,
}

impl ParseError {
    fn new(fault: Fault, line: usize, offset: usize) -> Self {
        Self { line, offset, fault, reply: None }
    }

    /// A fault in `head`, `offset` octets from its start.
    fn within(fault: Fault, head: &str, offset: usize) -> Self {
        let before = head.as_bytes().get(..offset).unwrap_or(head.as_bytes());
        let line = 1 + before.iter().filter(|octet| **octet == b'\n').count();
        Self::new(fault, line, offset)
    }

    /// A fault of a whole head, with its answer.
    pub(crate) fn of_head(fault: Fault, head: &str) -> Self {
        Self::within(fault, head, head.len()).with_reply(head)
    }

    /// The answer to send, where the message is a request that still says whom to answer.
    ///
    /// That is a request, not an ACK, whose first Via names a host and which has From, To,
    /// Call-ID and CSeq. Their text is given back as it came, a tag is added to a To that can be
    /// read. Status: 505 for another version of SIP, 513 for a message too long, else 400.
    pub fn reply(&self) -> Option<&Response> {
        self.reply.as_deref()
    }

    fn with_reply(mut self, head: &str) -> Self {
        let status = match self.fault {
            Fault::Version => 505,
            Fault::MessageTooLong { .. } => 513,
            _ => 400,
        };
        self.reply = reply_to_broken(head, status, &self.fault).map(Box::new);
        self
    }
}

/// What can be wrong with a message. Its sender repairs all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The body ends before its Content-Length.
    #[error("body has {present} octets, Content-Length says {declared}")]
    BodyShort {
        /// What Content-Length says.
        declared: usize,
        /// What is there.
        present: usize,
    },
    /// A control character stands outside a quoted string's `\x` pair.
    #[error("control character {0:#04x} is allowed only behind a backslash in quotes")]
    Control(u8),
    /// There is nothing, or nothing but line breaks: a keep-alive, no message.
    #[error("message is empty")]
    Empty,
    /// More continuation lines than any honest message has.
    #[error("more than {FOLDS_MAX} continuation lines")]
    FoldsTooMany,
    /// A header is missing, repeated or malformed.
    #[error("{}", HeaderSentence(.0))]
    Header(HeaderError),
    /// A line is no header.
    #[error("expected a header's name and a colon")]
    HeaderLine,
    /// More headers than any honest message has.
    #[error("more than {HEADERS_MAX} headers")]
    HeadersTooMany,
    /// A line ends with CR or LF alone.
    #[error("expected CR LF at the end of the line, found one of them alone")]
    LineBreak,
    /// A line is longer than any honest one.
    #[error("line is longer than {LINE_BYTES_MAX} octets")]
    LineTooLong,
    /// The message is larger than we take.
    #[error("message of {octets} octets or more, at most {MESSAGE_BYTES_MAX} are taken")]
    MessageTooLong {
        /// How large it is at least.
        octets: usize,
    },
    /// The start line and CSeq name different methods.
    #[error("CSeq has the method {cseq}, expected {start}")]
    MethodMismatch {
        /// The method of the start line.
        start: Method,
        /// The method of CSeq.
        cseq: Method,
    },
    /// The Request-URI is none.
    #[error("Request-URI is malformed, expected {}", .0.expected)]
    RequestUri(SyntaxError),
    /// The Request-URI has headers, which RFC 3261 §19.1.1 forbids there.
    #[error("Request-URI has headers, expected none")]
    RequestUriHeaders,
    /// The first line is neither a request's nor a response's.
    #[error("expected METHOD URI SIP/2.0 or SIP/2.0 STATUS REASON, single spaces between")]
    StartLine,
    /// The status is none.
    #[error("expected a status from 100 to 699")]
    Status,
    /// The headers do not end.
    #[error("expected an empty line behind the headers")]
    Unfinished,
    /// Another version of SIP.
    #[error("expected SIP/2.0")]
    Version,
}

/// A header's error and its cause in one sentence, for a reply and a log.
struct HeaderSentence<'a>(&'a HeaderError);

impl fmt::Display for HeaderSentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            HeaderError::Malformed { name, cause } => {
                write!(f, "{name} is malformed, expected {}", cause.expected)
            }
            error => error.fmt(f),
        }
    }
}

/// Whether a datagram only keeps a way open: nothing but line breaks, or nothing.
pub fn is_keep_alive(datagram: &[u8]) -> bool {
    datagram.iter().all(|octet| matches!(octet, b'\r' | b'\n' | 0))
}

/// Reads the message that a datagram holds.
///
/// Line breaks before it are skipped (RFC 3261 §7.5); octets behind its Content-Length are
/// ignored, a body shorter than it is refused, and without one the datagram's end is the body's
/// (§18.3).
pub fn parse_datagram(datagram: &[u8]) -> Result<Message, ParseError> {
    if datagram.len() > MESSAGE_BYTES_MAX {
        let fault = Fault::MessageTooLong { octets: datagram.len() };
        return Err(ParseError::new(fault, 1, MESSAGE_BYTES_MAX));
    }
    let start = leading_line_breaks(datagram);
    let found = read_message(&datagram[start..]);
    found.map_err(|error| ParseError { offset: error.offset + start, ..error })
}

fn read_message(octets: &[u8]) -> Result<Message, ParseError> {
    if octets.is_empty() {
        return Err(ParseError::new(Fault::Empty, 1, 0));
    }
    let Some(head_length) = find_head_end(octets, 0) else {
        return Err(unfinished(octets));
    };
    let head = read_head(&octets[..head_length])?;
    let mut message = head.message?;
    let present = octets.len() - head_length;
    let declared = head.content_length.unwrap_or(present);
    if declared > present {
        let fault = Fault::BodyShort { declared, present };
        let head = as_text(&octets[..head_length]);
        return Err(ParseError::within(fault, &head, head_length).with_reply(&head));
    }
    set_body(&mut message, &octets[head_length..head_length + declared]);
    Ok(message)
}

pub(crate) fn set_body(message: &mut Message, body: &[u8]) {
    // An empty body needs no allocation.
    let body = if body.is_empty() { Bytes::new() } else { Bytes::copy_from_slice(body) };
    match message {
        Message::Request(request) => request.body = body,
        Message::Response(response) => response.body = body,
    }
}

/// How many octets of line breaks stand before a message.
pub(crate) fn leading_line_breaks(octets: &[u8]) -> usize {
    octets.chunks_exact(2).take_while(|pair| pair == b"\r\n").count() * 2
}

/// Where the empty line behind the headers ends, looking from `from` on.
pub(crate) fn find_head_end(octets: &[u8], from: usize) -> Option<usize> {
    memmem::find(&octets[from..], b"\r\n\r\n").map(|at| from + at + 4)
}

fn unfinished(octets: &[u8]) -> ParseError {
    let text = as_text(octets);
    let lone_line_feed = text
        .bytes()
        .enumerate()
        .position(|(at, octet)| octet == b'\n' && !text[..at].ends_with('\r'));
    let error = match lone_line_feed {
        Some(at) => ParseError::within(Fault::LineBreak, &text, at),
        None => ParseError::within(Fault::Unfinished, &text, text.len()),
    };
    error.with_reply(&text)
}

/// What stands before a body.
pub(crate) struct Head {
    /// What Content-Length says, where there is one.
    pub(crate) content_length: Option<usize>,
    /// The message without its body, or why it is none although its end is known.
    pub(crate) message: Result<Message, ParseError>,
}

/// Reads a head with its empty line; fails where not even the body's length can be trusted.
pub(crate) fn read_head(octets: &[u8]) -> Result<Head, ParseError> {
    let head = as_text(octets);
    let head = &*head;
    let parts = split_head(head).map_err(|error| error.with_reply(head))?;
    let Parts { headers, content_length, start_line } = parts;
    let message = read_start_line(start_line)
        .and_then(|start| match start {
            Start::Request(method, uri) => {
                check_request(&method, &headers)?;
                Ok(Message::Request(Request { method, uri, headers, body: Bytes::new() }))
            }
            Start::Response(status, reason) => {
                check_response(&headers)?;
                let reason = reason.to_owned();
                Ok(Message::Response(Response { status, reason, headers, body: Bytes::new() }))
            }
        })
        .map_err(|refusal| refusal.into_error(head).with_reply(head));
    Ok(Head { content_length, message })
}

/// UTF-8, line by line; a line that is not is read as Latin-1, which is what its sender meant.
pub(crate) fn as_text(octets: &[u8]) -> std::borrow::Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(octets) {
        return text.into();
    }
    let mut text = String::with_capacity(octets.len() * 2);
    for line in octets.split_inclusive(|octet| *octet == b'\n') {
        match std::str::from_utf8(line) {
            Ok(line) => text.push_str(line),
            Err(_) => text.extend(line.iter().copied().map(char::from)),
        }
    }
    text.into()
}

/// A head cut into lines.
struct Parts<'a> {
    start_line: &'a str,
    headers: Headers,
    content_length: Option<usize>,
}

/// Cuts a head, which ends with an empty line, into its lines and unfolds them.
fn split_head(head: &str) -> Result<Parts<'_>, ParseError> {
    let (start_line, headers_start) = next_line(head, 0)?;
    check_controls(head)?;
    let end = head.len() - 2;
    let mut text = String::with_capacity(head.len() + 128);
    text.push_str(&head[headers_start..end]);
    let mut lines = Vec::with_capacity(24);
    let mut content_length = None;
    let mut count = 0;
    let mut folds = 0;
    let mut at = headers_start;
    while at < end {
        let start = at;
        let (first, mut next) = next_line(head, at)?;
        let mut value_end = start + first.len();
        let folds_before = folds;
        while matches!(head.as_bytes().get(next), Some(b' ' | b'\t')) {
            let (more, after) = next_line(head, next)?;
            value_end = next + more.len();
            next = after;
            folds += 1;
        }
        at = next;
        count += 1;
        let fault = match () {
            () if folds > FOLDS_MAX => Some(Fault::FoldsTooMany),
            () if count > HEADERS_MAX => Some(Fault::HeadersTooMany),
            () if at - start > LINE_BYTES_MAX => Some(Fault::LineTooLong),
            () => None,
        };
        if let Some(fault) = fault {
            return Err(ParseError::within(fault, head, start));
        }
        let (name, colon) =
            split_name(first).ok_or_else(|| ParseError::within(Fault::HeaderLine, head, start))?;
        let raw = &head[start + colon + 1..value_end];
        let known = Name::from_text(name);
        if known == Some(Name::ContentLength) {
            let value = unfold(raw);
            let length = read_content_length(&value, content_length)
                .map_err(|error| ParseError::within(Fault::Header(error), head, start))?;
            content_length = Some(length);
            continue;
        }
        let label = span(start - headers_start, name.len());
        let value = if folds == folds_before {
            let leading = raw.bytes().take_while(|octet| matches!(octet, b' ' | b'\t')).count();
            let from = start + colon + 1 + leading - headers_start;
            span(from, trim(raw).len())
        } else {
            let from = text.len();
            text.push_str(&unfold(raw));
            span(from, text.len() - from)
        };
        lines.push(Line { name: known, label, value });
    }
    Ok(Parts { start_line, headers: Headers::from_lines(text, lines), content_length })
}

/// The line that starts at `at` and where the next one starts.
fn next_line(head: &str, at: usize) -> Result<(&str, usize), ParseError> {
    let octets = &head.as_bytes()[at..];
    let end = memchr2(b'\r', b'\n', octets).unwrap_or(octets.len());
    if octets.get(end..end + 2) != Some(b"\r\n") {
        return Err(ParseError::within(Fault::LineBreak, head, at + end));
    }
    if end > LINE_BYTES_MAX {
        return Err(ParseError::within(Fault::LineTooLong, head, at + LINE_BYTES_MAX));
    }
    Ok((&head[at..at + end], at + end + 2))
}

/// A header's name and where its colon is.
fn split_name(line: &str) -> Option<(&str, usize)> {
    let colon = find(line, b':')?;
    let name = &line[..colon];
    // Only behind the name may space stand: before it, it would be a fold.
    let name = if name.ends_with([' ', '\t']) { name.trim_end_matches([' ', '\t']) } else { name };
    is_token(name).then_some((name, colon))
}

/// One line from several: each break with the space around it becomes one space.
fn unfold(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    for part in raw.split("\r\n") {
        let part = trim(part);
        if !text.is_empty() && !part.is_empty() {
            text.push(' ');
        }
        text.push_str(part);
    }
    text
}

/// Refuses controls, which are allowed only behind a backslash between quotes.
///
/// Whether there are quotes is left to the grammar of the header; most headers have none at all.
fn check_controls(head: &str) -> Result<(), ParseError> {
    let octets = head.as_bytes();
    let has_any = octets.iter().fold(false, |any, &octet| {
        any | (is_stray_control(octet) & (octet != b'\r') & (octet != b'\n'))
    });
    if !has_any {
        return Ok(());
    }
    let stray = octets.iter().enumerate().position(|(at, &octet)| {
        let is_break = matches!(octet, b'\r' | b'\n');
        is_stray_control(octet) && !is_break && (at == 0 || octets[at - 1] != b'\\')
    });
    match stray {
        Some(at) => Err(ParseError::within(Fault::Control(octets[at]), head, at)),
        None => Ok(()),
    }
}

/// Digits alone, once. More than fits is `usize::MAX`: larger than any message.
fn read_content_length(value: &str, before: Option<usize>) -> Result<usize, HeaderError> {
    let name = Name::ContentLength;
    if before.is_some() {
        return Err(HeaderError::Repeated(name));
    }
    match value.bytes().position(|octet| !octet.is_ascii_digit()) {
        None if !value.is_empty() => Ok(value.parse().unwrap_or(usize::MAX)),
        wrong => {
            let cause = SyntaxError::new(wrong.unwrap_or(0), "octets as digits");
            Err(HeaderError::Malformed { name, cause })
        }
    }
}

/// What the first line says.
enum Start<'a> {
    Request(Method, Uri),
    Response(u16, &'a str),
}

/// Why a head whose length is known is no message.
enum Refusal {
    /// A fault of the first line, so many octets from its start.
    Start(Fault, usize),
    /// A fault of the headers: of which one, if of one, and so many octets into its value.
    Headers(Fault, Option<Name>, usize),
}

impl Refusal {
    fn into_error(self, head: &str) -> ParseError {
        match self {
            Self::Start(fault, at) => ParseError::within(fault, head, at),
            Self::Headers(fault, name, at) => {
                let (line, offset) =
                    name.and_then(|name| find_header(head, name, at)).unwrap_or((1, 0));
                ParseError::new(fault, line, offset)
            }
        }
    }
}

/// The line of the last header of the name, the one too many if it is repeated, and its offset.
///
/// The offset is `at` octets into the value if the header stands on one line, else its start.
fn find_header(head: &str, name: Name, at: usize) -> Option<(usize, usize)> {
    let mut offset = 0;
    let mut found = None;
    for (index, line) in head.split("\r\n").enumerate() {
        if let Some((text, colon)) = split_name(line).filter(|_| index > 0)
            && Name::from_text(text) == Some(name)
        {
            let value = line[colon + 1..].trim_start_matches([' ', '\t']);
            let is_within = at > 0 && at <= value.len();
            let shift = if is_within { line.len() - value.len() + at } else { 0 };
            found = Some((index + 1, offset + shift));
        }
        offset += line.len() + 2;
    }
    found
}

fn read_start_line(line: &str) -> Result<Start<'_>, Refusal> {
    if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        return read_status_line(line);
    }
    let refuse = |fault, at| Err(Refusal::Start(fault, at));
    let mut words = line.split(' ');
    let (Some(method), Some(uri), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return refuse(Fault::StartLine, 0);
    };
    let Some(parsed_method) = Method::parse(method) else {
        return refuse(Fault::StartLine, 0);
    };
    let uri_at = method.len() + 1;
    let version_at = uri_at + uri.len() + 1;
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        let is_other = version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"));
        return refuse(if is_other { Fault::Version } else { Fault::StartLine }, version_at);
    }
    let parsed_uri = Uri::parse(uri).map_err(|cause| {
        let at = uri_at + cause.at;
        Refusal::Start(Fault::RequestUri(cause), at)
    })?;
    if parsed_uri.headers().next().is_some() {
        return refuse(Fault::RequestUriHeaders, uri_at);
    }
    Ok(Start::Request(parsed_method, parsed_uri))
}

/// `SIP/2.0 200 reason`; a missing reason may take its space along.
fn read_status_line(line: &str) -> Result<Start<'_>, Refusal> {
    let (version, rest) = line.split_once(' ').ok_or(Refusal::Start(Fault::StartLine, 0))?;
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err(Refusal::Start(Fault::Version, 0));
    }
    let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
    let is_status = status.len() == 3 && status.bytes().all(|octet| octet.is_ascii_digit());
    let status = status.parse().ok().filter(|status| is_status && (100..700).contains(status));
    let status = status.ok_or(Refusal::Start(Fault::Status, version.len() + 1))?;
    Ok(Start::Response(status, reason))
}

/// Everything that RFC 3261 §8.1.1 makes every request have, and Contact.
fn check_request(method: &Method, headers: &Headers) -> Result<(), Refusal> {
    let cseq = check_core(headers)?;
    if cseq != *method {
        let fault = Fault::MethodMismatch { start: method.clone(), cseq };
        return Err(Refusal::Headers(fault, Some(Name::CSeq), 0));
    }
    if headers.max_forwards().map_err(refuse_header)?.is_some_and(|hops| hops > HOPS_MAX) {
        let cause = SyntaxError::new(0, "a number from 0 to 255");
        return Err(refuse_header(HeaderError::Malformed { name: Name::MaxForwards, cause }));
    }
    headers.check_contacts().map_err(refuse_header)
}

fn check_response(headers: &Headers) -> Result<(), Refusal> {
    check_core(headers).map(|_| ())
}

/// Checks what every message is matched by and returns CSeq's method.
fn check_core(headers: &Headers) -> Result<Method, Refusal> {
    headers.check_core().map_err(refuse_header)
}

fn refuse_header(error: HeaderError) -> Refusal {
    let (name, at) = match &error {
        HeaderError::Malformed { name, cause } => (Some(*name), cause.at),
        HeaderError::Missing(_) => (None, 0),
        HeaderError::Repeated(name) => (Some(*name), 0),
    };
    Refusal::Headers(Fault::Header(error), name, at)
}

fn span(start: usize, length: usize) -> std::ops::Range<u32> {
    let to_u32 = |offset| u32::try_from(offset).expect("a head is at most 128 kB");
    to_u32(start)..to_u32(start + length)
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
