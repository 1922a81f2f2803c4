//! Why a call was or is not dialed, lists of numbers that are not called, and opting out.

use domain::number::Destination;
use domain::permit;
use domain::policy::NAME_MAX;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::json::{self, Fields};
use super::policy::Policy;
use crate::import::{FaultReport, ImportReport};
use crate::refusal::{Mistake, Refusal};

/// Most numbers of one request.
pub const NUMBERS_MAX: usize = 10_000;
/// Most numbers of a page, and those of one that asks for no number.
pub const PAGE_MAX: u32 = 1_000;
/// Longest reason, in characters.
const REASON_MAX: usize = 255;

/// What a campaign says about dialing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct CampaignPolicy {
    /// How often it was changed; 0: never, the server's defaults hold.
    pub version: u32,
    /// What it says.
    pub policy: Policy,
}

/// One thing that is looked at before a call is dialed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    /// Name of the rule.
    #[schema(example = "campaign-caps")]
    pub rule: String,
    /// Whether it permits.
    pub passed: bool,
    /// What was seen.
    #[schema(example = "calls 3 in 24h: 3 counted")]
    pub seen: String,
    /// Table and date of the data it used, or the version of the policy; empty where it used none.
    pub version: String,
}

/// What was weighed before each attempt of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Why {
    /// Its attempts, oldest first.
    pub attempts: Vec<WeighedAttempt>,
}

/// What was weighed before one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WeighedAttempt {
    /// Id of the attempt.
    pub attempt_id: String,
    /// When it was weighed.
    #[schema(format = DateTime)]
    pub at: String,
    /// Everything that was looked at.
    pub checks: Vec<Check>,
}

/// Why a call is not dialed at this moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WhyNotNow {
    /// The answer in a sentence.
    pub sentence: String,
    /// The moment before which it is not dialed again, where one is set.
    #[schema(required, format = DateTime)]
    pub next_attempt_at: Option<String>,
    /// Everything that would be looked at now.
    pub checks: Vec<Check>,
}

/// A list of numbers that are not called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NumberList {
    /// Its name.
    pub name: String,
    /// Numbers on it.
    pub numbers: u64,
    /// When it was created.
    #[schema(format = DateTime)]
    pub created_at: String,
}

/// The lists of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NumberLists {
    /// The lists, by name.
    pub data: Vec<NumberList>,
}

/// A number on a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListedNumber {
    /// The list.
    pub list: String,
    /// The number in the form in which numbers are compared.
    pub number: String,
    /// Why, in the words of who added it.
    pub reason: String,
    /// Since when.
    #[schema(format = DateTime)]
    pub added_at: String,
}

/// A part of a list, by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListedNumbers {
    /// The numbers.
    pub data: Vec<ListedNumber>,
}

/// How many numbers or calls something concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Count {
    /// How many.
    pub count: u64,
}

/// A list to create.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ListRequest {
    /// Its name, unique in your account.
    #[schema(min_length = 1, max_length = 128, example = "partners")]
    pub name: String,
}

/// Numbers to add to a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NumbersRequest {
    /// The numbers, in any spelling.
    #[schema(min_items = 1, max_items = 10_000, example = json!(["+12125550101"]))]
    pub numbers: Vec<String>,
    /// Why, for people.
    #[schema(max_length = 255)]
    pub reason: Option<String>,
}

/// What came of a file of numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ListFile {
    /// Numbers that were not on the list before.
    pub count: u64,
    /// Rows, blank ones and the header left out.
    pub rows: u64,
    /// Rows without a number that can be read.
    pub rejected: u64,
    /// What is wrong with them, by the way in which it is repaired.
    pub faults: Vec<FaultReport>,
}

impl ListFile {
    /// What came of it in our own words.
    pub fn new(count: u64, report: ImportReport) -> Self {
        let ImportReport { rows, rejected, faults, .. } = report;
        Self { count, rows, rejected, faults }
    }
}

/// What is said of a file of numbers in the query of its address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListFileQuery {
    /// Why, for people.
    pub reason: String,
}

impl ListFileQuery {
    /// Reads the part of an address after the question mark.
    pub fn parse(query: &str) -> Result<Self, Vec<Refusal>> {
        let (mut found, mut refusals) = (Self::default(), Vec::new());
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            if name != "reason" {
                refusals.push(Refusal::new(name.clone(), Mistake::Unknown, &name, "reason"));
            } else if value.chars().count() > REASON_MAX || value.contains('\0') {
                let expected = format!("at most {REASON_MAX} characters, without NUL");
                refusals.push(Refusal::new(name, Mistake::Malformed, &value, expected));
            } else {
                found.reason = value.into_owned();
            }
        }
        if refusals.is_empty() { Ok(found) } else { Err(refusals) }
    }
}

/// A callee who wants no more calls.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OptOutRequest {
    /// The number, in any spelling.
    #[schema(max_length = 128, example = "+12125550101")]
    pub number: String,
    /// Why, for people.
    #[schema(max_length = 255)]
    pub reason: Option<String>,
}

impl From<&permit::Check> for Check {
    fn from(check: &permit::Check) -> Self {
        let permit::Check { rule, passed, seen, version } = check.clone();
        Self { rule, passed, seen, version }
    }
}

/// Which part of a list of numbers is wanted, from the query of its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumbersQuery {
    /// The last number of the page before; empty for the first.
    pub after: String,
    /// Most numbers in the page.
    pub limit: u32,
}

impl NumbersQuery {
    /// Reads the part of an address after the question mark.
    pub fn parse(query: &str) -> Result<Self, Vec<Refusal>> {
        let mut found = Self { after: String::new(), limit: PAGE_MAX };
        let mut refusals = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "after" => found.after = value.into_owned(),
                "limit" => {
                    match value.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit)) {
                        Some(limit) => found.limit = limit,
                        None => {
                            let expected = format!("a whole number from 1 to {PAGE_MAX}");
                            refusals.push(Refusal::new(
                                name,
                                Mistake::OutOfRange,
                                &value,
                                expected,
                            ));
                        }
                    }
                }
                _ => {
                    let expected = "one of after, limit";
                    refusals.push(Refusal::new(name.clone(), Mistake::Unknown, &name, expected));
                }
            }
        }
        if refusals.is_empty() { Ok(found) } else { Err(refusals) }
    }
}

/// Reads a [`ListRequest`].
pub fn list_request(document: &Value) -> Result<String, Vec<Refusal>> {
    json::read(document, |fields| {
        let name = fields.text("name", NAME_MAX).map(str::trim).filter(|name| !name.is_empty());
        if name.is_none() {
            fields.refuse_blind("name", Mistake::Missing, "a name of 1 to 128 characters");
        }
        name.map(str::to_owned)
    })
}

/// Reads a [`NumbersRequest`]: the numbers and the reason.
pub fn numbers_request(document: &Value) -> Result<(Vec<String>, String), Vec<Refusal>> {
    json::read(document, |fields| {
        let mut numbers = Vec::new();
        for text in fields.text_list("numbers", NUMBERS_MAX, NAME_MAX) {
            numbers.extend(number(fields, "numbers", text));
        }
        if !fields.has("numbers") {
            fields.refuse_blind("numbers", Mistake::Missing, "a list of numbers");
        }
        Some((numbers, reason(fields)))
    })
}

/// Reads an [`OptOutRequest`]: the number and the reason.
pub fn opt_out_request(document: &Value) -> Result<(String, String), Vec<Refusal>> {
    json::read(document, |fields| {
        let text = fields.text("number", NAME_MAX);
        if !fields.has("number") {
            fields.refuse_blind("number", Mistake::Missing, "a number such as +12125550101");
        }
        let number = text.and_then(|text| number(fields, "number", text));
        let reason = reason(fields);
        Some((number?, reason))
    })
}

fn number(fields: &mut Fields<'_>, name: &'static str, text: &str) -> Option<String> {
    match Destination::number(text) {
        Ok(number) => Some(number.dialed().to_owned()),
        Err(error) => {
            let expected = format!("a number such as +12125550101: {error}");
            fields.refuse(name, Mistake::Malformed, text, expected);
            None
        }
    }
}

fn reason(fields: &mut Fields<'_>) -> String {
    fields.text("reason", REASON_MAX).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_in_any_spelling_and_mistakes_are_named() {
        let read = numbers_request(&json!({"numbers": ["(212) 555-0101"], "reason": "asked"}));
        assert_eq!(read.unwrap(), (vec!["2125550101".to_owned()], "asked".to_owned()));
        let refusals = numbers_request(&json!({"numbers": ["nobody", 7]})).unwrap_err();
        assert_eq!(refusals.len(), 2);
        assert!(numbers_request(&json!({})).is_err());
    }

    #[test]
    fn list_has_a_name_and_an_opt_out_a_number() {
        assert_eq!(list_request(&json!({"name": " partners "})).unwrap(), "partners");
        assert!(list_request(&json!({"name": "  "})).is_err());
        let read = opt_out_request(&json!({"number": "+12125550101"})).unwrap();
        assert_eq!(read, ("+12125550101".to_owned(), String::new()));
        assert!(opt_out_request(&json!({"reason": "asked"})).is_err());
    }
}
