//! Grammars of a phrase: the words of choices and options, and of universal commands
//! (VoiceXML 2.0 §2.2.5, §6.3.6).

use super::{Grammar, Mode};
use crate::srgs::{Cost, Network, Over};

/// Most words of a phrase that may be said in part; the ways to do so grow with their square.
const APPROXIMATE_WORDS_MAX: usize = 50;

impl Grammar {
    /// The grammar of some words as they are said; with `approximate`, leaving words out is
    /// allowed. `None` where there are no words.
    pub(crate) fn phrase(text: &str, approximate: bool) -> Option<Self> {
        let words: Vec<String> = words(text).collect();
        if words.is_empty() {
            return None;
        }
        let mut network = Network::default();
        let rule = network.add_rule("phrase", 0);
        let start = network.start(rule);
        if approximate && words.len() <= APPROXIMATE_WORDS_MAX {
            let end = network.state();
            // Before each word all earlier ones may have been left out, or only some.
            let mut earlier = vec![start];
            for word in &words {
                let before = network.state();
                for from in &earlier {
                    network.join(*from, Over::Nothing, before, Cost::FREE);
                }
                let after = network.token(before, word, None);
                network.join(after, Over::Nothing, end, Cost::FREE);
                earlier.push(after);
            }
            network.finish(rule, end);
        } else {
            let end = words.iter().fold(start, |at, word| network.token(at, word, None));
            network.finish(rule, end);
        }
        network.settle(rule);
        Some(Self::of_network(Mode::Voice, network))
    }
}

/// The words of a text as recognizers give them: in lower case, without punctuation.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let trimmed =
        text.split_whitespace().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    trimmed.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Matcher;
    use super::*;

    fn takes(grammar: &str, approximate: bool, said: &str) -> bool {
        let grammar = Grammar::phrase(grammar, approximate).unwrap();
        let mut matcher = Matcher::new(Arc::new(grammar)).unwrap();
        words(said).all(|word| matcher.feed(&word).is_ok()) && matcher.verdict().complete
    }

    #[test]
    fn a_phrase_is_said_whole_and_in_order() {
        assert!(takes("Stargazer, astrophysics news!", false, "stargazer astrophysics news"));
        assert!(!takes("Stargazer astrophysics news", false, "astrophysics news"));
    }

    #[test]
    fn an_approximate_phrase_may_lack_words_but_keeps_their_order() {
        let said = ["stargazer", "stargazer news", "astrophysics news", "news astrophysics", ""];
        let taken = said.map(|said| takes("Stargazer astrophysics news", true, said));
        assert_eq!(taken, [true, true, true, false, false]);
    }

    #[test]
    fn punctuation_alone_is_no_phrase() {
        assert!(Grammar::phrase(" … - ", true).is_none());
    }
}
