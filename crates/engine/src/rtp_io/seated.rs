//! TASK for each leg that has no network: it sits in a room, speaks there and hears it, 20 ms by 20.
//!
//! What it does is that of a stream on a media thread, without packets. The room's own pace says how
//! much is heard; what is said keeps a pace of its own and is never hurried after a stall, for the
//! room would leave out what comes too fast.

use std::sync::Arc;
use std::time::Duration;

use media::LinearFrame;
use proto::rtp::{Codec, FRAME_SAMPLES, Frame, Key, Popped};
use script::step::PlayId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::endpoint::{Fate, Outbox};
use super::frames::{FrameSink, Frames, LegFrame, Taps, relayed};
use super::keys::{KeyPlan, Wanted};
use super::law::law;
use super::listener::{Heard, Listener};
use super::mailbox::{Command, Mailbox, Taken};
use super::player::{Player, Told};
use super::{Failure, MediaEvent, StreamStats};

/// Length of a frame.
const FRAME: Duration = Duration::from_millis(media::FRAME_MS as u64);
/// What is played is encoded so; the room has it linear.
const CODEC: Codec = Codec::Pcmu;

/// Who presses keys in the room.
pub(super) type Press = Box<dyn FnMut(Key) + Send>;

/// One leg in a room.
struct Seated {
    mailbox: Arc<Mailbox>,
    outbox: Outbox,
    said: FrameSink,
    heard: Frames,
    press: Press,
    player: Player<PlayId>,
    plan: KeyPlan,
    listener: Option<Listener>,
    taps: Taps,
    relay: Option<Frames>,
    closing: Option<Option<oneshot::Sender<StreamStats>>>,
}

/// Begins; it ends when it is closed, or nobody takes its events any more.
pub(super) fn begin(
    mailbox: Arc<Mailbox>,
    events: mpsc::Sender<MediaEvent>,
    (said, heard): (FrameSink, Frames),
    press: Press,
) {
    let seated = Seated {
        mailbox,
        outbox: Outbox::new(events),
        said,
        heard,
        press,
        player: Player::default(),
        plan: KeyPlan::default(),
        listener: None,
        taps: Taps::default(),
        relay: None,
        closing: None,
    };
    tokio::runtime::Handle::current().spawn(run(seated));
}

async fn run(mut seated: Seated) {
    let mut pace = interval(FRAME);
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut commands = Vec::new();
    loop {
        pace.tick().await;
        if seated.tick(&mut commands) == Fate::Closed {
            break;
        }
    }
    seated.mailbox.shut();
}

impl Seated {
    /// 20 ms.
    fn tick(&mut self, commands: &mut Vec<Command>) -> Fate {
        self.obey(commands);
        if let Some(receipt) = self.closing.take() {
            if let Some(receipt) = receipt {
                // Nothing was sent; who does not wait for the figures does not want them.
                let _ = receipt.send(StreamStats::default());
            }
            return Fate::Closed;
        }
        self.press_keys();
        self.speak();
        self.hear();
        self.outbox.flush();
        Fate::Open
    }

    fn obey(&mut self, commands: &mut Vec<Command>) {
        if self.mailbox.take(commands) == Taken::Overflowed {
            self.outbox.push(MediaEvent::Failed(Failure::Overflow));
        }
        for command in commands.drain(..) {
            match command {
                Command::Close(receipt) => self.closing = Some(receipt),
                // These are about packets.
                Command::Connect(_) | Command::Protect(_) | Command::Renegotiate(_) => {}
                Command::Keys(keys) => self.plan.add(&keys),
                Command::Listen(listener) => self.listener = listener,
                Command::Play(play, items) => {
                    if !self.player.play(play, CODEC, items) {
                        self.outbox.push(MediaEvent::Failed(Failure::Overflow));
                    }
                }
                Command::Relay(frames) => self.relay = frames,
                Command::StopPlay => {
                    self.player.stop();
                    self.outbox.forget_ends();
                }
                Command::Tap(directions, sink) => self.taps.add(directions, sink),
            }
        }
    }

    fn press_keys(&mut self) {
        match self.plan.tick() {
            Wanted::Done => self.outbox.push(MediaEvent::KeysSent),
            Wanted::Nothing => {}
            Wanted::Press(keys) => {
                keys.into_iter().for_each(&mut self.press);
                self.plan.sent();
            }
        }
    }

    fn speak(&mut self) {
        // Taken also while something else is heard, so that it is not late afterwards.
        let relayed = relayed(&mut self.relay);
        let mut frame: Frame = [CODEC.silence(); FRAME_SAMPLES];
        let outbox = &mut self.outbox;
        let plays = self.player.fill(CODEC, &mut frame, |told| {
            outbox.push(match told {
                Told::Ended(play) => MediaEvent::PlayEnded(play),
                Told::Mark(play, name) => MediaEvent::MarkReached(play, name),
            });
        });
        let said = if plays { Some(linear(&frame)) } else { relayed };
        if let Some(said) = said {
            self.said.push(LegFrame::heard(said));
        }
        if self.taps.want_said() {
            self.taps.say(said.unwrap_or([0; FRAME_SAMPLES]));
        }
    }

    /// All that the room has said since: more than one frame after a stall, or none.
    fn hear(&mut self) {
        let frames: Vec<LegFrame> = std::iter::from_fn(|| self.heard.try_next()).collect();
        let count = u32::try_from(frames.len()).unwrap_or(u32::MAX);
        for (nth, frame) in (0..count).zip(frames) {
            let samples = frame.heard;
            if let Some(listener) = &mut self.listener {
                listener(Heard { popped: Popped::Audio, samples: &samples });
            }
            self.taps.hear(samples, Popped::Audio, nth, count);
        }
        self.taps.end_tick(0);
    }
}

fn linear(frame: &Frame) -> LinearFrame {
    let mut samples = [0; FRAME_SAMPLES];
    law(CODEC).decode_into(frame, &mut samples);
    samples
}
