//! Order of the dial queue: which campaigns give how many contacts now.
//!
//! Inside a campaign contacts go by their rank, which is the store's index (`Priority::rank_at`).
//! Between campaigns the slots are dealt one by one: first it is an account's turn, in it an
//! application's, in that a campaign's. The account's number and the campaign's may carry weights.
//!
//! **The bound.** At each of the three levels, whoever has contacts to dial is at no moment more
//! than one contact behind, nor more than one ahead of, the ideal server that serves all of them at
//! once by their weights: no campaign waits for more than its share plus one contact. That holds
//! for every history of campaigns that come and go; where weights change, from then on. What a
//! campaign does not take, for want of contacts or of room, goes to the others; of that it catches
//! up two contacts at most.

mod level;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::level::Level;
use crate::ids::{AccountId, CampaignId, TrunkId};

/// Greatest weight of an account or a campaign.
pub const WEIGHT_MAX: u32 = 100;

/// Campaigns of an account that share one turn: those of one application, where its client counts
/// by applications. The number is the caller's, the same for the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Group(pub u32);

/// What is known of one running campaign when slots are dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Its owner.
    pub account: AccountId,
    /// The campaign.
    pub campaign: CampaignId,
    /// Its contacts that may be dialed now; counting may stop at the number of free slots.
    pub ready: u32,
    /// Its contacts whose time has come, all of them: what its size is told by.
    pub size: u32,
    /// The turn that it shares with others; one of its own without it.
    pub group: Option<Group>,
    /// Its part among those of its group, 1 to [`WEIGHT_MAX`].
    pub weight: u32,
    /// Its account's part among all accounts, 1 to [`WEIGHT_MAX`].
    pub account_weight: u32,
}

impl Demand {
    /// The demand of a campaign that is like all others.
    pub const fn new(account: AccountId, campaign: CampaignId, ready: u32) -> Self {
        Self { account, campaign, ready, size: ready, group: None, weight: 1, account_weight: 1 }
    }
}

/// The contacts that one campaign gives now: one for each trunk that is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The campaign.
    pub campaign: CampaignId,
    /// The trunk of its nth contact.
    pub trunks: Vec<TrunkId>,
}

/// Among whom slots are dealt, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// Whether credit and debt last from one deal to the next; if not, each begins anew.
    pub carried: bool,
    /// Among whom.
    pub levels: Levels,
    /// Who goes first of those whose turn it is.
    pub order: Order,
    /// Whether weights count; if not, all are equal.
    pub weighted: bool,
}

/// Among whom slots are dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Levels {
    /// Accounts, in them applications, in those campaigns.
    Accounts,
    /// All campaigns alike, whosever they are.
    Campaigns,
}

/// Who goes first of those whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The one that was there first.
    Oldest,
    /// The one with the fewest contacts.
    Smallest,
}

impl Sharing {
    /// By accounts, applications and campaigns, with their weights.
    pub const BY_WEIGHT: Self =
        Self { carried: true, levels: Levels::Accounts, order: Order::Oldest, weighted: true };
    /// Equal parts for each application of an account.
    pub const EQUAL: Self = Self { weighted: false, ..Self::BY_WEIGHT };
    /// In every deal equal parts for each campaign, the smallest first.
    pub const EACH_DEAL_SMALLEST_FIRST: Self =
        Self { carried: false, levels: Levels::Campaigns, order: Order::Smallest, weighted: false };
}

impl Default for Sharing {
    fn default() -> Self {
        Self::BY_WEIGHT
    }
}

/// Whose turn it is at every level, carried from one deal to the next.
#[derive(Clone, Debug, Default)]
pub struct Turns {
    accounts: Level<AccountId>,
    groups: BTreeMap<AccountId, Level<GroupKey>>,
    campaigns: BTreeMap<(AccountId, GroupKey), Level<CampaignId>>,
    /// Where each campaign sits, for [`Self::give_back`].
    places: BTreeMap<CampaignId, (AccountId, GroupKey)>,
}

/// A group, or a campaign that is a group of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum GroupKey {
    Own(CampaignId),
    Shared(Group),
}

impl Turns {
    /// Takes back the turns of contacts that were dealt and could not be dialed.
    pub fn give_back(&mut self, campaign: CampaignId, contacts: u32) {
        let Some((account, group)) = self.places.get(&campaign).copied() else {
            return;
        };
        self.accounts.give_back(account, contacts);
        if let Some(level) = self.groups.get_mut(&account) {
            level.give_back(group, contacts);
        }
        if let Some(level) = self.campaigns.get_mut(&(account, group)) {
            level.give_back(campaign, contacts);
        }
    }

    fn begin(&mut self, seats: &BTreeMap<CampaignId, Seat>, sharing: Sharing) {
        if !sharing.carried || seats.is_empty() {
            // With nobody waiting nobody is owed anything.
            *self = Self::default();
        }
        let places = seats.values().map(|seat| seat.place);
        let groups: BTreeSet<(AccountId, GroupKey)> = places.collect();
        let accounts: BTreeSet<AccountId> = groups.iter().map(|place| place.0).collect();
        self.accounts.keep(|account| accounts.contains(&account));
        for (account, level) in &mut self.groups {
            level.keep(|group| groups.contains(&(*account, group)));
        }
        for (place, level) in &mut self.campaigns {
            level.keep(|campaign| seats.get(&campaign).is_some_and(|seat| seat.place == *place));
        }
        self.groups.retain(|_, level| !level.is_idle());
        self.campaigns.retain(|_, level| !level.is_idle());
        self.places.clear();
        let mut wanted: BTreeMap<(AccountId, GroupKey), u64> = BTreeMap::new();
        for (campaign, seat) in seats {
            self.places.insert(*campaign, seat.place);
            *wanted.entry(seat.place).or_default() += seat.size;
            let campaigns = self.campaigns.entry(seat.place).or_default();
            campaigns.want(*campaign, seat.size, seat.weight, seat.rank);
        }
        let mut of_accounts: BTreeMap<AccountId, (u64, u32)> = BTreeMap::new();
        for seat in seats.values() {
            let (account, group) = seat.place;
            let Some(contacts) = wanted.remove(&seat.place) else {
                continue;
            };
            // A group of several has a turn like a campaign of weight 1 that is alone.
            let alone = matches!(group, GroupKey::Own(_));
            let (weight, rank) = if alone { (seat.weight, seat.rank) } else { (1, 0) };
            self.groups.entry(account).or_default().want(group, contacts, weight, rank);
            let (sum, weight) = of_accounts.entry(account).or_default();
            *sum += contacts;
            *weight = seat.account_weight;
        }
        for (account, (contacts, weight)) in of_accounts {
            self.accounts.want(account, contacts, weight, 0);
        }
    }

    fn next(&mut self) -> Option<CampaignId> {
        let account = self.accounts.next()?;
        let group = self.groups.get_mut(&account)?.next()?;
        self.campaigns.get_mut(&(account, group))?.next()
    }

    fn serve(&mut self, campaign: CampaignId, (account, group): (AccountId, GroupKey)) {
        self.accounts.serve(account);
        if let Some(level) = self.groups.get_mut(&account) {
            level.serve(group);
        }
        if let Some(level) = self.campaigns.get_mut(&(account, group)) {
            level.serve(campaign);
        }
    }

    /// A campaign takes no more in this deal, and with it those levels that it was the last of.
    fn leave(&mut self, campaign: CampaignId, (account, group): (AccountId, GroupKey), why: Why) {
        let (Some(groups), Some(campaigns)) =
            (self.groups.get_mut(&account), self.campaigns.get_mut(&(account, group)))
        else {
            return;
        };
        why.apply(campaigns, campaign);
        if campaigns.is_done() {
            why.apply(groups, group);
            if groups.is_done() {
                why.apply(&mut self.accounts, account);
            }
        }
    }
}

/// Why somebody takes no more in this deal.
#[derive(Clone, Copy)]
enum Why {
    Done,
    NoRoom,
}

impl Why {
    fn apply<K: Copy + Ord>(self, level: &mut Level<K>, child: K) {
        match self {
            Self::Done => level.leave(child),
            Self::NoRoom => level.sit_out(child),
        }
    }
}

/// What there is for the campaign whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Nothing for it, and it is not asked for again in this deal.
    Full,
    /// Nothing for anybody: the deal is over.
    Over,
    /// A slot of this trunk.
    Slot(TrunkId),
}

struct Seat {
    place: (AccountId, GroupKey),
    left: u32,
    size: u64,
    rank: u64,
    weight: u32,
    account_weight: u32,
}

/// Deals slots among `demands` until nobody wants one or `room` has none.
///
/// `room` is asked for a campaign when its turn has come, and takes the slot that it answers with.
/// Shares come in the order in which campaigns were first served.
pub fn deal(
    turns: &mut Turns,
    demands: &[Demand],
    sharing: Sharing,
    mut room: impl FnMut(&Demand) -> Room,
) -> Vec<Share> {
    let wanting = demands.iter().filter(|demand| demand.ready > 0);
    let mut seats: BTreeMap<CampaignId, Seat> =
        wanting.clone().map(|demand| (demand.campaign, Seat::new(demand, sharing))).collect();
    let demands: BTreeMap<CampaignId, &Demand> =
        wanting.map(|demand| (demand.campaign, demand)).collect();
    turns.begin(&seats, sharing);
    let mut shares: Vec<Share> = Vec::new();
    let mut nth: BTreeMap<CampaignId, usize> = BTreeMap::new();
    while let Some(campaign) = turns.next() {
        let (Some(seat), Some(demand)) = (seats.get_mut(&campaign), demands.get(&campaign)) else {
            break;
        };
        let trunk = match room(demand) {
            Room::Slot(trunk) => trunk,
            Room::Full => {
                turns.leave(campaign, seat.place, Why::NoRoom);
                continue;
            }
            Room::Over => break,
        };
        turns.serve(campaign, seat.place);
        let share = *nth.entry(campaign).or_insert_with(|| {
            shares.push(Share { campaign, trunks: Vec::new() });
            shares.len() - 1
        });
        shares[share].trunks.push(trunk);
        seat.left -= 1;
        if seat.left == 0 {
            turns.leave(campaign, seat.place, Why::Done);
        }
    }
    shares
}

impl Seat {
    fn new(demand: &Demand, sharing: Sharing) -> Self {
        let group = demand.group.map_or(GroupKey::Own(demand.campaign), GroupKey::Shared);
        let place = match sharing.levels {
            Levels::Accounts => (demand.account, group),
            Levels::Campaigns => (AccountId(0), GroupKey::Own(demand.campaign)),
        };
        let weight = |weight: u32| if sharing.weighted { weight.clamp(1, WEIGHT_MAX) } else { 1 };
        let rank = match sharing.order {
            Order::Oldest => 0,
            Order::Smallest => u64::from(demand.size),
        };
        Self {
            place,
            left: demand.ready,
            size: u64::from(demand.size.max(demand.ready)),
            rank,
            weight: weight(demand.weight),
            account_weight: weight(demand.account_weight),
        }
    }
}
