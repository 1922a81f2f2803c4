//! Taking contacts in and finding them again.

use std::time::Duration;

use domain::contact::{Contact, ContactState};
use domain::event::EventKind;
use domain::ids::{AccountId, ApplicationId, ContactId};
use domain::outcome::Disposition;
use domain::terms::{Priority, Terms};
use store::{ContactFilter, StoreError};

use crate::support::{Home, at, contacts, rule};

/// The ids of all pages of a list.
async fn walk(home: &Home, filter: ContactFilter, limit: u32) -> Vec<ContactId> {
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        let page = home.reader.contacts(home.account, filter, from, limit).await.unwrap();
        assert!(page.items.len() <= limit as usize);
        found.extend(page.items.iter().map(|contact| contact.id));
        // A client gives back the text.
        from = page.next.map(|cursor| cursor.to_string().parse().unwrap());
        if from.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn contact_is_read_as_it_was_taken_in() {
    let home = Home::new().await;
    let mut rule = rule(home.account);
    rule.window.opens_at = Some(at(50));
    rule.window.closes_at = Some(at(90));
    let mut new = contacts(1);
    new[0].destination = "+15550101;ani=5550199;postd=12#,3".parse().unwrap();
    new[0].parameters = "name=J\u{f6}rg&x='\"".into();
    new[0].priority = Some(Priority::HIGHEST);
    new[0].variables.add("first name", "J\u{f6}rg & %3d = co").unwrap();
    new[0].place.zone = Some("America/Chicago".into());
    rule.retry.waits = "busy=1000,invalid_number=stop".parse().unwrap();
    rule.terms.ring_time_max = Some(Duration::from_secs(45));
    let ids = home.store.add_contacts(at(7), &rule, new.clone()).await.unwrap();
    let read = home.reader.contact(home.account, ids[0]).await.unwrap().unwrap();
    let expected = Contact {
        id: ids[0],
        account: home.account,
        campaign: home.campaign().await,
        application: ApplicationId(1),
        destination: new[0].destination.clone(),
        reference: new[0].reference.clone(),
        parameters: new[0].parameters.clone(),
        variables: new[0].variables.clone(),
        place: new[0].place.clone(),
        terms: Terms { priority: Priority::HIGHEST, ..rule.terms },
        window: rule.window,
        retry: rule.retry,
        result_url: rule.result_url.clone(),
        dialect: rule.dialect,
        state: ContactState::Waiting,
        attempts: 0,
        next_at: at(50),
        last_outcome: None,
        last_attempt_at: None,
        duration_s: 0,
        message_left: false,
        created_at: at(7),
        ended_at: None,
    };
    assert_eq!(read, expected);
    let events = home.reader.events(ids[0]).await.unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].kind, events[0].at), (EventKind::Queued, at(7)));
}

#[tokio::test]
async fn equal_applications_of_an_account_are_one() {
    let home = Home::new().await;
    let other_account = home.store.create_account(at(0), "fuse", None).await.unwrap().id;
    let first = rule(home.account);
    let mut parameters = first.clone();
    parameters.application.parameters = "x".into();
    let mut account = first.clone();
    account.account = other_account;
    let mut applications = Vec::new();
    for rule in [&first, &first, &parameters, &account] {
        let ids = home.store.add_contacts(at(1), rule, contacts(1)).await.unwrap();
        let contact = home.reader.contact(rule.account, ids[0]).await.unwrap().unwrap();
        let application = home.reader.application(contact.application).await.unwrap().unwrap();
        assert_eq!((application.account, &application.spec), (rule.account, &rule.application));
        applications.push(contact.application.0);
    }
    assert_eq!(applications, [1, 1, 2, 3]);
}

#[tokio::test]
async fn contacts_for_an_unknown_account_leave_nothing_behind() {
    let home = Home::new().await;
    let refused = home.store.add_contacts(at(1), &rule(AccountId(99)), contacts(2)).await;
    assert!(matches!(refused, Err(StoreError::Unknown { what: "account", id: 99 })));
    let ids = home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    assert_eq!(ids, [ContactId(1)]);
}

#[tokio::test]
async fn nothing_to_take_in_is_taken_in() {
    let home = Home::new().await;
    let ids = home.store.add_contacts(at(1), &rule(home.account), Vec::new()).await.unwrap();
    assert_eq!(ids, []);
}

#[tokio::test]
async fn contact_of_another_account_is_not_found() {
    let home = Home::new().await;
    let ids = home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let stranger = AccountId(99);
    assert_eq!(home.reader.contact(stranger, ids[0]).await.unwrap(), None);
    let page = home.reader.contacts(stranger, ContactFilter::default(), None, 10);
    assert_eq!(page.await.unwrap().items, []);
}

#[tokio::test]
async fn lists_come_newest_first_page_by_page_whatever_the_filter() {
    let home = Home::new().await;
    let mut spring = rule(home.account);
    spring.campaign = "spring".into();
    for nth in 0..20 {
        let rule = if nth % 3 == 0 { &spring } else { &rule(home.account) };
        home.store.add_contacts(at(nth), rule, contacts(1)).await.unwrap();
    }
    let spring = home.store.campaign_named(at(0), home.account, "spring").await.unwrap().id;
    for id in [2, 4, 5, 10, 16] {
        home.store.cancel_contact(at(30), home.account, ContactId(id)).await.unwrap();
    }
    home.begin(at(30), spring, 2).await;

    let all = |wanted: &dyn Fn(i64) -> bool| -> Vec<ContactId> {
        (1..=20).rev().filter(|id| wanted(*id)).map(ContactId).collect()
    };
    let canceled = |id| [2, 4, 5, 10, 16].contains(&id);
    let of_spring = |id: i64| (id - 1) % 3 == 0;
    let canceled_state = Some(ContactState::Done(Disposition::Canceled));
    for limit in [1, 3, 7, 100] {
        let filter = |campaign, state| ContactFilter { campaign, state };
        let found = walk(&home, filter(None, None), limit).await;
        assert_eq!(found, all(&|_| true));
        let found = walk(&home, filter(Some(spring), None), limit).await;
        assert_eq!(found, all(&of_spring));
        let found = walk(&home, filter(None, canceled_state), limit).await;
        assert_eq!(found, all(&canceled));
        let found = walk(&home, filter(Some(spring), canceled_state), limit).await;
        assert_eq!(found, all(&|id| canceled(id) && of_spring(id)));
        let found = walk(&home, filter(Some(spring), Some(ContactState::Calling)), limit).await;
        assert_eq!(found, all(&|id| [1, 7].contains(&id)));
    }
}

#[tokio::test]
async fn rare_state_is_found_among_many_contacts_in_short_pages() {
    let home = Home::new().await;
    let upload = home.store.begin_upload(at(1), &rule(home.account)).await.unwrap();
    let ids = home.store.upload_add(upload, contacts(20_500)).await.unwrap();
    home.store.commit_upload(upload).await.unwrap();
    home.store.flush().await.unwrap();
    home.store.cancel_contact(at(2), home.account, ids[10]).await.unwrap();
    let filter =
        ContactFilter { campaign: None, state: Some(ContactState::Done(Disposition::Canceled)) };
    let first = home.reader.contacts(home.account, filter, None, 10).await.unwrap();
    assert!(first.items.is_empty() && first.next.is_some());
    assert_eq!(walk(&home, filter, 10).await, [ids[10]]);
}
