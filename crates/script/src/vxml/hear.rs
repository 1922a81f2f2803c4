//! Takes speech: asks for it, and finds what it means (VoiceXML 2.0 §3.1, §5.1.5).

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::event::Event;
use super::fault::Fault;
use super::fia::{Phase, Vxml};
use super::form::Source;
use super::grammar::{Matcher, VoiceGrammar};
use super::listen::Active;
use super::prompt::Bargein;
use super::result::{Circumstances, InputMode, Reading};
use super::value::Value;
use crate::step::{Heard, Hypothesis, Listen, ListenError, ListenId, RecordingId, Step, Timer};

/// Most that may be done to read one hypothesis; grammars that people write need a hundredth.
const WORK_MAX: usize = 400_000;
/// Most words that are read of what a recognizer heard.
const WORDS_MAX: usize = 1_000;
/// Longest time from the begin of speech to the recognizer's word on it, whatever its own limits.
const SPEECH_TIME_MAX: Duration = Duration::from_secs(120);

impl Vxml {
    /// Asks for speech, where some may match and no prompt holds the floor.
    pub(super) fn open_ear(&mut self) -> Result<(), Fault> {
        let Phase::Listening(listening) = &self.phase else {
            return Ok(());
        };
        let wanted = !listening.voices.is_empty() && listening.ear.is_none();
        if !wanted || listening.holds_the_floor() {
            return Ok(());
        }
        let rule = self.properties().speech_rule()?;
        let grammar = |active: &Active| VoiceGrammar(Arc::clone(&active.grammar));
        let grammars = listening.voices.iter().map(grammar).collect();
        let hypotheses_max = listening.rule.results_max;
        let language = self.pages.language().map(str::to_owned);
        let recording = rule.record.then(|| self.next_recording());
        self.listens += 1;
        let listen = ListenId(self.listens);
        if let Phase::Listening(listening) = &mut self.phase {
            listening.ear = Some((listen, recording));
        }
        self.steps.push_back(Step::Listen(Listen {
            listen,
            grammars,
            language,
            hypotheses_max,
            complete: rule.complete,
            incomplete: rule.incomplete,
            speech_max: rule.speech_max,
            sensitivity: rule.sensitivity,
            speed_over_accuracy: rule.speed_over_accuracy,
            recording,
        }));
        Ok(())
    }

    /// No more speech is wanted.
    pub(super) fn close_ear(&mut self) {
        let Phase::Listening(listening) = &mut self.phase else {
            return;
        };
        if listening.ear.take().is_some() {
            self.steps.push_back(Step::StopListen);
        }
    }

    /// Whether this is the listening at hand.
    pub(super) fn hears(&self, listen: ListenId) -> bool {
        match &self.phase {
            Phase::Listening(listening) => listening.ear.is_some_and(|(own, _)| own == listen),
            _ => false,
        }
    }

    /// The callee begins to speak.
    pub(super) fn speech_started(&mut self) {
        let now = self.now;
        let Phase::Listening(listening) = &mut self.phase else {
            return;
        };
        // The recognizer says when the speech ends; silence does not count meanwhile.
        listening.deadline = Some((now + SPEECH_TIME_MAX, Timer::Reply));
        let bargein = listening.plays.front().map(|(_, bargein)| *bargein);
        if bargein == Some(Bargein::Speech) && listening.cut_short(now) {
            self.steps.push_back(Step::StopPlay);
        }
    }

    pub(super) fn speech_too_long(&mut self) {
        self.ear_is_done();
        self.input_came();
        self.leave_listening();
        let event = Event { name: "maxspeechtimeout".to_owned(), message: None };
        self.throw(event, None);
    }

    /// Without a recognizer keys still do, where there are any.
    pub(super) fn listen_failed(&mut self, error: &ListenError) {
        self.ear_is_done();
        let Phase::Listening(listening) = &mut self.phase else {
            return;
        };
        listening.voices.clear();
        if listening.has_keys() {
            tracing::debug!(%error, "only keys are heard");
            return;
        }
        self.leave_listening();
        let event = match error {
            ListenError::Language(_) => "error.unsupported.language",
            ListenError::NoResource(_) => "error.noresource",
        };
        self.raise(Fault::new(event, error.to_string()));
    }

    /// Something was said.
    pub(super) fn heard(&mut self, heard: Heard) {
        let recording = self.ear_is_done();
        self.input_came();
        if let Err(fault) = self.understand(heard, recording) {
            self.raise(fault);
        }
    }

    /// The recognizer has done its work for this input.
    fn ear_is_done(&mut self) -> Option<RecordingId> {
        match &mut self.phase {
            Phase::Listening(listening) => {
                listening.ear.take().and_then(|(_, recording)| recording)
            }
            _ => None,
        }
    }

    fn understand(&mut self, heard: Heard, recording: Option<RecordingId>) -> Result<(), Fault> {
        let mut readings = Vec::new();
        let mut chosen = None;
        for hypothesis in self.certain_enough(&heard.hypotheses) {
            if let Some((source, value)) = self.read(&hypothesis)? {
                chosen.get_or_insert((source, value.clone()));
                readings.push(reading(&hypothesis, value));
            }
        }
        let hotword = match &self.phase {
            Phase::Listening(listening) => listening.awaits_hotword(),
            _ => false,
        };
        if hotword && chosen.is_none() {
            // What is not the word is not heard (VoiceXML 2.0 §4.1.5.1).
            return self.open_ear();
        }
        let Some(listening) = self.leave_listening() else {
            return Ok(());
        };
        let recording = recording.zip(heard.recording);
        let circumstances = Circumstances { recording, ..listening.circumstances() };
        let Some((source, value)) = chosen else {
            let most = listening.rule.results_max as usize;
            let heard = heard.hypotheses.iter().take(most);
            let heard: Vec<_> = heard.map(|said| reading(said, Value::Undefined)).collect();
            self.remember(&heard, &circumstances)?;
            let event = Event { name: "nomatch".to_owned(), message: None };
            self.throw(event, None);
            return Ok(());
        };
        self.remember(&readings, &circumstances)?;
        self.matched(source, value)
    }

    /// The hypotheses that may match, best first.
    fn certain_enough(&self, hypotheses: &[Hypothesis]) -> Vec<Hypothesis> {
        let Phase::Listening(listening) = &self.phase else {
            return Vec::new();
        };
        let rule = &listening.rule;
        let certain = hypotheses.iter().filter(|heard| heard.confidence >= rule.confidence);
        let mut certain: Vec<Hypothesis> = certain.cloned().collect();
        certain.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
        certain.truncate(rule.results_max as usize);
        certain
    }

    /// What a hypothesis means to the grammar of highest precedence that it matches.
    fn read(&mut self, heard: &Hypothesis) -> Result<Option<(Source, Value)>, Fault> {
        let Phase::Listening(listening) = &self.phase else {
            return Ok(None);
        };
        let words: Vec<&str> = heard.words.split_whitespace().take(WORDS_MAX).collect();
        let mut found = None;
        let mut work = 0;
        for active in &listening.voices {
            let mut matcher = Matcher::new(Arc::clone(&active.grammar))?;
            let mut tokens = Vec::with_capacity(words.len());
            for word in &words {
                // Grammars write words as they like; recognizers do as they like.
                let as_is = matcher.takes(word);
                let token = if as_is { (*word).to_owned() } else { word.to_lowercase() };
                matcher.feed(&token)?;
                tokens.push(token);
            }
            work += matcher.work();
            if work > WORK_MAX {
                let message = "the grammars that are active together are too ambiguous";
                return Err(Fault::semantic(message));
            }
            if let Some(meaning) = matcher.meaning(&tokens) {
                found = Some((active.source.clone(), meaning?));
                break;
            }
        }
        let Some((source, meaning)) = found else {
            return Ok(None);
        };
        let value = self.meant_by(&source, meaning)?;
        Ok(Some((source, value)))
    }
}

fn reading(heard: &Hypothesis, value: Value) -> Reading {
    Reading {
        confidence: heard.confidence,
        utterance: Zeroizing::new(heard.words.clone()),
        mode: InputMode::Voice,
        value,
    }
}
