//! How a trunk is shared out among several nodes, so that together they never exceed its limits.
//!
//! What a node was granted it may use until the grant lapses, whatever was decided since. So what is
//! taken from one node is given to another only once the first cannot use it any more: a smaller
//! grant that it goes by, or the end of the larger one.

use crate::trunk::TrunkLimits;

/// What is known of one node when a trunk is shared out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShareUse {
    /// The most that it may use by any grant that has not lapsed, its calls under way included.
    pub usable: TrunkLimits,
    /// Calls that it could have under way, those that it has included.
    pub wanted: u32,
}

/// The new grant of each node, in the order of `nodes`.
///
/// `limits` are those of the whole trunk; `lost` of its slots may still be taken by calls of nodes
/// that nobody hears of. Whatever was granted before, the sum of what all may use and of what is
/// granted stays within the limits, if it was within them.
pub fn share_out(limits: TrunkLimits, lost: u32, nodes: &[ShareUse]) -> Vec<TrunkLimits> {
    let slots = limits.slots.saturating_sub(lost);
    let wanted: Vec<u32> = nodes.iter().map(|node| node.wanted).collect();
    let usable: Vec<u32> = nodes.iter().map(|node| node.usable.slots).collect();
    let targets = fair(slots, &wanted);
    let slots = grow(slots, &usable, &targets);
    // Who is to have no slot starts nothing, and needs no rate before the others.
    let usable: Vec<u32> = nodes.iter().map(|node| node.usable.calls_per_second).collect();
    let rates = grow(limits.calls_per_second, &usable, &fair(limits.calls_per_second, &targets));
    slots
        .into_iter()
        .zip(rates)
        .map(|(slots, calls_per_second)| TrunkLimits { slots, calls_per_second })
        .collect()
}

/// Shares of `whole` by what each wants: nobody has more than another unless the other wants no
/// more; what nobody wants is spread evenly, so that a node that begins to want has some.
fn fair(whole: u32, wanted: &[u32]) -> Vec<u32> {
    let mut shares = vec![0; wanted.len()];
    let left = pour(whole, &mut shares, wanted);
    let anything = vec![u32::MAX; wanted.len()];
    pour(left, &mut shares, &anything);
    shares
}

/// Raises the lowest shares first, each up to its ceiling; what is left.
fn pour(mut left: u32, shares: &mut [u32], ceilings: &[u32]) -> u32 {
    while left > 0 {
        let open: Vec<usize> =
            (0..shares.len()).filter(|nth| shares[*nth] < ceilings[*nth]).collect();
        let Some(lowest) = open.iter().map(|nth| shares[*nth]).min() else {
            return left;
        };
        let low: Vec<usize> = open.iter().copied().filter(|nth| shares[*nth] == lowest).collect();
        // All of the lowest rise together to the next step, as far as it goes.
        let ceiling = low.iter().map(|nth| ceilings[*nth]).min().unwrap_or(lowest);
        let next = open.iter().map(|nth| shares[*nth]).filter(|share| *share > lowest).min();
        let step = next.map_or(ceiling, |next| next.min(ceiling)) - lowest;
        let count = u32::try_from(low.len()).unwrap_or(u32::MAX);
        let each = step.min(left / count);
        for nth in &low {
            shares[*nth] += each;
        }
        left -= each * count;
        if each == 0 {
            for nth in low.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
                shares[nth] += 1;
            }
            return 0;
        }
    }
    0
}

/// Moves from what is usable towards the targets: all may shrink at once, and grow only into what
/// nobody can use.
fn grow(whole: u32, usable: &[u32], targets: &[u32]) -> Vec<u32> {
    let used = usable.iter().fold(0_u32, |sum, usable| sum.saturating_add(*usable));
    let mut free = whole.saturating_sub(used);
    let mut grants = Vec::with_capacity(targets.len());
    for (usable, target) in usable.iter().zip(targets) {
        let more = target.saturating_sub(*usable).min(free);
        free -= more;
        grants.push((*target).min(usable + more));
    }
    grants
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn limits(slots: u32, calls_per_second: u32) -> TrunkLimits {
        TrunkLimits { slots, calls_per_second }
    }

    fn idle(wanted: u32) -> ShareUse {
        ShareUse { usable: limits(0, 0), wanted }
    }

    fn slots(shares: &[TrunkLimits]) -> Vec<u32> {
        shares.iter().map(|share| share.slots).collect()
    }

    #[test]
    fn node_alone_has_the_whole_trunk() {
        assert_eq!(share_out(limits(10, 3), 0, &[idle(0)]), [limits(10, 3)]);
    }

    #[test]
    fn nodes_that_want_all_have_equal_shares() {
        let shares = share_out(limits(10, 4), 0, &[idle(99), idle(99), idle(99)]);
        assert_eq!(shares, [limits(4, 2), limits(3, 1), limits(3, 1)]);
    }

    #[test]
    fn what_one_does_not_want_goes_to_those_who_do() {
        let shares = share_out(limits(100, 10), 0, &[idle(10), idle(200)]);
        assert_eq!(slots(&shares), [10, 90]);
    }

    #[test]
    fn slots_of_lost_calls_are_given_to_nobody() {
        assert_eq!(slots(&share_out(limits(10, 9), 4, &[idle(9), idle(9)])), [3, 3]);
        assert_eq!(slots(&share_out(limits(10, 9), 40, &[idle(9)])), [0]);
    }

    #[test]
    fn newcomer_waits_until_the_first_has_given_up_its_part() {
        let whole = limits(10, 2);
        let first = ShareUse { usable: whole, wanted: 10 };
        let then = share_out(whole, 0, &[first, idle(10)]);
        assert_eq!(then, [limits(5, 1), limits(0, 0)]);
        // The first goes by its smaller grant now.
        let first = ShareUse { usable: then[0], wanted: 10 };
        let newcomer = ShareUse { usable: then[1], wanted: 10 };
        assert_eq!(share_out(whole, 0, &[first, newcomer]), [limits(5, 1), limits(5, 1)]);
    }

    #[test]
    fn single_call_a_second_goes_to_one_node() {
        let shares = share_out(limits(10, 1), 0, &[idle(9), idle(9)]);
        let rates: Vec<u32> = shares.iter().map(|share| share.calls_per_second).collect();
        assert_eq!(rates, [1, 0]);
    }

    proptest! {
        #[test]
        fn together_nodes_never_exceed_the_trunk(
            cap in 0_u32..200,
            lost in 0_u32..50,
            rounds in proptest::collection::vec(
                proptest::collection::vec((0_u32..150, any::<bool>()), 4), 1..20),
        ) {
            // What each may use by grants that it has not replaced yet.
            let mut usable = [limits(0, 0); 4];
            for round in rounds {
                let nodes: Vec<ShareUse> = round
                    .iter()
                    .zip(usable)
                    .map(|((wanted, _), usable)| ShareUse { usable, wanted: *wanted })
                    .collect();
                let grants = share_out(limits(cap + lost, cap), lost, &nodes);
                for ((usable, grant), (_, heard)) in usable.iter_mut().zip(&grants).zip(&round) {
                    let (slots, rate) = (grant.slots, grant.calls_per_second);
                    *usable = match heard {
                        true => limits(slots, rate),
                        false => limits(
                            usable.slots.max(slots),
                            usable.calls_per_second.max(rate),
                        ),
                    };
                }
                let slots: u32 = usable.iter().map(|usable| usable.slots).sum();
                let rate: u32 = usable.iter().map(|usable| usable.calls_per_second).sum();
                prop_assert!(slots <= cap && rate <= cap, "{slots} {rate} of {cap}");
            }
        }

        #[test]
        fn nothing_that_somebody_wants_stays_unused(
            cap in 0_u32..100,
            wanted in proptest::collection::vec(0_u32..60, 1..6),
        ) {
            let nodes: Vec<ShareUse> = wanted.iter().copied().map(idle).collect();
            let shares = slots(&share_out(limits(cap, cap), 0, &nodes));
            prop_assert_eq!(shares.iter().sum::<u32>(), cap);
            for (share, wanted) in shares.iter().zip(&wanted) {
                let richer = shares.iter().any(|other| *other > share + 1);
                prop_assert!(!richer || share >= wanted, "{:?} of {:?}", &shares, &nodes);
            }
        }
    }
}
