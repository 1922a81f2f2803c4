//! Names of a call that follow from its attempt on disk, so that a restart knows its own calls.

use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use super::flow::Flow;
use super::value::BRANCH_COOKIE;

/// Octets of a MAC that a name carries: 96 bits, which nobody guesses (RFC 3261 §19.3 asks 32).
const MAC_BYTES: usize = 12;

/// What an INVITE is known by, the same whenever it is derived for the same attempt and trunk.
///
/// An attempt that goes over a second trunk after the first refused it has other names there: both
/// may lead to the same far end, which takes two requests of one name for a loop (RFC 3261
/// §8.2.2.2).
///
/// A call that was sent before a crash is thereby recognised after it, and an INVITE that is sent
/// again is a repetition to the far end, not a second call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallIdentity {
    /// `attempt.trunk.mac@host`: whoever holds the key tells the attempt from it.
    pub call_id: String,
    /// Our tag of the dialog.
    pub from_tag: String,
    /// What the branches of its INVITEs are made of; never on the wire.
    branch_seed: String,
}

impl CallIdentity {
    /// The names of an attempt's call over a trunk. `host` is who we are in the Call-ID, a name or an address;
    /// what a Call-ID may not hold becomes `-`.
    pub fn derive(key: &[u8; 32], attempt: i64, trunk: i64, host: &str) -> Self {
        let mac = |purpose| hex(&mac_of(key, purpose, attempt, trunk).finalize().into_bytes());
        let host: String = host
            .chars()
            .map(|sign| if sign.is_ascii_graphic() && !",@".contains(sign) { sign } else { '-' })
            .collect();
        let name = format!("{attempt}.{trunk}.{}", mac(CALL_ID));
        Self {
            call_id: if host.is_empty() { name } else { format!("{name}@{host}") },
            from_tag: mac("from tag"),
            branch_seed: mac("branch"),
        }
    }

    /// The branch of the INVITE that goes with this CSeq to this address; no two tries of a call
    /// have both in common.
    ///
    /// A later life can so name each INVITE that may have been sent, to cancel it. One address
    /// does not learn the branch of another from its own.
    pub fn branch(&self, cseq: u32, flow: Flow) -> String {
        let name = Sha256::digest(format!("{} {cseq} {flow}", self.branch_seed));
        format!("{BRANCH_COOKIE}{}", hex(&name))
    }

    /// The attempt whose call has this Call-ID, or `None` where it is not one of ours.
    ///
    /// The host does not matter: it may change between two runs.
    pub fn recognise(key: &[u8; 32], call_id: &str) -> Option<i64> {
        let name = call_id.split_once('@').map_or(call_id, |(name, _)| name);
        let (first, rest) = name.split_once('.')?;
        let (second, mac) = rest.split_once('.')?;
        let (attempt, trunk) = (number(first)?, number(second)?);
        if mac.len() != 2 * MAC_BYTES {
            return None;
        }
        let mut octets = [0; MAC_BYTES];
        for (octet, pair) in octets.iter_mut().zip(mac.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *octet = u8::from_str_radix(pair, 16).ok()?;
        }
        // In constant time, so that no far end finds a MAC octet by octet.
        let is_ours = mac_of(key, CALL_ID, attempt, trunk).verify_truncated_left(&octets).is_ok();
        is_ours.then_some(attempt)
    }
}

const CALL_ID: &str = "call id";

/// A number in its one spelling: neither "+7" nor "007" is 7.
fn number(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

fn mac_of(key: &[u8; 32], purpose: &str, attempt: i64, trunk: i64) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(b"outdial call identity: ");
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(&attempt.to_be_bytes());
    mac.update(&trunk.to_be_bytes());
    mac
}

fn hex(mac: &[u8]) -> String {
    mac[..MAC_BYTES].iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use super::*;
    use crate::sip::flow::Transport;
    use crate::sip::header::Headers;
    use crate::sip::name::Name;
    use proptest::prelude::*;

    const KEY: [u8; 32] = [7; 32];
    const AT: Flow = at(1);

    const fn at(n: u8) -> Flow {
        let peer = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)), 5060);
        Flow { transport: Transport::Udp, peer }
    }

    #[test]
    fn same_attempt_has_the_same_names_on_a_trunk_and_others_elsewhere() {
        let identity = CallIdentity::derive(&KEY, 42, 1, "dialer.example.com");
        assert_eq!(identity, CallIdentity::derive(&KEY, 42, 1, "dialer.example.com"));
        let other = CallIdentity::derive(&KEY, 43, 1, "dialer.example.com");
        assert_ne!(identity.call_id, other.call_id);
        assert_ne!(identity.from_tag, other.from_tag);
        assert_ne!(identity.branch(1, AT), other.branch(1, AT));
        let elsewhere = CallIdentity::derive(&KEY, 42, 2, "dialer.example.com");
        assert_ne!(identity.call_id, elsewhere.call_id);
        assert_ne!(identity.from_tag, elsewhere.from_tag);
        assert_ne!(identity.branch(1, AT), elsewhere.branch(1, AT));
        assert_ne!(identity, CallIdentity::derive(&[8; 32], 42, 1, "dialer.example.com"));
    }

    #[test]
    fn names_are_what_their_headers_may_hold() {
        let identity = CallIdentity::derive(&KEY, i64::MIN, 1, "a b\r\n,@c");
        let mut headers = Headers::new();
        headers.push(Name::CallId, &identity.call_id);
        assert!(headers.call_id().unwrap().ends_with("@a-b----c"));
        assert!(crate::sip::Token::new(&identity.from_tag).is_some());
        assert!(identity.branch(1, AT).starts_with("z9hG4bK"));
        assert_eq!(identity.from_tag.len(), 24);
    }

    #[test]
    fn each_try_has_a_branch_of_its_own_and_always_the_same() {
        let branch = |cseq, flow| CallIdentity::derive(&KEY, 42, 1, "h").branch(cseq, flow);
        let over_tcp = Flow { transport: Transport::Tcp, ..AT };
        let tries = [(1, AT), (2, AT), (1, at(2)), (2, at(2)), (1, over_tcp)];
        let branches: BTreeSet<_> = tries.iter().map(|(cseq, to)| branch(*cseq, *to)).collect();
        assert_eq!(branches.len(), tries.len());
        assert_eq!(branch(2, AT), CallIdentity::derive(&KEY, 42, 1, "elsewhere").branch(2, AT));
        assert_eq!(branch(1, AT).len(), "z9hG4bK".len() + 24);
    }

    #[test]
    fn call_ids_of_others_are_not_recognised() {
        let identity = CallIdentity::derive(&KEY, 7, 1, "h");
        let mac = identity.call_id.strip_prefix("7.1.").unwrap().strip_suffix("@h").unwrap();
        let foreign = [
            String::new(),
            "@".into(),
            format!("8.1.{mac}@h"),
            format!("7.2.{mac}@h"),
            format!("7.{mac}@h"),
            format!("+7.1.{mac}@h"),
            format!("07.1.{mac}@h"),
            format!("7.01.{mac}@h"),
            format!("7.1.{}@h", &mac[1..]),
            format!("7.1.{mac}0@h"),
            format!("7.1.{}@h", "+f".repeat(12)),
            format!("7.1.{}@h", "é".repeat(12)),
            format!("99999999999999999999.1.{mac}@h"),
            "a84b4c76e66710@pc33.example.com".into(),
        ];
        for call_id in foreign {
            assert_eq!(CallIdentity::recognise(&KEY, &call_id), None, "{call_id}");
        }
        assert_eq!(CallIdentity::recognise(&[8; 32], &identity.call_id), None);
    }

    proptest! {
        #[test]
        fn own_call_ids_are_recognised_whatever_the_host(attempt: i64, trunk: i64, host in "\\PC{0,20}") {
            let identity = CallIdentity::derive(&KEY, attempt, trunk, &host);
            prop_assert_eq!(CallIdentity::recognise(&KEY, &identity.call_id), Some(attempt));
        }

        #[test]
        fn any_text_is_survived(text in "\\PC{0,60}") {
            prop_assert_eq!(CallIdentity::recognise(&KEY, &text), None);
        }
    }
}
