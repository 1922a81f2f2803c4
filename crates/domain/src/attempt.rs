//! One try of a contact: what is written before the phone rings, and what is known after.

use crate::cause::Cause;
use crate::ids::{AttemptId, ContactId, TrunkId};
use crate::outcome::Outcome;
use crate::time::Timestamp;

/// One try of a contact, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its id; the SIP Call-ID, tag and branch derive from it.
    pub id: AttemptId,
    /// Whom it tries.
    pub contact: ContactId,
    /// The nth try of the contact, from 1.
    pub number: u32,
    /// The route it takes.
    pub trunk: TrunkId,
    /// When it was written down, before anything was sent.
    pub started_at: Timestamp,
    /// When it began to ring.
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When its leg ended.
    pub ended_at: Option<Timestamp>,
    /// How it ended; `None` while it lives.
    pub outcome: Option<Outcome>,
    /// Why its leg ended.
    pub cause: Cause,
    /// What was found out about who answered, as [`crate::detection::Detected`] writes it; empty
    /// where nobody listened, or nothing came of it.
    pub detected: String,
    /// Whether the message for a machine was played to its end.
    pub message_left: bool,
}

impl Attempt {
    /// The `number`th try of a contact, written down at `now` and not yet sent.
    pub fn begun(
        id: AttemptId,
        contact: ContactId,
        number: u32,
        trunk: TrunkId,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            contact,
            number,
            trunk,
            started_at: now,
            ringing_at: None,
            answered_at: None,
            ended_at: None,
            outcome: None,
            cause: Cause::default(),
            detected: String::new(),
            message_left: false,
        }
    }
}

/// How an attempt came to its end; what the call machine hands to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptEnd {
    /// How it ended.
    pub outcome: Outcome,
    /// Why its leg ended.
    pub cause: Cause,
    /// When it began to ring.
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When its leg ended.
    pub ended_at: Timestamp,
    /// What was found out about who answered, as it is stored.
    pub detected: String,
    /// Whether the message for a machine was played to its end.
    pub message_left: bool,
}

impl AttemptEnd {
    /// Whole seconds from answer to end, rounded up, so that an answered call never lasts zero.
    pub fn duration_s(&self) -> u32 {
        let lasted = self.answered_at.map_or(0, |at| self.ended_at.since(at).as_millis().max(1));
        u32::try_from(lasted.div_ceil(1_000)).unwrap_or(u32::MAX)
    }
}
