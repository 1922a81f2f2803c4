//! Deployments, and the end of all that waits for one.

use domain::application::{Deployment, NewDeployment, ScriptSource};
use domain::contact::ContactState;
use domain::event::EventKind;
use domain::ids::{AppId, ContactId, DeploymentId};
use domain::outcome::{Disposition, Outcome};
use store::CreateError;

use crate::support::{Home, at, contacts, end, rule};

fn new(id: Option<i64>, app: Option<i64>) -> NewDeployment {
    NewDeployment {
        id: id.map(DeploymentId),
        app: app.map(AppId),
        name: "reminders".into(),
        script: ScriptSource::Say("hello".into()),
    }
}

async fn create(home: &Home, id: Option<i64>, app: Option<i64>) -> Deployment {
    home.store.create_deployment(at(1), home.account, new(id, app)).await.unwrap()
}

#[tokio::test]
async fn deployments_take_the_next_numbers_or_those_that_are_asked_for() {
    let home = Home::new().await;
    let numbers = |deployment: &Deployment| (deployment.app.0, deployment.id.0);
    assert_eq!(numbers(&create(&home, None, None).await), (1, 1));
    assert_eq!(numbers(&create(&home, Some(4_711), Some(12)).await), (12, 4_711));
    assert_eq!(numbers(&create(&home, None, Some(12)).await), (12, 4_712));
    let last = create(&home, None, None).await;
    assert_eq!(numbers(&last), (13, 4_713));
    assert_eq!(home.reader.deployment(last.id).await.unwrap(), Some(last));
    assert_eq!(home.reader.deployment(DeploymentId(99)).await.unwrap(), None);
}

#[tokio::test]
async fn number_that_was_given_out_is_taken_for_ever() {
    let home = Home::new().await;
    let stranger = home.store.create_account(at(0), "other", None).await.unwrap().id;
    let first = create(&home, Some(34), Some(12)).await;
    assert!(home.store.delete_deployment(at(2), home.account, first.id).await.unwrap());
    let again = home.store.create_deployment(at(3), home.account, new(Some(34), None)).await;
    assert!(matches!(again, Err(CreateError::Taken(what)) if what == "id 34"));
    let theirs = home.store.create_deployment(at(3), stranger, new(None, Some(12))).await;
    assert!(matches!(theirs, Err(CreateError::Taken(what)) if what == "application_id 12"));
}

#[tokio::test]
async fn deployment_is_changed_and_deleted_by_its_owner_alone() {
    let home = Home::new().await;
    let stranger = home.store.create_account(at(0), "other", None).await.unwrap().id;
    let first = create(&home, None, None).await;
    let script = ScriptSource::Url("https://app.example/".into());
    let update = |account| home.store.update_deployment(account, first.id, "new", &script);
    assert_eq!(update(stranger).await.unwrap(), None);
    let changed = update(home.account).await.unwrap().unwrap();
    assert_eq!((changed.name.as_str(), &changed.script), ("new", &script));
    let page = home.reader.deployments(home.account, None, 10).await.unwrap();
    assert_eq!(page.items, std::slice::from_ref(&changed));
    assert!(home.reader.deployments(stranger, None, 10).await.unwrap().items.is_empty());

    assert!(!home.store.delete_deployment(at(5), stranger, first.id).await.unwrap());
    assert!(home.store.delete_deployment(at(5), home.account, first.id).await.unwrap());
    assert!(!home.store.delete_deployment(at(6), home.account, first.id).await.unwrap());
    assert_eq!(update(home.account).await.unwrap(), None);
    assert!(home.reader.deployments(home.account, None, 10).await.unwrap().items.is_empty());
    let gone = home.reader.deployment(first.id).await.unwrap().unwrap();
    assert_eq!(gone, Deployment { deleted_at: Some(at(5)), ..changed });
}

#[tokio::test]
async fn deployments_come_in_pages_newest_first() {
    let home = Home::new().await;
    for _ in 0..3 {
        create(&home, None, None).await;
    }
    let first = home.reader.deployments(home.account, None, 2).await.unwrap();
    let rest = home.reader.deployments(home.account, first.next, 2).await.unwrap();
    let ids = first.items.iter().chain(&rest.items).map(|item| item.id.0);
    assert_eq!(ids.collect::<Vec<_>>(), [3, 2, 1]);
    assert_eq!(rest.next, None);
}

#[tokio::test]
async fn owner_of_a_contact_is_known_also_before_its_upload_is_published() {
    let home = Home::new().await;
    let rule = rule(home.account);
    let added = home.store.add_contacts(at(0), &rule, contacts(1)).await.unwrap();
    let upload = home.store.begin_upload(at(0), &rule).await.unwrap();
    let staged = home.store.upload_add(upload, contacts(1)).await.unwrap();
    let owner = async |contact: ContactId| home.reader.owner_of_contact(contact).await.unwrap();
    assert_eq!(owner(added[0]).await, Some(home.account));
    assert_eq!(owner(staged[0]).await, None);
    home.store.commit_upload(upload).await.unwrap();
    assert_eq!(owner(staged[0]).await, Some(home.account));
    assert_eq!(owner(ContactId(99)).await, None);
}

#[tokio::test]
async fn call_under_way_is_the_last_of_its_contact_once_that_was_asked() {
    let home = Home::new().await;
    let ids = home.store.add_contacts(at(0), &rule(home.account), contacts(3)).await.unwrap();
    let campaign = home.campaign().await;
    let begun = home.begin(at(1), campaign, 2).await;
    let stranger = home.store.create_account(at(0), "other", None).await.unwrap().id;
    assert_eq!(home.store.end_after_calls(stranger, campaign).await.unwrap(), 0);
    assert_eq!(home.store.end_after_calls(home.account, campaign).await.unwrap(), 2);
    let answered = Outcome::Answered(domain::outcome::CalleeType::Human);
    for (begun, outcome) in begun.iter().zip([Outcome::Busy, answered]) {
        home.store.finish_attempt(begun.attempt.id, &end(outcome, at(20))).await.unwrap();
    }
    let mut states = Vec::new();
    for id in ids {
        states.push(home.reader.contact(home.account, id).await.unwrap().unwrap().state);
    }
    let done = ContactState::Done;
    let canceled = done(Disposition::Canceled);
    assert_eq!(states, [canceled, done(Disposition::Completed), ContactState::Waiting]);
}

#[tokio::test]
async fn history_is_told_whole_however_many_mistakes_a_script_makes() {
    let home = Home::new().await;
    let ids = home.store.add_contacts(at(0), &rule(home.account), contacts(1)).await.unwrap();
    let begun = home.begin_one(at(1), home.campaign().await).await.attempt.id;
    for _ in 0..1_100 {
        let noted = home.store.note(begun, ids[0], at(2), EventKind::ScriptError, "again").await;
        noted.unwrap();
    }
    home.store.finish_attempt(begun, &end(Outcome::Busy, at(3))).await.unwrap();
    let history = home.store.history(ids[0]).await.unwrap();
    assert_eq!(history, home.reader.history(ids[0]).await.unwrap());
    let kinds: Vec<&str> = history.iter().map(|event| event.kind.name()).collect();
    assert_eq!(kinds, ["queued", "dialing", "ended", "retry_scheduled"]);
}
