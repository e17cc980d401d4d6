"""Reading a Maildir: one folder, the siblings of Maildir++, or folders in folders."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from postillon.admin.moving.journal import Journal
from postillon.admin.moving.model import Bad, Folder, Item, Message, gather
from postillon.mail.maildir import (
    MAX_KEYWORD_FILE,
    base_of,
    marks_of,
    read_keywords,
    split_name,
    unescape,
)
from postillon.mail.mbox import crlf
from postillon.protocol.imap import mutf7

PIECE = 1 << 20  # octets read at once
PARTS = ("cur", "new", "tmp")
KEYWORDS = "dovecot-keywords"
SUBSCRIPTIONS = "subscriptions"
MAX_DEPTH = 20  # folders in folders


class MaildirSource:
    """All folders below `root`. Raises OSError, or Refused for an export with a damaged journal.

    The names of one folder are kept in memory while it is read: about 100 octets for each message.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders = dict(self._find())
        self.octets = sum(
            entry.stat().st_size for path in self._folders.values() for entry in _entries(path)
        )

    def _find(self) -> Iterator[tuple[Folder, Path]]:
        root = self._root
        journal = Journal.read(root)
        if journal is not None:
            for box in journal.mailboxes:
                if is_maildir(root / box.file):
                    yield box.folder(), root / box.file
            return
        if is_maildir(root):
            yield Folder(("INBOX",)), root
        yield from _below(root, (), 1)

    @property
    def empty(self) -> bool:
        """Whether no folder is a Maildir."""
        return not self._folders

    async def folders(self) -> Sequence[Folder]:
        return list(self._folders)

    async def items(self, folder: Folder) -> AsyncIterator[Item]:
        path = self._folders[folder]
        letters = _keywords(path)
        found = sorted((entry.name, entry.path) for entry in _entries(path))
        for name, file in found:
            item = _message(name, Path(file), letters)
            if item is not None:
                yield item


def is_maildir(path: Path) -> bool:
    return (path / "cur").is_dir() or (path / "new").is_dir()


def holds_maildir(root: Path) -> bool:
    """Whether a folder is a Maildir or has one below it."""
    return is_maildir(root) or next(_below(root, (), 1), None) is not None


def _below(folder: Path, above: tuple[str, ...], depth: int) -> Iterator[tuple[Folder, Path]]:
    """Folders in a folder: `.A.B` of Maildir++, and plain ones, which may hold others."""
    for path in sorted(item for item in folder.iterdir() if item.is_dir()):
        if path.name in PARTS:
            continue
        if path.name.startswith("."):
            parts = split_name(path.name)
            if parts and is_maildir(path):
                yield Folder((*above, *map(_decoded, parts))), path
            continue
        here = (*above, _decoded(path.name))
        if is_maildir(path):
            yield Folder(here), path
        if depth < MAX_DEPTH and not path.is_symlink():
            yield from _below(path, here, depth + 1)


def _decoded(part: str) -> str:
    """A name as Courier and Dovecot write it: modified UTF-7, or UTF-8, with escapes."""
    try:
        part = mutf7.decode(part.encode("ascii"))
    except ValueError:
        part = os.fsencode(part).decode("utf-8", "replace")
    return unescape(part)


def _entries(path: Path) -> Iterator[os.DirEntry[str]]:
    for part in ("cur", "new"):
        if (path / part).is_dir():
            with os.scandir(path / part) as entries:
                for entry in entries:
                    if not entry.name.startswith(".") and entry.is_file():
                        yield entry


def _keywords(path: Path) -> dict[str, str]:
    try:
        with (path / KEYWORDS).open("rb") as file:
            return read_keywords(file.read(MAX_KEYWORD_FILE))
    except OSError:
        return {}


def _message(name: str, path: Path, letters: dict[str, str]) -> Item | None:
    """None for a file that went while we read: a client has moved it."""
    flags, words = marks_of(name, letters)
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
            content = gather(_pieces(file.fileno()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        return Bad(str(path), f"it cannot be read: {error}")
    return Message(
        content, str(path), facts.st_size, flags, frozenset(words), facts.st_mtime_ns // 1_000_000,
        os.fsencode(base_of(name)),
    )  # fmt: skip


def _pieces(fd: int) -> Iterator[bytes]:
    """The file with CRLF; a CR that ends a piece waits for the LF of the next."""
    kept = b""
    while piece := os.read(fd, PIECE):
        piece = kept + piece
        kept = b"\r" if piece.endswith(b"\r") else b""
        yield crlf(piece[: len(piece) - len(kept)])
    if kept:
        yield kept
