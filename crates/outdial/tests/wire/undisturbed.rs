//! A normal call that goes on while others do harm: nothing of its sound may be missing.

use std::time::Duration;

use media::g711::Law;

use crate::customer::{Customer, PLAYS_A_PROMPT, Reply};
use crate::harness::until;
use crate::phone::{Ear, Heard, PCMU, Packet, Phone, Voice};
use crate::scene::{Expected, queue};
use crate::server::Server;
use crate::sound::{prompt, wav};

/// Its number.
pub(crate) const NUMBER: &str = "15550777777";
/// How long its prompt is, in seconds: longer than any test needs.
const PROMPT_S: usize = 150;
/// Longest pause between two packets on a busy machine.
const PAUSE_MAX: Duration = Duration::from_millis(500);

/// The call.
pub(crate) struct Undisturbed {
    id: String,
    invite: Heard,
    ear: Ear,
    _voice: Voice,
    sent: Vec<u8>,
}

impl Undisturbed {
    /// Begins the call and waits until its sound flows; only it may be waiting to be dialed.
    pub(crate) async fn begin(server: &Server, phone: &Phone, customer: &Customer) -> Self {
        let samples = prompt(77, PROMPT_S);
        customer.reply("POST", "/start", [Reply::page(PLAYS_A_PROMPT)]);
        customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&samples))]);
        let id = queue(server, customer, NUMBER).await;
        let ear = Ear::open().await;
        let invite = phone.request("INVITE").await;
        let voice = ear.speak(&invite.message);
        phone.accept(&invite, "undisturbed", &ear.sdp()).await;
        phone.request("ACK").await;
        until("the undisturbed call is heard", async || (ear.packets().len() > 10).then_some(()))
            .await;
        let sent = samples.iter().map(|sample| Law::Mu.encode(*sample)).collect();
        Self { id, invite, ear, _voice: voice, sent }
    }

    /// The callee hangs up; all of the sound until then must have come, in order and in time.
    pub(crate) async fn ends_well(self, server: &Server, phone: &Phone, customer: &Customer) {
        let packets = self.ear.packets();
        let bye = phone.ask(&self.invite, "undisturbed", "BYE", 1, server.sip).await;
        assert_eq!(bye.status(), Some(200), "the undisturbed call was gone");
        let results = customer
            .until("the undisturbed call has its result", |asked| {
                asked.iter().find(|one| one.call_id() == self.id && one.path == "/result").cloned()
            })
            .await;
        Expected::ANSWERED.check(&results, NUMBER);

        let sound: Vec<&Packet> = packets.iter().filter(|packet| packet.kind == PCMU).collect();
        for pair in sound.windows(2) {
            let next = pair[0].sequence.wrapping_add(1);
            assert_eq!(pair[1].sequence, next, "a packet of the undisturbed call is missing");
        }
        let heard: Vec<u8> = sound.iter().flat_map(|packet| packet.payload.clone()).collect();
        // What comes before the prompt is silence of whole packets.
        let place =
            (0..heard.len()).step_by(160).find(|at| heard[*at..].starts_with(&self.sent[..160]));
        let heard = &heard[place.expect("the prompt begins")..];
        assert!(heard.len() < self.sent.len(), "the prompt was too short for this test");
        assert!(self.sent.starts_with(heard), "the undisturbed call heard something else");
        let mut pauses: Vec<Duration> =
            sound.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
        pauses.sort_unstable();
        let share = |percent: usize| pauses[(pauses.len() - 1) * percent / 100];
        let pause = share(100);
        println!(
            "undisturbed call: {:.1} s, pauses between packets: median {:?}, 99 % {:?}, longest \
             {pause:?}",
            heard.len() as f64 / 8_000.0,
            share(50),
            share(99)
        );
        assert!(pause <= PAUSE_MAX, "a pause of {pause:?} in the undisturbed call");
    }
}
