//! Counts the work of evaluations, and stops those that do too much.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::super::fault::Fault;
use super::super::limits::Limits;

/// The count; shared with the engine, which asks it now and then whether to stop.
#[derive(Debug)]
pub(super) struct Meter {
    evaluation_ticks_max: u32,
    call_ticks_max: u32,
    stopwatch: Option<fn() -> Duration>,
    evaluation_time_max: Duration,
    call_time_max: Duration,
    /// Of the evaluation at hand.
    ticks: AtomicU32,
    started_us: AtomicU64,
    exceeded: AtomicBool,
    /// Of all evaluations before it.
    call_ticks: AtomicU32,
    call_time_us: AtomicU64,
}

impl Meter {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            evaluation_ticks_max: limits.evaluation_ticks_max,
            call_ticks_max: limits.call_ticks_max,
            stopwatch: limits.stopwatch,
            evaluation_time_max: limits.evaluation_time_max,
            call_time_max: limits.call_time_max,
            ticks: AtomicU32::new(0),
            started_us: AtomicU64::new(0),
            exceeded: AtomicBool::new(false),
            call_ticks: AtomicU32::new(0),
            call_time_us: AtomicU64::new(0),
        }
    }

    pub(super) fn start(&self) {
        self.ticks.store(0, Ordering::Relaxed);
        self.exceeded.store(false, Ordering::Relaxed);
        self.started_us.store(self.now_us(), Ordering::Relaxed);
    }

    /// Called by the engine every 10,000 loop turns or calls; true stops it.
    pub(super) fn tick(&self) -> bool {
        let ticks = self.ticks.fetch_add(1, Ordering::Relaxed) + 1;
        let over = ticks > self.evaluation_ticks_max
            || Duration::from_micros(self.elapsed_us()) > self.evaluation_time_max;
        if over {
            self.exceeded.store(true, Ordering::Relaxed);
        }
        over
    }

    /// Whether the evaluation was stopped.
    pub(super) fn has_stopped(&self) -> bool {
        self.exceeded.load(Ordering::Relaxed)
    }

    /// Adds the evaluation to those of the call, which have a limit of their own.
    pub(super) fn stop(&self) -> Result<(), Fault> {
        let ticks = self.ticks.load(Ordering::Relaxed);
        let ticks = self.call_ticks.fetch_add(ticks, Ordering::Relaxed).saturating_add(ticks);
        if ticks > self.call_ticks_max {
            let message = "the scripts of the call do too much work";
            return Err(Fault::limit("call_ticks_max", message));
        }
        let time_us = self.elapsed_us();
        let time_us = self.call_time_us.fetch_add(time_us, Ordering::Relaxed) + time_us;
        if Duration::from_micros(time_us) > self.call_time_max {
            return Err(Fault::limit("call_time_max", "the scripts of the call take too long"));
        }
        Ok(())
    }

    fn elapsed_us(&self) -> u64 {
        self.now_us().saturating_sub(self.started_us.load(Ordering::Relaxed))
    }

    fn now_us(&self) -> u64 {
        let now = self.stopwatch.map_or(Duration::ZERO, |stopwatch| stopwatch());
        u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
    }
}
