//! What campaigns say about dialing, read from the store and kept at hand for the dialer.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::dial_queue::{Demand, Group};
use domain::gate::Limits;
use domain::ids::AccountId;
use domain::permit::{Bench, Ground, looks_back};
use domain::region::Country;
use domain::time::Timestamp;
use domain::zones::Home;
use facade::native::policy;
use store::{Reader, StoreError};

use crate::config::DialingConfig;

/// The policies that are known; clones know the same.
#[derive(Clone)]
pub(crate) struct Policies(Arc<Parts>);

struct Parts {
    reader: Reader,
    known: Mutex<Known>,
}

#[derive(Clone)]
struct Known {
    bench: Arc<Bench>,
    limits: Arc<BTreeMap<AccountId, Limits>>,
    /// A number for each name of a group, the same for as long as the process lives.
    groups: HashMap<String, Group>,
}

impl Policies {
    /// Knows what the store has.
    pub(crate) async fn read(config: &DialingConfig, reader: Reader) -> Result<Self, StoreError> {
        let policies = Self::new(config, reader);
        policies.reload().await?;
        Ok(policies)
    }

    /// Knows nothing before the first [`Self::reload`].
    fn new(config: &DialingConfig, reader: Reader) -> Self {
        let (home, rules) = (config.home.clone(), Arc::clone(&config.rules));
        let ground = Ground { home, rules, atlas: config.atlas.clone() };
        let mut bench = Bench::new(ground, config.standard.clone());
        bench.of_all_accounts = config.of_all_accounts;
        let known =
            Known { bench: Arc::new(bench), limits: Arc::default(), groups: HashMap::new() };
        Self(Arc::new(Parts { reader, known: Mutex::new(known) }))
    }

    /// Reads what the store has.
    ///
    /// A policy that cannot be read stops its campaign: to dial by another would be worse.
    pub(crate) async fn reload(&self) -> Result<(), StoreError> {
        let rows = self.0.reader.policies().await?;
        let accounts = self.0.reader.account_terms().await?;
        let verified = self.0.reader.verified().await?;
        let mut bench = Bench::clone(&self.bench());
        let known = std::mem::take(&mut bench.policies);
        for row in rows {
            if let Some(same) = known.get(&row.campaign).filter(|same| same.0 == row.version) {
                bench.policies.insert(row.campaign, same.clone());
                continue;
            }
            match policy::from_stored(&row.text, &bench.standard, &bench.ground.rules) {
                Ok(policy) => drop(bench.policies.insert(row.campaign, (row.version, policy))),
                Err(refusals) => {
                    let found = refusals.first().map(|refusal| refusal.detail());
                    tracing::error!(
                        campaign.id = %row.campaign, found = found.unwrap_or_default(),
                        "a campaign's policy cannot be read, it is not dialed"
                    );
                }
            }
        }
        bench.verified = verified;
        bench.homes = accounts
            .iter()
            .filter_map(|account| Some((account.account, elsewhere(&bench, account.country?)?)))
            .collect();
        let limits = accounts.into_iter().map(|account| (account.account, account.limits));
        let limits: BTreeMap<AccountId, Limits> = limits.collect();
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let names = bench.policies.values().filter_map(|(_, policy)| policy.group.as_ref());
        for name in names {
            let next = Group(u32::try_from(known.groups.len()).unwrap_or(u32::MAX));
            known.groups.entry(name.clone()).or_insert(next);
        }
        known.bench = Arc::new(bench);
        known.limits = Arc::new(limits);
        Ok(())
    }

    /// The judge, and the policies that it weighs by.
    pub(crate) fn bench(&self) -> Arc<Bench> {
        Arc::clone(&self.0.known.lock().unwrap_or_else(PoisonError::into_inner).bench)
    }

    /// How far back calls to a number matter, by the policy that looks furthest.
    pub(crate) fn looks_back(&self) -> Duration {
        let bench = self.bench();
        let policies = bench.policies.values().map(|(_, policy)| policy);
        let all = policies.chain([&bench.standard]);
        all.map(|policy| looks_back(policy, &bench.ground.rules)).max().unwrap_or_default()
    }

    /// How much accounts may do at once.
    pub(crate) fn limits(&self) -> Arc<BTreeMap<AccountId, Limits>> {
        Arc::clone(&self.0.known.lock().unwrap_or_else(PoisonError::into_inner).limits)
    }

    /// Adds to demands what their campaigns say; those whose window is not open are left out.
    pub(crate) fn complete(&self, now: Timestamp, demands: Vec<Demand>) -> Vec<Demand> {
        let known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let complete = |mut demand: Demand| {
            let policy = known.bench.policy(demand.campaign);
            // Of one that has closed the contacts are weighed once more, and expire.
            let is_early = policy.window.opens_at.is_some_and(|opens_at| opens_at > now);
            demand.weight = policy.weight;
            demand.group = policy.group.as_ref().and_then(|name| known.groups.get(name)).copied();
            (!is_early).then_some(demand)
        };
        demands.into_iter().filter_map(complete).collect()
    }
}

/// The home of an account of a country, where it is not the server's: of its zone nothing is known.
fn elsewhere(bench: &Bench, country: Country) -> Option<Home> {
    (country != bench.ground.home.country).then_some(Home { country, zone: None })
}
