"""Workers tell each other what has failed, and who has been let in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from postillon.directory import throttled
from postillon.directory.config import AuthConfig
from postillon.directory.signin import Denied, Granted, SignIns
from postillon.directory.throttle import Throttle, Verdict
from postillon.setting import seconds
from postillon.store.operation import EVERYTHING, Steps, Tx
from support.accounts import QUICK, House, house

LOGIN, PASSWORD = "ada@example.org", "correct horse battery"
FAR, NEAR = "203.0.113.9", "198.51.100.7"
STRICT = replace(QUICK, free_failures=1, refuse_after=3)
HASTY = replace(STRICT, longest_delay=seconds(0))  # turns away, and never makes one wait


def worker(home: House, config: AuthConfig = STRICT) -> tuple[SignIns, Throttle]:
    throttle = Throttle(config, home.time)
    return SignIns(home.credentials, throttle), throttle


async def test_a_network_is_turned_away_by_workers_it_has_not_tried(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        (one, throttle), (two, other) = worker(home, HASTY), worker(home, HASTY)
        for _ in range(3):
            throttle.failed(FAR, LOGIN)
        await one.ledger.write()
        await two.ledger.read()
        assert other.check(FAR, "bob@example.org").refused
        answer = await two.begin("imap", FAR).password(LOGIN.encode(), PASSWORD.encode())
        assert answer is Denied.LATER


async def test_a_worker_that_starts_knows_what_has_failed(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        one, throttle = worker(home)
        for _ in range(3):
            throttle.failed(FAR, LOGIN)
        await one.ledger.write()
        new, other = worker(home)
        await new.ledger.start()
        assert other.check(FAR, LOGIN).refused
        await new.ledger.stop()


@pytest.mark.parametrize("topic", [throttled.TOPIC, EVERYTHING])
async def test_who_is_told_of_a_change_reads_it(tmp_path: Path, topic: str) -> None:
    async with house(tmp_path) as home:
        (one, throttle), (two, other) = worker(home), worker(home)
        await two.ledger.start()
        throttle.failed(FAR, LOGIN)
        throttle.failed(FAR, LOGIN)
        await one.ledger.write()
        two.ledger.hear(["queue"])
        assert two.ledger._reading is None
        two.ledger.hear([topic])
        assert two.ledger._reading is not None
        await two.ledger._reading
        assert other.check(FAR, LOGIN) == Verdict(1.0)
        await two.ledger.stop()


async def test_where_a_worker_has_let_the_owner_in_no_other_turns_them_away(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.account(LOGIN, password=await home.credentials.prepare(PASSWORD))
        (one, throttle), (two, _) = worker(home, HASTY), worker(home, HASTY)
        login, password = LOGIN.encode(), PASSWORD.encode()
        assert isinstance(await one.begin("imap", NEAR).password(login, password), Granted)
        for number in range(5):
            throttle.failed(NEAR, f"user{number}@example.org")
        await one.ledger.write()
        await two.ledger.read()

        assert isinstance(await two.begin("imap", NEAR).password(login, password), Granted)
        stranger = two.begin("imap", NEAR)
        assert await stranger.password(b"bob@example.org", password) is Denied.LATER


async def test_letting_somebody_in_again_reaches_all_workers(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        workers = [worker(home) for _ in range(3)]
        for shared, throttle in workers:
            throttle.failed(FAR, LOGIN)
            await shared.ledger.write()
        for shared, throttle in workers:
            await shared.ledger.read()
            assert throttle.check(FAR, LOGIN).refused
        some = await home.store.query(throttled.of(FAR, ""))
        await home.do(lambda tx: throttled.lift(tx, [item.key for item in some]))
        for shared, throttle in workers:
            await shared.ledger.read()
            assert not throttle.check(FAR, LOGIN).refused
            assert throttle.check(FAR, "bob@example.org") == Verdict(0.0)
            assert throttle.check(NEAR, LOGIN).delay_s == 2.0  # the login is another matter


async def test_what_the_owner_has_mistyped_is_forgotten_everywhere_once_they_are_in(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        (one, throttle), (two, other) = worker(home), worker(home)
        for _ in range(5):
            throttle.failed(NEAR, LOGIN)
        await one.ledger.write()
        throttle.succeeded(NEAR, LOGIN)
        throttle.failed(NEAR, LOGIN)
        await one.ledger.write()
        await two.ledger.read()
        other.remember(NEAR, LOGIN)
        for known in (throttle, other):
            assert known.check(NEAR, LOGIN) == Verdict(0.0)  # one failure is free


async def test_the_shared_counts_are_bounded_and_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttled, "MAX_ROWS", 4)
    async with house(tmp_path) as home:
        one, throttle = worker(home)
        for number in range(10):
            throttle.failed(f"192.0.2.{number}", LOGIN)
            await one.ledger.write()
        assert len(await home.rows("SELECT * FROM throttled")) <= 4

        def everything(tx: Tx) -> Steps[int]:
            return (yield from throttled.forget(tx, home.time() + 1))

        assert await home.do(everything) > 0
        assert await home.rows("SELECT * FROM throttled") == []
