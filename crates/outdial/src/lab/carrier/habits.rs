//! What each callee does when called: from a file, and by a seed for numbers it does not name.
//!
//! ```toml
//! seed = 7
//! [[callee]]
//! number = "15550100001"          # exact, without "+"; "155501*" for all that begin so
//! does = ["busy", "person"]       # first call, second call; the last one stays
//! keys = "12#"
//! plays = "greeting.wav"         # for "plays": what it lets be heard
//! [[mix]]                          # numbers that no callee names: by weight
//! does = ["machine"]
//! weight = 3
//! ```

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What a callee does with one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// In a call: 486.
    Busy,
    /// All circuits busy: 503.
    Congested,
    /// Answers with a fax machine's tone.
    Fax,
    /// Answers, says hello, and hangs up after two seconds.
    HangsUp,
    /// Answers with a greeting and a beep, then listens.
    Machine,
    /// Rings until the caller gives up.
    NoAnswer,
    /// Answers, says hello, presses the keys it was given, and stays.
    Person,
    /// Answers and lets a recording be heard, the file that `plays` names, then listens.
    Plays,
    /// Declines: 603.
    Refuses,
    /// The number is out of service: information tones as early media, then 404.
    Sit,
    /// The phone is off: 480.
    Unavailable,
    /// No such number: 404.
    Wrong,
}

impl Kind {
    /// The name used in files and logs.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Congested => "congested",
            Self::Fax => "fax",
            Self::HangsUp => "hangs_up",
            Self::Machine => "machine",
            Self::NoAnswer => "no_answer",
            Self::Person => "person",
            Self::Plays => "plays",
            Self::Refuses => "refuses",
            Self::Sit => "sit",
            Self::Unavailable => "unavailable",
            Self::Wrong => "wrong",
        }
    }

    /// The final status, where it does not answer.
    pub(crate) const fn refusal(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Busy => Some((486, "Busy Here")),
            Self::Congested => Some((503, "Service Unavailable")),
            Self::Refuses => Some((603, "Decline")),
            Self::Sit | Self::Wrong => Some((404, "Not Found")),
            Self::Unavailable => Some((480, "Temporarily Unavailable")),
            Self::Fax
            | Self::HangsUp
            | Self::Machine
            | Self::NoAnswer
            | Self::Person
            | Self::Plays => None,
        }
    }
}

/// One call's worth of habit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Habit {
    pub(crate) kind: Kind,
    /// From INVITE to 180.
    pub(crate) ring_after_ms: u64,
    /// From 180 to the answer or the refusal.
    pub(crate) ring_ms: u64,
    /// Pressed one after the other once it has heard something.
    pub(crate) keys: String,
    /// The recording that is heard.
    pub(crate) plays: Option<PathBuf>,
}

/// The file, as it is written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    callee: Vec<Callee>,
    #[serde(default)]
    mix: Vec<Mix>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Callee {
    number: String,
    does: Vec<Kind>,
    #[serde(default)]
    keys: String,
    plays: Option<PathBuf>,
    ring_after_ms: Option<u64>,
    ring_ms: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mix {
    does: Vec<Kind>,
    #[serde(default)]
    keys: String,
    #[serde(default = "one")]
    weight: u32,
}

const fn one() -> u32 {
    1
}

/// The callees of a carrier, and how often each was called.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    file: File,
    calls: HashMap<String, usize>,
}

impl Habits {
    /// Everybody is a person.
    pub(crate) fn everybody(kind: Kind) -> Self {
        let mix = Mix { does: vec![kind], keys: String::new(), weight: 1 };
        Self { file: File { mix: vec![mix], ..File::default() }, calls: HashMap::new() }
    }

    /// Reads a habits file; `seed` overrules the file's.
    pub(crate) fn load(path: &Path, seed: Option<u64>) -> anyhow::Result<Self> {
        use anyhow::Context;
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, seed).with_context(|| format!("{} is no habits file", path.display()))
    }

    /// The same from a text.
    pub(crate) fn parse(text: &str, seed: Option<u64>) -> anyhow::Result<Self> {
        let mut file: File = toml::from_str(text)?;
        file.seed = seed.unwrap_or(file.seed);
        for callee in &file.callee {
            let number = &callee.number;
            anyhow::ensure!(!callee.does.is_empty(), "callee {number} does nothing");
            let has_sound = callee.plays.is_some() || !callee.does.contains(&Kind::Plays);
            anyhow::ensure!(has_sound, "callee {number} plays, but no file is named");
        }
        anyhow::ensure!(file.mix.iter().all(|mix| !mix.does.is_empty()), "a mix does nothing");
        let plays = |mix: &Mix| mix.does.contains(&Kind::Plays);
        anyhow::ensure!(!file.mix.iter().any(plays), "only a callee with a number plays a file");
        Ok(Self { file, calls: HashMap::new() })
    }

    /// What the callee of `number` (digits) does with its next call.
    pub(crate) fn next(&mut self, number: &str) -> Habit {
        let nth = self.calls.entry(number.to_owned()).or_default();
        let call = *nth;
        *nth += 1;
        let draw = hash(self.file.seed, number, 0);
        let pace = hash(self.file.seed, number, call as u64 + 1);
        let named = self.file.callee.iter().find(|callee| matches(&callee.number, number));
        let (does, keys, ring_after, ring) = match named {
            Some(callee) => (&callee.does, &callee.keys, callee.ring_after_ms, callee.ring_ms),
            None => match pick(&self.file.mix, draw) {
                Some(mix) => (&mix.does, &mix.keys, None, None),
                None => return Habit::of(Kind::Wrong, "", pace, None, None),
            },
        };
        let kind = does[call.min(does.len() - 1)];
        let plays = named.and_then(|callee| callee.plays.clone());
        Habit { plays, ..Habit::of(kind, keys, pace, ring_after, ring) }
    }
}

impl Habit {
    fn of(kind: Kind, keys: &str, pace: u64, after: Option<u64>, ring: Option<u64>) -> Self {
        Self {
            kind,
            ring_after_ms: after.unwrap_or(50 + pace % 400),
            ring_ms: ring.unwrap_or(500 + (pace >> 16) % 3_500),
            keys: keys.to_owned(),
            plays: None,
        }
    }
}

fn matches(pattern: &str, number: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == number, |prefix| number.starts_with(prefix))
}

fn pick(mix: &[Mix], draw: u64) -> Option<&Mix> {
    let total: u64 = mix.iter().map(|mix| u64::from(mix.weight)).sum();
    let mut left = draw.checked_rem(total)?;
    mix.iter().find(|mix| {
        let weight = u64::from(mix.weight);
        let found = left < weight;
        left = left.saturating_sub(weight);
        found
    })
}

/// 64 well-mixed bits of seed, number and call; the same on every machine (FNV-1a, then a finish).
fn hash(seed: u64, number: &str, call: u64) -> u64 {
    let bytes = seed.to_le_bytes().into_iter().chain(call.to_le_bytes()).chain(number.bytes());
    let mixed = bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    let mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    mixed ^ (mixed >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callee_does_one_thing_after_the_other_and_stays_with_the_last() {
        let text = "[[callee]]\nnumber = '1555'\ndoes = ['busy', 'person']\nkeys = '12'";
        let mut habits = Habits::parse(text, None).unwrap();
        let kinds = [(); 3].map(|()| habits.next("1555").kind.name());
        assert_eq!(kinds, ["busy", "person", "person"]);
        assert_eq!(habits.next("1555").keys, "12");
    }

    #[test]
    fn mix_follows_the_seed_and_only_the_seed() {
        let text = "[[mix]]\ndoes = ['person']\nweight = 2\n[[mix]]\ndoes = ['machine']";
        let kinds = |seed| {
            let mut habits = Habits::parse(text, Some(seed)).unwrap();
            (0..100).map(|n| habits.next(&format!("1555{n}")).kind.name()).collect::<Vec<_>>()
        };
        assert_eq!(kinds(1), kinds(1));
        assert_ne!(kinds(1), kinds(2));
        let persons = kinds(3).iter().filter(|kind| **kind == "person").count();
        assert!((45..90).contains(&persons), "{persons}");
    }

    #[test]
    fn number_that_nobody_has_is_wrong() {
        let mut habits = Habits::parse("[[callee]]\nnumber='155*'\ndoes=['fax']", None).unwrap();
        assert_eq!(habits.next("15577").kind, Kind::Fax);
        assert_eq!(habits.next("19999").kind, Kind::Wrong);
    }

    #[test]
    fn callee_that_plays_names_its_file() {
        let text = "[[callee]]\nnumber = '1555'\ndoes = ['plays']";
        assert!(Habits::parse(text, None).is_err());
        let text = format!("{text}\nplays = 'hello.wav'");
        let habit = Habits::parse(&text, None).unwrap().next("1555");
        assert_eq!((habit.kind, habit.plays), (Kind::Plays, Some("hello.wav".into())));
        assert!(Habits::parse("[[mix]]\ndoes = ['plays']", None).is_err());
    }

    #[test]
    fn mistake_in_the_file_is_told_with_its_place() {
        let error = Habits::parse("[[callee]]\nnumber = '1'\ndoes = ['dances']", None).unwrap_err();
        assert!(format!("{error:#}").contains("dances"), "{error:#}");
    }
}
