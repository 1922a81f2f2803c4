//! Slots of the world's trunks: what is free, what a crash still holds, and who is dealt one.

use std::collections::BTreeMap;

use domain::dial_queue::{Demand, Room, Share, Sharing, deal};
use domain::ids::CampaignId;
use domain::time::Timestamp;

use super::{BATCH_MAX, Process};

impl Process {
    pub(super) fn release_held(&mut self, now: Timestamp) {
        let due: Vec<usize> =
            self.held.extract_if(.., |(until, _)| *until <= now).map(|(_, trunk)| trunk).collect();
        for trunk in due {
            self.trunks[trunk].end();
        }
    }

    /// Whether a slot is free that only a rate keeps from being used.
    pub(super) fn is_held_by_rate(&self) -> bool {
        self.trunks.iter().any(|gate| gate.busy() < gate.limits().slots)
    }

    /// Deals the free slots of the trunks, as far as campaigns may take them.
    pub(super) fn deal(&mut self, now: Timestamp, demands: &[Demand]) -> Vec<Share> {
        let mut free: Vec<u32> = self.trunks.iter().map(|gate| gate.free(now)).collect();
        let mut own: BTreeMap<CampaignId, u32> =
            self.campaigns.iter().map(|(id, gate)| (*id, gate.free(now))).collect();
        let mut left = BATCH_MAX;
        deal(&mut self.turns, demands, Sharing::BY_WEIGHT, |demand| {
            let Some(trunk) = free.iter().position(|free| *free > 0) else {
                return Room::Over;
            };
            let own = own.entry(demand.campaign).or_insert(u32::MAX);
            if left == 0 {
                return Room::Over;
            }
            if *own == 0 {
                return Room::Full;
            }
            *own -= 1;
            left -= 1;
            free[trunk] -= 1;
            Room::Slot(self.trunks[trunk].trunk)
        })
    }
}
