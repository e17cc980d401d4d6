"""Mending what `verify` finds: one transaction each, then looking again until nothing more can be done.

What is mended how stands in `store.mending`. From a backup come octets of damaged records, and rows of
emails whose placement is still there: such an email is back as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from postillon.store import mending, mending_others
from postillon.store.backup_reader import BackupStore
from postillon.store.operation import BlobRef, NewBlob, Steps, StoreError
from postillon.store.pack import BLOB_TABLES
from postillon.store.progress import Pace
from postillon.store.verify import Finding, Provable, read_sound, verify

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore

MAX_PASSES = 50  # of mending: one may uncover the next


async def repair(
    store: AnyStore,
    *,
    octets: bool = True,
    others: Iterable[BackupStore] = (),
    pace: Pace | None = None,
) -> list[Finding]:
    """Mend what can be mended. Returns all that was found, and of each whether it is mended.

    others: backups, where damaged octets may still be sound and lost rows of emails still there; the
    first that has something is taken.
    """
    backups = list(others)
    done: dict[tuple[str, str, str], Finding] = {}
    hopeless: set[tuple[str, str, str]] = set()
    for _ in range(MAX_PASSES):
        found = await verify(store, octets=octets, pace=pace)
        present = {_key(finding) for finding in found}
        for finding in found:
            done.setdefault(_key(finding), finding)
        tried = False
        for finding in found:
            if _key(finding) in hopeless:
                continue
            hopeless.add(_key(finding))  # one try each
            tried = await _mend(store, finding, backups) or tried
        if not tried:
            break
    return [replace(item, mended=key not in present) for key, item in done.items()]


def _key(finding: Finding) -> tuple[str, str, str]:
    return finding.kind, finding.where, finding.problem


async def _mend(store: AnyStore, finding: Finding, backups: list[BackupStore]) -> bool:
    """Whether something was changed."""
    try:
        if finding.placement is not None and await _rescue(store, finding.placement, backups):
            return True
        if finding.mend is not None:
            await store.write(finding.mend)
            return True
        if finding.blob is None:
            return False
        twins = await store.read_apart(_same_digest(finding.digest))
        content = await _sound_copy(store, finding.blob, finding.digest, twins, backups)
        if content is None:
            return False
        await store.write(mending_others.point_to(finding.blob, finding.digest), NewBlob(content))
    except StoreError as error:  # refused: the database itself is damaged there
        store.log.error("not mended", where=finding.where, error=str(error))
        return False
    return True


async def _sound_copy(
    store: Provable,
    lost: BlobRef,
    digest: bytes,
    twins: list[BlobRef],
    backups: list[BackupStore],
) -> bytes | None:
    """The octets of a lost blob from a message that is the same, or from a backup."""
    for ref in twins:
        content, _ = await read_sound(store, ref, digest)
        if content is not None:
            return content
    for backup in backups:
        content, _ = await read_sound(backup, lost, digest)
        if content is not None:
            return content
    return None


def _same_digest(digest: bytes) -> Steps[list[BlobRef]]:
    """Places of blobs with this digest. Looks at every row: for damage only."""
    found: list[BlobRef] = []
    for table in BLOB_TABLES:
        rows = yield (
            f"SELECT DISTINCT pack, start, length FROM {table} WHERE digest = ? LIMIT 100",  # noqa: S608
            (digest,),
        )
        found += [BlobRef(*row) for row in rows]
    return found


async def _rescue(
    store: AnyStore, placement: tuple[int, int, int], backups: list[BackupStore]
) -> bool:
    """Bring back the row of an email from a backup, if its octets are here or there."""
    email = await store.read_apart(mending.email_of(*placement))
    for backup in backups if email is not None else ():
        row = await backup.read_apart(mending.kept_row(placement[0], email or 0))
        if row is None:
            continue
        content, _ = await read_sound(store, row.ref, row.digest)
        if content is not None:
            await store.write(mending.put_back(row, placement[1], row.ref))
            return True
        content, _ = await read_sound(backup, row.ref, row.digest)
        if content is not None:
            await store.write(mending.put_back(row, placement[1], None), NewBlob(content))
            return True
    return False
