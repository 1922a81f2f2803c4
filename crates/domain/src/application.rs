//! What runs when somebody answers.

use crate::ids::{AccountId, AppId, ApplicationId, DeploymentId};
use crate::time::Timestamp;

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

/// Longest name of a deployment, in characters.
pub const DEPLOYMENT_NAME_MAX: usize = 255;

/// A script under numbers by which clients name it, with a campaign of its own.
///
/// The numbers are unique in the whole store and never given out again, so that a client that
/// comes from another system keeps those that it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Its number.
    pub id: DeploymentId,
    /// The number of the application that it belongs to; other deployments may have the same.
    pub app: AppId,
    /// Its owner.
    pub account: AccountId,
    /// What people call it, at most [`DEPLOYMENT_NAME_MAX`] characters.
    pub name: String,
    /// What runs when somebody answers; calls queued before keep the one they were queued with.
    pub script: ScriptSource,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was deleted; it takes no calls any more.
    pub deleted_at: Option<Timestamp>,
}

/// A deployment to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDeployment {
    /// The number that it is to have; the next free one where none is asked for.
    pub id: Option<DeploymentId>,
    /// The number of its application, likewise.
    pub app: Option<AppId>,
    /// What people call it.
    pub name: String,
    /// What runs when somebody answers.
    pub script: ScriptSource,
}

impl Deployment {
    /// Name of its campaign, which nothing but its calls is in.
    pub fn campaign(&self) -> String {
        format!("apps/{}/{}", self.app, self.id)
    }
}
