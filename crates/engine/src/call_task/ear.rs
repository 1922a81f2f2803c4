//! Listens for who answers: the far end's sound through the classifier, on a task of its own.
//!
//! Neither the threads that pace audio nor a script that computes make it late, nor it them. It
//! ends by itself once there is nothing more to find out, with the leg, or when nobody asks.

mod said;

use std::time::{Duration, Instant};

use domain::call::Input;
use domain::detection::{AnswerClock, Detected, DetectionRules, Heard};
use media::classify::{
    self, Callee, Classifier, Effect, Greeting, Mode, Settings, SitCode, Verdict,
};
use media::tone::Sit;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use self::said::Said;
use super::CallParts;
use crate::clock::Clock;
use crate::recognizer::Recognizer;
use crate::rtp_io::Frames;

/// Shortest pause that makes a person where a greeting is to be heard to its end: what is said to a
/// machine that was taken for a person is said into its greeting, and cannot be taken back.
const PERSON_PAUSE_BEFORE_GREETINGS: Duration = Duration::from_millis(340);
/// Findings that wait for the call; one has less than a dozen.
const FINDINGS_MAX: usize = 64;

/// How a call's classifier is told of the answer, and what it finds.
pub(super) struct Ear {
    answered: Option<oneshot::Sender<()>>,
    findings: mpsc::Receiver<Input>,
}

impl Ear {
    /// Listens to these frames from now on.
    pub(super) fn open(parts: &CallParts, frames: Frames, settings: Settings) -> Self {
        let hears_words = !settings.words_time.is_zero();
        let recognizer = hears_words.then(|| parts.recognizer.clone());
        Self::begin(parts.clock.clone(), recognizer, frames, settings)
    }

    fn begin(
        clock: Clock,
        recognizer: Option<Recognizer>,
        frames: Frames,
        settings: Settings,
    ) -> Self {
        let (answered, is_answered) = oneshot::channel();
        let (sender, findings) = mpsc::channel(FINDINGS_MAX);
        let listening = Listening {
            classifier: Classifier::new(settings),
            clock,
            findings: sender,
            told: None,
            awaits_greeting: settings.greeting == Greeting::Await,
            recognizer,
            said: Said::default(),
            reading: JoinSet::new(),
        };
        tokio::spawn(listening.run(frames, is_answered));
        Self { answered: Some(answered), findings }
    }

    /// The call is answered: the clock runs.
    pub(super) fn answered(&mut self) {
        if let Some(answered) = self.answered.take() {
            // One that has found all already listens no more.
            answered.send(()).ok();
        }
    }

    /// The next finding; `None` once there are no more. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> Option<Input> {
        self.findings.recv().await
    }
}

/// How a classifier is to decide by these rules; `base` has what the server is set to.
pub(super) fn settings(base: Settings, rules: &DetectionRules, awaits_greeting: bool) -> Settings {
    let person_pause = if awaits_greeting {
        base.person_pause.max(PERSON_PAUSE_BEFORE_GREETINGS)
    } else {
        base.person_pause
    };
    Settings {
        person_pause,
        mode: match rules.clock {
            AnswerClock::Answer => Mode::AnswerDetect,
            AnswerClock::Connect => Mode::NetworkConnect,
        },
        decide_within: rules.decide_within,
        greeting: if awaits_greeting { Greeting::Await } else { Greeting::Ignore },
        ..base
    }
}

/// A classifier at work.
struct Listening {
    classifier: Classifier,
    clock: Clock,
    findings: mpsc::Sender<Input>,
    /// The last that was told, and whether it was firm.
    told: Option<(Callee, bool)>,
    /// Whether the end of a greeting is still to be told.
    awaits_greeting: bool,
    /// Who reads words, if anybody does, what was said for it, and what is being read.
    recognizer: Option<Recognizer>,
    said: Said,
    reading: JoinSet<Option<String>>,
}

impl Listening {
    async fn run(mut self, mut frames: Frames, mut is_answered: oneshot::Receiver<()>) {
        let mut waits_for_answer = true;
        loop {
            let due = self.classifier.deadline();
            let sleep = due.map(|(at, _)| at.saturating_duration_since(self.clock.instant()));
            tokio::select! {
                // The answer first: frames that came with it belong to it.
                biased;
                answered = &mut is_answered, if waits_for_answer => {
                    waits_for_answer = false;
                    if answered.is_err() {
                        return;
                    }
                    self.said = Said::default();
                    self.feed(classify::Input::Answered);
                }
                Some(read) = self.reading.join_next() => match read {
                    Ok(Some(words)) => self.feed(classify::Input::Words(&words)),
                    Ok(None) | Err(_) => self.feed(classify::Input::Unread),
                },
                frame = frames.next() => match frame {
                    Some(frame) => {
                        if self.recognizer.is_some() {
                            self.said.push(&frame.heard);
                        }
                        self.feed(classify::Input::Frame(&frame.heard));
                    }
                    None => self.feed(classify::Input::Stop),
                },
                () = sleep_for(sleep) => {
                    if let Some((_, timer)) = due.filter(|(at, _)| *at <= self.clock.instant()) {
                        self.feed(classify::Input::Expired(timer));
                    }
                }
            }
            if self.tell() {
                return;
            }
        }
    }

    fn feed(&mut self, input: classify::Input<'_>) {
        let now: Instant = self.clock.instant();
        self.classifier.handle(now, input);
    }

    /// Passes on what was found; whether that was all.
    fn tell(&mut self) -> bool {
        let mut is_over = self.findings.is_closed();
        while let Some(effect) = self.classifier.poll() {
            let finding = match effect {
                Effect::BeepStarted { from, hz } => {
                    tracing::trace!(?from, hz, "beep");
                    None
                }
                Effect::BeepEnded { .. } => None,
                Effect::WordsWanted { .. } => {
                    self.read();
                    None
                }
                Effect::Decided(verdict)
                | Effect::Confirmed(verdict)
                | Effect::Revised { verdict, .. } => self.found(verdict),
                Effect::GreetingEnded { by_beep, .. } => {
                    self.awaits_greeting = false;
                    Some(Input::GreetingEnded { by_beep })
                }
                Effect::Quiet { .. } => Some(Input::Quiet),
                Effect::Finished(verdict) => {
                    is_over = true;
                    self.found(verdict)
                }
            };
            if let Some(finding) = finding {
                self.send(finding);
            }
        }
        let is_machine = matches!(self.told, Some((Callee::Machine, true)));
        if is_over && self.awaits_greeting && is_machine {
            // A greeting longer than any: whoever waits for its end has waited long enough.
            self.send(Input::GreetingEnded { by_beep: false });
        }
        is_over
    }

    /// Has it read what was said lately, on a task of its own.
    fn read(&mut self) {
        let Some(recognizer) = self.recognizer.clone() else { return };
        let samples = self.said.samples();
        self.reading.spawn(async move {
            match recognizer.spot(&samples).await {
                Ok(phrases) => Some(phrases.join("\n")),
                Err(error) => {
                    tracing::debug!(%error, "what a callee said is not read");
                    None
                }
            }
        });
    }

    fn send(&self, finding: Input) {
        if let Err(error) = self.findings.try_send(finding) {
            tracing::debug!(%error, "nobody asks who answered");
        }
    }

    /// A verdict, unless it was told already.
    fn found(&mut self, verdict: Verdict) -> Option<Input> {
        let is_known = matches!(self.told, Some((callee, is_firm))
            if callee == verdict.callee && (is_firm || !verdict.is_firm));
        self.told = Some((verdict.callee, verdict.is_firm));
        (!is_known).then(|| Input::Detected(detected(verdict)))
    }
}

async fn sleep_for(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time + Duration::from_millis(1)).await,
        None => std::future::pending().await,
    }
}

/// A verdict in the domain's words.
fn detected(verdict: Verdict) -> Detected {
    let (heard, code) = match verdict.callee {
        Callee::Busy => (Heard::Busy, ""),
        Callee::CallScreener => (Heard::CallScreener, ""),
        Callee::Fax => (Heard::Fax, ""),
        Callee::Human => (Heard::Human, ""),
        Callee::Machine => (Heard::Machine, ""),
        Callee::Music => (Heard::Music, ""),
        Callee::Reorder => (Heard::Reorder, ""),
        Callee::Ringback => (Heard::Ringback, ""),
        Callee::Silence => (Heard::Silence, ""),
        Callee::Sit(SitCode::Coded(code)) => sit(code),
        Callee::Sit(SitCode::Uncoded) => (Heard::SitUncoded, ""),
        Callee::Unknown => (Heard::Unknown, ""),
    };
    Detected {
        heard,
        code,
        percent: (verdict.probability.clamp(0.0, 1.0) * 100.0).round() as u8,
        after: verdict.at,
        is_firm: verdict.is_firm,
    }
}

/// What special information tones mean (Telcordia's codes; docs/callee-type.md).
const fn sit(code: Sit) -> (Heard, &'static str) {
    match code {
        Sit::Intercept => (Heard::SitNumber, "IC"),
        Sit::VacantCode => (Heard::SitNumber, "VC"),
        Sit::NoCircuit => (Heard::SitNetwork, "NC"),
        Sit::NoCircuitInterLata => (Heard::SitNetwork, "NC''"),
        Sit::Reorder => (Heard::SitNetwork, "RO"),
        Sit::ReorderInterLata => (Heard::SitNetwork, "RO''"),
        Sit::IneffectiveOther => (Heard::SitNetwork, "IO"),
        Sit::Reserved => (Heard::SitNetwork, "#2"),
    }
}

#[cfg(test)]
mod tests {
    use domain::outcome::CalleeType;

    use super::*;
    use crate::rtp_io::LegFrame;
    use crate::rtp_io::frames::channel;

    /// What is found in seconds of sound; answered at once.
    async fn found(sound: &[i16], rules: &DetectionRules, awaits_greeting: bool) -> Vec<Input> {
        let (mut sink, frames) = channel();
        let settings = settings(Settings::default(), rules, awaits_greeting);
        let mut ear = Ear::begin(Clock::new(), None, frames, settings);
        ear.answered();
        tokio::task::yield_now().await;
        for frame in sound.chunks_exact(media::FRAME_SAMPLES) {
            let mut heard = [0; media::FRAME_SAMPLES];
            heard.copy_from_slice(frame);
            if !sink.push(LegFrame::heard(heard)) {
                break;
            }
            // The other task runs on this thread, one frame at a time.
            tokio::task::yield_now().await;
        }
        drop(sink);
        let mut findings = Vec::new();
        while let Some(finding) = ear.next().await {
            findings.push(finding);
        }
        findings
    }

    fn tone(tone: media::tone::Tone, frames: usize) -> Vec<i16> {
        let mut samples = vec![0; frames * media::FRAME_SAMPLES];
        media::tone::Generator::new(tone).fill(&mut samples);
        samples
    }

    #[tokio::test]
    async fn tones_of_a_vacant_number_are_told_with_their_code() {
        let sound = tone(media::tone::Tone::sit(Sit::Intercept), 100);
        let findings = found(&sound, &DetectionRules::TELL, false).await;
        let [Input::Detected(found)] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!((found.heard, found.code, found.is_firm), (Heard::SitNumber, "IC", true));
    }

    #[test]
    fn people_are_believed_later_where_a_greeting_is_to_be_heard() {
        let rules = DetectionRules::TELL;
        let pauses = |own_ms: u64| {
            let person_pause = Duration::from_millis(own_ms);
            let base = Settings { person_pause, ..Settings::default() };
            [false, true].map(|awaits| settings(base, &rules, awaits).person_pause.as_millis())
        };
        assert_eq!([pauses(140), pauses(700)], [[140, 340], [700, 700]]);
    }

    #[tokio::test]
    async fn silence_is_told_as_quiet_and_at_last_as_nobody() {
        let findings = found(&[0; 8_000 * 6], &DetectionRules::TELL, true).await;
        let [Input::Quiet, Input::Detected(found)] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(found.heard.callee_type(), CalleeType::Unknown);
        assert!(found.is_firm);
    }

    #[tokio::test]
    async fn leg_that_ends_early_leaves_a_last_word_and_ear_that_nobody_asks_ends() {
        let findings = found(&[0; 8_000], &DetectionRules::TELL, true).await;
        assert!(matches!(&findings[..], [Input::Detected(found)] if found.is_firm), "{findings:?}");
        let (mut sink, frames) = channel();
        drop(Ear::begin(Clock::new(), None, frames, Settings::default()));
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        assert!(!sink.push(LegFrame::SILENCE), "its frames go nowhere");
    }
}
