//! `sipp` as a far end: one scenario, one process, which must come to the end that it was told.

use std::path::Path;

use crate::harness::{Process, Stage, at, installed, port, ports, until_open};
use crate::relay::{Relay, Weather};

/// Repeats long enough, and goes on when something unexpected comes.
const BEARS_ANYTHING: &str =
    "-max_invite_retrans 12 -max_non_invite_retrans 12 -default_behaviors all,-abortunexp";

/// A running `sipp` behind a network of its own.
pub(crate) struct Sipp {
    process: Process,
    scenario: String,
    pub(crate) relay: Relay,
}

impl Sipp {
    /// Starts a scenario that ends after `calls` calls; `words` replaces `[name]` in it.
    pub(crate) async fn start(
        stage: &Stage,
        scenario: &str,
        calls: usize,
        words: &[(&str, &str)],
        weather: Weather,
    ) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire/sipp");
        let mut text = std::fs::read_to_string(dir.join(format!("{scenario}.xml"))).unwrap();
        let own = port();
        let relay = Relay::open(at(own), weather).await;
        let front = relay.front.port().to_string();
        for (name, word) in words.iter().chain([&("front", front.as_str())]) {
            text = text.replace(&format!("[{name}]"), word);
        }
        stage.write(&format!("{scenario}.xml"), text);
        // A second of silence for those who send early sound.
        stage.write("early.pcmu", vec![0xFF; 8_000]);
        let arguments = format!(
            "-sf {scenario}.xml -m {calls} -i 127.0.0.1 -p {own} -mi 127.0.0.1 -mp {} -nostdin \
             -recv_timeout 60000 -timeout 120 {} \
             -trace_err -error_file {scenario}-errors.log \
             -trace_msg -message_file {scenario}-messages.log",
            ports(4),
            // In bad weather anything comes at any time; in good weather that is a mistake.
            if weather.is_good() { "" } else { BEARS_ANYTHING },
        );
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let process = Process::start(stage, "sipp", &installed("sipp"), &arguments);
        until_open(own).await;
        Self { process, scenario: scenario.to_owned(), relay }
    }

    /// Waits until all its calls went as its scenario says.
    pub(crate) async fn ended_well(&mut self) {
        let status = self.process.end().await;
        assert!(status.success(), "a call did not go as {} says: {status}", self.scenario);
    }

    /// Ends it in the middle.
    pub(crate) async fn kill(&mut self) {
        self.process.kill().await;
    }
}
