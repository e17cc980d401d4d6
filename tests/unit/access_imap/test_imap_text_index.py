"""The text index: used where it can be, made anew where it must, never the cause of a wrong answer."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import pytest

from postillon.account.account import Account
from postillon.account.arriving import ToAppend
from postillon.account.indexing import MAX_LINES, Indexer, SearchConfig
from postillon.account.roles import INBOX_ID
from postillon.mail.mime import scan
from postillon.store.operation import Steps, Tx
from support.imap import LOGIN, OTHER, Client, House, house


async def put(here: House, *texts: str, mailbox: int = INBOX_ID) -> None:
    contents = [f"Subject: about {text}\r\n\r\n{text} inside\r\n".encode() for text in texts]
    await here.account.append_many(mailbox, [ToAppend(item, scan(item)) for item in contents])  # type: ignore[arg-type]


async def found(client: Client, search: str) -> bytes:
    await client.ok("NOOP")
    [answer] = await client.ok(f"SEARCH {search}")
    return answer.removeprefix(b"* SEARCH").strip()


def running(folder: Path, scene: Callable[[House], Awaitable[None]]) -> None:
    async def run() -> None:
        async with house(folder) as here:
            await scene(here)

    asyncio.run(run())


def file_of(here: House) -> Path:
    path = here.texts.newest(here.account.id)
    assert path is not None
    return path


def in_index(here: House) -> list[int]:
    index = here.texts.writer(here.account.id)
    try:
        return index.emails()
    finally:
        index.close()


def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: object) -> bytes:
        raise AssertionError("a message was read")

    monkeypatch.setattr(Account, "content", refuse)


def test_a_word_is_found_without_reading_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(here: House) -> None:
        await put(here, "apples", "Äpfel", "文件", "pineapple")
        await here.index()
        client = await here.client("INBOX")
        unreadable(monkeypatch)
        assert await found(client, "TEXT apple") == b"1 4"
        assert await found(client, "BODY apfel") == b"2"
        assert await found(client, "UNSEEN OR SUBJECT pineapple NOT BODY app") == b"2 3 4"
        [answer] = await client.ok("SEARCH BODY {}", "件".encode())
        assert answer == b"* SEARCH 3"

    running(tmp_path, scene)


def test_what_is_not_in_the_index_yet_is_read(tmp_path: Path) -> None:
    async def scene(here: House) -> None:
        await put(here, "apples")
        await here.index()
        await put(here, "apples", "pears")
        client = await here.client("INBOX")
        assert await found(client, "BODY apples") == b"1 2"
        assert await found(client, "NOT BODY apples") == b"3"

    running(tmp_path, scene)


@pytest.mark.parametrize("keep", [0, 100, 5000, 10_000])
def test_a_damaged_index_is_made_anew_and_meanwhile_messages_are_read(
    tmp_path: Path, keep: int
) -> None:
    async def scene(here: House) -> None:
        await put(here, *(f"apples{n}" for n in range(30)))
        await here.index()
        path = file_of(here)
        connection = apsw.Connection(str(path))
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        connection.close()
        octets = path.read_bytes()
        path.write_bytes(octets[:keep] + b"\xa5" * max(len(octets) - keep, 20_000))
        client = await here.client("INBOX")
        assert await found(client, "BODY apples7") == b"8"
        await put(here, "apples7")
        await here.index()
        assert file_of(here) != path
        assert not path.exists()
        assert len(in_index(here)) == 31
        assert await found(client, "BODY apples7") == b"8 31"

    running(tmp_path, scene)


def test_an_index_of_another_time_of_the_account_says_nothing(tmp_path: Path) -> None:
    """After a restore ids may mean other emails; the account then has another epoch."""

    def restored(tx: Tx) -> Steps[None]:
        yield ("UPDATE account SET epoch = epoch + 1000, indexed_modseq = 0", ())
        yield ("UPDATE placement SET email = 1000 + email", ())
        yield ("UPDATE email SET email = 1000 + email", ())
        yield ("UPDATE placement SET email = CASE email WHEN ? THEN ? ELSE ? END", emails)
        yield ("UPDATE email SET email = CASE email WHEN ? THEN ? ELSE ? END", emails)

    emails: tuple[int, ...] = ()

    async def scene(here: House) -> None:
        nonlocal emails
        await put(here, "apples", "pears")
        await here.index()
        client = await here.client("INBOX")
        first, second = in_index(here)
        emails = (1000 + first, second, first)  # the two change their ids
        await here.store.write(restored)
        assert await found(client, "BODY apples") == b"1"
        await here.index()
        assert await found(client, "BODY apples") == b"1"
        assert await found(client, "BODY pears") == b"2"

    running(tmp_path, scene)


def test_what_is_removed_leaves_the_index(tmp_path: Path) -> None:
    async def scene(here: House) -> None:
        client = await here.client("INBOX")
        await client.ok("CREATE Old")
        await put(here, "apples", "pears", "plums")
        await client.ok("NOOP")
        await client.ok("COPY 1:3 Old")
        await here.index()
        assert len(in_index(here)) == 6
        await client.ok("STORE 2 +FLAGS (\\Deleted)")
        await client.ok("EXPUNGE")
        await here.index()
        assert len(in_index(here)) == 5
        await client.ok("DELETE Old")
        await here.account.sweep()
        await put(here, "cherries")
        await here.index()
        assert len(in_index(here)) == 3
        assert await found(client, "BODY apples") == b"1"

    running(tmp_path, scene)


def test_a_message_the_index_cannot_hold_is_read(tmp_path: Path) -> None:
    async def scene(here: House) -> None:
        odd = b"".join(b"X-%d: y\r\n" % n for n in range(MAX_LINES)) + b"\r\napples\r\n"
        await here.account.append_many(INBOX_ID, [ToAppend(odd, scan(odd))])
        await put(here, "pears")
        await here.index()
        client = await here.client("INBOX")
        assert await found(client, "BODY apples") == b"1"
        assert await found(client, "NOT BODY apples") == b"2"

    running(tmp_path, scene)


def test_an_index_that_was_deleted_comes_back(tmp_path: Path) -> None:
    async def scene(here: House) -> None:
        await put(here, "apples")
        assert await here.index() == 1
        shutil.rmtree(tmp_path / "data" / "index")
        client = await here.client("INBOX")
        assert await found(client, "BODY apples") == b"1"
        assert await here.index() == 0  # nothing has changed
        indexer = Indexer(here.store, here.texts, SearchConfig())
        await indexer.sweep()
        await indexer.close()
        assert await here.index() == 1

    running(tmp_path, scene)


def test_the_index_of_a_removed_account_is_removed(tmp_path: Path) -> None:
    async def scene(here: House) -> None:
        await put(here, "apples")
        await here.index()
        folder = here.texts.folder_of(here.account.id)
        indexer = Indexer(here.store, here.texts, SearchConfig())
        assert await indexer.sweep() == 0
        assert folder.is_dir()
        await here.server.accounts.remove(LOGIN)
        assert await indexer.sweep() == 1
        assert not folder.exists()
        await indexer.close()

    running(tmp_path, scene)


def test_the_better_fit_comes_first(tmp_path: Path) -> None:
    """RFC 6203 section 4: 1 to 100, in the order of the results."""

    async def scene(here: House) -> None:
        await put(
            here, *(f"filler{n}" for n in range(8)), "apples and much more of it", "apples apples"
        )
        await here.index()
        client = await here.client("INBOX")
        [answer] = await client.ok("SORT RETURN (ALL RELEVANCY) (RELEVANCY) UTF-8 FUZZY BODY apple")
        assert b"ALL 10,9 RELEVANCY (100 " in answer
        low = int(answer.rpartition(b" ")[2].strip(b")"))
        assert 1 <= low < 100
        [answer] = await client.ok("SORT (REVERSE RELEVANCY) UTF-8 FUZZY BODY apple")
        assert answer == b"* SORT 9 10"

    running(tmp_path, scene)


SEARCHES = (
    "SEARCH TEXT harbour",
    "SEARCH BODY inside",
    "SEARCH NOT TEXT harbour",
    "SEARCH SUBJECT about OR TEXT lantern TEXT meadow",
    "SEARCH HEADER Subject secret",
    "SEARCH TEXT nobody",
    "SEARCH RETURN (MIN MAX COUNT ALL) TEXT about",
    "SEARCH RETURN (ALL RELEVANCY) FUZZY TEXT harbour",
    "SEARCH RETURN (ALL RELEVANCY) FUZZY TEXT lantern FUZZY TEXT meadow",
    "SEARCH RETURN (ALL RELEVANCY) OR FUZZY TEXT lantern FUZZY TEXT harb",
    "SORT (RELEVANCY) UTF-8 OR FUZZY TEXT lantern FUZZY TEXT harbour",
    "SORT RETURN (ALL RELEVANCY) (REVERSE RELEVANCY) UTF-8 FUZZY BODY inside",
    "THREAD REFERENCES UTF-8 TEXT harbour",
)
VISIBLE = ("harbour", "lantern meadow", "lantern lantern lantern", "meadow harbour")
HIDDEN = ("harbour secret", "nobody", "lantern", "harbour harbour harbour meadow", "about inside")


async def test_what_is_not_shared_changes_no_answer_to_whom_a_mailbox_is_shared_with(
    tmp_path: Path,
) -> None:
    """The index is of the whole account: neither words, numbers nor scores of hidden mail get out."""
    async with house(tmp_path) as here:
        owner = await here.client()
        await owner.ok("CREATE Shown")
        await owner.ok(f"SETACL Shown {OTHER} lr")
        await owner.ok("CREATE Listed")
        await owner.ok(f"SETACL Listed {OTHER} l")  # seen, not read
        shown = await here.account.find(("Shown",))
        listed = await here.account.find(("Listed",))
        assert shown is not None
        assert listed is not None
        await put(here, *VISIBLE[:3], mailbox=shown.id)
        await here.index()
        await put(here, VISIBLE[3], mailbox=shown.id)  # which is not in the index yet

        async def answers() -> list[list[bytes]]:
            guest = await here.client("Other Users/ada@example.org/Shown", OTHER)
            return [await guest.do(search) for search in SEARCHES]

        before = await answers()
        assert before[0][0] == b"* SEARCH 1 4"
        for mailbox in (listed.id, INBOX_ID):
            for _ in range(3):
                await put(here, *HIDDEN, mailbox=mailbox)
        assert await answers() == before
        await here.index()
        after = await answers()
        for search, old, new in zip(SEARCHES, before, after, strict=True):
            assert old == new, search
        # Nor by another way to search (RFC 7377), or one that names what cannot be read.
        guest = await here.client(who=OTHER)
        everywhere = '(subtree "Other Users/ada@example.org")'
        found = await guest.ok(f"ESEARCH IN {everywhere} RETURN (COUNT) TEXT harbour")
        assert len(found) == 1
        assert b"Shown" in found[0]
        assert found[0].endswith(b"COUNT 2")
        [refused] = await guest.do('SELECT "Other Users/ada@example.org/Listed"')
        assert refused.startswith(b"NO [NOPERM]")
