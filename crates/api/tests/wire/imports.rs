//! Files of contacts over HTTP: sent, looked at, then taken in or thrown away.

use serde_json::{Value, json};

use crate::harness::{Answer, Server, multipart};

async fn send(server: &Server, query: &str, settings: &Value, file: &[u8]) -> Answer {
    let settings = settings.to_string();
    let parts: [(&str, &[u8]); 2] = [
        ("name=\"settings\"", settings.as_bytes()),
        ("name=\"file\"; filename=\"spring.csv\"", file),
    ];
    send_parts(server, query, &parts).await
}

async fn send_parts(server: &Server, query: &str, parts: &[(&str, &[u8])]) -> Answer {
    let headers = format!(
        "Authorization: Bearer {}\r\nContent-Type: multipart/form-data; boundary=frontier\r\n",
        server.key
    );
    let path = format!("/v1/imports{query}");
    server.send("POST", &path, &headers, &multipart(parts)).await
}

fn say() -> Value {
    json!({ "campaign": "spring", "say": "Hello", "retry": { "attempts_max": 2, "wait_s": 60 } })
}

const FILE: &[u8] =
    b"Phone;ID;Name\n+1 617 555 0101;a;Ann\nnobody;b;Bob\n6175550102;c;Cy\n6175550102;d;Dee\n";

#[tokio::test]
async fn file_is_looked_at_then_taken_in_and_its_bad_rows_come_back() {
    let server = Server::start().await;
    let sent = send(&server, "", &say(), FILE).await;
    assert_eq!((sent.status, sent.header("location")), (201, "/v1/imports/1"), "{sent:?}");
    let import = sent.json();
    let report = &import["report"];
    assert_eq!((&import["state"], &import["file_name"]), (&json!("checked"), &json!("spring.csv")));
    let counts = ["rows", "accepted", "rejected", "duplicates"].map(|name| report[name].as_u64());
    assert_eq!(counts, [Some(4), Some(2), Some(2), Some(1)]);
    assert_eq!(report["preview"][0]["variables"], json!({ "Name": "Ann" }));
    assert_eq!(report["layout"]["columns"][1]["field"], "reference");
    let calls = server.native("GET", "/v1/calls", "").await.json();
    assert_eq!(calls["data"], json!([]), "nothing is taken in before the commit");

    let rejected = send_get(&server, "/v1/imports/1/rejected").await;
    assert_eq!(rejected.header("content-type"), "text/csv; charset=utf-8");
    assert!(rejected.body.contains("Phone;ID;Name;rejected line;rejected for"), "{rejected:?}");
    assert!(rejected.body.contains("nobody;b;Bob;3;"), "{rejected:?}");

    let committed = server.native("POST", "/v1/imports/1/commit", "").await;
    assert_eq!((committed.status, &committed.json()["state"]), (200, &json!("committed")));
    let again = server.native("POST", "/v1/imports/1/commit", "").await;
    assert_eq!((again.status, &again.json()["code"]), (409, &json!("already_ended")));
    server.store.flush().await.unwrap();
    let calls = server.native("GET", "/v1/calls", "").await.json();
    let references: Vec<_> =
        calls["data"].as_array().unwrap().iter().map(|c| &c["reference"]).collect();
    assert_eq!(references, ["c", "a"]);
    let list = server.native("GET", "/v1/imports", "").await.json();
    assert_eq!(list["data"][0]["id"], "1");
    server.stop().await;
}

async fn send_get(server: &Server, path: &str) -> Answer {
    server.native("GET", path, "").await
}

#[tokio::test]
async fn dry_run_tells_all_and_keeps_nothing() {
    let server = Server::start().await;
    let told = send(&server, "?dry_run=true", &say(), FILE).await;
    assert_eq!(told.status, 200, "{told:?}");
    let told = told.json();
    assert_eq!((&told["id"], &told["report"]["accepted"]), (&Value::Null, &json!(2)));
    assert_eq!(server.native("GET", "/v1/imports", "").await.json()["data"], json!([]));
    assert_eq!(server.native("GET", "/v1/campaigns", "").await.json()["data"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn good_rows_are_taken_in_at_once_where_the_client_says_so() {
    let server = Server::start().await;
    let sent = send(&server, "?commit=true", &say(), FILE).await.json();
    assert_eq!(sent["state"], "committed");
    let thrown = server.native("DELETE", "/v1/imports/1", "").await;
    assert_eq!(thrown.status, 409, "{thrown:?}");
    server.stop().await;
}

#[tokio::test]
async fn import_that_is_thrown_away_is_not_dialed() {
    let server = Server::start().await;
    send(&server, "", &say(), FILE).await;
    let thrown = server.native("DELETE", "/v1/imports/1", "").await;
    assert_eq!((thrown.status, &thrown.json()["state"]), (200, &json!("discarded")));
    server.store.flush().await.unwrap();
    assert_eq!(server.native("GET", "/v1/calls", "").await.json()["data"], json!([]));
    let (_, stranger) = server.add_account("bob").await;
    let theirs = server.native_as(&stranger, "GET", "/v1/imports/1", "").await;
    assert_eq!(theirs.status, 404);
    server.stop().await;
}

#[tokio::test]
async fn request_that_is_wrong_is_told_where() {
    let server = Server::start().await;
    let file: (&str, &[u8]) = ("name=\"file\"; filename=\"a.csv\"", FILE);
    let good = say().to_string();
    let settings: (&str, &[u8]) = ("name=\"settings\"", good.as_bytes());
    let told = async |query: &str, parts: &[(&str, &[u8])]| {
        let answer = send_parts(&server, query, parts).await;
        let json = answer.json();
        format!("{} {}", answer.status, json["errors"][0]["detail"].as_str().unwrap_or_default())
    };
    let all = [
        told("", &[file]).await,
        told("", &[file, settings]).await,
        told("", &[settings]).await,
        told("", &[settings, file, file]).await,
        told("", &[settings, ("name=\"other\"", b"x")]).await,
        told("", &[("name=\"settings\"", b"{}"), file]).await,
        told("", &[settings, ("name=\"file\"", b"name\nAnn\n")]).await,
        told("", &[settings, ("name=\"file\"", b"PK\x03\x04")]).await,
        told("?dry=1", &[settings, file]).await,
        told("?dry_run=maybe", &[settings, file]).await,
        told("?dry_run=true&commit=true", &[settings, file]).await,
    ];
    expect_test::expect![[r#"
        422 is missing, expected the settings as JSON, before the file
        422 is missing, expected the settings as JSON, before the file
        422 is missing, expected a file of contacts
        422 is missing, expected one file, not several
        422 found "other", expected settings and file
        422 is missing, expected one of vxml_url, say, document
        422 expected a list that can be read: no column holds numbers, the file has name; name it with number=COLUMN
        422 expected a list that can be read: file is a spreadsheet's own or an archive, save it as CSV (UTF-8)
        422 found "dry", expected one of commit, dry_run
        422 found "maybe", expected true or false
        422 expected commit or dry_run, not both"#]].assert_eq(&all.join("\n"));
    // What was begun is forgotten soon after its request has failed.
    let mut left = json!(null);
    for _ in 0..500 {
        left = server.native("GET", "/v1/imports", "").await.json()["data"].clone();
        if left == json!([]) {
            break;
        }
    }
    assert_eq!(left, json!([]));
    server.stop().await;
}

#[tokio::test]
async fn one_number_in_two_spellings_is_found_twice() {
    let server = Server::start().await;
    let file = b"number\n+1 617 253 0101\n(617) 253-0101\n16172530101\n6172530102\n";
    let report = send(&server, "?dry_run=true", &say(), file).await.json()["report"].clone();
    assert_eq!((&report["accepted"], &report["duplicates"]), (&json!(2), &json!(2)), "{report}");
    server.stop().await;
}

#[tokio::test]
async fn number_that_is_not_to_be_called_is_found_while_the_file_is_read() {
    let server = Server::start().await;
    let body = json!({ "number": "(617) 253-0101" }).to_string();
    server.native("POST", "/v1/opt-outs", &body).await;
    let body = json!({ "numbers": ["+16172530102"] }).to_string();
    server.native("POST", "/v1/lists/partners/numbers", &body).await;
    let file = b"number\n+16172530101\n+16172530102\n+16172530103\n";
    let report = send(&server, "?dry_run=true", &say(), file).await.json()["report"].clone();
    assert_eq!((&report["accepted"], &report["rejected"]), (&json!(2), &json!(1)), "{report}");
    assert_eq!(report["faults"][0]["fault"], "do_not_call");
    assert_eq!(
        report["faults"][0]["examples"][0],
        json!({
            "line": 2,
            "column": "number",
            "found": "+16172530101",
            "expected": "a number that is not on the list \"do-not-call\"",
        })
    );
    // A list of partners counts in campaigns that heed it.
    let campaign = json!({ "name": "spring", "state": "stopped" }).to_string();
    let campaign = server.native("POST", "/v1/campaigns", &campaign).await.json();
    let policy = format!("/v1/campaigns/{}/policy", campaign["id"].as_str().unwrap());
    let patch = json!({ "do_not_call_lists": ["partners"] }).to_string();
    assert_eq!(server.native("PATCH", &policy, &patch).await.status, 200);
    let sent = send(&server, "", &say(), file).await;
    assert_eq!(sent.json()["report"]["accepted"], 1, "{sent:?}");
    let rejected = send_get(&server, "/v1/imports/1/rejected").await;
    assert!(rejected.body.contains("+16172530102,3,"), "{rejected:?}");
    server.stop().await;
}

#[tokio::test]
async fn file_sent_again_tells_the_calls_that_have_its_references() {
    let server = Server::start().await;
    let campaign = json!({ "name": "spring", "state": "stopped", "unique_references": true });
    server.native("POST", "/v1/campaigns", &campaign.to_string()).await;
    let sent = send(&server, "?commit=true", &say(), FILE).await;
    assert_eq!(sent.json()["report"]["accepted"], 2, "{sent:?}");
    server.store.flush().await.unwrap();
    let again = send(&server, "?commit=true", &say(), FILE).await.json();
    assert_eq!((&again["state"], &again["report"]["accepted"]), (&json!("checked"), &json!(0)));
    let faults = again["report"]["faults"].as_array().unwrap();
    let taken = faults.iter().find(|kind| kind["fault"] == "reference_taken").unwrap();
    assert_eq!((&taken["count"], &taken["examples"][0]["found"]), (&json!(2), &json!("a")));
    server.stop().await;
}
