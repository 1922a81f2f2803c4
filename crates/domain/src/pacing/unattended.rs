//! Unattended pacing: a script answers for us, so every free slot is used.

/// How many calls to start: what the trunks have free, less what is claimed but not yet dialed,
/// and never more than `batch_max`, so that little is in doubt after a crash.
pub fn calls_to_start(free: u32, claimed: u32, batch_max: u32) -> u32 {
    free.saturating_sub(claimed).min(batch_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_free_slot_is_used_up_to_the_batch() {
        let started = [(10, 0, 50), (10, 4, 50), (10, 12, 50), (500, 0, 50)]
            .map(|(free, claimed, max)| calls_to_start(free, claimed, max));
        assert_eq!(started, [10, 6, 0, 50]);
    }
}
