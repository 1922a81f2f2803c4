//! From a session description to its text, RFC 8866 §5.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::description::{Attribute, Connection, Description, Media, Origin};

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v=0\r\n{}s={}\r\n", self.origin, self.name)?;
        if let Some(connection) = &self.connection {
            write!(f, "{connection}")?;
        }
        f.write_str("t=0 0\r\n")?;
        self.attributes.iter().try_for_each(|attribute| attribute.fmt(f))?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, session_id, version, address } = self;
        let family = if address.parse::<Ipv6Addr>().is_ok() { "IP6" } else { "IP4" };
        write!(f, "o={username} {session_id} {version} IN {family} {address}\r\n")
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(address)) => write!(f, "c=IN IP4 {address}\r\n"),
            Self::Ip(IpAddr::V6(address)) => write!(f, "c=IN IP6 {address}\r\n"),
            Self::Name(name) => write!(f, "c=IN IP4 {name}\r\n"),
        }
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let formats = self.formats.join(" ");
        write!(f, "m={} {} {} {formats}\r\n", self.kind, self.port, self.protocol)?;
        if let Some(connection) = &self.connection {
            write!(f, "{connection}")?;
        }
        self.attributes.iter().try_for_each(|attribute| attribute.fmt(f))
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "a={}:{value}\r\n", self.name),
            None => write!(f, "a={}\r\n", self.name),
        }
    }
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
