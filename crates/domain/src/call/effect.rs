//! What a call wants done.

use crate::application::ScriptSource;
use crate::attempt::AttemptEnd;
use crate::cause::Cause;
use crate::event::EventKind;
use crate::outcome::CalleeType;

/// One thing to do for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send the INVITE.
    Dial,
    /// A trunk refused the call before anything rang: take it over another one. What follows is
    /// [`Input::Rerouted`](super::Input::Rerouted), or [`Input::LegEnded`](super::Input::LegEnded)
    /// with this cause where no other trunk may be taken.
    DialElsewhere(Cause),
    /// End the second leg.
    EndBridge,
    /// Tell the script that the call is gone, so that it comes to its end.
    EndScript,
    /// The last effect: the attempt's end, to be stored.
    Finish(AttemptEnd),
    /// End the leg: CANCEL before the answer, BYE after it.
    HangUp,
    /// Listen for who answers, from the first sound on.
    Listen,
    /// Write down what happened, with the detail of its kind.
    Note(EventKind, String),
    /// Play this to the machine from its beginning, in place of whatever script still runs.
    RunMessage(ScriptSource),
    /// Start the application's script.
    RunScript,
    /// Send these keys to the far end.
    SendKeys(String),
    /// Tell the script who answered.
    TellCallee(CalleeType),
}
