-- Files of contacts that are read first and taken in when somebody says so. An import's id is that of
-- its upload, which is forgotten once its contacts have come to their place.

CREATE TABLE imports (
    upload INTEGER NOT NULL PRIMARY KEY,
    account INTEGER NOT NULL REFERENCES accounts (id),
    state TEXT NOT NULL CHECK (state IN ('checked', 'checking', 'committed', 'discarded')),
    file_name TEXT NOT NULL,
    -- What was found in the file, as its client is told; empty while it is being read.
    report TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX imports_account ON imports (account, upload);

CREATE INDEX imports_created ON imports (created_at);

-- The rejected rows as a file, in parts.
CREATE TABLE import_rejects (
    upload INTEGER NOT NULL,
    part INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (upload, part)
) STRICT, WITHOUT ROWID;
