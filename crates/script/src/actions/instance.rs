//! What every page is told: who asks, about which call, and what came of the last action.

use std::time::Duration;

use super::json::{Json, Object};
use super::play::WebPage;
use crate::step::Session;

/// One running application, as its pages know it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Instance {
    /// Names it, uniquely.
    pub id: String,
    /// Names its call.
    pub call: String,
    /// What its first page is told as token.
    pub token: String,
    /// Opaque text for all calls of the application.
    pub application_parameters: String,
    /// Opaque text for this call.
    pub outbound_parameters: String,
    /// Where mistakes in pages are told.
    pub error_page: Option<WebPage>,
    /// Whether the callee's type is told.
    pub is_classified: bool,
    /// The voice of texts that name none.
    pub voice: Option<String>,
    /// Others that one `connect` may call at once.
    pub connects_max: usize,
    /// Where the recording of the call can be had, if there will be one.
    pub recording: String,
    /// Whether it is run for somebody whom a `connect` calls, and not for the callee.
    pub is_far_end: bool,
}

/// What is told beside the call.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Of the action that asked for this page: its name, and what came of it.
    pub(super) result: Option<(&'static str, Option<Object>)>,
    /// What was wrong with an earlier page.
    pub(super) error: Option<Object>,
    /// Another call than the application's own, and those that were made beside it in vain.
    pub(super) other: Option<(Json, Vec<Json>)>,
    /// Nothing but news; the answer changes nothing.
    pub(super) is_notification: bool,
    /// Whether it tells of a transcription: of that no call is told.
    pub(super) is_transcript: bool,
}

/// A call that was made for the callee, and is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct OtherCall<'s> {
    pub(super) call: &'s str,
    pub(super) from: &'s str,
    pub(super) to: &'s str,
    pub(super) lasted: Duration,
    pub(super) far_end_type: Option<&'s str>,
    /// `call_cause` and `call_raw_cause`.
    pub(super) causes: (&'s str, &'s str),
    /// Where its recording can be had, once the callee's own call is over.
    pub(super) recording: Option<&'s str>,
}

/// How the call stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing<'s> {
    pub(super) session: &'s Session,
    pub(super) token: &'s str,
    pub(super) lasted: Duration,
    pub(super) is_gone: bool,
}

impl Instance {
    /// The document that a page is told.
    pub(super) fn info(&self, standing: Standing<'_>, news: News) -> String {
        let token = if news.is_transcript { "" } else { standing.token };
        let mut info = vec![
            ("application_instance_id", Json::text(&self.id)),
            ("token", Json::text(token)),
            ("log_filename", Json::text("")),
        ];
        match news.other {
            Some((call, dropped)) => {
                info.push(("this_call", call));
                info.push(("dropped_calls", Json::List(dropped)));
            }
            None if news.is_transcript || news.is_notification => {}
            None => info.push(("this_call", self.call(standing))),
        }
        if let Some((action, result)) = news.result {
            let mut told = vec![("action", Json::text(action))];
            told.extend(result.map(|result| ("result", Json::Object(result))));
            info.push(("action_result", Json::Object(told)));
        }
        if let Some(error) = news.error {
            info.push(("error_result", Json::Object(error)));
        }
        info.push(("is_notification", Json::Flag(news.is_notification)));
        Json::Object(info).write()
    }

    /// The name of the nth call that is made for the callee.
    pub fn far_call(&self, nth: u32) -> String {
        format!("{}-{nth}", self.call)
    }

    /// The same of a call that was made for the callee.
    pub(super) fn other_call(&self, other: &OtherCall<'_>) -> Json {
        let mut call = vec![
            ("call_id", Json::text(other.call)),
            ("call_direction", Json::text("out")),
            ("call_from", Json::text(other.from)),
            ("call_to", Json::text(other.to)),
            ("call_target", Json::text(other.to)),
            ("call_divert", Json::text("")),
            ("seconds_call_duration", tenths(other.lasted)),
            ("call_state", Json::text("idle")),
            ("application_parameters", Json::text(&self.application_parameters)),
            ("outbound_parameters", Json::text(&self.outbound_parameters)),
        ];
        if let Some(far_end_type) = other.far_end_type {
            call.push(("far_end_type", Json::text(far_end_type)));
        }
        call.push(("call_cause", Json::text(other.causes.0)));
        call.push(("call_raw_cause", Json::text(other.causes.1)));
        if let Some(recording) = other.recording {
            call.push(("call_recording_filename", Json::text(recording)));
        }
        Json::Object(call)
    }

    fn call(&self, standing: Standing<'_>) -> Json {
        let number = |uri: &str| Json::text(uri.strip_prefix("tel:").unwrap_or(uri));
        let Session { local_uri, remote_uri, callee_type, .. } = standing.session;
        let mut call = vec![
            ("call_id", Json::text(&self.call)),
            ("call_direction", Json::text("out")),
            ("call_from", number(local_uri)),
            ("call_to", number(remote_uri)),
            ("call_target", number(remote_uri)),
            ("call_divert", Json::text("")),
            ("seconds_call_duration", tenths(standing.lasted)),
            ("call_state", Json::text(if standing.is_gone { "idle" } else { "answered" })),
            ("application_parameters", Json::text(&self.application_parameters)),
            ("outbound_parameters", Json::text(&self.outbound_parameters)),
        ];
        if self.is_classified {
            call.push(("far_end_type", Json::text(callee_type)));
        }
        Json::Object(call)
    }
}

/// Seconds with one decimal.
pub(super) fn tenths(time: Duration) -> Json {
    #[expect(clippy::cast_precision_loss, reason = "no call lasts 2^53 tenths of a second")]
    let tenths = (time.as_millis() / 100) as f64;
    Json::Number(tenths / 10.0)
}
