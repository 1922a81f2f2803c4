//! Deployments in our own words: scripts under numbers by which clients of `docs/api/fuse.md` name
//! them.

use domain::application::{self, DEPLOYMENT_NAME_MAX, NewDeployment, ScriptSource};
use domain::ids::{AppId, DeploymentId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::json::{self, Fields};
use super::rule;
use crate::refusal::{Mistake, Refusal};
use crate::zone::rfc_3339;

/// A deployment to create. Give one of `vxml_url`, `say` and `document`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentRequest {
    /// What you call it.
    #[schema(min_length = 1, max_length = 255, example = "reminders")]
    pub name: String,
    /// The `deployment_id` that clients are to use; the next free one, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    pub id: Option<u32>,
    /// The `application_id` that clients are to use; the next free one, if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    pub application_id: Option<u32>,
    /// Address of the VoiceXML page that runs the calls; asked by POST when somebody answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048, example = "https://app.example/start")]
    pub vxml_url: Option<String>,
    /// A text to speak; then the call ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000, example = "Your table is ready.")]
    pub say: Option<String>,
    /// A VoiceXML document that runs the calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 262_144)]
    pub document: Option<String>,
}

/// What a deployment is to be from now on. Give one of `vxml_url`, `say` and `document`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeploymentUpdate {
    /// What you call it.
    #[schema(min_length = 1, max_length = 255, example = "reminders")]
    pub name: String,
    /// Address of the VoiceXML page that runs the calls; asked by POST when somebody answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048, example = "https://app.example/start")]
    pub vxml_url: Option<String>,
    /// A text to speak; then the call ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 4000, example = "Your table is ready.")]
    pub say: Option<String>,
    /// A VoiceXML document that runs the calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 262_144)]
    pub document: Option<String>,
}

/// A script under numbers by which clients name it, with a campaign of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Deployment {
    /// Its `deployment_id`.
    pub id: String,
    /// Its `application_id`.
    pub application_id: String,
    /// What you call it.
    pub name: String,
    /// Where its calls are queued.
    #[schema(example = "/api/apps/12/34/queue")]
    pub queue_path: String,
    /// Name of its campaign, which is made by its first call.
    #[schema(example = "apps/12/34")]
    pub campaign: String,
    /// Address of the page that runs the calls; or `null`.
    #[schema(required)]
    pub vxml_url: Option<String>,
    /// Text that is spoken; or `null`.
    #[schema(required)]
    pub say: Option<String>,
    /// Document that runs the calls; or `null`.
    #[schema(required)]
    pub document: Option<String>,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// A part of the list of deployments, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct DeploymentList {
    /// The deployments.
    pub data: Vec<Deployment>,
    /// Address of the next part; `null` at the end of the list.
    #[schema(required, example = "/v1/deployments?limit=50&after=c2a")]
    pub next: Option<String>,
}

/// Numbers that clients can use as integers of 32 bits.
const NUMBERS: std::ops::RangeInclusive<u32> = 1..=2_147_483_647;

/// Reads a [`DeploymentRequest`], or names all that is wrong with it.
pub fn parse_new(document: &Value) -> Result<NewDeployment, Vec<Refusal>> {
    json::read(document, |fields| {
        let id = fields.number("id", NUMBERS).map(|id| DeploymentId(id.into()));
        let app = fields.number("application_id", NUMBERS).map(|app| AppId(app.into()));
        let name = name(fields);
        let script = rule::script(fields);
        Some(NewDeployment { id, app, name: name?, script: script? })
    })
}

/// Reads a [`DeploymentUpdate`], or names all that is wrong with it: a name and a script.
pub fn parse_update(document: &Value) -> Result<(String, ScriptSource), Vec<Refusal>> {
    json::read(document, |fields| {
        let name = name(fields);
        let script = rule::script(fields);
        Some((name?, script?))
    })
}

impl Deployment {
    /// A deployment in our own words.
    pub fn new(deployment: &application::Deployment) -> Self {
        let application::Deployment { id, app, name, script, created_at, .. } = deployment;
        let (mut vxml_url, mut say, mut document) = (None, None, None);
        match script.clone() {
            // They belong to services, which are not among deployments.
            ScriptSource::Actions(_) => {}
            ScriptSource::Document(text) => document = Some(text),
            ScriptSource::Say(text) => say = Some(text),
            ScriptSource::Url(url) => vxml_url = Some(url),
        }
        Self {
            id: id.to_string(),
            application_id: app.to_string(),
            name: name.clone(),
            queue_path: format!("/api/apps/{app}/{id}/queue"),
            campaign: deployment.campaign(),
            vxml_url,
            say,
            document,
            created_at: rfc_3339(*created_at),
        }
    }
}

fn name(fields: &mut Fields<'_>) -> Option<String> {
    let name = fields.text("name", DEPLOYMENT_NAME_MAX).map(str::trim);
    // One of the wrong type has been refused already.
    if name == Some("") || !fields.has("name") {
        fields.refuse_blind("name", Mistake::Missing, "a name of 1 to 255 characters");
    }
    name.map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn deployment_is_read_with_numbers_of_its_own_or_without() {
        let read = parse_new(&json!({
            "name": " reminders ", "id": 34, "application_id": 12, "say": "Hello."
        }));
        let expected = NewDeployment {
            id: Some(DeploymentId(34)),
            app: Some(AppId(12)),
            name: "reminders".into(),
            script: ScriptSource::Say("Hello.".into()),
        };
        assert_eq!(read, Ok(expected));
        let read = parse_new(&json!({ "name": "a", "vxml_url": "https://a.example/" })).unwrap();
        assert_eq!((read.id, read.app), (None, None));
    }

    #[test]
    fn mistakes_of_a_deployment_are_named_all_at_once() {
        let fields = |document: Value| {
            let refusals = parse_new(&document).unwrap_err();
            refusals.into_iter().map(|refusal| refusal.field).collect::<Vec<_>>()
        };
        assert_eq!(fields(json!({})), ["/name", "/vxml_url"]);
        let document = json!({ "id": 0, "application_id": "x", "name": 1, "say": "", "more": 1 });
        let mut found = fields(document);
        found.sort();
        assert_eq!(found, ["/application_id", "/id", "/more", "/name", "/say"]);
        let update = parse_update(&json!({ "name": "a", "id": 1, "say": "b" })).unwrap_err();
        assert_eq!(update[0].mistake, Mistake::Unknown);
    }
}
