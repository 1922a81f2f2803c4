//! Listens to what the callee says for a script: an utterance cut out of his sound, and recognized.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use media::LinearFrame;
use media::g711::Law;
use script::srgs::Grammar;
use script::step::{Heard, Hypothesis, Input, Listen, ListenError, RecordEnd, Recorded};
use zeroize::Zeroize as _;

use super::utterance::{SILENCE_DEFAULT, Utterance};
use crate::files::Takes;
use crate::recognizer::Recognizer;
use crate::rtp_io::Frames;
use crate::switch::Leg;

/// Longest speech where the script says nothing, and at all.
const SPEECH_TIME_MAX_DEFAULT: Duration = Duration::from_secs(10);
const SPEECH_TIME_MAX: Duration = Duration::from_secs(60);
/// What utterances are kept as.
const MEDIA_TYPE: &str = "audio/x-wav";

/// A listening for a script.
pub(super) struct Listening {
    wanted: Listen,
    recognizer: Recognizer,
    takes: Takes,
    stage: Stage,
    utterance: Utterance,
    /// What was said while the last utterance was recognized.
    ahead: Ahead,
}

enum Stage {
    Hearing(Frames),
    Recognizing(BoxFuture<'static, Vec<Hypothesis>>, Option<Frames>),
    Over(Option<Frames>),
}

/// Frames of sound in order; wiped from memory when they go.
#[derive(Default)]
struct Ahead(VecDeque<LinearFrame>);

impl Drop for Ahead {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|frame| frame.zeroize());
    }
}

/// Where a listening that is over has left off, for one that goes on from there.
pub(super) struct Rest {
    frames: Frames,
    ahead: Ahead,
}

/// Frames that are kept while an utterance is recognized: 10 s, longer than that takes.
const AHEAD_MAX: usize = 500;

impl Listening {
    /// Begins; or what the script is told instead.
    pub(super) fn begin(
        wanted: Listen,
        recognizer: &Recognizer,
        takes: Takes,
        leg: Option<&Leg>,
        rest: Option<Rest>,
    ) -> Result<Self, Box<Input>> {
        let failed = |listen, error| Box::new(Input::ListenFailed { listen, error });
        let grammars = wanted.grammars.iter().map(|one| one.grammar());
        if let Err(error) = recognizer.admit(grammars, wanted.language.as_deref()) {
            return Err(failed(wanted.listen, error));
        }
        let Some(leg) = leg else {
            let error = ListenError::NoResource("the callee is gone".into());
            return Err(failed(wanted.listen, error));
        };
        let (frames, ahead) = match rest {
            Some(rest) => (rest.frames, rest.ahead),
            None => (leg.listen(), Ahead::default()),
        };
        Ok(Self {
            wanted,
            recognizer: recognizer.clone(),
            takes,
            stage: Stage::Hearing(frames),
            utterance: Utterance::default(),
            ahead,
        })
    }

    /// Where it has left off, once it is over.
    pub(super) fn rest(self) -> Option<Rest> {
        match self.stage {
            Stage::Over(Some(frames)) => Some(Rest { frames, ahead: self.ahead }),
            _ => None,
        }
    }

    /// The next thing to tell, and whether it is the last. May be dropped and asked again; no
    /// sound is lost by it.
    pub(super) async fn next(&mut self) -> (Input, Last) {
        let listen = self.wanted.listen;
        loop {
            match &mut self.stage {
                Stage::Hearing(frames) => {
                    let frame = match self.ahead.0.pop_front() {
                        Some(frame) => Some(frame),
                        None => frames.next().await.map(|frame| frame.heard),
                    };
                    let Some(frame) = frame else {
                        self.stage = Stage::Over(None);
                        continue;
                    };
                    match self.hear(&frame) {
                        Noticed::Nothing => {}
                        Noticed::Speech => return (Input::SpeechStarted { listen }, Last::No),
                        Noticed::End => self.recognize(),
                        Noticed::TooLong => {
                            self.stage = Stage::Over(self.take_frames());
                            return (Input::SpeechTooLong { listen }, Last::Yes);
                        }
                    }
                }
                Stage::Recognizing(work, frames) => {
                    let hypotheses = tokio::select! {
                        hypotheses = work => hypotheses,
                        frame = next_frame(frames) => {
                            self.hear_ahead(frame);
                            continue;
                        }
                    };
                    self.stage = Stage::Over(self.take_frames());
                    let heard = Heard { hypotheses, recording: self.keep() };
                    return (Input::Heard { listen, heard }, Last::Yes);
                }
                Stage::Over(_) => std::future::pending::<()>().await,
            }
        }
    }

    fn take_frames(&mut self) -> Option<Frames> {
        match std::mem::replace(&mut self.stage, Stage::Over(None)) {
            Stage::Hearing(frames) => Some(frames),
            Stage::Recognizing(_, frames) | Stage::Over(frames) => frames,
        }
    }

    /// What is said during recognition is for whoever listens next.
    fn hear_ahead(&mut self, frame: LinearFrame) {
        if self.ahead.0.len() >= AHEAD_MAX
            && let Some(mut oldest) = self.ahead.0.pop_front()
        {
            oldest.zeroize();
        }
        self.ahead.0.push_back(frame);
    }

    fn hear(&mut self, frame: &LinearFrame) -> Noticed {
        if self.utterance.hear(frame) {
            return Noticed::Speech;
        }
        if !self.utterance.speaks() {
            return Noticed::Nothing;
        }
        let silence = self.wanted.complete.max(self.wanted.incomplete).unwrap_or(SILENCE_DEFAULT);
        let speech_max = self.wanted.speech_max.unwrap_or(SPEECH_TIME_MAX_DEFAULT);
        if self.utterance.quiet() >= silence {
            Noticed::End
        } else if self.utterance.duration() >= speech_max.min(SPEECH_TIME_MAX) {
            Noticed::TooLong
        } else {
            Noticed::Nothing
        }
    }

    fn recognize(&mut self) {
        let recognizer = self.recognizer.clone();
        let mut samples: Vec<i16> = self.utterance.samples().collect();
        let grammars = self.wanted.grammars.iter();
        let grammars: Vec<Arc<Grammar>> = grammars.map(|one| Arc::clone(one.grammar())).collect();
        let most = usize::try_from(self.wanted.hypotheses_max).unwrap_or(usize::MAX).max(1);
        let work = async move {
            let found = recognizer.recognize(&grammars, &samples).await;
            samples.zeroize();
            let mut found = found.unwrap_or_else(|error| {
                // To the callee it is as if he had not been understood, and he is asked again.
                tracing::warn!(%error, "an utterance was not recognized");
                Vec::new()
            });
            found.truncate(most);
            found
        };
        self.stage = Stage::Recognizing(work.boxed(), self.take_frames());
    }

    /// Keeps the utterance where the script wants it.
    fn keep(&self) -> Option<Recorded> {
        let recording = self.wanted.recording?;
        let sound = self.utterance.samples().map(|sample| Law::Mu.encode(sample)).collect();
        let bytes = self.takes.keep(recording, MEDIA_TYPE, Law::Mu, sound)?;
        let duration = self.utterance.duration();
        Some(Recorded { end: RecordEnd::Silence, duration, bytes })
    }
}

/// The next frame; never comes back where there are no more.
async fn next_frame(frames: &mut Option<Frames>) -> LinearFrame {
    if let Some(open) = frames
        && let Some(frame) = open.next().await
    {
        return frame.heard;
    }
    *frames = None;
    std::future::pending().await
}

/// Whether a listening is over with what it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    No,
    Yes,
}

enum Noticed {
    End,
    Nothing,
    Speech,
    TooLong,
}
