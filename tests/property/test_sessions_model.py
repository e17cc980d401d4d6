"""Sessions against a model: which of all tokens ever given are good, whatever happens in what order."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from postillon.directory import sessions
from postillon.directory.sessions import LEEWAY_MS, OWN_CLIENT, Opening
from support.accounts import House, house

ACCESS_MS, REFRESH_MS = 60_000, 600_000
CLIENTS = ("reader", OWN_CLIENT)

# What happens, and to which of the tokens given so far (counted modulo their number).
STEP = st.one_of(
    st.tuples(st.just("open"), st.sampled_from(CLIENTS)),
    st.tuples(st.just("refresh"), st.integers(0, 30)),
    st.tuples(st.just("refresh by another"), st.integers(0, 30)),
    st.tuples(st.just("end"), st.integers(0, 30)),
    st.tuples(st.just("revoke"), st.integers(0, 30)),
    st.tuples(st.just("wait"), st.sampled_from((1, LEEWAY_MS, ACCESS_MS, REFRESH_MS))),
    st.tuples(st.just("end all"), st.booleans()),
)


@dataclass
class Expected:
    """One session of the model."""

    client: str
    expires_at: int
    current: str
    previous: str = ""
    rotated_at: int = 0
    alive: bool = True
    access: dict[str, int] = field(default_factory=dict)  # until when


class World:
    def __init__(self, home: House, principal: int) -> None:
        self.home, self.principal = home, principal
        self.sessions: dict[int, Expected] = {}
        self.refreshes: list[tuple[str, int]] = []  # every token ever, and its session
        self.accesses: list[str] = []

    async def step(self, what: str, argument: object) -> None:
        home, now = self.home, self.home.time()
        if what == "open":
            opening = Opening(str(argument), "", "mail", "", "", ACCESS_MS, REFRESH_MS)
            made = await home.do(lambda tx: sessions.open_(tx, self.principal, opening, now))
            found = Expected(str(argument), now + REFRESH_MS, made.refresh, rotated_at=now)
            found.access[made.access] = now + ACCESS_MS
            self.sessions[made.session] = found
            self.refreshes.append((made.refresh, made.session))
            self.accesses.append(made.access)
        elif what == "wait":
            home.time.now += int(str(argument))
        elif what == "end all":
            kept = max(self.sessions, default=0) if argument else 0
            await home.do(lambda tx: sessions.end_all(tx, self.principal, kept))
            for number, session in self.sessions.items():
                session.alive = session.alive and number == kept
        elif self.refreshes:
            token, number = self.refreshes[int(str(argument)) % len(self.refreshes)]
            await self.on_token(what, token, number)

    async def on_token(self, what: str, token: str, number: int) -> None:
        home, now, session = self.home, self.home.time(), self.sessions[number]
        if what == "end":
            await home.do(lambda tx: sessions.end(tx, number))
            session.alive = False
            return
        if what == "revoke":
            await home.do(lambda tx: sessions.revoke(tx, token, session.client))
            session.alive = False
            return
        other = what == "refresh by another"
        client = "somebody else" if other else session.client
        made = await home.do(
            lambda tx: sessions.refresh(tx, token, client, "", ACCESS_MS, REFRESH_MS, now)
        )
        if not session.alive or other or session.expires_at <= now:
            assert made is None
        elif token == session.current:
            assert made is not None
            assert made.refresh not in (None, token)
            session.current, session.previous, session.rotated_at = made.refresh, token, now
            session.expires_at = now + REFRESH_MS
            self.refreshes.append((made.refresh, number))
        elif (
            session.client == OWN_CLIENT
            and token == session.previous
            and now - session.rotated_at <= LEEWAY_MS
        ):
            assert made is not None
            assert made.refresh is None
        else:
            assert made is None
            session.alive = False
        if made is not None:
            session.access[made.access] = now + ACCESS_MS
            self.accesses.append(made.access)

    async def check(self) -> None:
        now = self.home.time()
        good = {
            token: number
            for number, session in self.sessions.items()
            for token, until in session.access.items()
            if session.alive and until > now
        }
        for token in self.accesses:
            found = await self.home.store.query(sessions.bearer(token, now))
            assert (found.session if found else None) == good.get(token)
        listed = await self.home.store.query(sessions.every(self.principal, now))
        assert {item.id for item in listed} == {
            number
            for number, session in self.sessions.items()
            if session.alive and session.expires_at > now
        }


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, max_size=25))
def test_a_token_is_good_as_long_as_its_session_says(steps: list[tuple[str, object]]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with house(Path(folder)) as home:
                await home.account()
                principal = await home.directory.by_login("ada@example.org")
                assert principal is not None
                world = World(home, principal.id)
                for what, argument in steps:
                    await world.step(what, argument)
                    await world.check()

    asyncio.run(run())
