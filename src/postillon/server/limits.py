"""The limits that hold, each with the setting that changes it, and how much of it is in use now."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from postillon.admin.desk import Desk
from postillon.queue import overview
from postillon.server import activity
from postillon.server.config import Configuration
from postillon.setting import settings_of
from postillon.store.operation import Steps

DAY = 24 * 60  # minutes
NEAR = 80  # percent of a quota from which an account is named
MAX_NAMED = 50  # accounts


class Unit(Enum):
    OCTETS = "octets"
    SECONDS = "seconds"
    NUMBER = "number"


# In the order in which they are shown.
SHOWN = (
    "server.max_connections", "server.max_connections_per_address",
    "auth.free_failures", "auth.longest_delay", "auth.refuse_after", "auth.forget_after",
    "auth.record_most", "auth.record_for", "oauth.most_clients",
    "smtp.max_size", "smtp.max_recipients", "smtp.max_transactions", "smtp.max_logins",
    "smtp.close_after", "imap.append_limit", "imap.wrong_commands", "jmap.max_size_upload",
    "jmap.max_concurrent_requests", "jmap.max_concurrent_upload",
    "queue.max_active", "queue.max_per_destination", "queue.rate",
)  # fmt: skip
# These are each worker's, so all of them together may have so many times as much.
OF_A_WORKER = {"server.max_connections", "queue.max_active"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitView:
    """setting: such as smtp.max_size. value: in the unit: octets, seconds or a number; 0 may mean none.

    used, of: how much of how much is in use in all workers, None where it cannot be counted.
    """

    setting: str
    value: float
    unit: Unit
    purpose: str
    changed: bool
    used: int | None = None
    of: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionsView:
    """Connections of a protocol: a minute ago, and most in a day. All workers together."""

    protocol: str
    open: int
    peak: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FullView:
    """An account near the end of its quota. Octets."""

    login: str
    used: int
    quota: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """full: the fullest first; full_number: how many there are in all."""

    workers: int
    limits: list[LimitView]
    connections: list[ConnectionsView]
    full: list[FullView]
    full_number: int


async def limits_of(desk: Desk, config: Configuration, now: int) -> Limits:
    """What holds and what is in use. now: ms."""
    store, workers = desk.store, config.server.worker_count
    connections = _connections(await store.read_apart(activity.open_since(now, DAY)), now)
    depth = await store.query(overview.depth(now))
    counts = await store.read_apart(_counts())
    full, number = await store.read_apart(_full())
    used = {
        "server.max_connections": sum(item.open for item in connections),
        "queue.max_active": depth.in_hand,
        "auth.record_most": counts[0],
        "oauth.most_clients": counts[1],
    }
    return Limits(
        workers=workers,
        limits=[_limit(config, name, used.get(name), workers) for name in SHOWN],
        connections=connections,
        full=full,
        full_number=number,
    )


def _limit(config: Configuration, name: str, used: int | None, workers: int) -> LimitView:
    section_name, _, key = name.partition(".")
    section = getattr(config, section_name)
    assert dataclasses.is_dataclass(section)
    [setting] = [item for item in settings_of(type(section)) if item.name == key]
    value = getattr(section, key)
    unit = Unit.OCTETS if setting.unit == "octets" else Unit.NUMBER
    if isinstance(value, timedelta):
        value, unit = value.total_seconds(), Unit.SECONDS
    of = int(value) * (workers if name in OF_A_WORKER else 1)
    return LimitView(
        setting=name, value=float(value), unit=unit, purpose=setting.purpose,
        changed=getattr(section, key) != setting.default, used=used,
        of=of if used is not None else None,
    )  # fmt: skip


def _connections(rows: list[tuple[int, str, int]], now: int) -> list[ConnectionsView]:
    """rows: minute, protocol, connections. The minute under way has not all workers yet."""
    last = now // activity.MINUTE_MS - 1
    open_: dict[str, int] = {}
    peak: dict[str, int] = {}
    for minute, protocol, value in rows:
        peak[protocol] = max(peak.get(protocol, 0), value)
        if minute == last:
            open_[protocol] = value
    return [
        ConnectionsView(protocol=name, open=open_.get(name, 0), peak=peak[name])
        for name in sorted(peak)
    ]


def _counts() -> Steps[tuple[int, int]]:
    """Lines of the record of the more frequent kind, and clients that have registered."""
    rows = yield (
        "SELECT count(*) FROM sign_in GROUP BY CASE outcome WHEN 'ok' THEN 1 ELSE 0 END",
        (),
    )
    [(clients,)] = yield ("SELECT count(*) FROM oauth_client", ())
    return max((row[0] for row in rows), default=0), clients


def _full() -> Steps[tuple[list[FullView], int]]:
    near = f"a.quota IS NOT NULL AND a.used * 100 >= a.quota * {NEAR}"
    [(number,)] = yield (f"SELECT count(*) FROM account a WHERE {near}", ())  # noqa: S608
    rows = yield (
        "SELECT p.login, a.used, a.quota FROM account a"  # noqa: S608
        f" JOIN principal p ON p.principal = a.account WHERE {near}"
        " ORDER BY CASE a.quota WHEN 0 THEN 100 ELSE a.used * 100 / a.quota END DESC, p.login LIMIT ?",
        (MAX_NAMED,),
    )
    return [FullView(login=row[0], used=row[1], quota=row[2]) for row in rows], number
