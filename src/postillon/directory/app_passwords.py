"""App passwords: one for each program that knows no better, each for the protocols it was made for."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postillon.directory import scopes, tokens
from postillon.directory.errors import BadName, CredentialNotFound, TooMany
from postillon.directory.topics import standing_changed
from postillon.store.counters import next_id
from postillon.store.operation import Steps, Tx

APP = "app"  # credential.kind
MAX_APP_PASSWORDS = 50  # of one account; ours
MAX_NAME = 100  # characters; ours


class AppPassword(msgspec.Struct, frozen=True):
    """One in the list; the password itself is known to nobody any more."""

    id: int
    name: str
    protocols: tuple[str, ...]
    created_at: int  # ms, as the others
    used_at: int | None  # within an hour
    expires_at: int | None


def add(
    tx: Tx,
    principal: int,
    name: str,
    password: str,
    scram: str,
    protocols: Sequence[str] = (),
    expires_at: int | None = None,
) -> Steps[AppPassword]:
    """Keep one, for these protocols or (none named) for all. scram: its verifier.

    Raises BadName for a name or protocol that cannot be, or TooMany.
    """
    name = checked_name(name)
    try:
        chosen = scopes.of_protocols(protocols or scopes.PROTOCOLS)
    except ValueError as error:
        raise BadName(str(error), f"protocols are {', '.join(scopes.PROTOCOLS)}") from None
    [(count,)] = yield (
        "SELECT count(*) FROM credential WHERE principal = ? AND kind = ?",
        (principal, APP),
    )
    if count >= MAX_APP_PASSWORDS:
        raise TooMany("app passwords", count, MAX_APP_PASSWORDS)
    number = 1 + (yield from next_id("credential"))  # 1 is the password, and no other comes twice
    yield (
        "INSERT INTO credential (principal, credential, kind, name, hash, scram, scopes, created_at,"
        " expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (principal, number, APP, name, tokens.digest(tokens.plain(password)), scram, chosen, tx.now,
         expires_at),
    )  # fmt: skip
    return AppPassword(number, name, tuple(chosen.split()), tx.now, None, expires_at)


def every(principal: int) -> Steps[list[AppPassword]]:
    """In the order they were made; those that have expired too."""
    rows = yield (
        "SELECT credential, name, scopes, created_at, used_at, expires_at FROM credential"
        " WHERE principal = ? AND kind = ? ORDER BY credential",
        (principal, APP),
    )
    return [AppPassword(row[0], row[1], tuple(row[2].split()), *row[3:]) for row in rows]


def remove(tx: Tx, principal: int, number: int) -> Steps[None]:
    """Raises CredentialNotFound."""
    rows = yield (
        "DELETE FROM credential WHERE principal = ? AND credential = ? AND kind = ?"
        " RETURNING credential",
        (principal, number, APP),
    )
    if not rows:
        raise CredentialNotFound("app password", str(number))
    standing_changed(tx, principal)


def checked_name(name: str) -> str:
    """A name for people. Raises BadName."""
    name = name.strip()
    odd = any(ord(character) < 32 or "\ud800" <= character <= "\udfff" for character in name)
    if not name or len(name) > MAX_NAME or odd:
        raise BadName(name[:MAX_NAME], f"a name is one line of 1 to {MAX_NAME} characters")
    return name
