//! Requests, the commands they become and the answers they get, byte for byte.
//!
//! Each file of `golden/<facade>/` is one case: its request is read, the rest is compared, or
//! rewritten with `UPDATE_GOLDEN=1`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::application::Dialect;
use domain::attempt::Attempt;
use domain::campaign::{Campaign, CampaignCounts, CampaignState};
use domain::cause::Cause;
use domain::contact::{Contact, ContactRule, ContactState, NewContact};
use domain::event::{Event, EventKind};
use domain::ids::{AccountId, ApplicationId, AttemptId, CampaignId, ContactId, EventId, TrunkId};
use domain::outcome::{CalleeType, Disposition, Outcome};
use domain::retry::RetryRule;
use domain::terms::{Place, Terms, Variables};
use domain::time::{DialWindow, Timestamp};
use domain::webhook::Reception;
use facade::Facade;
use facade::form::Form;
use facade::list::ListRow;
use facade::native::answer as native;
use facade::native::problem::ProblemCode;
use facade::native::request::{ListOf, ListQuery, NewCall, NewCampaign};
use facade::plum::answer::{self as plum, Failure, Script};
use facade::plum::list::ListReader;
use facade::plum::request::{QueueCall, QueueCalls};
use facade::refusal::{Mistake, Refusal};
use facade::zone::Zone;

/// 2011-10-12T15:30:20 in New York.
const NOW: Timestamp = Timestamp::from_seconds(1_318_447_820);
const ACCOUNT: AccountId = AccountId(7);

fn new_york() -> Zone {
    Zone::named("America/New_York").unwrap()
}

/// Runs every case of a directory whose name begins with `kind`.
fn check(directory: &str, kind: &str, run: impl Fn(&Case) -> String) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(directory);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(kind))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no cases of {kind}");
    for path in paths {
        let found = std::fs::read_to_string(&path).unwrap();
        let case = Case::read(&found);
        let expected = format!("{}{}", case.request_part(), run(&case));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &expected).unwrap();
        } else {
            assert_eq!(found, expected, "{}", path.display());
        }
    }
}

/// The parts of a file up to the command: what a client sends.
struct Case {
    request: String,
    list: Option<String>,
}

impl Case {
    fn read(file: &str) -> Self {
        let part = |name: &str| {
            let (_, after) = file.split_once(&format!("=== {name}\n"))?;
            Some(after.split("=== ").next().unwrap().to_owned())
        };
        Self { request: part("request").unwrap(), list: part("list") }
    }

    fn request_part(&self) -> String {
        match &self.list {
            Some(list) => format!("=== request\n{}=== list\n{list}", self.request),
            None => format!("=== request\n{}", self.request),
        }
    }

    /// A form, one field in each row.
    fn form(&self) -> Form {
        Form::parse(self.request.trim_end().replace('\n', "&").as_bytes()).unwrap()
    }
}

fn command(rule: &ContactRule, contact: Option<&NewContact>) -> String {
    let mut out = format!("=== command\n{rule:#?}\n");
    if let Some(contact) = contact {
        let _ = writeln!(out, "{contact:#?}");
    }
    out
}

/// Checklist 0-003 to 0-006, 0-016 to 0-018, 0-026, 0-027, 0-042, 0-052, 0-067, 0-081.
#[test]
fn queuecall_requests_become_commands_and_answers() {
    check("plum", "queuecall-", |case| match QueueCall::parse(&case.form(), NOW, &new_york()) {
        Ok(call) => format!(
            "{}=== answer\n{}",
            command(&call.order.rule(ACCOUNT), Some(&call.contact)),
            plum::queued(&call, ContactId(112_850_593)),
        ),
        Err(refusals) => {
            format!("=== answer\n{}", plum::refused(Script::QueueCall, &refusals))
        }
    });
}

/// Checklist 0-025, 0-028 to 0-030, 0-066.
#[test]
fn queuecalls_requests_become_commands_and_answers() {
    check("plum", "queuecalls-", |case| match QueueCalls::parse(&case.form(), NOW, &new_york()) {
        Ok(calls) => format!(
            "{}=== answer\n{}",
            command(&calls.order.rule(ACCOUNT), None),
            list_answer(&calls, case.list.as_deref().unwrap_or_default()),
        ),
        Err(refusals) => {
            format!("=== answer\n{}", plum::refused(Script::QueueCalls, &refusals))
        }
    });
}

fn list_answer(calls: &QueueCalls, list: &str) -> String {
    let (mut reader, mut rows) = (ListReader::default(), Vec::new());
    let read = reader.push(list.as_bytes(), &mut rows).and_then(|()| reader.finish(&mut rows));
    if let Err(error) = read {
        return plum::failed(Script::QueueCalls, &Failure::List(error));
    }
    let (mut queued, mut rejected, mut body) = (0, 0, String::new());
    for row in &rows {
        match row {
            ListRow::Contact { contact, .. } => {
                queued += 1;
                plum::list_queued(&mut body, contact, ContactId(1_000 + queued));
            }
            ListRow::Rejected(rejection) => {
                rejected += 1;
                plum::list_rejected(&mut body, rejection);
            }
        }
    }
    let begin = match (queued, rejected) {
        (0, 0) => return plum::failed(Script::QueueCalls, &Failure::ListEmpty),
        (0, rejected) => plum::list_begin_failed(rejected),
        (queued, rejected) => plum::list_begin(&calls.order, queued.try_into().unwrap(), rejected),
    };
    format!("{begin}{body}{}", plum::LIST_END)
}

/// Checklist 0-027: an error message if the call could not be queued.
#[test]
fn plum_failures_have_documents_and_statuses() {
    let failures = [
        Failure::BodyMalformed("multipart boundary is missing".into()),
        Failure::BodyTooLarge { limit_bytes: 65_536 },
        Failure::Busy { retry_after_s: 5 },
        Failure::Credentials,
        Failure::Draining,
        Failure::Internal,
        Failure::MediaType { found: "text/plain".into(), expected: "multipart/form-data" },
        Failure::MethodNotAllowed { found: "GET".into() },
        Failure::Throttled { retry_after_s: 600 },
        Failure::Timeout,
        Failure::Unavailable,
    ];
    let mut out = String::new();
    for failure in failures {
        let document = plum::failed(Script::QueueCall, &failure);
        let retry = failure.retry_after_s();
        let _ = write!(out, "=== {} retry_after={retry:?}\n{document}", failure.status());
    }
    compare("plum/failures.txt", &out);
}

/// docs/api/plum.md names every code that a document can have, and every field that is read.
#[test]
fn document_of_plum_names_every_code_and_field() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api/plum.md");
    let document = std::fs::read_to_string(path).unwrap();
    let codes = [
        "body_malformed",
        "body_too_large",
        "busy",
        "credentials",
        "draining",
        "internal",
        "list_empty",
        "list_malformed",
        "list_rejected",
        "media_type",
        "method_not_allowed",
        "throttled",
        "timeout",
        "unavailable",
    ];
    // Unknown fields are ignored and forms have no types.
    let unheard = [Mistake::Unknown, Mistake::WrongType];
    let mistakes = Mistake::ALL.iter().filter(|mistake| !unheard.contains(mistake));
    let fields = [
        "call_parameters",
        "callee_type_detection",
        "campaign",
        "campaign_name",
        "campaign_parameters",
        "contacts",
        "expiration_time",
        "expiration_timestamp",
        "login",
        "max_retries",
        "max_retry",
        "message_reference",
        "phone_list",
        "phone_number",
        "phone_number_list",
        "pin",
        "result_url",
        "retry_interval",
        "scheduled_time",
        "scheduled_timestamp",
        "start_url",
    ];
    let names = codes.into_iter().chain(mistakes.map(|mistake| mistake.name())).chain(fields);
    let missing: Vec<&str> =
        names.filter(|name| !document.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn compare(name: &str, out: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, out).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap_or_default(), out, "{name}");
}

fn contact(dialect: Dialect, state: ContactState, outcome: Option<Outcome>) -> Contact {
    let attempts = u32::from(outcome.is_some());
    Contact {
        id: ContactId(112_850_593),
        account: ACCOUNT,
        campaign: CampaignId(3),
        application: ApplicationId(4),
        destination: "tel:+12125550101;ani=8005550199;postd=2".parse().unwrap(),
        reference: "order & 4711".into(),
        parameters: "name=Zoë".into(),
        window: DialWindow {
            opens_at: None,
            closes_at: Some(Timestamp::from_seconds(1_318_500_000)),
        },
        retry: RetryRule { attempts_max: 3, wait: Duration::from_secs(300), ..RetryRule::ONCE },
        terms: Terms::default(),
        variables: Variables::default(),
        place: Place::default(),
        result_url: Some("https://app.example/result".into()),
        dialect,
        state,
        attempts,
        next_at: NOW + Duration::from_secs(300),
        last_outcome: outcome,
        last_attempt_at: outcome.map(|_| NOW),
        duration_s: if matches!(outcome, Some(Outcome::Answered(_))) { 31 } else { 0 },
        message_left: outcome == Some(Outcome::Answered(CalleeType::Machine)),
        created_at: NOW - Duration::from_secs(60),
        ended_at: match state {
            ContactState::Done(_) => Some(NOW + Duration::from_millis(40_250)),
            ContactState::Calling | ContactState::Waiting => None,
        },
    }
}

/// Every end that a contact can come to.
fn ends() -> Vec<(Disposition, Option<Outcome>)> {
    let completed = [CalleeType::Fax, CalleeType::Human, CalleeType::Machine, CalleeType::Unknown]
        .map(|callee| (Disposition::Completed, Some(Outcome::Answered(callee))));
    let failed = [
        Outcome::Busy,
        Outcome::InDoubt,
        Outcome::InvalidNumber,
        Outcome::LineFailure,
        Outcome::NoAnswer,
    ]
    .map(|outcome| (Disposition::Failed, Some(outcome)));
    let others = [
        (Disposition::Canceled, None),
        (Disposition::Canceled, Some(Outcome::Canceled)),
        (Disposition::Expired, None),
        (Disposition::Expired, Some(Outcome::Busy)),
    ];
    completed.into_iter().chain(failed).chain(others).collect()
}

/// Checklist 0-020, 0-040, 0-041, 0-044 to 0-051, 0-062, 0-065, 0-069 to 0-079.
#[test]
fn plum_results_have_all_fields_in_plums_words() {
    let mut out = String::new();
    for (disposition, outcome) in ends() {
        let ended = contact(Facade::Plum.dialect(), ContactState::Done(disposition), outcome);
        let result = Facade::Plum.result(&ended, &[], &[], &new_york());
        let outcome = outcome.map_or("no attempt", Outcome::name);
        let _ =
            writeln!(out, "=== {} after {outcome}, {}", disposition.name(), result.content_type);
        let _ = writeln!(out, "{}", result.body.replace('&', "\n&"));
    }
    compare("plum/results.txt", &out);
}

/// Checklist 0-011, 0-033 to 0-038, 0-056.
#[test]
fn start_pages_are_told_of_the_call_in_the_words_of_their_facade() {
    for (facade, name) in [(Facade::Plum, "plum/start.txt"), (Facade::Native, "native/start.txt")] {
        let calling = contact(facade.dialect(), ContactState::Calling, None);
        let mut out = String::new();
        for (name, value) in facade.start_form(&calling, "spring sale") {
            let _ = writeln!(out, "{name}={value}");
        }
        compare(name, &out);
    }
}

#[test]
fn native_calls_become_commands_and_answers() {
    check("native", "call-", |case| {
        let refused = |refusals: &[Refusal]| problem("/v1/calls", native::Part::Body, refusals);
        let Ok(document) = serde_json::from_str(&case.request) else {
            panic!("golden cases are JSON");
        };
        match NewCall::parse(&document, NOW) {
            Ok(call) => command(&call.rule(ACCOUNT), Some(&call.contact)),
            Err(refusals) => refused(&refusals),
        }
    });
}

#[test]
fn native_campaigns_become_commands_and_answers() {
    check("native", "campaign-", |case| {
        let document = serde_json::from_str(&case.request).unwrap();
        match NewCampaign::parse(&document) {
            Ok(campaign) => format!("=== command\n{campaign:#?}\n"),
            Err(refusals) => problem("/v1/campaigns", native::Part::Body, &refusals),
        }
    });
}

#[test]
fn native_lists_become_queries_and_answers() {
    check("native", "list-", |case| match ListQuery::parse(case.request.trim(), ListOf::Calls) {
        Ok(query) => format!("=== command\n{query:#?}\n"),
        Err(refusals) => problem("/v1/calls", native::Part::Query, &refusals),
    });
}

fn problem(instance: &str, part: native::Part, refusals: &[Refusal]) -> String {
    let detail = "the request has mistakes";
    let problem = native::Problem::new(ProblemCode::InvalidRequest, detail, instance, "req_1")
        .with_errors(part, refusals);
    format!("=== answer\n{}\n", serde_json::to_string_pretty(&problem).unwrap())
}

#[test]
fn native_results_tell_the_whole_call() {
    let mut out = String::new();
    for (disposition, outcome) in ends() {
        let ended = contact(Facade::Native.dialect(), ContactState::Done(disposition), outcome);
        let result = Facade::Native.result(&ended, &[], &[], &new_york());
        let value: serde_json::Value = serde_json::from_str(&result.body).unwrap();
        let _ = writeln!(out, "{}", serde_json::to_string_pretty(&value).unwrap());
    }
    compare("native/results.txt", &out);
}

#[test]
fn native_call_is_shown_with_attempts_events_and_deliveries() {
    let attempt = Attempt {
        id: AttemptId(9),
        contact: ContactId(112_850_593),
        number: 1,
        trunk: TrunkId(1),
        started_at: NOW,
        ringing_at: Some(NOW + Duration::from_millis(300)),
        answered_at: None,
        ended_at: Some(NOW + Duration::from_millis(9_000)),
        outcome: Some(Outcome::Busy),
        cause: Cause { sip_status: Some(486), q850: Some(17), text: "Busy Here".into() },
        detected: String::new(),
        message_left: false,
    };
    let kinds = [
        (EventKind::Queued, ""),
        (EventKind::Dialing, ""),
        (EventKind::Ended, "human"),
        (EventKind::Ended, "busy"),
        (EventKind::RetryScheduled, "1318448120"),
        (EventKind::Done, "failed"),
    ];
    let events = kinds.iter().zip(1..).map(|((kind, detail), id)| Event {
        id: EventId(id),
        contact: attempt.contact,
        attempt: (id > 1).then_some(attempt.id),
        at: NOW,
        kind: *kind,
        detail: (*detail).into(),
    });
    let waiting = contact(Facade::Native.dialect(), ContactState::Waiting, Some(Outcome::Busy));
    let detail = native::CallDetail {
        call: native::Call::new(&waiting),
        attempts: vec![native::Attempt::new(&attempt)],
        events: events.map(|event| native::Event::new(&event)).collect(),
        result: Some(native::OwedResult {
            url: "https://app.example/result".into(),
            state: "owed",
            owed_since: facade::zone::rfc_3339(NOW),
            next_delivery_at: Some(facade::zone::rfc_3339(NOW + Duration::from_secs(5))),
            deliveries: vec![native::Delivery {
                at: facade::zone::rfc_3339(NOW),
                accepted: false,
                status: Some(503),
                detail: "no success".into(),
            }],
        }),
    };
    let campaign = Campaign {
        id: CampaignId(3),
        account: ACCOUNT,
        name: "spring".into(),
        state: CampaignState::Stopped,
        redial_in_doubt: false,
        unique_references: false,
        created_at: NOW,
    };
    let counts = CampaignCounts { waiting: 5, completed: 2, ..CampaignCounts::default() };
    let out = format!(
        "{}\n{}\n",
        serde_json::to_string_pretty(&detail).unwrap(),
        serde_json::to_string_pretty(&native::Campaign::new(&campaign, &counts)).unwrap(),
    );
    compare("native/shown.txt", &out);
}

/// Checklist 0-043.
#[test]
fn results_are_taken_by_plums_text_and_by_any_native_success() {
    let taken = |facade: Facade| {
        [(200, "completed"), (200, "thanks"), (204, ""), (500, "completed")]
            .map(|(status, body)| facade.reception(status, body.as_bytes()) == Reception::Taken)
    };
    assert_eq!(taken(Facade::Plum), [true, false, false, false]);
    assert_eq!(taken(Facade::Native), [true, true, true, false]);
}
