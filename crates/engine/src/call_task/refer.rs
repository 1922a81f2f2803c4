//! Hands a callee over by his own side: REFER, where the trunk's carrier does that.
//!
//! Nothing is dialed here, and no slot is taken; but whom the callee is sent to is weighed like any
//! second leg, or scripts would be the way around the lists.
//!
//! Whom we called for him already and who talks with him through us is not called anew: the callee's
//! side takes our place beside him (RFC 5589 §7). Until that is done, and if it fails, all stays as
//! it is.

use std::time::Duration;

use domain::call::Input;
use domain::cause::Cause;
use domain::number::{Destination, Masked};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use proto::sip::ua::Referral;
use script::step::{Input as ScriptInput, Transfer, TransferEnd, TransferId};
use tokio::time::Instant;

use super::CallTask;
use super::far_leg::{parse, permit, refused, told_beside};
use super::transfer::Bridge;
use crate::switch::Leg;

/// A callee who is to be taken over by somebody else.
pub(super) struct Referring {
    transfer: TransferId,
    aai: String,
    /// Whether he may be sent there; `None` once that is known.
    asked: Option<BoxFuture<'static, Result<Destination, TransferEnd>>>,
}

impl Referring {
    /// Whether he may be sent there. May be dropped and asked again; comes back once.
    pub(super) async fn next(&mut self) -> Result<Destination, TransferEnd> {
        let Some(asked) = &mut self.asked else {
            return std::future::pending().await;
        };
        let answer = asked.await;
        self.asked = None;
        answer
    }
}

/// How long is waited for what is told of our place being taken, once the second leg is gone: it
/// ends as soon as the place is taken, and may be faster than the word of it.
const LAST_WORD_MAX: Duration = Duration::from_secs(2);

/// Our place beside the second leg is to be taken by the callee's side.
#[derive(Default)]
pub(super) struct Replacing {
    /// When the call ends, whatever is told: the second leg is gone.
    ends_at: Option<Instant>,
}

impl Replacing {
    /// Nothing was told in time. May be dropped and asked again.
    pub(super) async fn next(&mut self) {
        match self.ends_at {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    }
}

impl CallTask {
    /// Lets the two talk without us, where their trunk does that; they do already through us.
    pub(super) fn begin_replacing(&mut self) {
        let far = self.bridge.as_ref().and_then(Bridge::replaceable);
        if let (Some(Leg::Sip(leg)), Some(Leg::Sip(far))) = (&self.leg, far)
            && self.parts.switch.refer_in_place(leg, far)
        {
            let call = self.begun.attempt.id;
            tracing::info!(call.id = %call, "our place in a transfer is offered by REFER");
            self.replacing = Some(Replacing::default());
        }
    }

    /// The second leg is gone; `true` where it is waited for what that means.
    pub(super) fn awaits_last_word(&mut self) -> bool {
        match &mut self.replacing {
            Some(replacing) => {
                replacing.ends_at = Some(Instant::now() + LAST_WORD_MAX);
                true
            }
            None => false,
        }
    }

    /// It is known whether our place was taken; `None`: it was not told in time.
    pub(super) fn replaced(&mut self, result: Option<Referral>) {
        let Some(Replacing { ends_at }) = self.replacing.take() else {
            return;
        };
        let call = self.begun.attempt.id;
        let is_taken = result == Some(Referral::Done);
        tracing::info!(call.id = %call, ?result, is_taken, "our place in a transfer was offered");
        if is_taken && let Some(mut bridge) = self.bridge.take() {
            bridge.leave_to_others();
            if let Some(leg) = &self.leg {
                leg.relay(None);
            }
        }
        // Else they go on through us, as long as there are two.
        if is_taken || ends_at.is_some() {
            self.inputs.push_back(Input::BridgeEnded);
        }
    }

    /// Begins to hand the callee over, where that is done by REFER; `false` where it is not.
    ///
    /// Keys behind the number can be pressed only by who calls it.
    pub(super) fn begin_referral(&mut self, wanted: &Transfer) -> bool {
        let is_called = matches!(self.leg, Some(Leg::Sip(_)));
        let refers = self.parts.switch.refers(self.begun.attempt.trunk) && is_called;
        let parsed = parse(&self.parts, &wanted.destination);
        let has_keys = parsed.as_ref().is_ok_and(|number| number.post_dial().is_some());
        if !refers || has_keys {
            return false;
        }
        let (parts, contact) = (self.parts.clone(), self.begun.contact.clone());
        let asked = async move {
            let destination = parsed?;
            permit(&parts, &contact, &destination).await?;
            Ok(destination)
        };
        let (transfer, aai) = (wanted.transfer, wanted.aai.clone());
        self.referring = Some(Referring { transfer, aai, asked: Some(asked.boxed()) });
        true
    }

    /// It is known whether the callee may be sent there.
    pub(super) async fn weighed(&mut self, answer: Result<Destination, TransferEnd>) {
        let (Some(referring), Some(Leg::Sip(leg))) = (&self.referring, &self.leg) else {
            return;
        };
        let failed = match answer {
            Ok(destination) => {
                tracing::info!(
                    call.id = %self.begun.attempt.id, trunk.id = %self.begun.attempt.trunk,
                    "handing over to {} by REFER", Masked(destination.dialed())
                );
                let beside = told_beside(&referring.aai);
                match self.parts.switch.refer(leg, &destination, &beside) {
                    Ok(()) => return,
                    Err(cause) => {
                        let call = self.begun.attempt.id;
                        tracing::warn!(call.id = %call, cause = %cause.text, "no REFER was sent");
                        TransferEnd::BadDestination
                    }
                }
            }
            Err(end) => end,
        };
        self.referred(Err(failed)).await;
    }

    /// The callee's side has said how it came out.
    pub(super) async fn hear_referral(&mut self, result: Referral) {
        if self.replacing.is_some() {
            return self.replaced(Some(result));
        }
        self.referred(match result {
            Referral::Done => Ok(()),
            Referral::Failed(status) => {
                Err(refused(&Cause { sip_status: Some(status), ..Cause::default() }))
            }
            Referral::Refused(403 | 603) => Err(TransferEnd::NoAuthorization),
            // It knows no REFER, or will have none now.
            Referral::Refused(_) => Err(TransferEnd::NoRoute),
            Referral::Unknown => Err(TransferEnd::Unknown),
        })
        .await;
    }

    async fn referred(&mut self, result: Result<(), TransferEnd>) {
        let Some(Referring { transfer, .. }) = self.referring.take() else {
            return;
        };
        match result {
            Ok(()) => {
                self.hand_over(transfer).await;
                // He talks elsewhere; our leg has nobody any more.
                self.inputs.push_back(Input::BridgeEnded);
            }
            Err(end) => self.feed(ScriptInput::TransferEnded { transfer, end }).await,
        }
    }
}
