//! Keys and suites of SRTP, and their lines in SDP: `a=crypto` (RFC 4568).

use std::fmt;

use base64ct::{Base64, Encoding as _};
use zeroize::Zeroize as _;

/// Bytes of a master key and of a master salt, in all suites that we speak (RFC 4568 §6.2).
const KEY_BYTES: usize = 16;
const SALT_BYTES: usize = 14;
/// Bytes of a key with its salt, as they are written in `inline:`.
pub const MASTER_BYTES: usize = KEY_BYTES + SALT_BYTES;
/// Most lines of `a=crypto` of one medium that are looked at.
const LINES_MAX: usize = 16;

/// A way to protect packets (RFC 4568 §6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// AES in counter mode, and tags of 32 bits on sound.
    AesCm128HmacSha1_32,
    /// AES in counter mode, and tags of 80 bits; the one that everybody has.
    AesCm128HmacSha1_80,
}

impl Suite {
    /// All, best first, as we offer them.
    pub const ALL: [Self; 2] = [Self::AesCm128HmacSha1_80, Self::AesCm128HmacSha1_32];

    /// Its name in SDP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            Self::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        }
    }

    /// Bytes of the tag behind a packet of sound.
    pub const fn tag_bytes(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_32 => 4,
            Self::AesCm128HmacSha1_80 => 10,
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name().eq_ignore_ascii_case(name))
    }
}

/// A master key with its salt; wiped when it is dropped, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey([u8; MASTER_BYTES]);

impl MasterKey {
    /// Key and salt in a row, from the system's generator.
    pub const fn new(bytes: [u8; MASTER_BYTES]) -> Self {
        Self(bytes)
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.0[..KEY_BYTES]
    }

    pub(super) fn salt(&self) -> &[u8] {
        &self.0[KEY_BYTES..]
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// What two ends agreed on to protect a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// How.
    pub suite: Suite,
    /// What our packets are protected with.
    pub ours: MasterKey,
    /// What theirs are.
    pub theirs: MasterKey,
}

/// One line of `a=crypto`, as far as it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CryptoLine {
    pub(crate) tag: u32,
    pub(crate) suite: Suite,
    pub(crate) key: MasterKey,
}

impl CryptoLine {
    /// The value of the attribute.
    pub(crate) fn to_value(&self) -> String {
        let Self { tag, suite, key } = self;
        format!("{tag} {} inline:{}", suite.name(), Base64::encode_string(&key.0))
    }

    /// Reads a value; `None` where we cannot speak it: another suite, several keys or a key
    /// identifier, or a parameter that changes the protection.
    fn parse(value: &str) -> Option<Self> {
        let mut words = value.split_ascii_whitespace();
        let tag = words.next().filter(|tag| tag.len() <= 9)?.parse().ok()?;
        let suite = Suite::named(words.next()?)?;
        let inline = words.next()?.strip_prefix("inline:")?;
        // A hint about the window of replays changes nothing for whoever sends.
        if !words.all(|parameter| parameter.starts_with("WSH=")) {
            return None;
        }
        let mut parts = inline.split('|');
        let key = master_key(parts.next()?)?;
        // A lifetime is longer than any call; a key identifier would be in every packet.
        if parts.any(|part| part.contains(':')) {
            return None;
        }
        Some(Self { tag, suite, key })
    }

    /// Those of a medium's lines that can be used, in the maker's order.
    pub(crate) fn read_all<'a>(values: impl Iterator<Item = &'a str>) -> Vec<Self> {
        values.take(LINES_MAX).filter_map(Self::parse).collect()
    }
}

/// Key and salt in base64; some leave out the padding, of which 30 bytes have none.
fn master_key(text: &str) -> Option<MasterKey> {
    let mut bytes = [0; MASTER_BYTES];
    let length = Base64::decode(text, &mut bytes).ok()?.len();
    let key = MasterKey::new(bytes);
    bytes.zeroize();
    (length == MASTER_BYTES).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of RFC 4568 §6.1's example.
    const LINE: &str = "1 AES_CM_128_HMAC_SHA1_80 \
                        inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32";

    #[test]
    fn line_is_read_back_as_it_was_written() {
        let key = MasterKey::new(std::array::from_fn(|at| at as u8));
        let line = CryptoLine { tag: 7, suite: Suite::AesCm128HmacSha1_32, key };
        let read = CryptoLine::read_all([line.to_value().as_str()].into_iter());
        assert_eq!(read, [line]);
    }

    #[test]
    fn lifetime_and_window_are_left_aside() {
        let line = LINE.replace("|1:32", "") + " WSH=128";
        let read = CryptoLine::parse(&line).unwrap();
        assert_eq!((read.tag, read.suite), (1, Suite::AesCm128HmacSha1_80));
        assert_eq!(read.key.key(), b"wDfvg&T+)xG7@fb5");
    }

    #[test]
    fn what_changes_the_protection_or_cannot_be_read_is_passed_over() {
        let whole = LINE.replace("|1:32", "");
        for line in [
            LINE.to_owned(),
            whole.replace("_80", "_90"),
            whole.replace("inline:", "file:"),
            whole.replace("inline:d0", "inline:d"),
            whole.replace("inline:", "inline:AAAA"),
            format!("{whole} UNENCRYPTED_SRTP"),
            format!("{whole} KDR=4"),
            format!("x{whole}"),
            "1 AES_CM_128_HMAC_SHA1_80".to_owned(),
            String::new(),
        ] {
            assert_eq!(CryptoLine::parse(&line), None, "{line}");
        }
    }

    #[test]
    fn keys_are_not_shown() {
        let key = MasterKey::new([65; MASTER_BYTES]);
        let shown = format!("{:?}", CryptoLine { tag: 1, suite: Suite::ALL[0], key });
        assert!(!shown.contains("65"), "{shown}");
    }
}
