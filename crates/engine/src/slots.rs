//! Slots for legs that live calls want beside their own, asked of the dialer, who has all gates.

use domain::ids::{AccountId, CampaignId, TrunkId};
use tokio::sync::{mpsc, oneshot};

use crate::gates::Slot;

/// What a call says to who has the gates.
#[derive(Debug)]
pub(crate) enum SlotAsk {
    /// A leg is over.
    Give(Slot),
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
}

impl Drop for LegSlot {
    fn drop(&mut self) {
        // Who has the gates is gone: so are they.
        self.desk.0.send(SlotAsk::Give(self.slot)).ok();
    }
}
