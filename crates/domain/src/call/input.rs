//! What can happen to a call.

use super::Timer;
use crate::cause::Cause;

/// One thing that happened to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The far end answered; media flows.
    Answered,
    /// Somebody wants this call to end: the client, or a shutdown that waited long enough.
    Cancel {
        /// Why, for the record.
        reason: String,
    },
    /// The timer of the last deadline ran out.
    Expired(Timer),
    /// The keys to send after the answer are out.
    KeysSent,
    /// The leg is gone; nothing more comes from it.
    LegEnded(Cause),
    /// The far end rings.
    Ringing,
    /// The script has ended; nothing more comes from it.
    ScriptEnded,
    /// The script wants the call to end, and may run on without one.
    ScriptHangUp,
}
