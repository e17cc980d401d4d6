"""What a start has to put right after a crash: the tails of packs (I3) and the counters (I5).

A pack that nobody holds open is checked from the offset that was durable when its last batch began.
Rows that name unsound octets there were never acknowledged nor announced: the sender of such a message
still has it. They are removed with ordinary change records, by SQL that knows the tables of `account`
and `queue`: the store stands below both and must be sound before either may look.
"""

from __future__ import annotations

import os
from pathlib import Path

from postillon.clock import Clock
from postillon.log import Log
from postillon.store.database import Execute
from postillon.store.files import Files
from postillon.store.operation import StoreError
from postillon.store.pack import (
    BLOB_TABLES,
    FILE_HEADER,
    SEALED,
    PackWriter,
    file_header,
    pack_path,
    read_record,
    records,
)

GAP = 1_000  # ids skipped after a power cut, more than were given between a commit and its sync
SEEN, DELETED = 1, 8  # bits of placement.flags, as in account.keywords (a test compares them)
TOMBSTONE = 3  # change.kind of an expunged placement, as in account.changes (a test compares them)


def skip_ids(execute: Execute) -> None:
    """Leave a gap in every counter, so that no id somebody may have seen is given again (I5).

    A poller can have seen an id between the commit and the sync of its batch; after a power cut the
    counter may be where it was before. To be run in a transaction.
    """
    execute("UPDATE account SET modseq = modseq + ?, next_id = next_id + ?", (GAP, GAP))
    execute("UPDATE mailbox SET uid_next = uid_next + ?", (GAP,))
    execute("UPDATE counter SET value = value + ? WHERE name <> 'pack'", (GAP,))


def recover_pack(
    execute: Execute, files: Files, folder: Path, pack: int, synced: int, clock: Clock, log: Log
) -> PackWriter | None:
    """Check the end of an open pack and remove rows without octets; the pack is then all durable.

    The caller holds the slot of its owner and the commit lock, inside a transaction. Returns the pack
    ready for more, or None if it had to be sealed. Raises StoreError if it cannot be synced.
    """
    try:
        fd = files.open(pack_path(folder, pack), os.O_RDWR)
    except FileNotFoundError:
        log.error("pack missing", pack=pack)
        _forget_from(execute, pack, synced, None, clock, log)
        execute("UPDATE pack SET state = ? WHERE pack = ?", (SEALED, pack))
        return None
    try:
        # What the page cache says proves nothing after a failed sync: write, forget, read again.
        files.sync_data(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        size = os.fstat(fd).st_size
        if os.pread(fd, FILE_HEADER.size, 0) != file_header(pack) or size < synced:
            # Octets that were durable are gone. Nothing may be appended where rows still point.
            log.error("pack damaged", pack=pack, size=size, synced=synced)
            _forget_from(execute, pack, synced, fd, clock, log)
            execute("UPDATE pack SET state = ?, size = ? WHERE pack = ?", (SEALED, size, pack))
            files.close(fd)
            return None
        end = synced
        for record in records(fd, synced):
            end = record.end
        end = max(end, _forget_from(execute, pack, synced, fd, clock, log))
        if end < size:
            files.truncate(fd, end)
            files.sync_data(fd)
    except OSError as error:
        files.close(fd)
        raise StoreError(f"pack {pack} cannot be checked: {error}") from error
    execute(
        "UPDATE pack SET size = ?, synced = ?, changed_at = ? WHERE pack = ?",
        (end, end, clock(), pack),
    )
    return PackWriter(files, pack_path(folder, pack), pack, fd, end)


def _forget_from(
    execute: Execute, pack: int, start: int, fd: int | None, clock: Clock, log: Log
) -> int:
    """Remove rows from an offset on whose octets are unsound; returns the end of the sound ones."""
    end = 0
    sound: dict[tuple[int, int], bool] = {}
    for table in BLOB_TABLES:
        rows = execute(
            f"SELECT start, length, {_key(table)} FROM {table}"  # noqa: S608 - constants
            " WHERE pack = ? AND start >= ? ORDER BY start",
            (pack, start),
        ).fetchall()
        for offset, length, *key in rows:
            place = (offset, length)
            if place not in sound:
                record = None if fd is None else read_record(fd, offset, length)
                sound[place] = record is not None and len(record.content) == length
                if record is not None and sound[place]:
                    end = max(end, record.end)
            if sound[place]:
                continue
            log.warning("unsynced row dropped", table=table, pack=pack, offset=offset)
            if table == "email":
                forget_email(execute, key[0], key[1], clock())
            elif table == "queue_message":
                forget_queue_message(execute, key[0])
            else:
                execute("DELETE FROM upload WHERE account = ? AND upload = ?", key)
    return end


def _key(table: str) -> str:
    return "queue_id" if table == "queue_message" else f"account, {table}"


def forget_email(execute: Execute, account: int, email: int, now: int) -> None:
    """Remove an email and its placements as an expunge would."""
    placements = execute(
        "SELECT mailbox, uid, flags FROM placement WHERE account = ? AND email = ?",
        (account, email),
    ).fetchall()
    [(modseq,)] = execute(
        "UPDATE account SET modseq = modseq + 1, emails = emails - 1, used = used -"
        " (SELECT size FROM email WHERE account = ?1 AND email = ?2)"
        " WHERE account = ?1 RETURNING modseq",
        (account, email),
    ).fetchall()
    for n, (mailbox, uid, flags) in enumerate(placements):
        execute(
            "DELETE FROM placement WHERE account = ? AND mailbox = ? AND uid = ?",
            (account, mailbox, uid),
        )
        execute(
            "UPDATE mailbox SET total = total - 1, unseen = unseen - ?, deleted = deleted - ?,"
            " modseq = ?, octets = octets - (SELECT size FROM email WHERE account = ? AND email = ?)"
            " WHERE account = ? AND mailbox = ?",
            (int(not flags & SEEN), int(bool(flags & DELETED)), modseq, account, email,
             account, mailbox),
        )  # fmt: skip
        execute(
            "INSERT INTO change (account, modseq, n, kind, mailbox, uid, object, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (account, modseq, n, TOMBSTONE, mailbox, uid, email, now),
        )
    rows = execute(
        "DELETE FROM email WHERE account = ? AND email = ? RETURNING queue_id", (account, email)
    ).fetchall()
    if rows and rows[0][0] is not None:
        _forget_trace(execute, rows[0][0])


def forget_queue_message(execute: Execute, queue_id: int) -> None:
    """Remove a message that was never acknowledged, with what hangs on it."""
    for table in ("queue_attempt", "queue_recipient", "queue_message"):
        execute(f"DELETE FROM {table} WHERE queue_id = ?", (queue_id,))  # noqa: S608 - constants
    _forget_trace(execute, queue_id)


def _forget_trace(execute: Execute, queue_id: int) -> None:
    for table in ("trace_event", "trace"):
        execute(f"DELETE FROM {table} WHERE queue_id = ?", (queue_id,))  # noqa: S608 - constants
