//! Order of the dial queue: which campaigns give how many contacts now.
//!
//! Inside a campaign contacts go first in, first out; that is the store's index. Between campaigns
//! the slots are dealt one by one in turn, so that a small campaign queued late is not kept waiting
//! by a large one queued before it: no campaign waits more than one round.

use crate::ids::CampaignId;

/// What is known of one running campaign when slots are dealt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The campaign.
    pub campaign: CampaignId,
    /// Its contacts that may be dialed now; counting may stop at the number of free slots.
    pub ready: u32,
}

/// How many contacts one campaign gives now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The campaign.
    pub campaign: CampaignId,
    /// Its contacts to dial; at least 1.
    pub contacts: u32,
}

/// Deals `slots` in turn among `demands`, beginning after `last`, the campaign that got the last
/// slot of the round before. Returns the shares and the campaign that got this round's last slot.
pub fn deal(
    demands: &[Demand],
    slots: u32,
    last: Option<CampaignId>,
) -> (Vec<Share>, Option<CampaignId>) {
    let mut turn: Vec<Demand> = demands.iter().copied().filter(|d| d.ready > 0).collect();
    turn.sort_by_key(|demand| demand.campaign);
    let start = turn.partition_point(|demand| last.is_some_and(|last| demand.campaign <= last));
    turn.rotate_left(start);

    let mut shares: Vec<Share> =
        turn.iter().map(|d| Share { campaign: d.campaign, contacts: 0 }).collect();
    let (mut left, mut served) = (slots, last);
    loop {
        let before = left;
        for (share, demand) in shares.iter_mut().zip(&turn) {
            if left > 0 && share.contacts < demand.ready {
                share.contacts += 1;
                left -= 1;
                served = Some(share.campaign);
            }
        }
        if left == 0 || left == before {
            break;
        }
    }
    shares.retain(|share| share.contacts > 0);
    (shares, served)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn demands(ready: &[u32]) -> Vec<Demand> {
        let campaign = |nth: usize| CampaignId(i64::try_from(nth).unwrap() + 1);
        ready.iter().enumerate().map(|(n, r)| Demand { campaign: campaign(n), ready: *r }).collect()
    }

    fn dealt(ready: &[u32], slots: u32, last: Option<i64>) -> Vec<(i64, u32)> {
        let (shares, _) = deal(&demands(ready), slots, last.map(CampaignId));
        shares.iter().map(|share| (share.campaign.0, share.contacts)).collect()
    }

    #[test]
    fn small_campaign_is_served_beside_a_large_one() {
        assert_eq!(dealt(&[10_000, 100], 6, None), [(1, 3), (2, 3)]);
    }

    #[test]
    fn what_one_campaign_cannot_use_goes_to_the_others() {
        assert_eq!(dealt(&[1, 0, 9], 5, None), [(1, 1), (3, 4)]);
    }

    #[test]
    fn turn_goes_on_after_the_campaign_served_last() {
        assert_eq!(dealt(&[5, 5, 5], 1, Some(1)), [(2, 1)]);
        assert_eq!(dealt(&[5, 5, 5], 1, Some(3)), [(1, 1)]);
    }

    proptest! {
        #[test]
        fn shares_use_every_slot_and_differ_by_at_most_one_where_demand_allows(
            ready in proptest::collection::vec(0_u32..50, 0..8),
            slots in 0_u32..100,
        ) {
            let shares = dealt(&ready, slots, None);
            let total: u32 = shares.iter().map(|share| share.1).sum();
            prop_assert_eq!(total, slots.min(ready.iter().sum()));
            let most = shares.iter().map(|share| share.1).max().unwrap_or(0);
            for (nth, ready) in ready.iter().enumerate() {
                let id = i64::try_from(nth).unwrap() + 1;
                let got = shares.iter().find(|s| s.0 == id).map_or(0, |s| s.1);
                prop_assert!(got == *ready || got + 1 >= most);
            }
        }
    }
}
