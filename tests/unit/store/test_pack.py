"""Records in packs: what is written comes back, what is not sound is seen."""

from __future__ import annotations

import errno
import mmap
import os
from pathlib import Path

import pytest

from postillon.store.files import MAX_VECTOR, OsFiles
from postillon.store.operation import BlobLost, BlobRef, NewBlob
from postillon.store.pack import (
    FILE_HEADER,
    GUESS,
    RECORD,
    PackReader,
    create_pack,
    pack_number,
    pack_path,
    record_size,
    records,
)
from support.faults import FailingFiles, Fault

CONTENTS = [b"", b"x", b"Subject: x\r\n\r\nbody" * 50, bytes(range(256)) * 5_000]


def test_what_is_appended_is_read_back_whole_and_in_slices(tmp_path: Path) -> None:
    pack = create_pack(OsFiles(), tmp_path, 7)
    blobs = [NewBlob(content, b"e" * n * GUESS) for n, content in enumerate(CONTENTS)]
    refs = pack.append(blobs[:2]) + pack.append(blobs[2:])
    assert refs[0].offset == FILE_HEADER.size
    assert pack.size == FILE_HEADER.size + sum(map(record_size, blobs))
    reader = PackReader(tmp_path)
    for ref, content in zip(refs, CONTENTS, strict=True):
        assert ref.length == len(content)
        assert reader.read(ref) == content
        for start, stop in ((0, 5), (3, 8), (5, 5), (8, 3), (len(content) - 1, None), (-4, 2)):
            first = max(start, 0)
            assert reader.read(ref, start, stop) == content[first : max(stop or len(content), 0)]
    found = list(records(pack.fd))
    assert [record.content for record in found] == CONTENTS
    assert [record.envelope for record in found] == [blob.envelope for blob in blobs]
    assert found[-1].end == pack.size
    reader.close()
    pack.close()


def test_content_may_be_a_mapped_file(tmp_path: Path) -> None:
    (tmp_path / "spool").write_bytes(CONTENTS[3])
    with (tmp_path / "spool").open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    pack = create_pack(OsFiles(), tmp_path, 1)
    [ref] = pack.append([NewBlob(mapped)])
    assert PackReader(tmp_path).read(ref) == CONTENTS[3]
    pack.close()


def test_more_buffers_than_one_call_takes_are_written(tmp_path: Path) -> None:
    pack = create_pack(OsFiles(), tmp_path, 1)
    refs = pack.append([NewBlob(b"%d" % n) for n in range(MAX_VECTOR)])
    assert PackReader(tmp_path).read(refs[-1]) == b"%d" % (MAX_VECTOR - 1)
    pack.close()


@pytest.mark.parametrize("place", [0, 4, 8, 12, 16, 20, RECORD.size, RECORD.size + 3, -1])
def test_any_changed_octet_is_seen(tmp_path: Path, place: int) -> None:
    pack = create_pack(OsFiles(), tmp_path, 1)
    [ref] = pack.append([NewBlob(b"content", b"env")])
    at = ref.offset + place if place >= 0 else pack.size - 1
    octet = os.pread(pack.fd, 1, at)
    os.pwrite(pack.fd, bytes([octet[0] ^ 1]), at)
    with pytest.raises(BlobLost):
        PackReader(tmp_path).read(ref)
    assert list(records(pack.fd)) == []
    pack.close()


def test_what_is_not_there_is_lost(tmp_path: Path) -> None:
    pack = create_pack(OsFiles(), tmp_path, 1)
    [ref] = pack.append([NewBlob(b"content")])
    reader = PackReader(tmp_path)
    for missing in (
        BlobRef(2, 24, 7),
        BlobRef(1, 25, 7),
        BlobRef(1, 10_000, 7),
        BlobRef(1, ref.offset, 6),
    ):
        with pytest.raises(BlobLost):
            reader.read(missing)
        with pytest.raises(BlobLost):
            reader.read(missing, 1, 2)
    os.ftruncate(pack.fd, pack.size - 1)
    with pytest.raises(BlobLost):
        reader.read(ref)
    with pytest.raises(BlobLost):
        reader.read(ref, 5, 7)
    pack.close()


def test_a_failed_append_leaves_the_pack_as_it_was(tmp_path: Path) -> None:
    fault = Fault(at=10_000, error=errno.ENOSPC)
    pack = create_pack(FailingFiles(fault), tmp_path, 1)
    pack.append([NewBlob(b"first")])
    size = pack.size
    fault.at = fault.count + 1
    with pytest.raises(OSError, match="No space"):
        pack.append([NewBlob(b"second" * 1_000)])
    assert pack.size == size == os.fstat(pack.fd).st_size
    [ref] = pack.append([NewBlob(b"third")])
    assert PackReader(tmp_path).read(ref) == b"third"
    pack.close()


@pytest.mark.parametrize("step", [1, 2, 3, 4])
def test_a_pack_is_begun_whole_or_not_at_all(tmp_path: Path, step: int) -> None:
    with pytest.raises(OSError):
        create_pack(FailingFiles(Fault(at=step)), tmp_path, 1)
    assert list(tmp_path.iterdir()) == []
    create_pack(OsFiles(), tmp_path, 1).close()
    with pytest.raises(FileExistsError):
        create_pack(OsFiles(), tmp_path, 1)


def test_the_reader_lets_go_of_old_packs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refs = []
    for n in range(1, 6):
        pack = create_pack(OsFiles(), tmp_path, n)
        refs += pack.append([NewBlob(b"%d" % n)])
        pack.close()
    monkeypatch.setattr("postillon.store.pack.MAX_OPEN", 2)
    reader = PackReader(tmp_path)
    assert [reader.read(ref) for ref in refs + refs] == [b"%d" % n for n in range(1, 6)] * 2
    assert len(reader._open) == 2
    pack_path(tmp_path, 5).unlink()
    assert reader.read(refs[4]) == b"5"  # whoever holds it may go on
    monkeypatch.setattr("postillon.store.pack.MAX_AGE_S", -1.0)
    reader.trim()
    with pytest.raises(BlobLost):
        reader.read(refs[4])


def test_names_of_packs(tmp_path: Path) -> None:
    assert pack_number(pack_path(tmp_path, 12)) == 12
    assert pack_number(tmp_path / "12.tmp") is None
    assert pack_number(tmp_path / "x.pack") is None


def test_many_are_read_together_as_each_alone(tmp_path: Path) -> None:
    contents = [b"%d " % n * (n * 37 % 4_000) for n in range(120)]
    refs: list[BlobRef] = []
    for number, start in ((1, 0), (2, 60)):
        pack = create_pack(OsFiles(), tmp_path, number)
        for n in range(start, start + 60):
            # Something large between some of them, which is not worth reading.
            filler = [NewBlob(bytes(10_000))] if n % 7 == 0 else []
            refs.append(pack.append([*filler, NewBlob(contents[n], b"e" * (n % 3 * 300))])[-1])
    reader = PackReader(tmp_path)
    order = [(n * 53) % 120 for n in range(120)]
    for cut in (10_000, 100, 1, 0):
        stops = [min(cut, refs[n].length) for n in order]
        found = reader.read_together(list(zip([refs[n] for n in order], stops, strict=True)))
        whole = [contents[n][:stop] for n, stop in zip(order, stops, strict=True)]
        # Behind a longer envelope than is guessed, a blob is read alone.
        assert [octets for octets in found if octets is not None] == [
            octets for octets, got in zip(whole, found, strict=True) if got is not None
        ]
        assert sum(octets is None for octets in found) <= 40


def test_what_is_damaged_is_left_to_who_reads_it_alone(tmp_path: Path) -> None:
    pack = create_pack(OsFiles(), tmp_path, 1)
    refs = pack.append([NewBlob(b"first" * 100), NewBlob(b"second" * 100), NewBlob(b"third" * 100)])
    with pack_path(tmp_path, 1).open("r+b") as file:
        file.seek(refs[1].offset + RECORD.size + 10)
        file.write(b"!")
    reader = PackReader(tmp_path)
    lost = BlobRef(9, refs[0].offset, 10)
    first, second, third, gone = reader.read_together([*((r, r.length) for r in refs), (lost, 10)])
    assert (first, third) == (b"first" * 100, b"third" * 100)
    assert second is None
    assert gone is None
    with pytest.raises(BlobLost):
        reader.read(refs[1])


@pytest.mark.parametrize("known", [True, False])
def test_a_disk_is_told_to_begin_where_the_system_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    if not known:
        monkeypatch.setattr("postillon.store.files.SYNC_FILE_RANGE", None)
    pack = create_pack(OsFiles(), tmp_path, 1)
    refs = pack.append([NewBlob(content) for content in CONTENTS])
    pack.sync_soon()
    assert pack.synced < pack.size
    pack.sync()
    assert pack.synced == pack.size
    reader = PackReader(tmp_path)
    assert [reader.read(ref) for ref in refs] == CONTENTS
    pack.close()
