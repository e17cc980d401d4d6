"""The record of sign-ins: what is kept, what is not, and that a flood cannot fill it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from postillon.directory import attempts as module
from postillon.directory.attempts import Entry, Outcome, forget, latest
from postillon.directory.ledger import Ledger
from postillon.directory.signin import Denied, Granted, SignIns
from postillon.directory.throttle import Throttle
from postillon.protocol.sasl.client import ScramClientMechanism
from postillon.setting import ConfigError, minutes
from postillon.store.operation import StoreStopped
from support.accounts import QUICK, House, house

LOGIN, PASSWORD = "ada@example.org", "correct horse battery"
HERE, FAR = "192.0.2.9", "203.0.113.9"
DAY = 86_400_000
PATIENT = replace(QUICK, free_failures=50, refuse_after=60)


class Hall:
    def __init__(self, home: House) -> None:
        self.home = home
        self.sign_ins = SignIns(home.credentials, Throttle(PATIENT, home.time))

    async def tries(self, login: str, password: str, address: str = FAR, by: str = "imap") -> Any:
        attempt = self.sign_ins.begin(by, address)
        return await attempt.password(login.encode(), password.encode())

    async def record(self, about: str = "", **more: Any) -> list[Entry]:
        await self.sign_ins.ledger.write()
        return await self.home.store.read_apart(latest(about, **more))


@asynccontextmanager
async def hall(folder: Path) -> AsyncIterator[Hall]:
    async with house(folder) as home:
        await home.account(LOGIN, password=await home.credentials.prepare(PASSWORD))
        yield Hall(home)


async def test_what_came_of_an_attempt_is_told_apart(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        await here.home.account("shut@example.org", password=("x", ""))
        await here.home.directory.update("shut@example.org", enabled=False)
        assert isinstance(await here.tries(" ADA@example.ORG ", PASSWORD), Granted)
        assert await here.tries(LOGIN, "wrong") is Denied.WRONG
        assert await here.tries("nobody@example.org", "wrong") is Denied.WRONG
        assert await here.tries("shut@example.org", "wrong") is Denied.WRONG

        found = {(one.login, one.outcome) for one in await here.record()}

        assert found == {
            (LOGIN, "ok"), (LOGIN, "wrong_password"), ("nobody@example.org", "unknown_login"),
            ("shut@example.org", "disabled"),
        }  # fmt: skip


async def test_what_may_be_a_password_in_the_wrong_field_is_not_kept(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        for typed in ("S3cret!word", "P@ssw0rd", "ada@example.orgS3cret", "root", "a" * 200):
            await here.tries(typed, "ada@example.org")

        (one,) = await here.record()

        assert (one.login, one.outcome, one.attempts) == ("", "unknown_login", 5)
        rows = await here.home.rows("SELECT * FROM sign_in")
        assert not any("3cret" in str(row) or "ssw0rd" in str(row) for row in rows)
        # Words that are no address are not even kept in memory until they are written.
        await here.tries("S3cret!word", "x")
        assert {what.login for what in here.sign_ins.ledger.attempts.take()} == {""}


async def test_failures_are_counted_by_the_minute_and_successes_by_the_hour(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        here.home.time.now -= here.home.time.now % 3_600_000
        for _ in range(3):
            for _ in range(4):
                await here.tries(LOGIN, "wrong")
                await here.tries(LOGIN, PASSWORD)
            await here.record()
            here.home.time.now += 60_000

        found = await here.record()

        assert [one.attempts for one in found if one.outcome == "ok"] == [12]
        assert [one.attempts for one in found if one.outcome != "ok"] == [4, 4, 4]
        (good,) = (one for one in found if one.outcome == "ok")
        assert good.last_at - good.first_at == 120_000
        assert [one.entry for one in found] == sorted((one.entry for one in found), reverse=True)


async def test_workers_add_to_the_same_line(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        other = SignIns(here.home.credentials, Throttle(PATIENT, here.home.time))
        for one in (here.sign_ins, other):
            await one.begin("imap", FAR).password(LOGIN.encode(), b"wrong")
            await one.ledger.write()

        (line,) = await here.record()

        assert line.attempts == 2


async def test_a_scram_that_fails_and_a_second_factor_are_in_it(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        client = ScramClientMechanism(LOGIN, "wrong")
        attempt = here.sign_ins.begin("smtp", FAR)
        answer: Any = await attempt.begin(client.name, client.initial)
        while not isinstance(answer, Denied):
            answer = await attempt.respond(client.respond(answer.challenge))

        (one,) = await here.record()

        assert (one.protocol, one.outcome, one.login) == ("smtp", "wrong_password", LOGIN)


async def test_a_flood_is_few_lines_and_bounded_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 20)
    async with hall(tmp_path) as here:
        noted = here.sign_ins.ledger.attempts
        for number in range(1_000):
            noted.note("imap", f"198.51.{number // 250}.{number % 250}", LOGIN, Outcome.TURNED_AWAY)
        await here.tries(LOGIN, "wrong")

        found = await here.record()

        assert len(found) <= 23
        assert sum(one.attempts for one in found) == 1_001
        many = {one.outcome: one.attempts for one in found if one.network == one.login == ""}
        assert many == {"turned_away": 980, "wrong_password": 1}


async def test_it_is_found_by_parts_of_login_and_address(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        await here.tries(LOGIN, PASSWORD, HERE)
        await here.tries("b_b@example.org", "x", FAR)
        await here.tries("bob@example.org", "x", "2001:db8:1:2:3::4")

        assert [one.login for one in await here.record("ADA")] == [LOGIN]
        assert [one.login for one in await here.record("b_b")] == ["b_b@example.org"]
        assert [one.login for one in await here.record("2001:db8:1:2:3")] == ["bob@example.org"]
        assert len(await here.record(failed=True)) == 2
        newest, *rest = await here.record()
        assert await here.record(before=newest.entry) == rest


async def test_old_and_surplus_lines_are_forgotten_each_kind_by_itself(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        await here.tries(LOGIN, PASSWORD, HERE)
        for number in range(5):
            await here.tries(f"user{number}@example.org", "x")
        await here.record()

        assert await here.home.do(lambda tx: forget(tx, here.home.time() - 30 * DAY, 3)) == 2
        left = await here.record()
        assert {one.outcome for one in left} == {"ok", "unknown_login"}
        assert len(left) == 4
        here.home.time.now += 31 * DAY
        assert await here.home.do(lambda tx: forget(tx, here.home.time() - 30 * DAY, 3)) == 4


async def test_without_a_record_nothing_is_written(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        config = replace(QUICK, record_most=0)
        ledger = Ledger(home.store, config, home.time, Throttle(config, home.time))
        ledger.attempts.note("imap", FAR, LOGIN, Outcome.OK)
        await ledger.write()
        assert await home.rows("SELECT count(*) FROM sign_in") == [(0,)]


async def test_a_store_that_takes_nothing_stops_no_sign_in(tmp_path: Path) -> None:
    async with hall(tmp_path) as here:
        ledger = here.sign_ins.ledger
        await ledger.start()
        await here.tries(LOGIN, "wrong")
        await here.home.store.close()
        with pytest.raises(StoreStopped):
            await ledger.write()
        ledger.attempts.note("imap", FAR, LOGIN, Outcome.OK)
        await ledger.stop()


def test_an_impossible_record_is_refused() -> None:
    for wrong in ({"record_for": minutes(59)}, {"record_most": -1}):
        with pytest.raises(ConfigError):
            replace(QUICK, **wrong)
