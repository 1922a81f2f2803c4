//! What the program answers: words with their costs, other words they might be, and how sure that
//! makes us.

use script::step::Hypothesis;

/// Words that were found in an utterance, and what they cost there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    /// The words, one blank between them; none where all was silence.
    pub(super) words: String,
    /// Cost of a frame of speech: how far its sound is from the best that any sound would do.
    pub(super) speech: f64,
    /// Cost of a frame of the costliest silence: words of no grammar are taken for silence.
    pub(super) silence: f64,
    /// Cost of the whole utterance.
    pub(super) whole: f64,
    /// Frames of 10 ms that are speech.
    pub(super) speech_frames: f64,
}

/// Silence of fewer frames (of 10 ms) says nothing.
const SILENCE_FRAMES_MIN: f64 = 5.0;

/// Reads the segments that the program found: `stdin S 0 T t A a L l begin score lm word … end`.
pub(super) fn read(output: &str) -> Option<Found> {
    let line = output.lines().rfind(|line| line.starts_with("stdin "))?;
    let fields: Vec<&str> = line.split_whitespace().collect();
    let segments = fields.get(9..)?;
    let mut words = Vec::new();
    let (mut speech, mut silence, mut whole, mut frames) = (0.0, 0.0_f64, 0.0, 0.0);
    for (at, segment) in (0..).step_by(4).zip(segments.chunks(4)) {
        let [begin, score, _, word] = segment else {
            break;
        };
        let end = segments.get(at + 4)?;
        let length = end.parse::<f64>().ok()? - begin.parse::<f64>().ok()?;
        let cost = -score.parse::<f64>().ok()?;
        whole += cost;
        if is_silence(word) {
            if length >= SILENCE_FRAMES_MIN {
                silence = silence.max(cost / length);
            }
        } else {
            words.push(plain(word));
            speech += cost;
            frames += length;
        }
    }
    let nothing = segments.len() < 5 || !whole.is_finite();
    if nothing {
        return None;
    }
    let speech = speech / f64::max(frames, 1.0);
    Some(Found { words: words.join(" "), speech, silence, whole, speech_frames: frames })
}

/// The words that the program found, as it writes them: `good morning (stdin -4631)`; none where it
/// says nothing.
pub(super) fn said(output: &str) -> &str {
    let last = output.lines().rev().find_map(|line| line.rsplit_once("(stdin "));
    last.map_or("", |(words, _)| words)
}

/// Reads what else it might have been: words and their score in each row, best first.
pub(super) fn read_others(text: &str) -> Vec<(String, f64)> {
    let mut others: Vec<(String, f64)> = Vec::new();
    for line in text.lines().take(ROWS_MAX) {
        let Some((words, score)) = line.trim().rsplit_once(' ') else {
            continue;
        };
        let spoken = words.split_whitespace().filter(|word| !is_silence(word)).map(plain);
        let words = spoken.collect::<Vec<_>>().join(" ");
        let Ok(score) = score.parse::<f64>() else {
            continue;
        };
        // The same words come again with other pronunciations and silences.
        if !words.is_empty() && score.is_finite() && others.iter().all(|(own, _)| *own != words) {
            others.push((words, score));
        }
    }
    others
}

/// Rows of other readings that are looked at.
const ROWS_MAX: usize = 100;

fn is_silence(word: &str) -> bool {
    matches!(word, "<sil>" | "(NULL)" | "(null)" | "<s>" | "</s>") || word.starts_with("++")
}

/// A word without the number of its pronunciation.
fn plain(word: &str) -> &str {
    word.split('(').next().unwrap_or_default()
}

/// What was said, best reading first, and how sure that is.
///
/// `sounds` is the same utterance heard as mere sounds of speech, of no grammar: words that are no
/// better than those are not what was said. `others` are further readings by the same grammar.
pub(super) fn hypotheses(
    found: &Found,
    sounds: Option<&Found>,
    others: &[(String, f64)],
) -> Vec<Hypothesis> {
    if found.words.is_empty() {
        return Vec::new();
    }
    let worse = sounds.map_or(WORSE_DEFAULT, |sounds| {
        (found.whole - sounds.whole) / sounds.speech_frames.max(1.0)
    });
    let costs = found.speech * SPEECH_WEIGHT + found.silence * SILENCE_WEIGHT;
    let sure = 1.0 / (1.0 + (costs + worse * WORSE_WEIGHT - SURE).exp());
    let best = others.iter().find(|(words, _)| *words == found.words);
    let Some((_, best)) = best else {
        return vec![hypothesis(&found.words, sure)];
    };
    let share = |score: f64| ((score - best) * SCORE_WEIGHT).min(0.0).exp();
    let rivals = others.iter().filter(|(words, _)| *words != found.words);
    let rivals: Vec<(&str, f64)> =
        rivals.map(|(words, score)| (words.as_str(), share(*score))).collect();
    let all: f64 = 1.0 + rivals.iter().map(|(_, share)| share).sum::<f64>();
    let mut told = vec![hypothesis(&found.words, sure / all)];
    told.extend(rivals.into_iter().map(|(words, share)| hypothesis(words, sure * share / all)));
    told.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
    told
}

/// The readings by several grammars as one list, best first. Where the best by one grammar and
/// that by another are different words and nearly as sure, neither is.
pub(super) fn among(by_grammar: Vec<Vec<Hypothesis>>) -> Vec<Hypothesis> {
    let mut firsts: Vec<(String, f64)> = Vec::new();
    for first in by_grammar.iter().filter_map(|told| told.first()) {
        match firsts.iter_mut().find(|(words, _)| *words == first.words) {
            Some((_, sure)) => *sure = sure.max(first.confidence),
            None => firsts.push((first.words.clone(), first.confidence)),
        }
    }
    let odds = |confidence: f64| confidence * confidence;
    let mut all: Vec<Hypothesis> = Vec::new();
    for mut told in by_grammar {
        let Some((own, sure)) = told.first().map(|first| (first.words.clone(), first.confidence))
        else {
            continue;
        };
        let rivals = firsts.iter().filter(|(words, _)| *words != own);
        let rivals: f64 = rivals.map(|(_, sure)| odds(*sure)).sum();
        let share = odds(sure) / (odds(sure) + rivals);
        told.iter_mut().for_each(|one| one.confidence *= share);
        all.append(&mut told);
    }
    all.sort_by(|one, other| other.confidence.total_cmp(&one.confidence));
    let mut told: Vec<Hypothesis> = Vec::new();
    for one in all {
        if told.iter().all(|known| known.words != one.words) {
            told.push(one);
        }
    }
    told
}

fn hypothesis(words: &str, confidence: f64) -> Hypothesis {
    Hypothesis { words: words.to_owned(), confidence: confidence.clamp(0.01, 0.99) }
}

/// How much each cost of a frame takes from confidence, and what there is to take from: fitted to
/// recordings of telephone speech (docs/grammars.md), so that half of it is worth believing.
const SPEECH_WEIGHT: f64 = 0.026;
const SILENCE_WEIGHT: f64 = 0.048;
const WORSE_WEIGHT: f64 = 0.115;
const SURE: f64 = 4.3;
/// How much worse words are taken to be than mere sounds where those are not known.
const WORSE_DEFAULT: f64 = 10.0;
/// How fast another reading becomes unlikely with its distance: the program's own scores are far
/// too sure of the first.
const SCORE_WEIGHT: f64 = 0.005;

#[cfg(test)]
mod tests {
    use super::*;

    const YES: &str = "stdin S 0 T -2342 A -1331 L -1011 0 -141 -337 <sil> 28 -732 0 yes 64 -315 \
                       -337 <sil> 121\n";

    #[test]
    fn segments_are_read_as_words_with_their_costs() {
        let yes = read(YES).unwrap();
        assert_eq!((yes.words.as_str(), yes.speech_frames, yes.whole), ("yes", 36.0, 1_188.0));
        assert!((yes.speech - 732.0 / 36.0).abs() < 1e-9);
        assert!((yes.silence - 315.0 / 57.0).abs() < 1e-9);
        let more = "x\nstdin S 0 T -1 A -1 L -1 0 -231 -337 <sil> 30 -1510 0 one(2) 60 0 0 (NULL) \
                    61 -1634 0 two 88 -451 -337 <sil> 175\n";
        assert_eq!(read(more).unwrap().words, "one two");
    }

    #[test]
    fn odd_output_is_no_word() {
        for output in ["", "stdin", "stdin S 0 T 0 A 0 L 0 0 x y", "\u{0}"] {
            assert_eq!(read(output), None, "{output:?}");
        }
        let cut = "stdin S 0 T -1 A -1 L -1 0 -231 -337 yes";
        assert_eq!(read(cut), None);
        let silence = read("stdin S 0 T 0 A 0 L 0 0 -20 -1 <sil> 40").unwrap();
        assert_eq!(hypotheses(&silence, None, &[]), []);
        assert_eq!(read_others("\nzero\nzero x\n<sil> -3\n"), []);
    }

    fn sure(found: &Found, sounds: Option<&Found>, others: &str) -> Vec<(String, bool)> {
        let told = hypotheses(found, sounds, &read_others(others));
        told.into_iter().map(|one| (one.words, one.confidence >= 0.5)).collect()
    }

    #[test]
    fn words_are_believed_where_no_sounds_fit_much_better() {
        let yes = read(YES).unwrap();
        let alike = Found { whole: 1_150.0, speech_frames: 40.0, ..yes.clone() };
        assert_eq!(sure(&yes, Some(&alike), ""), [("yes".to_owned(), true)]);
        let better = Found { whole: 100.0, speech_frames: 20.0, ..alike };
        assert_eq!(sure(&yes, Some(&better), ""), [("yes".to_owned(), false)]);
        let between_noises = Found { silence: 95.0, ..yes.clone() };
        assert_eq!(sure(&between_noises, Some(&yes), ""), [("yes".to_owned(), false)]);
    }

    #[test]
    fn two_readings_that_are_nearly_alike_are_both_not_believed() {
        let yes = read(YES).unwrap();
        let close = "(null) -771\nyes -2342\nyes(2) -2350\n<sil> guess -2352\nno -4000\n";
        let told = [("yes", false), ("guess", false), ("no", false)];
        let told = told.map(|(words, sure)| (words.to_owned(), sure));
        assert_eq!(sure(&yes, Some(&yes), close), told);
        let far = sure(&yes, Some(&yes), "yes -2342\nguess -3400\n");
        assert_eq!((far[0].clone(), far.len()), (("yes".to_owned(), true), 2));
    }

    #[test]
    fn words_of_two_grammars_that_are_as_sure_are_both_not_believed() {
        let one = |words: &str, sure| vec![hypothesis(words, sure)];
        let told = |by_grammar| {
            let told = among(by_grammar).into_iter();
            told.map(|one| format!("{} {:.2}", one.words, one.confidence)).collect::<Vec<_>>()
        };
        assert_eq!(told(vec![one("yes", 0.8), one("guess", 0.78)]), ["yes 0.41", "guess 0.38"]);
        assert_eq!(told(vec![one("no", 0.1), one("yes", 0.8)]), ["yes 0.79", "no 0.00"]);
        assert_eq!(told(vec![one("yes", 0.8), Vec::new(), one("yes", 0.7)]), ["yes 0.80"]);
        assert_eq!(told(Vec::new()), Vec::<String>::new());
    }
}
