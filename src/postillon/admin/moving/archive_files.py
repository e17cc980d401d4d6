"""The export that needs no Postillon: plain messages, line-delimited JSON, checksums.

README.txt              what this is
postillon-export.json   the mailboxes: path, role, subscription
messages.jsonl          a line for each message: its file, SHA-256, mailbox, flags, keywords, dates
messages/3/17.eml       the octets, as a client sees them: mailbox 3, UID 17
SHA256SUMS              of all of them, for `sha256sum -c`
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from postillon.account.keywords import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from postillon.account.mailboxes import Path as MailboxPath
from postillon.admin.errors import Refused
from postillon.admin.moving.journal import Journal
from postillon.admin.moving.model import Bad, Folder, Item, Message, gather

LIST = "messages.jsonl"
SUMS = "SHA256SUMS"
README = "README.txt"
PIECE = 1 << 20  # octets read at once
MAX_LINE = 1 << 20  # octets of one line of the list

FLAGS = {
    "\\Seen": SEEN,
    "\\Answered": ANSWERED,
    "\\Flagged": FLAGGED,
    "\\Deleted": DELETED,
    "\\Draft": DRAFT,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Line(msgspec.Struct, kw_only=True):
    """A message in the list. Times are ISO 8601, UTC, to the millisecond."""

    file: str
    sha256: str
    octets: int
    mailbox: list[str]
    flags: list[str] = []
    keywords: list[str] = []
    received_at: str = ""  # IMAP's INTERNALDATE
    saved_at: str = ""  # when it came into this mailbox
    uid: int = 0
    uid_validity: int = 0


def write_time(at: int) -> str:
    return (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds")


def read_time(text: str) -> int | None:
    """ms; None for what is no time."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


class ArchiveSource:
    """Raises Refused for a folder that is none. Bad lines come with the first mailbox.

    A first pass finds which stretches of the list belong to which mailbox: few, as an export writes
    one mailbox after the other.
    """

    def __init__(self, root: Path) -> None:
        journal = Journal.read(root)
        if journal is None or not (root / LIST).is_file():
            raise Refused(f"{root} is no export of Postillon")
        self._root = root
        self._folders = [box.folder() for box in journal.mailboxes]
        self._stretches: dict[MailboxPath, list[tuple[int, int]]] = {}
        self._bad: list[Bad] = []
        self.octets = 0
        self._read_list({folder.path for folder in self._folders})

    def _read_list(self, known: set[MailboxPath]) -> None:
        last: MailboxPath = ()
        for start, stop, line in _lines(self._root / LIST):
            if isinstance(line, Bad):
                self._bad.append(line)
                last = ()
                continue
            path = tuple(line.mailbox)
            if path not in known:
                where = f"{self._root / LIST} at offset {start}"
                self._bad.append(Bad(where, f"there is no mailbox {path}"))
                last = ()
                continue
            self.octets += line.octets
            stretches = self._stretches.setdefault(path, [])
            if path == last:
                start = stretches.pop()[0]
            stretches.append((start, stop))
            last = path

    async def folders(self) -> Sequence[Folder]:
        return self._folders

    async def items(self, folder: Folder) -> AsyncIterator[Item]:
        if folder is self._folders[0]:
            for bad in self._bad:
                yield bad
        for start, stop in self._stretches.get(folder.path, ()):
            for offset, _, line in _lines(self._root / LIST, start, stop):
                if isinstance(line, Line):
                    yield self._message(offset, line)

    def _message(self, offset: int, line: Line) -> Item:
        path = self._root / line.file
        if Path(line.file).is_absolute() or ".." in Path(line.file).parts:
            where = f"{self._root / LIST} at offset {offset}"
            return Bad(where, f"{line.file} lies outside of the export")
        digest = hashlib.sha256()

        def pieces() -> Iterator[bytes]:
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    digest.update(piece)
                    yield piece

        try:
            content = gather(pieces())
        except (OSError, ValueError) as error:
            return Bad(str(path), f"it cannot be read: {error}")
        if digest.hexdigest() != line.sha256:
            return Bad(str(path), "its checksum is wrong", len(content))
        flags = sum(FLAGS[flag] for flag in set(line.flags) if flag in FLAGS)
        return Message(
            content, str(path), len(content), flags, frozenset(line.keywords),
            read_time(line.received_at),
            f"{line.uid_validity}/{line.uid}/{line.sha256}".encode(), line.uid,
            read_time(line.saved_at) or 0,
        )  # fmt: skip


def _lines(
    path: Path, start: int = 0, stop: int | None = None
) -> Iterator[tuple[int, int, Line | Bad]]:
    """Lines with where they begin and end."""
    decoder = msgspec.json.Decoder(Line)
    with path.open("rb") as file:
        file.seek(start)
        while (stop is None or start < stop) and (raw := file.readline(MAX_LINE)):
            end = start + len(raw)
            try:
                yield start, end, decoder.decode(raw)
            except msgspec.MsgspecError as error:
                yield start, end, Bad(f"{path} at offset {start}", str(error))
            start = end


def listed(
    message: Message, file: str, mailbox: MailboxPath, uid_validity: int, sha256: str
) -> bytes:
    """The line for a message."""
    line = Line(
        file=file, sha256=sha256, octets=len(message.content), mailbox=list(mailbox),
        flags=[name for name, flag in FLAGS.items() if message.flags & flag],
        keywords=sorted(message.keywords), received_at=write_time(message.received_at or 0),
        saved_at=write_time(message.saved_at), uid=message.uid, uid_validity=uid_validity,
    )  # fmt: skip
    return msgspec.json.encode(line) + b"\n"


def write_sums(root: Path) -> None:
    """SHA256SUMS of everything in a finished export, from the list; in constant memory."""
    decoder = msgspec.json.Decoder(Line)
    new = root / f".{SUMS}"
    with new.open("wb") as out:
        for name in (README, LIST):
            with (root / name).open("rb") as file:
                sum_ = hashlib.file_digest(file, "sha256").hexdigest()
            out.write(f"{sum_}  {name}\n".encode())
        with (root / LIST).open("rb") as file:
            for raw in file:
                line = decoder.decode(raw)
                out.write(f"{line.sha256}  {line.file}\n".encode())
        out.flush()
        os.fsync(out.fileno())
    os.replace(new, root / SUMS)
