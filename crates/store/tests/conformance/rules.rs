//! What forbids dialing: lists, policies, calls to the same number, and that all is suspended.

use std::sync::Arc;

use domain::caps::Limit;
use domain::contact::ContactState;
use domain::dial_queue::Share;
use domain::event::EventKind;
use domain::ids::{AttemptId, CampaignId, ContactId, TrunkId};
use domain::number::canonical::Canonical;
use domain::outcome::{CalleeType, Disposition, Outcome};
use domain::permit::{Bench, Ground, LIVE_WAIT, stored_checks};
use domain::policy::{CampaignPolicy, DO_NOT_CALL};
use domain::region::Country;
use store::{Claimed, StoreError, Suspender};

use crate::support::{Home, at, contacts, end, rule};

fn bench(policy: CampaignPolicy) -> Bench {
    Bench::new(Ground::at(domain::zones::Home { country: Country::US, zone: None }), policy)
}

fn caps(limits: &[&str]) -> CampaignPolicy {
    let caps = limits.iter().map(|limit| Limit::parse(limit).unwrap()).collect();
    CampaignPolicy { caps, ..CampaignPolicy::default() }
}

async fn claim(home: &Home, seconds: i64, campaign: CampaignId, bench: &Bench) -> Claimed {
    let shares = vec![Share { campaign, trunks: vec![TrunkId(1); 3] }];
    home.store.begin_attempts(at(seconds), shares, Arc::new(bench.clone())).await.unwrap()
}

async fn second_campaign(home: &Home, seconds: i64) -> CampaignId {
    let mut rule = rule(home.account);
    rule.campaign = "second".into();
    home.store.add_contacts(at(seconds), &rule, contacts(1)).await.unwrap();
    home.store.campaign_named(at(seconds), home.account, "second").await.unwrap().id
}

async fn told(home: &Home, contact: i64) -> Vec<(EventKind, String)> {
    let events = home.reader.events(ContactId(contact)).await.unwrap();
    events.into_iter().map(|event| (event.kind, event.detail)).collect()
}

#[tokio::test]
async fn number_in_a_call_is_not_called_by_another_campaign() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let (first, second) = (home.campaign().await, second_campaign(&home, 1).await);
    let bench = bench(CampaignPolicy::default());
    let begun = claim(&home, 2, first, &bench).await.begun;
    assert_eq!(begun.len(), 1);
    let claimed = claim(&home, 3, second, &bench).await;
    assert_eq!((claimed.begun.len(), claimed.held), (0, 1));
    let held = home.reader.contact(home.account, ContactId(2)).await.unwrap().unwrap();
    assert_eq!((held.state, held.next_at), (ContactState::Waiting, at(3) + LIVE_WAIT));
    assert_eq!(told(&home, 2).await.last().unwrap().0, EventKind::Held);
    // Seen again for the same reason, nothing new is told.
    home.store.promote_due(at(30), 9).await.unwrap();
    assert_eq!(claim(&home, 30, second, &bench).await.held, 1);
    assert_eq!(told(&home, 2).await.len(), 2);
    // The call ends, and the other campaign has its turn.
    let busy = end(Outcome::Busy, at(40));
    home.store.finish_attempt(begun[0].attempt.id, &busy).await.unwrap();
    home.store.promote_due(at(60), 9).await.unwrap();
    assert_eq!(claim(&home, 60, second, &bench).await.begun.len(), 1);
}

#[tokio::test]
async fn number_twice_in_one_claim_is_called_once() {
    let home = Home::new().await;
    let twice = [contacts(1), contacts(1)].concat();
    home.store.add_contacts(at(1), &rule(home.account), twice).await.unwrap();
    let bench = bench(CampaignPolicy::default());
    let claimed = claim(&home, 2, home.campaign().await, &bench).await;
    assert_eq!((claimed.begun.len(), claimed.held), (1, 1));
}

#[tokio::test]
async fn call_of_one_campaign_starts_the_gap_of_all() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let (first, second) = (home.campaign().await, second_campaign(&home, 1).await);
    let bench = bench(caps(&["gap 1h"]));
    let begun = claim(&home, 2, first, &bench).await.begun;
    let done = end(Outcome::Answered(CalleeType::Human), at(40));
    home.store.finish_attempt(begun[0].attempt.id, &done).await.unwrap();
    assert_eq!(claim(&home, 50, second, &bench).await.held, 1);
    let held = home.reader.contact(home.account, ContactId(2)).await.unwrap().unwrap();
    assert_eq!(held.next_at, at(40 + 3_600));
    assert_eq!(home.store.next_due().await.unwrap(), Some(at(40 + 3_600)));
    home.store.promote_due(at(3_640), 9).await.unwrap();
    let begun = claim(&home, 3_640, second, &bench).await.begun;
    let weighed = home.reader.weighed(begun[0].attempt.id).await.unwrap().unwrap();
    let checks = stored_checks(&weighed);
    assert!(checks.iter().any(|check| check.rule == "campaign-caps" && check.passed));
}

#[tokio::test]
async fn call_of_which_nothing_was_sent_is_no_call_to_its_number() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let bench = bench(caps(&["gap 1h"]));
    let campaign = home.campaign().await;
    let begun = claim(&home, 2, campaign, &bench).await.begun;
    assert!(home.store.release_attempt(at(3), begun[0].attempt.id).await.unwrap());
    assert_eq!(claim(&home, 4, campaign, &bench).await.begun.len(), 1);
}

#[tokio::test]
async fn cap_counts_the_calls_of_a_rolling_day() {
    let home = Home::new().await;
    let mut often = rule(home.account);
    often.retry.attempts_max = 9;
    home.store.add_contacts(at(0), &often, contacts(1)).await.unwrap();
    let bench = bench(caps(&["calls 3 in 24h"]));
    let campaign = home.campaign().await;
    let mut begun_at = Vec::new();
    for hour in 0..60 {
        let now = hour * 3_600 + 60;
        home.store.promote_due(at(now), 9).await.unwrap();
        for begun in claim(&home, now, campaign, &bench).await.begun {
            begun_at.push(hour);
            let busy = end(Outcome::Busy, at(now + 5));
            home.store.finish_attempt(begun.attempt.id, &busy).await.unwrap();
        }
    }
    assert_eq!(begun_at, [0, 1, 2, 24, 25, 26, 48, 49, 50]);
}

#[tokio::test]
async fn number_on_a_list_ends_with_the_reason_and_owes_its_result() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let numbers = vec!["(555) 000-0001".into()];
    let added = home.store.list_add(at(2), home.account, DO_NOT_CALL, numbers, "complaint").await;
    assert_eq!(added.unwrap(), 1);
    let bench = bench(CampaignPolicy::default());
    assert_eq!(claim(&home, 3, home.campaign().await, &bench).await.ended, 1);
    let contact = home.reader.contact(home.account, ContactId(1)).await.unwrap().unwrap();
    assert_eq!(contact.state, ContactState::Done(Disposition::Canceled));
    let events = told(&home, 1).await;
    assert!(events[1].1.starts_with("do-not-call: on the list"), "{events:?}");
    assert_eq!(events[2], (EventKind::Done, "canceled".into()));
    assert!(home.reader.webhook(ContactId(1)).await.unwrap().is_some());
}

#[tokio::test]
async fn lists_are_shown_and_numbers_come_and_go() {
    let home = Home::new().await;
    let (store, account) = (&home.store, home.account);
    assert!(store.create_list(at(1), account, "partners").await.unwrap());
    assert!(!store.create_list(at(2), account, "partners").await.unwrap());
    let numbers: Vec<String> = (0..1_200).map(|nth| format!("+1617253{nth:04}")).collect();
    assert_eq!(
        store.list_add(at(3), account, "partners", numbers.clone(), "").await.unwrap(),
        1_200
    );
    assert_eq!(store.list_add(at(4), account, "partners", numbers, "").await.unwrap(), 0);
    let lists = home.reader.lists(account).await.unwrap();
    assert_eq!((lists[0].name.as_str(), lists[0].numbers), ("partners", 1_200));
    let page = home.reader.list_numbers(account, "partners", "", 2).await.unwrap().unwrap();
    let page: Vec<&str> = page.iter().map(|row| row.number.as_str()).collect();
    assert_eq!(page, ["+16172530000", "+16172530001"]);
    let next = home.reader.list_numbers(account, "partners", page[1], 1).await.unwrap().unwrap();
    assert_eq!(next[0].number, "+16172530002");
    assert_eq!(home.reader.list_numbers(account, "none", "", 1).await.unwrap(), None);

    let number = Canonical::of("617 253 0007", Country::US);
    assert_eq!(home.reader.on_lists(account, &number).await.unwrap()[0].list, "partners");
    assert!(store.list_remove(account, "partners", "6172530007").await.unwrap());
    assert!(!store.list_remove(account, "partners", "6172530007").await.unwrap());
    assert_eq!(home.reader.on_lists(account, &number).await.unwrap(), []);
}

#[tokio::test]
async fn opting_out_ends_whoever_waits_in_all_campaigns_and_hangs_nothing_up() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(2)).await.unwrap();
    let first = home.campaign().await;
    let second = second_campaign(&home, 1).await;
    let bench = bench(CampaignPolicy::default());
    let begun = claim(&home, 2, first, &bench).await.begun;
    assert_eq!(begun.len(), 2);
    let ended = home.store.opt_out(at(3), home.account, "5550000001", "asked the agent").await;
    assert_eq!(ended.unwrap(), 1);
    let state = async |contact| {
        let contact = home.reader.contact(home.account, ContactId(contact)).await.unwrap();
        contact.unwrap().state
    };
    assert_eq!(state(1).await, ContactState::Calling);
    assert_eq!(state(3).await, ContactState::Done(Disposition::Canceled));
    // The one under way is not dialed again when its call was in vain.
    home.store.finish_attempt(begun[0].attempt.id, &end(Outcome::Busy, at(9))).await.unwrap();
    home.store.promote_due(at(99), 9).await.unwrap();
    assert_eq!(claim(&home, 99, first, &bench).await.ended, 1);
    assert_eq!(claim(&home, 99, second, &bench).await, Claimed::default());
    assert_eq!(state(1).await, ContactState::Done(Disposition::Canceled));
}

#[tokio::test]
async fn policy_that_the_judge_does_not_know_stops_its_campaign_until_he_does() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let campaign = home.campaign().await;
    let set = |expected| home.store.set_policy(home.account, campaign, "{}", expected);
    assert_eq!(set(None).await.unwrap(), Some(1));
    assert_eq!(set(Some(0)).await.unwrap(), None);
    assert_eq!(set(Some(1)).await.unwrap(), Some(2));
    let mut bench = bench(CampaignPolicy::default());
    let claimed = claim(&home, 2, campaign, &bench).await;
    assert_eq!((claimed.unknown, claimed.begun.len()), (vec![campaign], 0));
    bench.policies.insert(campaign, (2, CampaignPolicy::default()));
    let begun = claim(&home, 2, campaign, &bench).await.begun;
    // No number was lost to the claim that came to nothing.
    assert_eq!(begun[0].attempt.id, AttemptId(1));
}

#[tokio::test]
async fn contacts_that_wait_do_not_keep_those_behind_them_from_being_dialed() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(100)).await.unwrap();
    let campaign = home.campaign().await;
    let numbers: Vec<String> = (1..=90).map(|nth| format!("555{nth:07}")).collect();
    home.store.list_add(at(2), home.account, DO_NOT_CALL, numbers, "").await.unwrap();
    let claimed = claim(&home, 3, campaign, &bench(CampaignPolicy::default())).await;
    assert_eq!((claimed.begun.len(), claimed.ended), (3, 90));
}

#[tokio::test]
async fn nothing_is_dialed_of_who_is_suspended() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let campaign = home.campaign().await;
    let bench = bench(CampaignPolicy::default());
    for all in [true, false] {
        let suspend = async |on| match all {
            true => home.store.suspend(on).await.unwrap(),
            false => {
                home.store.suspend_account(home.account, Suspender::Operator, on).await.unwrap()
            }
        };
        suspend(true).await;
        assert_eq!(home.store.demands(at(2), 9).await.unwrap(), []);
        assert_eq!(claim(&home, 2, campaign, &bench).await, Claimed::default());
        assert_eq!(home.reader.is_suspended().await.unwrap(), all);
        suspend(false).await;
        assert_eq!(home.store.demands(at(2), 9).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn weight_of_an_account_comes_with_its_demands() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    home.store.set_account_weight(home.account, 7).await.unwrap();
    assert_eq!(home.store.demands(at(2), 9).await.unwrap()[0].account_weight, 7);
    let nobody = domain::ids::AccountId(99);
    let refused = home.store.set_account_weight(nobody, 7).await;
    assert!(matches!(refused, Err(StoreError::Unknown { .. })));
}

#[tokio::test]
async fn past_calls_are_forgotten_when_no_rule_looks_back_so_far() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(2)).await.unwrap();
    let begun = claim(&home, 2, home.campaign().await, &bench(CampaignPolicy::default())).await;
    let busy = end(Outcome::Busy, at(3));
    home.store.finish_attempt(begun.begun[0].attempt.id, &busy).await.unwrap();
    assert_eq!(home.store.purge_called(at(2), 9).await.unwrap(), 0);
    // The other is still under way.
    assert_eq!(home.store.purge_called(at(9), 9).await.unwrap(), 1);
}
