//! What permits and forbids, rule by rule.

use super::*;
use crate::application::Dialect;
use crate::contact::ContactState;
use crate::ids::{AccountId, ApplicationId, CampaignId, ContactId};
use crate::number::Destination;
use crate::region::Country;
use crate::retry::RetryRule;
use crate::terms::{Terms, Variables};

/// Sunday 2026-11-22, 14:30 in New York, 11:30 in Los Angeles.
const NOW: i64 = 1_795_375_800;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(NOW + seconds)
}

fn contact(destination: &str) -> Contact {
    Contact {
        id: ContactId(1),
        account: AccountId(1),
        campaign: CampaignId(1),
        application: ApplicationId(1),
        destination: destination.parse().unwrap(),
        reference: String::new(),
        parameters: String::new(),
        variables: Variables::default(),
        place: terms::Place::default(),
        terms: Terms::default(),
        window: DialWindow::ALWAYS,
        retry: RetryRule { attempts_max: 3, ..RetryRule::ONCE },
        result_url: None,
        dialect: Dialect(0),
        state: ContactState::Waiting,
        attempts: 0,
        next_at: at(0),
        last_outcome: None,
        last_attempt_at: None,
        duration_s: 0,
        message_left: false,
        created_at: at(0),
        ended_at: None,
    }
}

struct Case {
    contact: Contact,
    policy: CampaignPolicy,
    past: Past,
    verified: Option<Vec<String>>,
    ground: Ground,
}

fn case(destination: &str) -> Case {
    Case {
        contact: contact(destination),
        policy: CampaignPolicy::default(),
        past: Past::default(),
        verified: None,
        ground: Ground::at(Home { country: Country::US, zone: None }),
    }
}

impl Case {
    fn weigh(&self) -> Weighing {
        let number = Canonical::of(self.contact.destination.dialed(), Country::US);
        weigh(&Candidate {
            now: at(0),
            contact: &self.contact,
            number: &number,
            policy: &self.policy,
            policy_version: 7,
            past: &self.past,
            verified: self.verified.as_deref(),
            home: &self.ground.home,
            ground: &self.ground,
        })
    }

    fn said(&self) -> (Permit, String) {
        let weighing = self.weigh();
        let reason = weighing.reason().unwrap_or_default();
        (weighing.permit, reason)
    }
}

fn call(begun_s: i64, is_conversation: bool) -> PastCall {
    PastCall {
        begun_at: at(begun_s),
        ended_at: Some(at(begun_s + 30)),
        is_counted: true,
        is_conversation,
    }
}

#[test]
fn contact_that_nothing_speaks_against_is_dialed_with_every_check_passed() {
    let weighing = case("6172530000").weigh();
    assert_eq!((&weighing.permit, weighing.reason()), (&Permit::Dial(None), None));
    let rules: Vec<&str> = weighing.checks.iter().map(|check| check.rule.as_str()).collect();
    let expected = [
        "campaign-window",
        "call-window",
        "budget",
        "do-not-call",
        "destination",
        "caller-id",
        "calling-hours",
        "one-call-at-a-time",
        "caps",
    ];
    assert_eq!(rules, expected);
    assert!(weighing.checks.iter().all(|check| check.passed));
}

#[test]
fn windows_of_campaign_and_call_must_both_be_open() {
    let mut case = case("6172530000");
    case.policy.window.opens_at = Some(at(60));
    case.contact.window.opens_at = Some(at(90));
    let (permit, reason) = case.said();
    assert_eq!(permit, Permit::NotBefore(at(90)));
    assert!(reason.starts_with("call-window: opens"), "{reason}");
    case.policy.window.closes_at = Some(at(0));
    let (permit, reason) = case.said();
    assert_eq!(permit, Permit::End(Disposition::Expired));
    assert!(reason.starts_with("campaign-window"), "{reason}");
}

#[test]
fn contact_without_attempts_left_ends_as_failed() {
    let mut case = case("6172530000");
    case.contact.attempts = 3;
    let said = (Permit::End(Disposition::Failed), "budget: 3 of 3 attempts made".to_owned());
    assert_eq!(case.said(), said);
}

#[test]
fn number_on_the_accounts_list_is_not_called_and_one_on_another_only_if_the_campaign_says_so() {
    let mut case = case("6172530000");
    case.past.listed = vec![("vip".into(), at(-60))];
    assert_eq!(case.said().0, Permit::Dial(None));
    case.policy.lists = vec!["vip".into()];
    let (permit, reason) = case.said();
    assert_eq!(permit, Permit::End(Disposition::Canceled));
    assert!(reason.starts_with("do-not-call: on the list \"vip\""), "{reason}");
    case.policy.lists.clear();
    case.past.listed = vec![(DO_NOT_CALL.into(), at(-60))];
    assert_eq!(case.said().0, Permit::End(Disposition::Canceled));
}

#[test]
fn destination_that_is_not_permitted_ends_the_contact_with_the_rule() {
    let (permit, reason) = case("+442079460000").said();
    assert_eq!(permit, Permit::End(Disposition::Failed));
    assert_eq!(reason, "destination-country: GB");
}

#[test]
fn caller_id_must_be_one_of_the_accounts_own_where_it_has_to_be_verified() {
    let mut case = case("6172530000;ani=2122530001");
    assert_eq!(case.said().0, Permit::Dial(Some("2122530001".into())));
    case.verified = Some(vec!["+12122530001".into()]);
    assert_eq!(case.said().0, Permit::Dial(Some("2122530001".into())));
    case.verified = Some(vec!["+12122530002".into()]);
    let (permit, reason) = case.said();
    assert_eq!(permit, Permit::End(Disposition::Failed));
    assert!(reason.starts_with("caller-id: 2122530001 is none"), "{reason}");
}

#[test]
fn pool_that_was_shown_often_enough_waits_for_the_next_day() {
    let mut case = case("6172530000");
    case.policy.caller_ids.numbers = vec!["+12122530001".into()];
    case.policy.caller_ids.calls_a_day_max = Some(5);
    assert_eq!(case.said().0, Permit::Dial(Some("+12122530001".into())));
    case.past.caller_ids = vec![("+12122530001".into(), 5)];
    let midnight = Timestamp::from_millis((day_of(at(0)) + 1) * DAY_MS);
    assert_eq!(case.said().0, Permit::NotBefore(midnight));
}

#[test]
fn hours_of_the_law_name_their_rule_and_data() {
    let mut case = case("+12052530000");
    assert_eq!(case.said().0, Permit::Dial(None));
    // Alabama: none on Sundays.
    case.policy.hours_of_law = true;
    let weighing = case.weigh();
    let Permit::NotBefore(until) = weighing.permit else {
        panic!("{weighing:?}");
    };
    assert!(until > at(12 * 3_600));
    let decided = &weighing.checks[weighing.decided.unwrap()];
    assert!(decided.rule.starts_with("us-al") && !decided.version.is_empty(), "{decided:?}");
}

#[test]
fn campaigns_own_hours_hold_in_every_zone_that_the_callee_may_be_in() {
    let mut case = case("6172530000");
    case.policy.hours = Some(Hours::parse("every-day 09:00-14:00").unwrap());
    let (permit, reason) = case.said();
    assert!(matches!(permit, Permit::NotBefore(_)));
    assert!(reason.starts_with("campaign-hours:"), "{reason}");
    // The client says that he is in California, too: 11:30 there does not help.
    case.contact.place.zone = Some("America/Los_Angeles".into());
    assert!(matches!(case.said().0, Permit::NotBefore(_)));
    case.policy.hours = Some(Hours::parse("every-day 09:00-15:00").unwrap());
    assert_eq!(case.said().0, Permit::Dial(None));
}

#[test]
fn hours_that_zones_have_never_in_common_end_the_contact() {
    let mut case = case("6172530000");
    case.contact.place.zone = Some("Asia/Tokyo".into());
    case.policy.hours = Some(Hours::parse("every-day 09:00-10:00").unwrap());
    assert_eq!(case.said().0, Permit::End(Disposition::Failed));
}

#[test]
fn number_in_a_call_anywhere_waits() {
    let mut case = case("6172530000");
    case.past.is_live = true;
    let (permit, reason) = case.said();
    assert_eq!(permit, Permit::NotBefore(at(0) + LIVE_WAIT));
    assert_eq!(reason, "one-call-at-a-time: a call to this number is under way");
}

#[test]
fn conference_is_weighed_by_windows_and_budget_and_not_by_what_protects_callees() {
    let mut case = case("15550100");
    case.contact.destination = Destination::conference("talk").unwrap();
    // Another call in the same conference, at night, and a list that names it.
    case.past.is_live = true;
    case.past.listed = vec![(DO_NOT_CALL.into(), at(-5))];
    case.policy.destinations.private = false;
    let weighing = case.weigh();
    assert_eq!(weighing.permit, Permit::Dial(None));
    let rules: Vec<&str> = weighing.checks.iter().map(|check| check.rule.as_str()).collect();
    assert_eq!(rules, ["campaign-window", "call-window", "budget", "conference"]);
    case.contact.attempts = 3;
    assert_eq!(case.weigh().permit, Permit::End(Disposition::Failed));
    // Whom the application shows where it calls somebody into it must be the account's own.
    case.contact.attempts = 0;
    case.verified = Some(vec!["+16175550100".into()]);
    let shown = |id: &str| Destination::conference("talk").unwrap().with_caller_id(id).unwrap();
    case.contact.destination = shown("+16175550100");
    assert_eq!(case.weigh().permit, Permit::Dial(Some("+16175550100".into())));
    case.contact.destination = shown("+16175550101");
    assert_eq!(case.weigh().permit, Permit::End(Disposition::Failed));
}

#[test]
fn gap_and_caps_count_the_calls_of_all_campaigns() {
    let mut case = case("6172530000");
    case.policy.caps =
        vec![Limit::parse("gap 1h").unwrap(), Limit::parse("calls 3 in 24h").unwrap()];
    case.past.calls = vec![call(-600, false)];
    let (permit, reason) = case.said();
    assert_eq!(permit, Permit::NotBefore(at(-570 + 3_600)));
    assert!(reason.starts_with("campaign-caps: gap 1h: 1 counted"), "{reason}");
    case.past.calls = vec![call(-7_200, false), call(-9_000, false), call(-10_000, false)];
    assert_eq!(case.said().0, Permit::NotBefore(at(-10_000 + 86_400)));
    case.past.calls = vec![call(-90_000, false), call(-9_000, false), call(-10_000, false)];
    assert_eq!(case.said().0, Permit::Dial(None));
}

#[test]
fn caps_of_the_law_hold_where_the_campaign_heeds_them() {
    let mut case = case("+13052530000");
    case.past.calls = vec![call(-7_200, false), call(-9_000, false), call(-10_000, false)];
    assert_eq!(case.said().0, Permit::Dial(None));
    case.policy.caps_of_law = true;
    let (permit, reason) = case.said();
    assert_eq!(permit, Permit::NotBefore(at(-10_000 + 86_400)));
    assert!(reason.starts_with("us-fl-attempts"), "{reason}");
}

#[test]
fn end_weighs_more_than_waiting_and_every_check_is_listed_all_the_same() {
    let mut case = case("6172530000");
    case.policy.window.opens_at = Some(at(60));
    case.past.listed = vec![(DO_NOT_CALL.into(), at(-60))];
    case.past.is_live = true;
    let weighing = case.weigh();
    assert_eq!(weighing.permit, Permit::End(Disposition::Canceled));
    assert_eq!(weighing.checks.iter().filter(|check| !check.passed).count(), 3);
}

#[test]
fn checks_come_back_from_their_text() {
    let mut case = case("6172530000");
    case.past.is_live = true;
    let weighing = case.weigh();
    assert_eq!(stored_checks(&weighing.to_string()), weighing.checks);
    assert_eq!(stored_checks("nonsense\n\u{fc}\ta\tb\n"), []);
}

#[test]
fn past_is_read_as_far_back_as_any_rule_looks() {
    let rules = RuleBook::built_in();
    let mut policy = CampaignPolicy::default();
    assert_eq!(looks_back(&policy, rules), Duration::ZERO);
    policy.caps = vec![Limit::parse("calls 3 in 24h").unwrap()];
    assert_eq!(looks_back(&policy, rules), Duration::from_secs(86_400));
    policy.caps_of_law = true;
    assert_eq!(looks_back(&policy, rules), Duration::from_secs(30 * 86_400));
}

#[test]
fn bench_does_not_weigh_by_a_policy_that_is_not_the_stores() {
    let case = case("6172530000");
    let mut bench = Bench::new(case.ground, CampaignPolicy::default());
    let weigh = |bench: &Bench, version| {
        let weighing = bench.weigh(at(0), &case.contact, version, &Past::default());
        weighing.map(|weighing| weighing.permit)
    };
    assert_eq!(weigh(&bench, 0), Some(Permit::Dial(None)));
    assert_eq!(weigh(&bench, 1), None);
    let mut closed = CampaignPolicy::default();
    closed.window.closes_at = Some(at(-1));
    bench.policies.insert(CampaignId(1), (1, closed));
    assert_eq!(weigh(&bench, 0), None);
    assert_eq!(weigh(&bench, 1), Some(Permit::End(Disposition::Expired)));
}
