//! Writes down what is said in a call: each direction cut into utterances, and these recognized.
//!
//! Two tasks: one cuts, and never waits; the other recognizes, one utterance after the other.

use std::time::Duration;

use script::step::{Input, Transcribe, Transcribed, TranscriptId};
use tokio::sync::{mpsc, oneshot};
use zeroize::Zeroize as _;

use super::CallTask;
use super::utterance::{SILENCE_DEFAULT, Utterance};
use crate::recognizer::Recognizer;
use crate::rtp_io::{Directions, Frames, LegFrame};

/// Longest utterance: longer speech is cut, mid-word if need be.
const UTTERANCE_TIME_MAX: Duration = Duration::from_secs(15);
/// Utterances that wait for the recognizer; on a machine that cannot follow, later ones are lost.
const WAITING_MAX: usize = 16;
/// Pieces that wait for the call.
const PIECES_MAX: usize = 32;

type Piece = Result<Option<Transcribed>, String>;

/// A transcription under way; dropped, nothing more is said of it.
pub(super) struct Transcript {
    transcript: TranscriptId,
    pieces: mpsc::Receiver<Piece>,
    stop: Option<oneshot::Sender<()>>,
}

/// What somebody said in one go.
struct Said {
    samples: Vec<i16>,
    by_callee: bool,
}

/// Cuts utterances out of one direction.
struct Cutter {
    by_callee: bool,
    utterance: Utterance,
}

impl Transcript {
    /// The next piece of it. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Input {
        match self.pieces.recv().await {
            Some(piece) => Input::Transcribed { transcript: self.transcript, piece },
            None => std::future::pending().await,
        }
    }

    fn begin(wanted: &Transcribe, recognizer: Recognizer, frames: Frames) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (utterances, waiting) = mpsc::channel(WAITING_MAX);
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let directions = [(wanted.callee, true), (wanted.heard, false)];
        let cutters = directions.into_iter().filter(|(is_wanted, _)| *is_wanted);
        let cutters = cutters.map(|(_, by_callee)| Cutter::new(by_callee)).collect();
        tokio::spawn(cut(cutters, frames, utterances, stopped));
        tokio::spawn(write_down(recognizer, waiting, sender));
        Self { transcript: wanted.transcript, pieces, stop: Some(stop) }
    }
}

impl CallTask {
    /// Writes down what is said from now on, where somebody can.
    pub(super) async fn transcribe(&mut self, wanted: Transcribe) {
        let recognizer = self.parts.recognizer.clone();
        let refused = recognizer.admit_dictation(wanted.language.as_deref()).await.err();
        let refused = refused.map(|error| error.to_string());
        match (refused, &self.leg) {
            (None, Some(leg)) => {
                let both = if wanted.heard { Directions::Both } else { Directions::Heard };
                self.transcript = Some(Transcript::begin(&wanted, recognizer, leg.tap(both)));
            }
            (refused, _) => {
                let why = refused.unwrap_or_else(|| "the callee is gone".to_owned());
                let transcript = wanted.transcript;
                self.answer(Input::Transcribed { transcript, piece: Err(why) });
            }
        }
    }

    /// Writes down no more; what was said until now is still told.
    pub(super) fn stop_transcribing(&mut self) {
        if let Some(stop) = self.transcript.as_mut().and_then(|it| it.stop.take()) {
            stop.send(()).ok();
        }
    }
}

/// Cuts until the leg is gone or nobody wants more.
async fn cut(
    mut cutters: Vec<Cutter>,
    mut frames: Frames,
    utterances: mpsc::Sender<Said>,
    mut stopped: oneshot::Receiver<()>,
) {
    loop {
        let frame = tokio::select! {
            frame = frames.next() => frame,
            _ = &mut stopped => None,
        };
        let Some(frame) = frame else {
            break;
        };
        for cutter in &mut cutters {
            pass(&utterances, cutter.hear(&frame));
        }
    }
    for cutter in &mut cutters {
        pass(&utterances, cutter.end());
    }
}

fn pass(utterances: &mpsc::Sender<Said>, said: Option<Said>) {
    let Some(said) = said else {
        return;
    };
    if let Err(error) = utterances.try_send(said) {
        tracing::warn!(%error, "an utterance is not written down: the recognizer cannot follow");
    }
}

/// Recognizes until there is nothing more to come.
async fn write_down(
    recognizer: Recognizer,
    mut waiting: mpsc::Receiver<Said>,
    pieces: mpsc::Sender<Piece>,
) {
    while let Some(mut said) = waiting.recv().await {
        let found = recognizer.dictate(&said.samples).await;
        said.samples.zeroize();
        match found {
            Ok(Some(heard)) => {
                let by_callee = said.by_callee;
                let piece = Transcribed { hypotheses: vec![heard], is_final: true, by_callee };
                if pieces.send(Ok(Some(piece))).await.is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "an utterance was not written down"),
        }
    }
    pieces.send(Ok(None)).await.ok();
}

impl Cutter {
    fn new(by_callee: bool) -> Self {
        Self { by_callee, utterance: Utterance::default() }
    }

    /// 20 ms more; what has ended with them.
    fn hear(&mut self, frame: &LegFrame) -> Option<Said> {
        let utterance = &mut self.utterance;
        utterance.hear(if self.by_callee { &frame.heard } else { &frame.said });
        let is_over =
            utterance.quiet() >= SILENCE_DEFAULT || utterance.duration() >= UTTERANCE_TIME_MAX;
        if is_over { self.end() } else { None }
    }

    /// What was said until now.
    fn end(&mut self) -> Option<Said> {
        let by_callee = self.by_callee;
        self.utterance.take().map(|samples| Said { samples, by_callee })
    }
}

#[cfg(test)]
mod tests {
    use media::FRAME_SAMPLES;

    use super::*;

    /// Frames of speech-like noise, or silence; what is cut out of them, in frames.
    fn cut_out(parts: &[(bool, usize)]) -> Vec<usize> {
        let mut cutter = Cutter::new(true);
        let mut found = Vec::new();
        for (speaks, frames) in parts {
            for nth in 0..*frames {
                let level = if *speaks { 6_000 } else { 0 };
                let mut heard = [0_i16; FRAME_SAMPLES];
                for (at, sample) in heard.iter_mut().enumerate() {
                    let turn = (nth * FRAME_SAMPLES + at) / 20 % 2;
                    *sample = if turn == 0 { level } else { -level };
                }
                found.extend(cutter.hear(&LegFrame::heard(heard)));
            }
        }
        found.extend(cutter.end());
        found.iter().map(|it| it.samples.len() / FRAME_SAMPLES).collect()
    }

    #[test]
    fn speech_is_cut_where_it_pauses_and_silence_is_nothing() {
        assert_eq!(cut_out(&[(false, 200)]), [0; 0]);
        let cut = cut_out(&[(false, 50), (true, 50), (false, 60), (true, 30), (false, 60)]);
        assert_eq!(cut.len(), 2, "{cut:?}");
        assert!(cut[0] > 60 && cut[0] < 120, "{cut:?}");
        // Who speaks without a pause is cut in the middle.
        assert_eq!(cut_out(&[(true, 1_000)]).len(), 2);
    }
}
