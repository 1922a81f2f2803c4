//! Answers kept for the next call that asks for the same, bounded in bytes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use url::Url;

use domain::time::Timestamp;

use super::freshness::{Freshness, Wanted};
use crate::http::Purpose;
use crate::http::slots::{Slot, Slots};

/// How long it is remembered that answers of an address cannot be shared.
const ALONE_FOR: Duration = Duration::from_secs(60);
/// Largest share of the cache that one answer may take.
const LARGEST_SHARE: usize = 4;
/// What an entry costs beside its address and body, roughly, in bytes.
const ENTRY_BYTES: usize = 1_024;

/// The cache; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    bytes_max: usize,
    shelf: Arc<Mutex<Shelf>>,
    turns: Slots,
}

/// An answer, kept or just come.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) url: Url,
    pub(super) content_type: String,
    pub(super) body: Bytes,
    pub(super) freshness: Freshness,
}

/// What the cache says to a request.
#[derive(Debug)]
pub(super) enum Look {
    /// Ask at once, this answer cannot be shared; what is kept may still hold.
    Alone(Option<Kept>),
    /// Ask when it is our turn, the answer may serve all who wait; what is kept may still hold.
    Shared(Option<Kept>),
    /// Use this.
    Use(Kept),
}

#[derive(Debug, Default)]
struct Shelf {
    entries: HashMap<String, Entry>,
    /// Keys by their last use.
    uses: BTreeMap<u64, String>,
    use_number: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    kept: Option<Kept>,
    /// Until then nobody waits for somebody else's answer.
    alone_until: Timestamp,
    used: u64,
    bytes: usize,
}

/// Under which name an answer is kept: what we ask of a server depends on what it is for.
pub(super) fn key(purpose: Purpose, url: &Url) -> String {
    match purpose {
        Purpose::Audio => format!("audio {url}"),
        Purpose::Check | Purpose::Page | Purpose::Webhook => format!("page {url}"),
    }
}

impl Kept {
    /// The media type in lower case, without parameters.
    pub(super) fn media_type(&self) -> String {
        let (media_type, _) = self.content_type.split_once(';').unwrap_or((&self.content_type, ""));
        media_type.trim().to_ascii_lowercase()
    }
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, shelf: Arc::default(), turns: Slots::new(1) }
    }

    /// Waits until nobody else asks for `key`.
    pub(super) async fn turn(&self, key: &str) -> Slot {
        self.turns.take(key).await
    }

    /// What to do about a request.
    pub(super) fn look(&self, key: &str, wanted: Wanted, now: Timestamp) -> Look {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = shelf.touch(key) else { return Look::Shared(None) };
        let kept = entry.kept.clone();
        match kept {
            Some(kept) if kept.freshness.is_usable(wanted, now) => Look::Use(kept),
            kept if now < entry.alone_until => Look::Alone(kept),
            kept => Look::Shared(kept),
        }
    }

    /// Keeps an answer if it may be kept, in place of an older one.
    pub(super) fn keep(&self, key: &str, kept: &Kept, now: Timestamp) {
        let fits = kept.body.len() <= self.bytes_max / LARGEST_SHARE;
        let storable = kept.freshness.is_storable() && fits;
        let shared = storable && kept.freshness.has_lifetime();
        let alone_until = if shared { now } else { now + ALONE_FOR };
        let kept = storable.then(|| kept.clone());
        self.put(key, Entry { kept, alone_until, used: 0, bytes: 0 });
    }

    /// Forgets what is kept; the next requests go their own way.
    pub(super) fn forget(&self, key: &str, now: Timestamp) {
        let alone_until = now + ALONE_FOR;
        self.put(key, Entry { kept: None, alone_until, used: 0, bytes: 0 });
    }

    fn put(&self, key: &str, mut entry: Entry) {
        entry.bytes = ENTRY_BYTES
            + 2 * key.len()
            + entry.kept.as_ref().map_or(0, |kept| kept.body.len() + kept.url.as_str().len());
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.remove(key);
        shelf.insert(key, entry);
        while shelf.bytes > self.bytes_max {
            let Some((_, oldest)) = shelf.uses.pop_first() else { break };
            shelf.remove(&oldest);
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.shelf.lock().unwrap().bytes
    }
}

impl Shelf {
    fn touch(&mut self, key: &str) -> Option<&Entry> {
        self.use_number += 1;
        let entry = self.entries.get_mut(key)?;
        self.uses.remove(&entry.used);
        entry.used = self.use_number;
        self.uses.insert(entry.used, key.to_owned());
        Some(entry)
    }

    fn insert(&mut self, key: &str, mut entry: Entry) {
        self.use_number += 1;
        entry.used = self.use_number;
        self.bytes += entry.bytes;
        self.uses.insert(entry.used, key.to_owned());
        self.entries.insert(key.to_owned(), entry);
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.uses.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000_000_000);

    fn kept(body: &str, cache_control: &str) -> Kept {
        let mut headers = HeaderMap::new();
        headers.insert("cache-control", cache_control.parse().unwrap());
        Kept {
            url: Url::parse("http://app.example/").unwrap(),
            content_type: "Text/XML; charset=utf-8".to_owned(),
            body: body.to_owned().into(),
            freshness: Freshness::of(200, &headers, NOW),
        }
    }

    fn look(cache: &Cache, key: &str, after_s: u64) -> String {
        let body = |kept: Option<Kept>| {
            kept.map_or_else(String::new, |it| String::from_utf8(it.body.to_vec()).unwrap())
        };
        let now = NOW + Duration::from_secs(after_s);
        match cache.look(key, Wanted::default(), now) {
            Look::Alone(kept) => format!("alone {}", body(kept)),
            Look::Shared(kept) => format!("shared {}", body(kept)),
            Look::Use(kept) => format!("use {}", body(Some(kept))),
        }
    }

    #[test]
    fn kept_answer_is_used_while_fresh_and_asked_about_in_turn_afterwards() {
        let cache = Cache::new(1_000_000);
        assert_eq!(look(&cache, "a", 0), "shared ");
        cache.keep("a", &kept("A", "max-age=9"), NOW);
        assert_eq!([look(&cache, "a", 8), look(&cache, "a", 9)], ["use A", "shared A"]);
    }

    #[test]
    fn nobody_waits_for_an_answer_that_cannot_be_shared() {
        let cache = Cache::new(1_000_000);
        cache.keep("a", &kept("A", "no-store"), NOW);
        assert_eq!([look(&cache, "a", 59), look(&cache, "a", 60)], ["alone ", "shared "]);
        cache.keep("b", &kept("B", "max-age=9"), NOW);
        cache.forget("b", NOW);
        assert_eq!(look(&cache, "b", 0), "alone ");
    }

    #[test]
    fn cache_is_bounded_and_the_oldest_use_goes_first() {
        let cache = Cache::new(40_000);
        let body = "x".repeat(5_000);
        for key in ["a", "b", "c", "d", "e", "f"] {
            cache.keep(key, &kept(&body, "max-age=9"), NOW);
            look(&cache, "a", 0);
        }
        assert!(look(&cache, "a", 0).starts_with("use"));
        cache.keep("g", &kept(&body, "max-age=9"), NOW);
        assert_eq!(look(&cache, "b", 0), "shared ");
        assert!(look(&cache, "a", 0).starts_with("use"));
        for number in 0..10_000 {
            cache.forget(&number.to_string(), NOW);
        }
        assert!(cache.bytes() <= 40_000, "{}", cache.bytes());
        let shelf = cache.shelf.lock().unwrap();
        assert_eq!(shelf.entries.len(), shelf.uses.len());
    }

    #[test]
    fn answer_too_large_for_the_cache_is_not_kept() {
        let cache = Cache::new(40_000);
        cache.keep("a", &kept(&"x".repeat(10_001), "max-age=9"), NOW);
        assert_eq!(look(&cache, "a", 0), "alone ");
    }

    #[test]
    fn media_type_has_no_parameters_and_no_capitals() {
        assert_eq!(kept("", "no-store").media_type(), "text/xml");
    }
}
