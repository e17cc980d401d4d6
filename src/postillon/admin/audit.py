"""The audit log: every act of an administrator, with who did it, when, and to what.

An act is written after it was done, by the function that did it; so the command line and the API leave
the same lines. Secrets are never among its facts.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, ParamSpec, TypeVar

import msgspec

from postillon.admin.desk import Desk
from postillon.store.counters import next_id
from postillon.store.like import escaped
from postillon.store.operation import Row, Steps, Tx

P = ParamSpec("P")
T = TypeVar("T")

SECRET = frozenset({"password", "secret"})  # arguments that are never written
MAX_FACTS = 10_000  # characters of one act's facts
MAX_PAGE = 500  # acts one read returns
FORGOTTEN_AT_ONCE = 500  # rows of one operation
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One line of the log."""

    id: int
    at: int  # ms
    who: str
    via: str
    act: str
    subject: str
    facts: Mapping[str, object]


def audited(
    act: str, subject: str = ""
) -> Callable[[Callable[P, Awaitable[T]]], Callable[P, Awaitable[T]]]:
    """Write each call that succeeds into the log of its desk.

    act: its name, such as "account.create". subject: the argument, or "argument.field", that names what
    it is done to. All other arguments are its facts, but for those that are not given, and secrets.
    """

    def decorate(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        async def done(*args: P.args, **kwargs: P.kwargs) -> T:
            result = await function(*args, **kwargs)
            given = signature.bind(*args, **kwargs).arguments
            desk = given.pop("desk")
            facts = {
                name: plain for name, value in given.items() if _told(name, plain := _plain(value))
            }
            name, _, field = subject.partition(".")
            about = facts.pop(name, "")
            if field and isinstance(about, dict):
                about, facts = about.pop(field, ""), {**about, **facts}
            await note(desk, act, str(about), facts)
            return result

        return done

    return decorate


async def note(desk: Desk, act: str, subject: str, facts: Mapping[str, object]) -> None:
    """Write one act. facts: values of JSON, without secrets."""
    text = _encode(facts).decode()
    if len(text) > MAX_FACTS:
        text = _encode({"cut": text[:MAX_FACTS]}).decode()

    def operation(tx: Tx) -> Steps[None]:
        number = yield from next_id("audit")
        yield (
            "INSERT INTO audit (audit, at, who, via, act, subject, facts) VALUES (?,?,?,?,?,?,?)",
            (number, tx.now, desk.who, desk.via, act, subject, text),
        )

    await desk.store.write(operation)


async def acts(desk: Desk, about: str = "", before: int = 0, limit: int = 100) -> list[Act]:
    """The latest acts, newest first. about: part of who, act or subject; before: an id, or 0."""
    return await desk.store.read_apart(_acts(about, before, min(limit, MAX_PAGE)))


def forget(tx: Tx, before: int) -> Steps[int]:
    """Remove some acts from before a time (ms); returns how many."""
    rows = yield (
        "DELETE FROM audit WHERE audit IN (SELECT audit FROM audit WHERE at < ? ORDER BY audit LIMIT ?)"
        " RETURNING audit",
        (before, FORGOTTEN_AT_ONCE),
    )
    return len(rows)


def _acts(about: str, before: int, limit: int) -> Steps[list[Act]]:
    conditions, values = ["1 = 1"], list[Any]()
    if before:
        conditions.append("audit < ?")
        values.append(before)
    if about:
        conditions.append(
            "(who LIKE ? ESCAPE '\\' OR act LIKE ? ESCAPE '\\' OR subject LIKE ? ESCAPE '\\')"
        )
        values += [f"%{escaped(about)}%"] * 3
    rows = yield (
        "SELECT audit, at, who, via, act, subject, facts FROM audit"  # noqa: S608 - our own words
        f" WHERE {' AND '.join(conditions)} ORDER BY audit DESC LIMIT ?",
        (*values, limit),
    )
    return list(map(_act, rows))


def _act(row: Row) -> Act:
    number, at, who, via, act, subject, facts = row
    return Act(
        id=number, at=at, who=who, via=via, act=act, subject=subject,
        facts=msgspec.json.decode(facts),
    )  # fmt: skip


def _plain(value: Any) -> Any:  # Any: what functions are called with and what JSON knows
    """A value as JSON has it, without secrets and without what is not given."""
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value):
        parts = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {name: part for name, part in parts.items() if _told(name, part)}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, dict)) else None


def _told(name: str, value: object) -> bool:
    return name not in SECRET and value not in (None, "", [], {})
