//! The demo's customer: a small application with a start page and a place for results.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use axum::Router;
use axum::extract::{Form, State};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// What the callee hears; the key goes back to this application. Keys alone are heard: "Hello?" into
/// a question for a digit is easily taken for "oh".
const PAGE: &str = r##"<?xml version="1.0" encoding="UTF-8"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
  <var name="reference" expr="'REFERENCE'"/>
  <form id="reminder">
    <field name="answer" type="digits?length=1">
      <property name="timeout" value="3s"/>
      <property name="inputmodes" value="dtmf"/>
      <prompt>Hello. Your appointment is tomorrow at nine. Press a key to confirm.</prompt>
      <noinput count="1"><prompt>Please press a key.</prompt></noinput>
      <noinput count="2"><goto next="#bye"/></noinput>
      <filled><submit next="/answer" namelist="reference answer" method="post"/></filled>
    </field>
  </form>
  <form id="bye"><block><prompt>Good bye.</prompt><exit/></block></form>
</vxml>"##;

/// What is said once the key is taken.
const THANKS: &str = r##"<?xml version="1.0" encoding="UTF-8"?>
<vxml version="2.0" xmlns="http://www.w3.org/2001/vxml">
  <form><block><prompt>Thank you.</prompt><exit/></block></form>
</vxml>"##;

type Fields = BTreeMap<String, String>;

/// What the customer has been told.
#[derive(Clone, Default)]
pub(crate) struct Customer(Arc<Told>);

#[derive(Default)]
struct Told {
    /// Results by number; a second one for the same number is kept beside the first.
    results: Mutex<BTreeMap<String, Vec<Fields>>>,
    /// Keys by message reference.
    keys: Mutex<BTreeMap<String, String>>,
    more: Notify,
}

impl Customer {
    /// Serves on a free port of loopback; its address.
    pub(crate) async fn serve(&self) -> Result<SocketAddr> {
        let listener =
            TcpListener::bind("127.0.0.1:0").await.context("no free port on loopback")?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/start", get(|| async { "ready" }).post(start))
            .route("/answer", axum::routing::post(answer))
            .route("/result", get(|| async { "ready" }).post(result))
            .with_state(self.clone());
        tokio::task::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// Results so far, by number.
    pub(crate) fn results(&self) -> BTreeMap<String, Vec<Fields>> {
        self.0.results.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keys so far, by message reference.
    pub(crate) fn keys(&self) -> BTreeMap<String, String> {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for another result.
    pub(crate) async fn more(&self) {
        self.0.more.notified().await;
    }
}

async fn start(Form(fields): Form<Fields>) -> ([(&'static str, &'static str); 1], String) {
    let reference = fields.get("message_reference").map_or("", String::as_str);
    let page = PAGE.replace("REFERENCE", &reference.replace(['\'', '<', '&', '\\'], ""));
    ([("content-type", "application/voicexml+xml")], page)
}

async fn answer(
    State(customer): State<Customer>,
    Form(fields): Form<Fields>,
) -> ([(&'static str, &'static str); 1], &'static str) {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let mut keys = customer.0.keys.lock().unwrap_or_else(PoisonError::into_inner);
    keys.insert(field("reference"), field("answer"));
    ([("content-type", "application/voicexml+xml")], THANKS)
}

async fn result(State(customer): State<Customer>, Form(fields): Form<Fields>) -> &'static str {
    let number = fields.get("phone_number").cloned().unwrap_or_default();
    let mut results = customer.0.results.lock().unwrap_or_else(PoisonError::into_inner);
    results.entry(number).or_default().push(fields);
    customer.0.more.notify_one();
    "completed"
}
