-- A message may wait for the time its sender has chosen (RFC 4865, delayed sending over JMAP), and say until
-- when it is of use (RFC 2852).

ALTER TABLE queue_message ADD COLUMN release_at bigint NOT NULL DEFAULT 0;  -- ms; 0: at once
ALTER TABLE queue_message ADD COLUMN deliver_by bigint;                     -- ms; NULL: not said
ALTER TABLE queue_message ADD COLUMN by_mode text NOT NULL DEFAULT '';      -- R, N, RT or NT
CREATE INDEX queue_message_release ON queue_message (release_at) WHERE release_at > 0;
