//! Answers to digest challenges: RFC 7616, RFC 8760 and their elder RFC 2617, as a client.
//!
//! A password is bound to its trunk (one [`Authenticator`] each), to a realm, and to the peer
//! that asked: a peer that challenges with another's realm gets nothing (spec: digest leak).

use std::fmt::{self, Write as _};

use hmac::{Hmac, Mac as _};
use md5::Md5;
use sha2::{Digest, Sha256};

use super::challenge::{Algorithm, Challenge, DigestChallenge, Qop};
use super::grammar::write_quoted;
use super::header::HeaderError;
use super::host::Host;
use super::message::{Request, Response};
use super::name::Name;

/// Peers of one trunk whose nonces are kept; a trunk has a handful of addresses.
const PEERS_MAX: usize = 64;
/// Challenges that are looked at in one response.
const CHALLENGES_MAX: usize = 16;
/// Longest realm, nonce and opaque together that are kept, in octets.
const CHALLENGE_BYTES_MAX: usize = 4_096;

/// Who we are to a trunk.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Name of the account.
    pub username: String,
    /// Its password; never shown, not in `Debug` either.
    pub password: String,
    /// Whose password it is. `None`: the realm that a peer names first is its realm from then on.
    pub realm: Option<String>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

/// Why a challenge is not answered; the request has then failed with its 401 or 407.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The challenge cannot be read, or there is none. The peer repairs it.
    #[error("challenge is not readable")]
    Malformed(#[source] HeaderError),
    /// The credentials were refused. Whoever set them repairs it.
    #[error("user name or password was refused in realm {realm:?}")]
    Refused {
        /// Whose password was wanted.
        realm: String,
    },
    /// Another realm than the credentials'. Whoever set them repairs it, if the peer is honest.
    #[error("challenge is for realm {asked:?}, the credentials are for {ours:?}")]
    UnknownRealm {
        /// Whose password was asked for.
        asked: String,
        /// Whose password we have.
        ours: String,
    },
    /// No scheme, algorithm or protection that we speak. The peer repairs it.
    #[error("challenge offers neither SHA-256 nor MD5 with qop auth or none")]
    Unsupported,
}

/// Who asks: a server with 401 or a proxy with 407.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Proxy,
    Server,
}

impl Asker {
    const fn challenge_header(self) -> Name {
        match self {
            Self::Proxy => Name::ProxyAuthenticate,
            Self::Server => Name::WwwAuthenticate,
        }
    }

    const fn answer_header(self) -> Name {
        match self {
            Self::Proxy => Name::ProxyAuthorization,
            Self::Server => Name::Authorization,
        }
    }
}

/// What one request has been answered with so far; lives as long as the request is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuthTries {
    proxy: Tried,
    server: Tried,
}

/// How far the answers to one asker have gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Tried {
    /// The request went without.
    #[default]
    Nothing,
    /// It went with a nonce of an earlier request, which says nothing about the password.
    OldNonce,
    /// It went with an answer to its own challenge.
    Answer,
    /// It went again because the nonce of that answer was stale; there is no third time.
    AfterStale,
}

/// Answers the challenges that one trunk's peers put to its requests.
#[derive(Clone)]
pub struct Authenticator {
    credentials: Credentials,
    cnonces: Cnonces,
    peers: Vec<Peer>,
}

/// What one peer has asked so far.
#[derive(Clone)]
struct Peer {
    host: Host,
    /// The realm that it named first, where the credentials name none.
    realm: Option<String>,
    proxy: Option<Nonce>,
    server: Option<Nonce>,
}

/// A challenge that may be answered again.
#[derive(Clone)]
struct Nonce {
    challenge: DigestChallenge,
    cnonce: String,
    /// How many answers were made with it: `nc`.
    count: u32,
    /// Whether the peer takes each nonce once only, so that using it again wins nothing.
    is_one_time: bool,
}

impl Authenticator {
    /// For one trunk. The seed makes the cnonces; it must differ from run to run.
    pub fn new(credentials: Credentials, seed: [u8; 32]) -> Self {
        Self { credentials, cnonces: Cnonces { seed, count: 0 }, peers: Vec::new() }
    }

    /// Puts answers into a new request from nonces that the peer gave before, if any.
    ///
    /// Saves the round trip of a challenge. `tries` is to be kept with the request.
    pub fn prepare(&mut self, peer: &Host, request: &mut Request, tries: &mut AuthTries) {
        let credentials = &self.credentials;
        let Some(peer) = self.peers.iter_mut().find(|known| known.host.same_as(peer)) else {
            return;
        };
        for asker in [Asker::Proxy, Asker::Server] {
            let Some(nonce) = peer.nonce(asker) else { continue };
            if nonce.is_one_time || nonce.count == u32::MAX {
                continue;
            }
            let answer = nonce.answer(credentials, request);
            request.headers.set(asker.answer_header(), answer);
            *tries.of(asker) = Tried::OldNonce;
        }
    }

    /// Puts the answer to a 401 or 407 into the request, which is then to be sent again.
    ///
    /// `peer` is whom the request was sent to. The caller gives the request a new branch and the
    /// next CSeq (RFC 3261 §8.1.3.5).
    pub fn answer(
        &mut self,
        peer: &Host,
        response: &Response,
        request: &mut Request,
        tries: &mut AuthTries,
    ) -> Result<(), AuthError> {
        let asker = if response.status == 407 { Asker::Proxy } else { Asker::Server };
        let challenges = digest_challenges(response, asker)?;
        let peer = self.peer(peer);
        let realm = self.credentials.realm.as_ref().or(self.peers[peer].realm.as_ref());
        let challenge = choose(challenges, realm.map(String::as_str))?;
        let tried = tries.of(asker);
        *tried = match (*tried, challenge.stale) {
            (Tried::Nothing | Tried::OldNonce, _) => Tried::Answer,
            (Tried::Answer, true) => Tried::AfterStale,
            (Tried::Answer, false) | (Tried::AfterStale, _) => {
                // The next request shall not start with what was refused.
                *self.peers[peer].nonce(asker) = None;
                return Err(AuthError::Refused { realm: challenge.realm });
            }
        };
        let cnonce = self.cnonces.next();
        let peer = &mut self.peers[peer];
        peer.realm.get_or_insert_with(|| challenge.realm.clone());
        let old = peer.nonce(asker);
        // A nonce refused at its second use was good for one: do not try that again.
        let is_one_time = old.as_ref().is_some_and(|old| {
            let is_same = old.challenge.nonce == challenge.nonce;
            !is_same && (old.is_one_time || old.count == 2)
        });
        let mut nonce = Nonce { challenge, cnonce, count: 0, is_one_time };
        let answer = nonce.answer(&self.credentials, request);
        *old = Some(nonce);
        request.headers.set(asker.answer_header(), answer);
        Ok(())
    }

    /// Where the peer stands among those that are known; the oldest makes room.
    fn peer(&mut self, host: &Host) -> usize {
        if let Some(at) = self.peers.iter().position(|peer| peer.host.same_as(host)) {
            return at;
        }
        if self.peers.len() == PEERS_MAX {
            self.peers.remove(0);
        }
        self.peers.push(Peer { host: host.clone(), realm: None, proxy: None, server: None });
        self.peers.len() - 1
    }
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authenticator")
            .field("credentials", &self.credentials)
            .field("peers", &self.peers.len())
            .finish_non_exhaustive()
    }
}

impl Peer {
    const fn nonce(&mut self, asker: Asker) -> &mut Option<Nonce> {
        match asker {
            Asker::Proxy => &mut self.proxy,
            Asker::Server => &mut self.server,
        }
    }
}

impl AuthTries {
    const fn of(&mut self, asker: Asker) -> &mut Tried {
        match asker {
            Asker::Proxy => &mut self.proxy,
            Asker::Server => &mut self.server,
        }
    }
}

impl Nonce {
    /// The next answer with this nonce: the value of an Authorization header.
    fn answer(&mut self, credentials: &Credentials, request: &Request) -> String {
        self.count = self.count.saturating_add(1);
        let DigestChallenge { realm, nonce, opaque, algorithm, qop, .. } = &self.challenge;
        let uri = request.uri.as_str();
        let proof = Proof {
            username: &credentials.username,
            password: &credentials.password,
            realm,
            nonce,
            cnonce: &self.cnonce,
            count: self.count,
            method: request.method.as_str(),
            uri,
        };
        let mut value = String::with_capacity(320);
        let quoted = [
            (" username=", credentials.username.as_str()),
            (", realm=", realm),
            (", nonce=", nonce),
            (", uri=", uri),
            (", response=", &proof.response(algorithm, *qop)),
        ];
        // Writing to a String cannot fail.
        value.push_str("Digest");
        for (name, text) in quoted {
            value.push_str(name);
            let _ = write_quoted(&mut value, text);
        }
        let _ = write!(value, ", algorithm={algorithm}");
        if let Some(opaque) = opaque {
            value.push_str(", opaque=");
            let _ = write_quoted(&mut value, opaque);
        }
        if *qop == Qop::Auth {
            let _ = write!(value, ", qop=auth, nc={:08x}, cnonce=\"{}\"", self.count, self.cnonce);
        }
        value
    }
}

/// The digest challenges of a response in their order; broken ones among good ones are skipped.
fn digest_challenges(response: &Response, asker: Asker) -> Result<Vec<DigestChallenge>, AuthError> {
    let name = asker.challenge_header();
    let mut found = Vec::new();
    let mut error = None;
    for value in response.headers.get_all(name).take(CHALLENGES_MAX) {
        match Challenge::parse(value) {
            Ok(Challenge::Digest(challenge)) if value.len() <= CHALLENGE_BYTES_MAX => {
                found.push(challenge);
            }
            Ok(Challenge::Digest(_) | Challenge::Other(_)) => {
                error = error.or(Some(AuthError::Unsupported))
            }
            Err(cause) => {
                let malformed = HeaderError::Malformed { name, cause };
                error = error.or(Some(AuthError::Malformed(malformed)));
            }
        }
    }
    let missing = AuthError::Malformed(HeaderError::Missing(name));
    if found.is_empty() { Err(error.unwrap_or(missing)) } else { Ok(found) }
}

/// The strongest challenge of our realm that we can answer; among equals the first (RFC 8760).
fn choose(
    challenges: Vec<DigestChallenge>,
    realm: Option<&str>,
) -> Result<DigestChallenge, AuthError> {
    let mut best: Option<(u8, DigestChallenge)> = None;
    let mut foreign = None;
    for challenge in challenges {
        if let Some(ours) = realm.filter(|ours| *ours != challenge.realm) {
            foreign.get_or_insert_with(|| (challenge.realm.clone(), ours.to_owned()));
            continue;
        }
        let strength = strength(&challenge);
        if strength > best.as_ref().map_or(0, |(strength, _)| *strength) {
            best = Some((strength, challenge));
        }
    }
    match (best, foreign) {
        (Some((_, challenge)), _) => Ok(challenge),
        (None, Some((asked, ours))) => Err(AuthError::UnknownRealm { asked, ours }),
        (None, None) => Err(AuthError::Unsupported),
    }
}

/// How good a challenge is; 0 where we cannot answer it.
const fn strength(challenge: &DigestChallenge) -> u8 {
    match (&challenge.algorithm, challenge.qop) {
        (_, Qop::OnlyOthers) | (Algorithm::Other(_), _) => 0,
        // A session key needs a cnonce, which RFC 2617 §3.2.2 sends with a qop only.
        (Algorithm::Md5Sess | Algorithm::Sha256Sess, Qop::Absent) => 0,
        (Algorithm::Md5, Qop::Absent) => 1,
        (Algorithm::Md5 | Algorithm::Md5Sess, Qop::Auth) => 2,
        (Algorithm::Sha256, Qop::Absent) => 3,
        (Algorithm::Sha256 | Algorithm::Sha256Sess, Qop::Auth) => 4,
    }
}

/// All that goes into a response.
struct Proof<'a> {
    username: &'a str,
    password: &'a str,
    realm: &'a str,
    nonce: &'a str,
    cnonce: &'a str,
    count: u32,
    method: &'a str,
    uri: &'a str,
}

impl Proof<'_> {
    /// RFC 7616 §3.4.1; without qop RFC 2617 §3.2.2.1's second form.
    fn response(&self, algorithm: &Algorithm, qop: Qop) -> String {
        let (hash, is_session): (fn(&[&str]) -> String, _) = match algorithm {
            Algorithm::Sha256 => (hash::<Sha256>, false),
            Algorithm::Sha256Sess => (hash::<Sha256>, true),
            Algorithm::Md5 => (hash::<Md5>, false),
            // Others are never chosen.
            Algorithm::Md5Sess | Algorithm::Other(_) => (hash::<Md5>, true),
        };
        let mut secret = hash(&[self.username, self.realm, self.password]);
        if is_session {
            secret = hash(&[&secret, self.nonce, self.cnonce]);
        }
        let subject = hash(&[self.method, self.uri]);
        match qop {
            Qop::Auth => {
                let count = format!("{:08x}", self.count);
                hash(&[&secret, self.nonce, &count, self.cnonce, "auth", &subject])
            }
            Qop::Absent | Qop::OnlyOthers => hash(&[&secret, self.nonce, &subject]),
        }
    }
}

/// The hash of the parts with colons between, in hexadecimal.
fn hash<D: Digest>(parts: &[&str]) -> String {
    let mut digest = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            digest.update(b":");
        }
        digest.update(part.as_bytes());
    }
    digest.finalize().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// Texts that nobody foresees without the seed.
#[derive(Clone)]
struct Cnonces {
    seed: [u8; 32],
    count: u64,
}

impl Cnonces {
    fn next(&mut self) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.seed).expect("HMAC takes a key of any length");
        mac.update(b"outdial digest cnonce");
        mac.update(&self.count.to_be_bytes());
        self.count += 1;
        mac.finalize().into_bytes()[..12].iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
