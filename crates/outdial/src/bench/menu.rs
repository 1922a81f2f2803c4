//! Many calls at once in a menu, on one core: how even their sound is, and what each costs.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::far_end::{Customer, FarEnd};
use super::gaps::{Ear, Gaps};
use super::{prepare, sender, upload};

/// How long is measured, once all calls are in the menu.
const MEASURED: Duration = Duration::from_secs(12);
/// Longest wait for all to be there.
const UP_TIME_MAX: Duration = Duration::from_secs(120);
/// New calls a second.
const RATE: u32 = 100;

/// A menu that asks again and again, so that its script is at work and not only its sound: four
/// seconds of prompt, half a second of silence, an event, the prompt once more.
const MENU: &str = "<property name=\"timeout\" value=\"500ms\"/><var name=\"asked\" expr=\"0\"/>\
     <menu dtmf=\"true\"><prompt>To hear your order press one. To change it press two. \
     To talk to somebody press three.</prompt>\
     <choice next=\"#end\">order</choice><choice next=\"#end\">change</choice>\
     <choice next=\"#end\">somebody</choice>\
     <noinput><assign name=\"asked\" expr=\"asked + 1\"/><reprompt/></noinput></menu>\
     <form id=\"end\"><block><exit/></block></form>";

/// What was measured.
#[derive(Debug, Serialize)]
pub(super) struct Menu {
    calls: u32,
    streams_heard: usize,
    gap_ms_p50: f64,
    gap_ms_p99: f64,
    cpu_share: f64,
    memory_bytes_per_call: u64,
    /// The same sound from a program that does nothing but send it, in the same run.
    sender_gap_ms_p99: f64,
    /// Ours by the sender's.
    gap_p99_ratio: f64,
    load_of_machine: f64,
}

/// Measures `calls` calls from a server on one core, heard on the others.
pub(super) async fn measure(calls: u32, dir: &Path) -> Result<Menu> {
    std::fs::create_dir_all(dir)?;
    let alone = {
        let ear = Ear::open()?;
        let sender = sender::Sender::start(calls, ear.port())?;
        until_heard(&ear, calls).await;
        let gaps = ear.measure(MEASURED).await;
        drop(sender);
        gaps
    };
    let ear = Ear::open()?;
    let far_end = FarEnd::start(dir, Some(ear.port())).await?;
    let customer = Customer::serve_document(MENU).await?;
    let (plan, account) = prepare(dir, &far_end, calls, RATE).await?;
    let server = plan.serve(Some("0")).await?;
    // One call before: what is spoken and cached once is no call's cost.
    upload(&server, &account, &customer, 1, "first").await?;
    until_heard(&ear, 1).await;
    let empty_bytes = server.memory_bytes();
    // The number of the one before is on the list once more and waits for its end.
    upload(&server, &account, &customer, calls, "menu").await?;
    until_heard(&ear, calls).await;
    let before = server.cpu_s();
    // The longest gap is where the menu waits for a key.
    let Gaps { streams, p50_ms, p99_ms, .. } = ear.measure(MEASURED).await;
    let cpu_share = (server.cpu_s() - before) / MEASURED.as_secs_f64();
    let gained = server.memory_bytes().saturating_sub(empty_bytes);
    drop(server);
    Ok(Menu {
        calls,
        streams_heard: streams,
        gap_ms_p50: p50_ms,
        gap_ms_p99: p99_ms,
        cpu_share,
        memory_bytes_per_call: gained / u64::from(calls.max(2) - 1),
        sender_gap_ms_p99: alone.p99_ms,
        gap_p99_ratio: p99_ms / alone.p99_ms.max(f64::EPSILON),
        load_of_machine: load(),
    })
}

async fn until_heard(ear: &Ear, calls: u32) {
    let all = async {
        while ear.streams() < calls as usize {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    if tokio::time::timeout(UP_TIME_MAX, all).await.is_err() {
        println!("  only {} of {calls} streams came up", ear.streams());
    }
}

/// How many processes want a processor, on average over the last minute.
pub(super) fn load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
}

impl Menu {
    /// In words.
    pub(super) fn show(&self) -> String {
        format!(
            "\n  {} of {} calls at once in a menu, one core: gap p50 {:.1} ms, p99 {:.1} ms, \
             {:.0} % of the core, {:.0} kB of memory each\n  the same sound from a \
             sender that does nothing else: p99 {:.1} ms; ratio {:.2}; load {:.1}\n",
            self.streams_heard,
            self.calls,
            self.gap_ms_p50,
            self.gap_ms_p99,
            self.cpu_share * 100.0,
            self.memory_bytes_per_call as f64 / 1e3,
            self.sender_gap_ms_p99,
            self.gap_p99_ratio,
            self.load_of_machine,
        )
    }
}
