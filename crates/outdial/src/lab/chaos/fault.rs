//! The faults that are tried, by their rows in the list of faults.

/// A fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The name by which it is asked for.
    pub(super) name: &'static str,
    /// What is done, for people.
    pub(super) about: &'static str,
    /// What is done.
    pub(super) strike: Strike,
    /// Needs PostgreSQL.
    pub(super) postgres: bool,
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
    /// The database's answers to commits are lost.
    DeafCommits,
    /// The database is killed, and comes back after so many seconds.
    Database {
        /// Seconds.
        away_s: u64,
    },
    /// The disk of the server's files is full for some seconds.
    DiskFull,
    /// The same request fifty times, and across a restart.
    Duplicates,
    /// The server is killed.
    Kill(Kill),
    /// A transaction is left open while calls are made.
    LongTransaction,
    /// More requests than the server can take.
    Overload,
    /// The server is stopped for so many seconds and goes on.
    Pause {
        /// Seconds.
        seconds: u64,
    },
    /// Nothing passes between server and database for so many seconds.
    Partition {
        /// Seconds.
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
    on_postgres("db-kill", "kill -9 of the database", Strike::Database { away_s: 1 }),
    on_postgres("db-outage", "the database away for 20 s", Strike::Database { away_s: 20 }),
    on_postgres("db-deaf", "commits done, their answers lost", Strike::DeafCommits),
    on_postgres("db-partition", "no way to the database for 5 s", Strike::Partition { seconds: 5 }),
    on_postgres("db-cut-off", "no way to the database for 30 s", Strike::Partition { seconds: 30 }),
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
    on_postgres("long-transaction", "a transaction left open", Strike::LongTransaction),
    fault("cancel", "cancels race with claim and answer", Strike::Cancels),
    fault("stop-start", "campaign stopped and started", Strike::StopAndStart),
];

const fn fault(name: &'static str, about: &'static str, strike: Strike) -> Fault {
    Fault { name, about, strike, postgres: false }
}

const fn on_postgres(name: &'static str, about: &'static str, strike: Strike) -> Fault {
    Fault { name, about, strike, postgres: true }
}

const fn trouble(place: &'static str, word: &'static str) -> Strike {
    Strike::Trouble { place, word }
}

/// Chances that a seed always gives alike.
#[derive(Clone, Debug)]
pub(super) struct Chance(u64);

impl Chance {
    /// The chances of this seed and this fault.
    pub(super) fn new(seed: u64, fault: &str) -> Self {
        let mixed = fault.bytes().fold(seed ^ 0x9e37_79b9_7f4a_7c15, |mixed, byte| {
            (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(mixed)
    }

    /// A number below `below`.
    pub(super) const fn below(&mut self, below: u64) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % if below == 0 { 1 } else { below }
    }
}
