-- What campaigns say about dialing, the past of numbers, and lists of numbers that are not called.
-- `number` is the one form in which numbers are compared; '' where it was taken in before.

ALTER TABLE accounts ADD COLUMN weight INTEGER NOT NULL DEFAULT 1;
ALTER TABLE accounts ADD COLUMN suspended INTEGER NOT NULL DEFAULT 0 CHECK (suspended IN (0, 1));
ALTER TABLE accounts ADD COLUMN calls_max INTEGER;
ALTER TABLE accounts ADD COLUMN calls_per_second INTEGER;

ALTER TABLE campaigns ADD COLUMN policy TEXT NOT NULL DEFAULT '';
ALTER TABLE campaigns ADD COLUMN policy_version INTEGER NOT NULL DEFAULT 0;

ALTER TABLE contacts ADD COLUMN number TEXT NOT NULL DEFAULT '';
-- The rule by which a contact was last made to wait.
ALTER TABLE contacts ADD COLUMN held TEXT NOT NULL DEFAULT '';
ALTER TABLE staged ADD COLUMN number TEXT NOT NULL DEFAULT '';

CREATE INDEX contacts_number ON contacts (account, number) WHERE state = 'waiting';

-- What was weighed before an attempt.
ALTER TABLE attempts ADD COLUMN weighed TEXT NOT NULL DEFAULT '';

-- Calls to numbers, written in the transaction that claims their contacts.
CREATE TABLE called (
    attempt INTEGER NOT NULL PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id),
    number TEXT NOT NULL,
    begun_at INTEGER NOT NULL,
    ended_at INTEGER,
    conversation INTEGER NOT NULL DEFAULT 0 CHECK (conversation IN (0, 1))
) STRICT;

CREATE INDEX called_number ON called (number, begun_at);

CREATE INDEX called_begun ON called (begun_at);

-- One call to a number at a time: whoever inserts first has it. `scope` is the account, or 0 where
-- all accounts count together.
CREATE TABLE live_numbers (
    scope INTEGER NOT NULL,
    number TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    PRIMARY KEY (scope, number)
) STRICT, WITHOUT ROWID;

CREATE INDEX live_numbers_attempt ON live_numbers (attempt);

-- How often a caller ID was shown on a day since 1970 (UTC).
CREATE TABLE shown (
    caller_id TEXT NOT NULL,
    day INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    PRIMARY KEY (caller_id, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE lists (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    UNIQUE (account, name)
) STRICT;

CREATE TABLE listed (
    list INTEGER NOT NULL REFERENCES lists (id),
    number TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (list, number)
) STRICT, WITHOUT ROWID;
