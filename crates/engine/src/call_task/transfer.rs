//! Calls somebody for the callee: a second leg beside the first, permitted, in a slot, and relayed.

use std::sync::Arc;
use std::time::Duration;

use domain::call::Input;
use domain::cause::Cause;
use domain::contact::Contact;
use domain::ids::AttemptId;
use domain::number::canonical::Canonical;
use domain::number::{Destination, Masked};
use domain::policy::{CallRecording, DO_NOT_CALL};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, select_all};
use script::step::{
    Connect, Input as ScriptInput, Transfer, TransferEnd, TransferId, TransferKind,
};
use store::Begun;
use tokio::time::timeout;

use super::{CallParts, CallTask};
use crate::slots::LegSlot;
use crate::switch::native::{Leg, LegEvent, LegOrder};

/// Second legs of one call in its whole life; further ones are refused.
pub(super) const LEGS_MAX: i64 = 63;
/// Far ends that ring at once for one callee.
const LINES_MAX: usize = 10;
/// Longest wait for a second leg to confirm its end: SIP gives up after 32 s by itself.
const LEG_END_MAX: Duration = Duration::from_secs(40);
/// How often a slot is asked for, and how long between: starts are spread over a second.
const SLOT_TRIES_MAX: u32 = 6;
const SLOT_WAIT: Duration = Duration::from_millis(250);
/// Longest text told to the far end beside (RFC 7433 leaves it to the networks, which take this).
const AAI_BYTES_MAX: usize = 128;

/// The name of the `nth` second leg of an attempt: below zero, and the same for ever.
pub(super) fn leg_key(attempt: AttemptId, nth: i64) -> i64 {
    attempt.0.saturating_mul(-(LEGS_MAX + 1)).saturating_sub(nth)
}

/// Second legs on their way, of which the first to answer stays.
pub(super) struct Bridge {
    pub(super) transfer: TransferId,
    pub(super) kind: TransferKind,
    /// Whether the callee hears what the far end plays before it answers.
    early_media: bool,
    /// Whether to record the two from their first word on.
    is_recorded: bool,
    /// Those that are asked for, ring or talk; once one has answered, it alone.
    lines: Vec<Line>,
    is_connected: bool,
    /// Whether we asked for the end.
    is_ending: bool,
}

/// One second leg.
struct Line {
    stage: Stage,
    post_dial: Option<String>,
}

enum Stage {
    /// It is seen whether it may be called, and a slot is taken.
    Asking(BoxFuture<'static, Result<(Up, Option<String>), TransferEnd>>),
    Up(Up),
    Over,
}

/// What happens to second legs.
pub(super) enum BridgeEvent {
    /// The two may talk.
    Connected,
    /// It is over; the last event.
    Ended(TransferEnd),
    /// Its far end pressed a key.
    Key(char),
    /// It rings, or will: its INVITE is out.
    Placed,
}

/// What happens to one of them.
enum LineEvent {
    Answered,
    Ended(Result<Cause, TransferEnd>),
    Key(char),
    Placed,
}

/// A leg in its slot; dropped, it is hung up, and the slot is free once it is gone.
struct Up(Option<Box<(Leg, LegSlot)>>);

/// Whom to call and what to say of it.
struct Wanted {
    destination: String,
    /// Whom to show, where that is another than for the call itself.
    caller_id: Option<String>,
    aai: String,
}

impl Bridge {
    /// Begins; nothing rings before it is permitted, in a slot, and on disk.
    fn begin(
        (transfer, kind): (TransferId, TransferKind),
        parts: &Arc<CallParts>,
        begun: &Begun,
        wanted: Vec<(Wanted, Option<i64>)>,
    ) -> Self {
        let line = |(wanted, key): (Wanted, Option<i64>)| {
            let (parts, contact) = (Arc::clone(parts), begun.contact.clone());
            let caller_id = begun.caller_id.clone();
            let ask = async move {
                let key = key.ok_or(TransferEnd::NoResource)?;
                place(&parts, &contact, caller_id.as_deref(), &wanted, key).await
            };
            Line { stage: Stage::Asking(ask.boxed()), post_dial: None }
        };
        let lines: Vec<Line> = wanted.into_iter().map(line).collect();
        // Of several, nobody could tell whose ringing is heard.
        let early_media = lines.len() == 1;
        let (is_connected, is_ending, is_recorded) = (false, false, false);
        Self { transfer, kind, early_media, is_recorded, lines, is_connected, is_ending }
    }

    /// The next thing that happens. May be dropped and asked again; nothing is lost by it.
    pub(super) async fn next(&mut self) -> BridgeEvent {
        loop {
            let waits = self.lines.iter_mut().map(|line| line.next().boxed());
            let waits: Vec<_> = waits.collect();
            if waits.is_empty() {
                return std::future::pending().await;
            }
            let (event, nth, _) = select_all(waits).await;
            match event {
                LineEvent::Answered => {
                    self.is_connected = true;
                    // The others are hung up.
                    let line = self.lines.swap_remove(nth);
                    self.lines = vec![line];
                    return BridgeEvent::Connected;
                }
                LineEvent::Ended(end) => {
                    self.lines.swap_remove(nth);
                    if self.lines.is_empty() {
                        return BridgeEvent::Ended(match end {
                            Ok(cause) => self.end_of(&cause),
                            Err(end) => end,
                        });
                    }
                }
                LineEvent::Key(key) if self.is_connected => return BridgeEvent::Key(key),
                LineEvent::Key(_) => {}
                LineEvent::Placed => return BridgeEvent::Placed,
            }
        }
    }

    /// The only leg, as long as there is one.
    fn leg(&self) -> Option<&Leg> {
        match &self.lines[..] {
            [line] => line.leg(),
            _ => None,
        }
    }

    /// The leg that hears what the callee says and keys, once the two may talk.
    fn talking(&self) -> Option<&Leg> {
        self.leg().filter(|_| self.is_connected)
    }

    /// Asks for its end, which is told; before anything was sent, it ends at once.
    fn end(&mut self) {
        self.is_ending = true;
        for line in &mut self.lines {
            match line.leg() {
                Some(leg) => leg.hang_up(),
                None => {
                    let ended = std::future::ready(Err(TransferEnd::Ended));
                    line.stage = Stage::Asking(ended.boxed());
                }
            }
        }
    }

    fn end_of(&self, cause: &Cause) -> TransferEnd {
        match (self.is_ending, self.is_connected) {
            (true, _) => TransferEnd::Ended,
            (false, true) if cause.sip_status.is_some() => TransferEnd::FarEnd,
            (false, true) => TransferEnd::Network,
            (false, false) => refused(cause),
        }
    }
}

impl Line {
    /// The next thing that happens to it. May be dropped and asked again.
    async fn next(&mut self) -> LineEvent {
        loop {
            match &mut self.stage {
                Stage::Asking(asked) => match asked.await {
                    Ok((up, post_dial)) => {
                        (self.stage, self.post_dial) = (Stage::Up(up), post_dial);
                        return LineEvent::Placed;
                    }
                    Err(end) => {
                        self.stage = Stage::Over;
                        return LineEvent::Ended(Err(end));
                    }
                },
                Stage::Up(Up(Some(up))) => match up.0.next().await {
                    LegEvent::Answered => {
                        if let Some(keys) = self.post_dial.take() {
                            up.0.send_keys(&keys);
                        }
                        return LineEvent::Answered;
                    }
                    LegEvent::Ended(cause) | LegEvent::Failed(cause) => {
                        if let Stage::Up(up) = &mut self.stage {
                            up.0 = None;
                        }
                        self.stage = Stage::Over;
                        return LineEvent::Ended(Ok(cause));
                    }
                    LegEvent::Key(key) => return LineEvent::Key(key),
                    LegEvent::KeysSent
                    | LegEvent::MarkReached(..)
                    | LegEvent::PlayEnded(_)
                    | LegEvent::Referred(_)
                    | LegEvent::Ringing => {}
                },
                Stage::Up(Up(None)) | Stage::Over => std::future::pending::<()>().await,
            }
        }
    }

    fn leg(&self) -> Option<&Leg> {
        match &self.stage {
            Stage::Up(Up(Some(up))) => Some(&up.0),
            Stage::Asking(_) | Stage::Up(Up(None)) | Stage::Over => None,
        }
    }
}

impl CallTask {
    /// Calls somebody for the callee, who must be there for it.
    pub(super) fn transfer(&mut self, wanted: Transfer) {
        if wanted.kind == TransferKind::Blind && self.begin_referral(&wanted) {
            return;
        }
        let Transfer { transfer, kind, destination, aai, .. } = wanted;
        self.call_for_callee(transfer, kind, vec![Wanted { destination, caller_id: None, aai }]);
    }

    /// Calls several for the callee; the first to answer talks with him.
    pub(super) fn connect(&mut self, wanted: Connect) {
        let transfer = wanted.transfer;
        // Nobody runs a script on the far end yet, and talking without it is not what was wanted.
        if wanted.first_page.is_some() {
            let end = TransferEnd::Unsupported;
            return self.answer(ScriptInput::TransferEnded { transfer, end });
        }
        let caller_id = &wanted.caller_id;
        let line = |destination: String| Wanted {
            destination,
            caller_id: caller_id.clone(),
            aai: String::new(),
        };
        let lines: Vec<Wanted> =
            wanted.destinations.into_iter().take(LINES_MAX).map(line).collect();
        self.call_for_callee(transfer, TransferKind::Bridge, lines);
        if let Some(bridge) = &mut self.bridge {
            bridge.early_media &= wanted.early_media;
            bridge.is_recorded = wanted.is_recorded;
        }
    }

    fn call_for_callee(&mut self, transfer: TransferId, kind: TransferKind, lines: Vec<Wanted>) {
        if self.leg.is_none() || lines.is_empty() {
            let end = TransferEnd::Unknown;
            return self.answer(ScriptInput::TransferEnded { transfer, end });
        }
        let attempt = self.begun.attempt.id;
        let mut key = || {
            self.legs += 1;
            (self.legs <= LEGS_MAX).then(|| leg_key(attempt, self.legs))
        };
        let lines = lines.into_iter().map(|wanted| (wanted, key())).collect();
        self.bridge = Some(Bridge::begin((transfer, kind), &self.parts, &self.begun, lines));
    }

    /// The script ends the transfer.
    pub(super) fn end_transfer(&mut self) {
        if let Some(bridge) = &mut self.bridge {
            bridge.end();
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
        let Some(bridge) = &mut self.bridge else {
            return;
        };
        let (transfer, kind) = (bridge.transfer, bridge.kind);
        match event {
            BridgeEvent::Placed => {
                // Sound before the answer is the network's: tones and announcements.
                let far = bridge.leg().filter(|_| bridge.early_media);
                if let (Some(leg), Some(far)) = (&self.leg, far) {
                    leg.relay(Some(far.listen()));
                }
                if kind == TransferKind::Blind {
                    self.hand_over(transfer).await;
                }
            }
            BridgeEvent::Connected => {
                if let (Some(leg), Some(far)) = (&self.leg, bridge.leg()) {
                    far.relay(Some(leg.listen()));
                    if !bridge.early_media {
                        leg.relay(Some(far.listen()));
                    }
                }
                if bridge.is_recorded {
                    self.begin_tape(CallRecording::Mixed);
                }
                match kind {
                    TransferKind::Blind => {}
                    TransferKind::Bridge => {
                        self.feed(ScriptInput::TransferConnected { transfer }).await;
                    }
                    TransferKind::Consultation => self.hand_over(transfer).await,
                }
            }
            BridgeEvent::Ended(end) => {
                self.bridge = None;
                if let Some(leg) = &self.leg {
                    leg.relay(None);
                }
                if self.is_handed_over {
                    self.inputs.push_back(Input::BridgeEnded);
                } else {
                    self.feed(ScriptInput::TransferEnded { transfer, end }).await;
                }
            }
            BridgeEvent::Key(key) => {
                let far_events = bridge.leg().is_some_and(Leg::has_key_events);
                if let Some(leg) = self.leg.as_ref().filter(|_| far_events) {
                    leg.send_keys(key.encode_utf8(&mut [0; 4]));
                }
            }
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

impl Drop for Up {
    fn drop(&mut self) {
        let Some((mut leg, slot)) = self.0.take().map(|up| *up) else {
            return;
        };
        leg.hang_up();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let ended = async {
                while !matches!(leg.next().await, LegEvent::Ended(_) | LegEvent::Failed(_)) {}
            };
            if timeout(LEG_END_MAX, ended).await.is_err() {
                tracing::warn!("a second leg did not confirm its end");
            }
            drop(slot);
        });
    }
}

/// Sees whether this may be called, takes a slot, and calls.
async fn place(
    parts: &CallParts,
    contact: &Contact,
    caller_id: Option<&str>,
    wanted: &Wanted,
    key: i64,
) -> Result<(Up, Option<String>), TransferEnd> {
    let destination = parse(&wanted.destination)?;
    permit(parts, contact, &destination).await?;
    let post_dial = destination.post_dial().map(str::to_owned);
    // Whom it shows is not the script's to say: what was weighed for the call itself, or another
    // number that the account may show.
    let own = wanted.caller_id.as_deref().filter(|id| Some(*id) != caller_id);
    if let Some(own) = own {
        may_show(parts, contact, own)?;
    }
    let caller_id = own.or(caller_id);
    let number = Destination::number(destination.dialed());
    let mut shown = number.map_err(|_| TransferEnd::BadDestination)?;
    if let Some(id) = caller_id {
        shown = shown.with_caller_id(id).map_err(|_| TransferEnd::BadDestination)?;
    }
    let slot = slot(parts, contact).await.ok_or(TransferEnd::NoResource)?;
    tracing::info!(
        contact.id = %contact.id, trunk.id = %slot.trunk(), leg = key,
        "transferring to {}", Masked(shown.dialed())
    );
    let headers = told_beside(&wanted.aai);
    let order = LegOrder { key, trunk: slot.trunk(), destination: &shown, headers };
    match parts.switch.dial_leg(parts.clock.now(), order) {
        Ok(leg) => Ok((Up(Some(Box::new((leg, slot)))), post_dial)),
        Err(cause) => {
            tracing::warn!(leg = key, cause = %cause.text, "a second leg was not sent");
            Err(TransferEnd::NoResource)
        }
    }
}

/// A slot as soon as the trunk's rate has room for one, or never.
async fn slot(parts: &CallParts, contact: &Contact) -> Option<LegSlot> {
    for _ in 1..SLOT_TRIES_MAX {
        if let Some(slot) = parts.desk.take(contact.account, contact.campaign).await {
            return Some(slot);
        }
        tokio::time::sleep(SLOT_WAIT).await;
    }
    parts.desk.take(contact.account, contact.campaign).await
}

/// Reads `tel:` and, where the host does not matter to us, `sip:number@…`.
pub(super) fn parse(address: &str) -> Result<Destination, TransferEnd> {
    let scheme = address.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match scheme.as_str() {
        "tel" => address.parse().map_err(|_| TransferEnd::BadDestination),
        // Only trunks are called, and they know numbers; other hosts are no way of ours.
        "sip" | "sips" => Err(TransferEnd::NoRoute),
        _ => Err(TransferEnd::UnsupportedUri),
    }
}

/// Whether a call of this campaign may call there: the same destinations and lists hold as for
/// its contacts, or scripts would be the way around them.
pub(super) async fn permit(
    parts: &CallParts,
    contact: &Contact,
    destination: &Destination,
) -> Result<(), TransferEnd> {
    let bench = parts.policies.bench();
    let policy = bench.policy(contact.campaign);
    let home = bench.ground.home.country;
    let number = Canonical::of(destination.dialed(), home);
    if let Err(refused) = policy.destinations.weigh(&number, home) {
        tracing::warn!(
            contact.id = %contact.id, rule = refused.rule, seen = refused.seen,
            "a transfer is refused"
        );
        return Err(TransferEnd::NoAuthorization);
    }
    let listed = parts.reader.on_lists(contact.account, &number).await.map_err(|error| {
        tracing::error!(%error, "a transfer is refused: nobody knows whether it is permitted");
        TransferEnd::NoResource
    })?;
    let is_heeded =
        |name: &str| name == DO_NOT_CALL || policy.lists.iter().any(|list| list == name);
    match listed.iter().find(|listed| is_heeded(&listed.list)) {
        Some(listed) => {
            tracing::warn!(contact.id = %contact.id, list = listed.list, "a transfer is refused");
            Err(TransferEnd::NoAuthorization)
        }
        None => Ok(()),
    }
}

/// Whether the account may show this number.
fn may_show(parts: &CallParts, contact: &Contact, caller_id: &str) -> Result<(), TransferEnd> {
    let bench = parts.policies.bench();
    let key = Canonical::of(caller_id, bench.ground.home.country).key().to_owned();
    let verified = bench.verified.get(&contact.account);
    match verified.is_none_or(|numbers| numbers.contains(&key)) {
        true => Ok(()),
        false => Err(TransferEnd::NoAuthorization),
    }
}

/// What the far end is told beside: User-to-User information in hexadecimal (RFC 7433 §4).
pub(super) fn told_beside(aai: &str) -> Vec<(String, String)> {
    let bytes = aai.as_bytes();
    if bytes.is_empty() {
        return Vec::new();
    }
    let cut = &bytes[..bytes.len().min(AAI_BYTES_MAX)];
    let digits: String = cut.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![("User-to-User".to_owned(), format!("{digits};encoding=hex"))]
}

/// What a leg that ended before its answer says about a transfer.
pub(super) fn refused(cause: &Cause) -> TransferEnd {
    match cause.q850 {
        Some(1 | 3 | 22 | 28) => return TransferEnd::BadDestination,
        Some(17 | 21) => return TransferEnd::Busy,
        Some(18..=20) => return TransferEnd::NoAnswer,
        Some(34 | 38 | 41 | 42 | 44 | 47) => return TransferEnd::NetworkBusy,
        _ => {}
    }
    match cause.sip_status {
        None => TransferEnd::NoRoute,
        Some(401 | 403 | 407) => TransferEnd::NoAuthorization,
        Some(404 | 410 | 416 | 484 | 485 | 604) => TransferEnd::BadDestination,
        Some(408 | 480 | 487) => TransferEnd::NoAnswer,
        Some(486 | 600 | 603) => TransferEnd::Busy,
        Some(503) => TransferEnd::NetworkBusy,
        Some(status) => TransferEnd::Protocol(status),
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

    #[test]
    fn refusals_of_the_network_are_told_in_the_words_of_transfers() {
        let end = |sip_status, q850| refused(&Cause { sip_status, q850, ..Cause::default() });
        assert_eq!(end(Some(486), None), TransferEnd::Busy);
        assert_eq!(end(Some(480), None), TransferEnd::NoAnswer);
        assert_eq!(end(Some(480), Some(17)), TransferEnd::Busy);
        assert_eq!(end(Some(404), None), TransferEnd::BadDestination);
        assert_eq!(end(Some(503), Some(34)), TransferEnd::NetworkBusy);
        assert_eq!(end(Some(488), None), TransferEnd::Protocol(488));
        assert_eq!(end(None, None), TransferEnd::NoRoute);
    }

    #[test]
    fn only_numbers_can_be_called() {
        assert_eq!(parse("tel:+1 617-555-0100").unwrap().dialed(), "+16175550100");
        assert_eq!(parse("tel:5550100;postd=12").unwrap().post_dial(), Some("12"));
        assert_eq!(parse("tel:abc"), Err(TransferEnd::BadDestination));
        assert_eq!(parse("sip:anybody@192.0.2.1"), Err(TransferEnd::NoRoute));
        assert_eq!(parse("ftp:x"), Err(TransferEnd::UnsupportedUri));
    }

    #[test]
    fn what_is_told_beside_is_one_bounded_header() {
        assert_eq!(told_beside(""), []);
        let header = &told_beside("a\r\nb: c")[0];
        assert_eq!(header.1, "610d0a623a2063;encoding=hex");
        assert!(told_beside(&"x".repeat(9_000))[0].1.len() < 300);
    }
}
