"""The throttles of several workers against a model: what has failed anywhere counts everywhere."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from postillon.directory import throttled
from postillon.directory.ledger import Ledger
from postillon.directory.throttle import EVERY, Throttle, Verdict, delay_s
from postillon.setting import minutes
from support.accounts import QUICK, House, house

CONFIG = replace(QUICK, free_failures=2, refuse_after=8, forget_after=minutes(10))
LOGINS = ("ada@example.org", " Nobody@Example.ORG", "a secret word")
NETWORKS = ("192.0.2.1", "198.51.100.7", "2001:db8:1:2::9", "127.0.0.1")
WORKERS = st.integers(0, 2)
STEP = st.one_of(
    st.tuples(
        st.just("fail"), WORKERS, st.tuples(st.sampled_from(NETWORKS), st.sampled_from(LOGINS))
    ),
    st.tuples(
        st.just("fail"), WORKERS, st.tuples(st.sampled_from(NETWORKS), st.sampled_from(LOGINS))
    ),
    st.tuples(
        st.just("succeed"), WORKERS, st.tuples(st.sampled_from(NETWORKS[:3]), st.just(LOGINS[0]))
    ),
    st.tuples(st.just("write"), WORKERS, st.none()),
    st.tuples(st.just("read"), WORKERS, st.none()),
    st.tuples(st.just("quiet"), WORKERS, st.sampled_from([1, 600_001])),
    st.tuples(st.just("let in"), WORKERS, st.sampled_from([*NETWORKS, LOGINS[0]])),
)


class World:
    """Workers on one store, and how often what has failed."""

    def __init__(self, home: House) -> None:
        self.home = home
        self.throttles = [Throttle(CONFIG, home.time) for _ in range(3)]
        self.ledgers = [Ledger(home.store, CONFIG, home.time, one) for one in self.throttles]
        self.networks: Counter[str] = Counter()
        self.logins: Counter[str] = Counter()
        self.pairs: Counter[tuple[str, str]] = Counter()

    async def all_know(self) -> None:
        for ledger in self.ledgers:
            await ledger.write()
        for ledger in self.ledgers:
            await ledger.read()

    async def step(self, what: str, worker: int, more: object) -> None:
        if what == "fail":
            assert isinstance(more, tuple)
            address, login = more
            self.throttles[worker].failed(address, login)
            self.networks[address] += address != "127.0.0.1"
            self.logins[login.strip().lower()] += 1
            self.pairs[address, login.strip().lower()] += 1
        elif what == "succeed":
            assert isinstance(more, tuple)
            await self.all_know()
            self.throttles[worker].succeeded(*more)
            self.pairs.pop(more, None)
        elif what == "write":
            await self.ledgers[worker].write()
        elif what == "read":
            await self.ledgers[worker].read()
        elif what == "quiet":
            assert isinstance(more, int)
            await self.all_know()  # what is under way belongs to the time before
            self.home.time.now += more
            if more > 600_000:
                self.networks.clear()
                self.pairs.clear()
                self.logins.clear()
        else:
            await self.all_know()
            network, login = ("", str(more)) if "@" in str(more) else (str(more), "")
            if network == NETWORKS[2]:
                network = "2001:db8:1:2::/64"
            some = await self.home.store.query(throttled.of(network, login))
            await self.home.do(lambda tx: throttled.lift(tx, [item.key for item in some]))
            self.networks.pop(str(more), None)
            self.logins.pop(str(more), None)
            for pair in [pair for pair in self.pairs if str(more) in pair]:
                del self.pairs[pair]

    async def compare(self) -> None:
        await self.all_know()
        for throttle in self.throttles:
            for address in NETWORKS[:3]:
                for login in (*LOGINS[:2], "other@example.org"):
                    if throttle.knows(address, login):
                        pair = self.pairs[address, login.strip().lower()]
                        assert throttle.check(address, login) == Verdict(delay_s(CONFIG, pair))
                        continue
                    by_network = self.networks[address]
                    worst = max(by_network, self.logins[login.strip().lower()])
                    expected = Verdict(delay_s(CONFIG, worst), refused=by_network >= 8)
                    assert throttle.check(address, login) == expected
            assert throttle.check("127.0.0.1", LOGINS[0]) == Verdict(0.0)


async def _happen(steps: list[tuple[str, int, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with house(Path(folder)) as home:
            world = World(home)
            for what, worker, more in steps:
                await world.step(what, worker, more)
            await world.compare()
            rows = await home.rows("SELECT network, login FROM throttled")
            assert not any("secret" in login for _, login in rows)
            assert all(network != "127.0.0.1" for network, _ in rows)
            assert (EVERY, EVERY) not in rows


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_what_has_failed_anywhere_counts_everywhere(steps: list[tuple[str, int, object]]) -> None:
    asyncio.run(_happen(steps))
