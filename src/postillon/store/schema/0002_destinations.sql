-- Patience with destinations, known to all workers and to the administrator; lanes that order claims.

-- One row for each destination of which there is something to know: it is down, slowed, held, or mail
-- stands in its line. A healthy destination has no row. Written only when its state changes.
CREATE TABLE queue_destination (
    key         text PRIMARY KEY,      -- the host set "a.example:25,b.example:25", a next hop, or a domain whose hosts are not known
    hosts       text NOT NULL,         -- as people are shown them, separated by a space
    down_since  bigint,                -- NULL: it answers
    probes      bigint NOT NULL DEFAULT 0,   -- probes that have failed since then
    next_at     bigint NOT NULL,       -- when a worker must look at it: the next probe, or mail in its line; far: nothing to do
    probed_by   text,                  -- the worker that has the one probe out
    lease_until bigint,                -- until when it may take
    status      text NOT NULL DEFAULT '{}',  -- its last words when it failed, a Status as JSON
    said_at     bigint,                -- when that was
    concurrency bigint,                -- deliveries at once a worker may make; NULL: as configured
    rate_at     bigint NOT NULL DEFAULT 0,   -- where a rate is set: up to when it is used
    held        bigint NOT NULL DEFAULT 0,   -- 1: by the administrator; nothing is sent to it
    updated_at  bigint NOT NULL
) WITHOUT ROWID;
CREATE INDEX queue_destination_next ON queue_destination (next_at) WHERE held = 0;
CREATE INDEX queue_destination_updated ON queue_destination (updated_at);

ALTER TABLE queue_recipient ADD COLUMN lane bigint NOT NULL DEFAULT 0;       -- that of its message
ALTER TABLE queue_recipient ADD COLUMN deferrals bigint NOT NULL DEFAULT 0;  -- 4yz of its own so far
ALTER TABLE queue_recipient ADD COLUMN waits_for text;  -- in the line of this queue_destination; NULL: for its time

UPDATE queue_recipient SET lane = (SELECT m.lane FROM queue_message m WHERE m.queue_id = queue_recipient.queue_id)
    WHERE EXISTS (SELECT 1 FROM queue_message m WHERE m.queue_id = queue_recipient.queue_id AND m.lane <> 0);
-- Of a settled recipient `due_at` says from when its report is due.
UPDATE queue_recipient SET due_at = 0 WHERE state NOT IN ('waiting', 'claimed');

DROP INDEX queue_recipient_due;
DROP INDEX queue_recipient_settled;
CREATE INDEX queue_recipient_due ON queue_recipient (lane, due_at, queue_id, n) WHERE state = 'waiting';
CREATE INDEX queue_recipient_line ON queue_recipient (waits_for, lane, queue_id, n)
    WHERE state = 'waiting' AND waits_for IS NOT NULL;
CREATE INDEX queue_recipient_untold ON queue_recipient (due_at, queue_id)
    WHERE state NOT IN ('waiting', 'claimed') AND told < 4;
