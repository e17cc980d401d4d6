"""What /changes says to the owner and to somebody who sees one of the two mailboxes of an email."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from postillon.account.ids import MailboxId
from postillon.account.keywords import DELETED
from postillon.account.ranges import EVERYTHING
from postillon.account.rights import Right
from support.accounts import house
from support.jmap_mail import MailClient


class Both:
    """An email in Private, and in Work, which Bob may read; both have heard of it."""

    def __init__(self, ada: MailClient, bob: MailClient) -> None:
        self.ada, self.bob = ada, bob
        self.work = self.private = MailboxId(0)
        self.email = ""
        self._heard: dict[str, str] = {}

    async def begin(self) -> None:
        work, private = await self.ada.mailbox("Work"), await self.ada.mailbox("Private")
        self.work, self.private = MailboxId(int(work[1:])), MailboxId(int(private[1:]))
        await self.ada.account.grant(self.work, self.bob.account.id, Right.LOOKUP | Right.READ)
        self.email = await self.ada.email(work, private)
        for kind in ("Email", "Thread"):
            for name in ("ada", "bob"):
                found = await getattr(self, name)(f"{kind}/get", accountId=self.ada.id, ids=[])
                self._heard[kind + name] = found["state"]

    async def mark(self, mailbox: MailboxId, mode: str) -> None:
        await self.ada.account.store_flags(mailbox, EVERYTHING, mode, DELETED)

    async def expunge(self, mailbox: MailboxId) -> None:
        await self.ada.account.expunge(mailbox, EVERYTHING)

    async def hears(self, name: str) -> tuple[str, str]:
        """In which list the email and its thread are, "" if in none."""
        return await self._list("Email", name), await self._list("Thread", name)

    async def _list(self, kind: str, name: str) -> str:
        client, since = getattr(self, name), self._heard[kind + name]
        found: dict[str, Any] = await client(
            f"{kind}/changes", accountId=self.ada.id, sinceState=since
        )
        self._heard[kind + name] = found["newState"]
        lists = [one for one in ("created", "updated", "destroyed") if found[one]]
        assert sum(len(found[one]) for one in lists) <= 1
        return lists[0] if lists else ""


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    async with house(tmp_path) as home:
        ada = MailClient(home, await home.account())
        found = Both(ada, MailClient(home, await home.account("bob@example.org")))
        await found.begin()
        yield found


async def test_what_is_hidden_where_bob_sees_it_is_gone_for_him_alone(both: Both) -> None:
    await both.mark(both.work, "add")
    assert await both.hears("bob") == ("destroyed", "destroyed")
    assert await both.hears("ada") == ("updated", "")
    await both.mark(both.work, "remove")
    assert await both.hears("bob") == ("created", "created")
    assert await both.hears("ada") == ("updated", "")


async def test_what_is_hidden_elsewhere_is_nothing_to_bob(both: Both) -> None:
    await both.mark(both.private, "add")
    assert await both.hears("bob") == ("", "")
    await both.mark(both.work, "add")
    assert await both.hears("bob") == ("destroyed", "destroyed")
    assert await both.hears("ada") == ("destroyed", "destroyed")


async def test_an_expunge_after_it_was_hidden_is_told_once(both: Both) -> None:
    await both.mark(both.work, "add")
    await both.hears("bob")
    await both.hears("ada")
    await both.expunge(both.work)
    assert await both.hears("bob") == ("", "")
    assert await both.hears("ada") == ("updated", "")


async def test_hidden_and_expunged_between_two_looks_is_gone(both: Both) -> None:
    await both.mark(both.work, "add")
    await both.expunge(both.work)
    assert await both.hears("bob") == ("destroyed", "destroyed")
    assert await both.hears("ada") == ("updated", "")


async def test_moved_away_while_hidden_and_shown_in_its_new_place(both: Both) -> None:
    await both.mark(both.private, "add")
    await both.mark(both.work, "add")
    assert await both.hears("ada") == ("destroyed", "destroyed")
    assert await both.hears("bob") == ("destroyed", "destroyed")
    await both.ada.account.move(both.private, EVERYTHING, both.work)
    assert await both.hears("ada") == ("", "")
    assert await both.hears("bob") == ("", "")
    await both.mark(both.work, "remove")
    assert await both.hears("ada") == ("created", "created")
    assert await both.hears("bob") == ("created", "created")
