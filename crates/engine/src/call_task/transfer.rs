//! Calls somebody for the callee: a second leg beside the first, relayed once it has answered.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::call::Input;
use domain::ids::AttemptId;
use domain::policy::CallRecording;
use futures_util::FutureExt;
use futures_util::future::select_all;
use media::playlist::{Bargein, Playable};
use media::tone::Tone;
use script::step::{
    Connect, FarEndNews, Input as ScriptInput, PlayId, Session, Transfer, TransferEnd, TransferId,
    TransferKind, Waiting,
};

use super::CallTask;
use super::far_leg::{FarLeg, LegNews, Order};
use super::whisper::Whispering;
use crate::rtp_io::PlayItem;
use crate::switch::Leg;

/// Second legs of one call in its whole life; further ones are refused.
pub(super) const LEGS_MAX: i64 = 63;
/// Far ends that ring at once for one callee: as many as a service may have beside its own call.
const RINGING_MAX: usize = 20;
/// What rings for the callee; no script has a playing of this number.
const RINGBACK: PlayId = PlayId(u32::MAX - 1);

/// The name of the `nth` second leg of an attempt: below zero, and the same for ever.
pub(super) fn leg_key(attempt: AttemptId, nth: i64) -> i64 {
    attempt.0.saturating_mul(-(LEGS_MAX + 1)).saturating_sub(nth)
}

/// Second legs on their way, of which the first to answer stays.
pub(super) struct Bridge {
    pub(super) transfer: TransferId,
    pub(super) kind: TransferKind,
    /// What the callee hears before the two talk.
    waiting: Waiting,
    /// How to record the two from their first word on.
    recording: CallRecording,
    /// Whether the script is told of each far end by itself.
    tells_all: bool,
    /// Those that are asked for, ring or talk; once one has answered, it alone.
    legs: Vec<FarLeg>,
    owed: VecDeque<BridgeEvent>,
    is_connected: bool,
    /// Its end was asked for: the two talk no more, or never will.
    is_ending: bool,
}

/// What happens to second legs.
pub(super) enum BridgeEvent {
    /// The two may talk.
    Connected,
    /// It is over; the last event.
    Ended(TransferEnd),
    /// One of them, by its place in the list, has something to tell.
    FarEnd(usize, FarEndNews),
    /// Its far end pressed a key.
    Key(char),
    /// It rings, or will: its INVITE is out.
    Placed,
}

impl Bridge {
    /// Begins; nothing rings before it is permitted, in a slot, and on disk.
    fn begin((transfer, kind): (TransferId, TransferKind), orders: Vec<Order>) -> Self {
        Self {
            transfer,
            kind,
            waiting: Waiting::EarlyMedia,
            recording: CallRecording::None,
            tells_all: false,
            legs: orders.into_iter().map(FarLeg::begin).collect(),
            owed: VecDeque::new(),
            is_connected: false,
            is_ending: false,
        }
    }

    /// The next thing that happens. May be dropped and asked again; nothing is lost by it.
    pub(super) async fn next(&mut self) -> BridgeEvent {
        loop {
            if let Some(event) = self.owed.pop_front() {
                return event;
            }
            let waits = self.legs.iter_mut().map(|leg| leg.next().boxed());
            let waits: Vec<_> = waits.collect();
            if waits.is_empty() {
                return std::future::pending().await;
            }
            let (event, at, _) = select_all(waits).await;
            let nth = self.legs[at].place();
            match event {
                LegNews::Answered => {
                    // The others are hung up.
                    let winner = self.legs.swap_remove(at);
                    let others = std::mem::replace(&mut self.legs, vec![winner]);
                    self.tell(nth, FarEndNews::Answered);
                    for other in others {
                        self.tell(other.place(), FarEndNews::Ended(TransferEnd::Ended));
                    }
                }
                LegNews::CalleeType(word) => self.tell(nth, FarEndNews::CalleeType(word)),
                LegNews::Ended(end) => {
                    self.legs.swap_remove(at);
                    self.tell(nth, FarEndNews::Ended(end));
                    if self.legs.is_empty() {
                        self.owed.push_back(BridgeEvent::Ended(end));
                    }
                }
                LegNews::Key(key) if self.is_connected => return BridgeEvent::Key(key),
                LegNews::Key(_) => {}
                LegNews::Placed => return BridgeEvent::Placed,
                // Somebody answered in the same moment; he is hung up.
                LegNews::Ready if self.is_ending => {}
                LegNews::Ready => {
                    self.is_connected = true;
                    return BridgeEvent::Connected;
                }
            }
        }
    }

    fn tell(&mut self, nth: usize, news: FarEndNews) {
        if self.tells_all {
            self.owed.push_back(BridgeEvent::FarEnd(nth, news));
        }
    }

    /// The only leg, as long as there is one.
    fn leg(&self) -> Option<&Leg> {
        match &self.legs[..] {
            [one] => one.leg(),
            _ => None,
        }
    }

    /// The leg that hears what the callee says and keys, once the two may talk.
    fn talking(&self) -> Option<&Leg> {
        self.leg().filter(|_| self.is_connected)
    }

    /// The leg whose place beside it somebody else can take: keys that we press there are ours.
    pub(super) fn replaceable(&self) -> Option<&Leg> {
        let has_keys = self.legs.iter().any(FarLeg::has_keys);
        self.talking().filter(|_| !has_keys)
    }

    /// Somebody else has taken our place: the far end ends the leg by itself (RFC 3891 §3).
    pub(super) fn leave_to_others(&mut self) {
        self.legs.iter_mut().for_each(FarLeg::leave_to_others);
    }

    /// Asks for its end, which is told; before anything was sent, it ends at once.
    fn end(&mut self) {
        self.is_ending = true;
        self.legs.iter_mut().for_each(FarLeg::end);
    }
}

impl CallTask {
    /// Calls somebody for the callee, who must be there for it.
    pub(super) fn transfer(&mut self, wanted: Transfer) {
        if wanted.kind == TransferKind::Blind && self.begin_referral(&wanted) {
            return;
        }
        let Transfer { transfer, kind, destination, aai, .. } = wanted;
        let order = self.order(destination);
        self.call_for_callee(transfer, kind, vec![Order { aai, ..order }]);
    }

    /// Calls several for the callee; the first to answer talks with him.
    pub(super) fn connect(&mut self, wanted: Connect) {
        let mut orders = Vec::new();
        for (place, destination) in wanted.destinations.iter().take(RINGING_MAX).enumerate() {
            let order = self.order(destination.clone());
            orders.push(Order {
                place,
                caller_id: wanted.caller_id.clone(),
                rules: wanted.classify.clone(),
                whispering: self.whispering(&wanted, destination).map(Box::new),
                ..order
            });
        }
        self.call_for_callee(wanted.transfer, TransferKind::Bridge, orders);
        if let Some(bridge) = &mut self.bridge {
            bridge.tells_all = true;
            // Of several, nobody could tell whose ringing is heard.
            let several = bridge.legs.len() > 1;
            let is_early = wanted.waiting == Waiting::EarlyMedia;
            bridge.waiting = if several && is_early { Waiting::Tone } else { wanted.waiting };
            bridge.recording = wanted.recording;
            if let (Waiting::Tone, Some(leg)) = (bridge.waiting, &self.leg) {
                let sound = Playable::Tone(Tone::ringback());
                leg.play(RINGBACK, vec![PlayItem { sound, bargein: Bargein::Forbidden }]);
            }
        }
    }

    /// What the far end of the latest second leg hears before it talks, if anything.
    fn whispering(&self, wanted: &Connect, destination: &str) -> Option<Whispering> {
        let script = wanted.far_script.as_deref()?.clone();
        let shown = wanted.caller_id.as_deref().or(self.begun.caller_id.as_deref());
        Some(Whispering {
            parts: Arc::clone(&self.parts),
            account: self.begun.contact.account,
            attempt: (self.begun.attempt.id, self.begun.contact.id),
            script,
            takes: self.script.takes().unwrap_or_default(),
            session: Session {
                local_uri: shown.map(|id| format!("tel:{id}")).unwrap_or_default(),
                remote_uri: destination.to_owned(),
                protocol_name: "sip".into(),
                protocol_version: "2.0".into(),
                callee_type: self.facade().session_callee_type(None).into(),
                ..Session::default()
            },
            nth: u32::try_from(self.legs).unwrap_or(u32::MAX),
        })
    }

    /// The next second leg, to this destination.
    fn order(&mut self, destination: String) -> Order {
        self.legs += 1;
        let key = leg_key(self.begun.attempt.id, self.legs);
        Order {
            parts: Arc::clone(&self.parts),
            contact: self.begun.contact.clone(),
            facade: self.facade(),
            shown: self.begun.caller_id.clone(),
            key: (self.legs <= LEGS_MAX).then_some(key),
            place: 0,
            destination,
            caller_id: None,
            aai: String::new(),
            rules: None,
            whispering: None,
        }
    }

    fn call_for_callee(&mut self, transfer: TransferId, kind: TransferKind, orders: Vec<Order>) {
        if self.leg.is_none() || orders.is_empty() {
            let end = TransferEnd::Unknown;
            return self.answer(ScriptInput::TransferEnded { transfer, end });
        }
        if let Some(before) = self.bridge.replace(Bridge::begin((transfer, kind), orders)) {
            // One that was ended, and takes its time.
            self.end_part(before.recording);
        }
    }

    /// The script ends the transfer.
    pub(super) fn end_transfer(&mut self) {
        if let Some(bridge) = &mut self.bridge {
            bridge.end();
            // However long the other side takes to be gone, the callee hears it no more.
            if let Some(leg) = &self.leg {
                leg.relay(None);
            }
        }
    }

    /// The callee pressed a key, which the second leg is to have as well. Where keys come as
    /// tones, it hears them anyhow.
    pub(super) fn pass_key(&self, key: char) {
        if !self.leg.as_ref().is_some_and(Leg::has_key_events) {
            return;
        }
        if let Some(far) = self.bridge.as_ref().and_then(Bridge::talking) {
            far.send_keys(key.encode_utf8(&mut [0; 4]));
        }
        if let Some(stay) = &self.stay {
            stay.press(key);
        }
    }

    /// Takes in what happened to the second leg.
    pub(super) async fn bridged(&mut self, event: BridgeEvent) {
        let Some(bridge) = &self.bridge else {
            return;
        };
        let (transfer, kind) = (bridge.transfer, bridge.kind);
        match event {
            BridgeEvent::Placed => {
                self.relay_early_media(bridge);
                if kind == TransferKind::Blind && !self.is_handed_over {
                    self.hand_over(transfer).await;
                }
            }
            BridgeEvent::Connected => {
                self.relay_both(bridge);
                self.begin_part(bridge.recording);
                match kind {
                    TransferKind::Blind => {}
                    TransferKind::Bridge => {
                        self.feed(ScriptInput::TransferConnected { transfer }).await;
                    }
                    TransferKind::Consultation => {
                        self.hand_over(transfer).await;
                        self.begin_replacing();
                    }
                }
            }
            BridgeEvent::FarEnd(nth, news) => {
                self.feed(ScriptInput::FarEnd { transfer, nth, news }).await;
            }
            BridgeEvent::Ended(end) => self.bridge_ended(end).await,
            BridgeEvent::Key(key) => {
                let far_events = bridge.leg().is_some_and(Leg::has_key_events);
                if let Some(leg) = self.leg.as_ref().filter(|_| far_events) {
                    leg.send_keys(key.encode_utf8(&mut [0; 4]));
                }
            }
        }
    }

    /// Sound before the answer is the network's: tones and announcements.
    fn relay_early_media(&self, bridge: &Bridge) {
        let far = bridge.leg().filter(|_| bridge.waiting == Waiting::EarlyMedia);
        if let (Some(leg), Some(far)) = (&self.leg, far) {
            leg.relay(Some(far.listen()));
        }
    }

    /// The two hear each other, and no ringing any more.
    fn relay_both(&self, bridge: &Bridge) {
        let (Some(leg), Some(far)) = (&self.leg, bridge.leg()) else {
            return;
        };
        if bridge.waiting == Waiting::Tone {
            leg.stop_play();
        }
        far.relay(Some(leg.listen()));
        if bridge.waiting != Waiting::EarlyMedia {
            leg.relay(Some(far.listen()));
        }
    }

    /// The last second leg is over: the script goes on, or the call ends with it.
    async fn bridge_ended(&mut self, end: TransferEnd) {
        let Some(bridge) = self.bridge.take() else {
            return;
        };
        self.end_part(bridge.recording);
        if let Some(leg) = &self.leg {
            if bridge.waiting == Waiting::Tone && !bridge.is_connected {
                leg.stop_play();
            }
            leg.relay(None);
        }
        let transfer = bridge.transfer;
        if !self.is_handed_over {
            self.feed(ScriptInput::TransferEnded { transfer, end }).await;
        } else if !self.awaits_last_word() {
            self.inputs.push_back(Input::BridgeEnded);
        }
    }

    /// From now on the callee is the second leg's; the script comes to its end without him.
    pub(super) async fn hand_over(&mut self, transfer: TransferId) {
        self.is_handed_over = true;
        self.inputs.push_back(Input::HandedOver);
        if let Some(leg) = &self.leg {
            leg.stop_play();
        }
        let end = TransferEnd::Transferred;
        self.feed(ScriptInput::TransferEnded { transfer, end }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn legs_of_all_attempts_have_names_of_their_own_below_zero() {
        let names = [(1, 1), (1, LEGS_MAX), (2, 1), (i64::MAX, LEGS_MAX)];
        let names = names.map(|(attempt, nth)| leg_key(AttemptId(attempt), nth));
        assert_eq!(names[..3], [-65, -127, -129]);
        assert!(names.iter().all(|name| *name < 0));
    }
}
