//! Fuse's requests, the commands they become, the answers they get, and results, byte for byte.
//!
//! Each file of `golden/fuse/` holds several cases; `UPDATE_GOLDEN=1` rewrites it.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use domain::application::{Deployment, ScriptSource};
use domain::contact::{Contact, ContactState};
use domain::event::{Event, EventKind};
use domain::ids::{
    AccountId, AppId, ApplicationId, AttemptId, CampaignId, ContactId, DeploymentId, EventId,
};
use domain::outcome::{CalleeType, Disposition, Outcome};
use domain::retry::RetryRule;
use domain::terms::{Place, Terms, Variables};
use domain::time::{DialWindow, Timestamp};
use domain::webhook::Reception;
use facade::Facade;
use facade::form::Form;
use facade::fuse::answer::{self, Failure, Format, ListAnswer};
use facade::fuse::callback::CallDetails;
use facade::fuse::list::{List, ListReader};
use facade::fuse::request::{Order, Queue, RING_TIME_MAX};
use facade::list::ListRow;
use facade::zone::Zone;
use proptest::prelude::*;

const NOW: Timestamp = Timestamp::from_seconds(1_475_095_892);
const CALL: ContactId = ContactId(112_850_593);

fn compare(name: &str, out: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/fuse").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, out).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), out, "{name}");
}

fn deployment() -> Deployment {
    Deployment {
        id: DeploymentId(34),
        app: AppId(12),
        account: AccountId(7),
        name: "reminders".into(),
        script: ScriptSource::Url("https://app.example/start".into()),
        created_at: NOW,
        deleted_at: None,
    }
}

fn form(body: &str) -> Form {
    Form::parse(body.as_bytes()).unwrap()
}

/// What `queue` makes of a form: its command and its answer in both formats, or the refusal.
fn queued(body: &str) -> String {
    let mut out = format!("=== {body}\n");
    match Queue::parse(&form(body), NOW) {
        Ok(queue) => {
            let _ = writeln!(out, "{:#?}\n{:#?}", queue.order.rule(&deployment()), queue.contact);
            for format in [Format::Json, Format::Xml] {
                let _ = writeln!(out, "{}", answer::queued(format, CALL).trim_end());
            }
        }
        Err(refusals) => {
            let failure = Failure::Invalid(refusals);
            for format in [Format::Json, Format::Xml] {
                let answer = answer::failed(format, &failure);
                let _ = writeln!(out, "{} {}", failure.status(), answer.trim_end());
            }
        }
    }
    out
}

/// Checklist 1-001, 1-005, 1-006, 1-016, 1-018, 1-023, 1-026, 1-027, 1-040.
#[test]
fn fuse_queue_requests_become_commands_and_answers() {
    let full = "phone_number=tel:%2B16175551234;ani=8009957586;postd=2&start_timestamp=1475100000\
        &end_timestamp=1475200000&max_attempts=3&reattempt_wait=600&is_pci=0\
        &result_url=https://app.example/result&submit=Queue\
        &metadata={\"name\":\"John Doe\",\"appointment\":\"Monday September 24th at 10am\"}";
    let rich = "phone_number=6175551234&metadata=\
        {\"n\":7,\"yes\":true,\"none\":null,\"list\":[1,\"a\"],\"first name\":\"Zo%C3%AB %26 co\"}";
    let cases = [
        "phone_number=6175551234",
        full,
        rich,
        "phone_number=6175551234&end_timestamp=1475200000&metadata=[]&result_url=",
        "phone_number=6175551234&start_timestamp=1475095000&end_timestamp=0",
    ];
    compare("queue.txt", &cases.map(queued).concat());
}

/// Checklist 1-028: each of max_attempts and reattempt_wait needs the other.
#[test]
fn fuse_queue_requests_with_mistakes_are_refused_with_all_of_them() {
    let cases = [
        "submit=Queue",
        "phone_number=6175551234&max_attempts=3",
        "phone_number=6175551234&reattempt_wait=300",
        "phone_number=6175551234&max_attempts=0&reattempt_wait=59",
        "phone_number=6175551234&max_attempts=11&reattempt_wait=86401",
        "phone_number=6175551234&max_attempts=three&reattempt_wait=-1",
        "phone_number=1&phone_number=2",
        "phone_number=17:ani=&start_timestamp=1475095892000&end_timestamp=soon&is_pci=maybe\
            &result_url=app.example&metadata=name",
        "phone_number=1;ani=call me",
        "phone_number=1;postd=12E",
        "phone_number=6175551234&end_timestamp=1475095892",
        "phone_number=6175551234&start_timestamp=1475200000&end_timestamp=1475100000",
        "phone_number=6175551234&metadata=\"name\"&result_url=http://ann:secret@a.example/",
        "phone_number=6175551234&metadata={\"\":1}",
    ];
    compare("queue-refused.txt", &cases.map(queued).concat());
    let long =
        format!("phone_number={}&metadata={{\"a\":\"{}\"}}", "1".repeat(129), "x".repeat(17_000));
    let refusals = Queue::parse(&form(&long), NOW).unwrap_err();
    let sentences: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    assert!(sentences[0].contains("at most 128 characters, not 129"), "{sentences:?}");
    assert!(sentences[1].contains("more than 16384 bytes"), "{sentences:?}");
}

/// Checklist 1-009, 1-011 to 1-015: every number that the guide calls valid.
#[test]
fn numbers_of_the_guide_are_valid() {
    let read = |number: &str| {
        let mut form = Form::new();
        form.push("phone_number".into(), number.into()).unwrap();
        let destination = Queue::parse(&form, NOW).unwrap().contact.destination;
        let dialed = destination.dialed().to_owned();
        (
            dialed,
            destination.caller_id().map(str::to_owned),
            destination.post_dial().map(str::to_owned),
        )
    };
    let with = |dialed: &str, ani: Option<&str>, postd: Option<&str>| {
        (dialed.to_owned(), ani.map(str::to_owned), postd.map(str::to_owned))
    };
    assert_eq!(read("6175551234"), with("6175551234", None, None));
    assert_eq!(read("tel:+16175551234"), with("+16175551234", None, None));
    assert_eq!(read("16175551234;ani=8009957586"), with("16175551234", Some("8009957586"), None));
    assert_eq!(read("16175551234;postd=2"), with("16175551234", None, Some("2")));
    assert_eq!(
        read("tel:+16175551234;ani=8009957586;postd=2"),
        with("+16175551234", Some("8009957586"), Some("2"))
    );
    assert_eq!(
        read("tel:+12125551234;ani=8009957586"),
        with("+12125551234", Some("8009957586"), None)
    );
}

/// Checklist 1-017, 1-024, 1-030.
#[test]
fn call_without_parameters_is_dialed_once_at_any_time_and_rings_45_seconds() {
    let queue = Queue::parse(&form("phone_number=6175551234"), NOW).unwrap();
    let rule = queue.order.rule(&deployment());
    assert_eq!(rule.window, DialWindow::default());
    assert_eq!(rule.retry.attempts_max, 1);
    assert_eq!(rule.terms.ring_time_max, Some(Duration::from_secs(45)));
    assert_eq!(RING_TIME_MAX, Duration::from_secs(45));
    assert_eq!(rule.result_url, None);
}

/// Checklist 1-048, 1-052: every deployment has a dial queue of its own.
#[test]
fn every_deployment_has_a_campaign_of_its_own() {
    let order = Order::parse(&form(""), NOW).unwrap();
    let other = Deployment { id: DeploymentId(35), ..deployment() };
    let campaigns = [deployment(), other].map(|deployment| order.rule(&deployment).campaign);
    assert_eq!(campaigns, ["apps/12/34", "apps/12/35"]);
}

/// Checklist 1-047 to 1-051.
#[test]
fn fuse_lists_become_contacts_and_answers() {
    let list = "\"destination\",\"name\"\n\"6175551234\",\"Ann <a> & \"\"co\"\"\"\n\
        \"hello\",\"Bo\"\n\"tel:+16175551234;ani=8009957586;postd=2\",\"\"\n";
    let mut out = String::new();
    for (format, list) in [
        (Format::Json, list),
        (Format::Xml, list),
        (Format::Json, "destination\nno\nnone\n"),
        (Format::Xml, "destination\nno\n"),
    ] {
        let order = Order::parse(&form("metadata={\"shop\":\"Elm\"}"), NOW).unwrap();
        let mut reader = ListReader::new(List::new(order.metadata.clone()));
        let mut rows = Vec::new();
        reader.push(list.as_bytes(), &mut rows).unwrap();
        reader.finish(&mut rows).unwrap();
        let (mut answer, mut body) = (ListAnswer::new(format), String::new());
        let (mut queued, mut rejected) = (0, 0);
        for row in &rows {
            match row {
                ListRow::Contact { row, contact } => {
                    queued += 1;
                    answer.queued(&mut body, *row, contact, ContactId(100 + queued));
                    let _ = writeln!(out, "{} {}", contact.destination, contact.variables);
                }
                ListRow::Rejected(rejection) => {
                    rejected += 1;
                    answer.rejected(&mut body, rejection);
                }
            }
        }
        let begin = answer.begin(u64::try_from(queued).unwrap(), rejected);
        let document = format!("{begin}{body}{}", answer.end());
        if format == Format::Json {
            serde_json::from_str::<serde_json::Value>(&document).unwrap();
        }
        let _ = write!(out, "=== {format:?}\n{document}");
    }
    compare("bulk_queue.txt", &out);
}

#[test]
fn fuse_failures_have_answers_and_statuses() {
    let failures = [
        Failure::BodyMalformed("multipart boundary is missing".into()),
        Failure::BodyTooLarge { limit_bytes: 65_536 },
        Failure::Busy { retry_after_s: 5 },
        Failure::Credentials,
        Failure::Deleted,
        Failure::Draining,
        Failure::Internal,
        Failure::ListEmpty,
        Failure::MediaType { found: "text/plain".into(), expected: "multipart/form-data" },
        Failure::MethodNotAllowed { found: "GET".into(), allowed: "POST" },
        Failure::NoAddress,
        Failure::NoCall,
        Failure::NoDeployment,
        Failure::NotYours,
        Failure::PciNotGranted,
        Failure::Throttled { retry_after_s: 600 },
        Failure::Timeout,
        Failure::Unavailable,
    ];
    let mut out = String::new();
    for failure in failures {
        let retry = failure.retry_after_s();
        let _ = writeln!(out, "=== {} retry_after={retry:?}", failure.status());
        for format in [Format::Json, Format::Xml] {
            let _ = writeln!(out, "{}", answer::failed(format, &failure).trim_end());
        }
    }
    compare("failures.txt", &out);
}

fn contact(state: ContactState, attempts: u32, outcome: Option<Outcome>) -> Contact {
    let mut variables = Variables::default();
    variables.add("name", "John Doe").unwrap();
    variables.add("call_id", "not ours").unwrap();
    Contact {
        id: CALL,
        account: AccountId(7),
        campaign: CampaignId(3),
        application: ApplicationId(4),
        destination: "6173720293;ani=8009957586".parse().unwrap(),
        reference: String::new(),
        parameters: String::new(),
        window: DialWindow::default(),
        retry: RetryRule { attempts_max: 1, wait: Duration::from_secs(300), ..RetryRule::ONCE },
        terms: Terms::default(),
        variables,
        place: Place::default(),
        result_url: Some("https://app.example/result".into()),
        dialect: Facade::Fuse.dialect(),
        state,
        attempts,
        next_at: NOW,
        last_outcome: outcome,
        last_attempt_at: outcome.map(|_| NOW),
        duration_s: 4,
        message_left: false,
        created_at: NOW + Duration::from_millis(700),
        ended_at: None,
    }
}

/// Facts of a contact: seconds after it was queued, kind, detail.
fn events(facts: &[(u64, EventKind, &str)]) -> Vec<Event> {
    let event = |(id, (seconds, kind, detail)): (i64, &(u64, EventKind, &str))| Event {
        id: EventId(id),
        contact: CALL,
        attempt: (*kind != EventKind::Queued).then_some(AttemptId(1)),
        at: NOW + Duration::from_millis(seconds * 1_000 + 700),
        kind: *kind,
        detail: (*detail).to_owned(),
    };
    (1..).zip(facts).map(event).collect()
}

/// The call of the guide's sample.
fn sample() -> (Contact, Vec<Event>) {
    let answered = Outcome::Answered(CalleeType::Human);
    let ended = contact(ContactState::Done(Disposition::Completed), 1, Some(answered));
    let events = events(&[
        (0, EventKind::Queued, ""),
        (1, EventKind::Dialing, ""),
        (5, EventKind::Ringing, ""),
        (33, EventKind::Answered, ""),
        (36, EventKind::Ended, "human"),
        (36, EventKind::Done, "completed"),
    ]);
    (ended, events)
}

/// Checklist 1-034 to 1-039: the guide's own sample, byte for byte but for blanks, and for the
/// quotes inside of its phone_number (docs/api/fuse.md "Kept quirks").
#[test]
fn result_of_the_guides_sample_call_is_the_guides_sample() {
    let sample_text = r#"{"max_attempts":"1","attempts":"1","events":[
        {"event":"queued","timestamp":1475095892},{"event":"dialing","timestamp":1475095893},
        {"event":"connected","timestamp":1475095925},
        {"event":"disconnected","timestamp":1475095928}],
        "phone_number":"6173720293","status":"completed","queued_timestamp":"1475095892",
        "start_timestamp":"1475095925","end_timestamp":"1475095928","reattempt_wait":"300",
        "duration":3}"#;
    let expected: String = sample_text.split_whitespace().collect();
    let (contact, events) = sample();
    let result = Facade::Fuse.result(&contact, &events, &[], &Zone::utc());
    assert_eq!(result.body, expected);
    assert_eq!(result.content_type, "application/json");
}

/// The same with an hour's window.
fn windowed(mut contact: Contact) -> Contact {
    contact.window = DialWindow {
        opens_at: Some(NOW + Duration::from_secs(60)),
        closes_at: Some(NOW + Duration::from_secs(3_600)),
    };
    contact
}

/// The same with three attempts.
fn retried(mut contact: Contact) -> Contact {
    contact.retry.attempts_max = 3;
    contact
}

fn stories() -> Vec<(&'static str, Contact, Vec<Event>)> {
    use EventKind::{Answered, Dialing, Done, Ended, Queued, RetryScheduled, Ringing};
    let done = |end, attempts, outcome| contact(ContactState::Done(end), attempts, outcome);
    let queued = (0, Queued, "");
    vec![
        ("waits for its first attempt", contact(ContactState::Waiting, 0, None), events(&[queued])),
        (
            "waits in its window",
            windowed(contact(ContactState::Waiting, 0, None)),
            events(&[queued]),
        ),
        (
            "rings",
            contact(ContactState::Calling, 1, None),
            events(&[queued, (1, Dialing, ""), (2, Ringing, "")]),
        ),
        (
            "talks at the second attempt",
            retried(windowed(contact(ContactState::Calling, 2, Some(Outcome::Busy)))),
            events(&[
                queued,
                (1, Dialing, ""),
                (2, Ended, "busy"),
                (2, RetryScheduled, "1475096194"),
                (302, Dialing, ""),
                (310, Answered, ""),
            ]),
        ),
        (
            "waits after nobody answered",
            retried(contact(ContactState::Waiting, 1, Some(Outcome::NoAnswer))),
            events(&[queued, (1, Dialing, ""), (46, Ended, "no_answer")]),
        ),
        (
            "failed after three attempts",
            retried(done(Disposition::Failed, 3, Some(Outcome::InvalidNumber))),
            events(&[
                queued,
                (1, Dialing, ""),
                (2, Ended, "busy"),
                (302, Dialing, ""),
                (347, Ended, "no_answer"),
                (647, Dialing, ""),
                (648, Ended, "invalid_number"),
                (648, Done, "failed"),
            ]),
        ),
        (
            "was not dialed in its window",
            windowed(done(Disposition::Expired, 0, None)),
            events(&[queued, (3_600, Done, "expired")]),
        ),
        (
            "was canceled",
            done(Disposition::Canceled, 0, None),
            events(&[queued, (9, Done, "canceled")]),
        ),
        (
            "was canceled while it rang",
            done(Disposition::Canceled, 1, Some(Outcome::Canceled)),
            events(&[queued, (1, Dialing, ""), (4, Ended, "canceled"), (4, Done, "canceled")]),
        ),
    ]
}

/// Checklist 1-022, 1-025, 1-032 to 1-036.
#[test]
fn every_state_of_a_call_is_told_in_both_formats() {
    let mut out = String::new();
    for (story, contact, events) in stories() {
        let details = CallDetails::new(&contact, &events);
        let _ = writeln!(out, "=== {story}");
        for format in [Format::Json, Format::Xml] {
            let _ = writeln!(out, "{}", answer::status(format, &details).trim_end());
        }
        let result = Facade::Fuse.result(&contact, &events, &[], &Zone::utc()).body;
        let status = answer::status(Format::Json, &details);
        assert_eq!(status, format!("{{\"call_details\":{result}}}"));
    }
    compare("status.txt", &out);
}

#[test]
fn fuse_start_pages_are_posted_number_id_and_metadata() {
    let fields = Facade::Fuse.start_form(&sample().0, "");
    let told: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(told, ["phone_number=6173720293", "call_id=112850593", "name=John Doe"]);
}

#[test]
fn fuse_results_are_taken_by_any_success() {
    let reception = |status| Facade::Fuse.reception(status, b"anything");
    assert_eq!([200, 204].map(reception), [Reception::Taken; 2]);
    assert_eq!([302, 404, 500].map(reception), [Reception::Refused; 3]);
}

#[test]
fn status_of_a_call_is_found_by_the_link() {
    assert_eq!(answer::link(CALL), "</api/outbound/112850593>; rel=\"status\"");
}

/// docs/api/fuse.md names every field and every state.
#[test]
fn document_of_fuse_names_every_field_and_state() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/fuse.md");
    let document = std::fs::read_to_string(path).unwrap();
    let names = [
        "attempts",
        "busy",
        "call_details",
        "call_id",
        "canceled",
        "completed",
        "connected",
        "csv",
        "destination",
        "dialing",
        "disconnected",
        "duration",
        "end_timestamp",
        "events",
        "failed",
        "informationtone",
        "is_pci",
        "max_attempts",
        "metadata",
        "noanswer",
        "phone_number",
        "queued",
        "queued_timestamp",
        "reattempt_wait",
        "rejected",
        "result_url",
        "start_timestamp",
        "status",
    ];
    let missing: Vec<&str> =
        names.into_iter().filter(|name| !document.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

proptest! {
    #[test]
    fn any_fuse_form_is_read_or_refused(
        fields in proptest::collection::vec(
            (
                proptest::sample::select(&[
                    "phone_number", "start_timestamp", "end_timestamp", "max_attempts",
                    "reattempt_wait", "result_url", "metadata", "is_pci",
                ][..]),
                prop_oneof![
                    "\\PC{0,40}", "[0-9]{0,14}", Just("http://app.example/".to_owned()),
                    Just("+12125550101;ani=1".to_owned()), Just("{\"a b\":[{}]}".to_owned()),
                ],
            ),
            0..12,
        ),
    ) {
        let mut form = Form::new();
        for (name, value) in &fields {
            form.push((*name).into(), value.clone()).unwrap();
        }
        if let Err(refusals) = Queue::parse(&form, NOW) {
            prop_assert!(!refusals.is_empty());
        }
        let _ = Order::parse(&form, NOW);
    }

    #[test]
    fn any_accept_header_chooses_a_format(accept in "\\PC{0,60}") {
        let _ = Format::of_accept(&accept);
    }
}
