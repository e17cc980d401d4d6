"""What the trace tells the owner of an email about it, and nothing about anybody else.

Of an arrival: when and from whom this server took the message, the addresses of the account that it was
for, and where it was put. Who else was a recipient, and which way addresses lead, is not told. Of what
the account has sent itself: every event, under the address it was sent to; of an address that leads to
others only the time, since their servers would say who they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from postillon.account.ids import AccountId
from postillon.directory import resolution
from postillon.mail.address import AddressError, parse_address
from postillon.queue import trace
from postillon.queue.ids import QueueId, accepted_at
from postillon.queue.rows import FAR
from postillon.queue.submissions import Leg, legs_of
from postillon.queue.trace import Trace, TraceEvent
from postillon.store.operation import Steps

MAX_SENT = 20  # submissions of one email that are told of, the newest
MAX_ASKED = 200  # addresses of one message of which it is asked whose they are
MAX_EVENTS = 200  # of one message
_PEER = ("via", "peer", "hello", "tls")  # facts of the connection


class Ruled(msgspec.Struct, frozen=True):
    """What a rule has made of it. failed: none could be asked. gone: its mailbox was not there.

    rule: 0 and name: "" where they failed. withheld: addresses that could get no copy.
    """

    rule: int = 0
    name: str = ""
    mailbox: int | None = None
    gone: bool = False
    keywords: tuple[str, ...] = ()
    forwarded: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    failed: bool = False


class Placing(msgspec.Struct, frozen=True):
    """at: ms. address: of the account."""

    at: int
    address: str
    mailbox: int
    rules: tuple[Ruled, ...] = ()


class Arrival(msgspec.Struct, frozen=True):
    """How an email came. traced: whether the trace is still kept; without it only the id is known."""

    queue_id: QueueId
    at: int  # ms
    traced: bool = False
    reverse_path: str = ""  # "" is the null sender
    addresses: tuple[str, ...] = ()  # of the account, that the sender gave
    peer: dict[str, str] = {}  # via, peer, hello, tls; those that are known
    placed: tuple[Placing, ...] = ()


class Step(msgspec.Struct, frozen=True):
    """Something that happened to a message that was sent. at, next_try: ms."""

    at: int
    kind: str
    address: str | None
    reply: str = ""
    host: str = ""
    next_try: int | None = None


class Sending(msgspec.Struct, frozen=True):
    submission: int
    queue_id: QueueId
    at: int  # ms
    steps: tuple[Step, ...]


def arrival(account: AccountId, email: int) -> Steps[Arrival | None]:
    """None for an email that came by no message: appended, imported, a draft, or not there."""
    rows = yield (
        "SELECT queue_id FROM email WHERE account = ? AND email = ?",
        (account, email),
    )
    if not rows or rows[0][0] is None:
        return None
    queue_id = QueueId(rows[0][0])
    found = yield from trace.find(queue_id)
    if found is None:
        return Arrival(queue_id, accepted_at(queue_id))
    own: dict[str, bool] = {}
    placings = _placings(found)
    for path in (*found.forward_paths, *(item.address for item in placings)):
        if path not in own and len(own) < MAX_ASKED:
            own[path] = yield from _owned(account, path)
    return Arrival(
        queue_id,
        found.at,
        True,
        found.reverse_path,
        tuple(path for path in found.forward_paths if own.get(path)),
        {name: str(found.facts[name]) for name in _PEER if found.facts.get(name)},
        tuple(item for item in placings if own.get(item.address)),
    )


def sendings(account: AccountId, email: int) -> Steps[list[Sending]]:
    """What has become of the submissions of an email, oldest first; of those whose trace is kept."""
    rows = yield (
        "SELECT submission, queue_id, delivery FROM submission WHERE account = ? AND email = ?"
        " ORDER BY submission DESC LIMIT ?",
        (account, email, MAX_SENT),
    )
    found = []
    for submission, queue_id, delivery in reversed(rows):
        story = yield from trace.find(QueueId(queue_id))
        if story is not None:
            legs = legs_of(delivery)
            steps = tuple(_steps(story, legs))
            found.append(Sending(submission, QueueId(queue_id), story.at, steps))
    return found


def _owned(account: AccountId, path: str) -> Steps[bool]:
    try:
        address = parse_address(path)
    except AddressError:  # the mark of a list that was cut
        return False
    return (yield from resolution.owns(account, address))


def _at_once(found: Trace) -> list[Placing]:
    """When, for which address and into which mailbox the accepting transaction has put it."""
    placed: Any = found.facts.get("placed")  # Any: JSON that the acceptance has written
    return [
        Placing(found.at, item["to"], item["mailbox"], _ruled(item.get("rules")))
        for item in placed or ()
    ]


def _ruled(said: Any) -> tuple[Ruled, ...]:  # Any: JSON that Ruling.facts has written
    return msgspec.convert(said or (), tuple[Ruled, ...])


def _placings(found: Trace) -> list[Placing]:
    """The same with those that came later; of every account."""
    said = _at_once(found)
    for event in found.events:
        mailbox, to = event.facts.get("mailbox"), event.facts.get("to")
        if isinstance(mailbox, int) and isinstance(to, str):
            said.append(Placing(event.at, to, mailbox, _ruled(event.facts.get("rules"))))
    return said


def _steps(story: Trace, legs: Sequence[Leg]) -> list[Step]:
    plain = {leg.address for leg in legs if not leg.targets}
    hidden = {target: leg.address for leg in legs for target in leg.targets}
    steps = [
        Step(item.at, "delivered", hidden.get(item.address, item.address))
        for item in _at_once(story)
        if item.address in plain or item.address in hidden
    ]
    for event in story.events[-MAX_EVENTS:]:
        to = event.facts.get("to")
        if not isinstance(to, str):
            steps.append(Step(event.at, event.kind, None))
        elif to in plain:
            steps.append(_step(event, to))
        elif to in hidden:
            steps.append(Step(event.at, event.kind, hidden[to]))
    return steps


def _step(event: TraceEvent, address: str) -> Step:
    facts = event.facts
    due = facts.get("next_try")  # not "at_the_latest", when it is given up on
    return Step(
        event.at,
        event.kind,
        address,
        str(facts.get("reply") or facts.get("status") or ""),
        str(facts.get("host") or ""),
        due if isinstance(due, int) and due < FAR else None,
    )
