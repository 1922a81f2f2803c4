//! How to decide who or what answered.

use std::time::Duration;

/// What "answered" means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// A ring after the answer means that nobody has answered yet: the clock starts again.
    #[default]
    AnswerDetect,
    /// The network's word counts: the clock runs from its answer, and a ring is a verdict.
    NetworkConnect,
}

/// Whether to go on after the verdict that it is a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Greeting {
    /// Listen until its greeting has ended, by a beep or by silence, so that a message can start.
    Await,
    /// The verdict is enough.
    #[default]
    Ignore,
}

/// How to decide.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// What "answered" means.
    pub mode: Mode,
    /// Longest time from the answer to a verdict; then it is what is likeliest, or unknown.
    pub decide_within: Duration,
    /// Largest share of people who may be taken for machines, 0 to 1. All thresholds follow.
    pub humans_taken_max: f32,
    /// Shortest pause after which a person is decided. With a longer one a person is told later,
    /// and fewer greetings are taken for one at first.
    pub person_pause: Duration,
    /// How long a person's verdict may be revised, from when it was decided.
    pub revise_within: Duration,
    /// Whether to wait for the end of a machine's greeting.
    pub greeting: Greeting,
    /// Silence that ends a greeting without a beep; people pause for up to 2 s in theirs.
    pub greeting_pause: Duration,
    /// Longest greeting, from the answer.
    pub greeting_within: Duration,
    /// How long a beep is awaited after silence has ended a greeting: a message that began too
    /// early can begin again.
    pub late_beep_within: Duration,
    /// Silence of both sides after which a person who answered should hear something.
    pub quiet_max: Duration,
    /// How long a machine that speaks waits for its words to be read before it is firm; zero where
    /// nobody reads words. People are told no later for it.
    pub words_time: Duration,
    /// Longest ringing after the answer.
    pub ringing_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            decide_within: Duration::from_millis(5_000),
            humans_taken_max: 0.05,
            person_pause: Duration::from_millis(140),
            revise_within: Duration::from_millis(5_000),
            greeting: Greeting::default(),
            greeting_pause: Duration::from_millis(2_500),
            greeting_within: Duration::from_secs(60),
            late_beep_within: Duration::from_secs(10),
            quiet_max: Duration::from_millis(2_000),
            words_time: Duration::ZERO,
            ringing_within: Duration::from_secs(60),
        }
    }
}
