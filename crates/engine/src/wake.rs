//! "Look again", without data: a lost wake costs one period of a loop, never a call.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes one loop; clones wake the same loop.
#[derive(Clone, Debug, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Tells the loop to look again; wakes before it waits are kept, as one.
    pub fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits until somebody wakes.
    pub async fn woken(&self) {
        self.0.notified().await;
    }
}

/// The wakes of all loops that can be woken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wakes {
    pub(crate) dialer: Wake,
    pub(crate) webhooks: Wake,
}
