"""Whoever stays signed in goes when what let them in is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from postillon.directory import app_passwords, second_factor, sessions, totp
from postillon.directory.guests import Guests
from postillon.directory.sessions import Opening
from support.accounts import House, house

ADA, BOB = "ada@example.org", "bob@example.org"
RIGHT = "correct horse battery"
LIFE_MS = 3_600_000


class Hotel:
    """Guests of a house, and who of them had to go."""

    def __init__(self, home: House) -> None:
        self.home = home
        self.guests = Guests(home.store, home.time)
        self.topics: list[str] = []
        self.gone: list[str] = []
        home.store.on_commit(lambda _, topics: self.guests.hear(topics))

    def enter(self, principal: int, credential: str) -> Callable[[], None]:
        name = f"{principal} {credential}"
        return self.guests.enter(principal, credential, lambda: self.gone.append(name))

    async def looked(self, count: int) -> list[str]:
        """Who is gone once `count` have gone and nobody is looked at any more."""
        async with asyncio.timeout(10):
            while len(self.gone) < count:
                await asyncio.sleep(0.005)
            while self.guests._task is not None:
                await asyncio.sleep(0)
        return sorted(self.gone)


async def two(home: House) -> tuple[int, int]:
    password = await home.credentials.prepare(RIGHT)
    first = await home.account(ADA, password=password)
    second = await home.account(BOB, password=password)
    home.time.now += 1
    return first.id, second.id


async def test_a_changed_password_ends_what_the_old_one_has_opened(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, bob = await two(home)
        hotel = Hotel(home)
        made, _ = await home.credentials.add_app_password(
            await home.directory.require(ADA), "Phone"
        )
        for guest in (ada, bob):
            hotel.enter(guest, "password")
        hotel.enter(ada, f"app:{made.id}")
        hotel.enter(ada, "password")()  # has gone before
        home.time.now += 1
        await home.credentials.set_password(ADA, "another one for her")
        assert await hotel.looked(1) == [f"{ada} password"]
        hotel.enter(ada, "password")
        hotel.guests.look()
        assert await hotel.looked(1) == [f"{ada} password"]


async def test_what_is_revoked_ends_what_it_has_opened(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, _ = await two(home)
        hotel = Hotel(home)
        made, _ = await home.credentials.add_app_password(
            await home.directory.require(ADA), "Phone"
        )
        opening = Opening("", "us", "mail", "", "", LIFE_MS, LIFE_MS)
        opened = [
            await home.do(lambda tx: sessions.open_(tx, ada, opening, home.time()))
            for _ in range(3)
        ]
        for credential in ("password", f"app:{made.id}", *(f"session:{n.session}" for n in opened)):
            hotel.enter(ada, credential)
        await home.do(lambda tx: app_passwords.remove(tx, ada, made.id))
        assert await hotel.looked(1) == [f"{ada} app:{made.id}"]
        first, second, third = (item.session for item in opened)
        await home.do(lambda tx: sessions.end_of(tx, ada, first))
        assert f"{ada} session:{first}" in await hotel.looked(2)
        await home.do(lambda tx: sessions.end_all(tx, ada, third))
        assert f"{ada} session:{second}" in await hotel.looked(3)
        assert len(hotel.gone) == 3
        home.time.now += LIFE_MS  # the last one expires by itself
        hotel.guests.look()
        assert f"{ada} session:{third}" in await hotel.looked(4)
        assert f"{ada} password" not in hotel.gone


async def test_an_account_that_is_closed_has_no_guests(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, bob = await two(home)
        hotel = Hotel(home)
        hotel.enter(ada, "password")
        hotel.enter(bob, "password")
        await home.directory.update(ADA, enabled=False)
        assert await hotel.looked(1) == [f"{ada} password"]
        await home.accounts.remove(BOB)
        assert await hotel.looked(2) == [f"{ada} password", f"{bob} password"]


async def test_a_second_factor_ends_what_the_password_alone_has_opened(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, _ = await two(home)
        hotel = Hotel(home)
        hotel.enter(ada, "password")
        secret = await home.do(lambda tx: second_factor.begin(tx, ada))
        assert secret
        assert await hotel.looked(0) == []
        now = home.time()
        code = totp.code_of(secret, totp.step_at(now))
        assert await home.do(lambda tx: second_factor.confirm(tx, ada, code, now))
        assert await hotel.looked(1) == [f"{ada} password"]


async def test_hints_that_were_lost_have_everybody_looked_at(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, bob = await two(home)
        hotel = Hotel(home)
        hotel.enter(ada, "session:17")
        hotel.enter(bob, "password")
        for topic in ("standing:x", "standing:", "directory", f"standing:{bob}"):
            hotel.guests.hear([topic])
        assert await hotel.looked(0) == []
        hotel.guests.hear(["*"])
        assert await hotel.looked(1) == [f"{ada} session:17"]
