//! `start_transcription` and `stop_transcription`: what is said is written down and told as it
//! comes.

use super::json::{Json, Object};
use super::play::WebPage;
use super::reader::Members;
use super::runner::Runner;
use crate::step::{Step, Transcribe, Transcribed, TranscriptId};

/// What to write down, and whom to tell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Transcription {
    results_page: Option<WebPage>,
    mode: &'static str,
    id: String,
    language: Option<String>,
    interim: bool,
}

/// A transcription under way.
#[derive(Debug)]
pub(super) struct Transcript {
    transcription: Transcription,
    pub(super) transcript: TranscriptId,
}

pub(super) fn read(members: &mut Members<'_>) -> Transcription {
    let results_page = members.needed_page("results_page");
    let mode = members.word("transcription_mode", &["separate", "mixed", "inbound", "outbound"]);
    let mut language = None;
    if let Some(mut options) = members.object("speech_recognition_options", "an object") {
        language = options.text("language");
        options.text("model");
        options.finish();
    }
    Transcription {
        results_page,
        mode,
        id: members.text("id").unwrap_or_default(),
        language,
        interim: members.flag("enable_interim_results", false),
    }
}

impl Runner {
    /// `start_transcription`.
    pub(super) fn start_transcription(&mut self, transcription: Transcription) {
        if self.transcript.is_some() {
            self.fail("a transcription is under way; stop_transcription ends it");
            return;
        }
        self.ids.transcript += 1;
        let transcript = TranscriptId(self.ids.transcript);
        self.steps.push_back(Step::Transcribe(Transcribe {
            transcript,
            language: transcription.language.clone(),
            callee: transcription.mode != "outbound",
            heard: transcription.mode != "inbound",
            interim: transcription.interim,
        }));
        self.transcript = Some(Transcript { transcription, transcript });
    }

    /// `stop_transcription`; without one under way it does nothing.
    pub(super) fn stop_transcription(&mut self) {
        if self.transcript.is_some() {
            self.steps.push_back(Step::StopTranscribe);
        }
    }

    pub(super) fn transcribed(&mut self, piece: Result<Option<Transcribed>, String>) {
        let Some(transcript) = &self.transcript else {
            return;
        };
        let Transcription { results_page, id, mode, .. } = &transcript.transcription;
        let page = results_page.clone();
        let (pieces, completed) = match &piece {
            Ok(Some(piece)) => (vec![told(piece, mode)], false),
            Ok(None) | Err(_) => (Vec::new(), true),
        };
        let result: Object = vec![
            ("transcription", Json::List(pieces)),
            ("id", Json::text(id)),
            ("completed", Json::Flag(completed)),
        ];
        if completed {
            self.written_down();
        }
        if let Some(page) = page {
            self.tell_transcript(&page, result);
        }
        if let Err(why) = piece {
            self.tell("start_transcription", &why);
        }
        self.close_when_told();
    }
}

fn told(piece: &Transcribed, mode: &str) -> Json {
    let alternatives = piece.hypotheses.iter().map(|hypothesis| {
        Json::Object(vec![
            ("text", Json::text(&hypothesis.words)),
            ("confidence", Json::Number(hypothesis.confidence)),
        ])
    });
    let direction = match (mode, piece.by_callee) {
        ("mixed", _) => "mixed",
        (_, true) => "inbound",
        (_, false) => "outbound",
    };
    Json::Object(vec![
        ("alternatives", Json::List(alternatives.collect())),
        ("final", Json::Flag(piece.is_final)),
        ("direction", Json::text(direction)),
    ])
}
