//! The right side of an ABNF rule: alternatives, sequences, repeats (SRGS 1.0 §2, Appendix D).
//!
//! What can be passed over is told and passed over; only what leaves the shape of a rule in
//! doubt ends it.

use std::sync::Arc;

use super::abnf_scan::{Scan, Wrong, is_token_part};
use super::builder::Builder;
use super::model::{At, Choice, Expansion, Reference, Repeat, repeat_range, simple_number};

/// Deepest nesting of brackets; our own recursion goes no deeper than this.
const DEPTH_MAX: usize = 64;

/// Reads expansions.
pub(crate) struct Expansions<'a, 't, 'r> {
    pub(crate) scan: &'a mut Scan<'t>,
    pub(crate) to: &'a mut Builder<'r>,
    pub(crate) depth: usize,
}

fn wrong<T>(at: usize, message: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { at, message: message.into() })
}

impl Expansions<'_, '_, '_> {
    /// `/weight/ sequence | /weight/ sequence …`, up to what cannot belong to it.
    pub(crate) fn alternatives(&mut self) -> Result<Expansion, Wrong> {
        let language = self.to.language.clone();
        self.alternatives_in(language.as_ref())
    }

    fn alternatives_in(&mut self, language: Option<&Arc<str>>) -> Result<Expansion, Wrong> {
        let mut choices = Vec::new();
        loop {
            let weight = self.weight()?;
            let expansion = self.sequence(language)?;
            choices.push(Choice { weight, expansion });
            if !self.scan.eat("|") {
                break;
            }
        }
        Ok(match (choices.len(), choices[0].weight) {
            (1, None) => choices.remove(0).expansion,
            _ => Expansion::OneOf(choices),
        })
    }

    fn weight(&mut self) -> Result<Option<f64>, Wrong> {
        self.scan.blank()?;
        let at = self.scan.at();
        if self.scan.peek() != Some('/') {
            return Ok(None);
        }
        let text = self.scan.between_slashes()?;
        let weight = simple_number(text);
        if weight.is_none() {
            let message = format!("the weight /{text}/; it is a number like 2, 0.5 or 3.1");
            self.to.mistake(at, message);
        }
        Ok(weight)
    }

    /// Elements one after the other; at least one.
    fn sequence(&mut self, language: Option<&Arc<str>>) -> Result<Expansion, Wrong> {
        let mut parts = Vec::new();
        let mut count = 0;
        loop {
            self.scan.blank()?;
            let at = self.scan.at();
            match self.scan.peek() {
                None | Some(';' | '|' | ')' | ']') => {
                    if count == 0 {
                        let message = "something to match is wanted here; () matches nothing";
                        self.to.mistake(at, message);
                    }
                    return Ok(Expansion::sequence(parts));
                }
                Some(_) => {}
            }
            let element = self.element(language, at)?;
            let element = self.repeated(element)?;
            parts.push(element);
            count += 1;
        }
    }

    fn element(&mut self, language: Option<&Arc<str>>, at: usize) -> Result<Expansion, Wrong> {
        match self.scan.peek() {
            Some('(') => self.bracketed(')', language, at),
            Some('[') => {
                let body = self.bracketed(']', language, at)?;
                let repeat = Repeat { body, least: 0, most: Some(1), probability: None };
                Ok(Expansion::Repeat(Box::new(repeat)))
            }
            Some('$') => self.reference(at),
            Some('{') => {
                let tag = self.scan.tag()?;
                Ok(self.to.tag(tag, at))
            }
            Some('"') => {
                let text = self.scan.quoted()?;
                self.token(text, language, at)
            }
            Some(first) if is_token_part(first) && first != '\'' => {
                let text = self.scan.bare_token();
                self.token(text, language, at)
            }
            Some('\'') => {
                self.scan.quoted()?;
                self.to.mistake(at, "tokens stand in double quotation marks, or in none");
                Ok(Expansion::Null)
            }
            Some(c @ ('=' | '}')) => {
                wrong(at, format!("{c} means nothing here; as part of a token it stands in \"\""))
            }
            Some(c) => {
                self.scan.back_to(at + c.len_utf8());
                let message =
                    format!("{c} means nothing here; as part of a token it stands in \"\"");
                self.to.mistake(at, message);
                Ok(Expansion::Null)
            }
            None => wrong(at, "here is the end of the text, in the middle of a rule"),
        }
    }

    /// `( … )` or `[ … ]`, and perhaps a language, which holds for all in it.
    fn bracketed(
        &mut self,
        end: char,
        language: Option<&Arc<str>>,
        at: usize,
    ) -> Result<Expansion, Wrong> {
        if self.depth >= DEPTH_MAX {
            return wrong(at, format!("brackets nested deeper than {DEPTH_MAX}"));
        }
        self.depth += 1;
        self.scan.back_to(at + 1);
        self.scan.blank()?;
        if end == ')' && self.scan.eat(")") {
            self.depth -= 1;
            return Ok(Expansion::Null);
        }
        let mut body = self.alternatives_in(language)?;
        self.scan.expect(end, "a bracket without its other one")?;
        self.depth -= 1;
        if let Some(own) = self.language()? {
            speak(&mut body, language, &own);
        }
        Ok(body)
    }

    fn reference(&mut self, at: usize) -> Result<Expansion, Wrong> {
        if self.scan.rest().starts_with("$<") {
            self.scan.back_to(at + 1);
            let uri = self.scan.uri()?;
            let media_type = self.scan.media_type()?;
            // Drafts of the standard let a reference say its language; it changes nothing.
            self.language()?;
            let reference = self.to.reference(uri, media_type.as_deref(), at);
            return Ok(reference.unwrap_or(Expansion::Null));
        }
        let name = self.scan.rule_name()?;
        self.language()?;
        Ok(match name {
            "NULL" => Expansion::Null,
            "VOID" => Expansion::Void,
            "GARBAGE" => Expansion::Garbage,
            _ => {
                let target = self.to.local(name, at);
                let at: At = self.to.at(at);
                Expansion::Reference(Reference { target, at })
            }
        })
    }

    fn token(
        &mut self,
        text: &str,
        language: Option<&Arc<str>>,
        at: usize,
    ) -> Result<Expansion, Wrong> {
        let own = self.language()?;
        let mut parts = Vec::new();
        self.to.token(text, own.as_ref().or(language), at, &mut parts);
        Ok(Expansion::sequence(parts))
    }

    /// `!language`, where there is one.
    fn language(&mut self) -> Result<Option<Arc<str>>, Wrong> {
        let before = self.scan.at();
        self.scan.blank()?;
        if !self.scan.eat("!") {
            self.scan.back_to(before);
            return Ok(None);
        }
        let at = self.scan.at();
        let tag = self.scan.name_token("a language, as in: oui!fr")?;
        Ok(self.to.language_tag(tag, at))
    }

    /// `<n>`, `<n-m>`, `<n->`, perhaps with `/probability/`.
    fn repeated(&mut self, body: Expansion) -> Result<Expansion, Wrong> {
        self.scan.blank()?;
        let at = self.scan.at();
        if !self.scan.eat("<") {
            return Ok(body);
        }
        self.scan.blank()?;
        let range = self.scan.take_while(|c| c.is_ascii_digit() || c == '-');
        let (least, most) = repeat_range(range).unwrap_or_else(|| {
            let message = format!("the repeat <{range}>; it is written as <3>, <2-4> or <1->");
            self.to.mistake(at, message);
            (1, Some(1))
        });
        self.scan.blank()?;
        let mut probability = None;
        if self.scan.peek() == Some('/') {
            let text = self.scan.between_slashes()?;
            probability = simple_number(text).filter(|number| *number <= 1.0);
            if probability.is_none() {
                let message = format!("the probability /{text}/; it is from 0.0 to 1.0");
                self.to.mistake(at, message);
            }
            self.scan.blank()?;
        }
        self.scan.expect('>', "a repeat is written as <3>, <2-4> or <1->")?;
        self.scan.blank()?;
        if self.scan.peek() == Some('<') {
            let at = self.scan.at();
            return wrong(at, "a second repeat; put brackets around the first");
        }
        Ok(Expansion::Repeat(Box::new(Repeat { body, least, most, probability })))
    }
}

/// Gives a language to all tokens that have none of their own, only that of around.
fn speak(expansion: &mut Expansion, around: Option<&Arc<str>>, own: &Arc<str>) {
    match expansion {
        Expansion::Token(token) => {
            if token.language.as_ref() == around {
                token.language = Some(Arc::clone(own));
            }
        }
        Expansion::OneOf(choices) => {
            choices.iter_mut().for_each(|choice| speak(&mut choice.expansion, around, own));
        }
        Expansion::Repeat(repeat) => speak(&mut repeat.body, around, own),
        Expansion::Sequence(parts) => parts.iter_mut().for_each(|part| speak(part, around, own)),
        Expansion::Garbage
        | Expansion::Null
        | Expansion::Reference(_)
        | Expansion::Tag(_)
        | Expansion::Void => {}
    }
}
