-- What the watch over the queue has found, and what it remembers between two looks and over a restart.

CREATE TABLE queue_alert (
    kind      text NOT NULL,       -- see queue.alerts
    subject   text NOT NULL,       -- a destination, a queue id, a machine; '' for the queue as a whole
    words     text NOT NULL,       -- for a person
    remedy    text NOT NULL,       -- what to do, in words
    began_at  bigint NOT NULL,
    ended_at  bigint,              -- NULL: it goes on; kept for a day, so that one that comes back is not mailed again
    mailed_at bigint,              -- when administrators were last mailed about it
    PRIMARY KEY (kind, subject)
) WITHOUT ROWID;

CREATE TABLE queue_watch (
    name  text PRIMARY KEY,
    value text NOT NULL            -- JSON: what the watch remembers
) WITHOUT ROWID;
