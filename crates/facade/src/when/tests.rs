//! Every form of a moment in words, and what is refused with which sentence.

use proptest::prelude::*;

use super::*;
use crate::zone::rfc_3339;

/// Wednesday, 2011-10-12T15:30:20 in New York, UTC-4.
const NOW: Timestamp = Timestamp::from_seconds(1_318_447_820);

fn new_york() -> Zone {
    Zone::named("America/New_York").unwrap()
}

fn read_at(text: &str, now: Timestamp, bound: Bound) -> String {
    match parse(text, now, &new_york(), bound) {
        Ok(at) => rfc_3339(at).replace(".000Z", "Z"),
        Err(error) => format!("refused: {error}"),
    }
}

fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        assert_eq!(read_at(text, NOW, Bound::Opens), *expected, "{text}");
    }
}

#[test]
fn forms_of_the_vendors_manual_are_read() {
    check(&[
        ("now", "2011-10-12T19:30:20Z"),
        ("oct 14th, 2011 11:05PM EST", "2011-10-15T04:05:00Z"),
        ("+3 days", "2011-10-15T19:30:20Z"),
    ]);
}

#[test]
fn intervals_count_from_now_and_keep_the_time_of_day() {
    check(&[
        ("3 days", "2011-10-15T19:30:20Z"),
        ("in 2 hours", "2011-10-12T21:30:20Z"),
        ("+1 week 2 days 4 hours 2 seconds", "2011-10-21T23:30:22Z"),
        ("+90 min", "2011-10-12T21:00:20Z"),
        ("+ 1 fortnight", "2011-10-26T19:30:20Z"),
        ("+1 month", "2011-11-12T20:30:20Z"),
        ("next week", "2011-10-19T19:30:20Z"),
        ("next year", "2012-10-12T19:30:20Z"),
        ("5 minutes from now", "2011-10-12T19:35:20Z"),
        ("now + 1 day", "2011-10-13T19:30:20Z"),
        ("-1 day", "2011-10-11T19:30:20Z"),
        ("2 days 3 hours ago", "2011-10-10T16:30:20Z"),
    ]);
}

#[test]
fn days_without_a_time_begin_at_midnight() {
    check(&[
        ("today", "2011-10-12T04:00:00Z"),
        ("Tomorrow", "2011-10-13T04:00:00Z"),
        ("yesterday noon", "2011-10-11T16:00:00Z"),
        ("tomorrow 9am", "2011-10-13T13:00:00Z"),
        ("9 a.m. tomorrow", "2011-10-13T13:00:00Z"),
        ("tomorrow at 17:45 PST", "2011-10-14T01:45:00Z"),
        ("tomorrow midnight", "2011-10-13T04:00:00Z"),
        ("tomorrow +2 hours", "2011-10-13T06:00:00Z"),
    ]);
}

#[test]
fn weekdays_are_the_coming_ones_and_next_is_never_today() {
    check(&[
        ("monday", "2011-10-17T04:00:00Z"),
        ("wednesday", "2011-10-12T04:00:00Z"),
        ("this wed 8pm", "2011-10-13T00:00:00Z"),
        ("next wednesday", "2011-10-19T04:00:00Z"),
        ("next Monday 9:30", "2011-10-17T13:30:00Z"),
        ("last fri", "2011-10-07T04:00:00Z"),
    ]);
}

#[test]
fn dates_are_read_in_the_forms_that_leave_no_doubt() {
    let same_day = [
        "2011-10-14",
        "2011/10/14",
        "2011/10/4 +10 days",
        "20111014",
        "10/14/2011",
        "10/14",
        "14-10-2011",
        "14.10.2011",
        "14-Oct-2011",
        "oct-14-2011",
        "14 oct 2011",
        "14oct2011",
        "14th of October, 2011",
        "October 14",
        "Oct. 14th",
        "fri, oct 14",
    ];
    for text in same_day {
        let read = read_at(text, NOW, Bound::Opens);
        assert_eq!(read, "2011-10-14T04:00:00Z", "{text}");
    }
}

#[test]
fn times_are_read_with_and_without_seconds_and_halves() {
    check(&[
        ("11pm", "2011-10-13T03:00:00Z"),
        ("11:05 pm", "2011-10-13T03:05:00Z"),
        ("23:05", "2011-10-13T03:05:00Z"),
        ("23:05:10", "2011-10-13T03:05:10Z"),
        ("23:05:10.250", "2011-10-13T03:05:10Z"),
        ("12am", "2011-10-12T04:00:00Z"),
        ("12:30pm", "2011-10-12T16:30:00Z"),
        ("noon", "2011-10-12T16:00:00Z"),
    ]);
}

#[test]
fn machine_made_dates_are_read() {
    check(&[
        ("2011-10-14T23:05:00Z", "2011-10-14T23:05:00Z"),
        ("2011-10-14T23:05:00.123+02:00", "2011-10-14T21:05:00Z"),
        ("2011-10-14 23:05 -0400", "2011-10-15T03:05:00Z"),
        ("Fri, 14 Oct 2011 23:05:00 -0400", "2011-10-15T03:05:00Z"),
        ("Fri Oct 14 23:05:00 EDT 2011", "2011-10-15T03:05:00Z"),
        ("1318644300", "2011-10-15T02:05:00Z"),
        ("@1318644300", "2011-10-15T02:05:00Z"),
    ]);
}

#[test]
fn zones_are_read_as_abbreviation_offset_and_name() {
    check(&[
        ("2011-10-14 9am CEST", "2011-10-14T07:00:00Z"),
        ("2011-10-14 9am GMT+2", "2011-10-14T07:00:00Z"),
        ("2011-10-14 9am utc-05:30", "2011-10-14T14:30:00Z"),
        ("2011-10-14 9am +2", "2011-10-14T07:00:00Z"),
        ("2011-10-14 9am Europe/Berlin", "2011-10-14T07:00:00Z"),
        ("2011-10-14 9am America/Port-au-Prince", "2011-10-14T14:00:00Z"),
        ("2011-10-14 9am ET", "2011-10-14T13:00:00Z"),
        ("2011-12-14 9am ET", "2011-12-14T14:00:00Z"),
        ("tomorrow 9am Asia/Tokyo", "2011-10-14T00:00:00Z"),
    ]);
}

#[test]
fn what_could_mean_two_things_is_refused_with_a_hint() {
    check(&[
        (
            "2011-10-14 9am IST",
            "refused: zone \"ist\" means several, write an offset such as +05:30 or a name such as \
             Asia/Kolkata",
        ),
        ("10/14/11", "refused: \"10/14/11\" is unclear: write the year with four digits"),
        ("2011", "refused: \"2011\" is unclear: is it a day, a year or a time?"),
        ("14", "refused: \"14\" is unclear: is it a day, a year or a time?"),
        (
            "october 2011",
            "refused: \"october\" is unclear: write the day after the month, as in oct 14th",
        ),
        ("+3", "refused: \"3\" is unclear: write a unit, as in +3 days"),
        (
            "monday next week",
            "refused: \"Monday\" is unclear: write a date instead of a day of the week with an \
             interval",
        ),
        ("thu, oct 14 2011", "refused: 2011-10-14 is a Friday, not a Thursday"),
        ("tomorrow oct 14", "refused: date is given twice"),
        ("9am 10am", "refused: time is given twice"),
        ("9am EST PST", "refused: zone is given twice"),
        ("1318644300000", "refused: \"1318644300000\" is unclear: is it a day, a year or a time?"),
    ]);
}

#[test]
fn what_does_not_exist_is_refused() {
    check(&[
        ("", "refused: text is empty"),
        (" , ", "refused: text is empty"),
        ("soon", "refused: \"soon\" is not understood"),
        ("feb 30 2012", "refused: \"2012-02-30\" does not exist"),
        ("2011-13-01", "refused: \"day 01 of month 13\" does not exist"),
        ("25:00", "refused: \"25:00\" does not exist"),
        ("13pm", "refused: \"13:0\" does not exist"),
        ("9:5", "refused: \"9:5\" does not exist"),
        ("9am +15:00", "refused: \"offset 15\" does not exist"),
        ("1969-12-31", "refused: moment is not between 1970 and 2100"),
        ("2100-01-02", "refused: moment is not between 1970 and 2100"),
        ("+4294967295 years", "refused: moment is not between 1970 and 2100"),
        ("+99999999999 days", "refused: moment is not between 1970 and 2100"),
        ("ago", "refused: \"ago\" is unclear: write an interval before it"),
        ("tomorrow!", "refused: \"!\" is not understood"),
    ]);
    let long = "now ".repeat(40);
    check(&[(&long, "refused: text is longer than 100 characters")]);
}

#[test]
fn skipped_hour_moves_the_window_inwards() {
    // On 2011-03-13 New York's clocks went from 2:00 to 3:00.
    let text = "2011-03-13 2:30am";
    assert_eq!(read_at(text, NOW, Bound::Opens), "2011-03-13T07:30:00Z");
    assert_eq!(read_at(text, NOW, Bound::Closes), "2011-03-13T06:30:00Z");
}

#[test]
fn repeated_hour_moves_the_window_inwards() {
    // On 2011-11-06 New York's clocks went from 2:00 back to 1:00.
    let text = "2011-11-06 1:30am";
    assert_eq!(read_at(text, NOW, Bound::Opens), "2011-11-06T06:30:00Z");
    assert_eq!(read_at(text, NOW, Bound::Closes), "2011-11-06T05:30:00Z");
}

#[test]
fn day_keeps_its_time_of_day_across_a_clock_change() {
    let before = Timestamp::from_seconds(1_320_500_000);
    assert_eq!(read_at("now", before, Bound::Opens), "2011-11-05T13:33:20Z");
    assert_eq!(read_at("+1 day", before, Bound::Opens), "2011-11-06T14:33:20Z");
    assert_eq!(read_at("+24 hours", before, Bound::Opens), "2011-11-06T13:33:20Z");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,120}") {
        let _ = parse(&text, NOW, &new_york(), Bound::Opens);
    }

    #[test]
    fn any_pieces_of_moments_are_read_or_refused(
        pieces in proptest::collection::vec(
            prop_oneof![
                Just("next"), Just("monday"), Just("oct"), Just("14th"), Just("2011"), Just("+"),
                Just("-"), Just("3"), Just("days"), Just("ago"), Just("9"), Just(":"), Just("pm"),
                Just("/"), Just("."), Just("est"), Just("gmt"), Just("@"), Just("t"), Just(" "),
            ],
            0..14,
        ),
    ) {
        let _ = parse(&pieces.concat(), NOW, &new_york(), Bound::Closes);
        let _ = parse(&pieces.join(" "), NOW, &new_york(), Bound::Closes);
    }

    #[test]
    fn every_moment_written_by_a_machine_reads_back(seconds in 0_i64..4_000_000_000) {
        let at = Timestamp::from_seconds(seconds);
        let zone = new_york();
        for text in [zone.rfc_822(at), rfc_3339(at)] {
            prop_assert_eq!(parse(&text, NOW, &zone, Bound::Opens), Ok(at), "{}", text);
        }
    }
}
