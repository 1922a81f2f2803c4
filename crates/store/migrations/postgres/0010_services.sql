-- Outbound services: configurations under names by which clients start calls. Times are in
-- milliseconds. The SQLite file of this number says the same in its words.
CREATE TABLE services (
    account bigint NOT NULL REFERENCES accounts (id),
    name text NOT NULL,
    -- As its facade wrote it.
    config text NOT NULL,
    -- Of the password that starts it, in PHC form; without one it cannot be started.
    password_hash text,
    created_at bigint NOT NULL,
    changed_at bigint NOT NULL,
    PRIMARY KEY (account, name)
);
