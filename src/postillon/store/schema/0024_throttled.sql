-- Failures that count against networks and logins, of all workers and servers together, until there has been
-- quiet for [auth] forget_after. Logins are addresses in domains of ours, as in sign_in.

CREATE TABLE throttled (
    network  text NOT NULL,            -- IPv4 address or IPv6 /64; '' is every one
    login    text NOT NULL,            -- '' is every one
    failures bigint NOT NULL,          -- 0: let in again
    last_at  bigint NOT NULL,
    changed  bigint NOT NULL,          -- grows with each change: workers read what is new to them
    PRIMARY KEY (network, login)
) WITHOUT ROWID;
CREATE UNIQUE INDEX throttled_changed ON throttled (changed);
