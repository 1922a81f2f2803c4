//! The builtin types, keyed and spoken.

use std::sync::Arc;

use super::super::{Matcher, Meaning, Mode, link_builtin};

/// What an input comes to: its value, or how far it goes.
fn value(kind: &str, mode: Mode, said: &str) -> String {
    let grammar = match link_builtin(kind, mode) {
        Ok(grammar) => Arc::new(grammar),
        Err(refusal) => return refusal.to_string(),
    };
    let words: Vec<String> = match mode {
        Mode::Dtmf => said.chars().map(String::from).collect(),
        Mode::Voice => said.split_whitespace().map(str::to_owned).collect(),
    };
    let mut matcher = Matcher::new(grammar).unwrap();
    for word in &words {
        matcher.feed(word).unwrap();
    }
    match (matcher.interpret(&words, 1.0), matcher.verdict().more) {
        (Some(Ok(Meaning::Bool(bool))), _) => bool.to_string(),
        (Some(Ok(Meaning::Text(text))), _) => format!("\"{}\"", *text),
        (Some(other), _) => format!("{other:?}"),
        (None, true) => "partial".to_owned(),
        (None, false) => "no".to_owned(),
    }
}

fn told(mode: Mode, cases: &[(&str, &str)]) -> String {
    let told =
        cases.iter().map(|(kind, said)| format!("{kind} {said}: {}", value(kind, mode, said)));
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn keys_of_all_types_come_to_their_values() {
    let cases = [
        ("boolean", "1"),
        ("boolean", "2"),
        ("boolean", "3"),
        ("boolean?y=7;n=9", "7"),
        ("boolean?y=7;n=9", "9"),
        ("boolean?y=*;n=#", "#"),
        ("digits", "0123456789"),
        ("digits?length=4", "123"),
        ("digits?length=4", "1234"),
        ("digits?length=4", "12345"),
        ("digits?minlength=2;maxlength=3", "1"),
        ("digits?minlength=2&maxlength=3", "123"),
        ("number", "12"),
        ("number", "12*5"),
        ("number", "*5"),
        ("number", "12*"),
        ("currency", "3*50"),
        ("date", "20261121"),
        ("date", "20261321"),
        ("date", "20261132"),
        ("date", "2026"),
        ("time", "0930"),
        ("time", "2359"),
        ("time", "2400"),
        ("time", "0005"),
        ("phone", "8005551212"),
        ("phone", "8005551212*789"),
        ("phone", "800*"),
    ];
    expect_test::expect![[r#"
        boolean 1: true
        boolean 2: false
        boolean 3: no
        boolean?y=7;n=9 7: true
        boolean?y=7;n=9 9: false
        boolean?y=*;n=# #: false
        digits 0123456789: "0123456789"
        digits?length=4 123: partial
        digits?length=4 1234: "1234"
        digits?length=4 12345: no
        digits?minlength=2;maxlength=3 1: partial
        digits?minlength=2&maxlength=3 123: "123"
        number 12: "12"
        number 12*5: "12.5"
        number *5: ".5"
        number 12*: partial
        currency 3*50: "3.50"
        date 20261121: "20261121"
        date 20261321: no
        date 20261132: no
        date 2026: partial
        time 0930: "0930?"
        time 2359: "2359h"
        time 2400: no
        time 0005: "0005h"
        phone 8005551212: "8005551212"
        phone 8005551212*789: "8005551212x789"
        phone 800*: partial"#]]
    .assert_eq(&told(Mode::Dtmf, &cases));
}

#[test]
fn booleans_and_digits_are_spoken() {
    let cases = [
        ("boolean", "yes"),
        ("boolean", "yes please"),
        ("boolean", "no thank you"),
        ("boolean", "maybe"),
        ("digits", "zero one two three four five six seven eight nine oh"),
        ("digits?length=2", "one"),
        ("digits?length=2", "one two"),
        ("digits?length=2", "one two three"),
        ("phone", "eight zero zero five five five one two one two"),
        ("phone", "five five five extension one oh"),
        ("phone", "extension one"),
    ];
    expect_test::expect![[r#"
        boolean yes: true
        boolean yes please: true
        boolean no thank you: false
        boolean maybe: no
        digits zero one two three four five six seven eight nine oh: "01234567890"
        digits?length=2 one: partial
        digits?length=2 one two: "12"
        digits?length=2 one two three: no
        phone eight zero zero five five five one two one two: "8005551212"
        phone five five five extension one oh: "555x10"
        phone extension one: no"#]]
    .assert_eq(&told(Mode::Voice, &cases));
}

#[test]
fn numbers_are_spoken() {
    let numbers = [
        "zero",
        "five",
        "seventeen",
        "forty two",
        "one hundred",
        "a hundred and one",
        "nine hundred ninety nine",
        "twelve hundred",
        "two thousand twenty six",
        "a million",
        "three million two hundred thousand and five",
        "one billion two million three thousand four hundred fifty six",
        "minus five",
        "negative twelve point five",
        "plus three",
        "point two five",
        "three point one four one five",
        "one two three four",
        "oh seven point five",
        "five five",
        "hundred",
        "twenty twenty",
        "minus",
    ];
    let cases = numbers.map(|said| ("number", said));
    expect_test::expect![[r#"
        number zero: "0"
        number five: "5"
        number seventeen: "17"
        number forty two: "42"
        number one hundred: "100"
        number a hundred and one: "101"
        number nine hundred ninety nine: "999"
        number twelve hundred: "1200"
        number two thousand twenty six: "2026"
        number a million: "1000000"
        number three million two hundred thousand and five: "3200005"
        number one billion two million three thousand four hundred fifty six: "1002003456"
        number minus five: "-5"
        number negative twelve point five: "-12.5"
        number plus three: "3"
        number point two five: "0.25"
        number three point one four one five: "3.1415"
        number one two three four: "1234"
        number oh seven point five: "07.5"
        number five five: "55"
        number hundred: no
        number twenty twenty: no
        number minus: partial"#]]
    .assert_eq(&told(Mode::Voice, &cases));
}

#[test]
fn sums_of_money_are_spoken() {
    let sums = [
        "twenty dollars",
        "one dollar",
        "five dollars and fifty cents",
        "five dollars fifty",
        "five euros five",
        "fifty cents",
        "ten point five pounds",
        "ten point two five",
        "two hundred yen",
        "a thousand dollars and one cent",
        "dollars",
    ];
    expect_test::expect![[r#"
        currency twenty dollars: "USD20.00"
        currency one dollar: "USD1.00"
        currency five dollars and fifty cents: "USD5.50"
        currency five dollars fifty: "USD5.50"
        currency five euros five: "EUR5.05"
        currency fifty cents: "0.50"
        currency ten point five pounds: "GBP10.50"
        currency ten point two five: "10.25"
        currency two hundred yen: "JPY200.00"
        currency a thousand dollars and one cent: "USD1000.01"
        currency dollars: no"#]]
    .assert_eq(&told(Mode::Voice, &sums.map(|said| ("currency", said))));
}

#[test]
fn dates_are_spoken() {
    let dates = [
        "march twenty first nineteen ninety nine",
        "the fourth of july",
        "july fourth",
        "july the fourth two thousand and five",
        "monday january one twenty twenty six",
        "december thirty first two thousand",
        "october nineteen oh five",
        "may",
        "nineteen hundred",
        "thirty first of december nineteen eighty four",
        "the fourth",
        "twenty",
    ];
    expect_test::expect![[r#"
        date march twenty first nineteen ninety nine: "19990321"
        date the fourth of july: "????0704"
        date july fourth: "????0704"
        date july the fourth two thousand and five: "20050704"
        date monday january one twenty twenty six: "20260101"
        date december thirty first two thousand: "20001231"
        date october nineteen oh five: "190510??"
        date may: "????05??"
        date nineteen hundred: "1900????"
        date thirty first of december nineteen eighty four: "19841231"
        date the fourth: partial
        date twenty: partial"#]]
    .assert_eq(&told(Mode::Voice, &dates.map(|said| ("date", said))));
}

#[test]
fn times_are_spoken() {
    let times = [
        "five",
        "five thirty",
        "five thirty p m",
        "five oh five am",
        "twelve fifteen in the morning",
        "five o'clock",
        "half past seven",
        "quarter past eight pm",
        "a quarter to one",
        "ten minutes to nine in the evening",
        "fifteen hundred hours",
        "eight hundred hours",
        "twenty two forty five",
        "noon",
        "midnight",
        "twenty five",
        "thirteen",
    ];
    expect_test::expect![[r#"
        time five: "0500?"
        time five thirty: "0530?"
        time five thirty p m: "0530p"
        time five oh five am: "0505a"
        time twelve fifteen in the morning: "1215a"
        time five o'clock: "0500?"
        time half past seven: "0730?"
        time quarter past eight pm: "0815p"
        time a quarter to one: "1245?"
        time ten minutes to nine in the evening: "0850p"
        time fifteen hundred hours: "1500h"
        time eight hundred hours: "0800h"
        time twenty two forty five: "2245h"
        time noon: "1200p"
        time midnight: "1200a"
        time twenty five: partial
        time thirteen: partial"#]]
    .assert_eq(&told(Mode::Voice, &times.map(|said| ("time", said))));
}

#[test]
fn wrong_parameters_and_types_are_told_in_both_modes() {
    let kinds = [
        "money",
        "",
        "digits?length=x",
        "digits?length=99999",
        "digits?minlength=5;maxlength=3",
        "boolean?y=1;n=1",
        "boolean?y=12",
    ];
    for mode in [Mode::Dtmf, Mode::Voice] {
        let told = kinds.map(|kind| value(kind, mode, ""));
        assert!(
            told.iter().all(|told| told.contains(':') || told.contains("no builtin type")),
            "{told:?}"
        );
    }
}

#[test]
fn the_longest_row_of_digits_can_be_asked_for() {
    assert!(link_builtin("digits?length=1000", Mode::Dtmf).is_ok());
    assert!(link_builtin("digits?minlength=0;maxlength=1000", Mode::Voice).is_ok());
}
