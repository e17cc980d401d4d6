"""Large blobs: each becomes a pack of its own, written once, while it arrives.

The octets go into a file without a name, behind room for the pack's and the record's header, and can be
read as mapped memory from the moment they are all there. `complete` makes them durable outside any
batch, so nobody waits for so many octets; the batch then gives the file its name and its row, and the
pack is sealed from the beginning (`store.commit`).

A crash before that leaves nothing: the file never had a name. One between name and row leaves a file
that no row names, which `sweep` removes; name and octets are durable before the row can be.
"""

from __future__ import annotations

import errno
import os
import tempfile
import zlib
from collections.abc import Sequence
from mmap import ACCESS_READ, ALLOCATIONGRANULARITY, MADV_DONTNEED, mmap
from pathlib import Path

from postillon.mail.octets import Octets
from postillon.store.files import Files, write_all
from postillon.store.operation import BlobRef, NewBlob
from postillon.store.pack import FILE_HEADER, RECORD, file_header, pack_path, record_head

# Where the octets begin: only whole pages can be mapped. The record's envelope fills the room.
PAYLOAD = ALLOCATIONGRANULARITY
_ENVELOPE = bytes(PAYLOAD - FILE_HEADER.size - RECORD.size)
SELF = Path("/proc/self/fd")  # by which a file without a name gets one
_NOT_OFFERED = (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL)


class _Descriptor:
    """A descriptor that is closed when nobody holds it any more."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class LargeBlob(mmap):
    """Content of its own file. `ref`: where it lies, once a batch has given it a name."""

    descriptor: _Descriptor
    ref: BlobRef | None = None

    def complete(self, files: Files) -> None:
        """Make all of it durable but for the number of the pack. Blocks; raises OSError."""
        fd = self.descriptor.fd
        head = record_head(len(_ENVELOPE), len(self))
        crc = zlib.crc32(self, zlib.crc32(_ENVELOPE, zlib.crc32(head)))
        files.write(fd, [head, crc.to_bytes(4, "big"), _ENVELOPE], FILE_HEADER.size)
        files.sync_data(fd)
        self.madvise(MADV_DONTNEED)  # who reads on gets them out of the page cache

    def adopt(self, files: Files, folder: Path, pack: int) -> int:
        """Let it be this pack, durable once the folder is synced; returns the pack's size.

        The caller holds the commit lock. Raises FileExistsError, OSError.
        """
        fd = self.descriptor.fd
        files.write(fd, [file_header(pack)], 0)
        files.sync_data(fd)
        files.link(fd, pack_path(folder, pack))
        self.ref = BlobRef(pack, FILE_HEADER.size, len(self))
        return PAYLOAD + len(self)

    def abandon(self, files: Files, folder: Path) -> None:
        """Its row did not come to be."""
        if self.ref is not None:
            files.unlink(pack_path(folder, self.ref.pack))
            self.ref = None


class LargeWriter:
    """Takes the octets of one blob. folder: on the file system of the packs."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._may_be_named = True
        self._descriptor = _Descriptor(self._open(folder))
        self._size = 0

    def _open(self, folder: Path) -> int:
        flags = getattr(os, "O_TMPFILE", 0)  # Linux alone
        try:
            if flags and SELF.exists():
                return os.open(folder, flags | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise
        self._may_be_named = False  # it will be copied into a pack
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.dup(file.fileno())

    def write(self, octets: Sequence[bytes]) -> None:
        """Raises OSError if there is no room."""
        self._size += write_all(self._descriptor.fd, octets, PAYLOAD + self._size)

    def finish(self) -> Octets:
        """All of it, at least one octet; a LargeBlob where the file may become a pack."""
        fd = self._descriptor.fd
        if not self._may_be_named:
            return mmap(fd, self._size, access=ACCESS_READ, offset=PAYLOAD)
        blob = LargeBlob(fd, self._size, access=ACCESS_READ, offset=PAYLOAD)
        blob.descriptor = self._descriptor
        return blob


def large_of(blob: NewBlob, packs: Path) -> LargeBlob | None:
    """The blob, if it is to become a pack of its own: on the same file system, without an envelope."""
    content = blob.content
    if not isinstance(content, LargeBlob) or blob.envelope:
        return None
    same = os.fstat(content.descriptor.fd).st_dev == os.stat(packs).st_dev
    return content if same else None
