//! What a prompt says: its parts as texts, sounds and SSML (VoiceXML 2.0 §4.1, SSML 1.0).
//!
//! Sounds, pauses and marks stand between texts, so that a text with markup around them is cut
//! there: its elements end before and begin again behind.

use url::Url;

use super::document::{FetchRule, Foreach, Given, Part, Plain, Prompt};
use super::fault::Fault;
use super::place::Place;
use super::prompt::resolve;
use super::property::Properties;
use super::read::{escaped, squeeze};
use super::record::recording_of;
use super::scope::{Level, Scopes};
use super::value::Value;
use crate::step;

/// What a prompt is made of besides its own text.
pub(crate) struct Surroundings<'s> {
    /// What relative addresses resolve against.
    pub(crate) base: Option<&'s Url>,
    pub(crate) language: Option<&'s str>,
    pub(crate) properties: Properties<'s>,
    /// Words and keys of the choices at hand; `None` outside of menus and option fields.
    pub(crate) choices: Option<Vec<(String, String)>>,
    /// Loops that are under way around it.
    pub(crate) loops: usize,
}

/// What a prompt says now.
pub(crate) fn render(
    prompt: &Prompt,
    around: &Surroundings<'_>,
    scopes: &mut Scopes,
) -> Result<Vec<step::Prompt>, Fault> {
    let language = prompt.language.as_deref().or(around.language);
    let mut renderer = Renderer {
        around,
        base: prompt.base.as_ref().or(around.base),
        scopes,
        loops: around.loops,
        text: String::new(),
        ssml: String::new(),
        marked: false,
        open: Vec::new(),
        language: language.map(str::to_owned),
        out: Vec::new(),
    };
    renderer.parts(&prompt.parts)?;
    renderer.flush();
    Ok(renderer.out)
}

struct Renderer<'r, 's> {
    around: &'r Surroundings<'s>,
    base: Option<&'r Url>,
    scopes: &'r mut Scopes,
    loops: usize,
    /// Text not yet made a prompt, plain and with markup.
    text: String,
    ssml: String,
    /// Whether there is markup in it.
    marked: bool,
    /// Elements that stand open: start tag and name.
    open: Vec<(String, String)>,
    language: Option<String>,
    out: Vec<step::Prompt>,
}

impl Renderer<'_, '_> {
    fn parts(&mut self, parts: &[Part]) -> Result<(), Fault> {
        parts.iter().try_for_each(|part| self.part(part))
    }

    fn part(&mut self, part: &Part) -> Result<(), Fault> {
        match part {
            Part::Audio { source, fetch, fallback, place } => {
                let Some(address) = self.address(source)? else {
                    return Ok(());
                };
                let rule = self.around.properties.fetch("audio", fetch)?;
                self.audio(&address, &rule, fallback, place)
            }
            Part::Break(pause) => {
                self.flush();
                if !pause.is_zero() {
                    self.out.push(step::Prompt::Silence(*pause));
                }
                Ok(())
            }
            Part::Enumerate { template, place } => self.enumerate(template.as_deref(), place),
            Part::Foreach(foreach) => self.foreach(foreach),
            Part::Mark(name) => {
                let name = match name {
                    Given::Literal(name) => name.clone(),
                    Given::Expr(expr) => self.scopes.evaluate(expr)?.to_text(),
                };
                self.flush();
                self.out.push(step::Prompt::Mark(name));
                Ok(())
            }
            Part::Markup { name, start, parts, plain } => self.markup(name, start, parts, plain),
            Part::Spoken { language, parts } => {
                self.flush();
                let outer = self.language.replace(language.clone());
                self.parts(parts)?;
                self.flush();
                self.language = outer;
                Ok(())
            }
            Part::Text(text) => {
                self.say(text);
                Ok(())
            }
            Part::Value(expr) => {
                let text = self.scopes.evaluate(expr)?.to_text();
                match recording_of(&text) {
                    Some(recording) => {
                        self.flush();
                        let fallback = Vec::new();
                        self.out.push(step::Prompt::Recording { recording, fallback });
                    }
                    None => self.say(&text),
                }
                Ok(())
            }
        }
    }

    fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.ssml.push_str(&escaped(text));
    }

    /// Where audio is; `None` where its expression says there is none.
    fn address(&mut self, source: &Given) -> Result<Option<String>, Fault> {
        Ok(match source {
            Given::Literal(address) => Some(address.clone()),
            Given::Expr(expr) => match self.scopes.evaluate(expr)? {
                Value::Undefined => None,
                value => Some(value.to_text()),
            },
        })
    }

    fn audio(
        &mut self,
        address: &str,
        rule: &FetchRule,
        fallback: &[Part],
        place: &Place,
    ) -> Result<(), Fault> {
        self.flush();
        let outer = std::mem::take(&mut self.out);
        self.parts(fallback)?;
        self.flush();
        let fallback = std::mem::replace(&mut self.out, outer);
        if let Some(recording) = recording_of(address) {
            self.out.push(step::Prompt::Recording { recording, fallback });
            return Ok(());
        }
        match (resolve(self.base, address), fallback.is_empty()) {
            (Ok(url), _) => self.out.push(step::Prompt::Audio {
                url,
                timeout: rule.timeout,
                maxage_s: rule.maxage_s,
                maxstale_s: rule.maxstale_s,
                fallback,
            }),
            // An address that leads nowhere is audio that cannot be had.
            (Err(_), false) => self.out.extend(fallback),
            (Err(fault), true) => return Err(fault.at(place)),
        }
        Ok(())
    }

    fn markup(
        &mut self,
        name: &str,
        start: &str,
        parts: &[Part],
        plain: &Plain,
    ) -> Result<(), Fault> {
        self.ssml.push_str(start);
        self.open.push((start.to_owned(), name.to_owned()));
        self.marked = true;
        match plain {
            Plain::Alias(alias) => {
                let before = self.text.len();
                self.parts(parts)?;
                self.text.truncate(before);
                self.text.push_str(alias);
            }
            Plain::Apart => {
                self.text.push(' ');
                self.parts(parts)?;
                self.text.push(' ');
            }
            Plain::Same => self.parts(parts)?,
            Plain::Spelled => {
                let outer = std::mem::take(&mut self.text);
                self.parts(parts)?;
                let inner = std::mem::replace(&mut self.text, outer);
                self.text.push(' ');
                for c in inner.chars().filter(|c| !c.is_whitespace()) {
                    self.text.push(c);
                    self.text.push(' ');
                }
            }
        }
        self.open.pop();
        self.ssml.push_str(&format!("</{name}>"));
        Ok(())
    }

    /// Its parts for each element of an array as it is now (VoiceXML 2.1 §6).
    fn foreach(&mut self, foreach: &Foreach<Vec<Part>>) -> Result<(), Fault> {
        let level = self.scopes.innermost();
        let depth = self.loops;
        let length = self.scopes.begin_loop(depth, &foreach.array)?;
        self.loops += 1;
        for at in 0..length {
            let turned = self.scopes.turn_loop(depth, at, level, &foreach.item);
            turned.map_err(|fault| fault.at(&foreach.place))?;
            self.parts(&foreach.content)?;
        }
        self.loops -= 1;
        Ok(())
    }

    /// Every choice, as the template says it (§2.2.4).
    fn enumerate(&mut self, template: Option<&[Part]>, place: &Place) -> Result<(), Fault> {
        let Some(choices) = self.around.choices.clone() else {
            let message = "<enumerate> stands where there are no choices and no options";
            return Err(Fault::semantic(message).at(place));
        };
        let own_scope = !self.scopes.is_open(Level::Anonymous);
        if own_scope {
            self.scopes.open(Level::Anonymous)?;
        }
        for (words, keys) in choices {
            match template {
                // What has no words is not read out.
                None if words.is_empty() => {}
                None if keys.is_empty() => self.say(&format!(" {words}. ")),
                None => self.say(&format!(" For {words}, press {}. ", spaced(&keys))),
                Some(template) => {
                    self.scopes.set(Level::Anonymous, "_prompt", Value::text(words))?;
                    self.scopes.set(Level::Anonymous, "_dtmf", Value::text(keys))?;
                    self.parts(template)?;
                    self.say(" ");
                }
            }
        }
        if own_scope {
            self.scopes.close(Level::Anonymous)?;
        }
        Ok(())
    }

    /// Makes the text so far a prompt.
    fn flush(&mut self) {
        let text = squeeze(&std::mem::take(&mut self.text));
        let mut ssml = std::mem::take(&mut self.ssml);
        let language = self.language.clone();
        if !text.is_empty() {
            self.out.push(if self.marked {
                for (_, name) in self.open.iter().rev() {
                    ssml.push_str(&format!("</{name}>"));
                }
                step::Prompt::Markup { ssml: squeeze(&ssml), text, language }
            } else {
                step::Prompt::Speech { text, language }
            });
        }
        self.ssml = self.open.iter().map(|(start, _)| start.as_str()).collect();
        self.marked = !self.open.is_empty();
    }
}

/// Keys as they are read out.
fn spaced(keys: &str) -> String {
    let words = keys.chars().map(|key| match key {
        '*' => "star".to_owned(),
        '#' => "pound".to_owned(),
        key => key.to_string(),
    });
    words.collect::<Vec<_>>().join(" ")
}
