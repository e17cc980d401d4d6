"""The watch over the queue: its figures, and its alerts as rows that survive a restart.

Any number of processes may watch one store. What one of them has written down the others know: an
alert begins in the transaction that writes its row, and only who wrote it says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec

from postillon.queue import destinations, overview
from postillon.queue.alerts import (
    SINGLE,
    Alert,
    AlertConfig,
    DownFigure,
    Figures,
    Kind,
    Memory,
)
from postillon.queue.ids import format_queue_id
from postillon.queue.overview import Depth
from postillon.queue.rows import Held
from postillon.queue.schedule import milliseconds
from postillon.store.operation import Row, Steps, Tx, WriteOperation

KEPT = 86_400_000  # ms an alert that has ended is kept: it is mailed once a day at most
MAX_DOWN = 1_000  # destinations that are down which one look examines
MEMORY = "memory"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Memory).decode


@dataclass(frozen=True, slots=True)
class Standing:
    """An alert with its times (ms); `ended_at` None: it goes on."""

    alert: Alert
    began_at: int
    ended_at: int | None
    mailed_at: int | None


@dataclass(frozen=True, slots=True)
class Turn:
    """What has changed: alerts that have begun, those that have ended, and whom to mail about."""

    begun: tuple[Standing, ...] = ()
    ended: tuple[Standing, ...] = ()
    to_mail: tuple[Standing, ...] = ()


def look(config: AlertConfig, now: int) -> Steps[tuple[Figures, Depth]]:
    """Measure the queue, the disk left out: counts over covering indexes, bounded lists. now: ms."""
    depth = yield from overview.depth(now)
    late = yield from overview.waited_longer(milliseconds(config.late), now)
    down: list[DownFigure] = []
    number = 0
    if config.down:
        down, number = yield from _down(now - milliseconds(config.down))
    isolated = yield (
        "SELECT queue_id FROM queue_message WHERE crashes > 0 AND held = ?"
        " ORDER BY queue_id LIMIT ?",
        (int(Held.ISOLATED), SINGLE),
    )
    figures = Figures(
        at=now,
        waiting=depth.waiting,
        late=late,
        oldest=depth.oldest,
        down=tuple(down),
        down_number=number,
        isolated=tuple(format_queue_id(queue_id) for (queue_id,) in isolated),
        isolated_number=depth.isolated,
        machine="",
        disk_free=1,
        disk_size=1,
    )
    return figures, depth


def _down(before: int) -> Steps[tuple[list[DownFigure], int]]:
    """Destinations down since before a time with mail in their line, and how many there are."""
    rows = yield (
        "SELECT key, down_since FROM queue_destination WHERE down_since <= ? AND held = 0"
        " AND EXISTS (SELECT 1 FROM queue_recipient r WHERE r.state = 'waiting'"
        " AND r.waits_for = queue_destination.key) ORDER BY down_since, key LIMIT ?",
        (before, MAX_DOWN),
    )
    found = []
    for key, since in rows[:SINGLE]:
        row = yield from destinations.get(key)
        domains = yield from overview.domains_of(key)
        number = yield from destinations.waiting(key)
        status = None if row is None else row.status
        said = "" if status is None else str(status.remote or status.text)
        name = ", ".join(domains[:3]) or key
        found.append(DownFigure(key, name, since, number, said))
    return found, len(rows)


def down_number() -> Steps[int]:
    """How many destinations are down, whatever waits for them."""
    rows = yield "SELECT COUNT(*) FROM queue_destination WHERE down_since IS NOT NULL", ()
    number: int = rows[0][0]
    return number


# What is remembered ------------------------------------------------------------------------------


def recall() -> Steps[Memory]:
    """The memory of the last look; a fresh one where there is none, or one of another version."""
    rows = yield "SELECT value FROM queue_watch WHERE name = ?", (MEMORY,)
    try:
        return _decode(rows[0][0]) if rows else Memory()
    except msgspec.MsgspecError:
        return Memory()


def keep(memory: Memory) -> WriteOperation[None]:
    def operation(tx: Tx) -> Steps[None]:
        yield (
            "INSERT INTO queue_watch (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (MEMORY, _encode(memory).decode()),
        )

    return operation


# Alerts ------------------------------------------------------------------------------------------

_EVERY = (
    "SELECT kind, subject, words, remedy, began_at, ended_at, mailed_at FROM queue_alert"
    " ORDER BY began_at, kind, subject"
)


def alerts() -> Steps[list[Standing]]:
    """All alerts that go on, and those that have ended within a day, the oldest first."""
    rows = yield _EVERY, ()
    return [item for row in rows if (item := _standing(row)) is not None]


def changes(known: Sequence[Standing], found: Sequence[Alert], machine: str) -> bool:
    """Whether `turn` would have anything to write."""
    active = {(item.alert.kind, item.alert.subject) for item in known if item.ended_at is None}
    now = {(alert.kind, alert.subject) for alert in found}
    return bool(now - active) or any(_ours(*name, machine) for name in active - now)


def turn(found: Sequence[Alert], machine: str, *, mail: bool) -> WriteOperation[Turn]:
    """Write down what has begun and ended since anybody last did.

    machine: who measured; alerts about the disk of another one are left to it. mail: whether alerts
    that begin are mailed; those that were within a day are not again.
    """

    def operation(tx: Tx) -> Steps[Turn]:
        yield "DELETE FROM queue_alert WHERE ended_at < ?", (tx.now - KEPT,)
        known = {(item.alert.kind, item.alert.subject): item for item in (yield from alerts())}
        begun: list[Standing] = []
        for alert in found:
            before = known.pop((alert.kind, alert.subject), None)
            if before is not None and before.ended_at is None:
                continue
            mailed = before.mailed_at if before is not None else None
            due = mail and (mailed is None or mailed <= tx.now - KEPT)
            item = Standing(alert, tx.now, None, tx.now if due else mailed)
            yield from _write(item)
            begun.append(item)
        ended: list[Standing] = []
        for name, item in known.items():
            if item.ended_at is None and _ours(*name, machine):
                over = replace(item, ended_at=tx.now)
                yield from _write(over)
                ended.append(over)
        to_mail = tuple(item for item in begun if item.mailed_at == tx.now)
        return Turn(tuple(begun), tuple(ended), to_mail)

    return operation


def _ours(kind: Kind, subject: str, machine: str) -> bool:
    return kind is not Kind.DISK or subject == machine


def _write(item: Standing) -> Steps[None]:
    alert = item.alert
    yield (
        "INSERT INTO queue_alert (kind, subject, words, remedy, began_at, ended_at, mailed_at)"
        " VALUES (?,?,?,?,?,?,?) ON CONFLICT (kind, subject) DO UPDATE SET words = excluded.words,"
        " remedy = excluded.remedy, began_at = excluded.began_at, ended_at = excluded.ended_at,"
        " mailed_at = excluded.mailed_at",
        (alert.kind.value, alert.subject, alert.words, alert.remedy, item.began_at, item.ended_at,
         item.mailed_at),
    )  # fmt: skip


def _standing(row: Row) -> Standing | None:
    """From _EVERY; None for a kind of another version."""
    kind, subject, words, remedy, began_at, ended_at, mailed_at = row
    try:
        alert = Alert(Kind(kind), subject, words, remedy)
    except ValueError:
        return None
    return Standing(alert, began_at, ended_at, mailed_at)
