//! What is heard of sounds that are known: which, in which order, whole or cut off.
//!
//! Every sound is noise that resembles nothing else, and the network keeps samples as they are; so
//! sixteen samples in a row tell which sound they are of, and where in it.

use std::collections::HashMap;
use std::fmt::{Display, Formatter, Result};

use media::g711::Law;

use crate::sound::prompt;

/// Samples in a second.
pub(crate) const RATE_HZ: usize = 8_000;
/// Samples that tell which sound they are of.
const PROBE: usize = 16;
/// From one place of a sound that is looked for to the next, 10 ms.
const STEP: usize = 80;
/// Places in a row that may be missing: what a busy phone leaves out.
const MISSING_MAX: usize = 60;
/// How far two places may drift apart, in samples: what jitter buffers insert.
const DRIFT_MAX: usize = 1_600;
/// Places at either end that need not be heard: a jitter buffer begins and ends with them.
const EDGE: usize = 8;

/// The sounds by name, and where each may be told.
pub(crate) struct Repertoire {
    names: Vec<&'static str>,
    /// How many places each has.
    lengths: Vec<usize>,
    places: HashMap<[i16; PROBE], (usize, usize)>,
}

impl Repertoire {
    /// Sounds of these names and lengths in seconds.
    pub(crate) fn new(sounds: &[(&'static str, f64)]) -> Self {
        let (mut lengths, mut places) = (Vec::new(), HashMap::new());
        for (sound, (name, seconds)) in sounds.iter().enumerate() {
            let samples = samples(name, *seconds);
            let law = |sample: &i16| Law::Mu.decode(Law::Mu.encode(*sample));
            let heard: Vec<i16> = samples.iter().map(law).collect();
            let windows = heard.windows(PROBE).step_by(STEP);
            lengths.push(windows.len());
            for (place, window) in windows.enumerate() {
                let probe: [i16; PROBE] = window.try_into().expect("a window is a probe long");
                places.insert(probe, (sound, place));
            }
        }
        Self { names: sounds.iter().map(|sound| sound.0).collect(), lengths, places }
    }
}

/// The sound of a name.
pub(crate) fn samples(name: &str, seconds: f64) -> Vec<i16> {
    let seed = name.bytes().fold(7_u32, |seed, byte| seed * 31 % 1_000_003 + u32::from(byte));
    let mut samples = prompt(seed, seconds.ceil() as usize);
    samples.truncate((seconds * RATE_HZ as f64) as usize);
    samples
}

/// A sound that was heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occurrence {
    pub(crate) name: &'static str,
    /// Sample of the recording at which it began to be heard.
    pub(crate) begin: usize,
    sound: usize,
    /// Places of it: first, last, how many, and how many it has.
    first: usize,
    last: usize,
    count: usize,
    length: usize,
    end: usize,
}

impl Occurrence {
    /// Whether all of it was heard.
    pub(crate) const fn is_whole(&self) -> bool {
        let is_dense = self.count * 4 >= (self.last - self.first + 1) * 3;
        self.first <= EDGE && self.last + EDGE >= self.length && is_dense
    }

    const fn goes_on_at(&self, sound: usize, place: usize, at: usize) -> bool {
        let is_near = place > self.last && place - self.last <= MISSING_MAX;
        let drift = (at - self.end).abs_diff((place.saturating_sub(self.last)) * STEP);
        self.sound == sound && is_near && drift <= DRIFT_MAX
    }
}

impl Display for Occurrence {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        to.write_str(self.name)?;
        let ending = match (self.is_whole(), self.first <= EDGE) {
            (true, _) => "",
            (false, true) => " cut off",
            (false, false) => " without its beginning",
        };
        to.write_str(ending)
    }
}

/// A recording as it grows.
#[derive(Default)]
pub(crate) struct Hearing {
    found: Vec<Occurrence>,
    /// The last samples, too few to tell anything, and where they are.
    rest: Vec<i16>,
    at: usize,
}

impl Hearing {
    /// The sounds so far.
    pub(crate) fn found(&self) -> &[Occurrence] {
        &self.found
    }

    /// Samples that follow on those before.
    pub(crate) fn hear(&mut self, sounds: &Repertoire, samples: &[i16]) {
        self.rest.extend_from_slice(samples);
        let windows = self.rest.windows(PROBE);
        let read = windows.len();
        for (nth, window) in windows.enumerate() {
            let Some(&(sound, place)) = sounds.places.get(window) else { continue };
            let at = self.at + nth;
            match self.found.last_mut().filter(|it| it.goes_on_at(sound, place, at)) {
                Some(last) => (last.last, last.count, last.end) = (place, last.count + 1, at),
                None => self.found.push(Occurrence {
                    name: sounds.names[sound],
                    begin: at,
                    sound,
                    first: place,
                    last: place,
                    count: 1,
                    length: sounds.lengths[sound],
                    end: at,
                }),
            }
        }
        self.rest.drain(..read);
        self.at += read;
    }

    /// Nothing was heard until this sample.
    pub(crate) fn skip_to(&mut self, at: usize) {
        if at > self.at + self.rest.len() {
            self.rest.clear();
            self.at = at;
        }
    }
}

/// All sounds of a recording as a line.
pub(crate) fn told(found: &[Occurrence]) -> String {
    let found: Vec<String> = found.iter().map(Occurrence::to_string).collect();
    found.join(", ")
}

#[test]
fn sounds_are_known_again_whole_and_cut_off() {
    let sounds = Repertoire::new(&[("one", 0.6), ("two", 1.0)]);
    let of = |name, seconds| {
        let samples: Vec<i16> = samples(name, seconds);
        samples.iter().map(|it| Law::Mu.decode(Law::Mu.encode(*it))).collect::<Vec<i16>>()
    };
    let (one, two) = (of("one", 0.6), of("two", 1.0));
    let silence = vec![0; 777];
    let parts = [&silence[..], &one, &two[..4_000], &one, &silence, &two[3_000..], &one[..100]];
    let mut hearing = Hearing::default();
    for piece in parts.concat().chunks(123) {
        hearing.hear(&sounds, piece);
    }
    let heard = told(hearing.found());
    assert_eq!(heard, "one, two cut off, one, two without its beginning, one cut off");
    assert_eq!(hearing.found()[0].begin, 777);
}
