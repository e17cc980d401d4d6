-- What administrators have done: who, when, what, to whom. Kept for a bounded time.

CREATE TABLE audit (
    audit   bigint PRIMARY KEY,        -- in the order of the acts
    at      bigint NOT NULL,           -- ms
    who     text NOT NULL,             -- a login, the name of a key, or a user of the machine
    via     text NOT NULL,             -- command, api
    act     text NOT NULL,             -- such as account.create
    subject text NOT NULL,             -- what it was done to
    facts   text NOT NULL              -- JSON; never a secret
);
CREATE INDEX audit_subject ON audit (subject, audit);
