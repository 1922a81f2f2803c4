//! Records the callee for a script: beep, sound through the recorder, the recording into memory.

use media::g711::Law;
use media::playlist::{Bargein, Playable};
use media::recorder::{Effect, Ending, Input as Heard, RecordRule, Recorder};
use media::tone::Tone;
use script::step::{Input, PlayId, Record, RecordEnd, Recorded};
use std::time::Duration;

use crate::files::{Take, Takes};
use crate::rtp_io::{Frames, PlayItem};
use crate::switch::Leg;

/// The tone before a recording; no script has a playing of this number.
pub(super) const BEEP: PlayId = PlayId(u32::MAX);
/// What it sounds like: as answering machines do.
const BEEP_HZ: f32 = 1_000.0;
const BEEP_TIME: Duration = Duration::from_millis(300);
/// Silence that is heard before speech, where the script asks for none at all.
const TIMEOUT_MIN: Duration = Duration::from_millis(200);

/// A recording for a script.
pub(super) struct Recording {
    wanted: Record,
    law: Law,
    takes: Takes,
    stage: Stage,
}

enum Stage {
    /// The tone sounds.
    Beep,
    Recording(Box<Recorder>, Frames),
    /// The leg is gone; the script will say what is to be done with what there is.
    Orphaned(Box<Recorder>),
    Over,
}

impl Recording {
    /// Begins; `leg` is that of the callee.
    pub(super) fn begin(wanted: Record, takes: Takes, leg: &Leg) -> Self {
        let law = Take::law_of(&wanted.media_type);
        let mut recording = Self { wanted, law, takes, stage: Stage::Beep };
        if recording.wanted.beep {
            let sound = Playable::Tone(Tone::beep(BEEP_HZ, BEEP_TIME));
            leg.play(BEEP, vec![PlayItem { sound, bargein: Bargein::Forbidden }]);
        } else {
            recording.listen(leg);
        }
        recording
    }

    /// The tone is over.
    pub(super) fn beeped(&mut self, leg: Option<&Leg>) {
        if let (Stage::Beep, Some(leg)) = (&self.stage, leg) {
            self.listen(leg);
        }
    }

    /// Waits for the recording's own end; never comes back where only the script can end it. May
    /// be dropped and asked again; no sound is lost by it.
    pub(super) async fn next(&mut self) -> Input {
        while let Stage::Recording(recorder, frames) = &mut self.stage {
            let Some(frame) = frames.next().await else {
                if let Stage::Recording(recorder, _) =
                    std::mem::replace(&mut self.stage, Stage::Over)
                {
                    self.stage = Stage::Orphaned(recorder);
                }
                break;
            };
            recorder.handle(Heard::Frame(&frame.heard));
            while let Some(effect) = recorder.poll() {
                if let Effect::Ended(ending) = effect {
                    return self.end(ending);
                }
            }
        }
        std::future::pending().await
    }

    /// The script ends it.
    pub(super) fn stop(mut self) -> Input {
        self.end(Ending::Stopped)
    }

    fn listen(&mut self, leg: &Leg) {
        let rule = RecordRule {
            final_silence: self.wanted.final_silence,
            time_max: self.wanted.time_max,
            timeout: self.wanted.timeout.max(TIMEOUT_MIN),
        };
        let recorder = Box::new(Recorder::new(rule, self.law));
        self.stage = Stage::Recording(recorder, leg.listen());
    }

    fn end(&mut self, ending: Ending) -> Input {
        let recording = self.wanted.recording;
        let recorder = match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Recording(mut recorder, _) | Stage::Orphaned(mut recorder) => {
                recorder.handle(Heard::Stop);
                Some(recorder)
            }
            Stage::Beep | Stage::Over => None,
        };
        let duration = recorder.as_ref().map_or(Duration::ZERO, |recorder| recorder.duration());
        let sound = recorder.map(|recorder| recorder.into_bytes()).unwrap_or_default();
        let end = match ending {
            Ending::Full => RecordEnd::Full,
            Ending::NoInput => RecordEnd::NoInput,
            Ending::Silence => RecordEnd::Silence,
            Ending::Stopped => RecordEnd::Stopped,
        };
        let kept = match sound.is_empty() {
            true => Some(0),
            false => self.takes.keep(recording, &self.wanted.media_type, self.law, sound),
        };
        match kept {
            Some(bytes) => {
                Input::Recorded { recording, recorded: Recorded { end, duration, bytes } }
            }
            None => {
                let reason = "the recordings of this call are too long together".to_owned();
                Input::RecordFailed { recording, reason }
            }
        }
    }
}
