//! What has been seen before in a file: a hash of each text, and the line of its first time.
//!
//! A table in pages, of which some are in memory and all others in a [`Scratch`]: however long the
//! file is, reading it takes no more memory than [`KEPT_PAGES_MAX`] pages.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;

/// Bytes of a page: of each one that is not in memory so many are read and written for a place.
const PAGE_BYTES: usize = 1_024;
/// Bytes of a place: 8 of the hash, 4 of the line; where the line is 0 nothing is in it.
const PLACE_BYTES: usize = 12;
/// Places in a page.
const PLACES: usize = PAGE_BYTES / PLACE_BYTES;
/// Pages in memory, 16 MiB of them: files of some 500,000 rows need no others.
const KEPT_PAGES_MAX: usize = 16_384;

/// Room outside memory for what a long file makes its reader remember: a file of its own, say.
pub trait Scratch: Send + Sync {
    /// Reads what was written from that byte on, as far as there is anything; how many bytes it was.
    /// What was passed over is zeros.
    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Writes these bytes from that byte on.
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()>;
}

/// In memory after all, for files of known length and for tests.
impl Scratch for Vec<u8> {
    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let there = usize::try_from(at).ok().and_then(|at| self.get(at..)).unwrap_or_default();
        let many = there.len().min(into.len());
        into[..many].copy_from_slice(&there[..many]);
        Ok(many)
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(at).map_err(|_| io::ErrorKind::StorageFull)?;
        let end = at.checked_add(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        if self.len() < end {
            self.resize(end, 0);
        }
        self[at..end].copy_from_slice(bytes);
        Ok(())
    }
}

/// What of a row may not come twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    /// Its number.
    Number,
    /// Its reference.
    Reference,
}

/// A set of texts that remembers where each was first seen.
///
/// A text is known by 64 bits of hash: in one of some ten million files of a million rows, two
/// different texts are taken for one. `seed` makes it another hash for each file, so that nobody can
/// write a file all of whose texts fall on one page.
pub(super) struct Seen {
    seed: u64,
    pages: Pages,
    /// Pages of the table, a power of two. It begins at the page of that number, so that the next
    /// larger one begins where it ends.
    count: u64,
    used: u64,
}

/// A hash and its line.
type Place = (u64, u32);

/// What a page says of a hash.
enum Found {
    /// It is on this line.
    Seen(u32),
    /// It is not there, and would be here.
    Free(usize),
    /// It is not on this page, which is full.
    Full,
}

impl Seen {
    /// A set that keeps in `scratch` what it cannot keep in memory.
    pub(super) fn new(seed: u64, scratch: Box<dyn Scratch>) -> Self {
        Self::keeping(KEPT_PAGES_MAX, seed, scratch)
    }

    fn keeping(kept_max: usize, seed: u64, scratch: Box<dyn Scratch>) -> Self {
        let pages = Pages { scratch, kept: Vec::new(), kept_max };
        Self { seed, pages, count: 1, used: 0 }
    }

    /// Notes a text seen on `line`; where it was seen before, the line of the first time.
    pub(super) fn note(&mut self, what: What, text: &str, line: u64) -> io::Result<Option<u64>> {
        let mut hasher = DefaultHasher::new();
        (self.seed, what, text).hash(&mut hasher);
        let line = u32::try_from(line).unwrap_or(u32::MAX).max(1);
        let before = self.put((hasher.finish(), line))?;
        if before.is_none() {
            self.used += 1;
            // Beyond three quarters pages begin to run over.
            if self.used * 4 > self.count * PLACES as u64 * 3 {
                self.grow()?;
            }
        }
        Ok(before.map(u64::from))
    }

    /// Puts a hash in its place, unless it is there; the line with which it is there.
    fn put(&mut self, (hash, line): Place) -> io::Result<Option<u32>> {
        // The highest bits say on which page, so that a table of twice the size has the places of
        // one page on two that follow each other.
        let mut nth = u64::try_from((u128::from(hash) * u128::from(self.count)) >> 64).unwrap_or(0);
        loop {
            let page = self.pages.page(self.count + nth)?;
            match page.find(hash) {
                Found::Seen(line) => return Ok(Some(line)),
                Found::Free(at) => {
                    page.set(at, (hash, line));
                    return Ok(None);
                }
                Found::Full => nth = (nth + 1) % self.count,
            }
        }
    }

    /// Moves to a table of twice the size.
    fn grow(&mut self) -> io::Result<()> {
        let old = self.count..self.count * 2;
        self.count *= 2;
        for number in old {
            let page = self.pages.take(number)?;
            for place in (0..PLACES).map(|at| page.place(at)).filter(|(_, line)| *line != 0) {
                self.put(place)?;
            }
        }
        Ok(())
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self::new(0, Box::<Vec<u8>>::default())
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen").field("used", &self.used).finish_non_exhaustive()
    }
}

/// Pages by number, some of them in memory.
struct Pages {
    scratch: Box<dyn Scratch>,
    /// Each where its number leads, modulo their number; empty as long as there is none.
    kept: Vec<Option<Kept>>,
    /// Most pages in memory.
    kept_max: usize,
}

struct Kept {
    number: u64,
    page: Page,
}

struct Page {
    bytes: Box<[u8; PAGE_BYTES]>,
    /// Since it was read.
    changed: bool,
}

impl Pages {
    /// A page, in memory from now on.
    fn page(&mut self, number: u64) -> io::Result<&mut Page> {
        if self.kept.is_empty() {
            self.kept.resize_with(self.kept_max, || None);
        }
        let at = self.at(number);
        if self.kept[at].as_ref().is_none_or(|kept| kept.number != number) {
            if let Some(other) = self.kept[at].take().filter(|kept| kept.page.changed) {
                self.scratch.write(other.number * PAGE_BYTES as u64, &other.page.bytes[..])?;
            }
            self.kept[at] = Some(Kept { number, page: self.read(number)? });
        }
        let kept = self.kept[at].as_mut();
        Ok(&mut kept.expect("a page is kept once it was read").page)
    }

    /// A page that is not asked for again.
    fn take(&mut self, number: u64) -> io::Result<Page> {
        let at = self.at(number);
        let kept = self.kept.get_mut(at);
        match kept.and_then(|kept| kept.take_if(|kept| kept.number == number)) {
            Some(kept) => Ok(kept.page),
            None => self.read(number),
        }
    }

    /// Where a page is kept.
    fn at(&self, number: u64) -> usize {
        usize::try_from(number % self.kept_max as u64).unwrap_or(0)
    }

    fn read(&mut self, number: u64) -> io::Result<Page> {
        let mut bytes = Box::new([0; PAGE_BYTES]);
        let mut from = 0;
        while from < PAGE_BYTES {
            let at = number * PAGE_BYTES as u64 + from as u64;
            match self.scratch.read(at, &mut bytes[from..])? {
                0 => break,
                more => from += more,
            }
        }
        Ok(Page { bytes, changed: false })
    }
}

impl Page {
    fn find(&self, hash: u64) -> Found {
        // The lowest bits have nothing to do with those that led to the page.
        let first = usize::try_from(((hash & 0xffff_ffff) * PLACES as u64) >> 32).unwrap_or(0);
        for at in (first..PLACES).chain(0..first) {
            match self.place(at) {
                (_, 0) => return Found::Free(at),
                (same, line) if same == hash => return Found::Seen(line),
                _ => {}
            }
        }
        Found::Full
    }

    fn place(&self, at: usize) -> Place {
        let (mut hash, mut line) = ([0; 8], [0; 4]);
        let place = &self.bytes[at * PLACE_BYTES..(at + 1) * PLACE_BYTES];
        hash.copy_from_slice(&place[..8]);
        line.copy_from_slice(&place[8..]);
        (u64::from_le_bytes(hash), u32::from_le_bytes(line))
    }

    fn set(&mut self, at: usize, (hash, line): Place) {
        let place = &mut self.bytes[at * PLACE_BYTES..(at + 1) * PLACE_BYTES];
        place[..8].copy_from_slice(&hash.to_le_bytes());
        place[8..].copy_from_slice(&line.to_le_bytes());
        self.changed = true;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Room that counts how often it is used, and fails after so many times.
    struct Counted {
        room: Vec<u8>,
        used: Arc<AtomicUsize>,
        most: usize,
    }

    impl Counted {
        fn count(&self) -> io::Result<()> {
            match self.used.fetch_add(1, Ordering::Relaxed) < self.most {
                true => Ok(()),
                false => Err(io::ErrorKind::StorageFull.into()),
            }
        }
    }

    impl Scratch for Counted {
        fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
            if self.room.is_empty() {
                // Nothing was written yet: every page is new.
                return Ok(0);
            }
            self.count()?;
            self.room.read(at, into)
        }

        fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
            self.count()?;
            self.room.write(at, bytes)
        }
    }

    /// Notes as many numbers and references, each of which is new; then all of them once more.
    fn note_all(seen: &mut Seen, rows: u64) {
        for line in 1..=rows {
            for what in [What::Number, What::Reference] {
                let before = seen.note(what, &format!("1555{line:07}"), line).unwrap();
                assert_eq!(before, None, "{line}");
            }
        }
        for line in 1..=rows {
            for what in [What::Number, What::Reference] {
                let before = seen.note(what, &format!("1555{line:07}"), rows + line).unwrap();
                assert_eq!(before, Some(line));
            }
        }
    }

    #[test]
    fn text_is_known_by_the_line_of_its_first_time_however_many_there_are() {
        let mut seen = Seen::keeping(16, 7, Box::<Vec<u8>>::default());
        note_all(&mut seen, 30_000);
        assert_eq!((seen.count, seen.pages.kept.len()), (1_024, 16));
    }

    #[test]
    fn short_files_need_no_room_outside_memory() {
        let used = Arc::new(AtomicUsize::new(0));
        let room = Counted { room: Vec::new(), used: Arc::clone(&used), most: 0 };
        note_all(&mut Seen::keeping(1_024, 7, Box::new(room)), 30_000);
        assert_eq!(used.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn room_that_is_full_is_told() {
        let (used, most) = (Arc::default(), 1_000);
        let room = Counted { room: Vec::new(), used, most };
        let mut seen = Seen::keeping(16, 7, Box::new(room));
        let failed = (1..1_000_000)
            .find_map(|line| seen.note(What::Number, &format!("1555{line:07}"), line).err());
        assert_eq!(failed.unwrap().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn page_that_runs_over_goes_on_on_the_next_one() {
        let mut seen = Seen { count: 2, ..Seen::default() };
        // All hashes lead to the last page, from which the table goes on at its beginning.
        let hashes = (0..PLACES as u64 + 9).map(|low| (u64::MAX << 32) | low);
        for (hash, line) in hashes.clone().zip(1..) {
            assert_eq!(seen.put((hash, line)).unwrap(), None);
        }
        for (hash, line) in hashes.zip(1..) {
            assert_eq!(seen.put((hash, 1)).unwrap(), Some(line));
        }
    }
}
