//! SQLite's checkpointer: moves what was written ahead into the file, beside the writer's work.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::StoreError;
use crate::sqlite::Checkpoints;
use crate::writer::spawn;

/// Checkpoints beside the writer's work before one for which it stands still.
const PASSES_BEFORE_STANDING: usize = 2;

/// What writer and checkpointer tell each other.
#[derive(Default)]
pub(crate) struct Tide {
    state: Mutex<TideState>,
    changed: Condvar,
    /// Held by whoever needs the other to stand still.
    gate: Mutex<()>,
}

#[derive(Default)]
struct TideState {
    dirty: bool,
    ended: bool,
}

impl Tide {
    /// Starts the checkpointer's thread.
    pub(crate) fn start(
        self: &Arc<Self>,
        path: &Path,
        every: Duration,
    ) -> Result<JoinHandle<()>, StoreError> {
        let checkpoints = Checkpoints::open(path)?;
        let tide = Arc::clone(self);
        spawn("store-checkpoint", move || {
            while tide.wait(every) {
                let passed = checkpoints.pass().and_then(|long| match long {
                    true => tide.empty(&checkpoints),
                    false => Ok(()),
                });
                if let Err(error) = passed {
                    tracing::warn!(%error, "a checkpoint failed");
                }
            }
        })
    }

    /// The writer is at work for as long as this is held.
    pub(crate) fn hold(&self) -> MutexGuard<'_, ()> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer has written.
    pub(crate) fn rise(&self) {
        self.set(|state| state.dirty = true);
    }

    /// The writer has ended.
    pub(crate) fn end(&self) {
        self.set(|state| state.ended = true);
    }

    /// Empties a write-ahead file that has grown long.
    fn empty(&self, checkpoints: &Checkpoints) -> Result<(), StoreError> {
        // Each pass leaves what was written during it, so the writer stands still for little.
        for _ in 0..PASSES_BEFORE_STANDING {
            checkpoints.pass()?;
        }
        let _still = self.hold();
        checkpoints.empty()
    }

    fn set(&self, change: impl FnOnce(&mut TideState)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let was = state.dirty || state.ended;
        change(&mut state);
        let ended = state.ended;
        drop(state);
        if !was || ended {
            self.changed.notify_one();
        }
    }

    /// Waits for something to move and then for `every`; `false` at the end.
    fn wait(&self, every: Duration) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = self
            .changed
            .wait_while(state, |state| !state.dirty && !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, every, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
        state.dirty = false;
        !state.ended
    }
}
