//! Prompts: which to play, what they say, and the row of those waiting to be played
//! (VoiceXML 2.0 §4.1).

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::document::{Given, Part, Prompt};
use super::fault::Fault;
use super::limits::Limits;
use super::place::Place;
use super::property::Properties;
use super::read::squeeze;
use super::scope::{Level, Scopes};
use super::value::Value;
use crate::step;

/// Prompts waiting to be played, in order.
#[derive(Debug, Default)]
pub(crate) struct PromptQueue {
    waiting: Vec<Waiting>,
    count: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting {
    bargein: bool,
    timeout: Option<Duration>,
    prompts: Vec<step::Prompt>,
}

impl PromptQueue {
    pub(crate) fn push(
        &mut self,
        bargein: bool,
        timeout: Option<Duration>,
        prompts: Vec<step::Prompt>,
        limits: &Limits,
    ) -> Result<(), Fault> {
        self.count += prompts.len();
        self.bytes += prompts.iter().map(bytes).sum::<usize>();
        if self.count > limits.prompts_max {
            let message =
                format_args!("more than {} prompts wait to be played", limits.prompts_max);
            return Err(Fault::limit("prompts_max", message));
        }
        if self.bytes > limits.prompt_bytes_max {
            let max = limits.prompt_bytes_max;
            let message = format_args!("more than {max} bytes of prompts wait to be played");
            return Err(Fault::limit("prompt_bytes_max", message));
        }
        self.waiting.push(Waiting { bargein, timeout, prompts });
        Ok(())
    }

    /// Whether some of them must not be interrupted.
    pub(crate) fn holds_the_floor(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.bargein && !waiting.prompts.is_empty())
    }

    /// How long to wait for input after them: what the last of them says.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.waiting.last().and_then(|last| last.timeout)
    }

    /// Takes them all, in groups that may or may not be interrupted as a whole.
    pub(crate) fn take(&mut self) -> Vec<(bool, Vec<step::Prompt>)> {
        let mut groups: Vec<(bool, Vec<step::Prompt>)> = Vec::new();
        for waiting in std::mem::take(self).waiting {
            if waiting.prompts.is_empty() {
                continue;
            }
            match groups.last_mut() {
                Some((bargein, prompts)) if *bargein == waiting.bargein => {
                    prompts.extend(waiting.prompts);
                }
                _ => groups.push((waiting.bargein, waiting.prompts)),
            }
        }
        groups
    }
}

fn bytes(prompt: &step::Prompt) -> usize {
    match prompt {
        step::Prompt::Audio { url, fallback, .. } => {
            url.as_str().len() + fallback.iter().map(bytes).sum::<usize>()
        }
        step::Prompt::Silence(_) => 0,
        step::Prompt::Speech { text, .. } => text.len(),
    }
}

/// The prompts of an item to be played at its nth visit: of those that may be, the ones of the
/// highest count that is not above n (§4.1.6).
pub(crate) fn tapered(
    prompts: &[Arc<Prompt>],
    visit: u32,
    scopes: &mut Scopes,
) -> Result<Vec<Arc<Prompt>>, Fault> {
    let mut held = Vec::new();
    for prompt in prompts {
        if prompt.count <= visit && scopes.holds(prompt.cond.as_ref())? {
            held.push(Arc::clone(prompt));
        }
    }
    let highest = held.iter().map(|prompt| prompt.count).max().unwrap_or(0);
    held.retain(|prompt| prompt.count == highest);
    Ok(held)
}

/// What a prompt is made of besides its own text.
pub(crate) struct Surroundings<'s> {
    /// What relative addresses resolve against.
    pub(crate) base: Option<&'s Url>,
    pub(crate) language: Option<&'s str>,
    pub(crate) properties: Properties<'s>,
    /// Words and keys of the choices at hand; `None` outside of menus and option fields.
    pub(crate) choices: Option<Vec<(String, String)>>,
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
        text: String::new(),
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
    /// Text not yet made a prompt.
    text: String,
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
                self.audio(&address, rule.timeout, fallback, place)
            }
            Part::Break(pause) => {
                self.flush();
                if !pause.is_zero() {
                    self.out.push(step::Prompt::Silence(*pause));
                }
                Ok(())
            }
            Part::Enumerate { template, place } => self.enumerate(template.as_deref(), place),
            Part::Spelled(parts) => self.spelled(parts),
            Part::Spoken { language, parts } => {
                self.flush();
                let outer = self.language.replace(language.clone());
                self.parts(parts)?;
                self.flush();
                self.language = outer;
                Ok(())
            }
            Part::Text(text) => {
                self.text.push_str(text);
                Ok(())
            }
            Part::Unsupported { element, place } => Err(not_built(element).at(place)),
            Part::Value(expr) => {
                let value = self.scopes.evaluate(expr)?;
                self.text.push_str(&value.to_text());
                Ok(())
            }
        }
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
        timeout: Option<Duration>,
        fallback: &[Part],
        place: &Place,
    ) -> Result<(), Fault> {
        self.flush();
        let outer = std::mem::take(&mut self.out);
        self.parts(fallback)?;
        self.flush();
        let fallback = std::mem::replace(&mut self.out, outer);
        match (resolve(self.base, address), fallback.is_empty()) {
            (Ok(url), _) => self.out.push(step::Prompt::Audio { url, timeout, fallback }),
            // An address that leads nowhere is audio that cannot be had.
            (Err(_), false) => self.out.extend(fallback),
            (Err(fault), true) => return Err(fault.at(place)),
        }
        Ok(())
    }

    fn spelled(&mut self, parts: &[Part]) -> Result<(), Fault> {
        let outer = std::mem::take(&mut self.text);
        self.parts(parts)?;
        let inner = std::mem::replace(&mut self.text, outer);
        self.text.push(' ');
        for c in inner.chars().filter(|c| !c.is_whitespace()) {
            self.text.push(c);
            self.text.push(' ');
        }
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
                None if keys.is_empty() => self.text.push_str(&format!(" {words}. ")),
                None => self.text.push_str(&format!(" For {words}, press {}. ", spaced(&keys))),
                Some(template) => {
                    self.scopes.set(Level::Anonymous, "_prompt", Value::text(words))?;
                    self.scopes.set(Level::Anonymous, "_dtmf", Value::text(keys))?;
                    self.parts(template)?;
                    self.text.push(' ');
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
        if !text.is_empty() {
            self.out.push(step::Prompt::Speech { text, language: self.language.clone() });
        }
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

/// What a document asks for that this machine does not do.
pub(crate) fn not_built(element: &str) -> Fault {
    Fault::unsupported(element, format!("<{element}> is not supported"))
}

/// An address, absolute, with its fragment.
pub(crate) fn resolve(base: Option<&Url>, address: &str) -> Result<Url, Fault> {
    let address = address.trim();
    let resolved = match base {
        Some(base) => base.join(address),
        None => Url::parse(address),
    };
    resolved.map_err(|error| {
        let hint = match (base, error) {
            (None, url::ParseError::RelativeUrlWithoutBase) => {
                "the document came without an address of its own, so it must be absolute"
            }
            _ => "it would be as http://host/path",
        };
        Fault::bad_fetch(format!("\"{address}\" is no address ({error}); {hint}"))
    })
}
