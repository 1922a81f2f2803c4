-- Times are milliseconds since 1970-01-01T00:00:00Z; flags are 0 or 1; names of states are those
-- of the domain. The PostgreSQL file of this number says the same in its words.

CREATE TABLE accounts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    login TEXT NOT NULL UNIQUE,
    pin_hash TEXT,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    key_id TEXT NOT NULL PRIMARY KEY,
    secret_hash BLOB NOT NULL CHECK (length(secret_hash) = 32),
    account INTEGER NOT NULL REFERENCES accounts (id),
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE applications (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id),
    -- SHA-256 of what follows: equal specs of an account are one application.
    spec_hash BLOB NOT NULL CHECK (length(spec_hash) = 32),
    source TEXT NOT NULL CHECK (source IN ('document', 'say', 'url')),
    script TEXT NOT NULL,
    parameters TEXT NOT NULL,
    dialect INTEGER NOT NULL,
    UNIQUE (account, spec_hash)
) STRICT;

CREATE TABLE campaigns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('running', 'stopped')),
    redial_in_doubt INTEGER NOT NULL CHECK (redial_in_doubt IN (0, 1)),
    created_at INTEGER NOT NULL,
    UNIQUE (account, name)
) STRICT;

-- How a campaign's contacts stand, kept in the transactions that move them: no count(*) over a
-- million rows. `ready` is the part of `waiting` whose time has come.
CREATE TABLE campaign_counts (
    campaign INTEGER PRIMARY KEY REFERENCES campaigns (id),
    ready INTEGER NOT NULL DEFAULT 0 CHECK (ready >= 0),
    waiting INTEGER NOT NULL DEFAULT 0 CHECK (waiting >= ready),
    calling INTEGER NOT NULL DEFAULT 0 CHECK (calling >= 0),
    completed INTEGER NOT NULL DEFAULT 0 CHECK (completed >= 0),
    failed INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    expired INTEGER NOT NULL DEFAULT 0 CHECK (expired >= 0),
    canceled INTEGER NOT NULL DEFAULT 0 CHECK (canceled >= 0)
) STRICT;

-- Ids of contacts, attempts, events, webhooks and deliveries are numbers taken from `counters`: a
-- contact has its id while its upload is still under way, and no number is given out again.
CREATE TABLE contacts (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id),
    campaign INTEGER NOT NULL REFERENCES campaigns (id),
    application INTEGER NOT NULL REFERENCES applications (id),
    state TEXT NOT NULL CHECK (
        state IN ('waiting', 'calling', 'canceled', 'completed', 'expired', 'failed')
    ),
    -- A waiting contact whose time lies ahead stays out of the index that is dialed from.
    parked INTEGER NOT NULL CHECK (parked IN (0, 1)),
    cancel_asked INTEGER NOT NULL DEFAULT 0 CHECK (cancel_asked IN (0, 1)),
    next_at INTEGER NOT NULL,
    opens_at INTEGER,
    closes_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    attempts_max INTEGER NOT NULL CHECK (attempts_max >= 1),
    wait_ms INTEGER NOT NULL CHECK (wait_ms >= 0),
    last_outcome TEXT,
    last_attempt_at INTEGER,
    duration_s INTEGER NOT NULL DEFAULT 0,
    created_at INTEGER NOT NULL,
    ended_at INTEGER,
    dialect INTEGER NOT NULL,
    destination TEXT NOT NULL,
    reference TEXT NOT NULL,
    parameters TEXT NOT NULL,
    result_url TEXT,
    CHECK ((ended_at IS NULL) = (state IN ('waiting', 'calling'))),
    CHECK (parked = 0 OR state = 'waiting')
) STRICT;

-- What is dialed next in a campaign; what becomes due next; whose window closes next.
CREATE INDEX contacts_ready ON contacts (campaign, next_at, id)
WHERE state = 'waiting' AND parked = 0;

CREATE INDEX contacts_parked ON contacts (next_at, id)
WHERE state = 'waiting' AND parked = 1;

CREATE INDEX contacts_closing ON contacts (closes_at, id)
WHERE state = 'waiting' AND closes_at IS NOT NULL;

-- Lists.
CREATE INDEX contacts_account ON contacts (account, id);

CREATE INDEX contacts_campaign ON contacts (campaign, id);

CREATE INDEX contacts_ended ON contacts (campaign, state, id) WHERE ended_at IS NOT NULL;

-- An upload holds once what its contacts share; its state is the one flag that commits them all.
CREATE TABLE uploads (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    state TEXT NOT NULL CHECK (state IN ('aborted', 'committed', 'open')),
    account INTEGER NOT NULL REFERENCES accounts (id),
    campaign INTEGER NOT NULL REFERENCES campaigns (id),
    application INTEGER NOT NULL REFERENCES applications (id),
    parked INTEGER NOT NULL CHECK (parked IN (0, 1)),
    next_at INTEGER NOT NULL,
    opens_at INTEGER,
    closes_at INTEGER,
    attempts_max INTEGER NOT NULL,
    wait_ms INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    dialect INTEGER NOT NULL,
    result_url TEXT
) STRICT;

CREATE TABLE staged (
    upload INTEGER NOT NULL REFERENCES uploads (id),
    id INTEGER NOT NULL,
    destination TEXT NOT NULL,
    reference TEXT NOT NULL,
    parameters TEXT NOT NULL,
    PRIMARY KEY (upload, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    contact INTEGER NOT NULL REFERENCES contacts (id),
    number INTEGER NOT NULL CHECK (number >= 1),
    trunk INTEGER NOT NULL,
    -- The opening of the store in which it began.
    epoch INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    ringing_at INTEGER,
    answered_at INTEGER,
    ended_at INTEGER,
    outcome TEXT,
    sip_status INTEGER,
    q850 INTEGER,
    cause TEXT NOT NULL DEFAULT '',
    UNIQUE (contact, number),
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
) STRICT;

-- Never two live attempts of one contact; and after a crash, what it left open.
CREATE UNIQUE INDEX attempts_open ON attempts (contact) WHERE outcome IS NULL;

-- `attempt` is no foreign key: undoing an attempt would have to search all events for it.
CREATE TABLE events (
    contact INTEGER NOT NULL REFERENCES contacts (id),
    id INTEGER NOT NULL,
    attempt INTEGER,
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (contact, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE webhooks (
    id INTEGER PRIMARY KEY,
    contact INTEGER NOT NULL UNIQUE REFERENCES contacts (id),
    state TEXT NOT NULL CHECK (state IN ('delivered', 'given_up', 'owed')),
    dialect INTEGER NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 0,
    owed_since INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    ended_at INTEGER,
    host TEXT NOT NULL,
    url TEXT NOT NULL,
    CHECK ((ended_at IS NULL) = (state = 'owed'))
) STRICT;

CREATE INDEX webhooks_due ON webhooks (host, next_at, id) WHERE state = 'owed';

CREATE TABLE deliveries (
    webhook INTEGER NOT NULL REFERENCES webhooks (id),
    id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    accepted INTEGER NOT NULL CHECK (accepted IN (0, 1)),
    status INTEGER,
    detail TEXT NOT NULL,
    PRIMARY KEY (webhook, id)
) STRICT, WITHOUT ROWID;

-- Sums, and the last numbers taken, by name.
CREATE TABLE counters (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE secrets (
    name TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
