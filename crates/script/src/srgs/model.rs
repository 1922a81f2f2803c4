//! A grammar document as read from either of its forms: rules, expansions, references.

use std::collections::HashMap;
use std::sync::Arc;

use url::Url;

/// What a grammar listens for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Keys of a telephone.
    Dtmf,
    /// Words; only a recognizer can hear them.
    Voice,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dtmf => "dtmf",
            Self::Voice => "voice",
        }
    }
}

/// The two ways to write a grammar (SRGS 1.0 §1.6, Appendix D and C).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `#ABNF 1.0;`, `application/srgs`.
    Abnf,
    /// `<grammar>`, `application/srgs+xml`.
    Xml,
}

/// What a document's tags are (SRGS 1.0 §4.8, SISR 1.0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagFormat {
    /// `semantics/1.0-literals`: a tag is the meaning.
    Literals,
    /// `semantics/1.0`: a tag is ECMAScript.
    Script,
    /// None is named, and tags assign to `$` or `out`: ECMAScript, where what SISR calls `out` may
    /// also be called `$`, as its drafts did.
    Unnamed,
    /// Another format, or none is named: tags are carried along and not read.
    Unread,
}

impl TagFormat {
    pub(crate) fn named(name: &str) -> Self {
        match name.trim().strip_prefix("semantics/1.0") {
            Some(kind) if kind.ends_with("-literals") => Self::Literals,
            Some(_) => Self::Script,
            None => Self::Unread,
        }
    }

    /// Whether tags are run.
    pub(crate) fn is_script(self) -> bool {
        matches!(self, Self::Script | Self::Unnamed)
    }
}

/// Row and column in the grammar's own text, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) row: u32,
    pub(crate) column: u32,
}

/// One grammar document, read and found to be well made in itself; immutable.
#[derive(Debug)]
pub struct Draft {
    /// What messages call it: its address, or `grammar`.
    pub(crate) name: Arc<str>,
    /// Where it was had from, without fragment.
    pub(crate) url: Option<Url>,
    /// What relative references resolve against.
    pub(crate) base: Option<Url>,
    pub(crate) form: Form,
    pub(crate) mode: Mode,
    pub(crate) language: Option<Arc<str>>,
    pub(crate) root: Option<String>,
    pub(crate) tag_format: TagFormat,
    /// Tags of the head; they run before any rule's (SISR 1.0 §6.4).
    pub(crate) head: Vec<Arc<str>>,
    pub(crate) lexicons: Vec<Lexicon>,
    pub(crate) metas: Vec<Meta>,
    pub(crate) rules: Vec<Rule>,
    /// Rules by name.
    pub(crate) index: HashMap<String, usize>,
}

/// A pronunciation lexicon that a grammar names; it is told, not fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lexicon {
    /// Its address as written.
    pub uri: String,
    /// Its media type, where one is given.
    pub media_type: Option<String>,
}

/// A `meta` or `http-equiv` declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Its name, as written.
    pub name: String,
    /// Its content, as written.
    pub content: String,
    /// Whether it was declared as `http-equiv`.
    pub http_equiv: bool,
}

/// One rule definition.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) public: bool,
    pub(crate) expansion: Expansion,
    pub(crate) at: At,
}

/// What a rule, or a part of it, consists of.
#[derive(Clone, Debug)]
pub(crate) enum Expansion {
    Garbage,
    Null,
    OneOf(Vec<Choice>),
    Reference(Reference),
    Repeat(Box<Repeat>),
    Sequence(Vec<Self>),
    Tag(Arc<str>),
    Token(Token),
    Void,
}

/// An alternative.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) weight: Option<f64>,
    pub(crate) expansion: Expansion,
}

/// `least` to `most` turns of a body.
#[derive(Clone, Debug)]
pub(crate) struct Repeat {
    pub(crate) body: Expansion,
    pub(crate) least: u32,
    /// `None`: any number.
    pub(crate) most: Option<u32>,
    pub(crate) probability: Option<f64>,
}

/// One token: words that are said together, or one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// As written, with single spaces.
    pub(crate) text: String,
    pub(crate) language: Option<Arc<str>>,
}

/// A reference to a rule.
#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) target: Target,
    pub(crate) at: At,
}

/// What a reference refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `digits?length=4`, `dtmf/boolean`: what follows `builtin:`.
    Builtin(String),
    /// A rule of another document, or its root.
    External {
        /// As written.
        uri: String,
        /// Without fragment.
        url: Url,
        rule: Option<String>,
        /// The form that a media type has promised.
        form: Option<Form>,
    },
    /// A rule of the same document.
    Local(String),
}

impl Draft {
    /// Which form it was written in.
    pub fn form(&self) -> Form {
        self.form
    }

    /// What it listens for.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Its language, as declared.
    pub fn language(&self) -> Option<&str> {
        self.language.as_deref()
    }

    /// The name of its root rule.
    pub fn root(&self) -> Option<&str> {
        self.root.as_deref()
    }

    /// The lexicons it names.
    pub fn lexicons(&self) -> &[Lexicon] {
        &self.lexicons
    }

    /// What it says about itself.
    pub fn metas(&self) -> &[Meta] {
        &self.metas
    }

    /// The names of its public rules, in document order.
    pub fn public_rules(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter(|rule| rule.public).map(|rule| rule.name.as_str())
    }
}

impl Expansion {
    /// A sequence, without needless nesting.
    pub(crate) fn sequence(mut parts: Vec<Self>) -> Self {
        match parts.len() {
            0 => Self::Null,
            1 => parts.remove(0),
            _ => Self::Sequence(parts),
        }
    }

    /// Whether no input can be taken, only nothing.
    pub(crate) fn is_silent(&self) -> bool {
        match self {
            Self::Null | Self::Tag(_) => true,
            Self::OneOf(choices) => choices.iter().all(|choice| choice.expansion.is_silent()),
            Self::Repeat(repeat) => repeat.most == Some(0) || repeat.body.is_silent(),
            Self::Sequence(parts) => parts.iter().all(Self::is_silent),
            Self::Garbage | Self::Reference(_) | Self::Token(_) | Self::Void => false,
        }
    }
}

/// Whether a name may be a rule's: a name of XML without `.`, `:` and `-` (SRGS 1.0 §3.1).
pub(crate) fn is_rule_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(is_name_part)
}

/// Whether a character may stand inside a rule's name.
pub(crate) fn is_name_part(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '\u{b7}' || is_combining(c)
}

/// The combining marks that names of XML may have.
pub(crate) fn is_combining(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{483}'..='\u{487}' | '\u{591}'..='\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{900}'..='\u{903}'
        | '\u{93a}'..='\u{94f}' | '\u{e31}'..='\u{e4e}' | '\u{20d0}'..='\u{20f0}'
        | '\u{3099}' | '\u{309a}' | '\u{203f}' | '\u{2040}')
}

/// The rules that every grammar has (SRGS 1.0 §2.2.3).
pub(crate) const SPECIAL: [&str; 3] = ["NULL", "VOID", "GARBAGE"];

/// Whether a text has the shape of a language tag (RFC 3066).
pub(crate) fn is_language(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let primary = parts.next().unwrap_or_default();
    let sized = |part: &str| (1..=8).contains(&part.len());
    sized(primary)
        && primary.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(|part| sized(part) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// `n`, `n.`, `.n` or `n.n`: no sign, no exponent (SRGS 1.0 §2.4.1).
pub(crate) fn simple_number(text: &str) -> Option<f64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let some = !(whole.is_empty() && fraction.is_empty());
    (some && digits(whole) && digits(fraction)).then(|| text.parse().ok())?
}

/// `3`, `2-4` or `1-` (SRGS 1.0 §2.5).
pub(crate) fn repeat_range(text: &str) -> Option<(u32, Option<u32>)> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A count beyond all bounds is as good as the largest, and is refused by its size.
        digits.then(|| text.parse::<u32>().unwrap_or(u32::MAX))
    };
    match text.split_once('-') {
        None => number(text).map(|exactly| (exactly, Some(exactly))),
        Some((least, "")) => number(least).map(|least| (least, None)),
        Some((least, most)) => {
            let (least, most) = (number(least)?, number(most)?);
            (least <= most).then_some((least, Some(most)))
        }
    }
}

/// The form that a media type says, without its parameters.
pub(crate) fn form_of_media_type(media_type: &str) -> Option<Form> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    match essence.to_ascii_lowercase().as_str() {
        "application/srgs" | "application/grammar" | "text/srgs" => Some(Form::Abnf),
        "application/srgs+xml" | "application/grammar+xml" => Some(Form::Xml),
        _ => None,
    }
}

/// Whether a character is a key of a telephone.
pub(crate) fn is_key(key: char) -> bool {
    key.is_ascii_digit() || matches!(key, '*' | '#' | 'A'..='D')
}

/// The keys that a token of a DTMF grammar means; the stray character where there are none
/// (SRGS 1.0 Appendix E). `715` is three keys: strictly it is none, but it is written so.
pub(crate) fn keys_of(word: &str) -> Result<String, char> {
    let word = word.strip_prefix("dtmf-").unwrap_or(word);
    match word {
        "star" => return Ok("*".to_owned()),
        "pound" => return Ok("#".to_owned()),
        _ => {}
    }
    let keys: String = word.chars().map(|key| key.to_ascii_uppercase()).collect();
    match keys.chars().find(|key| !is_key(*key)) {
        Some(_) => Err(word.chars().find(|key| !is_key(key.to_ascii_uppercase())).unwrap_or(' ')),
        None => Ok(keys),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counts_and_ranges() {
        let read = |text| repeat_range(text);
        assert_eq!(read("3"), Some((3, Some(3))));
        assert_eq!(read("0-1"), Some((0, Some(1))));
        assert_eq!(read("2-"), Some((2, None)));
        assert_eq!(read("99999999999-"), Some((u32::MAX, None)));
        for wrong in ["", "-", "-1", "3-1", "1--1", "1-Z", "x", " 1", "+1", "1-2-3"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn weights_have_neither_sign_nor_exponent() {
        assert_eq!(["1", "2.", ".5", "0.25"].map(simple_number), [1.0, 2.0, 0.5, 0.25].map(Some));
        for wrong in ["", ".", "-1", "+1", "1e3", "1.2.3", "inf", "NaN", " 1"] {
            assert_eq!(simple_number(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn rule_names_are_names_without_dots_colons_and_hyphens() {
        for name in ["a", "_x1", "principàle", "디지트", "e\u{301}t"] {
            assert!(is_rule_name(name), "{name}");
        }
        for name in ["", "1a", "a.b", "a:b", "a-b", "a b", "a$"] {
            assert!(!is_rule_name(name), "{name}");
        }
    }

    #[test]
    fn languages_look_like_language_tags() {
        assert!(["en", "en-US", "zh-Hant-TW", "x-klingon"].into_iter().all(is_language));
        assert!(!["", "e n", "en_US", "-en", "en-", "123"].into_iter().any(is_language));
    }

    #[test]
    fn keys_have_names_and_may_stand_together() {
        assert_eq!(keys_of("star").as_deref(), Ok("*"));
        assert_eq!(keys_of("dtmf-pound").as_deref(), Ok("#"));
        assert_eq!(keys_of("715a").as_deref(), Ok("715A"));
        assert_eq!(keys_of("two"), Err('t'));
    }
}
