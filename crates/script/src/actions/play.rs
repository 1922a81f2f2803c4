//! `play`: texts, files and keys, one after the other; and pages that are asked for.

use std::collections::VecDeque;
use std::time::Duration;

use url::Url;
use zeroize::Zeroizing;

use super::reader::Members;
use super::runner::{Phase, Runner};
use crate::step::{PlayError, PlayId, Prompt, Step};

/// Longest keys of one item.
const KEYS_MAX: usize = 100;

/// Where a page is and how it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebPage {
    /// Relative to the page that names it, or absolute.
    pub url: String,
    /// How it is asked for.
    pub method: PageMethod,
}

/// How a page is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PageMethod {
    /// What is told stands in the query, as `instance_info`.
    Get,
    /// What is told is the body.
    #[default]
    Post,
}

/// What is played, and what stops it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlayList {
    pub(super) items: Vec<Media>,
    pub(super) barge_in_on_digit: bool,
    pub(super) barge_in_on_speech: bool,
    /// What may be said to stop it.
    pub(super) phrases: Vec<String>,
    pub(super) language: Option<String>,
}

/// One thing to play.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Media {
    /// A recording that this call made, or a file beside the page.
    File(String),
    Keys(String),
    /// What a web server has.
    Page(WebPage),
    Text {
        text: String,
        voice: Option<String>,
    },
}

/// A list that is being played.
#[derive(Debug)]
pub(super) struct Player {
    parts: VecDeque<Part>,
    now: Option<Playing>,
    pub(super) barge_in_on_digit: bool,
    pub(super) barge_in_on_speech: bool,
}

#[derive(Debug)]
enum Part {
    Keys(String),
    Prompts(Vec<Prompt>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Playing {
    Keys,
    Prompts(PlayId),
}

impl WebPage {
    /// Reads `url` and `method`.
    pub(super) fn read(members: &mut Members<'_>) -> Option<Self> {
        let url = members.needed_text("url", "an address, relative or absolute");
        let method = match members.word("method", &["POST", "GET"]) {
            "GET" => PageMethod::Get,
            _ => PageMethod::Post,
        };
        (!url.is_empty()).then_some(Self { url, method })
    }
}

impl PlayList {
    pub(super) fn text(text: &str) -> Self {
        let item = Media::Text { text: text.to_owned(), voice: None };
        Self {
            items: vec![item],
            barge_in_on_digit: true,
            barge_in_on_speech: false,
            phrases: Vec::new(),
            language: None,
        }
    }

    /// Reads the members of a play.
    pub(super) fn read(members: &mut Members<'_>) -> Self {
        let mut items = Vec::new();
        let sample = "a list such as [{\"text_to_say\": \"Hello.\"}]";
        let given = members.each("play_list", sample, |item| items.extend(Media::read(item)));
        if given.is_none() && members.map.get("play_list").is_none_or(serde_json::Value::is_null) {
            members.refuse_as("play_list", "nothing", sample);
        }
        // The older name of the first release.
        let older = members.flag("barge_in", true);
        let barge_in_on_digit = members.flag("barge_in_on_digit", older);
        let barge_in_on_speech = members.flag("barge_in_on_speech", false);
        let (mut phrases, mut language) = (Vec::new(), None);
        if let Some(mut options) = members.object("barge_in_on_speech_options", "an object") {
            language = options.text("language");
            phrases = options.texts("phrases", "a list of texts").unwrap_or_default();
            options.finish();
        }
        Self { items, barge_in_on_digit, barge_in_on_speech, phrases, language }
    }
}

impl Media {
    fn read(members: &mut Members<'_>) -> Option<Self> {
        members.refuse_if_given("decryption_cipher", "files are not decrypted here");
        members.flag("text_is_private", false);
        let voice = members.text("tts_voice").filter(|voice| !voice.trim().is_empty());
        let text = members.text("text_to_say").map(|text| Self::Text { text, voice });
        let file = Self::file(members);
        let keys = members.text("digits_to_play").and_then(|keys| Self::keys(members, &keys));
        let mut given = [text, file, keys].into_iter().flatten();
        let first = given.next();
        let names = ["text_to_say", "file_to_play", "digits_to_play"];
        let named = names.iter().filter(|name| members.map.contains_key(**name)).count();
        if named != 1 {
            let found = if named == 0 { "none of them" } else { "several of them" };
            let expected = "one of text_to_say, file_to_play, digits_to_play";
            let way = members.way.clone();
            members.found.refuse(&way, found, expected);
        }
        first
    }

    fn file(members: &mut Members<'_>) -> Option<Self> {
        if members.map.get("file_to_play").is_some_and(serde_json::Value::is_object) {
            let page = members.page("file_to_play")?;
            return Some(Self::Page(page));
        }
        let name = members.text("file_to_play")?;
        if name.trim().is_empty() {
            members.refuse_as("file_to_play", "an empty text", "the name of a file");
            return None;
        }
        Some(Self::File(name))
    }

    fn keys(members: &mut Members<'_>, keys: &str) -> Option<Self> {
        let fits = !keys.is_empty() && keys.len() <= KEYS_MAX;
        if fits && keys.chars().all(|key| super::reader::is_key(key) || key == ',') {
            return Some(Self::Keys(keys.to_ascii_uppercase()));
        }
        let expected = format!("1 to {KEYS_MAX} of the keys 0-9 A-D * # and the pause ,");
        members.refuse_as("digits_to_play", "something else", &expected);
        None
    }
}

impl Player {
    /// Whether this playing is under way in it.
    pub(super) fn plays(&self, play: PlayId) -> bool {
        self.now == Some(Playing::Prompts(play))
    }

    pub(super) fn sends_keys(&self) -> bool {
        self.now == Some(Playing::Keys)
    }
}

impl Runner {
    /// `play`.
    pub(super) fn begin_play(&mut self, list: &PlayList) {
        if list.barge_in_on_digit && !self.ahead.is_empty() {
            // A key that came while the page was on its way stops it like one that comes now.
            return;
        }
        self.ahead = Zeroizing::new(String::new());
        match self.player(list) {
            Ok(mut player) => {
                if self.play_on(&mut player) {
                    self.phase = Phase::Playing(player);
                    self.listen_for_barge_in(list);
                }
            }
            Err(why) => self.fail(&why),
        }
    }

    /// A list ready to be played; or why that cannot be.
    pub(super) fn player(&self, list: &PlayList) -> Result<Player, String> {
        let mut parts = VecDeque::new();
        for item in &list.items {
            let prompt = match item {
                Media::Keys(keys) => {
                    parts.push_back(Part::Keys(keys.clone()));
                    continue;
                }
                Media::File(name) => match self.kept.iter().find(|kept| kept.0 == *name) {
                    Some((_, recording)) => {
                        Prompt::Recording { recording: *recording, fallback: Vec::new() }
                    }
                    None => audio(self.address(name)?),
                },
                Media::Page(page) => audio(self.address(&page.url)?),
                Media::Text { text, voice } => self.speech(text, voice.as_deref()),
            };
            match parts.back_mut() {
                Some(Part::Prompts(prompts)) => prompts.push(prompt),
                Some(Part::Keys(_)) | None => parts.push_back(Part::Prompts(vec![prompt])),
            }
        }
        let (barge_in_on_digit, barge_in_on_speech) =
            (list.barge_in_on_digit, list.barge_in_on_speech);
        Ok(Player { parts, now: None, barge_in_on_digit, barge_in_on_speech })
    }

    fn speech(&self, text: &str, voice: Option<&str>) -> Prompt {
        match voice.or(self.instance.voice.as_deref()) {
            None => Prompt::Speech { text: text.to_owned(), language: None },
            Some(voice) if is_language(voice) => {
                Prompt::Speech { text: text.to_owned(), language: Some(voice.to_owned()) }
            }
            Some(voice) => Prompt::Markup {
                ssml: format!("<voice name=\"{}\">{}</voice>", escaped(voice), escaped(text)),
                text: text.to_owned(),
                language: None,
            },
        }
    }

    /// Plays the next part; `false` where there is none left.
    pub(super) fn play_on(&mut self, player: &mut Player) -> bool {
        let Some(part) = player.parts.pop_front() else {
            player.now = None;
            return false;
        };
        player.now = Some(match part {
            Part::Keys(keys) => {
                self.steps.push_back(Step::SendKeys { keys });
                Playing::Keys
            }
            Part::Prompts(prompts) => {
                self.ids.play += 1;
                let play = PlayId(self.ids.play);
                self.steps.push_back(Step::Play { play, prompts });
                Playing::Prompts(play)
            }
        });
        true
    }

    /// A part of a play is over.
    pub(super) fn play_part_ended(&mut self) {
        self.usage.noticed();
        let Phase::Playing(mut player) = std::mem::take(&mut self.phase) else {
            return;
        };
        if self.play_on(&mut player) {
            self.phase = Phase::Playing(player);
        } else {
            self.stop_listening();
        }
    }

    /// What is played cannot be had.
    pub(super) fn play_failed(&mut self, error: &PlayError) {
        self.phase = Phase::Busy;
        self.stop_listening();
        self.fail(&error.to_string());
    }

    /// A key while something is played.
    pub(super) fn play_key(&mut self, key: char) {
        let Phase::Playing(player) = &self.phase else {
            return;
        };
        if player.barge_in_on_digit {
            self.usage.noticed();
            self.type_ahead(key);
            self.stop_play();
        }
    }

    /// The callee said something while something was played.
    pub(super) fn play_speech(&mut self) {
        if matches!(&self.phase, Phase::Playing(player) if player.barge_in_on_speech) {
            self.usage.noticed();
            self.stop_play();
        }
    }

    fn stop_play(&mut self) {
        self.steps.push_back(Step::StopPlay);
        self.stop_listening();
        self.phase = Phase::Busy;
    }
}

fn audio(url: Url) -> Prompt {
    Prompt::Audio {
        url,
        timeout: Some(AUDIO_TIME_MAX),
        maxage_s: None,
        maxstale_s: None,
        fallback: Vec::new(),
    }
}

/// Whether a voice is named by its language, as `en-GB`.
fn is_language(voice: &str) -> bool {
    let mut parts = voice.split('-');
    let first = parts.next().unwrap_or_default();
    (2..=3).contains(&first.len())
        && first.chars().all(|sign| sign.is_ascii_lowercase())
        && parts.all(|part| part.len() == 2 && part.chars().all(|sign| sign.is_ascii_uppercase()))
}

/// A text as XML writes it.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            // XML 1.0 §2.2 has no other signs below the blank.
            '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            sign => escaped.push(sign),
        }
    }
    escaped
}

/// Longest wait for a file: the callee hears nothing meanwhile.
const AUDIO_TIME_MAX: Duration = Duration::from_secs(15);
