//! The faults that are tried, by their rows in the list of faults.

use std::time::Duration;

use rand_xoshiro::SplitMix64;
use rand_xoshiro::rand_core::{RngCore as _, SeedableRng as _};

use super::road::Passing;

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The name by which it is asked for.
    pub(super) name: &'static str,
    /// What is done, for people.
    pub(super) about: &'static str,
    /// What is done.
    pub(super) strike: Strike,
    /// Servers on one PostgreSQL; 0: one, with a file.
    pub(super) nodes: usize,
}

/// What is done to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strike {
    /// Cancels race with claims and answers.
    Cancels,
    /// The server's clock jumps.
    Clock {
        /// By so many seconds.
        by_s: i64,
    },
    /// The end of the journal is damaged while the server is dead.
    Damage(Damage),
    /// Something becomes of the database.
    Database(Outage),
    /// The disk of the server's files is full for some seconds.
    DiskFull,
    /// The same request fifty times, and across a restart.
    Duplicates,
    /// The primary is lost, and its standby promoted.
    Failover(Failover),
    /// Something becomes of one of several servers.
    Fleet(Loss),
    /// The server is killed.
    Kill(Kill),
    /// More requests than the server can take.
    Overload,
    /// The server is stopped for so many seconds and goes on.
    Pause {
        /// Seconds.
        seconds: u64,
    },
    /// The road to the database lets only this pass.
    Road {
        /// What passes.
        passing: Passing,
        /// For so many seconds.
        seconds: u64,
    },
    /// The campaign is stopped and started, again and again.
    StopAndStart,
    /// The customer's application misbehaves for a while.
    Trouble {
        /// `start` or `result`.
        place: &'static str,
        /// The receiver's word for it.
        word: &'static str,
    },
    /// A second server begins on the same files.
    Twin,
}

/// What becomes of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outage {
    /// Commits are done, and their answers lost.
    DeafCommits,
    /// Its disk is full.
    DiskFull,
    /// All of its processes stand still for so many seconds.
    Frozen(u64),
    /// Killed while nothing is to be done.
    Idle,
    /// Killed while a file of contacts is taken in.
    Importing,
    /// Killed, and back after so many seconds.
    Killed(u64),
    /// A transaction is left open for so many seconds, and nothing is cleaned up.
    LongTransaction(u64),
    /// Killed while calls are queued.
    Queueing,
    /// Stopped by this signal and started again: `INT` is a restart, `QUIT` one without mercy.
    Stopped(&'static str),
    /// No connection is left for those who have lost theirs.
    Taken,
}

/// How the primary is lost, and to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failover {
    /// Killed; its standby has all that was committed.
    Asynchronous,
    /// It stands still, with all of its connections.
    Frozen,
    /// Killed; nothing was committed that its standby did not have.
    Synchronous,
}

/// What becomes of one of several servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// All are killed and started again.
    All,
    /// Its files are copied to another machine, where a second one begins as the same node.
    Copied,
    /// Nothing passes between it and the database for a while.
    CutOff,
    /// Killed and never seen again.
    Killed,
    /// Stopped for longer than its lease: the one that leads.
    LeaderPaused,
    /// None: what they do in a second.
    Nothing,
    /// Stopped for longer than its lease.
    Paused,
}

/// How the journal is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// One bit of its last part is another.
    Bit,
    /// Its last bytes are missing.
    Torn,
}

/// When the server is killed; moments within are the seed's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kill {
    /// While calls are under way, at any moment.
    Any,
    /// Between the claim and the first INVITE of a batch.
    BeforeInvite,
    /// While results are being delivered.
    MidResult,
    /// And again while it starts.
    Starting,
    /// And again, and again.
    Thrice,
}

/// Every fault.
pub(super) const FAULTS: &[Fault] = &[
    fault("kill", "kill -9 while calls are under way", Strike::Kill(Kill::Any)),
    fault("kill-claim", "kill -9 between claim and INVITE", Strike::Kill(Kill::BeforeInvite)),
    fault("kill-result", "kill -9 while results are delivered", Strike::Kill(Kill::MidResult)),
    fault("kill-start", "kill -9, and again while it starts", Strike::Kill(Kill::Starting)),
    fault("kill-thrice", "kill -9 three times", Strike::Kill(Kill::Thrice)),
    fault("pause", "SIGSTOP for 15 s, then SIGCONT", Strike::Pause { seconds: 15 }),
    db("db-kill", "kill -9 of the database", Outage::Killed(1)),
    db("db-stop", "immediate stop of the database", Outage::Stopped("QUIT")),
    db("db-restart", "restart of the database", Outage::Stopped("INT")),
    db("db-outage", "the database away for 90 s", Outage::Killed(90)),
    db("db-idle", "kill -9 of the database in an idle moment", Outage::Idle),
    db("db-queueing", "kill -9 of the database while calls are queued", Outage::Queueing),
    db("db-importing", "kill -9 of the database in an import", Outage::Importing),
    db("db-frozen", "the database stands still for 20 s", Outage::Frozen(20)),
    on(1, "db-failover", "sync. standby promoted", Strike::Failover(Failover::Synchronous)),
    on(1, "db-failover-async", "async. one promoted", Strike::Failover(Failover::Asynchronous)),
    on(1, "db-failover-frozen", "primary only frozen", Strike::Failover(Failover::Frozen)),
    db("db-deaf", "commits done, their answers lost", Outage::DeafCommits),
    on(1, "db-partition", "no way to the database for 5 s", road(Passing::Nothing, 5)),
    on(1, "db-cut-off", "no way to the database for 30 s", road(Passing::Nothing, 30)),
    on(1, "db-gone", "no way to the database for 5 min", road(Passing::Closed, 300)),
    on(1, "db-one-way", "no way from the database for 5 s", road(Passing::Forth, 5)),
    on(1, "db-other-way", "no way to it, but from it, for 30 s", road(Passing::Back, 30)),
    on(1, "db-slow", "a word to the database takes 200 ms", road(SLOWLY, 10)),
    db("db-disk-full", "no room on the database's disk", Outage::DiskFull),
    db("db-taken", "no connection to be had", Outage::Taken),
    db("db-long-open", "a transaction left open for 90 s", Outage::LongTransaction(90)),
    on(2, "nodes-none", "two servers killed and started", Strike::Fleet(Loss::All)),
    on(2, "nodes-kill", "kill -9 of one of two servers", Strike::Fleet(Loss::Killed)),
    on(4, "nodes-kill-4", "kill -9 of one of four servers", Strike::Fleet(Loss::Killed)),
    on(2, "nodes-pause", "SIGSTOP of one of two for 15 s", Strike::Fleet(Loss::Paused)),
    on(2, "nodes-leader", "SIGSTOP of the leader for 15 s", Strike::Fleet(Loss::LeaderPaused)),
    on(2, "nodes-cut-off", "one of two cut off for 15 s", Strike::Fleet(Loss::CutOff)),
    on(2, "nodes-copy", "a server's files run elsewhere, too", Strike::Fleet(Loss::Copied)),
    fault("disk-full", "no room on the server's disk", Strike::DiskFull),
    fault("journal-torn", "journal torn at its end", Strike::Damage(Damage::Torn)),
    fault("journal-bit", "one bit of the journal flipped", Strike::Damage(Damage::Bit)),
    fault("clock-forward", "clock one hour forward", Strike::Clock { by_s: 3_600 }),
    fault("clock-back", "clock one hour back", Strike::Clock { by_s: -3_600 }),
    fault("start-broken", "start page answers 500", trouble("start", "broken")),
    fault("start-hangs", "start page never answers", trouble("start", "hangs")),
    fault("start-huge", "start page of 32 MiB", trouble("start", "huge")),
    fault("start-wrong", "start page is no VoiceXML", trouble("start", "wrong")),
    fault("start-redirects", "start page redirects in circles", trouble("start", "redirects")),
    fault("result-broken", "result address answers 500", trouble("result", "broken")),
    fault("result-throttles", "result address answers 429", trouble("result", "throttles")),
    fault("result-redirects", "result address redirects", trouble("result", "redirects")),
    fault("duplicates", "the same request fifty times", Strike::Duplicates),
    fault("overload", "ten times the requests, slow clients", Strike::Overload),
    fault("twin", "a second server on the same files", Strike::Twin),
    fault("cancel", "cancels race with claim and answer", Strike::Cancels),
    fault("stop-start", "campaign stopped and started", Strike::StopAndStart),
];

/// Measurements that are asked for by name.
pub(super) const MEASURES: &[Fault] = &[
    on(1, "nodes-1", "one server, undisturbed", Strike::Fleet(Loss::Nothing)),
    on(2, "nodes-2", "two servers, undisturbed", Strike::Fleet(Loss::Nothing)),
    on(4, "nodes-4", "four servers, undisturbed", Strike::Fleet(Loss::Nothing)),
];

/// How slowly the database is reached where it is slow: a line across the world.
const SLOWLY: Passing = Passing::Slowly(Duration::from_millis(200));

const fn fault(name: &'static str, about: &'static str, strike: Strike) -> Fault {
    on(0, name, about, strike)
}

const fn on(nodes: usize, name: &'static str, about: &'static str, strike: Strike) -> Fault {
    Fault { name, about, strike, nodes }
}

const fn db(name: &'static str, about: &'static str, outage: Outage) -> Fault {
    on(1, name, about, Strike::Database(outage))
}

const fn road(passing: Passing, seconds: u64) -> Strike {
    Strike::Road { passing, seconds }
}

const fn trouble(place: &'static str, word: &'static str) -> Strike {
    Strike::Trouble { place, word }
}

/// Chances that a seed always gives alike.
#[derive(Clone, Debug)]
pub(super) struct Chance(SplitMix64);

impl Chance {
    /// The chances of this seed and this fault.
    pub(super) fn new(seed: u64, fault: &str) -> Self {
        let mixed = fault.bytes().fold(seed ^ 0x9e37_79b9_7f4a_7c15, |mixed, byte| {
            (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(SplitMix64::seed_from_u64(mixed))
    }

    /// A number below `below`.
    pub(super) fn below(&mut self, below: u64) -> u64 {
        self.0.next_u64().checked_rem(below).unwrap_or(0)
    }
}
