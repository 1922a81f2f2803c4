//! Verbs about recordings, here and at the other servers of the database.

use std::fs::File;
use std::io;

use bytes::Bytes;
use domain::ids::{AccountId, AttemptId};
use futures_util::Stream;
use http::Method;
use http::header::HeaderValue;
use store::NodePlace;

use super::Control;
use crate::config::TapeState;
use crate::files::blocking;
use crate::http::HttpError;
use crate::peers::{PeerError, Peers, Relayed};

impl Control {
    /// The recording of an attempt, a WAV file, and its length; `None` where there is none here.
    pub async fn recording(&self, attempt: AttemptId) -> io::Result<Option<(File, u64)>> {
        let tapes = self.0.tapes.clone();
        blocking(move || tapes.open_tape(attempt)).await
    }

    /// Removes the recording of an attempt; `false` where there is none here.
    pub async fn delete_recording(&self, attempt: AttemptId) -> io::Result<bool> {
        let tapes = self.0.tapes.clone();
        blocking(move || tapes.remove(attempt)).await
    }

    /// Pauses the recording of a live call, or lets it go on; `false` where none is under way here.
    pub fn set_recording(&self, attempt: AttemptId, state: TapeState) -> bool {
        self.0.calls.set_tape(attempt, state)
    }

    /// The other server that made an attempt, and keeps its recording; `None`: it was this one.
    pub async fn other_keeper(&self, attempt: AttemptId) -> Result<Option<NodePlace>, PeerError> {
        Ok(self.0.store.other_keeper(attempt).await?)
    }

    /// Asks another server in the name of an account, at the address that this one was asked at.
    pub async fn ask_peer(
        &self,
        place: NodePlace,
        account: AccountId,
        asked: (&Method, &str),
        range: Option<&HeaderValue>,
    ) -> Result<Relayed<impl Stream<Item = Result<Bytes, HttpError>> + Send + use<>>, PeerError>
    {
        self.0.peers.ask(place, (account, self.now()), asked, range).await
    }

    /// In whose name another server asks by this header Authorization; `None`: no server does.
    /// The inner `None`: it claims to be one, and is none that means us.
    pub fn asked_by_peer(
        &self,
        authorization: &str,
        asked: (&Method, &str),
    ) -> Option<Option<AccountId>> {
        Peers::claims(authorization).then(|| self.0.peers.trusted(authorization, self.now(), asked))
    }
}
