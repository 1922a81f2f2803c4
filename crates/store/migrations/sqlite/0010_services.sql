-- Outbound services: configurations under names by which clients start calls. Times are in
-- milliseconds. The PostgreSQL file of this number says the same in its words.
CREATE TABLE services (
    account INTEGER NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    -- As its facade wrote it.
    config TEXT NOT NULL,
    -- Of the password that starts it, in PHC form; without one it cannot be started.
    password_hash TEXT,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (account, name)
) STRICT, WITHOUT ROWID;
