//! Who is at the other ends of the bench: sipp as callee and as caller, and a customer.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::routing::get;
use indicatif::ProgressBar;
use tokio::net::{TcpListener, UdpSocket};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::stage::cpu_s;

/// Answers at once and waits for BYE; `[ear]` is where it wants its audio.
const CALLEE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<scenario name="answers">
  <recv request="INVITE"/>
  <send><![CDATA[
SIP/2.0 180 Ringing
[last_Via:]
[last_From:]
[last_To:];tag=[pid]SIPp[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
Content-Length: 0

]]></send>
  <send retrans="500"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[pid]SIPp[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=callee 1 1 IN IP4 127.0.0.1
s=-
c=IN IP4 127.0.0.1
t=0 0
m=audio EAR RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
]]></send>
  <recv request="ACK" optional="true"/>
  <recv request="BYE"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
</scenario>
"#;

/// sipp as the callee of all calls.
pub(super) struct FarEnd {
    port: u16,
    /// Lives as long as this does.
    _sipp: Child,
    /// Swallows audio that nobody measures.
    _sink: Option<UdpSocket>,
}

impl FarEnd {
    /// Starts; audio goes to `ear`, or nowhere.
    pub(super) async fn start(dir: &Path, ear: Option<u16>) -> Result<Self> {
        let (sink, ear) = match ear {
            Some(ear) => (None, ear),
            None => {
                let sink = UdpSocket::bind("127.0.0.1:0").await?;
                let port = sink.local_addr()?.port();
                (Some(sink), port)
            }
        };
        let scenario = dir.join("callee.xml");
        std::fs::write(&scenario, CALLEE.replace("EAR", &ear.to_string()))?;
        let (port, media_port) = (free_port().await?, free_port().await?);
        let sipp = sipp(dir)
            // Its usual port for audio may be taken by another sipp.
            .args(["-mp", &media_port.to_string()])
            .arg("-sf")
            .arg(&scenario)
            .args(["-i", "127.0.0.1", "-p", &port.to_string(), "-nostdin"])
            .args(["-buff_size", "8388608", "-timeout", "900s"])
            .spawn()
            .context("the bench needs sipp (Debian: sip-tester)")?;
        wait_bound(port).await?;
        Ok(Self { port, _sipp: sipp, _sink: sink })
    }

    /// Where it is called.
    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// sipp as a caller, to compare with.
pub(super) struct Caller {
    pub(super) calls: u32,
    pub(super) rate: u32,
    pub(super) talk: Duration,
}

impl Caller {
    /// Makes all calls; the CPU that it took, in seconds.
    pub(super) async fn run(&self, dir: &Path, far_end: &FarEnd) -> Result<f64> {
        // What children have used is added to ours when they have been waited for.
        let before = cpu_s("/proc/self/stat", &[15, 16]);
        let media_port = free_port().await?;
        let status = sipp(dir)
            .args(["-mp", &media_port.to_string()])
            .args(["-sn", "uac", &far_end.address(), "-i", "127.0.0.1", "-nostdin"])
            .args(["-r", &self.rate.to_string(), "-m", &self.calls.to_string()])
            .args(["-l", &(self.rate * 20).to_string()])
            .args(["-d", &self.talk.as_millis().to_string(), "-timeout", "600s"])
            .status()
            .await?;
        // 0: all calls went well; 1: at least one did not.
        if !matches!(status.code(), Some(0 | 1)) {
            bail!("sipp ended with {status}");
        }
        Ok(cpu_s("/proc/self/stat", &[15, 16]) - before)
    }
}

fn sipp(dir: &Path) -> Command {
    let mut command = Command::new("sipp");
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn free_port() -> Result<u16> {
    Ok(UdpSocket::bind("127.0.0.1:0").await?.local_addr()?.port())
}

/// Waits until somebody has the port.
async fn wait_bound(port: u16) -> Result<()> {
    for _ in 0..500 {
        if UdpSocket::bind(("127.0.0.1", port)).await.is_err() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bail!("sipp did not open its port")
}

/// A customer who counts results.
pub(super) struct Customer {
    address: std::net::SocketAddr,
    counted: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    results: AtomicU32,
    more: Notify,
}

impl Customer {
    /// Whose page says `text` once.
    pub(super) async fn serve(text: &str) -> Result<Self> {
        Self::serve_page(format!("<prompt>{text}</prompt>")).await
    }

    /// Whose page speaks for longer than any step takes.
    pub(super) async fn serve_long() -> Result<Self> {
        let text = "This call is one of many, and it is played as evenly as if it were alone. ";
        Self::serve_page(format!("<prompt>{}</prompt>", text.repeat(15))).await
    }

    async fn serve_page(prompt: String) -> Result<Self> {
        Self::serve_document(&format!("<form><block>{prompt}</block></form>")).await
    }

    /// Whose page has these dialogs.
    pub(super) async fn serve_document(dialogs: &str) -> Result<Self> {
        let page = format!(
            "<?xml version=\"1.0\"?><vxml version=\"2.0\" xmlns=\"http://www.w3.org/2001/vxml\">\
             {dialogs}</vxml>"
        );
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counted = Arc::new(Counted::default());
        let ours = Arc::clone(&counted);
        let result = move || {
            ours.results.fetch_add(1, Ordering::AcqRel);
            ours.more.notify_one();
            async { "completed" }
        };
        let start = move || async move { ([("content-type", "application/voicexml+xml")], page) };
        let router = Router::new()
            .route("/start", get(|| async { "ready" }).post(start))
            .route("/result", get(|| async { "ready" }).post(result));
        tokio::task::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { address, counted })
    }

    /// An address of its application.
    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits for `wanted` results.
    pub(super) async fn results(&self, wanted: u32, time_max: Duration) -> Result<()> {
        let got = self.results_shown(wanted, time_max, &ProgressBar::hidden()).await;
        if got < wanted { bail!("{got} of {wanted} results came") } else { Ok(()) }
    }

    /// Waits for `wanted` results, and shows how many there are; how many came.
    pub(super) async fn results_shown(
        &self,
        wanted: u32,
        time_max: Duration,
        bar: &ProgressBar,
    ) -> u32 {
        let all = async {
            loop {
                let got = self.counted.results.load(Ordering::Acquire);
                bar.set_position(u64::from(got));
                if got >= wanted {
                    return;
                }
                self.counted.more.notified().await;
            }
        };
        tokio::time::timeout(time_max, all).await.ok();
        self.counted.results.load(Ordering::Acquire)
    }
}
