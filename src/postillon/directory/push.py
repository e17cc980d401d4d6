"""Where clients of a principal want to be told of changes (RFC 8620 section 7.2), and our key for it.

A subscription belongs to the credential that made it: nobody else sees it, and it is good for nothing
from the moment that credential is gone.
"""

from __future__ import annotations

import secrets

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from postillon.directory.errors import TooMany
from postillon.protocol.jmap.webpush import ClientKeys, new_key
from postillon.store.operation import Row, Steps, Tx

TOPIC = "push"  # announced with ":" and the principal whose subscriptions have changed
MAX_SUBSCRIPTIONS = 100  # of one principal; ours
FORGOTTEN_AT_ONCE = 500  # rows of one operation
KEY = "vapid_key"  # of the table meta
_COLUMNS = (
    "principal, subscription, credential, device, url, p256dh, auth, code, verified, types, told,"
    " created_at, expires_at"
)


class PushSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """types: None for all. told: what was pushed last, as `States.id` has it. Times in ms."""

    principal: int
    id: int
    credential: str
    device: str
    url: str
    keys: ClientKeys | None
    code: str
    verified: bool
    types: list[str] | None
    told: str
    created_at: int
    expires_at: int


def _subscription(row: Row) -> PushSubscription:
    keys = None if row[5] is None else ClientKeys(bytes(row[5]), bytes(row[6]))
    types = None if row[9] is None else msgspec.json.decode(row[9], type=list[str])
    return PushSubscription(
        principal=row[0], id=row[1], credential=row[2], device=row[3], url=row[4], keys=keys,
        code=row[7], verified=bool(row[8]), types=types, told=row[10], created_at=row[11],
        expires_at=row[12],
    )  # fmt: skip


def add(
    tx: Tx,
    principal: int,
    credential: str,
    *,
    device: str,
    url: str,
    keys: ClientKeys | None,
    types: list[str] | None,
    expires_at: int,
) -> Steps[PushSubscription]:
    """A new one, not verified yet, with a code that nobody can guess. Raises TooMany."""
    [(count,)] = yield (
        "SELECT COUNT(*) FROM push_subscription WHERE principal = ?",
        (principal,),
    )
    if count >= MAX_SUBSCRIPTIONS:
        raise TooMany("push subscriptions", count, MAX_SUBSCRIPTIONS)
    rows = yield (
        f"INSERT INTO push_subscription ({_COLUMNS})"  # noqa: S608
        f" VALUES (?,?,?,?,?,?,?,?,0,?,'',?,?) RETURNING {_COLUMNS}",
        (
            principal, secrets.randbits(62), credential, device, url,
            keys.p256dh if keys else None, keys.auth if keys else None,
            secrets.token_urlsafe(24), _types(types), tx.now, expires_at,
        ),
    )  # fmt: skip
    tx.announce(f"{TOPIC}:{principal}")
    return _subscription(rows[0])


def change(
    tx: Tx,
    principal: int,
    number: int,
    *,
    verified: bool,
    types: list[str] | None,
    expires_at: int,
    told: str | None,
) -> Steps[None]:
    """told: from where on there are changes to tell; None leaves it."""
    yield (
        "UPDATE push_subscription SET verified = ?, types = ?, expires_at = ?,"
        " told = COALESCE(?, told) WHERE principal = ? AND subscription = ?",
        (int(verified), _types(types), expires_at, told, principal, number),
    )
    tx.announce(f"{TOPIC}:{principal}")


def remove(tx: Tx, principal: int, number: int) -> Steps[None]:
    yield (
        "DELETE FROM push_subscription WHERE principal = ? AND subscription = ?",
        (principal, number),
    )
    tx.announce(f"{TOPIC}:{principal}")


def every(principal: int, now: int, credential: str | None = None) -> Steps[list[PushSubscription]]:
    """Those that are good, in the order they were made. credential: only those it has made."""
    rows = yield (
        f"SELECT {_COLUMNS} FROM push_subscription WHERE principal = ? AND expires_at > ?"  # noqa: S608
        " ORDER BY created_at, subscription",
        (principal, now),
    )
    return [
        item
        for item in map(_subscription, rows)
        if credential is None or item.credential == credential
    ]


def subscribed(now: int) -> Steps[list[int]]:
    """All principals with a subscription that has been verified."""
    rows = yield (
        "SELECT DISTINCT principal FROM push_subscription WHERE verified = 1 AND expires_at > ?",
        (now,),
    )
    return [row[0] for row in rows]


def claim(tx: Tx, subscription: PushSubscription, told: str) -> Steps[bool]:
    """Take it on oneself to tell of `told`. False where another worker was quicker."""
    rows = yield (
        "UPDATE push_subscription SET told = ? WHERE principal = ? AND subscription = ? AND told = ?"
        " RETURNING subscription",
        (told, subscription.principal, subscription.id, subscription.told),
    )
    return bool(rows)


def forget(tx: Tx, now: int) -> Steps[int]:
    """Remove some of what has expired; how many."""
    rows = yield (
        "DELETE FROM push_subscription WHERE (principal, subscription) IN (SELECT principal,"
        " subscription FROM push_subscription WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)"
        " RETURNING subscription",
        (now, FORGOTTEN_AT_ONCE),
    )
    return len(rows)


def server_key(tx: Tx) -> Steps[ec.EllipticCurvePrivateKey]:
    """The key by which push services know this server, for all of its workers; made once."""
    fresh = new_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    yield (
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (KEY, fresh.decode()),
    )
    [(kept,)] = yield ("SELECT value FROM meta WHERE key = ?", (KEY,))
    found = serialization.load_pem_private_key(kept.encode(), None)
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    return found


def _types(types: list[str] | None) -> str | None:
    return None if types is None else msgspec.json.encode(types).decode()
