//! How many calls the media threads carry: plays to a counting far end and prints figures as JSON.
//!
//! `media_load STREAMS SECONDS [--echo] [--pin] [--threads N]`: the far end is a process of its own,
//! so that only our CPU is counted (loopback charges us the far end's receiving all the same). With
//! `--echo` it sends every packet back, as a callee who speaks all the time. With `--pin` we have
//! the first core and the far end the second; else the scheduler may put both on one, where each
//! packet that arrives takes the core from the thread that paces the next.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use engine::clock::Clock;
use engine::rtp_io::{MediaConfig, MediaEngine, MediaEvent, PlayItem, Stream};
use media::g711::Law;
use media::playlist::{Bargein, Playable};
use media::sound::Encoded;
use proto::rtp::{Codec, Learning, Terms};
use script::step::PlayId;

/// Buckets of the far end's histogram a millisecond.
const BUCKETS_A_MS: usize = 20;
/// Longest gap that is told apart, in milliseconds.
const GAP_MS_MAX: usize = 2_000;
/// Silence after which the far end has heard everything.
const QUIET: Duration = Duration::from_secs(1);
/// What the far end's socket may hold, so that its own pauses lose nothing.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let mut words = Vec::new();
    let (mut echo, mut pin, mut threads) = (false, false, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--echo" => echo = true,
            "--pin" => pin = true,
            "--threads" => threads = arguments.next().ok_or("--threads N")?.parse()?,
            _ => words.push(argument),
        }
    }
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["far-end"] => far_end(echo),
        [streams, seconds] => {
            let (streams, seconds) = (streams.parse()?, seconds.parse()?);
            play(&Load { streams, seconds, threads, echo, pin })
        }
        _ => Err("usage: media_load STREAMS SECONDS [--echo] [--pin] [--threads N]".into()),
    }
}

/// What is to be carried, and how.
struct Load {
    streams: usize,
    seconds: u64,
    threads: usize,
    echo: bool,
    pin: bool,
}

/// Plays a prompt in so many streams for so long, and prints the figures of both sides.
fn play(load: &Load) -> Result<(), Failure> {
    let Load { streams: count, seconds, threads, echo, pin } = *load;
    let mut far_end = start_far_end(echo)?;
    if pin {
        pin_to(std::process::id(), "0")?;
        pin_to(far_end.id(), "1")?;
    }
    let mut told = BufReader::new(far_end.stdout.take().ok_or("far end has no output")?);
    let mut line = String::new();
    told.read_line(&mut line)?;
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, line.trim().parse()?));

    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let clock = Clock::new();
    let config = MediaConfig { threads, ..MediaConfig::new(here, here, 1) };
    let engine = MediaEngine::start(config, clock.clone())?;
    let bytes = (0..seconds * 8_000).map(|at| (at * at / 7) as u8).collect();
    let sound = Playable::Audio(Encoded::new(Law::Mu, bytes));
    let terms = Terms {
        learning: Learning::Never,
        remote_rtcp: None,
        ..Terms::new(to, Codec::Pcmu, Some(101))
    };
    let opening = clock.instant();
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = engine.open()?;
        stream.connect(terms);
        stream.play(PlayId(0), vec![PlayItem { sound: sound.clone(), bargein: Bargein::Allowed }]);
        streams.push(stream);
    }
    let opened = clock.instant() - opening;

    let (cpu_before, begun) = (cpu()?, clock.instant());
    engine.load();
    let ended = wait_for_all(&mut streams)?;
    let (cpu, wall) = (cpu()? - cpu_before, clock.instant() - begun);
    let load = engine.load();
    drop(streams);
    let mut far_figures = String::new();
    told.read_to_string(&mut far_figures)?;
    far_end.wait()?;
    println!(
        "{{\"streams\":{count},\"threads\":{threads},\"echo\":{echo},\"pin\":{pin},\"ended\":{ended},\
         \"wall_s\":{:.2},\"cpu_s\":{:.3},\"cpu_s_per_1000_stream_s\":{:.4},\
         \"open_us_per_stream\":{:.1},\"slot_late_max_ms\":{:.2},\"slots_late_percent\":{:.2},\
         {}}}",
        wall.as_secs_f64(),
        cpu.as_secs_f64(),
        cpu.as_secs_f64() * 1_000.0 / (count as f64 * wall.as_secs_f64()),
        opened.as_secs_f64() * 1e6 / count as f64,
        load.late_max.as_secs_f64() * 1e3,
        load.slots_late as f64 * 100.0 / load.slots.max(1) as f64,
        far_figures.trim(),
    );
    Ok(())
}

fn wait_for_all(streams: &mut [Stream]) -> Result<usize, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut ended = 0;
        for stream in streams {
            while let Some(event) = stream.next().await {
                match event {
                    MediaEvent::PlayEnded(_) => break,
                    MediaEvent::Failed(failure) => return Err(failure.into()),
                    MediaEvent::Key(_)
                    | MediaEvent::KeysSent
                    | MediaEvent::MarkReached(..)
                    | MediaEvent::RemoteHeard
                    | MediaEvent::RemoteSilent => {}
                }
            }
            ended += 1;
        }
        Ok(ended)
    })
}

/// CPU time of all threads of this process so far.
fn cpu() -> Result<Duration, Failure> {
    let mut nanos = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        nanos += text.split(' ').next().unwrap_or_default().parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanos))
}

fn start_far_end(echo: bool) -> Result<Child, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("far-end").stdout(Stdio::piped());
    if echo {
        command.arg("--echo");
    }
    Ok(command.spawn()?)
}

/// Lets a process run on one core only; by util-linux's own program, since the call is unsafe.
fn pin_to(process: u32, core: &str) -> Result<(), Failure> {
    let mut taskset = Command::new("taskset");
    taskset.args(["-acp", core, &process.to_string()]).stdout(Stdio::null());
    if taskset.status()?.success() { Ok(()) } else { Err("taskset failed".into()) }
}

/// Counts what comes, by stream, until nothing more does; prints its port first and figures last.
fn far_end(echo: bool) -> Result<(), Failure> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    println!("{}", socket.local_addr()?.port());
    socket.set_read_timeout(Some(QUIET))?;
    let clock = Clock::new();
    let mut last: HashMap<SocketAddr, (Instant, u16)> = HashMap::new();
    let mut gaps = vec![0u64; GAP_MS_MAX * BUCKETS_A_MS];
    let (mut packets, mut lost) = (0u64, 0u64);
    let mut buffer = [0; 2_048];
    loop {
        let (bytes, from) = match socket.recv_from(&mut buffer) {
            Ok(received) => received,
            Err(_) if packets > 0 => break,
            Err(_) => continue,
        };
        let now = clock.instant();
        packets += 1;
        let sequence = u16::from_be_bytes([buffer[2], buffer[3]]);
        if let Some((before, number)) = last.insert(from, (now, sequence)) {
            let bucket = (now - before).as_micros() as usize * BUCKETS_A_MS / 1_000;
            gaps[bucket.min(GAP_MS_MAX * BUCKETS_A_MS - 1)] += 1;
            lost += u64::from(sequence.wrapping_sub(number).wrapping_sub(1));
        }
        if echo {
            // What does not fit into the stream's socket is lost, as on any network.
            let _ = socket.send_to(&buffer[..bytes], from);
        }
    }
    let count: u64 = gaps.iter().sum();
    let quantile = |share: f64| {
        let wanted = (count as f64 * share).ceil() as u64;
        let mut seen = 0;
        let bucket = gaps.iter().position(|gaps| {
            seen += gaps;
            seen >= wanted
        });
        bucket.unwrap_or_default() as f64 / BUCKETS_A_MS as f64
    };
    println!(
        "\"packets\":{packets},\"lost\":{lost},\"gap_p50_ms\":{:.2},\"gap_p99_ms\":{:.2},\
         \"gap_p999_ms\":{:.2},\"gap_max_ms\":{:.2}",
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        quantile(1.0),
    );
    Ok(())
}
