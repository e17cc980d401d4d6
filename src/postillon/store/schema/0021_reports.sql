-- Reports about what an account has sent, delivery and read receipts, find their submission as they arrive.

ALTER TABLE submission ADD COLUMN message_id text NOT NULL DEFAULT '';     -- without brackets
ALTER TABLE submission ADD COLUMN dsns text NOT NULL DEFAULT '[]';         -- JSON: the emails that are reports
ALTER TABLE submission ADD COLUMN mdns text NOT NULL DEFAULT '[]';         -- JSON
CREATE INDEX submission_message_id ON submission (account, message_id) WHERE message_id <> '';
