//! Protection of packets outwards and inwards (RFC 3711 §3 and §4).

use aes::Aes128;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use hmac::{Hmac, Mac as _};
use sha1::Sha1;
use zeroize::Zeroize as _;

use super::keys::{MasterKey, Suite};
use crate::rtp::packet::HEADER_BYTES;

type Mac = Hmac<Sha1>;

/// Bytes of an authentication key (RFC 3711 §8.2).
const MAC_KEY_BYTES: usize = 20;
const BLOCK_BYTES: usize = 16;
const SALT_BYTES: usize = 14;
/// Bytes of the tag of a report, in every suite (RFC 4568 §6.2.2).
const REPORT_TAG_BYTES: usize = 10;
/// Bytes of a report that stay in the clear: its first header and its maker.
const REPORT_CLEAR_BYTES: usize = 8;
const INDEX_BYTES: usize = 4;
/// Bit of the index of a report that says that it is encrypted.
const ENCRYPTED: u32 = 1 << 31;
/// Sources that one stream may have had: a switch that changes them takes the place of the oldest.
const SOURCES_MAX: usize = 4;
/// Packets behind the newest that are still looked at (RFC 3711 §3.3.2).
const WINDOW: u64 = 64;

/// Why a packet is not what the far end sent. Whatever it is, it is dropped without a word, and
/// never ends a call: anybody can send such packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is no packet, or too short for a tag.
    #[error("packet is too short or malformed")]
    Malformed,
    /// It has been here before, or is older than the window.
    #[error("packet was repeated")]
    Replayed,
    /// Somebody else made it, or it was changed on its way.
    #[error("packet is not authentic")]
    Tag,
}

/// Session keys of sound or of reports (RFC 3711 §4.3).
struct SessionKeys {
    cipher: [u8; BLOCK_BYTES],
    salt: [u8; SALT_BYTES],
    mac: [u8; MAC_KEY_BYTES],
}

impl Drop for SessionKeys {
    fn drop(&mut self) {
        self.cipher.zeroize();
        self.salt.zeroize();
        self.mac.zeroize();
    }
}

/// Which session keys: the labels of RFC 3711 §4.3.2.
#[derive(Clone, Copy)]
enum Kind {
    Report = 3,
    Sound = 0,
}

impl SessionKeys {
    fn derive(master: &MasterKey, kind: Kind) -> Self {
        let first = kind as u8;
        let mut keys =
            Self { cipher: [0; BLOCK_BYTES], salt: [0; SALT_BYTES], mac: [0; MAC_KEY_BYTES] };
        for (label, out) in [
            (first, keys.cipher.as_mut_slice()),
            (first + 1, keys.mac.as_mut_slice()),
            (first + 2, keys.salt.as_mut_slice()),
        ] {
            let mut block = [0; BLOCK_BYTES];
            block[..SALT_BYTES].copy_from_slice(master.salt());
            // The label stands before the 48 bits of the index, which counts no key changes here.
            block[7] ^= label;
            stream(master.key(), &block).apply_keystream(out);
        }
        keys
    }

    /// Encrypts or decrypts (RFC 3711 §4.1.1).
    fn cipher(&self, ssrc: u32, index: u64, data: &mut [u8]) {
        let mut block = [0; BLOCK_BYTES];
        block[..SALT_BYTES].copy_from_slice(&self.salt);
        xor(&mut block[4..8], &ssrc.to_be_bytes());
        xor(&mut block[6..14], &index.to_be_bytes());
        stream(&self.cipher, &block).apply_keystream(data);
    }

    fn mac(&self, parts: [&[u8]; 2]) -> Mac {
        let mut mac = Mac::new_from_slice(&self.mac).expect("HMAC takes keys of any length");
        parts.into_iter().for_each(|part| mac.update(part));
        mac
    }
}

fn stream(key: &[u8], block: &[u8; BLOCK_BYTES]) -> Ctr128BE<Aes128> {
    let key: &aes::cipher::Key<Aes128> = key.into();
    Ctr128BE::<Aes128>::new(key, block.into())
}

fn xor(into: &mut [u8], with: &[u8]) {
    into.iter_mut().zip(with).for_each(|(into, with)| *into ^= with);
}

/// Protects what we send.
pub struct Sealer {
    suite: Suite,
    sound: SessionKeys,
    reports: SessionKeys,
    /// The source, rounds of its sequence number, and the number last sent.
    sent: Option<(u32, u32, u16)>,
    /// Index of the next report.
    report: u32,
}

impl Sealer {
    /// For packets of one source, sent in order.
    pub fn new(suite: Suite, ours: &MasterKey) -> Self {
        let sound = SessionKeys::derive(ours, Kind::Sound);
        let reports = SessionKeys::derive(ours, Kind::Report);
        Self { suite, sound, reports, sent: None, report: 0 }
    }

    /// Puts a protected packet of sound into `out`, which has room for it and
    /// [`super::OVERHEAD_BYTES_MAX`] more; how long it is. `None` for what is no packet.
    pub fn seal(&mut self, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        let (header, sequence, ssrc) = sound_header(packet)?;
        let round = match self.sent {
            Some((of, round, last)) if of == ssrc && sequence < last => round.wrapping_add(1),
            Some((of, round, _)) if of == ssrc => round,
            // Another source begins with its own first round (RFC 3711 §3.2.3).
            Some(_) | None => 0,
        };
        self.sent = Some((ssrc, round, sequence));
        let end = packet.len();
        out.get_mut(..end)?.copy_from_slice(packet);
        let index = u64::from(round) << 16 | u64::from(sequence);
        self.sound.cipher(ssrc, index, &mut out[header..end]);
        let tag = self.sound.mac([&out[..end], &round.to_be_bytes()]).finalize().into_bytes();
        let length = self.suite.tag_bytes();
        out.get_mut(end..end + length)?.copy_from_slice(&tag[..length]);
        Some(end + length)
    }

    /// The same for a report (RFC 3711 §3.4).
    pub fn seal_report(&mut self, packet: &[u8], out: &mut [u8]) -> Option<usize> {
        let ssrc = report_maker(packet)?;
        let index = self.report;
        self.report = (index + 1) & !ENCRYPTED;
        let end = packet.len();
        out.get_mut(..end)?.copy_from_slice(packet);
        self.reports.cipher(ssrc, index.into(), &mut out[REPORT_CLEAR_BYTES..end]);
        let mac_at = end + INDEX_BYTES;
        out.get_mut(end..mac_at)?.copy_from_slice(&(index | ENCRYPTED).to_be_bytes());
        let tag = self.reports.mac([&out[..mac_at], &[]]).finalize().into_bytes();
        out.get_mut(mac_at..mac_at + REPORT_TAG_BYTES)?.copy_from_slice(&tag[..REPORT_TAG_BYTES]);
        Some(mac_at + REPORT_TAG_BYTES)
    }
}

/// Reads what the far end protected.
pub struct Opener {
    suite: Suite,
    sound: SessionKeys,
    reports: SessionKeys,
    /// Sources that have proved themselves, newest last.
    sources: Vec<Source>,
    report_window: Window,
}

/// One source, from its first authentic packet.
struct Source {
    ssrc: u32,
    window: Window,
}

/// The newest index, and which of those behind it have been here.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    newest: Option<u64>,
    /// Bit n: the index n behind the newest.
    seen: u64,
}

impl Window {
    fn has_seen(&self, index: u64) -> bool {
        match self.newest {
            Some(newest) if index <= newest => {
                let behind = newest - index;
                behind >= WINDOW || self.seen >> behind & 1 != 0
            }
            _ => false,
        }
    }

    fn note(&mut self, index: u64) {
        match self.newest {
            Some(newest) if index <= newest => self.seen |= 1 << (newest - index),
            Some(newest) => {
                let ahead = index - newest;
                self.seen = if ahead >= WINDOW { 0 } else { self.seen << ahead } | 1;
                self.newest = Some(index);
            }
            None => *self = Self { newest: Some(index), seen: 1 },
        }
    }

    /// The whole index of a sequence number: the one nearest to the newest (RFC 3711 §3.3.1).
    fn index(&self, sequence: u16) -> u64 {
        let sequence = u64::from(sequence);
        let Some(newest) = self.newest else {
            return sequence;
        };
        let (round, last) = (newest >> 16, newest & 0xffff);
        let round = if last < 0x8000 && sequence > last + 0x8000 {
            round.saturating_sub(1)
        } else if last >= 0x8000 && sequence < last - 0x8000 {
            round + 1
        } else {
            round
        };
        round << 16 | sequence
    }
}

impl Opener {
    /// For packets of one far end.
    pub fn new(suite: Suite, theirs: &MasterKey) -> Self {
        Self {
            suite,
            sound: SessionKeys::derive(theirs, Kind::Sound),
            reports: SessionKeys::derive(theirs, Kind::Report),
            sources: Vec::new(),
            report_window: Window::default(),
        }
    }

    /// Makes a packet of sound readable in its place; how long it is then. An error leaves the
    /// state as it was: only what the far end made can change it.
    pub fn open(&mut self, datagram: &mut [u8]) -> Result<usize, OpenError> {
        let (header, sequence, ssrc) = sound_header(datagram).ok_or(OpenError::Malformed)?;
        let end = datagram.len().checked_sub(self.suite.tag_bytes());
        let end = end.filter(|end| *end >= header).ok_or(OpenError::Malformed)?;
        let known = self.sources.iter().position(|source| source.ssrc == ssrc);
        let mut window = known.map_or(Window::default(), |at| self.sources[at].window);
        let index = window.index(sequence);
        if window.has_seen(index) {
            return Err(OpenError::Replayed);
        }
        let round = u32::try_from(index >> 16).map_err(|_| OpenError::Malformed)?;
        let (packet, tag) = datagram.split_at_mut(end);
        let mac = self.sound.mac([packet, &round.to_be_bytes()]);
        mac.verify_truncated_left(tag).map_err(|_| OpenError::Tag)?;
        self.sound.cipher(ssrc, index, &mut packet[header..]);
        window.note(index);
        match known {
            Some(at) => self.sources[at].window = window,
            None => {
                if self.sources.len() == SOURCES_MAX {
                    self.sources.remove(0);
                }
                self.sources.push(Source { ssrc, window });
            }
        }
        Ok(end)
    }

    /// The same for a report.
    pub fn open_report(&mut self, datagram: &mut [u8]) -> Result<usize, OpenError> {
        let ssrc = report_maker(datagram).ok_or(OpenError::Malformed)?;
        let mac_at = datagram.len().checked_sub(REPORT_TAG_BYTES).ok_or(OpenError::Malformed)?;
        let end = mac_at.checked_sub(INDEX_BYTES).ok_or(OpenError::Malformed)?;
        let (authentic, tag) = datagram.split_at_mut(mac_at);
        let (packet, index) = authentic.split_at(end);
        if packet.len() < REPORT_CLEAR_BYTES {
            return Err(OpenError::Malformed);
        }
        let index = index.try_into().map(u32::from_be_bytes).map_err(|_| OpenError::Malformed)?;
        let (is_encrypted, index) = (index & ENCRYPTED != 0, u64::from(index & !ENCRYPTED));
        if self.report_window.has_seen(index) {
            return Err(OpenError::Replayed);
        }
        let mac = self.reports.mac([authentic, &[]]);
        mac.verify_truncated_left(tag).map_err(|_| OpenError::Tag)?;
        self.report_window.note(index);
        if is_encrypted {
            self.reports.cipher(ssrc, index, &mut authentic[REPORT_CLEAR_BYTES..end]);
        }
        Ok(end)
    }
}

/// Length of a packet's header with sources and extension, its sequence number and its source.
fn sound_header(packet: &[u8]) -> Option<(usize, u16, u32)> {
    let fixed = packet.first_chunk::<HEADER_BYTES>()?;
    if fixed[0] >> 6 != 2 {
        return None;
    }
    let mut length = HEADER_BYTES + usize::from(fixed[0] & 0x0f) * 4;
    if fixed[0] & 0x10 != 0 {
        let head = packet.get(length..length + 4)?;
        length += 4 + usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
    }
    let sequence = u16::from_be_bytes([fixed[2], fixed[3]]);
    let ssrc = u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
    (length <= packet.len()).then_some((length, sequence, ssrc))
}

fn report_maker(packet: &[u8]) -> Option<u32> {
    let fixed = packet.first_chunk::<REPORT_CLEAR_BYTES>()?;
    (fixed[0] >> 6 == 2).then(|| u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::OVERHEAD_BYTES_MAX;
    use super::super::keys::MASTER_BYTES;
    use super::*;

    /// Reads a number that is written in hexadecimal digits.
    fn hex(digits: &str) -> Vec<u8> {
        let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
    }

    /// Key and salt of RFC 3711 §B.3.
    fn master() -> MasterKey {
        let bytes = hex("E1F97A0D3E018BE0D64FA32C06DE4139 0EC675AD498AFEEBB6960B3AABE6");
        MasterKey::new(bytes.try_into().unwrap())
    }

    fn packet(sequence: u16, ssrc: u32) -> Vec<u8> {
        let mut packet = vec![0x80, 0];
        packet.extend(sequence.to_be_bytes());
        packet.extend(0xdead_u32.to_be_bytes());
        packet.extend(ssrc.to_be_bytes());
        packet.extend([0xab; 160]);
        packet
    }

    fn sealed(sealer: &mut Sealer, packet: &[u8]) -> Vec<u8> {
        let mut out = vec![0; packet.len() + OVERHEAD_BYTES_MAX];
        let length = sealer.seal(packet, &mut out).unwrap();
        out.truncate(length);
        out
    }

    fn opened(opener: &mut Opener, datagram: &[u8]) -> Result<Vec<u8>, OpenError> {
        let mut datagram = datagram.to_vec();
        let length = opener.open(&mut datagram)?;
        datagram.truncate(length);
        Ok(datagram)
    }

    fn report() -> Vec<u8> {
        let mut report = vec![0x80, 201, 0, 1];
        report.extend(0xcafe_babe_u32.to_be_bytes());
        report.extend([7; 20]);
        report
    }

    #[test]
    fn session_keys_are_those_of_rfc_3711_b_3() {
        let keys = SessionKeys::derive(&master(), Kind::Sound);
        assert_eq!(keys.cipher.to_vec(), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(keys.salt.to_vec(), hex("30CBBC08863D8C85D49DB34A9AE1"));
        assert_eq!(keys.mac.to_vec(), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
    }

    #[test]
    fn key_stream_is_that_of_rfc_3711_b_2() {
        let keys = SessionKeys {
            cipher: hex("2B7E151628AED2A6ABF7158809CF4F3C").try_into().unwrap(),
            salt: hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap(),
            mac: [0; MAC_KEY_BYTES],
        };
        let mut stream = [0; 32];
        keys.cipher(0, 0, &mut stream);
        let expected = hex("E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB");
        assert_eq!(stream.to_vec(), expected);
    }

    #[test]
    fn packet_is_that_of_libsrtp() {
        // Reference packet of libsrtp's `srtp_driver`, which other implementations test against.
        let plain = hex("800f1234decafbadcafebabe abababababababababababababababab");
        let expected = hex("800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 \
                            b78d6acc99ea179b8dbb");
        let mut sealer = Sealer::new(Suite::AesCm128HmacSha1_80, &master());
        assert_eq!(sealed(&mut sealer, &plain), expected);
        let mut opener = Opener::new(Suite::AesCm128HmacSha1_80, &master());
        assert_eq!(opened(&mut opener, &expected), Ok(plain));
    }

    #[test]
    fn another_source_begins_with_a_first_round_of_its_own() {
        let suite = Suite::AesCm128HmacSha1_80;
        let (mut sealer, mut opener) =
            (Sealer::new(suite, &master()), Opener::new(suite, &master()));
        for (sequence, ssrc) in [(65_535, 9), (0, 9), (1, 9), (2, 10), (3, 10)] {
            let plain = packet(sequence, ssrc);
            assert_eq!(opened(&mut opener, &sealed(&mut sealer, &plain)), Ok(plain), "{sequence}");
        }
    }

    #[test]
    fn what_is_sealed_is_opened_over_rounds_of_the_sequence_number() {
        for suite in Suite::ALL {
            let (mut sealer, mut opener) =
                (Sealer::new(suite, &master()), Opener::new(suite, &master()));
            let mut sequence = 30_000_u16;
            for _ in 0..3_000 {
                let plain = packet(sequence, 9);
                let datagram = sealed(&mut sealer, &plain);
                assert_eq!(datagram.len(), plain.len() + suite.tag_bytes());
                assert_eq!(opened(&mut opener, &datagram), Ok(plain), "{sequence}");
                sequence = sequence.wrapping_add(97);
            }
        }
    }

    #[test]
    fn late_packet_is_opened_once_and_an_old_one_never() {
        let suite = Suite::AesCm128HmacSha1_80;
        let (mut sealer, mut opener) =
            (Sealer::new(suite, &master()), Opener::new(suite, &master()));
        let datagrams: Vec<Vec<u8>> = (65_500..65_620_u32)
            .map(|sequence| sealed(&mut sealer, &packet(sequence as u16, 9)))
            .collect();
        for (at, datagram) in datagrams.iter().enumerate().filter(|(at, _)| *at != 30) {
            assert!(opened(&mut opener, datagram).is_ok(), "{at}");
            if at == 60 {
                // From before the sequence number came round.
                assert!(opened(&mut opener, &datagrams[30]).is_ok());
            }
        }
        for datagram in &datagrams {
            assert_eq!(opened(&mut opener, datagram), Err(OpenError::Replayed));
        }
    }

    #[test]
    fn forged_packet_changes_nothing() {
        let suite = Suite::AesCm128HmacSha1_32;
        let (mut sealer, mut opener) =
            (Sealer::new(suite, &master()), Opener::new(suite, &master()));
        for ssrc in 0..100 {
            let mut forged = sealed(&mut Sealer::new(suite, &master()), &packet(40_000, ssrc));
            *forged.last_mut().unwrap() ^= 1;
            assert_eq!(opened(&mut opener, &forged), Err(OpenError::Tag));
        }
        assert!(opener.sources.is_empty());
        let plain = packet(1, 7);
        assert_eq!(opened(&mut opener, &sealed(&mut sealer, &plain)), Ok(plain));
        let other = MasterKey::new([3; MASTER_BYTES]);
        let foreign = sealed(&mut Sealer::new(suite, &other), &packet(2, 7));
        assert_eq!(opened(&mut opener, &foreign), Err(OpenError::Tag));
    }

    #[test]
    fn report_is_opened_once() {
        let suite = Suite::AesCm128HmacSha1_32;
        let (mut sealer, mut opener) =
            (Sealer::new(suite, &master()), Opener::new(suite, &master()));
        for _ in 0..3 {
            let mut datagram = vec![0; report().len() + OVERHEAD_BYTES_MAX];
            let length = sealer.seal_report(&report(), &mut datagram).unwrap();
            assert_eq!(length, report().len() + OVERHEAD_BYTES_MAX);
            assert_ne!(datagram[8..28], report()[8..]);
            let mut again = datagram.clone();
            let length = opener.open_report(&mut datagram).unwrap();
            assert_eq!(datagram[..length], report());
            assert_eq!(opener.open_report(&mut again), Err(OpenError::Replayed));
            again[9] ^= 1;
            again[report().len() + 3] += 1;
            assert_eq!(opener.open_report(&mut again), Err(OpenError::Tag));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut opener = Opener::new(Suite::AesCm128HmacSha1_80, &master());
            prop_assert!(opener.open(&mut bytes.clone()).is_err());
            prop_assert!(opener.open_report(&mut bytes.clone()).is_err());
            let mut out = vec![0; bytes.len()];
            let mut sealer = Sealer::new(Suite::AesCm128HmacSha1_80, &master());
            prop_assert_eq!(sealer.seal(&bytes, &mut out), None);
            prop_assert_eq!(sealer.seal_report(&bytes, &mut out), None);
        }
    }
}
