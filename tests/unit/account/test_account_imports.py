"""Messages that come in bulk are placed once, however often the work is repeated; and mends of rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from postillon.account import imports
from postillon.account.account import Account
from postillon.account.errors import OverQuota
from postillon.account.imports import ImportDisturbed, ToImport, import_many, mark_of, placed_before
from postillon.account.roles import INBOX_ID
from postillon.mail.mime import scan
from postillon.store.operation import Steps, Tx
from postillon.store.repair import repair
from postillon.store.verify import verify
from support.accounts import House, append, house, message


def item(name: str, flags: int = 0) -> ToImport:
    content = message(name)
    mark = mark_of(INBOX_ID, name.encode())
    return ToImport(mark, content, scan(content), flags, frozenset(), None)


async def put(home: House, account: Account, run: int, *names: str) -> int:
    return await import_many(home.store, account.id, INBOX_ID, run, [item(name) for name in names])


async def test_a_message_is_placed_once_in_all_runs(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        assert await put(home, account, 1, "a", "b") == 2
        assert await put(home, account, 2, "a", "b", "c") == 1
        assert await account.uids(INBOX_ID) == [1, 2, 3]
        [row] = await account.emails(INBOX_ID, [(3, 3)])
        assert await account.content(row) == message("c")
        assert row.received_at == home.time()
        assert await verify(home.store) == []


async def test_as_many_copies_are_placed_as_one_run_met(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        assert await put(home, account, 1, "a", "a") == 2
        assert await put(home, account, 1, "a") == 1
        assert await put(home, account, 2, "a", "a", "a") == 0
        assert await put(home, account, 2, "a") == 1


async def test_the_look_ahead_counts_as_the_placing_does(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        await put(home, account, 1, "a", "a")
        a, b = item("a").mark, item("b").mark
        look = placed_before(account.id, 2, [a, b, a, a])
        assert await home.store.query(look) == [True, False, True, False]
        assert await import_many(home.store, account.id, INBOX_ID, 2, [item("b")], [a, a]) == 1
        look = placed_before(account.id, 2, [a, b])
        assert await home.store.query(look) == [False, False], "this run has met them all"


async def test_a_look_ahead_that_was_wrong_places_nothing_and_forgets_nothing(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        await put(home, account, 1, "a")
        mark = item("a").mark
        with pytest.raises(ImportDisturbed):
            await import_many(home.store, account.id, INBOX_ID, 2, [item("b")], [mark, mark])
        assert await put(home, account, 3, "a", "a", "b") == 2


async def test_nothing_of_a_batch_that_fails_is_remembered(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account(quota=len(message("a")))
        with pytest.raises(OverQuota):
            await put(home, account, 1, "a", "b")
        assert await account.uids(INBOX_ID) == []
        assert await put(home, account, 2, "a") == 1


async def test_marks_are_forgotten_after_their_time(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        await put(home, account, 1, "a")
        await home.accounts.tidy(home.time.now)
        assert await put(home, account, 2, "a") == 0
        home.time.now += imports.KEEP_MS + 1
        await home.accounts.tidy(home.time.now)
        assert await put(home, account, 3, "a") == 1


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE account SET used = used + 1, modseq = 1, next_id = 3",
        "UPDATE mailbox SET total = 7, unseen = 7, deleted = 7, octets = 7, uid_next = 1",
        "UPDATE mailbox SET modseq = 0, recent_uid = 99",
        "UPDATE mailbox SET parent = 999 WHERE mailbox > 1",
        "UPDATE mailbox SET role = 'sent' WHERE mailbox > 1",
        "DELETE FROM mailbox WHERE mailbox = 1",
        "DELETE FROM placement",
        "DELETE FROM email",
        "UPDATE email SET size = size + 1",
        "DELETE FROM account",
        "DELETE FROM principal",
        "DELETE FROM domain",
        "DELETE FROM counter",
        "INSERT INTO thread_key VALUES (99, 1, 1)",
        "INSERT INTO group_member VALUES (99, 'x@example.org')",
    ],
)
async def test_rows_are_mended_on_every_database(tmp_path: Path, harm: str) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        for name in ("a", "b"):
            await append(account, message(name))

        def operation(tx: Tx) -> Steps[None]:
            yield harm, ()

        await home.store.write(operation)
        assert await verify(home.store) != []
        await repair(home.store)
        assert await verify(home.store) == []
