"""The messages of a maildrop: STAT, LIST, UIDL, RETR, TOP, DELE, RSET (RFC 1939 sections 5 and 7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from postillon.account.emails import EmailRow
from postillon.account.errors import EmailGone
from postillon.protocol.pop3.engine import Command
from postillon.protocol.pop3.writer import err, ok
from postillon.protocol.smtp.content import Stuffer
from postillon.store.operation import BlobLost

if TYPE_CHECKING:
    from postillon.access.pop3.session import Open, Session

SLICE = 256 * 1024  # octets of a message read at a time
LINES_AT_ONCE = 2_000  # of a listing, between two looks at the client
Fact = Callable[[int], bytes]
MAX_DIGITS = 10  # of a number of a message or of lines
BAD_NUMBER = err("Which message? There is none of this number")
GONE = err("This message is no longer there: another session has removed it")


async def nothing(session: Session, command: Command) -> bytes:
    return ok()


async def stat(session: Session, command: Command) -> bytes:
    mailbox = session.opened
    there = _there(mailbox)
    return ok(f"{len(there)} {sum(mailbox.drop.sizes[number] for number in there)}")


async def list_(session: Session, command: Command) -> bytes:
    sizes = session.opened.drop.sizes
    return await _listing(session, command, lambda number: b"%d" % sizes[number])


async def uidl(session: Session, command: Command) -> bytes:
    """RFC 1939 section 7: the same for ever, and never another message's, since UIDs are not reused."""
    drop = session.opened.drop
    validity = drop.uid_validity
    return await _listing(session, command, lambda number: b"%d.%d" % (validity, drop.uids[number]))


async def delete(session: Session, command: Command) -> bytes:
    mailbox = session.opened
    number = _number(mailbox, command.words())
    if number is None or len(command.words()) != 1:
        return BAD_NUMBER
    mailbox.deleted.add(number)
    return ok(f"Message {number + 1} will be deleted")


async def reset(session: Session, command: Command) -> bytes:
    session.opened.deleted.clear()
    return ok("Nothing will be deleted")


async def retrieve(session: Session, command: Command) -> bytes:
    mailbox = session.opened
    number = _number(mailbox, command.words())
    if number is None or len(command.words()) != 1:
        return BAD_NUMBER
    row = await mailbox.drop.email(number)
    if row is None:
        return GONE
    answer = await _say_octets(session, row, None)
    mailbox.read.add(number)
    return answer


async def top(session: Session, command: Command) -> bytes:
    """The header and so many lines of the body. Does not count as reading it."""
    mailbox, words = session.opened, command.words()
    number = _number(mailbox, words)
    if number is None or len(words) != 2 or not _is_number(words[1]):
        return err("TOP takes the number of a message and a number of lines")
    row = await mailbox.drop.email(number)
    return GONE if row is None else await _say_octets(session, row, int(words[1]))


def _there(mailbox: Open) -> list[int]:
    """Numbers of the messages that are not deleted."""
    return [number for number in range(len(mailbox.drop.uids)) if number not in mailbox.deleted]


def _is_number(word: bytes) -> bool:
    return word.isdigit() and len(word) <= MAX_DIGITS


def _number(mailbox: Open, words: list[bytes]) -> int | None:
    """The first word as a number from 0 of a message that is there."""
    if not words or not _is_number(words[0]):
        return None
    number = int(words[0]) - 1
    there = 0 <= number < len(mailbox.drop.uids) and number not in mailbox.deleted
    return number if there else None


async def _listing(session: Session, command: Command, fact: Fact) -> bytes:
    """One fact of one message, or of each."""
    mailbox, words = session.opened, command.words()
    if words:
        number = _number(mailbox, words)
        if number is None or len(words) != 1:
            return BAD_NUMBER
        return ok(f"{number + 1} {fact(number).decode()}")
    there = _there(mailbox)
    session.say(ok(f"{len(there)} messages"))
    for start in range(0, len(there), LINES_AT_ONCE):
        some = there[start : start + LINES_AT_ONCE]
        session.say(b"".join(b"%d %b\r\n" % (number + 1, fact(number)) for number in some))
        await session.breathe()
    return b".\r\n"


async def _say_octets(session: Session, row: EmailRow, lines: int | None) -> bytes:
    """A message with its end, no faster than the client takes it; `lines` of the body or all."""
    octets = _octets(session, row)
    try:
        first = await anext(octets, b"")
    except EmailGone:
        return GONE
    session.say(ok(f"{row.size} octets"))
    stuffer = Stuffer()
    cut = None if lines is None else Top(lines)
    try:
        while first:
            session.say(stuffer.feed(first if cut is None else cut.feed(first)))
            if cut is not None and cut.done:
                break
            await session.breathe()
            first = await anext(octets, b"")
    except (EmailGone, BlobLost) as error:
        # The answer has begun: nothing else can follow but the end.
        session.log.warning("message_cut", email=row.email, error=str(error))
        raise ConnectionAbortedError("a message ended too early") from error
    return stuffer.finish()


async def _octets(session: Session, row: EmailRow) -> AsyncIterator[bytes]:
    account = session.server.accounts.open(session.opened.principal.id)
    head = row.prefix
    if row.ref.length <= SLICE:
        yield head + await account.content(row)  # whole, so that its checksum is verified
        return
    for start in range(0, row.ref.length, SLICE):
        stop = min(start + SLICE, row.ref.length)
        yield head + await account.content(row, start, stop)
        head = b""


class Top:
    """The header, the empty line and the first lines of a body, of octets cut anywhere."""

    def __init__(self, lines: int) -> None:
        self.done = False
        self._lines = lines
        self._body = False
        self._empty = True  # the present line of the header has nothing in it yet

    def feed(self, data: bytes) -> bytes:
        """What of `data` belongs to the answer."""
        at = 0
        while not self._body:
            end = data.find(b"\n", at)
            line = data[at : len(data) if end < 0 else end]
            if line.strip(b"\r"):
                self._empty = False
            if end < 0:
                return data
            at = end + 1
            self._body, self._empty = self._empty, True
        while self._lines > 0:
            end = data.find(b"\n", at)
            if end < 0:
                return data
            at = end + 1
            self._lines -= 1
        self.done = True
        return data[:at]
