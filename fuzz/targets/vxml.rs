//! VoiceXML documents: checked, and run with any callee.

#![no_main]

use libfuzzer_sys::fuzz_target;
use script::machine::Script;
use script::vxml::{Vxml, check};

fuzz_target!(|text: &str| {
    if text.len() > 32 * 1_024 {
        return;
    }
    let mistakes = check(text);
    assert!(mistakes.iter().all(|mistake| mistake.row > 0 && mistake.column > 0));
    let mut machine = Script::Vxml(Box::new(Vxml::new(fuzzing::limits(), 7)));
    fuzzing::run(&mut machine, text, text.as_bytes());
});
