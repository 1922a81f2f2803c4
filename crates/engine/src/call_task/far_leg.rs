//! One second leg: permitted, in a slot, dialed, over another trunk where one refuses, listened to
//! and led through a page of its own, until it may talk with the callee.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use domain::call::Input as Found;
use domain::cause::Cause;
use domain::contact::Contact;
use domain::detection::{DetectionRules, OnFax, OnMachine};
use domain::failover::TRUNKS_MAX;
use domain::ids::TrunkId;
use domain::number::canonical::Canonical;
use domain::number::sip_address::SipNumber;
use domain::number::{Destination, Masked};
use domain::outcome::CalleeType;
use domain::policy::DO_NOT_CALL;
use facade::Facade;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use script::step::TransferEnd;
use tokio::time::timeout;

use super::ear::{self, Ear};
use super::whisper::{Whisper, Whispered, Whispering};
use super::{CallParts, next_of};
use crate::slots::{LegSlot, Moved};
use crate::switch::native::LegOrder;
use crate::switch::{Leg, LegEvent};

/// Longest wait for a second leg to confirm its end: SIP gives up after 32 s by itself.
const LEG_END_MAX: Duration = Duration::from_secs(40);
/// Longest wait for a leg to be ended by who has our place in it now.
const LEAVE_TIME_MAX: Duration = Duration::from_secs(10);
/// How often a slot is asked for, and how long between: starts are spread over a second.
const SLOT_TRIES_MAX: u32 = 6;
const SLOT_WAIT: Duration = Duration::from_millis(250);
/// Longest text told to the far end beside (RFC 7433 leaves it to the networks, which take this).
const AAI_BYTES_MAX: usize = 128;

/// Whom to call, and what is to come of it.
pub(super) struct Order {
    pub(super) parts: Arc<CallParts>,
    pub(super) contact: Contact,
    /// In whose words its script is told things.
    pub(super) facade: Facade,
    /// The caller ID that was weighed for the call itself.
    pub(super) shown: Option<String>,
    /// The leg's name; `None` where the call has had all its legs.
    pub(super) key: Option<i64>,
    /// Its place among those that are called at once.
    pub(super) place: usize,
    pub(super) destination: String,
    /// Whom to show, where that is another than for the call itself.
    pub(super) caller_id: Option<String>,
    pub(super) aai: String,
    /// Whether it is found out who answered, and what follows.
    pub(super) rules: Option<DetectionRules>,
    /// What he hears before he talks.
    pub(super) whispering: Option<Box<Whispering>>,
}

/// One second leg.
pub(super) struct FarLeg {
    order: Arc<Order>,
    stage: Stage,
    post_dial: Option<String>,
    ear: Option<Ear>,
    /// Who answered, as far as that is known.
    heard: Option<CalleeType>,
    /// Trunks that refused it.
    tried: Vec<TrunkId>,
    /// What the last of them said.
    refusal: Option<TransferEnd>,
    owed: VecDeque<LegNews>,
    is_answered: bool,
    /// Whether we asked for the end.
    is_ending: bool,
}

enum Stage {
    /// It is seen whether it may be called, and a slot is taken.
    Asking(BoxFuture<'static, Result<Placed, TransferEnd>>),
    Ringing(Up),
    /// Somebody answered; it is found out who.
    Screening(Up),
    Whispering(Whisper),
    Talking(Up),
    Over,
}

/// What happens to a second leg.
pub(super) enum LegNews {
    /// Somebody answered who counts.
    Answered,
    /// Who answered, in the words of the facade.
    CalleeType(&'static str),
    /// It is over; the last one.
    Ended(TransferEnd),
    /// Its far end pressed a key.
    Key(char),
    /// Its INVITE is out.
    Placed,
    /// It may talk with the callee.
    Ready,
}

/// A leg in its slot; dropped, it is hung up, and the slot is free once it is gone.
pub(super) struct Up {
    held: Option<Box<(Leg, LegSlot)>>,
    /// Its far end ends it by itself, and is hung up on only if it does not.
    is_left: bool,
}

type Placed = (Up, Option<String>);

impl Up {
    pub(super) fn leg(&self) -> Option<&Leg> {
        self.held.as_ref().map(|up| &up.0)
    }

    /// The next thing that happens to the leg; nothing more after its end.
    pub(super) async fn next(&mut self) -> LegEvent {
        match &mut self.held {
            Some(up) => up.0.next().await,
            None => std::future::pending().await,
        }
    }

    fn hang_up(&mut self) {
        if let Some(up) = &mut self.held {
            up.0.hang_up();
        }
    }

    /// The slot of a leg that is over.
    fn into_slot(mut self) -> Option<LegSlot> {
        self.held.take().map(|up| up.1)
    }
}

impl FarLeg {
    /// Begins; nothing rings before it is permitted, in a slot, and on disk.
    pub(super) fn begin(order: Order) -> Self {
        let order = Arc::new(order);
        let asked = Arc::clone(&order);
        Self {
            order,
            stage: Stage::Asking(async move { place(&asked).await }.boxed()),
            post_dial: None,
            ear: None,
            heard: None,
            tried: Vec::new(),
            refusal: None,
            owed: VecDeque::new(),
            is_answered: false,
            is_ending: false,
        }
    }

    /// Its place among those that are called at once.
    pub(super) fn place(&self) -> usize {
        self.order.place
    }

    /// The leg, as long as it is ours to lead.
    pub(super) fn leg(&self) -> Option<&Leg> {
        match &self.stage {
            Stage::Ringing(up) | Stage::Screening(up) | Stage::Talking(up) => up.leg(),
            Stage::Asking(_) | Stage::Whispering(_) | Stage::Over => None,
        }
    }

    /// Whether we press keys there after the answer.
    pub(super) fn has_keys(&self) -> bool {
        let destination = parse(&self.order.parts, &self.order.destination);
        destination.is_ok_and(|number| number.post_dial().is_some())
    }

    /// From now on its far end ends it by itself.
    pub(super) fn leave_to_others(&mut self) {
        if let Stage::Talking(up) = &mut self.stage {
            up.is_left = true;
        }
    }

    /// Asks for its end, which is told; before anything was sent, it ends at once.
    pub(super) fn end(&mut self) {
        self.is_ending = true;
        match &mut self.stage {
            Stage::Ringing(up) | Stage::Screening(up) | Stage::Talking(up) => up.hang_up(),
            // Dropped, what leads it hangs it up.
            Stage::Asking(_) | Stage::Whispering(_) | Stage::Over => self.over(TransferEnd::Ended),
        }
    }

    /// The next thing that happens to it. May be dropped and asked again.
    pub(super) async fn next(&mut self) -> LegNews {
        loop {
            if let Some(news) = self.owed.pop_front() {
                return news;
            }
            match &mut self.stage {
                Stage::Asking(asked) => {
                    let placed = asked.await;
                    self.placed(placed);
                }
                Stage::Ringing(up) => match up.next().await {
                    LegEvent::Answered => self.answered(),
                    LegEvent::Failed(cause) if !self.is_ending => self.try_elsewhere(&cause),
                    LegEvent::Ended(cause) | LegEvent::Failed(cause) => self.gone(&cause),
                    _ => {}
                },
                Stage::Screening(up) => tokio::select! {
                    event = up.next() => match event {
                        LegEvent::Ended(cause) | LegEvent::Failed(cause) => self.gone(&cause),
                        _ => {}
                    },
                    found = next_of(self.ear.as_mut(), Ear::next) => self.found(found),
                },
                Stage::Whispering(whisper) => match whisper.next().await {
                    Whispered::Accepted(up) => {
                        self.stage = Stage::Talking(up);
                        self.owed.push_back(LegNews::Ready);
                    }
                    Whispered::Gone(cause) => self.gone(&cause),
                    Whispered::Refused => self.over(TransferEnd::Ended),
                },
                Stage::Talking(up) => match up.next().await {
                    LegEvent::Ended(cause) | LegEvent::Failed(cause) => self.gone(&cause),
                    LegEvent::Key(key) => return LegNews::Key(key),
                    _ => {}
                },
                Stage::Over => std::future::pending::<()>().await,
            }
        }
    }

    fn placed(&mut self, placed: Result<Placed, TransferEnd>) {
        match placed {
            Ok((up, post_dial)) => {
                if let (Some(rules), Some(leg)) = (&self.order.rules, up.leg()) {
                    let parts = &self.order.parts;
                    let waits = rules.on_machine == OnMachine::Wait;
                    let settings = ear::settings(parts.classify, rules, waits);
                    self.ear = Some(Ear::open(parts, leg.listen(), settings));
                }
                (self.stage, self.post_dial) = (Stage::Ringing(up), post_dial);
                self.owed.push_back(LegNews::Placed);
            }
            // What a trunk said of it goes before our own want of another one.
            Err(end) => self.over(self.refusal.unwrap_or(end)),
        }
    }

    /// A trunk refused before anything rang: another one may take it.
    fn try_elsewhere(&mut self, cause: &Cause) {
        let Stage::Ringing(up) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        let Some(slot) = up.into_slot() else {
            return self.gone(cause);
        };
        self.tried.push(slot.trunk());
        self.refusal = Some(refused(cause));
        // An address names its trunk: no other one is the way to it.
        let is_address = SipNumber::parse(&self.order.destination).is_some();
        if is_address || self.tried.len() >= TRUNKS_MAX {
            return self.gone(cause);
        }
        tracing::info!(
            contact.id = %self.order.contact.id, trunk.id = %slot.trunk(), cause = %cause.text,
            "a trunk refused a second leg, which goes over another one"
        );
        let (order, tried, cause) = (Arc::clone(&self.order), self.tried.clone(), cause.clone());
        let again = async move {
            let slot = moved(slot, &tried, &cause).await.ok_or(TransferEnd::NoResource)?;
            let (shown, post_dial) = shown(&order)?;
            Ok((dial(&order, &shown, slot)?, post_dial))
        };
        self.ear = None;
        self.stage = Stage::Asking(again.boxed());
    }

    fn answered(&mut self) {
        let Stage::Ringing(up) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        if let (Some(keys), Some(leg)) = (self.post_dial.take(), up.leg()) {
            leg.send_keys(&keys);
        }
        match &mut self.ear {
            Some(ear) => {
                ear.answered();
                self.stage = Stage::Screening(up);
            }
            None => self.go_on(up),
        }
    }

    /// Something was found out about who answered; `None`: there is nothing more to find out.
    fn found(&mut self, found: Option<Found>) {
        let Some(rules) = self.order.rules.clone() else {
            return;
        };
        let hangs_up = |who: CalleeType| match who {
            CalleeType::Machine => rules.on_machine == OnMachine::HangUp,
            CalleeType::Fax => rules.on_fax == OnFax::HangUp,
            CalleeType::CallScreener | CalleeType::Human | CalleeType::Unknown => false,
        };
        match found {
            Some(Found::Detected(detected)) => {
                let who = detected.heard.callee_type();
                self.heard = Some(who);
                let waits = who == CalleeType::Machine && rules.on_machine == OnMachine::Wait;
                // Nobody is hung up on, nor waited for, before it is beyond doubt.
                let is_doubtful = !detected.is_firm && who != CalleeType::Human;
                if !is_doubtful && !waits {
                    self.screened(hangs_up(who));
                }
            }
            Some(Found::GreetingEnded { .. } | Found::Quiet) => self.screened(false),
            None => self.screened(self.heard.is_some_and(hangs_up)),
            Some(_) => {}
        }
    }

    /// It is known who answered, or will not be known.
    fn screened(&mut self, hangs_up: bool) {
        let Stage::Screening(up) = std::mem::replace(&mut self.stage, Stage::Over) else {
            return;
        };
        self.ear = None;
        let who = self.heard.unwrap_or(CalleeType::Unknown);
        let word = self.order.facade.session_callee_type(Some(who));
        self.owed.push_back(LegNews::CalleeType(word));
        if hangs_up {
            drop(up);
            self.over(TransferEnd::Ended);
        } else {
            self.go_on(up);
        }
    }

    /// Somebody is there: he hears his page, or talks.
    fn go_on(&mut self, up: Up) {
        self.is_answered = true;
        self.owed.push_back(LegNews::Answered);
        match self.order.whispering.as_deref() {
            Some(whispering) => {
                let mut whispering = whispering.clone();
                if let Some(who) = self.heard {
                    let word = self.order.facade.session_callee_type(Some(who));
                    whispering.session.callee_type = word.into();
                }
                self.stage = Stage::Whispering(Whisper::begin(whispering, up));
            }
            None => {
                self.stage = Stage::Talking(up);
                self.owed.push_back(LegNews::Ready);
            }
        }
    }

    fn gone(&mut self, cause: &Cause) {
        if let Stage::Ringing(up) | Stage::Screening(up) | Stage::Talking(up) =
            std::mem::replace(&mut self.stage, Stage::Over)
        {
            // It is over: there is nothing to hang up.
            drop(up.into_slot());
        }
        self.over(match (self.is_ending, self.is_answered) {
            (true, _) => TransferEnd::Ended,
            (false, true) if cause.sip_status.is_some() => TransferEnd::FarEnd,
            (false, true) => TransferEnd::Network,
            (false, false) => refused(cause),
        });
    }

    fn over(&mut self, end: TransferEnd) {
        self.stage = Stage::Over;
        self.owed.push_back(LegNews::Ended(end));
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let Some((mut leg, slot)) = self.held.take().map(|up| *up) else {
            return;
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return leg.hang_up();
        };
        if !self.is_left {
            leg.hang_up();
        }
        let leave_max = if self.is_left { LEAVE_TIME_MAX } else { LEG_END_MAX };
        runtime.spawn(async move {
            let mut is_over = timeout(leave_max, end_of(&mut leg)).await.is_ok();
            if !is_over {
                leg.hang_up();
                is_over = timeout(LEG_END_MAX, end_of(&mut leg)).await.is_ok();
            }
            if !is_over {
                tracing::warn!("a second leg did not confirm its end");
            }
            drop(slot);
        });
    }
}

async fn end_of(leg: &mut Leg) {
    while !matches!(leg.next().await, LegEvent::Ended(_) | LegEvent::Failed(_)) {}
}

/// Sees whether this may be called, takes a slot, and calls.
async fn place(order: &Order) -> Result<Placed, TransferEnd> {
    if order.key.is_none() {
        return Err(TransferEnd::NoResource);
    }
    let (parts, contact) = (&*order.parts, &order.contact);
    let destination = parse(parts, &order.destination)?;
    permit(parts, contact, &destination).await?;
    let (shown, post_dial) = shown(order)?;
    let only = match SipNumber::parse(&order.destination) {
        Some(address) => parts.switch.trunks_at(&address),
        None => Vec::new(),
    };
    let slot = slot(parts, contact, &only).await.ok_or(TransferEnd::NoResource)?;
    Ok((dial(order, &shown, slot)?, post_dial))
}

/// What is dialed, with the caller ID that is shown, and the keys after the answer.
///
/// Whom it shows is not the script's to say: what was weighed for the call itself, or another
/// number that the account may show.
fn shown(order: &Order) -> Result<(Destination, Option<String>), TransferEnd> {
    let destination = parse(&order.parts, &order.destination)?;
    let own = order.caller_id.as_deref().filter(|id| Some(*id) != order.shown.as_deref());
    if let Some(own) = own {
        may_show(&order.parts, &order.contact, own)?;
    }
    let number = Destination::number(destination.dialed());
    let mut shown = number.map_err(|_| TransferEnd::BadDestination)?;
    if let Some(id) = own.or(order.shown.as_deref()) {
        shown = shown.with_caller_id(id).map_err(|_| TransferEnd::BadDestination)?;
    }
    Ok((shown, destination.post_dial().map(str::to_owned)))
}

fn dial(order: &Order, shown: &Destination, slot: LegSlot) -> Result<Up, TransferEnd> {
    let key = order.key.ok_or(TransferEnd::NoResource)?;
    let (parts, contact) = (&*order.parts, &order.contact);
    tracing::info!(
        contact.id = %contact.id, trunk.id = %slot.trunk(), leg = key,
        "transferring to {}", Masked(shown.dialed())
    );
    let headers = told_beside(&order.aai);
    let leg = LegOrder { key, trunk: slot.trunk(), destination: shown, headers };
    match parts.switch.dial_leg(parts.clock.now(), leg) {
        Ok(leg) => Ok(Up { held: Some(Box::new((Leg::Sip(Box::new(leg)), slot))), is_left: false }),
        Err(cause) => {
            tracing::warn!(leg = key, cause = %cause.text, "a second leg was not sent");
            Err(TransferEnd::NoResource)
        }
    }
}

/// The slot on another trunk, as soon as its rate has room, or never.
async fn moved(mut slot: LegSlot, tried: &[TrunkId], cause: &Cause) -> Option<LegSlot> {
    for _ in 0..SLOT_TRIES_MAX {
        match slot.elsewhere(tried, cause).await {
            Moved::There(slot) => return Some(slot),
            Moved::NotYet(kept) => slot = kept,
            Moved::Nowhere => return None,
        }
        tokio::time::sleep(SLOT_WAIT).await;
    }
    None
}

/// A slot as soon as the trunk's rate has room for one, or never; where only some trunks will do,
/// on one of these.
async fn slot(parts: &CallParts, contact: &Contact, only: &[TrunkId]) -> Option<LegSlot> {
    for nth in 0..SLOT_TRIES_MAX {
        if nth > 0 {
            tokio::time::sleep(SLOT_WAIT).await;
        }
        let slot = parts.desk.take(contact.account, contact.campaign).await;
        // Trunks are dealt in turn: another one comes.
        let fits = |slot: &LegSlot| only.is_empty() || only.contains(&slot.trunk());
        if let Some(slot) = slot.filter(fits) {
            return Some(slot);
        }
    }
    None
}

/// Reads `tel:`, and `sip:number@host` where the host is that of a trunk: nobody can have us send
/// anything to hosts that the operator did not name.
pub(super) fn parse(parts: &CallParts, address: &str) -> Result<Destination, TransferEnd> {
    destination(address, |address| !parts.switch.trunks_at(address).is_empty())
}

fn destination(
    address: &str,
    is_at_trunk: impl Fn(&SipNumber) -> bool,
) -> Result<Destination, TransferEnd> {
    let scheme = address.split(':').next().unwrap_or_default().to_ascii_lowercase();
    match scheme.as_str() {
        "tel" => address.parse().map_err(|_| TransferEnd::BadDestination),
        "sip" => match SipNumber::parse(address) {
            Some(address) if is_at_trunk(&address) => Ok(address.number),
            Some(_) | None => Err(TransferEnd::NoRoute),
        },
        "sips" => Err(TransferEnd::NoRoute),
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
    fn numbers_are_called_and_addresses_only_where_they_are_a_trunks() {
        let parse = |address: &str| destination(address, |address| address.host == "pbx.example");
        assert_eq!(parse("sip:+15550100@pbx.example").unwrap().dialed(), "+15550100");
        assert_eq!(parse("sip:+15550100@pbx.example:5070"), Err(TransferEnd::NoRoute));
        assert_eq!(parse("sips:+15550100@pbx.example"), Err(TransferEnd::NoRoute));
        assert_eq!(parse("sip:ann@pbx.example"), Err(TransferEnd::NoRoute));
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
