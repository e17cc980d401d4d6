"""Proving octets, rows and counters against each other (`postillon verify`).

Reads only, in pieces: each is one read transaction, so a server may run meanwhile. A record that
compaction may have moved in between is looked up a second time before it counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from postillon.store.operation import BlobLost, BlobRef, Steps
from postillon.store.pack import (
    BLOB_TABLES,
    FILE_HEADER,
    RETIRED,
    file_header,
    pack_number,
    pack_path,
)
from postillon.store.sqlite import SqliteStore

AT_ONCE = 500  # rows, records or accounts of one piece
MAX_FINDINGS = 1_000  # more say nothing new
UNNAMED = "no row names this file; a sweep removes it"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it must be."""

    kind: str  # database, pack, blob, counter, row
    where: str
    problem: str


# Each query names a place and says what is wrong there; no row is a sound account. The arguments are
# the first and the last account of a piece, both included.
_CHECKS: tuple[tuple[str, str, str], ...] = (
    (
        "counter",
        "an account's octets or number of emails is wrong",
        "SELECT a.account FROM account a WHERE a.account BETWEEN ? AND ? AND (a.used, a.emails) <>"
        " (SELECT coalesce(sum(e.size), 0), count(*) FROM email e WHERE e.account = a.account)",
    ),
    (
        "counter",
        "a mailbox's counts are wrong",
        "SELECT m.account, m.mailbox FROM mailbox m WHERE m.account BETWEEN ? AND ?"
        " AND (m.total, m.unseen, m.deleted, m.octets) <> (SELECT count(*),"
        " coalesce(sum(1 - (p.flags & 1)), 0),"  # SEEN, then DELETED
        " coalesce(sum((p.flags & 8) / 8), 0), coalesce(sum(e.size), 0)"
        " FROM placement p JOIN email e ON e.account = p.account AND e.email = p.email"
        " WHERE p.account = m.account AND p.mailbox = m.mailbox)",
    ),
    (
        "counter",
        "the next UID of a mailbox has been given already",
        "SELECT m.account, m.mailbox FROM mailbox m WHERE m.account BETWEEN ? AND ?"
        " AND m.uid_next <= (SELECT coalesce(max(p.uid), 0) FROM placement p"
        " WHERE p.account = m.account AND p.mailbox = m.mailbox)",
    ),
    (
        "counter",
        "a MODSEQ is beyond the account's",
        "SELECT a.account FROM account a WHERE a.account BETWEEN ? AND ? AND (a.modseq <"
        " (SELECT coalesce(max(c.modseq), 0) FROM change c WHERE c.account = a.account) OR a.modseq <"
        " (SELECT coalesce(max(m.modseq), 0) FROM mailbox m WHERE m.account = a.account))",
    ),
    (
        "counter",
        "an id is beyond the account's next one",
        "SELECT a.account FROM account a WHERE a.account BETWEEN ? AND ? AND a.next_id <="
        " (SELECT coalesce(max(e.email), 0) FROM email e WHERE e.account = a.account)",
    ),
    (
        "row",
        "a placement has no email",
        "SELECT p.account, p.mailbox, p.uid FROM placement p WHERE p.account BETWEEN ? AND ?"
        " AND NOT EXISTS (SELECT 1 FROM email e WHERE e.account = p.account AND e.email = p.email)",
    ),
    (
        "row",
        "a placement has no mailbox",
        "SELECT p.account, p.mailbox, p.uid FROM placement p WHERE p.account BETWEEN ? AND ?"
        " AND NOT EXISTS"
        " (SELECT 1 FROM mailbox m WHERE m.account = p.account AND m.mailbox = p.mailbox)",
    ),
    (
        "row",
        "an email is in no mailbox",
        "SELECT e.account, e.email FROM email e WHERE e.account BETWEEN ? AND ? AND NOT EXISTS"
        " (SELECT 1 FROM placement p WHERE p.account = e.account AND p.email = e.email)",
    ),
)
_QUEUE = (
    ("SELECT r.queue_id, r.n FROM queue_recipient r WHERE NOT EXISTS"
     " (SELECT 1 FROM queue_message m WHERE m.queue_id = r.queue_id)",
     "a queued recipient has no message"),
    ("SELECT m.queue_id FROM queue_message m WHERE NOT EXISTS"
     " (SELECT 1 FROM queue_recipient r WHERE r.queue_id = m.queue_id)",
     "a queued message has no recipient"),
)  # fmt: skip


async def verify(store: SqliteStore, *, octets: bool = True) -> list[Finding]:
    """Everything that is wrong, MAX_FINDINGS at most; empty is sound.

    octets: also read every record and compare its checksum, which takes the time of reading it all.
    """
    findings = await store.read_apart(_database())
    for check in (_packs, _accounts, _queue):
        findings += await check(store)
    if octets:
        findings += await _blobs(store)
    return findings[:MAX_FINDINGS]


def _database() -> Steps[list[Finding]]:
    rows = yield ("PRAGMA integrity_check(100)", ())
    return [Finding("database", "postillon.db", row[0]) for row in rows if row[0] != "ok"]


async def _packs(store: SqliteStore) -> list[Finding]:
    folder = store.folder / "packs"
    # Files first: a row is older than its file only when the pack is being removed.
    files = {number for path in folder.iterdir() if (number := pack_number(path)) is not None}

    def rows() -> Steps[list[tuple[int, int, int]]]:
        found = yield ("SELECT pack, state, synced FROM pack", ())
        return [(row[0], row[1], row[2]) for row in found]

    findings = []
    known = store.read(rows())
    for pack, state, synced in known:
        problem = _pack_problem(pack_path(folder, pack), pack, synced)
        if problem and state != RETIRED:
            findings.append(Finding("pack", str(pack), problem))
    unnamed = sorted(files - {row[0] for row in known})
    return findings + [Finding("pack", str(pack), UNNAMED) for pack in unnamed]


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


async def _accounts(store: SqliteStore) -> list[Finding]:
    findings: list[Finding] = []
    last = 0
    while True:
        accounts = store.read(_accounts_after(last))
        if not accounts or len(findings) >= MAX_FINDINGS:
            return findings
        first, last = accounts[0], accounts[-1]
        for kind, problem, sql in _CHECKS:
            rows = await store.read_apart(_rows(sql, first, last))
            findings += [Finding(kind, "/".join(map(str, row)), problem) for row in rows]


def _accounts_after(account: int) -> Steps[list[int]]:
    rows = yield (
        "SELECT account FROM account WHERE account > ? ORDER BY account LIMIT ?",
        (account, AT_ONCE),
    )
    return [row[0] for row in rows]


def _rows(sql: str, *arguments: int) -> Steps[list[tuple[int, ...]]]:
    rows = yield (f"{sql} LIMIT 100", arguments)
    return rows


async def _queue(store: SqliteStore) -> list[Finding]:
    findings: list[Finding] = []
    for sql, problem in _QUEUE:
        rows = await store.read_apart(_rows(sql))
        findings += [Finding("row", "queue/" + "/".join(map(str, row)), problem) for row in rows]
    return findings


async def _blobs(store: SqliteStore) -> list[Finding]:
    findings: list[Finding] = []
    for table in BLOB_TABLES:
        place = (0, -1)
        while len(findings) < MAX_FINDINGS:
            refs = await store.read_apart(_refs_after(table, *place))
            if not refs:
                break
            place = (refs[-1].pack, refs[-1].offset)
            for ref in await store.apart(_unsound, store, refs):
                # Compacted between the two looks? Then the row names another place now.
                if store.read(_still_named(table, ref)):
                    where = f"{table} {ref.pack}:{ref.offset}"
                    findings.append(Finding("blob", where, "no sound record lies there"))
    return findings


def _refs_after(table: str, pack: int, start: int) -> Steps[list[BlobRef]]:
    rows = yield (
        f"SELECT DISTINCT pack, start, length FROM {table} WHERE (pack, start) > (?, ?)"  # noqa: S608
        " ORDER BY pack, start LIMIT ?",
        (pack, start, AT_ONCE),
    )
    return [BlobRef(*row) for row in rows]


def _still_named(table: str, ref: BlobRef) -> Steps[bool]:
    rows = yield (
        f"SELECT 1 FROM {table} WHERE pack = ? AND start = ? LIMIT 1",  # noqa: S608
        (ref.pack, ref.offset),
    )
    return bool(rows)


def _unsound(store: SqliteStore, refs: list[BlobRef]) -> list[BlobRef]:
    found = []
    for ref in refs:
        try:
            store.packs.read(ref)
        except (BlobLost, OSError):
            found.append(ref)
    return found
