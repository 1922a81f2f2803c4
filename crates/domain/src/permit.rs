//! Whether a contact may be dialed now: everything that is weighed before an INVITE, in one place.
//!
//! Whoever dials asks inside the transaction that claims the contact; whoever explains asks the same
//! and shows the checks.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::caller_ids::Shown;
use crate::calling_hours::{Hours, RuleBook, Ruling};
use crate::caps::{Cap, Limit, PastCall, next_allowed};
use crate::contact::Contact;
use crate::ids::{AccountId, CampaignId};
use crate::number::canonical::Canonical;
use crate::outcome::Disposition;
use crate::policy::{CampaignPolicy, DO_NOT_CALL};
use crate::terms;
use crate::time::{DialWindow, Timestamp};
use crate::zones::{Atlas, Hint, Home, Place, Zone};

/// How long a contact waits when its number is in a call: nobody knows when that will end.
pub const LIVE_WAIT: Duration = Duration::from_secs(15);
/// Name under which a campaign's own gap and caps refuse.
pub const CAMPAIGN_CAPS: &str = "campaign-caps";
/// Milliseconds of a day by which uses of a caller ID are counted.
const DAY_MS: i64 = 86_400_000;

/// What is weighed.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Now.
    pub now: Timestamp,
    /// The contact, not yet counting the attempt.
    pub contact: &'a Contact,
    /// Its number.
    pub number: &'a Canonical,
    /// What its campaign says.
    pub policy: &'a CampaignPolicy,
    /// Which version of it.
    pub policy_version: u32,
    /// What was done with its number before.
    pub past: &'a Past,
    /// Caller IDs that the account may show, in canonical form; any without a list.
    pub verified: Option<&'a [String]>,
    /// Where the account is.
    pub home: &'a Home,
    /// The rules and tables of the world.
    pub ground: &'a Ground,
}

/// What the past of a number is, and what lists say of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Calls to it, as far back as was asked for, in any order.
    pub calls: Vec<PastCall>,
    /// Whether a call to it is under way.
    pub is_live: bool,
    /// Lists of the account that name it, and since when.
    pub listed: Vec<(String, Timestamp)>,
    /// How often caller IDs were shown today, those that were.
    pub caller_ids: Vec<(String, u32)>,
}

/// What holds for all candidates.
#[derive(Clone, Debug)]
pub struct Ground {
    /// Where accounts are of which nothing else is said.
    pub home: Home,
    /// The rules of the law.
    pub rules: Arc<RuleBook>,
    /// Where numbers are; the tables that are shipped without it.
    pub atlas: Option<Arc<Atlas>>,
}

/// What follows for a contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Dial it, showing this caller ID; the trunk's own without one.
    Dial(Option<String>),
    /// Its time will never come.
    End(Disposition),
    /// Not now, and not before then.
    NotBefore(Timestamp),
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Name of the rule.
    pub rule: String,
    /// Whether it permits.
    pub passed: bool,
    /// What was seen, for people.
    pub seen: String,
    /// Table and date of the data it used, or the version of the policy; empty where it used none.
    pub version: String,
}

/// Everything that was weighed, and what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighing {
    /// Every check, in the order in which they are made.
    pub checks: Vec<Check>,
    /// What follows.
    pub permit: Permit,
    /// The check that decided, where one forbids.
    pub decided: Option<usize>,
}

/// What a number is asked of the past for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The number in canonical form.
    pub number: String,
    /// How far back calls matter.
    pub looks_back: Duration,
    /// Whether calls of all accounts count, or those of the contact's own alone.
    pub of_all_accounts: bool,
    /// Caller IDs whose uses today matter.
    pub caller_ids: Vec<String>,
}

/// Who decides about contacts while the store claims them.
pub trait Judge: Send + Sync {
    /// What must be known of a contact's number.
    fn question(&self, contact: &Contact) -> Question;
    /// Weighs it; `version` is that of its campaign's policy in the store. `None`: the judge does
    /// not know that version, and must be told of it first.
    fn weigh(
        &self,
        now: Timestamp,
        contact: &Contact,
        version: u32,
        past: &Past,
    ) -> Option<Weighing>;
}

/// The judge that permits everything: for tools that measure, and tests of other things.
#[derive(Clone, Copy, Debug)]
pub struct Freely;

impl Judge for Freely {
    fn question(&self, contact: &Contact) -> Question {
        Question {
            number: contact.destination.dialed().to_owned(),
            looks_back: Duration::ZERO,
            of_all_accounts: false,
            caller_ids: Vec::new(),
        }
    }

    fn weigh(&self, _: Timestamp, contact: &Contact, _: u32, _: &Past) -> Option<Weighing> {
        let caller_id = contact.destination.caller_id().map(str::to_owned);
        Some(Weighing { checks: Vec::new(), permit: Permit::Dial(caller_id), decided: None })
    }
}

/// The judge that weighs by policies and rules.
#[derive(Clone, Debug)]
pub struct Bench {
    /// Where the accounts are, and the rules of the law.
    pub ground: Ground,
    /// Where those accounts are that are elsewhere.
    pub homes: BTreeMap<AccountId, Home>,
    /// Whether calls of all accounts to a number count together.
    pub of_all_accounts: bool,
    /// What campaigns say that said anything, with the version in the store.
    pub policies: BTreeMap<CampaignId, (u32, CampaignPolicy)>,
    /// What holds for campaigns that said nothing.
    pub standard: CampaignPolicy,
    /// Caller IDs that accounts may show, in canonical form; any for who is not named.
    pub verified: BTreeMap<AccountId, Vec<String>>,
}

impl Bench {
    /// A bench that knows no campaign yet.
    pub fn new(ground: Ground, standard: CampaignPolicy) -> Self {
        let (homes, policies, verified) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { ground, homes, of_all_accounts: false, policies, standard, verified }
    }

    /// Where an account is.
    pub fn home(&self, account: AccountId) -> &Home {
        self.homes.get(&account).unwrap_or(&self.ground.home)
    }

    /// Whether an account may show a caller ID.
    pub fn may_show(&self, account: AccountId, caller_id: &str) -> bool {
        let key = Canonical::of(caller_id, self.home(account).country).key().to_owned();
        self.verified.get(&account).is_none_or(|verified| verified.contains(&key))
    }

    /// What a campaign says.
    pub fn policy(&self, campaign: CampaignId) -> &CampaignPolicy {
        self.policies.get(&campaign).map_or(&self.standard, |known| &known.1)
    }

    /// Which version of it is known.
    pub fn version(&self, campaign: CampaignId) -> u32 {
        self.policies.get(&campaign).map_or(0, |known| known.0)
    }

    /// The number of a contact in canonical form.
    pub fn number(&self, contact: &Contact) -> Canonical {
        Canonical::of(contact.destination.dialed(), self.home(contact.account).country)
    }
}

impl Judge for Bench {
    fn question(&self, contact: &Contact) -> Question {
        let policy = self.policy(contact.campaign);
        let ids = &policy.caller_ids;
        let is_room = contact.destination.room().is_some();
        let is_counted =
            ids.calls_a_day_max.is_some() && contact.destination.caller_id().is_none() && !is_room;
        Question {
            number: self.number(contact).key().to_owned(),
            looks_back: match is_room {
                true => Duration::ZERO,
                false => looks_back(policy, &self.ground.rules),
            },
            of_all_accounts: self.of_all_accounts,
            caller_ids: if is_counted { ids.numbers.clone() } else { Vec::new() },
        }
    }

    fn weigh(
        &self,
        now: Timestamp,
        contact: &Contact,
        version: u32,
        past: &Past,
    ) -> Option<Weighing> {
        if version != self.version(contact.campaign) {
            return None;
        }
        Some(weigh(&Candidate {
            now,
            contact,
            number: &self.number(contact),
            policy: self.policy(contact.campaign),
            policy_version: version,
            past,
            verified: self.verified.get(&contact.account).map(Vec::as_slice),
            home: self.home(contact.account),
            ground: &self.ground,
        }))
    }
}

impl Ground {
    /// Accounts in a country, with the rules and tables that are shipped.
    pub fn at(home: Home) -> Self {
        Self { home, rules: Arc::new(RuleBook::built_in().clone()), atlas: None }
    }

    /// Where numbers are.
    pub fn atlas(&self) -> &Atlas {
        self.atlas.as_deref().unwrap_or(Atlas::built_in())
    }

    /// Where a contact of an account that is at `home` may be.
    pub fn place(
        &self,
        home: &Home,
        contact: &Contact,
        number: &Canonical,
        policy: &CampaignPolicy,
    ) -> Place {
        let atlas = self.atlas();
        let terms::Place { zone, region, postal_code } = &contact.place;
        let country = number.country().unwrap_or(home.country);
        let hint = Hint {
            zone: zone.as_deref().and_then(Zone::named),
            region: region.as_deref().and_then(|text| atlas.region(country, text)),
            postal_code: postal_code.clone(),
        };
        atlas.place(number, &hint, policy.placing, home)
    }
}

impl Weighing {
    /// Why not, in a sentence; `None` where it may be dialed.
    pub fn reason(&self) -> Option<String> {
        let check = self.checks.get(self.decided?)?;
        Some(format!("{}: {}", check.rule, check.seen))
    }
}

/// How far back calls to a number matter under a policy, by all rules that could hold.
pub fn looks_back(policy: &CampaignPolicy, rules: &RuleBook) -> Duration {
    let own = policy.caps.iter().map(Limit::looks_back);
    let law = rules.caps().iter().filter(|cap| match cap.when_asked {
        true => policy.caps_asked.contains(&cap.name),
        false => policy.caps_of_law,
    });
    own.chain(law.map(Cap::looks_back)).max().unwrap_or_default()
}

/// The day (UTC) in which uses of caller IDs are counted.
pub const fn day_of(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(DAY_MS)
}

/// Weighs everything that speaks for and against dialing a contact now.
pub fn weigh(candidate: &Candidate<'_>) -> Weighing {
    let mut scale = Scale { checks: Vec::new(), permit: Permit::Dial(None), decided: None };
    let Candidate { ground, home, contact, number, policy, .. } = *candidate;
    scale.windows(candidate);
    scale.budget(candidate);
    if let Some(room) = contact.destination.room() {
        // No phone rings: who is in it was weighed when he was called.
        scale.pass("conference", format!("{room:?}, for which no phone rings"), "");
        let shown = contact.destination.caller_id().and_then(|_| scale.caller_id(candidate));
        return scale.weighed(shown);
    }
    let place = ground.place(home, contact, number, policy);
    scale.lists(candidate);
    scale.destination(candidate);
    let caller_id = scale.caller_id(candidate);
    scale.hours(candidate, &place);
    scale.live(candidate);
    scale.caps(candidate, &place);
    scale.weighed(caller_id)
}

struct Scale {
    checks: Vec<Check>,
    permit: Permit,
    decided: Option<usize>,
}

impl Scale {
    /// What follows, where this caller ID is shown.
    fn weighed(self, caller_id: Option<String>) -> Weighing {
        let permit = match self.permit {
            Permit::Dial(_) => Permit::Dial(caller_id),
            other => other,
        };
        Weighing { checks: self.checks, permit, decided: self.decided }
    }

    fn pass(&mut self, rule: &str, seen: impl Into<String>, version: impl Into<String>) {
        let (seen, version) = (seen.into(), version.into());
        self.checks.push(Check { rule: rule.to_owned(), passed: true, seen, version });
    }

    /// A check forbids. What ends a contact weighs more than what makes it wait, and the longest
    /// wait more than a shorter one.
    fn fail(
        &mut self,
        rule: &str,
        seen: impl Into<String>,
        version: impl Into<String>,
        permit: Permit,
    ) {
        let (seen, version) = (seen.into(), version.into());
        self.checks.push(Check { rule: rule.to_owned(), passed: false, seen, version });
        let heavier = match (&self.permit, &permit) {
            (Permit::Dial(_), _) | (Permit::NotBefore(_), Permit::End(_)) => true,
            (Permit::NotBefore(before), Permit::NotBefore(now)) => now > before,
            (Permit::End(_), _) | (Permit::NotBefore(_), Permit::Dial(_)) => false,
        };
        if heavier {
            self.permit = permit;
            self.decided = Some(self.checks.len() - 1);
        }
    }

    fn windows(&mut self, candidate: &Candidate<'_>) {
        let policy = policy_version(candidate);
        let of_campaign = ("campaign-window", candidate.policy.window, policy);
        let of_contact = ("call-window", candidate.contact.window, String::new());
        for (rule, window, version) in [of_campaign, of_contact] {
            let seen = Bounds(window).to_string();
            match window.next_opening(candidate.now) {
                Some(at) if at <= candidate.now => self.pass(rule, seen, version),
                Some(at) => self.fail(rule, seen, version, Permit::NotBefore(at)),
                None => self.fail(rule, seen, version, Permit::End(Disposition::Expired)),
            }
        }
    }

    fn budget(&mut self, candidate: &Candidate<'_>) {
        let (made, most) = (candidate.contact.attempts, candidate.contact.retry.attempts_max);
        let seen = format!("{made} of {most} attempts made");
        if made < most {
            self.pass("budget", seen, "");
        } else {
            self.fail("budget", seen, "", Permit::End(Disposition::Failed));
        }
    }

    fn lists(&mut self, candidate: &Candidate<'_>) {
        let heeded = |name: &str| {
            name == DO_NOT_CALL || candidate.policy.lists.iter().any(|list| list == name)
        };
        let hit = candidate.past.listed.iter().find(|(name, _)| heeded(name));
        match hit {
            Some((name, since)) => {
                let seen = format!("on the list {name:?} since {}", told(*since));
                self.fail("do-not-call", seen, "", Permit::End(Disposition::Canceled));
            }
            None => {
                let lists = 1 + candidate.policy.lists.len();
                self.pass("do-not-call", format!("on none of {lists} lists"), "");
            }
        }
    }

    fn destination(&mut self, candidate: &Candidate<'_>) {
        let version = policy_version(candidate);
        let home = candidate.home.country;
        match candidate.policy.destinations.weigh(candidate.number, home) {
            Ok(seen) => self.pass("destination", seen, version),
            Err(refused) => {
                let end = Permit::End(Disposition::Failed);
                self.fail(refused.rule, refused.seen, version, end);
            }
        }
    }

    fn caller_id(&mut self, candidate: &Candidate<'_>) -> Option<String> {
        const RULE: &str = "caller-id";
        let home = candidate.home.country;
        let verified = |number: &str| {
            let key = Canonical::of(number, home).key().to_owned();
            candidate.verified.is_none_or(|list| list.contains(&key))
        };
        let shown = match candidate.contact.destination.caller_id() {
            Some(own) => Shown::Number(own.to_owned()),
            None => candidate.policy.caller_ids.choose(candidate.number, home, |number| {
                let mut uses = candidate.past.caller_ids.iter();
                uses.find(|(shown, _)| shown == number).map_or(0, |(_, uses)| *uses)
            }),
        };
        match shown {
            Shown::Trunk => self.pass(RULE, "the trunk's own", ""),
            Shown::NoneLeft => {
                let next_day = (day_of(candidate.now) + 1).saturating_mul(DAY_MS);
                let until = Permit::NotBefore(Timestamp::from_millis(next_day));
                let seen = "every number of the pool was shown as often as it may be today";
                self.fail(RULE, seen, policy_version(candidate), until);
            }
            Shown::Number(number) if verified(&number) => {
                self.pass(RULE, number.clone(), "");
                return Some(number);
            }
            Shown::Number(number) => {
                let seen = format!("{number} is none of the account's verified numbers");
                self.fail(RULE, seen, "", Permit::End(Disposition::Failed));
            }
        }
        None
    }

    fn hours(&mut self, candidate: &Candidate<'_>, place: &Place) {
        let own: Option<&Hours> = candidate.policy.hours.as_ref();
        let none = RuleBook::default();
        let rules = if candidate.policy.hours_of_law { &*candidate.ground.rules } else { &none };
        let weighing = rules.weigh(candidate.now, place, own);
        if weighing.checks.is_empty() {
            self.pass("calling-hours", "no rule holds", policy_version(candidate));
            return;
        }
        let refusal = match &weighing.ruling {
            Ruling::Permitted { .. } => None,
            Ruling::NotNow(refusal) => Some(refusal),
        };
        for check in &weighing.checks {
            let version = if check.version.is_empty() {
                policy_version(candidate)
            } else {
                check.version.clone()
            };
            let seen = match &check.holiday {
                Some(holiday) => format!("{} in {}, {holiday}", check.local, check.zone),
                None => format!("{} in {}", check.local, check.zone),
            };
            if matches!(check.look, crate::calling_hours::Look::Open { .. }) {
                self.pass(&check.rule, seen, version);
                continue;
            }
            // Until all agree, so that nobody looks again in vain.
            let permit = refusal
                .and_then(|refusal| refusal.until)
                .map_or(Permit::End(Disposition::Failed), Permit::NotBefore);
            self.fail(&check.rule, seen, version, permit);
        }
    }

    fn live(&mut self, candidate: &Candidate<'_>) {
        if candidate.past.is_live {
            let until = Permit::NotBefore(candidate.now + LIVE_WAIT);
            self.fail("one-call-at-a-time", "a call to this number is under way", "", until);
        } else {
            self.pass("one-call-at-a-time", "no call to this number is under way", "");
        }
    }

    fn caps(&mut self, candidate: &Candidate<'_>, place: &Place) {
        let Candidate { policy, past, now, ground, .. } = *candidate;
        let own = (!policy.caps.is_empty()).then(|| Cap::own(CAMPAIGN_CAPS, policy.caps.clone()));
        let law = ground.rules.caps_for(place, &policy.caps_asked);
        let law = law.into_iter().filter(|cap| cap.when_asked || policy.caps_of_law);
        let caps: Vec<&Cap> = own.iter().chain(law).collect();
        if caps.is_empty() {
            let seen = format!("no cap holds, {} calls known", past.calls.len());
            self.pass("caps", seen, policy_version(candidate));
        }
        for cap in caps {
            let limits: Vec<String> = cap.limits.iter().map(Limit::to_string).collect();
            let version =
                if cap.version().is_empty() { policy_version(candidate) } else { cap.version() };
            match next_allowed(&past.calls, now, [cap], &place.zones) {
                Some(not_before) => {
                    let seen = format!("{}: {} counted", not_before.limit, not_before.seen);
                    self.fail(&cap.name, seen, version, Permit::NotBefore(not_before.until));
                }
                None => {
                    let seen = format!("{}: free", limits.join(", "));
                    self.pass(&cap.name, seen, version);
                }
            }
        }
    }
}

fn policy_version(candidate: &Candidate<'_>) -> String {
    format!("policy {}", candidate.policy_version)
}

fn told(at: Timestamp) -> String {
    Zone::utc().told(at)
}

/// A window as people read it.
struct Bounds(DialWindow);

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.opens_at, self.0.closes_at) {
            (None, None) => f.write_str("always open"),
            (Some(opens), None) => write!(f, "opens {}", told(opens)),
            (None, Some(closes)) => write!(f, "closes {}", told(closes)),
            (Some(opens), Some(closes)) => {
                write!(f, "opens {}, closes {}", told(opens), told(closes))
            }
        }
    }
}

/// The form in which a weighing's checks are stored: one a line, its parts by tabs.
impl fmt::Display for Weighing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.checks.iter().try_for_each(|check| check.fmt(f))
    }
}

/// The line that [`stored_checks`] reads.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, passed, seen, version } = self;
        let mark = if *passed { '+' } else { '-' };
        let seen = seen.replace(['\t', '\n', '\r'], " ");
        writeln!(f, "{mark}{rule}\t{seen}\t{version}")
    }
}

/// Reads the checks that [`Weighing`] wrote; lines that it did not write are left out.
pub fn stored_checks(text: &str) -> Vec<Check> {
    let line = |line: &str| {
        let mut parts = line.split('\t');
        let (rule, seen) = (parts.next()?, parts.next()?);
        let (mark, rule) = rule.split_at_checked(1)?;
        Some(Check {
            rule: rule.to_owned(),
            passed: mark == "+",
            seen: seen.to_owned(),
            version: parts.next().unwrap_or_default().to_owned(),
        })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests;
