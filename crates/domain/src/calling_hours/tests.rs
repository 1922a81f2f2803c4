//! Rules of hours: against brute force over clock changes, against users' complaints, and by example.

use std::collections::HashMap;

use jiff::civil::{Date, date};
use proptest::prelude::*;

use super::*;
use crate::number::canonical::Canonical;
use crate::region::{Country, Region};
use crate::zones::{Atlas, Hint, Home, Placing};

pub(super) fn zone(name: &str) -> Zone {
    Zone::named(name).unwrap()
}

/// A place by hand: `US` or `US-AL`, and its zones.
pub(super) fn place(where_: &str, zones: &[&str]) -> Place {
    let region: Option<Region> = where_.parse().ok();
    let country = region.map_or_else(|| where_.parse().ok(), |region| Some(region.country()));
    Place {
        country,
        regions: region.into_iter().collect(),
        zones: zones.iter().map(|name| zone(name)).collect(),
        evidence: Vec::new(),
        unknown: Vec::new(),
    }
}

/// The place of a number, by all that is known of it.
fn of_number(dialed: &str, hint: &Hint) -> Place {
    let home = Home { country: Country::US, zone: None };
    let number = Canonical::of(dialed, home.country);
    Atlas::built_in().place(&number, hint, Placing::default(), &home)
}

/// The moment at which the clocks of a zone show this.
pub(super) fn at(zone_name: &str, date: Date, hour: u16, minute: u16) -> Timestamp {
    zone(zone_name).bound(date, hour * 60 + minute, crate::zones::DayBound::Closes).unwrap()
}

fn utc(date: Date, hour: u16, minute: u16) -> Timestamp {
    at("UTC", date, hour, minute)
}

fn told(ruling: &Ruling) -> String {
    match ruling {
        Ruling::NotNow(refusal) => refusal.to_string(),
        Ruling::Permitted { until: None } => "permitted".to_owned(),
        Ruling::Permitted { until: Some(until) } => {
            format!("permitted until {}", Zone::utc().told(*until))
        }
    }
}

#[test]
fn every_shipped_file_is_read_and_every_rule_tells_its_source_and_date() {
    let book = RuleBook::built_in();
    assert_eq!(book.provenance().len(), 4);
    assert!(book.hours_rules().len() >= 22);
    for rule in book.hours_rules() {
        let Provenance { version, source, .. } = &rule.provenance;
        assert!(version.parse::<Date>().is_ok() && !source.is_empty(), "{}", rule.name);
        assert!(!rule.about.is_empty(), "{}", rule.name);
        assert_eq!(rule.hours.check_calendars(book.holidays()), Ok(()), "{}", rule.name);
    }
    for cap in book.caps() {
        assert!(!cap.provenance.source.is_empty() && !cap.about.is_empty(), "{}", cap.name);
    }
    for calendar in book.holidays().calendars() {
        assert!(!calendar.about().is_empty() && !calendar.provenance().source.is_empty());
    }
}

#[test]
fn number_is_not_called_before_its_own_morning() {
    let book = RuleBook::built_in();
    let place = of_number("+16175551234", &Hint::NONE);
    let at_dawn = at("America/New_York", date(2026, 11, 18), 7, 59);
    assert_eq!(
        told(&book.permitted(at_dawn, &place, None)),
        "us-federal-hours does not permit at Wed 2026-11-18 07:59 EST in America/New_York; \
         permitted from Wed 2026-11-18 08:00 EST"
    );
    let at_eight = at("America/New_York", date(2026, 11, 18), 8, 0);
    let evening = told(&book.permitted(at_eight, &place, None));
    assert_eq!(evening, "permitted until Thu 2026-11-19 01:00 UTC");
}

#[test]
fn every_zone_that_a_number_may_be_in_must_permit() {
    // 850 is on both sides of Florida's line: from 8 Central to 20 Eastern.
    let place = of_number("850 555 1234", &Hint::NONE);
    let book = RuleBook::built_in();
    let day = date(2026, 11, 18);
    let ruling = |hour, minute| {
        told(&book.permitted(at("America/New_York", day, hour, minute), &place, None))
    };
    assert_eq!(
        ruling(8, 30),
        "us-federal-hours does not permit at Wed 2026-11-18 07:30 CST in America/Chicago; \
         permitted from Wed 2026-11-18 08:00 CST"
    );
    assert_eq!(ruling(9, 0), "permitted until Thu 2026-11-19 01:00 UTC");
    assert_eq!(
        ruling(20, 0),
        "us-fl-hours does not permit at Wed 2026-11-18 20:00 EST in America/New_York; \
         permitted from Thu 2026-11-19 09:00 EST"
    );
}

#[test]
fn every_check_is_told_with_rule_zone_local_time_and_version() {
    let place = of_number("205 555 1234", &Hint::NONE);
    let now = at("America/Chicago", date(2026, 11, 26), 10, 0);
    let own = Hours::parse("mon-fri 9-18").unwrap();
    let weighing = RuleBook::built_in().weigh(now, &place, Some(&own));
    let told: Vec<String> = weighing
        .checks
        .iter()
        .map(|check| {
            let verdict = matches!(check.look, Look::Open { .. });
            format!(
                "{} [{}] {} {:?} {verdict}",
                check.rule, check.version, check.local, check.holiday
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "us-federal-hours [hours-us 2025-11-30] Thu 2026-11-26 10:00 CST None true",
            "us-al-hours [hours-us 2025-11-30] Thu 2026-11-26 10:00 CST Some(\"thanksgiving day\") false",
            "campaign-hours [] Thu 2026-11-26 10:00 CST None true",
        ]
    );
    let Ruling::NotNow(refusal) = weighing.ruling else { panic!("a holiday of Alabama") };
    assert_eq!(
        refusal.to_string(),
        "us-al-hours does not permit at Thu 2026-11-26 10:00 CST in America/Chicago, \
         thanksgiving day; permitted from Fri 2026-11-27 09:00 CST"
    );
}

#[test]
fn campaign_hours_and_the_laws_hold_together() {
    let book = RuleBook::built_in();
    let place = of_number("617 555 1234", &Hint::NONE);
    let own = Hours::parse("mon-fri 7:00-12:00; date 2026-11-20").unwrap();
    let day = date(2026, 11, 18);
    let ruling =
        |day, hour| told(&book.permitted(at("America/New_York", day, hour, 0), &place, Some(&own)));
    assert!(ruling(day, 7).starts_with("us-federal-hours does not permit"));
    assert_eq!(ruling(day, 8), "permitted until Wed 2026-11-18 17:00 UTC");
    // Friday is excluded by date, so the next morning is Monday's.
    assert_eq!(
        ruling(date(2026, 11, 19), 12),
        "campaign-hours does not permit at Thu 2026-11-19 12:00 EST in America/New_York; \
         permitted from Mon 2026-11-23 08:00 EST"
    );
}

#[test]
fn campaign_hours_may_be_by_the_clock_of_an_office() {
    let own = Hours::parse("mon-fri 9-17; zone Europe/Berlin").unwrap();
    let place = of_number("617 555 1234", &Hint::NONE);
    let now = at("America/New_York", date(2026, 11, 18), 10, 59);
    let ruling = RuleBook::built_in().permitted(now, &place, Some(&own));
    assert_eq!(told(&ruling), "permitted until Wed 2026-11-18 16:00 UTC");
}

#[test]
fn hours_that_never_meet_are_refused_without_a_moment() {
    let book = RuleBook::built_in();
    let own = Hours::parse("mon-fri 22:00-23:00").unwrap();
    let place = of_number("617 555 1234", &Hint::NONE);
    let ruling = book.permitted(utc(date(2026, 11, 18), 12, 0), &place, Some(&own));
    let Ruling::NotNow(refusal) = &ruling else { panic!("the law ends at 21:00") };
    assert_eq!(refusal.until, None);
    assert!(told(&ruling).ends_with("no hour within a year is permitted everywhere it may be"));
    let closed = Hours::parse("every-day closed").unwrap();
    let ruling = book.permitted(utc(date(2026, 11, 18), 15, 0), &place, Some(&closed));
    assert!(matches!(ruling, Ruling::NotNow(Refusal { until: None, .. })));
}

#[test]
fn rule_holds_from_its_first_day_until_its_last() {
    let text = "version: 2026-01-01\nsource: a test\nhours test US\nfrom 2026-03-01\n\
                until 2026-04-01\nevery-day 10:00-11:00\n";
    let book = RuleBook::default().with("test", text).unwrap();
    let place = place("US", &["America/New_York"]);
    let ruling = |month, day, hour| {
        told(&book.permitted(at("America/New_York", date(2026, month, day), hour, 0), &place, None))
    };
    assert_eq!(ruling(2, 28, 23), "permitted until Sun 2026-03-01 05:00 UTC");
    assert!(ruling(3, 1, 0).ends_with("permitted from Sun 2026-03-01 10:00 EST"));
    assert!(ruling(3, 31, 23).ends_with("permitted from Wed 2026-04-01 00:00 EDT"));
    assert!(ruling(4, 1, 0).starts_with("permitted until"));
}

#[test]
fn rules_of_a_file_are_added_and_replace_those_of_the_same_name() {
    let text = "version: 2026-12-01\nsource: our lawyer\n\
                hours us-fl-hours US-FL\nmon-sat 08:00-20:00\nsun closed\n\
                hours us-tx-hours US-TX\nmon-sat 09:00-21:00\nsun 12:00-21:00\n";
    let book = RuleBook::built_in().clone().with("ours", text).unwrap();
    assert_eq!(book.hours_rules().len(), RuleBook::built_in().hours_rules().len() + 1);
    let sunday = at("America/New_York", date(2026, 11, 22), 10, 0);
    let weighing = book.weigh(sunday, &of_number("305 555 1234", &Hint::NONE), None);
    let versions: Vec<&str> = weighing.checks.iter().map(|check| &*check.version).collect();
    assert_eq!(versions, ["hours-us 2025-11-30", "ours 2026-12-01"]);
    assert!(!weighing.ruling.is_permitted());
}

#[test]
fn file_with_a_mistake_is_refused_with_its_line() {
    let problem = |rows: &str| {
        let text = format!("version: 2026-01-01\nsource: a test\n{rows}");
        RuleBook::default().with("ours", &text).unwrap_err().to_string()
    };
    let refusals = [
        ("hours x\nevery-day open", "ours, line 3: hours hold somewhere"),
        ("hours x US\nmon open", "ours, line 3: a rule names every day of the week"),
        ("hours x US\nevery-day 9-25", "ours, line 4: \"9-25\" are no hours"),
        ("hours x US\nnonsense", "ours, line 4: \"nonsense\" is not understood"),
        ("hours x USA\nevery-day open", "ours, line 3: a country is two letters"),
        ("hours x US\nevery-day open\nholidays XX", "ours, line 3: calendar \"XX\" is unknown"),
        ("hours x US\nfrom soon\nevery-day open", "ours, line 4: \"soon\" is no date"),
        ("calendar XX\nx 9th mon may", "ours, line 4: expected a day"),
        ("calendar", "ours, line 3: a calendar has one word"),
        ("cap x US", "ours, line 3: a cap limits something"),
        ("cap x US\ncalls 0 in 24h", "ours, line 4: \"calls 0 in 24h\" is not understood"),
        ("every-day open", "ours, line 3: \"every-day\" is outside of hours"),
    ];
    for (rows, expected) in refusals {
        assert!(problem(rows).starts_with(expected), "{rows}: {}", problem(rows));
    }
}

#[test]
fn examples_of_the_document_are_read() {
    let document = include_str!("../../../../docs/calling-hours.md");
    let blocks: Vec<&str> = document.split("```").skip(1).step_by(2).map(str::trim).collect();
    let own = blocks.iter().find(|block| block.starts_with("mon-fri")).unwrap();
    let hours = Hours::parse(own).unwrap();
    assert_eq!(hours.check_calendars(RuleBook::built_in().holidays()), Ok(()));
    let file = blocks.iter().find(|block| block.starts_with("version:")).unwrap();
    let book = RuleBook::built_in().clone().with("ours", file).unwrap();
    let texas = book.hours_rules().iter().find(|rule| rule.name == "us-tx-hours").unwrap();
    assert_eq!(texas.hours.to_string(), "mon-sat 09:00-21:00; sun 12:00-21:00");
    let day_after = book.holidays().on(date(2026, 11, 27), ["US-TX"]);
    assert_eq!(day_after, Some("day after thanksgiving"));
}

#[test]
fn canada_and_france_have_their_own_days() {
    let book = RuleBook::built_in();
    let toronto = place("CA", &["America/Toronto"]);
    let saturday = at("America/Toronto", date(2026, 11, 21), 18, 0);
    assert!(
        told(&book.permitted(saturday, &toronto, None)).ends_with("from Sun 2026-11-22 10:00 EST")
    );
    let paris = place("FR", &["Europe/Paris"]);
    let noon = at("Europe/Paris", date(2026, 5, 13), 13, 0);
    assert!(told(&book.permitted(noon, &paris, None)).ends_with("from Wed 2026-05-13 14:00 CEST"));
    // Ascension Day is a Thursday.
    let evening = at("Europe/Paris", date(2026, 5, 13), 20, 0);
    assert!(
        told(&book.permitted(evening, &paris, None)).ends_with("from Fri 2026-05-15 10:00 CEST")
    );
}

#[test]
fn practice_is_told_from_law() {
    let book = RuleBook::built_in();
    let standing = |name: &str| {
        book.hours_rules().iter().find(|rule| rule.name == name).map(|rule| rule.standing)
    };
    assert_eq!(standing("de-hours"), Some(Standing::Practice));
    assert_eq!(standing("us-federal-hours"), Some(Standing::Law));
}

#[test]
fn extension_is_under_no_law_but_under_the_campaigns_hours_at_home() {
    let book = RuleBook::built_in();
    let home = Home { country: Country::US, zone: Some(zone("America/Denver")) };
    let number = Canonical::of("2001", home.country);
    let place = Atlas::built_in().place(&number, &Hint::NONE, Placing::default(), &home);
    let night = at("America/Denver", date(2026, 11, 18), 3, 0);
    assert_eq!(told(&book.permitted(night, &place, None)), "permitted");
    let own = Hours::parse("every-day 8-20").unwrap();
    assert!(
        told(&book.permitted(night, &place, Some(&own))).ends_with("from Wed 2026-11-18 08:00 MST")
    );
}

// What users of such systems complain about (time zones and hours).

#[test]
fn complaint_67_window_of_an_hour_is_not_put_off_by_a_day() {
    // Window 13 to 14: before it, today at 13; within it, now; only after it, tomorrow.
    let own = Hours::parse("every-day 13:00-14:00").unwrap();
    let place = of_number("617 555 1234", &Hint::NONE);
    let book = RuleBook::built_in();
    let day = date(2026, 11, 18);
    let ruling = |hour, minute| {
        told(&book.permitted(at("America/New_York", day, hour, minute), &place, Some(&own)))
    };
    assert!(ruling(12, 59).ends_with("permitted from Wed 2026-11-18 13:00 EST"));
    assert_eq!(ruling(13, 0), "permitted until Wed 2026-11-18 19:00 UTC");
    assert_eq!(ruling(13, 59), "permitted until Wed 2026-11-18 19:00 UTC");
    assert!(ruling(14, 0).ends_with("permitted from Thu 2026-11-19 13:00 EST"));
}

#[test]
fn complaint_68_hours_are_the_contacts_and_no_setting_of_the_machine_matters() {
    // 13:00 UTC is 8:00 in New York and 5:00 in Los Angeles. Zones come from the copy inside the
    // program: neither TZ nor the machine's database is read, which clippy's bans hold up.
    let now = utc(date(2026, 11, 18), 13, 0);
    let own = Hours::parse("every-day 8-21").unwrap();
    let permitted = |number| {
        let place = of_number(number, &Hint::NONE);
        RuleBook::built_in().permitted(now, &place, Some(&own)).is_permitted()
    };
    assert!(permitted("617 555 1234"));
    assert!(!permitted("213 555 1234"));
}

#[test]
fn complaint_69_nobody_is_put_into_utc_or_left_out_for_ever() {
    // Whatever can be dialed has a zone of its country or of its home, and comes to its turn.
    let own = Hours::parse("mon-fri 9-18").unwrap();
    let saturday = utc(date(2026, 11, 21), 12, 0);
    for number in
        ["+16175551234", "+18005551234", "+19995551234", "+447400123456", "2001", "+870773111632"]
    {
        let place = of_number(number, &Hint::NONE);
        assert!(place.zones.iter().all(|zone| zone.name() != "UTC"), "{number}");
        let ruling = RuleBook::built_in().permitted(saturday, &place, Some(&own));
        let Ruling::NotNow(Refusal { until: Some(until), .. }) = ruling else {
            panic!("{number} is never called: {}", told(&ruling));
        };
        let monday = Zone::utc().local(until).date();
        assert_eq!(monday, date(2026, 11, 23), "{number}");
    }
}

#[test]
fn complaint_70_counties_of_indiana_and_arizona_and_clocks_that_do_not_change() {
    let names = |number: &str, code: Option<&str>| {
        let hint = Hint { postal_code: code.map(str::to_owned), ..Hint::NONE };
        let home = Home { country: Country::US, zone: None };
        let number = Canonical::of(number, home.country);
        let place = Atlas::built_in().place(&number, &hint, Placing::PostalCode, &home);
        place.zones.iter().map(|zone| zone.name().to_owned()).collect::<Vec<_>>()
    };
    // Evansville and Indianapolis: 812 may be both, the postal code tells.
    assert_eq!(names("812 555 1234", None), ["America/Chicago", "America/Indiana/Indianapolis"]);
    assert_eq!(names("812 555 1234", Some("47708")), ["America/Chicago"]);
    assert_eq!(names("812 555 1234", Some("47401")), ["America/Indiana/Indianapolis"]);
    // A code that no table knows: back to the area code.
    assert_eq!(names("317 555 1234", Some("00000")), ["America/Indiana/Indianapolis"]);
    // Phoenix never changes its clocks, the Navajo Nation does.
    assert_eq!(names("602 555 1234", None), ["America/Phoenix"]);
    assert_eq!(names("928 555 1234", None), ["America/Denver", "America/Phoenix"]);
    assert_eq!(names("928 555 1234", Some("86515")), ["America/Denver", "America/Phoenix"]);
    let offset = |month| {
        let noon = utc(date(2026, month, 15), 19, 0);
        zone("America/Phoenix").local(noon).hour()
    };
    assert_eq!([offset(1), offset(7)], [12, 12]);
}

// Brute force.

/// Zones whose clocks change in odd ways, and moments near their changes.
const CHANGES: [(&str, i16, i8, i8); 14] = [
    ("America/New_York", 2026, 3, 8),
    ("America/New_York", 2026, 11, 1),
    ("America/Havana", 2026, 11, 1),
    ("America/Havana", 2026, 3, 8),
    ("America/Nuuk", 2026, 3, 28),
    ("America/Nuuk", 2026, 10, 24),
    ("America/Santiago", 2026, 9, 6),
    ("Africa/Cairo", 2026, 4, 24),
    ("Africa/Cairo", 2026, 10, 29),
    ("Africa/Casablanca", 2026, 2, 15),
    ("Antarctica/Troll", 2026, 3, 29),
    ("Australia/Lord_Howe", 2026, 4, 5),
    ("Australia/Lord_Howe", 2026, 10, 4),
    ("Europe/London", 2026, 10, 25),
];

/// Days that brute force looks at, before and after the noon of the day of the change.
const DAYS_BEFORE: i64 = 3;
const DAYS_AFTER: i64 = 9;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 1_440 * MINUTE_MS;

/// Spans of each day of the week in minutes, Monday first.
type Week = Vec<Vec<(u16, u16)>>;

fn week() -> impl Strategy<Value = Week> {
    // Mostly at night, where clocks change.
    let quarter = prop_oneof![4 => 0u16..=20, 2 => 84u16..=96, 1 => 0u16..=96];
    let cuts = prop::collection::btree_set(quarter, 0..=6);
    let day = cuts.prop_map(|cuts| {
        let cuts: Vec<u16> = cuts.into_iter().map(|quarter| quarter * 15).collect();
        cuts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    });
    prop::collection::vec(day, 7)
}

fn written(week: &Week) -> String {
    let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let clock = |minute: u16| format!("{}:{:02}", minute / 60, minute % 60);
    let rows = names.iter().zip(week).map(|(name, spans)| {
        let spans: Vec<String> =
            spans.iter().map(|(from, to)| format!("{}-{}", clock(*from), clock(*to))).collect();
        format!("{name} {}", if spans.is_empty() { "closed".to_owned() } else { spans.join(",") })
    });
    rows.collect::<Vec<_>>().join("\n")
}

/// Whether each minute from `first` on is permitted by `week` in `zone`, found by looking at the
/// clock of every single minute: hours have begun when the clock will not show their beginning or a
/// time before it again on that date, and are over when it has shown their end. A day begins once.
fn by_brute_force(week: &Week, zone: &Zone, first: Timestamp, minutes: usize) -> Vec<bool> {
    let shown: Vec<(Date, u16, usize)> = (0i64..)
        .take(minutes)
        .map(|nth| {
            let local = zone.local(Timestamp::from_millis(first.as_millis() + nth * MINUTE_MS));
            let minute = local.hour() as u16 * 60 + local.minute() as u16;
            let weekday = local.weekday().to_monday_zero_offset() as usize;
            (local.date(), minute, weekday)
        })
        .collect();
    let mut of_date: HashMap<Date, Vec<usize>> = HashMap::new();
    for (nth, (date, ..)) in shown.iter().enumerate() {
        of_date.entry(*date).or_default().push(nth);
    }
    let mut permitted = vec![false; minutes];
    for same_date in of_date.values() {
        for (from, to) in &week[shown[same_date[0]].2] {
            let before = same_date.iter().rev().find(|nth| shown[**nth].1 < *from);
            let begin = same_date.iter().rev().find(|nth| *from > 0 && shown[**nth].1 == *from);
            let after = same_date.iter().find(|nth| shown[**nth].1 >= *to);
            for nth in same_date {
                let has_begun = before.is_none_or(|before| nth > before)
                    && begin.is_none_or(|begin| nth >= begin);
                let is_over = after.is_some_and(|after| nth >= after);
                permitted[*nth] |= has_begun && !is_over;
            }
        }
    }
    permitted
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn next_permitted_moment_is_the_first_permitted_minute(
        change in prop::sample::select(&CHANGES[..]),
        others in prop::option::weighted(0.3, prop::sample::select(&CHANGES[..])),
        law in week(),
        own in prop::option::weighted(0.2, week()),
        offset_min in 0i64..7,
    ) {
        let (name, year, month, day) = change;
        let mut zones = vec![name];
        zones.extend(others.iter().map(|other| other.0));
        let place = place("XX", &zones);
        let text = format!("version: 1\nsource: x\nhours law XX\n{}", written(&law));
        let book = RuleBook::default().with("test", &text).unwrap();
        let own_hours = own.as_ref().map(|week| Hours::parse(&written(week)).unwrap());

        let begin = at(name, date(year, month, day), 12, 0).as_millis() - DAYS_BEFORE * DAY_MS;
        let minute = |nth: usize| Timestamp::from_millis(begin + nth as i64 * MINUTE_MS);
        let minutes = ((DAYS_BEFORE + DAYS_AFTER) * DAY_MS / MINUTE_MS) as usize;
        let mut permitted = vec![true; minutes];
        for week in [Some(&law), own.as_ref()].into_iter().flatten() {
            for zone in &place.zones {
                let of_zone = by_brute_force(week, zone, minute(0), minutes);
                permitted.iter_mut().zip(of_zone).for_each(|(all, one)| *all &= one);
            }
        }
        // Local days that are cut at the edges are not whole to brute force.
        permitted.truncate(minutes - 1_440);
        let nth = |at: Timestamp| ((at.as_millis() - begin) / MINUTE_MS) as usize;
        for now in (1_440 + offset_min as usize..1_440 * 4).step_by(7) {
            match book.permitted(minute(now), &place, own_hours.as_ref()) {
                Ruling::Permitted { until } => {
                    let until = until.map_or(now + 1, nth).min(permitted.len());
                    prop_assert!(until > now && permitted[now..until].iter().all(|open| *open));
                }
                Ruling::NotNow(refusal) => {
                    let first_open = (now..permitted.len()).find(|nth| permitted[*nth]);
                    let until = refusal.until.map(nth).filter(|nth| *nth < permitted.len());
                    prop_assert!(!permitted[now]);
                    prop_assert_eq!(until, first_open);
                }
            }
        }
    }

    #[test]
    fn any_text_is_a_table_of_hours_or_none(text in "([a-z0-9:, -]{0,12}[;\n]){0,4}|\\PC{0,60}") {
        if let Ok(hours) = Hours::parse(&text) {
            prop_assert_eq!(Hours::parse(&hours.to_string()), Ok(hours));
        }
    }

    #[test]
    fn any_text_is_a_file_of_rules_or_none(rows in "([a-z]{3,8} [A-Za-z0-9 :,-]{0,20}\n){0,6}") {
        let text = format!("version: 1\nsource: x\n{rows}");
        let _ = RuleBook::default().with("any", &text);
    }

    #[test]
    fn any_moment_of_time_has_a_ruling(millis in any::<i64>()) {
        let place = place("US-AL", &["America/Chicago"]);
        RuleBook::built_in().permitted(Timestamp::from_millis(millis), &place, None);
    }
}
