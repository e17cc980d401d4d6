"""What only PostgreSQL does: its dialect, lost connections, hints between servers, making room."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from postillon.account.roles import INBOX_ID
from postillon.setting import ConfigError
from postillon.store.choice import open_any
from postillon.store.config import StoreConfig
from postillon.store.migrate import SchemaError
from postillon.store.operation import (
    EVERYTHING,
    BlobRef,
    NewBlob,
    Row,
    Steps,
    StoreError,
    Tx,
    WriteOperation,
)
from postillon.store.postgresql import ahead, signals
from postillon.store.postgresql import store as store_module
from postillon.store.postgresql.collect import Collector
from postillon.store.postgresql.connection import place_of
from postillon.store.postgresql.diagnosis import diagnose
from postillon.store.postgresql.dialect import translated, translated_schema
from postillon.store.postgresql.node import node_of
from postillon.store.postgresql.store import PostgresStore
from postillon.store.repair import repair
from postillon.store.verify import verify
from support.accounts import append, house, message
from support.postgres import PASSWORD, NoPostgres, cluster
from support.stores import config_of_test, fresh_database, open_test_store, using

WAIT_S = 20.0


@pytest.fixture(autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    with using("postgresql"):
        yield


async def opened(folder: Path, owner: str = "w0", **more: Any) -> PostgresStore:
    store = await open_test_store(folder, owner=owner, **more)
    assert isinstance(store, PostgresStore)
    return store


def ask(sql: str, *arguments: Any) -> Steps[list[Row]]:
    return (yield sql, arguments)


def do(sql: str, *arguments: Any) -> WriteOperation[list[Row]]:
    def operation(tx: Tx) -> Steps[list[Row]]:
        return (yield sql, arguments)

    return operation


def place(tx: Tx) -> Steps[BlobRef]:
    yield ("SELECT 1", ())
    return tx.blob()


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not await condition():
            await asyncio.sleep(0.02)


async def break_connections() -> None:
    """End every other session of this database, as a restart of PostgreSQL does."""
    server = cluster()
    assert not isinstance(server, NoPostgres)
    name = urlsplit(config_of_test().database).path[1:]
    await asyncio.to_thread(
        server.execute,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()",
        name,
    )


# Dialect


def test_placeholders_are_numbered_but_not_in_text() -> None:
    assert translated("SELECT ?, '?''?', \"a?\" -- ?\n WHERE x = ?") == (
        "SELECT $1, '?''?', \"a?\" -- ?\n WHERE x = $2"
    )


def test_the_words_of_a_schema_are_translated_but_not_its_comments() -> None:
    sql = "CREATE TABLE t (a blob, b text, c bigint -- text, blob\n) WITHOUT ROWID;"
    assert translated_schema(sql) == (
        'CREATE TABLE t (a bytea, b text COLLATE "C", c bigint -- text, blob\n);'
    )


# Opening


async def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with fresh_database():
        store = await opened(tmp_path)
        await store.write(do("INSERT INTO migration VALUES (9999, 'later', 'x', 0)"))
        await store.close()
        with pytest.raises(SchemaError, match="newer"):
            await opened(tmp_path)


async def test_several_processes_may_open_an_empty_database_at_once(tmp_path: Path) -> None:
    with fresh_database():
        stores = await asyncio.gather(*(opened(tmp_path, f"w{n}") for n in range(3)))
        for store in stores:
            await store.close()


async def test_two_servers_that_call_themselves_alike_do_not_both_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "NAME_WAIT_S", 0.2)
    one = await opened(tmp_path / "a")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "node").write_bytes((tmp_path / "a" / "node").read_bytes())
    with pytest.raises(StoreError, match="another process uses the store"):
        await opened(tmp_path / "b")
    await one.close()
    again = await opened(tmp_path / "b")
    assert again.owner == one.owner
    await again.close()


def test_the_name_of_a_node_is_made_once(tmp_path: Path) -> None:
    assert node_of(tmp_path) == node_of(tmp_path)
    (tmp_path / "node").write_text("what is this\n")
    with pytest.raises(StoreError):
        node_of(tmp_path)


async def test_a_wrong_password_is_told_without_it(tmp_path: Path) -> None:
    server = cluster()
    assert not isinstance(server, NoPostgres)
    secret = tmp_path / "password"
    secret.write_text("not-the-password\n")
    config = StoreConfig(database=server.url("postgres", tcp=True), database_password=secret)
    with pytest.raises(StoreError) as refused:
        await open_any(tmp_path / "data", config, owner="w0")
    assert "password authentication failed" in str(refused.value)
    assert "not-the-password" not in str(refused.value)
    [found] = await diagnose(config, 2)
    assert found.serious
    assert "pg_hba.conf" in found.hint
    secret.write_text(f"{PASSWORD}\n")
    assert [item.what for item in await diagnose(config, 2) if item.serious] == []


async def test_what_stands_between_a_configuration_and_its_database_is_explained(
    tmp_path: Path,
) -> None:
    here = config_of_test()
    found = await diagnose(here, 2)
    assert [item.what.partition(":")[0] for item in found] == [
        "fsync is off", "full_page_writes is off",
    ]  # fmt: skip
    assert "of 100" in (await diagnose(here, 90))[-1].what
    for url, word in (
        (here.database.replace("/t", "/none-t"), "createdb"),
        ("postgresql://nobody@127.0.0.1:9/x", "does PostgreSQL run"),
        ("postgresql://nobody@host.invalid/x", "is the host right"),
    ):
        [problem] = await diagnose(replace(here, database=url), 2)
        assert problem.serious
        assert word in problem.hint
    [problem] = await diagnose(replace(here, database_password=tmp_path / "none"), 2)
    assert "none" in problem.what


@pytest.mark.parametrize(
    "url",
    ["postgresql://ada:secret@host/name", "postgresql://host/name?password=x", "mysql://host/x"],
)
def test_a_database_with_a_password_in_it_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        StoreConfig(database=url)


def test_what_is_shown_of_a_database_names_neither_user_nor_query() -> None:
    assert place_of("postgresql://ada@host:5432/mail?sslkey=/x") == "host:5432/mail"
    assert place_of("postgresql:///mail?host=/run") == "(local)/mail"


# Statements


async def test_an_operation_cannot_go_on_after_a_refusal(tmp_path: Path) -> None:
    store = await opened(tmp_path)

    def operation(tx: Tx) -> Steps[str]:
        yield ("INSERT INTO meta (key, value) VALUES ('a', '')", ())
        try:
            yield ("INSERT INTO meta (key, value) VALUES ('a', '')", ())
        except StoreError:
            return "went on"
        return "new"

    with pytest.raises(StoreError, match="UniqueViolation"):
        await store.write(operation)
    assert await store.query(ask("SELECT * FROM meta")) == []
    await store.close()


async def test_what_text_cannot_hold_is_an_error_of_its_operation_alone(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    insert = "INSERT INTO meta (key, value) VALUES (?, '')"
    results = await asyncio.gather(
        *(store.write(do(insert, key)) for key in ("a", "b\0", "c\ud800", 7, "d")),
        return_exceptions=True,
    )
    assert [isinstance(result, StoreError) for result in results] == [
        False, True, True, True, False,
    ]  # fmt: skip
    assert await store.query(ask("SELECT key FROM meta ORDER BY key")) == [("a",), ("d",)]
    await store.close()


async def test_sums_are_whole_numbers(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    await store.write(do("INSERT INTO counter (name, value) VALUES ('a', ?), ('b', 1)", 2**40))
    [(total,)] = await store.query(ask("SELECT SUM(value) FROM counter"))
    assert (total, type(total)) == (2**40 + 1, int)
    await store.close()


# Connections


async def test_lost_connections_are_found_again(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    ref = await store.write(place, NewBlob(b"content"))
    await store.query(ask("SELECT 1"))
    await break_connections()

    async def works() -> bool:
        try:
            await store.write(do("INSERT INTO counter (name, value) VALUES ('a', 1)"))
            return await store.fetch(ref) == b"content"
        except StoreError:
            return False

    await until(works)
    assert await store.query(ask("SELECT value FROM counter")) == [(1,)]
    await store.close()


async def test_a_connection_lost_within_a_batch_fails_it_whole(tmp_path: Path) -> None:
    store = await opened(tmp_path)

    def suicidal(tx: Tx) -> Steps[None]:
        yield ("INSERT INTO counter (name, value) VALUES ('a', 1)", ())
        yield ("SELECT pg_terminate_backend(pg_backend_pid())", ())

    jobs = [
        store.write(do("INSERT INTO counter (name, value) VALUES ('b', 1)"), NewBlob(b"x")),
        store.write(suicidal),
    ]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert all(isinstance(result, StoreError) for result in results)
    assert await store.query(ask("SELECT * FROM counter")) == []
    assert await store.query(ask("SELECT * FROM object")) == []
    await store.write(do("INSERT INTO counter (name, value) VALUES ('c', 1)"))
    await store.close()


async def test_more_reads_than_connections_wait_for_their_turn(tmp_path: Path) -> None:
    store = await opened(tmp_path, config=StoreConfig(connections=2))
    answers = await asyncio.gather(*(store.query(ask("SELECT ?::int", n)) for n in range(50)))
    assert answers == [[(n,)] for n in range(50)]
    waiting = [asyncio.ensure_future(store.query(ask("SELECT pg_sleep(0.05)"))) for _ in range(6)]
    await asyncio.sleep(0.01)
    for task in waiting[::2]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert await store.query(ask("SELECT 1")) == [(1,)]
    [(connections,)] = await store.query(
        ask("SELECT COUNT(*) FROM pg_stat_activity WHERE application_name LIKE 'postillon%'")
    )
    assert connections == 3  # two that read and one that writes
    await store.close()


async def test_a_cancelled_read_is_cancelled_whenever_that_is(tmp_path: Path) -> None:
    store = await opened(tmp_path)

    def three() -> Steps[None]:
        for _ in range(3):
            yield ("SELECT 1", ())

    for turns in range(60):
        task = asyncio.ensure_future(store.query(three()))
        for _ in range(turns % 20):
            await asyncio.sleep(0)
        await asyncio.sleep(0.0002 * (turns % 7))
        if not task.done():
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    await asyncio.gather(*(store.query(three()) for _ in range(20)))
    await store.close()


# Hints


async def test_changes_are_heard_by_all_other_processes(tmp_path: Path) -> None:
    one, two = await opened(tmp_path / "a"), await opened(tmp_path / "b")
    heard: list[tuple[dict[int, int], set[str]]] = []
    own: list[object] = []
    await two.listen(lambda changes, topics: heard.append((dict(changes), set(topics))))
    await one.listen(lambda changes, topics: own.append(changes))
    many = signals.MAX_PAIRS * 2 + 1

    def operation(tx: Tx) -> Steps[None]:
        for n in range(many):
            tx.changed(n, 2**60 + n)
        tx.announce("queue")
        yield ("SELECT 1", ())

    await one.write(operation)

    async def all_heard() -> bool:
        return sum(len(changes) for changes, _ in heard) == many

    await until(all_heard)
    merged = {account: modseq for changes, _ in heard for account, modseq in changes.items()}
    assert merged == {n: 2**60 + n for n in range(many)}
    assert set().union(*(topics for _, topics in heard)) == {"queue"}
    assert own == []
    await one.close()
    await two.close()


async def test_who_has_spoken_before_can_still_listen(tmp_path: Path) -> None:
    one, two = await opened(tmp_path / "a"), await opened(tmp_path / "b")
    heard: list[str] = []

    def said(topic: str) -> WriteOperation[None]:
        def operation(tx: Tx) -> Steps[None]:
            tx.announce(topic)
            yield ("SELECT 1", ())

        return operation

    await one.write(said("first"))
    await two.write(said("second"))
    await one.listen(lambda changes, topics: heard.extend(topics))
    await two.write(said("third"))

    async def all_heard() -> bool:
        return "third" in heard

    await until(all_heard)
    assert heard.count("third") == 1
    await one.close()
    await two.close()


async def test_who_was_cut_off_looks_at_everything(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    heard: list[str] = []
    await store.listen(lambda changes, topics: heard.extend(topics))
    await break_connections()

    async def told() -> bool:
        return EVERYTHING in heard

    await until(told)
    await store.close()


async def test_the_last_changes_are_told_before_a_process_ends(tmp_path: Path) -> None:
    listening = await opened(tmp_path / "a")
    heard: list[str] = []
    await listening.listen(lambda changes, topics: heard.extend(topics))
    command = await opened(tmp_path / "b", "cli")

    def operation(tx: Tx) -> Steps[None]:
        tx.announce("directory")
        yield ("SELECT 1", ())

    await command.write(operation)
    await command.close()

    async def told() -> bool:
        return heard == ["directory"]

    await until(told)
    await listening.close()


async def test_one_process_of_all_servers_does_the_maintenance(tmp_path: Path) -> None:
    one, two = await opened(tmp_path / "a", "m"), await opened(tmp_path / "b", "m")
    assert await one.leads()
    assert not await two.leads()
    assert await one.leads()
    await one.close()
    assert await two.leads()
    await two.close()


# Octets


async def test_room_is_made_of_what_nobody_names(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        store = home.store
        assert isinstance(store, PostgresStore)
        account = await home.account()
        contents = [message(f"{n}", "x" * 2000) for n in range(4)]
        await asyncio.gather(*(append(account, content) for content in contents[:3]))
        await append(account, contents[3])
        assert (await Collector(store).collect_once()).removed == 0
        rows = await home.rows("SELECT email, pack FROM email ORDER BY pack, start")
        packs = sorted({pack for _, pack in rows})
        before = await home.rows("SELECT SUM(size) FROM object")
        # All but one of the first together, and the last alone.
        await account.store_flags(INBOX_ID, [(2, 4)], "add", 8)
        await account.expunge(INBOX_ID)
        done = await Collector(store).collect_once()
        assert done.removed >= 1
        after = await home.rows("SELECT SUM(size) FROM object")
        assert after[0][0] < before[0][0] / 2
        assert await home.rows("SELECT 1 FROM object WHERE pack = ?", packs[-1]) == []
        [row] = await account.emails(INBOX_ID, [(1, 9)])
        assert await account.content(row) in contents
        assert await verify(store) == []
        assert (await Collector(store).collect_once()).removed == 0


async def test_octets_are_got_together_and_few_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "KEPT", 10_000)
    store = await opened(tmp_path)
    contents = [b"%d" % n * 3000 for n in range(6)]
    refs = [await store.write(place, NewBlob(content)) for content in contents]
    await store.ahead(refs, 10_000)
    kept = store._ahead
    assert [kept.read(ref, 0, None) for ref in refs] == [None] * 3 + contents[3:]
    assert kept.read(refs[5], 2990, 3010) == contents[5][2990:]
    assert await store.fetch(refs[0]) == contents[0]
    await store.ahead(refs[:2], 100)
    assert kept.read(refs[0], 0, 100) == contents[0][:100]
    assert kept.read(refs[0], 0, 101) is None
    assert kept.missing(refs[:2], 100) == []
    assert kept.missing(refs[:2], 101) == refs[:2]
    await store.close()


async def test_verification_finds_a_damaged_object_and_mends_it_from_a_twin(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        content = message("twin", "x" * 500)
        await append(account, content)
        await append(account, content)
        assert await verify(home.store) == []
        await home.do(do(
            "UPDATE object SET content = set_byte(content, 100, 0)"
            " WHERE pack = (SELECT MIN(pack) FROM email)"
        ))  # fmt: skip
        [found] = await verify(home.store)
        assert found.kind == "blob"
        [mended] = await repair(home.store)
        assert mended.mended
        assert await verify(home.store) == []


async def test_a_wrong_counter_is_found_and_mended(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        await append(account)
        await home.do(do("UPDATE account SET used = used + 1"))
        await home.do(do("UPDATE mailbox SET unseen = 7 WHERE mailbox = 1"))
        assert {found.kind for found in await verify(home.store)} == {"counter"}
        assert all(found.mended for found in await repair(home.store))
        assert await verify(home.store) == []
