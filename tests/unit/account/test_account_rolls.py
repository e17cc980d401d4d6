"""A roll that follows the change log says what one that is read anew says."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from postillon.account import rolls
from postillon.account.filing import Edit, Update
from postillon.account.ids import MailboxId
from postillon.account.keywords import DELETED, SEEN
from postillon.account.roles import INBOX_ID
from postillon.account.roll import Roll
from postillon.account.rolls import Rolls
from postillon.account.sync import Eyes
from postillon.store.operation import Steps
from support.accounts import append, house, message

TRASH, ARCHIVE = MailboxId(5), MailboxId(6)
EVERYWHERE = [(1, 10_000)]


def said(roll: Roll) -> dict[str, Any]:
    rows = roll.everything()
    return {
        "everything": [roll.emails[row] for row in rows],
        "where": {roll.emails[row]: roll.mailboxes(row) for row in rows},
        "keywords": {roll.emails[row]: roll.keywords(row) for row in rows},
        "orders": {
            box: [roll.emails[row] for row in roll.order(box)] for box in (1, 5, 6)
        },
        "counts": {box: roll.count(box) for box in (1, 5, 6)},
        "threads": {
            roll.threads[row]: [roll.emails[one] for one in roll.of_thread(roll.threads[row])]
            for row in rows
        },
    }  # fmt: skip


def look(roll: Roll) -> Steps[dict[str, Any]]:
    yield from ()
    return said(roll)


@pytest.mark.parametrize("changes", [5_000, 1], ids=["followed", "read_anew"])
@pytest.mark.parametrize("many", [200, 0], ids=["counts_moved", "counts_made_anew"])
async def test_following_is_as_good_as_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: int, many: int
) -> None:
    monkeypatch.setattr(rolls, "MAX_CHANGES", changes)
    monkeypatch.setattr(rolls, "MANY", many)
    choice = random.Random(7)
    async with house(tmp_path) as at:
        account = await at.account()
        objects = at.accounts.objects(account.id)
        follower = Rolls(at.store)
        for _ in range(30):
            at.time.now += choice.choice([0, 1_000])
            for _ in range(choice.randrange(3)):
                content = message("s", References=f"<{choice.randrange(4)}@x>")
                await append(
                    account, content, choice.choice([INBOX_ID, TRASH]), choice.choice([0, SEEN])
                )
            found = await follower.ask(account.id, look)
            emails = found["everything"]
            if emails:
                email = choice.choice(emails)
                places = frozenset(choice.sample([1, 5, 6], choice.randrange(1, 4)))
                words = frozenset(choice.sample(["$seen", "$draft", "x"], choice.randrange(3)))
                await objects.update([Update(email, Edit(words), Edit(places))])
            match choice.randrange(5):
                case 0 if emails:
                    await objects.destroy([choice.choice(emails)])
                case 1:
                    await account.store_flags(INBOX_ID, EVERYWHERE, "add", DELETED)
                case 2:
                    await account.store_flags(INBOX_ID, EVERYWHERE, "remove", DELETED)
                case 3:
                    await account.move(INBOX_ID, [(1, choice.randrange(1, 40))], ARCHIVE)
            assert await follower.ask(account.id, look) == await Rolls(at.store).ask(
                account.id, look
            )


async def test_a_mailbox_that_goes_takes_its_emails_out_of_the_roll(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        account = await at.account()
        mailbox = (await account.create(("gone",))).id
        alone = await append(account, mailbox=mailbox)
        both = await append(account, mailbox=mailbox)
        objects = at.accounts.objects(account.id)
        await objects.update([Update(both.email, mailboxes=Edit(more=frozenset({1})))])
        follower = Rolls(at.store)
        assert (await follower.ask(account.id, look))["everything"] == [alone.email, both.email]
        await objects.remove_mailbox(mailbox, with_emails=True)
        found = await follower.ask(account.id, look)
        assert found["where"] == {both.email: (1,)}
        assert found == await Rolls(at.store).ask(account.id, look)


async def test_the_rolls_used_last_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rolls, "MAX_ROWS", 3)
    async with house(tmp_path) as at:
        kept = Rolls(at.store)
        accounts = [await at.account(f"a{n}@example.org") for n in range(3)]
        for account in accounts:
            await append(account)
            await append(account)
            await kept.ask(account.id, look)
        assert list(kept._kept) == [accounts[2].id]


def test_a_stranger_sees_nothing() -> None:
    assert not Eyes({}).reads(1)
    assert Eyes().reads(1)
