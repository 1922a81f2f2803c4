-- Several servers on one database: who they are, until when they are believed to live, what of each
-- trunk is theirs, and sums that each keeps in rows of its own. Times are the database's, in
-- milliseconds. The PostgreSQL file of this number says the same in its words.

-- A node is what has the same files from start to start; each of its openings has an epoch.
CREATE TABLE node_names (
    node INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE nodes (
    epoch INTEGER PRIMARY KEY,
    node INTEGER NOT NULL,
    place TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('alive', 'left', 'lost', 'over')),
    expires_at INTEGER NOT NULL,
    -- How long its calls may ring, and last, at most.
    ring_ms INTEGER NOT NULL,
    call_ms INTEGER NOT NULL,
    -- When it was taken for dead.
    lost_at INTEGER
) STRICT;

-- The row that every transaction of an epoch writes last: it says whether the epoch is over, and which
-- of its transactions was the last to be committed. Apart from the lease, which is renewed meanwhile.
CREATE TABLE node_guards (
    epoch INTEGER PRIMARY KEY,
    commits INTEGER NOT NULL,
    fenced INTEGER NOT NULL CHECK (fenced IN (0, 1))
) STRICT;

-- The one node that shares trunks out and settles what dead nodes left.
CREATE TABLE leaders (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

INSERT INTO leaders (one, epoch, expires_at) VALUES (1, 0, 0);

CREATE TABLE trunk_shares (
    trunk INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    -- What the node may use, until when, and which grant that is.
    slots INTEGER NOT NULL DEFAULT 0,
    rate INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 0,
    expires_at INTEGER NOT NULL DEFAULT 0,
    -- What it may still use by a larger grant that it was given before.
    held_slots INTEGER NOT NULL DEFAULT 0,
    held_rate INTEGER NOT NULL DEFAULT 0,
    held_until INTEGER NOT NULL DEFAULT 0,
    -- What it says: the grant that it goes by, its calls, what it could use, and the whole trunk.
    seen INTEGER NOT NULL DEFAULT 0,
    busy INTEGER NOT NULL DEFAULT 0,
    wanted INTEGER NOT NULL DEFAULT 0,
    all_slots INTEGER NOT NULL DEFAULT 0,
    all_rate INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (trunk, epoch)
) STRICT, WITHOUT ROWID;

-- Calls of nodes taken for dead, which may still take their slots until then.
CREATE TABLE lost_calls (
    attempt INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    trunk INTEGER NOT NULL,
    until INTEGER NOT NULL
) STRICT;

-- Calls of other nodes that somebody asked to end.
CREATE TABLE cancel_asks (
    node INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (node, attempt)
) STRICT, WITHOUT ROWID;

-- Each node adds to rows of its own, which may be negative; their sum is how contacts stand.
CREATE TABLE campaign_sums (
    campaign INTEGER NOT NULL,
    node INTEGER NOT NULL,
    ready INTEGER NOT NULL DEFAULT 0,
    waiting INTEGER NOT NULL DEFAULT 0,
    calling INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    expired INTEGER NOT NULL DEFAULT 0,
    canceled INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (campaign, node)
) STRICT, WITHOUT ROWID;

INSERT INTO campaign_sums
SELECT campaign, 0, ready, waiting, calling, completed, failed, expired, canceled
FROM campaign_counts;

DROP TABLE campaign_counts;

CREATE INDEX campaign_sums_ready ON campaign_sums (campaign, node) WHERE ready <> 0;

CREATE TABLE sums (
    name TEXT NOT NULL,
    node INTEGER NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (name, node)
) STRICT, WITHOUT ROWID;

INSERT INTO sums
SELECT name, 0, value FROM counters WHERE name LIKE 'attempts_%' OR name LIKE 'webhooks_%';

DELETE FROM counters WHERE name LIKE 'attempts_%' OR name LIKE 'webhooks_%';

ALTER TABLE attempts ADD COLUMN node INTEGER NOT NULL DEFAULT 0;
ALTER TABLE uploads ADD COLUMN node INTEGER NOT NULL DEFAULT 0;
ALTER TABLE webhooks ADD COLUMN node INTEGER NOT NULL DEFAULT 0;

-- What a dead node left open.
CREATE INDEX attempts_of_epoch ON attempts (epoch, id) WHERE outcome IS NULL;

DROP INDEX webhooks_due;

CREATE INDEX webhooks_due ON webhooks (node, lane, next_at, id) WHERE state = 'owed';

-- For readers that follow events by a cursor: here they are committed in the order of their numbers.
ALTER TABLE events ADD COLUMN written INTEGER NOT NULL DEFAULT 0;

CREATE INDEX events_written ON events (written, id);
