//! Records the callee (VoiceXML 2.0 §2.3.6).

use std::time::Duration;

use domain::time::Timestamp;
use zeroize::Zeroize as _;

use super::document::{Dialog, ItemKind};
use super::fault::Fault;
use super::fia::{Phase, Task, Vxml};
use super::form::{Source, Visit};
use super::grammar::is_key;
use super::hear::Ear;
use super::listen::Active;
use super::prompt::Playing;
use super::property::InputRule;
use super::result::{Circumstances, Reading, millis};
use super::rivals::{Decision, Rivals};
use super::scope::Level;
use super::value::Value;
use crate::step::{PlayError, PlayId, Record, RecordEnd, Recorded, RecordingId, Step, Timer};

/// A recording under way, its prompts included.
#[derive(Debug)]
pub(super) struct Recording {
    rivals: Rivals,
    pub(super) ear: Ear,
    pub(super) rule: InputRule,
    /// Whether any key ends it.
    dtmf_term: bool,
    playing: Playing,
    wanted: Record,
    stage: Stage,
    pub(super) deadline: Option<(Timestamp, Timer)>,
}

#[derive(Debug)]
enum Stage {
    /// What is to be heard before it.
    Prompts,
    Recording,
    /// Asked to end.
    Ending(Box<Why>),
}

/// Why a recording is to end.
#[derive(Debug)]
enum Why {
    /// A grammar of another item or dialog: the recording is not wanted.
    Elsewhere(Source, Value),
    HungUp,
    /// This key, or a grammar of its own.
    Key {
        key: char,
        reading: Option<Reading>,
    },
    /// Words of a grammar of its own.
    Words(Reading),
}

/// Longest recording where the document says nothing.
const TIME_MAX_DEFAULT: Duration = Duration::from_secs(60);
/// Silence that ends a recording where the document says nothing.
const FINAL_SILENCE_DEFAULT: Duration = Duration::from_secs(3);
/// How long a recording that was stopped may take to end.
const REPLY_TIME_MAX: Duration = Duration::from_secs(10);
/// The media type of recordings where the document says nothing.
const MEDIA_TYPE_DEFAULT: &str = "audio/x-wav";

/// What a recording is called among the variables of a script.
pub(crate) fn recording_name(recording: RecordingId) -> String {
    format!("{RECORDING}{}", recording.0)
}

/// The recording that a text stands for.
pub(crate) fn recording_of(text: &str) -> Option<RecordingId> {
    let number = text.strip_prefix(RECORDING)?;
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| number.parse().ok().map(RecordingId))?
}

/// Not a scheme that is ever fetched.
const RECORDING: &str = "x-outdial-recording:";

/// A media type that recordings can have, in the words of the step.
fn media_type(given: Option<&str>) -> Result<&'static str, Fault> {
    let given = given.unwrap_or(MEDIA_TYPE_DEFAULT);
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "audio/basic" => Ok("audio/basic"),
        "audio/x-alaw-basic" => Ok("audio/x-alaw-basic"),
        "" | "audio/wav" | "audio/wave" | "audio/x-wav" | "audio/vnd.wave" => Ok("audio/x-wav"),
        _ => {
            let message = format!(
                "recordings of type {given}; there are audio/basic, audio/x-alaw-basic and \
                 audio/x-wav"
            );
            Err(Fault::unsupported("format", message))
        }
    }
}

impl Recording {
    /// Whether a prompt plays that must be heard to its end, or the recording is asked to end.
    pub(super) fn is_closed(&self) -> bool {
        self.playing.holds_the_floor() || matches!(self.stage, Stage::Ending(_))
    }
}

impl Vxml {
    pub(super) fn next_recording(&mut self) -> RecordingId {
        self.recordings += 1;
        RecordingId(self.recordings)
    }

    /// Plays what is queued, then records.
    pub(super) fn begin_record(
        &mut self,
        dialog: &Dialog,
        item: usize,
        active: &[Active],
    ) -> Result<(), Fault> {
        let ItemKind::Record(record) = &dialog.items[item].kind else {
            return Ok(());
        };
        let media_type = media_type(record.media_type.as_deref())?.to_owned();
        let rule = self.properties().input_rule()?;
        let wanted = Record {
            recording: self.next_recording(),
            beep: record.beep,
            time_max: record.time_max.unwrap_or(TIME_MAX_DEFAULT),
            final_silence: record.final_silence.unwrap_or(FINAL_SILENCE_DEFAULT),
            timeout: self.prompts.timeout().unwrap_or(rule.timeout),
            media_type,
        };
        // Keys keyed before there was anything to end are no answer.
        self.ahead.zeroize();
        let recording = Recording {
            rivals: Rivals::new(active, &rule)?,
            ear: Ear::new(active, &rule),
            dtmf_term: record.dtmf_term && rule.dtmf,
            rule,
            playing: self.flush(),
            wanted,
            stage: Stage::Prompts,
            deadline: None,
        };
        self.phase = Phase::Recording(Box::new(recording));
        self.record_when_quiet();
        self.listen_beside();
        Ok(())
    }

    fn record_when_quiet(&mut self) {
        let Phase::Recording(recording) = &mut self.phase else {
            return;
        };
        if recording.playing.is_empty() && matches!(recording.stage, Stage::Prompts) {
            recording.stage = Stage::Recording;
            self.steps.push_back(Step::Record(recording.wanted.clone()));
        }
    }

    pub(super) fn record_play_ended(&mut self, ended: PlayId) {
        if let Phase::Recording(recording) = &mut self.phase {
            recording.playing.ended(ended);
        }
        self.record_when_quiet();
        self.listen_beside();
    }

    pub(super) fn record_play_failed(&mut self, failed: PlayId, error: &PlayError) {
        let Phase::Recording(recording) = &mut self.phase else {
            return;
        };
        if !recording.playing.contains(failed) {
            return;
        }
        recording.playing.ended(failed);
        if !recording.playing.is_empty() {
            self.steps.push_back(Step::StopPlay);
        }
        self.close_ear();
        self.phase = Phase::Busy;
        self.raise(Self::play_fault(error));
    }

    /// A key: of a grammar, or any that ends the recording.
    pub(super) fn record_key(&mut self, key: char) {
        let keys_max = self.limits.keys_max;
        let Phase::Recording(recording) = &mut self.phase else {
            return;
        };
        if recording.is_closed() || !is_key(key) {
            return;
        }
        let own = recording.rivals.takes(key) || !recording.rivals.is_fresh();
        if !own && !recording.dtmf_term {
            return;
        }
        self.input_came();
        let Phase::Recording(recording) = &mut self.phase else {
            return;
        };
        if !own {
            self.end_record_by(key, None);
            return;
        }
        let waited = matches!(recording.deadline, Some((_, Timer::Term)));
        match recording.rivals.press(key, &recording.rule, waited, keys_max) {
            Ok(decision) => self.decide_record(decision, key),
            Err(fault) => self.stop_recording_for(fault),
        }
    }

    pub(super) fn record_expired(&mut self, timer: Timer) {
        let Phase::Recording(recording) = &self.phase else {
            return;
        };
        match timer {
            Timer::InterDigit | Timer::Term => {
                let decision = recording.rivals.give_up();
                let key = recording.rivals.utterance().chars().last().unwrap_or('#');
                self.decide_record(decision, key);
            }
            Timer::Reply => {
                let nothing =
                    Recorded { end: RecordEnd::Stopped, duration: Duration::ZERO, bytes: 0 };
                self.recorded(nothing);
            }
            Timer::FetchAudio
            | Timer::NoInput
            | Timer::Retry
            | Timer::Sleep
            | Timer::TransferConnect
            | Timer::TransferMax => {}
        }
    }

    fn decide_record(&mut self, decision: Decision, key: char) {
        let now = self.now;
        let Phase::Recording(recording) = &mut self.phase else {
            return;
        };
        recording.deadline = None;
        let decided = match decision {
            Decision::Wait(timer) => {
                let wait = match timer {
                    Timer::Term => recording.rule.term_timeout,
                    _ => recording.rule.inter_digit,
                };
                recording.deadline = Some((now + wait, timer));
                Ok(())
            }
            Decision::Match(rival) | Decision::MatchBefore(rival, _) => {
                self.end_record_by_grammar(rival, key)
            }
            // Keys that are no answer are a key like any other.
            Decision::NoMatch if recording.dtmf_term => {
                self.end_record_by(key, None);
                Ok(())
            }
            Decision::NoMatch => recording.rivals.reset(),
        };
        if let Err(fault) = decided {
            self.stop_recording_for(fault);
        }
    }

    fn end_record_by_grammar(&mut self, rival: usize, key: char) -> Result<(), Fault> {
        let Phase::Recording(recording) = &self.phase else {
            return Ok(());
        };
        let (source, meaning) = recording.rivals.answer(rival)?;
        let utterance = recording.rivals.utterance();
        let value = self.meant(meaning)?;
        let reading = Reading::keys(utterance, value.clone());
        self.remember(std::slice::from_ref(&reading), &Circumstances::default())?;
        match source {
            Source::Item => self.end_record_by(key, Some(reading)),
            source => self.end_record(Why::Elsewhere(source, value)),
        }
        Ok(())
    }

    fn end_record_by(&mut self, key: char, reading: Option<Reading>) {
        if reading.is_none() {
            let said = Reading::keys(key.to_string().into(), Value::text(key.to_string()));
            if let Err(fault) = self.remember(&[said], &Circumstances::default()) {
                self.stop_recording_for(fault);
                return;
            }
        }
        self.end_record(Why::Key { key, reading });
    }

    /// Words of a grammar: its own, or one that leads elsewhere.
    pub(super) fn end_record_by_words(&mut self, source: Source, value: Value, reading: Reading) {
        self.end_record(match source {
            Source::Item => Why::Words(reading),
            source => Why::Elsewhere(source, value),
        });
    }

    fn end_record(&mut self, why: Why) {
        let now = self.now;
        self.close_ear();
        let Phase::Recording(recording) = &mut self.phase else {
            return;
        };
        if matches!(recording.stage, Stage::Recording) {
            recording.stage = Stage::Ending(Box::new(why));
            recording.deadline = Some((now + REPLY_TIME_MAX, Timer::Reply));
            self.steps.push_back(Step::StopRecord);
            return;
        }
        // There is nothing to be kept: the item stays unfilled, and no event says so.
        if !recording.playing.is_empty() {
            self.steps.push_back(Step::StopPlay);
        }
        self.phase = Phase::Busy;
        match why {
            Why::Elsewhere(source, value) => {
                if let Err(fault) = self.matched(source, value) {
                    self.raise(fault);
                }
            }
            Why::HungUp => self.hear_hang_up(),
            Why::Key { .. } | Why::Words(_) => self.task = Task::Select,
        }
    }

    /// Something went wrong that has nothing to do with the recording.
    pub(super) fn stop_recording_for(&mut self, fault: Fault) {
        self.close_ear();
        if let Phase::Recording(recording) = &self.phase {
            self.steps.push_back(match recording.stage {
                Stage::Prompts => Step::StopPlay,
                Stage::Recording | Stage::Ending(_) => Step::StopRecord,
            });
        }
        self.phase = Phase::Busy;
        self.raise(fault);
    }

    pub(super) fn record_hung_up(&mut self) {
        self.end_record(Why::HungUp);
    }

    /// Whether this is the recording at hand.
    pub(super) fn records(&self, id: RecordingId) -> bool {
        match &self.phase {
            Phase::Recording(recording) => recording.wanted.recording == id,
            _ => false,
        }
    }

    pub(super) fn record_failed(&mut self, reason: &str) {
        self.close_ear();
        self.phase = Phase::Busy;
        let message = format!("the callee cannot be recorded: {reason}");
        self.raise(Fault::new("error.noresource", message));
    }

    /// The recording is over.
    pub(super) fn recorded(&mut self, recorded: Recorded) {
        self.close_ear();
        let Phase::Recording(recording) = std::mem::replace(&mut self.phase, Phase::Busy) else {
            return;
        };
        let Recording { wanted, stage, .. } = *recording;
        let id = wanted.recording;
        let done = match stage {
            Stage::Ending(why) => self.ended_for(*why, id, recorded),
            Stage::Prompts | Stage::Recording if recorded.end == RecordEnd::NoInput => {
                self.throw_own("noinput");
                Ok(())
            }
            Stage::Prompts | Stage::Recording => {
                self.input_came();
                self.fill_recording(id, recorded, None, None)
            }
        };
        if let Err(fault) = done {
            self.raise(fault);
        }
    }

    /// The recording has ended as the script wanted.
    fn ended_for(&mut self, why: Why, id: RecordingId, recorded: Recorded) -> Result<(), Fault> {
        match why {
            Why::Elsewhere(source, value) => self.matched(source, value),
            Why::HungUp => {
                let kept = self.keep_recording(id, recorded, None, None);
                self.hear_hang_up();
                kept.map(|_| ())
            }
            Why::Key { key, reading } => self.fill_recording(id, recorded, Some(key), reading),
            Why::Words(reading) => self.fill_recording(id, recorded, None, Some(reading)),
        }
    }

    fn fill_recording(
        &mut self,
        id: RecordingId,
        recorded: Recorded,
        key: Option<char>,
        reading: Option<Reading>,
    ) -> Result<(), Fault> {
        match self.keep_recording(id, recorded, key, reading)? {
            Some(item) => self.begin_filled(vec![item]),
            None => self.task = Task::Select,
        }
        Ok(())
    }

    /// Sets the item's variable and its shadow; the item, where there is anything to keep.
    fn keep_recording(
        &mut self,
        id: RecordingId,
        recorded: Recorded,
        key: Option<char>,
        reading: Option<Reading>,
    ) -> Result<Option<usize>, Fault> {
        let at_hand = self.visit.as_ref().and_then(Visit::named_item);
        let Some((at, name)) = at_hand.filter(|_| recorded.bytes > 0) else {
            return Ok(None);
        };
        let term_char = key.map_or(Value::Undefined, |key| Value::text(key.to_string()));
        let mut shadow = vec![
            ("duration".to_owned(), millis(recorded.duration)),
            ("size".to_owned(), Value::Number(recorded.bytes as f64)),
            ("termchar".to_owned(), term_char),
            ("maxtime".to_owned(), Value::Bool(recorded.end == RecordEnd::Full)),
        ];
        shadow.extend(reading.iter().flat_map(Reading::record));
        self.scopes.set(Level::Dialog, &format!("{name}$"), Value::Record(shadow))?;
        self.scopes.set(Level::Dialog, &name, Value::text(recording_name(id)))?;
        Ok(Some(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_recordings_stand_for_them() {
        let id = RecordingId(12);
        assert_eq!(recording_of(&recording_name(id)), Some(id));
        for text in ["x-outdial-recording:", "x-outdial-recording:+1", "12", "http://a/"] {
            assert_eq!(recording_of(text), None, "{text}");
        }
    }

    #[test]
    fn recordings_are_made_in_the_formats_that_the_standard_names() {
        let types = [None, Some("audio/wav"), Some("audio/basic; rate=8000"), Some("audio/mpeg")];
        let types = types.map(|given| media_type(given).ok());
        assert_eq!(types, [Some("audio/x-wav"), Some("audio/x-wav"), Some("audio/basic"), None]);
    }
}
