//! Session timers: MACHINE of RFC 4028 that keeps one session fresh, or notices that it is not.
//!
//! `handle` takes what the last 2xx agreed on, failed refreshes and expired timers; `poll` says
//! when to refresh and when to give the session up; `deadline` says when it wants to be woken.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::timers::Timer;

/// Shortest interval anybody may ask for (RFC 4028 §4).
pub const MIN_SE_S: u32 = 90;

/// Longest interval we take over from a far end; longer ones are cut to it.
pub const SESSION_EXPIRES_MAX_S: u32 = 86_400;

/// Shortest interval we work with, whatever the far end says: below it refreshes would be a storm.
const INTERVAL_FLOOR_S: u32 = 10;

/// Longest head start of the BYE before the session expires (RFC 4028 §10).
const HEAD_START_MAX: Duration = Duration::from_secs(32);

/// The session timer of one call.
#[derive(Debug, Default)]
pub struct SessionTimer {
    phase: Phase,
    interval: Duration,
    refresh_at: Option<Instant>,
    expire_at: Option<Instant>,
    effects: VecDeque<Effect>,
}

/// What can happen to a session timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A 2xx, sent or received, agreed on this.
    Agreed(Agreement),
    /// Our refresh was too brief for somebody (422): the next one asks for this.
    Lengthen {
        /// Seconds to ask for; the session that runs expires as before.
        interval_s: u32,
    },
    /// The session ends, or a 2xx came without Session-Expires: nobody refreshes any more.
    Off,
    /// Our refresh was refused for a reason that does not end the call.
    RefreshFailed,
    /// A timer this machine asked for has run out.
    Expired(Timer),
}

/// What the session timer wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send UPDATE or re-INVITE.
    Refresh,
    /// Nobody refreshed: send BYE.
    GiveUp,
}

/// Who refreshes, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Lifetime of the session after each refresh, in seconds.
    pub interval_s: u32,
    /// Who has to refresh.
    pub refresher: Refresher,
}

/// Who has to refresh a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    /// The far end.
    Far,
    /// We.
    Us,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Off,
    /// We refresh at half time.
    Refresher,
    /// Our refresh is under way.
    Refreshing,
    /// The far end refreshes.
    Watching,
}

impl SessionTimer {
    /// One thing happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match (self.phase, input) {
            (_, Input::Agreed(agreement)) => self.start(now, agreement),
            (_, Input::Off) => self.stop(),
            (Phase::Refresher, Input::Expired(Timer::Refresh)) => {
                self.phase = Phase::Refreshing;
                self.refresh_at = None;
                self.effects.push_back(Effect::Refresh);
            }
            (Phase::Refreshing, Input::RefreshFailed) => self.try_again(now),
            (Phase::Refreshing, Input::Lengthen { interval_s }) => {
                self.interval = Duration::from_secs(u64::from(interval_s));
            }
            (Phase::Refresher | Phase::Refreshing | Phase::Watching, Input::Expired(_)) => {
                self.stop();
                self.effects.push_back(Effect::GiveUp);
            }
            // Late: a timer or failure of a session that is over or was refreshed meanwhile.
            (phase, input) => tracing::trace!(?phase, ?input, "ignored"),
        }
    }

    /// What to do about it, oldest first.
    pub fn poll(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to wake this machine, and for what.
    pub fn deadline(&self) -> Option<(Instant, Timer)> {
        let refresh = self.refresh_at.map(|at| (at, Timer::Refresh));
        let expire = self.expire_at.map(|at| (at, Timer::Expire));
        refresh.into_iter().chain(expire).min_by_key(|(at, _)| *at)
    }

    /// What holds now; `None` where no session timer runs.
    pub fn agreement(&self) -> Option<Agreement> {
        let refresher = match self.phase {
            Phase::Off => return None,
            Phase::Refresher | Phase::Refreshing => Refresher::Us,
            Phase::Watching => Refresher::Far,
        };
        let interval_s = u32::try_from(self.interval.as_secs()).unwrap_or(SESSION_EXPIRES_MAX_S);
        Some(Agreement { interval_s, refresher })
    }

    fn start(&mut self, now: Instant, agreement: Agreement) {
        let interval_s = agreement.interval_s.clamp(INTERVAL_FLOOR_S, SESSION_EXPIRES_MAX_S);
        self.interval = Duration::from_secs(u64::from(interval_s));
        // Whoever gives up does so a little early, while the far end still listens.
        let head_start = HEAD_START_MAX.min(self.interval / 3);
        self.expire_at = Some(now + self.interval - head_start);
        (self.phase, self.refresh_at) = match agreement.refresher {
            Refresher::Us => (Phase::Refresher, Some(now + self.interval / 2)),
            Refresher::Far => (Phase::Watching, None),
        };
    }

    /// Waits half of what is left and tries again, until too little is left.
    fn try_again(&mut self, now: Instant) {
        self.phase = Phase::Refresher;
        let left = self.expire_at.map(|at| at.saturating_duration_since(now)).unwrap_or_default();
        self.refresh_at = (left >= PAUSE_MIN * 2).then(|| now + left / 2);
    }

    fn stop(&mut self) {
        self.phase = Phase::Off;
        self.refresh_at = None;
        self.expire_at = None;
    }
}

/// Shortest pause between a failed refresh and the next try.
const PAUSE_MIN: Duration = Duration::from_secs(5);

/// What our 2xx to a refresh by the far end says (RFC 4028 §9, table 2), or why it is refused.
///
/// `asked` is the request's Session-Expires and who it wants to refresh (`Far` is `uac`: the far
/// end sent the request), `knows_timer` its `Supported: timer`, `current` what holds, `wanted_s`
/// what we want where the request asks for nothing.
pub fn answer_refresh(
    asked: Option<(u32, Option<Refresher>)>,
    knows_timer: bool,
    current: Option<Agreement>,
    wanted_s: Option<u32>,
) -> Result<Option<Agreement>, TooBrief> {
    match (asked, current, wanted_s) {
        (Some((interval_s, _)), _, _) if interval_s < MIN_SE_S && knows_timer => Err(TooBrief),
        (Some((interval_s, refresher)), current, _) => {
            let kept = current.map_or(Refresher::Far, |current| current.refresher);
            let refresher = match knows_timer {
                true => refresher.unwrap_or(kept),
                false => Refresher::Us,
            };
            Ok(Some(Agreement { interval_s: interval_s.max(MIN_SE_S), refresher }))
        }
        (None, Some(current), _) => {
            let refresher = if knows_timer { current.refresher } else { Refresher::Us };
            Ok(Some(Agreement { refresher, ..current }))
        }
        (None, None, Some(interval_s)) => {
            let refresher = if knows_timer { Refresher::Far } else { Refresher::Us };
            Ok(Some(Agreement { interval_s, refresher }))
        }
        (None, None, None) => Ok(None),
    }
}

/// A refresh asked for less than [`MIN_SE_S`]: answered 422.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBrief;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::testing::start;

    const HOUR: u32 = 3_600;

    fn agreed(now: Instant, interval_s: u32, refresher: Refresher) -> SessionTimer {
        let mut timer = SessionTimer::default();
        timer.handle(now, Input::Agreed(Agreement { interval_s, refresher }));
        timer
    }

    fn after(now: Instant, s: u64) -> Instant {
        now + Duration::from_secs(s)
    }

    #[test]
    fn refresher_refreshes_at_half_time() {
        let t = start();
        let mut timer = agreed(t, HOUR, Refresher::Us);
        assert_eq!(timer.deadline(), Some((after(t, 1_800), Timer::Refresh)));
        timer.handle(after(t, 1_800), Input::Expired(Timer::Refresh));
        assert_eq!((timer.poll(), timer.poll()), (Some(Effect::Refresh), None));
        // Nobody answers: given up 32 s before the end.
        assert_eq!(timer.deadline(), Some((after(t, 3_568), Timer::Expire)));
        timer.handle(after(t, 3_568), Input::Expired(Timer::Expire));
        assert_eq!((timer.poll(), timer.deadline()), (Some(Effect::GiveUp), None));
    }

    #[test]
    fn watcher_gives_up_a_third_before_the_end_of_a_short_session() {
        let t = start();
        let timer = agreed(t, 90, Refresher::Far);
        assert_eq!(timer.deadline(), Some((after(t, 60), Timer::Expire)));
    }

    #[test]
    fn each_agreement_starts_anew() {
        let t = start();
        let mut timer = agreed(t, 90, Refresher::Far);
        timer.handle(after(t, 50), Input::Agreed(timer.agreement().unwrap()));
        assert_eq!(timer.deadline(), Some((after(t, 110), Timer::Expire)));
    }

    #[test]
    fn failed_refresh_is_tried_again_until_too_little_time_is_left() {
        let t = start();
        let mut timer = agreed(t, 90, Refresher::Us);
        let (mut tries, mut now) = (0, t);
        while let Some((at, due)) = timer.deadline() {
            now = at;
            timer.handle(now, Input::Expired(due));
            if timer.poll() == Some(Effect::Refresh) {
                tries += 1;
                timer.handle(now, Input::RefreshFailed);
            }
        }
        // 45 s, then half of 15 s; 7.5 s are left, too little for another.
        assert_eq!((tries, now), (2, after(t, 60)));
    }

    #[test]
    fn session_without_agreement_expires_never() {
        let t = start();
        let mut timer = agreed(t, 90, Refresher::Us);
        timer.handle(t, Input::Off);
        timer.handle(after(t, 45), Input::Expired(Timer::Refresh));
        assert_eq!((timer.poll(), timer.deadline(), timer.agreement()), (None, None, None));
    }

    #[test]
    fn absurd_intervals_are_cut() {
        let t = start();
        assert_eq!(agreed(t, 0, Refresher::Us).agreement().unwrap().interval_s, 10);
        assert_eq!(agreed(t, u32::MAX, Refresher::Us).agreement().unwrap().interval_s, 86_400);
    }

    #[test]
    fn answers_follow_table_2_of_rfc_4028() {
        use Refresher::{Far, Us};
        let agreement = |interval_s, refresher| Ok(Some(Agreement { interval_s, refresher }));
        let current = Some(Agreement { interval_s: 600, refresher: Us });
        // Who does not know timers cannot refresh, whatever a proxy wrote.
        assert_eq!(answer_refresh(Some((1_800, None)), false, None, None), agreement(1_800, Us));
        assert_eq!(answer_refresh(Some((30, None)), false, None, None), agreement(90, Us));
        assert_eq!(
            answer_refresh(Some((1_800, Some(Far))), true, None, None),
            agreement(1_800, Far)
        );
        assert_eq!(answer_refresh(Some((1_800, Some(Us))), true, None, None), agreement(1_800, Us));
        assert_eq!(answer_refresh(Some((1_800, None)), true, current, None), agreement(1_800, Us));
        assert_eq!(answer_refresh(Some((89, None)), true, None, None), Err(TooBrief));
        assert_eq!(answer_refresh(None, true, current, None), agreement(600, Us));
        assert_eq!(answer_refresh(None, false, None, Some(900)), agreement(900, Us));
        assert_eq!(answer_refresh(None, true, None, None), Ok(None));
    }
}
