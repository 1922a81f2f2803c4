//! How often one number may be called: rolling windows, gaps, the rest after a conversation.

use std::fmt;
use std::time::Duration;

use jiff::ToSpan;

use crate::applies::Applies;
use crate::dated::Provenance;
use crate::time::Timestamp;
use crate::zones::Zone;

/// A cap on the calls to one number, by law or by the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Its name, which a refusal tells: `us-fl-attempts`.
    pub name: String,
    /// Where it holds by itself.
    pub applies: Applies,
    /// Whether it holds only where a campaign asks for it by name, as the rule on debts does.
    pub when_asked: bool,
    /// What it says, in words.
    pub about: String,
    /// What it limits; all of it holds.
    pub limits: Vec<Limit>,
    /// The table it stands in.
    pub provenance: Provenance,
}

/// One limit on the calls to one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// No call for so many days in a row after a conversation, whose day is the first of them
    /// (12 CFR 1006.14(b)(2)(i)(B)), by the clocks of every zone that the callee may be in.
    AfterConversation {
        /// Days, the day of the conversation included.
        days: u16,
    },
    /// At most so many calls begun within any such time.
    Calls {
        /// Calls that are permitted.
        calls_max: u32,
        /// The rolling window.
        within: Duration,
    },
    /// At least so long from the end of a call to the beginning of the next.
    Gap {
        /// The gap.
        at_least: Duration,
    },
}

/// A call of the past to or from one number, whoever placed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastCall {
    /// When it began.
    pub begun_at: Timestamp,
    /// When it ended; none while it lasts, or where that is not known.
    pub ended_at: Option<Timestamp>,
    /// Whether it counts as a call placed. A call that came in does not, nor one that the callee
    /// asked for; a conversation in it counts all the same.
    pub is_counted: bool,
    /// Whether a person was talked with.
    pub is_conversation: bool,
}

/// Why a number may not be called yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotBefore {
    /// Name of the cap that holds the longest.
    pub rule: String,
    /// Table and date of the cap; empty for a campaign's own.
    pub version: String,
    /// The limit of it.
    pub limit: Limit,
    /// Calls that counted against it.
    pub seen: u32,
    /// First moment at which no cap forbids.
    pub until: Timestamp,
}

/// When a number may be called again by all `caps`: `None` is now.
///
/// `past` are calls in any order; one that begins after `now` (clocks differ) counts like others.
/// `zones` are those that the callee may be in; days are counted by the one that ends them last.
/// No call in between makes the moment later: it is exact for this past.
pub fn next_allowed<'a>(
    past: &[PastCall],
    now: Timestamp,
    caps: impl IntoIterator<Item = &'a Cap>,
    zones: &[Zone],
) -> Option<NotBefore> {
    let mut latest: Option<NotBefore> = None;
    for cap in caps {
        for limit in &cap.limits {
            let Some((until, seen)) = limit.free_at(past, zones) else {
                continue;
            };
            if until > now && latest.as_ref().is_none_or(|latest| latest.until < until) {
                let (rule, version) = (cap.name.clone(), cap.version());
                latest = Some(NotBefore { rule, version, limit: *limit, seen, until });
            }
        }
    }
    latest
}

impl Cap {
    /// A campaign's own cap.
    pub fn own(name: &str, limits: Vec<Limit>) -> Self {
        Self {
            name: name.to_owned(),
            applies: Applies::default(),
            when_asked: true,
            about: String::new(),
            limits,
            provenance: Provenance::default(),
        }
    }

    /// Table and date, as a refusal names them; empty for a campaign's own.
    pub fn version(&self) -> String {
        if self.provenance.file.is_empty() { String::new() } else { self.provenance.label() }
    }

    /// How far back calls matter to it; whoever reads the past needs to read no more.
    pub fn looks_back(&self) -> Duration {
        self.limits.iter().map(Limit::looks_back).max().unwrap_or_default()
    }
}

impl Limit {
    /// Reads `calls 3 in 24h`, `gap 4h` or `after-conversation 7 days`.
    pub fn parse(text: &str) -> Result<Self, CapError> {
        let unclear = || CapError::Unclear(text.to_owned());
        let words: Vec<&str> = text.split_whitespace().collect();
        let limit = match *words.as_slice() {
            ["calls", calls_max, "in", within] => Self::Calls {
                calls_max: calls_max.parse().map_err(|_| unclear())?,
                within: duration(within).ok_or_else(unclear)?,
            },
            ["gap", at_least] => Self::Gap { at_least: duration(at_least).ok_or_else(unclear)? },
            ["after-conversation", days, "day" | "days"] => {
                Self::AfterConversation { days: days.parse().map_err(|_| unclear())? }
            }
            _ => return Err(unclear()),
        };
        match limit {
            // Never is said by stopping, not by a cap; and what is longer than a year is a slip.
            Self::Calls { calls_max: 0, .. } => Err(unclear()),
            limit if limit.looks_back() > LOOKS_BACK_MAX => Err(CapError::TooLong(text.to_owned())),
            limit => Ok(limit),
        }
    }

    /// How far back calls matter to it.
    pub const fn looks_back(&self) -> Duration {
        match self {
            // A day more for the zone, and one for a day of 25 hours.
            Self::AfterConversation { days } => Duration::from_secs((*days as u64 + 2) * DAY_S),
            Self::Calls { within, .. } => *within,
            Self::Gap { at_least } => Duration::from_secs(at_least.as_secs() + CALL_S_MAX),
        }
    }

    /// First moment at which it no longer forbids, and the calls that it counted.
    fn free_at(&self, past: &[PastCall], zones: &[Zone]) -> Option<(Timestamp, u32)> {
        match *self {
            Self::AfterConversation { days } => {
                let talks = past.iter().filter(|call| call.is_conversation);
                let ends: Vec<Timestamp> =
                    talks.filter_map(|call| rest_ends(call.last_seen(), days, zones)).collect();
                Some((ends.iter().max().copied()?, count(ends.len())))
            }
            Self::Calls { calls_max, within } => {
                let counted = past.iter().filter(|call| call.is_counted);
                let mut begun: Vec<Timestamp> = counted.map(|call| call.begun_at).collect();
                let nth = usize::try_from(calls_max).unwrap_or(usize::MAX).checked_sub(1)?;
                if begun.len() <= nth {
                    return None;
                }
                // It is free when so many calls before the last are out of the window.
                begun.sort_unstable_by(|a, b| b.cmp(a));
                let until = begun[nth] + within;
                let seen = begun.iter().filter(|begun| **begun + within >= until).count();
                Some((until, count(seen)))
            }
            Self::Gap { at_least } => {
                let counted = past.iter().filter(|call| call.is_counted);
                let last = counted.map(PastCall::last_seen).max()?;
                Some((last + at_least, 1))
            }
        }
    }
}

impl PastCall {
    fn last_seen(&self) -> Timestamp {
        self.ended_at.map_or(self.begun_at, |ended_at| ended_at.max(self.begun_at))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AfterConversation { days } => write!(f, "after-conversation {days} days"),
            Self::Calls { calls_max, within } => {
                write!(f, "calls {calls_max} in {}", Written(*within))
            }
            Self::Gap { at_least } => write!(f, "gap {}", Written(*at_least)),
        }
    }
}

/// Why a text is no limit. Who wrote it repairs it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapError {
    /// Nothing is limited.
    #[error("a cap limits something: calls 3 in 24h, gap 4h or after-conversation 7 days")]
    Empty,
    /// A window of more than a year.
    #[error("{0:?} looks back for more than a year")]
    TooLong(String),
    /// It is none of the forms.
    #[error("{0:?} is not understood: write calls 3 in 24h, gap 4h or after-conversation 7 days")]
    Unclear(String),
}

/// Rows of a cap that is being read.
#[derive(Debug, Default)]
pub(crate) struct CapReader {
    limits: Vec<Limit>,
    when_asked: bool,
}

impl CapReader {
    pub(crate) fn row(&mut self, row: &str) -> Result<(), CapError> {
        if row == "when asked" {
            self.when_asked = true;
        } else {
            self.limits.push(Limit::parse(row)?);
        }
        Ok(())
    }

    /// Limits, and whether they hold only when asked for.
    pub(crate) fn finish(self) -> Result<(Vec<Limit>, bool), CapError> {
        if self.limits.is_empty() {
            Err(CapError::Empty)
        } else {
            Ok((self.limits, self.when_asked))
        }
    }
}

/// Seconds of a day of 24 hours.
const DAY_S: u64 = 86_400;
/// Longest call whose end may lie after a window's beginning, in seconds.
const CALL_S_MAX: u64 = 86_400;
/// Furthest that a limit may look back: a year and a day.
const LOOKS_BACK_MAX: Duration = Duration::from_secs(367 * DAY_S);

/// When the days of rest after a conversation at `at` are over in every zone.
fn rest_ends(at: Timestamp, days: u16, zones: &[Zone]) -> Option<Timestamp> {
    let utc = [Zone::utc()];
    let zones = if zones.is_empty() { &utc } else { zones };
    let ends = zones.iter().filter_map(|zone| {
        let free_day = zone.local(at).date().checked_add(i32::from(days).days()).ok()?;
        zone.day_begins(free_day)
    });
    ends.max()
}

fn count(calls: usize) -> u32 {
    u32::try_from(calls).unwrap_or(u32::MAX)
}

/// `90s`, `15m`, `24h`, `7d`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => DAY_S,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    let number: u64 = digits.then(|| number.parse().ok()).flatten()?;
    Some(Duration::from_secs(number.checked_mul(seconds)?)).filter(|duration| !duration.is_zero())
}

/// A duration as [`duration`] reads it.
struct Written(Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            // A day of window is usually said in hours.
            s if s.is_multiple_of(DAY_S) && s > DAY_S => write!(f, "{}d", s / DAY_S),
            s if s.is_multiple_of(3_600) => write!(f, "{}h", s / 3_600),
            s if s.is_multiple_of(60) => write!(f, "{}m", s / 60),
            s => write!(f, "{s}s"),
        }
    }
}

#[cfg(test)]
mod tests;
