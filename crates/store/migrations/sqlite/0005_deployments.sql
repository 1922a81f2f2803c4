-- Scripts under numbers by which clients name them. A deleted one stays: its numbers are not given
-- out again, and clients are told that it is gone.
CREATE TABLE deployments (
    id INTEGER PRIMARY KEY,
    app INTEGER NOT NULL,
    account INTEGER NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('document', 'say', 'url')),
    script TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    deleted_at INTEGER
) STRICT;

CREATE INDEX deployments_account ON deployments (account, id);

CREATE INDEX deployments_app ON deployments (app, account);
