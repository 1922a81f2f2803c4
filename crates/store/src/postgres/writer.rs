//! The writer's and the readers' connections: lost ones are opened anew.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use super::connect::{Known, Purpose, Target};
use super::session::{Backend, Session};
use crate::StoreError;
use crate::driver::{Sql, Surety, Unsettled, unavailable};
use crate::nodes;

/// Wait before the second try to connect; it doubles from try to try.
const RETRY_MIN: Duration = Duration::from_millis(100);
/// Longest wait between two tries to connect.
const RETRY_MAX: Duration = Duration::from_secs(3);

/// A connection that is opened when it is needed, and anew when it was lost.
pub(crate) struct Line {
    target: Target,
    purpose: Purpose,
    session: Option<Session>,
    /// The server's process of the session that was lost.
    lost: Option<Backend>,
    /// After a failure: when to try again, how long to wait after the next one, and the failure.
    away: Option<(Instant, Duration, StoreError)>,
}

impl Line {
    pub(super) fn new(target: Target, purpose: Purpose) -> Self {
        Self { target, purpose, session: None, lost: None, away: None }
    }

    /// The session, connected; while the server is away, tries are spaced and the time between
    /// them answers at once.
    pub(super) fn session(&mut self) -> Result<&Session, StoreError> {
        if let Some(old) = self.session.take_if(|session| !session.is_up()) {
            self.lost = Some(old.backend());
        }
        if self.session.is_none() {
            self.session = Some(self.connect()?);
        }
        self.session.as_ref().ok_or(StoreError::Closed)
    }

    /// The session as it stands, without a try to connect.
    pub(super) fn current(&self) -> Result<&Session, StoreError> {
        let gone = || std::io::Error::from(std::io::ErrorKind::NotConnected);
        self.session.as_ref().ok_or_else(|| unavailable(gone()))
    }

    fn connect(&mut self) -> Result<Session, StoreError> {
        if let Some((at, _, error)) = &self.away
            && Instant::now() < *at
        {
            return Err(error.clone());
        }
        match Session::open(&self.target, self.purpose) {
            Ok(session) => {
                if let Some(lost) = self.lost.take() {
                    session.end(&lost);
                }
                if self.away.take().is_some() {
                    tracing::info!("PostgreSQL at {} answers again", self.target.shown());
                }
                Ok(session)
            }
            Err(error) => {
                let wait = self.away.as_ref().map_or(RETRY_MIN, |away| away.1);
                if self.away.is_none() {
                    tracing::warn!(%error, "PostgreSQL at {} is away", self.target.shown());
                }
                let next = (wait * 2).min(RETRY_MAX);
                self.away = Some((Instant::now() + wait, next, error.clone()));
                Err(error)
            }
        }
    }
}

/// The connection that writes.
pub(crate) struct Writer {
    line: Line,
    open: Cell<bool>,
    guard: Option<Guard>,
}

/// By what a node's transactions are known, and refused once its epoch is over.
#[derive(Clone, Copy, Debug)]
struct Guard {
    epoch: i64,
    /// The transaction that is under way, or the next one.
    number: i64,
}

impl Writer {
    /// Connects to the database that `url` names.
    pub(crate) fn open(url: &str, known: &Known) -> Result<Self, StoreError> {
        let mut line = Line::new(Target::parse(url)?.knowing(known), Purpose::Write);
        line.session()?;
        Ok(Self { line, open: Cell::new(false), guard: None })
    }

    /// A writer to the same database whose transactions may take their time.
    pub(crate) fn migrator(&self) -> Result<Self, StoreError> {
        let mut line = Line::new(self.line.target.clone(), Purpose::Migrate);
        line.session()?;
        Ok(Self { line, open: Cell::new(false), guard: None })
    }

    /// The session, where there is one.
    pub(crate) fn session(&self) -> Result<&Session, StoreError> {
        self.line.current()
    }

    pub(crate) fn begin(&mut self, surety: Surety) -> Result<(), StoreError> {
        self.open.set(false);
        let session = self.line.session()?;
        session.begin("BEGIN")?;
        if surety == Surety::Process {
            session.put("SET LOCAL synchronous_commit = off", &[])?;
        }
        self.open.set(true);
        Ok(())
    }

    /// From here on every transaction is one of this epoch.
    pub(crate) fn guard(&mut self, epoch: i64) {
        self.guard = Some(Guard { epoch, number: 1 });
    }

    /// Until the next epoch, transactions are nobody's.
    pub(crate) fn unguard(&mut self) {
        self.guard = None;
    }

    pub(crate) fn commit(&mut self) -> Result<(), Unsettled> {
        if let Err(refused) = self.prepare_commit() {
            self.roll_back();
            return Err(refused);
        }
        self.open.set(false);
        let session = self.line.current().map_err(Unsettled::Lost)?;
        let committed = session.commit();
        if let (Ok(()), Some(guard)) = (&committed, &mut self.guard) {
            guard.number += 1;
        }
        committed
    }

    /// Sends what was handed over, and the guard's row last, so that it is locked but briefly.
    fn prepare_commit(&self) -> Result<(), Unsettled> {
        let session = self.line.current().map_err(Unsettled::Lost)?;
        let failed = |error| match session.is_up() {
            true => Unsettled::Failed(error),
            false => Unsettled::Lost(error),
        };
        match self.guard {
            None => session.flush().map_err(failed),
            Some(Guard { epoch, number }) => {
                match nodes::tell_guard(Sql::Postgres(session), epoch, number).map_err(failed)? {
                    true => Ok(()),
                    false => Err(Unsettled::Fenced(unavailable(nodes::Fenced(epoch)))),
                }
            }
        }
    }

    /// Whether the transaction whose commit had no answer is committed after all.
    pub(crate) fn is_settled(&mut self) -> Result<bool, StoreError> {
        let Some(Guard { epoch, number }) = self.guard else {
            return Ok(false);
        };
        let session = self.line.session()?;
        let settled =
            session.transaction(|| nodes::is_settled(Sql::Postgres(session), epoch, number))?;
        if let (true, Some(guard)) = (settled, &mut self.guard) {
            guard.number += 1;
        }
        Ok(settled)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.line.current().is_ok_and(Session::is_up)
    }

    pub(crate) fn roll_back(&mut self) {
        if !self.open.replace(false) {
            return;
        }
        // Where the connection is lost the server undoes it by itself.
        if let Ok(session) = self.line.current()
            && let Err(error) = session.roll_back()
        {
            tracing::debug!(%error, "a transaction ends with its connection");
        }
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.open.get() && self.line.current().is_ok_and(|session| !session.has_failed())
    }

    pub(crate) fn mark(&self) -> Result<(), StoreError> {
        self.session().map(Session::mark)
    }

    pub(crate) fn undo(&self) -> bool {
        self.session().is_ok_and(Session::undo)
    }
}

/// A connection beside the writer's.
pub(crate) struct ReadOnly(Line);

impl ReadOnly {
    /// Connects to the database that `url` names.
    pub(crate) fn open(url: &str, known: &Known, purpose: Purpose) -> Result<Self, StoreError> {
        let mut line = Line::new(Target::parse(url)?.knowing(known), purpose);
        line.session()?;
        Ok(Self(line))
    }

    pub(crate) fn sql(&mut self) -> Result<Sql<'_>, StoreError> {
        self.0.session().map(Sql::Postgres)
    }

    pub(crate) fn end_snapshot(&mut self) {
        if let Ok(session) = self.0.current()
            && let Err(error) = session.roll_back()
        {
            tracing::debug!(%error, "a snapshot ends with its connection");
        }
    }
}
