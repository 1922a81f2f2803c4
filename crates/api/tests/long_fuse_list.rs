//! A list of a million rows through `bulk_queue`: every row answered, memory flat.

#[path = "wire/harness.rs"]
#[expect(dead_code, reason = "the harness serves other tests too")]
mod harness;

use base64ct::{Base64, Encoding};
use harness::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

const ROWS: usize = 1_000_000;
/// Rows that are sent at once.
const PART: usize = 10_000;
/// Most that the process may grow: the caches of the store and some chunks. The list has 36 MB and
/// its answer 60 MB; the test sends and reads them in parts, for it is the client too.
const GROWTH_MAX_KB: u64 = 64 * 1024;

/// Greatest resident size of this process so far, in KiB (Linux).
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).unwrap_or(0)
}

fn row(row: usize) -> String {
    match row % 100_000 {
        7 => "\"not a number\",\"Ann\",\"row-000007\"\n".to_owned(),
        _ => format!("\"+1212{row:07}\",\"Ann\",\"row-{row}\"\n"),
    }
}

/// Checklist 1-047 to 1-051.
#[tokio::test]
async fn every_row_of_a_million_is_queued_or_named_and_memory_stays_flat() {
    let server = Server::start().await;
    let (_, key) = server.add_account("ann@example.com").await;
    let body = "{\"name\":\"a\",\"say\":\"Hello.\",\"id\":34,\"application_id\":12}";
    let created = server.native_as(&key, "POST", "/v1/deployments", body).await;
    assert_eq!(created.status, 201);
    let pair = Base64::encode_string(format!("ann@example.com:{key}").as_bytes());
    let begin = "--frontier\r\nContent-Disposition: form-data; name=\"csv\"; \
        filename=\"list.csv\"\r\n\r\n\"destination\",\"name\",\"place\"\n";
    let end = "\r\n--frontier--\r\n";
    let length: usize = (0..ROWS).map(|nth| row(nth).len()).sum();
    let head = format!(
        "POST /api/apps/12/34/bulk_queue HTTP/1.1\r\nHost: outdial\r\nConnection: close\r\n\
         Authorization: Basic {pair}\r\n\
         Content-Type: multipart/form-data; boundary=frontier\r\n\
         Content-Length: {}\r\n\r\n{begin}",
        begin.len() + length + end.len()
    );
    let (began, before_kb) = (Instant::now(), peak_kb());
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    for part in 0..ROWS / PART {
        let rows: String = (part * PART..(part + 1) * PART).map(row).collect();
        stream.write_all(rows.as_bytes()).await.unwrap();
    }
    stream.write_all(end.as_bytes()).await.unwrap();

    let (mut queued, mut rejected, mut bytes) = (0, 0, 0);
    let (mut first, mut rest) = (String::new(), Vec::new());
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut chunk).await.unwrap();
        if read == 0 {
            break;
        }
        bytes += read;
        rest.extend_from_slice(&chunk[..read]);
        let lines = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let text = String::from_utf8(rest.drain(..lines).collect()).unwrap();
        queued += text.matches("\"call_id\":\"").count();
        rejected += text.matches("\"error\":\"").count();
        if first.len() < 1_000 {
            first.push_str(&text);
        }
    }
    let (took, grown_kb) = (began.elapsed(), peak_kb() - before_kb);
    println!("{ROWS} rows in {took:.1?}, {length} bytes in, {bytes} out, grown by {grown_kb} KiB");
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{first}");
    assert!(first.contains("{\"queued\":999990,\"rejected\":10,\"calls\":["), "{first}");
    assert_eq!((queued, rejected), (999_990, 10));
    assert!(grown_kb < GROWTH_MAX_KB, "grown by {grown_kb} KiB");
    let campaigns = server.native_as(&key, "GET", "/v1/campaigns", "").await.json();
    assert_eq!(campaigns["data"][0]["name"], "apps/12/34");
    server.stop().await;
}
