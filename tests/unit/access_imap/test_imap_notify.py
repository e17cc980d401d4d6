"""NOTIFY beyond the transcript: bounds, mailboxes of others, IDLE, the middle of a command."""

from __future__ import annotations

from pathlib import Path

import pytest

from postillon.access.imap import notify as notify_module
from support.imap import OTHER, Client, house

MESSAGE = b"Subject: x\r\n\r\nx\r\n"
SHARED = '"Other Users/ada@example.org/Lists"'


async def test_more_mailboxes_than_a_session_may_watch_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify_module, "MAX_WATCHED", 8)
    async with house(tmp_path) as here:
        client, other = await here.client(), await here.client()
        await client.ok("NOTIFY SET (personal (MailboxName))")
        for number in range(8):
            await other.ok(f"CREATE More{number}")
        heard: list[bytes] = []
        while not heard or not heard[-1].startswith(b"* OK"):
            heard.append(await client.response())
        # RFC 5465 section 5.8: from here on it is as after NOTIFY NONE.
        assert heard[-1].startswith(b"* OK [NOTIFICATIONOVERFLOW]")
        [answer] = await client.do("NOTIFY SET (personal (MailboxName))")
        assert answer.startswith(b"NO [NOTIFICATIONOVERFLOW]")
        await other.ok("CREATE Last")
        assert await client.ok("NOOP") == []


async def _shared(owner: Client) -> None:
    await owner.ok("CREATE Lists")
    await owner.ok(f"SETACL Lists {OTHER} lr")


async def test_a_mailbox_of_somebody_else_is_watched_until_it_is_not_shared_any_more(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as here:
        owner, guest = await here.client(), await here.client(who=OTHER)
        await _shared(owner)
        await guest.ok(f"NOTIFY SET (mailboxes {SHARED} (MessageNew MessageExpunge MailboxName))")
        await owner.ok("APPEND Lists {}", MESSAGE)
        assert b" (MESSAGES 1 UIDNEXT 2 " in await guest.response()
        await owner.ok("APPEND INBOX {}", MESSAGE)  # which nobody else may know of
        await owner.ok(f"SETACL Lists {OTHER} l")
        assert b"* LIST" not in b"".join(await guest.ok("NOOP"))
        await owner.ok("APPEND Lists {}", MESSAGE)
        assert await guest.ok("NOOP") == []
        await owner.ok(f"DELETEACL Lists {OTHER}")
        assert await guest.response() == b'* LIST (\\NoAccess) "/" ' + SHARED.encode()
        await owner.ok("APPEND Lists {}", MESSAGE)
        assert await guest.ok("NOOP") == []


async def test_idle_tells_of_what_is_watched_elsewhere_too(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client, other = await here.client("INBOX"), await here.client()
        await other.ok("CREATE Lists")
        await client.ok("NOTIFY SET (personal (MessageNew MessageExpunge))")
        await client.send(b"i IDLE\r\n")
        assert await client.response() == b"+ Idling"
        await other.ok("APPEND Lists {}", MESSAGE)
        assert (await client.response()).startswith(b'* STATUS "Lists"')
        await other.ok("APPEND INBOX {}", MESSAGE)
        assert await client.response() == b"* 1 EXISTS"
        assert await client.response() == b"* 1 RECENT"
        await client.send(b"DONE\r\n")
        assert await client.response() == b"i OK Done"


async def test_nothing_is_told_in_the_middle_of_a_command(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        client, other = await here.client(), await here.client()
        await client.ok("NOTIFY SET (inboxes (MessageNew MessageExpunge))")
        await client.send(b"a APPEND Drafts {6}\r\n")
        assert await client.response() == b"+ Go on"
        await other.ok("APPEND INBOX {}", MESSAGE)
        await other.ok("NOOP")  # the other session has had its turns
        await client.send(b"ab\r\n\r\n\r\n")
        told, answer = await client.response(), await client.response()
        assert told.startswith(b'* STATUS "INBOX" (MESSAGES 1 ')
        assert answer.startswith(b"a OK")
