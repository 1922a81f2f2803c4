//! Listening to words: what may be said, and what was.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use super::play::{PlayList, escaped};
use super::runner::Runner;
use crate::srgs::{self, Given, Library, Linked};
use crate::step::{Heard, Listen, ListenId, Step, VoiceGrammar};

/// Readings of what was said that are asked for.
const HYPOTHESES_MAX: u32 = 3;
/// The language of phrases where the page names none.
const LANGUAGE: &str = "en-US";

/// What may be said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SpeechRule {
    /// Without any, words cannot be made out here.
    pub(super) phrases: Vec<String>,
    pub(super) language: Option<String>,
    /// Silence after which it has been said.
    pub(super) pause: Duration,
    /// How long nothing may come.
    pub(super) total: Option<Duration>,
}

impl Runner {
    /// Listens to these phrases from now on; or why that cannot be.
    pub(super) fn listen(
        &mut self,
        phrases: &[String],
        language: Option<&str>,
        pause: Option<Duration>,
    ) -> Result<ListenId, String> {
        let grammar = self.grammar(phrases, language)?;
        self.ids.listen += 1;
        let listen = ListenId(self.ids.listen);
        self.ear = Some(listen);
        self.steps.push_back(Step::Listen(Listen {
            goes_on: false,
            listen,
            grammars: vec![grammar],
            language: language.map(str::to_owned),
            hypotheses_max: HYPOTHESES_MAX,
            complete: pause,
            incomplete: pause,
            speech_max: None,
            sensitivity: 0.5,
            speed_over_accuracy: 0.5,
            recording: None,
        }));
        Ok(listen)
    }

    /// Listens while something is played that words may stop.
    pub(super) fn listen_for_barge_in(&mut self, list: &PlayList) {
        if !list.barge_in_on_speech || list.phrases.is_empty() {
            return;
        }
        if let Err(why) = self.listen(&list.phrases, list.language.as_deref(), None) {
            self.tell("play", &why);
        }
    }

    /// Listens no more, if at all.
    pub(super) fn stop_listening(&mut self) {
        if self.ear.take().is_some() {
            self.steps.push_back(Step::StopListen);
        }
    }

    fn grammar(&self, phrases: &[String], language: Option<&str>) -> Result<VoiceGrammar, String> {
        let mut text = format!(
            "<grammar xmlns=\"http://www.w3.org/2001/06/grammar\" version=\"1.0\" mode=\"voice\" \
             xml:lang=\"{}\" root=\"any\"><rule id=\"any\" scope=\"public\"><one-of>",
            escaped(language.unwrap_or(LANGUAGE)),
        );
        for phrase in phrases {
            let words = phrase.split(|sign: char| !sign.is_alphanumeric() && sign != '\'');
            let words: Vec<String> = words.filter(|word| !word.is_empty()).map(escaped).collect();
            if !words.is_empty() {
                write!(text, "<item>{}</item>", words.join(" ")).expect("a String takes any text");
            }
        }
        text.push_str("</one-of></rule></grammar>");
        let given = Given {
            url: None,
            media_type: "application/srgs+xml",
            embedded: false,
            bytes_max: text.len(),
        };
        let first = |mistakes: Vec<crate::vxml::Mistake>| {
            let why = mistakes.first().map_or("they are too many", |it| it.message.as_str());
            format!("these phrases cannot be listened to: {why}")
        };
        let draft = Arc::new(srgs::read(&text, &given).map_err(first)?);
        let states_max = self.limits.grammar_states_max;
        match srgs::link(&draft, None, &Library::default(), states_max).map_err(first)? {
            Linked::Ready(grammar) => Ok(VoiceGrammar(Arc::from(grammar))),
            Linked::Needs(_) => Err("phrases refer to nothing".to_owned()),
        }
    }
}

/// Whether these words are that phrase, whatever case and signs they are written with.
pub(super) fn same_words(words: &str, phrase: &str) -> bool {
    let plain = |text: &str| {
        let words = text.split(|sign: char| !sign.is_alphanumeric() && sign != '\'');
        let words: Vec<String> =
            words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
        words
    };
    plain(words) == plain(phrase)
}

/// The words of the best reading.
pub(super) fn best(heard: &Heard) -> Option<&str> {
    heard.hypotheses.first().map(|hypothesis| hypothesis.words.as_str())
}
