//! Addresses of a trunk: literals, names with a port, and names found by SRV (RFC 3263 §4).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};
use proto::sip::flow::{Flow, Target, Transport};

/// Addresses of one trunk at most; more are of no use to a call that must begin in seconds.
const TARGETS_MAX: usize = 16;

/// Looks up names.
#[derive(Clone)]
pub(super) struct Lookup(Option<Arc<TokioResolver>>);

impl Lookup {
    /// With the machine's own resolver settings; without any, only literal addresses resolve.
    pub(super) fn new() -> Self {
        let resolver = TokioResolver::builder_tokio().and_then(|builder| builder.build());
        if let Err(error) = &resolver {
            tracing::warn!(%error, "no DNS: trunks need literal addresses");
        }
        Self(resolver.ok().map(Arc::new))
    }

    /// The addresses of `hosts` in order of preference; names that cannot be found are logged.
    pub(super) async fn targets(&self, hosts: &[String], transport: Transport) -> Vec<Target> {
        let mut targets = Vec::new();
        for host in hosts {
            let found = self.host(host, transport).await;
            if found.is_empty() {
                tracing::warn!(%host, "trunk's host cannot be found");
            }
            targets.extend(found);
        }
        targets.truncate(TARGETS_MAX);
        targets
    }

    async fn host(&self, host: &str, transport: Transport) -> Vec<Target> {
        let (name, port) = split(host);
        let target = |address: IpAddr, port: u16| Target {
            flow: Flow { transport, peer: SocketAddr::new(address, port) },
            server_name: Some(Arc::from(name)),
        };
        let default_port = port.unwrap_or(transport.default_port());
        if let Ok(address) = name.parse() {
            return vec![target(address, default_port)];
        }
        let mut targets = Vec::new();
        if port.is_none() {
            for (service, port) in self.services(name, transport).await {
                let addresses = self.addresses(&service).await;
                targets.extend(addresses.into_iter().map(|address| target(address, port)));
            }
        }
        if targets.is_empty() {
            let addresses = self.addresses(name).await;
            targets.extend(addresses.into_iter().map(|address| target(address, default_port)));
        }
        targets
    }

    /// Hosts and ports of the SRV records, by priority, then by falling weight.
    async fn services(&self, name: &str, transport: Transport) -> Vec<(String, u16)> {
        let Some(resolver) = &self.0 else {
            return Vec::new();
        };
        let prefix = match transport {
            Transport::Udp => "_sip._udp",
            Transport::Tcp => "_sip._tcp",
            Transport::Tls => "_sips._tcp",
        };
        let Ok(found) = resolver.lookup(format!("{prefix}.{name}."), RecordType::SRV).await else {
            return Vec::new();
        };
        let mut records: Vec<_> = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(srv) => Some(srv.clone()),
                _ => None,
            })
            .collect();
        records.sort_by_key(|srv| (srv.priority, std::cmp::Reverse(srv.weight)));
        records.into_iter().map(|srv| (srv.target.to_utf8(), srv.port)).collect()
    }

    async fn addresses(&self, name: &str) -> Vec<IpAddr> {
        let Some(resolver) = &self.0 else {
            return Vec::new();
        };
        match resolver.lookup_ip(name).await {
            Ok(found) => found.iter().collect(),
            Err(error) => {
                tracing::debug!(name, %error, "name not found");
                Vec::new()
            }
        }
    }
}

/// Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`.
fn split(host: &str) -> (&str, Option<u16>) {
    if let Some(rest) = host.strip_prefix('[') {
        let (address, port) = rest.split_once(']').unwrap_or((rest, ""));
        return (address, port.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') => (name, port.parse().ok()),
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_split_from_its_port_in_every_form() {
        let forms = ["a.example", "a.example:5070", "192.0.2.1:5080", "[2001:db8::1]:5090", "::1"];
        let split = forms.map(split);
        assert_eq!(
            split,
            [
                ("a.example", None),
                ("a.example", Some(5_070)),
                ("192.0.2.1", Some(5_080)),
                ("2001:db8::1", Some(5_090)),
                ("::1", None)
            ]
        );
    }

    #[tokio::test]
    async fn literal_addresses_need_no_dns() {
        let hosts = ["127.0.0.1:5070".to_owned(), "[::1]".to_owned()];
        let targets = Lookup(None).targets(&hosts, Transport::Tls).await;
        let shown: Vec<String> = targets.iter().map(|t| t.flow.to_string()).collect();
        assert_eq!(shown, ["tls:127.0.0.1:5070", "tls:[::1]:5061"]);
    }
}
