//! Reading, on threads of its own and connections that cannot write.

use crate::{StoreError, Totals};

/// Reads the store; cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader;

impl Reader {
    /// Sums over the whole store, for metrics.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        Err(StoreError::Closed)
    }
}
