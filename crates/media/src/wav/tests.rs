//! Files as programs write them, good and bad; `hound` is the judge of what is right.

use std::io::Cursor;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::sound::Hint;

fn parse(bytes: &[u8]) -> Result<Sound, SoundError> {
    Sound::read(bytes, Hint::None, &Limits::default())
}

fn told(bytes: &[u8]) -> String {
    parse(bytes).unwrap_err().to_string()
}

fn chunk(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut bytes = name.to_vec();
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(body);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes
}

fn format(format: u16, channels: u16, rate: u32, bits: u16, block: u16) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(format.to_le_bytes());
    body.extend(channels.to_le_bytes());
    body.extend(rate.to_le_bytes());
    body.extend((rate.wrapping_mul(u32::from(block))).to_le_bytes());
    body.extend(block.to_le_bytes());
    body.extend(bits.to_le_bytes());
    chunk(b"fmt ", &body)
}

fn file(chunks: &[Vec<u8>]) -> Vec<u8> {
    let body = [b"WAVE".to_vec(), chunks.concat()].concat();
    chunk(b"RIFF", &body)
}

/// A file as `hound` writes it.
fn by_hound<S: hound::Sample + Copy>(
    channels: u16,
    rate: u32,
    bits: u16,
    float: bool,
    samples: &[S],
) -> Vec<u8> {
    let sample_format = if float { hound::SampleFormat::Float } else { hound::SampleFormat::Int };
    let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for sample in samples {
        writer.write_sample(*sample).unwrap();
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

#[test]
fn pcm_of_every_width_is_read_as_another_program_wrote_it() {
    let samples = [0i16, 1, -1, 1_000, -20_000, i16::MAX, i16::MIN];
    let wide = |shift: u32| samples.map(|sample| i32::from(sample) << shift);
    let sixteen = parse(&by_hound(1, 44_100, 16, false, &samples)).unwrap();
    assert_eq!((sixteen.rate_hz(), sixteen.samples()), (44_100, &samples[..]));
    let twenty_four = parse(&by_hound(1, 8_000, 24, false, &wide(8))).unwrap();
    assert_eq!(twenty_four.samples(), samples);
    let thirty_two = parse(&by_hound(1, 8_000, 32, false, &wide(16))).unwrap();
    assert_eq!(thirty_two.samples(), samples);
    let eight = parse(&by_hound(1, 8_000, 8, false, &[0i8, 1, -1, 127, -128])).unwrap();
    assert_eq!(eight.samples(), [0, 256, -256, 32_512, -32_768]);
    let floats = samples.map(|sample| f32::from(sample) / 32_768.0);
    let float = parse(&by_hound(1, 48_000, 32, true, &floats)).unwrap();
    assert_eq!((float.rate_hz(), float.samples()), (48_000, &samples[..]));
}

#[test]
fn stereo_is_mixed_to_one_channel() {
    let samples = [100i16, 200, -100, 100, i16::MAX, i16::MAX, i16::MIN, i16::MIN];
    let sound = parse(&by_hound(2, 8_000, 16, false, &samples)).unwrap();
    assert_eq!(sound.samples(), [150, 0, i16::MAX, i16::MIN]);
    assert_eq!(sound.duration(), Duration::from_micros(500));
}

#[test]
fn laws_are_read_bit_by_bit_also_with_sixteen_bits_in_the_header() {
    let bytes: Vec<u8> = (0..=255).collect();
    for (code, law) in [(FORMAT_A_LAW, Law::A), (FORMAT_MU_LAW, Law::Mu)] {
        for bits in [8, 16] {
            let wav = file(&[format(code, 1, 8_000, bits, 1), chunk(b"data", &bytes)]);
            let sound = parse(&wav).unwrap();
            let expected: Vec<i16> = bytes.iter().map(|byte| law.decode(*byte)).collect();
            assert_eq!(sound.samples(), expected, "{law:?} {bits}");
        }
    }
}

#[test]
fn extensible_header_tells_the_true_format() {
    let mut body = format(FORMAT_EXTENSIBLE, 1, 8_000, 16, 2)[8..].to_vec();
    body.extend([22, 0, 16, 0, 4, 0, 0, 0, 1, 0]);
    body.extend([0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
    let wav = file(&[chunk(b"fmt ", &body), chunk(b"data", &[1, 0, 2, 0])]);
    assert_eq!(parse(&wav).unwrap().samples(), [1, 2]);
    let wav = file(&[chunk(b"fmt ", &body[..20]), chunk(b"data", &[1, 0])]);
    assert_eq!(told(&wav), "WAV has no whole format chunk");
}

#[test]
fn other_chunks_are_skipped_wherever_they_stand() {
    let wav = file(&[
        chunk(b"JUNK", &[9; 7]),
        chunk(b"data", &[1, 0, 2, 0]),
        chunk(b"LIST", b"INFOtext"),
        format(FORMAT_PCM, 1, 16_000, 16, 2),
    ]);
    assert_eq!(parse(&wav).unwrap().samples(), [1, 2]);
}

#[test]
fn truncated_files_give_what_is_there() {
    let whole = by_hound(1, 8_000, 16, false, &[1i16, 2, 3, 4]);
    assert_eq!(parse(&whole[..whole.len() - 3]).unwrap().samples(), [1, 2]);
    assert_eq!(told(&whole[..44]), "sound is empty");
    assert_eq!(told(&whole[..40]), "WAV has no data chunk");
    assert_eq!(told(&whole[..30]), "WAV has no whole format chunk");
    assert_eq!(told(&whole[..12]), "WAV has no format chunk");
}

#[test]
fn lengths_that_lie_are_read_to_the_end_of_the_file() {
    for length in [0u32, 0x7fff_f000, 0x7fff_ffff, 0xffff_ffff, 0x0010_0000] {
        let mut wav = by_hound(1, 22_050, 16, false, &[1i16, 2, 3]);
        wav[4..8].copy_from_slice(&length.to_le_bytes());
        wav[40..44].copy_from_slice(&length.to_le_bytes());
        assert_eq!(parse(&wav).unwrap().samples(), [1, 2, 3], "{length:#x}");
    }
    let wav = file(&[
        format(FORMAT_PCM, 1, 8_000, 16, 2),
        chunk(b"data", &[]),
        chunk(b"LIST", b"INFOtext"),
    ]);
    assert_eq!(told(&wav), "sound is empty");
}

#[test]
fn codings_that_are_not_read_are_named() {
    let with = |code, bits, block| {
        told(&file(&[format(code, 1, 8_000, bits, block), chunk(b"data", &[0; 64])]))
    };
    assert_eq!(with(0x31, 0, 65), "WAV holds GSM 6.10 (format 0x0031); use PCM, mu-law or A-law");
    assert!(with(0x11, 4, 256).contains("IMA ADPCM"));
    assert!(with(0x4711, 4, 256).contains("unknown coding (format 0x4711)"));
    assert_eq!(with(1, 48, 6), "WAV holds PCM of 48 bits; use 8, 16, 24 or 32 bits");
    assert_eq!(with(1, 0, 2), "WAV holds PCM of 0 bits; use 8, 16, 24 or 32 bits");
    assert_eq!(with(3, 16, 2), "WAV holds floating point of 16 bits; use 32 or 64 bits");
    assert_eq!(with(7, 4, 1), "WAV holds mu-law of 4 bits; use 8 bits");
    assert_eq!(with(6, 4, 1), "WAV holds A-law of 4 bits; use 8 bits");
}

#[test]
fn impossible_headers_are_refused_with_what_is_wrong() {
    let with = |channels, rate, block| {
        told(&file(&[format(1, channels, rate, 16, block), chunk(b"data", &[0; 64])]))
    };
    assert_eq!(with(0, 8_000, 2), "sound has 0 channels; use 1 or 2");
    assert_eq!(with(6, 48_000, 12), "sound has 6 channels; use 1 or 2");
    assert_eq!(with(1, 0, 2), "sound has 0 samples a second; 4000 to 192000 are supported");
    assert_eq!(
        with(1, 384_000, 2),
        "sound has 384000 samples a second; 4000 to 192000 are supported"
    );
    assert_eq!(with(2, 8_000, 2), "WAV says 2 channels of 16 bits but blocks of 2 bytes");
    let zero = file(&[format(1, 2, 8_000, 16, 0), chunk(b"data", &[1, 0, 3, 0])]);
    assert_eq!(parse(&zero).unwrap().samples(), [2]);
}

#[test]
fn long_sounds_are_refused_before_they_are_decoded() {
    let wav = file(&[format(1, 1, 4_000, 8, 1), chunk(b"data", &[0x80; 40_000])]);
    let limits = Limits { bytes_max: 1 << 20, duration_max: Duration::from_secs(5) };
    assert_eq!(
        Sound::read(&wav, Hint::None, &limits).unwrap_err().to_string(),
        "sound lasts 10 seconds, at most 5 are taken"
    );
}

#[test]
fn written_files_are_read_back_by_us_and_by_others() {
    let samples = vec![0i16, 5, -5, 12_345, i16::MIN];
    let sound = Sound::telephone(samples.clone());
    let pcm = write(&sound, Packing::Pcm16);
    assert_eq!(parse(&pcm).unwrap(), sound);
    let mut reader = hound::WavReader::new(Cursor::new(&pcm)).unwrap();
    assert_eq!(reader.spec().sample_rate, 8_000);
    let read: Vec<i16> = reader.samples().map(Result::unwrap).collect();
    assert_eq!(read, samples);
    for law in [Law::A, Law::Mu] {
        let wav = write(&sound, Packing::Companded(law));
        assert_eq!(wav.len(), 58 + 6, "header, samples and one byte to make it even");
        assert_eq!(u32::from_le_bytes(wav[4..8].try_into().unwrap()) as usize, wav.len() - 8);
        let expected: Vec<i16> =
            samples.iter().map(|sample| law.decode(law.encode(*sample))).collect();
        assert_eq!(parse(&wav).unwrap().samples(), expected, "{law:?}");
    }
}

#[test]
fn header_of_a_growing_recording_has_the_same_size_at_its_end() {
    for packing in [Packing::Pcm16, Packing::Companded(Law::Mu)] {
        let first = header(packing, 8_000, 0);
        let last = header(packing, 8_000, 16_000);
        assert_eq!(first.len(), last.len());
        let file = [last, vec![0; 16_000]].concat();
        assert_eq!(parse(&file).unwrap().samples().len() % 8_000, 0);
        assert_eq!(header(packing, 8_000, u32::MAX)[4..8], [0xff; 4], "saturates");
    }
}

#[test]
fn recordings_of_many_origins_are_read() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/callee-type/audio");
    let Ok(kinds) = std::fs::read_dir(directory) else {
        eprintln!("skipped: no ../shared");
        return;
    };
    let mut files = 0;
    for kind in kinds {
        for entry in std::fs::read_dir(kind.unwrap().path()).unwrap() {
            let path = entry.unwrap().path();
            let sound = parse(&std::fs::read(&path).unwrap());
            assert_eq!(sound.as_ref().map(Sound::rate_hz), Ok(8_000), "{path:?}");
            files += 1;
        }
    }
    assert!(files > 300, "{files}");
}

proptest! {
    #[test]
    fn any_format_chunk_is_read_or_refused(
        head in prop::collection::vec(any::<u8>(), 0..40),
        code in prop::sample::select(vec![1u16, 3, 6, 7, 0xfffe, 0x31]),
        bits in 0u16..70,
        channels in 0u16..4,
        data in prop::collection::vec(any::<u8>(), 0..60),
        length: u32,
        cut in 0usize..200,
    ) {
        let mut chunk_of = format(code, channels, 8_000, bits, 0);
        chunk_of.extend(&head);
        let mut wav = file(&[chunk_of, chunk(b"data", &data)]);
        let at = wav.len() - data.len().next_multiple_of(2) - 4;
        wav[at..at + 4].copy_from_slice(&length.to_le_bytes());
        wav.truncate(cut.max(12));
        let _ = parse(&wav);
    }

    #[test]
    fn any_chunks_are_walked_to_an_end(body in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&[&b"RIFF\0\0\0\0WAVE"[..], &body].concat());
    }
}
