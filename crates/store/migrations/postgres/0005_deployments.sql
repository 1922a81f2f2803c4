-- Scripts under numbers by which clients name them. A deleted one stays: its numbers are not given
-- out again, and clients are told that it is gone.
CREATE TABLE deployments (
    id bigint NOT NULL PRIMARY KEY,
    app bigint NOT NULL,
    account bigint NOT NULL REFERENCES accounts (id),
    name text NOT NULL,
    source text NOT NULL CHECK (source IN ('document', 'say', 'url')),
    script text NOT NULL,
    created_at bigint NOT NULL,
    deleted_at bigint
);

CREATE INDEX deployments_account ON deployments (account, id);

CREATE INDEX deployments_app ON deployments (app, account);
