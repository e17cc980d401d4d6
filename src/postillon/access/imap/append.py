"""APPEND: messages come in pieces, large ones into a file without a name, and go in all or none.

CATENATE (RFC 4469) puts a message together of texts that come so and of what URLs name.
"""

from __future__ import annotations

import asyncio
import mmap
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from postillon.access.imap import flags, limiting, linked
from postillon.access.imap.answer import Answer, no, ok
from postillon.access.imap.changing import NO_SUCH, READ_ONLY
from postillon.access.imap.errors import REFUSABLE, refusal
from postillon.access.imap.linked import Linked
from postillon.access.imap.places import place
from postillon.account.account import Account
from postillon.account.arriving import ToAppend
from postillon.account.emails import Placed
from postillon.account.errors import AccountError, MailboxNotFound
from postillon.account.ids import MailboxId, Uid
from postillon.account.keywords import check_keywords
from postillon.account.rights import Right
from postillon.mail.mime import scan
from postillon.mail.octets import Octets
from postillon.protocol.imap import commands, numbers, urls
from postillon.protocol.imap.dates import parse_date_time
from postillon.protocol.imap.engine import Refusal, Upload
from postillon.protocol.imap.words import Refused
from postillon.store.operation import BlobLost

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

IN_MEMORY = 1024 * 1024  # octets of one message; a larger one lies in a file
SCANNED_HERE = 256 * 1024  # octets; a larger one is scanned in another thread
AT_ONCE = 256 * 1024  # octets of a text copied at a time
NO_MAILBOX = no("There is no such mailbox", b"TRYCREATE")
TOGETHER = 2  # times the append limit that the messages of one command may have


class Uploads:
    """The messages and texts of one APPEND while they come."""

    def __init__(self, account: Account, mailbox: MailboxId, folder: Path | None) -> None:
        self.account = account
        self.mailbox = mailbox
        self.contents: list[Octets] = []
        self.size = 0  # octets announced
        self.has_nul = False
        self.binary = False  # one of them comes as literal8
        self._folder = folder
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None

    def expect(self, size: int, *, binary: bool = False) -> None:
        self.binary = self.binary or binary
        self.size += size
        if size > IN_MEMORY:
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed below

    def add(self, data: bytes) -> None:
        self.has_nul = self.has_nul or b"\0" in data
        if self._file is not None:
            self._file.write(data)
        else:
            self._pieces.append(data)

    def arrived(self) -> None:
        """All octets of what was expected last are there."""
        if self._file is None:
            self.contents.append(b"".join(self._pieces))
            self._pieces.clear()
            return
        with self._file as file:
            self._file = None
            file.flush()
            # The map keeps the file; without a name and an open end it goes when the map does.
            self.contents.append(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def discard(self) -> None:
        """Let go of files and maps."""
        if self._file is not None:
            self._file.close()
            self._file = None
        for content in self.contents:
            if isinstance(content, mmap.mmap):
                content.close()
        self.contents.clear()
        self._pieces.clear()


async def begin(session: Session, event: Upload) -> None:
    """Decide about a message before its octets are asked for (FAULTS 26)."""
    try:
        answer = await _check(session, event)
    except REFUSABLE as error:
        answer = refusal(error)
    except Refused as refused:
        answer = Answer(refused.status, refused.text, refused.code.encode())
    if answer is None:
        session.engine.accept()
        if event.waits:
            session.say(b"+ Go on\r\n")
        return
    session.engine.refuse(Refusal(event.tag, answer.text, answer.status, answer.code.decode()))


async def _check(session: Session, event: Upload) -> Answer | None:
    """Why the message is not wanted; None: it is, and `session.upload` expects it."""
    if not session.logged_in:
        raise Refused("Not in this state")
    config = session.server.config
    _head(event.flags, event.received)
    if event.size > config.append_limit:
        return no("The message is too large", b"TOOBIG")
    if not event.size and not event.part:
        return no("The message is empty")
    upload = session.upload
    if upload is None or event.first:
        if upload is not None:
            upload.discard()
        upload = await _uploads(session, event.mailbox)
        if upload is None:
            return NO_MAILBOX
        session.upload = upload
    if len(upload.contents) >= config.append_together:
        return no("Too many messages at once", b"LIMIT")
    if upload.size + event.size > TOGETHER * config.append_limit:
        return no("The messages are too large together", b"TOOBIG")
    if not await session.server.accounts.room(upload.account.id, upload.size + event.size):
        return no("The quota is used up", b"OVERQUOTA")
    upload.expect(event.size, binary=event.binary)
    return None


async def _uploads(session: Session, mailbox: bytes) -> Uploads | None:
    """For messages to a mailbox of this name; None where there is none."""
    where = await place(session, mailbox)
    found = await where.find(Right.INSERT)
    if found is None or not found.selectable:
        return None
    return Uploads(where.account, found.id, session.server.spool_folder)


def _head(said: Sequence[str], date: bytes | None) -> tuple[int, frozenset[str], int | None]:
    """Flags, keywords and date-time of a message. Raises Refused, BadKeyword or TooManyKeywords."""
    bits, words = flags.read(said)
    keywords = check_keywords(words)
    received_at = None
    if date is not None:
        received_at = parse_date_time(date)
        if received_at is None:
            raise Refused("Malformed date")
    return bits, keywords, received_at


async def finish(session: Session, command: commands.Command) -> Answer:
    """All octets are there: put the messages into the mailbox, all or none (RFC 3502)."""
    argument = command.argument
    assert isinstance(argument, commands.AppendDone)
    upload = await _taken(session, argument)
    if upload is None:
        return NO_MAILBOX
    try:
        refused = _unfit(upload)
        if len(argument.messages) > session.server.config.append_together:
            refused = no("Too many messages at once", b"LIMIT")
        refused = limiting.too_many(session, len(argument.messages)) or refused
        if refused is not None:
            return refused
        messages = await _scanned(session, upload, argument)
        placed = await upload.account.append_many(upload.mailbox, messages)
        messages.clear()
    except MailboxNotFound:
        return no("The mailbox is gone", b"TRYCREATE")
    finally:
        upload.discard()
    return ok("Appended", _appenduid(placed))


async def replace(session: Session, command: commands.Command) -> Answer:
    """RFC 8508: the new message comes and the old one goes, both or neither."""
    argument = command.argument
    assert isinstance(argument, commands.AppendDone)
    assert argument.replaces is not None
    view = session.selected
    upload = await _taken(session, argument)
    if upload is None:
        return NO_MAILBOX
    try:
        named = ((argument.replaces, argument.replaces),)
        ranges, _ = view.pick(named, uid=argument.uid)
        refused = _unfit(upload)
        if view.read_only:
            return READ_ONLY
        if not ranges or refused is not None:
            return refused or no("There is no such message", b"NONEXISTENT")
        [message] = await _scanned(session, upload, argument)
        uid = Uid(ranges[0][0])
        placed = await view.account.replace(
            view.mailbox, uid, upload.mailbox, message, upload.account
        )
        del message
    except ValueError:
        return NO_SUCH
    except MailboxNotFound:
        return no("The mailbox is gone", b"TRYCREATE")
    finally:
        upload.discard()
    session.say(b"* OK [%b] Replaced\r\n" % _appenduid([placed]))
    return ok("Replaced")


async def _taken(session: Session, argument: commands.AppendDone) -> Uploads | None:
    """What has come; a message of nothing but URLs begins here. None: there is no such mailbox."""
    upload, session.upload = session.upload, None
    return upload or await _uploads(session, argument.mailbox)


def _unfit(upload: Uploads) -> Answer | None:
    if not upload.has_nul:
        return None
    # RFC 3501 section 4.3.1; in a literal8 it is allowed and yet not kept (RFC 3516).
    return no("A message holds NUL", b"UNKNOWN-CTE" if upload.binary else b"CANNOT")


async def _scanned(
    session: Session, upload: Uploads, argument: commands.AppendDone
) -> list[ToAppend]:
    """The messages as they will lie in the mailbox. Raises Refused."""
    come = iter(list(upload.contents))
    found = []
    for message in argument.messages:
        head = _head(message.flags, message.received)
        if message.parts is None:
            content = next(come)
        else:
            content = await _catenated(session, upload, message.parts, come)
        if len(content) <= SCANNED_HERE:
            facts = scan(content)
        else:
            facts = await asyncio.to_thread(scan, content)
        found.append(ToAppend(content, facts, *head))
    return found


async def _catenated(
    session: Session, upload: Uploads, parts: Sequence[bytes | None], come: Iterator[Octets]
) -> Octets:
    """One message out of texts and of what URLs name (RFC 4469 section 3). Raises Refused."""
    pieces: list[Octets | Linked] = []
    for url in parts:
        if url is None:
            pieces.append(next(come))
            continue
        try:
            pieces.append(await linked.own(session, urls.parse(url)))
        except urls.BadUrl as error:
            raise _bad_url(url, str(error)) from error
    size = sum(piece.size if isinstance(piece, Linked) else len(piece) for piece in pieces)
    if size > session.server.config.append_limit:
        raise Refused("The message is too large", "NO", "TOOBIG")
    if not size:
        raise Refused("The message is empty", "NO")
    upload.expect(size)
    for piece, url in zip(pieces, parts, strict=True):
        if not isinstance(piece, Linked):
            for start in range(0, len(piece), AT_ONCE):
                upload.add(bytes(piece[start : start + AT_ONCE]))
            continue
        try:
            async for octets in piece.octets():
                upload.add(octets)
                await asyncio.sleep(0)
        except (AccountError, BlobLost) as error:
            raise _bad_url(url or b"", "the message is gone") from error
    upload.arrived()
    return upload.contents[-1]


def _bad_url(url: bytes, why: str) -> Refused:
    """The code names the URL (RFC 4469 section 4); what cannot stand in a code is left out."""
    named = url.decode("ascii", "replace")[: urls.MAX_URL]
    code = f"BADURL {named}" if named.isprintable() and "]" not in named else "BADURL"
    return Refused(f"Something cannot be had: {why}", "NO", code)


def _appenduid(placed: Sequence[Placed]) -> bytes:
    uids = numbers.write(numbers.join(item.uid for item in placed))
    return b"APPENDUID %d %b" % (placed[0].uid_validity, uids)
