-- Where each server is asked by the others, and when it was last heard: what only one of them has, as
-- recordings, is fetched from it. The PostgreSQL file of this number says the same in its words.

ALTER TABLE node_names ADD COLUMN address TEXT NOT NULL DEFAULT '';
ALTER TABLE node_names ADD COLUMN seen_at INTEGER NOT NULL DEFAULT 0;
