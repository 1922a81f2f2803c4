//! What limits dialing right now: gates of trunks, campaigns and accounts, and trunks that rest.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::attempt::AttemptEnd;
use domain::dial_queue::{Demand, Room};
use domain::gate::{Gate, Limits, Rests, TrunkTurns};
use domain::ids::{AccountId, CampaignId, TrunkId};
use domain::permit::Bench;
use domain::policy::CampaignPolicy;
use domain::time::Timestamp;
use domain::trunk::TrunkGate;

/// All gates; a call passes three of them.
pub(crate) struct Gates {
    trunks: Vec<(String, TrunkGate)>,
    campaigns: HashMap<CampaignId, Gate>,
    accounts: HashMap<AccountId, Gate>,
    rests: Rests,
    turns: HashMap<CampaignId, TrunkTurns>,
    /// Trunks that answered probes before and do no more.
    silent: HashSet<TrunkId>,
}

/// The places that one call takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) trunk: TrunkId,
    pub(crate) campaign: CampaignId,
    pub(crate) account: AccountId,
}

/// Over which trunk an attempt goes on that another one refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// This one has room now.
    Trunk(TrunkId),
    /// One has a slot, and may start a call then.
    NotBefore(Timestamp),
    /// None that it may take has room, or works.
    Nobody,
}

/// What one deal has given out so far.
pub(crate) struct Given<'b> {
    now: Timestamp,
    bench: &'b Bench,
    accounts: &'b BTreeMap<AccountId, Limits>,
    /// Calls that may still be given to anybody.
    left: u32,
    of_trunks: HashMap<TrunkId, u32>,
    of_campaigns: HashMap<CampaignId, u32>,
    of_accounts: HashMap<AccountId, u32>,
}

impl<'b> Given<'b> {
    pub(crate) fn nothing(
        now: Timestamp,
        left: u32,
        bench: &'b Bench,
        accounts: &'b BTreeMap<AccountId, Limits>,
    ) -> Self {
        Self {
            now,
            bench,
            accounts,
            left,
            of_trunks: HashMap::new(),
            of_campaigns: HashMap::new(),
            of_accounts: HashMap::new(),
        }
    }
}

impl Gates {
    /// Trunks on which nothing but what was held has happened.
    pub(crate) fn new(trunks: Vec<(String, TrunkGate)>) -> Self {
        Self {
            trunks,
            campaigns: HashMap::new(),
            accounts: HashMap::new(),
            rests: Rests::default(),
            turns: HashMap::new(),
            silent: HashSet::new(),
        }
    }

    /// Whether a trunk has fallen silent: it is taken no more while others work. One that never
    /// answered a probe may take calls all the same.
    pub(crate) fn set_silent(&mut self, trunk: TrunkId, is_silent: bool) {
        if is_silent {
            self.silent.insert(trunk);
        } else {
            self.silent.remove(&trunk);
        }
    }

    /// The gates of the trunks, whose limits others may change.
    pub(crate) fn trunks_mut(&mut self) -> impl Iterator<Item = &mut TrunkGate> {
        self.trunks.iter_mut().map(|(_, gate)| gate)
    }

    /// Calls for which all trunks together have room.
    pub(crate) fn free(&self, now: Timestamp) -> u32 {
        self.trunks.iter().map(|(_, gate)| gate.free(now)).fold(0, u32::saturating_add)
    }

    /// Room for the next contact of a campaign, and takes it from what the deal may give.
    pub(crate) fn room(&mut self, given: &mut Given<'_>, demand: &Demand) -> Room {
        if given.left == 0 {
            return Room::Over;
        }
        let (now, campaign, account) = (given.now, demand.campaign, demand.account);
        let policy = given.bench.policy(campaign);
        let own = self.campaigns.entry(campaign).or_default();
        own.limit(policy.limits);
        let of_account = self.accounts.entry(account).or_default();
        of_account.limit(given.accounts.get(&account).copied().unwrap_or_default());
        let is_full = own.free(now) <= given.of_campaigns.get(&campaign).copied().unwrap_or(0)
            || of_account.free(now) <= given.of_accounts.get(&account).copied().unwrap_or(0);
        if is_full {
            return Room::Full;
        }
        let choices = self.choices(policy);
        let (trunks, rests) = (&self.trunks, &self.rests);
        let has_room = |trunk: TrunkId| {
            let taken = given.of_trunks.get(&trunk).copied().unwrap_or(0);
            let gate = trunks.iter().map(|(_, gate)| gate).find(|gate| gate.trunk == trunk);
            rests.until(trunk, now).is_none() && gate.is_some_and(|gate| gate.free(now) > taken)
        };
        let Some(trunk) = self.turns.entry(campaign).or_default().choose(&choices, has_room) else {
            return Room::Full;
        };
        given.left -= 1;
        *given.of_trunks.entry(trunk).or_default() += 1;
        *given.of_campaigns.entry(campaign).or_default() += 1;
        *given.of_accounts.entry(account).or_default() += 1;
        Room::Slot(trunk)
    }

    /// The next trunk that a campaign's call may take after those that were `tried`.
    pub(crate) fn next_trunk(
        &mut self,
        now: Timestamp,
        policy: &CampaignPolicy,
        campaign: CampaignId,
        tried: &[TrunkId],
    ) -> Next {
        let mut choices = self.choices(policy);
        choices.retain(|(trunk, _)| !tried.contains(trunk));
        let (trunks, rests) = (&self.trunks, &self.rests);
        let gate = |trunk: TrunkId| {
            let mut gates = trunks.iter().map(|(_, gate)| gate);
            let works = rests.until(trunk, now).is_none();
            gates.find(|gate| gate.trunk == trunk && gate.has_slot() && works)
        };
        let has_room = |trunk: TrunkId| gate(trunk).is_some_and(|gate| gate.free(now) > 0);
        if let Some(trunk) = self.turns.entry(campaign).or_default().choose(&choices, has_room) {
            return Next::Trunk(trunk);
        }
        let starts = choices.iter().filter_map(|(trunk, _)| gate(*trunk));
        let earliest = starts.map(|gate| gate.next_start(now)).min();
        earliest.map_or(Next::Nobody, Next::NotBefore)
    }

    /// A call leaves its trunk, which refused it, and starts on another one.
    pub(crate) fn reroute(&mut self, now: Timestamp, slot: &mut Slot, trunk: TrunkId) {
        if let Some(gate) = self.trunk(slot.trunk) {
            gate.end();
        }
        if let Some(gate) = self.trunk(trunk) {
            gate.start(now);
        }
        slot.trunk = trunk;
    }

    /// A call starts.
    pub(crate) fn start(&mut self, now: Timestamp, slot: Slot) {
        if let Some(gate) = self.trunk(slot.trunk) {
            gate.start(now);
        }
        self.campaigns.entry(slot.campaign).or_default().start(now);
        self.accounts.entry(slot.account).or_default().start(now);
    }

    /// A leg beside those that are dealt wants to begin now: its slot, where there is room.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        (account, campaign): (AccountId, CampaignId),
        bench: &Bench,
        accounts: &BTreeMap<AccountId, Limits>,
    ) -> Option<Slot> {
        let mut given = Given::nothing(now, 1, bench, accounts);
        match self.room(&mut given, &Demand::new(account, campaign, 1)) {
            Room::Slot(trunk) => {
                let slot = Slot { trunk, campaign, account };
                self.start(now, slot);
                Some(slot)
            }
            Room::Full | Room::Over => None,
        }
    }

    /// A call has ended; how, where that is known.
    pub(crate) fn end(&mut self, slot: Slot, end: Option<&AttemptEnd>) {
        if let Some(gate) = self.trunk(slot.trunk) {
            gate.end();
        }
        if let Some(gate) = self.campaigns.get_mut(&slot.campaign) {
            gate.end();
        }
        if let Some(gate) = self.accounts.get_mut(&slot.account) {
            gate.end();
        }
        if let Some(end) = end {
            self.note(slot.trunk, end);
        }
    }

    /// Takes note of how a call over a trunk ended: one that fails is left alone for a time.
    pub(crate) fn note(&mut self, trunk: TrunkId, end: &AttemptEnd) {
        let rested = self.rests.until(trunk, end.ended_at);
        self.rests.note(trunk, end);
        if rested.is_none()
            && let Some(until) = self.rests.until(trunk, end.ended_at)
        {
            let trunk = self.name(trunk);
            let rest_ms = until.since(end.ended_at).as_millis();
            tracing::warn!(trunk.name = trunk, %rest_ms, "a trunk fails, it is left alone");
        }
    }

    /// A slot that was held for the process before is free.
    pub(crate) fn let_go(&mut self, trunk: TrunkId) {
        if let Some(gate) = self.trunk(trunk) {
            gate.end();
        }
    }

    /// When a call may start that may not now for its rate or for the rest of a trunk; `None` where
    /// only the end of a call makes room.
    pub(crate) fn next_start(&self, now: Timestamp) -> Option<Timestamp> {
        let trunks = self.trunks.iter().map(|(_, gate)| gate);
        let trunks = trunks.filter(|gate| gate.busy() < gate.limits().slots);
        let trunks = trunks.map(|gate| {
            let rested = self.rests.until(gate.trunk, now).unwrap_or(now);
            gate.next_start(now).max(rested)
        });
        let earliest = trunks.min()?;
        if earliest > now {
            return Some(earliest);
        }
        // Trunks have room: what is waited for is the rate of a campaign or an account.
        let limited = self.campaigns.values().chain(self.accounts.values());
        let limited = limited.filter(|gate| gate.free(now) == 0 && gate.has_slot());
        limited.map(|gate| gate.next_start(now)).min()
    }

    /// Forgets campaigns and accounts with nothing under way.
    pub(crate) fn tidy(&mut self, now: Timestamp) {
        self.campaigns.retain(|_, gate| !gate.is_idle(now));
        self.accounts.retain(|_, gate| !gate.is_idle(now));
        let campaigns = &self.campaigns;
        self.turns.retain(|campaign, _| campaigns.contains_key(campaign));
    }

    /// The trunks by name, for who shows them.
    pub(crate) fn trunks(&self) -> &[(String, TrunkGate)] {
        &self.trunks
    }

    /// Trunks that a campaign may take, and their weights.
    fn choices(&self, policy: &CampaignPolicy) -> Vec<(TrunkId, u32)> {
        let of_name = |name: &str| self.trunks.iter().find(|(known, _)| known == name);
        let known = policy.trunks.iter().filter_map(|choice| {
            of_name(&choice.trunk).map(|(_, gate)| (gate.trunk, choice.weight))
        });
        let mut choices: Vec<(TrunkId, u32)> = match policy.trunks.is_empty() {
            true => self.trunks.iter().map(|(_, gate)| (gate.trunk, 1)).collect(),
            false => known.collect(),
        };
        let is_silent = |trunk: &TrunkId| self.silent.contains(trunk);
        if !choices.iter().all(|(trunk, _)| is_silent(trunk)) {
            choices.retain(|(trunk, _)| !is_silent(trunk));
        }
        choices
    }

    fn trunk(&mut self, trunk: TrunkId) -> Option<&mut TrunkGate> {
        self.trunks.iter_mut().map(|(_, gate)| gate).find(|gate| gate.trunk == trunk)
    }

    /// The name of a trunk in the settings.
    pub(crate) fn name(&self, trunk: TrunkId) -> &str {
        let named = self.trunks.iter().find(|(_, gate)| gate.trunk == trunk);
        named.map_or("", |(name, _)| name)
    }
}

#[cfg(test)]
mod tests {
    use domain::cause::Cause;
    use domain::dial_queue::{Sharing, Turns, deal};
    use domain::outcome::Outcome;
    use domain::permit::Ground;
    use domain::policy::TrunkChoice;
    use domain::region::Country;
    use domain::trunk::TrunkLimits;
    use domain::zones::Home;

    use super::*;

    fn gates() -> Gates {
        let limits = TrunkLimits { slots: 10, calls_per_second: 1_000 };
        let trunk = |name: &str, id| (name.to_owned(), TrunkGate::new(TrunkId(id), limits));
        Gates::new(vec![trunk("main", 1), trunk("spare", 2)])
    }

    fn bench() -> Bench {
        let home = Home { country: Country::US, zone: None };
        Bench::new(Ground::at(home), CampaignPolicy::default())
    }

    fn choice(trunk: &str, weight: u32) -> TrunkChoice {
        TrunkChoice { trunk: trunk.into(), weight }
    }

    /// Trunks dealt to campaign 1 and 2, which want all they can get.
    fn dealt(
        gates: &mut Gates,
        bench: &Bench,
        accounts: &BTreeMap<AccountId, Limits>,
        now: Timestamp,
    ) -> Vec<(i64, Vec<i64>)> {
        let demand = |campaign| Demand::new(AccountId(1), CampaignId(campaign), 100);
        let mut given = Given::nothing(now, 50, bench, accounts);
        let room = |demand: &Demand| gates.room(&mut given, demand);
        let demands = [demand(1), demand(2)];
        let shares = deal(&mut Turns::default(), &demands, Sharing::BY_WEIGHT, room);
        for share in &shares {
            for trunk in &share.trunks {
                let (campaign, account) = (share.campaign, AccountId(1));
                gates.start(now, Slot { trunk: *trunk, campaign, account });
            }
        }
        let trunks = |trunks: &[TrunkId]| trunks.iter().map(|trunk| trunk.0).collect();
        shares.iter().map(|share| (share.campaign.0, trunks(&share.trunks))).collect()
    }

    #[test]
    fn limits_of_campaign_and_account_hold_beside_those_of_trunks() {
        let (mut gates, mut bench) = (gates(), bench());
        let mut one = CampaignPolicy::default();
        one.limits.calls_max = Some(2);
        bench.policies.insert(CampaignId(1), (1, one));
        let accounts =
            BTreeMap::from([(AccountId(1), Limits { calls_max: Some(7), calls_per_second: None })]);
        let now = Timestamp::from_seconds(1);
        let shares = dealt(&mut gates, &bench, &accounts, now);
        let counts: Vec<(i64, usize)> =
            shares.iter().map(|share| (share.0, share.1.len())).collect();
        assert_eq!(counts, [(1, 2), (2, 5)]);
        assert_eq!(
            dealt(&mut gates, &bench, &accounts, now + std::time::Duration::from_secs(9)),
            []
        );
    }

    #[test]
    fn campaign_takes_its_trunks_by_weight_and_the_spare_one_when_they_fail() {
        let (mut gates, mut bench) = (gates(), bench());
        let mut one = CampaignPolicy { trunks: vec![choice("main", 1)], ..Default::default() };
        one.trunks.push(choice("spare", 0));
        one.limits.calls_max = Some(1);
        let mut two = one.clone();
        two.trunks = vec![choice("nobody", 1)];
        bench.policies.insert(CampaignId(1), (1, one));
        bench.policies.insert(CampaignId(2), (1, two));
        let (none, now) = (BTreeMap::new(), Timestamp::from_seconds(1));
        assert_eq!(dealt(&mut gates, &bench, &none, now), [(1, vec![1])]);
        let slot = Slot { trunk: TrunkId(1), campaign: CampaignId(1), account: AccountId(1) };
        let failed = AttemptEnd {
            outcome: Outcome::LineFailure,
            cause: Cause { sip_status: Some(503), ..Cause::default() },
            ringing_at: None,
            answered_at: None,
            ended_at: now,
            detected: String::new(),
            message_left: false,
        };
        gates.end(slot, Some(&failed));
        let soon = now + std::time::Duration::from_millis(1_500);
        assert_eq!(dealt(&mut gates, &bench, &none, soon), [(1, vec![2])]);
        gates.end(Slot { trunk: TrunkId(2), ..slot }, None);
        // Left alone for long enough, the first one is tried again.
        let later = now + std::time::Duration::from_secs(5);
        assert_eq!(dealt(&mut gates, &bench, &none, later), [(1, vec![1])]);
    }

    #[test]
    fn trunk_that_fell_silent_is_taken_only_where_all_did() {
        let (mut gates, bench) = (gates(), bench());
        let (none, now) = (BTreeMap::new(), Timestamp::from_seconds(1));
        gates.set_silent(TrunkId(1), true);
        let later = now + std::time::Duration::from_secs(9);
        let trunks = |shares: Vec<(i64, Vec<i64>)>| -> HashSet<i64> {
            shares.into_iter().flat_map(|(_, trunks)| trunks).collect()
        };
        assert_eq!(trunks(dealt(&mut gates, &bench, &none, now)), HashSet::from([2]));
        gates.set_silent(TrunkId(2), true);
        assert_eq!(trunks(dealt(&mut gates, &bench, &none, later)), HashSet::from([1]));
    }

    #[test]
    fn attempt_that_was_refused_goes_where_there_is_room_and_nobody_refused_it() {
        let limits = TrunkLimits { slots: 2, calls_per_second: 10 };
        let trunk = |name: &str, id| (name.to_owned(), TrunkGate::new(TrunkId(id), limits));
        let mut gates = Gates::new(vec![trunk("main", 1), trunk("spare", 2)]);
        let now = Timestamp::from_seconds(1);
        let (policy, campaign, account) = (CampaignPolicy::default(), CampaignId(1), AccountId(1));
        let mut slot = Slot { trunk: TrunkId(1), campaign, account };
        gates.start(now, slot);
        let next = |gates: &mut Gates, now, tried: &[i64]| {
            let tried: Vec<TrunkId> = tried.iter().copied().map(TrunkId).collect();
            gates.next_trunk(now, &policy, campaign, &tried)
        };
        assert_eq!(next(&mut gates, now, &[1]), Next::Trunk(TrunkId(2)));
        gates.reroute(now, &mut slot, TrunkId(2));
        let busy = |gates: &Gates| gates.trunks().iter().map(|(_, gate)| gate.busy()).collect();
        assert_eq!((busy(&gates), slot.trunk), (vec![0, 1], TrunkId(2)));
        // The second one of this tenth of a second waits for the trunk's rate, then for a slot.
        let soon = now + std::time::Duration::from_millis(102);
        assert_eq!(next(&mut gates, now, &[1]), Next::NotBefore(soon));
        assert_eq!(next(&mut gates, now, &[1, 2]), Next::Nobody);
        gates.start(now, slot);
        assert_eq!(next(&mut gates, soon, &[1]), Next::Nobody);
        gates.end(slot, None);
        let cause = Cause { sip_status: Some(503), ..Cause::default() };
        let outcome = Outcome::LineFailure;
        let failed =
            AttemptEnd { cause, ..crate::call_task::never_dialed(soon, outcome, String::new()) };
        gates.note(TrunkId(2), &failed);
        assert_eq!(next(&mut gates, soon, &[1]), Next::Nobody);
    }

    #[test]
    fn nothing_is_remembered_of_campaigns_without_calls() {
        let (mut gates, bench) = (gates(), bench());
        let now = Timestamp::from_seconds(1);
        let shares = dealt(&mut gates, &bench, &BTreeMap::new(), now);
        for (campaign, trunks) in shares {
            for trunk in trunks {
                let campaign = CampaignId(campaign);
                gates.end(Slot { trunk: TrunkId(trunk), campaign, account: AccountId(1) }, None);
            }
        }
        gates.tidy(now + std::time::Duration::from_secs(5));
        assert_eq!((gates.campaigns.len(), gates.accounts.len(), gates.turns.len()), (0, 0, 0));
        assert_eq!(gates.free(now + std::time::Duration::from_secs(5)), 20);
    }
}
