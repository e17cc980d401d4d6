"""Keys of the administration API: for programs, not for people, each with its scopes."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postillon.directory import scopes, tokens
from postillon.directory.app_passwords import checked_name
from postillon.directory.errors import BadName, CredentialNotFound, NameTaken, TooMany
from postillon.store.counters import next_id
from postillon.store.operation import Row, Steps, Tx

MAX_KEYS = 1_000  # ours


class ApiKey(msgspec.Struct, frozen=True):
    """scopes: see `scopes.OF_KEYS`."""

    id: int
    name: str
    scopes: tuple[str, ...]
    created_at: int  # ms, as the others
    used_at: int | None  # within an hour
    expires_at: int | None


_COLUMNS = "api_key, name, scopes, created_at, used_at, expires_at"


def _key(row: Row) -> ApiKey:
    return ApiKey(row[0], row[1], tuple(row[2].split()), *row[3:])


def add(
    tx: Tx, name: str, wanted: Sequence[str], expires_at: int | None = None
) -> Steps[tuple[ApiKey, str]]:
    """Make one; with the key itself, shown this once. Raises BadName, NameTaken or TooMany."""
    name = checked_name(name)
    try:
        chosen = scopes.of_key(wanted or (scopes.ADMIN_READ,))
    except ValueError as error:
        raise BadName(str(error), f"scopes of a key are {', '.join(scopes.OF_KEYS)}") from None
    [(count,)] = yield ("SELECT count(*) FROM api_key", ())
    if count >= MAX_KEYS:
        raise TooMany("API keys", count, MAX_KEYS)
    if (yield ("SELECT 1 FROM api_key WHERE name = ?", (name,))):
        raise NameTaken(name)
    number = yield from next_id("api_key")
    key = tokens.new_token(tokens.KEY)
    rows = yield (
        "INSERT INTO api_key (api_key, hash, name, scopes, created_at, expires_at)"  # noqa: S608
        f" VALUES (?, ?, ?, ?, ?, ?) RETURNING {_COLUMNS}",
        (number, tokens.digest(key), name, chosen, tx.now, expires_at),
    )
    return _key(rows[0]), key


def every() -> Steps[list[ApiKey]]:
    """By name; those that have expired too."""
    rows = yield (f"SELECT {_COLUMNS} FROM api_key ORDER BY name", ())  # noqa: S608
    return [_key(row) for row in rows]


def find(key: str, now: int) -> Steps[ApiKey | None]:
    """The key that this text is, if it has not expired. now: ms."""
    rows = yield (
        f"SELECT {_COLUMNS} FROM api_key WHERE hash = ?"  # noqa: S608
        " AND (expires_at IS NULL OR expires_at > ?)",
        (tokens.digest(key), now),
    )
    return _key(rows[0]) if rows else None


def remove(tx: Tx, name: str) -> Steps[ApiKey]:
    """Raises CredentialNotFound."""
    if "\0" in name:  # which no PostgreSQL takes
        raise CredentialNotFound("API key", name)
    rows = yield (f"DELETE FROM api_key WHERE name = ? RETURNING {_COLUMNS}", (name,))  # noqa: S608
    if not rows:
        raise CredentialNotFound("API key", name)
    return _key(rows[0])
