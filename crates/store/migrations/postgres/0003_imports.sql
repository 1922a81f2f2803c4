-- Files of contacts that are read first and taken in when somebody says so. An import's id is that of
-- its upload, which is forgotten once its contacts have come to their place.

CREATE TABLE imports (
    upload bigint NOT NULL PRIMARY KEY,
    account bigint NOT NULL REFERENCES accounts (id),
    state text NOT NULL CHECK (state IN ('checked', 'checking', 'committed', 'discarded')),
    file_name text NOT NULL,
    -- What was found in the file, as its client is told; empty while it is being read.
    report text NOT NULL,
    created_at bigint NOT NULL
);

CREATE INDEX imports_account ON imports (account, upload);

CREATE INDEX imports_created ON imports (created_at);

-- The rejected rows as a file, in parts.
CREATE TABLE import_rejects (
    upload bigint NOT NULL,
    part bigint NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (upload, part)
);
