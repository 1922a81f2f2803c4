//! Who may challenge us for which password, and how often: the user agent's side of `auth`.

use super::api::TrunkKey;
use super::core::Core;
use crate::sip::auth::AuthTries;
use crate::sip::flow::Target;
use crate::sip::message::{Request, Response};
use crate::sip::name::Name;
use crate::sip::uri::Host;

/// What one request has been answered with so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Proofs {
    tries: AuthTries,
    /// How many challenges were answered.
    answers: u8,
    /// Whether a proxy, and whether a server, was among those who asked.
    askers: (bool, bool),
}

impl Core {
    /// Puts into a request what its receiver wants to see, before it is sent by this way.
    ///
    /// Without a challenge: answers to what was asked before; that always succeeds. With one: the
    /// answer to it; fails where there is none, or where it was given already.
    ///
    /// Only addresses of the trunk are answered: a Contact may lead a request of a dialog
    /// anywhere, and whoever is there shall not get to ask for the trunk's password.
    pub(super) fn authorize(
        &mut self,
        trunk: TrunkKey,
        target: &Target,
        proofs: &mut Proofs,
        challenge: Option<&Response>,
        request: &mut Request,
    ) -> bool {
        let address = target.flow.peer.ip();
        let trunk = self.trunks.get_mut(&trunk).filter(|trunk| trunk.is_source(address));
        let Some(authenticator) = trunk.and_then(|trunk| trunk.authenticator.as_mut()) else {
            return challenge.is_none();
        };
        let peer = Host::from(address.to_canonical());
        let Some(response) = challenge else {
            *proofs = Proofs::default();
            authenticator.prepare(&peer, request, &mut proofs.tries);
            return true;
        };
        if proofs.answers >= ANSWERS_MAX {
            return false;
        }
        proofs.answers += 1;
        if let Err(error) = authenticator.answer(&peer, response, request, &mut proofs.tries) {
            tracing::debug!(peer = %target.flow, %error, "challenge not answered");
            return false;
        }
        let other = match response.status {
            407 => {
                proofs.askers.0 = true;
                proofs.askers.1.then_some(Name::Authorization)
            }
            _ => {
                proofs.askers.1 = true;
                proofs.askers.0.then_some(Name::ProxyAuthorization)
            }
        };
        if let Some(other) = other {
            // Proxy and server both asked: each wants its answer again, the other's with a new nc.
            let mut spare = request.clone();
            spare.headers.remove(other);
            authenticator.prepare(&peer, &mut spare, &mut AuthTries::default());
            request.headers.copy_from(&spare.headers, other);
        }
        true
    }
}

/// Most challenges that one request answers: a proxy and a server, each once stale.
const ANSWERS_MAX: u8 = 4;
