//! Where sound may go at all: a far end must not make us send to others than itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Lowest port that takes sound (RFC 8866 §5.14); below it are the services of hosts.
pub const MEDIA_PORT_MIN: u16 = 1_024;

/// Whether a far end may be on this machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressPolicy {
    /// It may: for demos and tests over loopback.
    LoopbackAllowed,
    /// It may not.
    #[default]
    RemoteOnly,
}

/// Why no sound goes to an address that a description names. Its maker repairs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// `255.255.255.255` and the reserved block around it.
    #[error("{0} is a broadcast or reserved address")]
    Broadcast(IpAddr),
    /// `169.254.0.0/16` or `fe80::/10`.
    #[error("{0} is a link-local address")]
    LinkLocal(IpAddr),
    /// An address of this machine.
    #[error("{0} is a loopback address")]
    Loopback(IpAddr),
    /// An address of many.
    #[error("{0} is a multicast address")]
    Multicast(IpAddr),
    /// Our own port: we would hear ourselves.
    #[error("{0} is our own port")]
    Ourselves(SocketAddr),
    /// A port of a service.
    #[error("port {0} is below {MEDIA_PORT_MIN}")]
    Port(u16),
    /// No address: `0.0.0.0/8` or `::`. In a description it means hold, nowhere else anything.
    #[error("{0} is no address")]
    Unspecified(IpAddr),
}

/// Whether sound may go there; the address comes back with IPv4 inside IPv6 taken out.
pub fn check_media_address(
    address: SocketAddr,
    policy: AddressPolicy,
) -> Result<SocketAddr, AddressError> {
    let ip = address.ip().to_canonical();
    match ip {
        IpAddr::V4(v4) => check_v4(v4, policy)?,
        IpAddr::V6(v6) => check_v6(v6, policy)?,
    }
    match address.port() {
        port if port < MEDIA_PORT_MIN => Err(AddressError::Port(port)),
        port => Ok(SocketAddr::new(ip, port)),
    }
}

fn check_v4(address: Ipv4Addr, policy: AddressPolicy) -> Result<(), AddressError> {
    let ip = IpAddr::V4(address);
    match address.octets() {
        [0, ..] => Err(AddressError::Unspecified(ip)),
        [127, ..] => check_loopback(ip, policy),
        [169, 254, ..] => Err(AddressError::LinkLocal(ip)),
        [224..=239, ..] => Err(AddressError::Multicast(ip)),
        [240..=255, ..] => Err(AddressError::Broadcast(ip)),
        _ => Ok(()),
    }
}

fn check_v6(address: Ipv6Addr, policy: AddressPolicy) -> Result<(), AddressError> {
    let ip = IpAddr::V6(address);
    match address.segments() {
        _ if address.is_unspecified() => Err(AddressError::Unspecified(ip)),
        _ if address.is_loopback() => check_loopback(ip, policy),
        [first, ..] if first & 0xffc0 == 0xfe80 => Err(AddressError::LinkLocal(ip)),
        _ if address.is_multicast() => Err(AddressError::Multicast(ip)),
        _ => Ok(()),
    }
}

const fn check_loopback(ip: IpAddr, policy: AddressPolicy) -> Result<(), AddressError> {
    match policy {
        AddressPolicy::LoopbackAllowed => Ok(()),
        AddressPolicy::RemoteOnly => Err(AddressError::Loopback(ip)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str, policy: AddressPolicy) -> Option<String> {
        let found = check_media_address(address.parse().unwrap(), policy);
        found.err().map(|error| error.to_string())
    }

    #[test]
    fn sound_goes_to_addresses_of_one_remote_host() {
        let allowed = ["192.0.2.1:4000", "10.0.0.1:65535", "172.16.0.1:1024", "[2001:db8::1]:4000"];
        for address in allowed {
            assert_eq!(refused(address, AddressPolicy::RemoteOnly), None, "{address}");
        }
    }

    #[test]
    fn sound_goes_nowhere_else() {
        let addresses = [
            ("0.0.0.0:4000", "0.0.0.0 is no address"),
            ("0.1.2.3:4000", "0.1.2.3 is no address"),
            ("127.9.9.9:4000", "127.9.9.9 is a loopback address"),
            ("169.254.1.1:4000", "169.254.1.1 is a link-local address"),
            ("224.0.0.1:4000", "224.0.0.1 is a multicast address"),
            ("239.255.0.1:4000", "239.255.0.1 is a multicast address"),
            ("240.0.0.1:4000", "240.0.0.1 is a broadcast or reserved address"),
            ("255.255.255.255:4000", "255.255.255.255 is a broadcast or reserved address"),
            ("[::]:4000", ":: is no address"),
            ("[::1]:4000", "::1 is a loopback address"),
            ("[fe80::1]:4000", "fe80::1 is a link-local address"),
            ("[febf::1]:4000", "febf::1 is a link-local address"),
            ("[ff02::1]:4000", "ff02::1 is a multicast address"),
            ("[::ffff:127.0.0.1]:4000", "127.0.0.1 is a loopback address"),
            ("[::ffff:255.255.255.255]:4000", "255.255.255.255 is a broadcast or reserved address"),
            ("192.0.2.1:53", "port 53 is below 1024"),
            ("192.0.2.1:0", "port 0 is below 1024"),
        ];
        for (address, reason) in addresses {
            let found = refused(address, AddressPolicy::RemoteOnly);
            assert_eq!(found.as_deref(), Some(reason), "{address}");
        }
    }

    #[test]
    fn loopback_alone_is_opened_by_its_policy() {
        let policy = AddressPolicy::LoopbackAllowed;
        assert_eq!(refused("127.0.0.1:4000", policy), None);
        assert_eq!(refused("[::1]:4000", policy), None);
        for address in ["0.0.0.0:4000", "169.254.1.1:4000", "224.0.0.1:4000", "127.0.0.1:53"] {
            assert!(refused(address, policy).is_some(), "{address}");
        }
    }

    #[test]
    fn mapped_address_comes_back_as_ipv4() {
        let found = check_media_address(
            "[::ffff:192.0.2.1]:4000".parse().unwrap(),
            AddressPolicy::RemoteOnly,
        );
        assert_eq!(found, Ok("192.0.2.1:4000".parse().unwrap()));
    }
}
