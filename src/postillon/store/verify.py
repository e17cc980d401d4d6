"""Proving octets, rows, counters and indexes against each other (`postillon verify`).

Reads only, in pieces: each is one read transaction, so a server may run meanwhile. A record that
compaction may have moved in between is looked up a second time before it counts. `store.repair` mends.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from postillon.store import mending_others
from postillon.store.checks import (
    ACCOUNT_CHECKS,
    PLACEMENT_WITHOUT_EMAIL,
    STORE_CHECKS,
    Check,
)
from postillon.store.operation import BlobLost, BlobRef, Steps, WriteOperation
from postillon.store.pack import (
    BLOB_TABLES,
    FILE_HEADER,
    RETIRED,
    file_header,
    pack_number,
    pack_path,
)
from postillon.store.progress import Pace
from postillon.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore

T = TypeVar("T")

AT_ONCE = 500  # rows, records or accounts of one piece
MAX_FINDINGS = 1_000  # more say nothing new
UNNAMED = "no row names this file; a sweep removes it"
ROWLESS = "messages name this file and it has no row"
NOWHERE = "messages name it, and it has neither row nor file"


class Provable(Protocol):
    """What is read: a store, or a backup of one."""

    async def query(self, steps: Steps[T]) -> T: ...

    async def read_apart(self, steps: Steps[T]) -> T: ...

    async def fetch(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be."""

    kind: str  # database, pack, blob, counter, row
    where: str
    problem: str
    mended: bool = False
    mend: WriteOperation[Any] | None = field(default=None, compare=False, repr=False)
    blob: BlobRef | None = field(default=None, compare=False, repr=False)
    digest: bytes = field(default=b"", compare=False, repr=False)  # SHA-256 the blob must have
    # (account, mailbox, UID) of a placement without its email
    placement: tuple[int, int, int] | None = field(default=None, compare=False, repr=False)


async def verify(
    store: AnyStore, *, octets: bool = True, pace: Pace | None = None
) -> list[Finding]:
    """Everything that is wrong, MAX_FINDINGS at most; empty is sound.

    octets: also read every record and compare checksum and digest, which takes the time of reading
    it all.
    """
    pace = pace or Pace()
    findings: list[Finding] = []
    if isinstance(store, SqliteStore):  # of PostgreSQL's own files PostgreSQL takes care
        pace.begin("database")
        findings += await store.read_apart(_database())
        findings += await _packs(store)
    findings += await verify_rows(store, octets=octets, pace=pace)
    return findings[:MAX_FINDINGS]


async def verify_rows(
    store: Provable, *, octets: bool = True, pace: Pace | None = None
) -> list[Finding]:
    """Rows and counters against each other, and every record they name."""
    pace = pace or Pace()
    findings = []
    for check in STORE_CHECKS:
        findings += await _check(store, check)
    findings += await _accounts(store, pace)
    if octets:
        findings += await _blobs(store, pace)
    return findings[:MAX_FINDINGS]


async def read_sound(store: Provable, ref: BlobRef, digest: bytes) -> tuple[bytes | None, str]:
    """The octets of a blob if they are sound and the right ones; else why not, in words."""
    try:
        content = await store.fetch(ref)
    except (BlobLost, OSError):
        return None, "no sound record lies there"
    if hashlib.sha256(content).digest() != digest:
        return None, "another message lies there"
    return content, ""


# Database and packs


def _database() -> Steps[list[Finding]]:
    rows = yield ("PRAGMA integrity_check(100)", ())
    return [
        Finding(
            "database", "postillon.db", row[0],
            mend=mending_others.rebuild_indexes if "index" in row[0] else None,
        )
        for row in rows if row[0] != "ok"
    ]  # fmt: skip


async def _packs(store: SqliteStore) -> list[Finding]:
    folder = store.folder / "packs"
    # Files first: a row is older than its file only when the pack is being removed.
    files = {number for path in folder.iterdir() if (number := pack_number(path)) is not None}
    known, named = await store.read_apart(_pack_rows())
    findings = []
    for pack, state, synced in known:
        problem = _pack_problem(pack_path(folder, pack), pack, synced)
        if problem and state != RETIRED:
            findings.append(Finding("pack", str(pack), problem))
    rows = {row[0] for row in known}
    for pack in sorted(files - rows):
        if pack in named:
            size = pack_path(folder, pack).stat().st_size
            mend = mending_others.know_pack(pack, size)
            findings.append(Finding("pack", str(pack), ROWLESS, mend=mend))
        else:
            findings.append(Finding("pack", str(pack), UNNAMED))
    lost = sorted(named - rows - files)
    return findings + [Finding("pack", str(pack), NOWHERE) for pack in lost]


def _pack_rows() -> Steps[tuple[list[tuple[int, int, int]], set[int]]]:
    """Rows of packs, and the packs that messages name."""
    rows = yield "SELECT pack, state, synced FROM pack", ()
    named: set[int] = set()
    for table in BLOB_TABLES:
        # One probe of the index for each pack, where DISTINCT would walk all of it.
        found = yield (
            f"WITH RECURSIVE p (pack) AS (SELECT min(pack) FROM {table} UNION ALL"  # noqa: S608
            f" SELECT (SELECT min(t.pack) FROM {table} t WHERE t.pack > p.pack) FROM p"
            " WHERE p.pack IS NOT NULL) SELECT pack FROM p WHERE pack IS NOT NULL",
            (),
        )
        named |= {row[0] for row in found}
    return [(row[0], row[1], row[2]) for row in rows], named


def _pack_problem(path: Path, pack: int, synced: int) -> str | None:
    try:
        with path.open("rb") as file:
            if file.read(FILE_HEADER.size) != file_header(pack):
                return "the file's header is wrong"
            if file.seek(0, 2) < synced:
                return "the file is shorter than what was durable"
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    return None


# Rows


async def _accounts(store: Provable, pace: Pace) -> list[Finding]:
    findings: list[Finding] = []
    [(octets,)] = await store.query(_query("SELECT coalesce(sum(used), 0) FROM account"))
    pace.begin("accounts", octets)
    last = 0
    while True:
        accounts = await store.query(_query(
            "SELECT account, used FROM account WHERE account > ? ORDER BY account LIMIT ?",
            last, AT_ONCE,
        ))  # fmt: skip
        if not accounts or len(findings) >= MAX_FINDINGS:
            return findings
        first, last = accounts[0][0], accounts[-1][0]
        for check in ACCOUNT_CHECKS:
            findings += await _check(store, check, first, last)
        pace.skip(sum(row[1] for row in accounts), len(accounts))


async def _check(store: Provable, check: Check, *arguments: int) -> list[Finding]:
    rows = await store.read_apart(_query(f"{check.sql} LIMIT 100", *arguments))
    return [
        Finding(
            check.kind,
            check.area + "/".join(map(str, row)),
            check.problem,
            mend=None if check.mend is None else check.mend(*row),
            placement=row if check is PLACEMENT_WITHOUT_EMAIL else None,
        )
        for row in rows
    ]


def _query(sql: str, *arguments: Any) -> Steps[list[tuple[Any, ...]]]:  # Any: as Row
    rows = yield sql, arguments
    return rows


# Octets


async def _blobs(store: Provable, pace: Pace) -> list[Finding]:
    findings: list[Finding] = []
    for table in BLOB_TABLES:
        places = f"SELECT DISTINCT pack, start, length FROM {table}"  # noqa: S608 - a constant
        total = f"SELECT coalesce(sum(length), 0) FROM ({places}) AS places"  # noqa: S608
        [(octets,)] = await store.read_apart(_query(total))
        pace.begin(f"octets of {table.replace('_', ' ')}", octets)
        place: tuple[BlobRef, bytes] = (BlobRef(0, 0, 0), b"")
        while len(findings) < MAX_FINDINGS:
            refs = await store.read_apart(_refs_after(table, *place))
            if not refs:
                break
            place = refs[-1]
            for ref, digest, problem in await _unsound(store, refs, pace):
                # Compacted between the two looks? Then the row names another place now.
                owners = await store.query(_owners(table, ref))
                if owners:
                    where = f"{table} {ref.pack}:{ref.offset}"
                    said = f"{problem} ({', '.join(owners)})"
                    findings.append(Finding("blob", where, said, blob=ref, digest=digest))
    return findings


def _refs_after(table: str, ref: BlobRef, digest: bytes) -> Steps[list[tuple[BlobRef, bytes]]]:
    """Places with the digests that rows give them, in the order in which they lie."""
    rows = yield (
        "SELECT DISTINCT pack, start, length, digest"  # noqa: S608 - a constant
        f" FROM {table} WHERE (pack, start, length, digest) > (?, ?, ?, ?)"
        " ORDER BY pack, start, length, digest LIMIT ?",
        (ref.pack, ref.offset, ref.length, digest, AT_ONCE),
    )
    return [(BlobRef(*row[:3]), row[3]) for row in rows]


def _owners(table: str, ref: BlobRef) -> Steps[list[str]]:
    """Whose octets these are, in words; empty when no row names them any more. Ten at most."""
    if table == "email":
        rows = yield (
            "SELECT e.account, e.email, p.mailbox, p.uid FROM email e LEFT JOIN placement p"
            " ON p.account = e.account AND p.email = e.email WHERE e.pack = ? AND e.start = ?"
            " LIMIT 10",
            (ref.pack, ref.offset),
        )
        return [
            f"account {row[0]} email {row[1]}"
            + ("" if row[2] is None else f" mailbox {row[2]} UID {row[3]}")
            for row in rows
        ]
    column = "queue_id" if table == "queue_message" else "upload"
    rows = yield (
        f"SELECT {column} FROM {table} WHERE pack = ? AND start = ? LIMIT 10",  # noqa: S608
        (ref.pack, ref.offset),
    )
    return [f"{table.replace('_', ' ')} {row[0]}" for row in rows]


async def _unsound(
    store: Provable, refs: list[tuple[BlobRef, bytes]], pace: Pace
) -> list[tuple[BlobRef, bytes, str]]:
    found = []
    for ref, digest in refs:
        content, problem = await read_sound(store, ref, digest)
        if content is None:
            found.append((ref, digest, problem))
        pace.step(ref.length, 1)
    return found
