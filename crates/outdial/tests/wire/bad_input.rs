//! `queuecall.php` with every parameter missing, too long, malformed and of the wrong type, and
//! with addresses of every bad kind, while another call goes on.

use expect_test::expect_file;

use crate::customer::{Customer, Reply, SAYS_NOTHING};
use crate::harness::{Stage, at, port};
use crate::http;
use crate::phone::Phone;
use crate::scene::{Expected, NUMBER, queue};
use crate::server::{Document, Server, Settings};
use crate::undisturbed::Undisturbed;

/// The script that is asked.
const PATH: &str = "/webservice/queuecall.php";
/// Media type of its forms.
const FORM: &str = "application/x-www-form-urlencoded";

/// A change of a good request: fields with new values, or without any.
type Change<'a> = &'a [(&'a str, Option<&'a str>)];

/// A server, a customer, and a call under way.
struct Place {
    server: Server,
    phone: Phone,
    customer: Customer,
    call: Undisturbed,
    _stage: Stage,
}

impl Place {
    async fn new() -> Self {
        let stage = Stage::new();
        let phone = Phone::open().await;
        let customer = Customer::open(SAYS_NOTHING).await;
        let server = Server::start(&stage, phone.address, &Settings::default()).await;
        let call = Undisturbed::begin(&server, &phone, &customer).await;
        Self { server, phone, customer, call, _stage: stage }
    }

    /// The fields of a good request after this change.
    fn fields(&self, change: Change<'_>) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = self
            .server
            .credentials()
            .into_iter()
            .chain([("phone_number", NUMBER)])
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        fields.push(("start_url".into(), self.customer.url("/start")));
        fields.push(("result_url".into(), self.customer.url("/result")));
        for (name, _) in change {
            fields.retain(|field| field.0 != *name);
        }
        let set =
            change.iter().filter_map(|(name, value)| Some(((*name).into(), (*value)?.into())));
        fields.extend(set);
        fields
    }

    async fn ask(&self, change: Change<'_>) -> Document {
        let fields = self.fields(change);
        let pairs: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let head = [("content-type", FORM)];
        Document::of(http::send(self.server.api(), "POST", PATH, &head, http::form(&pairs)).await)
    }

    /// A document as it stands in the golden file, without what differs from run to run.
    fn line(&self, name: &str, document: &Document) -> String {
        let status = document.attribute("queuecall", "status");
        let mut text = format!("=== {name}: {} {status}\n", document.status);
        for error in document.errors() {
            let error = error.replace(&self.customer.url(""), "http://app.example");
            text.push_str(&format!("{error}\n"));
        }
        let pin = self.server.credentials()[1].1;
        assert!(!document.text.contains(pin), "{name}: the PIN is repeated");
        text
    }

    /// Nothing bad was queued, the call under way was not disturbed, and a good one still goes.
    async fn stays_well(self) {
        let Self { server, phone, customer, call, _stage } = self;
        assert_eq!(server.contacts_of("default").await, 1, "something bad was queued");
        let id = queue(&server, &customer, NUMBER).await;
        let invite = phone.request("INVITE").await;
        phone.answer(&invite, 486, "Busy Here", "busy").await;
        phone.request("ACK").await;
        let result = customer.results_of(1).await.remove(&id).expect("the good call has ended");
        Expected::failed("busy", 1).check(&result, NUMBER);
        call.ends_well(&server, &phone, &customer).await;
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_parameter_that_is_wrong_is_named_with_what_would_be_right() {
    let place = Place::new().await;
    let mut golden = String::new();
    for name in ["login", "pin", "phone_number", "start_url"] {
        let document = place.ask(&[(name, None)]).await;
        golden += &place.line(&format!("{name} missing"), &document);
        let document = place.ask(&[(name, Some("  "))]).await;
        golden += &place.line(&format!("{name} blank"), &document);
    }
    let long_url = format!("http://app.example/{}", "x".repeat(255));
    let long = |length: usize| "7".repeat(length);
    let too_long = [
        ("login", long(129)),
        ("pin", long(17)),
        ("phone_number", long(129)),
        ("start_url", long_url.clone()),
        ("result_url", long_url),
        ("message_reference", long(256)),
        ("call_parameters", long(256)),
        ("campaign_parameters", long(256)),
        ("max_retries", long(300)),
        ("retry_interval", long(300)),
        ("scheduled_timestamp", long(300)),
        ("scheduled_time", long(300)),
        ("expiration_timestamp", long(300)),
        ("expiration_time", long(300)),
        ("callee_type_detection", long(300)),
    ];
    for (name, value) in &too_long {
        let document = place.ask(&[(name, Some(value))]).await;
        golden += &place.line(&format!("{name} too long"), &document);
    }
    for (name, value) in MALFORMED {
        let document = place.ask(&[(name, Some(value))]).await;
        golden += &place.line(&format!("{name} {value:?}"), &document);
    }
    for (name, change) in TOGETHER {
        let document = place.ask(change).await;
        golden += &place.line(name, &document);
    }
    expect_file!["golden/parameters.txt"].assert_eq(&golden);
    place.stays_well().await;
}

/// Values that their parameters do not take.
const MALFORMED: &[(&str, &str)] = &[
    ("pin", "wrong"),
    ("login", "nobody"),
    ("login", "wi\0re"),
    ("phone_number", "call me"),
    ("phone_number", "+"),
    ("phone_number", "17:ani="),
    ("phone_number", "15550100001;ani="),
    ("phone_number", "15550100001;ani=1;ani=2"),
    ("phone_number", "15550100001;postd=press"),
    ("phone_number", "15550100001;colour=red"),
    ("phone_number", "sip:bob@example.com"),
    ("phone_number", "1555010\r\nX: y"),
    ("start_url", "start.vxml"),
    ("start_url", "ftp://app.example/start"),
    ("start_url", "file:///etc/passwd"),
    ("start_url", "javascript:alert(1)"),
    ("start_url", "http://"),
    ("start_url", "http://user:word@app.example/"),
    ("start_url", "http://app.example/a b"),
    ("result_url", "result"),
    ("result_url", "gopher://app.example:70/"),
    ("message_reference", "a\0b"),
    ("call_parameters", "a\0b"),
    ("campaign_parameters", "a\0b"),
    ("max_retries", "-1"),
    ("max_retries", "11"),
    ("max_retries", "2.5"),
    ("max_retries", "two"),
    ("max_retry", "99999999999999999999"),
    ("retry_interval", "59"),
    ("retry_interval", "172801"),
    ("retry_interval", "an hour"),
    ("scheduled_timestamp", "tomorrow"),
    ("scheduled_timestamp", "-5"),
    ("scheduled_timestamp", "1797000000000"),
    ("scheduled_time", "when I am ready"),
    ("scheduled_time", "oct 32nd, 2026"),
    ("expiration_timestamp", "1"),
    ("expiration_timestamp", "never"),
    ("expiration_time", "jan 5th, 2020 9am"),
    ("expiration_time", "soon"),
    ("callee_type_detection", "perhaps"),
];

/// Mistakes that only show together.
const TOGETHER: &[(&str, Change<'_>)] = &[
    ("two counts of retries", &[("max_retries", Some("1")), ("max_retry", Some("2"))]),
    (
        "two scheduled times",
        &[("scheduled_timestamp", Some("1900000000")), ("scheduled_time", Some("+3 days"))],
    ),
    (
        "over before it begins",
        &[("scheduled_time", Some("+3 days")), ("expiration_time", Some("+2 days"))],
    ),
    (
        "everything at once",
        &[
            ("login", None),
            ("pin", None),
            ("phone_number", Some("x")),
            ("start_url", Some("y")),
            ("result_url", Some("z")),
            ("max_retries", Some("many")),
            ("retry_interval", Some("0")),
        ],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_another_kind_are_told_what_is_asked_for() {
    let place = Place::new().await;
    let api = place.server.api();
    let fields = place.fields(&[]);
    let pairs: Vec<(&str, &str)> =
        fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let form = http::form(&pairs);
    let json = serde_json::json!({ "phone_number": NUMBER }).to_string();
    let mut golden = String::new();
    let large = format!("{form}&x={}", "y".repeat(70_000));
    let many = format!("{form}{}", "&x=y".repeat(300));
    let (boundary, whole) = http::multipart(&pairs, None);
    let cut = String::from_utf8_lossy(&whole[..whole.len() - 40]).into_owned();
    // Each parameter as a file where a text is asked for.
    let as_files: String = pairs
        .iter()
        .map(|(name, value)| {
            format!(
                "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\n\
                 Content-Type: application/octet-stream\r\n\r\n{value}\r\n"
            )
        })
        .collect::<String>()
        + "--b--\r\n";
    let requests: Vec<(&str, &str, &str, String)> = vec![
        ("GET", "GET", "", String::new()),
        ("PUT", "PUT", FORM, form.clone()),
        ("DELETE", "DELETE", "", String::new()),
        ("an empty form", "POST", FORM, String::new()),
        ("noise", "POST", FORM, "\u{1}&&&==%%%zz%0&%ff%fe=\u{7f}".repeat(50)),
        ("JSON", "POST", "application/json", json),
        ("plain text", "POST", "text/plain", form.clone()),
        ("XML", "POST", "text/xml", "<queuecall/>".into()),
        ("a form of 70 kB", "POST", FORM, large),
        ("300 fields", "POST", FORM, many),
        ("a form cut off", "POST", &boundary, cut),
        ("a form without boundary", "POST", "multipart/form-data", form.clone()),
        ("files for fields", "POST", "multipart/form-data; boundary=b", as_files),
    ];
    for (name, method, content_type, body) in requests {
        let head = [("content-type", content_type)];
        let head = if content_type.is_empty() { &head[..0] } else { &head[..] };
        let answer = http::send(api, method, PATH, head, body).await;
        golden += &place.line(name, &Document::of(answer));
    }
    let elsewhere = http::send(api, "POST", "/webservice/queue.php", &[], "").await;
    golden += &format!("=== another script: {}\n", elsewhere.status);
    expect_file!["golden/requests.txt"].assert_eq(&golden);
    place.stays_well().await;
}

/// Addresses that cannot be taken, and whether that is told of the address itself.
fn bad_addresses(place: &Place) -> Vec<(&'static str, String)> {
    let customer = &place.customer;
    customer.reply("GET", "/slow", [Reply::Hang]);
    customer.reply("GET", "/redirects", [Reply::Redirect(customer.url("/start"))]);
    customer.reply("GET", "/inside", [Reply::Redirect("http://169.254.169.254/".into())]);
    customer.reply("GET", "/forbidden", [Reply::text(403, "no")]);
    customer.reply("GET", "/missing", [Reply::text(404, "no")]);
    customer.reply("GET", "/broken", [Reply::text(500, "no")]);
    customer.reply("GET", "/empty", [Reply::text(204, "")]);
    let api = place.server.api();
    vec![
        ("a closed port", format!("http://{}/", at(port()))),
        ("a server that does not answer", customer.url("/slow")),
        ("a redirect", customer.url("/redirects")),
        ("a redirect into the machine room", customer.url("/inside")),
        ("403", customer.url("/forbidden")),
        ("404", customer.url("/missing")),
        ("500", customer.url("/broken")),
        ("204", customer.url("/empty")),
        ("TLS to a server without it", customer.url("/start").replace("http:", "https:")),
        ("a name that nobody has", "http://nobody.invalid/start".into()),
        ("a private address", "http://10.0.0.1/start".into()),
        ("another private address", "http://192.168.1.1:8080/start".into()),
        ("the cloud's own address", "http://169.254.169.254/latest/meta-data/".into()),
        ("loopback by IPv6", "http://[::1]/start".into()),
        ("a private address in IPv6", "http://[::ffff:10.0.0.1]/start".into()),
        ("a private address as number", "http://167772161/start".into()),
        ("any address", "http://0.0.0.0/start".into()),
        ("our own API", format!("http://{api}/v1/calls")),
        ("our own API as number", format!("http://2130706433:{}/v1/calls", api.port())),
        ("a database's port", "http://127.0.0.1:5432/".into()),
        ("a mail server's port", "http://127.0.0.1:25/".into()),
    ]
}

/// All addresses in one field.
async fn addresses_in(place: &Place, field: &str) -> String {
    let mut golden = String::new();
    for (name, address) in bad_addresses(place) {
        let document = place.ask(&[(field, Some(&address))]).await;
        golden += &place.line(&format!("{field}, {name}"), &document);
    }
    golden
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_cannot_be_taken_fail_the_request_with_a_reason() {
    let place = Place::new().await;
    let (start, result) =
        tokio::join!(addresses_in(&place, "start_url"), addresses_in(&place, "result_url"));
    expect_file!["golden/addresses.txt"].assert_eq(&(start + &result));
    place.stays_well().await;
}
