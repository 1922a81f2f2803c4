//! What runs when somebody answers.

use crate::ids::{AccountId, ApplicationId};

/// Which facade's words an account's client speaks; opaque here, `facade` alone gives it meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dialect(pub u8);

/// Where the script comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScriptSource {
    /// A VoiceXML document, given with the call.
    Document(String),
    /// A text to speak, then hang up.
    Say(String),
    /// An address that answers with a VoiceXML document.
    Url(String),
}

/// What runs when somebody answers; shared by all contacts that name the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Its owner.
    pub account: AccountId,
    /// What it is.
    pub spec: ApplicationSpec,
}

/// An application without its identity: equal specs of an account are one application.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApplicationSpec {
    /// The script.
    pub script: ScriptSource,
    /// Opaque text for all its calls (Plum's `campaign_parameters`).
    pub parameters: String,
    /// Whose words the start page is asked in.
    pub dialect: Dialect,
}
