//! One destination with its budget, window and parameters.

use crate::application::{ApplicationSpec, Dialect};
use crate::ids::{AccountId, ApplicationId, CampaignId, ContactId};
use crate::number::Destination;
use crate::outcome::{Disposition, Outcome};
use crate::retry::RetryRule;
use crate::terms::{Place, Priority, Terms, Variables};
use crate::time::{DialWindow, Timestamp};

/// Longest reference and parameters, in characters (Plum: 255).
pub const TEXT_MAX: usize = 255;

/// Where a contact stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContactState {
    /// To be dialed when its time and its turn come.
    Waiting,
    /// In a call now.
    Calling,
    /// Ended.
    Done(Disposition),
}

impl ContactState {
    /// The name that is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Calling => "calling",
            Self::Done(disposition) => disposition.name(),
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "waiting" => Some(Self::Waiting),
            "calling" => Some(Self::Calling),
            name => Disposition::from_name(name).map(Self::Done),
        }
    }
}

/// One destination with its budget, window and parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Its id; Plum's and Fuse's `call_id`.
    pub id: ContactId,
    /// Its owner.
    pub account: AccountId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// What runs when somebody answers.
    pub application: ApplicationId,
    /// Whom to call.
    pub destination: Destination,
    /// Client's own id, given back unchanged.
    pub reference: String,
    /// Opaque text for the application.
    pub parameters: String,
    /// Named values for the script.
    pub variables: Variables,
    /// What its client says of where it is.
    pub place: Place,
    /// Urgency and ringing time.
    pub terms: Terms,
    /// When it may be dialed.
    pub window: DialWindow,
    /// How often it may be dialed.
    pub retry: RetryRule,
    /// Where the result is owed, in whose words.
    pub result_url: Option<String>,
    /// The facade through which it came.
    pub dialect: Dialect,
    /// Where it stands.
    pub state: ContactState,
    /// Attempts begun so far.
    pub attempts: u32,
    /// Not dialed before this moment.
    pub next_at: Timestamp,
    /// How the last attempt ended.
    pub last_outcome: Option<Outcome>,
    /// When the last attempt started.
    pub last_attempt_at: Option<Timestamp>,
    /// How long the answered call lasted, in whole seconds; 0 without an answer.
    pub duration_s: u32,
    /// Whether its last attempt left the message for a machine.
    pub message_left: bool,
    /// When it was taken in.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// What all contacts of one request share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactRule {
    /// Who asks.
    pub account: AccountId,
    /// Name of the campaign; [`crate::campaign::DEFAULT_CAMPAIGN`] where the client names none.
    pub campaign: String,
    /// What runs when somebody answers.
    pub application: ApplicationSpec,
    /// When they may be dialed.
    pub window: DialWindow,
    /// How often they may be dialed; whether a doubtful attempt is repeated is the campaign's say.
    pub retry: RetryRule,
    /// Urgency and ringing time.
    pub terms: Terms,
    /// Where each result is owed.
    pub result_url: Option<String>,
    /// The facade through which they came.
    pub dialect: Dialect,
}

/// A contact to take in, beside the rule that it shares with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewContact {
    /// Whom to call.
    pub destination: Destination,
    /// Client's own id, given back unchanged; at most [`TEXT_MAX`] characters.
    pub reference: String,
    /// Opaque text for the application; at most [`TEXT_MAX`] characters.
    pub parameters: String,
    /// Named values for the script.
    pub variables: Variables,
    /// What its client says of where it is.
    pub place: Place,
    /// Its own priority; `None`: that of its rule.
    pub priority: Option<Priority>,
}

impl NewContact {
    /// A contact of which nothing is known but whom to call.
    pub fn new(destination: Destination) -> Self {
        Self {
            destination,
            reference: String::new(),
            parameters: String::new(),
            variables: Variables::default(),
            place: Place::default(),
            priority: None,
        }
    }
}
