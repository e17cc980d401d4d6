"""Mailboxes of others over IMAP: what transcripts cannot say."""

from __future__ import annotations

from pathlib import Path

from postillon.account import rights
from postillon.account.flags import FlagMode
from postillon.account.roles import INBOX_ID
from postillon.directory.principals import PrincipalKind
from support.accounts import append, message
from support.imap import OTHER, House, house

INBOX = "Other Users/ada@example.org/INBOX"


async def share(here: House, text: str) -> None:
    bob = await here.server.directory.require(OTHER)
    await here.account.grant(INBOX_ID, bob.id, rights.parse(text))


async def test_who_idles_in_a_shared_mailbox_hears_of_new_mail(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await share(here, "lr")
        bob = await here.client(INBOX, OTHER)
        await bob.send(b"i IDLE\r\n")
        assert await bob.response() == b"+ Idling"
        await append(here.account)
        assert await bob.response() == b"* 1 EXISTS"
        await bob.send(b"DONE\r\n")
        await bob.until(b"i")


async def test_who_idles_hears_that_nothing_is_shared_any_more(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await append(here.account)
        await share(here, "lr")
        bob = await here.client(INBOX, OTHER)
        await bob.send(b"i IDLE\r\n")
        assert await bob.response() == b"+ Idling"
        await share(here, "")
        assert await bob.response() == b"* 1 EXPUNGE"
        await bob.send(b"DONE\r\n")
        await bob.until(b"i")


async def test_a_shared_account_stands_below_shared(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        server = here.server
        info = await server.accounts.create("info@example.org", kind=PrincipalKind.SHARED)
        team = await server.directory.create_group("team@example.org", [OTHER])
        account = server.accounts.open(info.id)
        await account.grant_all(team.id, rights.ALL, FlagMode.REPLACE)
        bob = await here.client("Shared/info@example.org/INBOX", OTHER)
        assert (await bob.do("APPEND Shared/info@example.org/INBOX {}", message()))[-1].startswith(
            b"OK [APPENDUID"
        )
        await bob.ok('STORE 1 +FLAGS (\\Deleted "x")'.replace('"x"', "x"))
        assert (await bob.do("EXPUNGE"))[0] == b"* 1 EXPUNGE"
        await bob.ok("CREATE Shared/info@example.org/Orders")
        assert await account.find(("Orders",)) is not None
        found = await bob.ok('LIST "" "Shared/%/%"')
        assert b'* LIST (\\HasNoChildren) "/" "Shared/info@example.org/Sent"' in found
        assert b'* LIST (\\HasNoChildren) "/" "Shared/info@example.org/Orders"' in found
        ada = await here.client()
        assert await ada.ok('LIST "" "Shared*"') == []


async def test_a_mailbox_of_ones_own_called_shared_keeps_its_names(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        ada = await here.client()
        await ada.ok("CREATE Shared/Notes")
        await ada.select("Shared/Notes")
        info = await here.server.accounts.create("info@example.org", kind=PrincipalKind.SHARED)
        account = here.server.accounts.open(info.id)
        await account.grant(INBOX_ID, here.account.id, rights.parse("lr"))
        assert await ada.ok('LIST "" Shared*') == [
            b'* LIST (\\HasChildren) "/" "Shared"',
            b'* LIST (\\HasNoChildren) "/" "Shared/Notes"',
            b'* LIST (\\HasNoChildren) "/" "Shared/info@example.org/INBOX"',
            b'* LIST (\\NonExistent \\Noselect \\HasChildren) "/" "Shared/info@example.org"',
        ]


async def test_a_search_in_a_shared_mailbox_finds_texts_with_the_index_and_without(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as here:
        await append(here.account, message("apples", "a letter about pears"))
        await append(here.account, message("other", "nothing"))
        await share(here, "lr")
        bob = await here.client(INBOX, OTHER)
        for _ in range(2):
            assert await bob.ok("SEARCH BODY pears") == [b"* SEARCH 1"]
            found = await bob.ok('ESEARCH IN (subtree "Other Users") TEXT apples')
            assert found[0].startswith(b'* ESEARCH (TAG "')
            assert b'MAILBOX "Other Users/ada@example.org/INBOX"' in found[0]
            await here.index()
        [email] = await bob.ok("FETCH 1 (EMAILID)")
        wanted = email.split(b"(")[-1].rstrip(b")")
        assert await bob.ok(b"SEARCH EMAILID " + wanted) == [b"* SEARCH 1"]
        assert await bob.ok(b"SEARCH EMAILID " + wanted.partition(b"-")[0]) == [b"* SEARCH"]


async def test_reading_without_the_right_to_seen_leaves_it_unset(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await append(here.account)
        await share(here, "lri")
        bob = await here.client(INBOX, OTHER)
        [found] = await bob.ok("FETCH 1 BODY[TEXT]")
        assert b"FLAGS" not in found
        await share(here, "lrsi")
        [found] = await bob.ok("FETCH 1 BODY[TEXT]")
        assert b"FLAGS (\\Seen" in found
        assert (await here.account.mailbox(INBOX_ID)).unseen == 0


async def test_a_draft_is_replaced_in_the_mailbox_of_somebody_else(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await append(here.account)
        await share(here, "lrite")
        bob = await here.client(INBOX, OTHER)
        found = await bob.ok("REPLACE 1 INBOX {}", message("mine"))
        assert found[1] == b"* 1 EXPUNGE"
        assert await here.account.uids(INBOX_ID) == []
