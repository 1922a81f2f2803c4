//! A list of 100,000 rows through the whole server: every row answered, memory flat.

#[path = "wire/harness.rs"]
#[expect(dead_code, reason = "the harness serves other tests too")]
mod harness;

use harness::{Server, multipart};
use tokio::time::Instant;

const ROWS: usize = 100_000;
/// Most that the process may grow: the caches of the store and some chunks. The list itself has
/// 4 MB and its answer 11 MB; the test holds both, for it is the client too.
const GROWTH_MAX_KB: u64 = 64 * 1024;

/// Greatest resident size of this process so far, in KiB (Linux).
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

/// Checklist 0-028 to 0-030, 0-066.
#[tokio::test]
async fn every_row_of_a_long_list_is_queued_or_named_and_memory_stays_flat() {
    let server = Server::start().await;
    let start = server.pages.url("start");
    let mut list = String::new();
    for row in 0..ROWS {
        match row % 1_000 {
            7 => list.push_str("not a number\tref\n"),
            _ => list.push_str(&format!("+1212{row:07}\tref-{row}\tname=Ann&row={row}\n")),
        }
    }
    let body = multipart(&[
        ("name=\"login\"", b"ann"),
        ("name=\"pin\"", harness::PIN.as_bytes()),
        ("name=\"campaign\"", b"spring"),
        ("name=\"start_url\"", start.as_bytes()),
        ("name=\"phone_list\"; filename=\"list.txt\"", list.as_bytes()),
    ]);
    let headers = "Content-Type: multipart/form-data; boundary=frontier\r\n";
    // What the client itself holds is taken before the server begins: request and answer.
    let answer_room = vec![1_u8; 3 * ROWS * 120];
    drop(answer_room);
    let (began, before_kb) = (Instant::now(), peak_kb());
    let answer = server.send("POST", "/webservice/queuecalls.php", headers, &body).await;
    let (took, grown_kb) = (began.elapsed(), peak_kb() - before_kb);
    println!(
        "{ROWS} rows in {took:.1?}, {} bytes in, {} bytes out, grown by {grown_kb} KiB",
        body.len(),
        answer.body.len()
    );
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("queued=\"99900\" rejected=\"100\""), "{}", &answer.body[..300]);
    assert_eq!(answer.body.matches("call_id=\"").count(), 99_900);
    assert_eq!(answer.body.matches("<error>number has 'n'").count(), 100);
    assert!(answer.body.contains("line=\"99008\""));
    assert!(grown_kb < GROWTH_MAX_KB, "grown by {grown_kb} KiB");
    let page = server.native("GET", "/v1/campaigns", "").await.json();
    assert_eq!(page["data"][0]["name"], "spring");
    server.stop().await;
}
