//! `queuecalls.php` with lists of every bad kind, while another call goes on.

use expect_test::expect_file;

use crate::customer::{Customer, SAYS_NOTHING};
use crate::harness::Stage;
use crate::http;
use crate::phone::Phone;
use crate::server::{Document, Server, Settings};
use crate::undisturbed::Undisturbed;

/// A list and what is wrong with it.
fn lists() -> Vec<(&'static str, Vec<u8>)> {
    let long_row = format!("15550100001\t{}\n", "x".repeat(100_000));
    let utf_16: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain("15550100001\n".bytes().flat_map(|it| [it, 0])).collect();
    vec![
        ("nothing in it", b"".to_vec()),
        ("blank lines", b"\n\n  \n\r\n".to_vec()),
        ("comments only", b"# nobody\n# at all\n".to_vec()),
        ("words", b"one\ntwo\nthree\n".to_vec()),
        ("a spreadsheet", b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00".to_vec()),
        ("an old spreadsheet", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1".to_vec()),
        ("UTF-16", utf_16),
        (
            "noise",
            (0..2_000_u32).map(|nth| (nth.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
        ),
        ("NULs", vec![0; 300]),
        ("one column twice", b"destination,name,name\n15550100001,a,b\n".to_vec()),
        ("a column without name", b"destination,,name\n15550100001,a,b\n".to_vec()),
        ("a header and nothing else", b"destination,name\n".to_vec()),
        ("too many values", b"destination,name\n15550100001,a,b,c\n".to_vec()),
        ("an open quote", b"destination,name\n15550100001,\"a\n15550100002,b\n".to_vec()),
        ("text behind a quote", b"destination,name\n15550100001,\"a\"b\n".to_vec()),
        ("a row of 100 kB", long_row.into_bytes()),
        ("one good row of three", b"15550100001\tok\n+\tplus\n15550100001;ani=me\tani\n".to_vec()),
    ]
}

struct Place {
    server: Server,
    customer: Customer,
}

impl Place {
    /// The answer as it stands in the golden file, without what differs from run to run.
    fn line(&self, name: &str, document: &Document) -> String {
        let status = document.attribute("queuecalls", "status");
        let mut text = format!("=== {name}: {} {status}\n", document.status);
        for error in document.errors() {
            let error = error.replace(&self.customer.url(""), "http://app.example");
            text.push_str(&format!("{error}\n"));
        }
        for row in document.text.lines().filter(|row| row.trim_start().starts_with("<call ")) {
            let row = row.trim().split(" call_id=").next().unwrap_or_default();
            let shown =
                |sign: char| if sign.is_ascii_graphic() || sign == ' ' { sign } else { '?' };
            text.extend(row.chars().take(200).map(shown));
            text.push('\n');
        }
        text
    }

    async fn list(&self, list: &[u8]) -> Document {
        let (start_url, result_url) = (self.customer.url("/start"), self.customer.url("/result"));
        let fields = [
            ("campaign", "bad"),
            ("start_url", start_url.as_str()),
            ("result_url", &result_url),
            ("scheduled_time", "+2 days"),
        ];
        self.server.queue_calls(&fields, list).await
    }

    /// A request whose parts are not those of a good one.
    async fn send(&self, fields: &[(&str, &str)], file: Option<(&str, &[u8])>) -> Document {
        let mut all = self.server.credentials().to_vec();
        all.extend_from_slice(fields);
        let (content_type, body) = http::multipart(&all, file);
        let head = [("content-type", content_type.as_str())];
        let path = "/webservice/queuecalls.php";
        Document::of(http::send(self.server.api(), "POST", path, &head, body).await)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_are_none_are_refused_with_a_reason_and_good_rows_are_taken() {
    let stage = Stage::new();
    let phone = Phone::open().await;
    let customer = Customer::open(SAYS_NOTHING).await;
    let server = Server::start(&stage, phone.address, &Settings::default()).await;
    let call = Undisturbed::begin(&server, &phone, &customer).await;
    let place = Place { server, customer };
    let mut golden = String::new();
    for (name, list) in lists() {
        golden += &place.line(name, &place.list(&list).await);
    }

    let start_url = place.customer.url("/start");
    let good: &[u8] = b"15550100001\n";
    let start = ("start_url", start_url.as_str());
    let campaign = ("campaign", "bad");
    let long_name = "c".repeat(256);
    let missing = place.customer.url("/missing");
    place.customer.reply("GET", "/missing", [crate::customer::Reply::text(404, "no")]);
    let requests = [
        ("no list", vec![campaign, start], None),
        ("the list as a field", vec![campaign, start, ("phone_list", "15550100001")], None),
        ("nothing at all", vec![], None),
        ("no campaign", vec![start], Some(("phone_list", good))),
        ("a long campaign", vec![("campaign", &*long_name), start], Some(("phone_list", good))),
        ("two campaigns", vec![campaign, ("campaign", "other"), start], Some(("phone_list", good))),
        ("no start_url", vec![campaign], Some(("phone_list", good))),
        ("404", vec![campaign, ("start_url", &*missing)], Some(("phone_list", good))),
        ("retries", vec![campaign, start, ("max_retries", "x")], Some(("phone_list", good))),
    ];
    for (name, fields, file) in requests {
        golden += &place.line(name, &place.send(&fields, file).await);
    }
    expect_file!["golden/lists.txt"].assert_eq(&golden);

    let Place { server, customer } = place;
    // The good row of three, the one behind an open quote, and the list as a field, which is a
    // list all the same. One of them may be dialed already.
    assert_eq!(server.contacts_of("bad").await, 3);
    call.ends_well(&server, &phone, &customer).await;
    server.stop().await;
}
