//! A list of a hundred thousand lines: each is queued or named with its reason, in bounded memory.

use std::collections::{BTreeMap, HashSet};

use tokio::time::Instant;

use crate::customer::{Customer, SAYS_NOTHING};
use crate::harness::{Stage, until};
use crate::phone::Phone;
use crate::server::{Server, Settings};

/// Lines of the list.
const LINES: usize = 100_000;
/// One line in so many is bad.
const BAD_EVERY: usize = 500;
/// What the upload may add to the process's memory at any time, in kB: 19 MB of it are the check
/// of the PIN.
const GROWTH_MAX_KIB: u64 = 40 * 1_024;

/// What is wrong with bad lines in turn, and what must be said of it.
fn bad_lines() -> Vec<(String, &'static str)> {
    vec![
        ("call me".into(), "number has 'c', which is neither a digit nor a separator"),
        ("\tref\tonly".into(), "number is empty"),
        ("1".repeat(40), "number has 40 digits, at most 32 are allowed"),
        ("15550100000;ani=x".into(), "ani must be a number of 1 to 32 digits"),
        ("15550100000;postd=?".into(), "postd must be 1 to 64 of 0-9 A-D * #"),
        ("15550100000;color=red".into(), "parameter \"color\" is unknown, use ani or postd"),
        (format!("15550100000\t{}", "r".repeat(256)), "message_reference has 256 characters"),
        (format!("15550100000\tref\t{}", "p".repeat(256)), "call_parameters has 256 characters"),
    ]
}

/// The list, and by line what must be said of it.
fn list() -> (String, BTreeMap<usize, &'static str>) {
    let (bad, mut text, mut reasons) = (bad_lines(), String::new(), BTreeMap::new());
    for line in 1..=LINES {
        if line % BAD_EVERY == 0 {
            let (row, reason) = &bad[line / BAD_EVERY % bad.len()];
            text.push_str(row);
            reasons.insert(line, *reason);
        } else {
            text.push_str(&format!("1555{line:07}\tref-{line}\tname=Callee {line}"));
        }
        text.push('\n');
    }
    (text, reasons)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_long_list_is_queued_or_named_with_its_reason() {
    let stage = Stage::new();
    let phone = Phone::open().await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let settings = Settings { log: "info", ..Settings::default() };
    let server = Server::start(&stage, phone.address, &settings).await;
    let (start_url, result_url) = (customer.url("/start"), customer.url("/result"));
    let fields = |campaign: &'static str| {
        [
            ("campaign", campaign),
            ("start_url", start_url.as_str()),
            ("result_url", result_url.as_str()),
            // Nothing is to be dialed here.
            ("scheduled_time", "+2 days"),
        ]
    };
    // Whatever is needed once is in memory then.
    server.queue_calls(&fields("small"), b"15550000000\n").await;

    let (text, reasons) = list();
    server.forget_largest_memory();
    let before = server.memory_kib("VmHWM");
    let begun = Instant::now();
    let document = server.queue_calls(&fields("large"), text.as_bytes()).await;
    let took = begun.elapsed();
    let after = server.memory_kib("VmHWM");
    println!(
        "{LINES} lines, {:.1} MB: {took:?}, {:.0} lines a second, answer {:.1} MB; memory {before} \
         kB before, {after} kB at most",
        text.len() as f64 / 1e6,
        LINES as f64 / took.as_secs_f64(),
        document.text.len() as f64 / 1e6,
    );

    assert_eq!(document.status, 200);
    let count = |name| document.attribute("queuecalls", name).parse::<usize>().unwrap();
    assert_eq!((count("queued"), count("rejected")), (LINES - reasons.len(), reasons.len()));
    let (mut ids, mut references, mut refused) = (HashSet::new(), HashSet::new(), BTreeMap::new());
    for row in document.text.lines().filter(|line| line.trim_start().starts_with("<call ")) {
        let value = |name: &str| {
            let value = row.split(&format!(" {name}=\"")).nth(1)?;
            value.split('"').next()
        };
        if let Some(id) = value("call_id") {
            assert!(ids.insert(id.parse::<i64>().unwrap()), "call_id {id} comes twice");
            references.insert(value("message_reference").unwrap());
        } else {
            let reason = row.split("<error>").nth(1).unwrap().split("</error>").next().unwrap();
            let reason = reason.replace("&quot;", "\"");
            refused.insert(value("line").unwrap().parse::<usize>().unwrap(), reason);
        }
    }
    assert_eq!((ids.len(), references.len()), (LINES - reasons.len(), LINES - reasons.len()));
    assert!(refused.keys().eq(reasons.keys()), "other lines are refused");
    for (line, reason) in &reasons {
        assert!(refused[line].contains(reason), "line {line}: {}", refused[line]);
    }
    assert!(after < before + GROWTH_MAX_KIB, "memory grew from {before} to {after} kB");

    // What was committed is moved into the dial queue piece by piece.
    let waiting = LINES - reasons.len();
    until("all of them wait to be dialed", async || {
        (server.campaigns().await["large"]["counts"]["waiting"] == waiting).then_some(())
    })
    .await;
    assert_eq!(phone.heard(|message| message.is_request("INVITE")).len(), 0);
    server.stop().await;
}
