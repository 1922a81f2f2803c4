-- What contacts carry beside window and budget. `rank_at` is the moment by which a ready contact takes
-- its turn: the one at which it was due, moved by its priority.
ALTER TABLE contacts ADD COLUMN priority INTEGER NOT NULL DEFAULT 5;
ALTER TABLE contacts ADD COLUMN rank_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE contacts ADD COLUMN ring_ms INTEGER;
ALTER TABLE contacts ADD COLUMN waits TEXT NOT NULL DEFAULT '';
ALTER TABLE contacts ADD COLUMN variables TEXT NOT NULL DEFAULT '';
ALTER TABLE contacts ADD COLUMN place TEXT NOT NULL DEFAULT '';

UPDATE contacts SET rank_at = next_at;

DROP INDEX contacts_ready;

CREATE INDEX contacts_ready ON contacts (campaign, rank_at, id)
WHERE state = 'waiting' AND parked = 0;

ALTER TABLE uploads ADD COLUMN priority INTEGER NOT NULL DEFAULT 5;
ALTER TABLE uploads ADD COLUMN ring_ms INTEGER;
ALTER TABLE uploads ADD COLUMN waits TEXT NOT NULL DEFAULT '';

ALTER TABLE staged ADD COLUMN priority INTEGER NOT NULL DEFAULT 5;
ALTER TABLE staged ADD COLUMN rank_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE staged ADD COLUMN variables TEXT NOT NULL DEFAULT '';
ALTER TABLE staged ADD COLUMN place TEXT NOT NULL DEFAULT '';
