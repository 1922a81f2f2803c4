//! Rules of dialing: policies, lists of numbers that are not called, opting out, and why.

use axum::Json;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::response::Response;
use domain::ids::{CampaignId, ContactId};
use domain::permit::stored_checks;
use domain::policy::NAME_MAX;
use facade::native::answer::Part;
use facade::native::explain::{
    self, CampaignPolicy, Check, Count, ListedNumber, ListedNumbers, NumberList, NumberLists,
    NumbersQuery, WeighedAttempt, Why, WhyNotNow,
};
use facade::native::policy::{self, Policy};
use facade::native::problem::ProblemCode;
use facade::zone::rfc_3339;
use http::request::Parts as Head;
use http::{Method, StatusCode};
use store::Answer;

use crate::Shared;
use crate::error::{Fault, not_verified};
use crate::idempotency::{self, Begin, Fingerprint, Key};
use crate::native::{Caller, Id, JsonBody, in_body};

/// How often a change is tried where others change the same policy.
const TRIES: usize = 5;

/// Shows what a campaign says about dialing.
#[utoipa::path(get, path = "/v1/campaigns/{id}/policy", tag = "rules",
    params(("id" = String, Path, description = "Id of the campaign.")),
    responses((status = 200, description = "The policy.", body = CampaignPolicy)))]
pub(crate) async fn read_policy(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<CampaignId>,
) -> Result<Json<CampaignPolicy>, Fault> {
    let found = shared.control.policy(account, id).await?;
    let (policy, version) = found.ok_or_else(|| Fault::not_found("campaign"))?;
    Ok(Json(CampaignPolicy { version, policy: Policy::new(&policy) }))
}

/// Changes what a campaign says about dialing, by a merge patch (RFC 7396).
#[utoipa::path(patch, path = "/v1/campaigns/{id}/policy", tag = "rules",
    params(("id" = String, Path, description = "Id of the campaign.")),
    request_body(content_type = "application/json", content = ref("#/components/schemas/PolicyChange")),
    responses((status = 200, description = "The policy after the change.", body = CampaignPolicy)))]
pub(crate) async fn change_policy(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<CampaignId>,
    JsonBody(patch): JsonBody,
) -> Result<Json<CampaignPolicy>, Fault> {
    for _ in 0..TRIES {
        let found = shared.control.policy(account, id).await?;
        let (before, version) = found.ok_or_else(|| Fault::not_found("campaign"))?;
        let after = policy::changed(&before, &patch, &shared.control.law()).map_err(in_body)?;
        let mut shown = after.caller_ids.numbers.iter();
        if let Some(number) = shown.find(|number| !shared.control.may_show(account, number)) {
            return Err(in_body(vec![not_verified("/caller_ids/numbers", number)]));
        }
        if shared.control.set_policy(account, id, &after, version).await? {
            let policy = Policy::new(&after);
            return Ok(Json(CampaignPolicy { version: version + 1, policy }));
        }
    }
    Err(Fault::new(ProblemCode::Busy, "others are changing this policy, try again"))
}

/// Cancels all calls that wait in a campaign; those under way go on.
#[utoipa::path(delete, path = "/v1/campaigns/{id}/calls", tag = "campaigns",
    params(("id" = String, Path, description = "Id of the campaign.")),
    responses((status = 200, description = "How many were canceled.", body = Count)))]
pub(crate) async fn cancel_waiting(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<CampaignId>,
) -> Result<Json<Count>, Fault> {
    if shared.control.reader().campaign(account, id).await?.is_none() {
        return Err(Fault::not_found("campaign"));
    }
    Ok(Json(Count { count: shared.control.cancel_waiting(account, id).await? }))
}

/// Shows what was weighed before each attempt of a call.
#[utoipa::path(get, path = "/v1/calls/{id}/why", tag = "rules",
    params(("id" = String, Path, description = "Id of the call.")),
    responses((status = 200, description = "What was weighed.", body = Why)))]
pub(crate) async fn why(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<ContactId>,
) -> Result<Json<Why>, Fault> {
    let reader = shared.control.reader();
    if reader.contact(account, id).await?.is_none() {
        return Err(Fault::not_found("call"));
    }
    let mut attempts = Vec::new();
    for attempt in reader.attempts(id).await? {
        let weighed = reader.weighed(attempt.id).await?.unwrap_or_default();
        attempts.push(WeighedAttempt {
            attempt_id: attempt.id.to_string(),
            at: rfc_3339(attempt.started_at),
            checks: stored_checks(&weighed).iter().map(Check::from).collect(),
        });
    }
    Ok(Json(Why { attempts }))
}

/// Says why a call is not dialed at this moment.
#[utoipa::path(get, path = "/v1/contacts/{id}/why-not-now", tag = "rules",
    params(("id" = String, Path, description = "Id of the call.")),
    responses((status = 200, description = "Why not.", body = WhyNotNow)))]
pub(crate) async fn why_not_now(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(id): Id<ContactId>,
) -> Result<Json<WhyNotNow>, Fault> {
    let found = shared.control.why_not_now(account, id).await?;
    let why = found.ok_or_else(|| Fault::not_found("call"))?;
    let weighed = why.weighing.iter().flat_map(|weighing| &weighing.checks);
    let waits = why.contact.state == domain::contact::ContactState::Waiting;
    Ok(Json(WhyNotNow {
        sentence: why.sentence(),
        next_attempt_at: waits.then(|| rfc_3339(why.contact.next_at)),
        checks: why.standing.iter().chain(weighed).map(Check::from).collect(),
    }))
}

/// Lists the lists of numbers that are not called.
#[utoipa::path(get, path = "/v1/lists", tag = "rules",
    responses((status = 200, description = "The lists.", body = NumberLists)))]
pub(crate) async fn lists(
    State(shared): State<Shared>,
    Caller(account): Caller,
) -> Result<Json<NumberLists>, Fault> {
    let rows = shared.control.reader().lists(account).await?;
    let data = rows.into_iter().map(|row| NumberList {
        name: row.name,
        numbers: row.numbers,
        created_at: rfc_3339(row.created_at),
    });
    Ok(Json(NumberLists { data: data.collect() }))
}

/// Creates a list.
#[utoipa::path(post, path = "/v1/lists", tag = "rules",
    request_body = explain::ListRequest,
    params(
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request, in quotes: it is done once.")),
    responses(
        (status = 201, description = "The list was created.", body = NumberList,
            headers(("Location" = String, description = "Address of its numbers."))),
        (status = 409, description = "The name is taken, or a request with this key is under way.",
            body = facade::native::answer::Problem)))]
pub(crate) async fn create_list(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Key(key): Key,
    JsonBody(body): JsonBody,
) -> Result<Response, Fault> {
    let print = Fingerprint::new(&Method::POST, "/v1/lists").json(&body);
    let claim = match idempotency::begin(&shared, account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let name = explain::list_request(&body).map_err(in_body)?;
    let created_at = rfc_3339(shared.control.now());
    let list = NumberList { name: name.clone(), numbers: 0, created_at };
    let answer = idempotency::created(&list, Some(format!("/v1/lists/{}/numbers", path_of(&name))));
    let kept = answer.clone();
    let created =
        shared.control.create_list(account, &name, claim.once(), move || kept.clone()).await?;
    let taken = || Fault::new(ProblemCode::NameTaken, format!("{name:?} is taken"));
    let created = created.map(|is_new| is_new.then_some(answer).ok_or_else(taken)).transpose()?;
    Ok(idempotency::met(&shared, created)?)
}

/// A name as a part of an address (RFC 3986 §2.1).
fn path_of(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let part = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    name.bytes().map(part).collect()
}

/// Adds numbers to a list, which is created where it is new.
#[utoipa::path(post, path = "/v1/lists/{list}/numbers", tag = "rules",
    params(
        ("list" = String, Path, description = "Name of the list."),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request, in quotes: it is done once.")),
    request_body = explain::NumbersRequest,
    responses((status = 200, description = "How many were not on it before.", body = Count)))]
pub(crate) async fn add_numbers(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(list): Id<String>,
    Key(key): Key,
    JsonBody(body): JsonBody,
) -> Result<Response, Fault> {
    let path = format!("/v1/lists/{list}/numbers");
    let print = Fingerprint::new(&Method::POST, &path).json(&body);
    let claim = match idempotency::begin(&shared, account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let (numbers, reason) = explain::numbers_request(&body).map_err(in_body)?;
    let list = list_name(&list)?;
    let once = (claim.once(), counted);
    let met = shared.control.list_add_once(account, list, numbers, &reason, once).await?;
    Ok(idempotency::met(&shared, met.map(counted))?)
}

fn counted(count: u64) -> Answer {
    idempotency::done(StatusCode::OK, &Count { count })
}

/// The name of a list in an address, as one may be created.
pub(crate) fn list_name(list: &str) -> Result<&str, Fault> {
    let name = list.trim();
    if name.is_empty() || name.chars().count() > NAME_MAX || name.contains('\0') {
        return Err(Fault::not_found("list of this name"));
    }
    Ok(name)
}

/// Shows numbers of a list, in their order.
#[utoipa::path(get, path = "/v1/lists/{list}/numbers", tag = "rules",
    params(
        ("list" = String, Path, description = "Name of the list."),
        ("after" = Option<String>, Query, description = "The last number of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
            description = "Most numbers in the page. Default: 1000.")),
    responses((status = 200, description = "A page of the list.", body = ListedNumbers)))]
pub(crate) async fn list_numbers(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Id(list): Id<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<ListedNumbers>, Fault> {
    let query = NumbersQuery::parse(&query.unwrap_or_default());
    let query = query.map_err(|refusals| Fault::refused(Part::Query, refusals))?;
    let reader = shared.control.reader();
    let found = reader.list_numbers(account, &list, &query.after, query.limit).await?;
    let found = found.ok_or_else(|| Fault::not_found("list"))?;
    Ok(Json(ListedNumbers { data: found.into_iter().map(listed).collect() }))
}

/// Says whether a number is on a list.
#[utoipa::path(get, path = "/v1/lists/{list}/numbers/{number}", tag = "rules",
    params(
        ("list" = String, Path, description = "Name of the list."),
        ("number" = String, Path, description = "The number, in any spelling.")),
    responses((status = 200, description = "It is.", body = ListedNumber)))]
pub(crate) async fn check_number(
    State(shared): State<Shared>,
    Caller(account): Caller,
    OnList(list, number): OnList,
) -> Result<Json<ListedNumber>, Fault> {
    let number = shared.control.canonical(account, &number);
    let on = shared.control.reader().on_lists(account, &number).await?;
    let on = on.into_iter().find(|on| on.list == list);
    on.map(listed).map(Json).ok_or_else(|| Fault::not_found("number on this list"))
}

/// Takes a number from a list.
#[utoipa::path(delete, path = "/v1/lists/{list}/numbers/{number}", tag = "rules",
    params(
        ("list" = String, Path, description = "Name of the list."),
        ("number" = String, Path, description = "The number, in any spelling.")),
    responses((status = 204, description = "It is no longer on the list.")))]
pub(crate) async fn remove_number(
    State(shared): State<Shared>,
    Caller(account): Caller,
    OnList(list, number): OnList,
) -> Result<StatusCode, Fault> {
    if shared.control.list_remove(account, &list, &number).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Fault::not_found("number on this list"))
    }
}

/// Lets a callee opt out: no campaign of yours calls the number any more, what waits ends.
#[utoipa::path(post, path = "/v1/opt-outs", tag = "rules",
    request_body = explain::OptOutRequest,
    params(
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request, in quotes: it is done once.")),
    responses((status = 200, description = "How many waiting calls ended.", body = Count)))]
pub(crate) async fn opt_out(
    State(shared): State<Shared>,
    Caller(account): Caller,
    Key(key): Key,
    JsonBody(body): JsonBody,
) -> Result<Response, Fault> {
    let print = Fingerprint::new(&Method::POST, "/v1/opt-outs").json(&body);
    let claim = match idempotency::begin(&shared, account, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let (number, reason) = explain::opt_out_request(&body).map_err(in_body)?;
    let once = (claim.once(), counted);
    let met = shared.control.opt_out(account, &number, &reason, once).await?;
    Ok(idempotency::met(&shared, met.map(counted))?)
}

/// A list and a number in an address; what is neither exists as little.
pub(crate) struct OnList(String, String);

impl FromRequestParts<Shared> for OnList {
    type Rejection = Fault;

    async fn from_request_parts(head: &mut Head, shared: &Shared) -> Result<Self, Fault> {
        let names = Path::<(String, String)>::from_request_parts(head, shared).await;
        let names = names.map_err(|_| Fault::not_found("what this address names"))?;
        Ok(Self(names.0.0, names.0.1))
    }
}

fn listed(row: store::ListedNumber) -> ListedNumber {
    ListedNumber {
        list: row.list,
        number: row.number,
        reason: row.reason,
        added_at: rfc_3339(row.added_at),
    }
}
