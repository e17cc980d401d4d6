-- What an account sends as, what it has sent, and what answers for it while it is away.

CREATE TABLE identity (
    account        bigint NOT NULL,
    identity       bigint NOT NULL,    -- 0: the one that is always there, once something of it was set
    email          text NOT NULL,
    name           text NOT NULL,
    reply_to       text NOT NULL,      -- JSON
    bcc            text NOT NULL,      -- JSON
    text_signature text NOT NULL,
    html_signature text NOT NULL,
    PRIMARY KEY (account, identity)
) WITHOUT ROWID;

CREATE TABLE submission (              -- RFC 8621 section 7
    account    bigint NOT NULL,
    submission bigint NOT NULL,
    identity   bigint NOT NULL,
    email      bigint NOT NULL,
    thread     bigint NOT NULL,
    queue_id   bigint NOT NULL,
    envelope   text NOT NULL,          -- JSON, as JMAP shows it
    send_at    bigint NOT NULL,        -- ms
    undo       text NOT NULL,          -- pending, final, canceled
    delivery   text NOT NULL,          -- JSON: by recipient, and where each leads
    unsettled  bigint NOT NULL,        -- 1: undo or delivery may still change
    PRIMARY KEY (account, submission)
) WITHOUT ROWID;
CREATE INDEX submission_unsettled ON submission (account, submission) WHERE unsettled = 1;

CREATE TABLE vacation (                -- RFC 8621 section 8
    account bigint PRIMARY KEY,
    enabled bigint NOT NULL,
    from_at bigint,                    -- ms; NULL: no bound
    to_at   bigint,
    subject text,
    plain   text,
    html    text
) WITHOUT ROWID;

CREATE TABLE vacation_answer (         -- to whom it has answered lately (RFC 3834 section 2)
    account bigint NOT NULL,
    sender  text NOT NULL,
    at      bigint NOT NULL,           -- ms
    PRIMARY KEY (account, sender)
) WITHOUT ROWID;
CREATE INDEX vacation_answer_at ON vacation_answer (account, at);
