-- Events are followed account by account, in the order in which they were committed. The SQLite file
-- of this number says the same in its words.
ALTER TABLE events ADD COLUMN account bigint NOT NULL DEFAULT 0;

UPDATE events SET account = contacts.account FROM contacts WHERE contacts.id = events.contact;

ALTER TABLE events ALTER COLUMN account DROP DEFAULT;

DROP INDEX events_written;

CREATE INDEX events_account ON events (account, written, id);

-- The last event of an account that was forgotten: who had come less far misses some.
CREATE TABLE event_floors (
    account bigint PRIMARY KEY,
    written xid8 NOT NULL,
    id bigint NOT NULL
);

-- References are forgotten some time after their contacts have ended.
ALTER TABLE taken_references ADD COLUMN taken_at bigint NOT NULL DEFAULT 0;

UPDATE taken_references SET taken_at = coalesce(
    (SELECT contacts.created_at FROM contacts WHERE contacts.id = taken_references.contact), 0
);

CREATE INDEX taken_references_age ON taken_references (taken_at);
