//! Which IP addresses lead into networks that a client's URL must not reach.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network in CIDR form, as `10.0.0.0/8` or `fd00::/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// No address before the slash, or none at all.
    #[error("{0:?} is no network; write it as 10.0.0.0/8 or fd00::/8")]
    Address(String),
    /// The prefix is longer than the address, or no number.
    #[error("{0:?} has no valid prefix length; write /0 to /32 for IPv4, /0 to /128 for IPv6")]
    Prefix(String),
}

impl Network {
    /// Every loopback address, IPv4.
    pub const LOOPBACK_V4: Self = Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), prefix: 8 };
    /// The loopback address, IPv6.
    pub const LOOPBACK_V6: Self = Self { address: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix: 128 };

    const fn v4(a: u8, b: u8, c: u8, prefix: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, 0)), prefix }
    }

    const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Self {
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)), prefix }
    }

    /// Whether `address` lies in this network; an IPv4 address written as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                let cut = |ip: Ipv4Addr| u64::from(ip.to_bits()) >> shift;
                cut(network) == cut(address)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                let cut = |ip: Ipv6Addr| ip.to_bits().checked_shr(shift).unwrap_or(0);
                cut(network) == cut(address)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// Reads a CIDR; a bare address is a network of one. Bits behind the prefix are ignored.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr =
            address.parse().map_err(|_| NetworkError::Address(text.to_owned()))?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) => digits
                .parse()
                .ok()
                .filter(|prefix| *prefix <= longest)
                .ok_or_else(|| NetworkError::Prefix(text.to_owned()))?,
        };
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// The special-purpose network in which `address` lies; `None` for one of the public internet.
///
/// An IPv4 address mapped into IPv6 is judged as the IPv4 address that it is; one embedded in any
/// other way (NAT64, 6to4, Teredo) is refused with its whole network, for what stands behind the
/// translator is unknown.
pub(super) fn special_network(address: IpAddr) -> Option<Network> {
    let address = address.to_canonical();
    let networks = if address.is_ipv4() { SPECIAL_V4 } else { SPECIAL_V6 };
    networks.iter().copied().find(|network| network.contains(address)).or_else(|| {
        // Nothing else in IPv6 is handed out for use on the internet (IANA, IPv6 address space).
        let unassigned = address.is_ipv6() && !GLOBAL_UNICAST_V6.contains(address);
        unassigned.then_some(Network::v6(0, 0, 0, 0))
    })
}

/// The part of IPv6 from which public addresses are handed out (RFC 4291 §2.4).
const GLOBAL_UNICAST_V6: Network = Network::v6(0x2000, 0, 0, 3);

/// IANA IPv4 special-purpose address registry, and multicast.
const SPECIAL_V4: &[Network] = &[
    Network::v4(0, 0, 0, 8),       // this host
    Network::v4(10, 0, 0, 8),      // private (RFC 1918)
    Network::v4(100, 64, 0, 10),   // shared, carrier-grade NAT (RFC 6598)
    Network::v4(127, 0, 0, 8),     // loopback
    Network::v4(169, 254, 0, 16),  // link-local, cloud metadata
    Network::v4(172, 16, 0, 12),   // private (RFC 1918)
    Network::v4(192, 0, 0, 24),    // protocol assignments
    Network::v4(192, 0, 2, 24),    // documentation
    Network::v4(192, 88, 99, 24),  // 6to4 relays
    Network::v4(192, 168, 0, 16),  // private (RFC 1918)
    Network::v4(198, 18, 0, 15),   // benchmarks
    Network::v4(198, 51, 100, 24), // documentation
    Network::v4(203, 0, 113, 24),  // documentation
    Network::v4(224, 0, 0, 4),     // multicast
    Network::v4(240, 0, 0, 4),     // reserved, and broadcast
];

/// IANA IPv6 special-purpose address registry, multicast, and what was once site-local.
const SPECIAL_V6: &[Network] = &[
    Network::v6(0, 0, 0, 96),          // unspecified, loopback, IPv4-compatible
    Network::v6(0x64, 0xff9b, 0, 96),  // NAT64
    Network::v6(0x64, 0xff9b, 1, 48),  // NAT64, local
    Network::v6(0x100, 0, 0, 64),      // discard
    Network::v6(0x2001, 0, 0, 23),     // Teredo, benchmarks, ORCHID and other assignments
    Network::v6(0x2001, 0xdb8, 0, 32), // documentation
    Network::v6(0x2002, 0, 0, 16),     // 6to4
    Network::v6(0x3fff, 0, 0, 20),     // documentation
    Network::v6(0x5f00, 0, 0, 16),     // segment routing
    Network::v6(0xfc00, 0, 0, 7),      // unique local
    Network::v6(0xfe80, 0, 0, 10),     // link-local
    Network::v6(0xfec0, 0, 0, 10),     // site-local
    Network::v6(0xff00, 0, 0, 8),      // multicast
];

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Option<String> {
        special_network(text.parse().unwrap()).map(|network| network.to_string())
    }

    #[test]
    fn first_and_last_address_of_every_special_network_is_named() {
        let edges = [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "239.255.255.255"),
            ("240.0.0.0", "255.255.255.255"),
            ("::", "::1"),
            ("::2", "::ffff:ffff"),
            ("64:ff9b::", "64:ff9b::ffff:ffff"),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
            ("100::", "100::ffff:ffff:ffff:ffff"),
            ("2001::", "2001:0:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:10::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ];
        for (first, last) in edges {
            let (first, last) = (network(first), network(last));
            assert!(first.is_some(), "{last:?}");
            assert_eq!(first, last);
        }
    }

    #[test]
    fn neighbours_of_special_networks_are_public() {
        let public = [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "191.255.255.255",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "8.8.8.8",
            "2000::",
            "2001:200::",
            "2001:db7::1",
            "2001:db9::1",
            "2003::1",
            "2606:4700::1111",
            "3ffe::1",
            "3fff:1000::",
        ];
        for address in public {
            assert_eq!(network(address), None, "{address}");
        }
    }

    #[test]
    fn ipv4_address_mapped_into_ipv6_is_judged_as_ipv4() {
        let mapped = ["::ffff:127.0.0.1", "::ffff:a00:1", "::ffff:8.8.8.8"].map(network);
        assert_eq!(mapped, [Some("127.0.0.0/8".into()), Some("10.0.0.0/8".into()), None]);
    }

    #[test]
    fn ipv6_outside_the_space_handed_out_is_refused() {
        for address in ["4000::1", "8000::1", "1::", "e000::1", "65:ff9b::1"] {
            assert_eq!(network(address), Some("::/0".into()), "{address}");
        }
    }

    #[test]
    fn network_is_read_as_it_is_written() {
        let contains = |network: &str, address: &str| {
            network.parse::<Network>().unwrap().contains(address.parse().unwrap())
        };
        assert!(contains("10.1.0.0/16", "10.1.255.255"));
        assert!(!contains("10.1.0.0/16", "10.2.0.0"));
        assert!(contains("10.1.2.3", "10.1.2.3"));
        assert!(!contains("10.1.2.3", "10.1.2.4"));
        assert!(contains("0.0.0.0/0", "8.8.8.8"));
        assert!(!contains("0.0.0.0/0", "::1"));
        assert!(contains("::/0", "fe80::1"));
        assert!(contains("fd00::/8", "fdff::1"));
        assert!(contains("127.0.0.0/8", "::ffff:127.0.0.1"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_what_to_write() {
        let refusals = ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/", "10.0.0.0/-1", "x/8"]
            .map(|text| text.parse::<Network>().unwrap_err());
        let prefix = |text: &str| NetworkError::Prefix(text.into());
        let address = |text: &str| NetworkError::Address(text.into());
        assert_eq!(
            refusals,
            [
                address(""),
                prefix("10.0.0.0/33"),
                address("10.0.0/8"),
                prefix("::/129"),
                prefix("10.0.0.0/"),
                prefix("10.0.0.0/-1"),
                address("x/8"),
            ]
        );
    }
}
