//! Listens to what the callee says for a script: an utterance cut out of his sound, and recognized.

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
}

enum Stage {
    Hearing(Frames),
    Recognizing(BoxFuture<'static, Vec<Hypothesis>>),
    Over,
}

impl Listening {
    /// Begins; or what the script is told instead.
    pub(super) fn begin(
        wanted: Listen,
        recognizer: &Recognizer,
        takes: Takes,
        leg: Option<&Leg>,
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
        Ok(Self {
            wanted,
            recognizer: recognizer.clone(),
            takes,
            stage: Stage::Hearing(leg.listen()),
            utterance: Utterance::default(),
        })
    }

    /// The next thing to tell, and whether it is the last. May be dropped and asked again; no
    /// sound is lost by it.
    pub(super) async fn next(&mut self) -> (Input, Last) {
        let listen = self.wanted.listen;
        loop {
            match &mut self.stage {
                Stage::Hearing(frames) => {
                    let Some(frame) = frames.next().await else {
                        self.stage = Stage::Over;
                        continue;
                    };
                    match self.hear(&frame.heard) {
                        Noticed::Nothing => {}
                        Noticed::Speech => return (Input::SpeechStarted { listen }, Last::No),
                        Noticed::End => self.recognize(),
                        Noticed::TooLong => {
                            self.stage = Stage::Over;
                            return (Input::SpeechTooLong { listen }, Last::Yes);
                        }
                    }
                }
                Stage::Recognizing(work) => {
                    let hypotheses = work.await;
                    self.stage = Stage::Over;
                    let heard = Heard { hypotheses, recording: self.keep() };
                    return (Input::Heard { listen, heard }, Last::Yes);
                }
                Stage::Over => std::future::pending::<()>().await,
            }
        }
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
        self.stage = Stage::Recognizing(work.boxed());
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
