//! Pages of actions: checked, and run with any callee.

#![no_main]

use libfuzzer_sys::fuzz_target;
use script::actions::{Instance, Limits, Runner, check};
use script::machine::Script;

fuzz_target!(|text: &str| {
    if text.len() > 32 * 1_024 {
        return;
    }
    let limits = Limits { pages_max: 5, actions_max: 50, ..Limits::default() };
    check(text, &limits);
    let mut machine = Script::Actions(Box::new(Runner::new(limits, Instance::default())));
    fuzzing::run(&mut machine, text, text.as_bytes());
});
