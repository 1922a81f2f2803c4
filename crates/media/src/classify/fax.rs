//! Tones of fax machines and modems: answer tones, calling tones and the first data.

use super::spectrum::Hop;
use super::steady::Run;

/// Answer tones: 2100 Hz (ITU-T V.25, T.30 CED, V.8 ANSam) and 2225 Hz (Bell 103); centre and
/// tolerance in Hz.
const ANSWER_HZ: [(f32, f32); 2] = [(2_100.0, 22.0), (2_225.0, 20.0)];
/// How much of an answer tone must have sounded, in hops: no voice and no beep of a machine holds
/// one of these frequencies for half a second.
const ANSWER_HOPS: u32 = 46;
/// Calling tones: CNG 1100 Hz for 0.5 s (ITU-T T.30 §4.3.3.3), V.25 1300 Hz for 0.6 s; centre and
/// tolerance in Hz, length in hops.
const CALLING: [(f32, f32, std::ops::RangeInclusive<u32>); 2] =
    [(1_100.0, 40.0, 42..=58), (1_300.0, 22.0, 50..=70)];
/// How much of the power V.21's second channel has, 1650 and 1850 Hz, when its flags are sent.
const DATA_SHARE_MIN: f32 = 0.9;
/// How long the flags must last, in hops.
const DATA_HOPS: u32 = 45;
/// Least level that is looked at, in dBov.
const DATA_DBOV_MIN: f32 = -48.0;

/// Listens for fax machines.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaxDetector {
    data_hops: u32,
    calling: u32,
}

impl FaxDetector {
    /// A tone sounds; whether it is a fax machine's answer.
    pub(crate) fn sounding(&self, run: &Run) -> bool {
        run.hops >= ANSWER_HOPS && is_answer(run.hz)
    }

    /// A tone has ended; whether it was a fax machine's call. After a voice it could be a
    /// machine's beep, so it has to come twice.
    pub(crate) fn ended(&mut self, run: &Run, is_after_voice: bool) -> bool {
        let hops = run.loud_hops();
        let is_calling = |(hz, tolerance, length): &(f32, f32, std::ops::RangeInclusive<u32>)| {
            (run.hz - hz).abs() <= *tolerance && length.contains(&hops)
        };
        if !CALLING.iter().any(is_calling) {
            return false;
        }
        self.calling += 1;
        self.calling > u32::from(is_after_voice)
    }

    /// The next hop; whether a fax machine sends data.
    pub(crate) fn data(&mut self, hop: &Hop, run: Option<&Run>) -> bool {
        let is_data = hop.data_share >= DATA_SHARE_MIN && hop.band_dbov > DATA_DBOV_MIN;
        // One steady tone is something else, however long it lasts.
        let is_steady = run.is_some_and(|run| run.unbroken > 20);
        self.data_hops = if is_data && !is_steady { self.data_hops + 1 } else { 0 };
        self.data_hops == DATA_HOPS
    }

    /// Whether a tone that has begun may become a fax machine's.
    pub(crate) fn is_candidate(run: &Run) -> bool {
        is_answer(run.hz)
            || CALLING.iter().any(|(hz, tolerance, _)| (run.hz - hz).abs() <= *tolerance)
    }

    /// Whether a frequency is never a machine's beep.
    pub(crate) fn is_answer_tone(run: &Run) -> bool {
        is_answer(run.hz)
    }
}

fn is_answer(hz: f32) -> bool {
    ANSWER_HZ.iter().any(|(centre, tolerance)| (hz - centre).abs() <= *tolerance)
}
