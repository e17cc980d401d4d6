"""Backups of a store in use: complete, shared, atomic, checked; and a folder made again from one."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from postillon.directory import sessions
from postillon.directory.sessions import Opening
from postillon.queue.rows import FAR, Held
from postillon.setting import KIB
from postillon.store import restore as restoring
from postillon.store.backup import StateFile, back_up
from postillon.store.backup_packs import PackCopier
from postillon.store.backup_reader import BackupStore, check_files, check_rows
from postillon.store.compact import Compactor, remove_retired
from postillon.store.config import StoreConfig
from postillon.store.database import connect
from postillon.store.manifest import MANIFEST, BackupError, Manifest, Target, read_manifest
from postillon.store.migrate import migrate, shipped
from postillon.store.opening import RESTORING, backup_lock_of
from postillon.store.operation import NewBlob, Steps, StoreError, StoreStopped, Tx
from postillon.store.pack import pack_path
from postillon.store.progress import Pace, Stopped
from postillon.store.restore import restore
from postillon.store.sqlite import SqliteStore, open_store
from postillon.store.verify import verify, verify_rows
from support import mailrows

CONFIG = StoreConfig(pack_octets=64 * KIB, grace=timedelta(0))


async def begun(folder: Path, emails: int = 20) -> SqliteStore:
    store = await open_store(folder / "data", CONFIG, owner="w0")
    await store.write(mailrows.accounts(3))
    await put(store, emails)
    return store


async def put(store: SqliteStore, emails: int, first: int = 0) -> None:
    for n in range(first, first + emails):
        content = b"%06d" % n * 1_500
        await store.write(mailrows.put(1 + n % 3, content), NewBlob(content))


def statement(sql: str, *arguments: object):  # type: ignore[no-untyped-def]
    def operation(tx: Tx) -> Steps[list[tuple[object, ...]]]:
        rows = yield sql, arguments
        return rows

    return operation


def make(folder: Path, **more: object) -> Manifest:
    target = Target(folder / "backups")
    return back_up(folder / "data", CONFIG, target, **more).manifest  # type: ignore[arg-type]


def contents_of(target: Target, manifest: Manifest) -> dict[tuple[int, int], bytes]:
    reading = BackupStore(target, manifest)
    try:
        return mailrows.contents(reading)
    finally:
        reading.close()


async def test_a_backup_beside_a_store_in_use_holds_all_of_one_moment(tmp_path: Path) -> None:
    store = await begun(tmp_path)
    before = mailrows.contents(store)
    manifest = make(tmp_path)
    await put(store, 5, 100)
    target = Target(tmp_path / "backups")
    assert contents_of(target, manifest) == before
    assert check_files(target, manifest) == check_rows(target, manifest) == []
    reading = BackupStore(target, manifest)
    assert await verify_rows(reading) == []
    with pytest.raises(StoreStopped):
        await reading.write(mailrows.accounts(1))
    reading.close()
    assert (manifest.emails, manifest.accounts, manifest.problems) == (20, 3, ())
    await store.close()


async def test_what_is_written_while_a_backup_runs_does_not_spoil_it(tmp_path: Path) -> None:
    store = await begun(tmp_path)
    before = mailrows.contents(store)
    writer = await open_store(tmp_path / "data", CONFIG, owner="w1")

    class Busy(Pace):
        pieces = 0

        def step(self, octets: int = 0, count: int = 0) -> None:
            self.pieces += 1

    pace = Busy()

    async def more() -> None:
        for n in range(30):
            content = b"later %d" % n * 1_000
            await writer.write(mailrows.put(1, content), NewBlob(content))
            await compactor.compact_once()

    compactor = Compactor(store)
    running = store.apart(lambda: make(tmp_path, pace=pace))
    await more()
    manifest = await running
    found = contents_of(Target(tmp_path / "backups"), manifest)
    assert before.items() <= found.items()
    assert pace.pieces > 1
    await writer.close()
    await store.close()


async def test_the_second_generation_copies_only_what_is_new(tmp_path: Path) -> None:
    store = await begun(tmp_path)
    target = Target(tmp_path / "backups")
    first = back_up(tmp_path / "data", CONFIG, target)
    inodes = {path.name: path.stat().st_ino for path in target.packs.iterdir()}
    before = contents_of(target, first.manifest)
    await put(store, 1, 100)
    second = back_up(tmp_path / "data", CONFIG, target)
    assert second.copied - second.manifest.database.octets < 10_000
    assert second.kept == sum(copy.octets for copy in first.manifest.packs)
    assert {path.name: path.stat().st_ino for path in target.packs.iterdir()} == inodes
    assert contents_of(target, first.manifest) == before, "the older one is as it was"
    assert len(contents_of(target, second.manifest)) == 21
    assert check_files(target, first.manifest) == check_files(target, second.manifest) == []
    await store.close()


async def test_keep_removes_the_oldest_and_the_packs_only_they_had(tmp_path: Path) -> None:
    store = await begun(tmp_path)
    target = Target(tmp_path / "backups")
    names = [back_up(tmp_path / "data", CONFIG, target).manifest.name]
    for account, email in list(mailrows.contents(store))[:18]:
        await store.write(mailrows.remove(account, email))
    compactor = Compactor(store)
    while await compactor.compact_once():
        pass
    assert await remove_retired(store) == [1, 2]
    names += [back_up(tmp_path / "data", CONFIG, target).manifest.name for _ in range(2)]
    made = back_up(tmp_path / "data", CONFIG, target, keep=2)
    assert list(made.removed) == names[:2]
    assert target.names() == [names[2], made.manifest.name]
    assert {path.name for path in target.packs.iterdir()} == {
        copy.file for copy in made.manifest.packs
    }
    assert len(contents_of(target, made.manifest)) == 2
    await store.close()


async def test_no_pack_goes_while_a_backup_may_need_it(tmp_path: Path) -> None:
    store = await begun(tmp_path)
    for account, email in list(mailrows.contents(store))[:18]:
        await store.write(mailrows.remove(account, email))
    compactor = Compactor(store)
    while await compactor.compact_once():
        pass
    lock = backup_lock_of(tmp_path / "data")
    lock.share()
    assert await remove_retired(store) == []
    lock.close()
    assert await remove_retired(store) == [1, 2]
    await store.close()


async def test_a_store_that_went_back_in_time_gets_a_copy_of_its_own(tmp_path: Path) -> None:
    store = await begun(tmp_path, 3)
    await store.close()
    saved = {path: path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()}
    store = await open_store(tmp_path / "data", CONFIG, owner="w0")
    await put(store, 1, 100)
    first = make(tmp_path)
    before = contents_of(Target(tmp_path / "backups"), first)
    await store.close()
    for path in list((tmp_path / "data").rglob("*")):
        if path.is_file():
            path.unlink()
    for path, octets in saved.items():
        path.write_bytes(octets)
    store = await open_store(tmp_path / "data", CONFIG, owner="w0")
    await put(store, 2, 200)
    second = make(tmp_path)
    target = Target(tmp_path / "backups")
    assert contents_of(target, first) == before
    assert contents_of(target, second) == mailrows.contents(store)
    assert [copy.file for copy in second.packs] == ["0000000001-2.pack"]
    await store.close()


async def test_a_killed_backup_never_looks_complete_and_the_next_one_goes_on(
    tmp_path: Path,
) -> None:
    store = await begun(tmp_path)
    target = Target(tmp_path / "backups")

    class Killed(Pace):
        def __init__(self, after: int) -> None:
            super().__init__()
            self.left = after

        def step(self, octets: int = 0, count: int = 0) -> None:
            self.left -= 1
            if self.left < 0:
                raise Stopped

    for after in range(12):
        try:
            made = back_up(tmp_path / "data", CONFIG, target, pace=Killed(after))
        except Stopped:
            assert target.names() == []
        else:
            break
    else:
        pytest.fail("no backup came to its end")
    assert after > 3
    assert made.copied == made.manifest.database.octets, "no pack was written again"
    [name] = target.names()
    assert not list(target.generations.glob(".*"))
    assert contents_of(target, target.manifest(name)) == mailrows.contents(store)
    await store.close()


async def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    store = await begun(tmp_path, 1)
    (tmp_path / "backups").mkdir()
    (tmp_path / "backups" / "thesis.txt").write_text("mine")
    with pytest.raises(BackupError, match="thesis"):
        make(tmp_path)
    with pytest.raises(BackupError, match="cannot lie in the data folder"):
        back_up(tmp_path / "data", CONFIG, Target(tmp_path / "data" / "backups"))
    await store.close()


async def test_two_backups_into_one_folder_wait_for_nobody(tmp_path: Path) -> None:
    store = await begun(tmp_path, 1)
    make(tmp_path)
    lock = Target(tmp_path / "backups").lock()
    with pytest.raises(BackupError, match="another process"):
        make(tmp_path)
    lock.close()
    await store.close()


async def test_state_and_configuration_are_kept_with_their_modes(tmp_path: Path) -> None:
    store = await begun(tmp_path, 1)
    key = tmp_path / "data" / "tls" / "key.pem"
    key.parent.mkdir()
    key.write_text("secret")
    key.chmod(0o640)
    config = tmp_path / "postillon.toml"
    config.write_text("[server]\n")
    gone = tmp_path / "gone.pem"
    files = [StateFile(key, "tls/key.pem"), StateFile(config), StateFile(gone)]
    manifest = make(tmp_path, files=files)
    assert [problem for problem in manifest.problems if "gone.pem" in problem]
    for path in (tmp_path / "backups").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, f"{path} can be read by others"
    again = tmp_path / "again"
    restore(Target(tmp_path / "backups"), manifest, again)
    assert (again / "tls" / "key.pem").read_text() == "secret"
    assert (again / "tls" / "key.pem").stat().st_mode & 0o777 == 0o640
    kept = again / "configuration" / str(config).lstrip("/")
    assert kept.read_text() == "[server]\n"
    await store.close()


Harm = Callable[[Target, Manifest], None]


def _flip(path: Path, offset: int) -> None:
    octets = bytearray(path.read_bytes())
    octets[offset] ^= 1
    path.write_bytes(octets)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda t, m: _flip(t.pack_path(m.packs[0]), 5_000), "0000000001.pack is damaged"),
        (lambda t, m: os.truncate(t.pack_path(m.packs[1]), 100), "0000000002.pack has 100 octets"),
        (lambda t, m: t.pack_path(m.packs[0]).unlink(), "0000000001.pack cannot be read"),
        (lambda t, m: _flip(t.generation(m) / "postillon.db", 9_000), "postillon.db is damaged"),
    ],
)  # fmt: skip
async def test_a_check_names_the_file_that_is_damaged(
    tmp_path: Path, harm: Harm, said: str
) -> None:
    store = await begun(tmp_path)
    await store.close()
    manifest = make(tmp_path)
    target = Target(tmp_path / "backups")
    assert check_files(target, manifest) == []
    harm(target, manifest)
    [problem] = check_files(target, manifest)
    assert said in problem
    with pytest.raises(BackupError):
        restore(target, manifest, tmp_path / "again")


async def test_a_manifest_proves_itself(tmp_path: Path) -> None:
    store = await begun(tmp_path, 1)
    await store.close()
    folder = Target(tmp_path / "backups").generation(make(tmp_path))
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace('"emails": 1', '"emails": 2'))
    with pytest.raises(BackupError, match="checksum"):
        read_manifest(folder)


async def test_damage_in_the_store_is_a_problem_of_the_backup(tmp_path: Path) -> None:
    store = await begun(tmp_path)
    os.truncate(pack_path(tmp_path / "data" / "packs", 2), 30_000)
    pack_path(tmp_path / "data" / "packs", 1).unlink()
    manifest = make(tmp_path)
    assert [p.partition(" where")[0] for p in manifest.problems] == [
        "pack 1 is missing",
        "pack 2 has 30000 octets",
    ]
    await store.close()


# Restore


async def test_a_restored_folder_is_a_sound_store_with_the_same_mail(tmp_path: Path) -> None:
    store = await begun(tmp_path)
    before = mailrows.contents(store)
    manifest = make(tmp_path)
    await put(store, 5, 100)
    await store.close()
    restore(Target(tmp_path / "backups"), manifest, tmp_path / "again")
    again = await open_store(tmp_path / "again", CONFIG, owner="w0", fresh_ok=False)
    assert mailrows.contents(again) == before
    assert await verify(again) == []
    await put(again, 5, 200)
    assert await verify(again) == []
    await again.close()


def counters() -> Steps[list[tuple[int, ...]]]:
    rows = yield (
        "SELECT a.epoch, a.modseq, a.next_id, a.low_modseq, m.uid_validity FROM account a"
        " JOIN mailbox m ON m.account = a.account ORDER BY a.account, m.mailbox",
        (),
    )
    return rows  # type: ignore[return-value]


async def test_after_a_restore_nothing_a_client_remembers_is_taken_for_the_new(
    tmp_path: Path,
) -> None:
    store = await begun(tmp_path)
    old = store.read(counters())
    manifest = make(tmp_path)
    await store.close()
    target = Target(tmp_path / "backups")
    restore(target, manifest, tmp_path / "again")
    restore(target, manifest, tmp_path / "twice", clock=lambda: 2_000_000_000_000)
    for folder in ("again", "twice"):
        again = await open_store(tmp_path / folder, CONFIG, owner="w0")
        for was, now in zip(old, again.read(counters()), strict=True):
            assert now[0] > was[0] + was[2], "the epoch is new"
            assert all(now[n] >= was[n] + restoring.LEAP for n in (1, 2))
            assert now[3] == now[1], "no older MODSEQ can be compared"
            assert was[4] < now[4] < 2**32, "UIDVALIDITY grows"
        await again.close()


async def test_a_moved_server_keeps_every_uid_and_epoch(tmp_path: Path) -> None:
    store = await begun(tmp_path)
    old = store.read(counters())
    manifest = make(tmp_path)
    await store.close()
    restore(Target(tmp_path / "backups"), manifest, tmp_path / "again", moved=True)
    again = await open_store(tmp_path / "again", CONFIG, owner="w0")
    assert again.read(counters()) == old
    await again.close()


@pytest.mark.parametrize("moved", [False, True])
async def test_a_session_that_was_ended_since_is_not_open_again(
    tmp_path: Path, moved: bool
) -> None:
    store = await begun(tmp_path)
    opening = Opening("", "us", "mail", "", "", 3_600_000, 3_600_000)
    opened = await store.write(lambda tx: sessions.open_(tx, 1, opening, tx.now))
    manifest = make(tmp_path)
    await store.write(lambda tx: sessions.end(tx, opened.session))
    await store.close()
    restore(Target(tmp_path / "backups"), manifest, tmp_path / "again", moved=moved)
    again = await open_store(tmp_path / "again", CONFIG, owner="w0")
    for table in ("session", "access_token"):
        assert again.read(rows_of(table)) == ([(1,)] if moved else [(0,)])
    await again.close()


def rows_of(table: str) -> Steps[list[tuple[int, ...]]]:
    return (yield (f"SELECT count(*) FROM {table}", ()))  # type: ignore[return-value]


QUEUED = (
    "INSERT INTO queue_message (queue_id, pack, start, length, digest, prefix, lane, body, smtputf8,"
    " envid, hops, accepted_at, expires_at) SELECT 8, pack, start, length, digest, x'', 0, '', 0, '',"
    " 0, 0, 0 FROM email LIMIT 1"
)
RECIPIENT = (
    "INSERT INTO queue_recipient (queue_id, n, forward_path, original, via, destination, state,"
    " due_at, claimed_by) VALUES (8, 0, 'x@example.com', '', 'remote', 'example.com', 'claimed', 5,"
    " 'w0')"
)


@pytest.mark.parametrize("moved", [False, True])
async def test_the_queue_is_held_unless_the_server_was_only_moved(
    tmp_path: Path, moved: bool
) -> None:
    store = await begun(tmp_path, 1)
    await store.write(statement(QUEUED))
    await store.write(statement(RECIPIENT))
    manifest = make(tmp_path)
    assert manifest.queued == 1
    await store.close()
    restore(Target(tmp_path / "backups"), manifest, tmp_path / "again", moved=moved)
    again = await open_store(tmp_path / "again", CONFIG, owner="w0")
    [(held, state, due_at, claimed_by)] = await again.write(
        statement(
            "SELECT m.held, r.state, r.due_at, r.claimed_by FROM queue_message m"
            " JOIN queue_recipient r ON r.queue_id = m.queue_id"
        )
    )
    if moved:
        assert (held, state, due_at) == (Held.FREE, "claimed", 5)
    else:
        assert (held, state, due_at, claimed_by) == (Held.BY_ADMINISTRATOR, "waiting", FAR, None)
    await again.close()


async def test_a_killed_restore_opens_as_no_store_and_goes_on(tmp_path: Path) -> None:
    store = await begun(tmp_path)
    before = mailrows.contents(store)
    manifest = make(tmp_path)
    await store.close()
    target = Target(tmp_path / "backups")

    class Killed(Pace):
        left = 0

        def step(self, octets: int = 0, count: int = 0) -> None:
            self.left -= 1
            if self.left < 0:
                raise Stopped

    for after in range(20):
        pace = Killed()
        pace.left = after
        try:
            restore(target, manifest, tmp_path / "again", pace=pace)
        except Stopped:
            with pytest.raises(StoreError, match="has not ended"):
                await open_store(tmp_path / "again", CONFIG, owner="w0")
        else:
            break
    assert after > 1
    assert not (tmp_path / "again" / RESTORING).exists()
    again = await open_store(tmp_path / "again", CONFIG, owner="w0")
    assert mailrows.contents(again) == before
    await again.close()


async def test_a_restore_overwrites_nothing(tmp_path: Path) -> None:
    store = await begun(tmp_path, 1)
    manifest = make(tmp_path)
    await store.close()
    target = Target(tmp_path / "backups")
    with pytest.raises(BackupError, match="needs an empty folder"):
        restore(target, manifest, tmp_path / "data")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine").write_text("mine")
    with pytest.raises(BackupError, match="needs an empty folder"):
        restore(target, manifest, tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine"]


async def test_a_manifest_cannot_write_outside_of_the_folder(tmp_path: Path) -> None:
    store = await begun(tmp_path, 1)
    (tmp_path / "x").write_text("x")
    await store.close()
    manifest = make(tmp_path, files=[StateFile(tmp_path / "x", "../../evil")])
    folder = Target(tmp_path / "backups").generation(manifest)
    with pytest.raises(BackupError, match="outside"):
        read_manifest(folder)


def test_the_words_of_a_restore_are_those_of_the_queue() -> None:
    assert restoring.FAR == FAR
    assert restoring.HELD == Held.BY_ADMINISTRATOR


def test_a_pace_keeps_to_its_rate() -> None:
    now = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    pace = Pace(rate=1_000, clock=lambda: now[0], sleep=sleep)
    for _ in range(5):
        pace.step(500)
    assert sum(slept) == pytest.approx(2.5)
    pace.skip(10_000)
    assert sum(slept) == pytest.approx(2.5), "what is only looked at costs nothing"
    pace.stop()
    with pytest.raises(Stopped):
        pace.step()


async def test_a_manifest_is_plain_json(tmp_path: Path) -> None:
    store = await begun(tmp_path, 1)
    await store.close()
    folder = Target(tmp_path / "backups").generation(make(tmp_path))
    assert json.loads((folder / MANIFEST).read_text())["emails"] == 1


async def test_what_the_disk_cannot_read_costs_a_block_and_not_the_backup(tmp_path: Path) -> None:
    store = await begun(tmp_path)
    target = Target(tmp_path / "backups")
    target.make()

    def pread(fd: int, octets: int, offset: int) -> bytes:
        if offset <= 20_000 < offset + octets:
            raise OSError(errno.EIO, "Input/output error")
        return os.pread(fd, octets, offset)

    packs = tmp_path / "data" / "packs"
    copier = PackCopier(packs, target, Pace(), pread)
    [copy] = copier.copy_all([(1, True, pack_path(packs, 1).stat().st_size)])
    assert copier.problems == ["0000000001.pack cannot be read at offset 16384"]
    octets = bytearray(pack_path(packs, 1).read_bytes())
    octets[16_384:20_480] = bytes(4_096)
    assert target.pack_path(copy).read_bytes() == octets
    await store.close()


def older_store(folder: Path) -> None:
    """A store as the version before this one left it."""
    for path in (folder / "packs", folder / "run"):
        path.mkdir(parents=True)
    connection = connect(folder, CONFIG, writes=True)
    migrate(connection, lambda: 1, shipped()[:-1])
    connection.close()


async def test_a_backup_of_an_older_version_is_read_and_restored(tmp_path: Path) -> None:
    older_store(tmp_path / "data")
    manifest = make(tmp_path)
    target = Target(tmp_path / "backups")
    octets = (target.generation(manifest) / "postillon.db").read_bytes()
    newest = "SELECT max(number) FROM migration"
    reading = BackupStore(target, manifest)
    assert manifest.schema == len(shipped()) - 1
    assert await reading.query(statement(newest)(None)) == [(len(shipped()),)]  # type: ignore[arg-type]
    reading.close()
    assert (target.generation(manifest) / "postillon.db").read_bytes() == octets
    restore(target, manifest, tmp_path / "again")
    again = await open_store(tmp_path / "again", CONFIG, owner="w0")
    assert await verify(again) == []
    await again.close()


async def test_a_backup_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    store = await begun(tmp_path, 1)
    await store.close()
    manifest = msgspec.structs.replace(make(tmp_path), schema=9_999)
    with pytest.raises(BackupError, match="newer version"):
        BackupStore(Target(tmp_path / "backups"), manifest)
