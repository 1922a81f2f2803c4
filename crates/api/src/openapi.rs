//! The OpenAPI 3.1 documents: one of each facade, and one of everything: docs/api/openapi.json.

mod patch;

use std::sync::LazyLock;

use facade::Facade;
use facade::native::{answer, callback, deployment, import, problem, request, words};
use facade::refusal::Mistake;
use utoipa::openapi::path::{Operation, Parameter};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use crate::{
    accounts, deployments, events, imports, list_files, native, recordings, rules, status, webhooks,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Outdial",
        description = "Outbound calls: make them, follow them, group them in campaigns.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        native::create_call,
        native::list_calls,
        native::read_call,
        native::cancel_call,
        recordings::read_recording,
        recordings::delete_recording,
        recordings::pause_recording,
        recordings::resume_recording,
        native::create_campaign,
        native::list_campaigns,
        native::read_campaign,
        native::start_campaign,
        native::stop_campaign,
        native::change_campaign,
        accounts::read_own,
        accounts::suspend_own,
        accounts::resume_own,
        accounts::list_own_caller_ids,
        accounts::list,
        accounts::read,
        accounts::change,
        accounts::suspend,
        accounts::resume,
        accounts::list_caller_ids,
        accounts::verify,
        accounts::forget,
        accounts::dialing,
        accounts::suspend_dialing,
        accounts::resume_dialing,
        rules::why,
        rules::why_not_now,
        rules::read_policy,
        rules::change_policy,
        rules::cancel_waiting,
        rules::lists,
        rules::create_list,
        rules::list_numbers,
        rules::add_numbers,
        list_files::add_file,
        rules::check_number,
        rules::remove_number,
        rules::opt_out,
        deployments::create,
        deployments::list,
        deployments::read,
        deployments::update,
        deployments::delete,
        events::list_events,
        imports::create_import,
        imports::list_imports,
        imports::read_import,
        imports::commit_import,
        imports::discard_import,
        imports::rejected_rows,
        webhooks::create_webhook,
        webhooks::list_webhooks,
        webhooks::read_webhook,
        webhooks::change_webhook,
        webhooks::delete_webhook,
        webhooks::rotate_webhook,
        webhooks::rotate_result_secret,
        webhooks::test_webhook,
        webhooks::replay_webhook,
        webhooks::list_deliveries,
        status::health,
        status::figures,
        status::openapi,
        status::openapi_of,
        status::problems,
        status::problem,
    ),
    components(schemas(
        answer::Problem,
        callback::CallEvent,
        callback::ResultEvent,
        callback::TestEvent,
        deployment::DeploymentRequest,
        deployment::DeploymentUpdate,
        Mistake,
        import::ImportRequest,
        problem::ProblemCode,
        request::CallRequest,
        request::CampaignRequest,
        words::CallState,
    )),
    tags(
        (name = "accounts", description = "Who may do how much, and whether anything is dialed."),
        (name = "calls", description = "Calls, from their request to their end."),
        (name = "campaigns", description = "Calls dialed under one rule."),
        (name = "deployments", description = "Scripts under numbers, for clients of Plum Fuse."),
        (name = "events", description = "What happens to calls, told in order by a cursor."),
        (name = "imports", description = "Files of contacts: sent, looked at, then committed."),
        (name = "rules", description = "What may be dialed when, and why a call was or is not."),
        (name = "webhooks", description = "Who is told of what happens, and what came of it."),
        (name = "operation", description = "How the server is doing; no key is needed."),
    ),
    modifiers(&Common),
)]
struct Native;

/// What all operations have in common.
struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut Document) {
        if let Some(components) = document.components.as_mut() {
            let key = HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .bearer_format("od_live_<key id>_<secret>")
                .build();
            components.add_security_scheme("key", SecurityScheme::Http(key));
        }
        delete_is_cancel(document);
        patch::add(document, "Policy", "PolicyChange");
        for (path, item) in &mut document.paths.paths {
            let operations =
                [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                add_problems(path, operation);
                name_problems(path, operation);
                if let Some(RefOr::T(body)) = &mut operation.request_body {
                    body.required = Some(Required::True);
                }
            }
        }
    }
}

/// `DELETE /v1/calls/{id}` is the cancel by another name; one handler has one path of its own.
fn delete_is_cancel(document: &mut Document) {
    let paths = &mut document.paths.paths;
    let cancel = paths.get("/v1/calls/{id}/cancel").and_then(|item| item.post.clone());
    if let (Some(mut delete), Some(item)) = (cancel, paths.get_mut("/v1/calls/{id}")) {
        delete.operation_id = Some("delete_call".to_owned());
        item.delete = Some(delete);
    }
}

/// The problems that an operation can meet, by what it takes.
fn add_problems(path: &str, operation: &mut Operation) {
    let mut problems = vec![
        ("500", "A defect of the server."),
        ("503", "Busy, shutting down, or without its store."),
    ];
    if path.starts_with("/v1/") {
        operation.security = Some(vec![SecurityRequirement::new("key", Vec::<String>::new())]);
        problems.push(("401", "No valid key."));
        problems.push(("429", "Wrong keys too often."));
    }
    if path.contains('{') {
        problems.push(("404", "Nothing of this name exists for the account."));
    }
    // Theirs is to change what holds for others.
    if path.starts_with("/v1/accounts") || path.starts_with("/v1/dialing/") {
        problems.push(("403", "The key is not an operator's."));
    }
    if operation.parameters.iter().flatten().any(is_key) {
        problems.push(("400", "The body is not JSON, or the key is none."));
        problems.push(("409", "A request with this key is under way."));
        problems.push(("422", "Another request carried this key, or fields are wrong."));
    }
    if operation.request_body.is_some() {
        problems.push(("400", "The body is not JSON."));
        problems.push(("408", "The body did not arrive in time."));
        problems.push(("413", "The body is too large."));
        problems.push(("415", "The body is of another kind."));
    }
    let is_list = path.starts_with("/v1/") && operation.parameters.iter().flatten().any(is_limit);
    if operation.request_body.is_some() || is_list {
        problems.push(("422", "Fields or parameters are wrong; `errors` names each."));
    }
    for (status, description) in problems {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new()
            .description(description)
            .content(answer::PROBLEM_CONTENT_TYPE, content)
            .build();
        operation.responses.responses.entry(status.to_owned()).or_insert(response.into());
    }
}

/// Problems that operations describe themselves are of the media type that all of them have.
fn name_problems(path: &str, operation: &mut Operation) {
    let failed = |status: &str| status.starts_with(['4', '5']);
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if path.starts_with("/v1/") && failed(status) {
            let content = std::mem::take(&mut response.content).into_values();
            let named = content.map(|content| (answer::PROBLEM_CONTENT_TYPE.to_owned(), content));
            response.content = named.collect();
        }
    }
}

/// Whether a parameter is the client's name for a request.
fn is_key(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.name == "Idempotency-Key")
}

/// Whether a parameter is the one that all lists have.
fn is_limit(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.name == "limit")
}

/// The document of one facade; none of them names an address of another.
fn of_facade(facade: Facade) -> Document {
    let contract = match facade {
        Facade::Native => return Native::openapi(),
        Facade::Plum => facade::plum::contract::document(),
        Facade::Fuse => facade::fuse::contract::document(),
        Facade::Aculab => facade::aculab::contract::document(),
    };
    serde_json::from_value(contract).expect("contracts of facades are OpenAPI documents")
}

/// The whole document, as it is served.
pub fn document() -> &'static str {
    static WHOLE: LazyLock<String> = LazyLock::new(|| {
        let mut whole = of_facade(Facade::Native);
        Facade::ALL[1..].iter().for_each(|facade| whole.merge(of_facade(*facade)));
        written(&whole)
    });
    &WHOLE
}

/// The document of a facade as it is served, by the name of its file.
pub(crate) fn document_of(file: &str) -> Option<&'static str> {
    static PARTS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
        let part = |facade: &Facade| {
            let name = format!("{}.json", facade.name());
            (name, written(&of_facade(*facade)))
        };
        Facade::ALL.iter().map(part).collect()
    });
    let part = PARTS.iter().find(|(name, _)| name == file);
    part.map(|(_, document)| document.as_str())
}

fn written(document: &Document) -> String {
    let mut text = document.to_pretty_json().expect("texts are always JSON");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// What a reader of documents loses of a part that it does not know, it loses in silence.
    #[test]
    fn nothing_that_a_facade_says_of_itself_is_lost_in_its_document() {
        let contracts = [
            (Facade::Plum, facade::plum::contract::document()),
            (Facade::Fuse, facade::fuse::contract::document()),
            (Facade::Aculab, facade::aculab::contract::document()),
        ];
        for (facade, contract) in contracts {
            let read: Value = serde_json::from_str(&written(&of_facade(facade))).unwrap();
            assert_eq!(read, contract, "{facade:?}");
        }
    }

    #[test]
    fn whole_document_has_every_path_and_schema_of_its_parts() {
        let whole: Value = serde_json::from_str(document()).unwrap();
        let (mut paths, mut schemas) = (0, 0);
        for facade in Facade::ALL {
            let part = document_of(&format!("{}.json", facade.name())).unwrap();
            let part: Value = serde_json::from_str(part).unwrap();
            for (path, item) in part["paths"].as_object().unwrap() {
                assert_eq!(whole["paths"][path], *item, "{path}");
                paths += 1;
            }
            for (name, schema) in part["components"]["schemas"].as_object().unwrap() {
                assert_eq!(whole["components"]["schemas"][name], *schema, "{name}");
                schemas += 1;
            }
        }
        assert_eq!(whole["paths"].as_object().unwrap().len(), paths);
        assert_eq!(whole["components"]["schemas"].as_object().unwrap().len(), schemas);
        assert_eq!(document_of("nobody.json"), None);
    }
}
