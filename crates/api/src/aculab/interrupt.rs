//! `rest_interrupt`: of applications here, and of those that other servers of the database run.

use std::net::IpAddr;

use axum::body::{Body, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use domain::application::PageAddress;
use domain::ids::{AccountId, ContactId};
use engine::control::Interrupted;
use engine::peers::PeerError;
use facade::aculab::{answer, request};
use facade::form;
use http::{Method, StatusCode};
use serde_json::Value;
use store::NodePlace;

use super::{APPLICATIONS, Answer, Stopped, account, invalid, is_ours, parameters, spoken};
use crate::server::Peer;
use crate::{Parts, Shared, peers};

/// Where it is asked for, by clients and by other servers.
const PATH: &str = "/rest_interrupt";
/// Applications that another server is asked about at once: they and a page fit into an address.
const ASKED_MAX: usize = 200;
/// Longest answer of another server, in bytes: a line for each application.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The result where the server that makes the call was not reached.
const AWAY: &str = "server of this call does not answer, try again";
const BUSY: &str = "busy, try again";
const NOTHING: &str = "no such application";

/// `GET` and `POST /rest_interrupt`.
pub(crate) async fn interrupt(
    State(shared): State<Shared>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let answer = interrupted(&shared, peer.ip(), request).await;
    spoken(&shared, PATH, answer)
}

async fn interrupted(shared: &Parts, source: IpAddr, request: Request) -> Answer {
    let target = request.uri().path_and_query().map_or(PATH, |target| target.as_str());
    let asked = (request.method(), target);
    let by_peer = peers::asked(shared, request.headers(), asked, Some(source))?;
    let account = match by_peer {
        Some(account) => account,
        None => account(shared, source, request.headers()).await?,
    };
    let form = parameters(request).await?;
    let ids = request::ids(&form, APPLICATIONS).map_err(invalid)?;
    let page = request::redirect(&form).map_err(invalid)?;
    let mut members = Vec::new();
    let mut elsewhere: Vec<(NodePlace, Vec<String>)> = Vec::new();
    for id in ids {
        let result = match of_call(shared, account, &id, page.clone()).await? {
            Interrupted::Busy => BUSY,
            Interrupted::Completed => "application already completed",
            Interrupted::Done => "interrupted",
            // Another server that asks is answered from here alone, so that no two of them ask
            // each other in turns.
            Interrupted::Elsewhere(place) if by_peer.is_none() => {
                match elsewhere.iter_mut().find(|(known, _)| known.node == place.node) {
                    Some((_, ids)) => ids.push(id),
                    None => elsewhere.push((place, vec![id])),
                }
                continue;
            }
            Interrupted::Elsewhere(_) | Interrupted::NotRunning | Interrupted::Unknown => NOTHING,
        };
        members.push((id, answer::result(result)));
    }
    for (place, ids) in elsewhere {
        members.extend(at_other(shared, account, &place, ids, page.as_ref()).await?);
    }
    Ok((StatusCode::OK, answer::by_id(members)))
}

async fn of_call(
    shared: &Parts,
    account: AccountId,
    id: &str,
    page: Option<PageAddress>,
) -> Result<Interrupted, Stopped> {
    match id.parse::<ContactId>() {
        Ok(contact) if is_ours(shared, account, contact).await? => {
            Ok(shared.control.interrupt(account, contact, page).await?)
        }
        Ok(_) | Err(_) => Ok(Interrupted::Unknown),
    }
}

/// What another server says of these; once it was not reached, it is not asked for the rest.
async fn at_other(
    shared: &Parts,
    account: AccountId,
    place: &NodePlace,
    ids: Vec<String>,
    page: Option<&PageAddress>,
) -> Result<Vec<(String, Value)>, Stopped> {
    let mut members = Vec::new();
    let mut is_away = false;
    for some in ids.chunks(ASKED_MAX) {
        let told = match is_away {
            false => ask(shared, account, place, some, page).await?,
            true => None,
        };
        is_away = told.is_none();
        let result = |id: &String| match &told {
            Some(told) => told[id]["result"].as_str().unwrap_or(BUSY).to_owned(),
            None => AWAY.to_owned(),
        };
        members.extend(some.iter().map(|id| (id.clone(), answer::result(&result(id)))));
    }
    Ok(members)
}

/// Asks another server; `None` where it does not answer.
async fn ask(
    shared: &Parts,
    account: AccountId,
    place: &NodePlace,
    ids: &[String],
    page: Option<&PageAddress>,
) -> Result<Option<Value>, Stopped> {
    let target = target(ids, page);
    let asked = (&Method::POST, target.as_str());
    let relayed = match shared.control.ask_peer(place.clone(), account, asked, None).await {
        Ok(relayed) => relayed,
        Err(PeerError::Store(error)) => return Err(error.into()),
        Err(error) => {
            tracing::warn!("an application is not interrupted: {error}");
            return Ok(None);
        }
    };
    if relayed.status != StatusCode::OK {
        let (node, status) = (place.node, relayed.status);
        tracing::warn!(node, %status, "another server does not interrupt an application");
        return Ok(None);
    }
    let text = to_bytes(Body::from_stream(relayed.body), ANSWER_BYTES_MAX).await;
    Ok(text.ok().and_then(|text| serde_json::from_slice(&text).ok()))
}

/// The address by which another server is asked: all is in it, for it is what is signed.
fn target(ids: &[String], page: Option<&PageAddress>) -> String {
    let ids = ids.join("/");
    let mut fields = vec![(APPLICATIONS, ids.as_str())];
    if let Some(page) = page {
        fields.push(("redirect_page", page.url.as_str()));
        fields.push(("redirect_method", if page.is_got { "GET" } else { "POST" }));
    }
    format!("{PATH}?{}", form::encode(fields))
}
