"""Packs: append-only files of message octets.

A file begins with its own header and then holds records, one after the other:

    file     magic 8 "PSTLPACK", format 2 octets, reserved 6, pack number 8              (24 octets)
    record   magic 4 "PREC", version 1, codec 1, key id 2, length of the envelope 4,
             stored length 4, raw length 4, CRC-32 4                                     (24 octets)
             envelope, payload

Numbers are big-endian. The CRC covers the first 20 octets of the header, the envelope and the
payload. A row names (pack, offset of the record, raw length); the file is named by the number.
"""

from __future__ import annotations

import os
import struct
import threading
import time
import zlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from mmap import ALLOCATIONGRANULARITY, mmap
from pathlib import Path

from postillon.store.files import Buffer, Files
from postillon.store.operation import BlobLost, BlobRef, NewBlob

FILE_MAGIC = b"PSTLPACK"
FORMAT = 1
FILE_HEADER = struct.Struct(">8sH6xQ")
RECORD_MAGIC = b"PREC"
RECORD_VERSION = 1
RAW = 0  # codec: the payload as it is
RECORD = struct.Struct(">4sBBHIIII")
SUMMED = RECORD.size - 4  # octets of the header that the CRC covers
MAX_PAYLOAD = 2**32 - 1  # the length fields
MAX_ENVELOPE = 1 << 20
OPEN, SEALED, RETIRED = 0, 1, 2  # pack.state: appended to; complete; waits to be unlinked
# The tables whose rows name octets, each by (pack, start, length), with an index that begins so.
BLOB_TABLES = ("email", "queue_message", "upload")
NEAR = 4 * 1024  # octets between two records that are read rather than left out
TOGETHER = 1 << 20  # octets of one read for several records
GUESS = 512  # octets of an envelope that the first read of a record takes along
LARGE = 1 << 18  # octets of a payload from which on it may lie in a pack of its own
MAX_OPEN = 64  # packs a reader keeps open
MAX_AGE_S = 600.0  # a file that is kept open longer is opened again, so that a removed one ends


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it lies in a pack: where it begins and ends, what it holds."""

    offset: int
    end: int
    envelope: bytes
    content: bytes


def pack_path(folder: Path, pack: int) -> Path:
    return folder / f"{pack:010d}.pack"


def pack_number(path: Path) -> int | None:
    """The number of a pack file, or None for a file that is none."""
    if path.suffix != ".pack" or not path.stem.isdecimal():
        return None
    return int(path.stem)


def file_header(pack: int) -> bytes:
    return FILE_HEADER.pack(FILE_MAGIC, FORMAT, pack)


def encode(blob: NewBlob, key_id: int = 0) -> tuple[bytes, Buffer]:
    """What is written for a blob: header with envelope, then the content itself.

    Raises ValueError if content or envelope is beyond what a record can hold.
    """
    content, envelope = blob.content, blob.envelope
    size = len(content)
    if size > MAX_PAYLOAD or len(envelope) > MAX_ENVELOPE:
        raise ValueError("blob too large for a pack record")
    head = record_head(len(envelope), size, key_id)
    crc = zlib.crc32(head)
    if envelope:
        crc = zlib.crc32(envelope, crc)
    crc = zlib.crc32(content, crc)
    return head + crc.to_bytes(4, "big") + envelope, content


def record_head(envelope: int, size: int, key_id: int = 0) -> bytes:
    """The octets of a record's header that the CRC covers. Both lengths in octets."""
    fields = (RECORD_MAGIC, RECORD_VERSION, RAW, key_id, envelope, size, size, 0)
    return RECORD.pack(*fields)[:SUMMED]


def record_size(blob: NewBlob) -> int:
    return RECORD.size + len(blob.envelope) + len(blob.content)


def parse(data: bytes) -> tuple[int, int, int] | None:
    """(length of the envelope, stored length, raw length), or None if no record begins here."""
    if len(data) < RECORD.size:
        return None
    magic, version, codec, _, envelope, stored, raw, _ = RECORD.unpack_from(data)
    if magic != RECORD_MAGIC or version != RECORD_VERSION or codec != RAW or stored != raw:
        return None
    return envelope, stored, raw


def read_record(fd: int, offset: int, expected: int = 0) -> Record | None:
    """The record at an offset, read and checked, or None where there is no sound one.

    expected: octets of the payload, if known; saves a second read.
    """
    guess = GUESS if expected < LARGE else ALLOCATIONGRANULARITY  # see `store.large`
    data = os.pread(fd, RECORD.size + guess + expected, offset)
    lengths = parse(data)
    if lengths is None:
        return None
    envelope, stored, _ = lengths
    body = RECORD.size + envelope
    end = body + stored
    if len(data) < end:
        if offset + end > os.fstat(fd).st_size:  # before any memory is taken for a torn length
            return None
        data += os.pread(fd, end - len(data), offset + len(data))
        if len(data) < end:
            return None
    view = memoryview(data)
    crc = zlib.crc32(view[RECORD.size : end], zlib.crc32(view[:SUMMED]))
    if crc.to_bytes(4, "big") != data[SUMMED : RECORD.size]:
        return None
    return Record(offset, offset + end, data[RECORD.size : body], data[body:end])


def records(fd: int, offset: int = FILE_HEADER.size) -> Iterator[Record]:
    """Sound records from an offset on, up to the first place where none begins."""
    while (record := read_record(fd, offset)) is not None:
        yield record
        offset = record.end


class PackWriter:
    """The open end of one pack. Belongs to one thread; nothing else may write to the file."""

    def __init__(self, files: Files, path: Path, pack: int, fd: int, size: int) -> None:
        self.path, self.pack, self.size = path, pack, size
        self.synced = size  # octets known durable
        self.fd = fd
        self._files = files

    def append(self, blobs: Sequence[NewBlob]) -> list[BlobRef]:
        """Write records for all the blobs; on OSError the pack is as long as it was before."""
        buffers: list[Buffer] = []
        refs = []
        offset = self.size
        for blob in blobs:
            head, content = encode(blob)
            buffers.append(head)
            if content:
                buffers.append(content)
            length = len(content)
            refs.append(BlobRef(self.pack, offset, length))
            offset += len(head) + length
        try:
            self._files.write(self.fd, buffers, self.size)
        except OSError:
            # Should this fail too, nothing is lost: the next append overwrites what lies there.
            with suppress(OSError):
                self._files.truncate(self.fd, self.size)
            raise
        self.size = offset
        return refs

    def sync_soon(self) -> None:
        """Let the disk begin with what has been appended."""
        self._files.sync_soon(self.fd, self.synced, self.size - self.synced)

    def sync(self) -> None:
        size = self.size
        self._files.sync_data(self.fd)
        self.synced = size

    def close(self) -> None:
        self._files.close(self.fd)


def create_pack(files: Files, folder: Path, pack: int) -> PackWriter:
    """Begin a pack whose file and name are durable on return. Raises FileExistsError, OSError."""
    path = pack_path(folder, pack)
    fd = files.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        header = file_header(pack)
        files.write(fd, [header], 0)
        files.sync_data(fd)
        files.sync_folder(folder)
    except OSError:
        files.close(fd)
        with suppress(OSError):  # else swept later: no row names it
            files.unlink(path)
        raise
    return PackWriter(files, path, pack, fd, len(header))


class _OpenPack:
    """A descriptor that lives as long as somebody holds this object, so no read meets a reused one."""

    __slots__ = ("fd", "opened")

    def __init__(self, path: Path) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.opened = time.monotonic()

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)


class PackReader:
    """Reads from all packs, from any thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: OrderedDict[int, _OpenPack] = OrderedDict()
        self._lock = threading.Lock()

    def _path(self, pack: int) -> Path:
        return pack_path(self._folder, pack)

    def _pack(self, pack: int) -> _OpenPack:
        with self._lock:
            found = self._open.get(pack)
            if found is not None:
                self._open.move_to_end(pack)
                return found
        try:
            opened = _OpenPack(self._path(pack))
        except FileNotFoundError as error:
            raise BlobLost(f"pack {pack} is not there") from error
        with self._lock:
            self._open[pack] = opened
            self._drop_old(opened.opened)
        return opened

    def _drop_old(self, now: float) -> None:
        while len(self._open) > MAX_OPEN:
            self._open.popitem(last=False)
        for pack in [p for p, held in self._open.items() if now - held.opened > MAX_AGE_S]:
            del self._open[pack]

    def trim(self) -> None:
        """Let go of packs that have been open for long: one that was removed then frees its room."""
        with self._lock:
            self._drop_old(time.monotonic())

    def read(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> bytes:
        """The octets from `start` to before `stop`; a whole read checks the CRC. Raises BlobLost."""
        length = ref.length
        if stop is None or stop > length:
            stop = length
        held = self._pack(ref.pack)
        if start <= 0 and stop == length:
            record = read_record(held.fd, ref.offset, length)
            if record is None or len(record.content) != length:
                raise BlobLost(f"no sound record at {ref.pack}:{ref.offset}")
            return record.content
        if start >= stop:
            return b""
        start = max(start, 0)
        lengths = parse(os.pread(held.fd, RECORD.size, ref.offset))
        if lengths is None or lengths[2] != length:
            raise BlobLost(f"no record at {ref.pack}:{ref.offset}")
        data = os.pread(held.fd, stop - start, ref.offset + RECORD.size + lengths[0] + start)
        if len(data) != stop - start:
            raise BlobLost(f"record at {ref.pack}:{ref.offset} is cut off")
        return data

    def read_together(self, wanted: Sequence[tuple[BlobRef, int]]) -> list[bytes | None]:
        """The first so many octets of each; what lies close together in one read.

        A whole blob has its CRC checked. None where `read` would raise, and sometimes else.
        """
        found: list[bytes | None] = [None] * len(wanted)
        places = [
            (ref.pack, ref.offset, ref.offset + RECORD.size + GUESS + stop, n)
            for n, (ref, stop) in enumerate(wanted)
        ]
        places.sort()
        run: list[int] = []
        held = begin = end = 0
        for pack, offset, reach, n in places:
            if pack != held or offset > end + NEAR or reach - begin > TOGETHER:
                self._read_run(wanted, run, begin, end, found)
                run, held, begin, end = [], pack, offset, reach
            run.append(n)
            end = max(end, reach)
        self._read_run(wanted, run, begin, end, found)
        return found

    def _read_run(
        self,
        wanted: Sequence[tuple[BlobRef, int]],
        run: list[int],
        begin: int,
        end: int,
        found: list[bytes | None],
    ) -> None:
        if not run:
            return
        try:
            data = os.pread(self._pack(wanted[run[0]][0].pack).fd, end - begin, begin)
        except BlobLost:
            return
        view = memoryview(data)
        for n in run:
            ref, stop = wanted[n]
            found[n] = _octets_in(view, ref.offset - begin, ref.length, stop)

    def close(self) -> None:
        with self._lock:
            self._open.clear()


def _octets_in(view: memoryview, at: int, length: int, stop: int) -> bytes | None:
    """The first `stop` octets of the blob of a record that begins at `at`; None: it cannot be said."""
    if at + RECORD.size > len(view):
        return None
    magic, version, codec, _, envelope, stored, raw, crc = RECORD.unpack_from(view, at)
    if (
        magic != RECORD_MAGIC
        or version != RECORD_VERSION
        or codec != RAW
        or not stored == raw == length
    ):
        return None
    body = at + RECORD.size + envelope
    end = body + min(stop, length)
    if end > len(view):
        return None
    whole = stop >= length
    if whole and crc != zlib.crc32(
        view[at + RECORD.size : end], zlib.crc32(view[at : at + SUMMED])
    ):
        return None
    return bytes(view[body:end])


def content_of(blob: NewBlob) -> bytes:
    """The octets of a blob in memory."""
    return blob.content[:] if isinstance(blob.content, mmap) else blob.content
