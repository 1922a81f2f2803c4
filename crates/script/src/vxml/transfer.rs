//! Transfers the callee to somebody else (VoiceXML 2.0 §2.3.7, 2.1 §9).

use std::time::Duration;

use domain::time::Timestamp;
use zeroize::Zeroize as _;

use super::document::{Dialog, Given, ItemKind};
use super::event::TRANSFERRED;
use super::fault::{Fault, SEMANTIC};
use super::fia::{HangUp, Phase, Vxml};
use super::form::Visit;
use super::grammar::is_key;
use super::hear::Ear;
use super::listen::Active;
use super::prompt::{Playing, resolve};
use super::property::InputRule;
use super::result::{Circumstances, Reading};
use super::rivals::{Decision, Rivals};
use super::scope::Level;
use super::value::Value;
use crate::step::{
    PlayError, PlayId, Prompt, Step, Timer, Transfer, TransferEnd, TransferId, TransferKind,
};

/// A transfer under way, its prompts included.
#[derive(Debug)]
pub(super) struct Transferring {
    rivals: Rivals,
    pub(super) ear: Ear,
    pub(super) rule: InputRule,
    playing: Playing,
    wanted: Transfer,
    /// How long the two may talk.
    time_max: Option<Duration>,
    /// What the callee hears until the far end answers, and its playing.
    audio: Option<Prompt>,
    ring: Option<PlayId>,
    connected_at: Option<Timestamp>,
    stage: Stage,
    pub(super) deadline: Option<(Timestamp, Timer)>,
}

#[derive(Debug)]
enum Stage {
    /// What is to be heard before it.
    Prompts,
    Calling,
    Talking,
    /// Asked to end; the result, and the input that did it.
    Ending(&'static str, Option<Reading>),
}

/// How long a far end may ring where the document says nothing.
const CONNECT_TIME_MAX_DEFAULT: Duration = Duration::from_secs(30);
/// How long a transfer that was ended may take to say so.
const REPLY_TIME_MAX: Duration = Duration::from_secs(10);
/// How long handing over may take where nobody watches the far end.
const BLIND_TIME_MAX: Duration = Duration::from_secs(90);

const NEAR_END: &str = "near_end_disconnect";

impl Vxml {
    /// Plays what is queued, then calls.
    pub(super) fn begin_transfer(
        &mut self,
        dialog: &Dialog,
        item: usize,
        active: &[Active],
    ) -> Result<(), Fault> {
        let ItemKind::Transfer(transfer) = &dialog.items[item].kind else {
            return Ok(());
        };
        let destination = self.destination(&transfer.destination)?;
        let aai = transfer.aai.as_ref().map(|aai| self.given(aai)).transpose()?;
        let audio = match &transfer.audio {
            Some(audio) => Some(self.transfer_audio(audio)?),
            None => None,
        };
        let rule = self.properties().input_rule()?;
        self.ahead.zeroize();
        self.transfers += 1;
        let (rivals, ear) = match transfer.kind {
            TransferKind::Blind => (Rivals::default(), Ear::deaf()),
            TransferKind::Bridge | TransferKind::Consultation => {
                (Rivals::new(active, &rule)?, Ear::new(active, &rule))
            }
        };
        let transferring = Transferring {
            rivals,
            ear,
            rule,
            playing: self.flush(),
            wanted: Transfer {
                transfer: TransferId(self.transfers),
                kind: transfer.kind,
                destination,
                connect_timeout: transfer.connect_timeout.unwrap_or(CONNECT_TIME_MAX_DEFAULT),
                aai: aai.unwrap_or_default(),
            },
            time_max: transfer.time_max,
            audio,
            ring: None,
            connected_at: None,
            stage: Stage::Prompts,
            deadline: None,
        };
        self.phase = Phase::Transferring(Box::new(transferring));
        self.call_when_quiet();
        self.listen_beside();
        Ok(())
    }

    /// An address that may be called: `tel:` or `sip:`.
    fn destination(&mut self, given: &Given) -> Result<String, Fault> {
        let address = match given {
            Given::Literal(address) => address.clone(),
            Given::Expr(expr) => match self.scopes.evaluate(expr)? {
                Value::Undefined => {
                    let message = "the destination of the transfer is undefined";
                    return Err(Fault::new(SEMANTIC, message).at(&expr.place));
                }
                value => value.to_text(),
            },
        };
        let address = address.trim().to_owned();
        let scheme = address.split_once(':').map(|(scheme, rest)| (scheme.to_lowercase(), rest));
        match scheme {
            Some((scheme, rest))
                if matches!(scheme.as_str(), "sip" | "sips" | "tel") && !rest.is_empty() =>
            {
                Ok(address)
            }
            Some((scheme, rest)) if is_scheme(&scheme) && !rest.is_empty() => {
                let message = format!("addresses as {scheme}: cannot be called; tel: and sip: can");
                Err(Fault::new("error.unsupported.uri", message))
            }
            _ => {
                let message = format!("\"{address}\" is no destination; one is as tel:+15550100");
                Err(Fault::new("error.connection.baddestination", message))
            }
        }
    }

    fn transfer_audio(&mut self, address: &str) -> Result<Prompt, Fault> {
        let rule = self.properties().fetch("audio", &super::document::FetchRule::default())?;
        let url = resolve(self.pages.base().as_ref(), address)?;
        Ok(Prompt::Audio {
            url,
            timeout: rule.timeout,
            maxage_s: rule.maxage_s,
            maxstale_s: rule.maxstale_s,
            fallback: Vec::new(),
        })
    }

    fn call_when_quiet(&mut self) {
        let now = self.now;
        let Phase::Transferring(transferring) = &mut self.phase else {
            return;
        };
        if !transferring.playing.is_empty() || !matches!(transferring.stage, Stage::Prompts) {
            return;
        }
        transferring.stage = Stage::Calling;
        transferring.deadline = Some(match transferring.wanted.kind {
            TransferKind::Blind => (now + BLIND_TIME_MAX, Timer::Reply),
            TransferKind::Bridge | TransferKind::Consultation => {
                (now + transferring.wanted.connect_timeout, Timer::TransferConnect)
            }
        });
        let audio = transferring.audio.take();
        let step = Step::Transfer(transferring.wanted.clone());
        self.steps.push_back(step);
        if let Some(audio) = audio {
            let play = self.next_play();
            if let Phase::Transferring(transferring) = &mut self.phase {
                transferring.ring = Some(play);
            }
            self.steps.push_back(Step::Play { play, prompts: vec![audio] });
        }
    }

    pub(super) fn transfer_play_ended(&mut self, ended: PlayId) {
        if let Phase::Transferring(transferring) = &mut self.phase {
            transferring.playing.ended(ended);
            transferring.ring = transferring.ring.filter(|ring| *ring != ended);
        }
        self.call_when_quiet();
        self.listen_beside();
    }

    pub(super) fn transfer_play_failed(&mut self, failed: PlayId, error: &PlayError) {
        let Phase::Transferring(transferring) = &mut self.phase else {
            return;
        };
        if transferring.ring == Some(failed) {
            // A transfer without its music is a transfer still.
            transferring.ring = None;
        } else if transferring.playing.contains(failed) {
            transferring.playing.ended(failed);
            if !transferring.playing.is_empty() {
                self.steps.push_back(Step::StopPlay);
            }
            self.close_ear();
            self.phase = Phase::Busy;
            self.raise(Self::play_fault(error));
        }
    }

    /// A key of the callee; what matches ends the transfer, what does not is not heard.
    pub(super) fn transfer_key(&mut self, key: char) {
        let keys_max = self.limits.keys_max;
        let Phase::Transferring(transferring) = &mut self.phase else {
            return;
        };
        if transferring.is_closed() || !is_key(key) || transferring.rivals.is_empty() {
            return;
        }
        let decided = match transferring.match_key(key, keys_max) {
            Ok(Some(rival)) => self.end_transfer_by_grammar(rival),
            Ok(None) => Ok(()),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = decided {
            self.stop_transfer_for(fault);
        }
    }

    /// Something went wrong that has nothing to do with the far end.
    pub(super) fn stop_transfer_for(&mut self, fault: Fault) {
        self.drop_transfer();
        self.raise(fault);
    }

    /// Words of a grammar of its own; no others are heard.
    pub(super) fn end_transfer_by_words(&mut self, reading: Reading) {
        self.end_transfer(NEAR_END, Some(reading));
    }

    fn end_transfer_by_grammar(&mut self, rival: usize) -> Result<(), Fault> {
        self.input_came();
        let Phase::Transferring(transferring) = &self.phase else {
            return Ok(());
        };
        let (_, meaning) = transferring.rivals.answer(rival)?;
        let utterance = transferring.rivals.utterance();
        let value = self.meant(meaning)?;
        let reading = Reading::keys(utterance, value);
        self.remember(std::slice::from_ref(&reading), &Circumstances::default())?;
        self.end_transfer(NEAR_END, Some(reading));
        Ok(())
    }

    /// Asks for the end of the transfer; before the call began, there is nothing to ask for.
    fn end_transfer(&mut self, result: &'static str, reading: Option<Reading>) {
        let now = self.now;
        self.close_ear();
        let Phase::Transferring(transferring) = &mut self.phase else {
            return;
        };
        if matches!(transferring.stage, Stage::Prompts) {
            self.steps.push_back(Step::StopPlay);
            transferring.stage = Stage::Ending(result, reading);
            self.transfer_ended(TransferEnd::Ended);
            return;
        }
        transferring.stage = Stage::Ending(result, reading);
        transferring.deadline = Some((now + REPLY_TIME_MAX, Timer::Reply));
        self.steps.push_back(Step::EndTransfer);
    }

    pub(super) fn transfer_expired(&mut self, timer: Timer) {
        match timer {
            Timer::TransferConnect => self.end_transfer("noanswer", None),
            Timer::TransferMax => self.end_transfer("maxtime_disconnect", None),
            Timer::Reply => self.transfer_ended(TransferEnd::Unknown),
            Timer::FetchAudio
            | Timer::InterDigit
            | Timer::NoInput
            | Timer::Retry
            | Timer::Sleep
            | Timer::Term => {}
        }
    }

    /// Whether this is the transfer at hand.
    pub(super) fn transfers(&self, id: TransferId) -> bool {
        match &self.phase {
            Phase::Transferring(transferring) => transferring.wanted.transfer == id,
            _ => false,
        }
    }

    pub(super) fn transfer_connected(&mut self) {
        let now = self.now;
        self.stop_ring();
        let Phase::Transferring(transferring) = &mut self.phase else {
            return;
        };
        transferring.connected_at = Some(now);
        if matches!(transferring.stage, Stage::Calling) {
            transferring.stage = Stage::Talking;
            transferring.deadline =
                transferring.time_max.map(|time| (now + time, Timer::TransferMax));
        }
    }

    fn stop_ring(&mut self) {
        let Phase::Transferring(transferring) = &mut self.phase else {
            return;
        };
        if transferring.ring.take().is_some() {
            self.steps.push_back(Step::StopPlay);
        }
    }

    /// The callee hung up before, during or after talking.
    pub(super) fn transfer_hung_up(&mut self) {
        let talked = self.drop_transfer();
        if let Some((_, name)) = self.visit.as_ref().and_then(Visit::named_item) {
            let shadow = Value::Record(vec![("duration".to_owned(), seconds(talked))]);
            if let Err(fault) = self.scopes.set(Level::Dialog, &format!("{name}$"), shadow) {
                self.raise(fault);
                return;
            }
        }
        self.hear_hang_up();
    }

    /// Ends the transfer without waiting for it; how long the two have talked.
    fn drop_transfer(&mut self) -> Duration {
        self.close_ear();
        self.stop_ring();
        let Phase::Transferring(transferring) = std::mem::replace(&mut self.phase, Phase::Busy)
        else {
            return Duration::ZERO;
        };
        self.steps.push_back(match transferring.stage {
            Stage::Prompts => Step::StopPlay,
            Stage::Calling | Stage::Talking | Stage::Ending(..) => Step::EndTransfer,
        });
        transferring.talked(self.now)
    }

    /// The transfer is over.
    pub(super) fn transfer_ended(&mut self, end: TransferEnd) {
        self.close_ear();
        self.stop_ring();
        let Phase::Transferring(transferring) = std::mem::replace(&mut self.phase, Phase::Busy)
        else {
            return;
        };
        let talked = transferring.talked(self.now);
        let kind = transferring.wanted.kind;
        let done = match (transferring.stage, result(end, kind)) {
            // Handing over may win over whatever the script wanted meanwhile.
            (_, Ok(Over::Gone)) => {
                self.callee_is_handed_over();
                Ok(())
            }
            (Stage::Ending(result, reading), _) => {
                self.fill_transfer(result, talked, reading.as_ref())
            }
            (_, Ok(Over::Is(result))) => self.fill_transfer(result, talked, None),
            (_, Err(fault)) => Err(fault),
        };
        if let Err(fault) = done {
            self.raise(fault);
        }
    }

    /// From now on there is neither input nor output (VoiceXML 2.0 §1.5.4).
    fn callee_is_handed_over(&mut self) {
        self.hang_up = HangUp::Heard;
        self.prompts.take();
        self.throw_own(TRANSFERRED);
    }

    fn fill_transfer(
        &mut self,
        result: &str,
        talked: Duration,
        reading: Option<&Reading>,
    ) -> Result<(), Fault> {
        let Some((at, name)) = self.visit.as_ref().and_then(Visit::named_item) else {
            return Ok(());
        };
        let mut shadow = vec![("duration".to_owned(), seconds(talked))];
        shadow.extend(reading.into_iter().flat_map(Reading::record));
        self.scopes.set(Level::Dialog, &format!("{name}$"), Value::Record(shadow))?;
        self.scopes.set(Level::Dialog, &name, Value::text(result))?;
        self.begin_filled(vec![at]);
        Ok(())
    }
}

impl Transferring {
    /// The rival that matches with this key: a shorter match does not wait for a longer one, and
    /// keys that are no answer are forgotten, all but the last.
    fn match_key(&mut self, key: char, keys_max: usize) -> Result<Option<usize>, Fault> {
        let fresh = self.rivals.is_fresh();
        let mut decision = self.rivals.press(key, &self.rule, false, keys_max)?;
        if decision == Decision::NoMatch {
            self.rivals.reset()?;
            if !fresh && self.rivals.takes(key) {
                decision = self.rivals.press(key, &self.rule, false, keys_max)?;
            }
        }
        if matches!(decision, Decision::Wait(_)) {
            decision = self.rivals.give_up();
        }
        Ok(match decision {
            Decision::Match(rival) | Decision::MatchBefore(rival, _) => Some(rival),
            Decision::NoMatch | Decision::Wait(_) => None,
        })
    }

    /// Whether a prompt plays that must be heard to its end, or the transfer is asked to end.
    pub(super) fn is_closed(&self) -> bool {
        self.playing.holds_the_floor() || matches!(self.stage, Stage::Ending(..))
    }

    fn talked(&self, now: Timestamp) -> Duration {
        self.connected_at.map_or(Duration::ZERO, |at| now.since(at))
    }
}

fn seconds(time: Duration) -> Value {
    Value::Number(time.as_millis() as f64 / 1_000.0)
}

fn is_scheme(text: &str) -> bool {
    let more = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.chars().all(more)
}

/// What the end of a transfer is to the script.
enum Over {
    /// The callee is somebody else's now.
    Gone,
    /// The value of the item.
    Is(&'static str),
}

fn result(end: TransferEnd, kind: TransferKind) -> Result<Over, Fault> {
    let failed = |what: &str, message: &str| {
        Err(Fault::new(
            format!("error.connection.{what}"),
            format!("the transfer failed: {message}"),
        ))
    };
    match end {
        TransferEnd::BadDestination => failed("baddestination", "there is no such destination"),
        TransferEnd::Busy => Ok(Over::Is("busy")),
        TransferEnd::Ended => Ok(Over::Is(NEAR_END)),
        TransferEnd::FarEnd => Ok(Over::Is("far_end_disconnect")),
        TransferEnd::Network => Ok(Over::Is("network_disconnect")),
        TransferEnd::NetworkBusy => Ok(Over::Is("network_busy")),
        TransferEnd::NoAnswer => Ok(Over::Is("noanswer")),
        TransferEnd::NoAuthorization => failed("noauthorization", "the call may not go there"),
        TransferEnd::NoResource => failed("noresource", "there is no leg free for it"),
        TransferEnd::NoRoute => failed("noroute", "there is no way to go there"),
        TransferEnd::Protocol(status) => {
            failed(&format!("protocol.{status}"), &format!("the far end answered {status}"))
        }
        TransferEnd::Transferred => match kind {
            TransferKind::Blind | TransferKind::Consultation => Ok(Over::Gone),
            TransferKind::Bridge => Ok(Over::Is("unknown")),
        },
        TransferEnd::Unknown => Ok(Over::Is("unknown")),
        TransferEnd::Unsupported => {
            let kind = match kind {
                TransferKind::Blind => "blind",
                TransferKind::Bridge => "bridge",
                TransferKind::Consultation => "consultation",
            };
            let message = format!("{kind} transfers cannot be made here");
            Err(Fault::unsupported(&format!("transfer.{kind}"), message))
        }
        TransferEnd::UnsupportedUri => {
            let message = "addresses of this kind cannot be called here";
            Err(Fault::new("error.unsupported.uri", message))
        }
    }
}
