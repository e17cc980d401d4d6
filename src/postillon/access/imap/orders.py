"""What SORT and THREAD need of messages, kept in memory: none of it ever changes.

A worker keeps tables of the mailboxes that were sorted last. A column has the value of each message
that was asked for once; what has come since is read and added, what is gone does no harm, as no UID is
used twice. The last answer for each order is kept too, for clients that ask again and nothing is new.
"""

from __future__ import annotations

import asyncio
import unicodedata
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

from postillon.account.emails import SortFacts
from postillon.mail import digest
from postillon.mail.addresses import parse_mailboxes
from postillon.mail.digest import HeaderDigest
from postillon.mail.subject import is_reply
from postillon.mail.words import decode_words
from postillon.protocol.imap import numbers
from postillon.protocol.imap.commands import SortKey
from postillon.protocol.imap.threading import Message

if TYPE_CHECKING:
    from postillon.access.imap.view import View

MAX_VALUES = 600_000  # in all tables of a worker, about 100 octets each; the last one may be larger
MAX_ANSWERS = 8  # of one table
HERE = 500  # messages that are looked at in the loop's thread; more go to another

Value = Any  # int, str or Message: what a column holds is known to who asks for it
Column = dict[int, Value]  # by UID
Found = Sequence[tuple[int, int]]  # sequence number and UID, ascending


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """What a column holds. header: whether the header digest is needed for it."""

    value: Callable[[SortFacts], Value]
    header: bool = True


class Table:
    """One mailbox, for as long as its UIDs are valid."""

    def __init__(self) -> None:
        self.columns: dict[Kind, Column] = {}
        self._answers: OrderedDict[object, tuple[bytes, Value]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self.columns.values()))

    async def column(self, view: View, uids: Sequence[int], kind: Kind) -> Column:
        """The values of these messages, and perhaps of others; those that are gone may have none."""
        column = self.columns.setdefault(kind, {})
        missing = [uid for uid in uids if uid not in column]
        if missing:
            ranges = numbers.join(missing)
            facts = await view.account.sort_facts(view.mailbox, ranges, header=kind.header)
            column.update(await apart(len(facts), _values, facts, kind))
        return column

    def known(self, order: object, found: Found) -> Value:
        """What was answered when these very messages were put in this order; None: it is not kept."""
        kept = self._answers.get(order)
        return kept[1] if kept is not None and kept[0] == _signature(found) else None

    def keep(self, order: object, found: Found, answer: Value) -> None:
        self._answers[order] = _signature(found), answer
        self._answers.move_to_end(order)
        if len(self._answers) > MAX_ANSWERS:
            self._answers.popitem(last=False)


def _signature(found: Found) -> bytes:
    return array("I", chain.from_iterable(found)).tobytes()


class Orders:
    """The tables of one worker."""

    def __init__(self) -> None:
        self._tables: OrderedDict[tuple[int, int, int], Table] = OrderedDict()  # used last is last

    async def open(self, view: View, found: Found) -> Table:
        """The table of a mailbox.

        Raises what reading it raises: what is kept asks nobody, and somebody else's mailbox may not be
        shared any more.
        """
        if not view.account.own and found:
            await view.account.placements(view.mailbox, [(found[0][1], found[0][1])])
        key = (view.account.id, view.mailbox, view.uid_validity)
        table = self._tables.get(key)
        if table is None:
            table = self._tables[key] = Table()
        self._tables.move_to_end(key)
        total = sum(map(len, self._tables.values()))
        while total > MAX_VALUES and len(self._tables) > 1:
            total -= len(self._tables.popitem(last=False)[1])
        return table


def _values(facts: Sequence[SortFacts], kind: Kind) -> Column:
    value = kind.value
    return {row.uid: value(row) for row in facts}


async def apart(size: int, call: Callable[..., Any], *arguments: object) -> Any:
    """In another thread when there is much to do."""
    if size <= HERE:
        return call(*arguments)
    return await asyncio.to_thread(call, *arguments)


def collate(text: str) -> str:
    """What is compared (i;unicode-casemap, RFC 5051): in capitals, so that `_` comes after Z."""
    if text.isascii():
        return text.upper()
    return unicodedata.normalize("NFKD", text.casefold()).upper()


def _sent(row: SortFacts) -> int:
    """The sent date (RFC 5256 section 2.2); that of arrival where there is none."""
    return row.received_at if row.sent_at is None else row.sent_at


def _local_part(field: bytes) -> str:
    """The mailbox name of the first address."""
    for box in parse_mailboxes(field):
        if box.local is not None:
            return collate(box.local.decode("utf-8", "replace"))
    return ""


def _display(field: bytes) -> str:
    """What a person reads of the first address (RFC 5957 section 3)."""
    for box in parse_mailboxes(field):
        if box.name:
            return collate(decode_words(box.name))
        if box.local is not None:
            domain = b"@" + box.domain if box.domain else b""
            return collate((box.local + domain).decode("utf-8", "replace"))
    return ""


def _message(row: SortFacts) -> Message:
    header = digest.unpack(row.header)
    return Message(
        row.uid,
        _sent(row),
        row.received_at,
        header.id,
        header.references,
        collate(header.base_subject),
        is_reply(header.subject),
    )


def _of(read: Callable[[HeaderDigest], str]) -> Kind:
    return Kind(lambda row: read(digest.unpack(row.header)))


KINDS: dict[SortKey, Kind] = {
    SortKey.ARRIVAL: Kind(lambda row: row.received_at, header=False),
    SortKey.DATE: Kind(_sent, header=False),
    SortKey.SIZE: Kind(lambda row: row.size, header=False),
    SortKey.SUBJECT: _of(lambda header: collate(header.base_subject)),
    SortKey.FROM: _of(lambda header: _local_part(header.from_)),
    SortKey.TO: _of(lambda header: _local_part(header.to)),
    SortKey.CC: _of(lambda header: _local_part(header.cc)),
    SortKey.DISPLAY_FROM: _of(lambda header: _display(header.from_)),
    SortKey.DISPLAY_TO: _of(lambda header: _display(header.to)),
}
MESSAGES = Kind(_message)  # what threads are made of; their number is the UID
