//! The simulated carrier as a process, and its record of calls, which is the judge of others.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use tokio::time::sleep;

use crate::harness::{Process, Stage, ports, until, within};
use crate::server::PROGRAM;

/// How often its record is looked at: what follows must come soon after.
const LOOK_PERIOD: Duration = Duration::from_millis(1);

/// One thing that happened to a call, as the carrier has written it down.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Event {
    pub(crate) at_ms: i64,
    pub(crate) event: String,
    pub(crate) number: String,
    pub(crate) call_id: String,
}

impl Event {
    /// Whether the call is over with it.
    pub(crate) fn is_end(&self) -> bool {
        let ends = ["canceled", "caller_hung_up", "hung_up", "refused", "unconfirmed"];
        ends.contains(&self.event.as_str())
    }
}

/// A running carrier.
pub(crate) struct Carrier {
    /// Where it is called.
    pub(crate) address: SocketAddr,
    record: PathBuf,
    _process: Process,
}

impl Carrier {
    /// Starts one whose callees have these habits.
    pub(crate) async fn start(stage: &Stage, habits: &str) -> Self {
        stage.write("habits.toml", habits);
        let rtp = ports(200);
        let arguments = format!(
            "lab carrier --bind 127.0.0.1:0 --habits habits.toml --calls carrier.jsonl \
             --ready-file carrier.ready --rtp-ports {rtp} {}",
            rtp + 199,
        );
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let mut process = Process::start(stage, "carrier", Path::new(PROGRAM), &arguments);
        let file = stage.file("carrier.ready");
        let told = until("the carrier is up", async || {
            if let Some(status) = process.ended() {
                panic!("the carrier ended with {status}");
            }
            std::fs::read_to_string(&file).ok()
        })
        .await;
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let address = told["sip"].as_str().unwrap().parse().unwrap();
        Self { address, record: stage.file("carrier.jsonl"), _process: process }
    }

    /// Everything that it has written down.
    pub(crate) fn events(&self) -> Vec<Event> {
        let text = std::fs::read_to_string(&self.record).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |lines| lines.0);
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Waits until something stands in its record.
    pub(crate) async fn until<T>(&self, what: &str, look: impl Fn(&[Event]) -> Option<T>) -> T {
        within(what, async {
            let mut known = None;
            loop {
                let length = std::fs::metadata(&self.record).map_or(0, |file| file.len());
                if known.replace(length) != Some(length)
                    && let Some(found) = look(&self.events())
                {
                    return found;
                }
                sleep(LOOK_PERIOD).await;
            }
        })
        .await
    }

    /// Checks that no number was called more than `attempts_max` times, nor twice at once; how
    /// often each was called.
    pub(crate) fn assert_rung_at_most(&self, attempts_max: usize) -> BTreeMap<String, usize> {
        let mut calls: BTreeMap<String, Vec<(i64, Option<i64>, String)>> = BTreeMap::new();
        for event in self.events() {
            let of_number = calls.entry(event.number.clone()).or_default();
            if event.event == "invite" {
                of_number.push((event.at_ms, None, event.call_id));
            } else if event.is_end() {
                let call = of_number.iter_mut().find(|call| call.2 == event.call_id);
                call.expect("a call ends after it began").1.get_or_insert(event.at_ms);
            }
        }
        for (number, calls) in &calls {
            assert!(calls.len() <= attempts_max, "{number} was called {} times", calls.len());
            for pair in calls.windows(2) {
                let is_over = pair[0].1.is_some_and(|end| end <= pair[1].0);
                assert!(is_over, "{number} was called twice at once: {calls:?}");
            }
        }
        calls.into_iter().map(|(number, calls)| (number, calls.len())).collect()
    }
}
