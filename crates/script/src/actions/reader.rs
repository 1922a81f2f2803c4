//! Reads members of JSON objects, and remembers by path what was wrong with them.

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value};

use super::locate::Turn;
use super::play::{PlayList, WebPage};

/// Mistakes kept of one page: enough to repair it, and no more than a log can bear.
const MISTAKES_MAX: usize = 50;
/// Most characters of a value that a message shows.
const SHOWN_CHARS_MAX: usize = 40;
/// Most hours that anything may last.
const TIME_MAX_S: f64 = 24.0 * 3_600.0;

/// A mistake, and the way to it.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) way: Vec<Turn>,
    /// Path, what was found, and what would be right.
    pub(super) message: String,
}

/// What was found wrong in a page.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// The page is refused for these.
    pub(super) mistakes: Vec<Finding>,
    /// These are passed over.
    pub(super) oddities: Vec<Finding>,
}

impl Findings {
    pub(super) fn refuse(&mut self, way: &[Turn], found: &str, expected: &str) {
        if self.mistakes.len() < MISTAKES_MAX {
            let found = cut(found);
            let message = format!("{}: found {found}, expected {expected}", path(way));
            self.mistakes.push(Finding { way: way.to_vec(), message });
        }
    }

    fn pass_over(&mut self, way: &[Turn], message: &str) {
        if self.oddities.len() < MISTAKES_MAX {
            let message = format!("{}: {message}", path(way));
            self.oddities.push(Finding { way: way.to_vec(), message });
        }
    }
}

/// The members of an object.
pub(super) struct Members<'m> {
    pub(super) map: &'m Map<String, Value>,
    pub(super) way: Vec<Turn>,
    pub(super) found: &'m mut Findings,
    pub(super) list_max: usize,
    asked: Vec<&'static str>,
}

impl<'m> Members<'m> {
    pub(super) fn new(
        map: &'m Map<String, Value>,
        way: Vec<Turn>,
        found: &'m mut Findings,
        list_max: usize,
    ) -> Self {
        Self { map, way, found, list_max, asked: Vec::new() }
    }

    /// The member, `null` counting as none.
    pub(super) fn value(&mut self, name: &'static str) -> Option<&'m Value> {
        self.asked.push(name);
        self.map.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        match self.value(name)? {
            Value::String(text) => Some(text.clone()),
            other => {
                self.refuse(name, other, "a text");
                None
            }
        }
    }

    /// A text that is not empty and has to be there.
    pub(super) fn needed_text(&mut self, name: &'static str, sample: &str) -> String {
        let given = self.map.get(name).is_some_and(|value| !value.is_null());
        match self.text(name) {
            Some(text) if !text.trim().is_empty() => text,
            Some(_) => {
                self.refuse_as(name, "an empty text", sample);
                String::new()
            }
            None if given => String::new(),
            None => {
                self.refuse_as(name, "nothing", sample);
                String::new()
            }
        }
    }

    pub(super) fn flag(&mut self, name: &'static str, default: bool) -> bool {
        match self.value(name) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.refuse(name, other, "true or false");
                default
            }
        }
    }

    pub(super) fn whole(
        &mut self,
        name: &'static str,
        range: RangeInclusive<i64>,
        default: i64,
    ) -> i64 {
        let Some(value) = self.value(name) else {
            return default;
        };
        match whole(value) {
            Some(number) if range.contains(&number) => number,
            _ => {
                let (least, most) = range.into_inner();
                self.refuse(name, value, &format!("a whole number from {least} to {most}"));
                default
            }
        }
    }

    /// Seconds, a whole day at most; less than none counts as none.
    pub(super) fn seconds(&mut self, name: &'static str, default: f64) -> Duration {
        self.time(name, default, 1.0)
    }

    /// Milliseconds, likewise.
    pub(super) fn milliseconds(&mut self, name: &'static str, default: f64) -> Duration {
        self.time(name, default, 1_000.0)
    }

    fn time(&mut self, name: &'static str, default: f64, parts: f64) -> Duration {
        let most = TIME_MAX_S * parts;
        let given = match self.value(name) {
            None => default,
            Some(value) => match value.as_f64() {
                Some(time) if time.is_finite() && time <= most => time,
                _ => {
                    self.refuse(name, value, &format!("a number up to {most}"));
                    default
                }
            },
        };
        Duration::from_secs_f64((given / parts).clamp(0.0, TIME_MAX_S))
    }

    /// One key, or none where the text is empty.
    pub(super) fn key(&mut self, name: &'static str, default: Option<char>) -> Option<char> {
        let Some(value) = self.value(name) else {
            return default;
        };
        let mut signs = value.as_str().unwrap_or("??").chars();
        match (signs.next(), signs.next()) {
            (None, _) => None,
            (Some(key), None) if is_key(key) => Some(key.to_ascii_uppercase()),
            _ => {
                self.refuse(name, value, "one of 0-9 A-D * #, or an empty text for none");
                default
            }
        }
    }

    /// Some keys.
    pub(super) fn keys(&mut self, name: &'static str, default: &str) -> String {
        let Some(value) = self.value(name) else {
            return default.to_owned();
        };
        match value.as_str() {
            Some(keys) if keys.chars().all(is_key) => keys.to_ascii_uppercase(),
            _ => {
                self.refuse(name, value, "a text of the keys 0-9 A-D * #");
                default.to_owned()
            }
        }
    }

    /// One of these words.
    pub(super) fn word(&mut self, name: &'static str, words: &[&'static str]) -> &'static str {
        let default = words.first().copied().unwrap_or_default();
        let Some(value) = self.value(name) else {
            return default;
        };
        let found = value.as_str().and_then(|text| words.iter().find(|word| **word == text));
        match found {
            Some(word) => word,
            None => {
                let named = words.iter().filter(|word| !word.is_empty()).copied();
                let mut expected = format!("one of {}", named.collect::<Vec<_>>().join(", "));
                if words.contains(&"") {
                    expected.push_str(", or an empty text");
                }
                self.refuse(name, value, &expected);
                default
            }
        }
    }

    pub(super) fn page(&mut self, name: &'static str) -> Option<WebPage> {
        let mut members = self.object(name, "a page such as {\"url\": \"next\"}")?;
        let page = WebPage::read(&mut members);
        members.finish();
        page
    }

    /// A page that has to be there.
    pub(super) fn needed_page(&mut self, name: &'static str) -> Option<WebPage> {
        let given = self.map.get(name).is_some_and(|value| !value.is_null());
        let page = self.page(name);
        if !given {
            self.refuse_as(name, "nothing", "a page such as {\"url\": \"next\"}");
        }
        page
    }

    pub(super) fn play(&mut self, name: &'static str) -> Option<PlayList> {
        let mut members = self
            .object(name, "an object such as {\"play_list\": [{\"text_to_say\": \"Hello.\"}]}")?;
        let list = PlayList::read(&mut members);
        members.finish();
        Some(list)
    }

    /// A list of plays; `None` where there is no such member.
    pub(super) fn plays(&mut self, name: &'static str) -> Option<Vec<PlayList>> {
        let mut plays = Vec::new();
        self.each(name, "a list of plays", |members| plays.push(PlayList::read(members)))?;
        Some(plays)
    }

    /// The members of a member that is an object.
    pub(super) fn object<'s>(
        &'s mut self,
        name: &'static str,
        expected: &str,
    ) -> Option<Members<'s>>
    where
        'm: 's,
    {
        match self.value(name)? {
            Value::Object(map) => {
                let way = self.way_to(name);
                Some(Members::new(map, way, self.found, self.list_max))
            }
            other => {
                self.refuse(name, other, expected);
                None
            }
        }
    }

    /// Each object of a member that is a list of objects; `None` where there is no such member.
    pub(super) fn each(
        &mut self,
        name: &'static str,
        expected: &str,
        mut take: impl FnMut(&mut Members<'_>),
    ) -> Option<()> {
        for (nth, value) in self.items(name, expected)?.iter().enumerate() {
            let mut way = self.way_to(name);
            way.push(Turn::Item(nth));
            match value {
                Value::Object(map) => {
                    let mut members = Members::new(map, way, self.found, self.list_max);
                    take(&mut members);
                    members.finish();
                }
                other => self.found.refuse(&way, &shown(other), "an object"),
            }
        }
        Some(())
    }

    /// Each text of a member that is a list of texts.
    pub(super) fn texts(&mut self, name: &'static str, expected: &str) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        for (nth, value) in self.items(name, expected)?.iter().enumerate() {
            match value.as_str().map(str::trim) {
                Some(text) if !text.is_empty() => texts.push(text.to_owned()),
                _ => {
                    let mut way = self.way_to(name);
                    way.push(Turn::Item(nth));
                    self.found.refuse(&way, &shown(value), "a text that is not empty");
                }
            }
        }
        Some(texts)
    }

    fn items(&mut self, name: &'static str, expected: &str) -> Option<&'m [Value]> {
        match self.value(name)? {
            Value::Array(items) if items.len() <= self.list_max => Some(items),
            Value::Array(items) => {
                let found = format!("{} items", items.len());
                self.refuse_as(name, &found, &format!("at most {}", self.list_max));
                None
            }
            other => {
                self.refuse(name, other, expected);
                None
            }
        }
    }

    /// Says that something is asked for that cannot be had here.
    pub(super) fn refuse_if_given(&mut self, name: &'static str, why: &str) {
        if let Some(value) = self.value(name)
            && *value != Value::Bool(false)
            && value.as_str() != Some("")
        {
            self.refuse(name, value, &format!("nothing: {why}"));
        }
    }

    pub(super) fn refuse(&mut self, name: &'static str, found: &Value, expected: &str) {
        self.refuse_as(name, &shown(found), expected);
    }

    pub(super) fn refuse_as(&mut self, name: &'static str, found: &str, expected: &str) {
        let way = self.way_to(name);
        self.found.refuse(&way, found, expected);
    }

    fn way_to(&self, name: &'static str) -> Vec<Turn> {
        let mut way = self.way.clone();
        way.push(Turn::Member(name.to_owned()));
        way
    }

    /// Names the members that nobody asked for: a misspelt one would do nothing, silently.
    pub(super) fn finish(self) {
        for name in self.map.keys().filter(|name| !self.asked.contains(&name.as_str())) {
            let mut way = self.way.clone();
            way.push(Turn::Member(name.clone()));
            let known = match self.asked.as_slice() {
                [] => "nothing".to_owned(),
                asked => asked.join(", "),
            };
            self.found
                .pass_over(&way, &format!("is not known here and passed over; known: {known}"));
        }
    }
}

/// The path of a way, as `actions[2].get_number.prompt`.
pub(super) fn path(way: &[Turn]) -> String {
    let mut path = String::new();
    for turn in way {
        let written = match turn {
            Turn::Item(nth) => write!(path, "[{nth}]"),
            Turn::Member(name) if path.is_empty() => write!(path, "{}", cut(name)),
            Turn::Member(name) => write!(path, ".{}", cut(name)),
        };
        written.expect("a String takes any text");
    }
    if path.is_empty() { "page".to_owned() } else { path }
}

/// A value as a message shows it.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
        other => cut(&other.to_string()),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Whether this is a key of a telephone.
pub(super) fn is_key(key: char) -> bool {
    matches!(key, '0'..='9' | 'A'..='D' | 'a'..='d' | '*' | '#')
}

fn whole(value: &Value) -> Option<i64> {
    // Some languages write every number with a point.
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        #[expect(clippy::cast_possible_truncation, reason = "only whole numbers of small size")]
        (number.fract() == 0.0 && number.abs() < 1e9).then_some(number as i64)
    })
}
