//! Which voice speaks a language: the operator's choice first, then what the program lists.

use std::collections::BTreeMap;

/// Voices by language, both as the program names them and in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Voices(BTreeMap<String, Listed>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Listed {
    voice: String,
    /// Low comes first where several voices claim a language.
    priority: u32,
}

/// Longest language tag; `chr-US-Qaaa-x-west` has 18.
const LANGUAGE_BYTES_MAX: usize = 35;
/// More voices than any installation has.
const VOICES_MAX: usize = 2_000;
/// Priority of a voice for its own language: before every voice that also claims it.
const PRIORITY_OWN: u32 = 0;

impl Voices {
    /// Reads what `espeak-ng --voices` prints: a heading, then columns
    /// `priority language age/gender name file (other priority)…`.
    pub(super) fn parse(listing: &str) -> Self {
        let mut voices = Self::default();
        for row in listing.lines().skip(1).take(VOICES_MAX) {
            let mut columns = row.split_whitespace();
            let Some(language) = columns.nth(1).filter(|language| is_language(language)) else {
                continue;
            };
            voices.enter(language, language, PRIORITY_OWN);
            // `(zh-cmn 5)(zh 5)`: other languages that this voice speaks, and how gladly.
            for other in row.split('(').skip(1) {
                let mut words = other.split(')').next().unwrap_or_default().split(' ');
                if let (Some(other), Some(Ok(priority)), None) =
                    (words.next(), words.next().map(str::parse::<u32>), words.next())
                    && is_language(other)
                {
                    voices.enter(other, language, priority.max(PRIORITY_OWN + 1));
                }
            }
        }
        voices
    }

    /// The voice for a language: its own, else that of the language without region.
    pub(super) fn find(&self, language: &str) -> Option<&str> {
        let mut language = language.to_ascii_lowercase();
        loop {
            if let Some(listed) = self.0.get(&language) {
                return Some(&listed.voice);
            }
            language.truncate(language.rfind('-')?);
        }
    }

    /// Whether the program listed no voice at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn enter(&mut self, language: &str, voice: &str, priority: u32) {
        let listed = Listed { voice: voice.to_owned(), priority };
        let known = self.0.entry(language.to_ascii_lowercase()).or_insert_with(|| listed.clone());
        if listed.priority < known.priority {
            *known = listed;
        }
    }
}

/// Whether these are the letters, digits and hyphens of a language tag, and not an option or path.
pub(super) fn is_language(text: &str) -> bool {
    text.len() <= LANGUAGE_BYTES_MAX
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
Pty Language       Age/Gender VoiceName          File                 Other Languages
 5  cmn             --/M      Chinese_(Mandarin,_latin_as_English) sit/cmn  (zh-cmn 5)(zh 5)
 5  de              --/M      German             gmw/de
 5  en-029          --/M      English_(Caribbean) gmw/en-029           (en 10)
 2  en-gb           --/M      English_(Great_Britain) gmw/en               (en 2)
 2  en-us           --/M      English_(America)  gmw/en-US            (en 3)
 5  fr-fr           --/M      French_(France)    roa/fr               (fr 5)
 5  --odd           --/M      Odd                x
";

    fn found(language: &str) -> Option<String> {
        Voices::parse(LISTING).find(language).map(str::to_owned)
    }

    #[test]
    fn language_is_found_whatever_its_case() {
        assert_eq!(found("en-US").as_deref(), Some("en-us"));
        assert_eq!(found("DE").as_deref(), Some("de"));
    }

    #[test]
    fn region_without_voice_is_spoken_by_its_language() {
        assert_eq!(found("de-AT").as_deref(), Some("de"));
        assert_eq!(found("en-ZA").as_deref(), Some("en-gb"));
        assert_eq!(found("zh-Hans-CN").as_deref(), Some("cmn"));
    }

    #[test]
    fn language_named_by_another_voice_is_found() {
        assert_eq!(found("zh").as_deref(), Some("cmn"));
        assert_eq!(found("fr").as_deref(), Some("fr-fr"));
    }

    #[test]
    fn unknown_language_and_voice_that_looks_like_an_option_are_not_found() {
        assert_eq!(found("tlh"), None);
        assert_eq!(found("--odd"), None);
        assert_eq!(found(""), None);
    }

    #[test]
    fn listing_of_nonsense_is_empty() {
        assert!(Voices::parse("").is_empty());
        assert!(Voices::parse("sh: not found\n(a (b\n((((\n) 5)\n 1 ../x (../y 3)").is_empty());
    }

    #[test]
    fn only_letters_digits_and_hyphens_make_a_language() {
        assert!(is_language("chr-US-Qaaa-x-west"));
        for odd in ["", "-v", "en us", "en/../x", "+f3", &"a".repeat(36), "5en", "dé"] {
            assert!(!is_language(odd), "{odd}");
        }
    }
}
