-- One POP3 session at a time has the inbox of an account (RFC 1939 section 3). A row whose time is over
-- may be taken by the next session.
CREATE TABLE maildrop_lock (
    account    bigint PRIMARY KEY,
    holder     text NOT NULL,          -- the session: worker, start of the server, number
    held_until bigint NOT NULL
) WITHOUT ROWID;
