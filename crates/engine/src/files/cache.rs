//! Sound that was made once is not made again: in memory, on disk, and while it is being made.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use script::step::PlayError;
use sha2::{Digest, Sha256};

use super::disk::Disk;
use super::lru::Lru;

/// Names a sound by all that it follows from: text, voice and settings, or a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of these parts; parts are told apart, so `["ab", "c"]` is not `["a", "bc"]`.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// Reads what `Display` writes.
    pub(super) fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let value = |digit: u8| match digit {
                b'0'..=b'9' => Some(digit - b'0'),
                b'a'..=b'f' => Some(digit - b'a' + 10),
                _ => None,
            };
            *byte = value(digits[0])? << 4 | value(digits[1])?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// How much made sound is kept, and where.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// Bytes of sound in memory; 8,000 are a second.
    pub memory_bytes_max: u64,
    /// Where to keep sound over a restart; `None`: in memory only.
    pub dir: Option<PathBuf>,
    /// Bytes of all files in `dir`.
    pub disk_bytes_max: u64,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self { memory_bytes_max: MEMORY_BYTES_MAX, dir: None, disk_bytes_max: DISK_BYTES_MAX }
    }
}

/// Two hours and a quarter of speech, a few thousand prompts.
const MEMORY_BYTES_MAX: u64 = 64 << 20;
/// A day and a half of speech.
const DISK_BYTES_MAX: u64 = 1 << 30;

/// Made sound by key; clones are the same cache.
///
/// However many ask for the same key at the same time, it is made once. What could not be made is
/// not remembered: who asks later tries again.
#[derive(Clone, Debug)]
pub struct SoundCache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    memory: Mutex<Lru<Arc<[u8]>>>,
    disk: Option<Arc<Disk>>,
    flights: Mutex<HashMap<Key, Flight>>,
    /// Whether the last write to disk failed; said once, not once a sound.
    disk_failing: AtomicBool,
}

/// What those who wait for a sound share: who has the lock makes it, who gets it next finds it.
/// A maker whose call ends lets go of the lock without a result, and the next one makes it.
type Flight = Arc<tokio::sync::Mutex<Option<Result<Arc<[u8]>, PlayError>>>>;

impl SoundCache {
    /// A cache with these bounds; fails where its directory cannot be read or made.
    pub fn open(config: &CacheConfig) -> io::Result<Self> {
        let disk = match &config.dir {
            Some(dir) => Some(Arc::new(Disk::open(dir, config.disk_bytes_max)?)),
            None => None,
        };
        Ok(Self(Arc::new(Inner {
            memory: Mutex::new(Lru::new(config.memory_bytes_max)),
            disk,
            flights: Mutex::default(),
            disk_failing: AtomicBool::new(false),
        })))
    }

    /// The sound of this key, from memory, from disk, or made by `make`.
    pub async fn sound<F>(&self, key: Key, make: F) -> Result<Arc<[u8]>, PlayError>
    where
        F: Future<Output = Result<Vec<u8>, PlayError>>,
    {
        if let Some(sound) = self.0.memory().get(&key) {
            return Ok(sound.clone());
        }
        let boarding = Boarding::new(&self.0, key);
        let mut landed = boarding.flight.lock().await;
        if let Some(result) = &*landed {
            return result.clone();
        }
        let result = self.find_or_make(key, make).await;
        *landed = Some(result.clone());
        // Only those who already wait share a failure; who comes later finds no flight.
        self.0.flights().remove(&key);
        result
    }

    async fn find_or_make<F>(&self, key: Key, make: F) -> Result<Arc<[u8]>, PlayError>
    where
        F: Future<Output = Result<Vec<u8>, PlayError>>,
    {
        // Between the first look and the lock, an earlier flight may have landed.
        if let Some(sound) = self.0.memory().get(&key) {
            return Ok(sound.clone());
        }
        let mut sound = self.with_disk(move |disk| disk.read(&key)).await.flatten();
        let on_disk = sound.is_some();
        if sound.is_none() {
            sound = Some(make.await?);
        }
        let sound: Arc<[u8]> = sound.unwrap_or_default().into();
        self.0.memory().insert(key, sound.clone(), sound.len() as u64);
        if !on_disk {
            let copy = sound.clone();
            let written = self.with_disk(move |disk| disk.write(&key, &copy)).await;
            self.note_write(written);
        }
        Ok(sound)
    }

    /// Does something with the disk where it may block; `None` where there is no disk.
    async fn with_disk<T, F>(&self, work: F) -> Option<T>
    where
        T: Send + 'static,
        F: FnOnce(&Disk) -> T + Send + 'static,
    {
        let disk = self.0.disk.clone()?;
        tokio::task::spawn_blocking(move || work(&disk)).await.ok()
    }

    fn note_write(&self, written: Option<io::Result<()>>) {
        let failing = matches!(written, Some(Err(_)));
        if self.0.disk_failing.swap(failing, Ordering::Relaxed) != failing
            && let Some(Err(error)) = written
        {
            tracing::warn!(%error, "made sound cannot be kept on disk; it is kept in memory only");
        }
    }
}

impl Inner {
    fn memory(&self) -> MutexGuard<'_, Lru<Arc<[u8]>>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits for a flight; the last to leave, landed or not, removes it from the table.
struct Boarding<'a> {
    inner: &'a Inner,
    key: Key,
    flight: Flight,
}

impl<'a> Boarding<'a> {
    fn new(inner: &'a Inner, key: Key) -> Self {
        let flight = inner.flights().entry(key).or_default().clone();
        Self { inner, key, flight }
    }
}

impl Drop for Boarding<'_> {
    fn drop(&mut self) {
        let mut flights = self.inner.flights();
        // The table's and our own: nobody else waits. Another flight of the same key stays.
        let last = flights.get(&self.key).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight))
            && Arc::strong_count(&self.flight) == 2;
        if last {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::atomic::AtomicUsize;
    use std::task::{Context, Waker};

    use futures_util::future::join_all;
    use tokio::sync::Notify;

    use super::*;

    fn memory() -> SoundCache {
        SoundCache::open(&CacheConfig::default()).unwrap()
    }

    fn key(name: &str) -> Key {
        Key::of(&[name.as_bytes()])
    }

    /// Lets a future run until it waits.
    fn pending<F: Future + Unpin>(future: &mut F) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(future).poll(&mut context).is_pending()
    }

    fn failure() -> PlayError {
        PlayError::NoResource("none".into())
    }

    #[test]
    fn key_is_read_back_from_its_hex() {
        let key = key("a");
        assert_eq!(Key::from_hex(&key.to_string()), Some(key));
        assert_eq!(Key::from_hex(&key.to_string().to_uppercase()), None);
        assert_eq!(Key::from_hex("00"), None);
    }

    #[test]
    fn parts_of_a_key_are_told_apart() {
        assert_ne!(Key::of(&[b"ab", b"c"]), Key::of(&[b"a", b"bc"]));
    }

    #[tokio::test]
    async fn a_thousand_who_ask_at_once_have_it_made_once() {
        let cache = memory();
        let made = AtomicUsize::new(0);
        let start = Notify::new();
        let asks = (0..1_000).map(|_| {
            cache.sound(key("a"), async {
                made.fetch_add(1, Ordering::Relaxed);
                start.notified().await;
                Ok(b"sound".to_vec())
            })
        });
        let (sounds, ()) = tokio::join!(join_all(asks), async {
            tokio::task::yield_now().await;
            start.notify_one();
        });
        assert!(sounds.iter().all(|sound| sound.as_deref() == Ok(b"sound")));
        assert_eq!(made.into_inner(), 1);
        assert!(cache.0.flights().is_empty());
    }

    #[tokio::test]
    async fn failure_is_shared_by_those_who_wait_and_not_remembered() {
        let cache = memory();
        let made = AtomicUsize::new(0);
        let asks = (0..10).map(|_| {
            cache.sound(key("a"), async {
                made.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
                Err(failure())
            })
        });
        let sounds = join_all(asks).await;
        assert!(sounds.iter().all(|sound| *sound == Err(failure())));
        assert_eq!(made.into_inner(), 1);
        let again = cache.sound(key("a"), async { Ok(vec![1]) }).await;
        assert_eq!(again.as_deref(), Ok(&[1][..]));
    }

    #[tokio::test]
    async fn maker_that_gives_up_is_followed_by_the_next() {
        let cache = memory();
        let never = cache.sound(key("a"), std::future::pending());
        let next = cache.sound(key("a"), async { Ok(vec![1]) });
        let (mut never, mut next) = (Box::pin(never), Box::pin(next));
        assert!(pending(&mut never));
        assert!(pending(&mut next));
        drop(never);
        assert_eq!(next.await.as_deref(), Ok(&[1][..]));
        assert!(cache.0.flights().is_empty());
    }

    #[tokio::test]
    async fn maker_that_gives_up_alone_leaves_nothing_behind() {
        let cache = memory();
        let mut never = Box::pin(cache.sound(key("a"), std::future::pending()));
        assert!(pending(&mut never));
        drop(never);
        assert!(cache.0.flights().is_empty());
    }

    #[tokio::test]
    async fn sound_survives_a_restart_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let config = CacheConfig { dir: Some(dir.path().into()), ..CacheConfig::default() };
        let cache = SoundCache::open(&config).unwrap();
        cache.sound(key("a"), async { Ok(vec![1, 2]) }).await.unwrap();
        let cache = SoundCache::open(&config).unwrap();
        let sound = cache.sound(key("a"), async { Err(failure()) }).await;
        assert_eq!(sound.as_deref(), Ok(&[1, 2][..]));
    }

    #[tokio::test]
    async fn disk_that_fails_does_not_hold_up_the_sound() {
        let dir = tempfile::tempdir().unwrap();
        let config = CacheConfig { dir: Some(dir.path().join("x")), ..CacheConfig::default() };
        let cache = SoundCache::open(&config).unwrap();
        std::fs::remove_dir_all(dir.path().join("x")).unwrap();
        let sound = cache.sound(key("a"), async { Ok(vec![1]) }).await;
        assert_eq!(sound.as_deref(), Ok(&[1][..]));
        assert!(cache.0.disk_failing.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn memory_stays_within_its_bytes() {
        let config = CacheConfig { memory_bytes_max: 10_000, ..CacheConfig::default() };
        let cache = SoundCache::open(&config).unwrap();
        for n in 0..100u8 {
            cache.sound(Key::of(&[&[n]]), async { Ok(vec![n; 1_000]) }).await.unwrap();
        }
        assert!(cache.0.memory().bytes() <= 10_000);
    }
}
