//! Who asks: API keys, and logins with PINs.
//!
//! Keys are 32 random bytes, of which the store has the SHA-256: they need no slow hash. PINs are
//! short, so the store has their argon2id; a pair that was right is remembered for some minutes by
//! a keyed hash, so that a thousand calls do not cost a thousand argon2.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use argon2::Argon2;
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use base64ct::{Base64, Encoding};
use domain::account::ApiKey;
use domain::application::Service;
use domain::ids::AccountId;
use domain::time::Timestamp;
use engine::control::Control;
use facade::aculab::request::User;
use facade::plum::request::Credentials;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use store::StoreError;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::throttle::{Subject, Throttle};

/// What every key begins with, so that scanners find keys that leaked.
const KEY_PREFIX: &str = "od_live_";
/// How long a pair of login and PIN that was right is remembered after its last use. A PIN that is
/// changed is forgotten at once, for its hash is part of what is remembered.
const PAIR_TIME_MAX: Duration = Duration::from_secs(10 * 60);
/// Most pairs remembered.
const PAIRS_MAX: usize = 10_000;
/// PINs verified at the same time: each takes 19 MiB and a core for some 30 ms.
const VERIFICATIONS_MAX: usize = 1;
/// An argon2id hash that no PIN has, for logins that do not exist: they must take as long.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a PIN was not hashed.
#[derive(Debug, thiserror::Error)]
#[error("PIN cannot be hashed: {0}")]
pub struct PinError(String);

/// Makes a key for the native API out of 40 random bytes: what the client is shown, once, and what
/// is stored.
pub fn new_api_key(account: AccountId, now: Timestamp, random: [u8; 40]) -> (String, ApiKey) {
    let (id, secret) = random.split_at(8);
    let (key_id, secret) = (hex(id), hex(secret));
    let row = ApiKey {
        key_id: key_id.clone(),
        secret_hash: Sha256::digest(&secret).into(),
        account,
        created_at: now,
    };
    (format!("{KEY_PREFIX}{key_id}_{secret}"), row)
}

/// Makes a PIN of 16 digits, the most that clients can send, out of 16 random bytes.
pub fn new_pin(random: [u8; 16]) -> String {
    const DIGITS_16: u128 = 10_000_000_000_000_000;
    format!("{:016}", u128::from_le_bytes(random) % DIGITS_16)
}

/// The argon2id hash of a PIN in PHC form, salted with 16 random bytes.
pub fn hash_pin(pin: &str, random: [u8; 16]) -> Result<String, PinError> {
    let salt = SaltString::encode_b64(&random).map_err(|error| PinError(error.to_string()))?;
    let hash = Argon2::default().hash_password(pin.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|error| PinError(error.to_string()))
}

/// Why somebody is not let in.
#[derive(Debug)]
pub(crate) enum Denied {
    /// Failed too often; wait this long.
    Throttled(Duration),
    /// Nobody could look.
    Store(StoreError),
    /// No such key, or wrong login or PIN; which of them is not said.
    Wrong,
}

impl From<StoreError> for Denied {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Lets clients in.
pub(crate) struct Gate {
    secret: [u8; 32],
    pairs: Mutex<HashMap<[u8; 32], Timestamp>>,
    throttle: Mutex<Throttle>,
    verifications: Semaphore,
}

impl Gate {
    /// A gate that has seen nobody yet; `secret` is random.
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self {
            secret,
            pairs: Mutex::default(),
            throttle: Mutex::default(),
            verifications: Semaphore::new(VERIFICATIONS_MAX),
        }
    }

    /// The account whose key stands in an Authorization header.
    ///
    /// A key that is right is let in however many were wrong before: it cannot be guessed.
    pub(crate) async fn by_key(
        &self,
        control: &Control,
        authorization: Option<&str>,
        source: IpAddr,
    ) -> Result<AccountId, Denied> {
        if let Some(key) = authorization.and_then(bearer)
            && let Some(account) = self.holder(control, key).await?
        {
            return Ok(account);
        }
        Err(self.failed(&Subject::of_key(source), source, control.now()))
    }

    /// The account whose login and key stand in an Authorization header as user and password
    /// (RFC 7617).
    pub(crate) async fn by_basic(
        &self,
        control: &Control,
        authorization: Option<&str>,
        source: IpAddr,
    ) -> Result<AccountId, Denied> {
        let pair = authorization.and_then(basic);
        let pair = pair.as_ref().map(|(login, key)| (login.as_str(), key.as_str()));
        self.by_login_and_key(control, pair, source).await
    }

    /// The same of a user such as `1-2-0/login`, whose first part says nothing here.
    pub(crate) async fn by_cloud_user(
        &self,
        control: &Control,
        authorization: Option<&str>,
        source: IpAddr,
    ) -> Result<AccountId, Denied> {
        let pair = authorization.and_then(basic);
        let pair = pair.as_ref().and_then(|(user, key)| {
            User::parse(user)
                .filter(|user| user.service.is_none())
                .map(|it| (it.login, key.as_str()))
        });
        self.by_login_and_key(control, pair, source).await
    }

    async fn by_login_and_key(
        &self,
        control: &Control,
        pair: Option<(&str, &str)>,
        source: IpAddr,
    ) -> Result<AccountId, Denied> {
        if let Some((login, key)) = pair
            && let Some(account) = self.holder(control, key).await?
            && let Some(account) = control.reader().account(account).await?
            && account.login.eq_ignore_ascii_case(login)
        {
            return Ok(account.id);
        }
        Err(self.failed(&Subject::of_key(source), source, control.now()))
    }

    /// The service whose name and password stand in an Authorization header, as a user such as
    /// `1-2-0/login/service`.
    pub(crate) async fn by_service(
        &self,
        control: &Control,
        authorization: Option<&str>,
        source: IpAddr,
    ) -> Result<Service, Denied> {
        let pair = authorization.and_then(basic);
        let given = pair.as_ref().and_then(|(user, password)| {
            let user = User::parse(user)?;
            Some((user.login, user.service?, password))
        });
        let Some((login, name, password)) = given else {
            return Err(self.failed(&Subject::of_key(source), source, control.now()));
        };
        let service = match control.account_by_login(login).await? {
            Some(account) => control.reader().service(account.id, name).await?,
            None => None,
        };
        let hash = service.as_ref().and_then(|service| service.password_hash.clone());
        let credentials =
            Credentials { login: format!("{login}/{name}"), pin: password.to_owned() };
        self.right(control, &credentials, hash.as_deref(), source).await?;
        service.ok_or(Denied::Wrong)
    }

    /// Whose key this is, if it is one that is in use.
    async fn holder(&self, control: &Control, key: &str) -> Result<Option<AccountId>, Denied> {
        let Some((key_id, secret)) = parts_of_key(key) else {
            return Ok(None);
        };
        let row = control.api_key(key_id).await?;
        let known = row.as_ref().map_or([0; 32], |row| row.secret_hash);
        let given: [u8; 32] = Sha256::digest(secret).into();
        let same = bool::from(known.ct_eq(&given));
        Ok(row.filter(|_| same).map(|row| row.account))
    }

    /// The account with this login and PIN.
    pub(crate) async fn by_pin(
        &self,
        control: &Control,
        credentials: &Credentials,
        source: IpAddr,
    ) -> Result<AccountId, Denied> {
        let account = control.account_by_login(&credentials.login).await?;
        let hash = account.as_ref().and_then(|account| account.pin_hash.as_deref());
        self.right(control, credentials, hash, source).await?;
        account.map(|account| account.id).ok_or(Denied::Wrong)
    }

    /// Whether these are the credentials of this hash; of none they never are.
    async fn right(
        &self,
        control: &Control,
        credentials: &Credentials,
        hash: Option<&str>,
        source: IpAddr,
    ) -> Result<(), Denied> {
        let pair = self.pair(credentials, hash.unwrap_or(NOBODY));
        if hash.is_some() && self.remembers(&pair, control.now()) {
            return Ok(());
        }
        // One at a time, and failures are counted before the next begins: no burst slips through.
        let _turn = self.verifications.acquire().await;
        let subjects = Subject::of_login(&credentials.login, source);
        if let Some(wait) = self.wait(&subjects, control.now()) {
            return Err(Denied::Throttled(wait));
        }
        let right = verify(credentials.pin.clone(), hash.unwrap_or(NOBODY).to_owned()).await;
        if right && hash.is_some() {
            self.remember(pair, control.now());
            return Ok(());
        }
        Err(self.failed(&subjects, source, control.now()))
    }

    fn pair(&self, credentials: &Credentials, hash: &str) -> [u8; 32] {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.secret).expect("HMAC takes keys of any length");
        for part in [credentials.login.as_str(), &credentials.pin, hash] {
            mac.update(&part.len().to_le_bytes());
            mac.update(part.as_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    fn remembers(&self, pair: &[u8; 32], now: Timestamp) -> bool {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        match pairs.get_mut(pair) {
            Some(used_at) if now.since(*used_at) < PAIR_TIME_MAX => {
                *used_at = now;
                true
            }
            Some(_) | None => false,
        }
    }

    fn remember(&self, pair: [u8; 32], now: Timestamp) {
        let mut pairs = self.pairs.lock().unwrap_or_else(PoisonError::into_inner);
        if pairs.len() >= PAIRS_MAX {
            pairs.retain(|_, used_at| now.since(*used_at) < PAIR_TIME_MAX);
        }
        if pairs.len() >= PAIRS_MAX {
            pairs.clear();
        }
        pairs.insert(pair, now);
    }

    fn wait(&self, subjects: &[Subject], now: Timestamp) -> Option<Duration> {
        self.throttle.lock().unwrap_or_else(PoisonError::into_inner).wait(subjects, now)
    }

    fn failed(&self, subjects: &[Subject], source: IpAddr, now: Timestamp) -> Denied {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = throttle.wait(subjects, now);
        throttle.fail(subjects, now);
        match wait {
            Some(wait) => Denied::Throttled(wait),
            None => {
                // Once a source is throttled its failures are no news: the log stays short.
                tracing::info!(%source, "a key, or login and PIN, was wrong");
                Denied::Wrong
            }
        }
    }
}

async fn verify(pin: String, hash: String) -> bool {
    let verified = tokio::task::spawn_blocking(move || {
        let hash = PasswordHash::new(&hash).ok()?;
        Argon2::default().verify_password(pin.as_bytes(), &hash).ok()
    });
    verified.await.ok().flatten().is_some()
}

/// The key in an Authorization header (RFC 6750 §2.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, key) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

/// User and password in an Authorization header (RFC 7617 §2).
fn basic(authorization: &str) -> Option<(String, String)> {
    let (scheme, pair) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = Base64::decode_vec(pair.trim()).ok()?;
    let (user, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
    Some((user.trim().to_owned(), password.trim().to_owned()))
}

/// The id and the secret of a key.
fn parts_of_key(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix(KEY_PREFIX)?.split_once('_')
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000);

    #[test]
    fn key_is_shown_once_and_only_its_hash_is_stored() {
        let (shown, row) = new_api_key(AccountId(7), NOW, std::array::from_fn(|n| n as u8));
        let secret: String = (8..40).map(|n| format!("{n:02x}")).collect();
        assert_eq!(shown, format!("od_live_0001020304050607_{secret}"));
        assert_eq!(row.key_id, "0001020304050607");
        assert_eq!(row.secret_hash, <[u8; 32]>::from(Sha256::digest(secret)));
    }

    #[test]
    fn key_is_found_in_a_header_of_any_case_and_nowhere_else() {
        let (shown, row) = new_api_key(AccountId(7), NOW, [9; 40]);
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let header = format!("{scheme} {shown}");
            assert_eq!(
                bearer(&header).and_then(parts_of_key).map(|key| key.0),
                Some(row.key_id.as_str())
            );
        }
        for header in ["", "Bearer", "Bearer x", "Basic od_live_a_b", "Bearer od_live_ab"] {
            assert_eq!(bearer(header).and_then(parts_of_key), None, "{header}");
        }
    }

    #[test]
    fn pin_has_sixteen_digits_whatever_the_chance() {
        assert_eq!(new_pin([0; 16]), "0000000000000000");
        let pin = new_pin([0xff; 16]);
        assert!(pin.len() == 16 && pin.bytes().all(|digit| digit.is_ascii_digit()));
    }

    #[tokio::test]
    async fn right_pin_is_verified_and_others_are_not() {
        let hash = hash_pin("98765432", [3; 16]).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(verify("98765432".into(), hash.clone()).await);
        assert!(!verify("98765433".into(), hash).await);
        assert!(!verify("98765432".into(), "no hash".into()).await);
    }

    #[tokio::test]
    async fn nobodys_hash_costs_as_much_as_any_and_no_pin_has_it() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let hash = hash_pin("1", [3; 16]).unwrap();
        assert_eq!(nobody.params, PasswordHash::new(&hash).unwrap().params);
        assert_eq!(nobody.hash.map(|hash| hash.len()), Some(32));
        assert!(!verify(String::new(), NOBODY.into()).await);
    }

    #[test]
    fn pair_is_remembered_while_it_is_used_and_forgotten_with_its_hash() {
        let gate = Gate::new([1; 32]);
        let credentials = Credentials { login: "ann".into(), pin: "1".into() };
        let pair = gate.pair(&credentials, "hash");
        gate.remember(pair, NOW);
        let soon = NOW + PAIR_TIME_MAX - Duration::from_secs(1);
        assert!(gate.remembers(&pair, soon));
        assert!(gate.remembers(&pair, soon + PAIR_TIME_MAX - Duration::from_secs(1)));
        assert!(!gate.remembers(&pair, soon + PAIR_TIME_MAX * 3));
        assert!(!gate.remembers(&gate.pair(&credentials, "other hash"), NOW));
    }

    #[test]
    fn pairs_that_read_alike_are_told_apart() {
        let gate = Gate::new([1; 32]);
        let pair = |login: &str, pin: &str| {
            gate.pair(&Credentials { login: login.into(), pin: pin.into() }, "hash")
        };
        assert_ne!(pair("ann1", "2"), pair("ann", "12"));
    }

    #[test]
    fn remembered_pairs_are_bounded() {
        let gate = Gate::new([1; 32]);
        for n in 0..PAIRS_MAX + 10 {
            gate.remember(Sha256::digest(n.to_le_bytes()).into(), NOW);
        }
        assert!(gate.pairs.lock().unwrap().len() <= PAIRS_MAX);
    }
}
