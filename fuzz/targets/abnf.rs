//! Grammars in ABNF: read, linked, matched, and what they mean.

#![no_main]

use libfuzzer_sys::fuzz_target;
use script::srgs::{Given, read_bytes};

fuzz_target!(|bytes: &[u8]| {
    let given =
        Given { url: None, media_type: "application/srgs", embedded: false, bytes_max: 32 * 1_024 };
    if let Ok(draft) = read_bytes(bytes, &given) {
        fuzzing::match_grammar(draft, bytes);
    }
});
