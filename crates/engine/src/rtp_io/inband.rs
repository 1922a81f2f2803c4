//! Keys as tones in the sound, for far ends that take or send no telephone events.

use media::playlist::{Bargein, Item, Playable};
use media::tone::{DtmfDetector, Tone};
use proto::rtp::{Codec, FRAME_SAMPLES, Frame, Key, KeyTiming, Terms};

use super::player::Player;

/// Hears keys in the far end's sound.
pub(super) struct KeyEar(DtmfDetector);

impl KeyEar {
    /// An ear where telephone events were not agreed on. With them, tones are left alone: a key
    /// would count twice.
    pub(super) fn if_needed(terms: &Terms) -> Option<Box<Self>> {
        let needed = terms.telephone_event.is_none();
        needed.then(|| Box::new(Self(DtmfDetector::new())))
    }

    /// Hears 20 ms; gives a key once a press.
    pub(super) fn hear(&mut self, samples: &[i16; FRAME_SAMPLES]) -> Option<Key> {
        self.0.hear(samples).and_then(Key::from_char)
    }
}

/// Sends keys as tones, one after the other, each with its pause.
#[derive(Default)]
pub(super) struct KeyTones(Player<()>);

impl KeyTones {
    /// Puts a key behind those that wait; beyond a limit far above any plan's, it is left out.
    pub(super) fn play(&mut self, codec: Codec, key: Key, timing: KeyTiming) {
        if let Some(tone) = Tone::dtmf(key.to_char(), timing.on, timing.off) {
            let item = Item { sound: Playable::Tone(tone), bargein: Bargein::Forbidden };
            if !self.0.play((), codec, vec![item]) {
                tracing::debug!("key dropped: too many wait");
            }
        }
    }

    /// Whether no key sounds or waits, pauses included.
    pub(super) fn is_idle(&self) -> bool {
        self.0.is_idle()
    }

    /// The next 20 ms in `codec`; `false` where no key sounds, then `frame` is as it was.
    pub(super) fn fill(&mut self, codec: Codec, frame: &mut Frame) -> bool {
        self.0.fill(codec, frame, |_| {})
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::rtp_io::law::law;

    fn terms(telephone_event: Option<u8>) -> Terms {
        Terms::new(SocketAddr::from(([192, 0, 2, 1], 4_000)), Codec::Pcma, telephone_event)
    }

    /// Sends the keys and hears them again; with the frames that it took.
    fn heard(keys: &str) -> (String, usize) {
        let mut tones = KeyTones::default();
        for key in keys.chars() {
            tones.play(Codec::Pcma, Key::from_char(key).unwrap(), KeyTiming::default());
        }
        let mut ear = KeyEar::if_needed(&terms(None)).unwrap();
        let mut frame = [0; FRAME_SAMPLES];
        let (mut heard, mut frames) = (String::new(), 0);
        while tones.fill(Codec::Pcma, &mut frame) {
            let samples = std::array::from_fn(|at| law(Codec::Pcma).decode(frame[at]));
            heard.extend(ear.hear(&samples).map(Key::to_char));
            frames += 1;
        }
        assert!(tones.is_idle());
        (heard, frames)
    }

    #[test]
    fn tones_of_all_keys_are_heard_as_those_keys() {
        assert_eq!(heard("1234567890*#ABCD"), ("1234567890*#ABCD".into(), 160));
    }

    #[test]
    fn repeated_key_is_heard_as_often_as_it_is_pressed() {
        assert_eq!(heard("555").0, "555");
    }

    #[test]
    fn nobody_listens_for_tones_where_events_were_agreed_on() {
        assert!(KeyEar::if_needed(&terms(Some(101))).is_none());
    }
}
