-- Where each server is asked by the others, and when it was last heard: what only one of them has, as
-- recordings, is fetched from it. The SQLite file of this number says the same in its words.

ALTER TABLE node_names ADD COLUMN address text NOT NULL DEFAULT '';
ALTER TABLE node_names ADD COLUMN seen_at bigint NOT NULL DEFAULT 0;
