//! The road between a server and its database: traffic can be held up, slowed down, or cut just
//! when a commit has been done and its answer is on the way.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes that pass at once.
const PIECE_BYTES: usize = 64 * 1_024;

/// What passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    /// Everything.
    All,
    /// Only what goes to the database: its answers are held up.
    Forth,
    /// Only what comes from the database.
    Back,
    /// Nothing; connections stay as they are.
    Nothing,
    /// Everything, each piece so much later.
    Slowly(Duration),
    /// Nothing, and connections end.
    Closed,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Forth,
    Back,
}

/// A road that listens at a port of its own.
#[derive(Debug)]
pub(super) struct Road {
    pub(super) address: SocketAddr,
    passing: watch::Sender<Passing>,
    deaf: Arc<Deaf>,
    task: JoinHandle<()>,
}

/// Which commits' answers are lost.
#[derive(Debug, Default)]
struct Deaf {
    /// Every so many; 0: none.
    every: AtomicU64,
    commits: AtomicU64,
    lost: AtomicU64,
}

impl Road {
    /// Opens a road to this address.
    pub(super) async fn open(to: &str) -> Result<Self> {
        let at = ("127.0.0.1", super::cluster::free_port());
        let listener = TcpListener::bind(at).await.context("no road to the database")?;
        let address = listener.local_addr()?;
        let (passing, look) = watch::channel(Passing::All);
        let (to, deaf) = (to.to_owned(), Arc::<Deaf>::default());
        let own = Arc::clone(&deaf);
        let task = tokio::task::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (to, look, deaf) = (to.clone(), look.clone(), Arc::clone(&own));
                tokio::task::spawn(async move {
                    // Whoever cannot be reached hangs up.
                    if let Ok(far) = TcpStream::connect(&to).await {
                        carry(near, far, look, deaf).await;
                    }
                });
            }
        });
        Ok(Self { address, passing, deaf, task })
    }

    /// Says what passes from now on.
    pub(super) fn let_pass(&self, passing: Passing) {
        self.passing.send_replace(passing);
    }

    /// Loses the answer of every so many commits; 0 loses none any more.
    pub(super) fn lose_commits(&self, every: u64) {
        self.deaf.every.store(every, Ordering::Relaxed);
    }

    /// How many answers of commits were lost.
    pub(super) fn lost(&self) -> u64 {
        self.deaf.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Road {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Passing {
    /// Whether something may go this way, and how much later.
    const fn for_way(self, way: Way) -> Option<Duration> {
        match (self, way) {
            (Self::All, _) | (Self::Forth, Way::Forth) | (Self::Back, Way::Back) => {
                Some(Duration::ZERO)
            }
            (Self::Slowly(late), _) => Some(late),
            (Self::Forth | Self::Back | Self::Nothing | Self::Closed, _) => None,
        }
    }
}

/// Carries a connection until either end hangs up, or the road is closed.
async fn carry(near: TcpStream, far: TcpStream, look: watch::Receiver<Passing>, deaf: Arc<Deaf>) {
    // Small pieces back and forth: waiting for more only makes them late.
    near.set_nodelay(true).ok();
    far.set_nodelay(true).ok();
    let (from_near, to_near) = near.into_split();
    let (from_far, to_far) = far.into_split();
    let (committing, told) = watch::channel(false);
    let mut closing = look.clone();
    let heard = Heard { talk: Talk::default(), deaf: Arc::clone(&deaf), committing };
    tokio::select! {
        () = forth(from_near, to_far, look.clone(), heard) => {}
        () = back(from_far, to_near, look, told, &deaf) => {}
        _ = closing.wait_for(|passing| *passing == Passing::Closed) => {}
    }
}

/// What is said to the database, and whom it concerns.
struct Heard {
    talk: Talk,
    deaf: Arc<Deaf>,
    committing: watch::Sender<bool>,
}

async fn forth(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut look: watch::Receiver<Passing>,
    mut heard: Heard,
) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Some(length) = read(&mut from, &mut piece).await {
        if heard.talk.commits(&piece[..length]) {
            let commits = heard.deaf.commits.fetch_add(1, Ordering::Relaxed) + 1;
            let every = heard.deaf.every.load(Ordering::Relaxed);
            if every > 0 && commits.is_multiple_of(every) {
                heard.committing.send_replace(true);
            }
        }
        if !passes(&mut look, Way::Forth).await || to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

async fn back(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut look: watch::Receiver<Passing>,
    committing: watch::Receiver<bool>,
    deaf: &Deaf,
) {
    let mut piece = vec![0; PIECE_BYTES];
    while let Some(length) = read(&mut from, &mut piece).await {
        if *committing.borrow() && has_committed(&piece[..length]) {
            // Done, and nobody is told.
            deaf.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if !passes(&mut look, Way::Back).await || to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

async fn read(from: &mut OwnedReadHalf, piece: &mut [u8]) -> Option<usize> {
    from.read(piece).await.ok().filter(|length| *length > 0)
}

/// Waits until something may pass this way; `false` where the road is gone.
async fn passes(look: &mut watch::Receiver<Passing>, way: Way) -> bool {
    let Ok(passing) = look.wait_for(|passing| passing.for_way(way).is_some()).await.map(|it| *it)
    else {
        return false;
    };
    let late = passing.for_way(way).unwrap_or_default();
    if !late.is_zero() {
        tokio::time::sleep(late).await;
    }
    true
}

/// Whether the database says that a transaction is committed: the tag of that command's answer.
fn has_committed(bytes: &[u8]) -> bool {
    const TAG: &[u8] = b"C\0\0\0\x0bCOMMIT\0";
    bytes.windows(TAG.len()).any(|window| window == TAG)
}

/// What a client says, message by message, as far as commits need it.
///
/// PostgreSQL 15 §55.7: after the first message each has a type of one byte and a length of four,
/// which counts itself. Commits are prepared by name once (`P`) and then bound (`B`).
#[derive(Debug, Default)]
struct Talk {
    bytes: Vec<u8>,
    has_begun: bool,
    /// The names under which `COMMIT` was prepared.
    prepared: HashSet<Vec<u8>>,
}

impl Talk {
    /// Takes in what is said; whether a commit is among it.
    fn commits(&mut self, bytes: &[u8]) -> bool {
        self.bytes.extend(bytes);
        let mut commits = false;
        while let Some((kind, body)) = self.message() {
            let mut texts = body.split(|byte| *byte == 0);
            let (first, second) = (texts.next(), texts.next());
            match (kind, first, second) {
                (b'P', Some(name), Some(b"COMMIT")) => drop(self.prepared.insert(name.to_vec())),
                (b'B', Some(_), Some(name)) => commits |= self.prepared.contains(name),
                (b'Q', Some(b"COMMIT"), _) => commits = true,
                _ => {}
            }
        }
        commits
    }

    /// The next whole message.
    fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        // The first one has no type.
        let head = usize::from(self.has_begun);
        let length: [u8; 4] = self.bytes.get(head..head + 4)?.try_into().ok()?;
        let end = head + usize::try_from(u32::from_be_bytes(length)).ok()?.max(4);
        let kind = if self.has_begun { *self.bytes.first()? } else { 0 };
        let body = self.bytes.get(head + 4..end)?.to_vec();
        self.bytes.drain(..end);
        self.has_begun = true;
        Some((kind, body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
        [&[kind][..], &length, body].concat()
    }

    #[test]
    fn commit_is_heard_however_the_bytes_come() {
        let start = message(0, b"\0\x03\0\0user\0outdial\0\0")[1..].to_vec();
        let prepare = message(b'P', b"s7\0COMMIT\0\0\0");
        let other = message(b'P', b"s8\0SELECT 1\0\0\0");
        let bind = |name: &[u8]| message(b'B', &[b"\0", name, b"\0\0\0\0\0\0\0"].concat());
        let mut talk = Talk::default();
        assert!(!talk.commits(&[start, prepare, other].concat()));
        assert!(!talk.commits(&bind(b"s8")));
        assert!(talk.commits(&bind(b"s7")));
        let (one, two) = (bind(b"s7"), bind(b"s8"));
        let heard: Vec<bool> =
            [one, two].concat().iter().map(|byte| talk.commits(&[*byte])).collect();
        assert_eq!(heard.iter().filter(|commits| **commits).count(), 1);
        assert!(talk.commits(&message(b'Q', b"COMMIT\0")));
    }

    #[test]
    fn word_of_a_commit_is_known_among_others() {
        assert!(has_committed(b"2\0\0\0\x04C\0\0\0\x0bCOMMIT\0Z\0\0\0\x05I"));
        assert!(!has_committed(b"2\0\0\0\x04C\0\0\0\x0dUPDATE 1\0"));
    }
}
