//! `record`: what the callee says, until he is silent, presses a key or has said enough.

use std::time::Duration;

use domain::time::Timestamp;

use super::instance::tenths;
use super::json::{Json, Object};
use super::play::WebPage;
use super::reader::Members;
use super::runner::{Phase, Runner};
use crate::step::{self, RecordEnd, Recorded, RecordingId, Step, Timer};

/// How long a recording that was stopped may take to say so.
const REPLY_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest recording, in seconds.
const SECONDS_MAX: i64 = 3_600;

/// How to record, and whom to tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    next_page: Option<WebPage>,
    /// Told as soon as the recording can be had.
    available_page: Option<WebPage>,
    id: String,
    barge_in_digits: String,
    time_max: Duration,
    silence: Duration,
    initial_silence: Duration,
    beep: bool,
}

/// A recording under way.
#[derive(Debug)]
pub(super) struct Recording {
    record: Record,
    pub(super) recording: RecordingId,
    barge_in_digit: Option<char>,
    pub(super) deadline: Option<(Timestamp, Timer)>,
}

pub(super) fn read(members: &mut Members<'_>) -> Record {
    let next_page = members.needed_page("next_page");
    let available_page = members.page("recording_available_page");
    members.refuse_if_given("encryption_cipher", "recordings are not encrypted here");
    members.word("format", &["", "alaw", "ulaw"]);
    let seconds = members.whole("seconds_max_duration", 1..=SECONDS_MAX, 60);
    let silence = members.milliseconds("milliseconds_max_silence", 3_000.0);
    let initial = members.milliseconds("milliseconds_max_initial_silence", 0.0);
    Record {
        next_page,
        available_page,
        id: members.text("id").unwrap_or_default(),
        barge_in_digits: members.keys("barge_in_digits", "#"),
        time_max: Duration::from_secs(u64::try_from(seconds).unwrap_or(1)),
        silence,
        initial_silence: if initial.is_zero() { silence } else { initial },
        beep: members.flag("beep_on_start", false),
    }
}

impl Runner {
    /// `record`.
    pub(super) fn begin_record(&mut self, record: Record) {
        self.ids.recording += 1;
        let recording = RecordingId(self.ids.recording);
        self.steps.push_back(Step::Record(step::Record {
            recording,
            beep: record.beep,
            time_max: record.time_max,
            final_silence: record.silence,
            timeout: record.initial_silence,
            media_type: "audio/x-wav".to_owned(),
        }));
        let recording = Recording { record, recording, barge_in_digit: None, deadline: None };
        self.phase = Phase::Recording(Box::new(recording));
    }

    pub(super) fn record_key(&mut self, key: char) {
        let now = self.now;
        let Phase::Recording(recording) = &mut self.phase else {
            return;
        };
        let ends = recording.record.barge_in_digits.contains(key);
        if ends && recording.barge_in_digit.is_none() {
            recording.barge_in_digit = Some(key);
            recording.deadline = Some((now + REPLY_TIME_MAX, Timer::Reply));
            self.steps.push_back(Step::StopRecord);
        }
    }

    /// The callee is gone: what there is of the recording is still told.
    pub(super) fn record_hung_up(&mut self) {
        let now = self.now;
        if let Phase::Recording(recording) = &mut self.phase
            && recording.barge_in_digit.is_none()
        {
            recording.deadline = Some((now + REPLY_TIME_MAX, Timer::Reply));
            self.steps.push_back(Step::StopRecord);
        }
    }

    pub(super) fn recorded(&mut self, recorded: Recorded) {
        self.usage.noticed();
        let Phase::Recording(under_way) = std::mem::take(&mut self.phase) else {
            return;
        };
        let Recording { record, recording, barge_in_digit, .. } = *under_way;
        let has_sound = recorded.end != RecordEnd::NoInput && !recorded.duration.is_zero();
        let name = format!("{}-{}.wav", self.instance.id, recording.0);
        if has_sound {
            self.kept.push((name.clone(), recording));
        }
        let name = if has_sound { name } else { String::new() };
        let digit = barge_in_digit.map(String::from).unwrap_or_default();
        let result: Object = vec![
            ("id", Json::text(&record.id)),
            ("filename", Json::text(&name)),
            ("seconds_duration", tenths(recorded.duration)),
            ("contains_sound", Json::Flag(has_sound)),
            ("barge_in_digit", Json::text(&digit)),
        ];
        if has_sound && let Some(page) = &record.available_page {
            self.notify(page, "record", result.clone());
        }
        match &record.next_page {
            Some(page) if !self.is_gone => self.follow(page, "record", result),
            _ => {}
        }
    }

    pub(super) fn record_failed(&mut self, reason: &str) {
        self.phase = Phase::Busy;
        self.fail(reason);
    }
}
