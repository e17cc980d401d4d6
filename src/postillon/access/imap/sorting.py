"""SORT and THREAD (RFC 5256), with RETURN (RFC 5267) and by what is displayed (RFC 5957)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from postillon.access.imap import contexts
from postillon.access.imap.answer import Answer, bad, ok
from postillon.access.imap.extras import Extra
from postillon.access.imap.orders import KINDS, MESSAGES, apart
from postillon.access.imap.search import esearch, find
from postillon.access.imap.texts import Found
from postillon.protocol.imap import commands, numbers, threading
from postillon.protocol.imap.commands import SortKey
from postillon.protocol.imap.writer import string

if TYPE_CHECKING:
    from postillon.access.imap.session import Session


async def sort(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Sort)
    search = argument.search
    result = await find(session, session.selected, search.key)
    found, modseqs = result.found, result.modseqs
    uids = await _ordered(session, found, argument.keys, result.fit)
    places = {uid: number for number, uid in found}
    results = list(uids) if search.uid else [places[uid] for uid in uids]
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
    if "UPDATE" in returns:
        contexts.keep(session, command.tag, search, uids, argument.keys)
    return ok()


async def in_order(session: Session, uids: Sequence[int], context: contexts.Context) -> list[int]:
    """The messages of a kept result in the order it asks for; those that are gone are left out."""
    view = session.selected
    found = [(view.number(uid), uid) for uid in sorted(uids) if view.number(uid)]
    fit: dict[int, int] = {}
    if any(key is SortKey.RELEVANCY for key, _ in context.keys):
        fit = (await find(session, view, context.search.key)).fit
        found = [pair for pair in found if pair[1] in fit]
    return list(await _ordered(session, found, context.keys, fit))


async def _ordered(
    session: Session, found: Found, keys: Sequence[tuple[SortKey, bool]], fit: dict[int, int]
) -> Sequence[int]:
    """The UIDs; equal ones stand in the order of their numbers, also in reverse (section 3).

    fit: how well each fits, by UID, where that is a key.
    """
    view = session.selected
    table = await session.server.orders.open(view, found)
    kept = not any(key is SortKey.RELEVANCY for key, _ in keys)
    known = table.known(keys, found) if kept else None
    if known is not None:
        return cast(Sequence[int], known)
    uids = [uid for _, uid in found]
    columns = [
        fit if key is SortKey.RELEVANCY else await table.column(view, uids, KINDS[key])
        for key, _ in keys
    ]
    sorted_ = await apart(len(uids), _sorted, uids, keys, columns)
    if kept:
        table.keep(keys, found, sorted_)
    return cast(Sequence[int], sorted_)


def _sorted(
    uids: list[int], keys: Sequence[tuple[SortKey, bool]], columns: Sequence[dict[int, Any]]
) -> Sequence[int]:
    """Without those that have no value."""
    for column in columns:
        if any(uid not in column for uid in uids):
            uids = [uid for uid in uids if uid in column]
    for (key, reverse), column in zip(reversed(keys), reversed(columns), strict=True):
        # Each pass keeps the order of the one before; what fits best comes first.
        uids.sort(key=column.__getitem__, reverse=reverse != (key is SortKey.RELEVANCY))
    return array("I", uids)


async def thread(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Thread)
    algorithm = threading.ALGORITHMS.get(argument.algorithm)
    if algorithm is None:
        return bad("Unknown threading algorithm")
    if Extra.UTF8 in session.extras and argument.search.charset:
        return bad("All text is UTF-8")
    result = await find(session, session.selected, argument.search.key)
    text = await _threads(session, argument.algorithm, result.found, uid=argument.search.uid)
    session.say(b"* THREAD%b\r\n" % (b" " + text if text else b""))
    return ok()


async def _threads(session: Session, algorithm: str, found: Found, *, uid: bool) -> bytes:
    view = session.selected
    table = await session.server.orders.open(view, found)
    known = table.known((algorithm, uid), found)
    if known is not None:
        return cast(bytes, known)
    uids = [uid for _, uid in found]
    column = await table.column(view, uids, MESSAGES)
    places = None if uid else {uid: number for number, uid in found}
    text = await apart(len(uids), _threaded, algorithm, uids, column, places)
    table.keep((algorithm, uid), found, text)
    return cast(bytes, text)


def _threaded(
    algorithm: str,
    uids: Sequence[int],
    column: dict[int, threading.Message],
    places: dict[int, int] | None,
) -> bytes:
    messages = [column[uid] for uid in uids if uid in column]
    return threading.write(threading.ALGORITHMS[algorithm](messages), places)
