"""SEARCH (RFC 3501 section 6.4.4) with RETURN (RFC 4731), SAVE (RFC 5182) and PARTIAL (RFC 9394)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING

from postillon.access.imap import contexts, limiting, texts, tree
from postillon.access.imap.answer import Answer, bad, no, ok
from postillon.access.imap.extras import Extra
from postillon.access.imap.matching import Candidate, Cost, Headed, Marked, More, Test, compile_key
from postillon.access.imap.texts import Found
from postillon.access.imap.view import View
from postillon.account import marks
from postillon.account.account import Account
from postillon.account.errors import EmailGone
from postillon.account.ids import Uid
from postillon.account.marks import Mark
from postillon.protocol.imap import commands, numbers
from postillon.protocol.imap.writer import string
from postillon.store.operation import BlobLost

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

NOTHING = ((numbers.MAX_NUMBER + 1, numbers.MAX_NUMBER + 1),)  # a set that holds no message
MARKS_AT_ONCE = 5_000  # messages whose flags alone are read between two breaths
FLAGS_AT_ONCE = 2_000  # those whose placements are
HEADERS_AT_ONCE = 1_000
ROWS_AT_ONCE = 200
CONTENTS_AT_ONCE = 100
MIN_BATCH = 500  # messages of one batch of UIDBATCHES: no client may ask for fewer (RFC 10022)
HERE = 32 * 1024  # octets of a message that is looked through in the loop's thread
BREATH = 256 * 1024  # octets looked through between two breaths


async def search(session: Session, command: commands.Command) -> Answer:
    argument = command.argument
    assert isinstance(argument, commands.Search)
    return await _answer(session, session.selected, argument, command.tag)


async def _answer(session: Session, view: View, argument: commands.Search, tag: str) -> Answer:
    returns = argument.returns
    if argument.charset and Extra.UTF8 in session.extras:
        return bad("All text is UTF-8")  # RFC 9755 section 3
    most = session.server.config.message_limit
    save = returns is not None and "SAVE" in returns
    if save:
        saved, view.saved = view.saved, []  # empty should we fail (RFC 5182 section 2.1)
        result = await find(session, view, _with_saved(argument.key, saved), most=most)
    else:
        result = await find(session, view, argument.key, most=most)
    found, modseqs = result.found, result.modseqs
    if save:
        assert returns is not None
        view.saved = numbers.join(uid for _, uid in _chosen(returns, argument.partial, found))
    results = [uid if argument.uid else number for number, uid in found]
    if returns is None and not session.rev2:
        text = " ".join(["* SEARCH", *map(str, results)]).encode("ascii")
        if modseqs:
            text += b" (MODSEQ %d)" % max(modseqs.values())
        session.say(text + b"\r\n")
        return _ended(result, most)
    wanted = frozenset({"ALL"}) if returns is None else returns
    if wanted == {"SAVE"}:
        return _ended(result, most)  # RFC 5182 section 2.1: nothing is said
    session.say(_extended(_correlator(tag), argument, wanted, result))
    if "UPDATE" in wanted:
        contexts.keep(session, tag, argument, [uid for _, uid in found], whole=not result.lowest)
    return _ended(result, most)


def _ended(result: Result, most: int) -> Answer:
    if not result.lowest:
        return ok()
    return ok("Partly done", limiting.code(most, result.lowest))


async def multisearch(session: Session, command: commands.Command) -> Answer:
    """ESEARCH (RFC 7377): the same search in several mailboxes, with an answer for each that has any.

    The selected one is answered from its view, the others as they are now.
    """
    argument = command.argument
    assert isinstance(argument, commands.MultiSearch)
    search = argument.search
    assert search.returns is not None
    for entry in await tree.chosen(session, argument.sources):
        here, account, mailbox = session.view, entry.account, entry.mailbox
        if here is not None and here.mailbox == mailbox.id and here.account.id == account.id:
            view = here
        else:
            uids = await account.uids(mailbox.id)
            view = View(
                mailbox.id, uids, modseq=mailbox.modseq, uid_next=mailbox.uid_next,
                uid_validity=mailbox.uid_validity, read_only=True, account=account,
            )  # fmt: skip
        result = await find(session, view, search.key)
        if "SAVE" in search.returns:
            view.saved = numbers.join(uid for _, uid in _chosen(search.returns, None, result.found))
        if result.found or view is here:
            head = b"TAG %b MAILBOX %b UIDVALIDITY %d" % (
                string(command.tag.encode()), session.name_of(entry.name), view.uid_validity,
            )  # fmt: skip
            session.say(_extended(head, search, search.returns, result))
        await session.breathe()
    return ok()


def _correlator(tag: str) -> bytes:
    return b"TAG " + string(tag.encode())


async def batches(session: Session, command: commands.Command) -> Answer:
    """RFC 10022: ranges that touch each other down to UID 1, so that new gaps change nothing."""
    argument = command.argument
    assert isinstance(argument, commands.Batches)
    uids, size = session.selected.uids, argument.size
    if size < MIN_BATCH:
        return no(f"A batch is of {MIN_BATCH} messages at least", b"TOOFEW")
    refused = limiting.too_many(session, size)
    if refused is not None:
        return refused
    batches = -(-len(uids) // size)
    last = min(batches, argument.last or numbers.MAX_NUMBER)
    words: list[bytes] = []
    for batch in range(argument.first, last + 1):
        stop = len(uids) - (batch - 1) * size  # places from 0, the batch ends before it
        high = uids[stop - 1] if batch == 1 else uids[stop] - 1
        low = 1 if batch == batches else uids[stop - size]
        words.append(b"%d:%d" % (high, low))
    text = b" " + b",".join(words) if words else b""
    session.say(b"* UIDBATCHES (TAG %b)%b\r\n" % (string(command.tag.encode()), text))
    return ok()


@dataclass(frozen=True, slots=True)
class Result:
    """What matches. By UID: MODSEQs if the search is about them, how well each fits a fuzzy one."""

    found: Found
    modseqs: dict[int, int]
    fit: dict[int, int]  # 1 to 100 (RFC 6203 section 4)
    lowest: int = 0  # the lowest UID that was looked at, where not all were (RFC 9738)


async def find(session: Session, view: View, key: commands.SearchKey, *, most: int = 0) -> Result:
    """What a search finds. most: how many messages may be looked at, the newest; 0: all."""
    by_modseq = _names_modseq(key)
    if by_modseq:
        session.use(Extra.CONDSTORE)
    parts = key.keys if isinstance(key, commands.All) else (key,)
    parts = tuple(part for part in parts if not isinstance(part, commands.Everything))
    now = session.server.clock()
    answers = await texts.ask(view.account, key)
    tests = [compile_key(part, view, now, answers, only_uids=session.uid_only) for part in parts]
    free = [test.matches for test in tests if test.cost is Cost.NUMBER]
    found = [
        (number, uid)
        for number, uid in enumerate(view.uids, 1)
        if all(check(Candidate(number, uid)) for check in free)
    ] if free else list(enumerate(view.uids, 1))  # fmt: skip
    lowest = 0
    if most and len(found) > most:
        found = found[-most:]
        lowest = found[0][1]
    costly = sorted((t for t in tests if t.cost is not Cost.NUMBER), key=lambda test: test.cost)
    modseqs: dict[int, int] = {}
    if costly and found:
        found = await _search(session, view, found, costly, modseqs)
    return Result(
        found,
        {uid: modseqs[uid] for _, uid in found} if by_modseq else {},
        await texts.fit(view.account, view.mailbox, found, key, answers),
        lowest,
    )


def _names_modseq(key: commands.SearchKey) -> bool:
    match key:
        case commands.Since():
            return True
        case commands.Not(inner):
            return _names_modseq(inner)
        case commands.Either(keys) | commands.All(keys):
            return any(map(_names_modseq, keys))
    return False


def _with_saved(key: commands.SearchKey, saved: list[tuple[int, int]]) -> commands.SearchKey:
    """`$` in a search that saves means what was saved before (RFC 5182 section 2.1)."""
    match key:
        case commands.Numbered(_, numbers.SAVED):
            return commands.Numbered(True, tuple(saved) or NOTHING)
        case commands.Not(inner):
            return commands.Not(_with_saved(inner, saved))
        case commands.Either((first, second)):
            return commands.Either((_with_saved(first, saved), _with_saved(second, saved)))
        case commands.All(keys):
            return commands.All(tuple(_with_saved(item, saved) for item in keys))
    return key


def _chosen(returns: frozenset[str], partial: tuple[int, int] | None, found: Found) -> Found:
    """Which results a RETURN names: all, unless it asks for MIN, MAX or a part alone."""
    if not found or returns & {"ALL", "COUNT", "RELEVANCY"}:
        return found
    if partial is not None:
        low, high = numbers.places(partial, len(found))
        return found[low - 1 : max(high, 0)]
    ends = found[:1] if "MIN" in returns else []
    if "MAX" in returns and (not ends or len(found) > 1):
        ends = ends + found[-1:]
    return ends or found


async def _search(
    session: Session, view: View, found: Found, tests: list[Test], modseqs: dict[int, int]
) -> Found:
    """Those that pass all tests. What costs least first: it leaves less to be read."""
    by_index = [test.hits for test in tests if test.hits is not None]
    if by_index:
        sure, found = await texts.narrow(view.account, view, found, by_index)
        if len(by_index) == len(tests):
            return sorted(sure + await _by_rows(session, view, found, tests, modseqs))
        found = sorted(sure + found)
    marked = [test.marks for test in tests if test.marks is not None]
    if marked:
        found = await _by_marks(session, view, found, marked)
        tests = [test for test in tests if test.marks is None]
    early = [test for test in tests if test.cost <= Cost.INDEX]
    late = [test for test in tests if test.cost > Cost.FLAGS]
    if early:
        sure, found = await _by_placements(session, view, found, early, modseqs)
        if len(early) == len(tests):
            return sorted(sure + await _by_rows(session, view, found, late, modseqs))
        found = sorted(sure + found)
    headed = [test.headed for test in late if test.headed is not None]
    if headed:
        found = await _by_headers(session, view, found, headed)
        late = [test for test in late if test.headed is None]
    return await _by_rows(session, view, found, late, modseqs)


async def _by_marks(session: Session, view: View, found: Found, tests: Sequence[Marked]) -> Found:
    """Those whose flags and keywords pass; each combination of them is looked at once."""
    passes: dict[Mark, bool] = {}
    left: Found = []
    for start in range(0, len(found), MARKS_AT_ONCE):
        some = found[start : start + MARKS_AT_ONCE]
        (first, low), (last, high) = some[0], some[-1]
        there: Sequence[Mark] = ()
        if last - first + 1 == len(some):  # all that the view has between the two
            there = await view.account.marks(view.mailbox, Uid(low), Uid(high))
        if len(there) == len(some):
            for mark in set(there).difference(passes):
                flags, words = marks.read(mark)
                passes[mark] = all(test(flags, words) for test in tests)
            left += compress(some, map(passes.__getitem__, there))
        else:
            ranges = numbers.join(uid for _, uid in some)
            rows = await view.account.placements(view.mailbox, ranges)
            fit = {row.uid for row in rows if all(test(row.flags, row.keywords) for test in tests)}
            left += (pair for pair in some if pair[1] in fit)
        session.progress(start, len(found))
        await asyncio.sleep(0)
    return left


async def _by_placements(
    session: Session, view: View, found: Found, tests: list[Test], modseqs: dict[int, int]
) -> tuple[Found, Found]:
    """Those that pass, and those of which that is not yet known."""
    checks = [test.matches for test in tests]
    sure: Found = []
    more: Found = []
    for start in range(0, len(found), FLAGS_AT_ONCE):
        some = found[start : start + FLAGS_AT_ONCE]
        numbers_of = {uid: number for number, uid in some}
        ranges = numbers.join(uid for _, uid in some)
        for item in await view.account.placements(view.mailbox, ranges):
            number = numbers_of.get(item.uid)
            if number is None:
                continue
            modseqs[item.uid] = item.modseq
            candidate = Candidate(
                number, item.uid, item.flags, item.keywords, item.modseq, item.email
            )
            try:
                if not all(check(candidate) for check in checks):
                    continue
                sure.append((number, item.uid))
            except More:
                more.append((number, item.uid))
        session.progress(start, len(found))
        await asyncio.sleep(0)
    return sure, more


async def _by_headers(session: Session, view: View, found: Found, tests: Sequence[Headed]) -> Found:
    """Those whose header digest passes, of which nothing else is read."""
    left: Found = []
    for start in range(0, len(found), HEADERS_AT_ONCE):
        some = found[start : start + HEADERS_AT_ONCE]
        rows = await view.account.header_digests(view.mailbox, numbers.join(uid for _, uid in some))
        fit = {uid for uid, packed in rows if all(test(packed) for test in tests)}
        left += (pair for pair in some if pair[1] in fit)
        session.progress(start, len(found))
        await session.flush()
        await asyncio.sleep(0)
    return left


async def _by_rows(
    session: Session, view: View, found: Found, tests: list[Test], modseqs: dict[int, int]
) -> Found:
    """Those that pass, with all of the message at hand."""
    checks = [test.matches for test in tests]

    def passes(candidate: Candidate) -> bool:
        return all(check(candidate) for check in checks)

    if not checks:
        return found
    account = view.account
    read = account.emails if any(test.digest for test in tests) else account.located
    left: Found = []
    for start in range(0, len(found), ROWS_AT_ONCE):
        some = found[start : start + ROWS_AT_ONCE]
        numbers_of = {uid: number for number, uid in some}
        passed: list[Candidate] = []
        unread: list[Candidate] = []
        for row in await read(view.mailbox, numbers.join(uid for _, uid in some)):
            number = numbers_of.get(row.uid)
            if number is None:
                continue
            candidate = Candidate(
                number, row.uid, row.flags, row.keywords, row.modseq, row.email, row
            )
            try:
                if passes(candidate):
                    passed.append(candidate)
            except More:
                unread.append(candidate)
        for at in range(0, len(unread), CONTENTS_AT_ONCE):
            these = unread[at : at + CONTENTS_AT_ONCE]
            passed += await _by_contents(session, account, these, passes)
        for candidate in passed:
            modseqs[candidate.uid] = candidate.modseq
        left += sorted((candidate.number, candidate.uid) for candidate in passed)
        session.progress(start + len(some), len(found))
        await session.flush()
        await asyncio.sleep(0)
    return left


async def _by_contents(
    session: Session,
    account: Account,
    candidates: Sequence[Candidate],
    passes: Callable[[Candidate], bool],
) -> list[Candidate]:
    """Those that pass, with their octets. Small ones are read together."""
    rows = [candidate.known() for candidate in candidates]
    there = await account.contents(rows, [row.ref.length for row in rows], HERE)
    passed: list[Candidate] = []
    looked = 0
    for candidate, row, octets in zip(candidates, rows, there, strict=True):
        looked += row.size
        try:
            candidate.content = octets if octets is not None else await account.content(row)
            if row.size <= HERE:
                matched = passes(candidate)
            else:
                matched = await asyncio.to_thread(passes, candidate)
        except EmailGone:
            continue
        except BlobLost as error:
            session.fault("blob_lost", error, email=row.email)
            continue
        candidate.content = None
        if matched:
            passed.append(candidate)
        if looked > BREATH:
            looked = 0
            await asyncio.sleep(0)
    return passed


def _extended(
    head: bytes,
    search: commands.Search,
    returns: frozenset[str],
    result: Result,
) -> bytes:
    """The ESEARCH response; without results MIN, MAX and ALL are left out (RFC 4731 section 3.1)."""
    found, modseqs = result.found, result.modseqs
    results = [uid if search.uid else number for number, uid in found]
    fit = [result.fit[uid] for _, uid in found] if "RELEVANCY" in returns else []
    words = esearch(head, search.uid, returns, search.partial, results, fit)
    chosen = _chosen(returns, search.partial, found) if modseqs else []
    if chosen:
        words.append(b"MODSEQ %d" % max(modseqs[uid] for _, uid in chosen))
    return b" ".join(words) + b"\r\n"


def esearch(
    head: bytes,
    uid: bool,
    returns: frozenset[str],
    partial: tuple[int, int] | None,
    results: list[int],
    fit: list[int],
) -> list[bytes]:
    """The words of an ESEARCH response, for results in the order in which they are counted.

    fit: how well each fits, where RELEVANCY is wanted.
    """
    words = [b"* ESEARCH (%b)" % head]
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
    if partial is not None:
        low, high = numbers.places(partial, len(results))
        part = results[low - 1 : max(high, 0)]
        text = numbers.write(numbers.join(part)) if part else b"NIL"
        words.append(b"PARTIAL (%d:%d %b)" % (*partial, text))
        fit = fit[low - 1 : max(high, 0)]  # the scores are those of the results shown
    if fit and "RELEVANCY" in returns:
        words.append(b"RELEVANCY (%b)" % b" ".join([b"%d" % score for score in fit]))
    return words
