"""Where a sub-address puts a message."""

from __future__ import annotations

from pathlib import Path

from postillon.account.ids import MailboxId
from support.mailqueue import office
from support.virtual import run


def test_a_sub_address_names_a_mailbox_in_any_case_or_means_the_inbox(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            account = here.accounts.open(here.ids["bob@example.net"])
            lists = await account.create(("Lists",))
            parent = await account.create(("Old", "Deep"))
            old = await account.find(("Old",))
            assert old is not None
            await account.delete(old.id)  # a name only from now on: its child is left
            await here.submit("bob+LISTS@example.net")
            await here.submit("bob+nothing@example.net")
            await here.submit("bob+old@example.net")

            async def count(mailbox: MailboxId) -> int:
                return len(await account.uids(mailbox))

            assert await count(_id(lists)) == 1
            assert await count(_id(parent)) == 0
            assert len(await here.inbox("bob@example.net")) == 2

    run(scene())


def _id(made: object) -> MailboxId:
    return getattr(made, "id", made)  # type: ignore[return-value]
