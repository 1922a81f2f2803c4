//! Caps against brute force, and by example.

use jiff::civil::date;
use proptest::prelude::*;

use super::*;
use crate::calling_hours::RuleBook;
use crate::region::{Country, Region};
use crate::zones::{DayBound, Place};

const HOUR: Duration = Duration::from_secs(3_600);
const MINUTE_MS: i64 = 60_000;

fn new_york() -> Vec<Zone> {
    vec![Zone::named("America/New_York").unwrap()]
}

/// The moment at which the clocks of New York show this in November 2026.
fn at(day: i8, hour: u16, minute: u16) -> Timestamp {
    let day = date(2026, 11, day);
    new_york()[0].bound(day, hour * 60 + minute, DayBound::Closes).unwrap()
}

fn call(begun_at: Timestamp) -> PastCall {
    PastCall { begun_at, ended_at: None, is_counted: true, is_conversation: false }
}

fn next(past: &[PastCall], now: Timestamp, limits: &[&str]) -> Option<(Timestamp, u32)> {
    let limits = limits.iter().map(|limit| Limit::parse(limit).unwrap()).collect();
    let cap = Cap::own("test", limits);
    let refused = next_allowed(past, now, [&cap], &new_york())?;
    Some((refused.until, refused.seen))
}

fn in_region(region: &str) -> Place {
    let region: Region = region.parse().unwrap();
    Place {
        country: Some(region.country()),
        regions: vec![region],
        zones: new_york(),
        evidence: Vec::new(),
        unknown: Vec::new(),
    }
}

#[test]
fn fourth_call_within_24_hours_waits_until_the_first_is_a_day_old() {
    let past = [call(at(18, 9, 0)), call(at(18, 12, 0)), call(at(18, 15, 0))];
    let limits = ["calls 3 in 24h"];
    assert_eq!(next(&past[..2], at(18, 16, 0), &limits), None);
    assert_eq!(next(&past, at(18, 16, 0), &limits), Some((at(19, 9, 0), 3)));
    assert_eq!(next(&past, at(19, 9, 0), &limits), None);
}

#[test]
fn florida_oklahoma_and_maryland_have_3_calls_in_24_hours_and_texas_none() {
    let caps = |region: &str| -> Vec<String> {
        let place = in_region(region);
        let caps = RuleBook::built_in().caps_for(&place, &[]);
        caps.iter().map(|cap| format!("{}: {}", cap.name, cap.limits[0])).collect()
    };
    assert_eq!(caps("US-FL"), ["us-fl-attempts: calls 3 in 24h"]);
    assert_eq!(caps("US-OK"), ["us-ok-attempts: calls 3 in 24h"]);
    assert_eq!(caps("US-MD"), ["us-md-attempts: calls 3 in 24h"]);
    assert_eq!(caps("US-TX"), [""; 0]);
    let refused = next_allowed(
        &[call(at(18, 9, 0)); 3],
        at(18, 10, 0),
        RuleBook::built_in().caps_for(&in_region("US-FL"), &[]),
        &new_york(),
    );
    assert_eq!(refused.unwrap().version, "caps 2026-11-21");
}

#[test]
fn cap_on_debts_holds_only_where_a_campaign_asks_for_it() {
    let book = RuleBook::built_in();
    let place = in_region("US-TX");
    assert!(book.caps_for(&place, &[]).is_empty());
    let caps = book.caps_for(&place, &["us-debts".to_owned()]);
    assert_eq!(caps.len(), 1);
    let seven: Vec<PastCall> = (10..=16).map(|day| call(at(day, 9, 0))).collect();
    let refused = next_allowed(&seven, at(16, 10, 0), caps.clone(), &new_york()).unwrap();
    assert_eq!((refused.rule.as_str(), refused.until), ("us-debts", at(17, 9, 0)));
    assert_eq!(refused.limit.to_string(), "calls 7 in 7d");
    assert_eq!(next_allowed(&seven[..6], at(16, 10, 0), caps, &new_york()), None);
}

#[test]
fn day_of_a_conversation_is_the_first_of_the_seven() {
    // 12 CFR 1006.14(b)(2)(i)(B): a talk on the 10th, however late, forbids the 10th to the 16th.
    let limits = ["after-conversation 7 days"];
    for talk in [at(10, 8, 0), at(10, 23, 59)] {
        let past = [PastCall { is_conversation: true, ..call(talk) }];
        assert_eq!(next(&past, at(10, 23, 59), &limits), Some((at(17, 0, 0), 1)));
        assert_eq!(next(&past, at(17, 0, 0), &limits), None);
    }
}

#[test]
fn call_that_came_in_does_not_count_but_the_talk_in_it_does() {
    let came_in = PastCall { is_counted: false, is_conversation: true, ..call(at(10, 9, 0)) };
    assert_eq!(next(&[came_in], at(10, 10, 0), &["calls 1 in 24h", "gap 4h"]), None);
    let rest = next(&[came_in], at(10, 10, 0), &["after-conversation 7 days"]);
    assert_eq!(rest, Some((at(17, 0, 0), 1)));
}

#[test]
fn days_are_counted_in_every_zone_that_the_callee_may_be_in() {
    let zones = ["America/New_York", "America/Los_Angeles"].map(|name| Zone::named(name).unwrap());
    // 1:00 in New York on the 11th is still the 10th in Los Angeles.
    let past = [PastCall { is_conversation: true, ..call(at(11, 1, 0)) }];
    let cap = Cap::own("test", vec![Limit::AfterConversation { days: 7 }]);
    let until = |zones: &[Zone]| next_allowed(&past, at(11, 2, 0), [&cap], zones).unwrap().until;
    assert_eq!(until(&zones[..1]), at(18, 0, 0));
    assert_eq!(until(&zones[1..]), at(17, 3, 0));
    assert_eq!(until(&zones), at(18, 0, 0));
}

#[test]
fn gap_is_from_the_end_of_a_call_to_the_beginning_of_the_next() {
    let past = [PastCall { ended_at: Some(at(18, 9, 30)), ..call(at(18, 9, 0)) }];
    assert_eq!(next(&past, at(18, 10, 0), &["gap 4h"]), Some((at(18, 13, 30), 1)));
    assert_eq!(next(&past, at(18, 13, 30), &["gap 4h"]), None);
    assert_eq!(next(&[], at(18, 13, 30), &["gap 4h"]), None);
}

#[test]
fn cap_that_holds_the_longest_is_told() {
    let past = [call(at(18, 9, 0))];
    let caps = [("a", "gap 4h"), ("b", "calls 1 in 24h"), ("c", "gap 30m")]
        .map(|(name, limit)| Cap::own(name, vec![Limit::parse(limit).unwrap()]));
    let refused = next_allowed(&past, at(18, 9, 10), &caps, &new_york()).unwrap();
    assert_eq!((refused.rule.as_str(), refused.until), ("b", at(19, 9, 0)));
    assert_eq!(refused.version, "");
}

#[test]
fn window_of_24_hours_is_24_hours_on_the_day_of_a_clock_change() {
    // From noon of October 31 to 11:00 of November 1, clocks having gone back.
    let past = [call(at(1, 12, 0) - 25 * HOUR)];
    assert_eq!(next(&past, at(1, 3, 0), &["calls 1 in 24h"]), Some((at(1, 11, 0), 1)));
}

#[test]
fn limits_are_read_and_written() {
    for text in
        ["calls 3 in 24h", "calls 7 in 7d", "gap 90s", "gap 15m", "after-conversation 7 days"]
    {
        assert_eq!(Limit::parse(text).unwrap().to_string(), text);
    }
    for text in
        ["calls 0 in 24h", "calls 3 in 24", "calls -1 in 1h", "gap 0h", "gap h", "gap 4é", "x"]
    {
        assert!(Limit::parse(text).is_err(), "{text}");
    }
    let long = Limit::parse("calls 3 in 400d").unwrap_err().to_string();
    assert_eq!(long, "\"calls 3 in 400d\" looks back for more than a year");
    assert!(Limit::parse("gap 18446744073709551615d").is_err());
}

#[test]
fn whoever_reads_the_past_is_told_how_far() {
    let debts = RuleBook::built_in().caps().iter().find(|cap| cap.name == "us-debts").unwrap();
    assert_eq!(debts.looks_back(), 9 * 24 * HOUR);
    assert!(debts.applies.countries.contains(&Country::US));
}

/// Whether a limit permits a call at `now`, said by the words of the rule.
fn permits(limit: Limit, past: &[PastCall], now: Timestamp, zones: &[Zone]) -> bool {
    let counted = || past.iter().filter(|call| call.is_counted);
    match limit {
        Limit::AfterConversation { days } => {
            past.iter().filter(|call| call.is_conversation).all(|call| {
                let talked_at = call.ended_at.unwrap_or(call.begun_at);
                zones.iter().all(|zone| {
                    let (talked, today) = (zone.local(talked_at).date(), zone.local(now).date());
                    talked.until(today).unwrap().get_days() >= i32::from(days)
                })
            })
        }
        Limit::Calls { calls_max, within } => {
            counted().filter(|call| call.begun_at + within > now).count() < calls_max as usize
        }
        Limit::Gap { at_least } => {
            counted().all(|call| call.ended_at.unwrap_or(call.begun_at) + at_least <= now)
        }
    }
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![
        (1u16..4).prop_map(|days| Limit::AfterConversation { days }),
        (1u32..5, 1u64..60).prop_map(|(calls_max, hours)| Limit::Calls {
            calls_max,
            within: Duration::from_secs(hours * 3_600)
        }),
        (1u64..2_000)
            .prop_map(|minutes| Limit::Gap { at_least: Duration::from_secs(minutes * 60) }),
    ]
}

proptest! {
    #[test]
    fn next_allowed_moment_is_the_first_minute_that_every_cap_permits(
        calls in prop::collection::vec((0i64..6_000, 0i64..200, any::<bool>(), any::<bool>()), 0..8),
        limits in prop::collection::vec(limit(), 1..4),
        now_min in 0i64..7_000,
        zones in prop::sample::subsequence(
            vec!["America/New_York", "Pacific/Honolulu", "Pacific/Guam", "America/Nuuk"], 1..=3),
    ) {
        // From four days before the clocks of New York go back.
        let epoch = at(1, 0, 0).as_millis() - 4 * 1_440 * MINUTE_MS;
        let minute = |minutes: i64| Timestamp::from_millis(epoch + minutes * MINUTE_MS);
        let past: Vec<PastCall> = calls
            .iter()
            .map(|(begun, length, is_counted, is_conversation)| PastCall {
                begun_at: minute(*begun),
                ended_at: (length % 3 > 0).then(|| minute(begun + length)),
                is_counted: *is_counted,
                is_conversation: *is_conversation,
            })
            .collect();
        let zones: Vec<Zone> = zones.iter().map(|name| Zone::named(name).unwrap()).collect();
        let cap = Cap::own("test", limits.clone());
        let refused = next_allowed(&past, minute(now_min), [&cap], &zones);
        let first = (now_min..).find(|minutes| {
            limits.iter().all(|limit| permits(*limit, &past, minute(*minutes), &zones))
        });
        let until = refused.map_or(minute(now_min), |refused| refused.until);
        prop_assert_eq!(Some(until), first.map(minute));
    }

    #[test]
    fn any_text_is_a_limit_or_none_and_a_limit_reads_back(text in "\\PC{0,30}|[a-z]{3,5} [0-9]{1,9} in [0-9]{1,9}[smhd]") {
        if let Ok(limit) = Limit::parse(&text) {
            prop_assert_eq!(Limit::parse(&limit.to_string()), Ok(limit));
        }
    }
}
