"""What all workers and the administrator know of destinations: the rows of queue_destination.

A destination is the set of hosts that serves a domain, so domains at one provider share a row; it is
a fixed next hop where a route names one, and the domain itself while DNS does not tell its hosts. Its
`key` names it. A row stands only while there is something to know: it is down, slowed or held, or
recipients wait in its line (`queue_recipient.waits_for`). Healthy destinations cost no row and no
write. States of a row, and who moves it:

* down (`down_since`): nothing is sent but one probe at a time, over all workers and servers. `next_at`
  is when the next one goes out; who takes it moves `next_at` to the end of its lease, so when that
  worker dies another one probes. A probe that is answered opens the destination.
* open with a line: `next_at` has passed, workers serve the line as they have places.
* open without a line: `next_at` is FAR; the row stands for an hour for its `concurrency`.
* held: workers leave it alone until it is released; mail for it goes into the line.

A crash between a failed delivery and its settlement leaves the row as it was: the next delivery or
the next probe finds out the same. A row that was removed while somebody joined its line is made anew
by `mend`, which each worker runs now and then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postillon.mail.outcome import Status
from postillon.queue.circuit import Probing
from postillon.queue.rows import FAR, read_status, status_text
from postillon.store.operation import Row, Steps, Tx, WriteOperation

TOPIC = "queue"  # the same as spool's: there is something to look at
MAX_LISTED = 10_000  # destinations one answer holds at most
KEPT = 3_600_000  # ms an open destination without a line is remembered for its concurrency


@dataclass(frozen=True, slots=True)
class Destination:
    """A row of queue_destination. Times in ms; see the schema for each."""

    key: str
    hosts: tuple[str, ...]  # as people know them
    down_since: int | None
    probes: int
    next_at: int
    probed_by: str | None
    lease_until: int | None
    status: Status | None  # its last words when it failed
    said_at: int | None
    concurrency: int | None
    rate_at: int
    held: bool
    updated_at: int

    @property
    def down(self) -> bool:
        return self.down_since is not None


_COLUMNS = (
    "key, hosts, down_since, probes, next_at, probed_by, lease_until, status, said_at, concurrency,"
    " rate_at, held, updated_at"
)
_AMONG = f"SELECT {_COLUMNS} FROM queue_destination WHERE key IN (?, ?)"  # noqa: S608
_GET = f"SELECT {_COLUMNS} FROM queue_destination WHERE key = ?"  # noqa: S608 - constant columns
_EVERY = f"SELECT {_COLUMNS} FROM queue_destination WHERE key > ? ORDER BY key LIMIT ?"  # noqa: S608
_FAILED = (
    "INSERT INTO queue_destination (key, hosts, next_at, updated_at, down_since, probes, status,"  # noqa: S608
    " said_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET hosts = excluded.hosts,"
    " next_at = excluded.next_at, updated_at = excluded.updated_at, down_since = excluded.down_since,"
    " probes = excluded.probes, probed_by = NULL, lease_until = NULL, status = excluded.status,"
    f" said_at = excluded.said_at RETURNING {_COLUMNS}"
)
_UPSERT = "INSERT INTO queue_destination (key, hosts, next_at, updated_at) VALUES (?, ?, ?, ?)"
# The first recipient of each line, one step of the index a line (a loose index scan).
_LINES = (
    "WITH RECURSIVE line (key) AS (SELECT MIN(waits_for) FROM queue_recipient"
    " WHERE state = 'waiting' AND waits_for IS NOT NULL UNION ALL"
    " SELECT (SELECT MIN(waits_for) FROM queue_recipient WHERE state = 'waiting'"
    " AND waits_for > line.key) FROM line WHERE line.key IS NOT NULL)"
)


# Reading -----------------------------------------------------------------------------------------


def get(key: str) -> Steps[Destination | None]:
    """What is known of one destination; None: nothing, so it is open and as configured."""
    rows = yield _GET, (key,)
    return _destination(rows[0]) if rows else None


def for_mail(key: str, destination: str) -> Steps[Destination | None]:
    """What decides about mail for a domain or next hop, served by the hosts of `key`.

    A held one comes first: the administrator may hold a domain alone.
    """
    rows = yield _AMONG, (key, destination)
    found = sorted(map(_destination, rows), key=lambda row: (not row.held, row.key != key))
    return next((row for row in found if row.held or row.key == key), None)


def every(limit: int = 1_000, after: str = "") -> Steps[list[Destination]]:
    """All destinations of which something is known, by key. after: only keys beyond it, to page on."""
    rows = yield _EVERY, (after, min(limit, MAX_LISTED))
    return [_destination(row) for row in rows]


def waiting(key: str, limit: int = 1_000_000) -> Steps[int]:
    """How many recipients stand in the line of a destination, counted up to `limit`."""
    rows = yield (
        "SELECT COUNT(*) FROM (SELECT 1 FROM queue_recipient WHERE state = 'waiting'"
        " AND waits_for = ? LIMIT ?) AS line",
        (key, limit),
    )
    count: int = rows[0][0]
    return count


def due(now: int, after: tuple[int, str], limit: int) -> Steps[list[Destination]]:
    """Destinations a worker must look at: probes that are due and lines, in order of `next_at`.

    after: (next_at, key) of the last one seen, to go round; (0, "") begins anew.
    """
    rows = yield (
        f"SELECT {_COLUMNS} FROM queue_destination WHERE held = 0 AND next_at <= ?"  # noqa: S608
        " AND (next_at > ? OR (next_at = ? AND key > ?)) ORDER BY next_at, key LIMIT ?",
        (now, after[0], after[0], after[1], limit),
    )
    return [_destination(row) for row in rows]


def next_at(now: int) -> Steps[int | None]:
    """When the next destination has to be looked at (ms), those aside that already have."""
    rows = yield (
        "SELECT MIN(next_at) FROM queue_destination WHERE held = 0 AND next_at > ? AND next_at < ?",
        (now, FAR),
    )
    at: int | None = rows[0][0]
    return at


# Down and up -------------------------------------------------------------------------------------


def take_probe(tx: Tx, key: str, worker: str, lease: int) -> Steps[bool]:
    """Take the one probe of a destination that is down, if it is due. lease: ms from now."""
    rows = yield (
        "UPDATE queue_destination SET probed_by = ?, lease_until = ?, next_at = ?"
        " WHERE key = ? AND down_since IS NOT NULL AND held = 0 AND next_at <= ? RETURNING key",
        (worker, tx.now + lease, tx.now + lease, key, tx.now),
    )
    return bool(rows)


def failed(
    tx: Tx, key: str, hosts: Sequence[str], worker: str, status: Status, wait: Probing
) -> Steps[Destination]:
    """A delivery did not reach the destination: it is down, or stays so.

    The probe's failure sets the time of the next one. That of a delivery that was under way when
    somebody else found it down changes nothing. Returns the row as it is now.
    """
    known = yield from get(key)
    down_since, probes = tx.now, 1
    if known is not None and known.down_since is not None:
        another = known.probed_by not in (None, worker)
        if known.next_at > tx.now and (another or known.probed_by is None):
            return known
        down_since, probes = known.down_since, known.probes + 1
    due_at = tx.now + wait.after(tx.now - down_since)
    rows = yield (
        _FAILED,
        (key, " ".join(hosts), due_at, tx.now, down_since, probes, status_text(status), tx.now),
    )
    return _destination(rows[0])


def probes(key: str, worker: str) -> Steps[bool]:
    """Whether a worker has the probe of a destination out."""
    rows = yield "SELECT 1 FROM queue_destination WHERE key = ? AND probed_by = ?", (key, worker)
    return bool(rows)


def answered(tx: Tx, key: str, concurrency: int) -> Steps[bool]:
    """A host of a destination took part in a conversation: it is open, to so many at once at first.

    Returns whether it was down. Workers are told to serve its line.
    """
    rows = yield (
        "UPDATE queue_destination SET down_since = NULL, probes = 0, probed_by = NULL,"
        " lease_until = NULL, concurrency = ?, next_at = ?, updated_at = ?"
        " WHERE key = ? AND down_since IS NOT NULL RETURNING key",
        (concurrency, tx.now, tx.now, key),
    )
    if rows:
        tx.announce(TOPIC)
    return bool(rows)


def probe_later(tx: Tx, key: str, worker: str, wait: int) -> Steps[None]:
    """Give a probe back that could not be made, for somebody to take in `wait` ms."""
    yield (
        "UPDATE queue_destination SET probed_by = NULL, lease_until = NULL, next_at = ?,"
        " updated_at = ? WHERE key = ? AND down_since IS NOT NULL AND probed_by = ?",
        (tx.now + wait, tx.now, key, worker),
    )


def forget(key: str) -> Steps[None]:
    """A destination that is down and for which no mail is left: the next will find out anew."""
    yield "DELETE FROM queue_destination WHERE key = ? AND held = 0", (key,)


# Lines -------------------------------------------------------------------------------------------


def lined_up(tx: Tx, key: str, hosts: Sequence[str]) -> Steps[None]:
    """Recipients have joined the line of a destination: workers look at it from now on."""
    rows = yield (
        _UPSERT + " ON CONFLICT (key) DO UPDATE SET updated_at = excluded.updated_at,"
        " next_at = CASE WHEN queue_destination.down_since IS NULL"
        " AND queue_destination.next_at >= ? THEN excluded.next_at"
        " ELSE queue_destination.next_at END RETURNING next_at",
        (key, " ".join(hosts), tx.now, tx.now, FAR),
    )
    if rows[0][0] == tx.now:
        tx.announce(TOPIC)


def pause(tx: Tx, key: str, until: int) -> Steps[None]:
    """Leave the line of an open destination alone until then (ms): its rate is used up."""
    yield (
        "UPDATE queue_destination SET next_at = ?, updated_at = ? WHERE key = ?"
        " AND down_since IS NULL AND held = 0 AND next_at < ?",
        (until, tx.now, key, until),
    )


def line_ended(tx: Tx, known: Destination) -> Steps[None]:
    """Nobody stands in the line any more: leave the row alone, or remove it when it says nothing.

    known: the row as it was before the line was looked at; one that has changed since is left.
    """
    if known.down or known.held:
        return
    if known.concurrency is None and known.rate_at <= tx.now:
        yield (
            "DELETE FROM queue_destination WHERE key = ? AND down_since IS NULL AND held = 0"
            " AND updated_at = ?",
            (known.key, known.updated_at),
        )
        return
    yield (
        "UPDATE queue_destination SET next_at = ?, updated_at = ? WHERE key = ?"
        " AND down_since IS NULL AND held = 0 AND updated_at = ?",
        (FAR, tx.now, known.key, known.updated_at),
    )


def look_later(tx: Tx, known: Destination, wait: int) -> Steps[None]:
    """Leave a line alone for `wait` ms: nobody in it can be served."""
    yield (
        "UPDATE queue_destination SET next_at = ?, updated_at = ? WHERE key = ?"
        " AND down_since IS NULL AND held = 0 AND updated_at = ?",
        (tx.now + wait, tx.now, known.key, known.updated_at),
    )


def mend(tx: Tx) -> Steps[int]:
    """Find lines that no row leads to any more, and forget rows that say nothing. Returns how many.

    A down destination whose line is empty is forgotten with the time of its probe long past: the next
    mail for it finds out anew.
    """
    rows = yield (
        f"{_LINES} SELECT line.key FROM line"  # noqa: S608 - a constant
        " LEFT JOIN queue_destination d ON d.key = line.key"
        " WHERE line.key IS NOT NULL AND (d.key IS NULL OR (d.held = 0 AND d.next_at >= ?)) LIMIT ?",
        (FAR, MAX_LISTED),
    )
    for (key,) in rows:
        yield from lined_up(tx, key, (key,))
    yield (
        "DELETE FROM queue_destination WHERE updated_at < ? AND held = 0 AND"
        " (next_at >= ? OR next_at < ?) AND NOT EXISTS (SELECT 1 FROM queue_recipient"
        " WHERE state = 'waiting' AND waits_for = queue_destination.key)",
        (tx.now - KEPT, FAR, tx.now - KEPT),
    )
    return len(rows)


def set_right(tx: Tx, furthest: int) -> Steps[int]:
    """After the clock was set back: nothing waits longer than `furthest` ms. Returns how many rows."""
    late = yield (
        "UPDATE queue_destination SET next_at = ?, updated_at = ? WHERE held = 0 AND next_at > ?"
        " AND next_at < ? RETURNING key",
        (tx.now, tx.now, tx.now + furthest, FAR),
    )
    booked = yield (
        "UPDATE queue_destination SET rate_at = ?, updated_at = ? WHERE rate_at > ? RETURNING key",
        (tx.now, tx.now, tx.now + furthest),
    )
    return len(late) + len(booked)


# Pace --------------------------------------------------------------------------------------------


def paced(tx: Tx, key: str, hosts: Sequence[str], concurrency: int | None) -> Steps[None]:
    """Keep how many deliveries at once a destination bears; None: as many as configured."""
    if concurrency is None:
        yield (
            "UPDATE queue_destination SET concurrency = NULL, updated_at = ? WHERE key = ?",
            (tx.now, key),
        )
        return
    yield (
        "INSERT INTO queue_destination (key, hosts, next_at, concurrency, updated_at)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
        " concurrency = excluded.concurrency, updated_at = excluded.updated_at",
        (key, " ".join(hosts), FAR, concurrency, tx.now),
    )


def pay(tx: Tx, key: str, hosts: Sequence[str], interval: int, messages: int) -> Steps[int]:
    """Book the time of so many messages at a destination whose rate is bounded, `interval` ms each.

    Returns when the first of them may go (ms); the others follow at the interval. One account for all
    workers and servers.
    """
    known = yield from get(key)
    start = max(tx.now, 0 if known is None else known.rate_at)
    yield (
        "INSERT INTO queue_destination (key, hosts, next_at, rate_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET"
        " rate_at = excluded.rate_at, updated_at = excluded.updated_at",
        (key, " ".join(hosts), FAR, start + messages * interval, tx.now),
    )
    return start


# The administrator's -----------------------------------------------------------------------------


def hold(key: str, hosts: Sequence[str] = ()) -> WriteOperation[None]:
    """Send nothing to a destination until it is released. key: also a domain, for its mail alone.

    Deliveries under way end. Waiting mail is told of its delay, but does not expire.
    """

    def operation(tx: Tx) -> Steps[None]:
        yield (
            "INSERT INTO queue_destination (key, hosts, next_at, held, updated_at)"
            " VALUES (?, ?, ?, 1, ?) ON CONFLICT (key) DO UPDATE SET held = 1,"
            " updated_at = excluded.updated_at",
            (key, " ".join(hosts) or key, FAR, tx.now),
        )
        tx.announce(TOPIC)

    return operation


def release(key: str) -> WriteOperation[bool]:
    """Let mail go to a held destination again, at once. Returns whether it was held."""

    def operation(tx: Tx) -> Steps[bool]:
        rows = yield (
            "UPDATE queue_destination SET held = 0, next_at = ?, updated_at = ?"
            " WHERE key = ? AND held = 1 RETURNING key",
            (tx.now, tx.now, key),
        )
        tx.announce(TOPIC)
        return bool(rows)

    return operation


def probe_now(key: str) -> WriteOperation[bool]:
    """Let the next probe of a destination that is down go out at once. Returns whether one will."""

    def operation(tx: Tx) -> Steps[bool]:
        rows = yield (
            "UPDATE queue_destination SET next_at = ?, updated_at = ? WHERE key = ?"
            " AND down_since IS NOT NULL AND held = 0 AND probed_by IS NULL RETURNING key",
            (tx.now, tx.now, key),
        )
        tx.announce(TOPIC)
        return bool(rows)

    return operation


def _destination(row: Row) -> Destination:
    """From _COLUMNS."""
    (key, hosts, down_since, probes, at, probed_by, lease_until, status, said_at, concurrency,
     rate_at, held, updated_at) = row  # fmt: skip
    return Destination(
        key, tuple(hosts.split()), down_since, probes, at, probed_by, lease_until,
        read_status(status), said_at, concurrency, rate_at, bool(held), updated_at,
    )  # fmt: skip
