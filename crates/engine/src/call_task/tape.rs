//! Records a whole call to disk beside whatever else happens in it: mixed, or each side by itself.
//!
//! A task of its own takes the sound and writes it a second at a time, where it may take its time.
//! A disk that is full or broken ends the recording, which is told; the call goes on.

use std::io;

use domain::event::{EventKind, recorded_detail};
use domain::ids::AttemptId;
use domain::policy::CallRecording;
use media::RATE_HZ;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::CallTask;
use crate::config::TapeState;
use crate::files::{TapeDir, TapeFile, blocking, recording_address, tape_sample};
use crate::rtp_io::{Directions, Frames, LegFrame};
use crate::switch::Leg;

/// A recording of a call; dropped, it goes on until its leg is gone, and is finished then.
#[derive(Debug)]
pub(super) struct Tape {
    work: JoinHandle<io::Result<u32>>,
    channels: u16,
}

impl Tape {
    /// Begins.
    pub(super) fn begin(
        dir: &TapeDir,
        attempt: AttemptId,
        recording: CallRecording,
        state: watch::Receiver<TapeState>,
        leg: &Leg,
    ) -> Self {
        let channels = recording.channels();
        let (dir, frames) = (dir.clone(), leg.tap(Directions::Both));
        let work = async move {
            let file = blocking(move || dir.begin(attempt, channels)).await?;
            write(file, channels, frames, state).await
        };
        let work = tokio::runtime::Handle::current().spawn(work);
        Self { work, channels }
    }

    /// Waits until it is finished, which it is soon after its leg is gone: its length in seconds,
    /// or why there is none.
    pub(super) async fn finished(self) -> Result<f64, String> {
        match self.work.await {
            Ok(Ok(bytes)) => Ok(f64::from(bytes) / f64::from(RATE_HZ * u32::from(self.channels))),
            Ok(Err(error)) => Err(error.to_string()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl CallTask {
    /// Records the call from now on, if it is not recorded already.
    pub(super) fn begin_tape(&mut self, recording: CallRecording) {
        let attempt = self.begun.attempt.id;
        if self.tape.is_some() || recording == CallRecording::None {
            return;
        }
        if let Some(leg) = &self.leg {
            let state = self.parts.calls.tape(attempt);
            self.tape = Some(Tape::begin(&self.parts.tapes, attempt, recording, state, leg));
        }
    }

    /// Records a part of the call, of one that is not recorded as a whole.
    pub(super) fn begin_part(&mut self, recording: CallRecording) {
        if recording == CallRecording::None {
            return;
        }
        if self.tape.is_none() {
            self.tapes_parts = true;
            self.begin_tape(recording);
        } else if self.tapes_parts {
            self.parts.calls.set_tape(self.begun.attempt.id, TapeState::Running);
        }
    }

    /// That part is over.
    pub(super) fn end_part(&mut self, recording: CallRecording) {
        if recording != CallRecording::None && self.tapes_parts {
            self.parts.calls.set_tape(self.begun.attempt.id, TapeState::Off);
        }
    }

    /// Waits for the recording, and says where it is.
    pub(super) async fn finish_tape(&mut self) {
        // Its frames end with the leg.
        self.leg = None;
        let Some(tape) = self.tape.take() else {
            return;
        };
        let (call, attempt) = (self.begun.contact.id, self.begun.attempt.id);
        let told = match tape.finished().await {
            Ok(seconds) => {
                let address = recording_address(call, attempt);
                recorded_detail(&address, seconds, self.parts.switch.host())
            }
            Err(error) => {
                tracing::error!(call.id = %attempt, error, "a call is not recorded");
                format!("not recorded: {error}")
            }
        };
        self.note(EventKind::Recorded, &told).await;
    }
}

/// Writes until no frames come any more.
async fn write(
    mut file: TapeFile,
    channels: u16,
    mut frames: Frames,
    state: watch::Receiver<TapeState>,
) -> io::Result<u32> {
    let second = RATE_HZ as usize * usize::from(channels);
    let mut samples = Vec::with_capacity(second + 1_000);
    while let Some(frame) = frames.next().await {
        let frame = match *state.borrow() {
            TapeState::Off => continue,
            TapeState::Paused => LegFrame::SILENCE,
            TapeState::Running => frame,
        };
        keep(&frame, channels, &mut samples);
        if samples.len() >= second {
            let full = std::mem::replace(&mut samples, Vec::with_capacity(second + 1_000));
            file = blocking(move || file.append(&full).map(|()| file)).await?;
        }
    }
    blocking(move || {
        file.append(&samples)?;
        file.finish()
    })
    .await
}

/// Adds 20 ms: both sides as one, or the far end's and then ours, sample by sample.
fn keep(frame: &LegFrame, channels: u16, samples: &mut Vec<u8>) {
    for (heard, said) in frame.heard.iter().zip(&frame.said) {
        if channels == 1 {
            samples.push(tape_sample(heard.saturating_add(*said)));
        } else {
            samples.extend([tape_sample(*heard), tape_sample(*said)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use media::FRAME_SAMPLES;
    use media::g711::Law;

    use super::*;
    use crate::rtp_io::frames::channel;

    const ATTEMPT: AttemptId = AttemptId(5);

    /// Four frames, the second while it is paused, the third while it is off; the samples of the
    /// file.
    async fn recorded(channels: u16) -> Vec<i16> {
        let dir = tempfile::tempdir().unwrap();
        let tapes = TapeDir::open(dir.path()).unwrap();
        let (pause, state) = watch::channel(TapeState::Running);
        let (mut sink, frames) = channel();
        let file = tapes.begin(ATTEMPT, channels).unwrap();
        let writing = tokio::spawn(write(file, channels, frames, state));
        for state in [TapeState::Running, TapeState::Paused, TapeState::Off, TapeState::Running] {
            pause.send_replace(state);
            let said = [100; FRAME_SAMPLES];
            sink.push(LegFrame { said, ..LegFrame::heard([1_000; FRAME_SAMPLES]) });
            // Until it was taken.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(sink);
        let bytes = writing.await.unwrap().unwrap();
        assert_eq!(bytes as usize, 3 * FRAME_SAMPLES * usize::from(channels));
        let (mut kept, length) = tapes.open_tape(ATTEMPT).unwrap().unwrap();
        let mut file = Vec::new();
        io::Read::read_to_end(&mut kept, &mut file).unwrap();
        assert_eq!(file.len() as u64, length);
        let samples = &file[file.len() - bytes as usize..];
        samples.iter().map(|byte| Law::Mu.decode(*byte)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn both_sides_are_one_channel_with_silence_where_it_was_paused() {
        let samples = recorded(1).await;
        let levels: Vec<i16> = samples.chunks(FRAME_SAMPLES).map(|frame| frame[0]).collect();
        assert_eq!(levels[1], 0);
        assert!((1_050..1_150).contains(&levels[0]) && levels[2] == levels[0], "{levels:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn each_side_has_a_channel_of_its_own() {
        let samples = recorded(2).await;
        assert!((950..1_050).contains(&samples[0]) && (90..110).contains(&samples[1]));
    }
}
