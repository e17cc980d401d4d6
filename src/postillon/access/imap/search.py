"""SEARCH (RFC 3501 section 6.4.4) with RETURN (RFC 4731) and OLDER, YOUNGER (RFC 5032)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from postillon.access.imap.answer import Answer, ok
from postillon.access.imap.matching import Candidate, Cost, More, Test, compile_key
from postillon.account.errors import EmailGone
from postillon.protocol.imap import commands, numbers
from postillon.protocol.imap.writer import string
from postillon.store.operation import BlobLost

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

FLAGS_AT_ONCE = 2_000  # messages whose flags are read between two breaths
ROWS_AT_ONCE = 200
HERE = 32 * 1024  # octets of a message that is looked through in the loop's thread
BREATH = 256 * 1024  # octets looked through between two breaths


async def search(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Search)
    view = session.selected
    parts = argument.key.keys if isinstance(argument.key, commands.All) else (argument.key,)
    now = session.server.clock()
    tests = [compile_key(key, view, now) for key in parts]
    free = [test.matches for test in tests if test.cost is Cost.NUMBER]
    found = [
        (number, uid)
        for number, uid in enumerate(view.uids, 1)
        if all(check(Candidate(number, uid)) for check in free)
    ] if free else list(enumerate(view.uids, 1))  # fmt: skip
    costly = sorted((t for t in tests if t.cost is not Cost.NUMBER), key=lambda test: test.cost)
    if costly:
        found = await _search(session, found, costly)
    results = [uid if argument.uid else number for number, uid in found]
    if argument.returns is None:
        session.say(b"* SEARCH%b\r\n" % b"".join([b" %d" % result for result in results]))
    else:
        session.say(_extended(command.tag, argument.uid, argument.returns, results))
    return ok()


async def _search(
    session: Session, found: list[tuple[int, int]], tests: list[Test]
) -> list[tuple[int, int]]:
    """Those that pass all tests. Flags first, over all of them: they leave fewer rows to read."""
    view, account = session.selected, session.account
    by_flags = [test.matches for test in tests if test.cost is Cost.FLAGS]
    if by_flags:
        left: list[tuple[int, int]] = []
        for start in range(0, len(found), FLAGS_AT_ONCE):
            some = found[start : start + FLAGS_AT_ONCE]
            numbers_of = {uid: number for number, uid in some}
            for item in await account.placements(
                view.mailbox, numbers.join(uid for _, uid in some)
            ):
                number = numbers_of.get(item.uid)
                if number is None:
                    continue
                candidate = Candidate(number, item.uid, item.flags, item.keywords)
                if all(check(candidate) for check in by_flags):
                    left.append((number, item.uid))
            await asyncio.sleep(0)
        found = left
    rest = [test.matches for test in tests if test.cost > Cost.FLAGS]
    if not rest:
        return found

    def passes(candidate: Candidate) -> bool:
        return all(check(candidate) for check in rest)

    left = []
    looked = 0
    for start in range(0, len(found), ROWS_AT_ONCE):
        some = found[start : start + ROWS_AT_ONCE]
        numbers_of = {uid: number for number, uid in some}
        for row in await account.emails(view.mailbox, numbers.join(uid for _, uid in some)):
            number = numbers_of.get(row.uid)
            if number is None:
                continue
            candidate = Candidate(number, row.uid, row.flags, row.keywords, row)
            try:
                matched = passes(candidate)
            except More:
                looked += row.size
                try:
                    candidate.content = await account.content(row)
                    if row.size <= HERE:
                        matched = passes(candidate)
                    else:
                        matched = await asyncio.to_thread(passes, candidate)
                except EmailGone:
                    continue
                except BlobLost as error:
                    session.fault("blob_lost", error, email=row.email)
                    continue
                if looked > BREATH:
                    looked = 0
                    await asyncio.sleep(0)
            if matched:
                left.append((number, row.uid))
        await asyncio.sleep(0)
    return left


def _extended(tag: str, uid: bool, returns: frozenset[str], results: list[int]) -> bytes:
    """The ESEARCH response; without results MIN, MAX and ALL are left out (RFC 4731 section 3.1)."""
    words = [b"* ESEARCH (TAG %b)" % string(tag.encode())]
    if uid:
        words.append(b"UID")
    if results:
        if "MIN" in returns:
            words.append(b"MIN %d" % results[0])
        if "MAX" in returns:
            words.append(b"MAX %d" % results[-1])
        if "ALL" in returns:
            words.append(b"ALL " + numbers.write(numbers.join(results)))
    if "COUNT" in returns:
        words.append(b"COUNT %d" % len(results))
    return b" ".join(words) + b"\r\n"
