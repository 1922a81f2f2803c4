//! The writer's door: opening, closing, and what belongs to no table of its own.

use crate::{Reader, StoreConfig, StoreError};

/// Writes the store; cheap to clone. All clones share one writer.
///
/// Every verb answers when its transaction is on disk, unless it says otherwise.
#[derive(Clone, Debug)]
pub struct Store;

impl Store {
    /// Opens or creates the database, brings its schema up to date, and tidies up after a crash.
    pub async fn open(_config: StoreConfig) -> Result<(Self, Reader), StoreError> {
        Err(StoreError::Closed)
    }

    /// Writes everything accepted so far and closes; other clones answer [`StoreError::Closed`].
    pub async fn close(&self) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// Waits until all that was accepted is on disk, and committed uploads are dialable.
    pub async fn flush(&self) -> Result<(), StoreError> {
        Err(StoreError::Closed)
    }

    /// Number of this opening, from 1, never repeated for this database.
    pub fn epoch(&self) -> i64 {
        0
    }

    /// The node's secret: `generate` where there was none, else the one stored first.
    pub async fn identity_key(&self, _generate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        Err(StoreError::Closed)
    }
}
