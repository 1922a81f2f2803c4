//! What to keep when not everything fits: a table bounded by bytes that forgets the least used.

use std::collections::{BTreeMap, HashMap};

use super::Key;

/// A table of things with a size; the one that was not asked for longest leaves first.
#[derive(Debug)]
pub(super) struct Lru<V> {
    entries: HashMap<Key, Entry<V>>,
    /// Keys by when they were last asked for.
    order: BTreeMap<u64, Key>,
    uses: u64,
    bytes: u64,
    bytes_max: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    bytes: u64,
    used: u64,
}

/// What an entry costs beside its content: its key twice, its place in both tables.
const ENTRY_BYTES: u64 = 160;

impl<V> Lru<V> {
    /// An empty table that holds at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), uses: 0, bytes: 0, bytes_max }
    }

    /// Puts a thing in, and gives back what had to leave for it.
    ///
    /// A thing that is larger than the whole table leaves at once, and nothing else does.
    pub(super) fn insert(&mut self, key: Key, value: V, bytes: u64) -> Vec<(Key, V)> {
        let mut left = Vec::new();
        left.extend(self.remove(&key).map(|value| (key, value)));
        let bytes = bytes.saturating_add(ENTRY_BYTES);
        if bytes > self.bytes_max {
            left.push((key, value));
            return left;
        }
        while self.bytes + bytes > self.bytes_max {
            let Some((_, oldest)) = self.order.first_key_value() else {
                break;
            };
            let oldest = *oldest;
            left.extend(self.remove(&oldest).map(|value| (oldest, value)));
        }
        self.uses += 1;
        self.order.insert(self.uses, key);
        self.bytes += bytes;
        let used = self.uses;
        self.entries.insert(key, Entry { value, bytes, used });
        left
    }

    /// The thing of this key, if it is here; asking makes it the last to leave.
    pub(super) fn get(&mut self, key: &Key) -> Option<&V> {
        let entry = self.entries.get_mut(key)?;
        self.uses += 1;
        self.order.remove(&entry.used);
        self.order.insert(self.uses, *key);
        entry.used = self.uses;
        Some(&entry.value)
    }

    /// Takes a thing out.
    pub(super) fn remove(&mut self, key: &Key) -> Option<V> {
        let entry = self.entries.remove(key)?;
        self.order.remove(&entry.used);
        self.bytes -= entry.bytes;
        Some(entry.value)
    }

    /// Bytes of all that is here.
    #[cfg(test)]
    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 1_000 - ENTRY_BYTES;

    fn key(name: &str) -> Key {
        Key::of(&[name.as_bytes()])
    }

    fn table(names: &[&'static str]) -> Lru<&'static str> {
        let mut lru = Lru::new(3_000);
        for name in names.iter().copied() {
            lru.insert(key(name), name, SIZE);
        }
        lru
    }

    fn left(evicted: Vec<(Key, &'static str)>) -> Vec<&'static str> {
        evicted.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn least_used_leaves_first() {
        let mut lru = table(&["a", "b", "c"]);
        assert_eq!(lru.get(&key("a")), Some(&"a"));
        assert_eq!(left(lru.insert(key("d"), "d", SIZE)), ["b"]);
        assert_eq!(lru.get(&key("b")), None);
        assert_eq!(lru.bytes(), 3_000);
    }

    #[test]
    fn large_thing_pushes_out_as_many_as_it_needs() {
        let mut lru = table(&["a", "b", "c"]);
        assert_eq!(left(lru.insert(key("d"), "d", 2_000 - ENTRY_BYTES)), ["a", "b"]);
        assert_eq!(lru.bytes(), 3_000);
    }

    #[test]
    fn thing_larger_than_the_table_leaves_at_once_and_alone() {
        let mut lru = table(&["a", "b", "c"]);
        assert_eq!(left(lru.insert(key("d"), "d", u64::MAX)), ["d"]);
        assert_eq!(lru.bytes(), 3_000);
    }

    #[test]
    fn same_key_replaces_and_is_counted_once() {
        let mut lru = table(&["a", "b"]);
        assert_eq!(left(lru.insert(key("a"), "a2", SIZE)), ["a"]);
        assert_eq!(lru.get(&key("a")), Some(&"a2"));
        assert_eq!(lru.bytes(), 2_000);
    }

    #[test]
    fn removed_thing_frees_its_bytes() {
        let mut lru = table(&["a"]);
        assert_eq!(lru.remove(&key("a")), Some("a"));
        assert_eq!(lru.remove(&key("a")), None);
        assert_eq!(lru.bytes(), 0);
    }
}
