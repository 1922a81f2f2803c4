//! What we remember: accounts, campaigns, contacts, attempts, events and owed webhooks, in SQL.
//!
//! [`Store`] is the only writer, [`Reader`] only reads. Time is always an argument. A state change,
//! its events and its webhooks are one transaction, and what a verb has answered is on disk.

mod types;

mod reader;
mod reroutes;
mod store;

mod accounts;
mod attempts;
mod campaigns;
mod claim;
mod contacts;
mod deployments;
mod dial_queue;
mod endpoints;
mod events;
mod idempotency;
mod imports;
mod lead;
mod lists;
mod nodes;
mod numbers;
mod policies;
mod services;
mod share;
mod uploads;
mod watch;
mod webhooks;

mod ahead;
mod dialect;
mod driver;
mod inbox;
mod migrate;
mod outbox;
mod postgres;
mod sqlite;
mod tide;
mod tx;
mod value;
mod writer;

#[cfg(all(test, unix))]
mod tests;

pub use campaigns::{CampaignChange, NewCampaign};
pub use contacts::Given;
pub use endpoints::{
    ENDPOINTS_MAX, EndpointChange, LoggedDelivery, NewEndpoint, Replay, Replayed, Rotation,
};
pub use events::{EventCursor, EventFilter, EventPart, EventsRead, ReadFrom, ToldEvent};
pub use idempotency::{Answer, AnswerId, Met, Once, TakenIn};
pub use lists::{ListRow, ListedNumber};
pub use nodes::{
    LEASE_SAFETY, LEASE_TIME, NodePlace, NodeReport, NodeTick, TrunkGrant, TrunkReport,
};
pub use policies::{AccountTerms, PolicyRow, Suspender, TermsChange, VerifiedCallerId};
pub use postgres::Known;
pub use reader::Reader;
pub use services::SERVICES_MAX;
pub use store::Store;
pub use types::*;
pub use watch::DatabaseState;
