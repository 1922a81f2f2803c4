//! Several others whom a script calls for the callee: whom, how, and what comes of each.

use std::time::Duration;

use domain::detection::DetectionRules;
use domain::policy::CallRecording;
use url::Url;

use super::{RecordingId, TransferEnd, TransferId};
use crate::actions::{Instance, PageMethod};

/// Whom to call for the callee, where there are several, or more is to be said of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Connect {
    /// Names this transfer.
    pub transfer: TransferId,
    /// `tel:…` or `sip:…`, as written; all are called at once, the first to answer wins and the
    /// others are hung up. What comes of each is told by [`Input::FarEnd`](super::Input::FarEnd).
    pub destinations: Vec<String>,
    /// The caller ID to show; `None` for that of the call.
    pub caller_id: Option<String>,
    /// How long to let them ring; the script ends it then.
    pub connect_timeout: Duration,
    /// What the callee hears while they ring.
    pub waiting: Waiting,
    /// Whether, and how, it is found out who answered before he counts as one who has.
    pub classify: Option<DetectionRules>,
    /// A script that runs on the far end once it has answered; the two talk when it has ended
    /// without hanging up.
    pub far_script: Option<Box<FarScript>>,
    /// Whether, and how, to record the two while they talk.
    pub recording: CallRecording,
}

/// What a callee hears while others ring for him.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// What the far end plays before it answers.
    EarlyMedia,
    /// What the script plays.
    Script,
    /// A ringing tone.
    Tone,
}

/// A script of actions for a far end.
#[derive(Clone, Debug, PartialEq)]
pub struct FarScript {
    /// Its first page.
    pub url: Url,
    /// How that is asked for.
    pub method: PageMethod,
    /// What its pages are told of who asks.
    pub instance: Instance,
    /// What was recorded so far, by name.
    pub kept: Vec<(String, RecordingId)>,
}

/// What there is to tell of one far end of a [`Connect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FarEndNews {
    /// It has answered, and all others are hung up.
    Answered,
    /// It was found out who answered: in the words of the client's facade.
    CalleeType(&'static str),
    /// It is over, or was never reached.
    Ended(TransferEnd),
}
