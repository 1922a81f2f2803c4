//! How long a call takes from the request that asks for it to its INVITE at the carrier.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::client::ApiClient;
use crate::stage::{ANY_PORT, CALL_TIME_MAX_S, ServerPlan};

/// Commits of the floor, one after the other.
const FLOOR_COMMITS: usize = 200;
/// Bytes that a commit of the floor writes: a page.
const FLOOR_BYTES: usize = 4_096;
/// Longest wait for the last INVITE.
const LAST_WAIT_MAX: Duration = Duration::from_secs(20);
/// Calls that warm everything up and are not counted.
const WARM_UP: u32 = 50;
/// Largest SIP message, in bytes: what UDP carries.
const SIP_BYTES_MAX: usize = 65_535;

/// The figures; documented in docs/reports.md, they stay stable.
#[derive(Debug, Serialize)]
pub(super) struct Delays {
    database: &'static str,
    calls: u32,
    calls_per_second: u32,
    invited: usize,
    /// From the request's first byte to the INVITE.
    asked_to_invite_ms: Spread,
    /// From the request's first byte to its answer, which says that the call is on disk.
    asked_to_answer_ms: Spread,
    /// A page written and made sure on the same disk, before and after.
    commit_ms: Spread,
    /// A call's delay in the median over two such commits: its own row and its attempt's.
    ratio_to_two_commits: f64,
    memory_bytes_max: u64,
    load_1m: f64,
}

/// How a figure spreads, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Spread {
    p50: f64,
    p99: f64,
    max: f64,
}

/// A carrier whose callees are all busy, and when each was called first.
struct BusyCarrier {
    address: std::net::SocketAddr,
    invited: Arc<Mutex<HashMap<String, Instant>>>,
    /// Ends with this.
    _answering: JoinSet<()>,
}

/// Asks for calls at a steady rate, and takes the time of their INVITEs.
pub(super) async fn measure(
    calls: u32,
    rate: u32,
    store_url: Option<String>,
    dir: &Path,
) -> Result<Delays> {
    std::fs::create_dir_all(dir)?;
    let carrier = BusyCarrier::start().await?;
    let database = if store_url.is_some() { "postgresql" } else { "sqlite" };
    let plan = ServerPlan {
        dir: dir.canonicalize()?,
        trunk: carrier.address.to_string(),
        slots: rate * 20,
        // Twice as fast as is asked for: the trunk is not what calls wait for.
        calls_per_second: rate * 2,
        ring_time_max_s: 45,
        api: ANY_PORT.into(),
        sip: ANY_PORT.into(),
        store_url,
        call_time_max_s: CALL_TIME_MAX_S,
    };
    let account = plan.prepare("bench").await?;
    let server = plan.serve(None).await?;
    let client = ApiClient::new(&format!("http://{}", server.told("api")), Some(account.api_key));
    ask(&client, 9_000_000, WARM_UP, rate).await?;
    carrier.wait_for(WARM_UP as usize).await;
    carrier.forget();
    let mut commits = floor(dir)?;
    let asked = ask(&client, 0, calls, rate).await?;
    carrier.wait_for(calls as usize).await;
    commits.extend(floor(dir)?);
    let invited = carrier.invited.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let to_invite = asked.iter().filter_map(|asked| {
        let invited = invited.get(&asked.number)?;
        Some(invited.saturating_duration_since(asked.at))
    });
    let to_invite = Spread::of(to_invite.collect());
    let commit_ms = Spread::of(commits);
    let memory_bytes_max = server.memory_bytes_max();
    server.stop().await?;
    Ok(Delays {
        database,
        calls,
        calls_per_second: rate,
        invited: invited.len(),
        asked_to_invite_ms: to_invite,
        asked_to_answer_ms: Spread::of(asked.iter().map(|asked| asked.took).collect()),
        commit_ms,
        ratio_to_two_commits: to_invite.p50 / (2.0 * commit_ms.p50).max(f64::EPSILON),
        memory_bytes_max,
        load_1m: load_1m(),
    })
}

impl Delays {
    /// Whether each call was made.
    pub(super) const fn is_whole(&self) -> bool {
        self.invited == self.calls as usize
    }

    /// The figures in words.
    pub(super) fn show(&self) -> String {
        let spread = |name: &str, spread: &Spread| {
            let Spread { p50, p99, max } = spread;
            format!("  {name:<28} p50 {p50:>7.1} ms   p99 {p99:>7.1} ms   max {max:>7.1} ms\n")
        };
        format!(
            "\n{}: {} of {} calls at {} a second, load {:.1}\n{}{}{}  {:.1} times two commits; \
             {:.0} MB memory at most\n",
            self.database,
            self.invited,
            self.calls,
            self.calls_per_second,
            self.load_1m,
            spread("request to INVITE", &self.asked_to_invite_ms),
            spread("request to answer", &self.asked_to_answer_ms),
            spread("a commit on this disk", &self.commit_ms),
            self.ratio_to_two_commits,
            self.memory_bytes_max as f64 / 1e6
        )
    }
}

/// A call that was asked for.
struct Asked {
    number: String,
    at: Instant,
    took: Duration,
}

/// Asks for `calls` calls, `rate` a second, however long each answer takes.
async fn ask(client: &ApiClient, first: u32, calls: u32, rate: u32) -> Result<Vec<Asked>> {
    let mut ticks = interval(Duration::from_secs(1) / rate.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut requests = JoinSet::new();
    for nth in 0..calls {
        ticks.tick().await;
        let (client, number) = (client.clone(), format!("+1555{:07}", first + nth));
        requests.spawn(async move {
            let body = json!({ "number": number, "say": "Hello." });
            let at = Instant::now();
            let answer = client.post_json("/v1/calls", &body).await?;
            let took = at.elapsed();
            if answer.status != 201 {
                bail!("a call was not taken: {}", answer.body);
            }
            Ok(Asked { number, at, took })
        });
    }
    let mut asked = Vec::with_capacity(calls as usize);
    while let Some(done) = requests.join_next().await {
        asked.push(done.context("a request ended by a panic")??);
    }
    Ok(asked)
}

impl BusyCarrier {
    async fn start() -> Result<Self> {
        let socket = UdpSocket::bind(ANY_PORT).await?;
        let address = socket.local_addr()?;
        let invited = Arc::new(Mutex::new(HashMap::new()));
        let ours = Arc::clone(&invited);
        let mut answering = JoinSet::new();
        answering.spawn(async move {
            let mut bytes = vec![0; SIP_BYTES_MAX];
            while let Ok((length, from)) = socket.recv_from(&mut bytes).await {
                let at = Instant::now();
                let text = String::from_utf8_lossy(&bytes[..length]);
                let Some((number, answer)) = busy(&text) else { continue };
                if let Some(number) = number {
                    let mut invited = ours.lock().unwrap_or_else(PoisonError::into_inner);
                    invited.entry(number).or_insert(at);
                }
                // Whoever does not hear it asks again.
                let _ = socket.send_to(answer.as_bytes(), from).await;
            }
        });
        Ok(Self { address, invited, _answering: answering })
    }

    /// Waits until so many were called, or it takes too long.
    async fn wait_for(&self, many: usize) {
        let count = || self.invited.lock().unwrap_or_else(PoisonError::into_inner).len();
        let all = async {
            while count() < many {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LAST_WAIT_MAX, all).await.ok();
    }

    fn forget(&self) {
        self.invited.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// The answer to a request, and the number that it calls where it is an INVITE; `None` for ACK and
/// what is no request.
fn busy(text: &str) -> Option<(Option<String>, String)> {
    let (method, rest) = text.split_once(' ')?;
    if method == "ACK" || method.starts_with("SIP/") {
        return None;
    }
    let is_invite = method == "INVITE";
    let status = if is_invite { "486 Busy Here" } else { "200 OK" };
    let mut answer = format!("SIP/2.0 {status}\r\n");
    for line in text.lines().skip(1).take_while(|line| !line.is_empty()) {
        let name = line.split(':').next().unwrap_or_default().trim();
        let tag = if name.eq_ignore_ascii_case("to") && !line.contains(";tag=") {
            ";tag=busy"
        } else {
            ""
        };
        let kept = ["via", "from", "to", "call-id", "cseq"];
        if kept.iter().any(|kept| name.eq_ignore_ascii_case(kept)) {
            answer.push_str(&format!("{line}{tag}\r\n"));
        }
    }
    answer.push_str("Content-Length: 0\r\n\r\n");
    let number = rest.strip_prefix("sip:").and_then(|rest| rest.split(['@', ';', ' ']).next());
    Some((number.filter(|_| is_invite).map(str::to_owned), answer))
}

/// How long a page takes to be sure on the disk of `dir`, time and again.
fn floor(dir: &Path) -> Result<Vec<Duration>> {
    let path = dir.join("floor");
    let mut file = File::create(&path)?;
    let page = [7_u8; FLOOR_BYTES];
    // As a log does: space that is there is written over.
    for _ in 0..FLOOR_COMMITS {
        file.write_all(&page)?;
    }
    file.sync_all()?;
    file.seek(SeekFrom::Start(0))?;
    let mut took = Vec::with_capacity(FLOOR_COMMITS);
    for _ in 0..FLOOR_COMMITS {
        let begun = Instant::now();
        file.write_all(&page)?;
        file.sync_data()?;
        took.push(begun.elapsed());
    }
    std::fs::remove_file(&path)?;
    Ok(took)
}

impl Spread {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: usize| {
            let nth = (times.len() * share / 1_000).min(times.len().saturating_sub(1));
            times.get(nth).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
        };
        Self { p50: at(500), p99: at(990), max: at(1_000) }
    }
}

/// How many want the machine's processors, over the last minute.
fn load_1m() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invite_is_answered_as_busy_and_its_number_is_told() {
        let invite = "INVITE sip:+15550000007@127.0.0.1:5060 SIP/2.0\r\nVia: v\r\nFrom: f\r\n\
                      To: <sip:t>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\n\r\nv=0";
        let (number, answer) = busy(invite).unwrap();
        assert_eq!(number.as_deref(), Some("+15550000007"));
        assert_eq!(
            answer,
            "SIP/2.0 486 Busy Here\r\nVia: v\r\nFrom: f\r\nTo: <sip:t>;tag=busy\r\nCall-ID: c\r\n\
             CSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        assert!(busy("ACK sip:x SIP/2.0\r\n\r\n").is_none());
        assert_eq!(busy("OPTIONS sip:x SIP/2.0\r\n\r\n").unwrap().0, None);
    }

    #[test]
    fn spread_names_the_middle_the_hundredth_and_the_last() {
        let spread = Spread::of((1..=200).map(Duration::from_millis).collect());
        assert_eq!(spread, Spread { p50: 101.0, p99: 199.0, max: 200.0 });
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }
}
