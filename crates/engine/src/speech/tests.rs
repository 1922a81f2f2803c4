//! Speaking, with the real synthesizer and with programs that misbehave.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use futures_util::future::join_all;
use media::sound::Sound;
use media::wav::{self, Packing};

use super::*;
use crate::files::CacheConfig;

/// A program of our own in place of the synthesizer, in a directory of its own.
struct Fake {
    dir: tempfile::TempDir,
}

impl Fake {
    /// A program that lists two voices and, given a text, runs these lines of shell in its
    /// directory; `$*` are its options, `wav` is a file with a tenth of a second of sound.
    fn new(lines: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sound = Sound::new(22_050, vec![5_000; 2_205]).unwrap();
        fs::write(dir.path().join("wav"), wav::write(&sound, Packing::Pcm16)).unwrap();
        let here = dir.path().display();
        let script = format!(
            "#!/bin/sh\ncd {here}\nif [ \"$1\" = --voices ]; then echo Pty Language; \
             echo ' 5 en-us --/M x y'; echo ' 5 de --/M x y'; exit; fi\n{lines}\n"
        );
        fs::write(dir.path().join("script"), script).unwrap();
        // Made by another process: a file that this one had open for writing might still be open
        // in a child that another test is just forking, and could not be run.
        let made = Command::new("/bin/sh")
            .args(["-c", "cp script program && chmod 755 program"])
            .current_dir(dir.path())
            .status();
        assert!(made.unwrap().success());
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn config(&self) -> SpeechConfig {
        let espeak = EspeakNg::at(self.path("program"));
        SpeechConfig { adapter: Adapter::EspeakNg(espeak), ..SpeechConfig::default() }
    }

    fn speech(&self) -> Speech {
        speech(self.config())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

/// Speaks, and counts how often.
const SPEAK: &str = "echo $* >> options; cat >> texts; echo >> texts; cat wav";

fn speech(config: SpeechConfig) -> Speech {
    Speech::new(config, SoundCache::open(&CacheConfig::default()).unwrap())
}

fn reason(result: Result<Encoded, PlayError>) -> String {
    match result.unwrap_err() {
        PlayError::NoResource(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn thousand_equal_texts_are_spoken_once() {
    let fake = Fake::new(SPEAK);
    let speech = fake.speech();
    let texts = (0..1_000).map(|_| speech.speak("Hello  there", None, Codec::Pcmu));
    let sounds = join_all(texts).await;
    assert!(
        sounds.iter().all(|sound| sound.as_ref().is_ok_and(|sound| sound.bytes().len() == 800))
    );
    assert_eq!(fake.read("texts"), "Hello there\n");
}

#[tokio::test]
async fn another_text_language_codec_or_speed_is_another_sound() {
    let fake = Fake::new(SPEAK);
    let cache = SoundCache::open(&CacheConfig::default()).unwrap();
    let speech = Speech::new(fake.config(), cache.clone());
    for (text, language, codec) in [
        ("a", None, Codec::Pcmu),
        ("b", None, Codec::Pcmu),
        ("a", Some("de-AT"), Codec::Pcmu),
        ("a", None, Codec::Pcma),
        ("a", Some("EN-us"), Codec::Pcma),
    ] {
        speech.speak(text, language, codec).await.unwrap();
    }
    let espeak = EspeakNg::new(fake.path("program"), 1_000, BTreeMap::new());
    let config = SpeechConfig { adapter: Adapter::EspeakNg(espeak), ..fake.config() };
    Speech::new(config, cache).speak("a", None, Codec::Pcmu).await.unwrap();
    assert_eq!(
        fake.read("options").lines().collect::<Vec<_>>(),
        [
            "--stdin --stdout -b 1 -s 160 -v en-us",
            "--stdin --stdout -b 1 -s 160 -v en-us",
            "--stdin --stdout -b 1 -s 160 -v de",
            "--stdin --stdout -b 1 -s 160 -v en-us",
            "--stdin --stdout -b 1 -s 450 -v en-us",
        ]
    );
}

#[tokio::test]
async fn text_is_never_an_option_nor_a_command() {
    let fake = Fake::new(SPEAK);
    let text = "-w /tmp/x --stdin $(touch pwned) `id` \u{1}+5S [[h@'loU]] <speak>\n\tend";
    fake.speech().speak(text, None, Codec::Pcmu).await.unwrap();
    assert_eq!(
        fake.read("texts"),
        "-w /tmp/x --stdin $(touch pwned) `id` +5S [ [h@'loU]] <speak> end\n"
    );
    assert!(!fake.path("pwned").exists());
}

#[tokio::test]
async fn markup_goes_to_the_synthesizer_as_markup_and_what_is_none_as_text() {
    let fake = Fake::new(SPEAK);
    let speech = fake.speech();
    let slow = "<prosody rate=\"50%\">hello</prosody>";
    for (ssml, text) in [(slow, "hello"), ("<s>hello", "hello"), ("<s></s>", " ")] {
        speech.speak_markup(ssml, text, None, Codec::Pcmu).await.unwrap();
    }
    assert_eq!(fake.read("texts"), format!("<speak>{slow}</speak>\nhello\n"));
    let options = fake.read("options");
    let markup: Vec<bool> = options.lines().map(|line| line.ends_with(" -m")).collect();
    assert_eq!(markup, [true, false]);
}

#[tokio::test]
async fn markup_far_longer_than_its_text_is_spoken_plainly() {
    let fake = Fake::new(SPEAK);
    let bomb = format!("{}hello{}", "<s>".repeat(20_000), "</s>".repeat(20_000));
    fake.speech().speak_markup(&bomb, "hello", None, Codec::Pcmu).await.unwrap();
    assert_eq!(fake.read("texts"), "hello\n");
}

#[tokio::test]
async fn real_synthesizer_follows_markup() {
    let speech = speech(SpeechConfig::default());
    let seconds = async |ssml: &str| {
        let sound = speech.speak_markup(ssml, "one two three", None, Codec::Pcmu).await.unwrap();
        sound.duration()
    };
    let plain = seconds("one two three").await;
    let slow = seconds("<prosody rate=\"50%\">one two three</prosody>").await;
    assert!(slow > plain.mul_f32(1.4), "{slow:?} against {plain:?}");
    let spelled = seconds("<say-as interpret-as=\"characters\">one two three</say-as>").await;
    assert!(spelled > plain.mul_f32(1.4), "{spelled:?} against {plain:?}");
}

#[tokio::test]
async fn operators_choice_of_voice_comes_first() {
    let fake = Fake::new(SPEAK);
    let voices = BTreeMap::from([("en-us".to_owned(), "en-us+f3".to_owned())]);
    let espeak = EspeakNg::new(fake.path("program"), 160, voices);
    let config = SpeechConfig { adapter: Adapter::EspeakNg(espeak), ..SpeechConfig::default() };
    speech(config).speak("a", Some("en-US"), Codec::Pcmu).await.unwrap();
    assert!(fake.read("options").ends_with("-v en-us+f3\n"));
}

#[tokio::test]
async fn language_without_voice_is_said_so() {
    let fake = Fake::new(SPEAK);
    for language in ["tlh", "-v", "../x", ""] {
        let refused = fake.speech().speak("a", Some(language), Codec::Pcmu).await;
        assert_eq!(refused, Err(PlayError::Language(language.into())));
    }
    assert_eq!(fake.read("options"), "");
}

#[tokio::test]
async fn missing_program_is_no_resource_and_says_what_to_install() {
    let espeak = EspeakNg::at("/nowhere/espeak-ng");
    let config = SpeechConfig { adapter: Adapter::EspeakNg(espeak), ..SpeechConfig::default() };
    let speech = speech(config);
    let told = reason(speech.speak("a", None, Codec::Pcmu).await);
    assert!(told.starts_with("/nowhere/espeak-ng cannot be run"), "{told}");
    assert!(told.ends_with("install it with `apt-get install espeak-ng`"), "{told}");
    assert_eq!(speech.check().await.unwrap_err().to_string(), told);
}

#[tokio::test]
async fn program_that_fails_is_quoted_and_asked_again_next_time() {
    let fake = Fake::new("cat > /dev/null; echo first >&2; echo no such voice >&2; exit 3");
    let speech = fake.speech();
    let told = reason(speech.speak("a", None, Codec::Pcmu).await);
    assert!(told.ends_with("program failed: exit status: 3 no such voice"), "{told}");
    fs::write(fake.path("script"), "#!/bin/sh\ncat > /dev/null; cat wav").unwrap();
    let mend = format!("cd {}; sed -i 's/exit 3/cat wav/' program", fake.dir.path().display());
    assert!(Command::new("/bin/sh").args(["-c", &mend]).status().unwrap().success());
    assert_eq!(speech.speak("a", None, Codec::Pcmu).await.unwrap().bytes().len(), 800);
}

#[tokio::test]
async fn program_that_gives_no_sound_or_none_we_know_is_no_resource() {
    let fake = Fake::new("cat > /dev/null");
    let silent = fake.speech();
    assert!(reason(silent.speak("a", None, Codec::Pcmu).await).ends_with("gave no sound"));
    assert!(silent.check().await.is_err());
    let fake = Fake::new("cat > /dev/null; echo hello");
    let odd = fake.speech();
    assert!(reason(odd.speak("a", None, Codec::Pcmu).await).contains("no known kind"));
}

#[tokio::test]
async fn program_that_reads_nothing_and_complains_at_length_is_no_obstacle() {
    let fake = Fake::new("exec < /dev/null; head -c 300000 /dev/zero >&2; cat wav");
    let long = "word ".repeat(700);
    assert_eq!(fake.speech().speak(&long, None, Codec::Pcmu).await.unwrap().bytes().len(), 800);
}

#[tokio::test]
async fn slow_program_is_killed_and_reported() {
    let fake = Fake::new("exec 3> held; exec sleep 600");
    let made = Command::new("mkfifo").arg(fake.path("held")).status();
    assert!(made.unwrap().success());
    let held = fake.path("held");
    // Ends when nobody has the pipe open for writing any more.
    let killed = tokio::task::spawn_blocking(move || fs::read(held));
    let config = SpeechConfig { time_max: Duration::from_millis(300), ..fake.config() };
    let told = reason(speech(config).speak("a", None, Codec::Pcmu).await);
    assert_eq!(told, "no speech within 300 ms");
    assert_eq!(killed.await.unwrap().unwrap(), b"");
}

#[tokio::test]
async fn endless_sound_is_cut_off() {
    let fake = Fake::new("cat > /dev/null; exec yes");
    let refused = fake.speech().speak("a", None, Codec::Pcmu).await.unwrap_err().to_string();
    assert!(refused.contains("gave more than 26460000 bytes of sound"), "{refused}");
}

#[tokio::test]
async fn no_more_than_the_limit_speak_at_the_same_time() {
    let fake =
        Fake::new("cat > /dev/null; mkdir busy || echo overlap >> overlaps; cat wav; rmdir busy");
    let config = SpeechConfig { concurrent_max: 1, ..fake.config() };
    let speech = speech(config);
    let texts: Vec<_> = (0..10).map(|number| format!("text {number}")).collect();
    let sounds = join_all(texts.iter().map(|text| speech.speak(text, None, Codec::Pcmu))).await;
    assert!(sounds.iter().all(Result::is_ok));
    assert_eq!(fake.read("overlaps"), "");
}

#[tokio::test]
async fn long_text_is_refused_and_empty_text_is_nothing() {
    let fake = Fake::new(SPEAK);
    let long = fake.speech().speak(&"x".repeat(4_001), None, Codec::Pcmu).await;
    assert_eq!(
        long.unwrap_err().to_string(),
        "audio cannot be had: text to speak has 4001 characters; at most 4000 are spoken at once"
    );
    let empty = fake.speech().speak(" \n\u{0}\t", None, Codec::Pcmu).await;
    assert_eq!(empty.unwrap().bytes().len(), 0);
    assert_eq!(fake.read("options"), "");
}

#[tokio::test]
async fn speech_survives_a_restart_on_disk() {
    let fake = Fake::new(SPEAK);
    let dir = tempfile::tempdir().unwrap();
    let config = CacheConfig { dir: Some(dir.path().into()), ..CacheConfig::default() };
    for _ in 0..2 {
        let cache = SoundCache::open(&config).unwrap();
        Speech::new(fake.config(), cache).speak("Hello", None, Codec::Pcma).await.unwrap();
    }
    assert_eq!(fake.read("texts"), "Hello\n");
}

#[tokio::test]
async fn programs_environment_is_not_ours() {
    let fake = Fake::new("cat > /dev/null; env | sort > environment; cat wav");
    fake.speech().speak("a", None, Codec::Pcmu).await.unwrap();
    let names: Vec<_> = fake
        .read("environment")
        .lines()
        .map(|line| line.split('=').next().unwrap_or_default().to_owned())
        .filter(|name| !["OLDPWD", "PWD", "SHLVL", "_"].contains(&name.as_str()))
        .collect();
    assert_eq!(names, ["PATH"]);
}

#[tokio::test]
async fn espeak_ng_speaks_clearly_and_at_the_loudness_of_a_telephone() {
    let speech = speech(SpeechConfig::default());
    if let Err(error @ SynthesisError::Missing { .. }) = speech.check().await {
        println!("skipped: {error}");
        return;
    }
    for (text, language) in [
        ("Hello, this is a call from the city library.", None),
        ("-v de --stdout is not an option here", Some("en-GB")),
        ("Guten Tag, hier spricht die Stadtbücherei.", Some("de-DE")),
    ] {
        let sound = speech.speak(text, language, Codec::Pcmu).await.unwrap();
        let seconds = sound.bytes().len() as f64 / 8_000.0;
        assert!((1.5..6.0).contains(&seconds), "{seconds} s");
        let level = active_level_db(sound.bytes());
        assert!((-26.0..-14.0).contains(&level), "{level} dB");
    }
}

/// The loudness of the frames that are not silence, in dB of full scale.
fn active_level_db(sound: &[u8]) -> f64 {
    let law = crate::rtp_io::law::law(Codec::Pcmu);
    let powers = sound.chunks_exact(160).map(|frame| {
        frame.iter().map(|byte| f64::from(law.decode(*byte)).powi(2)).sum::<f64>() / 160.0
    });
    let active: Vec<_> = powers.filter(|power| *power > 180.0 * 180.0).collect();
    10.0 * (active.iter().sum::<f64>() / active.len() as f64 / 32_768f64.powi(2)).log10()
}
