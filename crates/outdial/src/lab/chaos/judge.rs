//! The judge: what the carrier and the customer have on record, and whether it may be so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// A contact of the run, as it was accepted.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// Digits.
    pub(super) number: String,
    /// How often it may be rung; 0: it was refused, and nothing may be told of it.
    pub(super) attempts_max: usize,
    /// First moment of its window and the first that is too late, in ms since the epoch.
    pub(super) window_ms: Option<(i64, i64)>,
    /// When its cancel was acknowledged: from then on it may not be rung.
    pub(super) canceled_ms: Option<i64>,
}

/// What the carrier allows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caps {
    pub(super) slots: usize,
    pub(super) calls_per_second: usize,
}

/// What came of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Verdict {
    /// Calls too many: beyond a contact's attempts, or while the same phone was already ringing.
    pub(super) rung_twice: usize,
    /// Contacts whose result never came.
    pub(super) results_lost: usize,
    /// Contacts whose result came in two versions.
    pub(super) results_changed: usize,
    /// Calls begun above the calls per second, or above the slots.
    pub(super) caps_broken: usize,
    /// Calls outside of their contact's window, or after its cancel was acknowledged.
    pub(super) outside_window: usize,
    /// Calls that the far end never saw an end of.
    pub(super) orphans: usize,
    /// Contacts that ended in doubt; honest, and no defect.
    pub(super) in_doubt: usize,
    /// Calls that the carrier saw.
    pub(super) calls: usize,
    /// What is wrong, in words.
    pub(super) complaints: Vec<String>,
}

/// A line of the carrier's record.
#[derive(Debug, Deserialize)]
pub(super) struct Heard {
    pub(super) at_ms: i64,
    pub(super) event: String,
    pub(super) number: String,
    pub(super) call_id: String,
}

/// A line of the customer's record.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub(super) at_ms: i64,
    pub(super) query: String,
    pub(super) taken: bool,
    pub(super) body: String,
}

/// One dialog that the carrier saw.
#[derive(Clone, Copy, Debug)]
struct Dialog {
    begins: i64,
    ends: Option<i64>,
}

/// How long an INVITE that left in time may be on its way to the carrier's record, on a machine that
/// has much else to do.
const ON_ITS_WAY_MS: i64 = 250;

/// Events that end a call at the carrier.
const ENDS: [&str; 5] = ["canceled", "refused", "caller_hung_up", "hung_up", "unconfirmed"];

impl Verdict {
    /// Whether nothing is wrong.
    pub(super) fn is_good(&self) -> bool {
        self.complaints.is_empty()
    }

    fn complain(&mut self, complaint: String) {
        self.complaints.push(complaint);
    }
}

/// Reads lines of JSON; a last one that is not whole yet is left out.
pub(super) fn lines<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Vec<T>> {
    let Ok(text) = std::fs::read_to_string(path) else {
        return Ok(Vec::new());
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    let line = |line| serde_json::from_str(line).with_context(|| format!("{}", path.display()));
    whole.lines().map(line).collect()
}

/// Judges a run by both records.
///
/// Calls of a server that was lost for good at `lost_ms` have nobody who could end them: the far end
/// does, by its session timer (RFC 4028), and they are counted without a complaint.
pub(super) fn judge(
    expected: &[Expected],
    caps: Caps,
    (heard, told): (&[Heard], &[Told]),
    lost_ms: Option<i64>,
) -> Verdict {
    let mut verdict = Verdict::default();
    let dialogs = dialogs(heard);
    for contact in expected {
        rung(contact, dialogs.get(contact.number.as_str()), &mut verdict);
    }
    let known: BTreeSet<&str> = expected.iter().map(|contact| contact.number.as_str()).collect();
    for number in dialogs.keys().filter(|number| !known.contains(*number)) {
        verdict.rung_twice += 1;
        verdict.complain(format!("{number} was rung and nobody asked for it"));
    }
    results(expected, told, &mut verdict);
    let all: Vec<Dialog> = dialogs.values().flatten().copied().collect();
    rate(&all, caps, &mut verdict);
    verdict.calls = all.len();
    verdict.orphans = all.iter().filter(|dialog| dialog.ends.is_none()).count();
    let left = |dialog: &&Dialog| {
        dialog.ends.is_none() && lost_ms.is_none_or(|lost_ms| dialog.begins > lost_ms)
    };
    let left = all.iter().filter(left).count();
    if left > 0 {
        verdict.complain(format!("{left} calls have no end at the carrier"));
    }
    verdict
}

fn dialogs(heard: &[Heard]) -> BTreeMap<&str, Vec<Dialog>> {
    let mut by_call: BTreeMap<&str, (&str, Dialog)> = BTreeMap::new();
    for line in heard {
        if line.event == "invite" {
            let dialog = Dialog { begins: line.at_ms, ends: None };
            by_call.entry(&line.call_id).or_insert((&line.number, dialog));
        } else if ENDS.contains(&line.event.as_str())
            && let Some((_, dialog)) = by_call.get_mut(line.call_id.as_str())
        {
            dialog.ends.get_or_insert(line.at_ms);
        }
    }
    let mut by_number: BTreeMap<&str, Vec<Dialog>> = BTreeMap::new();
    for (number, dialog) in by_call.into_values() {
        by_number.entry(number).or_default().push(dialog);
    }
    by_number.values_mut().for_each(|dialogs| dialogs.sort_by_key(|dialog| dialog.begins));
    by_number
}

fn rung(contact: &Expected, dialogs: Option<&Vec<Dialog>>, verdict: &mut Verdict) {
    let Some(dialogs) = dialogs else {
        return;
    };
    let number = &contact.number;
    if dialogs.len() > contact.attempts_max {
        verdict.rung_twice += dialogs.len() - contact.attempts_max;
        let (rung, most) = (dialogs.len(), contact.attempts_max);
        verdict.complain(format!("{number} was rung {rung} times, {most} were allowed"));
    }
    for pair in dialogs.windows(2) {
        if pair[0].ends.is_none_or(|ends| pair[1].begins < ends) {
            verdict.rung_twice += 1;
            verdict.complain(format!("{number} was rung while it was in a call of ours"));
        }
    }
    for dialog in dialogs {
        let outside = contact.window_ms.is_some_and(|(opens, closes)| {
            dialog.begins < opens || dialog.begins >= closes + ON_ITS_WAY_MS
        });
        if outside {
            verdict.outside_window += 1;
            verdict.complain(format!("{number} was rung outside of its window"));
        }
        if contact.canceled_ms.is_some_and(|canceled| dialog.begins > canceled) {
            verdict.outside_window += 1;
            verdict.complain(format!("{number} was rung after its cancel was acknowledged"));
        }
    }
}

fn results(expected: &[Expected], told: &[Told], verdict: &mut Verdict) {
    for contact in expected.iter().filter(|contact| contact.attempts_max > 0) {
        let query = format!("number={}", contact.number);
        let own: Vec<&Told> = told.iter().filter(|line| line.query == query).collect();
        if !own.iter().any(|line| line.taken) {
            verdict.results_lost += 1;
            verdict.complain(format!("the result of {} never came", contact.number));
        }
        let versions: BTreeSet<String> = own.iter().map(|line| essence(&line.body)).collect();
        if versions.len() > 1 {
            verdict.results_changed += 1;
            verdict.complain(format!("{} has results {versions:?}", contact.number));
        }
        verdict.in_doubt += usize::from(versions.iter().any(|one| one.contains("in_doubt")));
    }
}

/// What a result says, without what differs between deliveries.
fn essence(body: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let data = json.get("data").unwrap_or(&json);
    let part = |name: &str| data.get(name).map(ToString::to_string).unwrap_or_default();
    ["id", "state", "outcome", "attempts_made", "duration_s"].map(part).join(" ")
}

/// Counts the calls that broke a cap in the moment in which they began.
fn rate(dialogs: &[Dialog], caps: Caps, verdict: &mut Verdict) {
    let mut begins: Vec<i64> = dialogs.iter().map(|dialog| dialog.begins).collect();
    begins.sort_unstable();
    let mut fast = 0;
    for (nth, at) in begins.iter().enumerate() {
        let since = begins[..=nth].iter().rev().take_while(|other| at - **other < 1_000).count();
        fast += usize::from(since > caps.calls_per_second);
    }
    let mut crowded = 0;
    for dialog in dialogs {
        let live = |other: &&Dialog| {
            other.begins <= dialog.begins && other.ends.is_none_or(|ends| ends > dialog.begins)
        };
        crowded += usize::from(dialogs.iter().filter(live).count() > caps.slots);
    }
    verdict.caps_broken = fast + crowded;
    if fast > 0 {
        verdict.complain(format!("{fast} calls began above {} in a second", caps.calls_per_second));
    }
    if crowded > 0 {
        verdict.complain(format!("{crowded} calls began above {} at once", caps.slots));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps { slots: 2, calls_per_second: 2 };

    fn contact(number: &str) -> Expected {
        Expected { number: number.into(), attempts_max: 1, window_ms: None, canceled_ms: None }
    }

    fn call(number: &str, call_id: &str, begins: i64, ends: i64) -> [Heard; 2] {
        let line = |at_ms, event: &str| Heard {
            at_ms,
            event: event.into(),
            number: number.into(),
            call_id: call_id.into(),
        };
        [line(begins, "invite"), line(ends, "caller_hung_up")]
    }

    fn told(number: &str, outcome: &str) -> Told {
        let query = format!("number={number}");
        Told { at_ms: 0, query, taken: true, body: format!("{{\"outcome\":{outcome:?}}}") }
    }

    #[test]
    fn good_run_has_no_complaints() {
        let heard: Vec<Heard> =
            [call("1", "a", 0, 10), call("2", "b", 5, 9)].into_iter().flatten().collect();
        let told = [told("1", "busy"), told("1", "busy"), told("2", "in_doubt")];
        let verdict = judge(&[contact("1"), contact("2")], CAPS, (&heard, &told), None);
        assert!(verdict.is_good(), "{verdict:?}");
        assert_eq!((verdict.in_doubt, verdict.calls), (1, 2));
    }

    #[test]
    fn every_kind_of_wrong_is_seen() {
        let windowed = Expected { window_ms: Some((-300, -10)), ..contact("3") };
        let canceled = Expected { canceled_ms: Some(5), ..contact("4") };
        let heard: Vec<Heard> = [
            call("1", "a", 0, 10),
            call("1", "b", 5, 20),
            call("3", "c", 250, 260),
            call("4", "d", 6, 7),
            call("5", "e", 5_000, 5_010),
        ]
        .into_iter()
        .flatten()
        .collect();
        let told = [told("1", "busy"), told("1", "no_answer"), told("3", "busy")];
        let verdict = judge(&[contact("1"), windowed, canceled], CAPS, (&heard, &told), None);
        assert_eq!(verdict.rung_twice, 3, "{verdict:?}");
        assert_eq!((verdict.results_lost, verdict.results_changed), (1, 1));
        assert_eq!((verdict.outside_window, verdict.caps_broken), (2, 3));
    }

    #[test]
    fn call_without_an_end_is_excused_where_its_server_is_gone() {
        let [begins, _] = call("1", "a", 10, 20);
        let heard = [begins];
        let told = [told("1", "in_doubt")];
        let judged = |lost_ms| judge(&[contact("1")], CAPS, (&heard, &told), lost_ms);
        assert_eq!(judged(None).orphans, 1);
        assert!(!judged(None).is_good() && !judged(Some(9)).is_good());
        assert!(judged(Some(10)).is_good());
    }

    #[test]
    fn refused_contact_may_not_be_rung() {
        let refused = Expected { attempts_max: 0, ..contact("1") };
        assert!(judge(std::slice::from_ref(&refused), CAPS, (&[], &[]), None).is_good());
        let heard = call("1", "a", 0, 10);
        assert_eq!(judge(&[refused], CAPS, (&heard, &[]), None).rung_twice, 1);
    }
}
