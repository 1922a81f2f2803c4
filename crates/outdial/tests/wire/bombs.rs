//! Scripts and texts that mean harm, in calls beside one whose sound must not notice.

#[path = "../../../script/tests/vxml/bombs/list.rs"]
mod list;

use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::customer::{Customer, Reply, SAYS_NOTHING};
use crate::harness::Stage;
use crate::phone::Phone;
use crate::scripts::answer;
use crate::server::{Server, Settings};
use crate::undisturbed::Undisturbed;

/// A server, a phone that answers everything, and an application with pages that mean harm.
struct Scene {
    server: Server,
    phone: Arc<Phone>,
    customer: Customer,
    _stage: Stage,
}

impl Scene {
    async fn open() -> Self {
        let stage = Stage::new();
        let phone = Arc::new(Phone::open().await);
        let customer = Customer::open(SAYS_NOTHING).await;
        let settings = Settings { slots: 60, ..Settings::default() };
        let server = Server::start(&stage, phone.address, &settings).await;
        Self { server, phone, customer, _stage: stage }
    }

    /// Calls somebody for each of these pages, all at once, until all were hung up; their calls.
    async fn explode(&self, begin: usize, bombs: &[(&'static str, String)]) -> Vec<Value> {
        let (mut ids, mut victims) = (Vec::new(), JoinSet::new());
        for (nth, (_, page)) in bombs.iter().enumerate() {
            let (path, number) =
                (format!("/bomb{}", begin + nth), format!("1555091{:04}", begin + nth));
            self.customer.reply("POST", &path, [Reply::page(page.clone())]);
            let (start_url, result_url) = (self.customer.url(&path), self.customer.url("/result"));
            let fields = [
                ("phone_number", number.as_str()),
                ("start_url", &start_url),
                ("result_url", &result_url),
            ];
            ids.push(self.server.queued(&fields).await);
            victims.spawn(answer(Arc::clone(&self.phone), number));
        }
        while let Some(ended) = victims.join_next().await {
            ended.unwrap();
        }
        let mut calls = Vec::new();
        for id in ids {
            calls.push(self.server.until_state(&id, "completed").await);
        }
        calls
    }
}

/// What the application is told of a call's script.
fn told(call: &Value) -> String {
    let events = call["events"].as_array().unwrap().iter();
    let mut errors = events.filter(|event| event["kind"] == "script_error");
    errors.next().map_or("", |event| event["detail"].as_str().unwrap()).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn bombs_of_script_and_xml_end_their_own_calls_and_disturb_no_sound() {
    let scene = Scene::open().await;
    let undisturbed = Undisturbed::begin(&scene.server, &scene.phone, &scene.customer).await;
    let before = scene.server.memory_kib("VmRSS");
    let bombs: Vec<_> = list::scripts().into_iter().chain(list::xml()).collect();
    let begun = Instant::now();
    let calls = scene.explode(0, &bombs).await;
    for ((name, _), call) in bombs.iter().zip(&calls) {
        assert!(told(call).starts_with("error."), "{name} was told as {:?}", told(call));
    }
    println!(
        "{} bombs at once: {:?}; memory {before} kB before, at most {} kB",
        bombs.len(),
        begun.elapsed(),
        scene.server.memory_kib("VmHWM")
    );
    undisturbed.ends_well(&scene.server, &scene.phone, &scene.customer).await;
    scene.server.stop().await;
}

/// A builtin that takes milliseconds, in a loop whose turns are counted by the thousand only.
const UNNOTICED: &str = "<vxml version='2.1'><form><block><script>\
     var s = '1'.repeat(6e6); for (;;) +s;</script></block></form></vxml>";

#[tokio::test(flavor = "multi_thread")]
async fn script_that_nothing_stops_loses_its_call_and_its_account_bounds_how_many() {
    let scene = Scene::open().await;
    let undisturbed = Undisturbed::begin(&scene.server, &scene.phone, &scene.customer).await;
    let begun = Instant::now();
    let stuck =
        scene.explode(0, &[("first", UNNOTICED.into()), ("second", UNNOTICED.into())]).await;
    println!("two scripts that nothing stops: their calls ended after {:?}", begun.elapsed());
    for call in &stuck {
        assert!(told(call).starts_with("error.limit: limit wait_max"), "{}", told(call));
    }
    let another = "<vxml version='2.1'><form><block><script>1 + 1;</script></block></form></vxml>";
    let refused = scene.explode(10, &[("third", another.into())]).await;
    assert!(
        told(&refused[0]).starts_with("error.limit: limit given_up_max"),
        "{}",
        told(&refused[0])
    );
    // Pages without ECMAScript have nothing to wait for.
    let plain = scene.explode(20, &[("fourth", SAYS_NOTHING.into())]).await;
    assert_eq!(told(&plain[0]), "");
    undisturbed.ends_well(&scene.server, &scene.phone, &scene.customer).await;
    // Nor does the program wait for them at its end.
    scene.server.stop().await;
}
