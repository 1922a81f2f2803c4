//! Whether a recording holds what was played: where, how alike, and what is missing.
//!
//! For tests and tools that compare a prompt with what the far end heard of it.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::RATE_HZ;
use crate::dft::correlate;

/// Samples compared at a time when gaps are looked for, 10 ms.
const WINDOW: usize = 80;
/// Samples from one comparison to the next, 2.5 ms.
const HOP: usize = 20;
/// Samples that must agree for a jump in time to be believed, 100 ms.
const STRETCH: usize = 800;
/// How far behind a place it is looked whether the sound goes on as before, up to 400 ms.
const LOOK_AHEAD: [usize; 5] = [0, 400, 800, 1_600, 3_200];
/// Likeness from which a window counts as found.
const ALIKE_MIN: f64 = 0.85;
/// Windows fainter than this share of the whole's loudness are not looked for, in amplitude:
/// they drown in the laws' steps.
const FAINT: f64 = 0.05;
/// How far from where it was last found the sound may be, 60 ms either way: what a jitter buffer
/// inserts or leaves out at once.
const SHIFT_MAX: isize = 480;
/// Share of the reference that must lie within the recording for a place to be considered.
const OVERLAP_MIN: f64 = 0.5;

/// How a recording relates to what was played. Samples are at 8 kHz.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Alignment {
    /// Sample of the recording at which the reference begins; negative if its beginning is cut
    /// off.
    pub offset: isize,
    /// Likeness of the two from there on, -1 to 1; 1 is the same up to loudness.
    pub correlation: f64,
    /// Longest stretch of the reference's sound that is not in the recording, in samples; to
    /// about 5 ms.
    pub gap_max: usize,
    /// Largest jump in time within the recording, in samples: silence inserted or sound left out.
    pub shift_max: usize,
}

impl Alignment {
    /// The longest stretch missing.
    pub const fn gap(&self) -> Duration {
        span(self.gap_max)
    }

    /// The largest jump in time.
    pub const fn shift(&self) -> Duration {
        span(self.shift_max)
    }
}

const fn span(samples: usize) -> Duration {
    Duration::from_micros(samples as u64 * 1_000_000 / RATE_HZ as u64)
}

/// Finds `reference` in `recording`; `None` if either is silent, empty, or nothing overlaps.
///
/// Meant for seconds to minutes: memory is some 100 bytes a sample of both.
pub fn align(reference: &[i16], recording: &[i16]) -> Option<Alignment> {
    let (offset, correlation) = best_place(reference, recording)?;
    let (gap_max, shift_max) = find_gaps(reference, recording, offset);
    Some(Alignment { offset, correlation, gap_max, shift_max })
}

/// The lag at which the two are most alike, and how much.
fn best_place(reference: &[i16], recording: &[i16]) -> Option<(isize, f64)> {
    let sums = correlate(reference, recording);
    let (reference_energy, recording_energy) = (energies(reference), energies(recording));
    let total = *reference_energy.last()?;
    let first_lag = 1 - reference.len() as isize;
    let mut best: Option<(isize, f64)> = None;
    for (at, sum) in sums.iter().enumerate() {
        let lag = first_lag + at as isize;
        // The part of the reference that lies within the recording.
        let start = (-lag).max(0) as usize;
        let end = (recording.len() as isize - lag).min(reference.len() as isize) as usize;
        let here = reference_energy[end] - reference_energy[start];
        if here < total * OVERLAP_MIN || here == 0.0 {
            continue;
        }
        let at = (start as isize + lag) as usize;
        let there = recording_energy[at + end - start] - recording_energy[at];
        if there == 0.0 {
            continue;
        }
        let likeness = sum / (here * there).sqrt();
        if best.is_none_or(|(_, most)| likeness > most) {
            best = Some((lag, likeness));
        }
    }
    best
}

/// Energy of all samples before each place.
fn energies(samples: &[i16]) -> Vec<f64> {
    let mut sum = 0.0;
    let running = samples.iter().map(|sample| {
        sum += f64::from(*sample) * f64::from(*sample);
        sum
    });
    std::iter::once(0.0).chain(running).collect()
}

/// The longest stretch that no window finds, and the largest jump between windows that do.
fn find_gaps(reference: &[i16], recording: &[i16], offset: isize) -> (usize, usize) {
    let loudness = energies(reference).last().copied().unwrap_or(0.0) / reference.len() as f64;
    let faint = loudness * FAINT * FAINT * WINDOW as f64;
    let (mut lag, mut shift_max) = (offset, 0);
    if reference.len() < WINDOW {
        return (0, 0);
    }
    let starts = (0..reference.len() + 1 - WINDOW).step_by(HOP);
    // Each hop of the reference: does a window with sound reach over it, and one that was found?
    let mut hops = vec![(false, false); starts.len() + WINDOW / HOP - 1];
    for start in starts {
        let window = &reference[start..start + WINDOW];
        let energy: f64 = window.iter().map(|sample| f64::from(*sample).powi(2)).sum();
        if energy < faint {
            continue;
        }
        let shift = find(reference, start, recording, lag);
        for hop in &mut hops[start / HOP..][..WINDOW / HOP] {
            *hop = (true, hop.1 || shift.is_some());
        }
        if let Some(shift) = shift {
            lag += shift;
            shift_max = shift_max.max(shift.unsigned_abs());
        }
    }
    (longest_gap(&hops) * HOP, shift_max)
}

/// The longest run between two hops that were found, from the first to the last that should have
/// been. Pauses of the speaker neither begin nor end it.
fn longest_gap(hops: &[(bool, bool)]) -> usize {
    let (mut longest, mut begun) = (0, None);
    for (at, hop) in hops.iter().enumerate() {
        match hop {
            (_, true) => begun = None,
            (true, false) => longest = longest.max(at + 1 - *begun.get_or_insert(at)),
            (false, false) => {}
        }
    }
    longest
}

/// How far from where it should be the reference goes on from `start`; `None` if it is missing.
fn find(reference: &[i16], start: usize, recording: &[i16], lag: isize) -> Option<isize> {
    let place = start as isize + lag;
    if likeness(&reference[start..start + WINDOW], recording, place) >= ALIKE_MIN {
        return Some(0);
    }
    // A voice resembles itself a few milliseconds later. So a jump in time is believed only if it
    // explains a longer stretch, and if the sound does not go on where it should be soon after.
    let stretch = |ahead: usize| {
        let from = reference.len().min(start + ahead);
        &reference[from..reference.len().min(from + STRETCH)]
    };
    let goes_on = |ahead: &usize| {
        let stretch = stretch(*ahead);
        stretch.len() >= STRETCH / 2
            && likeness(stretch, recording, place + *ahead as isize) >= ALIKE_MIN
    };
    if stretch(0).len() < STRETCH / 2 || LOOK_AHEAD.iter().any(goes_on) {
        return None;
    }
    let explained = |shift: isize| (likeness(stretch(0), recording, place + shift), shift);
    let best = (-SHIFT_MAX..=SHIFT_MAX).map(explained).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(likeness, _)| *likeness >= ALIKE_MIN).map(|(_, shift)| shift)
}

/// How alike a window is to the recording from `place` on.
fn likeness(window: &[i16], recording: &[i16], place: isize) -> f64 {
    let Some(there) =
        usize::try_from(place).ok().and_then(|at| recording.get(at..at + window.len()))
    else {
        return 0.0;
    };
    let (mut product, mut here_energy, mut there_energy) = (0.0, 0.0, 0.0);
    for (here, there) in window.iter().zip(there) {
        let (here, there) = (f64::from(*here), f64::from(*there));
        product += here * there;
        here_energy += here * here;
        there_energy += there * there;
    }
    let scale = here_energy * there_energy;
    if scale > 0.0 { product / scale.sqrt() } else { 0.0 }
}
