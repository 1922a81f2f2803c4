//! What we answer: calls, campaigns, lists of them, and problems, with their HTTP statuses.

use domain::attempt;
use domain::campaign;
use domain::contact::{Contact, ContactState};
use domain::event;
use domain::outcome::Outcome;
use domain::time::Timestamp;
use domain::webhook::Topic;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::ProblemCode;
use super::words::{AttemptOutcome, CallState, Callee, CampaignStateWord, EventWord, callee};
use crate::refusal::{Mistake, Refusal};
use crate::zone::rfc_3339;

/// Media type of problems (RFC 9457 §3).
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

/// One call, from its request to its end, over all attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Call {
    /// Its id.
    #[schema(example = "112850593")]
    pub id: String,
    /// Where it stands.
    pub state: CallState,
    /// How the last attempt ended; `null` before the first end.
    #[schema(required)]
    pub outcome: Option<AttemptOutcome>,
    /// Who answered; `null` where nobody did.
    #[schema(required)]
    pub callee_type: Option<Callee>,
    /// Whether the last attempt left the message for a machine, all of it.
    pub message_left: bool,
    /// The number that is dialed.
    #[schema(example = "+12125550101")]
    pub number: String,
    /// The number shown to the callee; `null`: the trunk's own.
    #[schema(required)]
    pub caller_id: Option<String>,
    /// Keys sent after the answer.
    #[schema(required)]
    pub post_dial: Option<String>,
    /// Id of its campaign.
    pub campaign_id: String,
    /// Your own id for the call.
    pub reference: String,
    /// Opaque text for your application.
    pub parameters: String,
    /// When it may be dialed.
    pub window: Window,
    /// How often it may be dialed.
    pub retry: Retry,
    /// Address that is posted the result.
    #[schema(required)]
    pub result_url: Option<String>,
    /// Attempts begun so far.
    pub attempts_made: u32,
    /// The next attempt is not made before this moment; `null` where none will be.
    #[schema(required, format = DateTime)]
    pub next_attempt_at: Option<String>,
    /// When the last attempt started.
    #[schema(required, format = DateTime)]
    pub last_attempt_at: Option<String>,
    /// Whole seconds from answer to end; 0 without an answer.
    pub duration_s: u32,
    /// When it was taken in.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it ended.
    #[schema(required, format = DateTime)]
    pub ended_at: Option<String>,
}

/// When a call may be dialed: `opens_at <= now < closes_at`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Window {
    /// First moment; `null`: no bound.
    #[schema(required, format = DateTime)]
    pub opens_at: Option<String>,
    /// First moment that is too late; `null`: no bound.
    #[schema(required, format = DateTime)]
    pub closes_at: Option<String>,
}

/// How often a call is dialed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Retry {
    /// Attempts in all, the first included.
    pub attempts_max: u32,
    /// Seconds from the end of an attempt to the next.
    pub wait_s: u64,
}

/// One call with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallDetail {
    /// The call.
    #[serde(flatten)]
    pub call: Call,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
    /// What happened, oldest first.
    pub events: Vec<Event>,
    /// The result that is or was owed to `result_url`; `null` where none is.
    #[schema(required)]
    pub result: Option<OwedResult>,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Attempt {
    /// Its id.
    pub id: String,
    /// The nth of its call, from 1.
    pub number: u32,
    /// The trunk it took, the last one where others refused: its place in the configuration, from 1.
    pub trunk: i64,
    /// When it was written down, before anything was sent.
    #[schema(format = DateTime)]
    pub started_at: String,
    /// When it began to ring.
    #[schema(required, format = DateTime)]
    pub ringing_at: Option<String>,
    /// When it was answered.
    #[schema(required, format = DateTime)]
    pub answered_at: Option<String>,
    /// When it ended; `null` while it lives.
    #[schema(required, format = DateTime)]
    pub ended_at: Option<String>,
    /// How it ended; `null` while it lives.
    #[schema(required)]
    pub outcome: Option<AttemptOutcome>,
    /// Who answered.
    #[schema(required)]
    pub callee_type: Option<Callee>,
    /// What was heard, how sure that is, and how long after the answer: `machine 97% after 2100
    /// ms`; empty where nobody listened, or nothing came of it.
    #[schema(example = "machine 97% after 2100 ms")]
    pub detected: String,
    /// Whether the message for a machine was played to its end.
    pub message_left: bool,
    /// Status of the final SIP answer.
    #[schema(required)]
    pub sip_status: Option<u16>,
    /// Q.850 cause that the network gave.
    #[schema(required)]
    pub q850_cause: Option<u8>,
    /// Why it ended, for people.
    pub reason: String,
}

/// A fact about a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Event {
    /// Its id; grows with time.
    pub id: String,
    /// When it happened.
    #[schema(format = DateTime)]
    pub at: String,
    /// What happened.
    pub kind: EventWord,
    /// The kind's detail; empty where it has none.
    pub detail: String,
    /// The attempt it concerns.
    #[schema(required)]
    pub attempt_id: Option<String>,
}

/// A result that is or was owed to a URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OwedResult {
    /// Where it goes.
    pub url: String,
    /// `owed`, `delivered` or `given_up`.
    #[schema(example = "delivered")]
    pub state: &'static str,
    /// Since when it is owed.
    #[schema(format = DateTime)]
    pub owed_since: String,
    /// Not delivered before this moment; `null` when it is over.
    #[schema(required, format = DateTime)]
    pub next_delivery_at: Option<String>,
    /// What came of each delivery, oldest first.
    pub deliveries: Vec<Delivery>,
}

/// One try at delivering a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Delivery {
    /// When.
    #[schema(format = DateTime)]
    pub at: String,
    /// Whether your server took it.
    pub accepted: bool,
    /// The HTTP status, if there was an answer.
    #[schema(required)]
    pub status: Option<u16>,
    /// What else there is to say.
    pub detail: String,
}

/// Calls dialed under one rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Campaign {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether its calls are dialed.
    pub state: CampaignStateWord,
    /// Whether an attempt that a crash left in doubt may be repeated.
    pub redial_in_doubt: bool,
    /// Whether each reference is taken in once.
    pub unique_references: bool,
    /// How many of its calls stand where.
    pub counts: Counts,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// How many calls stand where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
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

/// A part of the list of calls, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallList {
    /// The calls.
    pub data: Vec<Call>,
    /// Address of the next part; `null` at the end of the list.
    #[schema(required, example = "/v1/calls?limit=50&after=c2a")]
    pub next: Option<String>,
}

/// A part of the list of campaigns, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CampaignList {
    /// The campaigns.
    pub data: Vec<Campaign>,
    /// Address of the next part; `null` at the end of the list.
    #[schema(required, example = "/v1/campaigns?limit=50&after=c2a")]
    pub next: Option<String>,
}

/// How the server is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// Whether it makes calls; if not, the status is 503.
    pub dialing: bool,
    /// Why it does not, or what else is wrong.
    pub problems: Vec<String>,
    /// A shutdown has begun.
    pub draining: bool,
    /// Calls under way.
    pub live_calls: usize,
    /// Whether the store can be written.
    pub store: bool,
    /// Whether texts can be spoken.
    pub speech: bool,
    /// The routes to the network.
    pub trunks: Vec<TrunkHealth>,
}

/// How a trunk is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrunkHealth {
    /// Its name in the configuration.
    pub name: String,
    /// Whether calls can take it.
    pub up: bool,
    /// Addresses that answer.
    pub addresses_alive: usize,
    /// Addresses known.
    pub addresses: usize,
    /// Calls under way.
    pub busy: u32,
    /// Concurrent calls allowed.
    pub slots: u32,
    /// Whether the registration holds; `null`: none is asked for.
    #[schema(required)]
    pub registered: Option<bool>,
}

/// Why a request was not done (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Address of the page on this code.
    #[serde(rename = "type")]
    #[schema(example = "/errors/invalid_request")]
    pub kind: String,
    /// The code in words.
    pub title: &'static str,
    /// The HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// What was wrong this time.
    pub detail: String,
    /// The address that was asked.
    #[schema(example = "/v1/calls")]
    pub instance: String,
    /// A stable name for programs.
    pub code: ProblemCode,
    /// Every mistake in the request, where there are some.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// Names this request in the logs of the server.
    #[schema(example = "req_7f3c2a9d41b05e68")]
    pub request_id: String,
}

/// One mistake in a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Where in the body (JSON pointer, RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "/window/closes_at")]
    pub pointer: Option<String>,
    /// Which parameter of the address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "limit")]
    pub parameter: Option<String>,
    /// What kind of mistake.
    pub code: Mistake,
    /// What was found and what would be right.
    pub detail: String,
}

/// What a request's refusals speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its JSON body.
    Body,
    /// The query of its address.
    Query,
}

impl Call {
    /// A contact in our own words.
    pub fn new(contact: &Contact) -> Self {
        let done = matches!(contact.state, ContactState::Done(_));
        let waiting = contact.state == ContactState::Waiting;
        Self {
            id: contact.id.to_string(),
            state: contact.state.into(),
            outcome: contact.last_outcome.map(Into::into),
            callee_type: contact.last_outcome.and_then(callee),
            message_left: contact.message_left,
            number: contact.destination.dialed().to_owned(),
            caller_id: contact.destination.caller_id().map(str::to_owned),
            post_dial: contact.destination.post_dial().map(str::to_owned),
            campaign_id: contact.campaign.to_string(),
            reference: contact.reference.clone(),
            parameters: contact.parameters.clone(),
            window: Window {
                opens_at: contact.window.opens_at.map(rfc_3339),
                closes_at: contact.window.closes_at.map(rfc_3339),
            },
            retry: Retry {
                attempts_max: contact.retry.attempts_max,
                wait_s: contact.retry.wait.as_secs(),
            },
            result_url: contact.result_url.clone(),
            attempts_made: contact.attempts,
            next_attempt_at: waiting.then(|| rfc_3339(contact.next_at)),
            last_attempt_at: contact.last_attempt_at.map(rfc_3339),
            duration_s: contact.duration_s,
            created_at: rfc_3339(contact.created_at),
            ended_at: contact.ended_at.filter(|_| done).map(rfc_3339),
        }
    }
}

impl Attempt {
    /// An attempt in our own words.
    pub fn new(attempt: &attempt::Attempt) -> Self {
        Self {
            id: attempt.id.to_string(),
            number: attempt.number,
            trunk: attempt.trunk.0,
            started_at: rfc_3339(attempt.started_at),
            ringing_at: attempt.ringing_at.map(rfc_3339),
            answered_at: attempt.answered_at.map(rfc_3339),
            ended_at: attempt.ended_at.map(rfc_3339),
            outcome: attempt.outcome.map(Into::into),
            callee_type: attempt.outcome.and_then(callee),
            detected: attempt.detected.clone(),
            message_left: attempt.message_left,
            sip_status: attempt.cause.sip_status,
            q850_cause: attempt.cause.q850,
            reason: attempt.cause.text.clone(),
        }
    }
}

impl Event {
    /// An event in our own words.
    pub fn new(event: &event::Event) -> Self {
        Self {
            id: event.id.to_string(),
            at: rfc_3339(event.at),
            kind: event.kind.into(),
            detail: detail(event),
            attempt_id: event.attempt.map(|attempt| attempt.to_string()),
        }
    }
}

/// The stored detail is for programs of ours; here a time is a time and an outcome our word for it.
fn detail(event: &event::Event) -> String {
    let topic = Topic::of_fact(event.kind);
    topic.map_or_else(|| event.detail.clone(), |topic| fact_detail(topic, &event.detail))
}

/// The same for what an endpoint is told.
pub(super) fn fact_detail(topic: Topic, detail: &str) -> String {
    match topic {
        Topic::CallRetryScheduled => match detail.parse() {
            Ok(seconds) => rfc_3339(Timestamp::from_seconds(seconds)),
            Err(_) => detail.to_owned(),
        },
        Topic::CallEnded => match Outcome::from_name(detail) {
            Some(Outcome::Answered(_)) => "answered".to_owned(),
            Some(_) | None => detail.to_owned(),
        },
        Topic::CallAnswered
        | Topic::CallCalleeDetected
        | Topic::CallDialing
        | Topic::CallMessageLeft
        | Topic::CallRinging
        | Topic::CallScriptError
        | Topic::ContactCanceled
        | Topic::ContactCompleted
        | Topic::ContactExpired
        | Topic::ContactFailed
        | Topic::Test => detail.to_owned(),
    }
}

impl Campaign {
    /// A campaign and its counts in our own words.
    pub fn new(campaign: &campaign::Campaign, counts: &campaign::CampaignCounts) -> Self {
        Self {
            id: campaign.id.to_string(),
            name: campaign.name.clone(),
            state: campaign.state.into(),
            redial_in_doubt: campaign.redial_in_doubt,
            unique_references: campaign.unique_references,
            counts: Counts {
                waiting: counts.waiting,
                calling: counts.calling,
                completed: counts.completed,
                failed: counts.failed,
                expired: counts.expired,
                canceled: counts.canceled,
            },
            created_at: rfc_3339(campaign.created_at),
        }
    }
}

impl Problem {
    /// A problem of this code, met at `instance` by the request `request_id`.
    pub fn new(
        code: ProblemCode,
        detail: impl Into<String>,
        instance: impl Into<String>,
        request_id: impl Into<String>,
    ) -> Self {
        Self {
            kind: format!("/errors/{}", code.name()),
            title: code.title(),
            status: code.status(),
            detail: detail.into(),
            instance: instance.into(),
            code,
            errors: Vec::new(),
            request_id: request_id.into(),
        }
    }

    /// The same problem, with every mistake of the request.
    pub fn with_errors(self, part: Part, refusals: &[Refusal]) -> Self {
        let errors = refusals.iter().map(|refusal| FieldProblem::new(part, refusal)).collect();
        Self { errors, ..self }
    }
}

impl FieldProblem {
    fn new(part: Part, refusal: &Refusal) -> Self {
        let field = Some(refusal.field.clone());
        let (pointer, parameter) = match part {
            Part::Body => (field, None),
            Part::Query => (None, field),
        };
        Self { pointer, parameter, code: refusal.mistake, detail: refusal.detail() }
    }
}

impl ProblemCode {
    /// The HTTP status that goes with it (RFC 9110 §15).
    pub const fn status(self) -> u16 {
        match self {
            Self::BodyMalformed | Self::IdempotencyKeyMalformed => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::AlreadyEnded
            | Self::IdempotencyKeyInUse
            | Self::LimitReached
            | Self::NameTaken => 409,
            Self::CursorGone => 410,
            Self::BodyTooLarge => 413,
            Self::MediaType => 415,
            Self::RangeNotSatisfiable => 416,
            Self::IdempotencyKeyReused
            | Self::InvalidRequest
            | Self::UrlRefused
            | Self::UrlUnreachable => 422,
            Self::Throttled => 429,
            Self::Internal => 500,
            Self::Busy | Self::Draining | Self::NodeAway | Self::Unavailable => 503,
        }
    }
}
