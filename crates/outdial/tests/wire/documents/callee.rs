//! Somebody who is called: hears, presses keys, speaks, hangs up, as a line of words says.

use std::sync::Arc;

use tokio::sync::Notify;

use super::table::Document;
use crate::baresip::Baresip;
use crate::customer::Customer;
use crate::harness::until;
use crate::hearing::{Hearing, Repertoire, samples};
use crate::phone::{Ear, Heard, PCMU, Phone, Voice};
use crate::server::Server;
use crate::sip::Message;
use crate::sound::spoken;
use media::g711::Law;

/// All that the calls have in common.
pub(super) struct World {
    pub(super) server: Server,
    pub(super) customer: Customer,
    pub(super) phone: Phone,
    pub(super) sounds: Repertoire,
}

/// Silence before something is said: a recorder that has just begun hears all of it.
const BEFORE_SPEECH: [i16; 4_000] = [0; 4_000];

/// The callee of a document.
pub(super) struct Callee {
    pub(super) number: String,
    pub(super) hearing: Hearing,
    name: &'static str,
    baresip: Option<Baresip>,
    line: Option<Line>,
    agents: Vec<Agent>,
    /// How many sounds were waited for.
    waited: usize,
    /// How much of what the phone has was heard.
    read: usize,
}

/// A call at a phone of our own.
struct Line {
    invite: Heard,
    ear: Ear,
    voice: Voice,
    begun: Option<u32>,
}

/// Somebody whom the callee is connected with.
struct Agent {
    number: String,
    invite: Heard,
    line: Option<(Ear, Voice)>,
}

impl Callee {
    pub(super) fn new(document: &Document, number: String, baresip: Option<Baresip>) -> Self {
        Self {
            number,
            hearing: Hearing::default(),
            name: document.name,
            baresip,
            line: None,
            agents: Vec::new(),
            waited: 0,
            read: 0,
        }
    }

    /// Answers, does all that is told, and is hung up unless it hung up itself.
    pub(super) async fn plays(&mut self, world: &World, words: &str) {
        if self.baresip.is_none() {
            self.line = Some(answer(&world.phone, &self.number).await);
        }
        let mut is_gone = false;
        for word in words.split_whitespace() {
            is_gone = word == "x";
            self.does(world, word).await;
        }
        if let Some(line) = self.line.as_ref().filter(|_| !is_gone) {
            is_hung_up(&world.phone, &line.invite, &self.number).await;
        }
        if is_gone || self.baresip.is_some() {
            let asked = format!("/{}/answer", self.name);
            world.customer.posted(&asked).await;
        }
        if self.baresip.is_some() && !is_gone {
            self.hears(world, "bye", true).await;
        }
        self.listen(&world.sounds);
    }

    async fn does(&mut self, world: &World, word: &str) {
        let (kind, rest) = word.split_at(1);
        match kind {
            "=" => self.presses(rest).await,
            "~" => self.says(rest).await,
            "@" => self.agent_does(world, rest).await,
            "x" => self.hangs_up(world).await,
            "!" => super::table::gate(self.name).notify_one(),
            _ => match word.strip_suffix('.') {
                Some(name) => self.hears(world, name, true).await,
                None => self.hears(world, word, false).await,
            },
        }
    }

    /// Waits until the next sound of this name has begun, or was heard whole.
    async fn hears(&mut self, world: &World, name: &str, wholly: bool) {
        let what = format!("{} hears {name} after {} sounds", self.name, self.waited);
        // What was waited for to begin may be waited for to end.
        let first = if wholly { self.waited.saturating_sub(1) } else { self.waited };
        let found = until(&what, async || {
            self.listen(&world.sounds);
            let mut next = self.hearing.found().iter().skip(first);
            let place = next.position(|it| it.name == name && (it.is_whole() || !wholly));
            place.map(|place| first + place)
        })
        .await;
        self.waited = found + 1;
    }

    /// Takes in what the phone has heard meanwhile.
    fn listen(&mut self, sounds: &Repertoire) {
        if let Some(baresip) = &self.baresip {
            let heard = baresip.heard_from(self.read);
            self.read += heard.len();
            self.hearing.hear(sounds, &heard);
        }
        let Some(line) = &mut self.line else { return };
        let packets = line.ear.packets_from(self.read);
        self.read += packets.len();
        for packet in packets.iter().filter(|packet| packet.kind == PCMU) {
            let begun = *line.begun.get_or_insert(packet.timestamp);
            // Time goes on without packets where nothing is to be heard.
            self.hearing.skip_to(packet.timestamp.wrapping_sub(begun) as usize);
            let heard: Vec<i16> = packet.payload.iter().map(|it| Law::Mu.decode(*it)).collect();
            self.hearing.hear(sounds, &heard);
        }
    }

    async fn presses(&mut self, keys: &str) {
        match (&mut self.baresip, &self.line) {
            (Some(baresip), _) => baresip.press(keys).await,
            (None, Some(line)) => line.voice.press(keys),
            (None, None) => unreachable!("the call was answered"),
        }
    }

    /// Says a sound, or a word after a colon.
    async fn says(&self, what: &str) {
        let line = self.line.as_ref().expect("only phones of our own speak");
        let said = match what.strip_prefix(':') {
            Some(word) => spoken(word).await,
            None => samples(what, super::table::seconds(what)),
        };
        line.voice.say(&BEFORE_SPEECH);
        line.voice.say(&said);
    }

    async fn hangs_up(&mut self, world: &World) {
        match (&mut self.baresip, &self.line) {
            (Some(baresip), _) => baresip.hang_up().await,
            (None, Some(line)) => {
                let asked = world.phone.ask(&line.invite, &self.number, "BYE", 7, world.server.sip);
                assert_eq!(asked.await.status(), Some(200));
            }
            (None, None) => unreachable!("the call was answered"),
        }
    }

    /// What somebody does with whom the callee is connected: `NUMBER-busy`, `-rings`, `-answers`,
    /// `-says-SOUND`, `-hears-SOUND`, `-leaves`, `-left`.
    async fn agent_does(&mut self, world: &World, what: &str) {
        let phone = &world.phone;
        let (number, deed) = what.split_once('-').expect("a number and a deed");
        let known = self.agents.iter().position(|agent| agent.number == number);
        let nth = match known {
            Some(nth) => nth,
            None => {
                let is_invite = |it: &Message| it.is_request("INVITE") && it.number() == number;
                let invite = phone.take(&format!("{number} is called"), is_invite).await;
                self.agents.push(Agent { number: number.to_owned(), invite, line: None });
                self.agents.len() - 1
            }
        };
        let Agent { invite, line, .. } = &mut self.agents[nth];
        let (deed, sound) = deed.split_once('-').unwrap_or((deed, ""));
        match deed {
            "busy" => phone.answer(invite, 486, "Busy Here", number).await,
            "rings" => phone.answer(invite, 180, "Ringing", number).await,
            "answers" => *line = Some(pick_up(phone, invite, number).await),
            "says" => {
                let (_, voice) = line.as_ref().expect("the agent has answered");
                voice.say(&BEFORE_SPEECH);
                voice.say(&samples(sound, super::table::seconds(sound)));
            }
            "hears" => {
                let (ear, _) = line.as_ref().expect("the agent has answered");
                until("the agent hears the callee", async || {
                    let mut hearing = Hearing::default();
                    for packet in ear.packets().iter().filter(|packet| packet.kind == PCMU) {
                        let bytes = packet.payload.iter();
                        let heard: Vec<i16> = bytes.map(|it| Law::Mu.decode(*it)).collect();
                        hearing.hear(&world.sounds, &heard);
                    }
                    hearing.found().iter().any(|it| it.name == sound && it.is_whole()).then_some(())
                })
                .await;
            }
            "leaves" => {
                let asked = phone.ask(invite, number, "BYE", 7, world.server.sip).await;
                assert_eq!(asked.status(), Some(200));
            }
            "left" => is_hung_up(phone, invite, number).await,
            _ => unreachable!("an agent does not {deed}"),
        }
    }
}

/// Takes the call to this number.
async fn answer(phone: &Phone, number: &str) -> Line {
    let is_invite = |it: &Message| it.is_request("INVITE") && it.number() == number;
    let invite = phone.take(&format!("{number} is called"), is_invite).await;
    let (ear, voice) = pick_up(phone, &invite, number).await;
    Line { invite, ear, voice, begun: None }
}

/// Answers an INVITE, as callee of this tag.
async fn pick_up(phone: &Phone, invite: &Heard, tag: &str) -> (Ear, Voice) {
    let ear = Ear::open().await;
    let voice = ear.speak(&invite.message);
    phone.accept(invite, tag, &ear.sdp()).await;
    let call_id = invite.message.call_id().to_owned();
    let is_ack = |it: &Message| it.is_request("ACK") && it.call_id() == call_id;
    phone.take(&format!("{tag} is connected"), is_ack).await;
    (ear, voice)
}

async fn is_hung_up(phone: &Phone, invite: &Heard, tag: &str) {
    let call_id = invite.message.call_id().to_owned();
    let is_bye = |it: &Message| it.is_request("BYE") && it.call_id() == call_id;
    let bye = phone.take(&format!("{tag} is hung up"), is_bye).await;
    phone.answer(&bye, 200, "OK", tag).await;
}

/// What a held answer waits for.
pub(super) type Gate = Arc<Notify>;
