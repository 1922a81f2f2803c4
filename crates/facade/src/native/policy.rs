//! What a campaign says about dialing, as JSON: for clients, and as the store keeps it.
//!
//! A change is a merge patch (RFC 7396): what it does not name stays, `null` goes back to the default.

use domain::caller_ids::{CallerIds, POOL_MAX};
use domain::calling_hours::{Hours, RuleBook};
use domain::caps::Limit;
use domain::destinations::{Countries, DestinationPolicy, PREFIXES_MAX, Prefix};
use domain::dial_queue::WEIGHT_MAX;
use domain::gate::Limits;
use domain::number::Destination;
use domain::policy::{CallRecording, CampaignPolicy, NAME_MAX, TrunkChoice};
use domain::time::DialWindow;
use domain::zones::Placing;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::Window;
use super::detection::{self, DetectionRequest};
use super::json::{self, Fields};
use super::rule::moment;
use crate::refusal::{Mistake, Refusal};
use crate::zone::rfc_3339;

/// Longest table of hours, in characters.
const HOURS_MAX: usize = 4_000;
/// Most limits, lists or trunks of a campaign.
const ITEMS_MAX: usize = 50;
/// Most countries.
const COUNTRIES_MAX: usize = 300;
/// Concurrent calls and calls per second.
const CALLS: std::ops::RangeInclusive<u32> = 1..=100_000;

/// All that a campaign says about dialing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Policy {
    /// Its part among the campaigns of your account. Default: 1.
    #[schema(minimum = 1, maximum = 100)]
    pub weight: u32,
    /// A name; campaigns of the same name share one turn among those of your account.
    #[schema(required, max_length = 128)]
    pub group: Option<String>,
    /// When the campaign as a whole is dialed.
    pub window: Window,
    /// When callees may be called, by the clocks where they are.
    pub calling_hours: CallingHours,
    /// How often one number may be called, by all campaigns of your account together.
    pub number_limits: NumberLimits,
    /// How much the campaign may do at once.
    pub limits: CampaignLimits,
    /// Trunks that it may take; all, if none is named.
    pub trunks: Vec<Trunk>,
    /// Which numbers it may call.
    pub destinations: Destinations,
    /// Whom it shows as calling, where a call names nobody.
    pub caller_ids: CallerIdPool,
    /// Lists of numbers that it does not call, beside your account's own list `do-not-call`.
    pub do_not_call_lists: Vec<String>,
    /// Whether it is found out who answered, where a call does not say; `null`: not, but for calls
    /// of facades that always do.
    #[schema(required)]
    pub detection: Option<DetectionRequest>,
    /// Whether its calls are recorded: `none`, `mixed` (both sides in one channel), or `separate`
    /// (the callee in the first of two). Default: `none`.
    #[schema(pattern = "^(mixed|none|separate)$")]
    pub recording: String,
}

/// When callees may be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallingHours {
    /// Hours of your own: `mon-fri 09:00-18:00; sat 10:00-14:00; holiday closed; holidays US`.
    #[schema(required, max_length = 4000, example = "mon-fri 09:00-18:00; sat 10:00-14:00")]
    pub own: Option<String>,
    /// Whether the hours of the law hold, too. docs/calling-hours.md names them.
    pub law: bool,
    /// Whose word counts where number and client differ about where a callee is: `area_code`,
    /// `postal_code`, `region` or `strictest`.
    #[schema(pattern = "^(area_code|postal_code|region|strictest)$")]
    pub placing: String,
}

/// How often one number may be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NumberLimits {
    /// Limits of your own: `gap 1h`, `calls 3 in 24h`, `after-conversation 7 days`.
    pub own: Vec<String>,
    /// Whether the caps of the law hold that hold by themselves.
    pub law: bool,
    /// Names of caps that hold only where somebody asks for them, as that on debts.
    pub rules: Vec<String>,
}

/// How much a campaign may do at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CampaignLimits {
    /// Concurrent calls; `null`: no limit of its own.
    #[schema(required, minimum = 1, maximum = 100_000)]
    pub calls_max: Option<u32>,
    /// New calls in any one second; `null`: no limit of its own.
    #[schema(required, minimum = 1, maximum = 100_000)]
    pub calls_per_second: Option<u32>,
}

/// A trunk that a campaign may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Trunk {
    /// Its name in the settings.
    pub trunk: String,
    /// Its part of the campaign's calls; 0: only where the others fail or are full.
    #[schema(minimum = 0, maximum = 100, default = 1)]
    pub weight: u32,
}

/// Which numbers a campaign may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Destinations {
    /// Letters of countries, `home` or `any`. Default: `home` alone.
    pub countries: Vec<String>,
    /// Numbers that begin so may be called, whatever their country.
    pub allowed_prefixes: Vec<String>,
    /// Numbers that begin so may not.
    pub denied_prefixes: Vec<String>,
    /// Extensions and other numbers that no public plan knows.
    pub private: bool,
    /// Numbers at which the caller pays more than for a call.
    pub premium: bool,
    /// Satellites, and networks of no country.
    pub satellite: bool,
    /// Numbers at which both pay.
    pub shared_cost: bool,
}

/// Whom a campaign shows as calling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CallerIdPool {
    /// The numbers; none: the trunk's own.
    pub numbers: Vec<String>,
    /// Whether a number with the callee's area code goes before the others.
    pub local_presence: bool,
    /// Most calls that show one number on one day (UTC); `null`: no limit.
    #[schema(required, minimum = 1, maximum = 100_000)]
    pub calls_a_day_max: Option<u32>,
}

impl Policy {
    /// A policy in our own words.
    pub fn new(policy: &CampaignPolicy) -> Self {
        let prefixes = |prefixes: &[Prefix]| -> Vec<String> {
            prefixes.iter().map(|prefix| format!("+{}", prefix.digits())).collect()
        };
        let trunk =
            |choice: &TrunkChoice| Trunk { trunk: choice.trunk.clone(), weight: choice.weight };
        let destinations = &policy.destinations;
        Self {
            weight: policy.weight,
            group: policy.group.clone(),
            window: Window {
                opens_at: policy.window.opens_at.map(rfc_3339),
                closes_at: policy.window.closes_at.map(rfc_3339),
            },
            calling_hours: CallingHours {
                own: policy.hours.as_ref().map(Hours::to_string),
                law: policy.hours_of_law,
                placing: policy.placing.name().to_owned(),
            },
            number_limits: NumberLimits {
                own: policy.caps.iter().map(Limit::to_string).collect(),
                law: policy.caps_of_law,
                rules: policy.caps_asked.clone(),
            },
            limits: CampaignLimits {
                calls_max: policy.limits.calls_max,
                calls_per_second: policy.limits.calls_per_second,
            },
            trunks: policy.trunks.iter().map(trunk).collect(),
            destinations: Destinations {
                countries: countries_said(&destinations.countries),
                allowed_prefixes: prefixes(&destinations.allowed),
                denied_prefixes: prefixes(&destinations.denied),
                private: destinations.private,
                premium: destinations.premium,
                satellite: destinations.satellite,
                shared_cost: destinations.shared_cost,
            },
            caller_ids: CallerIdPool {
                numbers: policy.caller_ids.numbers.clone(),
                local_presence: policy.caller_ids.local_presence,
                calls_a_day_max: policy.caller_ids.calls_a_day_max,
            },
            do_not_call_lists: policy.lists.clone(),
            detection: policy.detection.as_ref().map(DetectionRequest::new),
            recording: policy.recording.name().to_owned(),
        }
    }
}

/// The text that the store keeps of a policy.
pub fn stored(policy: &CampaignPolicy) -> String {
    document(policy).to_string()
}

/// A policy from the text that the store keeps; what it does not say is as in `standard`, and the
/// caps and holidays that it names are among `rules`.
pub fn from_stored(
    text: &str,
    standard: &CampaignPolicy,
    rules: &RuleBook,
) -> Result<CampaignPolicy, Vec<Refusal>> {
    let refused = |_| vec![Refusal::blind("", Mistake::Malformed, "a JSON document")];
    let patch: Value = serde_json::from_str(text).map_err(refused)?;
    changed(standard, &patch, rules)
}

/// A policy after a merge patch, or all that is wrong with the patch.
pub fn changed(
    policy: &CampaignPolicy,
    patch: &Value,
    rules: &RuleBook,
) -> Result<CampaignPolicy, Vec<Refusal>> {
    let mut whole = document(policy);
    if !patch.is_object() {
        return Err(vec![Refusal::blind("", Mistake::WrongType, "an object")]);
    }
    merge(&mut whole, patch);
    json::read(&whole, |fields| read(fields, rules))
}

fn document(policy: &CampaignPolicy) -> Value {
    serde_json::to_value(Policy::new(policy)).unwrap_or(Value::Null)
}

/// RFC 7396 §2, as deep as a policy is.
fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(target.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}

fn read(fields: &mut Fields<'_>, rules: &RuleBook) -> Option<CampaignPolicy> {
    let standard = CampaignPolicy::default();
    let weight = fields.number("weight", 1..=WEIGHT_MAX).unwrap_or(standard.weight);
    let group = fields.text("group", NAME_MAX).filter(|name| !name.is_empty());
    let window = fields.object("window", |fields| DialWindow {
        opens_at: moment(fields, "opens_at").map(|moment| moment.0),
        closes_at: moment(fields, "closes_at").map(|moment| moment.0),
    });
    let hours = fields.object("calling_hours", |fields| hours(fields, rules)).unwrap_or_default();
    let caps = fields.object("number_limits", |fields| number_limits(fields, rules));
    let caps = caps.unwrap_or_default();
    let limits = fields.object("limits", |fields| Limits {
        calls_max: fields.number("calls_max", CALLS),
        calls_per_second: fields.number("calls_per_second", CALLS),
    });
    let trunks = fields.objects("trunks", ITEMS_MAX, trunk);
    let destinations = fields.object("destinations", destinations);
    let caller_ids = fields.object("caller_ids", caller_ids);
    let lists = fields.text_list("do_not_call_lists", ITEMS_MAX, NAME_MAX);
    let detection = detection::read(fields);
    let recording = fields.text("recording", NAME_MAX).map_or(CallRecording::None, |word| {
        CallRecording::from_name(word).unwrap_or_else(|| {
            let names = CallRecording::ALL.map(CallRecording::name).join(", ");
            fields.refuse("recording", Mistake::Malformed, word, format!("one of {names}"));
            CallRecording::None
        })
    });
    Some(CampaignPolicy {
        weight,
        group: group.map(str::to_owned),
        window: window.unwrap_or_default(),
        hours: hours.0,
        hours_of_law: hours.1,
        placing: hours.2,
        caps: caps.0,
        caps_of_law: caps.1,
        caps_asked: caps.2,
        limits: limits.unwrap_or_default(),
        trunks: trunks.into_iter().flatten().collect(),
        destinations: destinations.unwrap_or_default(),
        caller_ids: caller_ids.unwrap_or_default(),
        lists: lists.into_iter().map(str::to_owned).collect(),
        detection,
        recording,
    })
}

fn hours(fields: &mut Fields<'_>, rules: &RuleBook) -> (Option<Hours>, bool, Placing) {
    let own = fields.text("own", HOURS_MAX).and_then(|text| {
        let known = rules.holidays();
        match Hours::parse(text).and_then(|hours| hours.check_calendars(known).map(|()| hours)) {
            Ok(hours) => Some(hours),
            Err(error) => {
                fields.refuse("own", Mistake::Malformed, text, error.to_string());
                None
            }
        }
    });
    let law = fields.switch("law").unwrap_or(false);
    let placing = fields.text("placing", NAME_MAX).map_or(Placing::default(), |word| {
        Placing::from_name(word).unwrap_or_else(|| {
            let names = Placing::ALL.map(Placing::name).join(", ");
            fields.refuse("placing", Mistake::Malformed, word, format!("one of {names}"));
            Placing::default()
        })
    });
    (own, law, placing)
}

fn number_limits(fields: &mut Fields<'_>, rules: &RuleBook) -> (Vec<Limit>, bool, Vec<String>) {
    let mut own = Vec::new();
    for text in fields.text_list("own", ITEMS_MAX, NAME_MAX) {
        match Limit::parse(text) {
            Ok(limit) => own.push(limit),
            Err(error) => fields.refuse("own", Mistake::Malformed, text, error.to_string()),
        }
    }
    let law = fields.switch("law").unwrap_or(false);
    let mut asked = Vec::new();
    let known = rules.caps();
    for name in fields.text_list("rules", ITEMS_MAX, NAME_MAX) {
        if known.iter().any(|cap| cap.when_asked && cap.name == name) {
            asked.push(name.to_owned());
        } else {
            let names = known.iter().filter(|cap| cap.when_asked).map(|cap| cap.name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            fields.refuse("rules", Mistake::Malformed, name, format!("one of {names}"));
        }
    }
    (own, law, asked)
}

fn trunk(fields: &mut Fields<'_>) -> Option<TrunkChoice> {
    let weight = fields.number("weight", 0..=WEIGHT_MAX).unwrap_or(1);
    let trunk = fields.text("trunk", NAME_MAX);
    if !fields.has("trunk") {
        fields.refuse_blind("trunk", Mistake::Missing, "the name of a trunk");
    }
    Some(TrunkChoice { trunk: trunk?.to_owned(), weight })
}

fn destinations(fields: &mut Fields<'_>) -> DestinationPolicy {
    let standard = DestinationPolicy::default();
    let words = fields.text_list("countries", COUNTRIES_MAX, NAME_MAX);
    let countries = match words.as_slice() {
        [] | ["home"] => Countries::Home,
        ["any"] => Countries::Any,
        words => {
            let mut countries = Vec::new();
            for word in words {
                match word.parse() {
                    Ok(country) => countries.push(country),
                    Err(_) => {
                        let expected = "two letters such as US, or home or any alone";
                        fields.refuse("countries", Mistake::Malformed, word, expected);
                    }
                }
            }
            Countries::Only(countries)
        }
    };
    let mut prefixes = |name| {
        let mut read = Vec::new();
        for text in fields.text_list(name, PREFIXES_MAX, NAME_MAX) {
            match Prefix::parse(text) {
                Ok(prefix) => read.push(prefix),
                Err(error) => fields.refuse(name, Mistake::Malformed, text, error.to_string()),
            }
        }
        read
    };
    let (allowed, denied) = (prefixes("allowed_prefixes"), prefixes("denied_prefixes"));
    DestinationPolicy {
        countries,
        allowed,
        denied,
        private: fields.switch("private").unwrap_or(standard.private),
        premium: fields.switch("premium").unwrap_or(standard.premium),
        satellite: fields.switch("satellite").unwrap_or(standard.satellite),
        shared_cost: fields.switch("shared_cost").unwrap_or(standard.shared_cost),
    }
}

fn caller_ids(fields: &mut Fields<'_>) -> CallerIds {
    let mut numbers = Vec::new();
    for text in fields.text_list("numbers", POOL_MAX, NAME_MAX) {
        match Destination::number(text) {
            Ok(number) => numbers.push(number.dialed().to_owned()),
            Err(error) => {
                let expected = format!("a number such as +12125550101: {error}");
                fields.refuse("numbers", Mistake::Malformed, text, expected);
            }
        }
    }
    CallerIds {
        numbers,
        local_presence: fields.switch("local_presence").unwrap_or(false),
        calls_a_day_max: fields.number("calls_a_day_max", CALLS),
    }
}

fn countries_said(countries: &Countries) -> Vec<String> {
    match countries {
        Countries::Any => vec!["any".into()],
        Countries::Home => vec!["home".into()],
        Countries::Only(countries) => countries.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn whole() -> Value {
        json!({
            "weight": 3,
            "group": "reminders",
            "window": {"opens_at": "2026-10-14T13:00:00Z", "closes_at": null},
            "calling_hours": {
                "own": "mon-fri 09:00-18:00; sat-sun closed", "law": true, "placing": "region"
            },
            "number_limits": {"own": ["gap 1h", "calls 3 in 24h"], "law": true, "rules": []},
            "limits": {"calls_max": 20, "calls_per_second": null},
            "trunks": [{"trunk": "main", "weight": 2}, {"trunk": "spare", "weight": 0}],
            "destinations": {
                "countries": ["US", "CA"], "allowed_prefixes": ["+4420"],
                "denied_prefixes": ["+1900"], "private": false, "premium": false,
                "satellite": false, "shared_cost": true
            },
            "caller_ids": {
                "numbers": ["+12122530001"], "local_presence": true, "calls_a_day_max": 100
            },
            "do_not_call_lists": ["partners"],
            "detection": {"message": {"say": "Please call back."}, "on_fax": "hang_up"},
            "recording": "separate"
        })
    }

    #[test]
    fn policy_comes_back_from_its_document_and_from_the_store() {
        let standard = CampaignPolicy::default();
        let policy = changed(&standard, &whole(), RuleBook::built_in()).unwrap();
        assert_eq!((policy.weight, policy.caps.len(), policy.trunks.len()), (3, 2, 2));
        assert_eq!(changed(&standard, &document(&policy), RuleBook::built_in()).unwrap(), policy);
        assert_eq!(from_stored(&stored(&policy), &standard, RuleBook::built_in()).unwrap(), policy);
        assert_eq!(changed(&standard, &json!({}), RuleBook::built_in()).unwrap(), standard);
    }

    #[test]
    fn patch_changes_what_it_names_and_null_goes_back_to_the_default() {
        let policy = changed(&CampaignPolicy::default(), &whole(), RuleBook::built_in()).unwrap();
        let patch = json!({
            "weight": null,
            "limits": {"calls_per_second": 5},
            "trunks": [],
            "caller_ids": {"local_presence": false}
        });
        let after = changed(&policy, &patch, RuleBook::built_in()).unwrap();
        assert_eq!((after.weight, after.trunks.len()), (1, 0));
        let limits = Limits { calls_max: Some(20), calls_per_second: Some(5) };
        assert_eq!(after.limits, limits);
        assert!(!after.caller_ids.local_presence);
        assert_eq!(after.caller_ids.numbers, policy.caller_ids.numbers);
        assert_eq!(after.hours, policy.hours);
    }

    #[test]
    fn every_mistake_is_named_with_its_place() {
        let patch = json!({
            "weight": 0,
            "calling_hours": {"own": "someday 9-5"},
            "number_limits": {"own": ["often"], "rules": ["no-such-rule"]},
            "trunks": [{"weight": 1}],
            "destinations": {"countries": ["US", "Mars"], "denied_prefixes": ["x"]},
            "caller_ids": {"numbers": ["nobody"]},
            "recording": "sometimes",
            "colour": "red"
        });
        let refusals =
            changed(&CampaignPolicy::default(), &patch, RuleBook::built_in()).unwrap_err();
        let mut places: Vec<&str> = refusals.iter().map(|refusal| refusal.field.as_str()).collect();
        places.sort_unstable();
        let expected = [
            "/caller_ids/numbers",
            "/calling_hours/own",
            "/colour",
            "/destinations/countries",
            "/destinations/denied_prefixes",
            "/number_limits/own",
            "/number_limits/rules",
            "/recording",
            "/trunks/0/trunk",
            "/weight",
        ];
        assert_eq!(places, expected);
        assert!(changed(&CampaignPolicy::default(), &json!([]), RuleBook::built_in()).is_err());
        assert!(from_stored("{", &CampaignPolicy::default(), RuleBook::built_in()).is_err());
    }
}
