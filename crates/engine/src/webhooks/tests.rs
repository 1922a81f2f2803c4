//! Results on their way to clients whose servers misbehave in every way known; real store, real
//! sockets, and a clock that the test moves.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use domain::application::{ApplicationSpec, ScriptSource};
use domain::contact::{ContactRule, NewContact};
use domain::ids::{AccountId, ContactId, EndpointId};
use domain::retry::RetryRule;
use domain::terms::Terms;
use domain::time::DialWindow;
use domain::webhook::{Endpoint, EndpointState, KeyPair, Topics};
use futures_util::future::join_all;
use store::{Delivery, LoggedDelivery, Met, NewEndpoint, Reader, StoreConfig, WebhookState};
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
            keys: KeyMaker::new([7; 32]),
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
        self.owe_to(facade, url, count, true).await
    }

    async fn owe_to(
        &self,
        facade: Facade,
        url: &Url,
        count: usize,
        is_result_url: bool,
    ) -> Vec<ContactId> {
        let dialect = facade.dialect();
        let rule = ContactRule {
            account: self.account,
            campaign: "default".to_owned(),
            application: ApplicationSpec {
                script: ScriptSource::Say("hello".to_owned()),
                parameters: String::new(),
                dialect,
                detection: None,
            },
            window: DialWindow::ALWAYS,
            retry: RetryRule { wait: Duration::from_secs(60), ..RetryRule::ONCE },
            terms: Terms::default(),
            result_url: is_result_url.then(|| url.to_string()),
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
    let mut idle = 0;
    while let Some(due_at) = house.next_due(&owed).await {
        let mut recorded = 0;
        for contact in &owed {
            recorded += house.deliveries(*contact).await.len();
        }
        let heard: usize = faults.iter().map(|server| server.heard().len()).sum();
        let now = Timestamp::from_millis(house.now.load(Ordering::SeqCst));
        // Nothing has been under way for many rounds: all waits for servers left in peace.
        idle = if heard == recorded && due_at <= now { idle + 1 } else { 0 };
        let peace_end = house.store.webhooks_due_at().await.unwrap().filter(|_| idle > 100);
        let next = peace_end.map_or(due_at, |end| end.max(due_at));
        house.now.fetch_max(next.as_millis(), Ordering::SeqCst);
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
    let owed = house.owe(Facade::Plum, &hanging.url("/result"), 30).await;
    house.run();
    hanging.heard_requests(8).await;
    let good = Server::start(|_| completed()).await;
    let well = house.owe(Facade::Plum, &good.url("/result"), 50).await;
    house.delivered(&well).await;
    assert_eq!(hanging.heard().len(), 8, "no more than its share is under way");
    // Once it is known to fail, it is left in peace, and then asked once to see it return.
    tokio::time::pause();
    let first = &owed[..8];
    for contact in first {
        house.recorded(*contact, 1).await;
    }
    house.pass(Duration::from_secs(29));
    let more = house.owe(Facade::Plum, &good.url("/result"), 5).await;
    house.delivered(&more).await;
    assert_eq!(hanging.heard().len(), 8);
    house.pass(Duration::from_secs(1));
    hanging.heard_requests(9).await;
    tokio::time::resume();
    let more = house.owe(Facade::Plum, &good.url("/result"), 5).await;
    house.delivered(&more).await;
    assert_eq!(hanging.heard().len(), 9);
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
async fn native_result_is_signed_by_its_accounts_key_and_others_are_not() {
    let mut house = House::new().await;
    let server = Server::start(|_| completed()).await;
    let native = house.owe(Facade::Native, &server.url("/native"), 1).await;
    let plum = house.owe(Facade::Plum, &server.url("/plum"), 1).await;
    house.run();
    house.delivered(&[native[0], plum[0]]).await;
    let heard = server.heard();
    let of = |path: &str| heard.iter().find(|heard| heard.asked().ends_with(path)).unwrap();
    let keys = house.reader.signing_keys(house.account, None).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_signed(of("/native"), &keys);
    assert_eq!(of("/plum").header("webhook-signature"), "");
    house.stop().await;
}

/// Whether a request is signed by these keys, whatever else it says.
fn assert_signed(heard: &Heard, keys: &[KeyPair]) {
    let id = signature::webhook_of(heard.header("webhook-id")).unwrap();
    let at = Timestamp::from_seconds(heard.header("webhook-timestamp").parse().unwrap());
    let headers = signature::headers(keys, id, at, heard.body.as_bytes());
    assert_eq!(headers[2], ("webhook-signature", heard.header("webhook-signature").to_owned()));
}

impl House {
    /// An endpoint that is told of all ends.
    async fn endpoint(&self, url: &Url) -> EndpointId {
        let new = NewEndpoint {
            account: self.account,
            url: url.to_string(),
            description: String::new(),
            topics: Topics::ends(),
            enabled: true,
            key: KeyPair::new([5; 32], [6; 32]),
        };
        let answer = |_: &Endpoint| unreachable!("without a key nothing is kept");
        let created = self.store.create_endpoint(Timestamp::default(), new, None, answer).await;
        match created.unwrap() {
            Met::Done(Some(endpoint)) => endpoint.id,
            met => panic!("{met:?}"),
        }
    }

    /// Waits until so many deliveries to an endpoint are recorded; the newest is the first.
    async fn logged(&self, endpoint: EndpointId, count: usize) -> Vec<LoggedDelivery> {
        loop {
            let log = self.reader.endpoint_deliveries(endpoint, None, 100).await.unwrap().items;
            if log.len() >= count {
                return log;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Ends so many contacts that have no result URL.
    async fn end_quietly(&self, count: usize) {
        let url = Url::parse("http://unused.example/").unwrap();
        self.owe_to(Facade::Native, &url, count, false).await;
    }
}

#[tokio::test]
async fn endpoint_is_told_of_an_end_signed_by_its_own_key() {
    let mut house = House::new().await;
    let server = Server::start(|_| Reply::Say(answer("204 No Content", "", ""))).await;
    let endpoint = house.endpoint(&server.url("/hook")).await;
    house.end_quietly(1).await;
    house.run();
    let log = house.logged(endpoint, 1).await;
    assert_eq!((log[0].accepted, log[0].status), (true, Some(204)));
    let heard = server.heard();
    assert_eq!(heard[0].header("content-type"), "application/json");
    assert!(heard[0].body.starts_with("{\"type\":\"contact.canceled\""), "{}", heard[0].body);
    assert_signed(&heard[0], &[KeyPair::new([5; 32], [6; 32])]);
    house.stop().await;
}

#[tokio::test]
async fn endpoint_that_is_gone_is_disabled_and_not_asked_again() {
    let mut house = House::new().await;
    let server = Server::start(|_| Reply::Say(answer("410 Gone", "", "moved \u{1}away"))).await;
    let endpoint = house.endpoint(&server.url("/hook")).await;
    house.run();
    house.end_quietly(1).await;
    let log = house.logged(endpoint, 1).await;
    assert_eq!(log[0].answer, "moved \u{fffd}away");
    house.end_quietly(3).await;
    house.store.test_endpoint(log[0].at, house.account, endpoint).await.unwrap();
    // A test is all that reaches it.
    house.wake.wake();
    house.logged(endpoint, 2).await;
    let found = house.reader.endpoint(house.account, endpoint).await.unwrap().unwrap();
    let state = EndpointState::Disabled { why: DisableReason::Gone, at: log[0].at };
    assert_eq!(found.state, state);
    assert_eq!(server.heard().len(), 2);
    house.stop().await;
}

#[tokio::test]
async fn slow_endpoint_of_a_host_holds_up_no_other_endpoint_there() {
    let mut house = House::new().await;
    let server = Server::start(|heard| {
        let slow = heard.asked().ends_with("/slow");
        if slow { Reply::SayAndHang(String::new()) } else { status("200 OK") }
    })
    .await;
    house.endpoint(&server.url("/slow")).await;
    let quick = house.endpoint(&server.url("/quick")).await;
    house.end_quietly(30).await;
    house.run();
    assert!(house.logged(quick, 30).await.iter().all(|one| one.accepted));
    let slow = server.heard().iter().filter(|heard| heard.asked().ends_with("/slow")).count();
    assert!(slow <= 8, "{slow}");
    house.stop.cancel();
    tokio::time::pause();
    while house.running.join_next().await.is_some() {}
}

#[tokio::test]
async fn endpoint_that_asks_for_peace_has_it_for_all_that_it_is_owed() {
    let mut house = House::new().await;
    let server =
        faulty(1, |_| Reply::Say(answer("429 Too Many Requests", "Retry-After: 900\r\n", "")))
            .await;
    let endpoint = house.endpoint(&server.url("/hook")).await;
    house.run();
    house.end_quietly(1).await;
    house.logged(endpoint, 1).await;
    house.end_quietly(5).await;
    house.pass(Duration::from_secs(899));
    while house.store.webhooks_due_at().await.unwrap()
        != Some(Timestamp::from_seconds(1_700_000_900))
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.heard().len(), 1);
    house.pass(Duration::from_secs(1));
    house.logged(endpoint, 7).await;
    house.stop().await;
}

#[tokio::test]
async fn endpoint_has_ten_deliveries_by_the_standard_schedule_and_a_test_has_one() {
    let mut house = House::new().await;
    let server = Server::start(|_| status("500 Oops")).await;
    let endpoint = house.endpoint(&server.url("/hook")).await;
    let now = Timestamp::from_millis(house.now.load(Ordering::SeqCst));
    house.store.test_endpoint(now, house.account, endpoint).await.unwrap();
    house.run();
    let log = house.logged(endpoint, 1).await;
    assert_eq!((log[0].topic, log[0].state), (Topic::Test, WebhookState::GivenUp));
    house.end_quietly(1).await;
    for delivery in 1..=10 {
        let log = house.logged(endpoint, 1 + delivery).await;
        let state = if delivery == 10 { WebhookState::GivenUp } else { WebhookState::Owed };
        assert_eq!((log[0].topic, log[0].state), (Topic::ContactCanceled, state));
        if let Some(next_at) = log[0].next_at {
            house.now.fetch_max(next_at.as_millis(), Ordering::SeqCst);
            // Longer than it is ever left in peace.
            house.pass(Duration::from_secs(600));
        }
    }
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

#[tokio::test(start_paused = true)]
async fn store_that_is_away_for_a_moment_costs_a_result_no_lease() {
    let begun = tokio::time::Instant::now();
    let now = || Timestamp::default() + begun.elapsed();
    let ask = async |moment: Duration| {
        once_it_answers(now, Timestamp::from_seconds(180), async || {
            match begun.elapsed() < moment {
                true => Err(StoreError::Unavailable(Arc::new(std::io::Error::other("away")))),
                false => Ok(begun.elapsed()),
            }
        })
        .await
    };
    assert_eq!(ask(Duration::from_millis(1_200)).await.unwrap(), Duration::from_millis(1_500));
    let away = ask(Duration::from_secs(1_000)).await;
    assert!(matches!(away, Err(StoreError::Unavailable(_))), "{away:?}");
    assert_eq!(begun.elapsed(), Duration::from_secs(150));
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
