"""What is under way between a client of OAuth, a person and us: authorization codes and device codes.

A code is good once. One that is shown again has been intercepted, and the session that was made of it
ends (RFC 6749 section 4.1.2).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from enum import Enum

from postillon.directory import principals, sessions, tokens
from postillon.directory.principals import Principal
from postillon.directory.sessions import Opening, Tokens
from postillon.store.operation import Steps, Tx

CODE_MS = 2 * 60_000  # RFC 6749 section 4.1.2: ten minutes at most
DEVICE_MS = 15 * 60_000
SIGNED_IN_MS = 10 * 60_000  # to read the page that asks for consent
INTERVAL_S = 5  # RFC 8628 section 3.2
MAX_DEVICES = 10_000  # device codes under way at one time; ours


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client has asked for."""

    client: str
    redirect: str
    challenge: str
    scopes: str


class Waiting(Enum):
    """Why a device has no tokens yet (RFC 8628 section 3.5)."""

    PENDING = "authorization_pending"
    SLOWER = "slow_down"
    REFUSED = "access_denied"
    EXPIRED = "expired_token"
    UNKNOWN = "invalid_grant"


def s256(verifier: str) -> str:
    """The challenge of a verifier (RFC 7636 section 4.2)."""
    hashed = hashlib.sha256(verifier.encode("ascii", "replace")).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode("ascii")


# Somebody on a page of ours


@dataclass(frozen=True, slots=True)
class Visitor:
    """needs_code: only the password was right so far, and there is a second factor."""

    principal: Principal
    needs_code: bool


def signed_in(tx: Tx, principal: int, needs_code: bool, now: int) -> Steps[str]:
    """A ticket for somebody who has just signed in on a page."""
    ticket = tokens.new_token("")
    yield (
        "INSERT INTO signed_in (hash, principal, needs_code, expires_at) VALUES (?, ?, ?, ?)",
        (tokens.digest(ticket), principal, int(needs_code), now + SIGNED_IN_MS),
    )
    return ticket


def who(ticket: str, now: int) -> Steps[Visitor | None]:
    """Whose ticket this is: of a person who is enabled still."""
    rows = yield (
        "SELECT principal, needs_code FROM signed_in WHERE hash = ? AND expires_at > ?",
        (tokens.digest(ticket), now),
    )
    principal = (yield from principals.get(rows[0][0])) if rows else None
    if principal is None or not principal.may_sign_in:
        return None
    return Visitor(principal, bool(rows[0][1]))


def leave(tx: Tx, ticket: str) -> Steps[None]:
    yield ("DELETE FROM signed_in WHERE hash = ?", (tokens.digest(ticket),))


# Authorization codes


def issue(tx: Tx, asked: Asked, principal: int, now: int) -> Steps[str]:
    """The code for a client that somebody has let in."""
    code = tokens.new_token("")
    yield (
        "INSERT INTO authorization_code (hash, client, redirect, challenge, scopes, principal,"
        " session, expires_at) VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
        (tokens.digest(code), asked.client, asked.redirect, asked.challenge, asked.scopes,
         principal, now + CODE_MS),
    )  # fmt: skip
    return code


def redeem(
    tx: Tx, code: str, redirect: str | None, verifier: str, opening: Opening, now: int
) -> Steps[Tokens | None]:
    """Make a session of a code. `opening.scopes` is what the code says, whatever is given.

    redirect: None where the client does not repeat it, as OAuth 2.1 has it.
    None for a code that is not good for this client, redirect and verifier.
    """
    rows = yield (
        "SELECT client, redirect, challenge, scopes, principal, session, expires_at"
        " FROM authorization_code WHERE hash = ?",
        (tokens.digest(code),),
    )
    if not rows:
        return None
    client, expected, challenge, scopes, principal, session, expires_at = rows[0]
    if session:
        yield from sessions.end(tx, session)
        return None
    if (
        client != opening.client
        or redirect not in (None, expected)
        or expires_at <= now
        or not tokens.same(s256(verifier), challenge)
    ):
        return None
    made = yield from sessions.open_(tx, principal, with_scopes(opening, scopes), now)
    # Kept for as long as its session could be ended by it, and no longer than codes are.
    yield (
        "UPDATE authorization_code SET session = ? WHERE hash = ?",
        (made.session, tokens.digest(code)),
    )
    return made


# Device codes


def begin_device(tx: Tx, client: str, scopes: str, now: int) -> Steps[tuple[str, str] | None]:
    """Device code and user code; None while too many are under way."""
    [(count,)] = yield ("SELECT count(*) FROM device_code", ())
    if count >= MAX_DEVICES:
        return None
    device = tokens.new_token("")
    while True:
        typed = tokens.new_user_code()
        rows = yield (
            "INSERT INTO device_code (hash, user_code, client, scopes, principal, state, interval_s,"
            " asked_at, expires_at) VALUES (?, ?, ?, ?, 0, 'waiting', ?, 0, ?)"
            " ON CONFLICT DO NOTHING RETURNING user_code",
            (tokens.digest(device), typed, client, scopes, INTERVAL_S, now + DEVICE_MS),
        )
        if rows:
            return device, typed


def device_asks(user_code: str, now: int) -> Steps[tuple[str, str] | None]:
    """Client and scopes of a user code that waits for somebody's decision."""
    rows = yield (
        "SELECT client, scopes FROM device_code WHERE user_code = ? AND state = 'waiting'"
        " AND expires_at > ?",
        (user_code, now),
    )
    return (rows[0][0], rows[0][1]) if rows else None


def decide(tx: Tx, user_code: str, principal: int, allowed: bool, now: int) -> Steps[bool]:
    """Let a device in, or not. False where there is nothing to decide any more."""
    rows = yield (
        "UPDATE device_code SET principal = ?, state = ? WHERE user_code = ? AND state = 'waiting'"
        " AND expires_at > ? RETURNING user_code",
        (principal, "allowed" if allowed else "refused", user_code, now),
    )
    return bool(rows)


def redeem_device(tx: Tx, device: str, opening: Opening, now: int) -> Steps[Tokens | Waiting]:
    """Make a session of a device code that somebody has allowed, once."""
    hashed = tokens.digest(device)
    rows = yield (
        "SELECT client, scopes, principal, state, interval_s, asked_at, expires_at"
        " FROM device_code WHERE hash = ?",
        (hashed,),
    )
    if not rows or rows[0][0] != opening.client:
        return Waiting.UNKNOWN
    _, scopes, principal, state, interval_s, asked_at, expires_at = rows[0]
    if expires_at <= now:
        return Waiting.EXPIRED
    if state == "waiting":
        hasty = now - asked_at < interval_s * 1000
        yield (
            "UPDATE device_code SET asked_at = ?, interval_s = ? WHERE hash = ?",
            (now, interval_s + INTERVAL_S if hasty else interval_s, hashed),
        )
        return Waiting.SLOWER if hasty else Waiting.PENDING
    yield ("DELETE FROM device_code WHERE hash = ?", (hashed,))
    if state == "refused":
        return Waiting.REFUSED
    return (yield from sessions.open_(tx, principal, with_scopes(opening, scopes), now))


def with_scopes(opening: Opening, scopes: str) -> Opening:
    return Opening(
        opening.client, opening.client_name, scopes, opening.device, opening.address,
        opening.access_ms, opening.refresh_ms,
    )  # fmt: skip
