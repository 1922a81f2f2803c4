//! Webhook endpoints of our own API: what clients ask of them, and what we answer.

use std::time::Duration;

use domain::ids::WebhookId;
use domain::time::Timestamp;
use domain::webhook::{DisableReason, Endpoint, EndpointState, KeyPair, Topic, Topics};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::json::{self, Fields};
use super::signature;
use crate::refusal::{Mistake, Refusal};
use crate::web_url;
use crate::zone::{parse_rfc_3339, rfc_3339};

/// Longest address, in characters.
const URL_MAX: usize = 2_048;
/// Longest description, in characters.
const DESCRIPTION_MAX: usize = 255;
/// Longest name of an event, and longest moment, in characters.
const WORD_MAX: usize = 64;
/// Seconds for which an old secret signs beside the new one.
const OVERLAP_S: std::ops::RangeInclusive<u32> = 0..=604_800;
/// The same, where the client names none: a day.
const OVERLAP_DEFAULT_S: u32 = 86_400;

/// A webhook endpoint to create, or what is to change in one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WebhookRequest {
    /// Where it is; needed to create one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048, example = "https://app.example/webhooks")]
    pub url: Option<String>,
    /// What it is told of. Default: the four ends, `contact.completed` and its kin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = json!(["contact.completed", "contact.failed"]))]
    pub events: Option<Vec<String>>,
    /// What it is for, in your words.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 255, example = "billing")]
    pub description: Option<String>,
    /// Whether it is told. Default: `true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// For how long the secret before the new one signs beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// Seconds. Default: 86400, a day; at most a week.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 604_800)]
    pub overlap_s: Option<u32>,
}

/// What is to be told again: one message, or all that happened in a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    /// Id of one message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "msg_4711")]
    pub message_id: Option<String>,
    /// First moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-10-14T09:00:00-04:00")]
    pub since: Option<String>,
    /// First moment that is too late.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime, example = "2026-10-14T20:00:00-04:00")]
    pub until: Option<String>,
    /// Whether what was taken is told again, too. Default: `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered: Option<bool>,
}

/// A webhook endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Webhook {
    /// Its id.
    #[schema(example = "7")]
    pub id: String,
    /// Where it is.
    pub url: String,
    /// What it is told of.
    #[schema(example = json!(["contact.completed", "contact.failed"]))]
    pub events: Vec<&'static str>,
    /// What it is for.
    pub description: String,
    /// Whether it is told.
    pub enabled: bool,
    /// Why it is not: `client` (you said so), `gone` (it answered 410), or `failing` (it took
    /// nothing for five days).
    #[schema(required, example = "gone")]
    pub disabled_reason: Option<&'static str>,
    /// Since when it is not.
    #[schema(required, format = DateTime)]
    pub disabled_at: Option<String>,
    /// Since when it takes nothing; `null` where it took what it was told last.
    #[schema(required, format = DateTime)]
    pub failing_since: Option<String>,
    /// The public keys of its `v1a` signatures, the newest first.
    pub public_keys: Vec<String>,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// A webhook endpoint that was created, with its secret: it is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NewWebhook {
    /// The endpoint.
    #[serde(flatten)]
    pub webhook: Webhook,
    /// What its `v1` signatures are made with.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    pub secret: String,
}

/// All webhook endpoints, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WebhookList {
    /// The endpoints.
    pub data: Vec<Webhook>,
}

/// A new secret: it is shown this once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NewSecret {
    /// What `v1` signatures are made with.
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=")]
    pub secret: String,
    /// The public key of `v1a` signatures.
    #[schema(example = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    pub public_key: String,
    /// Until when the secret before it signs, too.
    #[schema(format = DateTime)]
    pub previous_until: String,
}

/// A message that an endpoint will be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Told {
    /// Its id: the header `webhook-id` of each delivery.
    #[schema(example = "msg_4711")]
    pub message_id: String,
}

/// What a replay came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Replayed {
    /// Messages that are told again.
    pub replayed: u32,
    /// There may be more: ask again for what is left.
    pub more: bool,
}

/// One try at telling an endpoint something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WebhookDelivery {
    /// Its id.
    pub id: String,
    /// Id of the message.
    #[schema(example = "msg_4711")]
    pub message_id: String,
    /// What it tells of.
    #[serde(rename = "type")]
    #[schema(example = "contact.completed")]
    pub kind: &'static str,
    /// The call that it tells of; `null` for a test.
    #[schema(required)]
    pub call_id: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Whether your server took it.
    pub accepted: bool,
    /// The HTTP status, if there was an answer.
    #[schema(required)]
    pub status: Option<u16>,
    /// Milliseconds from its begin to the answer.
    pub latency_ms: u64,
    /// The first characters of the answer.
    pub answer: String,
    /// What else there is to say.
    pub detail: String,
    /// How the message stands now: `owed`, `delivered` or `given_up`.
    #[schema(example = "delivered")]
    pub state: &'static str,
    /// Not delivered again before this moment; `null` where it is over.
    #[schema(required, format = DateTime)]
    pub next_delivery_at: Option<String>,
}

/// A part of the log of deliveries, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WebhookDeliveryList {
    /// The deliveries.
    pub data: Vec<WebhookDelivery>,
    /// Address of the next part; `null` at the end of the log.
    #[schema(required, example = "/v1/webhooks/7/deliveries?limit=50&after=c2a")]
    pub next: Option<String>,
}

/// A [`WebhookRequest`], read and believed; `None` where nothing was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookWishes {
    /// Where it is.
    pub url: Option<String>,
    /// What it is told of.
    pub topics: Option<Topics>,
    /// What it is for.
    pub description: Option<String>,
    /// Whether it is told.
    pub enabled: Option<bool>,
}

/// What is to be told again, read and believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayWish {
    /// One message.
    One(WebhookId),
    /// All that happened in `since <= at < until`, with or without what was delivered.
    Range {
        /// First moment.
        since: Timestamp,
        /// First moment that is too late.
        until: Timestamp,
        /// Whether what was delivered is told again, too.
        delivered: bool,
    },
}

impl WebhookWishes {
    /// Reads what a new endpoint is to be, or names all that is wrong with it.
    pub fn parse_new(document: &Value) -> Result<Self, Vec<Refusal>> {
        json::read(document, |fields| {
            if !fields.has("url") {
                let expected = "an address such as https://app.example/webhooks";
                fields.refuse_blind("url", Mistake::Missing, expected);
            }
            Some(wishes(fields))
        })
    }

    /// Reads what is to change in an endpoint, or names all that is wrong with it.
    pub fn parse_change(document: &Value) -> Result<Self, Vec<Refusal>> {
        json::read(document, |fields| Some(wishes(fields)))
    }
}

impl RotateRequest {
    /// Reads for how long the old secret signs on, or names what is wrong with it.
    pub fn parse(document: &Value) -> Result<Duration, Vec<Refusal>> {
        json::read(document, |fields| {
            let overlap_s = fields.number("overlap_s", OVERLAP_S).unwrap_or(OVERLAP_DEFAULT_S);
            Some(Duration::from_secs(overlap_s.into()))
        })
    }
}

impl ReplayWish {
    /// Reads a [`ReplayRequest`], or names all that is wrong with it.
    pub fn parse(document: &Value, now: Timestamp) -> Result<Self, Vec<Refusal>> {
        json::read(document, |fields| {
            let since = moment(fields, "since");
            let until = moment(fields, "until");
            let delivered = fields.switch("delivered").unwrap_or(false);
            let Some(id) = fields.text("message_id", WORD_MAX) else {
                if !fields.has("since") && !fields.has("message_id") {
                    let expected = "message_id, or since";
                    fields.refuse_blind("message_id", Mistake::Missing, expected);
                }
                return Some(Self::Range { since: since?, until: until.unwrap_or(now), delivered });
            };
            if fields.has("since") || fields.has("until") {
                let expected = "message_id, or since and until, not both";
                fields.refuse_blind("message_id", Mistake::Conflict, expected);
            }
            let webhook = signature::webhook_of(id);
            if webhook.is_none() {
                fields.refuse("message_id", Mistake::Malformed, id, "an id such as msg_4711");
            }
            webhook.map(Self::One)
        })
    }
}

impl Webhook {
    /// An endpoint in our own words.
    pub fn new(endpoint: &Endpoint, keys: &[KeyPair]) -> Self {
        let (why, at) = match endpoint.state {
            EndpointState::Disabled { why, at } => (Some(why), Some(at)),
            EndpointState::Enabled => (None, None),
        };
        Self {
            id: endpoint.id.to_string(),
            url: endpoint.url.clone(),
            events: endpoint.topics.iter().map(Topic::name).collect(),
            description: endpoint.description.clone(),
            enabled: endpoint.state.is_enabled(),
            disabled_reason: why.map(DisableReason::name),
            disabled_at: at.map(rfc_3339),
            failing_since: endpoint.failing_since.map(rfc_3339),
            public_keys: keys.iter().map(signature::public_key).collect(),
            created_at: rfc_3339(endpoint.created_at),
        }
    }
}

impl NewWebhook {
    /// An endpoint that was just created, with its key.
    pub fn new(endpoint: &Endpoint, key: &KeyPair) -> Self {
        let webhook = Webhook::new(endpoint, std::slice::from_ref(key));
        Self { webhook, secret: signature::secret(key) }
    }
}

impl NewSecret {
    /// A new key; the one before it signs until then.
    pub fn new(key: &KeyPair, previous_until: Timestamp) -> Self {
        Self {
            secret: signature::secret(key),
            public_key: signature::public_key(key),
            previous_until: rfc_3339(previous_until),
        }
    }
}

fn wishes(fields: &mut Fields<'_>) -> WebhookWishes {
    let url = fields.text("url", URL_MAX).and_then(|text| {
        web_url::parse("url", text, URL_MAX).map_err(|refusal| fields.refuse_as(refusal)).ok()
    });
    let topics =
        fields.words("events", Topic::ALL.len(), WORD_MAX).map(|names| topics(fields, &names));
    let description = fields.text("description", DESCRIPTION_MAX).map(str::to_owned);
    let enabled = fields.switch("enabled");
    WebhookWishes { url, topics, description, enabled }
}

fn topics(fields: &mut Fields<'_>, names: &[&str]) -> Topics {
    if names.is_empty() {
        fields.refuse_blind("events", Mistake::Missing, "at least one event");
    }
    let known = Topic::ALL.map(Topic::name).join(", ");
    let mut found = Vec::new();
    for name in names {
        match Topic::ALL.into_iter().find(|topic| topic.name() == *name) {
            Some(topic) => found.push(topic),
            None => fields.refuse("events", Mistake::Unknown, name, format!("some of {known}")),
        }
    }
    found.into_iter().collect()
}

fn moment(fields: &mut Fields<'_>, name: &'static str) -> Option<Timestamp> {
    let text = fields.text(name, WORD_MAX)?;
    let at = parse_rfc_3339(text);
    if at.is_none() {
        let expected = "a time with its offset, such as 2026-10-14T09:00:00-04:00";
        fields.refuse(name, Mistake::Malformed, text, expected);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(refused: Vec<Refusal>) -> Vec<(String, Mistake)> {
        refused.into_iter().map(|refusal| (refusal.field, refusal.mistake)).collect()
    }

    #[test]
    fn endpoint_needs_an_address_and_is_told_of_all_ends_if_it_says_nothing() {
        let wishes = WebhookWishes::parse_new(&json!({ "url": "https://app.example/x" })).unwrap();
        assert_eq!(wishes.url.as_deref(), Some("https://app.example/x"));
        assert_eq!((wishes.topics, wishes.enabled), (None, None));
        let refused = WebhookWishes::parse_new(&json!({})).unwrap_err();
        assert_eq!(fields(refused), [("/url".into(), Mistake::Missing)]);
        assert!(WebhookWishes::parse_change(&json!({})).is_ok());
    }

    #[test]
    fn events_are_known_names_and_every_other_is_named() {
        let events = json!({ "events": ["call.ended", "contact.failed", "call.ended"] });
        let wishes = WebhookWishes::parse_change(&events).unwrap();
        assert_eq!(wishes.topics.unwrap().names(), "call.ended contact.failed");
        let wrong = json!({ "events": ["call.ended", "call.lost", "webhook.test"] });
        let refused = WebhookWishes::parse_change(&wrong).unwrap_err();
        let unknown = ("/events".to_owned(), Mistake::Unknown);
        assert_eq!(fields(refused), [unknown.clone(), unknown]);
        for wrong in [json!({ "events": [] }), json!({ "events": "all" }), json!({ "events": [1] })]
        {
            assert!(WebhookWishes::parse_change(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn replay_names_one_message_or_a_span() {
        let now = Timestamp::from_seconds(100);
        let read = |document: Value| ReplayWish::parse(&document, now);
        assert_eq!(read(json!({ "message_id": "msg_7" })), Ok(ReplayWish::One(WebhookId(7))));
        let since = Timestamp::from_seconds(10);
        let range = ReplayWish::Range { since, until: now, delivered: false };
        assert_eq!(read(json!({ "since": "1970-01-01T00:00:10Z" })), Ok(range));
        for wrong in [
            json!({}),
            json!({ "until": "1970-01-01T00:00:10Z" }),
            json!({ "message_id": "7" }),
            json!({ "message_id": "msg_7", "since": "1970-01-01T00:00:10Z" }),
            json!({ "since": "yesterday" }),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn overlap_of_secrets_is_a_day_unless_said_otherwise() {
        assert_eq!(RotateRequest::parse(&json!({})), Ok(Duration::from_secs(86_400)));
        assert_eq!(RotateRequest::parse(&json!({ "overlap_s": 0 })), Ok(Duration::ZERO));
        assert!(RotateRequest::parse(&json!({ "overlap_s": 604_801 })).is_err());
    }
}
