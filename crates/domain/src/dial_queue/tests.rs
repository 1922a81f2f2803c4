//! Who goes when: examples, and random histories beside an ideal server.

use proptest::prelude::*;

use super::*;

/// What an ideal server does that serves all at once, each by its weight.
#[derive(Default)]
struct Ideal {
    backlog: BTreeMap<i64, f64>,
    served: BTreeMap<i64, f64>,
    weights: BTreeMap<i64, f64>,
}

impl Ideal {
    fn slot(&mut self) {
        let mut left = 1.0;
        while left > 1e-12 {
            let hungry = self.backlog.iter().filter(|(_, backlog)| **backlog > 1e-9);
            let hungry: Vec<(i64, f64)> =
                hungry.map(|(id, backlog)| (*id, backlog / self.weights[id])).collect();
            let weights: f64 = hungry.iter().map(|(id, _)| self.weights[id]).sum();
            let Some(first) = hungry.iter().map(|(_, time)| *time).reduce(f64::min) else {
                return;
            };
            let time = first.min(left / weights);
            for (id, _) in &hungry {
                let part = time * self.weights[id];
                *self.backlog.get_mut(id).unwrap() -= part;
                *self.served.entry(*id).or_default() += part;
            }
            left -= time * weights;
        }
    }
}

fn demand(account: i64, campaign: i64, ready: u32) -> Demand {
    Demand::new(AccountId(account), CampaignId(campaign), ready)
}

fn counted(shares: &[Share]) -> Vec<(i64, usize)> {
    shares.iter().map(|share| (share.campaign.0, share.trunks.len())).collect()
}

/// Deals `slots` slots of one trunk.
fn dealt(
    turns: &mut Turns,
    demands: &[Demand],
    sharing: Sharing,
    slots: usize,
) -> Vec<(i64, usize)> {
    let mut left = slots;
    let shares = deal(turns, demands, sharing, |_| match left {
        0 => Room::Over,
        _ => {
            left -= 1;
            Room::Slot(TrunkId(1))
        }
    });
    counted(&shares)
}

fn once(demands: &[Demand], sharing: Sharing, slots: usize) -> Vec<(i64, usize)> {
    dealt(&mut Turns::default(), demands, sharing, slots)
}

#[test]
fn small_campaign_is_served_beside_a_large_one() {
    let demands = [demand(1, 1, 10_000), demand(1, 2, 100)];
    assert_eq!(once(&demands, Sharing::BY_WEIGHT, 6), [(1, 3), (2, 3)]);
}

#[test]
fn what_one_campaign_cannot_use_goes_to_the_others() {
    let demands = [demand(1, 1, 1), demand(1, 2, 0), demand(1, 3, 9)];
    assert_eq!(once(&demands, Sharing::BY_WEIGHT, 5), [(1, 1), (3, 4)]);
}

#[test]
fn account_with_many_campaigns_gets_no_more_than_one_with_a_single_one() {
    let demands = [demand(1, 1, 9), demand(1, 2, 9), demand(1, 3, 9), demand(2, 4, 9)];
    assert_eq!(once(&demands, Sharing::BY_WEIGHT, 6), [(1, 1), (4, 3), (2, 1), (3, 1)]);
}

#[test]
fn campaigns_of_one_application_share_its_turn() {
    let mut demands = [demand(1, 1, 9), demand(1, 2, 9), demand(1, 3, 9)];
    demands[0].group = Some(Group(1));
    demands[1].group = Some(Group(1));
    let got = once(&demands, Sharing::EQUAL, 4);
    assert_eq!(got, [(3, 2), (1, 1), (2, 1)]);
}

#[test]
fn weights_of_accounts_and_campaigns_are_kept() {
    let mut demands = [demand(1, 1, 99), demand(1, 2, 99), demand(2, 3, 99)];
    demands[0].weight = 3;
    demands[2].account_weight = 2;
    let mut got = once(&demands, Sharing::BY_WEIGHT, 24);
    got.sort_unstable();
    assert_eq!(got, [(1, 6), (2, 2), (3, 16)]);
    let mut equal = once(&demands, Sharing::EQUAL, 24);
    equal.sort_unstable();
    assert_eq!(equal, [(1, 6), (2, 6), (3, 12)]);
}

#[test]
fn smallest_campaigns_go_first_where_that_is_the_order() {
    let demands = [demand(1, 1, 50), demand(1, 2, 7), demand(2, 3, 30)];
    let order = Sharing::EACH_DEAL_SMALLEST_FIRST;
    assert_eq!(once(&demands, order, 2), [(2, 1), (3, 1)]);
    // With more slots than campaigns each has one before any has two.
    assert_eq!(once(&demands, order, 4), [(2, 2), (3, 1), (1, 1)]);
}

#[test]
fn deal_that_carries_nothing_begins_anew() {
    let demands = [demand(1, 1, 9), demand(1, 2, 9)];
    let mut turns = Turns::default();
    let order = Sharing::EACH_DEAL_SMALLEST_FIRST;
    assert_eq!(dealt(&mut turns, &demands, order, 1), [(1, 1)]);
    assert_eq!(dealt(&mut turns, &demands, order, 1), [(1, 1)]);
    assert_eq!(dealt(&mut turns, &demands, Sharing::BY_WEIGHT, 1), [(1, 1)]);
    assert_eq!(dealt(&mut turns, &demands, Sharing::BY_WEIGHT, 1), [(2, 1)]);
}

#[test]
fn campaign_without_room_leaves_its_turn_to_the_others() {
    let demands = [demand(1, 1, 9), demand(2, 2, 9)];
    let mut left = 2;
    let shares = deal(&mut Turns::default(), &demands, Sharing::BY_WEIGHT, |demand| {
        if demand.campaign == CampaignId(1) {
            return Room::Full;
        }
        left -= 1;
        if left >= 0 { Room::Slot(TrunkId(4)) } else { Room::Over }
    });
    assert_eq!(counted(&shares), [(2, 2)]);
}

#[test]
fn campaigns_that_share_a_narrow_trunk_take_turns_beside_one_with_a_wide_trunk() {
    let demands = [demand(1, 1, 99), demand(1, 2, 99), demand(1, 3, 99)];
    let mut turns = Turns::default();
    let mut got = BTreeMap::<i64, usize>::new();
    for _ in 0..100 {
        let (mut narrow, mut wide) = (1, 10);
        let shares = deal(&mut turns, &demands, Sharing::BY_WEIGHT, |demand| {
            let (left, trunk) = match demand.campaign {
                CampaignId(3) => (&mut wide, TrunkId(2)),
                _ => (&mut narrow, TrunkId(1)),
            };
            *left -= 1;
            if *left >= 0 { Room::Slot(trunk) } else { Room::Full }
        });
        for (campaign, contacts) in counted(&shares) {
            *got.entry(campaign).or_default() += contacts;
        }
    }
    assert_eq!(got.into_values().collect::<Vec<_>>(), [50, 50, 1_000]);
}

#[test]
fn contacts_that_could_not_be_dialed_do_not_cost_their_campaign_a_turn() {
    let demands = [demand(1, 1, 9), demand(1, 2, 9)];
    let mut turns = Turns::default();
    assert_eq!(dealt(&mut turns, &demands, Sharing::BY_WEIGHT, 2), [(1, 1), (2, 1)]);
    turns.give_back(CampaignId(2), 1);
    assert_eq!(dealt(&mut turns, &demands, Sharing::BY_WEIGHT, 1), [(2, 1)]);
}

#[test]
fn campaign_is_not_starved_by_one_new_campaign_after_the_other() {
    let mut turns = Turns::default();
    let (mut old, mut slots) = (0, 0);
    for fresh in 2..1_002 {
        // A campaign with many contacts, and each time another one with just one.
        let demands = [demand(1, 1, 1_000), demand(1, fresh, 1)];
        let got = dealt(&mut turns, &demands, Sharing::BY_WEIGHT, 1);
        old += got.iter().filter(|share| share.0 == 1).count();
        slots += 1;
    }
    // At any time there are two more at most that the ideal server is still serving.
    assert!(old * 3 >= slots, "{old} of {slots}");
}

#[test]
fn what_is_remembered_does_not_grow_with_campaigns_that_have_ended() {
    let mut turns = Turns::default();
    for campaign in 2..5_000 {
        let demands = [demand(1, 1, 1_000), demand(1, campaign, 1)];
        dealt(&mut turns, &demands, Sharing::BY_WEIGHT, 2);
    }
    assert!(turns.campaigns.len() < 10, "{}", turns.campaigns.len());
    assert!(turns.places.len() <= 2);
    let none: [Demand; 0] = [];
    dealt(&mut turns, &none, Sharing::BY_WEIGHT, 2);
    assert!(turns.accounts.is_idle());
}

/// One thing that happens between two slots.
#[derive(Clone, Debug)]
enum Step {
    Arrive { campaign: i64, contacts: u32 },
    Deal { slots: usize },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (1_i64..8, 1_u32..30)
            .prop_map(|(campaign, contacts)| Step::Arrive { campaign, contacts }),
        5 => (1_usize..9).prop_map(|slots| Step::Deal { slots }),
    ];
    prop::collection::vec(step, 1..120)
}

/// Runs a history, slot by slot, and holds every count to the ideal server's.
fn within_one_contact(history: &[Step], weights: &[u32]) -> Result<(), TestCaseError> {
    let sharing = Sharing { levels: Levels::Campaigns, ..Sharing::BY_WEIGHT };
    let mut turns = Turns::default();
    let mut ideal = Ideal::default();
    let (mut waiting, mut served) = (BTreeMap::<i64, u32>::new(), BTreeMap::<i64, u32>::new());
    for step in history {
        match *step {
            Step::Arrive { campaign, contacts } => {
                *waiting.entry(campaign).or_default() += contacts;
                *ideal.backlog.entry(campaign).or_default() += f64::from(contacts);
                ideal.weights.insert(campaign, f64::from(weights[campaign as usize]));
            }
            Step::Deal { slots } => {
                for _ in 0..slots {
                    let demands: Vec<Demand> = waiting
                        .iter()
                        .map(|(campaign, contacts)| Demand {
                            weight: ideal.weights[campaign] as u32,
                            ..demand(1, *campaign, *contacts)
                        })
                        .collect();
                    let got = dealt(&mut turns, &demands, sharing, 1);
                    prop_assert_eq!(got.len(), usize::from(waiting.values().any(|c| *c > 0)));
                    for (campaign, contacts) in got {
                        *waiting.get_mut(&campaign).unwrap() -= contacts as u32;
                        *served.entry(campaign).or_default() += contacts as u32;
                    }
                    ideal.slot();
                    for (campaign, ideal) in &ideal.served {
                        let got = f64::from(*served.get(campaign).unwrap_or(&0));
                        let behind = ideal - got;
                        prop_assert!(behind.abs() <= 1.0 + 1e-6, "{campaign} is {behind} behind");
                    }
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn shares_use_every_slot_and_differ_by_at_most_one_where_demand_allows(
        ready in prop::collection::vec(0_u32..50, 0..8),
        slots in 0_usize..100,
    ) {
        let demands: Vec<Demand> =
            ready.iter().zip(1..).map(|(ready, campaign)| demand(1, campaign, *ready)).collect();
        let shares = once(&demands, Sharing::BY_WEIGHT, slots);
        let total: usize = shares.iter().map(|share| share.1).sum();
        prop_assert_eq!(total, slots.min(ready.iter().sum::<u32>() as usize));
        let most = shares.iter().map(|share| share.1).max().unwrap_or(0);
        for (ready, campaign) in ready.iter().zip(1..) {
            let got = shares.iter().find(|s| s.0 == campaign).map_or(0, |s| s.1);
            prop_assert!(got == *ready as usize || got + 1 >= most);
        }
    }

    #[test]
    fn no_campaign_is_more_than_one_contact_from_its_ideal_share(
        history in steps(),
        weights in prop::collection::vec(prop_oneof![Just(1_u32), 1_u32..=WEIGHT_MAX], 8),
    ) {
        within_one_contact(&history, &weights)?;
    }

    #[test]
    fn each_level_is_within_one_contact_of_its_ideal_share(
        weights in prop::collection::vec(1_u32..10, 2..5),
        campaigns in 1_i64..4,
        slots in 1_usize..300,
    ) {
        // All have contacts all the time, so the ideal shares are plain fractions.
        let accounts = weights.len() as i64;
        let mut demands = Vec::new();
        for (account, weight) in (1..).zip(&weights) {
            for nth in 0..campaigns {
                demands.push(Demand {
                    account_weight: *weight,
                    ..demand(account, nth * accounts + account, 1_000)
                });
            }
        }
        let mut turns = Turns::default();
        let (mut got, mut dealt_so_far) = (BTreeMap::<i64, f64>::new(), 0);
        while dealt_so_far < slots {
            for (campaign, contacts) in dealt(&mut turns, &demands, Sharing::BY_WEIGHT, 3) {
                *got.entry(campaign).or_default() += contacts as f64;
            }
            dealt_so_far += 3;
        }
        let total: u32 = weights.iter().sum();
        for (account, weight) in (1..).zip(&weights) {
            let own = (0..campaigns).map(|nth| nth * accounts + account);
            let own: Vec<f64> = own.map(|id| *got.get(&id).unwrap_or(&0.0)).collect();
            let sum: f64 = own.iter().sum();
            let ideal = dealt_so_far as f64 * f64::from(*weight) / f64::from(total);
            prop_assert!((sum - ideal).abs() <= 1.0 + 1e-6, "account {account}: {sum} of {ideal}");
            for got in own {
                prop_assert!((got - sum / campaigns as f64).abs() <= 1.0 + 1e-6);
            }
        }
    }
}
