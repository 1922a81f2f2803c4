//! What has been seen before in a file: a hash of each text, and the line of its first time.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Places at the beginning, a power of two.
const PLACES: usize = 1_024;

/// A set of texts that remembers where each was first seen, in 12 bytes a place.
///
/// A text is known by 64 bits of hash: in one of 40 million files of a million rows, two different
/// texts are taken for one.
#[derive(Debug)]
pub(super) struct Seen {
    hashes: Vec<u64>,
    /// The line of the text in the same place; 0 where the place is empty.
    lines: Vec<u32>,
    used: usize,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self { hashes: vec![0; PLACES], lines: vec![0; PLACES], used: 0 }
    }

    /// Notes a text seen on `line`; where it was seen before, the line of the first time.
    pub(super) fn note(&mut self, text: &str, line: u64) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let hash = hasher.finish();
        if (self.used + 1) * 4 > self.lines.len() * 3 {
            self.grow();
        }
        let at = self.place(hash);
        if self.lines[at] != 0 {
            return Some(self.lines[at].into());
        }
        self.hashes[at] = hash;
        self.lines[at] = u32::try_from(line).unwrap_or(u32::MAX).max(1);
        self.used += 1;
        None
    }

    /// Where this hash is, or would be.
    fn place(&self, hash: u64) -> usize {
        let mask = self.lines.len() - 1;
        let mut at = usize::try_from(hash & mask as u64).unwrap_or_default();
        while self.lines[at] != 0 && self.hashes[at] != hash {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        let hashes = std::mem::take(&mut self.hashes);
        let lines = std::mem::take(&mut self.lines);
        self.hashes = vec![0; hashes.len() * 2];
        self.lines = vec![0; lines.len() * 2];
        for (hash, line) in hashes.into_iter().zip(lines).filter(|(_, line)| *line != 0) {
            let at = self.place(hash);
            (self.hashes[at], self.lines[at]) = (hash, line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_known_by_the_line_of_its_first_time() {
        let mut seen = Seen::new();
        for line in 1..=100_000 {
            assert_eq!(seen.note(&format!("1555{line:07}"), line), None);
        }
        for line in 1..=100_000 {
            assert_eq!(seen.note(&format!("1555{line:07}"), 200_000), Some(line));
        }
    }
}
