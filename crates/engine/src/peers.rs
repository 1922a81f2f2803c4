//! Other servers on the same database: they are asked for what only they have, and ask us.
//!
//! They know each other by a key that all of them read from the database: who has the database has
//! everything. A request says from whom to whom it is, for which account and when, and is signed; so
//! it opens nothing at another server, and a client's own key never leaves the one that it asked.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use domain::ids::AccountId;
use domain::time::Timestamp;
use futures_util::Stream;
use hmac::{Hmac, Mac};
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, RANGE};
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use rustls_pki_types::CertificateDer;
use sha2::Sha256;
use store::{NodePlace, StoreError};

use crate::http::HttpError;
use crate::http::inner::{InnerClient, pieces};

/// The scheme of the header Authorization between servers.
const SCHEME: &str = "Outdial-Node ";
/// How old a request may be, and by how much clocks may differ.
const AGE_MAX: Duration = Duration::from_secs(300);

/// The other servers; clones are the same.
#[derive(Clone)]
pub(crate) struct Peers {
    client: InnerClient,
    key: [u8; 32],
    /// Our own number; 0: there is but one server.
    node: i64,
}

/// What another server answered; its body comes as it is read.
pub struct Relayed<B> {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: B,
}

/// Why another server was not asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It is down, cut off, or its address is wrong. The operator repairs it.
    #[error("server {} at {:?} does not answer: {error}", .place.node, .place.address)]
    Away {
        /// Which.
        place: NodePlace,
        /// What came of it.
        #[source]
        error: HttpError,
    },
    /// It does not trust us: its address is another server's, or clocks differ. The operator
    /// repairs it.
    #[error("what answers at {:?} is not server {}, or its clock differs", .0.address, .0.node)]
    Stranger(NodePlace),
    /// The store is away. Time repairs it.
    #[error("store is unavailable")]
    Store(#[from] StoreError),
    /// It has never said where it is. The operator updates it.
    #[error("server {} has never said where it is asked", .0.node)]
    Unplaced(NodePlace),
}

impl Peers {
    /// `shared` is the secret of the database, `node` our own number.
    pub(crate) fn new(
        shared: [u8; 32],
        node: i64,
        extra_roots: &[CertificateDer<'static>],
    ) -> io::Result<Self> {
        let key = tag(&shared, &["outdial", "nodes", "1"]);
        Ok(Self { client: InnerClient::new(extra_roots)?, key, node })
    }

    /// Asks another server in the name of an account; `range` is passed on.
    pub(crate) async fn ask(
        &self,
        place: NodePlace,
        (account, now): (AccountId, Timestamp),
        (method, path): (&Method, &str),
        range: Option<&HeaderValue>,
    ) -> Result<Relayed<impl Stream<Item = Result<Bytes, HttpError>> + Send + use<>>, PeerError>
    {
        if place.address.is_empty() {
            return Err(PeerError::Unplaced(place));
        }
        let away = |error| PeerError::Away { place: place.clone(), error };
        let wrong = |error: http::Error| away(HttpError::Protocol(error.to_string()));
        let signed = self.signed(place.node, account, now, method, path);
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", place.address.trim_end_matches('/')))
            .header(AUTHORIZATION, signed)
            .body(Empty::new())
            .map_err(wrong)?;
        if let Some(range) = range {
            request.headers_mut().insert(RANGE, range.clone());
        }
        let response = self.client.ask(request).await.map_err(away)?;
        let (head, body) = response.into_parts();
        if head.status == StatusCode::UNAUTHORIZED {
            return Err(PeerError::Stranger(place));
        }
        Ok(Relayed { status: head.status, headers: head.headers, body: pieces(body) })
    }

    /// Whether a request claims to come from another server.
    pub(crate) fn claims(authorization: &str) -> bool {
        authorization.starts_with(SCHEME)
    }

    /// In whose name another server asks, if it is one and means us.
    pub(crate) fn trusted(
        &self,
        authorization: &str,
        now: Timestamp,
        (method, path): (&Method, &str),
    ) -> Option<AccountId> {
        let mut parts = authorization.strip_prefix(SCHEME)?.split('.');
        let mut number = || parts.next()?.parse::<i64>().ok();
        let (from, to, account, seconds) = (number()?, number()?, number()?, number()?);
        let given = unhex(parts.next()?)?;
        let at = Timestamp::from_seconds(seconds);
        let is_now = now.since(at) <= AGE_MAX && at.since(now) <= AGE_MAX;
        if to != self.node || from == to || !is_now || parts.next().is_some() {
            return None;
        }
        let mac = self.mac((from, to), account, seconds, method, path);
        mac.verify_slice(&given).is_ok().then_some(AccountId(account))
    }

    fn signed(
        &self,
        to: i64,
        account: AccountId,
        now: Timestamp,
        method: &Method,
        path: &str,
    ) -> String {
        let (from, seconds) = (self.node, now.as_seconds());
        let mac = self.mac((from, to), account.0, seconds, method, path);
        let signature = hex(&mac.finalize().into_bytes());
        format!("{SCHEME}{from}.{to}.{}.{seconds}.{signature}", account.0)
    }

    fn mac(
        &self,
        (from, to): (i64, i64),
        account: i64,
        seconds: i64,
        method: &Method,
        path: &str,
    ) -> Hmac<Sha256> {
        let numbers = format!("{from} {to} {account} {seconds}");
        keyed(&self.key, &[&numbers, method.as_str(), path])
    }
}

fn tag(key: &[u8; 32], parts: &[&str]) -> [u8; 32] {
    keyed(key, parts).finalize().into_bytes().into()
}

/// Parts do not run into each other: each has its length before it.
fn keyed(key: &[u8; 32], parts: &[&str]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(&(part.len() as u64).to_le_bytes());
        mac.update(part.as_bytes());
    }
    mac
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|sign| sign.to_digit(16).and_then(|it| u8::try_from(it).ok())).collect();
    let digits = digits.filter(|digits| digits.len() == 64)?;
    Some(digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);
    const PATH: &str = "/v1/calls/7/recordings/8";

    fn server(node: i64) -> Peers {
        Peers::new([7; 32], node, &[]).unwrap()
    }

    fn signed(from: i64, to: i64) -> String {
        server(from).signed(to, AccountId(3), NOW, &Method::GET, PATH)
    }

    #[test]
    fn server_of_the_same_database_is_trusted_in_the_name_of_an_account() {
        let given = signed(1, 2);
        assert!(Peers::claims(&given));
        let trusted = server(2).trusted(&given, NOW + AGE_MAX, (&Method::GET, PATH));
        assert_eq!(trusted, Some(AccountId(3)));
    }

    #[test]
    fn request_opens_nothing_but_what_it_was_signed_for() {
        let given = signed(1, 2);
        let at = |peers: &Peers, now, method, path| peers.trusted(&given, now, (method, path));
        let two = server(2);
        assert_eq!(at(&server(3), NOW, &Method::GET, PATH), None, "another server");
        assert_eq!(at(&two, NOW, &Method::DELETE, PATH), None, "another method");
        assert_eq!(at(&two, NOW, &Method::GET, "/v1/calls/7/recordings/9"), None, "another path");
        let late = NOW + AGE_MAX + Duration::from_secs(1);
        assert_eq!(at(&two, late, &Method::GET, PATH), None, "too late");
        let early = NOW - AGE_MAX - Duration::from_secs(1);
        assert_eq!(at(&two, early, &Method::GET, PATH), None, "too early");
        let stranger = Peers::new([8; 32], 2, &[]).unwrap();
        assert_eq!(at(&stranger, NOW, &Method::GET, PATH), None, "another database");
    }

    #[test]
    fn what_is_malformed_or_changed_is_not_trusted() {
        let given = signed(1, 2);
        let mut wrong = vec![
            String::new(),
            "Outdial-Node ".to_owned(),
            "Bearer od_live_1_2".to_owned(),
            given.replace(".3.", ".4."),
            format!("{given}.1"),
            format!("{given}00"),
            given.replace("1.2.", "2.2."),
        ];
        wrong.extend((SCHEME.len()..given.len()).map(|end| given[..end].to_owned()));
        for text in wrong {
            assert_eq!(server(2).trusted(&text, NOW, (&Method::GET, PATH)), None, "{text}");
        }
    }
}
