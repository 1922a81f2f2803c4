//! Several servers on one PostgreSQL: what only one of them has is had from each.

use serde_json::{Value, json};

use crate::carrier::Carrier;
use crate::harness::{Stage, until};
use crate::http::{self, Answer};
use crate::postgres::Postgres;
use crate::server::{Server, Settings};

/// Two servers, of which the first has made calls, and the addresses of their recordings.
struct Fleet {
    stage: Stage,
    other_stage: Stage,
    carrier: Carrier,
    settings: Settings,
    first: Server,
    second: Server,
    recordings: Vec<String>,
    _postgres: Postgres,
}

/// Makes a call that is recorded; where its recording is.
async fn recorded(server: &Server, number: &str) -> String {
    let call = json!({"number": number, "campaign": "kept", "say": "Your table is ready."});
    let id = server.create_call(call).await;
    let call = server.until_state(&id, "completed").await;
    let attempt = call["attempts"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/calls/{id}/recordings/{attempt}");
    let is_there = async || (server.native("GET", &path, None).await.status == 200).then_some(());
    until("the recording is finished", is_there).await;
    path
}

impl Fleet {
    /// `None` where PostgreSQL is not installed.
    async fn start(calls: u32) -> Option<Self> {
        let (stage, other_stage) = (Stage::new(), Stage::new());
        let postgres = Postgres::start(&stage).await?;
        let number = |nth| format!("1555010000{nth}");
        let habits: String = (1..=calls)
            .map(|nth| format!("[[callee]]\nnumber = {:?}\ndoes = [\"person\"]\n", number(nth)))
            .collect();
        let carrier = Carrier::start(&stage, &habits).await;
        let store = format!("[store]\nurl = {:?}\n", postgres.url);
        let settings = Settings { store, ..Settings::default() };
        let first = Server::start(&stage, carrier.address, &settings).await;
        let campaign = json!({"name": "kept"});
        let made = first.native("POST", "/v1/campaigns", Some(campaign)).await;
        let policy = format!("{}/policy", made.header("location"));
        let kept = json!({"recording": "separate"});
        let changed = first.native("PATCH", &policy, Some(kept)).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        let mut recordings = Vec::new();
        for nth in 1..=calls {
            recordings.push(recorded(&first, &number(nth)).await);
        }
        let second = Server::join(&first, &other_stage, carrier.address, &settings).await;
        let _postgres = postgres;
        Some(Self { stage, other_stage, carrier, settings, first, second, recordings, _postgres })
    }
}

fn head_of(answer: &Answer) -> [&str; 4] {
    ["content-type", "content-length", "content-range", "accept-ranges"]
        .map(|name| answer.header(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_of_one_server_is_had_whole_or_in_parts_from_another() {
    let Some(fleet) = Fleet::start(1).await else {
        return println!("skipped: no PostgreSQL");
    };
    let path = fleet.recordings[0].as_str();
    let own = fleet.first.native("GET", path, None).await;
    assert_eq!(own.status, 200);
    let length = own.body.len().to_string();
    assert_eq!(head_of(&own), ["audio/x-wav", &length, "", "bytes"]);
    assert!(own.body.starts_with(b"RIFF") && own.body.len() > 8_000, "{length}");
    let passed_on = fleet.second.native("GET", path, None).await;
    assert_eq!((passed_on.status, &passed_on.body), (200, &own.body));
    assert_eq!(head_of(&passed_on), head_of(&own));
    let last = own.body.len() - 1;
    for (range, first, last) in [
        ("bytes=0-43", 0, 43),
        ("bytes=1000-", 1_000, last),
        ("bytes=-500", last - 499, last),
        ("bytes=100-99999999", 100, last),
    ] {
        for server in [&fleet.first, &fleet.second] {
            let part = server.native_with("GET", path, &[("range", range)]).await;
            assert_eq!(part.status, 206, "{range}");
            let told = format!("bytes {first}-{last}/{length}");
            let count = (last - first + 1).to_string();
            assert_eq!(head_of(&part), ["audio/x-wav", &count, &told, "bytes"]);
            assert!(part.body == own.body[first..=last], "{range}");
        }
    }
    for server in [&fleet.first, &fleet.second] {
        let behind = server.native_with("GET", path, &[("range", "bytes=99999999-")]).await;
        let told = format!("bytes */{length}");
        assert_eq!((behind.status, behind.header("content-range")), (416, told.as_str()));
        assert_eq!(behind.json()["code"], "range_not_satisfiable");
        let ranges = [("range", "bytes=0-1"), ("if-range", "\"x\"")];
        let whole = server.native_with("GET", path, &ranges).await;
        assert!(whole.status == 200 && whole.body == own.body);
        let head = server.native_with("HEAD", path, &[]).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head_of(&head), head_of(&own));
    }
    fleet.first.stop().await;
    fleet.second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_is_nobody_elses_at_another_server_and_servers_trust_only_their_own() {
    let Some(fleet) = Fleet::start(1).await else {
        return println!("skipped: no PostgreSQL");
    };
    let path = fleet.recordings[0].as_str();
    let stranger = async |authorization: &str| {
        let head = [("authorization", authorization)];
        http::send(fleet.second.api(), "GET", path, &head, "").await
    };
    assert_eq!(stranger("").await.status, 401);
    assert_eq!(stranger("Bearer od_live_0011223344556677_00").await.status, 401);
    let forged = format!("Outdial-Node 1.2.1.{}.{}", 1_800_000_000, "0".repeat(64));
    assert_eq!(stranger(&forged).await.status, 401);
    // Who knows another call's id learns nothing by it.
    let unknown = path.replace("/v1/calls/", "/v1/calls/9");
    assert_eq!(fleet.second.native("GET", &unknown, None).await.status, 404);
    // Deleted at one, it is gone at both.
    assert_eq!(fleet.second.native("DELETE", path, None).await.status, 204);
    for server in [&fleet.second, &fleet.first] {
        assert_eq!(server.native("GET", path, None).await.status, 404);
        assert_eq!(server.native("DELETE", path, None).await.status, 404);
    }
    fleet.first.stop().await;
    fleet.second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_of_a_server_that_is_gone_is_told_of_and_is_there_again_with_it() {
    let Some(mut fleet) = Fleet::start(1).await else {
        return println!("skipped: no PostgreSQL");
    };
    let path = fleet.recordings[0].clone();
    let own = fleet.first.native("GET", &path, None).await.body;
    fleet.first.kill().await;
    for method in ["GET", "DELETE"] {
        let gone = fleet.second.native(method, &path, None).await;
        assert_eq!((gone.status, gone.header("retry-after")), (503, "10"), "{}", gone.text());
        let problem: Value = gone.json();
        assert_eq!(problem["code"], "node_away");
        let told = problem["detail"].as_str().unwrap();
        assert!(told.starts_with("server 1 made this call"), "{told}");
        assert!(told.contains("last heard at 20"), "{told}");
        assert!(!told.contains("127.0.0.1"), "{told}");
    }
    // At another port: it tells the others where it is now.
    fleet.first.restart(&fleet.stage).await;
    let again = until("the first server is heard again", async || {
        let answer = fleet.second.native("GET", &path, None).await;
        (answer.status == 200).then_some(answer)
    });
    assert!(again.await.body == own);
    fleet.first.stop().await;
    fleet.second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn server_whose_address_is_anothers_is_not_taken_for_it() {
    let Some(fleet) = Fleet::start(1).await else {
        return println!("skipped: no PostgreSQL");
    };
    let Fleet { stage, other_stage, carrier, settings, mut first, mut second, recordings, .. } =
        fleet;
    // The first one says that it is where the second one is.
    let sections =
        format!("[api]\nlisten = \"127.0.0.1:0\"\nadvertise = \"http://{}\"\n", second.api());
    first.kill().await;
    Server::configure(&stage, carrier.address, &settings);
    let text = std::fs::read_to_string(stage.file("outdial.toml")).unwrap();
    let listen = "[api]\nlisten = \"127.0.0.1:0\"\n";
    assert!(text.starts_with(listen), "{text}");
    stage.write("outdial.toml", text.replacen(listen, &sections, 1));
    first.restart(&stage).await;
    let told = until("the wrong address is heard of", async || {
        let answer = second.native("GET", &recordings[0], None).await;
        let problem = answer.json();
        let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
        detail.contains("is not found at its address").then_some(answer.status)
    });
    assert_eq!(told.await, 503);
    // Its own it has all the same.
    assert_eq!(first.native("GET", &recordings[0], None).await.status, 200);
    second.kill().await;
    drop(other_stage);
    first.stop().await;
}
