//! After a crash: ends at the far ends what the process before has left there.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use domain::attempt::Attempt;
use domain::contact::Contact;
use domain::ids::{AttemptId, TrunkId};
use domain::number::Destination;
use proto::sip::ua::{DialogSeed, Input, TrunkKey};

use super::{LegOrder, NativeSwitch};
use crate::answered::{Kept, Slot};
use crate::sip_io::Sip;

/// Pause between two calls of a trunk: a far end that is sent all at once loses most of it.
const PAUSE: Duration = Duration::from_millis(5);

/// One call to take down; the slot is what it is remembered by until then.
type Left = (Input, Option<Slot>);

impl NativeSwitch {
    /// Hangs up what was answered, and cancels what may still ring, once its trunk is known.
    pub(crate) fn take_down(
        &self,
        runtime: &tokio::runtime::Handle,
        in_doubt: &[(Attempt, Contact)],
        (kept, legs): (Vec<Kept>, Vec<Kept>),
    ) {
        let answered: HashSet<AttemptId> = kept.iter().map(|kept| kept.attempt).collect();
        let mut left: HashMap<TrunkId, Vec<Left>> = HashMap::new();
        for Kept { trunk, seed, slot, .. } in kept {
            let input = Input::AbandonDialog { trunk: TrunkKey(trunk.0), seed };
            left.entry(trunk).or_default().push((input, Some(slot)));
        }
        let is_answered =
            |attempt: &Attempt| attempt.answered_at.is_some() || answered.contains(&attempt.id);
        for (attempt, contact) in in_doubt.iter().filter(|(attempt, _)| !is_answered(attempt)) {
            if let Some(input) = self.abandoned(attempt, contact) {
                left.entry(attempt.trunk).or_default().push((input, None));
            }
        }
        for Kept { attempt, trunk, seed, slot } in legs {
            // An answered one is hung up above, and has no INVITE left to cancel.
            match self.abandoned_leg(attempt, trunk, &seed).filter(|_| !answered.contains(&attempt))
            {
                Some(input) => left.entry(trunk).or_default().push((input, Some(slot))),
                None => slot.forget(),
            }
        }
        for (trunk, left) in left {
            if self.0.trunks.iter().any(|known| known.id == trunk) {
                runtime.spawn(take_down(self.0.sip.clone(), trunk, left));
            } else {
                // Nobody knows any more where it was.
                left.into_iter().filter_map(|(_, slot)| slot).for_each(Slot::forget);
            }
        }
    }

    /// The same call as was dialed, as far as its INVITE is known by.
    fn abandoned(&self, attempt: &Attempt, contact: &Contact) -> Option<Input> {
        let trunk = self.0.trunks.iter().find(|trunk| trunk.id == attempt.trunk)?;
        if contact.destination.room().is_some() {
            // Its conference is gone with the process.
            return None;
        }
        // What made no address now made none then: nothing was sent.
        let (key, headers) = (attempt.id.0, Vec::new());
        let order = LegOrder { key, trunk: trunk.id, destination: &contact.destination, headers };
        Some(Input::Abandon(self.invite(trunk, order, Bytes::new()).ok()?))
    }

    /// The same of a second leg, as far as it was written down.
    fn abandoned_leg(&self, leg: AttemptId, trunk: TrunkId, seed: &DialogSeed) -> Option<Input> {
        let trunk = self.0.trunks.iter().find(|known| known.id == trunk)?;
        let (number, caller_id) = seed.as_str().split_once(' ')?;
        let mut destination = Destination::number(number).ok()?;
        if !caller_id.is_empty() {
            destination = destination.with_caller_id(caller_id).ok()?;
        }
        let (key, headers) = (leg.0, Vec::new());
        let order = LegOrder { key, trunk: trunk.id, destination: &destination, headers };
        Some(Input::Abandon(self.invite(trunk, order, Bytes::new()).ok()?))
    }
}

async fn take_down(sip: Sip, trunk: TrunkId, left: Vec<Left>) {
    tracing::warn!(trunk.id = %trunk, calls = left.len(), "taking down what may still be up");
    for (input, slot) in left {
        if !sip.abandon(TrunkKey(trunk.0), input).await {
            return;
        }
        if let Some(slot) = slot {
            slot.forget();
        }
        tokio::time::sleep(PAUSE).await;
    }
}
