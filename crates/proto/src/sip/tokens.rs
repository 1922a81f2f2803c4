//! Unguessable text and fair dice from one seed: branches, tags, cnonces, jitter.

use std::time::Duration;

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// A stream of numbers nobody can predict without the key; same key and seed, same stream.
///
/// RFC 3261 §19.3 wants tags of at least 32 random bits; ours have 96, branches too, for whoever
/// guesses a branch may answer a request that was not sent to him.
#[derive(Clone)]
pub struct Tokens {
    mac: Hmac<Sha256>,
    count: u64,
}

impl Tokens {
    /// The stream of this key and seed. The seed must differ from run to run.
    pub fn new(key: &[u8; 32], seed: u64) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
        mac.update(b"outdial sip tokens");
        mac.update(&seed.to_be_bytes());
        Self { mac, count: 0 }
    }

    /// The next 24 hexadecimal digits.
    pub fn token(&mut self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(24);
        for octet in &self.draw()[..12] {
            text.push(char::from(DIGITS[usize::from(octet >> 4)]));
            text.push(char::from(DIGITS[usize::from(octet & 15)]));
        }
        text
    }

    /// The next branch, with RFC 3261's magic cookie.
    pub fn branch(&mut self) -> String {
        format!("z9hG4bK{}", self.token())
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let drawn = self.draw();
        let number = u64::from_be_bytes([
            drawn[0], drawn[1], drawn[2], drawn[3], drawn[4], drawn[5], drawn[6], drawn[7],
        ]);
        let span = high.saturating_sub(low).saturating_add(1);
        low + number % span
    }

    /// A duration from `low` to `high`, in whole milliseconds.
    pub fn duration(&mut self, low: Duration, high: Duration) -> Duration {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(self.between(ms(low), ms(high)))
    }

    /// A stream of its own, that does not depend on what is drawn here later.
    pub fn split(&mut self) -> Self {
        let seed = self.draw();
        let mac = Hmac::<Sha256>::new_from_slice(&seed).expect("HMAC takes a key of any length");
        Self { mac, count: 0 }
    }

    /// 32 octets for a stream of another kind.
    pub fn seed(&mut self) -> [u8; 32] {
        self.draw()
    }

    fn draw(&mut self) -> [u8; 32] {
        self.count += 1;
        let mut mac = self.mac.clone();
        mac.update(&self.count.to_be_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("count", &self.count).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_gives_the_same_stream_and_another_seed_another() {
        let stream = |seed| {
            let mut tokens = Tokens::new(&[7; 32], seed);
            [tokens.token(), tokens.branch()]
        };
        assert_eq!(stream(1), stream(1));
        assert_ne!(stream(1), stream(2));
        assert_ne!(stream(1)[0], stream(1)[1][7..]);
        assert_eq!(stream(1)[0].len(), 24);
    }

    #[test]
    fn numbers_stay_within_their_bounds_and_reach_them() {
        let mut tokens = Tokens::new(&[0; 32], 3);
        let drawn: Vec<u64> = (0..200).map(|_| tokens.between(4, 6)).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&4), Some(&6)));
        let pause = tokens.duration(Duration::from_secs(1), Duration::from_secs(1));
        assert_eq!(pause, Duration::from_secs(1));
    }
}
