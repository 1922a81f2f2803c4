//! What holds for an account alone, references that a campaign takes in once, and keys of requests.

use domain::campaign::CampaignState;
use domain::contact::ContactState;
use domain::event::EventKind;
use domain::ids::{AccountId, ContactId};
use domain::number::canonical::Canonical;
use domain::outcome::Disposition;
use domain::region::Country;
use store::{
    Answer, CampaignChange, ContactFilter, CreateError, Given, Import, Met, Once, Suspender,
    TakenIn, TermsChange,
};

use crate::support::{Home, at, contacts, rule};

fn answer(body: &str) -> Answer {
    let content_type = "text/plain".to_owned();
    Answer { status: 201, content_type, location: None, body: body.into(), parts: None }
}

fn key(account: AccountId, fingerprint: u8) -> Once {
    Once { account, key: "k".into(), fingerprint: [fingerprint; 32] }
}

fn gb() -> Country {
    "GB".parse().unwrap()
}

async fn once_each(home: &Home) {
    let change = CampaignChange { unique_references: Some(true), ..Default::default() };
    let campaign = home.campaign().await;
    home.store.change_campaign(home.account, campaign, change).await.unwrap().unwrap();
}

#[tokio::test]
async fn account_is_dialed_again_once_nobody_suspends_it() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(1)).await.unwrap();
    let suspend = async |by, suspended| {
        home.store.suspend_account(home.account, by, suspended).await.unwrap();
        home.store.demands(at(2), 9).await.unwrap().is_empty()
    };
    assert!(suspend(Suspender::Account, true).await);
    assert!(suspend(Suspender::Operator, true).await);
    assert!(suspend(Suspender::Account, false).await);
    let terms = home.reader.terms_of(home.account).await.unwrap().unwrap();
    let by = (terms.suspended_by_account, terms.suspended_by_operator, terms.is_suspended);
    assert_eq!(by, (false, true, true));
    assert!(!suspend(Suspender::Operator, false).await);
}

#[tokio::test]
async fn change_of_an_account_leaves_what_it_does_not_name() {
    let home = Home::new().await;
    let change = TermsChange {
        weight: Some(3),
        calls_max: Some(Some(20)),
        country: Some(Some(gb())),
        ..Default::default()
    };
    home.store.change_account(home.account, change).await.unwrap().unwrap();
    let change = TermsChange { is_operator: Some(true), ..Default::default() };
    let terms = home.store.change_account(home.account, change).await.unwrap().unwrap();
    assert_eq!((terms.weight, terms.limits.calls_max), (3, Some(20)));
    assert_eq!((terms.country, terms.is_operator), (Some(gb()), true));
    let change = TermsChange { calls_max: Some(None), country: Some(None), ..Default::default() };
    let terms = home.store.change_account(home.account, change).await.unwrap().unwrap();
    assert_eq!((terms.limits.calls_max, terms.country, terms.weight), (None, None, 3));
    assert_eq!(home.store.change_account(AccountId(99), change).await.unwrap(), None);
}

#[tokio::test]
async fn numbers_are_read_as_those_of_the_accounts_own_country() {
    let home = Home::new().await;
    let change = TermsChange { country: Some(Some(gb())), ..Default::default() };
    home.store.change_account(home.account, change).await.unwrap();
    let (store, account) = (&home.store, home.account);
    store.list_add(at(1), account, "partners", vec!["020 7946 0018".into()], "").await.unwrap();
    let number = Canonical::of("+442079460018", Country::US);
    assert_eq!(home.reader.on_lists(account, &number).await.unwrap().len(), 1);
    let contact = domain::contact::NewContact::new("02079460018".parse().unwrap());
    store.add_contacts(at(1), &rule(account), vec![contact.clone()]).await.unwrap();
    let upload = store.begin_upload(at(1), &rule(account)).await.unwrap();
    store.upload_add(upload, vec![contact]).await.unwrap();
    store.commit_upload(upload).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(store.opt_out(at(2), account, "+44 20 7946 0018", "").await.unwrap(), 2);
}

#[tokio::test]
async fn verified_caller_ids_count_where_an_account_shows_no_others() {
    let home = Home::new().await;
    let (store, reader, account) = (&home.store, &home.reader, home.account);
    let numbers = vec!["(617) 253-0001".to_owned(), "+16172530001".into(), "2125550199".into()];
    assert_eq!(store.verify_caller_ids(at(1), account, numbers).await.unwrap(), 2);
    assert_eq!(reader.verified().await.unwrap().len(), 0);
    let change = TermsChange { verified_only: Some(true), ..Default::default() };
    store.change_account(account, change).await.unwrap();
    let verified = reader.verified().await.unwrap();
    assert_eq!(verified[&account], ["+12125550199", "+16172530001"]);
    assert!(store.forget_caller_id(account, "617-253-0001").await.unwrap());
    assert!(!store.forget_caller_id(account, "617-253-0001").await.unwrap());
    assert!(store.forget_caller_id(account, "2125550199").await.unwrap());
    assert_eq!(reader.verified().await.unwrap()[&account], Vec::<String>::new());
    assert!(store.verify_caller_ids(at(1), AccountId(99), vec!["1".into()]).await.is_err());
}

#[tokio::test]
async fn campaign_changes_what_is_named_and_no_two_have_one_name() {
    let home = Home::new().await;
    let (store, account, campaign) = (&home.store, home.account, home.campaign().await);
    store.campaign_named(at(1), account, "spring").await.unwrap();
    let named = |name: &str| CampaignChange { name: Some(name.into()), ..Default::default() };
    let taken = store.change_campaign(account, campaign, named("spring")).await;
    assert!(matches!(taken, Err(CreateError::Taken(name)) if name == "spring"));
    let change = CampaignChange { state: Some(CampaignState::Stopped), ..named("autumn") };
    let changed = store.change_campaign(account, campaign, change).await.unwrap().unwrap();
    assert_eq!((changed.name.as_str(), changed.state), ("autumn", CampaignState::Stopped));
    assert!(!changed.unique_references);
    let same = store.change_campaign(account, campaign, named("autumn")).await.unwrap();
    assert_eq!(same, Some(changed));
    assert_eq!(store.change_campaign(AccountId(99), campaign, named("x")).await.unwrap(), None);
}

#[tokio::test]
async fn reference_that_a_campaign_has_had_is_the_contact_that_had_it() {
    let home = Home::new().await;
    let rule = rule(home.account);
    // Those from before do not count, and without a reference each is another.
    home.store.add_contacts(at(1), &rule, contacts(1)).await.unwrap();
    once_each(&home).await;
    let ids = home.store.add_contacts(at(1), &rule, contacts(2)).await.unwrap();
    let again = home.store.add_contacts(at(2), &rule, contacts(3)).await.unwrap();
    assert_eq!(again[..2], ids);
    assert_ne!(again[2], ids[1]);
    let mut bare = contacts(1);
    bare[0].reference.clear();
    let one = home.store.add_contacts(at(2), &rule, bare.clone()).await.unwrap();
    assert_ne!(home.store.add_contacts(at(2), &rule, bare).await.unwrap(), one);
    let text = |taken: &TakenIn| answer(&taken.is_new.to_string());
    let first = contacts(1).remove(0);
    let met = home.store.add_contact_once(at(3), &rule, first, None, text).await.unwrap();
    let Met::Done(TakenIn { contact, is_new }) = met else { panic!("no key was given") };
    assert_eq!((contact.id, is_new), (ids[0], false));
    assert_eq!(home.reader.totals().await.unwrap().contacts.waiting, 6);
}

#[tokio::test]
async fn file_sent_twice_is_dialed_once_in_a_campaign_of_unique_references() {
    let home = Home::new().await;
    once_each(&home).await;
    let rule = rule(home.account);
    let mut uploads = Vec::new();
    for _ in 0..2 {
        let upload = home.store.begin_upload(at(1), &rule).await.unwrap();
        uploads.push((upload, home.store.upload_add(upload, contacts(3)).await.unwrap()));
    }
    // Both were staged before either was committed: the later ones end at once, and are told.
    for (upload, _) in &uploads {
        home.store.commit_upload(*upload).await.unwrap();
    }
    home.store.flush().await.unwrap();
    let counts = home.reader.totals().await.unwrap();
    assert_eq!((counts.contacts.waiting, counts.contacts.canceled), (3, 3));
    assert_eq!(counts.webhooks_owed, 3);
    let double: ContactId = uploads[1].1[0];
    let found = home.reader.contact(home.account, double).await.unwrap().unwrap();
    assert_eq!(found.state, ContactState::Done(Disposition::Canceled));
    let events = home.reader.events(double).await.unwrap();
    assert_eq!(events[1].kind, EventKind::Refused);
    assert_eq!(events[1].detail, format!("reference: it is that of call {}", uploads[0].1[0]));
    // A third one is told of the first while it is read.
    let upload = home.store.begin_upload(at(2), &rule).await.unwrap();
    let given = home.store.upload_take(upload, contacts(3)).await.unwrap();
    let had: Vec<Given> = uploads[0].1.iter().map(|id| Given { id: *id, is_new: false }).collect();
    assert_eq!(given, had);
    home.store.commit_upload(upload).await.unwrap();
    home.store.flush().await.unwrap();
    let all = home.reader.contacts(home.account, ContactFilter::default(), None, 99).await.unwrap();
    assert_eq!(all.items.len(), 6);
}

#[tokio::test]
async fn contact_that_a_reference_leads_to_is_made_dialable_with_its_answer() {
    let home = Home::new().await;
    once_each(&home).await;
    let rule = rule(home.account);
    let upload = home.store.begin_upload(at(1), &rule).await.unwrap();
    let ids = home.store.upload_add(upload, contacts(1_000)).await.unwrap();
    home.store.commit_upload(upload).await.unwrap();
    let last = contacts(1_000).remove(999);
    let text = |taken: &TakenIn| answer(&taken.contact.id.to_string());
    let met = home.store.add_contact_once(at(2), &rule, last, None, text).await.unwrap();
    let Met::Done(taken) = met else { panic!("no key was given") };
    home.store.flush().await.unwrap();
    let all = home.reader.totals().await.unwrap().contacts;
    // Where the staged one had no reference yet, the new one takes it and the staged one ends.
    let double = taken.contact.id != ids[999];
    assert_eq!(all.waiting, 1_000);
    assert_eq!(all.canceled, u64::from(double));
}

#[tokio::test]
async fn list_numbers_opt_outs_and_tests_are_done_once_for_one_key() {
    let home = Home::new().await;
    let (store, account) = (&home.store, home.account);
    let count = |count: u64| answer(&count.to_string());
    let created = || answer("created");
    let create = async |nth| {
        let key = Some(Once { key: "list".into(), ..key(account, nth) });
        store.create_list_once(at(1), account, "partners", key, created).await.unwrap()
    };
    assert_eq!(create(1).await, Met::Done(true));
    assert_eq!(create(1).await, Met::Repeated(created()));
    assert_eq!(create(2).await, Met::KeyReused);
    let numbers: Vec<String> = (0..1_200).map(|nth| format!("+1617253{nth:04}")).collect();
    let add = async |nth| {
        let (numbers, key) = (numbers.clone(), Some(key(account, nth)));
        store.list_add_once(at(1), account, "partners", numbers, "", (key, count)).await.unwrap()
    };
    assert_eq!(add(1).await, Met::Done(1_200));
    assert_eq!(add(1).await, Met::Repeated(count(1_200)));
    assert_eq!(add(2).await, Met::KeyReused);
    let opt_out = async |nth| {
        let key = Some(Once { key: "out".into(), ..key(account, nth) });
        store.opt_out_once(at(2), account, "6172530000", "", (key, count)).await.unwrap()
    };
    store.add_contacts(at(1), &rule(account), vec![]).await.unwrap();
    let contact = domain::contact::NewContact::new("+16172530000".parse().unwrap());
    store.add_contacts(at(1), &rule(account), vec![contact]).await.unwrap();
    assert_eq!(opt_out(1).await, Met::Done(1));
    assert_eq!(opt_out(1).await, Met::Repeated(count(1)));
    let kept = Once { key: "kept".into(), ..key(account, 1) };
    assert_eq!(store.keep_answer(at(2), kept.clone(), count(7)).await.unwrap(), Met::Done(()));
    let again = store.keep_answer(at(3), kept, count(8)).await.unwrap();
    assert_eq!(again, Met::Repeated(count(7)));
}

#[tokio::test]
async fn import_is_checked_and_committed_once_for_one_key() {
    let home = Home::new().await;
    let (store, account) = (&home.store, home.account);
    let text = |import: &Import| answer(&import.report);
    let mut met = Vec::new();
    for report in ["first", "second"] {
        let import = store.begin_import(at(1), &rule(account), "a.csv").await.unwrap();
        store.upload_add(import, contacts(2)).await.unwrap();
        let (report, key) = ((report.to_owned(), true), Some(key(account, 1)));
        met.push(
            store.import_checked_once(at(1), (account, import), report, key, text).await.unwrap(),
        );
    }
    let Met::Done(first) = &met[0] else { panic!("{met:?}") };
    assert_eq!(met[1], Met::Repeated(answer("first")));
    assert_eq!(first.state, store::ImportState::Committed);
    store.flush().await.unwrap();
    assert_eq!(home.reader.totals().await.unwrap().contacts.waiting, 2);
    let import = store.begin_import(at(1), &rule(account), "b.csv").await.unwrap();
    store.import_checked(import, "third".into()).await.unwrap();
    let commit = async |nth| {
        let key = Some(Once { key: "commit".into(), ..key(account, nth) });
        store.commit_import_once(at(2), account, import, key, text).await.unwrap()
    };
    assert!(matches!(commit(1).await, Met::Done(Some(_))));
    assert_eq!(commit(1).await, Met::Repeated(answer("third")));
    assert_eq!(commit(2).await, Met::KeyReused);
    let other = Some(Once { key: "other".into(), ..key(account, 3) });
    let late = store.commit_import_once(at(3), account, import, other, text).await.unwrap();
    assert_eq!(late, Met::Done(None));
}

#[tokio::test]
async fn references_of_ended_contacts_are_forgotten_after_a_time_and_no_others() {
    let home = Home::new().await;
    let campaign = home.campaign().await;
    let change = CampaignChange { unique_references: Some(true), ..Default::default() };
    home.store.change_campaign(home.account, campaign, change).await.unwrap();
    let add = async |now, many| {
        home.store.add_contacts(at(now), &rule(home.account), contacts(many)).await.unwrap()
    };
    let first = add(1, 2).await;
    home.store.cancel_contact(at(2), home.account, first[0]).await.unwrap();
    assert_eq!(home.store.purge_references(at(1), 10).await.unwrap(), 0);
    assert_eq!(add(3, 2).await, first);
    // The second one waits: whoever forgot it would dial it twice.
    assert_eq!(home.store.purge_references(at(2), 10).await.unwrap(), 1);
    assert_eq!(home.store.purge_references(at(2), 10).await.unwrap(), 0);
    let later = add(4, 2).await;
    assert_ne!(later[0], first[0]);
    assert_eq!(later[1], first[1]);
    // What took it over is as young as it is.
    home.store.cancel_contact(at(5), home.account, later[0]).await.unwrap();
    assert_eq!(home.store.purge_references(at(4), 10).await.unwrap(), 0);
}
