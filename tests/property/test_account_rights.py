"""Who lacks a right can neither see nor change anything, by any method of an account."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postillon.account import rights
from postillon.account.account import Account
from postillon.account.arriving import ToAppend
from postillon.account.changes import Kind
from postillon.account.errors import AccountError, AccountNotFound, MailboxNotFound, NotAllowed
from postillon.account.flags import FlagMode
from postillon.account.ids import MailboxId, Uid
from postillon.account.keywords import DELETED, FLAGGED, SEEN
from postillon.account.ranges import EVERYTHING
from postillon.account.rights import Right
from postillon.account.roles import INBOX_ID, Role
from postillon.mail.mime import scan
from support.accounts import House, append, house, message

Call = Callable[["Scene", MailboxId], Awaitable[Any]]
L = Right.LOOKUP
R = L | Right.READ
NEVER = None  # the owner's alone

MESSAGE = ToAppend(message(), scan(message()))


class Scene:
    """Ada's account with a mailbox `Work` and emails in it; Bob looks into it."""

    def __init__(self, home: House) -> None:
        self.home = home

    async def build(self) -> None:
        self.ada = await self.home.account()
        self.bob = (await self.home.accounts.create("bob@example.org")).id
        self.own = self.home.accounts.open(self.bob)
        self.seen = self.home.accounts.open(self.ada.id, self.bob)
        self.work = (await self.ada.create(("Work",))).id
        await self.ada.create(("Work", "Below"))
        for flags in (0, SEEN, DELETED):
            await append(self.ada, message("secret"), self.work, flags, "word")
        await append(self.own)
        [self.row, *_] = await self.ada.emails(self.work, EVERYTHING)

    async def state(self) -> list[Any]:
        tables = ("account", "mailbox", "email", "placement", "change", "annotation", "granted")
        return [
            sorted(await self.home.rows(f"SELECT * FROM {table}"), key=repr)
            for table in (*tables, "subscription")
        ]


# What each method needs at the mailbox it is called for. None: no right is enough.
CALLS: dict[str, tuple[Right | None, Call]] = {
    "facts": (L, lambda s, m: s.seen.facts()),
    "mailbox": (L, lambda s, m: s.seen.mailbox(m)),
    "deleted_octets": (R, lambda s, m: s.seen.deleted_octets(m)),
    "annotations": (R, lambda s, m: s.seen.annotations(m)),
    "known_url_key": (R, lambda s, m: s.seen.known_url_key(m)),
    "url_key": (R, lambda s, m: s.seen.url_key(m, b"k" * 32)),
    "granted": (L | Right.ADMINISTER, lambda s, m: s.seen.granted(m)),
    "subscriptions": (NEVER, lambda s, m: s.seen.subscriptions()),
    "uids": (R, lambda s, m: s.seen.uids(m)),
    "placements": (R, lambda s, m: s.seen.placements(m, EVERYTHING)),
    "emails": (R, lambda s, m: s.seen.emails(m, EVERYTHING)),
    "emails_apart": (R, lambda s, m: s.seen.emails_apart(m, EVERYTHING)),
    "located": (R, lambda s, m: s.seen.located(m, EVERYTHING)),
    "listings": (R, lambda s, m: s.seen.listings(m, EVERYTHING)),
    "header_digests": (R, lambda s, m: s.seen.header_digests(m, EVERYTHING)),
    "marks": (R, lambda s, m: s.seen.marks(m, Uid(1), Uid(9))),
    "sort_facts": (R, lambda s, m: s.seen.sort_facts(m, EVERYTHING, header=True)),
    "keywords": (R, lambda s, m: s.seen.keywords(m)),
    "changes": (R, lambda s, m: s.seen.changes(m, 0)),
    "content": (R, lambda s, m: s.seen.content(s.row)),
    "append": (
        L | Right.INSERT,
        lambda s, m: s.seen.append(m, MESSAGE.content, MESSAGE.scan),
    ),
    "append_many": (L | Right.INSERT, lambda s, m: s.seen.append_many(m, [MESSAGE])),
    "store_flags": (
        R | Right.WRITE,
        lambda s, m: s.seen.store_flags(m, EVERYTHING, "add", FLAGGED, frozenset({"x"})),
    ),
    "copy": (R, lambda s, m: s.seen.copy(m, EVERYTHING, INBOX_ID, s.own)),
    "move": (L | rights.TAKE_OUT, lambda s, m: s.seen.move(m, EVERYTHING, INBOX_ID, s.own)),
    "replace": (
        L | rights.TAKE_OUT,
        lambda s, m: s.seen.replace(m, Uid(1), INBOX_ID, MESSAGE, s.own),
    ),
    "annotate": (L | Right.WRITE, lambda s, m: s.seen.annotate(m, {"/shared/comment": b"x"})),
    "expunge": (R | Right.EXPUNGE, lambda s, m: s.seen.expunge(m)),
    "claim_recent": (R | Right.KEEP_SEEN, lambda s, m: s.seen.claim_recent(m)),
    "create": (L | Right.CREATE, lambda s, m: s.seen.create(("Work", "New"))),
    "rename": (L | Right.DELETE_MAILBOX | Right.CREATE, lambda s, m: s.seen.rename(m, ("Other",))),
    "delete": (L | Right.DELETE_MAILBOX, lambda s, m: s.seen.delete(m)),
    "subscribe": (NEVER, lambda s, m: s.seen.subscribe(("Work",))),
    "share": (L | Right.ADMINISTER, lambda s, m: s.seen.share(m, {s.bob: rights.ALL})),
    "grant": (L | Right.ADMINISTER, lambda s, m: s.seen.grant(m, s.bob, rights.ALL)),
    "grant_all": (NEVER, lambda s, m: s.seen.grant_all(s.bob, rights.ALL, FlagMode.ADD)),
}
INTO: dict[str, Call] = {  # the mailbox is where something is put
    "copy": lambda s, m: s.own.copy(INBOX_ID, EVERYTHING, m, s.seen),
    "move": lambda s, m: s.own.move(INBOX_ID, EVERYTHING, m, s.seen),
    "replace": lambda s, m: s.own.replace(INBOX_ID, Uid(1), m, MESSAGE, s.seen),
}
# These answer with nothing instead of an error, and are asked below; or change nothing that is seen.
QUIET = {
    "mailboxes", "find", "of_role", "hits", "places", "ahead", "contents", "sweep", "own", "news",
    "touched", "every_annotation", "reset_url_keys",
}  # fmt: skip
LEAK_NOTHING = (MailboxNotFound, AccountNotFound)


def test_every_method_is_asked() -> None:
    public = {name for name, _ in inspect.getmembers(Account) if not name.startswith("_")}
    assert public == CALLS.keys() | QUIET


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Scene]]:
    with asyncio.Runner() as runner:
        opened = house(tmp_path_factory.mktemp("rights"))
        scene = Scene(runner.run(opened.__aenter__()))
        runner.run(scene.build())
        yield runner, scene
        runner.run(opened.__aexit__(None, None, None))


@settings(max_examples=40, deadline=None)
@given(have=st.sets(st.sampled_from(list(Right))).map(lambda some: sum(some, rights.NONE)))
def test_who_lacks_a_right_neither_sees_nor_changes(
    stage: tuple[asyncio.Runner, Scene], have: Right
) -> None:
    runner, scene = stage
    runner.run(_try(scene, Right(have)))


async def _try(scene: Scene, have: Right) -> None:
    await scene.ada.grant(scene.work, scene.bob, have)
    before = await scene.state()
    for name, (wanted, call) in CALLS.items():
        if wanted is None or wanted & ~have:
            await _refused(scene, name, have, call)
    if Right.INSERT not in have or L not in have:
        for name, call in INTO.items():
            await _refused(scene, f"{name} into", have, call)
    found = await scene.seen.mailboxes()
    assert [item.id for item in found] == ([scene.work] if L in have else [])
    assert all(item.total == 0 or R & ~have == 0 for item in found)
    there = await scene.seen.find(("Work",))
    assert (there is not None) == (L in have)
    assert await scene.seen.find(("Work", "Below")) is None
    assert await scene.seen.of_role(Role.INBOX) is None
    assert await scene.seen.contents([scene.row], [1], 10) == [None]
    assert await scene.home.accounts.shared_with(scene.bob) == (
        [await scene.home.directory.principal(scene.ada.id)] if L in have else []
    )
    assert await scene.state() == before


async def _refused(scene: Scene, name: str, have: Right, call: Call) -> None:
    owners = name in CALLS and CALLS[name][0] is None
    with pytest.raises(AccountError) as caught:
        await call(scene, scene.work)
    if L not in have and not owners:
        # Nothing may say that the mailbox is there.
        assert isinstance(caught.value, LEAK_NOTHING), (name, have)
        if name not in {"content", "create", "facts"}:
            with pytest.raises(type(caught.value)):
                await call(scene, MailboxId(999))
    elif not isinstance(caught.value, LEAK_NOTHING):
        assert isinstance(caught.value, NotAllowed), (name, have)


@pytest.mark.parametrize("name", [name for name in CALLS if CALLS[name][0] is not None])
async def test_the_rights_that_are_named_are_enough(name: str, tmp_path: Path) -> None:
    wanted, call = CALLS[name]
    assert wanted is not None
    async with house(tmp_path) as home:
        scene = Scene(home)
        await scene.build()
        await scene.ada.grant_all(scene.bob, wanted, FlagMode.REPLACE)
        await call(scene, scene.work)


def test_the_text_index_is_asked_by_readers_alone(
    stage: tuple[asyncio.Runner, Scene],
) -> None:
    runner, scene = stage

    async def ask() -> None:
        await scene.ada.grant(scene.work, scene.bob, Right.LOOKUP)
        assert await scene.seen.hits([]) == []
        with pytest.raises(NotAllowed):
            await scene.seen.places(scene.work, _Hits())  # type: ignore[arg-type]

    runner.run(ask())


def test_what_has_changed_is_told_to_readers_alone(
    stage: tuple[asyncio.Runner, Scene],
) -> None:
    runner, scene = stage

    async def share(right: Right) -> None:
        for mailbox in await scene.ada.mailboxes():
            await scene.ada.grant(mailbox.id, scene.bob, right)

    async def told(right: Right) -> tuple[bool, bool]:
        await share(right)
        news, touched = await scene.seen.news(0), await scene.seen.touched(0)
        kinds = {kind for of_one in touched.mailboxes.values() for kind in of_one}
        return Kind.CREATED in news.kinds, Kind.CREATED in kinds

    runner.run(share(rights.NONE))
    for question in (scene.seen.news, scene.seen.touched):
        with pytest.raises(AccountNotFound):
            runner.run(question(0))
    assert runner.run(told(Right.LOOKUP)) == (False, False)
    assert runner.run(told(R)) == (True, True)


class _Hits:
    emails = frozenset({1, 2, 3})
    skipped: frozenset[int] = frozenset()
    upto = 0
