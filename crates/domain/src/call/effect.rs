//! What a call wants done.

use crate::attempt::AttemptEnd;
use crate::event::EventKind;

/// One thing to do for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send the INVITE.
    Dial,
    /// Tell the script that the call is gone, so that it comes to its end.
    EndScript,
    /// The last effect: the attempt's end, to be stored.
    Finish(AttemptEnd),
    /// End the leg: CANCEL before the answer, BYE after it.
    HangUp,
    /// Write down what happened.
    Note(EventKind),
    /// Start the application's script.
    RunScript,
    /// Send these keys to the far end.
    SendKeys(String),
}
