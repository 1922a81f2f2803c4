//! What a session description says, as far as a call needs it.

use std::net::IpAddr;
use std::str::FromStr as _;

use crate::rtp::Direction;

/// One session description: the lines that a call needs, the others left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Who made it, and which version of it this is.
    pub origin: Origin,
    /// Its title; `-` where there is none.
    pub name: String,
    /// Where to send, for media that do not say it themselves.
    pub connection: Option<Connection>,
    /// Attributes of the whole session.
    pub attributes: Vec<Attribute>,
    /// The media in their order, which both ends keep.
    pub media: Vec<Media>,
}

/// `o=`: who made a description. The three parts together name the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Name of the user; `-` where there is none.
    pub username: String,
    /// Digits that name the session.
    pub session_id: String,
    /// Digits that grow by one with each change.
    pub version: String,
    /// The maker's address; a name, or an address of either family.
    pub address: String,
}

/// `c=`: where to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// A literal address.
    Ip(IpAddr),
    /// A name, which is not resolved: nobody may make us ask for names.
    Name(String),
}

/// `m=` and the lines that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video` and others.
    pub kind: String,
    /// Where to send; 0 refuses or ends the medium.
    pub port: u16,
    /// `RTP/AVP` and others.
    pub protocol: String,
    /// Payload types in order of preference, for RTP.
    pub formats: Vec<String>,
    /// Where to send, where it differs from the session's.
    pub connection: Option<Connection>,
    /// Attributes of this medium.
    pub attributes: Vec<Attribute>,
}

/// `a=name` or `a=name:value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name; compares with case.
    pub name: String,
    /// Its value, where it has one.
    pub value: Option<String>,
}

/// What a payload type stands for: `a=rtpmap`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding<'a> {
    /// `PCMU` and others; compares without case.
    pub name: &'a str,
    /// Ticks per second.
    pub clock_hz: u32,
    /// Channels of sound.
    pub channels: u32,
}

impl Attribute {
    /// An attribute that is there or not.
    pub fn flag(name: &str) -> Self {
        Self { name: name.into(), value: None }
    }

    /// An attribute with a value.
    pub fn new(name: &str, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }
}

impl Description {
    /// Where a medium is to be sent: its own connection or the session's.
    pub fn connection_of<'a>(&'a self, media: &'a Media) -> Option<&'a Connection> {
        media.connection.as_ref().or(self.connection.as_ref())
    }

    /// Who may speak, seen from the description's maker; both where nothing is said.
    pub fn direction_of(&self, media: &Media) -> Direction {
        direction_in(&media.attributes)
            .or_else(|| direction_in(&self.attributes))
            .unwrap_or(Direction::SendReceive)
    }
}

impl Media {
    /// The value of an attribute, empty for a flag.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.values(name).next()
    }

    /// What a payload type stands for: its `a=rtpmap`, else RFC 3551's static table of sound
    /// codecs, as far as we know them.
    pub fn encoding(&self, format: &str) -> Option<Encoding<'_>> {
        let mapped = self.values("rtpmap").find_map(|value| {
            let (payload_type, encoding) = value.split_once(' ')?;
            (payload_type == format).then(|| Encoding::parse(encoding.trim()))
        });
        match (mapped, format) {
            (Some(encoding), _) => encoding,
            (None, "0") => Some(Encoding { name: "PCMU", clock_hz: 8_000, channels: 1 }),
            // G.722 says half of its rate, for good (RFC 3551 §4.5.2).
            (None, "9") => Some(Encoding { name: "G722", clock_hz: 8_000, channels: 1 }),
            (None, "8") => Some(Encoding { name: "PCMA", clock_hz: 8_000, channels: 1 }),
            (None, _) => None,
        }
    }

    /// Length of the packets that the maker would like, in milliseconds.
    pub fn ptime_ms(&self) -> Option<u16> {
        // Some write a fraction, for codecs whose packets have no whole number.
        let value = self.attribute("ptime")?;
        value.split('.').next()?.trim().parse().ok().filter(|ms| *ms > 0)
    }

    /// A parameter of a payload type: `a=fmtp:type name=value;…`.
    pub fn parameter(&self, payload_type: u8, name: &str) -> Option<&str> {
        let mut lines = self.values("fmtp").filter_map(|line| line.split_once(' '));
        let (_, parameters) = lines.find(|(number, _)| number.parse() == Ok(payload_type))?;
        parameters.split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The port, and maybe the address, that takes reports (RFC 3605).
    pub fn rtcp(&self) -> Option<(u16, Option<IpAddr>)> {
        let mut words = self.attribute("rtcp")?.split(' ').filter(|word| !word.is_empty());
        let port = words.next()?.parse().ok().filter(|port| *port != 0)?;
        let address = words.nth(2).and_then(|address| IpAddr::from_str(address).ok());
        Some((port, address))
    }

    /// The values of an attribute that may be there several times.
    pub(crate) fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self.attributes.iter().filter(move |attribute| attribute.name == name);
        named.map(|attribute| attribute.value.as_deref().unwrap_or_default())
    }
}

impl<'a> Encoding<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split('/');
        let name = parts.next()?;
        let clock_hz = parts.next()?.parse().ok()?;
        let channels = parts.next().map_or(Some(1), |channels| channels.parse().ok())?;
        Some(Self { name, clock_hz, channels })
    }

    /// Whether it is the one that is named, with one channel.
    pub fn is(&self, name: &str, clock_hz: u32) -> bool {
        self.is_with(name, clock_hz, 1)
    }

    /// Whether it is the one that is named, with so many channels.
    pub fn is_with(&self, name: &str, clock_hz: u32, channels: u32) -> bool {
        let is_named = self.name.eq_ignore_ascii_case(name);
        is_named && self.clock_hz == clock_hz && self.channels == channels
    }
}

/// How a direction is written.
pub(crate) const fn direction_name(direction: Direction) -> &'static str {
    match direction {
        Direction::Inactive => "inactive",
        Direction::ReceiveOnly => "recvonly",
        Direction::SendOnly => "sendonly",
        Direction::SendReceive => "sendrecv",
    }
}

fn direction_in(attributes: &[Attribute]) -> Option<Direction> {
    let all =
        [Direction::Inactive, Direction::ReceiveOnly, Direction::SendOnly, Direction::SendReceive];
    attributes
        .iter()
        .find_map(|attribute| all.into_iter().find(|one| direction_name(*one) == attribute.name))
}
