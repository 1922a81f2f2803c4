//! `connect`: somebody else is called, and the two talk.

use std::time::Duration;

use domain::time::Timestamp;

use super::instance::tenths;
use super::json::{Json, Object};
use super::play::{PlayList, Player, WebPage};
use super::reader::Members;
use super::runner::{Phase, Runner};
use crate::step::{
    self, PlayError, PlayId, Step, Timer, Transfer, TransferEnd, TransferId, TransferKind,
};

/// How long a transfer that was ended may take to say so.
const REPLY_TIME_MAX: Duration = Duration::from_secs(10);
/// Longest ringing, in seconds.
const ANSWER_TIMEOUT_MAX_S: i64 = 600;
/// Longest secondary call, in minutes.
const MINUTES_MAX: i64 = 24 * 60;

/// Whom to call, and how.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Connect {
    /// `tel:…` or `sip:…`.
    destinations: Vec<String>,
    caller_id: Option<String>,
    hold_media: Option<PlayList>,
    early_media: bool,
    answer_timeout: Duration,
    secondary: Secondary,
    next_page: Option<WebPage>,
}

/// What is said of the other call.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Secondary {
    pub(super) is_recorded: bool,
    pub(super) time_max: Duration,
    /// Runs on the other call before the two talk.
    pub(super) first_page: Option<WebPage>,
    /// Told when the other call is over.
    pub(super) final_page: Option<WebPage>,
}

/// A connect under way.
#[derive(Debug)]
pub(super) struct Connecting {
    connect: Connect,
    pub(super) transfer: TransferId,
    hold: Option<Player>,
    connected_at: Option<Timestamp>,
    /// What the result will be, once it has been asked to end.
    ending: Option<TransferEnd>,
    pub(super) deadline: Option<(Timestamp, Timer)>,
}

impl Connecting {
    /// Whether this is what the callee hears meanwhile.
    pub(super) fn plays(&self, play: PlayId) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.plays(play))
    }

    pub(super) fn sends_keys(&self) -> bool {
        self.hold.as_ref().is_some_and(Player::sends_keys)
    }
}

pub(super) fn read(members: &mut Members<'_>) -> Connect {
    let destinations = destinations(members);
    let caller_id = members.text("call_from").filter(|from| !from.trim().is_empty());
    let hold_media = members.play("hold_media");
    let early_media = members.flag("pass_early_media", false);
    let answer = members.whole("seconds_answer_timeout", 1..=ANSWER_TIMEOUT_MAX_S, 30);
    if let Some(mut classify) = members.object("classify_callee", "an object") {
        if classify.flag("enable", true) {
            let expected = "false, for others than the callee are not classified here";
            classify.refuse_as("enable", "true", expected);
        }
        classify.finish();
    }
    let secondary = Secondary::read(members);
    if early_media && (destinations.len() != 1 || secondary.first_page.is_some()) {
        let expected = "false, for it takes one destination, and no first page of its call";
        members.refuse_as("pass_early_media", "true", expected);
    }
    Connect {
        destinations,
        caller_id,
        hold_media,
        early_media,
        answer_timeout: seconds(answer),
        secondary,
        next_page: members.page("next_page"),
    }
}

impl Secondary {
    pub(super) fn read(members: &mut Members<'_>) -> Self {
        let mut secondary = Self {
            is_recorded: false,
            time_max: Duration::from_secs(240 * 60),
            first_page: None,
            final_page: None,
        };
        if let Some(mut given) = members.object("secondary_call", "an object") {
            secondary.is_recorded = given.flag("call_recording", false);
            let why = "recordings are not encrypted here";
            given.refuse_if_given("call_recording_encryption", why);
            given.refuse_if_given("call_recording_cipher", why);
            given.flag("call_recording_eliminate_dtmf", true);
            given.word("call_recording_mode", &["mixed", "separate"]);
            let minutes = given.whole("minutes_max_call_duration", 1..=MINUTES_MAX, 240);
            secondary.time_max = seconds(minutes * 60);
            secondary.first_page = given.page("first_page");
            secondary.final_page = given.page("final_page");
            given.page("error_page");
            given.finish();
        }
        secondary
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}

fn destinations(members: &mut Members<'_>) -> Vec<String> {
    let sample = "a list such as [\"tel:+15550100\"]";
    let given = members.texts("destinations", sample);
    if given.as_ref().is_none_or(Vec::is_empty) {
        members.refuse_as("destinations", "nobody to call", sample);
    }
    let mut destinations = Vec::new();
    for text in given.unwrap_or_default() {
        match destination(&text) {
            Ok(destination) => destinations.push(destination),
            Err(expected) => members.refuse_as("destinations", &format!("{text:?}"), expected),
        }
    }
    destinations
}

/// An address as written, with its scheme: digits with at most one dash are a number, all else is a
/// SIP address.
fn destination(text: &str) -> Result<String, &'static str> {
    const EXPECTED: &str = "a telephone number such as tel:+15550100, or sip:name@host";
    let scheme = text.split_once(':').map(|(scheme, rest)| (scheme.to_ascii_lowercase(), rest));
    match scheme {
        Some((scheme, rest)) if !rest.is_empty() => match scheme.as_str() {
            "tel" if is_number(rest) => Ok(format!("tel:{rest}")),
            "sip" | "sips" if rest.contains('@') => Ok(format!("{scheme}:{rest}")),
            "con" => Err("a number; conferences are joined by connect_to_conference"),
            _ => Err(EXPECTED),
        },
        Some(_) => Err(EXPECTED),
        None if is_number(text) => Ok(format!("tel:{text}")),
        None if text.contains('@') => Ok(format!("sip:{text}")),
        None => Err(EXPECTED),
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let dashes = digits.matches('-').count();
    !digits.is_empty()
        && dashes <= 1
        && digits.chars().all(|sign| sign.is_ascii_digit() || sign == '-')
}

impl Runner {
    /// `connect`.
    pub(super) fn begin_connect(&mut self, connect: Connect) {
        let (wanted, most) = (connect.destinations.len(), self.instance.connects_max);
        if wanted > most {
            self.fail(&format!(
                "{wanted} destinations are to be called at once; the service has {most} extra \
                 channels"
            ));
            return;
        }
        let first_page = match &connect.secondary.first_page {
            Some(page) => match self.address(&page.url) {
                Ok(url) => Some(url),
                Err(why) => {
                    self.fail(&why);
                    return;
                }
            },
            None => None,
        };
        let hold = match &connect.hold_media {
            Some(list) => match self.player(list) {
                Ok(player) => Some(player),
                Err(why) => {
                    self.fail(&why);
                    return;
                }
            },
            None => None,
        };
        self.ids.transfer += 1;
        let transfer = TransferId(self.ids.transfer);
        self.steps.push_back(step_of(&connect, transfer, first_page));
        let mut connecting = Connecting {
            deadline: Some((self.now + connect.answer_timeout, Timer::TransferConnect)),
            connect,
            transfer,
            hold,
            connected_at: None,
            ending: None,
        };
        if let Some(hold) = &mut connecting.hold {
            self.play_on(hold);
        }
        self.phase = Phase::Connecting(Box::new(connecting));
    }

    /// What the callee hears meanwhile begins again when it is over.
    pub(super) fn hold_part_ended(&mut self) {
        self.usage.noticed();
        let Phase::Connecting(mut connecting) = std::mem::take(&mut self.phase) else {
            return;
        };
        if let Some(mut hold) = connecting.hold.take()
            && connecting.connected_at.is_none()
        {
            if !self.play_on(&mut hold)
                && let Some(Ok(again)) =
                    connecting.connect.hold_media.as_ref().map(|list| self.player(list))
            {
                hold = again;
                self.play_on(&mut hold);
            }
            connecting.hold = Some(hold);
        }
        self.phase = Phase::Connecting(connecting);
    }

    /// Silence will do for what cannot be had.
    pub(super) fn hold_failed(&mut self, error: &PlayError) {
        if let Phase::Connecting(connecting) = &mut self.phase {
            connecting.hold = None;
        }
        self.tell("connect", &format!("hold_media: {error}"));
    }

    pub(super) fn connected(&mut self) {
        self.usage.noticed();
        let now = self.now;
        if let Phase::Connecting(connecting) = &mut self.phase
            && connecting.ending.is_none()
        {
            connecting.connected_at = Some(now);
            connecting.deadline =
                Some((now + connecting.connect.secondary.time_max, Timer::TransferMax));
            if connecting.hold.take().is_some() {
                self.steps.push_back(Step::StopPlay);
            }
        }
    }

    pub(super) fn connect_expired(&mut self, timer: Timer) {
        let now = self.now;
        let Phase::Connecting(connecting) = &mut self.phase else {
            return;
        };
        let end = match timer {
            Timer::TransferConnect => TransferEnd::NoAnswer,
            Timer::TransferMax => TransferEnd::Ended,
            _ => {
                // It was asked to end and says nothing.
                let end = connecting.ending.unwrap_or(TransferEnd::Unknown);
                self.connect_ended(end);
                return;
            }
        };
        connecting.ending = Some(end);
        connecting.deadline = Some((now + REPLY_TIME_MAX, Timer::Reply));
        self.steps.push_back(Step::EndTransfer);
    }

    pub(super) fn connect_ended(&mut self, end: TransferEnd) {
        let Phase::Connecting(connecting) = std::mem::take(&mut self.phase) else {
            return;
        };
        self.usage.noticed();
        if connecting.hold.is_some() {
            self.steps.push_back(Step::StopPlay);
        }
        let end = connecting.ending.unwrap_or(end);
        if matches!(end, TransferEnd::Unsupported | TransferEnd::UnsupportedUri) {
            self.fail("such calls cannot be made here");
            return;
        }
        let lasted = connecting.connected_at.map(|at| self.now.since(at)).unwrap_or_default();
        let (cause, raw) = causes(end, connecting.connected_at.is_some());
        let result: Object = vec![
            ("seconds_connected_duration", tenths(lasted)),
            ("call_cause", Json::text(cause)),
            ("call_raw_cause", Json::text(&raw)),
        ];
        if let Some(page) = &connecting.connect.secondary.final_page {
            self.notify(page, "connect", result.clone());
        }
        match &connecting.connect.next_page {
            Some(page) if !self.is_gone => self.follow(page, "connect", result),
            _ => {}
        }
    }
}

/// One destination of which nothing more is said is a plain transfer.
fn step_of(connect: &Connect, transfer: TransferId, first_page: Option<url::Url>) -> Step {
    let Connect { destinations, caller_id, early_media, answer_timeout, secondary, .. } = connect;
    let plain = caller_id.is_none() && !early_media && first_page.is_none();
    match destinations.as_slice() {
        [destination] if plain && !secondary.is_recorded => Step::Transfer(Transfer {
            transfer,
            kind: TransferKind::Bridge,
            destination: destination.clone(),
            connect_timeout: *answer_timeout,
            aai: String::new(),
        }),
        _ => Step::Connect(step::Connect {
            transfer,
            destinations: destinations.clone(),
            caller_id: caller_id.clone(),
            connect_timeout: *answer_timeout,
            early_media: *early_media,
            first_page,
            is_recorded: secondary.is_recorded,
        }),
    }
}

/// `call_cause` and `call_raw_cause` of the other call.
fn causes(end: TransferEnd, connected: bool) -> (&'static str, String) {
    let (cause, status) = match end {
        TransferEnd::BadDestination | TransferEnd::NoRoute | TransferEnd::UnsupportedUri => {
            ("unobtainable", 404)
        }
        TransferEnd::Busy => ("busy", 486),
        TransferEnd::Ended if connected => ("completed", 200),
        TransferEnd::Ended => ("dropped", 487),
        TransferEnd::FarEnd | TransferEnd::Transferred => ("hung_up", 200),
        TransferEnd::Network | TransferEnd::NetworkBusy | TransferEnd::NoResource => {
            ("failed", 503)
        }
        TransferEnd::NoAnswer => ("no_answer", 480),
        TransferEnd::NoAuthorization => ("failed", 403),
        TransferEnd::Protocol(status) => ("failed", status),
        TransferEnd::Unknown | TransferEnd::Unsupported => ("failed", 500),
    };
    (cause, status.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_with_one_dash_are_a_number_and_all_else_is_an_address() {
        assert_eq!(destination("1555-0100").unwrap(), "tel:1555-0100");
        assert_eq!(destination("TEL:+15550100").unwrap(), "tel:+15550100");
        assert_eq!(destination("ann@example.com").unwrap(), "sip:ann@example.com");
        for text in ["1-555-0100", "loc:service", "con:room", "tel:", "tel:ann", "", "webrtc:a"] {
            assert!(destination(text).is_err(), "{text}");
        }
    }
}
