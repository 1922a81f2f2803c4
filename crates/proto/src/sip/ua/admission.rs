//! Who may make us work: a bucket for every source, filled by time, asked before parsing.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many sources that belong to no trunk are remembered at once.
///
/// Only responses from such sources are read at all (a far end may answer from an address that
/// only its Contact named), so a few are enough; the rest is somebody scanning.
const STRANGERS_MAX: usize = 1_024;

/// Messages a second from a source that belongs to no trunk.
const STRANGER_RATE_PER_S: u32 = 50;

/// A bucket of permits: `rate_per_s` flow in, `burst` fit.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    rate_per_s: u32,
    burst: u32,
    /// Permits in thousandths, so that a millisecond counts at any rate.
    millis: u64,
    filled_at: Option<Instant>,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(rate_per_s: u32, burst: u32) -> Self {
        Self { rate_per_s, burst, millis: u64::from(burst) * 1_000, filled_at: None }
    }

    /// Takes one permit, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        if self.millis < 1_000 {
            return false;
        }
        self.millis -= 1_000;
        true
    }

    fn is_full(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.millis >= u64::from(self.burst) * 1_000
    }

    fn fill(&mut self, now: Instant) {
        let since = self.filled_at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at));
        let elapsed_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        if self.filled_at.is_some() && elapsed_ms == 0 {
            return;
        }
        let gained = elapsed_ms.saturating_mul(u64::from(self.rate_per_s));
        self.millis = self.millis.saturating_add(gained).min(u64::from(self.burst) * 1_000);
        self.filled_at = Some(now);
    }
}

/// Where a message comes from, as far as its address tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// An address of a trunk.
    Trunk,
    /// Any other address: only a response to what we sent there may be meant for us.
    Stranger,
    /// An address that used up its permits.
    Flood,
}

/// The buckets of all sources.
#[derive(Debug)]
pub(super) struct Admission {
    rate_per_s: u32,
    burst: u32,
    trunks: BTreeMap<IpAddr, Bucket>,
    strangers: HashMap<IpAddr, Bucket>,
    /// When quiet strangers were last forgotten: looking through them all is not for each packet.
    swept_at: Option<Instant>,
}

impl Admission {
    /// No source known; trunks will get `rate_per_s` messages a second.
    pub(super) fn new(rate_per_s: u32, burst: u32) -> Self {
        let (trunks, strangers) = (BTreeMap::new(), HashMap::new());
        Self { rate_per_s, burst, trunks, strangers, swept_at: None }
    }

    /// Replaces the addresses of all trunks; those that stay keep their buckets.
    pub(super) fn set_trunks(&mut self, addresses: impl Iterator<Item = IpAddr>) {
        let mut before = std::mem::take(&mut self.trunks);
        for address in addresses {
            let address = address.to_canonical();
            let kept = before.remove(&address);
            let bucket = kept.unwrap_or_else(|| Bucket::new(self.rate_per_s, self.burst));
            self.trunks.entry(address).or_insert(bucket);
        }
    }

    /// Whether the address is a trunk's.
    pub(super) fn is_trunk(&self, address: IpAddr) -> bool {
        self.trunks.contains_key(&address.to_canonical())
    }

    /// Admits one message from this address.
    pub(super) fn admit(&mut self, now: Instant, address: IpAddr) -> Source {
        let address = address.to_canonical();
        if let Some(bucket) = self.trunks.get_mut(&address) {
            return if bucket.take(now) { Source::Trunk } else { Source::Flood };
        }
        if self.strangers.len() >= STRANGERS_MAX && !self.strangers.contains_key(&address) {
            self.sweep(now);
            if self.strangers.len() >= STRANGERS_MAX {
                return Source::Flood;
            }
        }
        let bucket = self
            .strangers
            .entry(address)
            .or_insert_with(|| Bucket::new(STRANGER_RATE_PER_S, STRANGER_RATE_PER_S));
        if bucket.take(now) { Source::Stranger } else { Source::Flood }
    }

    /// Forgets full buckets: they remember nothing worth keeping.
    fn sweep(&mut self, now: Instant) {
        let is_time = self
            .swept_at
            .is_none_or(|at| now.saturating_duration_since(at) >= Duration::from_secs(1));
        if is_time {
            self.strangers.retain(|_, bucket| !bucket.is_full(now));
            self.swept_at = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::testing::start;

    fn address(n: u32) -> IpAddr {
        IpAddr::from(n.to_be_bytes())
    }

    #[test]
    fn bucket_gives_its_burst_and_then_its_rate() {
        let (mut bucket, t) = (Bucket::new(10, 3), start());
        let taken = |bucket: &mut Bucket, at| (0..9).filter(|_| bucket.take(at)).count();
        assert_eq!(taken(&mut bucket, t), 3);
        assert_eq!(taken(&mut bucket, t + Duration::from_millis(99)), 0);
        assert_eq!(taken(&mut bucket, t + Duration::from_millis(200)), 2);
        assert_eq!(taken(&mut bucket, t + Duration::from_secs(60)), 3);
    }

    #[test]
    fn bucket_asked_every_millisecond_still_fills() {
        let (mut bucket, t) = (Bucket::new(10, 1), start());
        let taken = (0..=1_000).filter(|ms| bucket.take(t + Duration::from_millis(*ms))).count();
        assert_eq!(taken, 11);
    }

    #[test]
    fn trunks_are_known_by_address_also_when_mapped_to_ipv6() {
        let (mut admission, t) = (Admission::new(10, 2), start());
        admission.set_trunks([address(1)].into_iter());
        let mapped: IpAddr = "::ffff:0.0.0.1".parse().unwrap();
        let admitted = [(); 3].map(|()| admission.admit(t, mapped));
        assert_eq!(admitted, [Source::Trunk, Source::Trunk, Source::Flood]);
        assert_eq!(admission.admit(t, address(2)), Source::Stranger);
    }

    #[test]
    fn trunk_that_stays_keeps_its_empty_bucket() {
        let (mut admission, t) = (Admission::new(10, 1), start());
        admission.set_trunks([address(1)].into_iter());
        admission.admit(t, address(1));
        admission.set_trunks([address(1), address(2)].into_iter());
        assert_eq!(admission.admit(t, address(1)), Source::Flood);
        assert_eq!(admission.admit(t, address(2)), Source::Trunk);
    }

    #[test]
    fn table_of_strangers_stays_small_and_forgets_the_quiet_ones() {
        let (mut admission, t) = (Admission::new(10, 1), start());
        let flood = (0..100_000).filter(|n| admission.admit(t, address(*n)) == Source::Flood);
        assert_eq!(flood.count(), 100_000 - STRANGERS_MAX);
        assert_eq!(admission.strangers.len(), STRANGERS_MAX);
        let later = t + Duration::from_secs(2);
        assert_eq!(admission.admit(later, address(200_000)), Source::Stranger);
        assert_eq!(admission.strangers.len(), 1);
    }
}
