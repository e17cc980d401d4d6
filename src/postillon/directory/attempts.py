"""Who has tried to sign in lately, and what came of it: a bounded record for administrators.

Attempts are counted in memory, together by network, login, protocol and outcome, and written in batches
by `directory.ledger`: no sign-in waits for the record, and a flood of guesses makes few rows. Failures
are told apart by the minute, successes by the hour.

What somebody typed as a login may be a password in the wrong field. So the text of a login is kept only
where it is an address in a domain of ours; anything else is "", whatever it was, and leaves no memory.
Nothing else that was typed is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any, TypeVar

import msgspec

from postillon.clock import Clock
from postillon.directory.addresses import ACCOUNT
from postillon.directory.principals import PrincipalKind
from postillon.directory.throttle import address_of, network
from postillon.store.counters import next_ids
from postillon.store.like import escaped
from postillon.store.operation import Row, Steps, Tx

T = TypeVar("T")

MINUTE_MS = 60_000
HOUR = 60  # minutes
MAX_WAITING = 1_000  # different attempts of one worker between two writes; more are counted as one
AT_ONCE = 50  # rows of one statement
FORGOTTEN_AT_ONCE = 5_000  # rows of one operation
MANY = ""  # in place of a network: too many to be told apart


class Outcome(Enum):
    """What came of an attempt."""

    OK = "ok"
    WRONG_PASSWORD = "wrong_password"
    UNKNOWN_LOGIN = "unknown_login"
    DISABLED = "disabled"  # an account that is closed, or that nobody signs in to
    NEEDS_CODE = "needs_code"  # the password was right, and a second factor is still wanted
    WRONG_CODE = "wrong_code"
    NOT_FOR_THIS = "not_for_this"  # an app password or token that was made for something else
    FOR_ANOTHER = "for_another"  # the right password, to act as somebody else
    BAD_TOKEN = "bad_token"
    TURNED_AWAY = "turned_away"  # too many failures before; nothing was looked at


class Standing(Enum):
    """What the directory has of an address that somebody typed as a login."""

    PERSON = "person"  # may sign in
    CLOSED = "closed"
    NOBODY = "nobody"  # in a domain of ours


@dataclass(frozen=True, slots=True)
class What:
    """What is counted together. login: an address, or ""."""

    period: int  # minutes
    network: str
    login: str
    protocol: str
    outcome: Outcome


@dataclass(slots=True)
class Tally:
    address: str
    attempts: int
    first_at: int  # ms
    last_at: int


class Entry(msgspec.Struct, frozen=True):
    """One line of the record."""

    entry: int
    network: str
    login: str
    protocol: str
    outcome: str
    address: str
    attempts: int
    first_at: int  # ms
    last_at: int


class Attempts:
    """What one worker has counted and not written yet. most 0: nothing is counted."""

    def __init__(self, clock: Clock, most: int) -> None:
        self._clock = clock
        self._most = most
        self._waiting: dict[What, Tally] = {}

    def note(self, protocol: str, address: str, login: str, outcome: Outcome) -> None:
        if not self._most:
            return
        now = self._clock()
        period = now // MINUTE_MS
        if outcome is Outcome.OK:
            period -= period % HOUR
        what = What(period, network(address)[0], address_of(login), protocol, outcome)
        if what not in self._waiting and len(self._waiting) >= MAX_WAITING:
            what, address = What(period, MANY, "", protocol, outcome), ""
        known = self._waiting.get(what)
        if known is None:
            self._waiting[what] = Tally(address, 1, now, now)
        else:
            known.address, known.last_at = address, now
            known.attempts += 1

    def take(self) -> dict[What, Tally]:
        """What was counted since the last time."""
        found, self._waiting = self._waiting, {}
        return found


def standings(logins: Iterable[str]) -> Steps[dict[str, Standing]]:
    """What is known of these addresses; those in domains that are not ours are missing."""
    by_domain: dict[str, set[str]] = {}
    for login in logins:
        local, _, domain = login.rpartition("@")
        by_domain.setdefault(domain, set()).add(local)
    found: dict[str, Standing] = {}
    for names in lots(sorted(by_domain)):
        rows = yield (f"SELECT domain, name FROM domain WHERE name IN ({_marks(names)})", names)  # noqa: S608
        for number, name in rows:
            yield from _standings_in(number, name, by_domain[name], found)
    return found


def _standings_in(
    number: int, name: str, locals_: set[str], found: dict[str, Standing]
) -> Steps[None]:
    for some in lots(sorted(locals_)):
        found.update({f"{local}@{name}": Standing.NOBODY for local in some})
        rows = yield (
            "SELECT a.local, p.kind, p.enabled, d.enabled FROM address a"  # noqa: S608
            " JOIN domain d ON d.domain = a.domain JOIN principal p ON p.principal = a.principal"
            f" WHERE a.domain = ? AND a.local IN ({_marks(some)}) AND a.local <> '' AND a.kind = ?",
            (number, *some, ACCOUNT),
        )
        for local, kind, enabled, open_ in rows:
            person = kind == PrincipalKind.PERSON.value and enabled and open_
            found[f"{local}@{name}"] = Standing.PERSON if person else Standing.CLOSED


def told(waiting: Mapping[What, Tally], known: Mapping[str, Standing]) -> dict[What, Tally]:
    """As it is written: without the text of other logins, and with why a password was wrong."""
    found: dict[What, Tally] = {}
    for what, tally in waiting.items():
        login = what.login if what.login in known else ""
        outcome = what.outcome
        if outcome is Outcome.WRONG_PASSWORD and what.network != MANY:
            outcome = _REASONS.get(known.get(login), Outcome.UNKNOWN_LOGIN)
        what = What(what.period, what.network, login, what.protocol, outcome)
        same = found.get(what)
        if same is None:
            found[what] = Tally(tally.address, tally.attempts, tally.first_at, tally.last_at)
        else:
            same.attempts += tally.attempts
            same.first_at = min(same.first_at, tally.first_at)
            if tally.last_at >= same.last_at:
                same.address, same.last_at = tally.address, tally.last_at
    return found


_REASONS: Mapping[Standing | None, Outcome] = {
    Standing.PERSON: Outcome.WRONG_PASSWORD,
    Standing.CLOSED: Outcome.DISABLED,
}


def write(tx: Tx, rows: Mapping[What, Tally]) -> Steps[None]:
    """Add what was counted to the record."""
    for some in lots(rows.items()):
        last = yield from next_ids("sign_in", len(some))
        values: list[Any] = []  # Any: a column is int or str
        for number, (what, tally) in enumerate(some, last - len(some) + 1):
            values += [
                number, what.period, what.network, what.login, what.protocol, what.outcome.value,
                tally.address, tally.attempts, tally.first_at, tally.last_at,
            ]  # fmt: skip
        places = ",".join(["(?,?,?,?,?,?,?,?,?,?)"] * len(some))
        yield (
            "INSERT INTO sign_in (entry, period, network, login, protocol, outcome, address, attempts,"  # noqa: S608
            f" first_at, last_at) VALUES {places}"
            " ON CONFLICT (period, network, login, protocol, outcome) DO UPDATE SET"
            " entry = excluded.entry, address = excluded.address,"
            " attempts = sign_in.attempts + excluded.attempts, last_at = excluded.last_at",
            values,
        )


def latest(
    about: str = "", *, failed: bool = False, before: int = 0, limit: int = 100
) -> Steps[list[Entry]]:
    """Newest first. about: a part of a login or an address; before: an entry, or 0."""
    conditions, values = ["1 = 1"], list[Any]()
    if before:
        conditions.append("entry < ?")
        values.append(before)
    if failed:
        conditions.append("outcome <> 'ok'")
    if about:
        conditions.append(
            "(login LIKE ? ESCAPE '\\' OR address LIKE ? ESCAPE '\\' OR network LIKE ? ESCAPE '\\')"
        )
        values += [f"%{escaped(about.strip().lower())}%"] * 3
    rows = yield (
        "SELECT entry, network, login, protocol, outcome, address, attempts, first_at, last_at"  # noqa: S608
        f" FROM sign_in WHERE {' AND '.join(conditions)} ORDER BY entry DESC LIMIT ?",
        (*values, limit),
    )
    return list(map(_entry, rows))


def has_signed_in(network_: str, login: str) -> Steps[bool]:
    """Whether the record knows of a success of this login from there."""
    rows = yield (
        "SELECT 1 FROM sign_in WHERE network = ? AND login = ? AND outcome = 'ok' LIMIT 1",
        (network_, login),
    )
    return bool(rows)


def forget(tx: Tx, before: int, most: int) -> Steps[int]:
    """Remove some lines from before a time (ms), or beyond so many of either kind; how many.

    Failures and successes have a bound each: a flood of guesses does not wash away who was let in.
    """
    count = 0
    rows = yield (
        "DELETE FROM sign_in WHERE entry IN (SELECT entry FROM sign_in WHERE period < ?"
        " ORDER BY period LIMIT ?) RETURNING entry",
        (before // MINUTE_MS, FORGOTTEN_AT_ONCE),
    )
    count += len(rows)
    for sign in ("=", "<>"):
        rows = yield (
            "DELETE FROM sign_in WHERE entry IN (SELECT entry FROM sign_in"  # noqa: S608
            f" WHERE outcome {sign} 'ok' ORDER BY entry DESC LIMIT ? OFFSET ?) RETURNING entry",
            (FORGOTTEN_AT_ONCE, most),
        )
        count += len(rows)
    return count


def _entry(row: Row) -> Entry:
    return Entry(*row)


def _marks(values: Iterable[object]) -> str:
    return ",".join("?" for _ in values)


def lots(values: Iterable[T]) -> Iterator[tuple[T, ...]]:
    """As many at once as one statement takes."""
    rest = iter(values)
    while some := tuple(islice(rest, AT_ONCE)):
        yield some
