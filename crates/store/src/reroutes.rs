//! Attempts that a trunk refused before anything rang, on their way to another trunk.

use std::sync::Arc;

use domain::event::EventKind;
use domain::ids::AttemptId;
use domain::permit::{Check, Judge, Permit};
use domain::time::Timestamp;

use crate::contacts::{held, tell_of_call};
use crate::dial_queue::policy_version;
use crate::inbox::Manner;
use crate::tx::Tx;
use crate::value::{cut, queries, values};
use crate::{Reroute, Store, StoreError, numbers};

queries! {
    REROUTE = "UPDATE attempts SET trunk = $1, weighed = weighed || $2 \
        WHERE id = $3 AND outcome IS NULL";
}

/// Name under which a trunk that refused stands among what was weighed.
const TRUNK_CHECK: &str = "trunk";

impl Store {
    /// Writes down that attempts go over other trunks, in one durable transaction; only then may
    /// anything be sent there. Those that may go come back.
    ///
    /// Time has passed since they were weighed, so `judge` is asked again: whose window has closed
    /// meanwhile, who opted out, was canceled, or whose campaign was stopped is not sent anew. What
    /// refused is told as an event, and beside what was weighed.
    pub async fn reroute_attempts(
        &self,
        now: Timestamp,
        reroutes: Vec<Reroute>,
        judge: Arc<dyn Judge>,
    ) -> Result<Vec<AttemptId>, StoreError> {
        self.write_with(Manner::DIALED, 2 * reroutes.len(), move |tx| {
            let mut rerouted = Vec::with_capacity(reroutes.len());
            for reroute in &reroutes {
                if may_go(tx, now, reroute, &*judge)? && go(tx, now, reroute)? {
                    rerouted.push(reroute.attempt);
                }
            }
            Ok(rerouted)
        })
        .await
    }
}

/// Whether the contact of an attempt may be dialed still.
fn may_go(
    tx: &Tx<'_>,
    now: Timestamp,
    reroute: &Reroute,
    judge: &dyn Judge,
) -> Result<bool, StoreError> {
    let Some(held) = held(tx, reroute.contact)?.filter(|held| !held.cancel_asked) else {
        return Ok(false);
    };
    let mut contact = held.contact;
    let Some(version) = policy_version(tx, contact.campaign)? else {
        return Ok(false);
    };
    // The attempt itself is neither a second one nor another call to the number.
    contact.attempts = contact.attempts.saturating_sub(1);
    let question = judge.question(&contact);
    let mut past = numbers::past(tx.sql(), now, contact.account, &question, false)?;
    past.calls.retain(|call| call.ended_at.is_some());
    let weighing = judge.weigh(now, &contact, version, &past);
    Ok(weighing.is_some_and(|weighing| matches!(weighing.permit, Permit::Dial(_))))
}

/// Writes it down; `false` where the attempt is not open any more.
fn go(tx: &mut Tx<'_>, now: Timestamp, reroute: &Reroute) -> Result<bool, StoreError> {
    let Reroute { attempt, contact, trunk, refusal } = reroute;
    let seen = cut(refusal).to_owned();
    let check = Check { rule: TRUNK_CHECK.into(), passed: false, seen, version: String::new() };
    let check = check.to_string();
    if tx.run(REROUTE, values![*trunk, check.as_str(), *attempt])? == 0 {
        return Ok(false);
    }
    tell_of_call(tx, *contact, *attempt, now, EventKind::Rerouted, refusal)?;
    Ok(true)
}
