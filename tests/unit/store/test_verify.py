"""Damage of every kind, made for real: `verify` names it, and mends what can be mended."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from postillon.account import changes, mailboxes
from postillon.account.accounts import Accounts
from postillon.store import mending
from postillon.store.backup import back_up
from postillon.store.backup_reader import BackupStore
from postillon.store.compact import sweep
from postillon.store.config import StoreConfig
from postillon.store.manifest import Target
from postillon.store.operation import Steps, Tx
from postillon.store.pack import pack_path
from postillon.store.repair import repair
from postillon.store.sqlite import SqliteStore, open_store
from postillon.store.verify import MAX_FINDINGS, ROWLESS, verify
from support import accounts as support

ADA, BOB, ALL = "ada@example.org", "bob@example.org", "all@example.org"


def statement(sql: str, *arguments: object):  # type: ignore[no-untyped-def]
    def operation(tx: Tx) -> Steps[None]:
        yield sql, arguments

    return operation


async def populate(folder: Path) -> None:
    """Two people (1 and 2), a group, an alias; ada has emails in INBOX and in a tree."""
    async with support.house(folder) as home:
        ada = await home.account(ADA, password=("hash", "scram"))
        bob = await home.account(BOB)
        await home.directory.create_group(ALL, members=[ADA, BOB])
        await home.directory.create_alias("team@example.org", [ADA])
        work = await ada.create(("Work",))
        below = await ada.create(("Work", "Letters"))
        for n in range(6):
            await support.append(ada, support.message(f"message {n}"), flags=n % 2)
        for box in (work, below):
            await support.append(ada, support.message(f"in {box.name}"), box.id, 4, "keyword")
        await support.append(bob, support.message("message 1"))  # the same octets as one of ada's
        await support.append(bob, support.message("only here"))


async def opened(folder: Path) -> SqliteStore:
    return await open_store(folder / "data", StoreConfig(), owner="w0")


# What is done to the rows, a place `verify` must name, and whether it can mend it.
HARM = [
    ("UPDATE account SET used = used + 1 WHERE account = 1", "1", True),
    ("UPDATE account SET emails = 0", "2", True),
    ("UPDATE account SET modseq = 1 WHERE account = 1", "1", True),
    ("UPDATE account SET next_id = 3 WHERE account = 1", "1", True),
    ("UPDATE account SET low_modseq = modseq + 7", "1", True),
    ("UPDATE mailbox SET total = total + 1 WHERE account = 1", "1/1", True),
    ("UPDATE mailbox SET unseen = 0 WHERE account = 2", "2/1", True),
    ("UPDATE mailbox SET deleted = 5 WHERE account = 2", "2/1", True),
    ("UPDATE mailbox SET octets = 5 WHERE account = 2", "2/1", True),
    ("UPDATE mailbox SET uid_next = 2 WHERE account = 1", "1/1", True),
    ("UPDATE mailbox SET recent_uid = 99 WHERE account = 1", "1/1", True),
    ("UPDATE mailbox SET modseq = 0 WHERE account = 1", "1/1", True),
    ("UPDATE mailbox SET parent = 999 WHERE account = 1 AND name = 'Work'", "1/", True),
    ("UPDATE mailbox SET parent = mailbox WHERE account = 1 AND name = 'Letters'", "1/", True),
    ("UPDATE mailbox SET role = 'sent' WHERE account = 1 AND name = 'Work'", "1/", True),
    ("DELETE FROM mailbox WHERE account = 1 AND mailbox = 1", "1/1", True),
    ("DELETE FROM mailbox WHERE account = 1 AND name = 'Letters'", "1/", True),
    ("DELETE FROM placement WHERE account = 1 AND mailbox = 1 AND uid = 3", "1/", True),
    ("DELETE FROM placement WHERE account = 1", "1/", True),
    ("DELETE FROM email WHERE account = 2", "2/1/1", True),
    ("DELETE FROM account WHERE account = 1", "1", True),
    ("UPDATE email SET size = size + 1 WHERE account = 2", "2/", True),
    ("DELETE FROM principal WHERE principal = 1", "directory/1", True),
    ("DELETE FROM principal WHERE kind = 'group'", "directory/3", True),
    ("DELETE FROM domain", "directory/1", True),
    ("DELETE FROM address WHERE local = 'team'", "directory/", True),
    ("INSERT INTO credential (principal, credential, kind, hash, created_at)"
     " VALUES (99, 1, 'password', '', 0)", "directory/99/1", True),
    ("INSERT INTO group_member VALUES (99, 'x@example.org')", "directory/99/", True),
    ("INSERT INTO change VALUES (99, 1, 0, 1, 1, 1, 1, 0, 0)", "99", True),
    ("INSERT INTO subscription VALUES (99, '[]')", "99", True),
    ("UPDATE counter SET value = 0 WHERE name = 'principal'", "directory/3", True),
    ("DELETE FROM counter WHERE name = 'domain'", "directory/1", True),
    ("UPDATE counter SET value = 0 WHERE name = 'pack'", "pack/1", True),
    ("DELETE FROM pack", "1", True),
    ("INSERT INTO queue_recipient (queue_id, n, forward_path, original, via, destination, state,"
     " due_at) VALUES (7, 0, '', '', '', '', '', 0)", "queue/7/0", True),
    ("INSERT INTO queue_message (queue_id, pack, start, length, digest, prefix, lane, body, smtputf8,"
     " envid, hops, accepted_at, expires_at) SELECT 8, pack, start, length, digest, x'', 0, '', 0, '',"
     " 0, 0, 0 FROM email LIMIT 1", "queue/8", False),
    ("UPDATE email SET start = start + 1 WHERE account = 2 AND email = 8", "account 2 email 8", False),
    ("UPDATE email SET pack = 77 WHERE account = 1", "77", False),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "where", "mendable"), HARM)
async def test_harm_to_rows_is_named_and_mended(
    tmp_path: Path, harm: str, where: str, mendable: bool
) -> None:
    await populate(tmp_path)
    store = await opened(tmp_path)
    assert await verify(store) == []
    await store.write(statement(harm))
    found = await verify(store)
    assert any(where in f"{finding.where} {finding.problem}" for finding in found), found
    mended = await repair(store)
    assert {(f.where, f.problem) for f in found} <= {(f.where, f.problem) for f in mended}
    left = await verify(store)
    assert {f.where for f in left} == {f.where for f in mended if not f.mended}
    assert (left == []) is mendable, left
    await store.close()


async def test_a_lost_placement_comes_back_where_it_was(tmp_path: Path) -> None:
    await populate(tmp_path)
    store = await opened(tmp_path)
    await store.write(statement("DELETE FROM placement WHERE account = 1 AND uid = 3"))
    await repair(store)
    ada = Accounts(store).open(1)
    assert await ada.uids(mailboxes.INBOX_ID) == [1, 2, 3, 4, 5, 6]
    [row] = await ada.emails(mailboxes.INBOX_ID, [(3, 3)])
    assert await ada.content(row) == support.message("message 2")
    changed = await ada.changes(mailboxes.INBOX_ID, row.modseq - 1)
    assert [item.uid for item in changed.created] == [3], "clients hear of it"
    await store.close()


async def test_an_email_that_was_expunged_does_not_come_back(tmp_path: Path) -> None:
    await populate(tmp_path)
    store = await opened(tmp_path)
    ada = Accounts(store).open(1)
    [row] = await ada.emails(mailboxes.INBOX_ID, [(2, 2)])
    await ada.store_flags(mailboxes.INBOX_ID, [(2, 2)], "add", 8)

    def keep(tx: Tx) -> Steps[None]:
        yield (
            "CREATE TEMP TABLE kept AS SELECT * FROM email WHERE account = 1 AND email = ?",
            (row.email,),
        )

    await store.write(keep)
    await ada.expunge(mailboxes.INBOX_ID)
    await store.write(statement("INSERT INTO email SELECT * FROM kept"))
    assert [f.problem for f in await verify(store) if f.kind == "row"] == [
        "an email is in no mailbox"
    ]
    await repair(store)
    assert await ada.uids(mailboxes.INBOX_ID) == [1, 3, 4, 5, 6]
    assert await verify(store) == []
    await store.close()


async def test_an_email_without_a_row_leaves_a_tombstone(tmp_path: Path) -> None:
    await populate(tmp_path)
    store = await opened(tmp_path)
    ada = Accounts(store).open(1)
    before = (await ada.facts()).modseq
    [row] = await ada.emails(mailboxes.INBOX_ID, [(2, 2)])
    await store.write(statement("DELETE FROM email WHERE account = 1 AND email = ?", row.email))
    await repair(store)
    assert (await ada.changes(mailboxes.INBOX_ID, before)).vanished == [2]
    await store.close()


async def test_a_lost_mailbox_comes_back_with_its_emails(tmp_path: Path) -> None:
    await populate(tmp_path)
    store = await opened(tmp_path)
    await store.write(statement("DELETE FROM mailbox WHERE name = 'Letters'"))
    await repair(store)
    ada = Accounts(store).open(1)
    [found] = [box for box in await ada.mailboxes() if box.name.startswith("Recovered")]
    assert (found.total, found.uid_next > 1) == (1, True)
    await store.close()


async def test_a_lost_principal_can_log_in_again(tmp_path: Path) -> None:
    await populate(tmp_path)
    store = await opened(tmp_path)
    await store.write(statement("DELETE FROM principal WHERE principal = 1"))
    await repair(store)

    def steps() -> Steps[list[tuple[object, ...]]]:
        rows = yield (
            "SELECT p.login, p.kind, c.hash FROM principal p JOIN credential c"
            " ON c.principal = p.principal WHERE p.principal = 1",
            (),
        )
        return rows

    assert store.read(steps()) == [(ADA, "person", "hash")]
    await store.close()


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        octet = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([octet ^ 1]))


def place_of(store: SqliteStore, account: int, email: int) -> tuple[int, int, int]:
    def steps() -> Steps[tuple[int, int, int]]:
        rows = yield (
            "SELECT pack, start, length FROM email WHERE account = ? AND email = ?",
            (account, email),
        )
        return rows[0]

    return store.read(steps())


async def test_a_flipped_bit_is_named_with_its_owner(tmp_path: Path) -> None:
    await populate(tmp_path)
    store = await opened(tmp_path)
    pack, start, _ = place_of(store, 2, 8)
    flip(pack_path(tmp_path / "data" / "packs", pack), start + 30)
    [finding] = await verify(store)
    assert finding.kind == "blob"
    assert "account 2 email 8 mailbox 1 UID 2" in finding.problem
    assert await verify(store, octets=False) == []
    [kept] = await repair(store)
    assert not kept.mended, "no other copy is there"
    await store.close()


async def test_lost_octets_come_back_from_the_same_message_elsewhere(tmp_path: Path) -> None:
    await populate(tmp_path)
    store = await opened(tmp_path)
    pack, start, _ = place_of(store, 2, 7)  # "message 1", as ada has it too
    flip(pack_path(tmp_path / "data" / "packs", pack), start + 30)
    [mended] = await repair(store)
    assert mended.mended
    assert await verify(store) == []
    await store.close()


async def test_lost_octets_come_back_from_a_backup(tmp_path: Path) -> None:
    await populate(tmp_path)
    target = Target(tmp_path / "backups")
    manifest = back_up(tmp_path / "data", StoreConfig(), target).manifest
    store = await opened(tmp_path)
    path = pack_path(tmp_path / "data" / "packs", 1)
    _, start, _ = place_of(store, 2, 8)
    os.truncate(path, start + 10)
    found = await verify(store)
    assert {f.kind for f in found} == {"pack", "blob"}
    backup = BackupStore(target, manifest)
    mended = await repair(store, others=[backup])
    assert [f.mended for f in mended if f.kind == "blob"] == [True]
    bob = Accounts(store).open(2)
    [row] = await bob.emails(mailboxes.INBOX_ID, [(2, 2)])
    assert await bob.content(row) == support.message("only here")
    backup.close()
    await store.close()


@pytest.mark.parametrize("octets_too", [False, True])
async def test_the_lost_row_of_an_email_comes_back_from_a_backup(
    tmp_path: Path, octets_too: bool
) -> None:
    await populate(tmp_path)
    target = Target(tmp_path / "backups")
    manifest = back_up(tmp_path / "data", StoreConfig(), target).manifest
    store = await opened(tmp_path)
    bob = Accounts(store).open(2)
    before = await bob.emails(mailboxes.INBOX_ID, [(1, 9)])
    pack, start, _ = place_of(store, 2, 8)
    await store.write(statement("DELETE FROM email WHERE account = 2"))
    if octets_too:
        flip(pack_path(tmp_path / "data" / "packs", pack), start + 30)
    backup = BackupStore(target, manifest)
    assert all(finding.mended for finding in await repair(store, others=[backup]))
    after = await bob.emails(mailboxes.INBOX_ID, [(1, 9)])
    assert [await bob.content(row) for row in after][1] == support.message("only here")
    assert [row.uid for row in after] == [1, 2]
    assert (after == before) is not octets_too
    backup.close()
    await store.close()


async def test_a_row_that_names_another_message_is_found(tmp_path: Path) -> None:
    await populate(tmp_path)
    store = await opened(tmp_path)
    await store.write(statement(
        "UPDATE email SET (pack, start, length, size) = (SELECT pack, start, length, length"
        " FROM email WHERE account = 2 AND email = 8) WHERE account = 1 AND email = 9"
    ))  # fmt: skip
    problems = [f.problem for f in await verify(store) if f.kind == "blob"]
    assert ["another message lies there" in problem for problem in problems] == [True]
    await store.close()


async def test_a_cut_a_missing_and_a_strange_pack_are_named(tmp_path: Path) -> None:
    await populate(tmp_path)
    store = await opened(tmp_path)
    path = pack_path(tmp_path / "data" / "packs", 1)
    octets = path.read_bytes()
    path.write_bytes(octets[:-20])
    found = {(f.kind, f.problem.partition(" (")[0]) for f in await verify(store)}
    assert ("pack", "the file is shorter than what was durable") in found
    assert ("blob", "no sound record lies there") in found
    path.write_bytes(b"x" + octets[1:])
    assert "the file's header is wrong" in {f.problem for f in await verify(store)}
    path.unlink()
    pack_path(tmp_path / "data" / "packs", 5).write_bytes(octets)
    problems = {(f.where, f.problem) for f in await verify(store) if f.kind == "pack"}
    assert problems == {
        ("1", "the file cannot be read: No such file or directory"),
        ("5", "no row names this file; a sweep removes it"),
    }
    await store.close()


async def test_a_pack_whose_row_is_lost_is_not_swept(tmp_path: Path) -> None:
    await populate(tmp_path)
    store = await opened(tmp_path)
    await store.write(statement("DELETE FROM pack"))
    pack_path(tmp_path / "data" / "packs", 5).write_bytes(b"nobody's")
    assert await sweep(store) == [5]
    assert [f.problem for f in await verify(store) if f.kind == "pack"] == [ROWLESS]
    await repair(store)
    assert await verify(store) == []
    await store.close()


async def test_a_wrong_index_is_rebuilt(tmp_path: Path) -> None:
    await populate(tmp_path)
    raw = sqlite3.connect(tmp_path / "data" / "postillon.db")
    raw.execute("CREATE TABLE other (a, b)")
    raw.execute("CREATE INDEX other_index ON other (a, b)")
    names = ("placement_email", "other_index")
    roots = [
        raw.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()[0]
        for name in names
    ]
    raw.execute("PRAGMA writable_schema = ON")
    for name, root in zip(names, reversed(roots), strict=True):  # each looks at the other's pages
        raw.execute("UPDATE sqlite_schema SET rootpage = ? WHERE name = ?", (root, name))
    raw.commit()
    raw.close()
    store = await opened(tmp_path)
    found = await verify(store)
    assert any("missing from index placement_email" in f.problem for f in found), found
    assert all(f.mended for f in await repair(store))
    assert await verify(store) == []
    await store.close()


async def test_findings_are_bounded(tmp_path: Path) -> None:
    store = await opened(tmp_path)

    def many(tx: Tx) -> Steps[None]:
        for account in range(1, 2 * MAX_FINDINGS):
            yield (
                "INSERT INTO account VALUES (?, 1, 1, 10, 0, NULL, 1, 0, 0)",
                (account,),
            )

    await store.write(many)
    assert len(await verify(store)) <= MAX_FINDINGS
    await store.close()


def test_the_words_of_mending_are_those_of_the_account() -> None:
    assert mending.CREATED == changes.Kind.CREATED
    assert mending.MAILBOX_CREATED == changes.Kind.MAILBOX_CREATED
    assert mending.MAILBOX_CHANGED == changes.Kind.MAILBOX_CHANGED
    assert mending.INBOX == mailboxes.INBOX_ID
    assert (mending.TOP, mending.DOOMED) == (mailboxes.TOP, mailboxes.DOOMED)
