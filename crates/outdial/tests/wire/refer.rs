//! Callees who are handed over by their own side: REFER, what is told of it, and nothing at all.

use crate::customer::{Reply, SAYS_NOTHING};
use crate::record::Talk;
use crate::relay::in_dialog;
use crate::scene::Scene;
use crate::server::Settings;

/// Whom callees are handed over to.
const OTHER: &str = "15550100777";

/// A page that hands over, and posts how that came out.
fn page(attributes: &str) -> String {
    crate::transfer::page(&format!(r#"type="blind" {attributes}"#))
}

fn settings() -> Settings {
    Settings { trunk: "transfer = \"refer\"\n".into(), ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_far_end_tells_of_its_call_is_told_to_the_script() {
    for (fragment, result) in [
        ("200 OK", "connection.disconnect.transfer"),
        ("486 Busy Here", "busy"),
        ("404 Not Found", "error.connection.baddestination"),
    ] {
        let scene = Scene::open("refers", 1, &[("fragment", fragment)], &settings()).await;
        let page = page(&format!(r#"dest="tel:{OTHER}""#));
        scene.customer.reply("POST", "/start", [Reply::page(&page)]);
        scene.customer.reply("POST", "/answer", [Reply::page(SAYS_NOTHING)]);
        let told = scene.call().await;
        assert_eq!(told.field("result"), "Completed", "{fragment}");
        let answer = scene.customer.posted("/answer").await;
        assert_eq!(answer.field("result"), result, "{fragment}");
        scene.ends_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn far_end_that_refuses_or_says_nothing_leaves_the_callee_with_the_script() {
    let attributes = format!(r#"dest="tel:{OTHER}" aai="from us""#);
    let talk = Talk::begin(&page(&attributes), &settings()).await;
    let refer = talk.phone.request("REFER").await;
    // What is told beside goes into the call that is asked for.
    let to = refer.message.header("Refer-To").to_owned();
    assert!(to.contains(OTHER), "{to}");
    assert!(to.contains("?User-to-User=66726f6d207573%3Bencoding%3Dhex"), "{to}");
    talk.phone.answer(&refer, 405, "Method Not Allowed", "ear").await;
    assert_eq!(talk.answer().await.field("result"), "error.connection.noroute");
    talk.ends().await;

    let talk = Talk::begin(&page(&format!(r#"dest="tel:{OTHER}""#)), &settings()).await;
    let refer = talk.phone.request("REFER").await;
    talk.phone.answer(&refer, 202, "Accepted", "ear").await;
    assert_eq!(talk.answer().await.field("result"), "unknown");
    talk.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn far_end_that_takes_the_callee_and_hangs_up_has_taken_him() {
    let talk = Talk::begin(&page(&format!(r#"dest="tel:{OTHER}""#)), &settings()).await;
    let refer = talk.phone.request("REFER").await;
    talk.phone.answer(&refer, 202, "Accepted", "ear").await;
    let bye = talk.phone.ask(&talk.invite, "ear", "BYE", 7, talk.server.sip).await;
    assert_eq!(bye.status(), Some(200));
    assert_eq!(talk.answer().await.field("result"), "connection.disconnect.transfer");
    talk.customer.result().await;
    talk.server.until_quiet().await;
    talk.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callees_are_sent_to_nobody_who_may_not_be_called() {
    for destination in ["tel:+442079460000", "tel:911"] {
        let talk = Talk::begin(&page(&format!(r#"dest="{destination}""#)), &settings()).await;
        assert_eq!(talk.answer().await.field("result"), "error.connection.noauthorization");
        assert_eq!(talk.phone.heard(|message| message.is_request("REFER")).len(), 0);
        talk.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_makes_us_call_by_refer() {
    let talk = Talk::begin(crate::results::LONG_TALK, &Settings::default()).await;
    let refer = in_dialog(&talk.invite.message, "ear", "REFER", 7, talk.phone.address)
        .with("Refer-To", "<sip:+19005550100@evil.example>");
    talk.phone.send(&refer, talk.server.sip).await;
    assert_eq!(talk.phone.response(&refer).await.status(), Some(405));
    assert_eq!(talk.phone.heard(|message| message.is_request("INVITE")).len(), 1);
    let bye = talk.phone.ask(&talk.invite, "ear", "BYE", 8, talk.server.sip).await;
    assert_eq!(bye.status(), Some(200));
    talk.customer.result().await;
    talk.server.stop().await;
}
