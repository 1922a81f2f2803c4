//! Keys to send with pauses between them: hands runs of keys to the stream, and counts the pauses.

use std::collections::VecDeque;

use proto::rtp::Key;
use proto::rtp::telephone_event::KEYS_WAITING_MAX;

/// What is to be sent, and where that stands; ticks once a frame.
#[derive(Debug, Default)]
pub(super) struct KeyPlan {
    steps: VecDeque<Step>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Key(Key),
    Pause(u32),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    /// Frames that remain of a pause.
    Pausing(u32),
    /// A run of keys is being sent; [`KeyPlan::sent`] ends it.
    Pressing,
}

/// What the plan wants at a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All that was planned is done.
    Done,
    Nothing,
    /// Send these, then say so with [`KeyPlan::sent`].
    Press(Vec<Key>),
}

/// Keys and pauses that wait; a destination has at most 64, and the stream takes so many at once.
const STEPS_MAX: usize = KEYS_WAITING_MAX;
/// `p`: one second (RFC 3601 §2).
const PAUSE_FRAMES: u32 = 50;
/// `,`: two seconds, as modems have it.
const COMMA_FRAMES: u32 = 100;
/// `w`: half a second; others wait for a dial tone here (RFC 3601), which no callee gives.
const WAIT_FRAMES: u32 = 25;

impl KeyPlan {
    /// Plans these, behind what is planned already: `0-9 A-D * #`, and the pauses `,`, `p`, `w`.
    ///
    /// Other characters are left out, and so is what is beyond the limit.
    pub(super) fn add(&mut self, keys: &str) {
        let steps = keys.chars().filter_map(|sign| match sign {
            ',' => Some(Step::Pause(COMMA_FRAMES)),
            'p' | 'P' => Some(Step::Pause(PAUSE_FRAMES)),
            'w' | 'W' => Some(Step::Pause(WAIT_FRAMES)),
            sign => Key::from_char(sign).map(Step::Key),
        });
        let room = STEPS_MAX.saturating_sub(self.steps.len());
        self.steps.extend(steps.take(room));
        if self.steps.is_empty() && self.state == State::Idle {
            // Nothing to send is sent at once, and must be told all the same.
            self.state = State::Pausing(0);
        }
    }

    /// The run of keys is sent.
    pub(super) fn sent(&mut self) {
        if self.state == State::Pressing {
            self.state = State::Pausing(0);
        }
    }

    /// A frame passes.
    pub(super) fn tick(&mut self) -> Wanted {
        match (self.state, self.steps.front()) {
            (State::Idle, None) | (State::Pressing, _) => Wanted::Nothing,
            (State::Pausing(frames @ 1..), _) => {
                self.state = State::Pausing(frames - 1);
                Wanted::Nothing
            }
            (State::Pausing(0), None) => {
                self.state = State::Idle;
                Wanted::Done
            }
            (State::Idle | State::Pausing(0), Some(Step::Pause(frames))) => {
                self.state = State::Pausing(frames - 1);
                self.steps.pop_front();
                Wanted::Nothing
            }
            (State::Idle | State::Pausing(0), Some(Step::Key(_))) => {
                self.state = State::Pressing;
                Wanted::Press(self.take_run())
            }
        }
    }

    /// The keys up to the next pause.
    fn take_run(&mut self) -> Vec<Key> {
        let mut run = Vec::new();
        while let Some(Step::Key(key)) = self.steps.front() {
            run.push(*key);
            self.steps.pop_front();
        }
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the plan did at which tick; each run of keys takes five ticks.
    fn story(keys: &str) -> Vec<(u32, String)> {
        let mut plan = KeyPlan::default();
        plan.add(keys);
        let mut told = Vec::new();
        let mut sent_at = 0;
        for tick in 0..1_000 {
            if tick == sent_at {
                plan.sent();
            }
            match plan.tick() {
                Wanted::Done => told.push((tick, "done".to_owned())),
                Wanted::Nothing => {}
                Wanted::Press(run) => {
                    sent_at = tick + 5;
                    told.push((tick, run.into_iter().map(Key::to_char).collect()));
                }
            }
        }
        told
    }

    #[test]
    fn runs_of_keys_are_sent_together_and_pauses_lie_between() {
        let told = [(0, "12"), (55, "#*"), (60, "done")].map(|(at, what)| (at, what.to_owned()));
        assert_eq!(story("12p#*"), told);
    }

    #[test]
    fn pauses_add_up_and_may_stand_at_both_ends() {
        let told = [(125, "1"), (155, "done")].map(|(at, what)| (at, what.to_owned()));
        assert_eq!(story("w,1w"), told);
    }

    #[test]
    fn nothing_to_send_is_done_at_once() {
        assert_eq!(story(""), [(0, "done".to_owned())]);
        assert_eq!(story("xyz"), [(0, "done".to_owned())]);
    }

    #[test]
    fn keys_added_while_others_are_sent_come_behind_them() {
        let mut plan = KeyPlan::default();
        plan.add("1");
        assert!(matches!(plan.tick(), Wanted::Press(_)));
        plan.add("2");
        assert_eq!(plan.tick(), Wanted::Nothing);
        plan.sent();
        assert!(matches!(plan.tick(), Wanted::Press(_)));
        plan.sent();
        assert_eq!([plan.tick(), plan.tick()], [Wanted::Done, Wanted::Nothing]);
    }

    #[test]
    fn plan_is_bounded() {
        let mut plan = KeyPlan::default();
        plan.add(&"1".repeat(10_000));
        plan.add("2");
        assert_eq!(plan.take_run().len(), STEPS_MAX);
    }

    #[test]
    fn plan_does_not_say_which_keys() {
        let mut plan = KeyPlan::default();
        plan.add("1234");
        assert!(!format!("{plan:?}").contains("1"), "{plan:?}");
    }
}
