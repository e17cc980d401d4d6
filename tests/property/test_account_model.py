"""An account on a real store does what a plain model of mailboxes does, in any order of operations.

After each operation the mailboxes must agree: UIDs, flags, keywords, MODSEQs, every counter, the quota.
At the end, what `changes` says since any earlier moment must turn the state of then into that of now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postillon.account import changes, numbering
from postillon.account import flags as flagging
from postillon.account.account import Account
from postillon.account.changes import Placement
from postillon.account.errors import MailboxNotFound, OverQuota
from postillon.account.ids import MailboxId
from postillon.account.keywords import DELETED, SEEN, join_keywords
from postillon.account.ranges import EVERYTHING
from postillon.store.verify import verify
from support.accounts import House, append, house, message
from support.stores import using

QUOTA = 6_000  # octets: some twenty messages, so that it is met

numbers = st.integers(0, 7)
uids = st.integers(1, 14)
ranges = st.lists(st.tuples(uids, uids), min_size=1, max_size=3) | st.just(list(EVERYTHING))
words = st.frozensets(st.sampled_from(["a", "b", "$junk"]), max_size=2)
flags = st.integers(0, 31)
operations = st.one_of(
    st.tuples(st.just("append"), numbers, flags, words, st.integers(0, 300)),
    st.tuples(st.just("append"), numbers, flags, words, st.integers(0, 300)),
    st.tuples(
        st.just("flags"), numbers, ranges, st.sampled_from(["add", "remove", "replace"]), flags, words,
        st.none() | st.integers(0, 40),
    ),
    st.tuples(st.just("copy"), numbers, ranges, numbers),
    st.tuples(st.just("move"), numbers, ranges, numbers),
    st.tuples(st.just("expunge"), numbers, st.none() | ranges),
    st.tuples(st.just("create"), numbers),
    st.tuples(st.just("delete"), numbers),
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def small_sizes() -> Iterator[None]:
    """What is done in long runs, and for many emails at once, begins with these few."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flagging, "LONG", 2)
        patch.setattr(flagging, "FEW", 2)
        patch.setattr(numbering, "CHUNK", 2)
        yield


@dataclass
class Kept:
    flags: int
    words: frozenset[str]
    size: int
    email: int
    modseq: int


@dataclass
class Box:
    uid_next: int = 1
    modseq: int = 1
    kept: dict[int, Kept] = field(default_factory=dict)


class Model:
    def __init__(self, mailboxes: list[int]) -> None:
        self.boxes = {mailbox: Box() for mailbox in mailboxes}
        self.last_modseq = 1
        self.history: list[tuple[int, dict[int, dict[int, tuple[int, Any]]]]] = []

    @property
    def used(self) -> int:
        return sum(kept.size for box in self.boxes.values() for kept in box.kept.values())

    def pick(self, number: int) -> int:
        return sorted(self.boxes)[number % len(self.boxes)]

    def chosen(self, box: Box, wanted: list[tuple[int, int]] | None) -> list[int]:
        return [
            uid
            for uid in sorted(box.kept)
            if wanted is None or any(min(pair) <= uid <= max(pair) for pair in wanted)
        ]

    def put(self, mailbox: int, kept: Kept) -> int:
        box = self.boxes[mailbox]
        uid = box.uid_next
        box.uid_next += 1
        box.kept[uid] = kept
        box.modseq = kept.modseq
        return uid

    def remember(self) -> None:
        state = {
            mailbox: {uid: (kept.flags, kept.words) for uid, kept in box.kept.items()}
            for mailbox, box in self.boxes.items()
        }
        self.history.append((self.last_modseq, state))


class Both:
    """Does each operation to the account and to the model, and compares what they answer."""

    def __init__(self, account: Account, model: Model) -> None:
        self.account, self.model = account, model

    async def modseq(self) -> int:
        """The account's MODSEQ after a change: it has grown."""
        now = (await self.account.facts()).modseq
        assert now > self.model.last_modseq
        self.model.last_modseq = now
        return now

    async def append(self, number: int, bits: int, words: frozenset[str], size: int) -> None:
        mailbox = self.model.pick(number)
        content = message("x", "y" * size)
        if self.model.used + len(content) > QUOTA:
            with pytest.raises(OverQuota) as refusal:
                await append(self.account, content, MailboxId(mailbox), bits, *words)
            assert (refusal.value.used, refusal.value.allowed) == (self.model.used, QUOTA)
            return
        placed = await append(self.account, content, MailboxId(mailbox), bits, *words)
        assert placed.modseq == await self.modseq()
        kept = Kept(bits, words, len(content), placed.email, placed.modseq)
        assert placed.uid == self.model.put(mailbox, kept)
        assert self.model.used <= QUOTA

    async def flags(
        self,
        number: int,
        wanted: Any,
        mode: str,
        bits: int,
        words: frozenset[str],
        since: int | None,
    ) -> None:
        mailbox = self.model.pick(number)
        box = self.model.boxes[mailbox]
        result = await self.account.store_flags(
            MailboxId(mailbox), wanted, mode, bits, words, since
        )
        chosen = self.model.chosen(box, wanted)
        refused = [uid for uid in chosen if since is not None and box.kept[uid].modseq > since]
        assert result.refused == refused
        done = [uid for uid in chosen if uid not in refused]
        after = {}
        for uid in done:
            kept = box.kept[uid]
            after[uid] = {
                "add": (kept.flags | bits, kept.words | words),
                "remove": (kept.flags & ~bits, kept.words - words),
                "replace": (bits, words),
            }[mode]
        turned = [uid for uid in done if after[uid] != (box.kept[uid].flags, box.kept[uid].words)]
        if turned:
            assert result.modseq == await self.modseq()
            box.modseq = self.model.last_modseq
            for uid in turned:
                kept = box.kept[uid]
                kept.flags, kept.words = after[uid]
                kept.modseq = box.modseq
        else:
            assert result.modseq is None
        assert [item.uid for item in result.updated] == done

    async def copy(self, number: int, wanted: Any, target_number: int) -> None:
        mailbox, target = self.model.pick(number), self.model.pick(target_number)
        box = self.model.boxes[mailbox]
        chosen = self.model.chosen(box, wanted)
        size = sum(box.kept[uid].size for uid in chosen)
        try:
            result = await self.account.copy(MailboxId(mailbox), wanted, MailboxId(target))
        except OverQuota:
            assert self.model.used + size > QUOTA
            return
        assert self.model.used + size <= QUOTA or not chosen
        await self._arrived(mailbox, target, chosen, result.pairs, moved=False)

    async def move(self, number: int, wanted: Any, target_number: int) -> None:
        mailbox, target = self.model.pick(number), self.model.pick(target_number)
        chosen = self.model.chosen(self.model.boxes[mailbox], wanted)
        result = await self.account.move(MailboxId(mailbox), wanted, MailboxId(target))
        await self._arrived(mailbox, target, chosen, result.pairs, moved=True)

    async def _arrived(
        self, mailbox: int, target: int, chosen: list[int], pairs: Any, *, moved: bool
    ) -> None:
        box = self.model.boxes[mailbox]
        expected = []
        if chosen:
            modseq = await self.modseq()
        for uid in chosen:
            old = box.kept[uid]
            new_uid = self.model.boxes[target].uid_next
            [row] = await self.account.placements(MailboxId(target), [(new_uid, new_uid)])
            assert (row.email == old.email) is moved
            self.model.put(target, Kept(old.flags, old.words, old.size, row.email, modseq))
            expected.append((uid, new_uid))
            if moved:
                del box.kept[uid]
                box.modseq = modseq
        assert pairs == expected

    async def expunge(self, number: int, wanted: Any) -> None:
        mailbox = self.model.pick(number)
        box = self.model.boxes[mailbox]
        gone = [uid for uid in self.model.chosen(box, wanted) if box.kept[uid].flags & DELETED]
        assert await self.account.expunge(MailboxId(mailbox), wanted) == gone
        for uid in gone:
            del box.kept[uid]
        if gone:
            box.modseq = await self.modseq()

    async def create(self, number: int) -> None:
        if await self.account.find((f"box {number}",)) is None:
            made = await self.account.create((f"box {number}",))
            modseq = await self.modseq()
            assert made.id not in self.model.boxes
            self.model.boxes[made.id] = Box(1, modseq)

    async def delete(self, number: int) -> None:
        mailbox = self.model.pick(number)
        if mailbox > 6:  # the ones an account begins with stay
            await self.account.delete(MailboxId(mailbox))
            await self.modseq()
            del self.model.boxes[mailbox]
            with pytest.raises(MailboxNotFound):
                await self.account.changes(MailboxId(mailbox), 0)

    async def compare(self) -> None:
        found = {item.id: item for item in await self.account.mailboxes()}
        assert found.keys() == self.model.boxes.keys()
        for mailbox, box in self.model.boxes.items():
            row = found[MailboxId(mailbox)]
            kept = box.kept.values()
            assert (row.uid_next, row.modseq) == (box.uid_next, box.modseq)
            assert row.total == len(kept)
            assert row.unseen == sum(1 for item in kept if not item.flags & SEEN)
            assert row.deleted == sum(1 for item in kept if item.flags & DELETED)
            assert row.octets == sum(item.size for item in kept)
            expected = [
                Placement(uid, item.email, item.flags, join_keywords(item.words), item.modseq)
                for uid, item in sorted(box.kept.items())
            ]
            assert await self.account.placements(row.id, EVERYTHING) == expected
            assert await self.account.uids(row.id) == sorted(box.kept)
        facts = await self.account.facts()
        assert facts.used == self.model.used
        assert facts.emails == sum(len(box.kept) for box in self.model.boxes.values())

    async def replay(self, *, complete: bool = True) -> None:
        """`changes` since each remembered moment leads from its state to the present one."""
        for since, state in self.model.history:
            for mailbox, box in self.model.boxes.items():
                now = {uid: (kept.flags, kept.words) for uid, kept in box.kept.items()}
                told = await self.account.changes(MailboxId(mailbox), since)
                then = dict(state.get(mailbox, {}))
                if not told.complete:
                    assert not complete
                    told = _with_all_vanished(told, then, now)
                for uid in told.vanished:
                    then.pop(uid)  # only what had been there
                for item in told.changed:
                    assert item.uid in then
                    then[item.uid] = now[item.uid]
                for item in told.created:
                    assert item.uid not in then
                    then[item.uid] = now[item.uid]
                assert then == now
                assert (told.uid_next, told.modseq) == (box.uid_next, box.modseq)


def _with_all_vanished(told: Any, then: dict[int, Any], now: dict[int, Any]) -> Any:
    """What a client does when tombstones are missing: it compares all UIDs."""
    return changes.MailboxChanges(
        told.created,
        told.changed,
        sorted(then.keys() - now.keys()),
        told.modseq,
        told.uid_next,
        True,
    )


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, House]]:
    yield from _running(tmp_path_factory, "sqlite")


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, House]]:
    yield from _running(tmp_path_factory, "postgresql")


def _running(
    tmp_path_factory: pytest.TempPathFactory, kind: str
) -> Iterator[tuple[asyncio.Runner, House]]:
    folder: Path = tmp_path_factory.mktemp("account")
    with using(kind), asyncio.Runner() as loop:
        manager = house(folder)
        home = loop.run(manager.__aenter__())
        yield loop, home
        problems = loop.run(_verify(home))
        loop.run(manager.__aexit__(None, None, None))
        assert problems == []


async def _verify(home: House) -> list[Any]:
    return list(await verify(home.store))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(operations, max_size=25), cut=st.integers(0, 60))
def test_an_account_does_what_the_model_does(
    runner: tuple[asyncio.Runner, House], steps: list[tuple[Any, ...]], cut: int
) -> None:
    loop, home = runner
    loop.run(_run(home, steps, cut))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(operations, max_size=25), cut=st.integers(0, 60))
def test_an_account_on_postgresql_does_what_the_model_does(
    postgresql: tuple[asyncio.Runner, House], steps: list[tuple[Any, ...]], cut: int
) -> None:
    loop, home = postgresql
    loop.run(_run(home, steps, cut))


async def _run(home: House, steps: list[tuple[Any, ...]], cut: int) -> None:
    [(count,)] = await home.rows("SELECT count(*) FROM principal")
    account = await home.account(f"a{count}@example.org", quota=QUOTA)
    both = Both(account, Model([item.id for item in await account.mailboxes()]))
    both.model.remember()
    for name, *arguments in steps:
        await getattr(both, name)(*arguments)
        await both.compare()
        both.model.remember()
    await both.replay()
    await home.do(lambda tx: changes.expire(tx, account.id, home.time() + 1, cut + 1))
    await both.compare()
    await both.replay(complete=False)
