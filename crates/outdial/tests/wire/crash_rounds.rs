//! The server is killed at moments that a seed chooses, round after round, with many calls under
//! way: so the moments come that no test can wait for, as that between a claim and its INVITE.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::carrier::Carrier;
use crate::customer::{Asked, Customer, SAYS_NOTHING};
use crate::harness::Stage;
use crate::server::{Server, Settings};

const ROUNDS: usize = 18;
/// Calls of a round that Plum's list brings, each with one attempt.
const LISTED: usize = 30;
/// Calls of a round that the native API brings, busy first and then answered.
const REPEATED: usize = 4;

/// What callees do, and what must be told of them.
const KINDS: [(&str, &str, &str); 6] = [
    ("person", "Completed", "unknown"),
    ("busy", "Failed", "busy"),
    ("hangs_up", "Completed", "unknown"),
    ("refuses", "Failed", "busy"),
    ("no_answer", "Failed", "noanswer"),
    ("wrong", "Failed", "informationtone"),
];

fn listed(round: usize, nth: usize) -> String {
    format!("15551{round:02}{nth:04}")
}

fn repeated(round: usize, nth: usize) -> String {
    format!("15552{round:02}{nth:04}")
}

fn habits() -> String {
    let mut text = String::new();
    for round in 0..ROUNDS {
        for nth in 0..LISTED {
            let (kind, ring_ms) = (KINDS[nth % KINDS.len()].0, nth * 37 % 400);
            let number = listed(round, nth);
            writeln!(
                text,
                "[[callee]]\nnumber = {number:?}\ndoes = [{kind:?}]\nring_ms = {ring_ms}\n\
                 ring_after_ms = {}",
                nth * 13 % 60
            )
            .unwrap();
        }
        for nth in 0..REPEATED {
            let number = repeated(round, nth);
            writeln!(
                text,
                "[[callee]]\nnumber = {number:?}\ndoes = [\"busy\", \"person\"]\nring_ms = 50"
            )
            .unwrap();
        }
    }
    text
}

/// A number below `below` that this round always has.
fn chance(round: usize, purpose: u64, below: u64) -> u64 {
    let mixed = (round as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ purpose.wrapping_mul(0xD6E8_FEB8_6659_FD93)).rotate_left(29);
    (mixed.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32) % below.max(1)
}

/// After how many events of its calls a round's kill comes, and how long after that, in us.
fn moment(round: usize) -> (usize, u64) {
    match round % 3 {
        // Between the claim and the INVITEs.
        0 => (0, chance(round, 2, 12_000)),
        // Among the INVITEs.
        1 => (1, chance(round, 2, 3_000)),
        // Anywhere: a call has three or four events from its INVITE to its end.
        _ => (chance(round, 1, LISTED as u64 * 3) as usize, chance(round, 2, 60_000)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_nobody_is_rung_twice_and_every_result_arrives() {
    let stage = Stage::new();
    let carrier = Carrier::start(&stage, &habits()).await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let settings = Settings {
        ring_time_max_s: 3,
        slots: 100,
        calls_per_second: 200,
        log: "info",
        ..Settings::default()
    };
    let mut server = Server::start(&stage, carrier.address, &settings).await;
    let mut native = HashSet::new();
    for round in 0..ROUNDS {
        native.extend(queue_round(&server, &customer, round).await);
        let of_round = format!("15551{round:02}");
        let (events_min, pause_us) = moment(round);
        carrier
            .until("calls are under way", |events| {
                let of_round = events.iter().filter(|one| one.number.starts_with(&of_round));
                (of_round.count() >= events_min).then_some(())
            })
            .await;
        sleep(Duration::from_micros(pause_us)).await;
        server.kill().await;
        server.restart(&stage).await;
    }

    let results = customer.results_of(ROUNDS * (LISTED + REPEATED)).await;
    server.until_quiet().await;
    let rung = carrier.assert_rung_at_most(2);
    check_listed(&results, &rung);
    check_repeated(&server, &native, &results).await;
    // A result that came twice said the same twice.
    let mut told: HashMap<String, String> = HashMap::new();
    for result in customer.results() {
        let before = told.insert(result.call_id(), result.body.clone());
        assert!(before.is_none_or(|before| before == result.body), "{}", result.body);
    }
    println!("{} results for {} calls in {ROUNDS} rounds", customer.results().len(), told.len());
    let log = std::fs::read_to_string(stage.file("server.log")).unwrap();
    log.lines().filter(|line| line.contains("left attempts open")).for_each(|it| println!("{it}"));
    server.stop().await;
}

/// Queues a round's calls; the ids of those of the native API.
async fn queue_round(server: &Server, customer: &Customer, round: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for nth in 0..REPEATED {
        let call = json!({
            "number": repeated(round, nth),
            "vxml_url": customer.url("/start"),
            "result_url": customer.url("/result"),
            "retry": { "attempts_max": 2, "wait_s": 1 },
        });
        ids.push(server.create_call(call).await);
    }
    let list: String = (0..LISTED)
        .map(|nth| listed(round, nth))
        .map(|number| format!("{number}\tref-{number}\n"))
        .collect();
    let fields = [
        ("campaign", "rounds"),
        ("start_url", &customer.url("/start")),
        ("result_url", &customer.url("/result")),
    ];
    let document = server.queue_calls(&fields, list.as_bytes()).await;
    assert_eq!(document.attribute("queuecalls", "queued"), LISTED.to_string(), "{}", document.text);
    ids
}

/// Each number of a list has one result: what its callee did, or that nobody knows.
fn check_listed(results: &BTreeMap<String, Asked>, rung: &BTreeMap<String, usize>) {
    let by_number: HashMap<&str, &Asked> =
        results.values().map(|result| (result.field("phone_number"), result)).collect();
    let (mut in_doubt, mut unheard) = (0, 0);
    for round in 0..ROUNDS {
        for nth in 0..LISTED {
            let number = listed(round, nth);
            let (kind, result, callee_type) = KINDS[nth % KINDS.len()];
            let told = by_number[number.as_str()];
            let said = ["result", "callee_type", "attempts"].map(|name| told.field(name));
            let calls = rung.get(&number).copied().unwrap_or(0);
            assert!(calls <= 1, "{number} was rung {calls} times");
            if said == ["Failed", "unknown", "1"] {
                in_doubt += 1;
                unheard += usize::from(calls == 0);
            } else {
                assert_eq!(said, [result, callee_type, "1"], "{number}, {kind}");
                assert_eq!(calls, 1, "{number}, {kind}");
            }
        }
    }
    println!(
        "{} listed calls: {in_doubt} in doubt, of which {unheard} never came to the carrier",
        ROUNDS * LISTED
    );
}

/// Each call of the native API was answered at its second attempt, or nobody knows.
async fn check_repeated(server: &Server, ids: &HashSet<String>, results: &BTreeMap<String, Asked>) {
    let mut stories: BTreeMap<String, usize> = BTreeMap::new();
    for id in ids {
        assert!(results.contains_key(id), "call {id} has no result");
        let call = server.call(id).await;
        let attempts = call["attempts"].as_array().unwrap();
        let outcomes: Vec<&str> =
            attempts.iter().map(|one| one["outcome"].as_str().unwrap()).collect();
        *stories.entry(format!("{} by {outcomes:?}", call["state"])).or_default() += 1;
    }
    println!("{} calls busy at first: {stories:?}", ids.len());
    let possible = [
        r#""completed" by ["busy", "answered"]"#,
        r#""failed" by ["in_doubt"]"#,
        r#""failed" by ["busy", "in_doubt"]"#,
    ];
    for story in stories.keys() {
        assert!(possible.contains(&story.as_str()), "{story}");
    }
}
