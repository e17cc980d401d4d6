"""What the throttles of all workers share: the rows of failures, and letting somebody in again."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from postillon.directory.attempts import lots
from postillon.directory.throttle import Failed, Key
from postillon.store.counters import next_ids
from postillon.store.operation import Row, Steps, Tx

TOPIC = "throttle"  # announced with every change
MAX_ROWS = 60_000  # as many as a throttle keeps; the ones changed longest ago are forgotten first
FORGOTTEN_AT_ONCE = 5_000  # rows of one operation
_SELECT = "SELECT network, login, failures, last_at, changed FROM throttled"  # of a Failed


def add(tx: Tx, failures: Mapping[Key, tuple[int, int]], forget_ms: int) -> Steps[None]:
    """Add failures, each with when the last one was (ms); after quiet time they count anew."""
    last = 0
    for some in lots(failures.items()):
        last = yield from next_ids("throttled", len(some))
        values: list[Any] = []  # Any: a column is int or str
        for number, ((network, login), (count, at)) in enumerate(some, last - len(some) + 1):
            values += [network, login, count, at, number]
        quiet = f"excluded.last_at - throttled.last_at > {forget_ms}"
        yield (
            "INSERT INTO throttled (network, login, failures, last_at, changed)"  # noqa: S608
            f" VALUES {','.join(['(?,?,?,?,?)'] * len(some))}"
            " ON CONFLICT (network, login) DO UPDATE SET failures = excluded.failures"
            f" + CASE WHEN {quiet} THEN 0 ELSE throttled.failures END,"
            " last_at = CASE WHEN excluded.last_at > throttled.last_at THEN excluded.last_at"
            " ELSE throttled.last_at END, changed = excluded.changed",
            values,
        )
    if last:
        yield ("DELETE FROM throttled WHERE changed <= ?", (last - MAX_ROWS,))
        tx.announce(TOPIC)


def since(changed: int) -> Steps[list[Failed]]:
    """What has changed since, oldest first; after 0 everything."""
    rows = yield (
        f"{_SELECT} WHERE changed > ? ORDER BY changed",
        (changed,),
    )
    return list(map(_failed, rows))


def counted(least: int, after: int, limit: int) -> Steps[tuple[list[Failed], int]]:
    """Networks and logins with so many failures, the last after a time (ms); and how many there are.

    Those with most failures first.
    """
    condition = "failures >= ? AND last_at >= ? AND (network = '' OR login = '')"
    [(number,)] = yield (f"SELECT count(*) FROM throttled WHERE {condition}", (least, after))  # noqa: S608
    rows = yield (
        f"{_SELECT} WHERE {condition} ORDER BY failures DESC, last_at DESC, network, login LIMIT ?",
        (least, after, limit),
    )
    return list(map(_failed, rows)), number


def of(network: str, login: str) -> Steps[list[Failed]]:
    """All that counts against a network, or against a login, also of the two together."""
    name, value = ("login", login) if login else ("network", network)
    rows = yield (
        f"{_SELECT} WHERE {name} = ? AND failures > 0 ORDER BY network, login LIMIT ?",
        (value, MAX_ROWS),
    )
    return list(map(_failed, rows))


def among(networks: Sequence[str], logins: Sequence[str]) -> Steps[list[Failed]]:
    """What counts against these networks, and against these logins, wherever it happened."""
    found: list[Failed] = []
    for name, other, wanted in (("network", "login", networks), ("login", "network", logins)):
        for some in lots(wanted):
            rows = yield (
                f"{_SELECT} WHERE {other} = '' AND {name} IN ({','.join('?' * len(some))})",
                some,
            )
            found += map(_failed, rows)
    return found


def lift(tx: Tx, some: Collection[Key]) -> Steps[None]:
    """Let them in again: nothing counts against them that has been until now."""
    for part in lots(some):
        last = yield from next_ids("throttled", len(part))
        for number, key in enumerate(part, last - len(part) + 1):
            yield (
                "UPDATE throttled SET failures = 0, changed = ? WHERE network = ? AND login = ?",
                (number, *key),
            )
    tx.announce(TOPIC)


def forget(tx: Tx, before: int) -> Steps[int]:
    """Remove some rows whose last failure was before a time (ms); how many."""
    rows = yield (
        "DELETE FROM throttled WHERE (network, login) IN (SELECT network, login FROM throttled"
        " WHERE last_at < ? LIMIT ?) RETURNING network",
        (before, FORGOTTEN_AT_ONCE),
    )
    return len(rows)


def _failed(row: Row) -> Failed:
    network, login, failures, last_at, changed = row
    return Failed((network, login), failures, last_at, changed)
