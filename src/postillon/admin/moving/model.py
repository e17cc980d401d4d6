"""What all sources and places of mail have in common: folders, and messages with what is kept."""

from __future__ import annotations

import mmap
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Protocol

import msgspec

from postillon.account.mailboxes import Path as MailboxPath
from postillon.account.roles import Role
from postillon.mail.octets import Octets

IN_MEMORY = 4 << 20  # octets of one message; a larger one lies in a file without a name
MAX_MESSAGE = 2 << 30  # octets of one message; ours


class Folder(msgspec.Struct, frozen=True):
    """A mailbox of a source. `key`: what the source knows it by."""

    path: MailboxPath
    key: str = ""
    role: Role | None = None
    subscribed: bool = True
    uid_validity: int = 0


class Message(msgspec.Struct, frozen=True):
    """A message with what is kept of it.

    identity: what tells it from all others of its folder, as octets; b"" for its content. flags: bits
    of account.keywords. received_at: ms; None is not known. where: for people. size: octets it took in
    the source. uid, saved_at: where the source has such.
    """

    content: Octets
    where: str
    size: int
    flags: int = 0
    keywords: frozenset[str] = frozenset()
    received_at: int | None = None
    identity: bytes = b""
    uid: int = 0
    saved_at: int = 0
    sender: str = ""  # of the envelope; "" is not known


class Bad(msgspec.Struct, frozen=True):
    """Something that could not be taken: where (file and offset), and why, for people."""

    where: str
    why: str
    size: int = 0


Item = Message | Bad


class Source(Protocol):
    """Somewhere mail can be read from."""

    octets: int  # of all messages together, as far as that is known; 0 is not known

    async def folders(self) -> Sequence[Folder]:
        """All folders, each after those above it."""

    def items(self, folder: Folder) -> AsyncIterator[Item]:
        """The messages of a folder in their order."""


def gather(pieces: Iterable[bytes]) -> Octets:
    """Pieces as one content: in memory while it is small, in a file without a name when it is large.

    Raises ValueError for more than MAX_MESSAGE octets.
    """
    kept: list[bytes] = []
    size = 0
    rest = iter(pieces)
    for piece in rest:
        kept.append(piece)
        size += len(piece)
        if size > IN_MEMORY:
            break
    else:
        return kept[0] if len(kept) == 1 else b"".join(kept)
    with tempfile.TemporaryFile() as file:
        file.writelines(kept)
        kept.clear()
        for piece in rest:
            size += len(piece)
            if size > MAX_MESSAGE:
                raise ValueError(f"it is larger than {MAX_MESSAGE >> 20} MiB")
            file.write(piece)
        file.flush()
        # The map keeps the file; without a name it goes when the map does.
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
