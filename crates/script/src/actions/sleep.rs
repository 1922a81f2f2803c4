//! `sleep`: nothing, for a while.

use std::time::Duration;

use super::reader::Members;
use super::runner::{Phase, Runner};

pub(super) fn read(members: &mut Members<'_>) -> Duration {
    let given = members.map.get("seconds").is_some_and(|value| !value.is_null());
    let time = members.seconds("seconds", 0.0);
    if !given {
        members.refuse_as("seconds", "nothing", "how long, in seconds");
    }
    time
}

impl Runner {
    /// `sleep`.
    pub(super) fn begin_sleep(&mut self, time: Duration) {
        if !time.is_zero() {
            self.phase = Phase::Sleeping(self.now + time);
        }
    }

    pub(super) fn slept(&mut self) {
        self.usage.noticed();
        self.phase = Phase::Busy;
    }
}
