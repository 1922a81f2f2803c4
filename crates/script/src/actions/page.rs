//! A page: what it looks like, and what is wrong with it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::collect::Question;
use super::conference::Conference;
use super::connect::Connect;
use super::limits::Limits;
use super::locate::{Turn, locate};
use super::play::{PlayList, WebPage};
use super::reader::{Finding, Findings, Members, shown};
use super::record::Record;
use super::transcription::Transcription;
use super::{
    conference, connect, get_input, get_number, record, redirect, run_menu, run_speech_menu,
    send_digits, sleep, transcription,
};
use crate::vxml::{Mistake, place::Rows};

/// A page that is fit to be run.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) actions: Vec<Action>,
    /// What the application wants to be told in every request from now on.
    pub(super) token: Option<String>,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// The call is answered already.
    Answer,
    /// `get_number`, `get_input`, `run_menu`, `run_speech_menu`.
    Ask(Box<Question>),
    Conference(Box<Conference>),
    Connect(Box<Connect>),
    HangUp,
    Play(PlayList),
    Record(Box<Record>),
    Redirect(WebPage),
    SendDigits(String),
    Sleep(Duration),
    StartTranscription(Box<Transcription>),
    StopTranscription,
}

impl Action {
    /// The name that pages use.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::Ask(question) => question.name,
            Self::Conference(conference) => conference.name,
            Self::Connect(_) => "connect",
            Self::HangUp => "hang_up",
            Self::Play(_) => "play",
            Self::Record(_) => "record",
            Self::Redirect(_) => "redirect",
            Self::SendDigits(_) => "send_digits",
            Self::Sleep(_) => "sleep",
            Self::StartTranscription(_) => "start_transcription",
            Self::StopTranscription => "stop_transcription",
        }
    }

    /// What becomes of keys that were pressed before it.
    pub(super) fn keys_before(&self) -> KeysBefore {
        match self {
            // Somebody else is talked to, or something is said.
            Self::Conference(_) | Self::Connect(_) | Self::Record(_) => KeysBefore::Forgotten,
            Self::Play(_) => KeysBefore::MayStopIt,
            Self::Answer
            | Self::Ask(_)
            | Self::HangUp
            | Self::Redirect(_)
            | Self::SendDigits(_)
            | Self::Sleep(_)
            | Self::StartTranscription(_)
            | Self::StopTranscription => KeysBefore::Kept,
        }
    }
}

/// What becomes of keys that were pressed before an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeysBefore {
    /// They are meant for no question behind it.
    Forgotten,
    /// They wait for the question behind it.
    Kept,
    /// Those that came while its page was on its way stop it, as if pressed when it begins.
    MayStopIt,
}

/// Every action, for messages.
const NAMES: &str = "answer, conference, connect, connect_to_conference, get_input, get_number, \
    hang_up, play, record, redirect, run_menu, run_speech_menu, send_digits, sleep, \
    start_transcription, stop_transcription";

/// What is wrong with a page, by row and column, and what is passed over in it.
pub fn check(text: &str, limits: &Limits) -> Vec<Mistake> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (_, found) = match read(text, limits) {
        Ok(read) => read,
        Err(mistake) => return vec![mistake],
    };
    let all = found.mistakes.iter().chain(&found.oddities);
    pointed(text, all)
}

/// Reads a page, or says all that is wrong with it.
pub(super) fn parse(text: &str, limits: &Limits) -> Result<Page, Vec<Mistake>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (page, found) = read(text, limits).map_err(|mistake| vec![mistake])?;
    if found.mistakes.is_empty() {
        return Ok(page);
    }
    Err(pointed(text, found.mistakes.iter()))
}

/// Findings with their places, in the order of these.
fn pointed<'f>(text: &str, findings: impl Iterator<Item = &'f Finding>) -> Vec<Mistake> {
    let rows = Rows::new(&Arc::from("page"), text);
    let point = |finding: &Finding| rows.mistake(locate(text, &finding.way), &finding.message[..]);
    let mut mistakes: Vec<Mistake> = findings.map(point).collect();
    mistakes.sort_by_key(|mistake| (mistake.row, mistake.column));
    mistakes
}

fn read(text: &str, limits: &Limits) -> Result<(Page, Findings), Mistake> {
    let whole = |message: String| Mistake { row: 1, column: 1, message };
    if text.len() > limits.page_bytes_max {
        let (len, max) = (text.len(), limits.page_bytes_max);
        return Err(whole(format!("the page has {len} bytes; at most {max} are read")));
    }
    let mut found = Findings::default();
    if text.trim().is_empty() {
        // A server that has nothing more to say may say nothing.
        return Ok((Page { actions: Vec::new(), token: None }, found));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| Mistake {
        row: u32::try_from(error.line()).unwrap_or(u32::MAX).max(1),
        column: u32::try_from(error.column()).unwrap_or(u32::MAX).max(1),
        message: not_json(&error),
    })?;
    let Value::Object(map) = &value else {
        let message = "expected an object such as {\"actions\": [{\"hang_up\": {}}]}";
        return Err(whole(format!("page: found {}, {message}", shown(&value))));
    };
    let mut members = Members::new(map, Vec::new(), &mut found, limits.list_max);
    let token = members.text("token");
    if let Some(token) = token.as_ref().filter(|token| token.len() > limits.token_bytes_max) {
        let expected = format!("at most {} bytes", limits.token_bytes_max);
        members.refuse_as("token", &format!("{} bytes", token.len()), &expected);
    }
    let actions = actions(&mut members, limits);
    members.finish();
    Ok((Page { actions, token }, found))
}

fn actions(page: &mut Members<'_>, limits: &Limits) -> Vec<Action> {
    let mut actions = Vec::new();
    let expected = "a list such as [{\"play\": {\"play_list\": []}}]";
    let items = match page.value("actions") {
        Some(Value::Array(items)) => items,
        Some(other) => {
            page.refuse("actions", other, expected);
            return actions;
        }
        None => {
            page.refuse_as("actions", "nothing", expected);
            return actions;
        }
    };
    if items.len() > limits.page_actions_max {
        let found = format!("{} actions", items.len());
        page.refuse_as("actions", &found, &format!("at most {}", limits.page_actions_max));
        return actions;
    }
    for (nth, item) in items.iter().enumerate() {
        let way = vec![Turn::Member("actions".to_owned()), Turn::Item(nth)];
        if let Some(action) = action(page.found, way, item, page.list_max) {
            actions.push(action);
        }
    }
    actions
}

/// An object with one member: the action's name and its properties.
fn action(
    found: &mut Findings,
    mut way: Vec<Turn>,
    item: &Value,
    list_max: usize,
) -> Option<Action> {
    let expected = "an object with one member, the action's name";
    let member = item.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
    let Some((name, properties)) = member else {
        found.refuse(&way, &shown(item), expected);
        return None;
    };
    way.push(Turn::Member(name.clone()));
    let nothing = serde_json::Map::new();
    let map = match properties {
        Value::Object(map) => map,
        Value::Null => &nothing,
        other => {
            found.refuse(&way, &shown(other), "an object with the action's properties");
            return None;
        }
    };
    let mut members = Members::new(map, way, found, list_max);
    let action = properties_of(name, &mut members);
    members.finish();
    action
}

fn properties_of(name: &str, members: &mut Members<'_>) -> Option<Action> {
    Some(match name {
        "answer" => Action::Answer,
        "conference" => Action::Conference(Box::new(conference::read(members, "conference"))),
        "connect" => Action::Connect(Box::new(connect::read(members))),
        "connect_to_conference" => {
            Action::Conference(Box::new(conference::read(members, "connect_to_conference")))
        }
        "get_input" => Action::Ask(Box::new(get_input::read(members))),
        "get_number" => Action::Ask(Box::new(get_number::read(members))),
        "hang_up" => Action::HangUp,
        "play" => Action::Play(PlayList::read(members)),
        "record" => Action::Record(Box::new(record::read(members))),
        "redirect" => Action::Redirect(redirect::read(members)?),
        "run_menu" => Action::Ask(Box::new(run_menu::read(members))),
        "run_speech_menu" => Action::Ask(Box::new(run_speech_menu::read(members))),
        "send_digits" => Action::SendDigits(send_digits::read(members)),
        "sleep" => Action::Sleep(sleep::read(members)),
        "start_transcription" => Action::StartTranscription(Box::new(transcription::read(members))),
        "stop_transcription" => Action::StopTranscription,
        other => {
            let why = match other {
                "reject" | "ring" => "it is for calls that come in, and here calls go out",
                "send_fax" | "receive_fax" => "there is no fax here",
                "delete_file" => "recordings are deleted when their time is over",
                _ => "there is no such action",
            };
            let way = members.way.clone();
            let expected = format!("one of the actions here ({NAMES}): {why}");
            members.found.refuse(&way, "an action that is not here", &expected);
            return None;
        }
    })
}

/// The place stands before the message already.
fn not_json(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    format!("the page is not JSON: {}", message.strip_suffix(&place).unwrap_or(&message))
}
