//! Accounts, keys, campaigns, and what belongs to the node.

use domain::account::ApiKey;
use domain::campaign::{CampaignCounts, CampaignState};
use domain::ids::AccountId;
use store::{CreateError, Cursor, StoreError};

use crate::support::{Home, at, contacts, rule};

fn key(account: AccountId) -> ApiKey {
    ApiKey { key_id: "k1".into(), secret_hash: [7; 32], account, created_at: at(1) }
}

#[tokio::test]
async fn login_is_taken_once() {
    let home = Home::new().await;
    let again = home.store.create_account(at(1), "plum", None).await;
    assert!(matches!(again, Err(CreateError::Taken(login)) if login == "plum"));
    let other = home.store.create_account(at(1), "Plum", Some("$argon2id$x")).await.unwrap();
    assert_eq!(home.reader.account_by_login("Plum").await.unwrap(), Some(other.clone()));
    assert_eq!(home.reader.accounts().await.unwrap()[1], other);
    assert_eq!(home.reader.account_by_login("nobody").await.unwrap(), None);
}

#[tokio::test]
async fn pin_hash_is_changed_and_removed() {
    let home = Home::new().await;
    for pin_hash in [Some("$argon2id$x"), None] {
        home.store.set_pin_hash(home.account, pin_hash).await.unwrap();
        let account = home.reader.account(home.account).await.unwrap().unwrap();
        assert_eq!(account.pin_hash.as_deref(), pin_hash);
    }
    let unknown = home.store.set_pin_hash(AccountId(99), None).await;
    assert!(matches!(unknown, Err(StoreError::Unknown { what: "account", id: 99 })));
}

#[tokio::test]
async fn api_key_is_found_until_it_is_revoked() {
    let home = Home::new().await;
    home.store.create_api_key(key(home.account)).await.unwrap();
    assert_eq!(home.reader.api_key("k1").await.unwrap(), Some(key(home.account)));
    let stranger = home.store.revoke_api_key(at(2), AccountId(99), "k1").await.unwrap();
    let revoked = home.store.revoke_api_key(at(2), home.account, "k1").await.unwrap();
    let again = home.store.revoke_api_key(at(3), home.account, "k1").await.unwrap();
    assert_eq!((stranger, revoked, again), (false, true, false));
    assert_eq!(home.reader.api_key("k1").await.unwrap(), None);
}

#[tokio::test]
async fn public_part_of_a_key_is_taken_once_even_after_it_was_revoked() {
    let home = Home::new().await;
    home.store.create_api_key(key(home.account)).await.unwrap();
    home.store.revoke_api_key(at(2), home.account, "k1").await.unwrap();
    let again = home.store.create_api_key(key(home.account)).await;
    assert!(matches!(again, Err(CreateError::Taken(key_id)) if key_id == "k1"));
    let nobody = home.store.create_api_key(key(AccountId(99))).await;
    let unknown = CreateError::Store(StoreError::Unknown { what: "account", id: 99 });
    assert_eq!(nobody.unwrap_err().to_string(), unknown.to_string());
}

#[tokio::test]
async fn campaign_name_is_taken_once_in_an_account_and_free_in_another() {
    let home = Home::new().await;
    let other = home.store.create_account(at(0), "fuse", None).await.unwrap().id;
    let create = |account| {
        let state = CampaignState::Stopped;
        home.store.create_campaign(at(1), account, "spring", state, true)
    };
    let created = create(home.account).await.unwrap();
    assert_eq!((created.state, created.redial_in_doubt), (CampaignState::Stopped, true));
    assert!(matches!(create(home.account).await, Err(CreateError::Taken(_))));
    assert_ne!(create(other).await.unwrap().id, created.id);
    assert!(matches!(create(AccountId(99)).await, Err(CreateError::Store(_))));

    let named = home.store.campaign_named(at(2), home.account, "spring").await.unwrap();
    assert_eq!(named, created);
    let row = home.reader.campaign_by_name(home.account, "spring").await.unwrap().unwrap();
    assert_eq!((row.campaign, row.counts), (created, CampaignCounts::default()));
}

#[tokio::test]
async fn campaign_of_another_account_can_neither_be_seen_nor_moved() {
    let home = Home::new().await;
    let campaign = home.campaign().await;
    let stranger = AccountId(99);
    assert_eq!(home.reader.campaign(stranger, campaign).await.unwrap(), None);
    let state = CampaignState::Stopped;
    assert!(!home.store.set_campaign_state(stranger, campaign, state).await.unwrap());
    assert!(!home.store.set_redial_in_doubt(stranger, campaign, true).await.unwrap());
    assert_eq!(home.store.cancel_waiting(at(1), stranger, campaign).await.unwrap(), 0);
}

#[tokio::test]
async fn campaigns_are_listed_newest_first_page_by_page() {
    let home = Home::new().await;
    for name in ["a", "b", "c", "d", "e"] {
        home.store.campaign_named(at(1), home.account, name).await.unwrap();
    }
    let (mut names, mut from) = (Vec::new(), None);
    loop {
        let page = home.reader.campaigns(home.account, from, 2).await.unwrap();
        names.push(page.items.iter().map(|row| row.campaign.name.clone()).collect::<String>());
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(names, ["ed", "cb", "a"]);
}

#[tokio::test]
async fn counts_follow_contacts_without_being_counted_again() {
    let home = Home::new().await;
    home.store.add_contacts(at(1), &rule(home.account), contacts(5)).await.unwrap();
    let campaign = home.campaign().await;
    home.begin(at(1), campaign, 2).await;
    let row = home.reader.campaign(home.account, campaign).await.unwrap().unwrap();
    assert_eq!((row.counts.waiting, row.counts.calling), (3, 2));
    let totals = home.reader.totals().await.unwrap();
    assert_eq!(totals.contacts, row.counts);
}

#[test]
fn cursor_reads_what_a_page_wrote_and_nothing_else() {
    for text in ["", "c", "17", "c-1", "c+1", "cxyz", "cffffffffffffffffff", "c1 "] {
        assert!(text.parse::<Cursor>().is_err(), "{text:?}");
    }
    assert_eq!("c1f".parse::<Cursor>().unwrap().to_string(), "c1f");
}

#[tokio::test]
async fn node_keeps_the_first_secret_it_was_given() {
    let home = Home::new().await;
    assert_eq!(home.store.identity_key([1; 32]).await.unwrap(), [1; 32]);
    let home = home.reopened().await;
    assert_eq!(home.store.identity_key([2; 32]).await.unwrap(), [1; 32]);
}

#[tokio::test]
async fn each_opening_has_a_number_of_its_own() {
    let home = Home::new().await;
    let first = home.store.epoch();
    let home = home.reopened().await;
    assert_eq!((first, home.store.epoch()), (1, 2));
}
