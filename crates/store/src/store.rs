//! The writer's door: opening, closing, and what belongs to no table of its own.

use std::fmt;
use std::sync::{Arc, Mutex};

use domain::region::Country;

use crate::ahead::Want;
use crate::inbox::Manner;
use crate::outbox::Outbox;
use crate::postgres::Purpose;
use crate::tx::Tx;
use crate::value::{queries, values};
use crate::writer::WriterThread;
use crate::{Reader, StoreConfig, StoreError, uploads};

queries! {
    KEEP_SECRET = "INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    READ_SECRET = "SELECT value FROM secrets WHERE name = $1";
}

/// The name of the node's secret.
const IDENTITY_KEY: &str = "identity_key";

/// Writes the store; cheap to clone. All clones share one writer.
///
/// Every verb answers when its transaction is on disk, unless it says otherwise. An operation that
/// was handed over is done even where its future is dropped. Dropping the last clone without
/// [`Store::close`] waits, too, until what was accepted is written.
#[derive(Clone)]
pub struct Store {
    writer: Arc<WriterThread>,
    /// For the dialer's own looks, so that lists read by people never keep it waiting.
    eyes: Reader,
    /// For the node's lease, which waits for nobody; `None`: there is but one node.
    node_desk: Option<Reader>,
    /// The country as whose numbers are read that name none.
    home: Country,
}

impl Store {
    /// Opens or creates the database, brings its schema up to date, and tidies up after a crash:
    /// uploads never committed are forgotten, leases of webhooks end.
    pub async fn open(config: StoreConfig) -> Result<(Self, Reader), StoreError> {
        let writer = Arc::new(WriterThread::start(config.clone()).await?);
        let eyes = Reader::open(&config, 1, Purpose::Read).await?;
        let reader = Reader::open(&config, config.readers, Purpose::Read).await?;
        let node_desk = match &config.url {
            Some(_) => Some(Reader::open(&config, 1, Purpose::Write).await?),
            None => None,
        };
        tracing::info!(epoch = writer.epoch(), "opened the store at {}", config.place());
        Ok((Self { writer, eyes, node_desk, home: config.home }, reader))
    }

    /// Writes everything accepted so far and closes; other clones answer [`StoreError::Closed`].
    pub async fn close(&self) -> Result<(), StoreError> {
        self.writer.close().await
    }

    /// Waits until all that was accepted is on disk, and committed uploads are dialable.
    pub async fn flush(&self) -> Result<(), StoreError> {
        while self.write(uploads::CHORE_ROWS, uploads::chore).await? {}
        Ok(())
    }

    /// Number of this opening, from 1, never repeated for this database. A process that was taken
    /// for dead and lives goes on in another.
    pub fn epoch(&self) -> i64 {
        self.writer.epoch()
    }

    /// Number of this node, the same from start to start; 0 where there is but one.
    pub fn node(&self) -> i64 {
        self.writer.node()
    }

    /// The node's secret: `generate` where there was none, else the one stored first.
    pub async fn identity_key(&self, generate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.write(1, move |tx| {
            tx.run(KEEP_SECRET, values![IDENTITY_KEY, &generate])?;
            tx.the(READ_SECRET, values![IDENTITY_KEY], |row| row.bytes32())
        })
        .await
    }

    /// Runs an operation that writes about `rows` rows and outlives the machine's power.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        rows: usize,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_with(Manner::ASKED, rows, work).await
    }

    /// Runs an operation that may wait for company, or need not outlive the power: what it loses is
    /// found again.
    pub(crate) async fn write_with<T: Send + 'static>(
        &self,
        manner: Manner,
        rows: usize,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.ask(manner, rows, Want::Nothing, work).await
    }

    /// The same for an operation of which it is known what it will read first.
    pub(crate) async fn write_wanting<T: Send + 'static>(
        &self,
        manner: Manner,
        rows: usize,
        want: Want,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.ask(manner, rows, want, work).await
    }

    /// Hands over an operation that nobody waits for.
    pub(crate) async fn write_later(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.writer.tell(work).await
    }

    /// Whose turn it is at the outbox.
    pub(crate) fn outbox(&self) -> Arc<Mutex<Outbox>> {
        Arc::clone(self.writer.outbox())
    }

    /// Where the node's lease is kept, where there may be several nodes.
    pub(crate) const fn node_desk(&self) -> Option<&Reader> {
        self.node_desk.as_ref()
    }

    /// The country as whose numbers are read that name none.
    pub const fn home(&self) -> Country {
        self.home
    }

    /// Reads for the dialer and its kin.
    pub(crate) const fn eyes(&self) -> &Reader {
        &self.eyes
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store(epoch {})", self.epoch())
    }
}
