//! What the far end answers, and what the customer is told of it.

use std::time::Duration;

use crate::customer::Reply;
use crate::harness::until;
use crate::scene::{Expected, NUMBER, Scene, queue};
use crate::server::Settings;

/// A far end that refuses with this status must be told so, and leave nothing behind.
async fn refused(status: &str, words: &str, callee_type: &'static str) {
    let words = [("status", status), ("words", words)];
    let scene = Scene::open("refuses", 1, &words, &Settings::default()).await;
    let result = scene.call().await;
    Expected::failed(callee_type, 1).check(&result, NUMBER);
    scene.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answered_call_is_completed_and_hung_up_by_us() {
    let scene = Scene::open("answers", 1, &[], &Settings::default()).await;
    let result = scene.call().await;
    Expected::ANSWERED.check(&result, NUMBER);
    scene.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_callee_is_busy() {
    refused("486", "Busy Here", "busy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callee_who_declines_is_busy() {
    refused("603", "Decline", "busy").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn number_that_nobody_has_is_an_information_tone() {
    refused("404", "Not Found", "informationtone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn number_that_is_gone_is_an_information_tone() {
    refused("410", "Gone", "informationtone").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_that_is_off_is_no_answer() {
    refused("480", "Temporarily Unavailable", "noanswer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn carrier_without_circuits_is_a_line_failure() {
    refused("503", "Service Unavailable", "linefailure").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callee_whose_time_ran_out_is_no_answer() {
    refused("408", "Request Timeout", "noanswer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_that_rings_too_long_is_no_answer_and_is_let_go() {
    let settings = Settings { ring_time_max_s: 2, ..Settings::default() };
    let scene = Scene::open("rings", 1, &[], &settings).await;
    let result = scene.call().await;
    Expected::failed("noanswer", 1).check(&result, NUMBER);
    scene.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn early_sound_is_no_answer_yet_and_does_not_disturb_the_answer() {
    let scene = Scene::open("announces", 1, &[], &Settings::default()).await;
    let result = scene.call().await;
    Expected::ANSWERED.check(&result, NUMBER);
    scene.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_that_crosses_our_cancel_is_acknowledged_and_hung_up() {
    let settings = Settings { ring_time_max_s: 2, ..Settings::default() };
    let scene = Scene::open("crosses", 1, &[], &settings).await;
    let result = scene.call().await;
    Expected::failed("noanswer", 1).check(&result, NUMBER);
    scene.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callee_who_hangs_up_ends_a_completed_call() {
    let scene = Scene::open("hangs_up", 1, &[], &Settings::default()).await;
    // A script that has much to say: only the callee can end this call.
    scene.customer.reply("POST", "/start", [Reply::page(LONG_TALK)]);
    let result = scene.call().await;
    Expected::ANSWERED.check(&result, NUMBER);
    scene.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_callee_is_called_again_and_both_attempts_are_counted() {
    let scene = Scene::open("busy_once", 2, &[], &Settings::default()).await;
    let customer = &scene.customer;
    // The shortest wait that Plum's scripts take is a minute; the native API takes a second.
    let id = scene
        .server
        .create_call(serde_json::json!({
            "number": NUMBER,
            "vxml_url": customer.url("/start"),
            "result_url": customer.url("/result"),
            "retry": { "attempts_max": 3, "wait_s": 1 },
        }))
        .await;
    let result: serde_json::Value = serde_json::from_str(&customer.result().await.body).unwrap();
    assert_eq!(result["type"], "contact.completed");
    assert_eq!(result["data"]["attempts_made"], 2);
    let call = scene.server.until_state(&id, "completed").await;
    let attempts = call["attempts"].as_array().unwrap();
    let outcomes: Vec<_> = attempts.iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(outcomes, ["busy", "answered"]);
    scene.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn result_is_posted_again_until_it_is_answered_by_the_text_completed() {
    let scene = Scene::open("answers", 1, &[], &Settings::default()).await;
    let customer = &scene.customer;
    let replies = [Reply::text(200, "thank you"), Reply::text(200, "completed")];
    customer.reply("POST", "/result", replies);
    let id = queue(&scene.server, customer, NUMBER).await;
    let call = until("the result is delivered", async || {
        Some(scene.server.call(&id).await).filter(|call| call["result"]["state"] == "delivered")
    })
    .await;
    let results = customer.results();
    assert_eq!(results.len(), 2);
    assert_eq!(results[0].fields, results[1].fields);
    Expected::ANSWERED.check(&results[1], NUMBER);
    let waited = results[1].at - results[0].at;
    assert!(waited >= Duration::from_secs(5), "posted again after {waited:?}");
    let deliveries = call["result"]["deliveries"].as_array().unwrap();
    let accepted: Vec<_> = deliveries.iter().map(|delivery| &delivery["accepted"]).collect();
    assert_eq!(accepted, [false, true]);
    scene.ends_clean().await;
}

/// A page that would keep the call up for a minute.
pub(crate) const LONG_TALK: &str = r#"<?xml version="1.0"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
  <form><field name="never" type="digits">
    <property name="timeout" value="60s"/>
    <prompt>Please wait.</prompt>
    <noinput><exit/></noinput>
  </field></form>
</vxml>"#;

/// A page that ends with the callee's wish to be called no more.
const OPTS_OUT: &str = r#"<?xml version="1.0"?>
<vxml version="2.1" xmlns="http://www.w3.org/2001/vxml"><form><block>
<var name="opt_out" expr="true"/><exit namelist="opt_out"/></block></form></vxml>"#;

#[tokio::test(flavor = "multi_thread")]
async fn callee_who_opts_out_in_the_call_is_on_the_list_when_it_has_ended() {
    let scene = Scene::open("answers", 1, &[], &Settings::default()).await;
    scene.customer.reply("POST", "/start", [Reply::page(OPTS_OUT)]);
    let result = scene.call().await;
    Expected::ANSWERED.check(&result, NUMBER);
    let listed = scene.server.native("GET", "/v1/lists/do-not-call/numbers", None).await.json();
    assert_eq!(listed["data"][0]["number"], format!("+{NUMBER}"), "{listed}");
    scene.ends_clean().await;
}
