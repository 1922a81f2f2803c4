//! From text to a session description: RFC 8866, with limits before any work.
//!
//! As strict as makes no difference to a call: `v=`, `o=` and `m=` must be right, for the rest
//! depends on them; a missing `s=` or `t=` and lines of unknown types are overlooked.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::description::{Attribute, Connection, Description, Media, Origin};
use crate::sip::parse::as_text;

/// Largest description, in octets; those of telephones have a few hundred.
pub const SDP_BYTES_MAX: usize = 32_768;
/// What parts the words of a line.
const BLANKS: [char; 2] = [' ', '\t'];
/// Most lines in a description.
pub const LINES_MAX: usize = 1_024;
/// Most media in a description.
pub const MEDIA_MAX: usize = 32;
/// Most payload types of one medium: RTP has 128.
pub const FORMATS_MAX: usize = 128;

/// Why a description was refused. Its maker repairs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the description: expected {expected}")]
pub struct SdpError {
    /// The line, from 1.
    pub line: usize,
    /// What would be right there.
    pub expected: &'static str,
}

impl Description {
    /// Reads a description. Lines may end with CR LF or with LF alone (RFC 8866 §5).
    pub fn parse(octets: &[u8]) -> Result<Self, SdpError> {
        if octets.len() > SDP_BYTES_MAX {
            return Err(SdpError { line: 1, expected: "at most 32768 octets" });
        }
        let text = as_text(octets);
        let mut reader = Reader::default();
        for (index, line) in text.lines().enumerate() {
            let fail = |expected| SdpError { line: index + 1, expected };
            if index >= LINES_MAX {
                return Err(fail("at most 1024 lines"));
            }
            reader.read(line).map_err(fail)?;
        }
        let end = text.lines().count().max(1);
        let origin = reader.origin.ok_or(SdpError { line: end, expected: "o= somewhere" })?;
        Ok(Self {
            origin,
            name: reader.name.unwrap_or_else(|| "-".into()),
            connection: reader.connection,
            attributes: reader.attributes,
            media: reader.media,
        })
    }
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    has_version: bool,
    origin: Option<Origin>,
    name: Option<String>,
    connection: Option<Connection>,
    attributes: Vec<Attribute>,
    media: Vec<Media>,
}

impl Reader {
    fn read(&mut self, line: &str) -> Result<(), &'static str> {
        if line.is_empty() {
            // Empty lines at the end are a common slip.
            return Ok(());
        }
        if line.contains(['\0', '\r']) {
            return Err("neither NUL nor a lone CR");
        }
        let (kind, value) = line.split_once('=').ok_or("a letter and an equals sign")?;
        if !self.has_version && line.trim_end() != "v=0" {
            return Err("v=0, the only version");
        }
        self.has_version = true;
        // Only a= keeps the space at its end, for values may mean it. What parts words is trimmed,
        // and no other blank, so that a word which is read is one when it is written again.
        let trimmed = value.trim_matches(BLANKS);
        match kind {
            "o" if self.origin.is_none() => self.origin = Some(read_origin(trimmed)?),
            "o" => return Err("one o="),
            "s" => self.name = Some(trimmed.into()),
            "c" => {
                let connection = Some(read_connection(trimmed)?);
                match self.media.last_mut() {
                    // Several c= of one medium are layers of a multicast; the first one counts.
                    Some(media) if media.connection.is_some() => {}
                    Some(media) => media.connection = connection,
                    None => self.connection = connection,
                }
            }
            "m" if self.media.len() == MEDIA_MAX => return Err("at most 32 media"),
            "m" => self.media.push(read_media(trimmed)?),
            "a" => {
                let attribute = read_attribute(value)?;
                match self.media.last_mut() {
                    Some(media) => media.attributes.push(attribute),
                    None => self.attributes.push(attribute),
                }
            }
            // v= was seen; b= e= i= k= p= r= t= u= z= and what comes later say nothing to us.
            kind if kind.len() == 1 && kind.as_bytes()[0].is_ascii_alphabetic() => {}
            _ => return Err("a letter and an equals sign"),
        }
        Ok(())
    }
}

/// `username session-id version IN IP4|IP6 address`
fn read_origin(value: &str) -> Result<Origin, &'static str> {
    const EXPECTED: &str = "o=username session-id version IN IP4 address";
    let mut words = words(value);
    let mut next = || words.next().ok_or(EXPECTED);
    let (username, session_id, version) = (next()?, next()?, next()?);
    let (network, family, address) = (next()?, next()?, next()?);
    let are_numbers = [session_id, version]
        .iter()
        .all(|number| number.bytes().all(|octet| octet.is_ascii_digit()));
    if !are_numbers || network != "IN" || !matches!(family, "IP4" | "IP6") {
        return Err(EXPECTED);
    }
    if words.next().is_some() {
        return Err(EXPECTED);
    }
    Ok(Origin {
        username: username.into(),
        session_id: session_id.into(),
        version: version.into(),
        address: address.into(),
    })
}

/// `IN IP4|IP6 address[/ttl][/count]`
fn read_connection(value: &str) -> Result<Connection, &'static str> {
    const EXPECTED: &str = "c=IN IP4 address or c=IN IP6 address";
    let mut words = words(value);
    let (Some("IN"), Some(family), Some(address), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(EXPECTED);
    };
    let host = address.split('/').next().unwrap_or_default();
    let literal = match family {
        "IP4" => host.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "IP6" => host.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return Err(EXPECTED),
    };
    let is_name = host.starts_with(|sign: char| sign.is_ascii_alphanumeric())
        && host.contains(|sign: char| sign.is_ascii_alphabetic())
        && host.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-.".contains(&octet));
    match literal {
        Some(address) => Ok(Connection::Ip(address)),
        None if is_name => Ok(Connection::Name(host.into())),
        None => Err(EXPECTED),
    }
}

/// `kind port[/count] protocol format ...`
fn read_media(value: &str) -> Result<Media, &'static str> {
    const EXPECTED: &str = "m=kind port protocol and payload types";
    let mut words = words(value);
    let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next())
    else {
        return Err(EXPECTED);
    };
    let port = port.split('/').next().unwrap_or_default();
    let port = port.parse().map_err(|_| "a port from 0 to 65535")?;
    let formats: Vec<String> = words.take(FORMATS_MAX + 1).map(String::from).collect();
    if formats.is_empty() {
        return Err(EXPECTED);
    }
    if formats.len() > FORMATS_MAX {
        return Err("at most 128 payload types");
    }
    let (connection, attributes) = (None, Vec::new());
    Ok(Media {
        kind: kind.into(),
        port,
        protocol: protocol.into(),
        formats,
        connection,
        attributes,
    })
}

/// `name` or `name:value`
fn read_attribute(value: &str) -> Result<Attribute, &'static str> {
    let (name, value) = match value.split_once(':') {
        Some((name, value)) => (name, Some(value.into())),
        None => (value.trim_end(), None),
    };
    if name.is_empty() || name.contains([' ', '\t']) {
        return Err("a=name or a=name:value");
    }
    Ok(Attribute { name: name.into(), value })
}

/// The grammar has one space between words; more are overlooked.
fn words(value: &str) -> impl Iterator<Item = &str> {
    value.split(BLANKS).filter(|word| !word.is_empty())
}
