-- What contacts carry beside window and budget. `rank_at` is the moment by which a ready contact takes
-- its turn: the one at which it was due, moved by its priority.
ALTER TABLE contacts ADD COLUMN priority bigint NOT NULL DEFAULT 5;
ALTER TABLE contacts ADD COLUMN rank_at bigint NOT NULL DEFAULT 0;
ALTER TABLE contacts ADD COLUMN ring_ms bigint;
ALTER TABLE contacts ADD COLUMN waits text NOT NULL DEFAULT '';
ALTER TABLE contacts ADD COLUMN variables text NOT NULL DEFAULT '';
ALTER TABLE contacts ADD COLUMN place text NOT NULL DEFAULT '';

UPDATE contacts SET rank_at = next_at;

DROP INDEX contacts_ready;

CREATE INDEX contacts_ready ON contacts (campaign, rank_at, id)
WHERE state = 'waiting' AND parked = 0;

ALTER TABLE uploads ADD COLUMN priority bigint NOT NULL DEFAULT 5;
ALTER TABLE uploads ADD COLUMN ring_ms bigint;
ALTER TABLE uploads ADD COLUMN waits text NOT NULL DEFAULT '';

ALTER TABLE staged ADD COLUMN priority bigint NOT NULL DEFAULT 5;
ALTER TABLE staged ADD COLUMN rank_at bigint NOT NULL DEFAULT 0;
ALTER TABLE staged ADD COLUMN variables text NOT NULL DEFAULT '';
ALTER TABLE staged ADD COLUMN place text NOT NULL DEFAULT '';
