//! What matched input means (Semantic Interpretation for Speech Recognition 1.0).

use std::fmt::Write as _;

use super::super::fault::Fault;
use super::super::value::Value;
use super::chart::{Matcher, Tree, TreePart};
use super::{Interpretation, builtin};

/// What matched input means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meaning {
    /// This.
    Is(Value),
    /// What this ECMAScript expression gives.
    Computed(String),
}

impl Matcher {
    /// The meaning of the input, which is `tokens`; `None` where it is no match.
    pub(crate) fn meaning(&self, tokens: &[String]) -> Option<Result<Meaning, Fault>> {
        let grammar = self.grammar();
        let input = || tokens.concat();
        if !self.verdict().complete {
            return None;
        }
        Some(match &grammar.meaning {
            Interpretation::Builtin(kind) => Ok(Meaning::Is(builtin::interpret(*kind, &input()))),
            Interpretation::Plain => Ok(Meaning::Is(Value::text(input()))),
            Interpretation::Literals => self.tree()?.map(|tree| {
                let literal = literal(&tree, &grammar.network.tags, tokens);
                Meaning::Is(Value::text(literal))
            }),
            Interpretation::Script { head } => self.tree()?.and_then(|tree| {
                let mut program = Program { matcher: self, tokens, text: String::new() };
                program.whole(&tree, head);
                if program.text.len() > PROGRAM_MAX_BYTES {
                    let message = format!("tags of over {PROGRAM_MAX_BYTES} bytes in one match");
                    return Err(Fault::semantic(message));
                }
                Ok(Meaning::Computed(program.text))
            }),
        })
    }
}

/// The literal of a rule: its last tag; without tags that of the last rule it refers to; without
/// those the input itself (SISR 1.0 §4, §7).
fn literal(tree: &Tree, tags: &[String], tokens: &[String]) -> String {
    let mut last_rule = None;
    let mut last_tag = None;
    for part in &tree.parts {
        match part {
            TreePart::Tag(tag) => last_tag = Some(&tags[*tag as usize]),
            TreePart::Rule(rule) => last_rule = Some(rule),
        }
    }
    match (last_tag, last_rule) {
        (Some(tag), _) => tag.trim().to_owned(),
        (None, Some(rule)) => literal(rule, tags, tokens),
        (None, None) => tokens[tree.start..tree.end].concat(),
    }
}

/// Most text of the tags of one match; a long tag passed by every key would add up.
const PROGRAM_MAX_BYTES: usize = 256 * 1024;

/// Writes the tags of a match as one ECMAScript expression.
struct Program<'m> {
    matcher: &'m Matcher,
    tokens: &'m [String],
    text: String,
}

impl Program<'_> {
    fn whole(&mut self, tree: &Tree, head: &[String]) {
        self.text.push_str("(function(){");
        for tag in head {
            let _ = writeln!(self.text, "{tag}\n;");
        }
        self.text.push_str("return ");
        self.rule(tree);
        self.text.push_str("})()");
    }

    /// One rule: a function of its own, in which `out`, `rules` and `meta` are what SISR says.
    fn rule(&mut self, tree: &Tree) {
        let text = quote(&self.tokens[tree.start..tree.end].concat());
        let tagged = tree.parts.iter().any(|part| matches!(part, TreePart::Tag(_)));
        let _ = write!(
            self.text,
            "(function(){{var out={{}},_last,_text={text};\
             var meta={{current:function(){{return{{text:_text,score:1}}}},\
             latest:function(){{return{{text:_last&&_last.text,score:1}}}}}};\
             var rules={{latest:function(){{return _last&&_last.out}}}};"
        );
        let mut referred = false;
        for part in &tree.parts {
            match part {
                TreePart::Tag(tag) if self.text.len() <= PROGRAM_MAX_BYTES => {
                    let tag = &self.matcher.grammar().network.tags[*tag as usize];
                    let _ = writeln!(self.text, "{tag}\n;");
                }
                TreePart::Tag(_) => {}
                TreePart::Rule(rule) => {
                    referred = true;
                    self.reference(rule);
                }
            }
        }
        // Without tags, a rule means what its last reference means, else its text.
        self.text.push_str(match (tagged, referred) {
            (true, _) => "return out",
            (false, true) => "return _last.out",
            (false, false) => "return _text",
        });
        self.text.push_str("})()");
    }

    fn reference(&mut self, rule: &Tree) {
        let name = quote(&self.matcher.grammar().network.rules[rule.rule as usize].name);
        let text = quote(&self.tokens[rule.start..rule.end].concat());
        let _ = write!(self.text, "_last={{text:{text},out:");
        self.rule(rule);
        let _ = write!(self.text, "}};rules[{name}]=_last.out;");
    }
}

/// A text as an ECMAScript literal.
fn quote(text: &str) -> String {
    serde_json::Value::String(text.to_owned()).to_string()
}
