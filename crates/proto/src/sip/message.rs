//! Requests and responses: what they are made of, and how they are written.

use std::fmt;
use std::io::Write as _;

use bytes::Bytes;

use super::grammar::Token;
use super::header::Headers;
use super::name::Name;
use super::uri::Uri;

/// What a request asks for. Methods compare with case (RFC 3261 §7.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Acknowledges the final response to an INVITE.
    Ack,
    /// Ends a call.
    Bye,
    /// Takes an INVITE back.
    Cancel,
    /// Carries something inside a call, RFC 6086.
    Info,
    /// Starts or changes a call.
    Invite,
    /// Carries a text, RFC 3428.
    Message,
    /// Tells about a subscription, RFC 6665.
    Notify,
    /// Asks what the far end can do, or whether it lives.
    Options,
    /// Acknowledges a provisional response, RFC 3262.
    Prack,
    /// Tells a state, RFC 3903.
    Publish,
    /// Asks to call somebody else, RFC 3515.
    Refer,
    /// Tells a registrar where somebody is.
    Register,
    /// Asks to be told, RFC 6665.
    Subscribe,
    /// Changes a call without its dialog, RFC 3311.
    Update,
    /// Anything else that is a token.
    Other(Token),
}

impl Method {
    /// Reads a method; `None` where the text is no token.
    pub fn parse(text: &str) -> Option<Self> {
        let method = match text {
            "ACK" => Self::Ack,
            "BYE" => Self::Bye,
            "CANCEL" => Self::Cancel,
            "INFO" => Self::Info,
            "INVITE" => Self::Invite,
            "MESSAGE" => Self::Message,
            "NOTIFY" => Self::Notify,
            "OPTIONS" => Self::Options,
            "PRACK" => Self::Prack,
            "PUBLISH" => Self::Publish,
            "REFER" => Self::Refer,
            "REGISTER" => Self::Register,
            "SUBSCRIBE" => Self::Subscribe,
            "UPDATE" => Self::Update,
            other => Self::Other(Token::new(other)?),
        };
        Some(method)
    }

    /// The method as it is written on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Ack => "ACK",
            Self::Bye => "BYE",
            Self::Cancel => "CANCEL",
            Self::Info => "INFO",
            Self::Invite => "INVITE",
            Self::Message => "MESSAGE",
            Self::Notify => "NOTIFY",
            Self::Options => "OPTIONS",
            Self::Prack => "PRACK",
            Self::Publish => "PUBLISH",
            Self::Refer => "REFER",
            Self::Register => "REGISTER",
            Self::Subscribe => "SUBSCRIBE",
            Self::Update => "UPDATE",
            Self::Other(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One SIP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Somebody asks.
    Request(Request),
    /// Somebody answers.
    Response(Response),
}

impl Message {
    /// The headers of either.
    pub const fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// The body of either; empty where there is none.
    pub const fn body(&self) -> &Bytes {
        match self {
            Self::Request(request) => &request.body,
            Self::Response(response) => &response.body,
        }
    }

    /// The message as it goes over the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1_024);
        self.write_to(&mut out);
        out
    }

    /// Appends the message as it goes over the wire, with its Content-Length.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        match self {
            Self::Request(request) => request.write_to(out),
            Self::Response(response) => response.write_to(out),
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

/// A message that asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it asks for.
    pub method: Method,
    /// Whom it asks.
    pub uri: Uri,
    /// Its headers, without Content-Length.
    pub headers: Headers,
    /// Its body; empty where there is none.
    pub body: Bytes,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: Method, uri: Uri) -> Self {
        Self { method, uri, headers: Headers::new(), body: Bytes::new() }
    }

    /// Gives the request a body and says what it is.
    pub fn set_body(&mut self, content_type: &str, body: impl Into<Bytes>) {
        self.headers.set(Name::ContentType, content_type);
        self.body = body.into();
    }

    /// The request as it goes over the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1_024);
        self.write_to(&mut out);
        out
    }

    /// Appends the request as it goes over the wire, with its Content-Length.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.uri.as_str().as_bytes());
        out.extend_from_slice(b" SIP/2.0\r\n");
        write_rest(&self.headers, &self.body, out);
    }
}

/// A message that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// From 100 to 699.
    pub status: u16,
    /// The status in words; CR and LF are written as spaces.
    pub reason: String,
    /// Its headers, without Content-Length.
    pub headers: Headers,
    /// Its body; empty where there is none.
    pub body: Bytes,
}

impl Response {
    /// A response without headers and body.
    pub fn new(status: u16, reason: impl Into<String>) -> Self {
        debug_assert!((100..700).contains(&status), "SIP has no status {status}");
        let status = status.clamp(100, 699);
        Self { status, reason: reason.into(), headers: Headers::new(), body: Bytes::new() }
    }

    /// The answer to a request, RFC 3261 §8.2.6: its Via, From, To, Call-ID and CSeq.
    ///
    /// `to_tag` goes into the To unless that has a tag; every final response needs one.
    pub fn to_request(request: &Request, status: u16, reason: &str, to_tag: Option<&str>) -> Self {
        let mut response = Self::new(status, reason);
        let headers = &mut response.headers;
        for name in [Name::Via, Name::From] {
            headers.copy_from(&request.headers, name);
        }
        match (request.headers.to(), to_tag) {
            (Ok(to), Some(tag)) if to.tag().is_none() => {
                // The To itself stays as it was written, RFC 3261 §8.2.6.2.
                let written = request.headers.get(Name::To).unwrap_or_default();
                headers.push(Name::To, format_args!("{written};tag={tag}"));
            }
            _ => headers.copy_from(&request.headers, Name::To),
        }
        for name in [Name::CallId, Name::CSeq] {
            headers.copy_from(&request.headers, name);
        }
        response
    }

    /// Gives the response a body and says what it is.
    pub fn set_body(&mut self, content_type: &str, body: impl Into<Bytes>) {
        self.headers.set(Name::ContentType, content_type);
        self.body = body.into();
    }

    /// Whether the request is still being worked on.
    pub const fn is_provisional(&self) -> bool {
        self.status < 200
    }

    /// Whether the request was granted.
    pub const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    /// The response as it goes over the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1_024);
        self.write_to(&mut out);
        out
    }

    /// Appends the response as it goes over the wire, with its Content-Length.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let _ = write!(out, "SIP/2.0 {:03} ", self.status);
        let start = out.len();
        out.extend_from_slice(self.reason.as_bytes());
        for octet in &mut out[start..] {
            if matches!(octet, b'\r' | b'\n') {
                *octet = b' ';
            }
        }
        out.extend_from_slice(b"\r\n");
        write_rest(&self.headers, &self.body, out);
    }
}

fn write_rest(headers: &Headers, body: &[u8], out: &mut Vec<u8>) {
    headers.write_to(out);
    // Writing to a Vec cannot fail.
    let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
    out.extend_from_slice(body);
}

/// The usual words for a status, RFC 3261 §21 and its extensions; empty where there are none.
pub const fn reason_phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        607 => "Unwanted",
        608 => "Rejected",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::uri::Host;

    fn request() -> Request {
        let host = Host::parse("192.0.2.1").unwrap();
        let mut request = Request::new(Method::Options, Uri::sip(Some("+1617"), &host, None));
        request.headers.push(Name::Via, "SIP/2.0/UDP a.example;branch=z9hG4bK1");
        request.headers.push(Name::To, "\"B\" <sip:b@b.example>;x=1");
        request.headers.push(Name::From, "<sip:a@a.example>;tag=f");
        request.headers.push(Name::CallId, "c@a.example");
        request.headers.push(Name::CSeq, "1 OPTIONS");
        request.headers.insert_top(Name::Via, "SIP/2.0/TCP p.example;branch=z9hG4bK2");
        request
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn request_is_written_with_its_headers_in_order_and_its_content_length() {
        let mut request = request();
        request.set_body("text/plain", "hello");
        assert_eq!(
            text(Message::from(request).to_bytes()),
            "OPTIONS sip:+1617@192.0.2.1 SIP/2.0\r\n\
             Via: SIP/2.0/TCP p.example;branch=z9hG4bK2\r\n\
             Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n\
             To: \"B\" <sip:b@b.example>;x=1\r\n\
             From: <sip:a@a.example>;tag=f\r\n\
             Call-ID: c@a.example\r\n\
             CSeq: 1 OPTIONS\r\n\
             Content-Type: text/plain\r\n\
             Content-Length: 5\r\n\r\nhello"
        );
    }

    #[test]
    fn response_carries_what_its_request_is_known_by_and_a_tag_of_its_own() {
        let response = Response::to_request(&request(), 404, reason_phrase(404), Some("t"));
        assert_eq!(
            text(response.to_bytes()),
            "SIP/2.0 404 Not Found\r\n\
             Via: SIP/2.0/TCP p.example;branch=z9hG4bK2\r\n\
             Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n\
             From: <sip:a@a.example>;tag=f\r\n\
             To: \"B\" <sip:b@b.example>;x=1;tag=t\r\n\
             Call-ID: c@a.example\r\n\
             CSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn response_keeps_a_tag_that_the_request_has() {
        let mut request = request();
        request.headers.set(Name::To, "<sip:b@b.example>;tag=old");
        let response = Response::to_request(&request, 200, "OK", Some("new"));
        assert_eq!(response.headers.to().unwrap().tag(), Some("old"));
    }

    #[test]
    fn line_breaks_in_values_cannot_start_a_header() {
        let mut response = Response::new(400, "Bad\r\nEvil: 1");
        response.headers.push(Name::Subject, "a\r\nEvil: 2\r\n\r\nbody");
        response.headers.push(Name::ContentLength, "99");
        assert_eq!(
            text(response.to_bytes()),
            "SIP/2.0 400 Bad  Evil: 1\r\nSubject: a  Evil: 2    body\r\nContent-Length: 0\r\n\r\n"
        );
    }

    #[test]
    fn methods_compare_with_case_and_refuse_what_is_no_token() {
        assert_eq!(Method::parse("INVITE"), Some(Method::Invite));
        assert_eq!(Method::parse("invite").unwrap().as_str(), "invite");
        assert!(matches!(Method::parse("RE%47IST%45R"), Some(Method::Other(_))));
        assert_eq!(Method::parse("BAD METHOD"), None);
    }
}
