//! A process that is killed in the middle of its work: what it had answered is there.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use domain::contact::ContactState;
use domain::dial_queue::Share;
use domain::ids::{AccountId, CampaignId, ContactId, TrunkId};
use domain::outcome::{CalleeType, Outcome};
use domain::permit::Freely;
use domain::webhook::DeliveryVerdict;
use store::{ContactFilter, Reader, Store, Tried};

use crate::support::{at, contacts, end, rule, settings};

/// Tells the test binary that it is the process to be killed, and where to write.
const HOME: &str = "OUTDIAL_STORE_KILL_HOME";
/// Answers after which the process is killed, round by round on the same database.
const ROUNDS: [usize; 6] = [3, 40, 170, 400, 90, 700];
/// Contacts of one upload: more than one transaction makes dialable.
const UPLOAD: usize = 700;

#[test]
fn what_a_killed_process_had_answered_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut answered = Answered::default();
    for answers in ROUNDS {
        let (mut child, mut lines) = start(dir.path());
        let mut heard = 0;
        for line in lines.by_ref() {
            answered.hear(&line.unwrap());
            heard += 1;
            if heard == answers {
                child.kill().unwrap();
                // What was said before the end is in the pipe still; each line went in as one piece.
                break;
            }
        }
        assert_eq!(heard, answers, "the process ended on its own");
        lines.map_while(Result::ok).for_each(|line| answered.hear(&line));
        child.wait().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(answered.check(dir.path()));
    }
    assert!(answered.delivered.len() > 10, "the process did not come far");
}

/// Does nothing in an ordinary run; started by the test above it works until it is killed.
#[test]
fn process_to_be_killed() {
    let Some(home) = std::env::var_os(HOME) else {
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(work(&PathBuf::from(home)));
}

fn start(home: &Path) -> (Child, std::io::Lines<BufReader<ChildStdout>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::process_to_be_killed", "--nocapture"])
        .env(HOME, home)
        .envs(crate::server::for_child())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The test harness speaks first.
    let ready = lines.by_ref().any(|line| line.unwrap().ends_with("ready"));
    assert!(ready, "the process did not start");
    (child, lines)
}

fn say(words: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{words}").unwrap();
    out.flush().unwrap();
}

/// Several tasks at once, so that groups have company; each says what it was answered.
async fn work(home: &Path) {
    let (store, reader) = Store::open(settings(home)).await.unwrap();
    let account = match reader.account_by_login("plum").await.unwrap() {
        Some(account) => account.id,
        None => store.create_account(at(0), "plum", None).await.unwrap().id,
    };
    let campaign = store.campaign_named(at(0), account, "default").await.unwrap().id;
    say(format_args!("\nready"));
    let adding = tokio::spawn(add(store.clone(), account));
    let uploading = tokio::spawn(upload(store.clone(), account));
    let dialing = tokio::spawn(dial(store.clone(), campaign));
    let delivering = tokio::spawn(deliver(store));
    let ended = tokio::try_join!(adding, uploading, dialing, delivering);
    ended.expect("work goes on until it is killed");
}

async fn add(store: Store, account: AccountId) {
    loop {
        let ids = store.add_contacts(at(1), &rule(account), contacts(3)).await.unwrap();
        say(format_args!("added {} {}", ids[0], ids[ids.len() - 1]));
    }
}

async fn upload(store: Store, account: AccountId) {
    loop {
        let upload = store.begin_upload(at(1), &rule(account)).await.unwrap();
        let ids = store.upload_add(upload, contacts(UPLOAD)).await.unwrap();
        store.commit_upload(upload).await.unwrap();
        for part in ids.chunk_by(|a, b| a.0 + 1 == b.0) {
            say(format_args!("added {} {}", part[0], part[part.len() - 1]));
        }
    }
}

async fn dial(store: Store, campaign: CampaignId) {
    loop {
        let shares = vec![Share { campaign, trunks: vec![TrunkId(1); 5] }];
        let begun = store.begin_attempts(at(10), shares, Arc::new(Freely)).await.unwrap().begun;
        for begun in begun {
            say(format_args!("begun {}", begun.contact.id));
            let outcome = match begun.attempt.id.0 % 3 {
                0 => Outcome::Busy,
                _ => Outcome::Answered(CalleeType::Human),
            };
            let end = end(outcome, at(20));
            let finished = store.finish_attempt(begun.attempt.id, &end).await.unwrap();
            let state = finished.contact.state.name();
            say(format_args!("finished {} {state}", begun.contact.id));
        }
    }
}

async fn deliver(store: Store) {
    loop {
        let owed = store.lease_webhooks(at(30), at(60), 8, 8).await.unwrap();
        for owed in owed {
            let verdict = DeliveryVerdict::Delivered;
            let tried = Tried {
                at: at(31),
                accepted: true,
                status: Some(200),
                latency: Duration::ZERO,
                answer: String::new(),
                detail: String::new(),
            };
            store.record_delivery(owed.webhook, tried, verdict).await.unwrap();
            let contact = owed.contact.expect("without endpoints it tells of a contact");
            say(format_args!("delivered {}", contact.id));
        }
        tokio::task::yield_now().await;
    }
}

/// What the process said it was answered.
#[derive(Default)]
struct Answered {
    added: BTreeSet<ContactId>,
    begun: BTreeSet<ContactId>,
    finished: Vec<(ContactId, ContactState)>,
    delivered: BTreeSet<ContactId>,
}

impl Answered {
    fn hear(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["added", first, last] => {
                let (first, last): (i64, i64) = (first.parse().unwrap(), last.parse().unwrap());
                self.added.extend((first..=last).map(ContactId));
            }
            ["begun", contact] => drop(self.begun.insert(contact.parse().unwrap())),
            ["delivered", contact] => drop(self.delivered.insert(contact.parse().unwrap())),
            ["finished", contact, state] => {
                let state = ContactState::from_name(state).unwrap();
                self.finished.push((contact.parse().unwrap(), state));
            }
            _ => panic!("the process said {line:?}"),
        }
    }

    async fn check(&self, home: &Path) {
        let (store, reader) = Store::open(settings(home)).await.unwrap();
        store.flush().await.unwrap();
        let account = reader.account_by_login("plum").await.unwrap().unwrap().id;
        for id in &self.added {
            assert!(reader.contact(account, *id).await.unwrap().is_some(), "{id}");
        }
        for id in &self.begun {
            assert!(!reader.attempts(*id).await.unwrap().is_empty(), "{id}");
        }
        for (id, state) in &self.finished {
            let contact = reader.contact(account, *id).await.unwrap().unwrap();
            assert_eq!(contact.state, *state, "{id}");
        }
        for id in &self.delivered {
            assert_eq!(reader.deliveries(*id).await.unwrap().len(), 1, "{id}");
        }
        whole(&store, &reader, account).await;
        store.close().await.unwrap();
    }
}

/// Nothing is half done, answered or not.
async fn whole(store: &Store, reader: &Reader, account: AccountId) {
    let open = store.open_attempts().await.unwrap();
    let open: BTreeSet<ContactId> = open.iter().map(|(_, contact)| contact.id).collect();
    let (mut counted, mut from) = (std::collections::BTreeMap::new(), None);
    loop {
        let page = reader.contacts(account, ContactFilter::default(), from, 500).await.unwrap();
        for contact in &page.items {
            *counted.entry(contact.state.name()).or_insert(0_u64) += 1;
            assert_eq!(contact.state == ContactState::Calling, open.contains(&contact.id));
            if contact.attempts > 0 {
                let attempts = reader.attempts(contact.id).await.unwrap();
                assert_eq!(attempts.len(), contact.attempts as usize);
            }
            let ended = matches!(contact.state, ContactState::Done(_));
            if ended {
                assert!(reader.webhook(contact.id).await.unwrap().is_some());
            }
        }
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    let counts = reader.totals().await.unwrap().contacts;
    let of = |state| counted.get(state).copied().unwrap_or(0);
    assert_eq!(
        (counts.waiting, counts.calling, counts.completed, counts.failed),
        (of("waiting"), of("calling"), of("completed"), of("failed"))
    );
}
