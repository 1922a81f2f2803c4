//! Dialogs in odd hours: hold, forks, answers without end, far ends that fall silent.

use std::time::Duration;

use tokio::time::Instant;

use crate::customer::{Customer, PLAYS_A_PROMPT, Reply, SAYS_NOTHING};
use crate::harness::Stage;
use crate::phone::{Ear, PCMU, Phone};
use crate::relay::in_dialog;
use crate::results::LONG_TALK;
use crate::scene::{Expected, NUMBER, Scene, queue};
use crate::server::{Server, Settings};
use crate::sip::audio_port;
use crate::sound::{prompt, wav};

/// A server whose only trunk is this phone.
async fn with_phone(page: &str, settings: &Settings) -> (Server, Phone, Customer, Stage) {
    let stage = Stage::new();
    let phone = Phone::open().await;
    let customer = Customer::open(page).await;
    let server = Server::start(&stage, phone.address, settings).await;
    (server, phone, customer, stage)
}

#[tokio::test(flavor = "multi_thread")]
async fn far_end_may_hold_the_call_and_take_it_back() {
    let scene = Scene::open("holds", 1, &[], &Settings::default()).await;
    // Three seconds of talk: the hold happens in the middle of it.
    scene.customer.reply("POST", "/start", [Reply::page(PLAYS_A_PROMPT)]);
    scene.customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&prompt(7, 3)))]);
    let result = scene.call().await;
    Expected::ANSWERED.check(&result, NUMBER);
    scene.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_follows_the_far_end_to_a_new_address() {
    let (server, phone, customer, _stage) = with_phone(PLAYS_A_PROMPT, &Settings::default()).await;
    customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&prompt(8, 4)))]);
    queue(&server, &customer, NUMBER).await;
    let (old, new) = (Ear::open().await, Ear::open().await);
    let invite = phone.request("INVITE").await;
    phone.accept(&invite, "mover", &old.sdp()).await;
    phone.request("ACK").await;
    crate::harness::until("sound comes to the old place", async || {
        (old.packets().len() > 20).then_some(())
    })
    .await;

    let renewed = in_dialog(&invite.message, "mover", "INVITE", 1, phone.address);
    phone.send(&renewed.clone().with_sdp(&new.sdp().replace("1 1 IN", "1 2 IN")), server.sip).await;
    let answer = phone.response(&renewed).await;
    assert_eq!(answer.status(), Some(200), "{}", answer.start);
    assert!(audio_port(&answer.body).is_some_and(|port| port > 0), "{}", answer.body);
    let ack = in_dialog(&invite.message, "mover", "ACK", 1, phone.address);
    phone.send(&ack, server.sip).await;
    crate::harness::until("sound comes to the new place", async || {
        (new.packets().len() > 20).then_some(())
    })
    .await;

    let bye = phone.request("BYE").await;
    phone.answer(&bye, 200, "OK", "mover").await;
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    let stray = old.packets().last().map(|packet| packet.at);
    assert!(stray < new.packets().last().map(|packet| packet.at), "the old place is still told");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_of_two_phones_that_answer_wins_and_the_other_is_hung_up() {
    let (server, phone, customer, _stage) = with_phone(PLAYS_A_PROMPT, &Settings::default()).await;
    customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&prompt(9, 1)))]);
    queue(&server, &customer, NUMBER).await;
    let (first, second) = (Ear::open().await, Ear::open().await);
    let invite = phone.request("INVITE").await;
    phone.answer(&invite, 180, "Ringing", "kitchen").await;
    phone.answer(&invite, 180, "Ringing", "hall").await;
    phone.accept(&invite, "kitchen", &first.sdp()).await;
    phone.accept(&invite, "hall", &second.sdp()).await;

    let to_hall = |method: &'static str| {
        move |message: &crate::sip::Message| {
            message.is_request(method) && message.tag("To") == "hall"
        }
    };
    phone.take("the second answer is acknowledged", to_hall("ACK")).await;
    let bye = phone.take("the second phone is hung up", to_hall("BYE")).await;
    phone.answer(&bye, 200, "OK", "hall").await;
    let bye = phone
        .take("the first phone is hung up", |message| {
            message.is_request("BYE") && message.tag("To") == "kitchen"
        })
        .await;
    phone.answer(&bye, 200, "OK", "kitchen").await;

    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    let is_sound = |ear: &Ear| ear.packets().iter().filter(|packet| packet.kind == PCMU).count();
    assert!(is_sound(&first) >= 45, "the winner heard {} packets", is_sound(&first));
    assert_eq!(is_sound(&second), 0, "the loser heard the prompt");
    let acks = phone.heard(|message| message.is_request("ACK"));
    let tags: Vec<&str> = acks.iter().map(|ack| ack.message.tag("To")).collect();
    assert!(tags.contains(&"kitchen") && tags.contains(&"hall"), "{tags:?}");
    for tag in ["kitchen", "hall"] {
        let late = phone.ask(&invite, tag, "BYE", 9, server.sip).await;
        assert_eq!(late.status(), Some(481), "{tag}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_answer_gets_its_ack_again_and_rings_nobody_twice() {
    let (server, phone, customer, _stage) = with_phone(LONG_TALK, &Settings::default()).await;
    queue(&server, &customer, NUMBER).await;
    let ear = Ear::open().await;
    let invite = phone.request("INVITE").await;
    for _ in 0..4 {
        phone.accept(&invite, "again", &ear.sdp()).await;
        phone.request("ACK").await;
    }
    let bye = phone.ask(&invite, "again", "BYE", 1, server.sip).await;
    assert_eq!(bye.status(), Some(200));
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    assert_eq!(phone.heard(|message| message.is_request("BYE")).len(), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_without_sound_is_hung_up_as_a_line_failure() {
    let (server, phone, customer, _stage) = with_phone(SAYS_NOTHING, &Settings::default()).await;
    queue(&server, &customer, NUMBER).await;
    let invite = phone.request("INVITE").await;
    phone.answer(&invite, 200, "OK", "mute").await;
    phone.request("ACK").await;
    let bye = phone.request("BYE").await;
    phone.answer(&bye, 200, "OK", "mute").await;
    let result = customer.result().await;
    Expected::failed("linefailure", 1).check(&result, NUMBER);
    server.until_quiet().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bye_of_both_sides_at_once_ends_one_call_once() {
    let (server, phone, customer, _stage) = with_phone(SAYS_NOTHING, &Settings::default()).await;
    queue(&server, &customer, NUMBER).await;
    let ear = Ear::open().await;
    let invite = phone.request("INVITE").await;
    phone.accept(&invite, "polite", &ear.sdp()).await;
    phone.request("ACK").await;
    let theirs = phone.request("BYE").await;
    // Ours leaves before theirs is answered.
    let answer = phone.ask(&invite, "polite", "BYE", 1, server.sip).await;
    assert!([Some(200), Some(481)].contains(&answer.status()), "{}", answer.start);
    phone.answer(&theirs, 200, "OK", "polite").await;
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    server.until_quiet().await;
    assert_eq!(customer.results().len(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_overtakes_the_answer_to_our_cancel_is_hung_up() {
    let settings = Settings { ring_time_max_s: 1, ..Settings::default() };
    let (server, phone, customer, _stage) = with_phone(LONG_TALK, &settings).await;
    queue(&server, &customer, NUMBER).await;
    let ear = Ear::open().await;
    let invite = phone.request("INVITE").await;
    phone.answer(&invite, 180, "Ringing", "late").await;
    let cancel = phone.request("CANCEL").await;
    assert_eq!(cancel.message.branch(), invite.message.branch());
    phone.accept(&invite, "late", &ear.sdp()).await;
    phone.request("ACK").await;
    let bye = phone.request("BYE").await;
    phone.answer(&cancel, 200, "OK", "late").await;
    phone.answer(&bye, 200, "OK", "late").await;
    Expected::failed("noanswer", 1).check(&customer.result().await, NUMBER);
    server.until_quiet().await;
    let late = phone.ask(&invite, "late", "OPTIONS", 1, server.sip).await;
    assert_eq!(late.status(), Some(481));
    assert!(customer.asked().iter().all(|asked| asked.path != "/start" || asked.method == "GET"));
    server.stop().await;
}

/// Three far ends that fall silent at different moments, at the same time: it takes 32 s each.
#[tokio::test(flavor = "multi_thread")]
async fn far_ends_that_fall_silent_hold_no_call_for_ever() {
    let settings = Settings { ring_time_max_s: 2, ..Settings::default() };
    let (server, phone, customer, _stage) = with_phone(SAYS_NOTHING, &settings).await;
    let begun = Instant::now();
    let never = queue(&server, &customer, "15550100001").await;
    let rings = queue(&server, &customer, "15550100002").await;
    let answers = queue(&server, &customer, "15550100003").await;
    let of = |number: &'static str| {
        move |message: &crate::sip::Message| {
            message.is_request("INVITE") && message.number().ends_with(number)
        }
    };
    phone.take("the first is called", of("0001")).await;
    let invite = phone.take("the second is called", of("0002")).await;
    phone.answer(&invite, 180, "Ringing", "rings").await;
    let invite = phone.take("the third is called", of("0003")).await;
    let ear = Ear::open().await;
    phone.accept(&invite, "answers", &ear.sdp()).await;
    phone.request("ACK").await;

    let results = customer.results_of(3).await;
    Expected::failed("noanswer", 1).check(&results[&never], "15550100001");
    Expected::failed("noanswer", 1).check(&results[&rings], "15550100002");
    Expected::ANSWERED.check(&results[&answers], "15550100003");
    server.until_quiet().await;
    assert!(begun.elapsed() < Duration::from_secs(60), "it took {:?}", begun.elapsed());
    let said = |method: &str| phone.heard(|message| message.is_request(method)).len();
    assert!(said("CANCEL") >= 2 && said("BYE") >= 2, "they are not asked again");
    server.stop().await;
}
