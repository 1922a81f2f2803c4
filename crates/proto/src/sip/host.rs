//! Hosts of URIs and Vias: a name, an IPv4 address, an IPv6 address in brackets; with a port.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::grammar::{SyntaxError, find};

/// Longest host name, in octets (RFC 1035 §2.3.4).
const HOST_BYTES_MAX: usize = 255;

/// Who answers behind a URI or a Via: a name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A literal address; IPv6 is written in brackets.
    Ip(IpAddr),
    /// A name; compare with [`Host::same_as`].
    Name(HostName),
}

/// A host's name that was checked, in the case it was written in.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName(Box<str>);

impl HostName {
    /// The name's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Host {
    /// Reads a name, an IPv4 address or an IPv6 address in brackets.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        Ok(match read_ip(text)? {
            Some(address) => Self::Ip(address),
            None => Self::Name(HostName(text.into())),
        })
    }

    /// Whether both name the same host, by RFC 3261 §19.1.4: names without case.
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Ip(one), Self::Ip(two)) => one == two,
            (Self::Name(one), Self::Name(two)) => one.0.eq_ignore_ascii_case(&two.0),
            (Self::Ip(_), Self::Name(_)) | (Self::Name(_), Self::Ip(_)) => false,
        }
    }

    /// The address, where the host is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Name(_) => None,
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V4(address)) => address.fmt(f),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(&name.0),
        }
    }
}

/// The address that a host is, or `None` where it is a name.
fn read_ip(text: &str) -> Result<Option<IpAddr>, SyntaxError> {
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner.strip_suffix(']').and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return match address {
            Some(address) => Ok(Some(IpAddr::V6(address))),
            None => Err(SyntaxError::new(1, "an IPv6 address in brackets")),
        };
    }
    if text.starts_with(|sign: char| sign.is_ascii_digit())
        && let Ok(address) = text.parse::<Ipv4Addr>()
    {
        return Ok(Some(IpAddr::V4(address)));
    }
    check_host_name(text).map(|()| None)
}

/// RFC 3261 `hostname`, and underscores, which names inside companies have.
fn check_host_name(text: &str) -> Result<(), SyntaxError> {
    const EXPECTED: &str = "a host name or an address, IPv6 in brackets";
    if text.is_empty() || text.len() > HOST_BYTES_MAX {
        return Err(SyntaxError::new(0, EXPECTED));
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let mut at = 0;
    let mut last = "";
    for label in name.split('.') {
        let is_right = !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet));
        if !is_right {
            return Err(SyntaxError::new(at, EXPECTED));
        }
        at += label.len() + 1;
        last = label;
    }
    // A last label of digits would be an IPv4 address gone wrong.
    if last.starts_with(|sign: char| sign.is_ascii_digit()) {
        return Err(SyntaxError::new(0, EXPECTED));
    }
    Ok(())
}

/// A host and a port in a text.
pub(crate) struct HostPort<'a> {
    /// The host as it is written.
    text: &'a str,
    /// The address that it is, or `None` for a name.
    ip: Option<IpAddr>,
    pub(crate) port: Option<u16>,
    /// Octets that both took.
    pub(crate) taken: usize,
}

impl HostPort<'_> {
    pub(crate) fn host(&self) -> Host {
        match self.ip {
            Some(address) => Host::Ip(address),
            None => Host::Name(HostName(self.text.into())),
        }
    }
}

/// Reads `host [":" port]`; space may stand around the colon, as a Via's sent-by allows.
pub(crate) fn read_host_port(text: &str) -> Result<HostPort<'_>, SyntaxError> {
    let host_end = match text.starts_with('[') {
        true => find(text, b']').map_or(text.len(), |end| end + 1),
        false => text
            .bytes()
            .position(|octet| {
                !octet.is_ascii_alphanumeric() && !matches!(octet, b'.' | b'-' | b'_')
            })
            .unwrap_or(text.len()),
    };
    let host = &text[..host_end];
    let ip = read_ip(host)?;
    let space = |from: usize| {
        text.as_bytes()[from..].iter().take_while(|octet| matches!(octet, b' ' | b'\t')).count()
    };
    let colon = host_end + space(host_end);
    if text.as_bytes().get(colon) != Some(&b':') {
        return Ok(HostPort { text: host, ip, port: None, taken: host_end });
    }
    let start = colon + 1 + space(colon + 1);
    let rest = &text[start..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    match rest[..digits].parse() {
        Ok(port) => Ok(HostPort { text: host, ip, port: Some(port), taken: start + digits }),
        Err(_) => Err(SyntaxError::new(start, "a port from 0 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        let hosts = ["a", "A-1.example.com.", "my_pbx", "192.0.2.1", "[2001:db8::1]", "1a.b2"];
        for text in hosts {
            let host = Host::parse(text).unwrap();
            assert_eq!(host.to_string(), text);
            assert_eq!(host.ip().is_some(), text.contains('[') || text.contains("192"));
        }
        let refused = ["", ".", "a..b", "-a", "a-", "1", "1.2.3", "256.0.0.1", "::1", "[1.2.3.4]"];
        for text in refused {
            assert!(Host::parse(text).is_err(), "{text}");
        }
        assert!(Host::parse(&"a.".repeat(128)).is_err());
    }

    #[test]
    fn names_are_the_same_without_case_and_never_an_address() {
        let same = |one, two| Host::parse(one).unwrap().same_as(&Host::parse(two).unwrap());
        assert!(same("Example.COM", "example.com"));
        assert!(same("[2001:DB8::1]", "[2001:db8:0::1]"));
        assert!(!same("a.example", "192.0.2.1"));
    }

    #[test]
    fn port_follows_a_colon_that_may_have_space() {
        let read = |text| read_host_port(text).map(|found| (found.port, found.taken));
        assert_eq!(read("h.example:5070;x"), Ok((Some(5_070), 14)));
        assert_eq!(read("[::1] : 7 ;x"), Ok((Some(7), 9)));
        assert_eq!(read("h ;x"), Ok((None, 1)));
        assert_eq!(read("h:").unwrap_err().at, 2);
        assert_eq!(read("h:65536").unwrap_err().at, 2);
    }
}
