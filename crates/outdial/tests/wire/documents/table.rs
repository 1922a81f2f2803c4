//! The documents: their areas, who is called, and what the callee does.
//!
//! A callee waits for a sound to begin (`ask`) or until it was heard whole (`ask.`), presses keys
//! (`=12`), says a sound (`~said`) or a word (`~:chicago`), lets a held answer go (`!`), hangs up
//! (`x`), or is connected with somebody (`@NUMBER-deed`).

use std::collections::HashMap;
use std::fmt::{Display, Formatter, Result};
use std::sync::{Arc, LazyLock, Mutex};

use tokio::sync::Notify;

use super::callee::Gate;
use super::file;
use crate::customer::{Customer, Reply};

/// Who is called.
#[derive(Clone, Copy)]
pub(super) enum FarEnd {
    Baresip,
    Phone,
}

impl Display for FarEnd {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        to.write_str(match self {
            Self::Baresip => "baresip",
            Self::Phone => "phone",
        })
    }
}

/// One call.
pub(super) struct Document {
    /// Its campaign and place; what stands before a `-` is the name of its page.
    pub(super) name: &'static str,
    pub(super) area: &'static str,
    pub(super) far_end: FarEnd,
    /// What the callee does.
    pub(super) keys: &'static str,
    /// From the beginning of a sound to that of another: seconds at least and at most.
    pub(super) times: &'static [(&'static str, &'static str, f64, f64)],
}

const fn document(
    name: &'static str,
    area: &'static str,
    far_end: FarEnd,
    keys: &'static str,
) -> Document {
    Document { name, area, far_end, keys, times: &[] }
}

use FarEnd::{Baresip, Phone};

/// The documents.
pub(super) const DOCUMENTS: &[Document] = &[
    document("mixed", "mixed initiative, all at once", Baresip, "ask =1 sure =1"),
    document(
        "mixed-parts",
        "mixed initiative, piece by piece",
        Phone,
        "ask again =2 one =4 sure =2",
    ),
    document("links", "links", Baresip, "ask =8 help ask =9 there =7"),
    document("options", "options", Phone, "number3 =2 ask =4 wrong number3 =3 ask =1"),
    document("menus", "menus", Baresip, "ask =7 wrong ask =0 help ask =2 ask =1 one =42"),
    document("record", "record", Phone, "ask. ~said one said. two =1"),
    document(
        "builtins",
        "builtin types",
        Baresip,
        "one =1 two =47# three =2*5# four =19*95# number1 =20261121 sure =9",
    ),
    document(
        "scopes",
        "scope and precedence of grammars",
        Phone,
        "one =1 two =6 three =1 three =6 three =8",
    ),
    document("tags", "grammars by reference and their tags", Baresip, "one =121# two =*6"),
    document("results", "results of keys, and what is none", Phone, "ask =9 wrong ask =5"),
    document("readings", "N-best of a spoken word", Phone, "ask. ~:chicago"),
    document("bargein", "bargein", Baresip, "notice =9 story =3 sure =9 sure. =4"),
    Document {
        times: &[("one", "silent", 1.1, 2.5), ("two", "three", 2.1, 5.0)],
        ..document("timeouts", "timeouts", Phone, "one silent two silent three silent four =12")
    },
    document("tapered", "tapered prompts", Phone, "one two silent four sure =1 one =2"),
    document("caching", "caches", Phone, "ask =1"),
    document("properties", "properties", Baresip, "one =12# two =34* three =56 four =78*"),
    document("submit", "encodings of submitted values", Phone, "ask =42 again =1"),
    document("data", "data", Phone, "one two three =2"),
    document("foreach", "foreach", Baresip, "sure =5"),
    document("marks", "marks", Baresip, "story =5 sure. =6"),
    document(
        "consult",
        "consultation transfer",
        Phone,
        "ask @15550100777-busy again =1 @15550100778-answers ~said @15550100778-hears-said \
         @15550100778-says-reply reply. @15550100778-leaves",
    ),
    document(
        "bridge",
        "bridge with sound while it rings",
        Phone,
        "ask @15550100779-rings music @15550100779-answers @15550100779-says-reply reply. =*9 \
         @15550100779-left",
    ),
    document("events", "events and their handlers", Phone, "ask =9 wrong ask =9 help ask =1"),
    document("subdialogs", "subdialogs", Baresip, "one =12 sure =1"),
    document("hotword", "prompts that the right word interrupts", Phone, "story =79 =12"),
    document("waiting", "sound while a page is fetched", Phone, "ask music ! there"),
    document("leaving", "hanging up", Baresip, "ask =5 story x"),
    document(
        "root",
        "an application of several pages",
        Phone,
        "one =0 again one =1 two =0 again two =1",
    ),
];

/// All sounds, and their lengths in seconds.
pub(super) const SOUNDS: &[(&str, f64)] = &[
    ("again", 0.6),
    ("ask", 0.6),
    ("bye", 0.6),
    ("four", 0.6),
    ("help", 0.6),
    ("music", 20.0),
    ("notice", 2.0),
    ("number1", 0.6),
    ("number2", 0.6),
    ("number3", 0.6),
    ("one", 0.6),
    ("reply", 1.0),
    ("said", 2.0),
    ("silent", 0.6),
    ("story", 12.0),
    ("sure", 0.6),
    ("there", 0.6),
    ("three", 0.6),
    ("two", 0.6),
    ("wrong", 0.6),
];

/// How long a sound is.
pub(super) fn seconds(name: &str) -> f64 {
    let found = SOUNDS.iter().find(|sound| sound.0 == name);
    found.unwrap_or_else(|| panic!("there is no sound {name}")).1
}

/// What holds an answer of this document back.
pub(super) fn gate(name: &str) -> Gate {
    static GATES: LazyLock<Mutex<HashMap<String, Gate>>> = LazyLock::new(Mutex::default);
    let mut gates = GATES.lock().unwrap();
    Arc::clone(gates.entry(name.to_owned()).or_insert_with(|| Arc::new(Notify::new())))
}

/// Media types.
const XML: &str = "application/xml";
const SRGS: &str = "application/srgs+xml";

/// What a server says of an answer that may be kept, and of one that was kept for too long by
/// somebody in between.
const PROMISED: &[(&str, &str)] = &[("cache-control", "max-age=600")];
const STALE: &[(&str, &str)] =
    &[("cache-control", "max-age=60"), ("age", "100"), ("etag", "\"v1\"")];

/// One address of a document beside its page: how it is asked, and what it answers one after the
/// other.
type Beside = (&'static str, &'static str, Vec<Reply>);

/// Puts what a document needs beside its page where the server finds it.
pub(super) fn extras(customer: &Customer, name: &str) {
    for (method, place, replies) in beside(name) {
        customer.reply(method, &format!("/{name}/{place}"), replies);
    }
}

fn beside(name: &str) -> Vec<Beside> {
    let xml = |text: &str| Reply::Send(200, XML, text.to_owned().into());
    let kept = |status, head, text: &str| Reply::Kept(status, head, XML, text.to_owned().into());
    let page = |of: &str| Reply::page(file(of));
    match name {
        "tags" => {
            let grammar = Reply::Send(200, SRGS, file("keys.grxml").into());
            vec![("GET", "keys.grxml", vec![grammar])]
        }
        "caching" => {
            let promised = ["<d>first</d>", "<d>second</d>"].map(|text| kept(200, PROMISED, text));
            let stale = vec![kept(200, STALE, "<d>old</d>"), kept(304, STALE, "")];
            vec![("GET", "kept.xml", promised.into()), ("GET", "stale.xml", stale)]
        }
        "submit" => vec![
            ("GET", "query", vec![xml("<taken/>")]),
            ("POST", "form", vec![xml("<taken/>")]),
            ("POST", "parts", vec![xml("<taken/>")]),
            ("GET", "default", vec![page("default.vxml")]),
        ],
        "data" => {
            let stops = "<stops><stop sound='one'>Bern</stop><stop sound='two'>Rome</stop>\
                         <stop sound='three'>Oslo</stop></stops>";
            let closed = "<?access-control allow='other.example'?><secret/>";
            vec![
                ("GET", "stops.xml", vec![xml(stops)]),
                ("GET", "closed.xml", vec![xml(closed)]),
                ("GET", "broken.xml", vec![xml("<broken>")]),
                ("GET", "gone.xml", vec![Reply::text(410, "gone")]),
            ]
        }
        "events" => vec![("GET", "nowhere.vxml", vec![Reply::text(404, "no")])],
        "subdialogs" => vec![("GET", "inner.vxml", vec![page("inner.vxml")])],
        "waiting" => {
            let slow = Reply::Later(gate(name), Box::new(page("slow.vxml")));
            vec![("GET", "slow", vec![slow])]
        }
        "root" => vec![
            ("GET", "root.xml", vec![page("root.xml")]),
            ("GET", "next.vxml", vec![page("next.vxml")]),
        ],
        _ => Vec::new(),
    }
}
