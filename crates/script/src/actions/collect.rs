//! Asks the callee for something, again where it must be: what get_number, get_input, run_menu and
//! run_speech_menu have in common.

use std::time::Duration;

use domain::time::Timestamp;
use zeroize::Zeroizing;

use super::json::{Json, Object};
use super::play::{PlayList, Player, WebPage};
use super::runner::{Phase, Runner};
use super::speech::{SpeechRule, best, same_words};
use crate::step::{Heard, ListenError, PlayError, Step, Timer};

/// What is asked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Question {
    /// The action.
    pub(super) name: &'static str,
    pub(super) prompt: Option<PlayList>,
    /// Which keys are taken; `None`: none.
    pub(super) digits: Option<DigitRule>,
    /// Which words are taken; `None`: none.
    pub(super) speech: Option<SpeechRule>,
    /// What is said when nothing came, one after the other; after the last it is over.
    pub(super) on_timeout: Vec<PlayList>,
    /// The same when something else came.
    pub(super) on_invalid: Vec<PlayList>,
    pub(super) goal: Goal,
}

/// Which keys are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DigitRule {
    /// So many; 0 for any number.
    pub(super) count: usize,
    /// This key ends it.
    pub(super) end: Option<char>,
    pub(super) valid: String,
    /// This key repeats the prompt.
    pub(super) help: Option<char>,
    /// Longest wait for the first key.
    pub(super) initial: Option<Duration>,
    /// Longest wait for another key.
    pub(super) inter: Option<Duration>,
    /// Longest wait for all of them; none at all: only what was keyed before counts.
    pub(super) total: Option<Duration>,
}

/// What an answer leads to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Goal {
    Input(Option<WebPage>),
    Menu(Vec<Choice>),
    Number(Option<WebPage>),
    SpeechMenu { choices: Vec<Choice>, help_word: String },
}

/// One choice of a menu.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) digit: Option<char>,
    pub(super) phrase: Option<String>,
    pub(super) next_page: Option<WebPage>,
}

/// A question under way.
#[derive(Debug)]
pub(super) struct Asking {
    question: Question,
    stage: Stage,
    keyed: Zeroizing<String>,
    timeouts: usize,
    invalids: usize,
    /// Speech cannot be recognized; keys can be pressed.
    deaf: bool,
    /// When no more keys are waited for.
    total_at: Option<Timestamp>,
    pub(super) deadline: Option<(Timestamp, Timer)>,
}

#[derive(Debug)]
enum Stage {
    Playing(Player, Then),
    Waiting,
}

/// What follows what is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// It was the prompt.
    Wait,
    /// It was a message, and not the last one.
    Prompt,
    /// It was the last message.
    GiveUp,
}

/// What was wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    /// It was something else.
    Invalid,
    /// It did not come.
    Timeout,
}

impl Asking {
    pub(super) fn player(&self) -> Option<&Player> {
        match &self.stage {
            Stage::Playing(player, _) => Some(player),
            Stage::Waiting => None,
        }
    }
}

impl Runner {
    pub(super) fn begin_asking(&mut self, question: Question) {
        let asking = Asking {
            question,
            stage: Stage::Waiting,
            keyed: Zeroizing::new(String::new()),
            timeouts: 0,
            invalids: 0,
            deaf: false,
            total_at: None,
            deadline: None,
        };
        self.prompt(Box::new(asking));
    }

    /// Asks, from the prompt on; keys that came before are an answer already.
    fn prompt(&mut self, mut asking: Box<Asking>) {
        asking.keyed = Zeroizing::new(String::new());
        let prompt = asking.question.prompt.clone();
        let list = prompt.filter(|list| self.ahead.is_empty() || !list.barge_in_on_digit);
        let Some(list) = list else {
            self.wait(asking);
            return;
        };
        if list.barge_in_on_speech {
            self.listen_to(&mut asking);
        }
        self.play_in(asking, &list, Then::Wait);
    }

    fn play_in(&mut self, mut asking: Box<Asking>, list: &PlayList, then: Then) {
        match self.player(list) {
            Ok(mut player) => {
                if self.play_on(&mut player) {
                    asking.stage = Stage::Playing(player, then);
                    asking.deadline = None;
                    self.phase = Phase::Asking(asking);
                } else {
                    self.played(asking, then);
                }
            }
            Err(why) => self.fail(&why),
        }
    }

    /// A part of what is played is over.
    pub(super) fn ask_part_ended(&mut self) {
        self.usage.noticed();
        let Phase::Asking(mut asking) = std::mem::take(&mut self.phase) else {
            return;
        };
        let Stage::Playing(mut player, then) = std::mem::replace(&mut asking.stage, Stage::Waiting)
        else {
            self.phase = Phase::Asking(asking);
            return;
        };
        if self.play_on(&mut player) {
            asking.stage = Stage::Playing(player, then);
            self.phase = Phase::Asking(asking);
        } else {
            self.played(asking, then);
        }
    }

    pub(super) fn ask_play_failed(&mut self, error: &PlayError) {
        self.stop_listening();
        self.phase = Phase::Busy;
        self.fail(&error.to_string());
    }

    fn played(&mut self, asking: Box<Asking>, then: Then) {
        match then {
            Then::GiveUp => self.give_up(&asking),
            Then::Prompt => self.prompt(asking),
            Then::Wait => self.wait(asking),
        }
    }

    /// Waits for an answer.
    fn wait(&mut self, mut asking: Box<Asking>) {
        asking.stage = Stage::Waiting;
        self.listen_to(&mut asking);
        let digits = asking.question.digits.as_ref();
        let initial = match digits {
            Some(digits) => digits.initial,
            None => asking.question.speech.as_ref().and_then(|speech| speech.total),
        };
        let total = digits.and_then(|digits| digits.total);
        asking.total_at = total.map(|total| self.now + total);
        set_deadline(&mut asking, initial.map(|time| self.now + time), Timer::NoInput);
        let at_once = total.is_some_and(|total| total.is_zero());
        self.phase = Phase::Asking(asking);
        let mut keys = std::mem::take(&mut *self.ahead).into_bytes().into_iter();
        // The bytes are keys, one each.
        while matches!(self.phase, Phase::Asking(_)) {
            let Some(key) = keys.next() else { break };
            self.ask_key(char::from(key));
        }
        let left: String = keys.map(char::from).collect();
        self.ahead = Zeroizing::new(left);
        if at_once
            && let Phase::Asking(asking) = &self.phase
            && matches!(asking.stage, Stage::Waiting)
        {
            self.asked_in_vain(Wrong::Timeout);
        }
    }

    /// Listens to words, where words are an answer.
    fn listen_to(&mut self, asking: &mut Asking) {
        let Some(speech) = asking.question.speech.as_ref().filter(|_| !asking.deaf) else {
            return;
        };
        if self.ear.is_some() {
            return;
        }
        if speech.phrases.is_empty() {
            asking.deaf = true;
            let text = "words are recognized only where their phrases are named";
            self.steps.push_back(Step::Log {
                label: asking.question.name.to_owned(),
                text: text.to_owned(),
            });
            return;
        }
        let speech = speech.clone();
        if let Err(why) =
            self.listen(&speech.phrases, speech.language.as_deref(), Some(speech.pause))
        {
            asking.deaf = true;
            self.tell(asking.question.name, &why);
        }
    }

    /// A key while a question is under way.
    pub(super) fn ask_key(&mut self, key: char) {
        let Phase::Asking(mut asking) = std::mem::take(&mut self.phase) else {
            return;
        };
        let Some(digits) = asking.question.digits.clone() else {
            self.phase = Phase::Asking(asking);
            return;
        };
        if let Stage::Playing(player, then) = &asking.stage {
            if !player.barge_in_on_digit || *then == Then::GiveUp {
                self.phase = Phase::Asking(asking);
                return;
            }
            self.steps.push_back(Step::StopPlay);
            // The key is the first of the answer, whatever was said.
            asking.stage = Stage::Waiting;
            asking.total_at = digits.total.map(|total| self.now + total);
        }
        self.usage.noticed();
        if digits.help == Some(key) {
            self.stop_listening();
            self.prompt(asking);
        } else if digits.end == Some(key) {
            self.keyed(asking);
        } else if digits.valid.contains(key) {
            asking.keyed.push(key);
            if digits.count > 0 && asking.keyed.len() >= digits.count
                || asking.keyed.len() >= KEYED_MAX
            {
                self.keyed(asking);
            } else {
                let at = digits.inter.map(|inter| self.now + inter);
                set_deadline(&mut asking, at, Timer::InterDigit);
                self.phase = Phase::Asking(asking);
            }
        } else {
            self.phase = Phase::Asking(asking);
            self.asked_in_vain(Wrong::Invalid);
        }
    }

    /// No more keys came in time.
    pub(super) fn ask_expired(&mut self) {
        let Phase::Asking(asking) = &self.phase else {
            return;
        };
        // What ends by itself ends with what there is.
        let whole = asking.question.digits.as_ref().is_some_and(|digits| digits.count == 0)
            && asking.question.on_timeout.is_empty()
            && !asking.keyed.is_empty();
        if whole && let Phase::Asking(asking) = std::mem::take(&mut self.phase) {
            self.keyed(asking);
        } else {
            self.asked_in_vain(Wrong::Timeout);
        }
    }

    /// Words, or a noise.
    pub(super) fn ask_heard(&mut self, heard: &Heard) {
        self.usage.noticed();
        self.ear = None;
        let Phase::Asking(mut asking) = std::mem::take(&mut self.phase) else {
            return;
        };
        if matches!(asking.stage, Stage::Playing(..)) {
            self.steps.push_back(Step::StopPlay);
            asking.stage = Stage::Waiting;
        }
        let said = match &asking.question.goal {
            Goal::Input(page) => match best(heard) {
                Some(_) => Said::Answer(page.clone(), input_result("", Some(heard))),
                None => Said::Nothing,
            },
            Goal::SpeechMenu { choices, help_word } => said_of_menu(heard, choices, help_word),
            Goal::Menu(_) | Goal::Number(_) => Said::Nothing,
        };
        match said {
            Said::Answer(page, result) => self.answered(&asking, page.as_ref(), result),
            Said::Help => self.prompt(asking),
            Said::Nothing => {
                self.phase = Phase::Asking(asking);
                self.asked_in_vain(Wrong::Invalid);
            }
        }
    }

    /// Speech cannot be recognized: keys will do, where keys are an answer.
    pub(super) fn ask_deaf(&mut self, error: &ListenError) {
        self.ear = None;
        let Phase::Asking(asking) = &mut self.phase else {
            return;
        };
        asking.deaf = true;
        let (name, keys) = (asking.question.name, asking.question.digits.is_some());
        if keys {
            self.tell(name, &error.to_string());
        } else {
            self.steps.push_back(Step::StopPlay);
            self.phase = Phase::Busy;
            self.fail(&error.to_string());
        }
    }

    /// Enough keys came, or their end.
    fn keyed(&mut self, asking: Box<Asking>) {
        let keyed = asking.keyed.clone();
        match &asking.question.goal {
            Goal::Input(page) => {
                let page = page.clone();
                self.answered(&asking, page.as_ref(), input_result(&keyed, None));
            }
            Goal::Number(page) => {
                let page = page.clone();
                self.answered(&asking, page.as_ref(), vec![("entered_number", Json::text(&keyed))]);
            }
            Goal::Menu(choices) | Goal::SpeechMenu { choices, .. } => {
                let choice =
                    choices.iter().find(|choice| choice.digit == keyed.chars().next()).cloned();
                let name = match asking.question.goal {
                    Goal::SpeechMenu { .. } => "selection",
                    _ => "selected_digit",
                };
                let page = choice.and_then(|choice| choice.next_page);
                self.answered(&asking, page.as_ref(), vec![(name, Json::text(&keyed))]);
            }
        }
    }

    fn answered(&mut self, asking: &Asking, page: Option<&WebPage>, result: Object) {
        self.stop_listening();
        self.phase = Phase::Busy;
        let name = asking.question.name;
        match page {
            Some(page) => self.follow(page, name, result),
            None => tracing::trace!(name, "is over without a page"),
        }
    }

    fn asked_in_vain(&mut self, wrong: Wrong) {
        let Phase::Asking(mut asking) = std::mem::take(&mut self.phase) else {
            return;
        };
        self.stop_listening();
        let (messages, nth) = match wrong {
            Wrong::Invalid => (&asking.question.on_invalid, &mut asking.invalids),
            Wrong::Timeout => (&asking.question.on_timeout, &mut asking.timeouts),
        };
        let message = messages.get(*nth).cloned();
        *nth += 1;
        let is_last = *nth >= messages.len();
        match message {
            Some(message) => {
                let then = if is_last { Then::GiveUp } else { Then::Prompt };
                if !is_last {
                    asking.keyed = Zeroizing::new(String::new());
                }
                self.play_in(asking, &message, then);
            }
            None => self.give_up(&asking),
        }
    }

    /// It is over without an answer: menus go on with the next action, others tell what there is.
    fn give_up(&mut self, asking: &Asking) {
        match &asking.question.goal {
            Goal::Input(page) => {
                let page = page.clone();
                self.answered(asking, page.as_ref(), input_result(&asking.keyed, None));
            }
            Goal::Number(page) => {
                let page = page.clone();
                let result = vec![("entered_number", Json::text(&asking.keyed))];
                self.answered(asking, page.as_ref(), result);
            }
            Goal::Menu(_) | Goal::SpeechMenu { .. } => self.answered(asking, None, Vec::new()),
        }
    }
}

/// What words come to.
enum Said {
    Answer(Option<WebPage>, Object),
    Help,
    Nothing,
}

fn said_of_menu(heard: &Heard, choices: &[Choice], help_word: &str) -> Said {
    for hypothesis in &heard.hypotheses {
        let words = hypothesis.words.as_str();
        let says = |choice: &&Choice| {
            choice.phrase.as_deref().is_some_and(|phrase| same_words(words, phrase))
        };
        if let Some(choice) = choices.iter().find(says) {
            let phrase = choice.phrase.as_deref().unwrap_or_default();
            return Said::Answer(choice.next_page.clone(), vec![("selection", Json::text(phrase))]);
        }
        if !help_word.trim().is_empty() && same_words(words, help_word) {
            return Said::Help;
        }
    }
    Said::Nothing
}

fn input_result(keyed: &str, heard: Option<&Heard>) -> Object {
    let heard = heard.map(|heard| {
        let alternative = |hypothesis: &crate::step::Hypothesis| {
            Json::Object(vec![
                ("text", Json::text(&hypothesis.words)),
                ("confidence", Json::Number(hypothesis.confidence)),
            ])
        };
        let alternatives = heard.hypotheses.iter().map(alternative).collect();
        Json::Object(vec![("alternatives", Json::List(alternatives))])
    });
    let kind = match (&heard, keyed.is_empty()) {
        (Some(_), _) => "speech",
        (None, false) => "digits",
        (None, true) => "none",
    };
    let mut result = vec![("input_type", Json::text(kind)), ("digit_input", Json::text(keyed))];
    result.extend(heard.map(|heard| ("speech_input", heard)));
    result
}

fn set_deadline(asking: &mut Asking, at: Option<Timestamp>, timer: Timer) {
    asking.deadline = match (at, asking.total_at) {
        (Some(at), Some(total)) if total < at => Some((total, Timer::NoInput)),
        (Some(at), _) => Some((at, timer)),
        (None, total) => total.map(|total| (total, Timer::NoInput)),
    };
}

/// Most keys of an answer that ends by a key.
const KEYED_MAX: usize = 100;
