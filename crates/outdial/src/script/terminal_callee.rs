//! The callee at the terminal: reads what happens, types what he does.

use std::io::{BufRead as _, Write as _};
use std::time::Duration;

use script::step::{Timer, Transfer, TransferEnd};
use serde_json::{Value, json};

use super::rehearsal::{Act, Callee, Event, FarEnd, Turn};

/// Somebody at the terminal, or a program that speaks for him.
#[derive(Debug, Default)]
pub(crate) struct TerminalCallee {
    /// What happens is written as JSON.
    json: bool,
    /// Whether he has been told what to type.
    told: bool,
    /// Whether the script has begun, once something has happened.
    begun: Option<bool>,
}

impl TerminalCallee {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, ..Self::default() }
    }

    /// Whether there was more than a first page that could not be had or read.
    pub(crate) fn has_begun(&self) -> bool {
        self.begun.unwrap_or(true)
    }

    fn line(&self, prompt: &str) -> Option<String> {
        if self.json {
            // A program knows when it is its turn: all that happened before has been written.
            line("")
        } else {
            line(prompt)
        }
    }

    fn typed(&self, prompt: &str) -> Act {
        // The end of the input is the end of the call.
        self.line(prompt).map_or(Act::HangUp, |line| act(&line))
    }
}

const HELP: &str = "  (keys as 12#, words as you would say them, nothing for silence, \
                    /hangup to hang up)";

impl Callee for TerminalCallee {
    fn sees(&mut self, event: Event<'_>) {
        let failed = |event: &str| event == "page" || event.starts_with("error.badfetch");
        let begins = !matches!(event, Event::Problem { event, .. } if failed(event));
        self.begun.get_or_insert(begins);
        match self.json {
            true => println!("{}", written(event)),
            false => println!("{}", shown(event)),
        }
    }

    fn acts(&mut self, turn: Turn) -> Act {
        if !std::mem::replace(&mut self.told, true) && !self.json {
            println!("{HELP}");
        }
        if self.json {
            let turn = match turn {
                Turn::Listening { speech } => json!({"turn": "listening", "speech": speech}),
                Turn::Recording => json!({"turn": "recording"}),
                Turn::Talking => json!({"turn": "talking"}),
            };
            println!("{turn}");
        }
        match turn {
            Turn::Listening { .. } => self.typed("you> "),
            Turn::Recording => match self.typed("you speak for how many seconds? > ") {
                Act::Keys(keys) => match keys.parse() {
                    Ok(seconds) => Act::Speech(Duration::from_secs(seconds)),
                    Err(_) => Act::Keys(keys),
                },
                other => other,
            },
            Turn::Talking => self.typed("you and the far end talk; nothing lets it go on> "),
        }
    }

    fn far_end(&mut self, _: &Transfer) -> FarEnd {
        match self.line("the far end (answer, busy, noanswer, take over)> ").as_deref() {
            Some("busy") => FarEnd::Ends(TransferEnd::Busy),
            Some("noanswer") => FarEnd::Rings,
            Some("take over") => FarEnd::Ends(TransferEnd::Transferred),
            _ => FarEnd::Answers(Some(Duration::from_secs(10))),
        }
    }
}

fn shown(event: Event<'_>) -> String {
    match event {
        Event::Audio(address) => format!("sound:   {address}"),
        Event::Ended(values) if values.is_empty() => "the script has ended".to_owned(),
        Event::Ended(values) => {
            let values: Vec<_> =
                values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
            format!("the script has ended with {}", values.join(", "))
        }
        Event::HangsUp => "the script hangs up".to_owned(),
        Event::Keys(keys) => format!("keys:    {keys}"),
        Event::Log { label: "", text } => format!("log:     {text}"),
        Event::Log { label, text } => format!("log:     {label}: {text}"),
        Event::NoAudio { address, reason } => {
            format!("no sound: {address}: {reason}; what stands in its place is heard, if anything")
        }
        Event::Problem { event, message } => format!("problem: {event}: {message}"),
        Event::Records(record) => {
            let beep = if record.beep { "beep, then " } else { "" };
            format!("{beep}recording for at most {:?}", record.time_max)
        }
        Event::Says(text) => format!("says:    {text}"),
        Event::TimeRuns(timer) => match timer {
            Timer::FetchAudio => "event:   the fetch takes its time".to_owned(),
            Timer::InterDigit | Timer::Term => "event:   no more keys".to_owned(),
            Timer::NoInput => "event:   noinput".to_owned(),
            Timer::Reply => "event:   no reply".to_owned(),
            Timer::Retry => "event:   asks for the page again".to_owned(),
            Timer::Sleep => "event:   has slept".to_owned(),
            Timer::TransferConnect => "event:   the far end does not answer".to_owned(),
            Timer::TransferMax => "event:   the two have talked long enough".to_owned(),
        },
        Event::Transfers(transfer) => {
            format!("transfers to {} ({:?})", transfer.destination, transfer.kind)
        }
    }
}

/// What happens, for programs: `event`, and what belongs to it.
fn written(event: Event<'_>) -> Value {
    match event {
        Event::Audio(address) => json!({"event": "sound", "address": address}),
        Event::Ended(values) => json!({"event": "ended", "values": values}),
        Event::HangsUp => json!({"event": "hangs_up"}),
        Event::Keys(keys) => json!({"event": "keys", "keys": keys}),
        Event::Log { label, text } => json!({"event": "log", "label": label, "text": text}),
        Event::NoAudio { address, reason } => {
            json!({"event": "no_sound", "address": address, "message": reason})
        }
        Event::Problem { event, message } => {
            json!({"event": "problem", "name": event, "message": message})
        }
        Event::Records(record) => json!({
            "event": "records",
            "beep": record.beep,
            "time_max_s": record.time_max.as_secs_f64(),
        }),
        Event::Says(text) => json!({"event": "says", "text": text}),
        Event::TimeRuns(timer) => json!({"event": "time", "timer": format!("{timer:?}")}),
        Event::Transfers(transfer) => json!({
            "event": "transfers",
            "destination": transfer.destination,
            "kind": format!("{:?}", transfer.kind),
        }),
    }
}

fn act(line: &str) -> Act {
    let key = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#' | 'A'..='D');
    match line.trim() {
        "" => Act::Silence,
        "/hangup" => Act::HangUp,
        keys if keys.chars().all(key) => Act::Keys(keys.to_owned()),
        words => Act::Words(words.to_owned()),
    }
}

fn line(prompt: &str) -> Option<String> {
    print!("{prompt}");
    // A prompt that cannot be written is not worth ending the call for.
    let _ = std::io::stdout().flush();
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(1..) => Some(line.trim().to_owned()),
        Ok(0) | Err(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_typed_is_keys_words_or_a_command() {
        let acts = ["12#", "new york", "", " /hangup ", "7 up"].map(act);
        let expected = [
            Act::Keys("12#".into()),
            Act::Words("new york".into()),
            Act::Silence,
            Act::HangUp,
            Act::Words("7 up".into()),
        ];
        assert_eq!(acts, expected);
    }

    fn problem(name: &str) -> Event<'_> {
        Event::Problem { event: name, message: "1:1: what" }
    }

    #[test]
    fn script_whose_first_page_cannot_be_had_has_not_begun() {
        for (first, begun) in [
            (problem("error.badfetch.http.404"), false),
            (problem("page"), false),
            (problem("error.semantic"), true),
            (Event::Says("hello"), true),
        ] {
            let mut callee = TerminalCallee::new(true);
            callee.sees(first);
            callee.sees(problem("error.badfetch"));
            callee.sees(Event::Says("Sorry"));
            assert_eq!(callee.has_begun(), begun, "{first:?}");
        }
    }

    #[test]
    fn what_happens_is_written_as_json_a_row_each() {
        let values = BTreeMap::from([("exit".to_owned(), "pass \"1\"".to_owned())]);
        let events = [
            Event::Says("one\ntwo"),
            Event::NoAudio { address: "http://a/b.wav", reason: "server answered 404" },
            Event::Log { label: "", text: "x" },
            problem("error.semantic"),
            Event::TimeRuns(Timer::NoInput),
            Event::Ended(&values),
        ];
        let rows: Vec<String> = events.map(|event| written(event).to_string()).into();
        expect_test::expect![[r#"
            {"event":"says","text":"one\ntwo"}
            {"address":"http://a/b.wav","event":"no_sound","message":"server answered 404"}
            {"event":"log","label":"","text":"x"}
            {"event":"problem","message":"1:1: what","name":"error.semantic"}
            {"event":"time","timer":"NoInput"}
            {"event":"ended","values":{"exit":"pass \"1\""}}"#]]
        .assert_eq(&rows.join("\n"));
    }
}
