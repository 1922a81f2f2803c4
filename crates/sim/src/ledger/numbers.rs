//! The past of numbers and lists of those that are not called, as plain Rust.

use std::collections::BTreeMap;

use domain::attempt::AttemptEnd;
use domain::caps::PastCall;
use domain::contact::Contact;
use domain::ids::{AccountId, AttemptId};
use domain::number::canonical::Canonical;
use domain::outcome::{CalleeType, Outcome};
use domain::permit::{Past, Question, day_of};
use domain::region::Country;
use domain::time::Timestamp;

/// Calls to numbers, who is in one, and lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    calls: BTreeMap<AttemptId, (AccountId, String, PastCall)>,
    live: BTreeMap<(i64, String), AttemptId>,
    lists: BTreeMap<(AccountId, String), BTreeMap<String, Timestamp>>,
    shown: BTreeMap<(String, i64), u32>,
}

impl Numbers {
    pub(super) fn past(&self, now: Timestamp, account: AccountId, question: &Question) -> Past {
        let since = now - question.looks_back;
        let of_number = self.calls.values().filter(|(owner, number, _)| {
            *number == question.number && (question.of_all_accounts || *owner == account)
        });
        // Newest first, of those that began together the one that came last.
        let mut calls: Vec<PastCall> = of_number.map(|(_, _, call)| *call).rev().collect();
        calls.retain(|call| !question.looks_back.is_zero() && call.begun_at > since);
        calls.sort_by_key(|call| std::cmp::Reverse(call.begun_at));
        let lists = self.lists.iter().filter(|((owner, _), _)| *owner == account);
        let listed = lists.filter_map(|((_, name), numbers)| {
            numbers.get(&question.number).map(|since| (name.clone(), *since))
        });
        let shown = question.caller_ids.iter().filter_map(|caller_id| {
            let calls = self.shown.get(&(caller_id.clone(), day_of(now)))?;
            Some((caller_id.clone(), *calls))
        });
        Past {
            calls,
            is_live: self.live.contains_key(&(scope(question, account), question.number.clone())),
            listed: listed.collect(),
            caller_ids: shown.collect(),
        }
    }

    pub(super) fn begin(
        &mut self,
        now: Timestamp,
        contact: &Contact,
        question: &Question,
        attempt: AttemptId,
        caller_id: Option<&str>,
    ) {
        let call =
            PastCall { begun_at: now, ended_at: None, is_counted: true, is_conversation: false };
        self.calls.insert(attempt, (contact.account, question.number.clone(), call));
        let live = (scope(question, contact.account), question.number.clone());
        self.live.entry(live).or_insert(attempt);
        if let Some(caller_id) = caller_id {
            *self.shown.entry((caller_id.to_owned(), day_of(now))).or_default() += 1;
        }
    }

    pub(super) fn end(&mut self, attempt: AttemptId, end: &AttemptEnd) {
        if let Some((_, _, call)) = self.calls.get_mut(&attempt) {
            call.ended_at = Some(end.ended_at);
            call.is_conversation = matches!(
                end.outcome,
                Outcome::Answered(
                    CalleeType::CallScreener | CalleeType::Human | CalleeType::Unknown
                )
            );
        }
        self.live.retain(|_, live| *live != attempt);
    }

    pub(super) fn release(&mut self, attempt: AttemptId) {
        self.calls.remove(&attempt);
        self.live.retain(|_, live| *live != attempt);
    }

    pub(super) fn list_add(
        &mut self,
        now: Timestamp,
        account: AccountId,
        list: &str,
        numbers: &[String],
    ) -> u64 {
        if numbers.is_empty() {
            return 0;
        }
        let list = self.lists.entry((account, list.to_owned())).or_default();
        let mut added = 0;
        for number in numbers {
            list.entry(key(number)).or_insert_with(|| {
                added += 1;
                now
            });
        }
        added
    }

    pub(super) fn list_remove(&mut self, account: AccountId, list: &str, number: &str) -> bool {
        let list = self.lists.get_mut(&(account, list.to_owned()));
        list.is_some_and(|numbers| numbers.remove(&key(number)).is_some())
    }
}

/// A number in the form in which numbers are compared, read in the United States.
pub(super) fn key(number: &str) -> String {
    Canonical::of(number, Country::US).key().to_owned()
}

fn scope(question: &Question, account: AccountId) -> i64 {
    if question.of_all_accounts { 0 } else { account.0 }
}
