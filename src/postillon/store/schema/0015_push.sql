-- Where clients want to be told of changes when they are not connected (RFC 8620 section 7.2).

CREATE TABLE push_subscription (
    principal    bigint NOT NULL,
    subscription bigint NOT NULL,      -- drawn, not counted
    credential   text NOT NULL,        -- that made it: password, app:3, session:17; it goes with that
    device       text NOT NULL,        -- as the client calls itself
    url          text NOT NULL,
    p256dh       blob,                 -- the client's keys for encryption (RFC 8291), NULL without
    auth         blob,
    code         text NOT NULL,        -- that the client must have got at the URL
    verified     bigint NOT NULL,      -- 1: it has
    types        text,                 -- JSON list; NULL: all
    told         text NOT NULL,        -- the states that were pushed last
    created_at   bigint NOT NULL,
    expires_at   bigint NOT NULL,
    PRIMARY KEY (principal, subscription)
) WITHOUT ROWID;
CREATE INDEX push_subscription_expires ON push_subscription (expires_at);
