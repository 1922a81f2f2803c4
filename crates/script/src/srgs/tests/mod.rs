//! Grammars in both forms, read, linked, matched and understood.

mod abnf;
mod bounds;
mod chance;
mod documents;
mod matching;
mod meaning;
mod readings;
mod shared;
mod written;
mod xml;

use std::sync::Arc;

use super::*;

const STATES_MAX: usize = 20_000;

fn told(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Reads a document that stands alone.
fn draft(text: &str) -> Result<Draft, String> {
    let given = Given { url: None, media_type: "", embedded: false, bytes_max: 1_000_000 };
    read(text, &given).map_err(|mistakes| told(&mistakes))
}

fn grammar(text: &str) -> Result<Arc<Grammar>, String> {
    match link(&Arc::new(draft(text)?), None, &Library::default(), STATES_MAX) {
        Ok(Linked::Ready(grammar)) => Ok(Arc::from(grammar)),
        Ok(Linked::Needs(urls)) => Err(format!("needs {}", urls[0])),
        Err(mistakes) => Err(told(&mistakes)),
    }
}

/// A grammar of words in the ABNF form whose root is `$r`.
fn abnf(rules: &str) -> Result<Arc<Grammar>, String> {
    grammar(&format!("#ABNF 1.0;\nlanguage en;\nroot $r;\n{rules}\n"))
}

/// The same with tags that are ECMAScript.
fn scripted(rules: &str) -> Arc<Grammar> {
    let text =
        format!("#ABNF 1.0;\nlanguage en;\ntag-format <semantics/1.0>;\nroot $r;\n{rules}\n");
    grammar(&text).expect("a grammar")
}

/// A grammar in the XML form whose root is `r`; `head` adds attributes.
fn xml(head: &str, rules: &str) -> Result<Arc<Grammar>, String> {
    grammar(&format!(
        "<grammar xmlns='http://www.w3.org/2001/06/grammar' version='1.0' root='r' {head}>\n\
         {rules}</grammar>"
    ))
}

const VOICE: &str = "xml:lang='en'";
const DTMF: &str = "mode='dtmf'";

fn input(grammar: &Grammar, said: &str) -> Vec<String> {
    match grammar.mode() {
        Mode::Dtmf => said.chars().filter(|key| *key != ' ').map(String::from).collect(),
        Mode::Voice => said.split_whitespace().map(str::to_owned).collect(),
    }
}

fn fed(grammar: &Arc<Grammar>, said: &str) -> (Matcher, Vec<String>) {
    let words = input(grammar, said);
    let mut matcher = Matcher::new(Arc::clone(grammar)).expect("a beginning");
    for word in &words {
        matcher.feed(word).expect("a bounded input");
    }
    (matcher, words)
}

/// `match`, `end` where nothing may follow, `partial` or `no`.
fn verdict(grammar: &Arc<Grammar>, said: &str) -> &'static str {
    let verdict = fed(grammar, said).0.verdict();
    match (verdict.complete, verdict.more) {
        (true, true) => "match",
        (true, false) => "end",
        (false, true) => "partial",
        (false, false) => "no",
    }
}

fn verdicts(grammar: &Arc<Grammar>, inputs: &[&str]) -> String {
    let told = inputs.iter().map(|said| format!("{said}: {}", verdict(grammar, said)));
    told.collect::<Vec<_>>().join(", ")
}

/// All readings, best first, with their weights where these say something.
fn readings(grammar: &Arc<Grammar>, said: &str) -> String {
    let (matcher, words) = fed(grammar, said);
    let readings = matcher.readings(&words, 10, 1.0).expect("bounded readings");
    let told = readings.into_iter().map(|reading| {
        if (reading.weight - 1.0).abs() < 1e-6 {
            reading.text
        } else {
            format!("{} {:.3}", reading.text, reading.weight)
        }
    });
    told.collect::<Vec<_>>().join("\n")
}

/// What an input means, as JSON.
fn worth(grammar: &Arc<Grammar>, said: &str) -> String {
    let (matcher, words) = fed(grammar, said);
    match matcher.interpret(&words, 0.5) {
        None => "no match".to_owned(),
        Some(Err(excess)) => excess.to_string(),
        Some(Ok(meaning)) => match evaluate(&meaning, &Limits::default()) {
            Ok(value) => value.to_string(),
            Err(message) => format!("error: {message}"),
        },
    }
}
