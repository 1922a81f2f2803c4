//! From the async side to a media thread: commands that wait for the stream's own tick.
//!
//! The media thread never waits for a lock: what it cannot have now it takes 20 ms later. A stream
//! that is told too much harms only itself.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, TryLockError};

use media::playlist::Item;
use proto::rtp::Terms;
use proto::srtp::Protection;
use script::step::PlayId;
use tokio::sync::oneshot;

use super::frames::{Directions, FrameSink, Frames};
use super::listener::Listener;
use super::{Setup, StreamStats};

/// What a stream is told.
pub(super) enum Command {
    Close(Option<oneshot::Sender<StreamStats>>),
    Connect(Setup),
    Keys(String),
    Listen(Option<Listener>),
    Play(PlayId, Vec<Item>),
    Relay(Option<Frames>),
    Protect(Option<Protection>),
    Renegotiate(Terms),
    StopPlay,
    Tap(Directions, FrameSink),
}

/// Commands that may wait for one tick; a script at its worst gives a few dozen.
const COMMANDS_MAX: usize = 1_024;

/// The commands of one stream, in order.
#[derive(Default)]
pub(super) struct Mailbox {
    /// Whether it is worth a look; set and cleared under the lock.
    waiting: AtomicBool,
    contents: Mutex<Contents>,
}

#[derive(Default)]
struct Contents {
    commands: Vec<Command>,
    overflowed: bool,
    /// Whether the stream is gone, and nobody looks in here any more.
    shut: bool,
}

/// What a look into the mailbox gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// All that was there, be it nothing.
    All,
    /// More was sent than there is room for, and something is lost.
    Overflowed,
}

impl Mailbox {
    /// Puts a command in; what comes after the stream's end is dropped. [`Command::Close`] always
    /// finds room.
    pub(super) fn post(&self, command: Command) {
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        if contents.shut {
            return;
        }
        if contents.commands.len() < COMMANDS_MAX || matches!(command, Command::Close(_)) {
            contents.commands.push(command);
        } else {
            contents.overflowed = true;
        }
        self.waiting.store(true, Ordering::Release);
    }

    /// The stream is gone: drops what is here and what comes, so that nobody waits for an answer.
    ///
    /// The one lock that is waited for; only the stream's own call can have it, for a moment.
    pub(super) fn shut(&self) {
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        contents.shut = true;
        contents.commands.clear();
    }

    /// Takes everything out into `commands`, which is empty. Never waits.
    pub(super) fn take(&self, commands: &mut Vec<Command>) -> Taken {
        if !self.waiting.load(Ordering::Acquire) {
            return Taken::All;
        }
        let mut contents = match self.contents.try_lock() {
            Ok(contents) => contents,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody puts something in just now; at the next tick it is here.
            Err(TryLockError::WouldBlock) => return Taken::All,
        };
        self.waiting.store(false, Ordering::Release);
        std::mem::swap(&mut contents.commands, commands);
        let overflowed = std::mem::take(&mut contents.overflowed);
        if overflowed { Taken::Overflowed } else { Taken::All }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_come_out_once_and_in_order() {
        let mailbox = Mailbox::default();
        mailbox.post(Command::Keys("1".into()));
        mailbox.post(Command::StopPlay);
        let mut commands = Vec::new();
        assert_eq!(mailbox.take(&mut commands), Taken::All);
        assert!(matches!(&commands[..], [Command::Keys(_), Command::StopPlay]));
        commands.clear();
        mailbox.take(&mut commands);
        assert!(commands.is_empty());
    }

    #[test]
    fn mailbox_is_bounded_and_says_when_something_is_lost() {
        let mailbox = Mailbox::default();
        (0..=COMMANDS_MAX).for_each(|_| mailbox.post(Command::StopPlay));
        mailbox.post(Command::Close(None));
        let mut commands = Vec::new();
        assert_eq!(mailbox.take(&mut commands), Taken::Overflowed);
        assert_eq!(commands.len(), COMMANDS_MAX + 1);
        assert!(matches!(commands.last(), Some(Command::Close(None))));
        commands.clear();
        mailbox.post(Command::StopPlay);
        assert_eq!(mailbox.take(&mut commands), Taken::All, "it is said once");
    }

    #[test]
    fn locked_mailbox_is_not_waited_for_and_loses_nothing() {
        let mailbox = Mailbox::default();
        mailbox.post(Command::StopPlay);
        let mut commands = Vec::new();
        let held = mailbox.contents.lock().unwrap();
        mailbox.take(&mut commands);
        assert!(commands.is_empty());
        drop(held);
        mailbox.take(&mut commands);
        assert_eq!(commands.len(), 1);
    }
    #[test]
    fn nobody_waits_for_the_answer_of_a_stream_that_is_gone() {
        let mailbox = Mailbox::default();
        let (receipt, mut before) = oneshot::channel();
        mailbox.post(Command::Close(Some(receipt)));
        mailbox.shut();
        let (receipt, mut after) = oneshot::channel();
        mailbox.post(Command::Close(Some(receipt)));
        assert!(
            before.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed)
        );
        assert!(after.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
    }
}
