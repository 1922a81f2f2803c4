//! `connect` under way: far ends that ring, answer, hear a page of their own, and talk.

use std::time::Duration;

use domain::policy::CallRecording;
use domain::time::Timestamp;

use super::connect::Connect;
use super::instance::{Instance, News, OtherCall, tenths};
use super::json::{Json, Object};
use super::play::Player;
use super::runner::{Phase, Runner};
use crate::step::{
    self, FarEndNews, FarScript, PlayError, PlayId, Step, Timer, TransferEnd, TransferId, Waiting,
};

/// How long a transfer that was ended may take to say so.
const REPLY_TIME_MAX: Duration = Duration::from_secs(10);

/// A connect under way.
#[derive(Debug)]
pub(super) struct Connecting {
    connect: Connect,
    pub(super) transfer: TransferId,
    hold: Option<Player>,
    connected_at: Option<Timestamp>,
    far_ends: Vec<FarEnd>,
    /// What the result will be, once it has been asked to end.
    ending: Option<TransferEnd>,
    pub(super) deadline: Option<(Timestamp, Timer)>,
}

/// One who is called.
#[derive(Debug)]
struct FarEnd {
    /// The name of its call.
    call: String,
    destination: String,
    answered_at: Option<Timestamp>,
    callee_type: Option<&'static str>,
    end: Option<(TransferEnd, Timestamp)>,
}

impl FarEnd {
    /// What is told of it in a list of all.
    fn told(&self) -> Json {
        let (cause, raw) = self.causes();
        Json::Object(vec![
            ("call_id", Json::text(&self.call)),
            ("call_to", Json::text(number(&self.destination))),
            ("call_cause", Json::text(cause)),
            ("call_raw_cause", Json::text(&raw)),
        ])
    }

    fn causes(&self) -> (&'static str, String) {
        let end = self.end.map_or(TransferEnd::Unknown, |(end, _)| end);
        causes(end, self.answered_at.is_some())
    }

    /// Its call, as pages are told of calls.
    fn call(&self, instance: &Instance, from: &str, now: Timestamp, is_recorded: bool) -> Json {
        let (cause, raw) = self.causes();
        let ended_at = self.end.map_or(now, |(_, at)| at);
        instance.other_call(&OtherCall {
            call: &self.call,
            from,
            to: number(&self.destination),
            lasted: self.answered_at.map(|at| ended_at.since(at)).unwrap_or_default(),
            far_end_type: self.callee_type,
            causes: (cause, &raw),
            recording: is_recorded.then_some(instance.recording.as_str()),
        })
    }
}

impl Connecting {
    /// Whether this is what the callee hears meanwhile.
    pub(super) fn plays(&self, play: PlayId) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.plays(play))
    }

    pub(super) fn sends_keys(&self) -> bool {
        self.hold.as_ref().is_some_and(Player::sends_keys)
    }

    /// Whose end is that of the whole: who answered, or who was the last to refuse.
    fn foremost(&self) -> Option<usize> {
        let answered = self.far_ends.iter().position(|it| it.answered_at.is_some());
        let ended_at = |at: &usize| self.far_ends[*at].end.map(|(_, at)| at);
        answered.or_else(|| (0..self.far_ends.len()).max_by_key(ended_at))
    }
}

impl Runner {
    /// `connect`.
    pub(super) fn begin_connect(&mut self, connect: Connect) {
        if let Err(why) = self.try_connect(connect) {
            self.fail(&why);
        }
    }

    fn try_connect(&mut self, connect: Connect) -> Result<(), String> {
        let (wanted, most) = (connect.destinations.len(), self.instance.connects_max);
        if self.instance.is_far_end {
            return Err("who is called by a connect calls nobody himself".into());
        }
        if wanted > most {
            return Err(format!(
                "{wanted} destinations are to be called at once; the service has {most} extra \
                 channels"
            ));
        }
        let far_script = self.far_script(&connect)?.map(Box::new);
        let hold = connect.hold_media.as_ref().map(|list| self.player(list)).transpose()?;
        let waiting = match (connect.early_media, &hold) {
            (_, Some(_)) => Waiting::Script,
            (true, None) => Waiting::EarlyMedia,
            (false, None) => Waiting::Tone,
        };
        self.ids.transfer += 1;
        let transfer = TransferId(self.ids.transfer);
        self.steps.push_back(Step::Connect(step::Connect {
            transfer,
            destinations: connect.destinations.clone(),
            caller_id: connect.caller_id.clone(),
            connect_timeout: connect.answer_timeout,
            waiting,
            classify: connect.classify.clone(),
            far_script,
            recording: connect.secondary.recording,
        }));
        let far_ends = connect.destinations.iter().map(|destination| {
            self.ids.far_end += 1;
            FarEnd {
                call: self.instance.far_call(self.ids.far_end),
                destination: destination.clone(),
                answered_at: None,
                callee_type: None,
                end: None,
            }
        });
        let mut connecting = Connecting {
            far_ends: far_ends.collect(),
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
        Ok(())
    }

    /// What runs on the far end that answers.
    fn far_script(&self, connect: &Connect) -> Result<Option<FarScript>, String> {
        let Some(page) = &connect.secondary.first_page else {
            return Ok(None);
        };
        let mut instance = Instance {
            token: self.token().to_owned(),
            is_classified: connect.classify.is_some(),
            is_far_end: true,
            ..self.instance.clone()
        };
        if let Some(page) = &connect.secondary.error_page {
            instance.error_page = Some(super::play::WebPage {
                url: self.address(&page.url)?.to_string(),
                method: page.method,
            });
        }
        let (url, method, kept) = (self.address(&page.url)?, page.method, self.kept.clone());
        Ok(Some(FarScript { url, method, instance, kept }))
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

    /// Something is known of one of those who are called.
    pub(super) fn far_end(&mut self, nth: usize, news: FarEndNews) {
        self.usage.noticed();
        let now = self.now;
        let Phase::Connecting(connecting) = &mut self.phase else {
            return;
        };
        let Some(far_end) = connecting.far_ends.get_mut(nth) else {
            return;
        };
        match news {
            FarEndNews::Answered if far_end.answered_at.is_none() => {
                far_end.answered_at = Some(now);
                if connecting.ending.is_none() {
                    // He may take his time with the page that he hears, as with talking.
                    let until = now + connecting.connect.secondary.time_max;
                    connecting.deadline = Some((until, Timer::TransferMax));
                }
            }
            FarEndNews::Answered => {}
            FarEndNews::CalleeType(who) => far_end.callee_type = Some(who),
            FarEndNews::Ended(end) => {
                far_end.end.get_or_insert((end, now));
            }
        }
    }

    pub(super) fn connected(&mut self) {
        self.usage.noticed();
        let now = self.now;
        if let Phase::Connecting(connecting) = &mut self.phase
            && connecting.ending.is_none()
        {
            connecting.connected_at = Some(now);
            if !matches!(connecting.deadline, Some((_, Timer::TransferMax))) {
                let until = now + connecting.connect.secondary.time_max;
                connecting.deadline = Some((until, Timer::TransferMax));
            }
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
        let Phase::Connecting(mut connecting) = std::mem::take(&mut self.phase) else {
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
        let result = self.settle(&mut connecting, end);
        match &connecting.connect.next_page {
            Some(page) if !self.is_gone => self.follow(page, "connect", result),
            _ => {}
        }
    }

    /// It was stopped from outside: who was called is told of all the same, as far as it came.
    pub(super) fn connect_stopped(&mut self) {
        let phase = std::mem::take(&mut self.phase);
        if let Phase::Connecting(mut connecting) = phase {
            let end = connecting.ending.unwrap_or(TransferEnd::Ended);
            self.settle(&mut connecting, end);
        } else {
            self.phase = phase;
        }
    }

    /// What came of it; its final page is told.
    fn settle(&mut self, connecting: &mut Connecting, end: TransferEnd) -> Object {
        let now = self.now;
        for far_end in &mut connecting.far_ends {
            let known = far_end.end.get_or_insert((end, now));
            // Whom we gave up after the time to ring did not answer; he was not dropped.
            if connecting.ending == Some(TransferEnd::NoAnswer) && known.0 == TransferEnd::Ended {
                known.0 = TransferEnd::NoAnswer;
            }
        }
        let lasted = connecting.connected_at.map(|at| now.since(at)).unwrap_or_default();
        let answered = connecting.far_ends.iter().any(|it| it.answered_at.is_some());
        let (cause, raw) = causes(end, answered || connecting.connected_at.is_some());
        let all = connecting.far_ends.iter().map(FarEnd::told).collect();
        let result: Object = vec![
            ("seconds_connected_duration", tenths(lasted)),
            ("call_cause", Json::text(cause)),
            ("call_raw_cause", Json::text(&raw)),
            ("calls", Json::List(all)),
        ];
        self.tell_final_page(connecting, &result);
        result
    }

    /// The final page of the other call: of who talked, and of those who were called beside.
    fn tell_final_page(&mut self, connecting: &Connecting, result: &Object) {
        let Some(page) = &connecting.connect.secondary.final_page else {
            return;
        };
        let Some(foremost) = connecting.foremost() else {
            return;
        };
        let from = match &connecting.connect.caller_id {
            Some(caller_id) => number(caller_id).to_owned(),
            None => number(self.caller()).to_owned(),
        };
        let wants_recording = connecting.connect.secondary.recording != CallRecording::None;
        let is_recorded = wants_recording && connecting.connected_at.is_some();
        let call = |far_end: &FarEnd, is_recorded| {
            far_end.call(&self.instance, &from, self.now, is_recorded)
        };
        let this = call(&connecting.far_ends[foremost], is_recorded);
        let others = connecting.far_ends.iter().enumerate().filter(|(nth, _)| *nth != foremost);
        let dropped = others.map(|(_, far_end)| call(far_end, false)).collect();
        let news = News {
            result: Some(("connect", Some(result.clone()))),
            other: Some((this, dropped)),
            ..News::default()
        };
        self.send_notice(page, news);
    }
}

/// An address without its scheme where it is a number.
fn number(address: &str) -> &str {
    address.strip_prefix("tel:").unwrap_or(address)
}

/// `call_cause` and `call_raw_cause` of the other call.
fn causes(end: TransferEnd, answered: bool) -> (&'static str, String) {
    let (cause, status) = match end {
        TransferEnd::BadDestination | TransferEnd::NoRoute | TransferEnd::UnsupportedUri => {
            ("unobtainable", 404)
        }
        TransferEnd::Busy => ("busy", 486),
        TransferEnd::Ended if answered => ("completed", 200),
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
