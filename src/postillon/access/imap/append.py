"""APPEND: messages come in pieces, large ones into a file without a name, and go in all or none."""

from __future__ import annotations

import asyncio
import mmap
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from postillon.access.imap import flags
from postillon.access.imap.answer import Answer, no, ok
from postillon.access.imap.changing import NO_SUCH, READ_ONLY
from postillon.access.imap.errors import REFUSABLE, refusal
from postillon.access.imap.places import place
from postillon.account.account import Account
from postillon.account.arriving import ToAppend
from postillon.account.emails import Placed
from postillon.account.errors import MailboxNotFound
from postillon.account.ids import MailboxId, Uid
from postillon.account.keywords import check_keywords
from postillon.account.rights import Right
from postillon.mail.mime import scan
from postillon.mail.octets import Octets
from postillon.protocol.imap import commands, numbers
from postillon.protocol.imap.dates import parse_date_time
from postillon.protocol.imap.engine import Refusal, Upload
from postillon.protocol.imap.words import Refused

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

IN_MEMORY = 1024 * 1024  # octets of one message; a larger one lies in a file
SCANNED_HERE = 256 * 1024  # octets; a larger one is scanned in another thread
TOGETHER = 2  # times the append limit that the messages of one command may have


@dataclass(slots=True)
class _Message:
    flags: int
    keywords: frozenset[str]
    received_at: int | None
    content: Octets = b""


class Uploads:
    """The messages of one APPEND while they come."""

    def __init__(self, account: Account, mailbox: MailboxId, folder: Path | None) -> None:
        self.account = account
        self.mailbox = mailbox
        self.messages: list[_Message] = []
        self.size = 0  # octets announced
        self.has_nul = False
        self.binary = False  # one of them comes as literal8
        self._folder = folder
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None

    def expect(self, message: _Message, size: int, *, binary: bool) -> None:
        self.binary = self.binary or binary
        self.messages.append(message)
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
        """All octets of the last message are there."""
        if self._file is None:
            self.messages[-1].content = b"".join(self._pieces)
            self._pieces.clear()
            return
        with self._file as file:
            self._file = None
            file.flush()
            # The map keeps the file; without a name and an open end it goes when the map does.
            self.messages[-1].content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def discard(self) -> None:
        """Let go of files and maps."""
        if self._file is not None:
            self._file.close()
        for message in self.messages:
            if isinstance(message.content, mmap.mmap):
                message.content.close()
        self.messages.clear()
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
    bits, words = flags.read(event.flags)
    keywords = check_keywords(words)
    received_at = None
    if event.received is not None:
        received_at = parse_date_time(event.received)
        if received_at is None:
            raise Refused("Malformed date")
    if event.size > config.append_limit:
        return no("The message is too large", b"TOOBIG")
    if not event.size:
        return no("The message is empty")
    upload = session.upload
    if upload is None or event.first:
        where = await place(session, event.mailbox)
        mailbox = await where.find(Right.INSERT)
        if mailbox is None or not mailbox.selectable:
            return no("There is no such mailbox", b"TRYCREATE")
        upload = session.upload = Uploads(where.account, mailbox.id, session.server.spool_folder)
    if len(upload.messages) >= config.append_together:
        return no("Too many messages at once", b"LIMIT")
    if upload.size + event.size > TOGETHER * config.append_limit:
        return no("The messages are too large together", b"TOOBIG")
    if not await session.server.accounts.room(upload.account.id, upload.size + event.size):
        return no("The quota is used up", b"OVERQUOTA")
    upload.expect(_Message(bits, keywords, received_at), event.size, binary=event.binary)
    return None


async def finish(session: Session, command: commands.Command) -> Answer:
    """All messages are there: put them into the mailbox, all or none (RFC 3502)."""
    upload, session.upload = session.upload, None
    assert upload is not None
    try:
        refused = _unfit(upload)
        if refused is not None:
            return refused
        messages = await _scanned(upload)
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
    upload, session.upload = session.upload, None
    assert upload is not None
    view = session.selected
    try:
        named = ((argument.replaces, argument.replaces),)
        ranges, _ = view.pick(named, uid=argument.uid)
        refused = _unfit(upload)
        if view.read_only:
            return READ_ONLY
        if not ranges or refused is not None:
            return refused or no("There is no such message", b"NONEXISTENT")
        [message] = await _scanned(upload)
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


def _unfit(upload: Uploads) -> Answer | None:
    if not upload.has_nul:
        return None
    # RFC 3501 section 4.3.1; in a literal8 it is allowed and yet not kept (RFC 3516).
    return no("A message holds NUL", b"UNKNOWN-CTE" if upload.binary else b"CANNOT")


async def _scanned(upload: Uploads) -> list[ToAppend]:
    return [
        ToAppend(
            message.content,
            scan(message.content)
            if len(message.content) <= SCANNED_HERE
            else await asyncio.to_thread(scan, message.content),
            message.flags,
            message.keywords,
            message.received_at,
        )
        for message in upload.messages
    ]


def _appenduid(placed: Sequence[Placed]) -> bytes:
    uids = numbers.write(numbers.join(item.uid for item in placed))
    return b"APPENDUID %d %b" % (placed[0].uid_validity, uids)
