//! Slots for legs that live calls want beside their own, asked of the dialer, who has all gates.

use domain::cause::Cause;
use domain::ids::{AccountId, CampaignId, TrunkId};
use tokio::sync::{mpsc, oneshot};

use crate::gates::Slot;

/// What a call says to who has the gates.
#[derive(Debug)]
pub(crate) enum SlotAsk {
    /// A leg is over.
    Give(Slot),
    /// A trunk refused a leg with this cause before anything rang: another trunk than those tried.
    Move { slot: LegSlot, tried: Vec<TrunkId>, cause: Cause, moved: oneshot::Sender<Moved> },
    /// A leg is to begin now, or not at all; the answer is dropped where it may not.
    Take { account: AccountId, campaign: CampaignId, taken: oneshot::Sender<LegSlot> },
}

/// Where calls ask; clones are the same.
///
/// Without a bound of its own: a call waits for the answer before it asks again, so that no more
/// can wait here than there are calls.
#[derive(Clone, Debug)]
pub(crate) struct SlotDesk(mpsc::UnboundedSender<SlotAsk>);

/// The right to one leg; dropped, it is given back.
#[derive(Debug)]
pub(crate) struct LegSlot {
    desk: SlotDesk,
    slot: Slot,
}

/// What came of a move to another trunk.
#[derive(Debug)]
pub(crate) enum Moved {
    /// No trunk is left.
    Nowhere,
    /// A trunk has a slot, and its rate allows no start just now.
    NotYet(LegSlot),
    /// The leg may go by the trunk that its slot names now.
    There(LegSlot),
}

/// A desk, and where its asks arrive.
pub(crate) fn desk() -> (SlotDesk, mpsc::UnboundedReceiver<SlotAsk>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (SlotDesk(sender), receiver)
}

impl SlotDesk {
    /// The right to a leg of this campaign now; `None` where nothing is free, or nothing begins
    /// any more.
    pub(crate) async fn take(&self, account: AccountId, campaign: CampaignId) -> Option<LegSlot> {
        let (taken, answer) = oneshot::channel();
        self.0.send(SlotAsk::Take { account, campaign, taken }).ok()?;
        answer.await.ok()
    }

    /// The right to the leg that has taken this slot.
    pub(crate) fn lease(&self, slot: Slot) -> LegSlot {
        LegSlot { desk: self.clone(), slot }
    }
}

impl LegSlot {
    /// By which trunk the leg goes.
    pub(crate) const fn trunk(&self) -> TrunkId {
        self.slot.trunk
    }

    /// The same right on another trunk than those tried, the last of which said this.
    pub(crate) async fn elsewhere(self, tried: &[TrunkId], cause: &Cause) -> Moved {
        let desk = self.desk.clone();
        let (moved, answer) = oneshot::channel();
        let (tried, cause) = (tried.to_vec(), cause.clone());
        // Who has the gates is gone: nothing begins any more.
        if desk.0.send(SlotAsk::Move { slot: self, tried, cause, moved }).is_err() {
            return Moved::Nowhere;
        }
        answer.await.unwrap_or(Moved::Nowhere)
    }

    /// What is kept at the gates.
    pub(crate) fn slot_mut(&mut self) -> &mut Slot {
        &mut self.slot
    }
}

impl Drop for LegSlot {
    fn drop(&mut self) {
        // Who has the gates is gone: so are they.
        self.desk.0.send(SlotAsk::Give(self.slot)).ok();
    }
}
