//! What the user agent knows of one trunk: addresses, their health, credentials, registration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use super::api::TrunkKey;
use super::core::Core;
use super::registering::Registering;
use crate::sip::auth::{Authenticator, Credentials};
use crate::sip::flow::{Flow, Target};
use crate::sip::timers::Armed;
use crate::sip::tokens::Tokens;

/// Most addresses and most further sources that one trunk may have.
pub(super) const ADDRESSES_MAX: usize = 256;

/// One trunk.
#[derive(Debug, Default)]
pub(super) struct Trunk {
    pub(super) targets: Vec<Target>,
    sources: Vec<IpAddr>,
    /// Addresses that the trunk lost while calls were up by them.
    in_use: Vec<IpAddr>,
    credentials: Option<Credentials>,
    pub(super) authenticator: Option<Authenticator>,
    /// Addresses that failed, and until when others come first.
    resting: BTreeMap<Flow, Instant>,
    /// Addresses that a probe is asking.
    pub(super) probed: Vec<Flow>,
    pub(super) registration: Option<Box<Registering>>,
    pub(super) armed: Armed,
}

impl Trunk {
    /// Replaces addresses and credentials; health and registration stay.
    pub(super) fn set(
        &mut self,
        mut targets: Vec<Target>,
        mut sources: Vec<IpAddr>,
        in_use: Vec<IpAddr>,
        credentials: Option<Credentials>,
        tokens: &mut Tokens,
    ) {
        targets.truncate(ADDRESSES_MAX);
        sources.truncate(ADDRESSES_MAX);
        self.resting.retain(|flow, _| targets.iter().any(|target| target.flow == *flow));
        self.targets = targets;
        self.sources = sources.into_iter().map(|address| address.to_canonical()).collect();
        self.in_use = in_use;
        // The same credentials keep the nonces that peers gave.
        if self.credentials != credentials {
            let seed = tokens.seed();
            self.authenticator = credentials.clone().map(|all| Authenticator::new(all, seed));
            self.credentials = credentials;
        }
    }

    /// Every address that it may send from.
    pub(super) fn sources(&self) -> impl Iterator<Item = IpAddr> {
        let targets = self.targets.iter().map(|target| target.flow.peer.ip().to_canonical());
        targets.chain(self.sources.iter().chain(&self.in_use).copied())
    }

    /// Whether it may send from this address.
    pub(super) fn is_source(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.sources().any(|source| source == address)
    }

    /// The first address that was not tried, resting ones last.
    pub(super) fn choose(&self, now: Instant, tried: &[Flow]) -> Option<&Target> {
        let is_resting =
            |target: &&Target| self.resting.get(&target.flow).is_some_and(|until| *until > now);
        let free = || self.targets.iter().filter(|target| !tried.contains(&target.flow));
        free().find(|target| !is_resting(target)).or_else(|| free().next())
    }

    /// The address failed: others come first for a while.
    pub(super) fn rest(&mut self, flow: Flow, until: Instant) {
        if self.targets.iter().any(|target| target.flow == flow) {
            let rest = self.resting.entry(flow).or_insert(until);
            *rest = until.max(*rest);
        }
    }

    /// The address works again.
    pub(super) fn wake(&mut self, flow: Flow) {
        self.resting.remove(&flow);
    }
}

impl Core {
    /// The address of the trunk to try next.
    pub(super) fn choose(&self, trunk: TrunkKey, now: Instant, tried: &[Flow]) -> Option<Target> {
        self.trunks.get(&trunk)?.choose(now, tried).cloned()
    }

    /// Sets, replaces or forgets a trunk; calls that are up by `in_use` stay reachable there.
    pub(super) fn set_trunk(
        &mut self,
        key: TrunkKey,
        targets: Vec<Target>,
        sources: Vec<IpAddr>,
        in_use: Vec<IpAddr>,
        credentials: Option<Credentials>,
    ) {
        if targets.is_empty() && sources.is_empty() && in_use.is_empty() {
            self.trunks.remove(&key);
            return;
        }
        let Self { trunks, tokens, config, .. } = self;
        if trunks.len() < config.limits.trunks_max || trunks.contains_key(&key) {
            trunks.entry(key).or_default().set(targets, sources, in_use, credentials, tokens);
        }
    }

    /// The trunk that has this address, and its way there.
    pub(super) fn trunk_at(&self, flow: Flow) -> Option<(TrunkKey, Target)> {
        // Two trunks, or two addresses of one, may differ by nothing but the port.
        for (key, trunk) in &self.trunks {
            if let Some(target) = trunk.targets.iter().find(|target| target.flow == flow) {
                return Some((*key, target.clone()));
            }
        }
        let address = flow.peer.ip();
        let (key, trunk) = self.trunks.iter().find(|(_, trunk)| trunk.is_source(address))?;
        let way = trunk.targets.iter().find(|target| {
            target.flow.transport == flow.transport
                && target.flow.peer.ip().to_canonical() == address.to_canonical()
        });
        let way = way.cloned().unwrap_or(Target { flow, server_name: None });
        Some((*key, way))
    }

    /// An address of the trunk failed: others come first until then.
    pub(super) fn rest(&mut self, trunk: TrunkKey, flow: Flow, until: Instant) {
        if let Some(trunk) = self.trunks.get_mut(&trunk) {
            trunk.rest(flow, until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::flow::Transport;
    use crate::sip::testing::start;
    use std::time::Duration;

    fn target(n: u8) -> Target {
        let peer = ([192, 0, 2, n], 5060).into();
        Target { flow: Flow { transport: Transport::Udp, peer }, server_name: None }
    }

    fn trunk(targets: &[u8]) -> Trunk {
        let mut trunk = Trunk::default();
        let targets = targets.iter().map(|n| target(*n)).collect();
        trunk.set(targets, Vec::new(), Vec::new(), None, &mut Tokens::new(&[0; 32], 1));
        trunk
    }

    fn chosen(trunk: &Trunk, now: Instant, tried: &[u8]) -> Option<u8> {
        let tried: Vec<_> = tried.iter().map(|n| target(*n).flow).collect();
        let IpAddr::V4(address) = trunk.choose(now, &tried)?.flow.peer.ip() else { return None };
        Some(address.octets()[3])
    }

    #[test]
    fn addresses_are_tried_in_order_and_resting_ones_last() {
        let (mut trunk, t) = (trunk(&[1, 2, 3]), start());
        assert_eq!(chosen(&trunk, t, &[]), Some(1));
        trunk.rest(target(1).flow, t + Duration::from_secs(30));
        assert_eq!(chosen(&trunk, t, &[]), Some(2));
        assert_eq!(chosen(&trunk, t, &[2, 3]), Some(1));
        assert_eq!(chosen(&trunk, t, &[1, 2, 3]), None);
        assert_eq!(chosen(&trunk, t + Duration::from_secs(30), &[]), Some(1));
        trunk.wake(target(1).flow);
        assert_eq!(chosen(&trunk, t, &[]), Some(1));
    }

    #[test]
    fn replaced_trunk_forgets_the_health_of_addresses_it_lost() {
        let (mut trunk, t) = (trunk(&[1, 2]), start());
        trunk.rest(target(1).flow, t + Duration::from_secs(30));
        trunk.rest(target(9).flow, t + Duration::from_secs(30));
        let sources = vec!["::ffff:198.51.100.7".parse().unwrap()];
        trunk.set(vec![target(2)], sources, Vec::new(), None, &mut Tokens::new(&[0; 32], 1));
        assert!(trunk.resting.is_empty());
        assert!(trunk.is_source("198.51.100.7".parse().unwrap()));
        assert!(trunk.is_source("192.0.2.2".parse().unwrap()));
        assert!(!trunk.is_source("192.0.2.1".parse().unwrap()));
    }
}
