//! The answer to a request that is broken: what can still be told to its sender.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::grammar::Cursor;
use super::message::{Method, Response, reason_phrase};
use super::name::Name;
use super::parse::{Fault, HEADERS_MAX};
use super::value::{NameAddr, read_via_hop};

/// The headers that a response takes over, RFC 3261 §8.2.6.2.
const COPIED: [Name; 5] = [Name::Via, Name::From, Name::To, Name::CallId, Name::CSeq];

/// The answer to a broken request, or `None` where nobody asked or nobody can be answered.
pub(crate) fn reply_to_broken(head: &str, status: u16, fault: &Fault) -> Option<Response> {
    let lines = unfolded_lines(head);
    let method = Method::parse(lines.first()?.split(' ').next()?)?;
    if method == Method::Ack {
        return None;
    }
    let mut found: Vec<(Name, &str)> = Vec::new();
    for line in &lines[1..] {
        let Some((label, value)) = line.split_once(':') else { continue };
        let Some(name) = Name::from_text(label.trim()) else { continue };
        let is_first = !found.iter().any(|(other, _)| *other == name);
        if COPIED.contains(&name) && (name == Name::Via || is_first) {
            found.push((name, value.trim()));
        }
    }
    let value = |name| found.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
    read_via_hop(&mut Cursor::new(value(Name::Via)?)).ok()?;
    let mut response = Response::new(status, sentence(status, fault));
    for name in COPIED {
        if value(name)?.is_empty() {
            return None;
        }
        for (_, text) in found.iter().filter(|(other, _)| *other == name) {
            let has_no_tag = NameAddr::parse(text).is_ok_and(|to| to.tag().is_none());
            match name {
                Name::To if has_no_tag => {
                    let tag = tag_of(&found);
                    response.headers.push(name, format_args!("{text};tag={tag}"));
                }
                _ => response.headers.push(name, text),
            }
        }
    }
    Some(response)
}

fn sentence(status: u16, fault: &dyn fmt::Display) -> String {
    format!("{} - {fault}", reason_phrase(status))
}

/// The same tag whenever the same request comes again, as RFC 3261 §8.2.7 wants it.
fn tag_of(found: &[(Name, &str)]) -> String {
    let mut hash = Sha256::new();
    for (name, value) in found {
        hash.update(name.as_str());
        hash.update([0]);
        hash.update(value);
        hash.update([0]);
    }
    hash.finalize()[..8].iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The lines of a head, continuation lines joined, no more than a message may have.
fn unfolded_lines(head: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in head.split('\n').map(|line| line.trim_end_matches('\r')) {
        if line.is_empty() || lines.len() > HEADERS_MAX {
            break;
        }
        match lines.last_mut() {
            Some(last) if line.starts_with([' ', '\t']) => {
                last.push(' ');
                last.push_str(line.trim());
            }
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}
