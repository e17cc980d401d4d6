"""What is kept ready for IMAP: ENVELOPE and BODYSTRUCTURE in the rows, orders in memory."""

from __future__ import annotations

from pathlib import Path

from postillon.account import rights
from postillon.account.account import Account
from postillon.account.roles import INBOX_ID
from postillon.store.operation import Steps, Tx
from support.accounts import append
from support.imap import OTHER, House, house


async def put(account: Account, subject: str, answers: str = "") -> None:
    reply = f"In-Reply-To: <{answers}@x>\r\n" if answers else ""
    text = f"Message-ID: <{subject}@x>\r\n{reply}Subject: {subject}\r\n\r\ntext\r\n"
    await append(account, text.encode())


async def answers(here: House) -> tuple[bytes, bytes, bytes]:
    client = await here.client("INBOX")
    [sorted_] = await client.ok("SORT (SUBJECT) UTF-8 ALL")
    [threads] = await client.ok("THREAD REFS UTF-8 ALL")
    [by_uid] = await client.ok("UID THREAD REFS UTF-8 ALL")
    return sorted_, threads, by_uid


async def test_what_comes_and_goes_is_in_the_next_answer(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        for subject in ("cherry", "apple"):
            await put(here.account, subject)
        first = (b"* SORT 2 1", b"* THREAD (1)(2)", b"* THREAD (1)(2)")
        assert await answers(here) == first
        assert await answers(here) == first  # now from memory
        await put(here.account, "banana", "cherry")
        assert (await answers(here))[0] == b"* SORT 2 3 1"
        client = await here.client("INBOX")
        await client.ok("STORE 2 +FLAGS (\\Deleted)")
        await client.ok("EXPUNGE")
        # The numbers have moved, the UIDs have not.
        assert await answers(here) == (b"* SORT 2 1", b"* THREAD (1 2)", b"* THREAD (1 3)")


async def test_the_same_order_of_other_messages_is_another_answer(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        for subject in ("cherry", "apple", "banana"):
            await put(here.account, subject)
        client = await here.client("INBOX")
        assert await client.ok("SORT (SUBJECT) UTF-8 ALL") == [b"* SORT 2 3 1"]
        assert await client.ok("SORT (SUBJECT) UTF-8 1,3") == [b"* SORT 3 1"]
        assert await client.ok("SORT (REVERSE SUBJECT) UTF-8 ALL") == [b"* SORT 1 3 2"]


async def test_what_is_kept_is_not_told_to_who_may_no_longer_read(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await put(here.account, "cherry")
        bob = (await here.server.directory.require(OTHER)).id
        await here.account.grant(INBOX_ID, bob, rights.parse("lr"))
        client = await here.client("Other Users/ada@example.org/INBOX", OTHER)
        assert await client.ok("SORT (SUBJECT) UTF-8 1") == [b"* SORT 1"]
        await here.account.grant(INBOX_ID, bob, rights.NONE)
        for command in ("SORT (SUBJECT) UTF-8 1", "SORT (ARRIVAL) UTF-8 1", "THREAD REFS UTF-8 1"):
            [*_, answer] = await client.do(command)
            assert answer.startswith(b"NO"), command


async def test_messages_from_before_the_texts_were_kept_read_the_same(tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        for subject in ("cherry", "apple"):
            await put(here.account, subject)
        client = await here.client("INBOX")
        command = "FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE INTERNALDATE)"
        kept = await client.ok(command)
        assert all(b"ENVELOPE (" in line and b"BODYSTRUCTURE (" in line for line in kept)

        def forget(tx: Tx) -> Steps[None]:
            yield "UPDATE email SET envelope = NULL WHERE email % 2 = 0", ()
            yield "UPDATE email SET bodystructure = NULL", ()

        await here.store.write(forget)
        assert await client.ok(command) == kept
