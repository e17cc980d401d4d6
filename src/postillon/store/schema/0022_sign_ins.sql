-- Who has tried to sign in, and what came of it: counted together by network, login, protocol and outcome,
-- failures of a minute, successes of an hour. Bounded by age and by number ([auth] record_for, record_most).

CREATE TABLE sign_in (
    entry    bigint PRIMARY KEY,       -- grows with each change: what is newest comes last
    period   bigint NOT NULL,          -- its beginning, in minutes since 1970 UTC
    network  text NOT NULL,            -- IPv4 address or IPv6 /64; '' are many, too many to be told apart
    login    text NOT NULL,            -- an address in a domain of ours; '' is any other text, which is not kept
    protocol text NOT NULL,            -- imap, pop3, smtp, jmap, web, oauth
    outcome  text NOT NULL,            -- ok, wrong_password, ...; see directory.attempts
    address  text NOT NULL,            -- the last of the network
    attempts bigint NOT NULL,
    first_at bigint NOT NULL,
    last_at  bigint NOT NULL
);
CREATE UNIQUE INDEX sign_in_together ON sign_in (period, network, login, protocol, outcome);
CREATE INDEX sign_in_from ON sign_in (network, login, outcome);
