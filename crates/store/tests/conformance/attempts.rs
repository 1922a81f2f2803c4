//! What happens in attempts and how they end.

use std::sync::Arc;

use domain::campaign::CampaignState;
use domain::contact::{Contact, ContactState};
use domain::event::EventKind;
use domain::ids::{AccountId, AttemptId, CampaignId, ContactId, TrunkId};
use domain::number::canonical::Canonical;
use domain::outcome::{CalleeType, Disposition, Outcome};
use domain::permit::{Freely, Judge, Past, Permit, Question, Weighing, stored_checks};
use domain::region::Country;
use domain::retry::Verdict;
use domain::time::Timestamp;
use store::{Begun, Cancel, Reroute, StoreError};

use crate::support::{Home, at, contacts, end, rule};

const HUMAN: Outcome = Outcome::Answered(CalleeType::Human);

/// The judge that permits whoever is on no list.
struct Unlisted;

impl Judge for Unlisted {
    fn question(&self, contact: &Contact) -> Question {
        let number = Canonical::of(contact.destination.dialed(), Country::US).key().to_owned();
        Question { number, ..Freely.question(contact) }
    }

    fn weigh(
        &self,
        now: Timestamp,
        contact: &Contact,
        version: u32,
        past: &Past,
    ) -> Option<Weighing> {
        let permit = Permit::End(Disposition::Canceled);
        let listed = Weighing { checks: Vec::new(), permit, decided: None };
        match past.listed.is_empty() {
            true => Freely.weigh(now, contact, version, past),
            false => Some(listed),
        }
    }
}

/// A store with `many` contacts.
async fn with_contacts(many: usize) -> (Home, CampaignId) {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(many)).await.unwrap();
    let campaign = home.campaign().await;
    (home, campaign)
}

/// A store with one contact in a call.
async fn calling() -> (Home, Begun) {
    let (home, campaign) = with_contacts(1).await;
    let begun = home.begin_one(at(10), campaign).await;
    (home, begun)
}

/// What is told of a contact, as `at kind detail`.
async fn story(home: &Home, contact: ContactId) -> Vec<String> {
    home.store.flush().await.unwrap();
    let events = home.reader.events(contact).await.unwrap();
    let told = events.iter().map(|event| {
        let text = format!("{} {} {}", event.at.as_seconds(), event.kind.name(), event.detail);
        text.trim_end().to_owned()
    });
    told.collect()
}

async fn state(home: &Home, contact: ContactId) -> ContactState {
    home.reader.contact(home.account, contact).await.unwrap().unwrap().state
}

#[tokio::test]
async fn busy_contact_waits_for_its_next_attempt() {
    let (home, begun) = calling().await;
    let busy = end(Outcome::Busy, at(12));
    let finished = home.store.finish_attempt(begun.attempt.id, &busy).await.unwrap();
    assert_eq!((finished.verdict, finished.repeated), (Verdict::DialAt(at(72)), false));
    let contact = home.reader.contact(home.account, begun.contact.id).await.unwrap().unwrap();
    assert_eq!(contact, finished.contact);
    assert_eq!(
        (contact.state, contact.next_at, contact.last_outcome, contact.duration_s),
        (ContactState::Waiting, at(72), Some(Outcome::Busy), 0)
    );
    assert_eq!(home.reader.webhook(contact.id).await.unwrap(), None);
    assert_eq!(
        story(&home, contact.id).await,
        ["1 queued", "10 dialing", "12 ended busy", "12 retry_scheduled 72"]
    );
}

#[tokio::test]
async fn answered_contact_ends_with_its_attempt_its_events_and_what_is_owed() {
    let (home, begun) = calling().await;
    let answered = end(HUMAN, at(42));
    let finished = home.store.finish_attempt(begun.attempt.id, &answered).await.unwrap();
    assert_eq!(finished.verdict, Verdict::End(Disposition::Completed));
    let contact = &finished.contact;
    assert_eq!((contact.duration_s, contact.ended_at), (10, Some(at(42))));
    let webhook = home.reader.webhook(contact.id).await.unwrap().unwrap();
    assert_eq!((webhook.owed_since, webhook.next_at), (at(42), at(42)));
    let attempt = home.reader.attempts(contact.id).await.unwrap().pop().unwrap();
    assert_eq!((attempt.outcome, &attempt.cause), (Some(HUMAN), &answered.cause));
    assert_eq!((attempt.answered_at, attempt.ended_at), (Some(at(32)), Some(at(42))));
    assert_eq!(
        story(&home, contact.id).await,
        ["1 queued", "10 dialing", "42 ended human", "42 done completed"]
    );
}

#[tokio::test]
async fn last_attempt_of_the_budget_fails_the_contact() {
    let (home, campaign) = with_contacts(1).await;
    let mut verdicts = Vec::new();
    for nth in 0..3 {
        let now = at(100 * nth + 10);
        home.store.promote_due(now, 10).await.unwrap();
        let begun = home.begin_one(now, campaign).await;
        assert_eq!(begun.attempt.number, nth as u32 + 1);
        let end = end(Outcome::NoAnswer, now);
        let finished = home.store.finish_attempt(begun.attempt.id, &end).await.unwrap();
        verdicts.push(finished.verdict);
    }
    let again = |seconds| Verdict::DialAt(at(seconds));
    assert_eq!(verdicts, [again(70), again(170), Verdict::End(Disposition::Failed)]);
    let totals = home.reader.totals().await.unwrap();
    assert!(totals.outcomes.contains(&(Outcome::NoAnswer, 3)));
}

#[tokio::test]
async fn second_end_of_an_attempt_changes_nothing_and_says_so() {
    let (home, begun) = calling().await;
    let id = begun.attempt.id;
    let first = home.store.finish_attempt(id, &end(HUMAN, at(42))).await.unwrap();
    let told = story(&home, begun.contact.id).await;
    let second = home.store.finish_attempt(id, &end(Outcome::Busy, at(50))).await.unwrap();
    assert!(second.repeated);
    assert_eq!((&second.contact, second.verdict), (&first.contact, first.verdict));
    assert_eq!(story(&home, begun.contact.id).await, told);
    let totals = home.reader.totals().await.unwrap();
    assert_eq!((totals.webhooks_owed, totals.contacts.completed), (1, 1));
}

#[tokio::test]
async fn end_of_an_unknown_attempt_names_it() {
    let home = Home::new().await;
    let refused = home.store.finish_attempt(AttemptId(7), &end(HUMAN, at(1))).await;
    assert!(matches!(refused, Err(StoreError::Unknown { what: "attempt", id: 7 })));
}

#[tokio::test]
async fn attempt_that_goes_over_another_trunk_says_so_and_stays_one() {
    let (home, begun) = calling().await;
    let (attempt, contact) = (begun.attempt.id, begun.contact.id);
    let reroute = async |at, refusal: &str| {
        let (trunk, refusal) = (TrunkId(2), refusal.to_owned());
        let reroute = vec![Reroute { attempt, contact, trunk, refusal }];
        home.store.reroute_attempts(at, reroute, Arc::new(Freely)).await.unwrap()
    };
    assert_eq!(reroute(at(11), "main: 503 Service\tUnavailable").await, [attempt]);
    let open = home.store.open_attempts().await.unwrap();
    assert_eq!((open.len(), open[0].0.trunk), (1, TrunkId(2)));
    home.store.finish_attempt(attempt, &end(HUMAN, at(42))).await.unwrap();
    // It has ended: there is nothing to be taken elsewhere.
    assert_eq!(reroute(at(43), "spare: 503").await, []);
    assert_eq!(
        story(&home, contact).await,
        [
            "1 queued",
            "10 dialing",
            "11 rerouted main: 503 Service\tUnavailable",
            "42 ended human",
            "42 done completed"
        ]
    );
    let weighed = home.reader.weighed(attempt).await.unwrap().unwrap();
    let trunk = stored_checks(&weighed).pop().unwrap();
    let told = (trunk.rule.as_str(), trunk.passed, trunk.seen.as_str());
    assert_eq!(told, ("trunk", false, "main: 503 Service Unavailable"));
    assert_eq!(home.reader.attempts(contact).await.unwrap()[0].number, 1);
}

#[tokio::test]
async fn attempt_goes_over_no_other_trunk_once_it_may_not_be_dialed() {
    let (home, begun) = calling().await;
    let (attempt, contact) = (begun.attempt.id, begun.contact.id);
    let (store, account) = (&home.store, home.account);
    let reroute = async |judge: Arc<dyn Judge>| {
        let (trunk, refusal) = (TrunkId(2), "main: 503".to_owned());
        let reroute = vec![Reroute { attempt, contact, trunk, refusal }];
        store.reroute_attempts(at(11), reroute, judge).await.unwrap()
    };
    let set_state = async |state| {
        store.set_campaign_state(account, begun.contact.campaign, state).await.unwrap()
    };
    assert!(set_state(CampaignState::Stopped).await);
    assert_eq!(reroute(Arc::new(Freely)).await, []);
    assert!(set_state(CampaignState::Running).await);
    assert_eq!(reroute(Arc::new(Unlisted)).await, [attempt]);
    // Opted out meanwhile.
    let number = begun.contact.destination.dialed();
    store.opt_out(at(10), account, number, "asked").await.unwrap();
    assert_eq!(reroute(Arc::new(Unlisted)).await, []);
    // Canceled meanwhile.
    let canceled = store.cancel_contact(at(10), account, contact).await.unwrap();
    assert_eq!(canceled, Cancel::Calling(attempt));
    assert_eq!(reroute(Arc::new(Freely)).await, []);
    assert_eq!(home.reader.attempts(contact).await.unwrap()[0].number, 1);
}

#[tokio::test]
async fn notes_are_kept_in_order_with_what_follows_them() {
    let (home, begun) = calling().await;
    let (id, contact) = (begun.attempt.id, begun.contact.id);
    let note = |second, kind, detail| home.store.note(id, contact, at(second), kind, detail);
    note(11, EventKind::Ringing, "").await.unwrap();
    note(12, EventKind::Ringing, "again").await.unwrap();
    note(13, EventKind::Answered, "").await.unwrap();
    note(14, EventKind::ScriptError, "error.badfetch").await.unwrap();
    home.store.finish_attempt(id, &end(Outcome::Busy, at(15))).await.unwrap();
    assert_eq!(
        story(&home, contact).await,
        [
            "1 queued",
            "10 dialing",
            "11 ringing",
            "12 ringing again",
            "13 answered",
            "14 script_error error.badfetch",
            "15 ended busy",
            "15 retry_scheduled 75"
        ]
    );
    let attempt = home.reader.attempts(contact).await.unwrap().pop().unwrap();
    assert_eq!((attempt.ringing_at, attempt.answered_at), (Some(at(11)), Some(at(13))));
}

#[tokio::test]
async fn note_comes_to_disk_without_anything_that_hurries_it() {
    let (home, begun) = calling().await;
    let kind = EventKind::Ringing;
    home.store.note(begun.attempt.id, begun.contact.id, at(11), kind, "").await.unwrap();
    // Looks again and again until the writer has had its delay.
    while home.reader.events(begun.contact.id).await.unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn note_about_nobody_is_dropped_and_disturbs_nobody() {
    let (home, begun) = calling().await;
    let (id, contact) = (begun.attempt.id, begun.contact.id);
    let kind = EventKind::Ringing;
    home.store.note(AttemptId(99), ContactId(99), at(11), kind, "").await.unwrap();
    home.store.note(id, contact, at(12), kind, "").await.unwrap();
    assert_eq!(story(&home, contact).await, ["1 queued", "10 dialing", "12 ringing"]);
}

#[tokio::test]
async fn words_of_the_far_end_are_cut_between_characters() {
    let (home, begun) = calling().await;
    let mut long = end(Outcome::Busy, at(12));
    long.cause.text = "\u{20ac}".repeat(10_000);
    home.store.finish_attempt(begun.attempt.id, &long).await.unwrap();
    let attempt = home.reader.attempts(begun.contact.id).await.unwrap().pop().unwrap();
    assert_eq!(attempt.cause.text, "\u{20ac}".repeat(333));
}

#[tokio::test]
async fn waiting_contact_is_canceled_at_once_and_its_result_owed() {
    let (home, _) = with_contacts(1).await;
    let cancel = |account| home.store.cancel_contact(at(5), account, ContactId(1));
    assert_eq!(cancel(AccountId(99)).await.unwrap(), Cancel::NotFound);
    assert_eq!(cancel(home.account).await.unwrap(), Cancel::Canceled);
    assert_eq!(cancel(home.account).await.unwrap(), Cancel::AlreadyDone);
    assert_eq!(story(&home, ContactId(1)).await, ["1 queued", "5 done canceled"]);
    assert!(home.reader.webhook(ContactId(1)).await.unwrap().is_some());
    assert_eq!(home.store.demands(at(5), 10).await.unwrap(), []);
}

#[tokio::test]
async fn contact_canceled_in_a_call_ends_instead_of_being_dialed_again() {
    let (home, begun) = calling().await;
    let cancel = home.store.cancel_contact(at(11), home.account, begun.contact.id).await.unwrap();
    assert_eq!(cancel, Cancel::Calling(begun.attempt.id));
    let busy = end(Outcome::Busy, at(12));
    let finished = home.store.finish_attempt(begun.attempt.id, &busy).await.unwrap();
    assert_eq!(finished.verdict, Verdict::End(Disposition::Canceled));
    assert!(home.reader.webhook(begun.contact.id).await.unwrap().is_some());
}

#[tokio::test]
async fn contact_canceled_in_a_call_that_was_led_to_its_end_is_completed() {
    let (home, begun) = calling().await;
    home.store.cancel_contact(at(11), home.account, begun.contact.id).await.unwrap();
    let finished = home.store.finish_attempt(begun.attempt.id, &end(HUMAN, at(42))).await.unwrap();
    assert_eq!(finished.verdict, Verdict::End(Disposition::Completed));
}

#[tokio::test]
async fn canceled_campaign_keeps_only_its_calls() {
    let (home, campaign) = with_contacts(500).await;
    let begun = home.begin_one(at(2), campaign).await;
    let canceled = home.store.cancel_waiting(at(3), home.account, campaign).await.unwrap();
    assert_eq!(canceled, 499);
    let counts = home.reader.totals().await.unwrap().contacts;
    assert_eq!((counts.waiting, counts.calling, counts.canceled), (0, 1, 499));
    assert_eq!(state(&home, begun.contact.id).await, ContactState::Calling);
    assert_eq!(home.store.cancel_waiting(at(4), home.account, campaign).await.unwrap(), 0);
}

#[tokio::test]
async fn released_attempt_leaves_no_trace() {
    let (home, begun) = calling().await;
    let before = home.reader.contact(home.account, begun.contact.id).await.unwrap().unwrap();
    assert!(home.store.release_attempt(at(11), begun.attempt.id).await.unwrap());
    assert!(!home.store.release_attempt(at(11), begun.attempt.id).await.unwrap());
    let after = home.reader.contact(home.account, begun.contact.id).await.unwrap().unwrap();
    assert_eq!((before.attempts, after.attempts), (1, 0));
    assert_eq!((after.state, after.last_attempt_at), (ContactState::Waiting, None));
    assert_eq!(story(&home, begun.contact.id).await, ["1 queued"]);
    assert_eq!(home.reader.attempts(begun.contact.id).await.unwrap(), []);

    // The same number of the budget is tried again, under an id of its own.
    let again = home.begin_one(at(12), begun.contact.campaign).await;
    assert_eq!(again.attempt.number, 1);
    assert_ne!(again.attempt.id, begun.attempt.id);
}

#[tokio::test]
async fn released_attempt_gives_back_the_time_of_the_one_before() {
    let (home, begun) = calling().await;
    let mut busy = end(Outcome::Busy, at(12));
    home.store.finish_attempt(begun.attempt.id, &busy).await.unwrap();
    home.store.promote_due(at(72), 1).await.unwrap();
    let second = home.begin_one(at(80), begun.contact.campaign).await;
    home.store.release_attempt(at(81), second.attempt.id).await.unwrap();
    let contact = home.reader.contact(home.account, begun.contact.id).await.unwrap().unwrap();
    assert_eq!((contact.attempts, contact.last_attempt_at), (1, Some(at(10))));
    // An attempt that has ended is not undone.
    busy.ended_at = at(90);
    assert!(!home.store.release_attempt(at(91), begun.attempt.id).await.unwrap());
}

#[tokio::test]
async fn released_contact_whose_cancel_was_asked_for_ends() {
    let (home, begun) = calling().await;
    home.store.cancel_contact(at(11), home.account, begun.contact.id).await.unwrap();
    home.store.release_attempt(at(12), begun.attempt.id).await.unwrap();
    let canceled = ContactState::Done(Disposition::Canceled);
    assert_eq!(state(&home, begun.contact.id).await, canceled);
    assert!(home.reader.webhook(begun.contact.id).await.unwrap().is_some());
}

#[tokio::test]
async fn attempt_that_a_crash_left_open_is_found_and_ends_in_doubt() {
    let (home, begun) = calling().await;
    let home = home.reopened().await;
    let open = home.store.open_attempts().await.unwrap();
    assert_eq!(open, [(begun.attempt.clone(), begun.contact.clone())]);
    let doubt = end(Outcome::InDoubt, at(100));
    let finished = home.store.finish_attempt(begun.attempt.id, &doubt).await.unwrap();
    assert_eq!(finished.verdict, Verdict::End(Disposition::Failed));
    assert_eq!(home.store.open_attempts().await.unwrap(), []);
}

#[tokio::test]
async fn attempt_in_doubt_is_repeated_where_the_campaign_says_so_even_later() {
    let (home, begun) = calling().await;
    let campaign = begun.contact.campaign;
    assert!(home.store.set_redial_in_doubt(home.account, campaign, true).await.unwrap());
    let doubt = end(Outcome::InDoubt, at(100));
    let finished = home.store.finish_attempt(begun.attempt.id, &doubt).await.unwrap();
    assert_eq!(finished.verdict, Verdict::DialAt(at(160)));
    assert!(finished.contact.retry.redial_in_doubt);
}

#[tokio::test]
async fn moment_before_the_epoch_is_kept() {
    let (home, begun) = calling().await;
    let early = end(Outcome::Busy, Timestamp::from_millis(-1));
    home.store.finish_attempt(begun.attempt.id, &early).await.unwrap();
    let attempt = home.reader.attempts(begun.contact.id).await.unwrap().pop().unwrap();
    assert_eq!(attempt.ended_at, Some(Timestamp::from_millis(-1)));
}
