//! What is heard: prompts as files and as speech, gap by gap, and keys on their way back.

use std::process::Stdio;
use std::time::Duration;

use media::align::{Alignment, align};
use media::g711::Law;
use media::sound::{Hint, Limits, Sound};
use media::wav::Packing;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::baresip::Baresip;
use crate::customer::{Customer, PLAYS_A_PROMPT, PLAYS_A_PROMPT_AND_STAYS, Reply, SAYS_NOTHING};
use crate::harness::{Stage, installed, until};
use crate::phone::{Ear, PCMU, Packet, Phone};
use crate::relay::Weather;
use crate::scene::{Expected, NUMBER, queue};
use crate::server::{Server, Settings};

/// Samples in a second.
const RATE_HZ: usize = 8_000;
/// Likeness of a recording to what was sent: mu-law alone costs less than a hundredth.
const ALIKE_MIN: f64 = 0.95;
/// Longest stretch that may be missing on a busy machine; on an idle one there is none.
const GAP_MAX: Duration = Duration::from_millis(120);
/// Longest pause between two packets on a busy machine; on an idle one it stays below 25 ms.
const PAUSE_MAX: Duration = Duration::from_millis(400);
/// What is spoken.
const TEXT: &str = "Your appointment is tomorrow at nine. Please bring all your papers with you.";

/// A sound that resembles itself nowhere: noise of changing colour and loudness.
pub(crate) fn prompt(seed: u32, seconds: usize) -> Vec<i16> {
    let (mut state, mut slow) = (seed.wrapping_mul(2_654_435_761) | 1, 0.0_f64);
    let sample = |at: usize| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let noise = f64::from(state) / f64::from(u32::MAX) - 0.5;
        let time_s = at as f64 / RATE_HZ as f64;
        slow += (noise - slow) * (0.35 + 0.2 * (time_s * 3.1).sin());
        (slow * 16_000.0 * (1.2 + (time_s * 5.3).sin())) as i16
    };
    (0..seconds * RATE_HZ).map(sample).collect()
}

/// A recording as file.
pub(crate) fn wav(samples: &[i16]) -> Vec<u8> {
    let sound = Sound::new(RATE_HZ as u32, samples.to_vec()).unwrap();
    media::wav::write(&sound, Packing::Pcm16)
}

/// The same text by the same program, run by ourselves.
pub(crate) async fn spoken(text: &str) -> Vec<i16> {
    let mut child = Command::new(installed("espeak-ng"))
        .args(["--stdin", "--stdout", "-b", "1", "-s", "160", "-v", "en-us"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).await.unwrap();
    telephone(&child.wait_with_output().await.unwrap().stdout)
}

/// Text by a synthesizer made of recordings, which is nearer to what machines speak with.
pub(crate) async fn voiced(text: &str) -> Vec<i16> {
    let said = Command::new(installed("flite"))
        .args(["-voice", "rms", "-t", text, "-o", "/dev/stdout"])
        .output()
        .await
        .unwrap();
    telephone(&said.stdout)
}

/// A recording as a telephone hears it.
fn telephone(wav: &[u8]) -> Vec<i16> {
    let sound = Sound::read(wav, Hint::default(), &Limits::default()).unwrap();
    sound.at_rate(RATE_HZ as u32).unwrap().samples().to_vec()
}

/// Checks that a recording holds all of what was sent, and prints how it is.
pub(crate) fn check(what: &str, sent: &[i16], heard: &[i16]) -> Alignment {
    let alignment = check_like(what, sent, heard, ALIKE_MIN);
    assert!(alignment.gap() <= GAP_MAX, "{what}: {:?} are missing", alignment.gap());
    alignment
}

/// The same for codecs that keep the sound rather than its shape, of which gaps say little.
pub(crate) fn check_like(what: &str, sent: &[i16], heard: &[i16], alike_min: f64) -> Alignment {
    let alignment = align(sent, heard).unwrap_or_else(|| panic!("{what}: nothing was heard"));
    let Alignment { offset, correlation, .. } = alignment;
    println!(
        "{what}: correlation {correlation:.4}, longest gap {:?}, largest shift {:?}, \
         begins at {:.2} s of {:.2} s heard",
        alignment.gap(),
        alignment.shift(),
        offset as f64 / RATE_HZ as f64,
        heard.len() as f64 / RATE_HZ as f64,
    );
    assert!(correlation >= alike_min, "{what}: correlation {correlation}");
    // Complete: neither the beginning nor the end is cut off.
    assert!(offset >= 0, "{what}: its beginning is cut off by {offset} samples");
    let end = offset as usize + sent.len();
    let missing = end.saturating_sub(heard.len());
    assert!(missing <= RATE_HZ / 50, "{what}: the last {missing} samples are missing");
    alignment
}

/// Samples of the pieces in which a sound is looked for: long enough to be like no other.
const PIECE: usize = RATE_HZ * 2 / 5;
/// Energy of a piece, as a share of the mean, below which it is a pause of the speaker.
const PAUSE_SHARE: f64 = 0.05;

/// The share of what was sent that is heard, piece by piece and in its order.
///
/// A machine that stands still for longer than a jitter buffer holds makes a hole, and all behind
/// it comes later. As a whole the two are less alike then, the more so the nearer the hole is to
/// the middle, and that says nothing of how the sound is made: no piece but that one is damaged.
pub(crate) fn share_heard(sent: &[i16], heard: &[i16], alike_min: f64) -> f64 {
    let energy = |piece: &[i16]| piece.iter().map(|it| f64::from(*it).powi(2)).sum::<f64>();
    let pieces: Vec<&[i16]> = sent.chunks_exact(PIECE).collect();
    let mean = pieces.iter().map(|piece| energy(piece)).sum::<f64>() / pieces.len() as f64;
    let loud = pieces.into_iter().filter(|piece| energy(piece) >= mean * PAUSE_SHARE);
    let (mut all, mut found, mut from) = (0, 0, 0);
    for piece in loud {
        all += 1;
        let place = align(piece, &heard[from..]).filter(|it| it.correlation >= alike_min);
        if let Some(offset) = place.and_then(|it| usize::try_from(it.offset).ok()) {
            found += 1;
            from += offset;
        }
    }
    f64::from(found) / f64::from(all)
}

#[test]
fn hole_in_the_middle_costs_the_piece_that_it_is_in_and_no_other() {
    let sent = prompt(91, 4);
    assert!((share_heard(&sent, &sent, 0.95) - 1.0).abs() < 1e-9);
    // 300 ms of silence in the middle of the fifth piece of ten, and the rest later.
    let hole = 4 * PIECE + PIECE / 2;
    let heard = [&sent[..hole], &[0; 2_400], &sent[hole..]].concat();
    assert!(align(&sent, &heard).unwrap().correlation < 0.8, "the whole is less alike");
    assert!((share_heard(&sent, &heard, 0.95) - 0.9).abs() < 1e-9);
    // Another sound, and the same backwards, piece by piece.
    assert!(share_heard(&sent, &prompt(92, 4), 0.8) < 0.1);
    let backwards: Vec<i16> = sent.chunks(PIECE).rev().flatten().copied().collect();
    assert!(share_heard(&sent, &backwards, 0.8) < 0.3);
}

async fn with_baresip(page: &str) -> (Server, Baresip, Customer, Stage) {
    let stage = Stage::new();
    let baresip = Baresip::start(&stage, NUMBER).await;
    let customer = Customer::open(page).await;
    let server = Server::start(&stage, baresip.address, &Settings::default()).await;
    (server, baresip, customer, stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_of_a_phone_is_the_prompt_that_was_sent() {
    let sent = prompt(1, 6);
    let (server, baresip, customer, _stage) = with_baresip(PLAYS_A_PROMPT_AND_STAYS).await;
    customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&sent))]);
    queue(&server, &customer, NUMBER).await;
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    check("baresip, recording", &sent, &baresip.heard());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_of_a_phone_is_the_text_that_was_spoken() {
    let page = format!(
        "<?xml version=\"1.0\"?><vxml version=\"2.0\" xmlns=\"http://www.w3.org/2001/vxml\">\
         <form><block><prompt>{TEXT}<break time=\"500ms\"/></prompt></block></form></vxml>"
    );
    let (server, baresip, customer, _stage) = with_baresip(&page).await;
    queue(&server, &customer, NUMBER).await;
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    check("baresip, speech", &spoken(TEXT).await, &baresip.heard());
    server.stop().await;
}

/// Asks for three keys after a prompt, and posts them.
const ASKS: &str = r#"<?xml version="1.0"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
  <form><field name="choice" type="digits?length=4">
    <property name="timeout" value="30s"/>
    <prompt><audio src="/prompt.wav"/></prompt>
    <filled><submit next="/answer" method="post" namelist="choice"/></filled>
  </field></form>
</vxml>"#;

#[tokio::test(flavor = "multi_thread")]
async fn keys_pressed_on_a_phone_arrive_in_the_submitted_field() {
    let sent = prompt(2, 1);
    let (server, mut baresip, customer, _stage) = with_baresip(ASKS).await;
    customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&sent))]);
    customer.reply("POST", "/answer", [Reply::page(SAYS_NOTHING)]);
    queue(&server, &customer, NUMBER).await;
    baresip.until_heard(RATE_HZ * 9 / 10).await;
    baresip.press("2501").await;
    let answer = customer.posted("/answer").await;
    assert_eq!(answer.field("choice"), "2501");
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    server.stop().await;
}

/// A call to a phone of our own that hears `seconds` of a prompt; prompt and packets.
async fn heard_by_ear(seconds: usize) -> (Vec<i16>, Vec<Packet>) {
    let stage = Stage::new();
    let (phone, ear) = (Phone::open().await, Ear::open().await);
    let customer = Customer::open(PLAYS_A_PROMPT).await;
    let sent = prompt(3, seconds);
    customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&sent))]);
    let server = Server::start(&stage, phone.address, &Settings::default()).await;
    queue(&server, &customer, NUMBER).await;
    let invite = phone.request("INVITE").await;
    let _voice = ear.speak(&invite.message);
    phone.accept(&invite, "ear", &ear.sdp()).await;
    phone.request("ACK").await;
    let bye = phone.request("BYE").await;
    phone.answer(&bye, 200, "OK", "ear").await;
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    server.stop().await;
    (sent, ear.packets())
}

#[tokio::test(flavor = "multi_thread")]
async fn prompt_leaves_as_packets_without_hole_or_hurry() {
    let (sent, packets) = heard_by_ear(6).await;
    let sound: Vec<&Packet> = packets.iter().filter(|packet| packet.kind == PCMU).collect();
    assert!(sound.iter().all(|packet| packet.payload.len() == 160), "packets of 20 ms");
    for pair in sound.windows(2) {
        let [before, after] = pair else { unreachable!("windows of two") };
        assert_eq!(after.sequence, before.sequence.wrapping_add(1), "a packet is missing");
        let step = after.timestamp.wrapping_sub(before.timestamp);
        // Between two sounds time may go on without packets; then the next one says so.
        assert!(step == 160 || after.marker, "time jumps by {step} samples");
    }
    let heard: Vec<i16> = sound
        .iter()
        .flat_map(|packet| packet.payload.iter().map(|byte| Law::Mu.decode(*byte)))
        .collect();
    let alignment = check("own ear", &sent, &heard);
    assert_eq!((alignment.gap_max, alignment.shift_max), (0, 0));

    let mut pauses: Vec<Duration> = sound.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    let whole: Duration = pauses.iter().sum();
    pauses.sort();
    let share = |percent: usize| pauses[(pauses.len() - 1) * percent / 100];
    println!(
        "own ear: {} packets in {whole:?}, between two: median {:?}, 99 % {:?}, longest {:?}",
        sound.len(),
        share(50),
        share(99),
        share(100)
    );
    assert!(share(100) <= PAUSE_MAX, "a pause of {:?}", share(100));
    // Paced by the clock: the last packet leaves when it is due.
    let due = Duration::from_millis(20 * pauses.len() as u64);
    let drift = whole.abs_diff(due);
    assert!(drift <= PAUSE_MAX, "the prompt took {whole:?} instead of {due:?}");
}

/// Keys that a phone of our own presses in the middle of a prompt must arrive as they are.
async fn keys_arrive(keys: &str, weather: Weather) {
    let stage = Stage::new();
    let (phone, ear) = (Phone::open().await, Ear::open().await);
    let customer = Customer::open(ASKS).await;
    customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&prompt(4, 1)))]);
    customer.reply("POST", "/answer", [Reply::page(SAYS_NOTHING)]);
    let server = Server::start(&stage, phone.address, &Settings::default()).await;
    queue(&server, &customer, NUMBER).await;
    let invite = phone.request("INVITE").await;
    let voice = ear.speak_in(&invite.message, weather);
    phone.accept(&invite, "ear", &ear.sdp()).await;
    phone.request("ACK").await;
    until("the prompt begins", async || (ear.packets().len() > 10).then_some(())).await;
    voice.press(keys);
    let answer = customer.posted("/answer").await;
    assert_eq!(answer.field("choice"), keys);
    let bye = phone.request("BYE").await;
    phone.answer(&bye, 200, "OK", "ear").await;
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_as_telephone_events_arrive_in_the_submitted_field() {
    keys_arrive("9305", Weather::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_key_arrives_once_when_packets_are_lost_and_repeated() {
    let weather = Weather { seed: 5, lost: 20, repeated: 20, delayed: 0 };
    keys_arrive("4477", weather).await;
}
