//! What can happen to a call.

use super::Timer;
use crate::cause::Cause;
use crate::detection::Detected;

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
    /// More is known about who answered, or will.
    Detected(Detected),
    /// The timer of the last deadline ran out.
    Expired(Timer),
    /// A machine's greeting is over, by its beep or by silence; by a beep it may be over once more.
    GreetingEnded {
        /// Whether there was a beep.
        by_beep: bool,
    },
    /// The second leg is gone; nothing more comes from it.
    BridgeEnded,
    /// The callee was handed over: from now on he talks with a second leg, and not with the script.
    HandedOver,
    /// The keys to send after the answer are out.
    KeysSent,
    /// The leg is gone; nothing more comes from it.
    LegEnded(Cause),
    /// All of the message for the machine was played.
    MessageLeft,
    /// The callee has neither said nor heard anything for as long as a person waits.
    Quiet,
    /// The attempt is written down for another trunk, and may be sent there.
    Rerouted,
    /// The far end rings.
    Ringing,
    /// The script has ended; nothing more comes from it.
    ScriptEnded,
    /// The script wants the call to end, and may run on without one.
    ScriptHangUp,
    /// The leg is gone, and that it rang nobody is certain (`domain::failover`).
    TrunkFailed(Cause),
}
