//! Calls over TLS whose sound only the two ends can hear: SRTP with a phone that insists on it.

use crate::baresip::Baresip;
use crate::codecs::hears_and_is_heard;
use crate::customer::{Customer, PLAYS_A_PROMPT_AND_STAYS, Reply, SAYS_NOTHING};
use crate::harness::Stage;
use crate::scene::{Expected, NUMBER, queue};
use crate::server::Server;
use crate::sound::{check, prompt, wav};
use crate::streams::{certify, over_tls};

#[tokio::test(flavor = "multi_thread")]
async fn phone_that_insists_on_srtp_hears_the_prompt() {
    let stage = Stage::new();
    certify(&stage);
    let baresip = Baresip::start_private(&stage, NUMBER).await;
    let customer = Customer::open(PLAYS_A_PROMPT_AND_STAYS).await;
    let sent = prompt(1, 4);
    customer.reply("GET", "/prompt.wav", [Reply::wav(wav(&sent))]);
    let server = Server::start(&stage, baresip.address, &over_tls("srtp = true\n")).await;
    queue(&server, &customer, NUMBER).await;
    Expected::ANSWERED.check(&customer.result().await, NUMBER);
    check("baresip over SRTP, recording", &sent, &baresip.heard());
    server.stop().await;
}

/// SRTP around payloads that are encoded, with keys and a recording: both ways.
#[tokio::test(flavor = "multi_thread")]
async fn phone_that_insists_on_srtp_hears_and_is_heard_in_g722_and_in_opus() {
    for (codec, alike_min) in [("G722/16000/1", (0.95, 0.8)), ("opus/48000/2", (0.8, 0.7))] {
        let stage = Stage::new();
        certify(&stage);
        let phone =
            async |says: Vec<i16>| Baresip::speaking_privately(&stage, NUMBER, codec, &says).await;
        let trunk = "srtp = true\ncodecs = [\"pcmu\", \"g722\", \"opus\"]\n";
        let what = format!("{codec} over SRTP");
        hears_and_is_heard(&stage, &what, phone, &over_tls(trunk), alike_min).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn phone_that_insists_on_srtp_is_not_called_in_the_clear() {
    let stage = Stage::new();
    certify(&stage);
    let baresip = Baresip::start_private(&stage, NUMBER).await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let server = Server::start(&stage, baresip.address, &over_tls("")).await;
    queue(&server, &customer, NUMBER).await;
    let result = customer.result().await;
    assert_eq!(result.field("callee_type"), "linefailure", "{result:?}");
    server.stop().await;
}
