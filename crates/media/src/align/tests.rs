//! Recordings that were cut, shifted, worn and interrupted.

use super::*;
use crate::g711::Law;
use crate::random::Random;

/// Two seconds of something like a voice: syllables of a rough buzz with noise.
fn voice(seed: u64) -> Vec<i16> {
    let mut random = Random::new(seed);
    let mut states = [0.0f32; 2];
    let mut next_pulse = 0;
    (0..16_000)
        .map(|n| {
            let syllable = (n as f32 / 1_600.0 * std::f32::consts::PI).sin().abs();
            let mut pulse = 0.0;
            if n == next_pulse {
                pulse = 12.0;
                next_pulse += 50 + (random.next_u64() % 40) as usize;
            }
            let next = pulse + random.next_normal() * 0.5 + 1.6 * states[0] - 0.81 * states[1];
            states = [next, states[0]];
            (next * syllable * 400.0).clamp(-30_000.0, 30_000.0) as i16
        })
        .collect()
}

fn recorded(reference: &[i16], before: usize, after: usize) -> Vec<i16> {
    let mut random = Random::new(99);
    let mut recording = vec![0; before];
    recording.extend_from_slice(reference);
    recording.resize(recording.len() + after, 0);
    recording
        .iter()
        .map(|sample| {
            let noisy = f32::from(*sample) * 0.7 + random.next_normal() * 5.0;
            Law::Mu.decode(Law::Mu.encode(noisy as i16))
        })
        .collect()
}

#[test]
fn same_sound_is_found_where_it_is_also_fainter_and_companded() {
    let reference = voice(1);
    let found = align(&reference, &recorded(&reference, 4_321, 3_000)).unwrap();
    assert_eq!((found.offset, found.gap_max, found.shift_max), (4_321, 0, 0));
    assert!(found.correlation > 0.99, "{}", found.correlation);
    let exact = align(&reference, &reference).unwrap();
    assert!((exact.correlation - 1.0).abs() < 1e-9);
    assert_eq!(exact.offset, 0);
}

#[test]
fn other_sound_is_not_alike() {
    let found = align(&voice(1), &recorded(&voice(2), 4_000, 0)).unwrap();
    assert!(found.correlation < 0.5, "{}", found.correlation);
    assert!(found.gap() > Duration::from_millis(200));
}

#[test]
fn lost_frames_are_gaps_of_their_length() {
    let reference = voice(3);
    for frames in [1usize, 2, 5] {
        let mut recording = recorded(&reference, 1_000, 1_000);
        recording[1_000 + 4_400..][..frames * 160].fill(0);
        let found = align(&reference, &recording).unwrap();
        assert_eq!((found.offset, found.shift_max), (1_000, 0));
        let gap = found.gap_max as isize - frames as isize * 160;
        assert!((-60..=40).contains(&gap), "{frames}: {}", found.gap_max);
    }
}

#[test]
fn inserted_and_skipped_frames_are_jumps_and_not_gaps() {
    let reference = voice(4);
    let mut late = recorded(&reference, 500, 500);
    late.splice(500 + 8_000..500 + 8_000, [0; 320]);
    let found = align(&reference, &late).unwrap();
    assert_eq!(found.shift(), Duration::from_millis(40));
    assert!(found.gap() <= Duration::from_millis(10), "{:?}", found.gap());
    let mut early = recorded(&reference, 500, 500);
    early.drain(500 + 8_000..500 + 8_160);
    let found = align(&reference, &early).unwrap();
    assert_eq!(found.shift(), Duration::from_millis(20));
    assert!(found.gap() <= Duration::from_millis(25), "{:?}", found.gap());
}

#[test]
fn beginning_or_end_cut_off_is_a_gap() {
    let reference = voice(5);
    let found = align(&reference, &recorded(&reference, 0, 0)[2_400..]).unwrap();
    assert_eq!(found.offset, -2_400);
    assert!(found.gap_max.abs_diff(2_400) <= 60, "{}", found.gap_max);
    let found = align(&reference, &recorded(&reference, 100, 0)[..12_100]).unwrap();
    assert_eq!(found.offset, 100);
    assert!(found.gap_max.abs_diff(4_000) <= 60, "{}", found.gap_max);
}

#[test]
fn silence_and_nothing_align_with_nothing() {
    assert_eq!(align(&[], &[1, 2]), None);
    assert_eq!(align(&[1, 2], &[]), None);
    assert_eq!(align(&[0; 1_000], &voice(1)), None);
    assert_eq!(align(&voice(1), &[0; 1_000]), None);
    let short = align(&[5, 6, 7], &[0, 5, 6, 7]).unwrap();
    assert_eq!((short.offset, short.gap_max), (1, 0));
}
