"""The audit log: every act of an administrator leaves one line, and no secret."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from postillon.admin import accounts, audit, domains, lists, ordering
from postillon.admin.accounts import AccountChange, NewAccount
from postillon.admin.desk import Desk, open_desk
from postillon.admin.domains import DomainChange
from postillon.admin.errors import Refused
from postillon.directory.config import AuthConfig
from postillon.queue.selection import Selection
from postillon.queue.verbs import Verb
from postillon.store.config import StoreConfig
from postillon.store.expire import drain

QUICK = AuthConfig(argon2_memory=8, argon2_passes=1, scram_iterations=4_096)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path, StoreConfig(), QUICK, fresh_ok=True, who="ada") as opened:
        await domains.create(opened, "example.org", DomainChange())
        yield opened


async def said(desk: Desk) -> list[tuple[str, str]]:
    return [(act.act, act.subject) for act in reversed(await audit.acts(desk))]


async def test_every_act_is_written_with_who_did_it_and_what_to(desk: Desk) -> None:
    await accounts.create(
        desk, NewAccount(login="bob@example.org", name="Bob", password="correct horse")
    )
    await accounts.change(desk, "bob@example.org", AccountChange(quota=1_000_000))
    await lists.create_alias(desk, "info@example.org", ["bob@example.org"])
    await accounts.remove(desk, "bob@example.org")

    assert await said(desk) == [
        ("domain.create", "example.org"),
        ("account.create", "bob@example.org"),
        ("account.change", "bob@example.org"),
        ("alias.create", "info@example.org"),
        ("account.remove", "bob@example.org"),
    ]
    newest, *_ = await audit.acts(desk)
    assert (newest.who, newest.via) == ("ada", "command")


async def test_no_password_is_among_the_facts(desk: Desk) -> None:
    await accounts.create(desk, NewAccount(login="bob@example.org", password="correct horse"))
    await accounts.set_password(desk, "bob@example.org", "battery staple")

    lines = await audit.acts(desk)

    assert [act.act for act in lines[:2]] == ["account.password", "account.create"]
    assert not any("horse" in str(act.facts) or "staple" in str(act.facts) for act in lines)


async def test_what_is_given_is_told_and_what_is_not_given_is_not(desk: Desk) -> None:
    await accounts.create(desk, NewAccount(login="bob@example.org", quota=5_000))
    await accounts.change(desk, "bob@example.org", AccountChange(enabled=False))

    changed, created = (await audit.acts(desk, "bob@"))[:2]

    assert changed.facts == {"wanted": {"enabled": False}}
    assert created.facts["quota"] == 5_000
    assert "language" not in created.facts


async def test_what_was_refused_is_no_act(desk: Desk) -> None:
    with pytest.raises(Refused):
        await accounts.create(desk, NewAccount(login="bob@elsewhere.example"))

    assert await said(desk) == [("domain.create", "example.org")]


async def test_a_verb_on_the_queue_is_written_with_its_selection(desk: Desk) -> None:
    _, prepared = await ordering.prepare(desk, Verb.HOLD, Selection(), destination="slow.example")
    await ordering.perform(desk, prepared)

    assert (await said(desk))[-1] == ("queue.hold", "slow.example")


async def test_acts_are_found_by_part_and_read_in_pages(desk: Desk) -> None:
    for name in ("bob", "eve", "100%"):
        await accounts.create(desk, NewAccount(login=f"{name}@example.org"))

    assert [act.subject for act in await audit.acts(desk, "0%")] == ["100%@example.org"]
    first = await audit.acts(desk, limit=2)
    rest = await audit.acts(desk, before=first[-1].id)
    assert [act.subject for act in [*first, *rest]] == [
        "100%@example.org", "eve@example.org", "bob@example.org", "example.org",
    ]  # fmt: skip


async def test_old_acts_are_forgotten(desk: Desk) -> None:
    (first,) = await audit.acts(desk)
    await accounts.create(replace(desk, who="eve"), NewAccount(login="bob@example.org"))
    newest = (await audit.acts(desk))[0]

    assert await drain(desk.store, lambda tx: audit.forget(tx, first.at)) == 0
    gone = await drain(desk.store, lambda tx: audit.forget(tx, newest.at + 1))

    assert gone == 2
    assert await audit.acts(desk) == []
