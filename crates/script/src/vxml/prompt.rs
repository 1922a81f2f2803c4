//! Prompts: which to play, those waiting to be played, and those that are (VoiceXML 2.0 §4.1).
//!
//! [`render`](super::render) says what is in them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::document::Prompt;
use super::fault::Fault;
use super::limits::Limits;
use super::scope::Scopes;
use crate::step::{self, PlayId};

/// Prompts waiting to be played, in order.
#[derive(Debug, Default)]
pub(crate) struct PromptQueue {
    waiting: Vec<Waiting>,
    count: usize,
    bytes: usize,
}

/// What may interrupt a prompt (VoiceXML 2.0 §4.1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bargein {
    /// Input that matches as a whole; other input is not heard.
    Hotword,
    /// Nothing: it is heard to its end, and input does not count meanwhile.
    Never,
    /// Any input.
    Speech,
}

#[derive(Debug)]
struct Waiting {
    bargein: Bargein,
    timeout: Option<Duration>,
    prompts: Vec<step::Prompt>,
}

/// Prompts that are played, in order, and what may interrupt each.
#[derive(Debug, Default)]
pub(crate) struct Playing(VecDeque<(PlayId, Bargein)>);

impl PromptQueue {
    pub(crate) fn push(
        &mut self,
        bargein: Bargein,
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
        let holds = |waiting: &Waiting| waiting.bargein == Bargein::Never;
        self.waiting.iter().any(|waiting| holds(waiting) && !waiting.prompts.is_empty())
    }

    /// How long to wait for input after them: what the last of them says.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.waiting.last().and_then(|last| last.timeout)
    }

    /// Takes them all, in groups that are interrupted in the same way.
    pub(crate) fn take(&mut self) -> Vec<(Bargein, Vec<step::Prompt>)> {
        let mut groups: Vec<(Bargein, Vec<step::Prompt>)> = Vec::new();
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

impl Playing {
    pub(crate) fn push(&mut self, play: PlayId, bargein: Bargein) {
        self.0.push_back((play, bargein));
    }

    /// This one has ended, and all before it.
    pub(crate) fn ended(&mut self, ended: PlayId) {
        self.0.retain(|(play, _)| *play > ended);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn contains(&self, wanted: PlayId) -> bool {
        self.0.iter().any(|(play, _)| *play == wanted)
    }

    /// What may interrupt the one that is heard now; `None` if none is.
    pub(crate) fn bargein(&self) -> Option<Bargein> {
        self.0.front().map(|(_, bargein)| *bargein)
    }

    /// Whether one of them must be heard to its end.
    pub(crate) fn holds_the_floor(&self) -> bool {
        self.0.iter().any(|(_, bargein)| *bargein == Bargein::Never)
    }
}

fn bytes(prompt: &step::Prompt) -> usize {
    match prompt {
        step::Prompt::Audio { url, fallback, .. } => {
            url.as_str().len() + fallback.iter().map(bytes).sum::<usize>()
        }
        step::Prompt::Mark(name) => name.len(),
        step::Prompt::Markup { ssml, text, .. } => ssml.len() + text.len(),
        step::Prompt::Recording { fallback, .. } => fallback.iter().map(bytes).sum(),
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
