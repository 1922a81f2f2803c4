//! How the engine is doing, for health checks and figures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How the engine is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// A shutdown has begun.
    pub draining: bool,
    /// Calls under way.
    pub live_calls: usize,
    /// Why the store cannot be written; `None`: it can.
    pub store_error: Option<String>,
    /// What is wrong with the database, though it answers.
    pub database: Vec<String>,
    /// Why nothing can be spoken; `None`: it can.
    pub speech_error: Option<String>,
    /// Trunks by name.
    pub trunks: BTreeMap<String, TrunkHealth>,
}

/// How a trunk is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrunkHealth {
    /// Addresses that answer, of all that are known.
    pub addresses_alive: usize,
    /// Addresses known.
    pub addresses: usize,
    /// Calls under way.
    pub busy: u32,
    /// Concurrent calls allowed.
    pub slots: u32,
    /// It answered before, and none of its addresses does any more.
    pub is_silent: bool,
    /// Whether the registration holds; `None`: none is asked for.
    pub registered: Option<bool>,
}

/// Where the loops write how they are doing.
#[derive(Clone, Debug, Default)]
pub(crate) struct HealthBoard(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    store_error: Option<String>,
    database: Vec<String>,
    speech_error: Option<String>,
    trunks: BTreeMap<String, TrunkHealth>,
}

impl HealthBoard {
    pub(crate) fn read(&self, draining: bool, live_calls: usize) -> Health {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Health {
            draining,
            live_calls,
            store_error: board.store_error.clone(),
            database: board.database.clone(),
            speech_error: board.speech_error.clone(),
            trunks: board.trunks.clone(),
        }
    }

    pub(crate) fn store(&self, error: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).store_error = error;
    }

    /// What is wrong with the database; whether that is news.
    pub(crate) fn database(&self, alarms: Vec<String>) -> bool {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = board.database != alarms;
        board.database = alarms;
        is_news
    }

    pub(crate) fn speech(&self, error: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).speech_error = error;
    }

    /// Whether a trunk has fallen silent.
    pub(crate) fn is_silent(&self, name: &str) -> bool {
        let board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        board.trunks.get(name).is_some_and(|trunk| trunk.is_silent)
    }

    pub(crate) fn trunk(&self, name: &str, change: impl FnOnce(&mut TrunkHealth)) {
        let mut board = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(board.trunks.entry(name.to_owned()).or_default());
    }
}
