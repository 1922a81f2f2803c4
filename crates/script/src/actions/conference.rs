//! `connect_to_conference` and `conference`: the callee joins a room.

use domain::number::{ROOM_CHARS_MAX, is_room};
use domain::time::Timestamp;

use super::connect::Secondary;
use super::instance::tenths;
use super::json::{Json, Object};
use super::play::WebPage;
use super::reader::Members;
use super::runner::{Phase, Runner};
use crate::step::{Join, StayEnd, StayId, Step, Timer};

/// How long leaving may take to be told.
const REPLY_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(10);

/// Which room, and how.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Conference {
    pub(super) name: &'static str,
    room: String,
    speaks: bool,
    begins: bool,
    ends: bool,
    sounds: bool,
    /// These keys take the callee out.
    exit_digits: String,
    secondary: Secondary,
    next_page: Option<WebPage>,
}

/// A stay under way.
#[derive(Debug)]
pub(super) struct Staying {
    conference: Conference,
    pub(super) stay: StayId,
    began_at: Option<Timestamp>,
    is_leaving: bool,
    pub(super) deadline: Option<(Timestamp, Timer)>,
}

pub(super) fn read(members: &mut Members<'_>, name: &'static str) -> Conference {
    let room = members.needed_text("conference_name", "the name of a room, such as \"sales\"");
    // One that is not there at all was refused already.
    if !room.is_empty() && !is_room(&room) {
        let expected = format!("at most {ROOM_CHARS_MAX} letters, digits, _ and -");
        members.refuse_as("conference_name", &format!("{room:?}"), &expected);
    }
    let secondary = Secondary::read(members);
    if secondary.first_page.is_some() {
        let why = "nothing: a room hears no page of its own before the callee comes in";
        members.refuse_as("secondary_call", "a first_page", why);
    }
    Conference {
        name,
        room,
        speaks: members.flag("talker", true),
        begins: members.flag("start_on_entry", true),
        ends: members.flag("destroy_on_exit", false),
        sounds: members.flag("entry_exit_sounds", false),
        exit_digits: members.keys("exit_digits", ""),
        secondary,
        next_page: members.page("next_page"),
    }
}

impl Runner {
    /// Both actions.
    pub(super) fn begin_conference(&mut self, conference: Conference) {
        self.ids.stay += 1;
        let stay = StayId(self.ids.stay);
        self.steps.push_back(Step::Join(Join {
            stay,
            room: conference.room.clone(),
            speaks: conference.speaks,
            begins: conference.begins,
            ends: conference.ends,
            sounds: conference.sounds,
            recording: conference.secondary.recording,
        }));
        let deadline = None;
        let staying = Staying { conference, stay, began_at: None, is_leaving: false, deadline };
        self.phase = Phase::Staying(Box::new(staying));
    }

    pub(super) fn stay_began(&mut self) {
        self.usage.noticed();
        let now = self.now;
        if let Phase::Staying(staying) = &mut self.phase {
            staying.began_at = Some(now);
            let until = now + staying.conference.secondary.time_max;
            staying.deadline = Some((until, Timer::TransferMax));
        }
    }

    pub(super) fn stay_key(&mut self, key: char) {
        if matches!(&self.phase, Phase::Staying(it) if it.conference.exit_digits.contains(key)) {
            self.leave();
        }
    }

    pub(super) fn stay_expired(&mut self) {
        match &self.phase {
            Phase::Staying(staying) if staying.is_leaving => self.stay_ended(StayEnd::Left),
            _ => self.leave(),
        }
    }

    fn leave(&mut self) {
        let now = self.now;
        if let Phase::Staying(staying) = &mut self.phase
            && !staying.is_leaving
        {
            staying.is_leaving = true;
            staying.deadline = Some((now + REPLY_TIME_MAX, Timer::Reply));
            self.steps.push_back(Step::Leave);
        }
    }

    pub(super) fn stay_ended(&mut self, end: StayEnd) {
        let Phase::Staying(staying) = std::mem::take(&mut self.phase) else {
            return;
        };
        self.usage.noticed();
        if end == StayEnd::Unsupported {
            self.fail("there are no conferences here");
            return;
        }
        let result = self.settle_stay(&staying, end);
        match &staying.conference.next_page {
            Some(page) if !self.is_gone => self.follow(page, staying.conference.name, result),
            _ => {}
        }
    }

    /// It was stopped from outside: its final page is told all the same.
    pub(super) fn stay_stopped(&mut self) {
        let phase = std::mem::take(&mut self.phase);
        if let Phase::Staying(staying) = phase {
            self.settle_stay(&staying, StayEnd::Left);
        } else {
            self.phase = phase;
        }
    }

    /// What came of it; its final page is told.
    fn settle_stay(&mut self, staying: &Staying, end: StayEnd) -> Object {
        let lasted = staying.began_at.map(|at| self.now.since(at)).unwrap_or_default();
        let cause = match end {
            StayEnd::Closed => "completed",
            StayEnd::Full => "busy",
            StayEnd::Left => "hung_up",
            StayEnd::Unsupported => "failed",
        };
        let result: Object =
            vec![("seconds_connected_duration", tenths(lasted)), ("call_cause", Json::text(cause))];
        if let Some(page) = &staying.conference.secondary.final_page {
            self.notify(page, staying.conference.name, result.clone());
        }
        result
    }
}
