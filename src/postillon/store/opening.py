"""Opening and closing the folder of a store: schema, slot, recovery, marks of a clean end.

The door is locked meanwhile, so that of several processes that start together one recovers and the
others find it done. State kept in `meta` under "boot": the boot id under which the store is in use, or
'' after a clean end. A crash before it is written leaves the older value, which is then true too.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import apsw

from postillon.clock import Clock
from postillon.log import Log
from postillon.store import slots
from postillon.store.config import StoreConfig
from postillon.store.database import NAME, Execute, close, connect, translated
from postillon.store.files import Files
from postillon.store.migrate import migrate
from postillon.store.operation import StoreError
from postillon.store.pack import OPEN, PackWriter
from postillon.store.recovery import recover_pack, skip_ids
from postillon.store.slots import FileLock

RESTORING = "restore-unfinished"  # a file that says so, in a folder that is being filled


@dataclass(slots=True)
class Opened:
    """What an open store holds in the file system."""

    folder: Path
    owner: str
    slot: FileLock
    lock: FileLock  # the commit lock
    writer: apsw.Connection
    wal_fd: int
    pack: PackWriter | None  # the pack of this slot that goes on, if there is one

    def lock_again(self) -> FileLock:
        """The commit lock for another thread of this process; to be acquired, then closed."""
        return FileLock(self.folder / "run" / "commit.lock")


def door_of(folder: Path) -> FileLock:
    return FileLock(folder / "run" / "door.lock")


def backup_lock_of(folder: Path) -> FileLock:
    """Shared by running backups; who removes packs must have it alone."""
    return FileLock(folder / "run" / "backup.lock")


def packs_of(folder: Path) -> Path:
    return folder / "packs"


def open_folder(
    folder: Path,
    config: StoreConfig,
    *,
    owner: str,
    log: Log,
    clock: Clock,
    files: Files,
    vfs: str | None,
    fresh_ok: bool,
) -> Opened:
    """Blocks. Raises StoreError; nothing is left open then."""
    folder = folder.resolve()
    if (folder / RESTORING).exists():
        raise StoreError(f"the restore into {folder} has not ended: run it again")
    if not fresh_ok and not (folder / NAME).exists():
        raise StoreError(f"there is no store in {folder}")
    for path in (folder, packs_of(folder), folder / "run"):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as undo:
        door = door_of(folder)
        undo.callback(door.close)
        door.acquire()
        with ExitStack() as kept:
            name, slot = slots.claim(folder / "run", owner)
            kept.callback(slot.close)
            lock = FileLock(folder / "run" / "commit.lock")
            kept.callback(lock.close)
            writer = connect(folder, config, writes=True, vfs=vfs)
            kept.callback(close, writer)
            try:
                for step in migrate(writer, clock):
                    log.info("schema migrated", migration=step)
                wal_fd = files.open(folder / f"{NAME}-wal", os.O_RDWR)
                kept.callback(files.close, wal_fd)
                pack = _recover(writer, folder, name, lock, clock, log, files)
                if pack is not None:
                    kept.callback(pack.close)
                files.sync_data(wal_fd)
                files.sync_folder(
                    folder
                )  # the log's name: SQLite syncs it only when it syncs the log
            except apsw.Error as error:
                raise translated(error) from error
            except OSError as error:
                raise StoreError(f"the store cannot be opened: {error}") from error
            kept.pop_all()
    return Opened(folder, name, slot, lock, writer, wal_fd, pack)


def _recover(
    writer: apsw.Connection,
    folder: Path,
    owner: str,
    lock: FileLock,
    clock: Clock,
    log: Log,
    files: Files,
) -> PackWriter | None:
    """Put right what a crash left; returns the newest sound pack of this slot."""
    execute: Execute = writer.cursor().execute
    own: PackWriter | None = None
    held: dict[str, FileLock] = {}
    others: list[PackWriter] = []
    boot = files.boot_id()
    with lock:
        execute("BEGIN IMMEDIATE")
        try:
            last = execute("SELECT value FROM meta WHERE key = 'boot'").fetchall()
            if not slots.others_alive(folder / "run", owner):
                if last and last[0][0] and last[0][0] != (boot or "unknown"):
                    log.warning("unclean end", gap=True)
                    skip_ids(execute)
                elif last and not boot and last[0][0]:
                    skip_ids(execute)
                execute(
                    "INSERT INTO meta (key, value) VALUES ('boot', ?)"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    (boot or "unknown",),
                )
            for pack, whose, synced in execute(
                "SELECT pack, owner, synced FROM pack WHERE state = ? ORDER BY pack", (OPEN,)
            ).fetchall():
                if whose != owner and whose not in held:
                    taken = slots.idle(folder / "run", whose)
                    if taken is None:
                        continue  # alive: its own business
                    held[whose] = taken
                found = recover_pack(execute, files, packs_of(folder), pack, synced, clock, log)
                if found is not None:
                    others.append(found)
                    if whose == owner:
                        own = found
            execute("COMMIT")
        except BaseException:
            if writer.in_transaction:
                execute("ROLLBACK")
            if own is not None:
                own.close()
                others.remove(own)
            raise
        finally:
            for found in others:
                if found is not own:
                    found.close()
            for taken in held.values():
                taken.close()
    return own


def close_folder(opened: Opened, clock: Clock, log: Log, files: Files, *, clean: bool) -> None:
    """Blocks. clean: everything committed is durable; the last process then marks a clean end."""
    with ExitStack() as undo:
        door = door_of(opened.folder)
        undo.callback(door.close)
        undo.callback(opened.slot.close)
        undo.callback(opened.lock.close)
        undo.callback(files.close, opened.wal_fd)
        undo.callback(close, opened.writer)
        pack = opened.pack
        if pack is not None:
            undo.callback(pack.close)
        door.acquire()
        if not clean:
            return
        last = not slots.others_alive(opened.folder / "run", opened.owner)
        execute = opened.writer.cursor().execute
        try:
            with opened.lock:
                execute("BEGIN IMMEDIATE")
                if pack is not None:
                    execute(
                        "UPDATE pack SET size = ?, synced = ?, changed_at = ? WHERE pack = ?",
                        (pack.size, pack.synced, clock(), pack.pack),
                    )
                if last:
                    execute("UPDATE meta SET value = '' WHERE key = 'boot'")
                execute("COMMIT")
            files.sync_data(opened.wal_fd)
        except (apsw.Error, OSError) as error:
            # The next start then takes this for a crash, which costs it a check.
            log.warning("store not closed cleanly", error=str(error))
            if opened.writer.in_transaction:
                execute("ROLLBACK")
