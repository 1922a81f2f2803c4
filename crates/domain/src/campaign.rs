//! Contacts dialed under one rule, and whether they are dialed at all.

use crate::ids::{AccountId, CampaignId};
use crate::time::Timestamp;

/// Name of the campaign that takes contacts which name none.
pub const DEFAULT_CAMPAIGN: &str = "default";
/// Longest name of a campaign, in characters.
pub const NAME_MAX: usize = 255;

/// Whether a campaign's contacts are dialed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CampaignState {
    /// They are.
    Running,
    /// They stay waiting.
    Stopped,
}

impl CampaignState {
    /// The name that is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Stopped => "stopped",
        }
    }

    /// The state of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Stopped].into_iter().find(|state| state.name() == name)
    }
}

/// Contacts dialed under one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// Its owner.
    pub account: AccountId,
    /// Its name, unique in the account, 1 to [`NAME_MAX`] characters.
    pub name: String,
    /// Whether its contacts are dialed.
    pub state: CampaignState,
    /// Whether an attempt that a crash left in doubt may be followed by another.
    pub redial_in_doubt: bool,
    /// Whether each reference is taken in once: a contact with one that the campaign has had is not
    /// another contact.
    pub unique_references: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

/// How many contacts of a campaign stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CampaignCounts {
    /// Waiting to be dialed, retries included.
    pub waiting: u64,
    /// In a call now.
    pub calling: u64,
    /// Ended with an answer.
    pub completed: u64,
    /// Ended without one.
    pub failed: u64,
    /// Ended by the window.
    pub expired: u64,
    /// Ended by a cancel.
    pub canceled: u64,
}
