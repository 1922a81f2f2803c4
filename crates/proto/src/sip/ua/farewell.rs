//! Ends dialogs nobody wants: forks that answered second, and calls of an earlier life.

use std::time::Instant;

use super::api::{Effect, TrunkKey};
use super::call::Outcome;
use super::core::{Core, next_target};
use super::proof::Proofs;
use super::tables::{ClientMachine, Owner, TransactionId};
use crate::sip::dialog::Dialog;
use crate::sip::flow::Target;
use crate::sip::identity::CallIdentity;
use crate::sip::message::{Method, Response};
use crate::sip::name::Name;
use crate::sip::transaction::ClientInvite;
use crate::sip::value::Reason;

/// A dialog that our BYE is ending.
#[derive(Debug)]
pub(super) struct Farewell {
    dialog: Dialog,
    way: Target,
    proofs: Proofs,
}

impl Core {
    /// Acknowledges a 2xx and ends its dialog at once (RFC 3261 §13.2.2.4).
    pub(super) fn dismiss(
        &mut self,
        now: Instant,
        (trunk, id): (TrunkKey, TransactionId),
        response: &Response,
        way: Target,
        reason: &Reason,
    ) {
        let headers = &response.headers;
        let Ok(to) = headers.to() else { return };
        let Some(dialog) = Dialog::open(response, &to.uri) else { return };
        let cseq = headers.cseq().map_or(1, |(cseq, _)| cseq);
        let target = next_target(&dialog, &way);
        self.acknowledge(id, to.tag().unwrap_or_default(), dialog.ack(cseq), target);
        self.leave_dialog(now, trunk, dialog, way, reason);
    }

    /// Ends a dialog with BYE; `way` is how its INVITE went.
    pub(super) fn leave_dialog(
        &mut self,
        now: Instant,
        trunk: TrunkKey,
        dialog: Dialog,
        way: Target,
        reason: &Reason,
    ) {
        let farewell = Box::new(Farewell { dialog, way, proofs: Proofs::default() });
        self.say_farewell(now, trunk, farewell, Some(reason), None);
    }

    fn say_farewell(
        &mut self,
        now: Instant,
        trunk: TrunkKey,
        mut farewell: Box<Farewell>,
        reason: Option<&Reason>,
        challenge: Option<&Response>,
    ) {
        let target = next_target(&farewell.dialog, &farewell.way);
        let mut bye = farewell.dialog.request(Method::Bye);
        if let Some(reason) = reason {
            bye.headers.push(Name::Reason, reason);
        }
        let proofs = &mut farewell.proofs;
        if self.authorize(trunk, &target, proofs, challenge, &mut bye) {
            self.request(now, bye, &target, (trunk, Owner::Farewell(farewell)));
        }
    }

    /// Such a BYE was answered, or not.
    pub(super) fn farewell_outcome(
        &mut self,
        now: Instant,
        trunk: TrunkKey,
        farewell: Box<Farewell>,
        outcome: Outcome<'_>,
    ) {
        if let Outcome::Response(response) = outcome
            && matches!(response.status, 401 | 407)
        {
            self.say_farewell(now, trunk, farewell, None, Some(response));
        }
    }

    /// A 2xx to an INVITE that no transaction of ours waits for. If its Call-ID is one that we
    /// made, the process that called is gone (or gave up): ACK and BYE; whether it was ours.
    ///
    /// The INVITE's transaction is made again in its last state, so that repetitions of the 2xx
    /// are acknowledged and end nothing twice. Of a call that is live this is one more fork.
    pub(super) fn adopt(
        &mut self,
        now: Instant,
        trunk: TrunkKey,
        response: &Response,
        way: Target,
        is_live: bool,
    ) -> bool {
        let headers = &response.headers;
        let (Ok(call_id), Ok(via)) = (headers.call_id(), headers.via_top()) else { return false };
        let Some(attempt) = CallIdentity::recognise(&self.config.identity_key, call_id) else {
            return false;
        };
        let Some(branch) = via.branch() else { return false };
        if self.clients.len() >= self.config.limits.transactions_max {
            return false;
        }
        let machine = ClientMachine::Invite(ClientInvite::adopted(now, way.flow.transport));
        let owner = (trunk, Owner::Nobody);
        let name = (branch, &Method::Invite);
        let Some(id) = self.clients.insert(name, machine, way.clone(), owner) else { return false };
        self.drain_client(now, id);
        let reason = match is_live {
            true => Reason::sip(200, "Call completed elsewhere"),
            false => caller_gone(),
        };
        self.dismiss(now, (trunk, id), response, way, &reason);
        if !is_live {
            self.effects.push_back(Effect::Orphan { attempt });
        }
        true
    }
}

/// Why a call of an earlier life ends.
pub(super) fn caller_gone() -> Reason {
    Reason::q850(CAUSE_TEMPORARY_FAILURE, "Caller gone")
}

/// Q.850 cause 41: temporary failure.
const CAUSE_TEMPORARY_FAILURE: u8 = 41;
