//! From a host's name to its addresses: the hosts file first, then the system's name servers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// Where the hosts file is.
const HOSTS_FILE: &str = "/etc/hosts";
/// How long a name server may take to answer; with a second one, this stays within a connect.
const QUERY_TIME_MAX: Duration = Duration::from_millis(1_200);
/// Answers remembered, each for as long as its server says.
const CACHE_ANSWERS: u64 = 1_024;
/// Longest that an answer is remembered, so that a host that moves is found again in a call's time.
const CACHE_TIME_MAX: Duration = Duration::from_secs(300);
/// Longest that it is remembered that a name has no address.
const CACHE_NOTHING_MAX: Duration = Duration::from_secs(10);

/// Who knows the addresses of names.
///
/// Not the C library's resolver: it blocks a thread for as long as a hostile name server likes.
pub(super) enum Names {
    /// The machine's hosts file, read once, and its name servers.
    System {
        /// Addresses by name in lower case. Looked at here, because the resolver asks the network
        /// for IPv6 where the file has IPv4 alone, and waits.
        hosts: HashMap<String, Vec<IpAddr>>,
        resolver: Box<TokioResolver>,
    },
    /// What a test says.
    #[cfg(test)]
    Stub(Stub),
}

/// A test's own name server.
#[cfg(test)]
pub(super) type Stub = Box<dyn Fn(&str) -> Vec<IpAddr> + Send + Sync>;

impl Names {
    /// Resolves as the machine is set up; without name servers the hosts file alone counts.
    pub(super) fn system() -> Result<Self, NetError> {
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "name servers are not known, only the hosts file is used");
            let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
            TokioResolver::builder_with_config(nobody, TokioRuntimeProvider::default())
        });
        let options = builder.options_mut();
        options.timeout = QUERY_TIME_MAX;
        options.attempts = 1;
        options.cache_size = CACHE_ANSWERS;
        options.positive_max_ttl = Some(CACHE_TIME_MAX);
        options.negative_max_ttl = Some(CACHE_NOTHING_MAX);
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never;
        let hosts = std::fs::read(HOSTS_FILE).unwrap_or_else(|error| {
            tracing::warn!(%error, "{HOSTS_FILE} cannot be read, only name servers are used");
            Vec::new()
        });
        let hosts = read_hosts(&String::from_utf8_lossy(&hosts));
        Ok(Self::System { hosts, resolver: Box::new(builder.build()?) })
    }

    /// Every address of `name`; never an empty list. The error is a sentence without a word about
    /// the network that we are in.
    pub(super) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let addresses = match self {
            Self::System { hosts, resolver } => match hosts.get(name.trim_end_matches('.')) {
                Some(addresses) => addresses.clone(),
                None => ask(resolver, name).await?,
            },
            #[cfg(test)]
            Self::Stub(stub) => stub(name),
        };
        if addresses.is_empty() {
            return Err("the name has no address".to_owned());
        }
        Ok(addresses)
    }
}

async fn ask(resolver: &TokioResolver, name: &str) -> Result<Vec<IpAddr>, String> {
    let answer = resolver.lookup_ip(name).await.map_err(|error| {
        tracing::debug!(url.host = name, %error, "name is not resolved");
        if error.is_nx_domain() {
            "the name does not exist"
        } else if error.is_no_records_found() {
            "the name has no address"
        } else {
            "no name server knows about it"
        }
    })?;
    Ok(answer.iter().collect())
}

/// Reads lines of an address and its names (hosts(5)); what cannot be read is left out.
fn read_hosts(text: &str) -> HashMap<String, Vec<IpAddr>> {
    let mut hosts: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        if let Some(address) = words.next().and_then(|word| word.parse().ok()) {
            for name in words {
                hosts.entry(name.to_ascii_lowercase()).or_default().push(address);
            }
        }
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_file_is_read_as_the_system_reads_it() {
        let text = "127.0.0.1 localhost # comment\n::1\tlocalhost ip6-localhost\n\n\
                    10.1.0.7  App.Internal app\n# 10.9.9.9 old\nfe80::1%lo0 odd\nnonsense x\n";
        let hosts = read_hosts(text);
        let of = |name: &str| hosts.get(name).map(|it| it.iter().map(IpAddr::to_string).collect());
        let addresses: [Option<Vec<String>>; 4] =
            ["localhost", "app.internal", "app", "old"].map(of);
        let some = |it: &[&str]| Some(it.iter().map(ToString::to_string).collect());
        let expected =
            [some(&["127.0.0.1", "::1"]), some(&["10.1.0.7"]), some(&["10.1.0.7"]), None];
        assert_eq!(addresses, expected);
        assert_eq!(hosts.len(), 4);
    }

    #[tokio::test]
    async fn name_in_the_hosts_file_is_not_asked_for() {
        let nobody = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        let runtime = TokioRuntimeProvider::default();
        let resolver = TokioResolver::builder_with_config(nobody, runtime).build().unwrap();
        let names =
            Names::System { hosts: read_hosts("10.1.0.7 app"), resolver: Box::new(resolver) };
        let address: IpAddr = "10.1.0.7".parse().unwrap();
        assert_eq!(names.resolve("app").await, Ok(vec![address]));
        assert_eq!(names.resolve("app.").await, Ok(vec![address]));
        let unknown = names.resolve("other.example").await;
        assert_eq!(unknown, Err("no name server knows about it".to_owned()));
    }
}
