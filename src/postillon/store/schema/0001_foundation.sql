-- The data model of the design, section 4, from the first migration on.
-- Common dialect: bigint, text, blob. Times are milliseconds since 1970 UTC. Names of states are in code.
-- Every table of account data begins its key with the account.

-- The store itself ---------------------------------------------------------------------------------

CREATE TABLE meta (
    key   text PRIMARY KEY,
    value text NOT NULL
) WITHOUT ROWID;

CREATE TABLE counter (           -- ids that belong to no account
    name  text PRIMARY KEY,
    value bigint NOT NULL
) WITHOUT ROWID;

CREATE TABLE pack (
    pack      bigint PRIMARY KEY,
    owner     text NOT NULL,     -- the worker slot that appends to it
    state     bigint NOT NULL,   -- 0 open, 1 sealed, 2 retired (unlinked after the grace period)
    size      bigint NOT NULL,   -- octets with the last batch
    synced    bigint NOT NULL,   -- octets known durable when the last batch began (invariant I3)
    codec     bigint NOT NULL DEFAULT 0,
    key_id    bigint NOT NULL DEFAULT 0,
    changed_at bigint NOT NULL
) WITHOUT ROWID;

-- Directory ----------------------------------------------------------------------------------------

CREATE TABLE domain (
    domain     bigint PRIMARY KEY,
    name       text NOT NULL UNIQUE,   -- A-labels, lower case
    enabled    bigint NOT NULL DEFAULT 1,
    separator  text NOT NULL DEFAULT '+',  -- of sub-addresses; '' turns them off
    split      bigint NOT NULL DEFAULT 0,  -- 1: unknown local parts travel on to next_hop (split domain)
    next_hop   text,                       -- smart host for mail to this domain's unknown recipients
    created_at bigint NOT NULL,
    settings   text NOT NULL DEFAULT '{}'
);

CREATE TABLE principal (
    principal   bigint PRIMARY KEY,    -- for kind person and shared: the account id too
    kind        text NOT NULL,         -- person, shared, group
    login       text NOT NULL UNIQUE,  -- the primary address, normalised
    name        text NOT NULL DEFAULT '',
    legacy_name text NOT NULL UNIQUE,  -- stable; kept as an address after a rename
    enabled     bigint NOT NULL DEFAULT 1,
    admin       bigint NOT NULL DEFAULT 0,
    language    text NOT NULL DEFAULT '',
    created_at  bigint NOT NULL,
    settings    text NOT NULL DEFAULT '{}'
);

CREATE TABLE address (
    domain    bigint NOT NULL,
    local     text NOT NULL,           -- normalised; '' is the catch-all of the domain
    kind      text NOT NULL,           -- account, group, alias
    principal bigint,                  -- for account and group
    PRIMARY KEY (domain, local)
) WITHOUT ROWID;
CREATE INDEX address_principal ON address (principal);

CREATE TABLE alias_target (
    domain bigint NOT NULL,
    local  text NOT NULL,
    target text NOT NULL,              -- a full address, ours or somebody else's
    PRIMARY KEY (domain, local, target)
) WITHOUT ROWID;

CREATE TABLE group_member (
    principal bigint NOT NULL,         -- the group
    member    text NOT NULL,           -- a full address
    PRIMARY KEY (principal, member)
) WITHOUT ROWID;

CREATE TABLE credential (
    principal    bigint NOT NULL,
    credential   bigint NOT NULL,
    kind         text NOT NULL,        -- password, app
    name         text NOT NULL DEFAULT '',
    hash         text NOT NULL,        -- Argon2id, encoded
    scram        text,                 -- SCRAM-SHA-256 verifier: iterations,salt,stored key,server key
    scopes       text NOT NULL DEFAULT '',
    created_at   bigint NOT NULL,
    used_at      bigint,
    expires_at   bigint,
    PRIMARY KEY (principal, credential)
) WITHOUT ROWID;

-- Accounts -----------------------------------------------------------------------------------------

CREATE TABLE account (
    account         bigint PRIMARY KEY,
    epoch           bigint NOT NULL,   -- changes when restored from a backup
    modseq          bigint NOT NULL,   -- the one change counter
    next_id         bigint NOT NULL,   -- of mailboxes, emails, threads, placements
    low_modseq      bigint NOT NULL,   -- tombstones up to it may be gone
    quota           bigint,            -- octets; NULL is unlimited
    used            bigint NOT NULL,   -- octets of all emails
    emails          bigint NOT NULL,
    indexed_modseq  bigint NOT NULL
) WITHOUT ROWID;

CREATE TABLE mailbox (
    account      bigint NOT NULL,
    mailbox      bigint NOT NULL,
    parent       bigint NOT NULL,      -- 0 at the top
    name         text NOT NULL,        -- any Unicode, NFC; '/' allowed
    kind         bigint NOT NULL DEFAULT 0,  -- 0 mail, 1 calendar, 2 contacts, 3 tasks, 4 notes, 5 configuration
    role         text,                 -- inbox, drafts, sent, trash, junk, archive, ...
    hidden       bigint NOT NULL DEFAULT 0,
    subscribed   bigint NOT NULL DEFAULT 1,
    position     bigint NOT NULL DEFAULT 0,
    uid_validity bigint NOT NULL,
    uid_next     bigint NOT NULL,
    recent_uid   bigint NOT NULL,      -- first UID that no read-write session has yet been told is \Recent
    total        bigint NOT NULL,
    unseen       bigint NOT NULL,
    deleted      bigint NOT NULL,      -- placements with \Deleted
    octets       bigint NOT NULL,
    modseq       bigint NOT NULL,      -- highest of its placements, tombstones included
    changed      bigint NOT NULL,      -- MODSEQ of the last change of its own properties
    created      bigint NOT NULL,      -- MODSEQ
    rights       text,
    PRIMARY KEY (account, mailbox)
) WITHOUT ROWID;
CREATE UNIQUE INDEX mailbox_name ON mailbox (account, parent, name);

CREATE TABLE subscription (            -- names subscribed to that no mailbox has (RFC 9051 section 6.3.7)
    account bigint NOT NULL,
    path    text NOT NULL,             -- JSON list of names
    PRIMARY KEY (account, path)
) WITHOUT ROWID;

CREATE TABLE email (
    account         bigint NOT NULL,
    email           bigint NOT NULL,   -- object id, immutable
    thread          bigint NOT NULL,
    pack            bigint NOT NULL,
    start           bigint NOT NULL,   -- offset of the record in the pack
    length          bigint NOT NULL,   -- octets of the blob
    size            bigint NOT NULL,   -- octets a client sees: prefix and blob
    digest          blob NOT NULL,     -- SHA-256 of the blob
    prefix          blob NOT NULL,     -- trace headers of this copy, before the blob: Return-Path, Delivered-To, Received
    received_at     bigint NOT NULL,
    sent_at         bigint,            -- Date header; NULL where there is none that can be read
    header          blob NOT NULL,     -- HeaderDigest, packed
    structure       blob NOT NULL,     -- MIME structure with octet offsets, packed
    preview         text NOT NULL,
    queue_id        bigint,            -- the trace it came by; NULL for appended ones
    created         bigint NOT NULL,   -- MODSEQ
    content_changed bigint NOT NULL,   -- MODSEQ
    seen_changed    bigint NOT NULL,   -- MODSEQ
    PRIMARY KEY (account, email)
) WITHOUT ROWID;
CREATE INDEX email_blob ON email (pack, start, length);  -- compaction reads nothing else

-- Keywords stand on the placement, where IMAP scans them; all placements of one email carry the same
-- ones but for \Deleted, which belongs to the placement alone.
CREATE TABLE placement (
    account   bigint NOT NULL,
    mailbox   bigint NOT NULL,
    uid       bigint NOT NULL,
    email     bigint NOT NULL,
    placement bigint NOT NULL,         -- new on every move and copy
    flags     bigint NOT NULL,         -- bits, see account.keywords
    keywords  text,                    -- the others, sorted, separated by a space; NULL when none
    modseq    bigint NOT NULL,
    created   bigint NOT NULL,         -- MODSEQ
    saved_at  bigint NOT NULL,
    PRIMARY KEY (account, mailbox, uid)
) WITHOUT ROWID;
CREATE INDEX placement_email ON placement (account, email);

CREATE TABLE thread_key (
    account bigint NOT NULL,
    key     bigint NOT NULL,           -- hash of a message id and the base subject
    thread  bigint NOT NULL,
    PRIMARY KEY (account, key)
) WITHOUT ROWID;

CREATE TABLE change (
    account bigint NOT NULL,
    modseq  bigint NOT NULL,
    n       bigint NOT NULL,           -- within one MODSEQ, from 0
    kind    bigint NOT NULL,           -- see account.changes
    mailbox bigint NOT NULL,           -- 0 where none is meant
    uid     bigint NOT NULL,           -- 0 where none is meant
    object  bigint NOT NULL,           -- email, or mailbox for changes of a mailbox
    at      bigint NOT NULL,
    PRIMARY KEY (account, modseq, n)
) WITHOUT ROWID;

CREATE TABLE item (                    -- events, contacts, tasks, notes: the same ids, MODSEQ and change log
    account    bigint NOT NULL,
    item       bigint NOT NULL,
    mailbox    bigint NOT NULL,
    name       text NOT NULL,          -- resource name in a collection
    uid        text NOT NULL,
    content    blob NOT NULL,
    properties text NOT NULL DEFAULT '{}',  -- what a protocol wrote and we do not understand
    created    bigint NOT NULL,
    changed    bigint NOT NULL,
    PRIMARY KEY (account, item)
) WITHOUT ROWID;
CREATE UNIQUE INDEX item_name ON item (account, mailbox, name);

CREATE TABLE upload (
    account    bigint NOT NULL,
    upload     bigint NOT NULL,
    pack       bigint NOT NULL,
    start      bigint NOT NULL,
    length     bigint NOT NULL,
    digest     blob NOT NULL,
    media_type text NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (account, upload)
) WITHOUT ROWID;
CREATE INDEX upload_blob ON upload (pack, start, length);

-- Queue --------------------------------------------------------------------------------------------

CREATE TABLE queue_message (
    queue_id     bigint PRIMARY KEY,   -- time-ordered, made by the worker that accepted it
    pack         bigint NOT NULL,
    start        bigint NOT NULL,
    length       bigint NOT NULL,
    digest       blob NOT NULL,
    prefix       blob NOT NULL,        -- our Received header and what submission completed
    reverse_path text,                 -- NULL is the null sender
    submitter    bigint,               -- the account that submitted it, NULL for strangers and ourselves
    lane         bigint NOT NULL,      -- 0 interactive, 1 bulk, 2 reports
    body         text NOT NULL,
    smtputf8     bigint NOT NULL,
    ret_full     bigint,
    envid        text NOT NULL,
    hops         bigint NOT NULL,      -- Received lines when it was accepted
    accepted_at  bigint NOT NULL,
    expires_at   bigint NOT NULL,
    held         bigint NOT NULL DEFAULT 0,
    crashes      bigint NOT NULL DEFAULT 0,  -- times a worker died with it in hand
    about        bigint                -- for our own reports: the message they are about
);
CREATE INDEX queue_message_blob ON queue_message (pack, start, length);
CREATE INDEX queue_message_suspect ON queue_message (queue_id) WHERE crashes > 0;

CREATE TABLE queue_recipient (
    queue_id     bigint NOT NULL,
    n            bigint NOT NULL,      -- from 0
    forward_path text NOT NULL,        -- where it goes now
    original     text NOT NULL,        -- ORCPT, or ''
    notify       bigint,               -- NULL: not given
    via          text NOT NULL,        -- 'local' or 'remote'
    destination  text NOT NULL,        -- what it waits for: a domain, a next hop, or 'local'
    state        text NOT NULL,        -- waiting, claimed, delivered, relayed, failed, expired, expanded
    due_at       bigint NOT NULL,
    attempts     bigint NOT NULL DEFAULT 0,
    last_at      bigint,
    claimed_by   text,                 -- worker that holds the lease
    lease_until  bigint,
    status       text NOT NULL DEFAULT '{}',  -- the last Status, JSON
    told         bigint NOT NULL DEFAULT 0,   -- delay notices sent
    final_at     bigint,
    PRIMARY KEY (queue_id, n)
) WITHOUT ROWID;
CREATE INDEX queue_recipient_due ON queue_recipient (due_at, queue_id, n) WHERE state = 'waiting';
CREATE INDEX queue_recipient_lease ON queue_recipient (lease_until) WHERE state = 'claimed';
CREATE INDEX queue_recipient_settled ON queue_recipient (queue_id) WHERE state NOT IN ('waiting', 'claimed');
CREATE INDEX queue_recipient_destination ON queue_recipient (destination, due_at) WHERE state = 'waiting';

CREATE TABLE queue_attempt (           -- bounded history per recipient
    queue_id bigint NOT NULL,
    n        bigint NOT NULL,
    attempt  bigint NOT NULL,
    at       bigint NOT NULL,
    host     text NOT NULL,
    outcome  text NOT NULL,
    status   text NOT NULL,            -- Status, JSON
    PRIMARY KEY (queue_id, n, attempt)
) WITHOUT ROWID;

CREATE TABLE trace (                   -- what happened to every message and why; kept for a bounded time
    queue_id     bigint PRIMARY KEY,
    at           bigint NOT NULL,
    reverse_path text NOT NULL,        -- '' is the null sender
    forward_paths text NOT NULL,       -- separated by a space, cut at a bound
    message_id   text NOT NULL,
    facts        text NOT NULL         -- JSON: peer, protocol, TLS, decisions with their inputs, final outcomes at acceptance
);

CREATE TABLE trace_event (             -- what happened after acceptance
    queue_id bigint NOT NULL,
    n        bigint NOT NULL,
    at       bigint NOT NULL,
    kind     text NOT NULL,
    facts    text NOT NULL,
    PRIMARY KEY (queue_id, n)
) WITHOUT ROWID;
