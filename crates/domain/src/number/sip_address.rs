//! SIP addresses that are telephone numbers at somebody's server: `sip:+15550100@pbx.example:5070`.

use super::Destination;

/// Longest address that is looked at, in bytes.
const BYTES_MAX: usize = 256;

/// A number at a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipNumber {
    /// The number.
    pub number: Destination,
    /// The host, with its port where one is written, in lower case.
    pub host: String,
}

impl SipNumber {
    /// Reads an address, with or without `sip:`; its parameters and headers are passed over.
    ///
    /// `None` where it is none, or its user is no number, or has a password. `sips:` is none: who
    /// asks for it wants every hop of the way private, which no trunk can promise.
    pub fn parse(address: &str) -> Option<Self> {
        let address = address.trim();
        if address.len() > BYTES_MAX {
            return None;
        }
        let rest = match address.split_once(':') {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("sip") => rest,
            // A port follows the host, and a scheme precedes the user.
            Some((before, _)) if before.contains('@') => address,
            Some(_) => return None,
            None => address,
        };
        let (user, host) = rest.split_once('@')?;
        // A number may have parameters of its own: `sip:+1555;phone-context=…@…` (RFC 3261 §19.1.1).
        let user = user.split(';').next()?;
        let host = host.split([';', '?']).next()?;
        let is_host = |sign: char| sign.is_ascii_alphanumeric() || "-._:[]".contains(sign);
        if host.is_empty() || !host.chars().all(is_host) {
            return None;
        }
        let number = Destination::number(user).ok()?;
        Some(Self { number, host: host.to_ascii_lowercase() })
    }

    /// Whether its host is this one, named with a port or without.
    pub fn is_at(&self, host: &str) -> bool {
        host.eq_ignore_ascii_case(&self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(address: &str) -> Option<(String, String)> {
        let read = SipNumber::parse(address)?;
        Some((read.number.dialed().to_owned(), read.host))
    }

    #[test]
    fn number_and_host_are_read_whatever_stands_around_them() {
        let at = |number: &str, host: &str| Some((number.to_owned(), host.to_owned()));
        assert_eq!(read("sip:+15550100@PBX.example"), at("+15550100", "pbx.example"));
        assert_eq!(read("SIP:1555-0100@10.0.0.5:5070;user=phone"), at("15550100", "10.0.0.5:5070"));
        assert_eq!(read("15550100@[::1]:5060?Subject=x"), at("15550100", "[::1]:5060"));
        assert_eq!(read("sip:+1555;phone-context=x@a"), at("+1555", "a"));
    }

    #[test]
    fn what_is_no_number_at_a_host_is_refused() {
        for address in [
            "",
            "sip:",
            "sip:ann@pbx.example",
            "sip:1555",
            "sip:1555@",
            "sip:1555:secret@pbx.example",
            "sips:1555@pbx.example",
            "tel:1555@pbx.example",
            "sip:1555@a@b",
            "sip:1555@a b",
            "sip:1555@a\r\nRoute: x",
        ] {
            assert_eq!(read(address), None, "{address}");
        }
        assert_eq!(read(&format!("sip:1555@{}", "a".repeat(300))), None);
    }
}
