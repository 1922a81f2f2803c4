//! AU files, the other way `audio/basic` comes: a header of big-endian words, then samples.

use crate::g711::Law;
use crate::resample::{RATE_HZ_MAX, RATE_HZ_MIN, RateError};
use crate::sound::{Coding, Limits, Sound, SoundError};

const MAGIC: &[u8; 4] = b".snd";
/// Bytes of the header without the remark that may follow it.
const HEADER_BYTES: usize = 24;

/// Whether the bytes begin as an AU file.
pub fn is_au(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// Reads an AU file; the length in the header is believed only as far as there are bytes.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Sound, SoundError> {
    let (header, _) = bytes
        .split_first_chunk::<HEADER_BYTES>()
        .ok_or(SoundError::Missing { container: "AU", part: "whole header" })?;
    let (words, _) = header.as_chunks::<4>();
    let word = |at: usize| u32::from_be_bytes(words[at]);
    let (offset, length, format, rate, channels) = (word(1), word(2), word(3), word(4), word(5));
    let coding = match format {
        1 => Coding::Companded(Law::Mu),
        2 => Coding::Big(1),
        3 => Coding::Big(2),
        4 => Coding::Big(3),
        5 => Coding::Big(4),
        27 => Coding::Companded(Law::A),
        code => {
            let name = match code {
                6 | 7 => "floating point",
                23..=26 => "ADPCM",
                _ => "an unknown coding",
            };
            return Err(SoundError::Coding { container: "AU", name, code });
        }
    };
    if !(1..=2).contains(&channels) {
        return Err(SoundError::Channels(channels));
    }
    if !(RATE_HZ_MIN..=RATE_HZ_MAX).contains(&rate) {
        return Err(RateError(rate).into());
    }
    let data = bytes
        .get((offset as usize).max(HEADER_BYTES)..)
        .ok_or(SoundError::Missing { container: "AU", part: "data" })?;
    // All ones mean that the length was not known when the header was written.
    let data = &data[..data.len().min(length as usize)];
    let samples = coding.decode(data, rate, channels as usize, limits)?;
    Ok(Sound::new(rate, samples)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::sound::Hint;

    fn file(
        offset: u32,
        length: u32,
        format: u32,
        rate: u32,
        channels: u32,
        data: &[u8],
    ) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for word in [offset, length, format, rate, channels] {
            bytes.extend(word.to_be_bytes());
        }
        bytes.extend(data);
        bytes
    }

    fn parse(bytes: &[u8]) -> Result<Sound, SoundError> {
        Sound::read(bytes, Hint::None, &Limits::default())
    }

    #[test]
    fn laws_and_pcm_of_every_width_are_read() {
        let data = [0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0];
        let samples = |format| {
            parse(&file(24, u32::MAX, format, 8_000, 1, &data)).unwrap().samples().to_vec()
        };
        assert_eq!(samples(1), data.map(|byte| Law::Mu.decode(byte)));
        assert_eq!(samples(27), data.map(|byte| Law::A.decode(byte)));
        assert_eq!(samples(2)[..2], [0x1200, 0x3400]);
        assert_eq!(samples(3), [0x1234, 0x5678, 0x9abcu16 as i16, 0xdef0u16 as i16]);
        assert_eq!(samples(4), [0x1234, 0x789au16 as i16]);
        assert_eq!(samples(5), [0x1234, 0x9abcu16 as i16]);
    }

    #[test]
    fn stereo_is_mixed_and_remarks_are_skipped() {
        let sound = parse(&file(28, 8, 3, 16_000, 2, b"hey!\0\x0a\0\x14\0\x1e\0\0more")).unwrap();
        assert_eq!((sound.rate_hz(), sound.samples()), (16_000, &[15, 15][..]));
    }

    #[test]
    fn headers_that_lie_or_lack_are_refused() {
        let told = |bytes: &[u8]| parse(bytes).unwrap_err().to_string();
        assert_eq!(told(b".snd1234"), "AU has no whole header");
        assert_eq!(told(&file(90, 9, 1, 8_000, 1, &[1])), "AU has no data");
        assert_eq!(told(&file(24, 9, 1, 8_000, 1, &[])), "sound is empty");
        assert_eq!(told(&file(24, 9, 1, 8_000, 3, &[1])), "sound has 3 channels; use 1 or 2");
        assert_eq!(
            told(&file(24, 9, 1, 1, 1, &[1])),
            "sound has 1 samples a second; 4000 to 192000 are supported"
        );
        assert_eq!(
            told(&file(24, 9, 23, 8_000, 1, &[1])),
            "AU holds ADPCM (format 0x0017); use PCM, mu-law or A-law"
        );
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(
            offset in 0u32..60, length: u32, format in 0u32..30, channels in 0u32..4,
            rate in prop::sample::select(vec![0, 8_000, 44_100, u32::MAX]),
            data in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            let _ = parse(&file(offset, length, format, rate, channels, &data));
        }
    }
}
