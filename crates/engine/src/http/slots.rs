//! A bound on what happens at once under one name: requests to a host, fetches of a page.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Hands out a bounded number of slots under each name; names without slots cost nothing.
#[derive(Clone, Debug)]
pub(crate) struct Slots {
    per_name: usize,
    names: Arc<Mutex<HashMap<String, Arc<Semaphore>>>>,
}

/// The right to go on; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    name: String,
    slots: Slots,
    permit: Option<OwnedSemaphorePermit>,
}

impl Slots {
    /// At most `per_name` at once under each name.
    pub(crate) fn new(per_name: usize) -> Self {
        Self { per_name, names: Arc::default() }
    }

    /// Waits for a slot under `name`, first come, first served.
    pub(crate) async fn take(&self, name: &str) -> Slot {
        // Made before waiting, so that a waiter who gives up clears the name as well.
        let mut slot = Slot { name: name.to_owned(), slots: self.clone(), permit: None };
        let semaphore = {
            let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
            let new = || Arc::new(Semaphore::new(self.per_name));
            names.entry(name.to_owned()).or_insert_with(new).clone()
        };
        // The semaphore is never closed; were it, going on without a permit does no harm.
        slot.permit = semaphore.acquire_owned().await.ok();
        slot
    }

    #[cfg(test)]
    pub(crate) fn names(&self) -> usize {
        self.names.lock().unwrap().len()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut names = self.slots.names.lock().unwrap_or_else(PoisonError::into_inner);
        // Handles are cloned under this lock alone: one left means that nobody holds or waits.
        if names.get(&self.name).is_some_and(|semaphore| Arc::strong_count(semaphore) == 1) {
            names.remove(&self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn full_name_waits_while_another_goes_on() {
        let slots = Slots::new(2);
        let _first = slots.take("a").await;
        let second = slots.take("a").await;
        let blocked = tokio::time::timeout(Duration::from_secs(9), slots.take("a")).await;
        assert!(blocked.is_err());
        let _other = slots.take("b").await;
        drop(second);
        let _third = slots.take("a").await;
    }

    #[tokio::test(start_paused = true)]
    async fn names_without_slots_are_forgotten() {
        let slots = Slots::new(1);
        let held = slots.take("a").await;
        assert!(tokio::time::timeout(Duration::from_secs(1), slots.take("a")).await.is_err());
        assert_eq!(slots.names(), 1);
        drop(held);
        assert_eq!(slots.names(), 0);
    }
}
