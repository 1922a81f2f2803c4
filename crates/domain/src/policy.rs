//! All that a campaign says about dialing, beside its contacts.

use crate::caller_ids::CallerIds;
use crate::calling_hours::Hours;
use crate::caps::Limit;
use crate::destinations::DestinationPolicy;
use crate::detection::Detection;
use crate::gate::Limits;
use crate::time::DialWindow;
use crate::zones::Placing;

/// Longest name of a list or a group, in characters.
pub const NAME_MAX: usize = 128;
/// Name of the list that every account has, and every campaign of it heeds.
pub const DO_NOT_CALL: &str = "do-not-call";

/// All that a campaign says about dialing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignPolicy {
    /// Its part among the campaigns of its account, 1 to `dial_queue::WEIGHT_MAX`.
    pub weight: u32,
    /// The application whose turn it shares with other campaigns.
    pub group: Option<String>,
    /// When the campaign as a whole is dialed.
    pub window: DialWindow,
    /// Hours at the callee, beside those of the law.
    pub hours: Option<Hours>,
    /// Whether the hours of the rule book hold.
    pub hours_of_law: bool,
    /// Whose word counts where number and client differ about where a contact is.
    pub placing: Placing,
    /// Gap and caps of its own on the calls to one number.
    pub caps: Vec<Limit>,
    /// Names of caps of the rule book that hold only where a campaign asks for them.
    pub caps_asked: Vec<String>,
    /// Whether the caps of the rule book hold that hold by themselves.
    pub caps_of_law: bool,
    /// How much it may do at once.
    pub limits: Limits,
    /// Trunks that it may take; any without one.
    pub trunks: Vec<TrunkChoice>,
    /// Which numbers it may call.
    pub destinations: DestinationPolicy,
    /// Whom it shows as calling.
    pub caller_ids: CallerIds,
    /// Lists of numbers that it does not call, beside [`DO_NOT_CALL`].
    pub lists: Vec<String>,
    /// Whether it is found out who answered, where an application does not say; `None`: as is
    /// usual for the facade through which it came.
    pub detection: Option<Detection>,
    /// Whether its calls are recorded, and how.
    pub recording: CallRecording,
}

/// Whether calls are recorded from their answer to their end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallRecording {
    /// Both sides in one channel.
    Mixed,
    /// They are not.
    #[default]
    None,
    /// The callee in the first channel, what he hears in the second.
    Separate,
}

impl CallRecording {
    /// Every way, for tables and tests.
    pub const ALL: [Self; 3] = [Self::Mixed, Self::None, Self::Separate];

    /// The name that is stored and shown; never changed once released.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mixed => "mixed",
            Self::None => "none",
            Self::Separate => "separate",
        }
    }

    /// The way of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }

    /// Channels of the file.
    pub const fn channels(self) -> u16 {
        match self {
            Self::Mixed => 1,
            Self::None => 0,
            Self::Separate => 2,
        }
    }
}

/// A trunk that a campaign may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkChoice {
    /// Its name in the settings.
    pub trunk: String,
    /// Its part of the campaign's calls; 0: only when the others fail.
    pub weight: u32,
}

impl Default for CampaignPolicy {
    fn default() -> Self {
        Self {
            weight: 1,
            group: None,
            window: DialWindow::ALWAYS,
            hours: None,
            hours_of_law: false,
            placing: Placing::Strictest,
            caps: Vec::new(),
            caps_asked: Vec::new(),
            caps_of_law: false,
            limits: Limits::default(),
            trunks: Vec::new(),
            destinations: DestinationPolicy::default(),
            caller_ids: CallerIds::default(),
            lists: Vec::new(),
            detection: None,
            recording: CallRecording::None,
        }
    }
}
