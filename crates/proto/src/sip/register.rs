//! One registration kept alive: MACHINE of RFC 3261 §10.2 with backoff.
//!
//! `handle` takes what to keep and what the registrar answered; `poll` says when to send REGISTER
//! and what became of it; `deadline` says when it wants to be woken. Authentication happens below.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::timers::Timer;
use super::tokens::Tokens;

/// Longest registration we ask for or believe, in seconds.
pub const EXPIRES_MAX_S: u32 = 86_400;

/// Shortest registration we work with: a registrar that grants less is refreshed this often.
const EXPIRES_MIN_S: u32 = 30;

/// Longest head start of a refresh before the registration expires.
const HEAD_START_MAX: Duration = Duration::from_secs(60);

/// First pause after a failure; doubled with each further one (RFC 5626 §4.5).
const BACKOFF_FIRST: Duration = Duration::from_secs(30);

/// Longest pause after failures (RFC 5626 §4.5).
const BACKOFF_MAX: Duration = Duration::from_secs(1_800);

/// How many 423 in a row are obeyed; a registrar that keeps raising its minimum is broken.
const TOO_BRIEF_MAX: u8 = 2;

/// One registration of ours with one registrar.
#[derive(Debug)]
pub struct Registration {
    phase: Phase,
    /// What we ask for, in seconds; raised by 423.
    expires_s: u32,
    failures: u32,
    too_brief: u8,
    next_at: Option<Instant>,
    tokens: Tokens,
    effects: VecDeque<Effect>,
}

/// What can happen to a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Keep it from now on, asking for so many seconds.
    Start {
        /// Seconds to ask for.
        expires_s: u32,
    },
    /// End it.
    Stop,
    /// 2xx, with the seconds granted.
    Granted {
        /// Seconds from now.
        expires_s: u32,
    },
    /// 423 with its Min-Expires.
    TooBrief {
        /// Seconds to ask for at least.
        min_expires_s: u32,
    },
    /// Any other final response, after authentication.
    Refused {
        /// Its status.
        status: u16,
        /// Its Retry-After, in seconds.
        retry_after_s: Option<u32>,
    },
    /// No response, or no way to send.
    Unanswered,
    /// A timer this machine asked for has run out.
    Expired(Timer),
}

/// What a registration wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send REGISTER asking for so many seconds; 0 unregisters.
    Send {
        /// The Contact's `expires`.
        expires_s: u32,
    },
    /// Tell whoever asked.
    Result(RegisterResult),
}

/// What became of a REGISTER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegisterResult {
    /// Registered, and refreshed before it expires.
    Registered {
        /// Seconds granted.
        expires_s: u32,
    },
    /// Not registered; it is tried again.
    Failed {
        /// The registrar's status; `None`: it did not answer, or cannot be reached.
        status: Option<u16>,
        /// Until the next try.
        retry_in: Duration,
    },
    /// Unregistered as asked; also where the registrar did not confirm it.
    Unregistered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Off,
    Registering,
    Registered,
    Waiting,
    Unregistering,
}

impl Registration {
    /// A registration that is off; `tokens` are its dice.
    pub fn new(tokens: Tokens) -> Self {
        Self {
            phase: Phase::Off,
            expires_s: EXPIRES_MIN_S,
            failures: 0,
            too_brief: 0,
            next_at: None,
            tokens,
            effects: VecDeque::new(),
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        use Phase::{Off, Registered, Registering, Unregistering, Waiting};
        match (self.phase, input) {
            (Off | Registered | Waiting, Input::Start { expires_s }) => self.start(expires_s),
            (Registering, Input::Start { expires_s }) => self.expires_s = clamped(expires_s),
            (Registered | Waiting, Input::Expired(Timer::Register)) => self.send(),
            (Registering, Input::Granted { expires_s }) => self.granted(now, expires_s),
            (Registering, Input::TooBrief { min_expires_s }) => self.ask_for(now, min_expires_s),
            (Registering, Input::Refused { status, retry_after_s }) => {
                self.fail(now, Some(status), retry_after_s);
            }
            (Registering, Input::Unanswered) => self.fail(now, None, None),
            (Registering | Registered | Waiting, Input::Stop) => self.unregister(),
            (
                Unregistering,
                Input::Granted { .. }
                | Input::TooBrief { .. }
                | Input::Refused { .. }
                | Input::Unanswered,
            )
            | (Off, Input::Stop) => {
                self.phase = Off;
                self.effects.push_back(Effect::Result(RegisterResult::Unregistered));
            }
            // Asked for again while the goodbye is under way: the later CSeq wins.
            (Unregistering, Input::Start { expires_s }) => self.start(expires_s),
            // Late: timers that lost their race, answers to a request that was given up.
            (phase, input) => tracing::trace!(?phase, ?input, "ignored"),
        }
    }

    /// What to do about it, oldest first.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to wake this machine, and for what.
    pub fn deadline(&self) -> Option<(Instant, Timer)> {
        self.next_at.map(|at| (at, Timer::Register))
    }

    /// Whether nothing is kept and nothing under way.
    pub fn is_off(&self) -> bool {
        self.phase == Phase::Off
    }

    fn start(&mut self, expires_s: u32) {
        self.expires_s = clamped(expires_s);
        self.failures = 0;
        self.send();
    }

    fn send(&mut self) {
        self.phase = Phase::Registering;
        self.next_at = None;
        self.effects.push_back(Effect::Send { expires_s: self.expires_s });
    }

    fn granted(&mut self, now: Instant, expires_s: u32) {
        let expires_s = expires_s.min(EXPIRES_MAX_S);
        self.phase = Phase::Registered;
        self.failures = 0;
        self.too_brief = 0;
        let granted = Duration::from_secs(u64::from(expires_s.max(EXPIRES_MIN_S)));
        let head_start = HEAD_START_MAX.min(granted / 3);
        // Spread, so that a restart of the registrar does not bring all its clients at once.
        let early = self.tokens.duration(Duration::ZERO, granted / 10);
        self.next_at = Some(now + granted - head_start - early);
        self.effects.push_back(Effect::Result(RegisterResult::Registered { expires_s }));
    }

    fn ask_for(&mut self, now: Instant, min_expires_s: u32) {
        self.too_brief += 1;
        let is_usable = min_expires_s > self.expires_s && min_expires_s <= EXPIRES_MAX_S;
        if !is_usable || self.too_brief > TOO_BRIEF_MAX {
            return self.fail(now, Some(423), None);
        }
        self.expires_s = min_expires_s;
        self.send();
    }

    fn fail(&mut self, now: Instant, status: Option<u16>, retry_after_s: Option<u32>) {
        self.phase = Phase::Waiting;
        self.too_brief = 0;
        let doubled = BACKOFF_FIRST.saturating_mul(1 << self.failures.min(16)).min(BACKOFF_MAX);
        self.failures = self.failures.saturating_add(1);
        let asked = Duration::from_secs(u64::from(retry_after_s.unwrap_or(0))).min(BACKOFF_MAX);
        let retry_in = self.tokens.duration(doubled / 2, doubled).max(asked);
        self.next_at = Some(now + retry_in);
        let failed = RegisterResult::Failed { status, retry_in };
        self.effects.push_back(Effect::Result(failed));
    }

    fn unregister(&mut self) {
        self.phase = Phase::Unregistering;
        self.next_at = None;
        self.effects.push_back(Effect::Send { expires_s: 0 });
    }
}

fn clamped(expires_s: u32) -> u32 {
    expires_s.clamp(EXPIRES_MIN_S, EXPIRES_MAX_S)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::testing::start;

    fn started(now: Instant) -> Registration {
        let mut registration = Registration::new(Tokens::new(&[1; 32], 1));
        registration.handle(now, Input::Start { expires_s: 600 });
        assert_eq!(registration.poll(), Some(Effect::Send { expires_s: 600 }));
        registration
    }

    fn result(registration: &mut Registration) -> RegisterResult {
        match registration.poll() {
            Some(Effect::Result(result)) => result,
            other => panic!("no result but {other:?}"),
        }
    }

    #[test]
    fn registration_is_refreshed_before_it_expires() {
        let t = start();
        let mut registration = started(t);
        registration.handle(t, Input::Granted { expires_s: 300 });
        assert_eq!(result(&mut registration), RegisterResult::Registered { expires_s: 300 });
        let (at, timer) = registration.deadline().unwrap();
        assert!((210..=240).contains(&(at - t).as_secs()), "{:?}", at - t);
        registration.handle(at, Input::Expired(timer));
        assert_eq!(registration.poll(), Some(Effect::Send { expires_s: 600 }));
    }

    #[test]
    fn too_brief_registration_is_asked_for_again_with_the_minimum() {
        let t = start();
        let mut registration = started(t);
        registration.handle(t, Input::TooBrief { min_expires_s: 3_600 });
        assert_eq!(registration.poll(), Some(Effect::Send { expires_s: 3_600 }));
    }

    #[test]
    fn registrar_that_keeps_raising_its_minimum_counts_as_failed() {
        let t = start();
        let mut registration = started(t);
        for min_expires_s in [700, 800] {
            registration.handle(t, Input::TooBrief { min_expires_s });
            assert_eq!(registration.poll(), Some(Effect::Send { expires_s: min_expires_s }));
        }
        registration.handle(t, Input::TooBrief { min_expires_s: 900 });
        let failed = result(&mut registration);
        assert!(matches!(failed, RegisterResult::Failed { status: Some(423), .. }), "{failed:?}");
    }

    #[test]
    fn failures_wait_longer_and_longer_up_to_half_an_hour() {
        let mut now = start();
        let mut registration = started(now);
        let mut waits = Vec::new();
        for _ in 0..10 {
            registration.handle(now, Input::Unanswered);
            let RegisterResult::Failed { status: None, retry_in } = result(&mut registration)
            else {
                panic!("a timeout is a failure without status");
            };
            waits.push(retry_in.as_secs());
            let (at, timer) = registration.deadline().unwrap();
            now = at;
            registration.handle(now, Input::Expired(timer));
            assert_eq!(registration.poll(), Some(Effect::Send { expires_s: 600 }));
        }
        assert!((15..=30).contains(&waits[0]) && (30..=60).contains(&waits[1]), "{waits:?}");
        assert!(waits[8..].iter().all(|wait| (900..=1_800).contains(wait)), "{waits:?}");
    }

    #[test]
    fn retry_after_is_obeyed() {
        let t = start();
        let mut registration = started(t);
        registration.handle(t, Input::Refused { status: 503, retry_after_s: Some(120) });
        let wait = Duration::from_secs(120);
        let failed = RegisterResult::Failed { status: Some(503), retry_in: wait };
        assert_eq!(result(&mut registration), failed);
        assert_eq!(registration.deadline(), Some((t + wait, Timer::Register)));
    }

    #[test]
    fn stop_unregisters_and_says_so_once() {
        let t = start();
        let mut registration = started(t);
        registration.handle(t, Input::Granted { expires_s: 300 });
        result(&mut registration);
        registration.handle(t, Input::Stop);
        assert_eq!(registration.poll(), Some(Effect::Send { expires_s: 0 }));
        registration.handle(t, Input::Unanswered);
        assert_eq!(result(&mut registration), RegisterResult::Unregistered);
        registration.handle(t, Input::Granted { expires_s: 300 });
        assert!(registration.is_off() && registration.poll().is_none());
        assert_eq!(registration.deadline(), None);
    }

    #[test]
    fn stop_of_what_never_started_is_answered_too() {
        let mut registration = Registration::new(Tokens::new(&[1; 32], 1));
        registration.handle(start(), Input::Stop);
        assert_eq!(result(&mut registration), RegisterResult::Unregistered);
    }
}
