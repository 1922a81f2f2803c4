//! Messages at the corners of the grammar: what is taken, what is refused, and with what words.
//!
//! `tests/torture/*.sip` are ours: a name, what it shows, the verdict, the message. In a message
//! a line's end is CR LF and `\xHH` an octet. `UPDATE_GOLDEN=1` writes the verdicts anew. The
//! second half reads the messages of RFC 4475 and RFC 5118 where they are at hand.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use proto::sdp::Description;
use proto::sip::{Frame, Framer, Message, NameAddr, ParseError, parse_datagram};

const OWN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/torture");
const SHARED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/sip");

/// One message of ours.
struct Case {
    /// Name and purpose, as they stand in the file.
    heading: String,
    verdict: String,
    text: String,
}

fn read_cases(path: &Path) -> Vec<Case> {
    let text = fs::read_to_string(path).unwrap();
    let sections = text.split("### ").skip(1);
    sections
        .map(|section| {
            let mut lines = section.split_inclusive('\n');
            let heading = lines.by_ref().take(2).collect();
            let verdict = lines.next().unwrap().trim_start_matches("= ").trim_end().to_owned();
            Case { heading, verdict, text: lines.collect() }
        })
        .collect()
}

fn write_cases(path: &Path, cases: &[Case]) {
    let mut text = String::new();
    for Case { heading, verdict, text: message } in cases {
        write!(text, "### {heading}= {verdict}\n{message}").unwrap();
    }
    fs::write(path, text).unwrap();
}

/// The octets of a message as our files spell it.
fn octets(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        match octet {
            b'\n' => out.extend_from_slice(b"\r\n"),
            b'\\' if rest.first() == Some(&b'x') => {
                let digits = std::str::from_utf8(&rest[1..3]).unwrap();
                out.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &rest[3..];
            }
            octet => out.push(octet),
        }
    }
    out
}

/// Everything that was understood, or why nothing was.
fn verdict(found: &Result<Message, ParseError>) -> String {
    let message = match found {
        Ok(message) => message,
        Err(error) => {
            let reply = error.reply().map_or("none".into(), |reply| reply.status.to_string());
            return format!("refused, {error}; reply {reply}");
        }
    };
    let headers = message.headers();
    let (number, method) = headers.cseq().unwrap();
    let list = |list: Vec<NameAddr>| {
        list.iter().map(NameAddr::to_string).collect::<Vec<_>>().join(" ").replace('\0', "\\0")
    };
    let vias: Vec<_> = headers.vias().unwrap().iter().map(ToString::to_string).collect();
    let start = match message {
        Message::Request(request) => format!("{} {}", request.method, request.uri),
        Message::Response(response) => format!("{} {:?}", response.status, response.reason),
    };
    format!(
        "accepted, {start} | {} | {} | {} | {number} {method} | {} | {} | {} headers, body {}",
        vias.join(" "),
        list(vec![headers.from().unwrap()]),
        list(vec![headers.to().unwrap()]),
        headers.call_id().unwrap(),
        headers.contacts().map_or_else(|error| error.to_string(), list),
        headers.len(),
        message.body().len(),
    )
}

#[test]
fn our_messages_get_the_verdicts_that_they_carry() {
    let mut files: Vec<PathBuf> =
        fs::read_dir(OWN).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut count = 0;
    let mut wrong = Vec::new();
    for path in files {
        let mut cases = read_cases(&path);
        for case in &mut cases {
            count += 1;
            let found = verdict(&parse_datagram(&octets(&case.text)));
            if found != case.verdict {
                wrong.push(format!("{}\n was {}\n is  {found}", case.heading, case.verdict));
                case.verdict = found;
            }
        }
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            write_cases(&path, &cases);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count >= 60, "only {count} messages were found");
}

#[test]
fn our_messages_that_are_taken_read_the_same_once_written() {
    for entry in fs::read_dir(OWN).unwrap() {
        for case in read_cases(&entry.unwrap().path()) {
            if let Ok(message) = parse_datagram(&octets(&case.text)) {
                assert_eq!(parse_datagram(&message.to_bytes()), Ok(message), "{}", case.heading);
            }
        }
    }
}

#[test]
fn answers_to_our_refused_messages_are_messages_themselves_or_give_broken_text_back() {
    for entry in fs::read_dir(OWN).unwrap() {
        for case in read_cases(&entry.unwrap().path()) {
            let Err(error) = parse_datagram(&octets(&case.text)) else { continue };
            let Some(reply) = error.reply() else { continue };
            let written = parse_datagram(&reply.to_bytes());
            // Whoever sent a broken Via, From, To or CSeq gets it back to know it by.
            if let Err(error) = &written {
                assert!(error.fault.to_string().contains(" is malformed"), "{}", case.heading);
            }
            assert!(reply.to_bytes().len() < octets(&case.text).len() + 400, "{}", case.heading);
        }
    }
}

/// A row of a manifest: the file's octets and what is expected of them.
struct Row {
    name: String,
    octets: Vec<u8>,
    expected: String,
    declared: Option<usize>,
    present: Option<usize>,
}

fn shared_rows(directory: &str) -> Option<Vec<Row>> {
    let directory = Path::new(SHARED).join(directory);
    let Ok(manifest) = fs::read_to_string(directory.join("manifest.tsv")) else {
        println!("skipped: no ../shared");
        return None;
    };
    let mut lines = manifest.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let titles = lines.next().unwrap();
    let column = |title: &str| titles.iter().position(|other| *other == title);
    let (file, parse) = (column("file").unwrap(), column("parse").unwrap());
    let number = |row: &[&str], title: &str| row.get(column(title)?)?.parse().ok();
    let rows = lines.map(|row| Row {
        name: row[file].into(),
        octets: fs::read(directory.join(row[file])).unwrap(),
        expected: row[parse].into(),
        declared: number(&row, "declared_cl"),
        present: number(&row, "actual_cl"),
    });
    Some(rows.collect())
}

/// Checks every message of a manifest and says how many there were.
fn check_manifest(directory: &str) -> Option<usize> {
    let rows = shared_rows(directory)?;
    let mut wrong = Vec::new();
    for Row { name, octets, expected, declared, present } in &rows {
        let found = parse_datagram(octets);
        println!("{name}: {expected}: {}", verdict(&found));
        // RFC 5118 prints Content-Lengths that do not fit its own messages. RFC 3261 §18.3 has a
        // datagram refused whose body is too short; the manifest has a corrected copy of it.
        let is_short = declared > present;
        let is_right = match expected.as_str() {
            "accept" => found.is_ok() != is_short,
            "reject" => found.is_err(),
            "may" => true,
            other => panic!("{name}: what is {other}?"),
        };
        if !is_right {
            wrong.push(format!("{name}: expected {expected}, found {}", verdict(&found)));
        }
        if let Ok(message) = found {
            assert_eq!(parse_datagram(&message.to_bytes()), Ok(message), "{name}");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Some(rows.len())
}

#[test]
fn rfc_4475_messages_get_the_verdicts_of_the_rfc() {
    if let Some(count) = check_manifest("rfc4475") {
        assert_eq!(count, 49);
    }
}

#[test]
fn rfc_5118_messages_get_the_verdicts_of_the_rfc() {
    if let Some(count) = check_manifest("rfc5118") {
        assert_eq!(count, 15);
    }
}

#[test]
fn descriptions_inside_the_messages_of_both_rfcs_are_read_and_written() {
    let mut count = 0;
    for directory in ["rfc4475", "rfc5118"] {
        let Some(rows) = shared_rows(directory) else { return };
        // Where Content-Length is wrong, the description is cut.
        for row in rows.iter().filter(|row| row.declared == row.present) {
            let Ok(message) = parse_datagram(&row.octets) else { continue };
            if !message.headers().content_type().unwrap().is_some_and(|kind| kind.is_sdp()) {
                continue;
            }
            let description = Description::parse(message.body()).unwrap();
            let written = description.to_string();
            assert_eq!(Description::parse(written.as_bytes()), Ok(description), "{}", row.name);
            count += 1;
        }
    }
    assert!(count >= 8, "only {count} descriptions were found");
}

#[test]
fn refused_requests_of_rfc_4475_are_answered_as_it_expects() {
    let Some(rows) = shared_rows("rfc4475") else { return };
    let status = |name: &str| {
        let row = rows.iter().find(|row| row.name == format!("{name}.dat")).unwrap();
        let error = parse_datagram(&row.octets).expect_err(name);
        error.reply().map(|reply| reply.status)
    };
    let answered = [
        "badinv01",
        "clerr",
        "ncl",
        "scalar02",
        "quotbal",
        "mismatch01",
        "mismatch02",
        "multi01",
        "mcl01",
    ];
    for name in answered {
        assert_eq!(status(name), Some(400), "{name}");
    }
    assert_eq!(status("badvers"), Some(505));
    // Nobody can be answered without From, To and Call-ID, and nobody answers a response.
    for name in ["insuf", "scalarlg", "bigcode"] {
        assert_eq!(status(name), None, "{name}");
    }
}

#[test]
fn messages_of_both_rfcs_pass_through_a_stream_without_panic_whole_and_octet_by_octet() {
    for directory in ["rfc4475", "rfc5118"] {
        let Some(rows) = shared_rows(directory) else { return };
        for row in rows {
            let mut whole = Framer::new();
            whole.feed(&row.octets);
            let frames: Vec<Frame> = std::iter::from_fn(|| whole.poll()).collect();
            let mut slow = Framer::new();
            let mut slow_frames = Vec::new();
            for octet in &row.octets {
                slow.feed(&[*octet]);
                slow_frames.extend(std::iter::from_fn(|| slow.poll()));
            }
            assert_eq!(frames, slow_frames, "{}", row.name);
        }
    }
}

#[test]
fn every_truncation_and_every_changed_octet_of_both_rfcs_is_survived() {
    for directory in ["rfc4475", "rfc5118"] {
        let Some(rows) = shared_rows(directory) else { return };
        for row in rows {
            for at in 0..row.octets.len() {
                let _ = parse_datagram(&row.octets[..at]);
                let mut changed = row.octets.clone();
                for octet in [0, b'\r', b'\n', b'"', b'\\', b'<', b',', b';', b'%', 0xff] {
                    changed[at] = octet;
                    let _ = parse_datagram(&changed);
                }
            }
        }
    }
}

#[test]
fn leftover_of_the_rfc_4475_archive_is_refused() {
    let path = Path::new(SHARED).join("rfc4475/test.dat");
    let Ok(octets) = fs::read(path) else {
        println!("skipped: no ../shared");
        return;
    };
    assert!(parse_datagram(&octets).is_err());
}
