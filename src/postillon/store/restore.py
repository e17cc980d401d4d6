"""A data folder made again from a backup.

While it is being filled, the folder holds a file that says so, and no store opens in it. A restore that
was killed is run again: it keeps the packs that are right already. The file goes as the last thing.

What the world has seen of the lost server after the backup is not known, so everything a client may
remember of it is voided: each account gets a new epoch, each mailbox a new UIDVALIDITY, and no id or
MODSEQ that may have been given is given again. Sessions have ended. Mail that waited in the queue may
have been sent since: it is held until somebody looks at it. With `moved` (the server was stopped, then
backed up: nothing can have happened since) UIDs, UIDVALIDITY, epochs and sessions stay, and the queue
goes on by itself.
"""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from postillon.clock import Clock, system_clock
from postillon.store.backup_packs import hash_file
from postillon.store.database import NAME, Execute, close, translated
from postillon.store.manifest import (
    PIECE,
    BackupError,
    FileCopy,
    Manifest,
    PackCopy,
    Target,
    make_private,
    sync_folder,
    sync_tree,
    write_durably,
)
from postillon.store.migrate import migrate
from postillon.store.opening import RESTORING, packs_of
from postillon.store.pack import OPEN, pack_path
from postillon.store.progress import Pace

LEAP = 1_000_000  # ids and MODSEQs that may have been given after the backup
FAR = 1 << 62  # queue_recipient.due_at of what waits for a person (queue.rows; a test compares)
HELD = 1  # queue_message.held, by the administrator (queue.rows; a test compares)
ELSEWHERE = "configuration"  # in the data folder: copies of what lay outside of it


def restore(
    target: Target,
    manifest: Manifest,
    folder: Path,
    *,
    moved: bool = False,
    pace: Pace | None = None,
    clock: Clock = system_clock,
) -> None:
    """Fill an empty folder. Blocks.

    Raises BackupError, also for a folder that holds something and for damaged files of the backup.
    Whoever is going to run the server must own the folder afterwards: it is made by the caller.
    """
    pace = pace or Pace()
    folder = folder.absolute()
    try:
        _begin(folder, manifest)
        pace.begin("message octets", sum(copy.octets for copy in manifest.packs))
        for copy in manifest.packs:
            _copy_pack(target, copy, folder, pace)
        for item in manifest.files:
            _copy_state(target.generation(manifest), item, folder)
        _copy_rows(target, manifest, folder, pace)
        _adjust(folder, manifest, moved=moved, now=clock())
        sync_tree(folder)
        os.unlink(folder / RESTORING)
        sync_folder(folder)
    except OSError as error:
        raise BackupError(f"the backup cannot be restored: {error}") from error


def _begin(folder: Path, manifest: Manifest) -> None:
    mark = folder / RESTORING
    if folder.is_dir() and any(folder.iterdir()):
        begun = mark.read_text() if mark.exists() else ""
        if begun != manifest.name:
            what = f"an unfinished restore of {begun}" if begun else "something"
            raise BackupError(f"{folder} holds {what}; a restore needs an empty folder")
    for path in (packs_of(folder), folder / "run"):
        make_private(path)
    write_durably(mark, manifest.name.encode())
    sync_folder(folder)


def _copy_pack(target: Target, copy: PackCopy, folder: Path, pace: Pace) -> None:
    path = pack_path(packs_of(folder), copy.pack)
    if path.exists() and hash_file(path, sync=True) == (copy.octets, copy.sha256):
        pace.skip(copy.octets, 1)
        return
    _copy(target.pack_path(copy), path, copy.octets, pace)
    _prove(path, copy.octets, copy.sha256)
    pace.skip(0, 1)


def _copy_rows(target: Target, manifest: Manifest, folder: Path, pace: Pace) -> None:
    copy = manifest.database
    pace.begin("database", copy.octets)
    for suffix in ("-wal", "-shm"):  # of an attempt that was killed
        (folder / f"{NAME}{suffix}").unlink(missing_ok=True)
    _copy(target.generation(manifest) / copy.name, folder / NAME, copy.octets, pace)
    _prove(folder / NAME, copy.octets, copy.sha256)


def _copy_state(generation: Path, copy: FileCopy, folder: Path) -> None:
    """Into its old place in the data folder, or, from elsewhere, below `configuration`."""
    path = folder / (copy.inside or Path(ELSEWHERE) / copy.origin.lstrip("/"))
    make_private(path.parent)
    _copy(generation / copy.name, path, copy.octets, Pace())
    _prove(path, copy.octets, copy.sha256)
    path.chmod(copy.mode)


def _copy(source: Path, path: Path, octets: int, pace: Pace) -> None:
    with source.open("rb") as file:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb", buffering=0) as out:
            left = octets
            while left and (piece := file.read(min(PIECE, left))):
                out.write(piece)
                left -= len(piece)
                pace.step(len(piece))
            os.fsync(out.fileno())


def _prove(path: Path, octets: int, sha256: str) -> None:
    if hash_file(path) != (octets, sha256):
        raise BackupError(f"{path.name} of the backup is damaged: its checksum is wrong")


def _adjust(folder: Path, manifest: Manifest, *, moved: bool, now: int) -> None:
    connection = apsw.Connection(str(folder / NAME))
    try:
        migrate(connection, lambda: now)
        execute: Execute = connection.cursor().execute
        execute("BEGIN IMMEDIATE")
        _settle_packs(execute, manifest)
        execute("UPDATE meta SET value = '' WHERE key = 'boot'")
        if not moved:
            void(execute, now)
            _hold_queue(execute)
        execute("COMMIT")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.Error as error:
        raise translated(error) from error
    finally:
        close(connection)


def _settle_packs(execute: Execute, manifest: Manifest) -> None:
    """Every pack is durable up to where the backup has it, and begins where it is known to end."""
    there = {copy.pack: copy.octets for copy in manifest.packs}
    for (pack,) in execute("SELECT pack FROM pack").fetchall():
        if pack not in there:
            execute("DELETE FROM pack WHERE pack = ?", (pack,))
        else:
            execute(
                "UPDATE pack SET synced = ?1, size = ?1 WHERE pack = ?2 AND state = ?3",
                (there[pack], pack, OPEN),
            )


def void(execute: Execute, now: int) -> None:
    """Make what clients remember worthless and leave room for every id they may have seen.

    UIDVALIDITY is epoch plus mailbox id, as a new mailbox gets it (account.hierarchy), and larger than
    any that was given; it has 32 bits (RFC 9051 section 2.3.1.1). now: ms.
    """
    execute(
        "UPDATE account SET epoch = max(?, epoch + next_id) + ?, modseq = modseq + ?,"
        " next_id = next_id + ?, low_modseq = modseq + ?",
        (now // 1000, LEAP, LEAP, LEAP, LEAP),
    )
    execute(
        "UPDATE mailbox SET uid_validity = mailbox + (SELECT a.epoch FROM account a"
        " WHERE a.account = mailbox.account)"
    )
    execute("UPDATE counter SET value = value + ?", (LEAP,))
    # One that was ended since, on a device that was lost, would be open again.
    for table in ("access_token", "session", "authorization_code", "device_code", "signed_in"):
        execute(f"DELETE FROM {table}")  # noqa: S608 - names of ours


def _hold_queue(execute: Execute) -> None:
    execute("UPDATE queue_message SET held = ? WHERE held = 0", (HELD,))
    execute(
        "UPDATE queue_recipient SET state = 'waiting', due_at = ?, claimed_by = NULL,"
        " lease_until = NULL WHERE state IN ('waiting', 'claimed')",
        (FAR,),
    )
    execute("UPDATE queue_recipient SET waits_for = NULL WHERE waits_for IS NOT NULL")
