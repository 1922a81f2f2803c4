//! Which URLs may be asked at all: scheme, port, and what stands behind the name.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use rustls_pki_types::CertificateDer;
use url::{Host, Url};

use super::Purpose;
use super::address::{Network, special_network};

/// What outgoing HTTP may reach; the default reaches the public internet alone.
#[derive(Clone, Debug)]
pub struct HttpPolicy {
    /// Private networks that may be reached nevertheless, for customers in the same house.
    pub allowed: Vec<Network>,
    /// Ports below 1024 that may be reached beside 80 and 443.
    pub allowed_ports: Vec<u16>,
    /// Ports from 1024 on that may not be reached, wherever they are.
    pub denied_ports: Vec<u16>,
    /// Where this process itself listens; never reached, even in an allowed network. An
    /// unspecified address (`0.0.0.0`, `::`) stands for every address of this machine.
    pub own: Vec<SocketAddr>,
    /// Certificates of authorities that are trusted beside those of the system.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

/// Why a URL is not asked.
///
/// Its text says nothing about what a name resolves to: the client may read it, and our view of the
/// network is not his.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It leads to this address, which is not public, or back to ourselves.
    #[error("its host is in a private, local or reserved network")]
    Address(IpAddr),
    /// There is no host in it.
    #[error("it has no host")]
    Host,
    /// It is longer than any server reads.
    #[error("it is longer than {URL_BYTES_MAX} bytes")]
    Length,
    /// Its port belongs to another kind of service.
    #[error("port {0} is not permitted, use 80, 443 or one from 1024 on that is free for HTTP")]
    Port(u16),
    /// It is neither http nor https.
    #[error("its scheme is neither http nor https")]
    Scheme,
    /// It has signs that no HTTP request line can carry.
    #[error("it has signs that HTTP cannot carry")]
    Signs,
    /// It carries a user name or a password.
    #[error("it carries a user name or password, which is not supported")]
    UserInfo,
}

impl Refusal {
    /// Counts and logs: who asks for such addresses is worth a look. The log names the address
    /// that the text keeps to itself.
    pub(super) fn note(&self, url: &Url, purpose: Purpose) {
        let host = url.host_str().unwrap_or_default();
        let address = if let Self::Address(address) = self { Some(address) } else { None };
        let address = address.map(tracing::field::display);
        tracing::warn!(
            url.host = host,
            address,
            purpose = purpose.name(),
            "URL is refused: {self}"
        );
        metrics::counter!("outdial_outgoing_refused_total", "reason" => self.name()).increment(1);
    }

    /// The name under which refusals are counted.
    const fn name(self) -> &'static str {
        match self {
            Self::Address(_) => "address",
            Self::Host => "host",
            Self::Length => "length",
            Self::Port(_) => "port",
            Self::Scheme => "scheme",
            Self::Signs => "signs",
            Self::UserInfo => "user_info",
        }
    }
}

/// Where a permitted URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    pub(super) tls: bool,
}

impl HttpPolicy {
    /// The same policy, with this machine's loopback addresses allowed: for trying things out.
    #[must_use]
    pub fn with_loopback(mut self) -> Self {
        self.allowed.extend([Network::LOOPBACK_V4, Network::LOOPBACK_V6]);
        self
    }

    /// Where `url` leads, if it may be asked. An address in it is judged here, a name only by
    /// [`Self::check`] once it is resolved: a resolver never sees an address.
    pub(super) fn target(&self, url: &Url) -> Result<Target, Refusal> {
        let tls = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(Refusal::Scheme),
        };
        if url.as_str().len() > URL_BYTES_MAX {
            return Err(Refusal::Length);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::UserInfo);
        }
        let port = url.port_or_known_default().ok_or(Refusal::Host)?;
        if !self.permits_port(port) {
            return Err(Refusal::Port(port));
        }
        let host = url.host().ok_or(Refusal::Host)?.to_owned();
        match host {
            Host::Ipv4(address) => self.check(&[address.into()], port)?,
            Host::Ipv6(address) => self.check(&[address.into()], port)?,
            Host::Domain(_) => {}
        }
        Ok(Target { host, port, tls })
    }

    /// Refuses all addresses of a name if any of them is refused: a name with a public and a
    /// private address is an attack or a mistake.
    pub(super) fn check(&self, addresses: &[IpAddr], port: u16) -> Result<(), Refusal> {
        for address in addresses.iter().map(IpAddr::to_canonical) {
            let allowed = self.allowed.iter().any(|network| network.contains(address));
            let inner = !allowed && special_network(address).is_some();
            if inner || self.own.iter().any(|own| is_own(*own, address, port)) {
                return Err(Refusal::Address(address));
            }
        }
        Ok(())
    }

    fn permits_port(&self, port: u16) -> bool {
        match port {
            80 | 443 => true,
            0..1024 => self.allowed_ports.contains(&port),
            1024.. => !self.denied_ports.contains(&port),
        }
    }
}

impl Default for HttpPolicy {
    fn default() -> Self {
        Self {
            allowed: Vec::new(),
            allowed_ports: Vec::new(),
            denied_ports: DENIED_PORTS.to_vec(),
            own: Vec::new(),
            extra_roots: Vec::new(),
        }
    }
}

/// Whether `address` and `port` lead to the listener `own`.
fn is_own(own: SocketAddr, address: IpAddr, port: u16) -> bool {
    let listening = own.ip().to_canonical();
    // Only an address of this machine can be bound, which spares us the list of its interfaces.
    let is_local = || UdpSocket::bind((address, 0)).is_ok();
    own.port() == port && (listening == address || (listening.is_unspecified() && is_local()))
}

/// Longest URL that is asked, in bytes; common servers read request lines of 8 kB.
pub(super) const URL_BYTES_MAX: usize = 8_000;

/// Ports from 1024 on where other services listen that understand, or trip over, a line of HTTP.
///
/// Those of the Fetch standard's "bad ports", and databases, caches, brokers, orchestrators and
/// telephony as they come configured.
pub const DENIED_PORTS: &[u16] = &[
    1433, 1434, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3268, 3269, 3306, 3389,
    3659, 4045, 4190, 4369, 5038, 5060, 5061, 5432, 5433, 5671, 5672, 5900, 5901, 5984, 5985, 5986,
    6000, 6379, 6380, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 8021, 8500, 9042, 9092,
    9200, 9300, 10080, 10250, 10255, 11211, 15672, 25672, 26379, 27017, 27018, 27019, 50070,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(policy: &HttpPolicy, url: &str) -> Result<u16, Refusal> {
        policy.target(&Url::parse(url).unwrap()).map(|target| target.port)
    }

    #[test]
    fn web_addresses_of_the_internet_are_permitted() {
        let policy = HttpPolicy::default();
        let ports = [
            "http://app.example/start",
            "https://app.example/",
            "https://8.8.8.8/",
            "http://app.example:8080/",
            "http://[2606:4700::1111]:65535/?q",
        ]
        .map(|url| verdict(&policy, url));
        assert_eq!(ports, [Ok(80), Ok(443), Ok(443), Ok(8_080), Ok(65_535)]);
    }

    #[test]
    fn what_is_no_web_address_is_refused_by_name() {
        let policy = HttpPolicy::default();
        let long = format!("http://app.example/{}", "a".repeat(URL_BYTES_MAX));
        let cases = [
            ("ftp://app.example/", Refusal::Scheme),
            ("file:///etc/passwd", Refusal::Scheme),
            ("gopher://app.example:70/", Refusal::Scheme),
            ("data:text/plain,x", Refusal::Scheme),
            ("http://user@app.example/", Refusal::UserInfo),
            ("http://:secret@app.example/", Refusal::UserInfo),
            ("http://app.example:22/", Refusal::Port(22)),
            ("http://app.example:0/", Refusal::Port(0)),
            ("http://app.example:6379/", Refusal::Port(6_379)),
            ("https://app.example:5061/", Refusal::Port(5_061)),
            (&long, Refusal::Length),
        ];
        for (url, refusal) in cases {
            assert_eq!(verdict(&policy, url), Err(refusal), "{url}");
        }
    }

    #[test]
    fn allowed_network_opens_its_addresses_but_no_port() {
        let mut policy = HttpPolicy::default().with_loopback();
        policy.allowed_ports.push(81);
        assert_eq!(verdict(&policy, "http://127.0.0.1:8080/"), Ok(8_080));
        assert_eq!(verdict(&policy, "http://[::1]:81/"), Ok(81));
        assert_eq!(verdict(&policy, "http://127.0.0.1:6379/"), Err(Refusal::Port(6_379)));
        let private = "10.0.0.1".parse().unwrap();
        assert_eq!(verdict(&policy, "http://10.0.0.1/"), Err(Refusal::Address(private)));
    }

    #[test]
    fn own_listeners_are_refused_even_in_an_allowed_network() {
        let mut policy = HttpPolicy::default().with_loopback();
        policy.own = vec!["0.0.0.0:8080".parse().unwrap(), "127.0.0.1:9090".parse().unwrap()];
        let refused = [
            ("http://127.0.0.1:8080/", "127.0.0.1"),
            ("http://127.0.0.7:8080/", "127.0.0.7"),
            ("http://[::ffff:127.0.0.1]:8080/", "127.0.0.1"),
            ("http://127.0.0.1:9090/", "127.0.0.1"),
        ];
        for (url, address) in refused {
            let address = address.parse().unwrap();
            assert_eq!(verdict(&policy, url), Err(Refusal::Address(address)), "{url}");
        }
        assert_eq!(verdict(&policy, "http://127.0.0.1:8081/"), Ok(8_081));
        // Not ours: no machine that runs this is the one that it names.
        let elsewhere = policy.check(&["8.8.8.8".parse().unwrap()], 8_080);
        assert_eq!(elsewhere, Ok(()));
    }

    #[test]
    fn name_with_one_private_address_is_refused_whole() {
        let addresses = ["8.8.8.8".parse().unwrap(), "10.0.0.1".parse().unwrap()];
        let refused = Err(Refusal::Address(addresses[1]));
        assert_eq!(HttpPolicy::default().check(&addresses, 80), refused);
    }
}
