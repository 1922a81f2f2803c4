//! Scripts in the tags of a grammar: read, run within their limits, and their value as data.

#![no_main]

use libfuzzer_sys::fuzz_target;
use script::srgs::{Given, read};

fuzz_target!(|text: &str| {
    if text.len() > 4 * 1_024 {
        return;
    }
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '<' => escaped.push_str("&lt;"),
            '&' => escaped.push_str("&amp;"),
            '>' => escaped.push_str("&gt;"),
            sign => escaped.push(sign),
        }
    }
    let grammar = format!(
        "<grammar xmlns='http://www.w3.org/2001/06/grammar' version='1.0' mode='dtmf' root='r' \
         tag-format='semantics/1.0'><tag>var before = 1;</tag><rule id='r'>\
         <item repeat='1-3'>1<tag>{escaped}</tag></item></rule></grammar>"
    );
    let given = Given { url: None, media_type: "", embedded: false, bytes_max: 64 * 1_024 };
    if let Ok(draft) = read(&grammar, &given) {
        fuzzing::match_grammar(draft, b"1");
    }
});
