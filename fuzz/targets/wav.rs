//! Recordings: any bytes, as a file of its own and as raw sound.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use media::g711::Law;
use media::sound::{Hint, Limits, Sound};
use media::wav::{Packing, write};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { bytes_max: 1 << 20, duration_max: Duration::from_secs(60) };
    for hint in [Hint::None, Hint::Raw(Law::A)] {
        let Ok(sound) = Sound::read(bytes, hint, &limits) else { continue };
        assert!(sound.duration() <= limits.duration_max);
        if let Ok(sound) = sound.at_rate(8_000) {
            let written = write(&sound, Packing::Pcm16);
            let again = Sound::read(&written, Hint::None, &Limits::default());
            assert_eq!(again.expect("what we write can be read").samples(), sound.samples());
        }
    }
});
