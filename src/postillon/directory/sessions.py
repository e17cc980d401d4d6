"""Who is signed in where: sessions, their short-lived access tokens and their refresh tokens.

A refresh token has two halves: one that all of its session share, and one that changes with every
use. The session keeps the hash of the first half and of the whole token that is good now. So a token
that was used before is known for what it is without keeping any: its first half fits, the whole does
not. Whoever shows one has stolen it or has been robbed, and the session ends for both (RFC 9700
section 4.14.2).

Tabs of one browser share a cookie and may use it at the same moment: for our own web client the token
before the last is good for `LEEWAY_MS` more, for an access token and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from postillon.directory import principals, tokens
from postillon.directory.errors import CredentialNotFound
from postillon.directory.principals import Principal
from postillon.directory.topics import standing_changed
from postillon.store.counters import next_id
from postillon.store.operation import Row, Steps, Tx

OWN_CLIENT = ""  # the client of sessions of our own web client
LEEWAY_MS = 10_000
MAX_SESSIONS = 200  # of one account; the one unused for longest gives way to a new one
MAX_DEVICE = 120  # characters
FORGOTTEN_AT_ONCE = 500  # rows of one operation


class Session(msgspec.Struct, frozen=True):
    """One in the list. client: "" for our own web client."""

    id: int
    client: str
    client_name: str
    scopes: str
    device: str
    address: str
    created_at: int  # ms, as the others
    used_at: int
    expires_at: int


@dataclass(frozen=True, slots=True)
class Opening:
    """What a new session begins with. Lives in ms; a refresh token lives so long after each use."""

    client: str
    client_name: str
    scopes: str
    device: str
    address: str
    access_ms: int
    refresh_ms: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """Given out once. refresh: None where the one that was used is still good."""

    session: int
    principal: int
    scopes: str
    access: str
    refresh: str | None


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom an access token speaks for."""

    principal: Principal
    session: int
    client: str
    scopes: str
    expires_at: int  # ms


_COLUMNS = "session, client, client_name, scopes, device, address, created_at, used_at, expires_at"


def _session(row: Row) -> Session:
    return Session(*row)


def open_(tx: Tx, principal: int, opening: Opening, now: int) -> Steps[Tokens]:
    """Begin a session. now: ms."""
    yield (
        "DELETE FROM session WHERE session IN (SELECT session FROM session WHERE principal = ?"
        " ORDER BY used_at DESC, session DESC LIMIT 1000 OFFSET ?)",
        (principal, MAX_SESSIONS - 1),
    )
    number = yield from next_id("session")
    family = tokens.new_token(tokens.REFRESH)
    refresh = f"{family}.{tokens.new_token('')}"
    yield (
        "INSERT INTO session (session, principal, client, client_name, scopes, family, refresh,"
        " previous, rotated_at, device, address, created_at, used_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, '', ?, ?, ?, ?, ?, ?)",
        (number, principal, opening.client, opening.client_name, opening.scopes,
         tokens.digest(family), tokens.digest(refresh), now, opening.device[:MAX_DEVICE],
         opening.address, now, now, now + opening.refresh_ms),
    )  # fmt: skip
    access = yield from _access(number, now + opening.access_ms)
    return Tokens(number, principal, opening.scopes, access, refresh)


def refresh(
    tx: Tx,
    token: str,
    client: str | None,
    address: str,
    access_ms: int,
    refresh_ms: int | None,
    now: int,
) -> Steps[Tokens | None]:
    """Give a refresh token up for the next and an access token. now: ms.

    client: None for any of OAuth. refresh_ms: None for as long as the session had before.
    None for a token that is not good; when it was good once, its session has ended.
    """
    family = token.partition(".")[0]
    rows = yield (
        "SELECT session, principal, client, scopes, refresh, previous, rotated_at, expires_at,"
        " expires_at - used_at"
        " FROM session WHERE family = ?",
        (tokens.digest(family),),
    )
    if not rows:
        return None
    number, principal, owner, scopes, current, previous, rotated_at, expires_at, lived = rows[0]
    allowed = owner != OWN_CLIENT if client is None else owner == client
    if not allowed or expires_at <= now or not (yield from _enabled(principal)):
        return None
    given = tokens.digest(token)
    yield ("DELETE FROM access_token WHERE session = ? AND expires_at <= ?", (number, now))
    if not tokens.same(given, current):
        if owner == OWN_CLIENT and tokens.same(given, previous) and now - rotated_at <= LEEWAY_MS:
            access = yield from _access(number, now + access_ms)
            return Tokens(number, principal, scopes, access, None)
        yield from end(tx, number)
        return None
    fresh = f"{family}.{tokens.new_token('')}"
    yield (
        "UPDATE session SET refresh = ?, previous = ?, rotated_at = ?, used_at = ?, address = ?,"
        " expires_at = ? WHERE session = ?",
        (tokens.digest(fresh), current, now, now, address, now + (refresh_ms or lived), number),
    )
    access = yield from _access(number, now + access_ms)
    return Tokens(number, principal, scopes, access, fresh)


def bearer(token: str, now: int) -> Steps[Bearer | None]:
    """Who is meant by an access token that is good, of a person who is enabled. now: ms."""
    rows = yield (
        "SELECT s.session, s.client, s.scopes, t.expires_at, s.principal FROM access_token t"
        " JOIN session s ON s.session = t.session WHERE t.hash = ? AND t.expires_at > ?",
        (tokens.digest(token), now),
    )
    if not rows:
        return None
    session, client, scopes, expires_at, number = rows[0]
    principal = yield from principals.get(number)
    if principal is None or not principal.may_sign_in:
        return None
    return Bearer(principal, session, client, scopes, expires_at)


def of_refresh(token: str) -> Steps[tuple[int, str] | None]:
    """Session and client that a refresh token belongs to, whether or not it is good still."""
    family = tokens.digest(token.partition(".")[0])
    rows = yield ("SELECT session, client FROM session WHERE family = ?", (family,))
    return (rows[0][0], rows[0][1]) if rows else None


def revoke(tx: Tx, token: str, client: str | None) -> Steps[None]:
    """RFC 7009: a refresh token takes its session with it, an access token nothing else.

    Nothing happens to a token of another client, or to one that is not known.
    """
    found = yield from of_refresh(token)
    if found is not None:
        if client in (None, found[1]):
            yield from end(tx, found[0])
        return
    rows = yield (
        "SELECT s.client FROM access_token t JOIN session s ON s.session = t.session WHERE t.hash = ?",
        (tokens.digest(token),),
    )
    if rows and client in (None, rows[0][0]):
        yield ("DELETE FROM access_token WHERE hash = ?", (tokens.digest(token),))


def every(principal: int, now: int) -> Steps[list[Session]]:
    """Those that have not expired, the one used last first."""
    rows = yield (
        f"SELECT {_COLUMNS} FROM session WHERE principal = ? AND expires_at > ?"  # noqa: S608
        " ORDER BY used_at DESC, session DESC",
        (principal, now),
    )
    return [_session(row) for row in rows]


def end(tx: Tx, session: int) -> Steps[None]:
    """End a session: its tokens are good for nothing from now on."""
    yield ("DELETE FROM access_token WHERE session = ?", (session,))
    rows = yield ("DELETE FROM session WHERE session = ? RETURNING principal", (session,))
    for (principal,) in rows:
        standing_changed(tx, principal)


def end_of(tx: Tx, principal: int, session: int) -> Steps[None]:
    """End a session of somebody. Raises CredentialNotFound where it is not theirs."""
    rows = yield ("SELECT 1 FROM session WHERE session = ? AND principal = ?", (session, principal))
    if not rows:
        raise CredentialNotFound("session", str(session))
    yield from end(tx, session)


def end_all(tx: Tx, principal: int, but: int = 0) -> Steps[int]:
    """End all sessions of somebody but one; how many there were."""
    rows = yield (
        "DELETE FROM session WHERE principal = ? AND session <> ? RETURNING session",
        (principal, but),
    )
    for (number,) in rows:
        yield ("DELETE FROM access_token WHERE session = ?", (number,))
    yield ("DELETE FROM authorization_code WHERE principal = ? AND session = 0", (principal,))
    # A device that was let in and has not fetched its tokens yet would begin another one.
    yield ("DELETE FROM device_code WHERE principal = ?", (principal,))
    yield ("DELETE FROM signed_in WHERE principal = ?", (principal,))
    standing_changed(tx, principal)
    return len(rows)


def forget(tx: Tx, now: int) -> Steps[int]:
    """Remove some of what has expired of all that belongs to signing in; how many rows."""
    count = 0
    for table, key in (
        ("session", "session"),
        ("access_token", "hash"),
        ("authorization_code", "hash"),
        ("device_code", "hash"),
        ("signed_in", "hash"),
    ):
        rows = yield (
            f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE expires_at <= ?"  # noqa: S608
            f" ORDER BY expires_at LIMIT ?) RETURNING {key}",
            (now, FORGOTTEN_AT_ONCE),
        )
        count += len(rows)
    return count


def _access(session: int, expires_at: int) -> Steps[str]:
    token = tokens.new_token(tokens.ACCESS)
    yield (
        "INSERT INTO access_token (hash, session, expires_at) VALUES (?, ?, ?)",
        (tokens.digest(token), session, expires_at),
    )
    return token


def _enabled(number: int) -> Steps[bool]:
    principal = yield from principals.get(number)
    return principal is not None and principal.may_sign_in
