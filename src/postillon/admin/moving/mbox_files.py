"""Reading mbox files: one, or a tree of them as Thunderbird, Apple Mail and our own export make it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from postillon.admin.moving.journal import Journal
from postillon.admin.moving.model import Bad, Folder, Item, Message, gather
from postillon.mail.mbox import (
    NotMbox,
    Read,
    Span,
    Variant,
    crlf,
    first_separator,
    separator_date,
    spans,
    take_marks,
    unquoted,
)

PIECE = 1 << 20  # octets converted at once; a message's header must end in the first
LINE = 1_000  # octets of a separator that are read
SUFFIX, NESTED, INDEX, APPLE = ".mbox", ".sbd", ".msf", "mbox"


class MboxSource:
    """One file, or all mbox files below a folder.

    nameless: what one file holds goes into the mailbox that everything is put below. Raises OSError,
    or Refused for an export whose journal is damaged.
    """

    def __init__(
        self, root: Path, variant: Variant = Variant.AUTO, *, nameless: bool = False
    ) -> None:
        self._root, self._variant, self._nameless = root, variant, nameless
        self._files = dict(self._find())
        self.octets = sum(path.stat().st_size for path in self._files.values())

    def _find(self) -> Iterator[tuple[Folder, Path]]:
        root = self._root
        if root.is_file():
            name = root.name.removesuffix(SUFFIX)
            path = ("INBOX",) if name.lower() in ("inbox", APPLE) else (name,)
            yield Folder(() if self._nameless else path), root
            return
        journal = Journal.read(root)
        if journal is None:
            yield from _below(root, ())
            return
        for box in journal.mailboxes:
            if (root / box.file).is_file():
                yield box.folder(), root / box.file

    @property
    def empty(self) -> bool:
        """Whether no file is an mbox."""
        return not self._files

    async def folders(self) -> Sequence[Folder]:
        return list(self._files)

    async def items(self, folder: Folder) -> AsyncIterator[Item]:
        path = self._files[folder]
        with path.open("rb") as file:
            for item in _items(file.fileno(), path, self._variant):
                yield item


def looks_like_mbox(path: Path) -> bool:
    """Whether a file begins as an mbox does."""
    with path.open("rb") as file:
        return file.read(64).lstrip(b"\r\n").startswith(b"From ")


def _below(folder: Path, above: tuple[str, ...]) -> Iterator[tuple[Folder, Path]]:
    """Each mbox file, then what lies in the folder of the same name."""
    for path in sorted(folder.iterdir()):
        name = path.name
        if path.is_file() and name != INDEX and not name.endswith(INDEX) and name[0] != ".":
            if path.stat().st_size == 0 or looks_like_mbox(path):
                yield Folder((*above, name.removesuffix(SUFFIX))), path
        elif path.is_dir() and (path / APPLE).is_file():  # Apple Mail: Name.mbox/mbox
            yield Folder((*above, name.removesuffix(SUFFIX))), path / APPLE
        elif path.is_dir() and name[0] != ".":
            yield from _below(path, (*above, name.removesuffix(NESTED)))


def _items(fd: int, path: Path, variant: Variant) -> Iterator[Item]:
    size = os.fstat(fd).st_size

    def read(offset: int, octets: int) -> bytes:
        return os.pread(fd, octets, offset)

    start = 0
    while start < size:
        try:
            for span in spans(read, size, start, variant):
                start = span.next
                item = _message(read, span, path, variant)
                if item is not None:
                    yield item
            return
        except NotMbox as error:
            after = first_separator(read, size, error.offset)
            where = f"{path} at offset {error.offset}"
            yield Bad(where, "no message begins here", after - start)
            start = after


def _message(read: Read, span: Span, path: Path, variant: Variant) -> Item | None:
    """None for one that was deleted and is only still there."""
    where = f"{path} at offset {span.start}"
    size = span.next - span.start
    line = read(span.start, min(span.content - span.start, LINE))
    head_size = _whole_lines(read, span.content, span.end)
    head, marks = take_marks(crlf(read(span.content, head_size)))
    if marks.expunged:
        return None
    if variant is Variant.AUTO and span.counted:
        variant = Variant.MBOXCL2 if _has_bare_from(read, span) else Variant.MBOXCL

    def pieces() -> Iterator[bytes]:
        yield unquoted(head, variant)
        position = span.content + head_size
        while position < span.end:
            length = _whole_lines(read, position, span.end)
            yield unquoted(crlf(read(position, length)), variant)
            position += length

    try:
        content = gather(pieces())
    except ValueError as error:
        return Bad(where, str(error), size)
    return Message(
        content, where, size, marks.flags, frozenset(marks.keywords), separator_date(line),
        sender=line[5:].split(b" ", 1)[0].decode("ascii", "replace"),
    )  # fmt: skip


def _whole_lines(read: Read, position: int, stop: int) -> int:
    """Octets from a position on that are whole lines, about PIECE of them."""
    length = min(PIECE, stop - position)
    if position + length == stop:
        return length
    end = read(position, length).rfind(b"\n")
    return length if end < 0 else end + 1


def _has_bare_from(read: Read, span: Span) -> bool:
    """Whether a line of the body begins with `From `, which only mboxcl2 leaves so."""
    return any(
        b"\nFrom " in read(max(offset - 6, span.content), min(PIECE + 6, span.end - offset + 6))
        for offset in range(span.content, span.end, PIECE)
    )
