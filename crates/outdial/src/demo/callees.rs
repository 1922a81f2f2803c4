//! The demo's sixty callees: what each does, and what its result must therefore be.

use serde::Serialize;

/// How often a call of the demo is tried at most.
pub(super) const ATTEMPTS_MAX: u32 = 2;

/// One callee.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Callee {
    /// Its number, digits.
    pub(crate) number: String,
    /// What it does, call by call, in the words of the carrier's habits.
    pub(crate) does: Vec<&'static str>,
    /// `Completed` or `Failed`.
    pub(crate) result: &'static str,
    /// The callee type of a failed call; `None`: whoever answered counts as told.
    pub(crate) callee_type: Option<&'static str>,
    /// Attempts that this takes.
    pub(crate) attempts: u32,
    /// The key that it presses, which the application must be told.
    pub(crate) key: Option<char>,
}

/// What a group of callees does, how many they are, and what must come of it.
type Group = (u32, &'static [&'static str], &'static str, Option<&'static str>, u32, Option<char>);

const GROUPS: &[Group] = &[
    (22, &["person"], "Completed", None, 1, Some('1')),
    (4, &["hangs_up"], "Completed", None, 1, None),
    (8, &["machine"], "Completed", None, 1, None),
    (2, &["fax"], "Completed", None, 1, None),
    (5, &["busy", "person"], "Completed", None, 2, Some('2')),
    (2, &["no_answer", "person"], "Completed", None, 2, Some('3')),
    (4, &["busy"], "Failed", Some("busy"), ATTEMPTS_MAX, None),
    (3, &["no_answer"], "Failed", Some("noanswer"), ATTEMPTS_MAX, None),
    (3, &["refuses"], "Failed", Some("busy"), ATTEMPTS_MAX, None),
    (2, &["wrong"], "Failed", Some("informationtone"), ATTEMPTS_MAX, None),
    (1, &["sit"], "Failed", Some("informationtone"), ATTEMPTS_MAX, None),
    (2, &["unavailable"], "Failed", Some("noanswer"), ATTEMPTS_MAX, None),
    (2, &["congested"], "Failed", Some("linefailure"), ATTEMPTS_MAX, None),
];

/// All sixty, mixed, so that no kind comes in a row.
pub(crate) fn all() -> Vec<Callee> {
    let mut callees: Vec<Callee> = GROUPS
        .iter()
        .flat_map(|(count, does, result, callee_type, attempts, key)| {
            (0..*count).map(|_| Callee {
                number: String::new(),
                does: does.to_vec(),
                result,
                callee_type: *callee_type,
                attempts: *attempts,
                key: *key,
            })
        })
        .collect();
    // 60 and 7 have no divisor in common, so every place is taken once.
    let count = callees.len();
    let mixed: Vec<Callee> = (0..count).map(|nth| callees[nth * 7 % count].clone()).collect();
    callees = mixed;
    for (nth, callee) in callees.iter_mut().enumerate() {
        callee.number = format!("1555010{nth:04}");
    }
    callees
}

/// The habits file that makes the carrier's callees behave so.
pub(super) fn habits(callees: &[Callee], seed: u64) -> String {
    let mut text = format!("seed = {seed}\n");
    for callee in callees {
        let keys = callee.key.map(String::from).unwrap_or_default();
        text.push_str(&format!(
            "\n[[callee]]\nnumber = {:?}\ndoes = {:?}\nkeys = {keys:?}\n",
            callee.number, callee.does
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::carrier::Habits;

    #[test]
    fn there_are_sixty_callees_with_numbers_of_their_own() {
        let mut numbers: Vec<String> = all().into_iter().map(|callee| callee.number).collect();
        numbers.dedup();
        assert_eq!(numbers.len(), 60);
    }

    #[test]
    fn carrier_reads_the_habits_of_all_callees() {
        let callees = all();
        let mut habits = Habits::parse(&habits(&callees, 1), None).unwrap();
        for callee in &callees {
            assert_eq!(habits.next(&callee.number).kind.name(), callee.does[0]);
        }
    }
}
