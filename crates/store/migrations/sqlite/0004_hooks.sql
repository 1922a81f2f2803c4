-- Endpoints that are told of what happens, several for each account; what signs what they are told;
-- answers kept for requests that are sent again; references that are taken.

-- `topics` are names with blanks between them. A deleted endpoint stays for the sake of its log.
CREATE TABLE endpoints (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id),
    url TEXT NOT NULL,
    description TEXT NOT NULL,
    topics TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('deleted', 'disabled', 'enabled')),
    why TEXT CHECK (why IN ('client', 'failing', 'gone')),
    state_since INTEGER NOT NULL,
    failing_since INTEGER,
    created_at INTEGER NOT NULL,
    CHECK ((why IS NOT NULL) = (state = 'disabled'))
) STRICT;

CREATE INDEX endpoints_account ON endpoints (account, id);

CREATE INDEX endpoints_enabled ON endpoints (account, id) WHERE state = 'enabled';

-- Endpoint 0 stands for the result URLs of the account's contacts.
CREATE TABLE signing_keys (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    account INTEGER NOT NULL REFERENCES accounts (id),
    endpoint INTEGER NOT NULL,
    secret BLOB NOT NULL CHECK (length(secret) = 32),
    seed BLOB NOT NULL CHECK (length(seed) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;

CREATE INDEX signing_keys_endpoint ON signing_keys (account, endpoint, id);

CREATE UNIQUE INDEX signing_keys_newest ON signing_keys (account, endpoint)
WHERE expires_at IS NULL;

-- As before, but several for a contact, and some for none. Without an endpoint it goes to the result
-- URL of its contact. Those of one lane are delivered by turns.
CREATE TABLE new_webhooks (
    id INTEGER PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id),
    contact INTEGER REFERENCES contacts (id),
    endpoint INTEGER REFERENCES endpoints (id),
    topic TEXT NOT NULL,
    attempt INTEGER,
    at INTEGER NOT NULL,
    detail TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('delivered', 'given_up', 'owed')),
    dialect INTEGER NOT NULL,
    deliveries INTEGER NOT NULL DEFAULT 0,
    owed_since INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    ended_at INTEGER,
    lane TEXT NOT NULL,
    url TEXT NOT NULL,
    CHECK ((ended_at IS NULL) = (state = 'owed')),
    CHECK (contact IS NOT NULL OR endpoint IS NOT NULL)
) STRICT;

INSERT INTO new_webhooks (id, account, contact, topic, at, detail, state, dialect, deliveries,
    owed_since, next_at, ended_at, lane, url)
SELECT w.id, c.account, w.contact, 'contact.' || c.state, w.owed_since, '', w.state, w.dialect,
    w.deliveries, w.owed_since, w.next_at, w.ended_at, c.account || '/' || w.host, w.url
FROM webhooks w JOIN contacts c ON c.id = w.contact;

CREATE TABLE new_deliveries (
    webhook INTEGER NOT NULL REFERENCES new_webhooks (id),
    id INTEGER NOT NULL,
    endpoint INTEGER,
    at INTEGER NOT NULL,
    accepted INTEGER NOT NULL CHECK (accepted IN (0, 1)),
    status INTEGER,
    latency_ms INTEGER NOT NULL,
    answer TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (webhook, id)
) STRICT, WITHOUT ROWID;

INSERT INTO new_deliveries (webhook, id, at, accepted, status, latency_ms, answer, detail)
SELECT webhook, id, at, accepted, status, 0, '', detail FROM deliveries;

DROP TABLE deliveries;

DROP TABLE webhooks;

ALTER TABLE new_webhooks RENAME TO webhooks;

ALTER TABLE new_deliveries RENAME TO deliveries;

CREATE INDEX webhooks_due ON webhooks (lane, next_at, id) WHERE state = 'owed';

CREATE UNIQUE INDEX webhooks_result ON webhooks (contact) WHERE endpoint IS NULL;

CREATE INDEX webhooks_endpoint ON webhooks (endpoint, at, id) WHERE endpoint IS NOT NULL;

-- What is owed of an attempt that is undone.
CREATE INDEX webhooks_attempt ON webhooks (attempt) WHERE attempt IS NOT NULL AND state = 'owed';

CREATE INDEX deliveries_endpoint ON deliveries (endpoint, id) WHERE endpoint IS NOT NULL;

-- Answers to requests that carried a key, so that the same request is done once. Where `answer` is
-- a number, the body is in the parts of that number.
CREATE TABLE idempotency_keys (
    account INTEGER NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    fingerprint BLOB NOT NULL CHECK (length(fingerprint) = 32),
    created_at INTEGER NOT NULL,
    status INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    location TEXT,
    body TEXT NOT NULL,
    answer INTEGER,
    PRIMARY KEY (account, name)
) STRICT;

CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);

CREATE TABLE answer_parts (
    answer INTEGER NOT NULL,
    part INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (answer, part)
) STRICT, WITHOUT ROWID;

CREATE INDEX answer_parts_age ON answer_parts (created_at);

-- Whose contacts were asked to have references of their own.
CREATE TABLE taken_references (
    campaign INTEGER NOT NULL REFERENCES campaigns (id),
    reference TEXT NOT NULL,
    contact INTEGER NOT NULL,
    PRIMARY KEY (campaign, reference)
) STRICT, WITHOUT ROWID;

ALTER TABLE campaigns ADD COLUMN unique_references INTEGER NOT NULL DEFAULT 0;

ALTER TABLE uploads ADD COLUMN unique_references INTEGER NOT NULL DEFAULT 0;
