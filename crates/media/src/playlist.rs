//! MACHINE for what a call plays: one item after the other, in frames of 20 ms.
//!
//! `handle` and `poll` as everywhere; time is counted in frames, so there is no deadline. Instead
//! [`Playlist::next_frame`] is called once every 20 ms, and the moment at which it has nothing
//! left is the moment at which the last sound has been heard.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use crate::g711::Law;
use crate::sound::Encoded;
use crate::tone::{Generator, Tone};
use crate::{EncodedFrame, FRAME_MS, FRAME_SAMPLES, RATE_HZ, samples_in};

/// One thing to play.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// What is heard.
    pub sound: Playable,
    /// Whether the callee may cut it short.
    pub bargein: Bargein,
}

/// What can be played.
#[derive(Clone, Debug, PartialEq)]
pub enum Playable {
    /// A recording, shared with all other calls that play it.
    Audio(Encoded),
    /// A place that is told when playing has come to it; it sounds of nothing.
    Mark(Arc<str>),
    /// Nothing for so long.
    Silence(Duration),
    /// A tone, made as it is played; one for ever ends by [`Input::Stop`].
    Tone(Tone),
}

/// Whether the callee may cut an item short (VoiceXML 2.0 §4.1.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bargein {
    /// A key or a word ends it, and all that follows.
    #[default]
    Allowed,
    /// It is played to its end.
    Forbidden,
}

/// What happens to a playlist.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The callee spoke or pressed a key.
    Bargein,
    /// The call sends another law from now on.
    LawChanged(Law),
    /// Whatever plays is to end.
    Stop,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing more is played; said once, and nothing after it.
    Ended {
        /// Why.
        ending: Ending,
        /// How much was played, in whole frames.
        played: Duration,
        /// The item that was playing, counted from zero; after the last, their number.
        item: usize,
    },
}

/// Why a playlist ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The callee cut it short.
    BargedIn,
    /// All of it was played.
    Completed,
    /// Somebody stopped it.
    Stopped,
}

/// What one call is playing.
#[derive(Debug)]
pub struct Playlist {
    phase: Phase,
    law: Law,
    items: Vec<Item>,
    /// The item that is played, and samples played of it.
    item: usize,
    offset: usize,
    /// Makes the samples of the item, if it is a tone.
    generator: Option<Generator>,
    frames: u32,
    /// Places that playing has come to and nobody was told of.
    marks: Vec<Arc<str>>,
    ended: Option<Effect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Playing,
    Ended,
}

impl Playlist {
    /// Items to be played in this order, in `law`.
    pub const fn new(law: Law, items: Vec<Item>) -> Self {
        Self {
            phase: Phase::Playing,
            law,
            items,
            item: 0,
            offset: 0,
            generator: None,
            frames: 0,
            marks: Vec::new(),
            ended: None,
        }
    }

    /// One thing happened.
    pub fn handle(&mut self, input: Input) {
        match (self.phase, input) {
            (Phase::Playing, Input::Bargein) => self.barge_in(),
            (Phase::Playing, Input::LawChanged(law)) => self.law = law,
            (Phase::Playing, Input::Stop) => self.end(Ending::Stopped),
            // The callee pressed a key just when the last word was said.
            (Phase::Ended, input) => tracing::trace!(?input, "ignored"),
        }
    }

    /// What to do about it.
    pub const fn poll(&mut self) -> Option<Effect> {
        self.ended.take()
    }

    /// The next 20 ms in the law in force; `false`, and `out` untouched, when nothing is left.
    ///
    /// Items follow each other without a gap; only the last frame is filled up with silence.
    pub fn next_frame(&mut self, out: &mut EncodedFrame) -> bool {
        if self.phase == Phase::Ended {
            return false;
        }
        let mut filled = 0;
        while filled < FRAME_SAMPLES {
            let Some(item) = self.items.get(self.item) else { break };
            let rest = &mut out[filled..];
            let count = match &item.sound {
                Playable::Audio(sound) => copy(sound, self.offset, self.law, rest),
                Playable::Mark(name) => {
                    self.marks.push(Arc::clone(name));
                    0
                }
                Playable::Silence(duration) => {
                    let left = samples_in(*duration).saturating_sub(self.offset);
                    let count = left.min(rest.len());
                    rest[..count].fill(self.law.silence());
                    count
                }
                Playable::Tone(tone) => {
                    let generator =
                        self.generator.get_or_insert_with(|| Generator::new(tone.clone()));
                    generate(generator, self.law, rest)
                }
            };
            filled += count;
            self.offset += count;
            if filled < FRAME_SAMPLES {
                self.item += 1;
                self.offset = 0;
                self.generator = None;
            }
        }
        if filled == 0 {
            self.end(Ending::Completed);
            return false;
        }
        out[filled..].fill(self.law.silence());
        self.frames += 1;
        true
    }

    /// The marks that playing has come to since this was asked last, in order; told with the
    /// frame in which they stand, also with the end.
    pub fn take_marks(&mut self) -> Vec<Arc<str>> {
        std::mem::take(&mut self.marks)
    }

    /// How much was played, in whole frames.
    pub fn played(&self) -> Duration {
        Duration::from_millis(u64::from(self.frames) * u64::from(FRAME_MS))
    }

    /// The item that is playing, counted from zero, and how far it has got.
    pub fn position(&self) -> (usize, Duration) {
        let micros = self.offset as u64 * 1_000_000 / u64::from(RATE_HZ);
        (self.item, Duration::from_micros(micros))
    }

    /// Whether the callee may cut short what is playing; what has not begun counts as its first
    /// item, and what is over may not be cut short.
    pub fn bargein(&self) -> Bargein {
        self.items.get(self.item).map_or(Bargein::Forbidden, |item| item.bargein)
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.phase == Phase::Ended
    }

    fn barge_in(&mut self) {
        match self.bargein() {
            Bargein::Allowed => self.end(Ending::BargedIn),
            Bargein::Forbidden => tracing::trace!("barge-in forbidden"),
        }
    }

    fn end(&mut self, ending: Ending) {
        self.phase = Phase::Ended;
        self.ended = Some(Effect::Ended { ending, played: self.played(), item: self.item });
        // The prompts are shared; a list that is kept for its figures need not hold them.
        self.items = Vec::new();
        self.generator = None;
    }
}

/// Copies encoded sound from `offset` on; gives how much.
fn copy(sound: &Encoded, offset: usize, law: Law, out: &mut [u8]) -> usize {
    let rest = sound.bytes().get(offset..).unwrap_or_default();
    let count = rest.len().min(out.len());
    out[..count].copy_from_slice(&rest[..count]);
    sound.law().transcode(law, &mut out[..count]);
    count
}

/// Makes and encodes as much of a tone as there is room for; gives how much.
fn generate(generator: &mut Generator, law: Law, out: &mut [u8]) -> usize {
    let mut samples = [0; FRAME_SAMPLES];
    let count = generator.fill(&mut samples[..out.len()]);
    law.encode_into(&samples[..count], &mut out[..count]);
    count
}
