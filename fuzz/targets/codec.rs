//! Packets of G.722 and Opus: any bytes, in any order, with some missing in between.

#![no_main]

use libfuzzer_sys::fuzz_target;
use media::coder::{Coding, DECODED_SAMPLES_MAX, Decoder};

fuzz_target!(|bytes: &[u8]| {
    for coding in [Coding::Opus, Coding::G722] {
        let mut decoder = Decoder::new(coding);
        let mut samples = [0; DECODED_SAMPLES_MAX];
        let mut rest = bytes;
        // A byte of length, a byte of what is missing before, then a payload.
        while let [length, lost, after @ ..] = rest {
            let (payload, after) = after.split_at(usize::from(*length).min(after.len()));
            rest = after;
            if *lost > 200 {
                let made_up = decoder.make_up(usize::from(*lost), payload, &mut samples);
                assert!(made_up <= samples.len());
            }
            if let Ok(decoded) = decoder.decode(payload, &mut samples) {
                assert!(decoded <= samples.len());
            }
        }
    }
});
