//! Figures for Prometheus: what the engine counts, and how the store stands.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use store::Totals;

/// Bounds of durations, in seconds: HTTP answers, set-up times, calls.
const BUCKETS_S: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// Where the figures are; clones show the same.
#[derive(Clone)]
pub struct Figures(PrometheusHandle);

/// Makes this process count; called again it gives the same figures.
///
/// Where another recorder is installed already, the figures stay empty.
pub fn install() -> Figures {
    static FIGURES: OnceLock<Figures> = OnceLock::new();
    FIGURES
        .get_or_init(|| {
            let recorder = PrometheusBuilder::new()
                .set_buckets(&BUCKETS_S)
                .expect("there are buckets")
                .build_recorder();
            let handle = recorder.handle();
            if metrics::set_global_recorder(recorder).is_err() {
                tracing::error!("figures are lost: another recorder is installed");
            }
            describe();
            Figures(handle)
        })
        .clone()
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
    describe_gauge!("outdial_calls", "Calls by state, as the store has them");
    describe_gauge!("outdial_attempts", "Attempts ended so far by outcome, as the store has them");
    describe_gauge!("outdial_results", "Results owed to clients by state");
    describe_gauge!("outdial_live_calls", "Calls under way");
    describe_counter!("outdial_http_requests_total", "Requests answered");
    describe_histogram!("outdial_http_request_seconds", Unit::Seconds, "Time from head to answer");
}

impl Figures {
    /// Sorts what was observed into its buckets, so that memory stays flat when nobody reads.
    pub(crate) fn upkeep(&self) {
        self.0.run_upkeep();
    }

    /// The text that Prometheus reads (exposition format 0.0.4).
    pub(crate) fn render(&self) -> String {
        self.upkeep();
        self.0.render()
    }
}

/// Sets the figures that the store keeps.
pub(crate) fn observe_store(totals: &Totals) {
    let contacts = [
        ("calling", totals.contacts.calling),
        ("canceled", totals.contacts.canceled),
        ("completed", totals.contacts.completed),
        ("expired", totals.contacts.expired),
        ("failed", totals.contacts.failed),
        ("waiting", totals.contacts.waiting),
    ];
    for (state, count) in contacts {
        metrics::gauge!("outdial_calls", "state" => state).set(float(count));
    }
    for (outcome, count) in &totals.outcomes {
        metrics::gauge!("outdial_attempts", "outcome" => outcome.name()).set(float(*count));
    }
    let results = [
        ("delivered", totals.webhooks_delivered),
        ("given_up", totals.webhooks_given_up),
        ("owed", totals.webhooks_owed),
    ];
    for (state, count) in results {
        metrics::gauge!("outdial_results", "state" => state).set(float(count));
    }
}

/// Sets the number of calls under way.
pub(crate) fn observe_live_calls(calls: usize) {
    metrics::gauge!("outdial_live_calls").set(float(calls as u64));
}

/// Counts an answered request.
pub(crate) fn observe_request(method: &'static str, route: String, status: u16, seconds: f64) {
    let status = status.to_string();
    metrics::counter!(
        "outdial_http_requests_total",
        "method" => method, "route" => route.clone(), "status" => status
    )
    .increment(1);
    metrics::histogram!("outdial_http_request_seconds", "route" => route).record(seconds);
}

/// Prometheus counts in floats: exact up to 2^53.
fn float(count: u64) -> f64 {
    count as f64
}
