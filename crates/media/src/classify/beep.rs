//! The beep after which a machine records.

use super::cadence::CadenceDetector;
use super::fax::FaxDetector;
use super::steady::Run;

/// Where beeps lie, in Hz.
const BEEP_HZ: std::ops::RangeInclusive<f32> = 300.0..=2_600.0;
/// Below this frequency voices hold notes, so that a beep has to be purer, in Hz.
const VOICE_HZ_MAX: f32 = 600.0;
/// Below this frequency a beep has to be pure for longer as well, in Hz, and how long, in hops.
const LOW_HZ_MAX: f32 = 380.0;
const LOW_HOPS_MIN: u32 = 18;
/// Shortest beep, in hops; with the window 100 ms. The first hops see less than a whole window.
const HOPS_MIN: u32 = 8;
/// How much louder than before its frequency must be, in dB: a voice glides into its notes.
const RISE_MIN_DB: f32 = 12.0;
const RISE_MIN_VOICE_DB: f32 = 17.0;
/// Largest deviation of a beep's frequency in Hz, and of its level about a line in dB.
const HZ_DEVIATION_MAX: f32 = 2.1;
const DB_DEVIATION_MAX: f32 = 0.8;
/// Where voices hold notes: the deviations that count one each, and how many may add up, with one
/// more for each part of the power that is missing.
const HZ_DEVIATION_VOICE: f32 = 0.8;
const DB_DEVIATION_VOICE: f32 = 0.25;
const SHARE_MISSING_VOICE: f32 = 0.1;
const FAULTS_MAX: f32 = 1.6;
/// Two close frequencies beat, so that one of them seems to move: by at most so much, in Hz, and
/// only if there is nothing else.
const BEATING_HZ_MAX: f32 = 7.0;
const BEATING_SHARE_MIN: f32 = 0.98;
const BEATING_RISE_MIN_DB: f32 = 25.0;
/// How fast a beep's level may fall, and rise, in dB a second; some are struck like a bell.
const DB_A_SECOND: std::ops::RangeInclusive<f32> = -170.0..=30.0;
/// Least part of the power that the beep's one or two frequencies have.
const SHARE_MIN: f32 = 0.86;
/// Longest beep, in hops: what lasts longer is a tone of the network.
const HOPS_MAX: u32 = 220;
/// A tone that could be the network's is held back so long after its end, in hops.
const HELD_HOPS: u32 = 92;
/// No beep follows a beep so soon, in hops: echoes do.
const DEAF_HOPS: u32 = 60;

/// A beep, or the end of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Beep {
    /// It sounds, since that hop.
    Started { from: u32, hz: f32 },
    /// It has ended, with that hop.
    Ended { until: u32 },
}

/// Listens for beeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct BeepDetector {
    /// The beep that sounds began in this hop.
    active: Option<u32>,
    /// A beep that could be a tone of the network: first and last hop, frequency.
    held: Option<(u32, u32, f32)>,
    /// What held tones have become, oldest first.
    owed: [Option<Beep>; 2],
    deaf_until: u32,
}

impl BeepDetector {
    /// A tone sounds; what is heard in it. Before any voice it may be the network's (`may_be_sit`
    /// or by its frequency), and waits.
    pub(crate) fn sounding(
        &mut self,
        at: u32,
        run: &Run,
        is_after_voice: bool,
        may_be_sit: bool,
    ) -> Option<Beep> {
        if let Some(from) = self.active {
            if run.hops > HOPS_MAX && from == run.from {
                self.active = None;
                self.deaf_until = u32::MAX;
                return Some(Beep::Ended { until: at });
            }
            return None;
        }
        let is_told = self.held.is_some_and(|(from, ..)| from == run.from);
        if at < self.deaf_until || is_told || run.hops > HOPS_MAX || !is_beep(run) {
            return None;
        }
        let may_be_network = !is_after_voice
            && (may_be_sit
                || FaxDetector::is_candidate(run)
                || CadenceDetector::is_candidate(run.hz));
        if may_be_network {
            self.held = Some((run.from, u32::MAX, run.hz));
            return None;
        }
        self.active = Some(run.from);
        Some(Beep::Started { from: run.from, hz: run.hz })
    }

    /// A tone has ended.
    pub(crate) fn ended(&mut self, run: &Run) -> Option<Beep> {
        let until = run.from + run.loud_hops();
        if self.deaf_until == u32::MAX {
            self.deaf_until = until + DEAF_HOPS;
        }
        if let Some((from, end, _)) = &mut self.held
            && *from == run.from
        {
            *end = until;
            if run.hops > HOPS_MAX {
                self.held = None;
            }
        }
        self.active.take_if(|from| *from == run.from)?;
        self.deaf_until = until + DEAF_HOPS;
        Some(Beep::Ended { until })
    }

    /// Time passes; a tone that was held back and is followed by nothing was a beep.
    pub(crate) fn passed(&mut self, at: u32, is_sounding: bool) -> Option<Beep> {
        if let Some((from, until, hz)) = self.held
            && until != u32::MAX
            && at >= until + HELD_HOPS
            && !is_sounding
        {
            self.held = None;
            self.owed = [Some(Beep::Started { from, hz }), Some(Beep::Ended { until })];
        }
        self.owed.iter_mut().find_map(Option::take)
    }

    /// Whether a beep sounds.
    pub(crate) const fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// The tones belong to the network after all.
    pub(crate) fn forget(&mut self) {
        *self = Self { active: self.active, deaf_until: self.deaf_until, ..Self::default() };
    }
}

fn is_beep(run: &Run) -> bool {
    let Some(even) = run.evenness() else { return false };
    let rise_db = run.dbov - run.before_dbov;
    let is_tone = BEEP_HZ.contains(&run.hz)
        && run.unbroken >= HOPS_MIN
        && !FaxDetector::is_answer_tone(run)
        && rise_db >= RISE_MIN_DB
        && DB_A_SECOND.contains(&even.db_a_second)
        && even.share >= SHARE_MIN;
    if !is_tone {
        return false;
    }
    if run.hz >= VOICE_HZ_MAX {
        let is_beating = even.hz_deviation <= BEATING_HZ_MAX
            && even.share >= BEATING_SHARE_MIN
            && rise_db >= BEATING_RISE_MIN_DB;
        let is_even = even.hz_deviation <= HZ_DEVIATION_MAX || is_beating;
        return is_even && even.db_deviation <= DB_DEVIATION_MAX;
    }
    let faults = even.hz_deviation / HZ_DEVIATION_VOICE
        + even.db_deviation / DB_DEVIATION_VOICE
        + (1.0 - even.share - SHARE_MISSING_VOICE / 2.0).max(0.0) / SHARE_MISSING_VOICE;
    let is_long = run.hz >= LOW_HZ_MAX || run.unbroken >= LOW_HOPS_MIN;
    faults <= FAULTS_MAX && rise_db >= RISE_MIN_VOICE_DB && is_long
}
