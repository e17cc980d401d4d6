"""SORT and THREAD (RFC 5256), with RETURN (RFC 5267) and by what is displayed (RFC 5957)."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from postillon.access.imap.answer import Answer, bad, ok
from postillon.access.imap.extras import Extra
from postillon.access.imap.search import esearch, find
from postillon.access.imap.texts import Found
from postillon.account.emails import SortFacts
from postillon.mail import digest
from postillon.mail.addresses import parse_mailboxes
from postillon.mail.digest import HeaderDigest
from postillon.mail.subject import is_reply
from postillon.mail.words import decode_words
from postillon.protocol.imap import commands, numbers, threading
from postillon.protocol.imap.commands import SortKey
from postillon.protocol.imap.writer import string

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

HERE = 500  # messages that are sorted in the loop's thread; more go to another
LIGHT = frozenset(
    (SortKey.ARRIVAL, SortKey.DATE, SortKey.SIZE, SortKey.RELEVANCY)
)  # need no header


async def sort(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Sort)
    search = argument.search
    result = await find(session, session.selected, search.key)
    found, modseqs = result.found, result.modseqs
    light = all(key in LIGHT for key, _ in argument.keys)
    facts = await _facts(session, found, header=not light)
    uids = await _apart(len(facts), _sorted, facts, argument.keys, result.fit)
    places = {uid: number for number, uid in found}
    results = uids if search.uid else [places[uid] for uid in uids]
    if search.returns is None:
        text = b"* SORT" + b"".join([b" %d" % result for result in results])
        if modseqs:
            text += b" (MODSEQ %d)" % max(modseqs.values())
        session.say(text + b"\r\n")
        return ok()
    returns = search.returns
    if "SAVE" in returns:
        session.selected.saved = numbers.join(sorted(uids))
    if returns != {"SAVE"}:
        # In the order of the sort (RFC 5267 section 3.2): the first is MIN.
        head = b"TAG " + string(command.tag.encode())
        fit = [result.fit[uid] for uid in uids] if "RELEVANCY" in returns else []
        words = esearch(head, search.uid, returns, search.partial, results, fit)
        if modseqs:
            words.append(b"MODSEQ %d" % max(modseqs.values()))
        session.say(b" ".join(words) + b"\r\n")
    return ok()


async def thread(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Thread)
    algorithm = threading.ALGORITHMS.get(argument.algorithm)
    if algorithm is None:
        return bad("Unknown threading algorithm")
    if Extra.UTF8 in session.extras and argument.search.charset:
        return bad("All text is UTF-8")
    result = await find(session, session.selected, argument.search.key)
    facts = await _facts(session, result.found, header=True)
    places = None if argument.search.uid else {uid: number for number, uid in result.found}
    text = await _apart(len(facts), _threads, algorithm, facts, places)
    session.say(b"* THREAD%b\r\n" % (b" " + text if text else b""))
    return ok()


async def _facts(session: Session, found: Found, *, header: bool) -> Sequence[SortFacts]:
    if not found:
        return []
    ranges = numbers.join(uid for _, uid in found)
    view = session.selected
    return await view.account.sort_facts(view.mailbox, ranges, header=header)


async def _apart(size: int, call: Callable[..., Any], *arguments: object) -> Any:
    """In another thread when there is much to do."""
    if size <= HERE:
        return call(*arguments)
    return await asyncio.to_thread(call, *arguments)


def _sorted(
    facts: Sequence[SortFacts], keys: Sequence[tuple[SortKey, bool]], fit: dict[int, int]
) -> list[int]:
    """UIDs; equal ones stand in the order of their numbers, also in reverse (section 3).

    fit: how well each fits, by UID, where that is a key.
    """
    rows = list(facts)
    digests: dict[int, HeaderDigest] = {}

    def header(row: SortFacts) -> HeaderDigest:
        found = digests.get(row.uid)
        if found is None:
            found = digests[row.uid] = digest.unpack(row.header)
        return found

    for key, reverse in reversed(keys):  # each pass keeps the order of the one before
        if key is SortKey.RELEVANCY:
            rows.sort(key=lambda row: fit[row.uid], reverse=not reverse)
            continue
        value = _VALUES[key]
        rows.sort(key=lambda row, value=value: value(row, header), reverse=reverse)  # type: ignore[misc]
    return [row.uid for row in rows]


def collate(text: str) -> str:
    """What is compared (i;unicode-casemap, RFC 5051)."""
    return text.lower() if text.isascii() else unicodedata.normalize("NFKD", text.casefold())


Header = Callable[[SortFacts], HeaderDigest]


def _sent(row: SortFacts) -> int:
    """The sent date (section 2.2); that of arrival where there is none."""
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


_VALUES: dict[SortKey, Callable[[SortFacts, Header], Any]] = {
    SortKey.ARRIVAL: lambda row, header: row.received_at,
    SortKey.DATE: lambda row, header: _sent(row),
    SortKey.SIZE: lambda row, header: row.size,
    SortKey.SUBJECT: lambda row, header: collate(header(row).base_subject),
    SortKey.FROM: lambda row, header: _local_part(header(row).from_),
    SortKey.TO: lambda row, header: _local_part(header(row).to),
    SortKey.CC: lambda row, header: _local_part(header(row).cc),
    SortKey.DISPLAY_FROM: lambda row, header: _display(header(row).from_),
    SortKey.DISPLAY_TO: lambda row, header: _display(header(row).to),
}


def _threads(
    algorithm: Callable[..., threading.Threads],
    facts: Sequence[SortFacts],
    places: dict[int, int] | None,
) -> bytes:
    messages = []
    for row in facts:
        header = digest.unpack(row.header)
        messages.append(
            threading.Message(
                row.uid if places is None else places[row.uid],
                _sent(row),
                row.received_at,
                header.id,
                header.references,
                collate(header.base_subject),
                is_reply(header.subject),
            )
        )
    return threading.write(algorithm(messages))
