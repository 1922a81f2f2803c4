//! Events of an account, followed by a cursor: what is asked, and how each is told.

use domain::event::{self, EventKind};
use domain::ids::CampaignId;
use serde::Serialize;
use utoipa::ToSchema;

use super::words::EventWord;
use crate::refusal::{Mistake, Refusal};
use crate::zone::rfc_3339;

/// Most events in a part.
pub const EVENTS_MAX: u32 = 1_000;
/// Events in a part where no limit is given.
pub const EVENTS_DEFAULT: u32 = 200;
/// Longest wait for an event, in seconds: less than what proxies usually wait for an answer.
pub const WAIT_S_MAX: u32 = 30;
/// What is asked of those who begin with what comes.
pub const NOW: &str = "now";

const NAMES: [&str; 5] = ["after", "campaign_id", "kind", "limit", "wait_s"];

/// A fact about a call, as those who follow are told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FollowedEvent {
    /// The place after it: give it as `after` to go on with the next one.
    #[schema(example = "1a2f-53c")]
    pub cursor: String,
    /// Its id; no two events have the same.
    pub id: String,
    /// When it happened.
    #[schema(format = DateTime)]
    pub at: String,
    /// What happened.
    pub kind: EventWord,
    /// The kind's detail; empty where it has none.
    pub detail: String,
    /// The call it concerns.
    pub call_id: String,
    /// The campaign of the call.
    pub campaign_id: String,
    /// Your own id for the call.
    pub reference: String,
    /// The attempt it concerns.
    #[schema(required)]
    pub attempt_id: Option<String>,
}

/// A part of your account's events, in the order in which they are told to everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventList {
    /// The events.
    pub data: Vec<FollowedEvent>,
    /// Address of what follows, now or later; keep it once `data` is worked through.
    #[schema(example = "/v1/events?limit=200&after=1a2f-53c")]
    pub next: String,
    /// Whether there may be more already; else ask again later, or wait with `wait_s`.
    pub more: bool,
}

impl FollowedEvent {
    /// An event in our words.
    pub fn new(
        event: &event::Event,
        cursor: String,
        campaign: CampaignId,
        reference: String,
    ) -> Self {
        Self {
            cursor,
            id: event.id.to_string(),
            at: rfc_3339(event.at),
            kind: event.kind.into(),
            detail: event.detail.clone(),
            call_id: event.contact.to_string(),
            campaign_id: campaign.to_string(),
            reference,
            attempt_id: event.attempt.map(|attempt| attempt.to_string()),
        }
    }
}

/// The query of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventQuery {
    /// Where to begin; `None`: with the oldest that is kept.
    pub after: Option<String>,
    /// Only events of this campaign.
    pub campaign: Option<CampaignId>,
    /// Only events of this kind.
    pub kind: Option<EventKind>,
    /// Most events in the part.
    pub limit: u32,
    /// Seconds to wait where there is none.
    pub wait_s: u32,
}

impl EventQuery {
    /// Reads the part of an address after the question mark, or names all that is wrong with it.
    pub fn parse(query: &str) -> Result<Self, Vec<Refusal>> {
        let (after, campaign, kind) = (None, None, None);
        let mut found = Self { after, campaign, kind, limit: EVENTS_DEFAULT, wait_s: 0 };
        let mut refusals = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if !NAMES.contains(&name.as_ref()) {
                let expected = format!("one of {}", NAMES.join(", "));
                refusals.push(Refusal::new(name.clone(), Mistake::Unknown, &name, expected));
            } else if let Err(expected) = found.take(&name, &value) {
                refusals.push(Refusal::new(name, Mistake::Malformed, &value, expected));
            }
        }
        if refusals.is_empty() { Ok(found) } else { Err(refusals) }
    }

    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        let number = |least: u32, most: u32| {
            let number = value.parse().ok().filter(|number| (least..=most).contains(number));
            number.ok_or(format!("a whole number from {least} to {most}"))
        };
        match name {
            "after" => self.after = Some(value.to_owned()),
            "campaign_id" => {
                let id = value.parse().ok().filter(|id| *id > 0);
                self.campaign = Some(CampaignId(id.ok_or("the id of a campaign")?));
            }
            "kind" => {
                let kinds = EventKind::ALL.map(EventKind::name).join(", ");
                let kind = EventKind::from_name(value).ok_or(format!("one of {kinds}"))?;
                self.kind = Some(kind);
            }
            "limit" => self.limit = number(1, EVENTS_MAX)?,
            "wait_s" => self.wait_s = number(0, WAIT_S_MAX)?,
            _ => {}
        }
        Ok(())
    }

    /// The query of what follows `after`, asked in the same way.
    pub fn following(&self, after: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", &self.limit.to_string());
        if let Some(campaign) = self.campaign {
            query.append_pair("campaign_id", &campaign.to_string());
        }
        if let Some(kind) = self.kind {
            query.append_pair("kind", kind.name());
        }
        if self.wait_s > 0 {
            query.append_pair("wait_s", &self.wait_s.to_string());
        }
        query.append_pair("after", after).finish()
    }

    /// What is said of an `after` that no part gave.
    pub fn unknown_after(after: &str) -> Refusal {
        let expected = "now, or a cursor that an earlier part gave";
        Refusal::new("after", Mistake::Malformed, after, expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_is_asked_in_the_same_way() {
        let query = "kind=done&campaign_id=7&limit=3&wait_s=5";
        let query = EventQuery::parse(query).unwrap();
        let next = query.following("1-2");
        assert_eq!(next, "limit=3&campaign_id=7&kind=done&wait_s=5&after=1-2");
        let after = Some("1-2".to_owned());
        assert_eq!(EventQuery::parse(&next).unwrap(), EventQuery { after, ..query });
    }

    #[test]
    fn mistakes_of_the_query_are_named_all_at_once() {
        let query = "kind=dane&campaign_id=x&limit=1001&wait_s=31&campaign=1";
        let refusals = EventQuery::parse(query).unwrap_err();
        let fields: Vec<_> = refusals.iter().map(|refusal| refusal.field.as_str()).collect();
        assert_eq!(fields, ["kind", "campaign_id", "limit", "wait_s", "campaign"]);
    }
}
