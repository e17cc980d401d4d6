"""What the server does, minute by minute, for the charts of administration.

Each worker counts in memory and adds what it has counted to the rows of the minute, once a minute; an
idle server writes nothing. What a worker had not written when it died is missing: figures, no ledger.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields

from postillon.clock import Clock
from postillon.meter import Meter
from postillon.store.operation import Steps, Store, Tx

MINUTE_MS = 60_000
KEPT_DAYS = 8
FORGOTTEN_AT_ONCE = 5_000  # rows of one operation

# From the stations' events to what a chart shows. "" is every label that is not named.
COUNTED: Mapping[str, Mapping[str, str]] = {
    "smtp_messages": {"": "accepted"},
    "delivered_local": {"": "delivered"},
    "queue_tries": {
        "delivered": "delivered",
        "relayed": "relayed",
        "deferred": "deferred",
        "failed": "failed",
        "expired": "failed",
    },
    "smtp_refused": {"": "refused"},
    "smtp_logins": {"ok": "logins", "failed": "failed_logins"},
    "imap_logins": {"": "logins"},
    "imap_failed_logins": {"": "failed_logins"},
    "pop3_logins": {"": "logins"},
    "pop3_failed_logins": {"": "failed_logins"},
    "http_logins": {"web": "logins", "oauth": "logins"},
    "http_failed_logins": {"": "failed_logins"},
}
DURATION = "smtp_submit"
OPEN = "open."  # and a protocol: its connections as the minute ended, of all workers together


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """at: the beginning, ms. Durations from the end of content to durable, in microseconds."""

    at: int
    accepted: int = 0
    delivered: int = 0
    relayed: int = 0
    deferred: int = 0
    failed: int = 0
    refused: int = 0
    logins: int = 0
    failed_logins: int = 0
    accepted_us: int = 0  # the mean


SHOWN = {item.name for item in fields(Minute)}


class ActivityMeter:
    """A `Meter` that remembers what charts show, in front of another one."""

    def __init__(self, inner: Meter) -> None:
        self._inner = inner
        self._counts: Counter[str] = Counter()
        self._seconds = 0.0
        self._observed = 0

    def count(self, event: str, label: str = "", n: int = 1) -> None:
        self._inner.count(event, label, n)
        shown = COUNTED.get(event)
        if shown is not None:
            name = shown.get(label) or shown.get("")
            if name:
                self._counts[name] += n

    def observe(self, what: str, seconds: float) -> None:
        self._inner.observe(what, seconds)
        if what == DURATION:
            self._seconds += seconds
            self._observed += 1

    def take(self) -> dict[str, int]:
        """What was counted since the last time."""
        found = dict(self._counts)
        self._counts.clear()
        if self._observed:
            found["observed"] = self._observed
            found["observed_us"] = round(self._seconds * 1_000_000)
            self._seconds, self._observed = 0.0, 0
        return found


async def write(store: Store, counts: Mapping[str, int], clock: Clock) -> None:
    """Add counts to the minute that has just been."""
    if not counts:
        return
    minute = clock() // MINUTE_MS

    def operation(tx: Tx) -> Steps[None]:
        for name, value in sorted(counts.items()):
            yield (
                "INSERT INTO activity (minute, name, value) VALUES (?, ?, ?) ON CONFLICT (minute, name)"
                " DO UPDATE SET value = activity.value + excluded.value",
                (minute, name, value),
            )

    await store.write(operation)


async def activity(store: Store, now: int, minutes: int) -> list[Minute]:
    """The last minutes, oldest first, the quiet ones too."""
    first = now // MINUTE_MS - minutes + 1
    rows = await store.read_apart(_since(first))
    found: dict[int, dict[str, int]] = {}
    for minute, name, value in rows:
        found.setdefault(minute, {})[name] = value
    return [_minute(n, found.get(n, {})) for n in range(first, first + minutes)]


def open_since(now: int, minutes: int) -> Steps[list[tuple[int, str, int]]]:
    """Minute, protocol and its connections, of the last minutes."""
    rows = yield (
        "SELECT minute, name, value FROM activity WHERE minute > ? AND name LIKE ?",
        (now // MINUTE_MS - minutes, f"{OPEN}%"),
    )
    return [(minute, name.removeprefix(OPEN), value) for minute, name, value in rows]


def forget(tx: Tx, now: int) -> Steps[int]:
    """Remove some rows whose time is over; returns how many."""
    before = now // MINUTE_MS - KEPT_DAYS * 24 * 60
    rows = yield (
        "DELETE FROM activity WHERE (minute, name) IN (SELECT minute, name FROM activity"
        " WHERE minute < ? LIMIT ?) RETURNING minute",
        (before, FORGOTTEN_AT_ONCE),
    )
    return len(rows)


def _since(first: int) -> Steps[list[tuple[int, str, int]]]:
    rows = yield "SELECT minute, name, value FROM activity WHERE minute >= ?", (first,)
    return [(minute, name, value) for minute, name, value in rows]


def _minute(number: int, counts: Mapping[str, int]) -> Minute:
    shown = {name: value for name, value in counts.items() if name in SHOWN}
    mean = counts.get("observed_us", 0) // max(1, counts.get("observed", 0))
    return Minute(at=number * MINUTE_MS, accepted_us=mean, **shown)
