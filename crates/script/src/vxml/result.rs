//! What was heard, as scripts see it: `application.lastresult$` and the shadow variables
//! (VoiceXML 2.0 §5.1.5, §2.3.1; 2.1 §4, §7).

use std::time::Duration;

use zeroize::Zeroizing;

use super::fault::Fault;
use super::fia::Vxml;
use super::form::Source;
use super::grammar::Meaning;
use super::record::recording_name;
use super::value::Value;
use crate::step::{Recorded, RecordingId};

/// One reading of an input.
#[derive(Clone, Debug)]
pub(super) struct Reading {
    pub(super) confidence: f64,
    pub(super) utterance: Zeroizing<String>,
    pub(super) mode: InputMode,
    /// What it means; undefined where it matched nothing.
    pub(super) value: Value,
}

/// How an input was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputMode {
    Dtmf,
    Voice,
}

/// What came with an input.
#[derive(Clone, Debug, Default)]
pub(super) struct Circumstances {
    /// The last mark that was played, and how long before the input.
    pub(super) mark: Option<(String, Duration)>,
    /// The sound of the input.
    pub(super) recording: Option<(RecordingId, Recorded)>,
}

impl Reading {
    pub(super) fn keys(utterance: Zeroizing<String>, value: Value) -> Self {
        Self { confidence: 1.0, utterance, mode: InputMode::Dtmf, value }
    }

    /// As a script sees it.
    pub(super) fn record(&self) -> Vec<(String, Value)> {
        let mode = match self.mode {
            InputMode::Dtmf => "dtmf",
            InputMode::Voice => "voice",
        };
        vec![
            ("confidence".to_owned(), Value::Number(self.confidence)),
            ("utterance".to_owned(), Value::Text(self.utterance.clone())),
            ("inputmode".to_owned(), Value::text(mode)),
            ("interpretation".to_owned(), self.value.clone()),
        ]
    }
}

impl Circumstances {
    fn record(&self) -> Vec<(String, Value)> {
        let mut record = Vec::new();
        if let Some((name, time)) = &self.mark {
            record.push(("markname".to_owned(), Value::text(name.clone())));
            record.push(("marktime".to_owned(), millis(*time)));
        }
        if let Some((recording, recorded)) = &self.recording {
            record.push(("recording".to_owned(), Value::text(recording_name(*recording))));
            record.push(("recordingsize".to_owned(), Value::Number(recorded.bytes as f64)));
            record.push(("recordingduration".to_owned(), millis(recorded.duration)));
        }
        record
    }
}

/// A time as scripts see it.
pub(super) fn millis(time: Duration) -> Value {
    Value::Number(time.as_millis() as f64)
}

impl Vxml {
    /// Tells the script what was heard, best reading first, also what did not match.
    pub(super) fn remember(
        &mut self,
        readings: &[Reading],
        circumstances: &Circumstances,
    ) -> Result<(), Fault> {
        let more = circumstances.record();
        let results: Vec<Value> = readings
            .iter()
            .map(|reading| Value::Record([reading.record(), more.clone()].concat()))
            .collect();
        self.pages.last_result = results.first().cloned().unwrap_or_default();
        self.scopes.set_last_results(results)
    }

    /// What a match of a source means: an option means its value, whatever its keys and words.
    pub(super) fn meant_by(&mut self, source: &Source, meaning: Meaning) -> Result<Value, Fault> {
        match source {
            Source::Option(value) => Ok(Value::text(value.clone())),
            _ => self.meant(meaning),
        }
    }

    /// What a match means, computed where tags say so.
    pub(super) fn meant(&mut self, meaning: Meaning) -> Result<Value, Fault> {
        match meaning {
            Meaning::Is(value) => Ok(value),
            Meaning::Computed(program) => self.scopes.interpret(&program),
        }
    }
}
