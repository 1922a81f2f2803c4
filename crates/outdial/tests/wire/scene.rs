//! A customer, a server and a far end that plays a scenario; and what a result must say.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

use crate::customer::{Asked, Customer, SAYS_NOTHING};
use crate::harness::Stage;
use crate::relay::Weather;
use crate::server::{Server, Settings};
use crate::sipp::Sipp;

/// The number that is called where one is enough.
pub(crate) const NUMBER: &str = "15550100001";

/// Everything that a call needs.
pub(crate) struct Scene {
    // Dropped in this order: the stage last, so that all logs are written when it prints them.
    pub(crate) server: Server,
    pub(crate) sipp: Sipp,
    pub(crate) customer: Customer,
    pub(crate) _stage: Stage,
}

impl Scene {
    /// A scene whose far end plays `scenario` for `calls` calls.
    pub(crate) async fn open(
        scenario: &str,
        calls: usize,
        words: &[(&str, &str)],
        settings: &Settings,
    ) -> Self {
        Self::in_weather(scenario, calls, words, settings, Weather::default()).await
    }

    /// The same over a bad network.
    pub(crate) async fn in_weather(
        scenario: &str,
        calls: usize,
        words: &[(&str, &str)],
        settings: &Settings,
        weather: Weather,
    ) -> Self {
        let stage = Stage::new();
        let sipp = Sipp::start(&stage, scenario, calls, words, weather).await;
        let customer = Customer::open(SAYS_NOTHING).await;
        let server = Server::start(&stage, sipp.relay.front, settings).await;
        Self { server, sipp, customer, _stage: stage }
    }

    /// Queues a call of [`NUMBER`] and waits for its result.
    pub(crate) async fn call(&self) -> Asked {
        queue(&self.server, &self.customer, NUMBER).await;
        self.customer.result().await
    }

    /// Waits until the far end's scenario has come to its end and nothing is left of its calls.
    pub(crate) async fn ends_clean(mut self) {
        self.sipp.ended_well().await;
        self.sipp.relay.assert_no_dialog_stays(&self.server).await;
        self.server.stop().await;
    }
}

/// Queues a call as Plum's clients do, with the number as reference; its call_id.
pub(crate) async fn queue(server: &Server, customer: &Customer, number: &str) -> String {
    let (start_url, result_url) = (customer.url("/start"), customer.url("/result"));
    server
        .queued(&[
            ("phone_number", number),
            ("start_url", &start_url),
            ("result_url", &result_url),
            ("message_reference", &format!("ref-{number}")),
        ])
        .await
}

/// What a result must say.
pub(crate) struct Expected {
    pub(crate) result: &'static str,
    pub(crate) callee_type: &'static str,
    pub(crate) attempts: u32,
}

impl Expected {
    /// Somebody answered the first attempt.
    pub(crate) const ANSWERED: Self = Self::completed(1);
    /// The program cannot know what came of the only attempt.
    pub(crate) const IN_DOUBT: Self = Self::failed("unknown", 1);

    /// Somebody answered.
    pub(crate) const fn completed(attempts: u32) -> Self {
        // Nobody listens for who it is yet.
        Self { result: "Completed", callee_type: "unknown", attempts }
    }

    /// Nobody answered.
    pub(crate) const fn failed(callee_type: &'static str, attempts: u32) -> Self {
        Self { result: "Failed", callee_type, attempts }
    }

    /// Compares all that a result says.
    pub(crate) fn check(&self, result: &Asked, number: &str) {
        let names: Vec<&str> = result.fields.keys().map(String::as_str).collect();
        let documented = [
            "attempts",
            "call_id",
            "callee_type",
            "duration",
            "last_attempt_timestamp",
            "message_reference",
            "phone_number",
            "result",
        ];
        assert_eq!(names, documented);
        let said = ["result", "callee_type", "attempts", "phone_number", "message_reference"]
            .map(|name| result.field(name));
        let reference = format!("ref-{number}");
        let attempts = self.attempts.to_string();
        assert_eq!(said, [self.result, self.callee_type, &attempts, number, &reference]);
        let call_id: i64 = result.field("call_id").parse().unwrap();
        assert!(call_id > 0, "call_id {call_id}");
        let duration: u64 = result.field("duration").parse().unwrap();
        let was_answered = ["unknown", "voice"].contains(&self.callee_type);
        let duration_max = if was_answered { 120 } else { 0 };
        assert!(duration <= duration_max, "{duration} s");
        let is_attempted = self.attempts > 0;
        check_date(result.field("last_attempt_timestamp"), is_attempted);
    }
}

/// `Mon, 19 Jul 2004 13:46:03 -0400`, of the last minutes; empty where nothing was attempted.
fn check_date(text: &str, is_attempted: bool) {
    if !is_attempted {
        return assert_eq!(text, "");
    }
    let signs: String = text
        .chars()
        .map(|sign| match sign {
            '0'..='9' => '9',
            'a'..='z' => 'a',
            'A'..='Z' => 'A',
            sign => sign,
        })
        .collect();
    assert_eq!(signs, "Aaa, 99 Aaa 9999 99:99:99 +9999", "{text}");
    let at = DateTimeParser::new().parse_timestamp(text).unwrap();
    let age_s = Timestamp::now().as_second() - at.as_second();
    assert!((0..600).contains(&age_s), "{text} is {age_s} s ago");
}
