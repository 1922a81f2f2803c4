//! Typed values of headers: what Via, From, Contact, CSeq, Session-Expires and Reason say.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::grammar::{Cursor, SyntaxError, TOKEN, Token, find, trim, unquote, write_quoted};
use super::host::{Host, HostPort, read_host_port};
use super::message::Method;
use super::params::{Params, read_params};
use super::uri::{Uri, check_uri};

/// What every branch starts with that is unique by RFC 3261 §8.1.1.7.
pub const BRANCH_COOKIE: &str = "z9hG4bK";

/// How a message travels, as a Via and a URI's `transport` parameter name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream inside TLS.
    Tls,
    /// Something that we do not speak.
    Other(Token),
}

impl Transport {
    /// Reads a transport's name in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            _ if text.eq_ignore_ascii_case("UDP") => Some(Self::Udp),
            _ if text.eq_ignore_ascii_case("TCP") => Some(Self::Tcp),
            _ if text.eq_ignore_ascii_case("TLS") => Some(Self::Tls),
            _ => Token::new(text).map(Self::Other),
        }
    }

    /// The name as a Via writes it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Other(name) => name.as_str(),
        }
    }

    /// Whether nothing below SIP repeats what gets lost.
    pub const fn is_datagram(&self) -> bool {
        matches!(self, Self::Udp)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One hop of a message's way, RFC 3261 §20.42.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// How the hop sent it.
    pub transport: Transport,
    /// Who sent it, by its own account.
    pub host: Host,
    /// The port it wants answers at, where it says one.
    pub port: Option<u16>,
    /// `branch`, `received`, `rport` and others.
    pub params: Params,
}

impl Via {
    /// Our own hop: the branch, and `rport` by which the far end tells how it sees us.
    pub fn ours(transport: Transport, host: Host, port: Option<u16>, branch: &str) -> Self {
        let params = Params::new().with("branch", branch).with("rport", "");
        Self { transport, host, port, params }
    }

    /// Reads one value; the whole text must be it.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let via = Self::read(&mut cursor)?;
        cursor.finish("a semicolon or the end of the Via")?;
        Ok(via)
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let start = cursor.at();
        let (hop, params) = read_via(cursor)?;
        let transport = Transport::parse(hop.transport);
        let transport = transport.ok_or(SyntaxError::new(start, VIA_PROTOCOL))?;
        let (host, port) = (hop.sender.host(), hop.sender.port);
        Ok(Self { transport, host, port, params: Params::from_checked(params) })
    }

    /// Reads one value and keeps nothing.
    pub(crate) fn check(cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        read_via(cursor).map(|_| ())
    }

    /// The name of the hop's transaction.
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// Whether the branch alone names the transaction; else RFC 3261 §17.2.3 matches by more.
    pub fn has_unique_branch(&self) -> bool {
        let rest = self.branch().and_then(|branch| {
            let cookie = branch.get(..BRANCH_COOKIE.len())?;
            // Tokens compare without case, RFC 3261 §7.3.1.
            cookie.eq_ignore_ascii_case(BRANCH_COOKIE).then(|| &branch[BRANCH_COOKIE.len()..])
        });
        rest.is_some_and(|rest| !rest.is_empty())
    }

    /// The address that the next hop saw, with or without brackets (RFC 5118 §4.5).
    pub fn received(&self) -> Option<IpAddr> {
        self.params.get("received")?.trim_matches(['[', ']']).parse().ok()
    }

    /// The port that the next hop saw (RFC 3581); `Some(None)` asks the next hop to say it.
    pub fn rport(&self) -> Option<Option<u16>> {
        self.params.get("rport").map(|port| port.parse().ok())
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, "{}", self.params)
    }
}

/// How and by whom a hop was sent: enough to know where an answer goes.
pub(crate) struct ViaHop<'a> {
    /// Whether it speaks `SIP/2.0`.
    is_sip_2: bool,
    transport: &'a str,
    sender: HostPort<'a>,
}

/// `SIP / version / transport host[:port]`; allocates nothing.
pub(crate) fn read_via_hop<'a>(cursor: &mut Cursor<'a>) -> Result<ViaHop<'a>, SyntaxError> {
    cursor.skip_space();
    let name = cursor.token(VIA_PROTOCOL)?;
    if !cursor.eat_separator(b'/') {
        return Err(cursor.error(VIA_PROTOCOL));
    }
    let version = cursor.token(VIA_PROTOCOL)?;
    let is_sip_2 = name.eq_ignore_ascii_case("SIP") && version == "2.0";
    if !cursor.eat_separator(b'/') {
        return Err(cursor.error(VIA_PROTOCOL));
    }
    let transport = cursor.token(VIA_PROTOCOL)?;
    let before = cursor.at();
    cursor.skip_space();
    if cursor.at() == before {
        return Err(cursor.error("a space and a host"));
    }
    let start = cursor.at();
    let sender = read_host_port(cursor.rest()).map_err(|error| error.shifted(start))?;
    cursor.seek(start + sender.taken);
    Ok(ViaHop { is_sip_2, transport, sender })
}

/// One Via as it is written; allocates nothing.
fn read_via<'a>(cursor: &mut Cursor<'a>) -> Result<(ViaHop<'a>, &'a str), SyntaxError> {
    let start = cursor.at();
    let hop = read_via_hop(cursor)?;
    if !hop.is_sip_2 {
        return Err(SyntaxError::new(start, VIA_PROTOCOL));
    }
    Ok((hop, read_params(cursor)?))
}

const VIA_PROTOCOL: &str = "SIP/2.0/ and a transport";

/// A name, a URI and parameters: From, To, Contact, Route and their kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The name to show, quotes and `\x` pairs resolved.
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// Parameters of the header, such as `tag`; those of the URI are in `uri`.
    pub params: Params,
}

impl NameAddr {
    /// An address alone.
    pub const fn new(uri: Uri) -> Self {
        Self { display: None, uri, params: Params::new() }
    }

    /// The same address with a tag.
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.set("tag", tag);
        self
    }

    /// Reads one value; the whole text must be it.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let address = Self::read(&mut cursor)?;
        cursor.finish(ADDRESS_END)?;
        Ok(address)
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        let (display, uri, at) = read_address(cursor)?;
        let uri = Uri::parse(uri).map_err(|error| error.shifted(at))?;
        let params = read_params(cursor)?;
        let display = match display {
            Display::Absent => None,
            Display::Quoted(inner) => Some(unquote(inner).into_owned()),
            Display::Words(words) => Some(words.to_owned()),
        };
        Ok(Self { display, uri, params: Params::from_checked(params) })
    }

    /// Reads one value and keeps nothing.
    pub(crate) fn check(cursor: &mut Cursor<'_>) -> Result<(), SyntaxError> {
        let (_, uri, at) = read_address(cursor)?;
        check_uri(uri).map_err(|error| error.shifted(at))?;
        read_params(cursor).map(|_| ())
    }

    /// Reads the whole text as one value and keeps nothing.
    pub(crate) fn check_whole(text: &str) -> Result<(), SyntaxError> {
        let mut cursor = Cursor::new(text);
        Self::check(&mut cursor)?;
        cursor.finish(ADDRESS_END)
    }

    /// The dialog's tag.
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(display) = &self.display {
            write_quoted(f, display)?;
            f.write_str(" ")?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

const ADDRESS_END: &str = "a semicolon or the end of the address";

/// The name before an address, as it is written.
enum Display<'a> {
    Absent,
    /// Without its quotes, `\x` pairs unresolved.
    Quoted(&'a str),
    Words(&'a str),
}

/// `[display] <uri>` or a bare URI, which then has no comma, semicolon or question mark.
///
/// Returns the URI as it is written, unread, and where it stands.
fn read_address<'a>(cursor: &mut Cursor<'a>) -> Result<(Display<'a>, &'a str, usize), SyntaxError> {
    cursor.skip_space();
    let start = cursor.at();
    let display = if cursor.peek() == Some(b'"') {
        let inner = cursor.quoted()?;
        cursor.skip_space();
        if cursor.peek() != Some(b'<') {
            return Err(cursor.error("a URI in angle brackets behind the quoted name"));
        }
        Display::Quoted(inner)
    } else {
        while !cursor.run(TOKEN).is_empty() {
            cursor.skip_space();
        }
        if cursor.peek() != Some(b'<') {
            cursor.seek(start);
            return read_bare_uri(cursor);
        }
        match trim(cursor.since(start)) {
            "" => Display::Absent,
            words => Display::Words(words),
        }
    };
    cursor.eat(b'<');
    let at = cursor.at();
    let rest = cursor.rest();
    let length = find(rest, b'>').ok_or(cursor.error("a closing angle bracket"))?;
    cursor.seek(at + length + 1);
    Ok((display, &rest[..length], at))
}

fn read_bare_uri<'a>(
    cursor: &mut Cursor<'a>,
) -> Result<(Display<'a>, &'a str, usize), SyntaxError> {
    let at = cursor.at();
    let rest = cursor.rest();
    let is_end = |octet: u8| matches!(octet, b' ' | b'\t' | b';' | b',' | b'?');
    let length = rest.bytes().position(is_end).unwrap_or(rest.len());
    if rest[length..].starts_with('?') {
        let expected = "angle brackets around a URI with a question mark";
        return Err(SyntaxError::new(at + length, expected));
    }
    cursor.seek(at + length);
    Ok((Display::Absent, &rest[..length], at))
}

/// `number method`, RFC 3261 §20.16.
pub(crate) fn read_cseq(text: &str) -> Result<(u32, Method), SyntaxError> {
    let mut cursor = Cursor::new(text);
    let number = cursor.number("a number below 2^32")?;
    let start = cursor.at();
    cursor.skip_space();
    if cursor.at() == start {
        return Err(cursor.error("a space and a method"));
    }
    let method = Method::parse(cursor.token("a method")?);
    let method = method.ok_or(SyntaxError::new(start, "a method"))?;
    cursor.finish("nothing behind the method")?;
    Ok((number, method))
}

/// A Call-ID: visible ASCII without a comma, which would make it two.
///
/// RFC 3261 §20.8 allows fewer signs, but devices send base64 with `=`; it is only ever compared.
pub(crate) fn check_call_id(text: &str) -> Result<(), SyntaxError> {
    const EXPECTED: &str = "one word of visible ASCII";
    let wrong = text.bytes().position(|octet| !octet.is_ascii_graphic() || octet == b',');
    match wrong {
        Some(at) => Err(SyntaxError::new(at, EXPECTED)),
        None if text.is_empty() => Err(SyntaxError::new(0, EXPECTED)),
        None => Ok(()),
    }
}

/// Which side refreshes a session, RFC 4028 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// Who sent the request that this header belongs to.
    Uac,
    /// Who answers it.
    Uas,
}

/// How long a session lives without a refresh, RFC 4028 §4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionExpires {
    /// The interval.
    pub interval: Duration,
    /// Who refreshes; absent in a request that leaves it to the far end.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let seconds = cursor.clamped_number("seconds")?;
        let params_start = cursor.at();
        let params = Params::from_checked(read_params(&mut cursor)?);
        cursor.finish("a semicolon or the end")?;
        let refresher = match params.get("refresher") {
            None => None,
            Some(side) if side.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(side) if side.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            Some(_) => return Err(SyntaxError::new(params_start, "refresher=uac or uas")),
        };
        Ok(Self { interval: Duration::from_secs(seconds.into()), refresher })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.interval.as_secs())?;
        match self.refresher {
            None => Ok(()),
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
        }
    }
}

/// Why something happened, RFC 3326: `Q.850;cause=16;text="Normal call clearing"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Whose numbers `cause` uses: `SIP`, `Q.850` or others.
    pub protocol: Token,
    /// The cause; one that is no number of 16 bits is left out.
    pub cause: Option<u16>,
    /// The cause in words.
    pub text: Option<String>,
}

impl Reason {
    /// A cause in SIP's numbers, its status codes.
    pub fn sip(status: u16, text: &str) -> Self {
        Self::new("SIP", status, text)
    }

    /// A cause in the telephone network's numbers.
    pub fn q850(cause: u8, text: &str) -> Self {
        Self::new("Q.850", cause.into(), text)
    }

    fn new(protocol: &str, cause: u16, text: &str) -> Self {
        let protocol = Token::new(protocol).expect("protocols named in this file are tokens");
        let text = (!text.is_empty()).then(|| text.to_owned());
        Self { protocol, cause: Some(cause), text }
    }

    /// Whether `cause` is one of Q.850.
    pub fn is_q850(&self) -> bool {
        self.protocol.as_str().eq_ignore_ascii_case("Q.850")
    }

    pub(crate) fn read(cursor: &mut Cursor<'_>) -> Result<Self, SyntaxError> {
        cursor.skip_space();
        let start = cursor.at();
        let protocol = Token::new(cursor.token("a protocol such as SIP or Q.850")?);
        let protocol = protocol.ok_or(SyntaxError::new(start, "a protocol"))?;
        let params = Params::from_checked(read_params(cursor)?);
        let cause = params.get("cause").and_then(|cause| cause.parse().ok());
        let text = params.text("text").map(Into::into);
        Ok(Self { protocol, cause, text })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.protocol.fmt(f)?;
        if let Some(cause) = self.cause {
            write!(f, ";cause={cause}")?;
        }
        if let Some(text) = &self.text {
            f.write_str(";text=")?;
            write_quoted(f, text)?;
        }
        Ok(())
    }
}

/// What a body is: `application/sdp`, with parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// `application`
    pub kind: Token,
    /// `sdp`
    pub subtype: Token,
    /// `charset` and others.
    pub params: Params,
}

impl MediaType {
    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxError> {
        const EXPECTED: &str = "a media type such as application/sdp";
        let mut cursor = Cursor::new(text);
        let kind = Token::new(cursor.token(EXPECTED)?);
        if !cursor.eat_separator(b'/') {
            return Err(cursor.error(EXPECTED));
        }
        let subtype = Token::new(cursor.token(EXPECTED)?);
        let params = Params::from_checked(read_params(&mut cursor)?);
        cursor.finish("a semicolon or the end of the media type")?;
        match (kind, subtype) {
            (Some(kind), Some(subtype)) => Ok(Self { kind, subtype, params }),
            _ => Err(SyntaxError::new(0, EXPECTED)),
        }
    }

    /// Whether the type is `kind/subtype`, in any case.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.as_str().eq_ignore_ascii_case(kind)
            && self.subtype.as_str().eq_ignore_ascii_case(subtype)
    }

    /// Whether the body is a session description.
    pub fn is_sdp(&self) -> bool {
        self.is("application", "sdp")
    }
}

/// What acknowledges a reliable provisional response, RFC 3262 §7.2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck {
    /// The response's RSeq.
    pub response: u32,
    /// The number of the request that it answered.
    pub request: u32,
    /// The method of the request that it answered.
    pub method: Method,
}

impl RAck {
    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxError> {
        let mut cursor = Cursor::new(text);
        let response = cursor.number("a number below 2^32")?;
        if !matches!(cursor.peek(), Some(b' ' | b'\t')) {
            return Err(cursor.error("a space and the number of CSeq"));
        }
        cursor.skip_space();
        let start = cursor.at();
        let (request, method) = read_cseq(cursor.rest()).map_err(|error| error.shifted(start))?;
        Ok(Self { response, request, method })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.response, self.request, self.method)
    }
}

/// Reads all comma-separated values of one header.
pub(crate) fn read_list<T>(
    text: &str,
    mut read: impl FnMut(&mut Cursor<'_>) -> Result<T, SyntaxError>,
    mut each: impl FnMut(T),
) -> Result<(), SyntaxError> {
    let mut cursor = Cursor::new(text);
    loop {
        each(read(&mut cursor)?);
        if !cursor.eat_separator(b',') {
            return cursor.finish("a comma, a semicolon or the end of the header");
        }
    }
}
