//! Who asks: a client, or another server of the database in a client's name.

use std::net::IpAddr;

use domain::ids::AccountId;
use facade::native::problem::ProblemCode;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};

use crate::Parts;
use crate::error::Fault;

/// In whose name another server asks for this method and address; `None`: no server asks.
///
/// One that claims to be a server and is none of ours, or means another one, is refused.
pub(crate) fn asked(
    shared: &Parts,
    headers: &HeaderMap,
    asked: (&Method, &str),
    from: Option<IpAddr>,
) -> Result<Option<AccountId>, Fault> {
    let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    match authorization.and_then(|text| shared.control.asked_by_peer(text, asked)) {
        Some(Some(account)) => Ok(Some(account)),
        Some(None) => {
            tracing::warn!(
                ?from,
                "another server asks, and is not of this database or means another one: see \
                 api.advertise, and clocks"
            );
            Err(Fault::new(ProblemCode::Unauthorized, "this server is not meant"))
        }
        None => Ok(None),
    }
}
