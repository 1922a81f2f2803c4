//! How you ask: incoming HTTP, its routes, authentication and limits.
//!
//! Words come from `facade`, verbs go to the engine's `Control`, reads to the store's `Reader`.
//! Handlers only join them; every failure leaves in the words of the facade that was asked.

mod accounts;
mod aculab;
pub mod auth;
mod body;
mod deployments;
mod error;
mod events;
mod fuse;
mod idempotency;
mod imports;
mod list_files;
pub mod metrics;
mod native;
mod openapi;
mod peers;
mod plum;
mod ranges;
mod recordings;
mod router;
mod rules;
mod scratch;
mod server;
mod speak;
mod status;
mod throttle;
mod upload;
mod webhooks;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::control::Control;
use facade::zone::Zone;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

pub use openapi::document as openapi;
pub use scratch::import_reader;
pub use server::{ServeError, serve};

/// Most requests worked on at once: each may hold a body of some hundred kilobytes.
const REQUESTS_MAX: usize = 512;
/// Most files of contacts read at once.
const IMPORTS_MAX: usize = 4;
/// Most lists taken in at once: each writes to the store as fast as it can.
const UPLOADS_MAX: usize = 4;
/// Most lists received at once whose clients are not known yet: each may fill 64 MiB of disk.
const STRANGERS_MAX: usize = 4;

/// What the API is made of.
#[derive(Clone)]
pub struct Api {
    /// The engine's verbs, and its reader.
    pub control: Control,
    /// The figures of this process.
    pub metrics: metrics::Figures,
    /// IANA name of the zone in which clients write local times.
    pub time_zone: String,
    /// Bytes that nobody can guess.
    pub secret: [u8; 32],
}

/// What handlers share.
pub(crate) struct Parts {
    pub(crate) control: Control,
    pub(crate) figures: metrics::Figures,
    pub(crate) followers: events::Followers,
    pub(crate) gate: auth::Gate,
    pub(crate) imports: Semaphore,
    pub(crate) in_flight: idempotency::InFlight,
    pub(crate) requests: Semaphore,
    pub(crate) strangers: Semaphore,
    pub(crate) uploads: Semaphore,
    pub(crate) zone: Zone,
    ids: RequestIds,
}

/// What handlers share, as axum's state.
pub(crate) type Shared = Arc<Parts>;

impl Parts {
    fn new(api: Api, zone: Zone) -> Self {
        Self {
            control: api.control,
            figures: api.metrics,
            followers: events::Followers::default(),
            gate: auth::Gate::new(derived(&api.secret, "gate")),
            imports: Semaphore::new(IMPORTS_MAX),
            in_flight: idempotency::InFlight::default(),
            requests: Semaphore::new(REQUESTS_MAX),
            strangers: Semaphore::new(STRANGERS_MAX),
            uploads: Semaphore::new(UPLOADS_MAX),
            zone,
            ids: RequestIds { secret: derived(&api.secret, "requests"), count: AtomicU64::new(0) },
        }
    }
}

/// Names requests, so that a client's report leads to a line in the log.
struct RequestIds {
    secret: [u8; 32],
    count: AtomicU64,
}

impl RequestIds {
    fn next(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mut hash = Sha256::new();
        hash.update(self.secret);
        hash.update(count.to_le_bytes());
        let id: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("req_{id}")
    }
}

/// A secret for one purpose; different purposes get secrets that say nothing about each other.
fn derived(secret: &[u8; 32], purpose: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(secret);
    hash.update(purpose);
    hash.finalize().into()
}
