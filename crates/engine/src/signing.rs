//! Makes the keys that sign webhooks, out of the chance that the engine was started with.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use domain::webhook::KeyPair;
use sha2::{Digest, Sha256};

/// Makes keys that nobody can guess, each one once; clones share the count.
#[derive(Clone)]
pub struct KeyMaker {
    secret: [u8; 32],
    made: Arc<AtomicU64>,
}

impl KeyMaker {
    /// `secret` is random, and new at each start.
    pub fn new(secret: [u8; 32]) -> Self {
        Self { secret, made: Arc::default() }
    }

    /// A key that was never made before.
    pub fn make(&self) -> KeyPair {
        let nth = self.made.fetch_add(1, Ordering::Relaxed);
        let bytes = |purpose: &str| {
            let mut hash = Sha256::new();
            hash.update(self.secret);
            hash.update("webhook key ");
            hash.update(purpose);
            hash.update(nth.to_le_bytes());
            hash.finalize().into()
        };
        KeyPair::new(bytes("secret"), bytes("seed"))
    }
}

impl fmt::Debug for KeyMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyMaker")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_keys_have_anything_in_common() {
        let (maker, other) = (KeyMaker::new([1; 32]), KeyMaker::new([2; 32]));
        let keys = [maker.make(), maker.clone().make(), other.make()];
        let parts = keys.iter().flat_map(|key| [key.secret, key.seed]);
        let distinct: std::collections::BTreeSet<_> = parts.collect();
        assert_eq!(distinct.len(), 6);
    }
}
