//! Events: which handler takes which, how often each came, and the handlers of last resort
//! (VoiceXML 2.0 §5.2).

use std::collections::HashMap;
use std::sync::Arc;

use super::document::{Act, Block, Catch, Expr, Part, Prompt, Statement};
use super::place::Place;

/// An event that was thrown.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) message: Option<String>,
}

/// The callee is gone (VoiceXML 2.0 §5.2.6).
pub(crate) const HANG_UP: &str = "connection.disconnect.hangup";

/// The callee was handed over to somebody else.
pub(crate) const TRANSFERRED: &str = "connection.disconnect.transfer";

/// How often events came, by name and by each prefix of their names (§5.2.2).
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(HashMap<String, u32>);

impl Counters {
    /// Counts an event.
    pub(crate) fn count(&mut self, event: &str) {
        let ends = event.match_indices('.').map(|(at, _)| at);
        for end in std::iter::once(0).chain(ends).chain([event.len()]) {
            *self.0.entry(event[..end].to_owned()).or_default() += 1;
        }
    }

    /// How often an event of this name or below it came; of any, for the empty name.
    fn of(&self, name: &str) -> u32 {
        self.0.get(name).copied().unwrap_or(0)
    }
}

/// A handler that may take an event.
pub(crate) struct Candidate {
    pub(crate) count: u32,
    pub(crate) cond: Option<Expr>,
    pub(crate) content: Block,
    pub(crate) place: Place,
}

/// Those of these handlers, of one scope, whose name and count fit the event.
pub(crate) fn fitting<'c>(
    catches: &'c [Catch],
    event: &'c str,
    counters: &'c Counters,
) -> impl Iterator<Item = Candidate> + 'c {
    catches.iter().filter(move |catch| fits(catch, event, counters)).map(|catch| Candidate {
        count: catch.count,
        cond: catch.cond.clone(),
        content: Arc::clone(&catch.content),
        place: catch.place.clone(),
    })
}

fn fits(catch: &Catch, event: &str, counters: &Counters) -> bool {
    let reached = |name: &str| covers(name, event) && catch.count <= counters.of(name);
    if catch.events.is_empty() {
        return reached("");
    }
    catch.events.iter().any(|name| reached(name))
}

/// Whether a handler's name takes an event: it is its name, or a prefix of it by whole words.
fn covers(name: &str, event: &str) -> bool {
    match event.strip_prefix(name) {
        Some(rest) => name.is_empty() || rest.is_empty() || rest.starts_with('.'),
        None => false,
    }
}

/// Of the handlers left, the first of those with the highest count (§5.2.4).
pub(crate) fn best(candidates: Vec<Candidate>) -> Option<Candidate> {
    let highest = candidates.iter().map(|candidate| candidate.count).max()?;
    candidates.into_iter().find(|candidate| candidate.count == highest)
}

/// What is done where no document handles an event (§5.2.5).
pub(crate) fn default_handler(event: &str, language: Option<&str>) -> Candidate {
    let is = |name: &str| covers(name, event);
    let (message, act) = if is("cancel") {
        (None, None)
    } else if is("exit") || is("connection.disconnect") {
        (None, Some(exit()))
    } else if is("noinput") {
        (None, Some(Act::Reprompt))
    } else if is("nomatch") || is("maxspeechtimeout") {
        (Some("Sorry, I did not understand that."), Some(Act::Reprompt))
    } else if is("help") {
        (Some("Sorry, there is no help here."), Some(Act::Reprompt))
    } else if is("error.noresource") || is("error.unsupported.language") {
        // Without a voice there is nothing to be said.
        (None, Some(exit()))
    } else {
        (Some("Sorry, an error has occurred. Goodbye."), Some(exit()))
    };
    // An English sentence in a call in another language helps nobody.
    let english = language.is_none_or(|language| language.to_ascii_lowercase().starts_with("en"));
    let place = Place::platform();
    let spoken = message.filter(|_| english).map(|text| Act::Prompt(Arc::new(say(text, &place))));
    let acts = spoken.into_iter().chain(act);
    let statements = acts.map(|act| Statement { act, place: place.clone() });
    Candidate {
        count: 1,
        cond: None,
        content: statements.collect::<Vec<_>>().into(),
        place: place.clone(),
    }
}

fn exit() -> Act {
    Act::Exit { expr: None, names: Vec::new() }
}

fn say(text: &str, place: &Place) -> Prompt {
    Prompt::bare(vec![Part::Text(text.to_owned())], place.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catch(events: &str, count: u32) -> Catch {
        Catch {
            events: events.split_whitespace().map(str::to_owned).collect(),
            count,
            cond: None,
            content: Arc::from(Vec::new()),
            place: Place { source: Arc::from(events), row: count, column: 1 },
        }
    }

    fn chosen(catches: &[Catch], events: &[&str]) -> String {
        let mut counters = Counters::default();
        events.iter().for_each(|event| counters.count(event));
        let event = events.last().copied().unwrap_or_default();
        let fit = fitting(catches, event, &counters).collect();
        best(fit).map_or("none".to_owned(), |candidate| candidate.place.to_string())
    }

    #[test]
    fn names_match_by_whole_words_and_the_empty_name_takes_all() {
        let catches = [catch("error.bad", 1), catch("error.badfetch.http", 1), catch("", 1)];
        assert_eq!(chosen(&catches, &["error.badfetch.http.404"]), "error.badfetch.http:1:1");
        assert_eq!(chosen(&catches, &["error.badfetch"]), ":1:1");
    }

    #[test]
    fn the_highest_count_reached_wins_and_among_equals_the_first() {
        let catches = [catch("nomatch", 1), catch("noinput nomatch", 3), catch("nomatch", 3)];
        assert_eq!(chosen(&catches, &["nomatch"; 2]), "nomatch:1:1");
        assert_eq!(chosen(&catches, &["nomatch"; 4]), "noinput nomatch:3:1");
        assert_eq!(chosen(&catches, &["nomatch", "nomatch", "noinput"]), "none");
    }

    #[test]
    fn counts_hold_for_prefixes_of_the_name() {
        let catches = [catch("error", 1), catch("error", 2), catch("", 3)];
        assert_eq!(chosen(&catches, &["error.semantic", "error.badfetch"]), "error:2:1");
        assert_eq!(chosen(&catches, &["help", "exit", "error"]), ":3:1");
    }
}
