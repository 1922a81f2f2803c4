//! Accounts, their verified caller IDs, and whether anything is dialed. docs/api/native.md.

use axum::Json;
use axum::extract::{FromRequestParts, RawQuery, State};
use axum::response::Response;
use domain::account;
use domain::ids::AccountId;
use facade::native::account::{
    Account, AccountList, AccountWishes, CallerIdsRequest, Dialing, VerifiedCallerId,
    VerifiedCallerIds, caller_ids_request,
};
use facade::native::answer::Part;
use facade::native::explain::{Count, NumbersQuery};
use facade::native::problem::ProblemCode;
use facade::zone::rfc_3339;
use http::request::Parts as Head;
use http::{Method, StatusCode};
use store::{AccountTerms, Suspender, TermsChange};

use crate::error::Fault;
use crate::idempotency::{self, Begin, Fingerprint, Key};
use crate::native::{Caller, Id, JsonBody, in_body};
use crate::{Parts, Shared};

/// Shows the account whose key is used.
#[utoipa::path(get, path = "/v1/account", tag = "accounts",
    responses((status = 200, description = "The account.", body = Account)))]
pub(crate) async fn read_own(
    State(shared): State<Shared>,
    Caller(account): Caller,
) -> Result<Json<Account>, Fault> {
    Ok(Json(account_of(&shared, account).await?))
}

/// Suspends your account: nothing of it is dialed from now on; calls under way go on.
#[utoipa::path(post, path = "/v1/account/suspend", tag = "accounts",
    responses((status = 200, description = "The account as it is now.", body = Account)))]
pub(crate) async fn suspend_own(
    State(shared): State<Shared>,
    Caller(account): Caller,
) -> Result<Json<Account>, Fault> {
    shared.control.suspend_account(account, Suspender::Account, true).await?;
    Ok(Json(account_of(&shared, account).await?))
}

/// Resumes your account: what waits is dialed again, unless an operator has suspended it, too.
#[utoipa::path(post, path = "/v1/account/resume", tag = "accounts",
    responses(
        (status = 200, description = "The account as it is now.", body = Account),
        (status = 403, description = "An operator has suspended it, which only an operator undoes.",
            body = facade::native::answer::Problem)))]
pub(crate) async fn resume_own(
    State(shared): State<Shared>,
    Caller(account): Caller,
) -> Result<Json<Account>, Fault> {
    shared.control.suspend_account(account, Suspender::Account, false).await?;
    let account = account_of(&shared, account).await?;
    if account.suspended_by_operator {
        return Err(forbidden("an operator has suspended the account"));
    }
    Ok(Json(account))
}

/// Shows the caller IDs that your account may show, in their order.
#[utoipa::path(get, path = "/v1/account/caller-ids", tag = "accounts",
    params(
        ("after" = Option<String>, Query, description = "The last number of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
            description = "Most numbers in the page. Default: 1000.")),
    responses((status = 200, description = "A page of them.", body = VerifiedCallerIds)))]
pub(crate) async fn list_own_caller_ids(
    State(shared): State<Shared>,
    Caller(account): Caller,
    RawQuery(query): RawQuery,
) -> Result<Json<VerifiedCallerIds>, Fault> {
    caller_ids(&shared, account, query).await
}

/// Lists all accounts; for operators.
#[utoipa::path(get, path = "/v1/accounts", operation_id = "list_accounts", tag = "accounts",
    responses((status = 200, description = "All of them.", body = AccountList)))]
pub(crate) async fn list(
    State(shared): State<Shared>,
    _: Operator,
) -> Result<Json<AccountList>, Fault> {
    let reader = shared.control.reader();
    let (accounts, terms) = (reader.accounts().await?, reader.account_terms().await?);
    let data = accounts.iter().filter_map(|account| {
        let terms = terms.iter().find(|terms| terms.account == account.id)?;
        Some(shown(&shared, account, terms))
    });
    Ok(Json(AccountList { data: data.collect() }))
}

/// Shows an account; for operators.
#[utoipa::path(get, path = "/v1/accounts/{id}", operation_id = "read_account", tag = "accounts",
    params(("id" = String, Path, description = "Id of the account.")),
    responses((status = 200, description = "The account.", body = Account)))]
pub(crate) async fn read(
    State(shared): State<Shared>,
    _: Operator,
    Id(id): Id<AccountId>,
) -> Result<Json<Account>, Fault> {
    Ok(Json(account_of(&shared, id).await?))
}

/// Changes an account, by a merge patch (RFC 7396); for operators.
#[utoipa::path(patch, path = "/v1/accounts/{id}", operation_id = "change_account", tag = "accounts",
    params(("id" = String, Path, description = "Id of the account.")),
    request_body = facade::native::account::AccountUpdate,
    responses((status = 200, description = "The account as it is now.", body = Account)))]
pub(crate) async fn change(
    State(shared): State<Shared>,
    Operator(own): Operator,
    Id(id): Id<AccountId>,
    JsonBody(body): JsonBody,
) -> Result<Json<Account>, Fault> {
    let wishes = AccountWishes::parse(&body).map_err(in_body)?;
    if id == own && wishes.operator == Some(false) {
        return Err(forbidden("an operator stays one until another says otherwise"));
    }
    let AccountWishes { country, weight, calls_max, calls_per_second, verified_only, operator } =
        wishes;
    let change = TermsChange {
        weight,
        calls_max,
        calls_per_second,
        country,
        is_operator: operator,
        verified_only,
    };
    shared.control.change_account(id, change).await?.ok_or_else(unknown)?;
    Ok(Json(account_of(&shared, id).await?))
}

/// Suspends an account: nothing of it is dialed until an operator resumes it; calls under way go on.
#[utoipa::path(post, path = "/v1/accounts/{id}/suspend", operation_id = "suspend_account", tag = "accounts",
    params(("id" = String, Path, description = "Id of the account.")),
    responses((status = 200, description = "The account as it is now.", body = Account)))]
pub(crate) async fn suspend(
    State(shared): State<Shared>,
    _: Operator,
    Id(id): Id<AccountId>,
) -> Result<Json<Account>, Fault> {
    set_suspended(&shared, id, true).await
}

/// Resumes an account that an operator suspended; for operators.
#[utoipa::path(post, path = "/v1/accounts/{id}/resume", operation_id = "resume_account", tag = "accounts",
    params(("id" = String, Path, description = "Id of the account.")),
    responses((status = 200, description = "The account as it is now.", body = Account)))]
pub(crate) async fn resume(
    State(shared): State<Shared>,
    _: Operator,
    Id(id): Id<AccountId>,
) -> Result<Json<Account>, Fault> {
    set_suspended(&shared, id, false).await
}

/// Shows the caller IDs that an account may show, in their order; for operators.
#[utoipa::path(get, path = "/v1/accounts/{id}/caller-ids", tag = "accounts",
    params(
        ("id" = String, Path, description = "Id of the account."),
        ("after" = Option<String>, Query, description = "The last number of the page before."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
            description = "Most numbers in the page. Default: 1000.")),
    responses((status = 200, description = "A page of them.", body = VerifiedCallerIds)))]
pub(crate) async fn list_caller_ids(
    State(shared): State<Shared>,
    _: Operator,
    Id(id): Id<AccountId>,
    RawQuery(query): RawQuery,
) -> Result<Json<VerifiedCallerIds>, Fault> {
    caller_ids(&shared, id, query).await
}

/// Lets an account show caller IDs, once you have verified that they are its own; for operators.
#[utoipa::path(post, path = "/v1/accounts/{id}/caller-ids", operation_id = "verify_caller_ids", tag = "accounts",
    params(
        ("id" = String, Path, description = "Id of the account."),
        ("Idempotency-Key" = Option<String>, Header,
            description = "Your name for the request, in quotes: it is done once.")),
    request_body = CallerIdsRequest,
    responses((status = 200, description = "How many are new.", body = Count)))]
pub(crate) async fn verify(
    State(shared): State<Shared>,
    Operator(own): Operator,
    Id(id): Id<AccountId>,
    Key(key): Key,
    JsonBody(body): JsonBody,
) -> Result<Response, Fault> {
    let path = format!("/v1/accounts/{id}/caller-ids");
    let print = Fingerprint::new(&Method::POST, &path).json(&body);
    let claim = match idempotency::begin(&shared, own, key, print).await?? {
        Begin::New(claim) => claim,
        Begin::Done(response) => return Ok(response),
    };
    let numbers = caller_ids_request(&body).map_err(in_body)?;
    account_of(&shared, id).await?;
    let count = shared.control.verify_caller_ids(id, numbers).await?;
    let answer = idempotency::done(StatusCode::OK, &Count { count });
    // A number that is verified twice is verified.
    let kept = idempotency::keep(&shared, claim.once(), answer).await?;
    Ok(idempotency::met(&shared, kept)?)
}

/// Lets an account show a caller ID no longer; for operators.
#[utoipa::path(delete, path = "/v1/accounts/{id}/caller-ids/{number}", operation_id = "forget_caller_id", tag = "accounts",
    params(
        ("id" = String, Path, description = "Id of the account."),
        ("number" = String, Path, description = "The number, in any spelling.")),
    responses((status = 204, description = "It is no longer shown.")))]
pub(crate) async fn forget(
    State(shared): State<Shared>,
    _: Operator,
    axum::extract::Path((id, number)): axum::extract::Path<(String, String)>,
) -> Result<StatusCode, Fault> {
    let id: AccountId = id.parse().map_err(|_| unknown())?;
    match shared.control.forget_caller_id(id, &number).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Fault::not_found("verified caller ID")),
    }
}

/// Shows whether anything is dialed at all.
#[utoipa::path(get, path = "/v1/dialing", tag = "accounts",
    responses((status = 200, description = "Whether it is.", body = Dialing)))]
pub(crate) async fn dialing(
    State(shared): State<Shared>,
    _: Caller,
) -> Result<Json<Dialing>, Fault> {
    Ok(Json(Dialing { suspended: shared.control.reader().is_suspended().await? }))
}

/// Suspends the server: nothing of anybody is dialed; calls under way go on. For operators.
#[utoipa::path(post, path = "/v1/dialing/suspend", tag = "accounts",
    responses((status = 200, description = "Nothing is dialed.", body = Dialing)))]
pub(crate) async fn suspend_dialing(
    State(shared): State<Shared>,
    _: Operator,
) -> Result<Json<Dialing>, Fault> {
    shared.control.suspend(true).await?;
    Ok(Json(Dialing { suspended: true }))
}

/// Resumes the server: what waits is dialed again. For operators.
#[utoipa::path(post, path = "/v1/dialing/resume", tag = "accounts",
    responses((status = 200, description = "Everything is dialed.", body = Dialing)))]
pub(crate) async fn resume_dialing(
    State(shared): State<Shared>,
    _: Operator,
) -> Result<Json<Dialing>, Fault> {
    shared.control.suspend(false).await?;
    Ok(Json(Dialing { suspended: false }))
}

/// The account whose key a request carries, where it may change what holds for others.
pub(crate) struct Operator(AccountId);

impl FromRequestParts<Shared> for Operator {
    type Rejection = Fault;

    async fn from_request_parts(head: &mut Head, shared: &Shared) -> Result<Self, Fault> {
        let Caller(account) = Caller::from_request_parts(head, shared).await?;
        let terms = shared.control.reader().terms_of(account).await?;
        match terms.is_some_and(|terms| terms.is_operator) {
            true => Ok(Self(account)),
            false => Err(forbidden("this address is for operators")),
        }
    }
}

async fn set_suspended(
    shared: &Parts,
    id: AccountId,
    suspended: bool,
) -> Result<Json<Account>, Fault> {
    account_of(shared, id).await?;
    shared.control.suspend_account(id, Suspender::Operator, suspended).await?;
    Ok(Json(account_of(shared, id).await?))
}

async fn caller_ids(
    shared: &Parts,
    id: AccountId,
    query: Option<String>,
) -> Result<Json<VerifiedCallerIds>, Fault> {
    let query = NumbersQuery::parse(&query.unwrap_or_default());
    let query = query.map_err(|refusals| Fault::refused(Part::Query, refusals))?;
    let verified_only = account_of(shared, id).await?.verified_only;
    let reader = shared.control.reader();
    let rows = reader.verified_caller_ids(id, &query.after, query.limit).await?;
    let data = rows
        .into_iter()
        .map(|row| VerifiedCallerId { number: row.number, added_at: rfc_3339(row.added_at) });
    Ok(Json(VerifiedCallerIds { verified_only, data: data.collect() }))
}

async fn account_of(shared: &Parts, id: AccountId) -> Result<Account, Fault> {
    let reader = shared.control.reader();
    let (account, terms) = (reader.account(id).await?, reader.terms_of(id).await?);
    match (account, terms) {
        (Some(account), Some(terms)) => Ok(shown(shared, &account, &terms)),
        _ => Err(unknown()),
    }
}

fn shown(shared: &Parts, account: &account::Account, terms: &AccountTerms) -> Account {
    Account {
        id: account.id.to_string(),
        login: account.login.clone(),
        country: terms.country.unwrap_or(shared.control.home()).to_string(),
        country_is_its_own: terms.country.is_some(),
        weight: terms.weight,
        calls_max: terms.limits.calls_max,
        calls_per_second: terms.limits.calls_per_second,
        verified_only: terms.verified_only,
        operator: terms.is_operator,
        suspended_by_account: terms.suspended_by_account,
        suspended_by_operator: terms.suspended_by_operator,
        created_at: rfc_3339(account.created_at),
    }
}

fn forbidden(detail: &str) -> Fault {
    Fault::new(ProblemCode::Forbidden, detail)
}

fn unknown() -> Fault {
    Fault::not_found("account")
}
