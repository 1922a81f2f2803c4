-- What holds for an account alone: where it is, who lets it wait, whose word counts for the server,
-- and which caller IDs it may show. `suspended` is 1 where either of the two below it is.

-- Two letters of ISO 3166-1; NULL: the server's.
ALTER TABLE accounts ADD COLUMN country text;
ALTER TABLE accounts ADD COLUMN suspended_by_account bigint NOT NULL DEFAULT 0;
ALTER TABLE accounts ADD COLUMN suspended_by_operator bigint NOT NULL DEFAULT 0;
-- Whether its keys may change what holds for others.
ALTER TABLE accounts ADD COLUMN operator bigint NOT NULL DEFAULT 0;
-- Whether it shows no caller ID that is not verified.
ALTER TABLE accounts ADD COLUMN verified_only bigint NOT NULL DEFAULT 0;

UPDATE accounts SET suspended_by_operator = suspended;

-- In the one form in which numbers are compared.
CREATE TABLE verified_caller_ids (
    account bigint NOT NULL REFERENCES accounts (id),
    number text NOT NULL,
    added_at bigint NOT NULL,
    PRIMARY KEY (account, number)
);
