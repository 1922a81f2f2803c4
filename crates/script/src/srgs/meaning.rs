//! What matched input means (Semantic Interpretation for Speech Recognition 1.0).

use std::fmt::Write as _;

use zeroize::Zeroizing;

use super::builtin::{self, Worth};
use super::chart::{Excess, Matcher};
use super::grammar::{Grammar, Interpretation};
use super::model::{Mode, TagFormat};
use super::parse::{Mark, Parse};

/// What matched input means; texts are wiped from memory when they go, since callees may have
/// keyed them.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// Yes or no.
    Bool(bool),
    /// What this ECMAScript expression gives.
    Script(Zeroizing<String>),
    /// This.
    Text(Zeroizing<String>),
}

/// One way to read an input, told whole.
#[derive(Clone, Debug)]
pub struct Reading {
    /// From 0 to 1; see [`Parse::weight`].
    pub weight: f64,
    /// What it means.
    pub meaning: Meaning,
    /// `$rule["word",$other["more words",{!{tag}!}]]`.
    pub text: String,
    /// Tokens as the grammar writes them.
    pub tokens: Vec<String>,
    /// Tags as the grammar writes them.
    pub tags: Vec<String>,
}

/// Most text of the tags of one match; a long tag passed by every key would add up.
const PROGRAM_MAX_BYTES: usize = 256 * 1024;
/// Deepest nesting of rules in what matched; ECMAScript calls go as deep.
const DEPTH_MAX: usize = 100;

impl Matcher {
    /// The meaning of the input, which is `words`, in its best reading; `None` where it is no
    /// match. A score from 0 to 1 is what scripts find as `meta`'s.
    pub fn interpret(&self, words: &[String], score: f64) -> Option<Result<Meaning, Excess>> {
        if !self.verdict().complete {
            return None;
        }
        let grammar = self.grammar();
        if grammar.mode == Mode::Dtmf && grammar.is_plain() {
            return Some(Ok(Meaning::Text(Zeroizing::new(words.concat()))));
        }
        let parse = self.parses(1).pop()?;
        Some(Instances::of(grammar, &parse, words).and_then(|it| it.meaning(score)))
    }

    /// Up to `most` readings of the input, which is `words`, best first.
    pub fn readings(
        &self,
        words: &[String],
        most: usize,
        score: f64,
    ) -> Result<Vec<Reading>, Excess> {
        let grammar = self.grammar();
        let mut readings: Vec<Reading> = Vec::new();
        for parse in &self.parses(most) {
            let instances = Instances::of(grammar, parse, words)?;
            let reading = Reading {
                weight: parse.weight(),
                meaning: instances.meaning(score)?,
                text: parse.to_text(grammar),
                tokens: parse.tokens(grammar).map(str::to_owned).collect(),
                tags: parse.tags(grammar).map(str::to_owned).collect(),
            };
            // Where garbage stands makes a difference to nobody.
            let same = |it: &Reading| it.text == reading.text && it.meaning == reading.meaning;
            if !readings.iter().any(same) {
                readings.push(reading);
            }
        }
        Ok(readings)
    }
}

impl Grammar {
    /// Whether no tag and no builtin type says what input means, so that it means itself.
    fn is_plain(&self) -> bool {
        let own = |part: &super::grammar::Part| match part.meaning {
            Interpretation::Builtin(_) => false,
            Interpretation::Tags(_) => part.draft.head.is_empty(),
        };
        self.network.tags.is_empty() && self.parts.iter().all(own)
    }

    fn interpretation(&self, rule: u32) -> Interpretation {
        let document = self.network.rules[rule as usize].document;
        let part = self.parts.get(document as usize);
        part.map_or(Interpretation::Tags(TagFormat::Unread), |part| part.meaning)
    }
}

impl Parse {
    /// The tokens of the input, as the grammar writes them.
    pub fn tokens<'g>(&'g self, grammar: &'g Grammar) -> impl Iterator<Item = &'g str> {
        self.marks.iter().filter_map(|mark| match mark {
            Mark::Token { token, .. } => {
                Some(grammar.network.tokens[*token as usize].text.as_str())
            }
            Mark::Close { .. } | Mark::Open { .. } | Mark::Tag(_) => None,
        })
    }

    /// The tags that the input passes, as the grammar writes them.
    pub fn tags<'g>(&'g self, grammar: &'g Grammar) -> impl Iterator<Item = &'g str> {
        self.marks.iter().filter_map(|mark| match mark {
            Mark::Tag(tag) => Some(&*grammar.network.tags[*tag as usize]),
            Mark::Close { .. } | Mark::Open { .. } | Mark::Token { .. } => None,
        })
    }

    /// The reading as a text: `$rule["word",$other["more words",{!{tag}!}]]`
    /// (SRGS 1.0 Appendix H).
    pub fn to_text(&self, grammar: &Grammar) -> String {
        let network = &grammar.network;
        let mut text = String::new();
        for mark in &self.marks {
            if !matches!(mark, Mark::Close { .. }) && !text.is_empty() && !text.ends_with('[') {
                text.push(',');
            }
            let _ = match mark {
                // A root that stands for all public rules has no name, and is not told.
                Mark::Open { rule, site: None, .. } => {
                    match network.rules[*rule as usize].name.as_str() {
                        "" => Ok(()),
                        name => write!(text, "${name}["),
                    }
                }
                Mark::Open { site: Some(site), .. } => {
                    write!(text, "{}[", network.sites[*site as usize])
                }
                Mark::Close { .. } => write!(text, "]"),
                Mark::Tag(tag) => {
                    write!(text, "{{!{{{}}}!}}", network.tags[*tag as usize])
                }
                Mark::Token { token, .. } => {
                    write!(text, "\"{}\"", network.tokens[*token as usize].text)
                }
            };
        }
        let unnamed = matches!(self.marks.first(), Some(Mark::Open { rule, .. })
            if network.rules[*rule as usize].name.is_empty());
        if unnamed {
            // Its end has been told, its beginning has not.
            text.pop();
        }
        text
    }
}

/// The rules that matched, each with what is in it.
struct Instances<'g> {
    grammar: &'g Grammar,
    words: &'g [String],
    /// The root last.
    all: Vec<Instance>,
    /// Tokens in the order of the input.
    tokens: Vec<u32>,
}

struct Instance {
    rule: u32,
    /// Its words.
    start: usize,
    end: usize,
    /// Its tokens.
    first: usize,
    last: usize,
    parts: Vec<InstancePart>,
}

enum InstancePart {
    Rule(usize),
    Tag(u32),
}

impl<'g> Instances<'g> {
    fn of(grammar: &'g Grammar, parse: &Parse, words: &'g [String]) -> Result<Self, Excess> {
        let mut it = Self { grammar, words, all: Vec::new(), tokens: Vec::new() };
        let mut open: Vec<Instance> = Vec::new();
        for mark in &parse.marks {
            match mark {
                Mark::Open { rule, at, .. } => {
                    if open.len() >= DEPTH_MAX {
                        return Err(Excess("the input nests too many rules in each other"));
                    }
                    let (start, first) = (*at as usize, it.tokens.len());
                    let parts = Vec::new();
                    open.push(Instance {
                        rule: *rule,
                        start,
                        end: start,
                        first,
                        last: first,
                        parts,
                    });
                }
                Mark::Close { at } => {
                    let Some(mut closed) = open.pop() else { continue };
                    closed.end = *at as usize;
                    closed.last = it.tokens.len();
                    it.all.push(closed);
                    if let Some(around) = open.last_mut() {
                        around.parts.push(InstancePart::Rule(it.all.len() - 1));
                    }
                }
                Mark::Tag(tag) => {
                    if let Some(around) = open.last_mut() {
                        around.parts.push(InstancePart::Tag(*tag));
                    }
                }
                Mark::Token { token, .. } => it.tokens.push(*token),
            }
        }
        Ok(it)
    }

    fn meaning(&self, score: f64) -> Result<Meaning, Excess> {
        let Some(mut root) = self.all.len().checked_sub(1) else {
            return Ok(text(String::new()));
        };
        // A root that stands for all public rules means what the one that matched means.
        if let (true, [InstancePart::Rule(only)]) =
            (self.name(root).is_empty(), self.all[root].parts.as_slice())
        {
            root = *only;
        }
        if self.grammar.is_plain() {
            return Ok(text(self.text(root)));
        }
        self.value(root, score)
    }

    fn value(&self, at: usize, score: f64) -> Result<Meaning, Excess> {
        match self.grammar.interpretation(self.all[at].rule) {
            Interpretation::Builtin(kind) => {
                let mut tags = Vec::new();
                self.tags(at, &mut tags);
                let tags = tags.into_iter().map(|tag| &*self.grammar.network.tags[tag as usize]);
                Ok(match builtin::interpret(kind, self.grammar.mode, tags, &self.text(at)) {
                    Worth::Bool(bool) => Meaning::Bool(bool),
                    Worth::Text(worth) => text(worth),
                })
            }
            Interpretation::Tags(TagFormat::Literals) => self.literal(at, score),
            Interpretation::Tags(TagFormat::Script | TagFormat::Unnamed) => {
                let mut program = Program { of: self, score, text: String::new() };
                program.whole(at)?;
                if program.text.len() > PROGRAM_MAX_BYTES {
                    return Err(Excess("the tags that the input passes are too long"));
                }
                Ok(Meaning::Script(Zeroizing::new(program.text)))
            }
            Interpretation::Tags(TagFormat::Unread) => Ok(text(self.text(at))),
        }
    }

    /// The literal of a rule: its last tag; without tags that of the last rule it refers to;
    /// without those the input itself (SISR 1.0 §4, §7).
    fn literal(&self, at: usize, score: f64) -> Result<Meaning, Excess> {
        let mut last = None;
        for part in self.all[at].parts.iter().rev() {
            match part {
                InstancePart::Tag(tag) => {
                    return Ok(text(self.grammar.network.tags[*tag as usize].trim()));
                }
                InstancePart::Rule(rule) => last = last.or(Some(*rule)),
            }
        }
        match last {
            Some(rule) => self.value(rule, score),
            None => Ok(text(self.text(at))),
        }
    }

    /// All tags in a rule and what it holds, in the order of the input.
    fn tags(&self, at: usize, into: &mut Vec<u32>) {
        for part in &self.all[at].parts {
            match part {
                InstancePart::Tag(tag) => into.push(*tag),
                InstancePart::Rule(rule) => self.tags(*rule, into),
            }
        }
    }

    fn name(&self, at: usize) -> &str {
        &self.grammar.network.rules[self.all[at].rule as usize].name
    }

    /// The input of a rule: its keys, or its tokens as the grammar writes them.
    fn text(&self, at: usize) -> String {
        let it = &self.all[at];
        match self.grammar.mode {
            Mode::Dtmf => {
                self.words.get(it.start..it.end).map(<[String]>::concat).unwrap_or_default()
            }
            Mode::Voice => {
                let tokens = &self.tokens[it.first..it.last];
                let texts = tokens
                    .iter()
                    .map(|token| self.grammar.network.tokens[*token as usize].text.as_str());
                texts.collect::<Vec<_>>().join(" ")
            }
        }
    }
}

fn text(text: impl Into<String>) -> Meaning {
    Meaning::Text(Zeroizing::new(text.into()))
}

/// Writes the tags of a match as one ECMAScript expression: a function for each rule that
/// matched, in the scope of the document it comes from.
struct Program<'p, 'g> {
    of: &'p Instances<'g>,
    score: f64,
    text: String,
}

impl Program<'_, '_> {
    fn whole(&mut self, root: usize) -> Result<(), Excess> {
        let mut wanted = Vec::new();
        self.collect(root, &mut wanted);
        let rules = &self.of.grammar.network.rules;
        let document = |at: &usize| rules[self.of.all[*at].rule as usize].document;
        wanted.sort_by_key(|at| (document(at), *at));
        self.text.push_str("(function(){var __rules=[];");
        for group in wanted.chunk_by(|one, other| document(one) == document(other)) {
            self.text.push_str("(function(){");
            let document = rules[self.of.all[group[0]].rule as usize].document;
            for tag in &self.of.grammar.parts[document as usize].draft.head {
                let _ = writeln!(self.text, "{tag}\n;");
            }
            for at in group {
                self.rule(*at)?;
            }
            self.text.push_str("})();");
        }
        let _ = write!(self.text, "return __rules[{root}]()}})()");
        Ok(())
    }

    /// The rules whose tags are ECMAScript, as far as others of the kind refer to them.
    fn collect(&self, at: usize, into: &mut Vec<usize>) {
        into.push(at);
        for part in &self.of.all[at].parts {
            match part {
                InstancePart::Rule(rule) if self.is_script(*rule) => self.collect(*rule, into),
                InstancePart::Rule(_) | InstancePart::Tag(_) => {}
            }
        }
    }

    fn is_script(&self, at: usize) -> bool {
        let interpretation = self.of.grammar.interpretation(self.of.all[at].rule);
        matches!(interpretation, Interpretation::Tags(format) if format.is_script())
    }

    /// One rule: a function of its own, in which `out`, `rules` and `meta` are what SISR says.
    fn rule(&mut self, at: usize) -> Result<(), Excess> {
        let (text, score) = (quote(&self.of.text(at)), self.score);
        let _ = write!(
            self.text,
            "__rules[{at}]=function(){{var out={{}},__last,\
             meta={{current:function(){{return{{text:{text},score:{score}}}}},\
             latest:function(){{return __last&&{{text:__last.text,score:{score}}}}}}},\
             rules={{latest:function(){{return __last&&__last.out}}}};"
        );
        let own = self.of.grammar.interpretation(self.of.all[at].rule);
        let unnamed = own == Interpretation::Tags(TagFormat::Unnamed);
        if unnamed {
            self.text.push_str("var __first=out,$=out,$$;");
        }
        let (mut tagged, mut referred) = (false, false);
        for part in &self.of.all[at].parts {
            match part {
                InstancePart::Tag(tag) => {
                    tagged = true;
                    if self.text.len() <= PROGRAM_MAX_BYTES {
                        let tag = &self.of.grammar.network.tags[*tag as usize];
                        let _ = writeln!(self.text, "{tag}\n;");
                    }
                }
                InstancePart::Rule(rule) => {
                    referred = true;
                    self.reference(*rule)?;
                    if unnamed {
                        self.text.push_str("$$=__last.out;");
                    }
                }
            }
        }
        // Without tags, a rule means what its last reference means, else its text.
        match (tagged, referred) {
            (true, _) if unnamed => self.text.push_str("return $===__first?out:$};"),
            (true, _) => self.text.push_str("return out};"),
            (false, true) => self.text.push_str("return __last.out};"),
            (false, false) => {
                let _ = write!(self.text, "return {text}}};");
            }
        }
        Ok(())
    }

    fn reference(&mut self, at: usize) -> Result<(), Excess> {
        let (name, text) = (self.of.name(at), quote(&self.of.text(at)));
        let _ = write!(self.text, "__last={{text:{text},out:");
        if self.is_script(at) {
            let _ = write!(self.text, "__rules[{at}]()");
        } else {
            match self.of.value(at, self.score)? {
                Meaning::Bool(bool) => {
                    let _ = write!(self.text, "{bool}");
                }
                Meaning::Script(program) => self.text.push_str(&program),
                Meaning::Text(value) => self.text.push_str(&quote(&value)),
            }
        }
        self.text.push_str("};");
        if !matches!(name, "current" | "latest") {
            let (quoted, score) = (quote(name), self.score);
            let _ = write!(
                self.text,
                "rules[{quoted}]=__last.out;meta[{quoted}]={{text:__last.text,score:{score}}};"
            );
        }
        Ok(())
    }
}

/// A text as an ECMAScript literal.
fn quote(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}
