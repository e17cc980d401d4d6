-- Signing in beyond the password: second factors, sessions with their tokens, clients of OAuth and what they
-- have asked for, keys of the administration API. Every secret is here as its SHA-256 only, in hexadecimal,
-- but for that of the second factor, from which its codes are computed.

CREATE TABLE second_factor (
    principal    bigint PRIMARY KEY,
    secret       text NOT NULL,        -- Base32 (RFC 6238)
    confirmed_at bigint,               -- NULL: begun, asked for by nobody yet
    last_step    bigint NOT NULL,      -- the time step of the last code taken: none is good twice
    recovery     text NOT NULL,        -- hashes of the recovery codes that are left, separated by spaces
    failures     bigint NOT NULL DEFAULT 0,  -- wrong codes since the last right one
    failed_at    bigint NOT NULL DEFAULT 0,
    created_at   bigint NOT NULL
) WITHOUT ROWID;

CREATE TABLE session (                 -- somebody signed in on a device, or a client they have let in
    session    bigint PRIMARY KEY,
    principal  bigint NOT NULL,
    client     text NOT NULL,          -- of OAuth; '' is our own web client
    client_name text NOT NULL,
    scopes     text NOT NULL,          -- as the client was told, separated by spaces
    family     text NOT NULL UNIQUE,   -- hash of the half that all its refresh tokens share
    refresh    text NOT NULL,          -- hash of the refresh token that is good
    previous   text NOT NULL,          -- hash of the one before, '' at first
    rotated_at bigint NOT NULL,
    device     text NOT NULL,          -- for people: Firefox on Linux
    address    text NOT NULL,          -- where it was used last
    created_at bigint NOT NULL,
    used_at    bigint NOT NULL,
    expires_at bigint NOT NULL
);
CREATE INDEX session_principal ON session (principal);
CREATE INDEX session_expires ON session (expires_at);

CREATE TABLE access_token (
    hash       text PRIMARY KEY,
    session    bigint NOT NULL,
    expires_at bigint NOT NULL
) WITHOUT ROWID;
CREATE INDEX access_token_session ON access_token (session);
CREATE INDEX access_token_expires ON access_token (expires_at);

CREATE TABLE oauth_client (            -- those that have registered themselves (RFC 7591)
    client     text PRIMARY KEY,
    name       text NOT NULL,
    redirects  text NOT NULL,          -- JSON list
    created_at bigint NOT NULL,
    used_at    bigint NOT NULL         -- when somebody let it in last
) WITHOUT ROWID;
CREATE INDEX oauth_client_used ON oauth_client (used_at);

CREATE TABLE authorization_code (      -- RFC 6749 section 4.1, for a few minutes
    hash       text PRIMARY KEY,
    client     text NOT NULL,
    redirect   text NOT NULL,
    challenge  text NOT NULL,          -- RFC 7636, S256
    scopes     text NOT NULL,
    principal  bigint NOT NULL,
    session    bigint NOT NULL,        -- that was made of it; 0 until then
    expires_at bigint NOT NULL
) WITHOUT ROWID;
CREATE INDEX authorization_code_expires ON authorization_code (expires_at);

CREATE TABLE device_code (             -- RFC 8628
    hash       text PRIMARY KEY,
    user_code  text NOT NULL UNIQUE,
    client     text NOT NULL,
    scopes     text NOT NULL,
    principal  bigint NOT NULL,        -- 0 until somebody has decided
    state      text NOT NULL,          -- waiting, allowed, refused
    interval_s bigint NOT NULL,        -- between two questions of the device
    asked_at   bigint NOT NULL,        -- when it has asked last
    expires_at bigint NOT NULL
) WITHOUT ROWID;
CREATE INDEX device_code_expires ON device_code (expires_at);

CREATE TABLE signed_in (               -- on a page of ours, and about to be asked for consent
    hash       text PRIMARY KEY,
    principal  bigint NOT NULL,
    needs_code bigint NOT NULL,        -- 1: only the password was right so far
    expires_at bigint NOT NULL
) WITHOUT ROWID;
CREATE INDEX signed_in_expires ON signed_in (expires_at);

CREATE TABLE api_key (
    api_key    bigint PRIMARY KEY,
    hash       text NOT NULL UNIQUE,
    name       text NOT NULL UNIQUE,
    scopes     text NOT NULL,
    created_at bigint NOT NULL,
    used_at    bigint,
    expires_at bigint
);
