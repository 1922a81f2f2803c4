//! From a host's name to its addresses: the hosts file first, then the system's name servers.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;

/// How long a name server may take to answer once; asked twice, this stays within a connect.
const QUERY_TIME_MAX: Duration = Duration::from_millis(1_200);
/// Answers remembered, each for as long as its server says.
const CACHE_ANSWERS: u64 = 1_024;
/// Longest that an answer is remembered, so that a host that moves is found again in a call's time.
const CACHE_TIME_MAX: Duration = Duration::from_secs(300);

/// Who knows the addresses of names.
///
/// Not the C library's resolver: it blocks a thread for as long as a hostile name server likes.
/// The hosts file is read once, at start.
pub(super) enum Names {
    /// The machine's hosts file and name servers.
    System(Box<TokioResolver>),
    /// What a test says.
    #[cfg(test)]
    Stub(Stub),
}

/// A test's own hosts file.
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
        options.negative_max_ttl = Some(Duration::from_secs(10));
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Always;
        Ok(Self::System(Box::new(builder.build()?)))
    }

    /// Every address of `name`; never an empty list.
    pub(super) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let addresses: Vec<IpAddr> = match self {
            Self::System(resolver) => match resolver.lookup_ip(name).await {
                Ok(answer) => answer.iter().collect(),
                Err(error) => return Err(error.to_string()),
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
