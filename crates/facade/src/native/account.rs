//! Accounts: where they are, how much of the server is theirs, and which caller IDs they may show.

use domain::number::Destination;
use domain::policy::NAME_MAX;
use domain::region::Country;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::json::{self, Fields};
use crate::refusal::{Mistake, Refusal};

/// Most numbers of one request.
pub const NUMBERS_MAX: usize = 1_000;
/// Largest weight of an account.
const WEIGHT_MAX: u32 = domain::dial_queue::WEIGHT_MAX;
/// Most calls at once, or in a second, that one can ask for.
const CALLS_MAX: u32 = 1_000_000;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Account {
    /// Its id.
    #[schema(example = "1")]
    pub id: String,
    /// Its login name.
    pub login: String,
    /// Where it is, by two letters: as whose numbers those are read that name no country, and the
    /// one that may be called without further words.
    #[schema(example = "US")]
    pub country: String,
    /// Whether that is its own; else it is the server's.
    pub country_is_its_own: bool,
    /// Its part among all accounts.
    pub weight: u32,
    /// How many calls it may have at once; `null`: as many as the trunks allow.
    #[schema(required)]
    pub calls_max: Option<u32>,
    /// How many calls it may begin in a second; as above.
    #[schema(required)]
    pub calls_per_second: Option<u32>,
    /// Whether it shows no caller ID that is not verified.
    pub verified_only: bool,
    /// Whether its keys may change what holds for others.
    pub operator: bool,
    /// Whether nothing of it is dialed because it said so.
    pub suspended_by_account: bool,
    /// Whether nothing of it is dialed because an operator said so.
    pub suspended_by_operator: bool,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// Accounts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct AccountList {
    /// All of them, oldest first.
    pub data: Vec<Account>,
}

/// What is to change in an account; what is not named stays as it is, `null` is the server's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountUpdate {
    /// Where it is, by two letters.
    #[schema(example = "GB", pattern = "^[A-Za-z]{2}$")]
    pub country: Option<String>,
    /// Its part among all accounts. Default: 1.
    #[schema(minimum = 1, maximum = 100)]
    pub weight: Option<u32>,
    /// How many calls it may have at once.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub calls_max: Option<u32>,
    /// How many calls it may begin in a second.
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub calls_per_second: Option<u32>,
    /// Whether it shows no caller ID that is not verified. Default: `false`.
    pub verified_only: Option<bool>,
    /// Whether its keys may change what holds for others. Default: `false`.
    pub operator: Option<bool>,
}

/// Whether anything is dialed at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Dialing {
    /// Whether nothing of anybody is dialed.
    pub suspended: bool,
}

/// A caller ID that an account may show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct VerifiedCallerId {
    /// The number in the form in which numbers are compared.
    #[schema(example = "+18005550199")]
    pub number: String,
    /// Since when.
    #[schema(format = DateTime)]
    pub added_at: String,
}

/// A part of the caller IDs that an account may show, by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct VerifiedCallerIds {
    /// Whether it may show no others.
    pub verified_only: bool,
    /// The numbers.
    pub data: Vec<VerifiedCallerId>,
}

/// Caller IDs that an account may show from now on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallerIdsRequest {
    /// The numbers, in any spelling.
    #[schema(min_items = 1, max_items = 1000, example = json!(["+18005550199"]))]
    pub numbers: Vec<String>,
}

/// What is to change in an account, read and believed. Outer `None`: nothing; inner: the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountWishes {
    /// Where it is.
    pub country: Option<Option<Country>>,
    /// Its part among all accounts.
    pub weight: Option<u32>,
    /// How many calls it may have at once.
    pub calls_max: Option<Option<u32>>,
    /// How many calls it may begin in a second.
    pub calls_per_second: Option<Option<u32>>,
    /// Whether it shows no caller ID that is not verified.
    pub verified_only: Option<bool>,
    /// Whether its keys may change what holds for others.
    pub operator: Option<bool>,
}

impl AccountWishes {
    /// Reads an [`AccountUpdate`] as a merge patch (RFC 7396), or names all that is wrong with it.
    pub fn parse(document: &Value) -> Result<Self, Vec<Refusal>> {
        let is_named = |name: &str| document.get(name).is_some();
        json::read(document, |fields| {
            let country = country(fields);
            let weight = fields.number("weight", 1..=WEIGHT_MAX);
            let calls_max = fields.number("calls_max", 1..=CALLS_MAX);
            let calls_per_second = fields.number("calls_per_second", 1..=CALLS_MAX);
            let verified_only = fields.switch("verified_only");
            let operator = fields.switch("operator");
            Some(Self {
                country: is_named("country").then_some(country),
                weight: is_named("weight").then(|| weight.unwrap_or(1)),
                calls_max: is_named("calls_max").then_some(calls_max),
                calls_per_second: is_named("calls_per_second").then_some(calls_per_second),
                verified_only: is_named("verified_only").then(|| verified_only.unwrap_or(false)),
                operator: is_named("operator").then(|| operator.unwrap_or(false)),
            })
        })
    }
}

fn country(fields: &mut Fields<'_>) -> Option<Country> {
    let text = fields.text("country", NAME_MAX)?;
    match text.parse() {
        Ok(country) => Some(country),
        Err(_) => {
            fields.refuse("country", Mistake::Malformed, text, "two letters such as US");
            None
        }
    }
}

/// Reads a [`CallerIdsRequest`]: the numbers.
pub fn caller_ids_request(document: &Value) -> Result<Vec<String>, Vec<Refusal>> {
    json::read(document, |fields| {
        let mut numbers = Vec::new();
        for text in fields.text_list("numbers", NUMBERS_MAX, NAME_MAX) {
            match Destination::number(text) {
                Ok(number) => numbers.push(number.dialed().to_owned()),
                Err(error) => {
                    let expected = format!("a number such as +18005550199: {error}");
                    fields.refuse("numbers", Mistake::Malformed, text, expected);
                }
            }
        }
        if !fields.has("numbers") {
            fields.refuse_blind("numbers", Mistake::Missing, "a list of numbers");
        }
        Some(numbers)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn change_of_an_account_names_what_changes_and_null_goes_back_to_the_default() {
        let wishes = AccountWishes::parse(&json!({"weight": 3, "calls_max": null})).unwrap();
        let expected =
            AccountWishes { weight: Some(3), calls_max: Some(None), ..AccountWishes::default() };
        assert_eq!(wishes, expected);
        assert_eq!(AccountWishes::parse(&json!({})).unwrap(), AccountWishes::default());
        let wishes = AccountWishes::parse(&json!({"country": "gb", "operator": null})).unwrap();
        assert_eq!(wishes.country, Some(Some("GB".parse().unwrap())));
        assert_eq!(wishes.operator, Some(false));
    }

    #[test]
    fn every_mistake_in_a_change_is_named() {
        let document = json!({"country": "Britain", "weight": 0, "calls_max": "many", "wait": 1});
        let refusals = AccountWishes::parse(&document).unwrap_err();
        let fields: Vec<&str> = refusals.iter().map(|refusal| refusal.field.as_str()).collect();
        assert_eq!(fields, ["/country", "/weight", "/calls_max", "/wait"]);
    }

    #[test]
    fn caller_ids_are_read_in_any_spelling() {
        let read = caller_ids_request(&json!({"numbers": ["(800) 555-0199"]})).unwrap();
        assert_eq!(read, ["8005550199"]);
        assert!(caller_ids_request(&json!({"numbers": ["nobody"]})).is_err());
        assert!(caller_ids_request(&json!({})).is_err());
    }
}
