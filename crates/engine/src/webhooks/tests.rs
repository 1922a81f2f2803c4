//! Results on their way to clients whose servers misbehave in every way known; real store, real
//! sockets, and a clock that the test moves.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use domain::application::{ApplicationSpec, ScriptSource};
use domain::contact::{ContactRule, NewContact};
use domain::ids::{AccountId, ContactId};
use domain::retry::RetryRule;
use domain::terms::Terms;
use domain::time::DialWindow;
use futures_util::future::join_all;
use store::{Delivery, Reader, StoreConfig, WebhookState};
use tempfile::TempDir;
use tokio::sync::Notify;

use super::*;
use crate::clock::Clock;
use crate::http::HttpPolicy;
use crate::http::test_server::{Heard, Reply, Server, answer, ok, status};

/// A server's whole business in a test: a store, a loop that delivers, and a clock.
struct House {
    account: AccountId,
    now: Arc<AtomicI64>,
    reader: Reader,
    running: JoinSet<()>,
    stop: CancellationToken,
    store: Store,
    wake: Wake,
    _directory: TempDir,
}

impl House {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let config = StoreConfig::new(directory.path().join("store.db"));
        let (store, reader) = Store::open(config).await.unwrap();
        let now = Arc::new(AtomicI64::new(1_700_000_000_000));
        let account = store.create_account(Timestamp::default(), "client", None).await.unwrap().id;
        Self {
            account,
            now,
            reader,
            running: JoinSet::new(),
            stop: CancellationToken::new(),
            store,
            wake: Wake::default(),
            _directory: directory,
        }
    }

    /// Starts the loop.
    fn run(&mut self) {
        let policy = HttpPolicy::default().with_loopback();
        let now = self.now.clone();
        let webhooks = Webhooks {
            http: HttpClient::new(policy, Clock::new()).unwrap(),
            now: move || Timestamp::from_millis(now.load(Ordering::SeqCst)),
            store: self.store.clone(),
            wake: self.wake.clone(),
            zone: Zone::utc(),
        };
        self.stop = CancellationToken::new();
        self.running.spawn(webhooks.run(self.stop.clone()));
    }

    /// Stops the loop and waits for its end.
    async fn stop(&mut self) {
        self.stop.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended.unwrap();
        }
    }

    fn pass(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.now.fetch_add(millis, Ordering::SeqCst);
        self.wake.wake();
    }

    /// Owes so many results to `url`.
    async fn owe(&self, facade: Facade, url: &Url, count: usize) -> Vec<ContactId> {
        let dialect = facade.dialect();
        let rule = ContactRule {
            account: self.account,
            campaign: "default".to_owned(),
            application: ApplicationSpec {
                script: ScriptSource::Say("hello".to_owned()),
                parameters: String::new(),
                dialect,
            },
            window: DialWindow::ALWAYS,
            retry: RetryRule { wait: Duration::from_secs(60), ..RetryRule::ONCE },
            terms: Terms::default(),
            result_url: Some(url.to_string()),
            dialect,
        };
        let contact = NewContact {
            reference: "r".to_owned(),
            ..NewContact::new("tel:+16175551234".parse().unwrap())
        };
        let now = Timestamp::from_millis(self.now.load(Ordering::SeqCst));
        let contacts = self.store.add_contacts(now, &rule, vec![contact; count]).await.unwrap();
        let cancel = |contact: &ContactId| self.store.cancel_contact(now, self.account, *contact);
        for canceled in join_all(contacts.iter().map(cancel)).await {
            canceled.unwrap();
        }
        self.wake.wake();
        contacts
    }

    async fn state(&self, contact: ContactId) -> WebhookState {
        self.reader.webhook(contact).await.unwrap().unwrap().state
    }

    async fn deliveries(&self, contact: ContactId) -> Vec<Delivery> {
        self.reader.deliveries(contact).await.unwrap()
    }

    /// Waits until so many deliveries of this contact's result are recorded.
    async fn recorded(&self, contact: ContactId, count: usize) -> Vec<Delivery> {
        loop {
            let deliveries = self.deliveries(contact).await;
            if deliveries.len() >= count {
                return deliveries;
            }
            tokio::task::yield_now().await;
        }
    }

    /// When the next of these results is due; what is under way is due now.
    async fn next_due(&self, contacts: &[ContactId]) -> Option<Timestamp> {
        let mut due = Vec::new();
        for contact in contacts {
            let webhook = self.reader.webhook(*contact).await.unwrap().unwrap();
            if webhook.state == WebhookState::Owed {
                due.push(webhook.next_at);
            }
        }
        due.into_iter().min()
    }

    async fn delivered(&self, contacts: &[ContactId]) {
        for contact in contacts {
            while self.state(*contact).await != WebhookState::Delivered {
                tokio::task::yield_now().await;
            }
        }
    }
}

fn completed() -> Reply {
    ok("completed")
}

/// A server that misbehaves at its first requests.
async fn faulty(faults: usize, fault: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |heard| {
        let number = count.fetch_add(1, Ordering::SeqCst);
        if number < faults { fault(heard) } else { completed() }
    })
    .await
}

#[tokio::test]
async fn result_is_posted_in_the_words_of_its_facade_and_recorded() {
    let mut house = House::new().await;
    let server = Server::start(|_| completed()).await;
    let plum = house.owe(Facade::Plum, &server.url("/plum"), 1).await;
    let native = house.owe(Facade::Native, &server.url("/native"), 1).await;
    house.run();
    house.delivered(&[plum[0], native[0]]).await;
    let mut heard = server.heard();
    heard.sort_by_key(|heard| heard.asked().len());
    assert_eq!(heard[0].asked(), "POST /plum");
    assert_eq!(heard[0].header("content-type"), "application/x-www-form-urlencoded");
    assert!(heard[0].body.contains(&format!("call_id={}", plum[0])), "{}", heard[0].body);
    assert_eq!(heard[1].asked(), "POST /native");
    assert_eq!(heard[1].header("content-type"), "application/json");
    let webhook = house.reader.webhook(native[0]).await.unwrap().unwrap();
    assert_eq!(heard[1].header("webhook-id"), format!("msg_{}", webhook.id));
    assert_eq!(heard[1].header("webhook-timestamp"), "1700000000");
    let deliveries = house.deliveries(plum[0]).await;
    assert_eq!(deliveries.len(), 1);
    assert!(deliveries[0].accepted && deliveries[0].status == Some(200));
    house.stop().await;
}

#[tokio::test]
async fn every_fault_of_a_result_url_delays_its_own_results_alone() {
    let mut house = House::new().await;
    let good = Server::start(|_| completed()).await;
    let elsewhere = format!("Location: {}\r\n", good.url("/elsewhere"));
    let flapping = AtomicUsize::new(0);
    let faults = [
        faulty(5, |_| status("500 Oops")).await,
        faulty(5, |_| {
            Reply::Say(answer("429 Too Many Requests", "Retry-After: 1000\r\n", "completed"))
        })
        .await,
        faulty(5, |_| Reply::Reset).await,
        faulty(5, |_| ok("<html>completed</html>")).await,
        faulty(5, |_| status("404 Not Found")).await,
        faulty(5, move |_| Reply::Say(answer("302 Found", &elsewhere, "completed"))).await,
        Server::start(move |_| {
            let odd = flapping.fetch_add(1, Ordering::SeqCst) % 2 == 1;
            if odd { completed() } else { Reply::SayAndClose(String::new()) }
        })
        .await,
        faulty(5, |_| Reply::SayAndHang(String::new())).await,
    ];
    let mut owed = Vec::new();
    for server in &faults {
        owed.extend(house.owe(Facade::Plum, &server.url("/result"), 5).await);
    }
    let well = house.owe(Facade::Plum, &good.url("/result"), 20).await;
    house.run();
    // No time passes: whoever is well has its results at once, though one server hangs.
    faults[7].heard_requests(5).await;
    house.delivered(&well).await;
    assert_eq!(good.heard().len(), 20);
    // From now on waiting costs nothing, and all come round at last.
    tokio::time::pause();
    while let Some(due_at) = house.next_due(&owed).await {
        house.now.fetch_max(due_at.as_millis(), Ordering::SeqCst);
        house.wake.wake();
        tokio::task::yield_now().await;
    }
    for contact in &owed {
        let deliveries = house.deliveries(*contact).await;
        let accepted = deliveries.iter().filter(|delivery| delivery.accepted).count();
        assert_eq!(accepted, 1, "{deliveries:?}");
        assert!(deliveries.last().unwrap().accepted);
    }
    assert!(good.heard().iter().all(|heard| heard.asked() == "POST /result"));
    tokio::time::resume();
    house.stop().await;
}

#[tokio::test]
async fn hosts_that_hang_take_one_connection_each_and_none_from_others() {
    let mut house = House::new().await;
    let hanging = Server::start(|_| Reply::SayAndHang(String::new())).await;
    house.owe(Facade::Plum, &hanging.url("/result"), 30).await;
    house.run();
    hanging.heard_requests(8).await;
    let good = Server::start(|_| completed()).await;
    let well = house.owe(Facade::Plum, &good.url("/result"), 50).await;
    house.delivered(&well).await;
    assert_eq!(hanging.heard().len(), 8, "no more than its share is under way");
    // Once it is known to fail, one at a time is enough to see it return.
    tokio::time::pause();
    hanging.heard_requests(9).await;
    tokio::time::resume();
    let more = house.owe(Facade::Plum, &good.url("/result"), 5).await;
    house.delivered(&more).await;
    assert!(hanging.heard().len() <= 16, "{}", hanging.heard().len());
    house.stop.cancel();
    tokio::time::pause();
    while house.running.join_next().await.is_some() {}
}

#[tokio::test]
async fn refused_result_waits_longer_each_time_and_is_posted_again() {
    let mut house = House::new().await;
    let server = faulty(3, |_| status("500 Oops")).await;
    let contact = house.owe(Facade::Plum, &server.url("/"), 1).await[0];
    house.run();
    for (count, wait) in [(1, 6), (2, 36), (3, 144)] {
        let deliveries = house.recorded(contact, count).await;
        let last = deliveries.last().unwrap();
        assert_eq!((last.accepted, last.status), (false, Some(500)));
        assert_eq!(last.detail, "the server answered 500");
        house.pass(Duration::from_secs(wait));
    }
    house.delivered(&[contact]).await;
    assert_eq!(house.deliveries(contact).await.len(), 4);
    house.stop().await;
}

#[tokio::test]
async fn client_that_asks_for_a_pause_gets_it() {
    let mut house = House::new().await;
    let server =
        faulty(1, |_| Reply::Say(answer("503 Service Unavailable", "Retry-After: 900\r\n", "")))
            .await;
    let contact = house.owe(Facade::Native, &server.url("/"), 1).await[0];
    house.run();
    house.recorded(contact, 1).await;
    let webhook = house.reader.webhook(contact).await.unwrap().unwrap();
    assert_eq!(webhook.next_at.as_seconds(), 1_700_000_900);
    house.pass(Duration::from_secs(900));
    house.delivered(&[contact]).await;
    house.stop().await;
}

#[tokio::test]
async fn result_that_nobody_takes_is_given_up_after_three_days() {
    let mut house = House::new().await;
    let server = Server::start(|_| status("404 Not Found")).await;
    let contact = house.owe(Facade::Plum, &server.url("/"), 1).await[0];
    house.run();
    house.recorded(contact, 1).await;
    house.pass(Duration::from_secs(72 * 3_600));
    house.recorded(contact, 2).await;
    assert_eq!(house.state(contact).await, WebhookState::GivenUp);
    house.stop().await;
}

#[tokio::test]
async fn result_url_that_is_gone_is_asked_no_more() {
    let mut house = House::new().await;
    let server = Server::start(|_| status("410 Gone")).await;
    let contact = house.owe(Facade::Plum, &server.url("/"), 1).await[0];
    house.run();
    house.recorded(contact, 1).await;
    assert_eq!(house.state(contact).await, WebhookState::GivenUp);
    house.stop().await;
}

#[tokio::test]
async fn addresses_that_are_not_permitted_are_recorded_as_such() {
    let mut house = House::new().await;
    let private = Url::parse("http://10.0.0.1/result").unwrap();
    let contact = house.owe(Facade::Plum, &private, 1).await[0];
    house.run();
    let deliveries = house.recorded(contact, 1).await;
    assert_eq!(deliveries[0].status, None);
    assert_eq!(
        deliveries[0].detail,
        "address is not permitted: its host is in a private, local or reserved network"
    );
    house.stop().await;
}

#[tokio::test]
async fn shutdown_waits_for_the_delivery_under_way_and_begins_no_other() {
    let mut house = House::new().await;
    let answer_now = Arc::new(Notify::new());
    let gate = answer_now.clone();
    let server =
        Server::start(move |_| Reply::SayWhen(gate.clone(), answer("200 OK", "", "completed")))
            .await;
    let contact = house.owe(Facade::Plum, &server.url("/"), 1).await[0];
    house.run();
    server.heard_requests(1).await;
    house.stop.cancel();
    let late = house.owe(Facade::Plum, &server.url("/"), 1).await[0];
    answer_now.notify_one();
    house.stop().await;
    assert_eq!(house.state(contact).await, WebhookState::Delivered);
    assert_eq!(house.state(late).await, WebhookState::Owed);
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn delivery_cut_off_by_a_kill_is_repeated_with_the_same_id() {
    let mut house = House::new().await;
    let server = faulty(1, |_| Reply::SayAndHang(String::new())).await;
    let contact = house.owe(Facade::Plum, &server.url("/"), 1).await[0];
    house.run();
    server.heard_requests(1).await;
    house.running.shutdown().await;
    assert_eq!(house.deliveries(contact).await, []);
    house.pass(LEASE_TIME);
    house.run();
    house.delivered(&[contact]).await;
    let heard = server.heard();
    assert_eq!(heard[0].header("webhook-id"), heard[1].header("webhook-id"));
    assert_eq!(heard[0].body, heard[1].body);
    house.stop().await;
}

#[tokio::test]
async fn store_that_closes_ends_neither_the_loop_nor_its_shutdown() {
    let mut house = House::new().await;
    house.run();
    house.store.close().await.unwrap();
    house.wake.wake();
    tokio::task::yield_now().await;
    house.stop().await;
}

#[tokio::test]
async fn thousand_results_for_one_well_host_share_few_connections() {
    let mut house = House::new().await;
    let server = Server::start(|_| completed()).await;
    let contacts = house.owe(Facade::Plum, &server.url("/"), 1_000).await;
    house.run();
    house.delivered(&contacts).await;
    assert_eq!(server.heard().len(), 1_000);
    assert!(server.connections() <= 16, "{}", server.connections());
    house.stop().await;
}

#[test]
fn lanes_are_hosts_with_their_ports() {
    let hosts =
        ["http://A.example/x", "https://a.example", "http://a.example:81/", "odd"].map(host);
    assert_eq!(hosts, ["a.example:80", "a.example:443", "a.example:81", "odd"]);
}

#[test]
fn pauses_that_servers_ask_for_are_read_and_bounded() {
    let now = Timestamp::from_seconds(784_111_777);
    let wait = |text: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
        retry_after(&headers, now).map(|wait| wait.as_secs())
    };
    assert_eq!(wait("120"), Some(120));
    assert_eq!(wait("Sun, 06 Nov 1994 08:50:37 GMT"), Some(60));
    assert_eq!(wait("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
    assert_eq!(wait("99999999999"), Some(86_400));
    assert_eq!(wait("soon"), None);
    assert_eq!(wait("-1"), None);
}

#[test]
fn spread_differs_between_webhooks_and_stays_in_its_range() {
    let spreads: Vec<f64> = (0..1_000).map(|webhook| spread(webhook, 1)).collect();
    assert!(spreads.iter().all(|spread| (0.0..1.0).contains(spread)));
    let mean = spreads.iter().sum::<f64>() / 1_000.0;
    assert!((0.45..0.55).contains(&mean), "{mean}");
    assert!((spread(7, 1) - spread(7, 2)).abs() > f64::EPSILON);
}
