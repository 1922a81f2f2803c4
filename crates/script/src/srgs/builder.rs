//! What the readers of both forms share: collecting rules and mistakes, and the checks of a
//! document in itself.

use std::collections::HashMap;
use std::sync::Arc;

use url::Url;

use super::model::{
    At, Draft, Expansion, Form, Lexicon, Meta, Mode, Reference, Rule, SPECIAL, TagFormat, Target,
    Token, form_of_media_type, is_language, is_rule_name, keys_of,
};
use super::tags;
use crate::vxml::Mistake;
use crate::vxml::place::Rows;

/// A document while it is read.
pub(crate) struct Builder<'r> {
    rows: &'r Rows<'r>,
    mistakes: Vec<Mistake>,
    form: Form,
    /// It stands in a document that says version and language for it.
    embedded: bool,
    pub(crate) mode: Mode,
    pub(crate) language: Option<Arc<str>>,
    pub(crate) root: Option<(String, usize)>,
    pub(crate) tag_format: Option<TagFormat>,
    pub(crate) url: Option<Url>,
    pub(crate) base: Option<Url>,
    head: Vec<Arc<str>>,
    /// All tags, those of the head too, and where they begin.
    tags: Vec<(Arc<str>, usize)>,
    pub(crate) lexicons: Vec<Lexicon>,
    pub(crate) metas: Vec<Meta>,
    rules: Vec<Rule>,
    index: HashMap<String, usize>,
    /// Local references, to be checked when all rules are known.
    wanted: Vec<(String, usize)>,
    tokens: usize,
}

/// Most mistakes that are collected of one document; a page of garbage has more than help.
pub(crate) const MISTAKES_MAX: usize = 100;
/// Most tokens of one document; lists of all the streets of a city have some ten thousand.
const TOKENS_MAX: usize = 100_000;

impl<'r> Builder<'r> {
    pub(crate) fn new(form: Form, rows: &'r Rows<'r>, url: Option<&Url>, embedded: bool) -> Self {
        let url = url.map(|url| {
            let mut url = url.clone();
            url.set_fragment(None);
            url
        });
        Self {
            rows,
            mistakes: Vec::new(),
            form,
            embedded,
            mode: Mode::Voice,
            language: None,
            root: None,
            tag_format: None,
            base: url.clone(),
            url,
            head: Vec::new(),
            tags: Vec::new(),
            lexicons: Vec::new(),
            metas: Vec::new(),
            rules: Vec::new(),
            index: HashMap::new(),
            wanted: Vec::new(),
            tokens: 0,
        }
    }

    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded
    }

    pub(crate) fn mistake(&mut self, offset: usize, message: impl Into<String>) {
        if self.mistakes.len() < MISTAKES_MAX {
            self.mistakes.push(self.rows.mistake(offset, message));
        }
    }

    pub(crate) fn at(&self, offset: usize) -> At {
        let (row, column) = self.rows.row_and_column(offset);
        At { row, column }
    }

    // Declarations.

    pub(crate) fn set_mode(&mut self, mode: &str, offset: usize) {
        self.mode = match mode {
            "dtmf" => Mode::Dtmf,
            "voice" => Mode::Voice,
            _ => {
                self.mistake(offset, format!("mode {mode}; it is dtmf or voice"));
                return;
            }
        };
    }

    /// A language as declared; `None` where it is no language tag.
    pub(crate) fn language_tag(&mut self, tag: &str, offset: usize) -> Option<Arc<str>> {
        if is_language(tag) {
            return Some(Arc::from(tag));
        }
        self.mistake(offset, format!("\"{tag}\" is no language; one is written as en or en-US"));
        None
    }

    /// The base address that a grammar declares, whatever its `meta` said before.
    pub(crate) fn set_own_base(&mut self, base: &str, offset: usize) {
        self.base.clone_from(&self.url);
        self.set_base(base, offset);
    }

    /// A base address; relative ones resolve against what was the base before.
    pub(crate) fn set_base(&mut self, base: &str, offset: usize) {
        let resolved = match &self.base {
            Some(before) => before.join(base),
            None => Url::parse(base),
        };
        match resolved {
            Ok(base) => self.base = Some(base),
            Err(error) => self.mistake(offset, format!("the base \"{base}\": {error}")),
        }
    }

    // Rules.

    /// Adds a rule; one whose expansion is wrong is added too, so that it is known.
    pub(crate) fn rule(&mut self, name: &str, public: bool, expansion: Expansion, offset: usize) {
        if SPECIAL.contains(&name) {
            let message = format!("{name} is a special rule and cannot be defined");
            self.mistake(offset, message);
        } else if !is_rule_name(name) {
            let message = format!(
                "\"{name}\" cannot name a rule; a name begins with a letter and has no blank, \
                 dot, colon or hyphen"
            );
            self.mistake(offset, message);
        }
        if self.index.contains_key(name) {
            self.mistake(offset, format!("a second rule is named {name}"));
            return;
        }
        self.index.insert(name.to_owned(), self.rules.len());
        let at = self.at(offset);
        self.rules.push(Rule { name: name.to_owned(), public, expansion, at });
    }

    /// A reference to a rule of this document.
    pub(crate) fn local(&mut self, name: &str, offset: usize) -> Target {
        if SPECIAL.contains(&name) {
            let message = match self.form {
                Form::Abnf => format!("the special rule {name} is written as ${name}"),
                Form::Xml => format!("the special rule {name} is written as special=\"{name}\""),
            };
            self.mistake(offset, message);
        } else {
            self.wanted.push((name.to_owned(), offset));
        }
        Target::Local(name.to_owned())
    }

    /// A reference by address; `None` where it cannot be one.
    pub(crate) fn reference(
        &mut self,
        uri: &str,
        media_type: Option<&str>,
        offset: usize,
    ) -> Option<Expansion> {
        let uri = uri.trim();
        let target = if let Some(name) = uri.strip_prefix('#') {
            self.local(&unescaped(name), offset)
        } else if let Some(kind) = uri.strip_prefix("builtin:") {
            Target::Builtin(kind.to_owned())
        } else {
            self.external(uri, media_type, offset)?
        };
        let at = self.at(offset);
        Some(Expansion::Reference(Reference { target, at }))
    }

    fn external(&mut self, uri: &str, media_type: Option<&str>, offset: usize) -> Option<Target> {
        if uri.is_empty() {
            self.mistake(offset, "a reference to nothing; it names a rule or a grammar");
            return None;
        }
        let resolved = match &self.base {
            Some(base) => base.join(uri),
            None => Url::parse(uri),
        };
        let mut url = match resolved {
            Ok(url) => url,
            Err(error) => {
                self.mistake(offset, format!("the address \"{uri}\": {error}"));
                return None;
            }
        };
        let rule = url.fragment().map(unescaped).filter(|rule| !rule.is_empty());
        url.set_fragment(None);
        let form = match media_type {
            None => None,
            Some(media_type) => match form_of_media_type(media_type) {
                Some(form) => Some(form),
                None if crate::srgs::says_nothing(media_type) => None,
                None => {
                    let message = format!(
                        "grammars of type {media_type} are not understood; \
                         application/srgs+xml and application/srgs are"
                    );
                    self.mistake(offset, message);
                    return None;
                }
            },
        };
        Some(Target::External { uri: uri.to_owned(), url, rule, form })
    }

    /// The tokens of a text: words one by one, or keys.
    pub(crate) fn words(
        &mut self,
        text: &str,
        language: Option<&Arc<str>>,
        offset: usize,
        into: &mut Vec<Expansion>,
    ) {
        for word in text.split_whitespace() {
            self.token(word, language, offset, into);
        }
    }

    /// One token: words that are said together, or in a DTMF grammar its keys.
    pub(crate) fn token(
        &mut self,
        text: &str,
        language: Option<&Arc<str>>,
        offset: usize,
        into: &mut Vec<Expansion>,
    ) {
        self.tokens += 1;
        if self.tokens > TOKENS_MAX {
            if self.tokens == TOKENS_MAX + 1 {
                self.mistake(offset, format!("more than {TOKENS_MAX} tokens"));
            }
            return;
        }
        let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        if text.is_empty() {
            self.mistake(offset, "an empty token; it has at least one character");
            return;
        }
        if self.mode == Mode::Voice {
            text.shrink_to_fit();
            into.push(Expansion::Token(Token { text, language: language.cloned() }));
            return;
        }
        for word in text.split(' ') {
            match keys_of(word) {
                Ok(keys) => {
                    into.extend(keys.chars().map(|key| {
                        Expansion::Token(Token { text: key.to_string(), language: None })
                    }))
                }
                Err(stray) => {
                    let message = format!(
                        "{stray} in \"{word}\" is no key; keys are 0-9, * or star, # or pound, A-D"
                    );
                    self.mistake(offset, message);
                }
            }
        }
    }

    /// A tag of an expansion.
    pub(crate) fn tag(&mut self, text: &str, offset: usize) -> Expansion {
        let tag: Arc<str> = Arc::from(text);
        self.tags.push((Arc::clone(&tag), offset));
        Expansion::Tag(tag)
    }

    /// A tag of the head, which runs before those of any rule.
    pub(crate) fn head_tag(&mut self, text: &str, offset: usize) {
        let tag: Arc<str> = Arc::from(text);
        self.tags.push((Arc::clone(&tag), offset));
        self.head.push(tag);
    }

    /// What the tags are; those that should be ECMAScript and are not are mistakes (SISR 1.0 §3.2).
    fn settle_tags(&mut self) -> TagFormat {
        let tags = std::mem::take(&mut self.tags);
        match self.tag_format {
            Some(TagFormat::Script) => {
                for (offset, message) in tags::wrong(&tags, MISTAKES_MAX) {
                    self.mistake(offset, message);
                }
                TagFormat::Script
            }
            Some(format) => format,
            None if tags::assign(&tags) && tags::wrong(&tags, 1).is_empty() => TagFormat::Unnamed,
            None => TagFormat::Unread,
        }
    }

    // The end.

    /// The document, if nothing was wrong with it.
    pub(crate) fn finish(mut self, head: usize) -> Result<Draft, Vec<Mistake>> {
        let stated = self.embedded || self.mode == Mode::Dtmf || self.language.is_some();
        if !stated {
            let message = match self.form {
                Form::Abnf => "a grammar of words needs its language, as: language en-US;",
                Form::Xml => "a grammar of words needs its language, as: xml:lang=\"en-US\"",
            };
            self.mistake(head, message);
        }
        if let Some((root, offset)) = self.root.clone() {
            self.known(&root, offset, "the root");
        }
        for (name, offset) in std::mem::take(&mut self.wanted) {
            self.known(&name, offset, "a reference");
        }
        let tag_format = self.settle_tags();
        if !self.mistakes.is_empty() {
            self.mistakes.sort_by_key(|mistake| (mistake.row, mistake.column));
            return Err(self.mistakes);
        }
        Ok(Draft {
            name: Arc::clone(self.rows.name()),
            url: self.url,
            base: self.base,
            form: self.form,
            mode: self.mode,
            language: self.language,
            root: self.root.map(|(root, _)| root),
            tag_format,
            head: self.head,
            lexicons: self.lexicons,
            metas: self.metas,
            rules: self.rules,
            index: self.index,
        })
    }

    fn known(&mut self, name: &str, offset: usize, what: &str) {
        if !self.index.contains_key(name) {
            self.mistake(offset, format!("{what} names {name}; there is no such rule"));
        }
    }
}

/// Without percent signs, as a fragment is compared with names.
fn unescaped(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}
