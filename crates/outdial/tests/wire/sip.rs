//! SIP messages as text: enough to judge what is on the wire, and apart from the code under test.

use std::fmt::Write as _;

/// One message, its headers in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    /// Request line or status line.
    pub(crate) start: String,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Message {
    /// Reads a datagram; `None` where it has not even the form of a message.
    pub(crate) fn read(datagram: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(datagram);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        };
        let headers = lines.map(header).collect::<Option<_>>()?;
        Some(Self { start, headers, body: body.to_owned() })
    }

    /// A message to be filled.
    pub(crate) fn new(start: impl Into<String>) -> Self {
        Self { start: start.into(), ..Self::default() }
    }

    /// The same with one header more.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Gives a header that is there another value.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let found = self.headers.iter_mut().find(|header| header.0.eq_ignore_ascii_case(name));
        value.clone_into(&mut found.expect("it is there").1);
    }

    /// The same with a session description.
    #[must_use]
    pub(crate) fn with_sdp(mut self, sdp: &str) -> Self {
        sdp.clone_into(&mut self.body);
        self.with("Content-Type", "application/sdp")
    }

    /// The first header of this name, empty if there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|header| header.0.eq_ignore_ascii_case(name));
        found.map_or("", |header| header.1.as_str())
    }

    /// All headers of this name.
    pub(crate) fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |one| one.0.eq_ignore_ascii_case(name));
        named.map(|header| header.1.as_str())
    }

    /// The status of a response.
    pub(crate) fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// The method, of a response that of its request.
    pub(crate) fn method(&self) -> &str {
        self.header("CSeq").split_whitespace().nth(1).unwrap_or_default()
    }

    /// Whether it is a request of this method.
    pub(crate) fn is_request(&self, method: &str) -> bool {
        self.status().is_none() && self.method() == method
    }

    /// Whether it is a response of this status to a request of this method.
    pub(crate) fn is_response(&self, status: u16, method: &str) -> bool {
        self.status() == Some(status) && self.method() == method
    }

    /// The Call-ID.
    pub(crate) fn call_id(&self) -> &str {
        self.header("Call-ID")
    }

    /// The branch of the topmost Via.
    pub(crate) fn branch(&self) -> &str {
        parameter(self.header("Via"), "branch")
    }

    /// The tag of From or To.
    pub(crate) fn tag(&self, header: &str) -> &str {
        parameter(self.header(header), "tag")
    }

    /// User part of a request's address: the number that is dialed.
    pub(crate) fn number(&self) -> &str {
        let uri = self.start.split_whitespace().nth(1).unwrap_or_default();
        uri.strip_prefix("sip:").and_then(|uri| uri.split_once('@')).map_or("", |parts| parts.0)
    }

    /// The address in the Contact header, without angle brackets.
    pub(crate) fn contact(&self) -> &str {
        let contact = self.header("Contact");
        let inner = contact.split_once('<').map_or(contact, |parts| parts.1);
        inner.split_once('>').map_or(inner, |parts| parts.0)
    }

    /// A response to this request; `tag` is added to To unless it has one.
    pub(crate) fn response(&self, status: u16, words: &str, tag: &str) -> Self {
        let mut response = Self::new(format!("SIP/2.0 {status} {words}"));
        for via in self.headers("Via") {
            response = response.with("Via", via);
        }
        let to = self.header("To");
        let has_tag = !self.tag("To").is_empty() || tag.is_empty();
        let to = if has_tag { to.to_owned() } else { format!("{to};tag={tag}") };
        response
            .with("From", self.header("From"))
            .with("To", to)
            .with("Call-ID", self.call_id())
            .with("CSeq", self.header("CSeq"))
    }

    /// What goes on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            if !name.eq_ignore_ascii_case("Content-Length") {
                write!(text, "{name}: {value}\r\n").expect("a String takes any text");
            }
        }
        let body = &self.body;
        write!(text, "Content-Length: {}\r\n\r\n{body}", body.len()).expect("as above");
        text.into_bytes()
    }
}

/// A header's parameter, empty if there is none.
pub(crate) fn parameter<'a>(value: &'a str, name: &str) -> &'a str {
    // Parameters of the address itself stand inside the angle brackets.
    let outside = value.rsplit_once('>').map_or(value, |parts| parts.1);
    let parameters = outside.split(';').skip(1).filter_map(|one| one.trim().split_once('='));
    let found = parameters.into_iter().find(|parameter| parameter.0.eq_ignore_ascii_case(name));
    found.map_or("", |parameter| parameter.1)
}

/// The port of the first audio stream in a session description.
pub(crate) fn audio_port(sdp: &str) -> Option<u16> {
    let line = sdp.lines().find_map(|line| line.strip_prefix("m=audio "))?;
    line.split_whitespace().next()?.parse().ok()
}
