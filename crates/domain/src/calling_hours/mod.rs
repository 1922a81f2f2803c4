//! When a number may be called: the law's hours and the campaign's, in every zone it may be in.
//!
//! Rules are data (`data/*.txt`, docs/calling-hours.md): a [`RuleBook`] holds hours, holidays and
//! caps on attempts, each with its source and date. [`RuleBook::weigh`] is a pure function of the
//! moment and the place.

mod hours;
mod read;
#[cfg(test)]
mod states_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use jiff::civil::Date;

use crate::applies::Applies;
use crate::caps::Cap;
use crate::dated::{DataError, Provenance};
use crate::holidays::Holidays;
use crate::time::Timestamp;
use crate::zones::{Place, Zone};

pub(crate) use hours::HoursReader;
pub use hours::{Hours, HoursError, Look};

/// Hours that somebody set, for people or by law, where they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoursRule {
    /// Its name, which a refusal tells: `us-al-hours`.
    pub name: String,
    /// Where it holds.
    pub applies: Applies,
    /// Whether it is law or only what is usual.
    pub standing: Standing,
    /// What it says, in words.
    pub about: String,
    /// The hours.
    pub hours: Hours,
    /// First local day on which it holds.
    pub valid_from: Option<Date>,
    /// First local day on which it no longer does.
    pub valid_until: Option<Date>,
    /// The table it stands in; its source is the rule's own where it has one.
    pub provenance: Provenance,
}

/// How binding a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// A statute, a regulation or an authority's order.
    Law,
    /// An industry's code or plain usage.
    Practice,
}

/// All rules that are known: hours, holidays, caps.
#[derive(Clone, Debug, Default)]
pub struct RuleBook {
    hours: Vec<HoursRule>,
    holidays: Holidays,
    caps: Vec<Cap>,
    provenance: Vec<Provenance>,
}

/// What one rule says in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoursCheck {
    /// Name of the rule; [`CAMPAIGN_RULE`] is the campaign's own.
    pub rule: String,
    /// Table and date of the rule; empty for the campaign's own.
    pub version: String,
    /// The zone whose clocks were read.
    pub zone: Zone,
    /// What they show, for people: `Sun 2026-11-22 09:14 EST`.
    pub local: String,
    /// The holiday that the day is, where the rule minds holidays.
    pub holiday: Option<String>,
    /// What the rule says.
    pub look: Look,
}

/// Whether a number may be called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Not now.
    NotNow(Refusal),
    /// Every rule permits in every zone.
    Permitted {
        /// First moment at which one may no longer; `None` where no rule holds.
        until: Option<Timestamp>,
    },
}

/// Who refused, why, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What refused: of all that do the one that does so the longest.
    pub check: HoursCheck,
    /// First moment at which every rule permits in every zone; `None` where there is none within
    /// [`AHEAD_MAX`], because the rules and zones have no hour in common.
    pub until: Option<Timestamp>,
}

/// Everything that was looked at, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoursWeighing {
    /// Every rule in every zone.
    pub checks: Vec<HoursCheck>,
    /// What follows.
    pub ruling: Ruling,
}

/// Name under which the campaign's own hours refuse.
pub const CAMPAIGN_RULE: &str = "campaign-hours";
/// How far ahead a permitted moment is looked for.
pub const AHEAD_MAX: Duration = Duration::from_secs(400 * 86_400);
/// Most openings that are tried: two a day for a year, for zones that never agree.
const STEPS_MAX: usize = 800;

static BUILT_IN: LazyLock<RuleBook> = LazyLock::new(|| {
    let files = [
        ("holidays", include_str!("../../data/holidays.txt")),
        ("hours-us", include_str!("../../data/hours-us.txt")),
        ("hours-world", include_str!("../../data/hours-world.txt")),
        ("caps", include_str!("../../data/caps.txt")),
    ];
    files.into_iter().fold(RuleBook::default(), |book, (file, text)| {
        book.with(file, text).expect("the shipped rules are read by a test")
    })
});

impl RuleBook {
    /// The rules that are shipped, read when they are first asked for.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// The same rules and those of a file; a rule of the same name is replaced.
    pub fn with(mut self, file: &str, text: &str) -> Result<Self, DataError> {
        read::read_into(&mut self, file, text)?;
        Ok(self)
    }

    /// Whether a number in `place` may be called at `now`, by law and by the campaign's `own` hours.
    pub fn permitted(&self, now: Timestamp, place: &Place, own: Option<&Hours>) -> Ruling {
        let questions = self.questions(place, own);
        let looks: Vec<Look> = questions.iter().map(|question| question.look(now, self)).collect();
        self.rule(now, &questions, &looks)
    }

    /// The same with every check, for who asks why.
    pub fn weigh(&self, now: Timestamp, place: &Place, own: Option<&Hours>) -> HoursWeighing {
        let questions = self.questions(place, own);
        let looks: Vec<Look> = questions.iter().map(|question| question.look(now, self)).collect();
        let checks = questions.iter().zip(&looks);
        HoursWeighing {
            checks: checks.map(|(question, look)| question.check(now, *look, self)).collect(),
            ruling: self.rule(now, &questions, &looks),
        }
    }

    /// Rules of hours that hold in `place`.
    pub fn rules_for<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = &'a HoursRule> {
        self.hours.iter().filter(move |rule| rule.applies.to(place))
    }

    /// Caps on attempts that hold in `place` by themselves, and those of `asked` names.
    pub fn caps_for(&self, place: &Place, asked: &[String]) -> Vec<&Cap> {
        let holds = |cap: &&Cap| {
            if cap.when_asked { asked.contains(&cap.name) } else { cap.applies.to(place) }
        };
        self.caps.iter().filter(holds).collect()
    }

    /// All rules of hours.
    pub fn hours_rules(&self) -> &[HoursRule] {
        &self.hours
    }

    /// All caps.
    pub fn caps(&self) -> &[Cap] {
        &self.caps
    }

    /// All holidays.
    pub const fn holidays(&self) -> &Holidays {
        &self.holidays
    }

    /// Versions and sources of all files.
    pub fn provenance(&self) -> &[Provenance] {
        &self.provenance
    }

    fn questions<'a>(&'a self, place: &'a Place, own: Option<&'a Hours>) -> Vec<Question<'a>> {
        let mut questions = Vec::new();
        for rule in self.rules_for(place) {
            for zone in zones(&rule.hours, place) {
                questions.push(Question { rule: Some(rule), hours: &rule.hours, zone });
            }
        }
        if let Some(hours) = own {
            for zone in zones(hours, place) {
                questions.push(Question { rule: None, hours, zone });
            }
        }
        questions
    }

    fn rule(&self, now: Timestamp, questions: &[Question<'_>], looks: &[Look]) -> Ruling {
        match Answer::of(looks.iter().copied()) {
            Answer::Open { closes } => Ruling::Permitted { until: closes },
            Answer::Closed { nth, opens } => Ruling::NotNow(Refusal {
                check: questions[nth].check(now, looks[nth], self),
                until: opens.and_then(|opens| self.first_open(now, opens, questions)),
            }),
        }
    }

    /// The first moment from `at` on at which every question is answered with yes.
    ///
    /// Each step goes to the opening of who refuses the longest: nothing before it is open.
    fn first_open(
        &self,
        now: Timestamp,
        mut at: Timestamp,
        questions: &[Question<'_>],
    ) -> Option<Timestamp> {
        for _ in 0..STEPS_MAX {
            if at.since(now) > AHEAD_MAX {
                return None;
            }
            match Answer::of(questions.iter().map(|question| question.look(at, self))) {
                Answer::Open { .. } => return Some(at),
                Answer::Closed { opens, .. } => at = opens?,
            }
        }
        None
    }
}

impl Ruling {
    /// Whether a number may be called now.
    pub const fn is_permitted(&self) -> bool {
        matches!(self, Self::Permitted { .. })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let HoursCheck { rule, zone, local, holiday, .. } = &self.check;
        write!(f, "{rule} does not permit at {local} in {zone}")?;
        if let Some(holiday) = holiday {
            write!(f, ", {holiday}")?;
        }
        match self.until {
            Some(until) => write!(f, "; permitted from {}", zone.told(until)),
            None => write!(f, "; no hour within a year is permitted everywhere it may be"),
        }
    }
}

impl Standing {
    /// The name that is shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Law => "law",
            Self::Practice => "practice",
        }
    }
}

/// One table of hours, to be read by the clocks of one zone.
#[derive(Clone, Copy, Debug)]
struct Question<'a> {
    /// Whose hours they are; the campaign's own without it.
    rule: Option<&'a HoursRule>,
    hours: &'a Hours,
    zone: &'a Zone,
}

impl Question<'_> {
    fn look(&self, at: Timestamp, book: &RuleBook) -> Look {
        let Some(rule) = self.rule else {
            return self.hours.look(at, self.zone, &book.holidays);
        };
        // Outside of the days on which a rule holds it permits everything.
        if let Some(begins) = rule.valid_from.and_then(|date| self.zone.day_begins(date))
            && at < begins
        {
            return Look::Open { closes: begins };
        }
        let ends = rule.valid_until.and_then(|date| self.zone.day_begins(date));
        if ends.is_some_and(|ends| ends <= at) {
            return Look::Open { closes: Timestamp::from_millis(i64::MAX) };
        }
        match self.hours.look(at, self.zone, &book.holidays) {
            Look::Closed { opens } => {
                let opens = [opens, ends].into_iter().flatten().min();
                Look::Closed { opens }
            }
            open @ Look::Open { .. } => open,
        }
    }

    fn check(&self, at: Timestamp, look: Look, book: &RuleBook) -> HoursCheck {
        let holiday = self.hours.holiday(self.zone.local(at).date(), &book.holidays);
        HoursCheck {
            rule: self.rule.map_or(CAMPAIGN_RULE, |rule| &rule.name).to_owned(),
            version: self.rule.map(|rule| rule.provenance.label()).unwrap_or_default(),
            zone: self.zone.clone(),
            local: self.zone.told(at),
            holiday: holiday.map(str::to_owned),
            look,
        }
    }
}

/// What many looks say together.
enum Answer {
    /// All are open, and the first of them closes then.
    Open { closes: Option<Timestamp> },
    /// The `nth` is closed the longest.
    Closed { nth: usize, opens: Option<Timestamp> },
}

impl Answer {
    fn of(looks: impl Iterator<Item = Look>) -> Self {
        let mut first_close: Option<Timestamp> = None;
        let mut last_open: Option<(usize, Option<Timestamp>)> = None;
        for (nth, look) in looks.enumerate() {
            match look {
                Look::Open { closes } => {
                    first_close = Some(first_close.map_or(closes, |first| first.min(closes)));
                }
                Look::Closed { opens } => {
                    let is_later = match (last_open, opens) {
                        (None, _) | (Some((_, Some(_))), None) => true,
                        (Some((_, Some(last))), Some(opens)) => last < opens,
                        (Some((_, None)), _) => false,
                    };
                    if is_later {
                        last_open = Some((nth, opens));
                    }
                }
            }
        }
        match last_open {
            Some((nth, opens)) => Self::Closed { nth, opens },
            None => Self::Open { closes: first_close },
        }
    }
}

/// Zones by whose clocks hours are read: their own, else all that the callee may be in.
fn zones<'a>(hours: &'a Hours, place: &'a Place) -> &'a [Zone] {
    hours.zone().map_or(&place.zones, std::slice::from_ref)
}
