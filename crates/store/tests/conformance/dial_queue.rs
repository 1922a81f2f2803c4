//! Order, turns and times of the dial queue.

use std::sync::Arc;

use domain::campaign::CampaignState;
use domain::contact::ContactState;
use domain::dial_queue::{Demand, Share};
use domain::event::EventKind;
use domain::ids::{CampaignId, ContactId, TrunkId};
use domain::outcome::{Disposition, Outcome};
use domain::permit::Freely;
use domain::time::DialWindow;
use store::Begun;

use crate::support::{Home, at, contacts, end, rule};

fn ids(begun: &[Begun]) -> Vec<i64> {
    begun.iter().map(|begun| begun.contact.id.0).collect()
}

#[tokio::test]
async fn contacts_of_a_campaign_go_first_in_first_out() {
    let home = Home::new().await;
    for second in 1..=3 {
        home.store.add_contacts(at(second), &rule(home.account), contacts(2)).await.unwrap();
    }
    let campaign = home.campaign().await;
    let first = ids(&home.begin(at(9), campaign, 4).await);
    let then = ids(&home.begin(at(9), campaign, 4).await);
    assert_eq!((first, then), (vec![1, 2, 3, 4], vec![5, 6]));
}

#[tokio::test]
async fn begun_attempt_is_written_down_before_anything_is_sent() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let begun = home.begin_one(at(5), home.campaign().await).await;
    assert_eq!((begun.attempt.number, begun.attempt.started_at), (1, at(5)));
    assert_eq!((begun.contact.state, begun.contact.attempts), (ContactState::Calling, 1));
    assert_eq!(begun.contact.last_attempt_at, Some(at(5)));
    assert_eq!(begun.application.spec, rule(home.account).application);

    let contact = begun.contact.id;
    let attempts = home.reader.attempts(contact).await.unwrap();
    assert_eq!(attempts, std::slice::from_ref(&begun.attempt));
    let events = home.reader.events(contact).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| (event.kind, event.attempt)).collect();
    let dialing = (EventKind::Dialing, Some(begun.attempt.id));
    assert_eq!(kinds, [(EventKind::Queued, None), dialing]);
}

#[tokio::test]
async fn nth_contact_of_a_share_takes_its_nth_trunk() {
    let home = Home::new().await;
    let mut shares = Vec::new();
    // More than there is, too.
    for (name, trunks) in [("a", [7, 8, 9]), ("b", [4, 5, 6])] {
        let mut rule = rule(home.account);
        rule.campaign = name.into();
        home.store.add_contacts(at(1), &rule, contacts(2)).await.unwrap();
        let campaign = home.store.campaign_named(at(1), home.account, name).await.unwrap().id;
        shares.push(Share { campaign, trunks: trunks.map(TrunkId).into() });
    }
    let begun = home.store.begin_attempts(at(2), shares, Arc::new(Freely)).await.unwrap().begun;
    let pairs: Vec<_> = begun.iter().map(|b| (b.contact.id.0, b.attempt.trunk.0)).collect();
    assert_eq!(pairs, [(1, 7), (2, 8), (3, 4), (4, 5)]);
}

#[tokio::test]
async fn retry_goes_behind_what_was_due_before_it() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let campaign = home.campaign().await;
    let begun = home.begin_one(at(2), campaign).await;
    home.store.add_contacts(at(10), &rule(home.account), contacts(1)).await.unwrap();
    let busy = end(Outcome::Busy, at(3));
    home.store.finish_attempt(begun.attempt.id, &busy).await.unwrap();
    home.store.add_contacts(at(70), &rule(home.account), contacts(1)).await.unwrap();

    assert_eq!(home.store.next_due().await.unwrap(), Some(at(63)));
    assert_eq!(home.store.promote_due(at(62), 10).await.unwrap(), 0);
    assert_eq!(home.store.promote_due(at(63), 10).await.unwrap(), 1);
    assert_eq!(home.store.next_due().await.unwrap(), None);
    assert_eq!(ids(&home.begin(at(80), campaign, 9).await), [2, 1, 3]);
}

#[tokio::test]
async fn contact_waits_for_its_window_to_open() {
    let home = Home::new().await;
    let mut later = rule(home.account);
    later.window.opens_at = Some(at(100));
    home.store.add_contacts(at(1), &later, contacts(1)).await.unwrap();
    let campaign = home.campaign().await;
    assert_eq!(home.store.demands(at(99), 10).await.unwrap(), []);
    assert_eq!(home.store.next_due().await.unwrap(), Some(at(100)));
    assert_eq!(home.store.promote_due(at(100), 10).await.unwrap(), 1);
    let demands = home.store.demands(at(100), 10).await.unwrap();
    assert_eq!(demands, [Demand::new(home.account, campaign, 1)]);
    // A clock that was set back does not dial outside the window.
    assert_eq!(ids(&home.begin(at(99), campaign, 1).await), []);
    assert_eq!(ids(&home.begin(at(100), campaign, 1).await), [1]);
}

#[tokio::test]
async fn promoting_stops_at_its_limit_and_goes_on_from_there() {
    let home = Home::new().await;
    let mut later = rule(home.account);
    later.window.opens_at = Some(at(100));
    home.store.add_contacts(at(1), &later, contacts(5)).await.unwrap();
    let mut promoted = Vec::new();
    for _ in 0..4 {
        promoted.push(home.store.promote_due(at(100), 2).await.unwrap());
    }
    assert_eq!(promoted, [2, 2, 1, 0]);
}

#[tokio::test]
async fn stopped_campaign_keeps_its_contacts_and_is_passed_over() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(2)).await.unwrap();
    let campaign = home.campaign().await;
    let set = |state| home.store.set_campaign_state(home.account, campaign, state);
    assert!(set(CampaignState::Stopped).await.unwrap());
    assert_eq!(home.store.demands(at(2), 10).await.unwrap(), []);
    // Stopped between the look and the taking.
    assert_eq!(ids(&home.begin(at(2), campaign, 2).await), []);
    assert!(set(CampaignState::Running).await.unwrap());
    assert_eq!(ids(&home.begin(at(2), campaign, 2).await), [1, 2]);
}

#[tokio::test]
async fn unknown_campaign_gives_nothing() {
    let home = Home::new().await;
    assert_eq!(ids(&home.begin(at(2), CampaignId(99), 2).await), []);
}

#[tokio::test]
async fn contact_is_taken_once_whoever_takes_at_the_same_time() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(60)).await.unwrap();
    let campaign = home.campaign().await;
    let mut takers = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let store = home.store.clone();
        takers.spawn(async move {
            let shares = vec![Share { campaign, trunks: vec![TrunkId(1); 7] }];
            ids(&store.begin_attempts(at(2), shares, Arc::new(Freely)).await.unwrap().begun)
        });
    }
    let mut taken: Vec<i64> = takers.join_all().await.concat();
    taken.sort_unstable();
    assert_eq!(taken, (1..=60).collect::<Vec<i64>>());
}

#[tokio::test]
async fn window_that_closes_while_a_contact_waits_expires_it_and_owes_the_result() {
    let home = Home::new().await;
    let mut closing = rule(home.account);
    closing.window.closes_at = Some(at(50));
    home.store.add_contacts(at(1), &closing, contacts(2)).await.unwrap();
    // One waits for its first attempt, the other for its second.
    let begun = home.begin_one(at(2), home.campaign().await).await;
    let mut soon = end(Outcome::Busy, at(3));
    soon.ended_at = at(-20);
    home.store.finish_attempt(begun.attempt.id, &soon).await.unwrap();

    assert_eq!(home.store.expire(at(49), 10).await.unwrap(), 0);
    assert_eq!(home.store.expire(at(50), 1).await.unwrap(), 1);
    assert_eq!(home.store.expire(at(50), 10).await.unwrap(), 1);
    assert_eq!(home.store.next_due().await.unwrap(), None);
    for id in [1, 2] {
        let contact = home.reader.contact(home.account, ContactId(id)).await.unwrap().unwrap();
        let expired = ContactState::Done(Disposition::Expired);
        assert_eq!((contact.state, contact.ended_at), (expired, Some(at(50))));
        let last = home.reader.events(contact.id).await.unwrap().pop().unwrap();
        assert_eq!((last.kind, last.detail.as_str()), (EventKind::Done, "expired"));
        assert!(home.reader.webhook(contact.id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn closed_windows_at_the_head_of_a_campaign_hide_nobody() {
    let home = Home::new().await;
    let mut closing = rule(home.account);
    closing.window.closes_at = Some(at(50));
    home.store.add_contacts(at(1), &closing, contacts(3)).await.unwrap();
    home.store.add_contacts(at(2), &rule(home.account), contacts(2)).await.unwrap();
    let campaign = home.campaign().await;
    let whole = Demand::new(home.account, campaign, 5);
    let ready = |ready| vec![Demand { ready, ..whole }];
    assert_eq!(home.store.demands(at(49), 9).await.unwrap(), ready(5));
    assert_eq!(home.store.demands(at(50), 9).await.unwrap(), ready(2));
    assert_eq!(home.store.demands(at(50), 1).await.unwrap(), ready(1));
    assert_eq!(ids(&home.begin(at(50), campaign, 1).await), [4]);
    assert_eq!(ids(&home.begin(at(50), campaign, 9).await), [5]);
    assert_eq!(home.store.demands(at(50), 9).await.unwrap(), []);
}

#[tokio::test]
async fn contact_whose_window_closed_before_it_came_is_never_dialed() {
    let home = Home::new().await;
    let mut closed = rule(home.account);
    closed.window = DialWindow { opens_at: Some(at(90)), closes_at: Some(at(10)) };
    home.store.add_contacts(at(20), &closed, contacts(1)).await.unwrap();
    assert_eq!(home.store.demands(at(100), 9).await.unwrap(), []);
    assert_eq!(home.store.expire(at(20), 9).await.unwrap(), 1);
}
