//! One test for each row of the table of states: which hours of four days are permitted there.

use jiff::civil::{Date, date};

use super::tests::{at, place};
use super::*;

const WEDNESDAY: Date = date(2026, 11, 18);
const SATURDAY: Date = date(2026, 11, 21);
const SUNDAY: Date = date(2026, 11, 22);
/// Thanksgiving Day, a Thursday.
const HOLIDAY: Date = date(2026, 11, 26);

/// Permitted hours of a Wednesday, Saturday, Sunday and holiday in a region, by the clock of a zone.
fn week(region: &str, zone: &str) -> [String; 4] {
    [WEDNESDAY, SATURDAY, SUNDAY, HOLIDAY].map(|day| hours_of(region, zone, day))
}

/// Permitted hours of a day, found by asking about every quarter of an hour: `08:00-20:00`.
fn hours_of(region: &str, zone: &str, day: Date) -> String {
    let place = place(region, &[zone]);
    let is_open = |quarter: u16| {
        let now = at(zone, day, quarter / 4, quarter % 4 * 15);
        RuleBook::built_in().permitted(now, &place, None).is_permitted()
    };
    let clock = |quarter: u16| format!("{:02}:{:02}", quarter / 4, quarter % 4 * 15);
    let mut spans = Vec::new();
    let mut opened = None;
    for quarter in 0..=96 {
        match (opened, quarter < 96 && is_open(quarter)) {
            (None, true) => opened = Some(quarter),
            (Some(from), false) => {
                spans.push(format!("{}-{}", clock(from), clock(quarter)));
                opened = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    if spans.is_empty() { "closed".to_owned() } else { spans.join(",") }
}

const EASTERN: &str = "America/New_York";
const CENTRAL: &str = "America/Chicago";

#[test]
fn federal_hours_are_from_8_to_21() {
    assert_eq!(week("US-TX", CENTRAL), ["08:00-21:00"; 4]);
    assert_eq!(week("PR-PR", "America/Puerto_Rico"), ["08:00-21:00"; 4]);
}

#[test]
fn alabama_is_from_8_to_20_and_never_on_sundays_and_holidays() {
    assert_eq!(week("US-AL", CENTRAL), ["08:00-20:00", "08:00-20:00", "closed", "closed"]);
}

#[test]
fn connecticut_is_from_9_to_20() {
    assert_eq!(week("US-CT", EASTERN), ["09:00-20:00"; 4]);
}

#[test]
fn florida_is_from_8_to_20() {
    assert_eq!(week("US-FL", EASTERN), ["08:00-20:00"; 4]);
}

#[test]
fn illinois_is_from_8_to_21() {
    assert_eq!(week("US-IL", CENTRAL), ["08:00-21:00"; 4]);
}

#[test]
fn kentucky_is_from_10_to_21() {
    assert_eq!(week("US-KY", EASTERN), ["10:00-21:00"; 4]);
}

#[test]
fn louisiana_is_from_8_to_20_and_never_on_sundays_and_holidays() {
    assert_eq!(week("US-LA", CENTRAL), ["08:00-20:00", "08:00-20:00", "closed", "closed"]);
    assert_eq!(hours_of("US-LA", CENTRAL, date(2027, 2, 9)), "closed", "Mardi Gras");
}

#[test]
fn maryland_is_from_8_to_20() {
    assert_eq!(week("US-MD", EASTERN), ["08:00-20:00"; 4]);
}

#[test]
fn massachusetts_is_from_8_to_20() {
    assert_eq!(week("US-MA", EASTERN), ["08:00-20:00"; 4]);
}

#[test]
fn michigan_is_from_9_to_21() {
    assert_eq!(week("US-MI", "America/Detroit"), ["09:00-21:00"; 4]);
}

#[test]
fn minnesota_is_from_9_to_21() {
    assert_eq!(week("US-MN", CENTRAL), ["09:00-21:00"; 4]);
}

#[test]
fn mississippi_is_from_8_to_20_central_wherever_the_phone_is_and_never_on_sundays() {
    let central = ["08:00-20:00", "08:00-20:00", "closed", "08:00-20:00"];
    assert_eq!(week("US-MS", CENTRAL), central);
    let eastern = ["09:00-21:00", "09:00-21:00", "closed", "09:00-21:00"];
    assert_eq!(week("US-MS", EASTERN), eastern);
}

#[test]
fn nevada_is_from_9_to_20() {
    assert_eq!(week("US-NV", "America/Los_Angeles"), ["09:00-20:00"; 4]);
}

#[test]
fn new_mexico_is_from_9_to_21() {
    assert_eq!(week("US-NM", "America/Denver"), ["09:00-21:00"; 4]);
}

#[test]
fn oklahoma_is_from_8_to_20() {
    assert_eq!(week("US-OK", CENTRAL), ["08:00-20:00"; 4]);
}

#[test]
fn pennsylvania_is_from_8_to_21_on_saturdays_until_12_and_never_on_holidays() {
    assert_eq!(week("US-PA", EASTERN), ["08:00-21:00", "08:00-12:00", "08:00-21:00", "closed"]);
}

#[test]
fn rhode_island_is_on_weekdays_from_9_to_18() {
    assert_eq!(week("US-RI", EASTERN), ["09:00-18:00", "closed", "closed", "closed"]);
}

#[test]
fn washington_is_from_8_to_20() {
    assert_eq!(week("US-WA", "America/Los_Angeles"), ["08:00-20:00"; 4]);
}

#[test]
fn every_rule_of_a_state_has_a_test_in_this_file() {
    let this = include_str!("states_tests.rs");
    for rule in RuleBook::built_in().hours_rules() {
        for region in &rule.applies.regions {
            assert!(this.contains(&format!("\"{region}\"")), "{}", rule.name);
        }
    }
}
