//! What runs when somebody answers.

use std::fmt;
use std::str::FromStr;

use crate::detection::Detection;
use crate::ids::{AccountId, AppId, ApplicationId, DeploymentId};
use crate::terms::Variables;
use crate::time::Timestamp;

/// Which facade's words an account's client speaks; opaque here, `facade` alone gives it meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Dialect(pub u8);

/// Where the script comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScriptSource {
    /// Pages of actions.
    Actions(ActionPages),
    /// A VoiceXML document, given with the call.
    Document(String),
    /// A text to speak, then hang up.
    Say(String),
    /// An address that answers with a VoiceXML document.
    Url(String),
}

/// Where the pages of an application of actions are, and what it may use.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ActionPages {
    /// Asked for when the call is answered.
    pub first: PageAddress,
    /// Told of mistakes in other pages.
    pub error: Option<PageAddress>,
    /// The voice of texts that name none.
    pub voice: Option<String>,
    /// Others that it may call at once beside the callee.
    pub extra_legs: u32,
    /// Longest call, in minutes; `None` for the server's own limit.
    pub minutes_max: Option<u32>,
}

/// Where a page is, and how it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageAddress {
    /// Absolute.
    pub url: String,
    /// By GET, else by POST.
    pub is_got: bool,
}

/// The text is not one that [`ActionPages`] wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("text is no list of pages")]
pub struct PagesTextError;

/// The form that is stored, that of [`Variables`].
impl fmt::Display for ActionPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut pairs = Variables::default();
        let mut add = |name: &str, value: &str| pairs.add(name, value).map_err(|_| fmt::Error);
        let address = |page: &PageAddress| {
            format!("{} {}", if page.is_got { "GET" } else { "POST" }, page.url)
        };
        add("first", &address(&self.first))?;
        if let Some(error) = &self.error {
            add("error", &address(error))?;
        }
        if let Some(voice) = &self.voice {
            add("voice", voice)?;
        }
        add("extra_legs", &self.extra_legs.to_string())?;
        if let Some(minutes) = self.minutes_max {
            add("minutes_max", &minutes.to_string())?;
        }
        pairs.fmt(f)
    }
}

impl FromStr for ActionPages {
    type Err = PagesTextError;

    fn from_str(text: &str) -> Result<Self, PagesTextError> {
        let pairs: Variables = text.parse().map_err(|_| PagesTextError)?;
        let page = |name| match pairs.value(name).map(|page| page.split_once(' ')) {
            None => Ok(None),
            Some(Some((method @ ("GET" | "POST"), url))) => {
                Ok(Some(PageAddress { url: url.to_owned(), is_got: method == "GET" }))
            }
            Some(_) => Err(PagesTextError),
        };
        let extra_legs = pairs.value("extra_legs").and_then(|legs| legs.parse().ok());
        Ok(Self {
            first: page("first")?.ok_or(PagesTextError)?,
            error: page("error")?,
            voice: pairs.value("voice").map(str::to_owned),
            extra_legs: extra_legs.ok_or(PagesTextError)?,
            minutes_max: pairs.value("minutes_max").and_then(|minutes| minutes.parse().ok()),
        })
    }
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
    /// Whether it is found out who answered, and what follows; `None`: as the campaign says.
    pub detection: Option<Detection>,
}

/// A configuration under a name by which clients start calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its owner.
    pub account: AccountId,
    /// Its name, unique in the account.
    pub name: String,
    /// Its configuration, as its facade writes it.
    pub config: String,
    /// Hash of the password that starts it, in PHC form; without one it cannot be started.
    pub password_hash: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last written.
    pub changed_at: Timestamp,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_come_back_from_their_text() {
        let page = |url: &str, is_got| PageAddress { url: url.to_owned(), is_got };
        let pages = ActionPages {
            first: page("http://app.example/?a=1&b=2%20", false),
            error: Some(page("http://app.example/error", true)),
            voice: Some("Ann = B".into()),
            extra_legs: 3,
            minutes_max: Some(5),
        };
        assert_eq!(pages.to_string().parse::<ActionPages>(), Ok(pages));
        for text in ["", "first=http://x", "first=PUT http://x&extra_legs=1", "first=GET x"] {
            assert_eq!(text.parse::<ActionPages>(), Err(PagesTextError), "{text}");
        }
    }
}
