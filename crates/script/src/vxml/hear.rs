//! Takes speech: asks for it, and finds what it means (VoiceXML 2.0 §3.1, §5.1.5).

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::fault::Fault;
use super::fia::{Phase, Vxml};
use super::form::Source;
use super::grammar::{Matcher, Mode, VoiceGrammar};
use super::listen::Active;
use super::prompt::Bargein;
use super::property::InputRule;
use super::result::{Circumstances, InputMode, Reading};
use super::value::Value;
use crate::step::{Heard, Hypothesis, Listen, ListenError, ListenId, RecordingId, Step, Timer};

/// Most that may be done to read one hypothesis; grammars that people write need a hundredth.
const WORK_MAX: usize = 400_000;
/// Most words that are read of what a recognizer heard.
const WORDS_MAX: usize = 1_000;
/// Longest time from the begin of speech to the recognizer's word on it, whatever its own limits.
const SPEECH_TIME_MAX: Duration = Duration::from_secs(120);

/// What speech may match, and the recognizer's work for it.
#[derive(Debug)]
pub(super) struct Ear {
    /// In order of precedence.
    voices: Vec<Active>,
    /// The work under way, and where it keeps the sound.
    work: Option<(ListenId, Option<RecordingId>)>,
}

impl Ear {
    /// For the grammars of speech among these.
    pub(super) fn new(active: &[Active], rule: &InputRule) -> Self {
        let heard = |active: &&Active| active.grammar.mode == Mode::Voice && rule.voice;
        Self { voices: active.iter().filter(heard).cloned().collect(), work: None }
    }

    /// One that hears nothing.
    pub(super) fn deaf() -> Self {
        Self { voices: Vec::new(), work: None }
    }
}

impl Vxml {
    /// What is heard with now, and by which rule; only where speech may still change anything.
    fn ear(&self) -> Option<(&Ear, &InputRule)> {
        match &self.phase {
            Phase::Listening(listening) => Some((&listening.ear, &listening.rule)),
            Phase::Recording(recording) => Some((&recording.ear, &recording.rule)),
            Phase::Transferring(transferring) => Some((&transferring.ear, &transferring.rule)),
            Phase::Idle | Phase::Busy | Phase::Fetching(_) | Phase::Draining(..) | Phase::Ended => {
                None
            }
        }
    }

    fn ear_mut(&mut self) -> Option<&mut Ear> {
        match &mut self.phase {
            Phase::Listening(listening) => Some(&mut listening.ear),
            Phase::Recording(recording) => Some(&mut recording.ear),
            Phase::Transferring(transferring) => Some(&mut transferring.ear),
            Phase::Idle | Phase::Busy | Phase::Fetching(_) | Phase::Draining(..) | Phase::Ended => {
                None
            }
        }
    }

    /// Whether a prompt plays that must be heard to its end, or speech comes too late.
    fn is_closed_to_speech(&self) -> bool {
        match &self.phase {
            Phase::Listening(listening) => listening.playing.holds_the_floor(),
            Phase::Recording(recording) => recording.is_closed(),
            Phase::Transferring(transferring) => transferring.is_closed(),
            Phase::Idle | Phase::Busy | Phase::Fetching(_) | Phase::Draining(..) | Phase::Ended => {
                true
            }
        }
    }

    /// Asks for speech, where some may match and no prompt holds the floor.
    pub(super) fn open_ear(&mut self) -> Result<(), Fault> {
        self.ask_for_speech(false)
    }

    /// The same after speech that was no match: nothing that is said meanwhile is lost.
    fn keep_ear_open(&mut self) -> Result<(), Fault> {
        self.ask_for_speech(true)
    }

    fn ask_for_speech(&mut self, goes_on: bool) -> Result<(), Fault> {
        let Some((ear, input)) = self.ear() else {
            return Ok(());
        };
        if ear.voices.is_empty() || ear.work.is_some() || self.is_closed_to_speech() {
            return Ok(());
        }
        let grammar = |active: &Active| VoiceGrammar(Arc::clone(&active.grammar));
        let grammars = ear.voices.iter().map(grammar).collect();
        let hypotheses_max = input.results_max;
        let rule = self.properties().speech_rule()?;
        let language = self.pages.language().map(str::to_owned);
        // The sound of what ends a recording is in the recording.
        let keeps = rule.record && matches!(self.phase, Phase::Listening(_));
        let recording = keeps.then(|| self.next_recording());
        self.listens += 1;
        let listen = ListenId(self.listens);
        if let Some(ear) = self.ear_mut() {
            ear.work = Some((listen, recording));
        }
        self.steps.push_back(Step::Listen(Listen {
            listen,
            goes_on,
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
        if self.ear_mut().is_some_and(|ear| ear.work.take().is_some()) {
            self.steps.push_back(Step::StopListen);
        }
    }

    /// Whether this is the listening at hand.
    pub(super) fn hears(&self, listen: ListenId) -> bool {
        self.ear().is_some_and(|(ear, _)| ear.work.is_some_and(|(own, _)| own == listen))
    }

    /// The callee begins to speak.
    pub(super) fn speech_started(&mut self) {
        let now = self.now;
        let Phase::Listening(listening) = &mut self.phase else {
            // What is no match is not heard beside a recording or a transfer.
            return;
        };
        // The recognizer says when the speech ends; silence does not count meanwhile.
        listening.deadline = Some((now + SPEECH_TIME_MAX, Timer::Reply));
        if listening.playing.bargein() == Some(Bargein::Speech) && listening.cut_short(now) {
            self.steps.push_back(Step::StopPlay);
        }
    }

    pub(super) fn speech_too_long(&mut self) {
        self.ear_is_done();
        if !matches!(self.phase, Phase::Listening(_)) {
            if let Err(fault) = self.keep_ear_open() {
                self.raise(fault);
            }
            return;
        }
        self.input_came();
        self.leave_listening();
        self.throw_own("maxspeechtimeout");
    }

    /// Without a recognizer keys still do, where there are any.
    pub(super) fn listen_failed(&mut self, error: &ListenError) {
        self.ear_is_done();
        if let Some(ear) = self.ear_mut() {
            ear.voices.clear();
        }
        // Recordings and transfers end without a word as well; to hear one beside them is optional
        // (VoiceXML 2.0 §2.3.6, §2.3.7.2.2).
        let does_without = match &self.phase {
            Phase::Listening(listening) => listening.has_keys(),
            _ => true,
        };
        if does_without {
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
        let understood = match &self.phase {
            Phase::Recording(_) | Phase::Transferring(_) => self.overhear(&heard),
            _ => {
                self.input_came();
                self.understand(heard, recording)
            }
        };
        if let Err(fault) = understood {
            self.raise(fault);
        }
    }

    /// Something was said beside a recording or a transfer: a match ends it, all else is what is
    /// recorded, or meant for the far end.
    fn overhear(&mut self, heard: &Heard) -> Result<(), Fault> {
        for hypothesis in self.certain_enough(&heard.hypotheses) {
            let Some((source, value)) = self.read(&hypothesis)? else {
                continue;
            };
            self.input_came();
            let reading = reading(&hypothesis, value.clone());
            self.remember(std::slice::from_ref(&reading), &Circumstances::default())?;
            match &self.phase {
                Phase::Recording(_) => self.end_record_by_words(source, value, reading),
                _ => self.end_transfer_by_words(reading),
            }
            return Ok(());
        }
        self.keep_ear_open()
    }

    /// Listens beside a recording or a transfer; what goes wrong ends that.
    pub(super) fn listen_beside(&mut self) {
        if let Err(fault) = self.open_ear() {
            match &self.phase {
                Phase::Recording(_) => self.stop_recording_for(fault),
                _ => self.stop_transfer_for(fault),
            }
        }
    }

    /// The recognizer has done its work for this input.
    fn ear_is_done(&mut self) -> Option<RecordingId> {
        self.ear_mut()?.work.take().and_then(|(_, recording)| recording)
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
            return self.keep_ear_open();
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
            self.throw_own("nomatch");
            return Ok(());
        };
        self.remember(&readings, &circumstances)?;
        self.matched(source, value)
    }

    /// The hypotheses that may match, best first.
    fn certain_enough(&self, hypotheses: &[Hypothesis]) -> Vec<Hypothesis> {
        let Some((_, rule)) = self.ear() else {
            return Vec::new();
        };
        let certain = hypotheses.iter().filter(|heard| heard.confidence >= rule.confidence);
        let mut certain: Vec<Hypothesis> = certain.cloned().collect();
        certain.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
        certain.truncate(rule.results_max as usize);
        certain
    }

    /// What a hypothesis means to the grammar of highest precedence that it matches.
    fn read(&mut self, heard: &Hypothesis) -> Result<Option<(Source, Value)>, Fault> {
        let Some((ear, _)) = self.ear() else {
            return Ok(None);
        };
        let words: Vec<&str> = heard.words.split_whitespace().take(WORDS_MAX).collect();
        let mut found = None;
        let mut work = 0;
        for active in &ear.voices {
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
