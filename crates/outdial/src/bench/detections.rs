//! Many calls answered at once and listened to: whether each is told right, when, and at what cost.
//!
//! The simulated carrier rings each phone for so long that all are picked up within a moment, and
//! lets a recording of our own making be heard. The same calls are made twice, with and without
//! detection: what detection costs is the difference.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use media::sound::Sound;
use media::tone::{Generator, Sit, Tone};
use media::wav::Packing;
use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore as _, SeedableRng as _};
use serde::Serialize;
use serde_json::{Value, json};

use super::menu::load;
use crate::client::ApiClient;
use crate::stage::{ANY_PORT, CALL_TIME_MAX_S, Running, ServerPlan};
use crate::terminal::table;

/// Calls dialed a second; phones that ring later ring shorter.
const DIALED_A_SECOND: u32 = 100;
/// How long the phone that is called last rings.
const LAST_RINGS: Duration = Duration::from_secs(4);
/// How long each call lasts where nothing ends it: longer than any verdict takes.
const CALL_LASTS_S: u32 = 12;
/// Longest wait for all calls to end, beyond what they should take.
const LATE_MAX: Duration = Duration::from_secs(120);
/// How often it is looked whether they have.
const LOOK_PERIOD: Duration = Duration::from_millis(500);
/// Calls asked for at the same time.
const REQUESTS_AT_ONCE: usize = 8;
/// Samples of a second.
const RATE_HZ: usize = media::RATE_HZ as usize;

/// The figures; documented in docs/reports.md, they stay stable.
#[derive(Debug, Serialize)]
pub(super) struct Detections {
    calls: u32,
    /// Most calls that were up in the same second while they were listened to.
    calls_at_once: usize,
    /// Within which time nine of ten were answered.
    answered_within_s: f64,
    right: usize,
    kinds: BTreeMap<&'static str, Tally>,
    /// CPU of the server for a second of a call, with and without detection, in milliseconds; all
    /// else a call costs is in both.
    cpu_ms_per_call_second: f64,
    cpu_ms_per_call_second_without: f64,
    /// CPU of the server over the whole run, in processors.
    cpu_share: f64,
    memory_bytes_max: u64,
    load_1m: f64,
}

/// How callees of one kind were told.
#[derive(Debug, Default, Serialize)]
struct Tally {
    calls: usize,
    right: usize,
    decided_s_median: f64,
    decided_s_p95: f64,
    /// What the others were told to be.
    wrong: BTreeMap<String, usize>,
    #[serde(skip)]
    decided_s: Vec<f64>,
}

/// Who answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Person,
    Machine,
    Fax,
    Vacant,
    Busy,
}

/// One run of all calls.
struct Run {
    calls: Vec<Value>,
    cpu_s: f64,
    took_s: f64,
    memory_bytes_max: u64,
    load_1m: f64,
}

/// Makes `calls` calls twice, with and without detection.
pub(super) async fn measure(calls: u32, dir: &Path) -> Result<Detections> {
    println!("{calls} calls answered at once, nobody listens");
    let without = run(calls, false, &dir.join("without")).await?;
    println!("{calls} calls answered at once, each is listened to");
    let with = run(calls, true, &dir.join("with")).await?;
    Ok(Detections::of(calls, &with, &without))
}

/// What the callee of the nth call is.
const fn who(nth: u32) -> Who {
    match nth % 20 {
        0..=9 => Who::Person,
        10..=16 => Who::Machine,
        17 => Who::Fax,
        18 => Who::Vacant,
        _ => Who::Busy,
    }
}

fn number(nth: u32) -> String {
    format!("1555{nth:07}")
}

async fn run(calls: u32, is_on: bool, dir: &Path) -> Result<Run> {
    std::fs::create_dir_all(dir)?;
    let dir = dir.canonicalize()?;
    write_callees(calls, &dir)?;
    let habits = dir.join("habits.toml").display().to_string();
    // Without a record: it is made sure on disk line by line, which would be what is measured.
    let arguments = ["lab", "carrier", "--bind", ANY_PORT, "--habits", &habits];
    let carrier = Running::start(&dir, "carrier", &arguments, None).await?;
    let plan = ServerPlan {
        dir: dir.clone(),
        trunk: carrier.told("sip").to_owned(),
        slots: calls,
        calls_per_second: DIALED_A_SECOND,
        ring_time_max_s: 120,
        api: ANY_PORT.into(),
        sip: ANY_PORT.into(),
        store_url: None,
        call_time_max_s: CALL_TIME_MAX_S,
    };
    let account = plan.prepare("bench").await?;
    let server = plan.serve(None).await?;
    let client = ApiClient::new(&format!("http://{}", server.told("api")), Some(account.api_key));
    let clock = engine::clock::Clock::new();
    let (begun, before) = (clock.instant(), server.cpu_s());
    let ids = ask(&client, calls, is_on).await?;
    let expected = Duration::from_secs(u64::from(calls / DIALED_A_SECOND + CALL_LASTS_S));
    tokio::time::timeout(expected + LAST_RINGS + LATE_MAX, until_over(&client, &ids))
        .await
        .context("calls do not end")??;
    let took_s = clock.instant().duration_since(begun).as_secs_f64();
    let cpu_s = server.cpu_s() - before;
    let load_1m = load();
    let mut ended = Vec::with_capacity(ids.len());
    for id in &ids {
        ended.push(call(&client, id).await?);
    }
    let memory_bytes_max = server.memory_bytes_max();
    server.stop().await?;
    carrier.stop().await?;
    Ok(Run { calls: ended, cpu_s, took_s, memory_bytes_max, load_1m })
}

/// What callees say, and how long their phones ring: the first the longest.
fn write_callees(calls: u32, dir: &Path) -> Result<()> {
    let mut habits = String::new();
    for nth in 0..calls {
        let file = dir.join(format!("{:?}-{}.wav", who(nth), nth % 40));
        if nth < 40 {
            let samples = recording(who(nth), u64::from(nth));
            let sound = Sound::new(media::RATE_HZ, samples).context("a recording is no sound")?;
            std::fs::write(&file, media::wav::write(&sound, Packing::Pcm16))?;
        }
        let left = Duration::from_secs(1) / DIALED_A_SECOND * (calls - 1 - nth);
        habits.push_str(&format!(
            "[[callee]]\nnumber = '{}'\ndoes = ['plays']\nplays = '{}'\nring_after_ms = 0\n\
             ring_ms = {}\n",
            number(nth),
            file.display(),
            (left + LAST_RINGS).as_millis(),
        ));
    }
    Ok(std::fs::write(dir.join("habits.toml"), habits)?)
}

/// What is heard of a callee; the seed says how long each part of it is.
fn recording(who: Who, seed: u64) -> Vec<i16> {
    let mut bits = seed;
    let mut between = |least: usize, most: usize| {
        bits = scatter(bits);
        least + (bits % (most - least) as u64) as usize
    };
    match who {
        Who::Person => {
            let mut sound = vec![0; between(200, 900) * 8];
            sound.extend(voice(between(350, 900), seed));
            sound
        }
        Who::Machine => {
            let mut sound = vec![0; between(100, 600) * 8];
            sound.extend(voice(between(6_000, 7_500), seed));
            sound.extend([0; RATE_HZ / 2]);
            sound.extend(tone(Tone::beep(1_000.0, Duration::from_millis(400)), 400));
            sound
        }
        Who::Fax => tone(Tone::ced(), 3_000),
        Who::Vacant => tone(Tone::sit(Sit::VacantCode), 1_200),
        Who::Busy => tone(Tone::busy(), 8_000),
    }
}

/// Bits that follow these and look like chance.
fn scatter(bits: u64) -> u64 {
    SplitMix64::seed_from_u64(bits).next_u64()
}

fn tone(tone: Tone, ms: usize) -> Vec<i16> {
    let mut samples = vec![0; ms * 8];
    Generator::new(tone).fill(&mut samples);
    samples
}

/// Sound like speech: four syllables a second of a voice whose pitch and vowels change.
fn voice(ms: usize, seed: u64) -> Vec<i16> {
    let (mut bits, mut phase, mut before) = (seed, 0.0_f32, usize::MAX);
    let mut vowel = (500.0_f32, 1_500.0_f32);
    let sample = |at: usize| {
        let time_s = at as f32 / RATE_HZ as f32;
        let (syllable, part) = ((time_s * 4.0) as usize, (time_s * 4.0).fract());
        if syllable != before {
            (before, bits) = (syllable, scatter(bits));
            vowel = (350.0 + (bits % 400) as f32, 1_000.0 + (bits >> 16 & 0x3ff) as f32);
        }
        let pitch = 120.0 + 40.0 * (time_s * 2.3).sin() + 25.0 * (part * 3.0).cos();
        phase += std::f32::consts::TAU * pitch / RATE_HZ as f32;
        let near = |hz: f32, formant: f32| 1.0 / (1.0 + ((hz - formant) / 120.0).powi(2));
        let harmonic = |nth: f32| {
            let strength = near(nth * pitch, vowel.0) + 0.5 * near(nth * pitch, vowel.1);
            strength * (phase * nth).sin()
        };
        let voiced: f32 = (1..=20_u8).map(|nth| harmonic(f32::from(nth))).sum();
        let swell = (part * std::f32::consts::PI).sin().max(0.0).powf(0.7);
        (voiced * swell * 2_600.0).clamp(-32_000.0, 32_000.0) as i16
    };
    (0..ms * 8).map(sample).collect()
}

/// Says nothing, and ends after a while.
fn script() -> String {
    format!(
        "<?xml version=\"1.0\"?><vxml version=\"2.0\" xmlns=\"http://www.w3.org/2001/vxml\">\
         <form><field name=\"key\" type=\"digits?length=1\">\
         <property name=\"timeout\" value=\"{CALL_LASTS_S}s\"/>\
         <noinput><exit/></noinput></field></form></vxml>"
    )
}

/// Asks for all calls, in the order in which they are to be dialed; their ids.
async fn ask(client: &ApiClient, calls: u32, is_on: bool) -> Result<Vec<String>> {
    let mut ids = Vec::with_capacity(calls as usize);
    let numbers: Vec<u32> = (0..calls).collect();
    for some in numbers.chunks(REQUESTS_AT_ONCE) {
        let mut requests = tokio::task::JoinSet::new();
        for nth in some.iter().copied() {
            let client = client.clone();
            let mut body = json!({
                "number": format!("+{}", number(nth)), "document": script(),
                "retry": { "attempts_max": 1 },
            });
            if is_on {
                body["detection"] = json!({ "start": "at_once" });
            }
            requests.spawn(async move {
                let call = client.post_json("/v1/calls", &body).await?.json()?;
                Ok((nth, call["id"].as_str().context("a call has an id")?.to_owned()))
            });
        }
        let mut taken: Vec<(u32, String)> =
            requests.join_all().await.into_iter().collect::<Result<_>>()?;
        taken.sort_unstable();
        ids.extend(taken.into_iter().map(|(_, id)| id));
    }
    Ok(ids)
}

async fn call(client: &ApiClient, id: &str) -> Result<Value> {
    client.get(&format!("/v1/calls/{id}")).await?.json()
}

/// Waits until all calls are over: the last ones first, for they end last.
async fn until_over(client: &ApiClient, ids: &[String]) -> Result<()> {
    for id in ids.iter().rev() {
        while call(client, id).await?["ended_at"].is_null() {
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }
    Ok(())
}

/// Seconds since 1970 of a time such as `2026-11-21T18:40:27.123Z`.
fn seconds(time: &Value) -> Option<f64> {
    let time: jiff::Timestamp = time.as_str()?.parse().ok()?;
    Some(time.as_millisecond() as f64 / 1_000.0)
}

/// When a call was answered and when it ended, in seconds since 1970.
fn talk(call: &Value) -> Option<(f64, f64)> {
    let attempt = &call["attempts"][0];
    Some((seconds(&attempt["answered_at"])?, seconds(&attempt["ended_at"])?))
}

/// What was said of a callee in the end, and how long after the answer.
fn told(call: &Value) -> (String, Option<f64>) {
    let said = match call["callee_type"].as_str() {
        Some(callee) => callee.to_owned(),
        None => call["outcome"].as_str().unwrap_or("nothing").to_owned(),
    };
    let events = call["events"].as_array().into_iter().flatten();
    let detected = events.filter(|event| event["kind"] == "callee_detected");
    let last =
        detected.filter_map(|event| event["detail"].as_str()).next_back().unwrap_or_default();
    let ms = last.rsplit_once(" after ").and_then(|(_, ms)| ms.split(' ').next()?.parse().ok());
    (said, ms.map(|ms: f64| ms / 1_000.0))
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Machine => "machine",
            Self::Fax => "fax",
            Self::Vacant => "vacant_number",
            Self::Busy => "busy_tone",
        }
    }

    /// What is to be said of it.
    const fn is_told(self) -> &'static str {
        match self {
            Self::Person => "human",
            Self::Machine => "machine",
            Self::Fax => "fax",
            Self::Vacant => "intercepted",
            Self::Busy => "busy",
        }
    }
}

impl Run {
    /// Seconds that all calls were up, added.
    fn call_seconds(&self) -> f64 {
        self.calls.iter().filter_map(talk).map(|(from, until)| until - from).sum()
    }

    fn cpu_ms_per_call_second(&self) -> f64 {
        self.cpu_s * 1_000.0 / self.call_seconds().max(f64::EPSILON)
    }

    fn answered_within_s(&self) -> f64 {
        let mut answered: Vec<f64> =
            self.calls.iter().filter_map(talk).map(|talk| talk.0).collect();
        answered.sort_by(f64::total_cmp);
        let at = |share: usize| answered.get(answered.len() * share / 100).copied();
        at(95).zip(at(5)).map_or(f64::INFINITY, |(late, early)| late - early)
    }

    /// Most calls up at the same moment.
    fn at_once(&self) -> usize {
        let talks: Vec<(f64, f64)> = self.calls.iter().filter_map(talk).collect();
        let up = |at: f64| talks.iter().filter(|(from, until)| *from <= at && at < *until).count();
        talks.iter().map(|(from, _)| up(*from)).max().unwrap_or_default()
    }
}

impl Detections {
    fn of(calls: u32, with: &Run, without: &Run) -> Self {
        let mut kinds = BTreeMap::<&'static str, Tally>::new();
        for (nth, call) in (0..calls).zip(&with.calls) {
            kinds.entry(who(nth).name()).or_default().add(who(nth), call);
        }
        kinds.values_mut().for_each(Tally::close);
        Self {
            calls,
            calls_at_once: with.at_once(),
            answered_within_s: with.answered_within_s(),
            right: kinds.values().map(|tally| tally.right).sum(),
            kinds,
            cpu_ms_per_call_second: with.cpu_ms_per_call_second(),
            cpu_ms_per_call_second_without: without.cpu_ms_per_call_second(),
            cpu_share: with.cpu_s / with.took_s.max(f64::EPSILON),
            memory_bytes_max: with.memory_bytes_max,
            load_1m: with.load_1m,
        }
    }

    /// Whether each callee was told right.
    pub(super) const fn is_right(&self) -> bool {
        self.right == self.calls as usize
    }

    /// The figures in words.
    pub(super) fn show(&self) -> String {
        let row = |(name, tally): (&&'static str, &Tally)| {
            let wrong: Vec<String> =
                tally.wrong.iter().map(|(said, count)| format!("{said} {count}")).collect();
            vec![
                (*name).to_owned(),
                tally.calls.to_string(),
                tally.right.to_string(),
                format!("{:.2} s", tally.decided_s_median),
                format!("{:.2} s", tally.decided_s_p95),
                wrong.join(", "),
            ]
        };
        let rows: Vec<Vec<String>> = self.kinds.iter().map(row).collect();
        let head = ["who answered", "calls", "told right", "decided p50", "p95", "else told"];
        format!(
            "\n{}\n  {} of {} told right; {} calls at once, nine of ten answered within {:.1} s\n  \
             CPU for a second of a call: {:.2} ms, {:.2} ms without detection; {:.2} processors; \
             {:.0} MB memory at most; load {:.1}\n",
            table(&head, &rows),
            self.right,
            self.calls,
            self.calls_at_once,
            self.answered_within_s,
            self.cpu_ms_per_call_second,
            self.cpu_ms_per_call_second_without,
            self.cpu_share,
            self.memory_bytes_max as f64 / 1e6,
            self.load_1m,
        )
    }
}

impl Tally {
    fn add(&mut self, who: Who, call: &Value) {
        let (said, decided_s) = told(call);
        self.calls += 1;
        if said == who.is_told() {
            self.right += 1;
            self.decided_s.extend(decided_s);
        } else {
            *self.wrong.entry(said).or_default() += 1;
        }
    }

    fn close(&mut self) {
        self.decided_s.sort_by(f64::total_cmp);
        let at = |share: usize| {
            let nth = (self.decided_s.len() * share / 100).min(self.decided_s.len().max(1) - 1);
            self.decided_s.get(nth).copied().unwrap_or_default()
        };
        (self.decided_s_median, self.decided_s_p95) = (at(50), at(95));
    }
}

#[cfg(test)]
mod tests {
    use media::classify::MODEL;
    use media::classify::trial::{listen, settings};

    use super::*;

    fn ended(from: &str, until: &str, more: &Value) -> Value {
        let mut call = json!({
            "attempts": [{ "answered_at": from, "ended_at": until }],
            "callee_type": null, "outcome": "busy", "events": [],
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            call[name] = value.clone();
        }
        call
    }

    #[test]
    fn every_recording_is_told_for_what_it_is() {
        let start = engine::clock::Clock::new().instant();
        for nth in 0..40 {
            let mut samples = recording(who(nth), u64::from(nth));
            samples.extend(vec![0; RATE_HZ * 7]);
            let callee = listen(&samples, settings(), &MODEL, start, None).verdict.callee.name();
            let is_told = match who(nth) {
                Who::Vacant => "sit",
                who => who.is_told(),
            };
            assert_eq!(callee, is_told, "{nth}");
        }
    }

    #[test]
    fn figures_count_who_was_told_right_when_and_how_many_were_up() {
        let detected = json!([
            { "kind": "callee_detected", "detail": "machine 60% after 900 ms" },
            { "kind": "callee_detected", "detail": "human 97% after 1500 ms" },
        ]);
        let human = json!({ "callee_type": "human", "events": detected });
        let run = |cpu_s: f64| Run {
            calls: vec![
                ended("2026-11-21T23:59:50.000Z", "2026-11-22T00:00:00.000Z", &human),
                ended("2026-11-21T23:59:55.500Z", "2026-11-22T00:00:05.500Z", &json!({})),
            ],
            cpu_s,
            took_s: 10.0,
            memory_bytes_max: 1,
            load_1m: 0.0,
        };
        let figures = Detections::of(2, &run(1.0), &run(0.5));
        assert_eq!((figures.right, figures.calls_at_once), (1, 2));
        assert!(!figures.is_right());
        let people = &figures.kinds["person"];
        assert_eq!((people.calls, people.right, people.decided_s_median), (2, 1, 1.5));
        assert_eq!(people.wrong.get("busy"), Some(&1));
        assert!((figures.cpu_ms_per_call_second - 50.0).abs() < 1e-6);
        assert!((figures.cpu_ms_per_call_second_without - 25.0).abs() < 1e-6);
        assert!((figures.answered_within_s - 5.5).abs() < 1e-6);
    }
}
