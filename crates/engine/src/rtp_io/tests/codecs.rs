//! Streams in every codec: heard and keyed both ways, protected, relayed into another, changed.

use std::net::SocketAddr;
use std::time::Duration;

use media::playlist::{Bargein, Item, Playable};
use media::tone::Tone;
use proto::rtp::{Codec, Terms};
use proto::srtp::keys::MASTER_BYTES;
use proto::srtp::{MasterKey, Protection, Suite};
use script::step::PlayId;

use super::fixture::{EVENTS, Rig, events};
use crate::rtp_io::{Directions, Frames, MediaEvent, Stream};

/// Telephone events by Opus's clock.
const EVENTS_48: u8 = 110;
/// What is played.
const TONE_HZ: f32 = 1_000.0;

/// All codecs taken, this one sent.
fn terms(to: SocketAddr, codec: Codec) -> Terms {
    let mut terms = Terms { expects_loss: true, ..Terms::new(to, codec, Some(EVENTS)) };
    for other in Codec::ALL {
        *terms.receive.of_mut(other) = Some(other.payload_type());
    }
    terms.receive.telephone_event_48 = Some(EVENTS_48);
    if codec == Codec::Opus {
        (terms.telephone_event, terms.event_clock_hz) = (Some(EVENTS_48), codec.clock_hz());
    }
    terms
}

/// Two streams that talk to each other in `codec`, maybe so that nobody else hears it.
fn pair(rig: &Rig, codec: Codec, is_private: bool) -> (Stream, Stream) {
    let (mut a, mut b) = (rig.engine.open().unwrap(), rig.engine.open().unwrap());
    if is_private {
        let key = |byte| MasterKey::new([byte; MASTER_BYTES]);
        let suite = Suite::AesCm128HmacSha1_80;
        a.protect(Some(Protection { suite, ours: key(1), theirs: key(2) }));
        b.protect(Some(Protection { suite, ours: key(2), theirs: key(1) }));
    }
    a.connect(terms(b.local_rtp(), codec));
    b.connect(terms(a.local_rtp(), codec));
    (a, b)
}

fn play(stream: &Stream, seconds: u64) {
    let tone = Tone::sine(TONE_HZ, -10.0, Duration::from_secs(seconds));
    let item = Item { sound: Playable::Tone(tone), bargein: Bargein::Allowed };
    stream.play(PlayId(1), vec![item]);
}

/// Frames of what came that are the tone: as loud, and with as many turns as it has.
fn tones(frames: &mut Frames) -> usize {
    let is_tone = |frame: &[i16]| {
        let loud = frame.iter().map(|sample| sample.unsigned_abs()).max().unwrap_or(0);
        let turns = frame.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
        (4_000..12_000).contains(&loud) && (36..=44).contains(&turns)
    };
    std::iter::from_fn(|| frames.try_next()).filter(|frame| is_tone(&frame.heard)).count()
}

#[test]
fn each_codec_carries_sound_and_keys_protected_or_not() {
    for codec in Codec::ALL {
        for is_private in [false, true] {
            let mut rig = Rig::new();
            let (a, mut b) = pair(&rig, codec, is_private);
            let mut heard = b.tap(Directions::Heard);
            play(&a, 1);
            rig.pass(900);
            let count = tones(&mut heard);
            assert!((35..=45).contains(&count), "{codec:?} {is_private}: {count}");
            a.stop_play();
            a.send_keys("29");
            rig.pass(800);
            let keys = events(&mut b).into_iter().filter_map(|event| match event {
                MediaEvent::Key(key) => Some(key.to_char()),
                _ => None,
            });
            assert_eq!(keys.collect::<String>(), "29", "{codec:?} {is_private}");
        }
    }
}

#[test]
fn legs_of_different_codecs_hear_each_other() {
    let mut rig = Rig::new();
    let (caller, ours) = pair(&rig, Codec::Opus, true);
    let (theirs, agent) = pair(&rig, Codec::G722, false);
    ours.relay(Some(theirs.tap(Directions::Heard)));
    theirs.relay(Some(ours.tap(Directions::Heard)));
    let (mut at_agent, mut at_caller) =
        (agent.tap(Directions::Heard), caller.tap(Directions::Heard));
    play(&caller, 1);
    rig.pass(1_000);
    assert!(tones(&mut at_agent) > 38);
    assert_eq!(tones(&mut at_caller), 0);
    play(&agent, 1);
    rig.pass(1_000);
    assert!(tones(&mut at_caller) > 38);
}

#[test]
fn call_goes_on_when_its_codec_changes_on_the_way() {
    let mut rig = Rig::new();
    let (mut a, mut b) = pair(&rig, Codec::Pcmu, true);
    let mut heard = b.tap(Directions::Heard);
    play(&a, 10);
    rig.pass(500);
    for codec in [Codec::G722, Codec::Opus, Codec::Pcma, Codec::Opus, Codec::Pcmu] {
        tones(&mut heard);
        a.connect(terms(b.local_rtp(), codec));
        b.connect(terms(a.local_rtp(), codec));
        rig.pass(1_000);
        let count = tones(&mut heard);
        // What is lost is the codec's beginning and the wait of the jitter buffer.
        assert!(count >= 38, "{codec:?}: {count}");
    }
}
