-- Whether it is found out who answered, and what follows; '' as the campaign says.
ALTER TABLE applications ADD COLUMN detection TEXT NOT NULL DEFAULT '';

-- What was found out; whether a message for a machine was played to its end.
ALTER TABLE attempts ADD COLUMN detected TEXT NOT NULL DEFAULT '';
ALTER TABLE attempts ADD COLUMN message_left INTEGER NOT NULL DEFAULT 0 CHECK (message_left IN (0, 1));
ALTER TABLE contacts ADD COLUMN message_left INTEGER NOT NULL DEFAULT 0 CHECK (message_left IN (0, 1));
