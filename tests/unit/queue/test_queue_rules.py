"""What owners want done with arriving mail is done in the transaction that places it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from postillon.account import rules, vacation
from postillon.account.ids import MailboxId
from postillon.account.roles import Role
from postillon.account.vacation import Vacation
from postillon.mail.outcome import Delivered
from postillon.mail.rules import Condition, Rule
from postillon.queue import telling, trace
from postillon.queue.rulings import MAX_COPIES, Rulings
from support.mailqueue import Office, office
from support.virtual import run

ADA, BOB = "ada@example.org", "bob@example.net"
TEA = (Condition("subject", "contains", "tea"),)
MINUTE = 60


def letter(subject: str = "Tea?", *more: str) -> bytes:
    lines = ["From: ada@example.org", f"To: {BOB}", f"Subject: {subject}", *more, "", "Hello.", ""]
    return "\r\n".join(lines).encode()


async def give(here: Office, login: str = BOB, **what: Any) -> int:
    made = Rule(0, what.pop("name", "Tea"), what.pop("conditions", TEA), **what)
    return await here.store.write(lambda tx: rules.create(tx, here.ids[login], made))


async def folder(here: Office, name: str) -> MailboxId:
    return (await here.accounts.open(here.ids[BOB]).create((name,))).id


async def held(here: Office, mailbox: int, login: str = BOB) -> list[Any]:
    account = here.accounts.open(here.ids[login])
    return await account.emails(MailboxId(mailbox), [(1, 2**32)])


async def arrival(here: Office, email: int, login: str = BOB) -> telling.Arrival:
    found = await here.store.query(telling.arrival(here.ids[login], email))
    assert found is not None
    return found


def test_a_message_is_filed_marked_and_the_trace_says_by_which_rule(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            tea = await folder(here, "Tea")
            number = await give(
                here, mailbox=tea, seen=True, flagged=True, keywords=("blue",), name="All about tea"
            )
            await here.submit(BOB, content=letter())
            await here.submit(BOB, content=letter("Coffee?"))
            [row] = await held(here, tea)
            assert (row.flags, row.keywords) == (5, "blue")
            assert len(await here.inbox(BOB)) == 1
            [placed] = (await arrival(here, row.email)).placed
            assert placed.mailbox == tea
            assert placed.rules == (
                telling.Ruled(number, "All about tea", tea, False, ("$flagged", "$seen", "blue")),
            )
            [other] = await held(here, 1)
            assert (await arrival(here, other.email)).placed[0].rules == ()
            mailbox = await here.accounts.open(here.ids[BOB]).mailbox(tea)
            assert (mailbox.total, mailbox.unseen) == (1, 0)

    run(scene())


def test_all_rules_that_hold_file_it_and_one_that_stops_is_the_last(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            tea, work, never = [await folder(here, name) for name in ("Tea", "Work", "Never")]
            await give(here, mailbox=work, stop=False, position=2)
            await give(here, mailbox=tea, stop=False, position=1)
            await give(here, position=3, seen=True)
            await give(here, mailbox=never, position=4)
            await here.submit(BOB, content=letter())
            [one], [two] = await held(here, tea), await held(here, work)
            assert one.email == two.email
            assert (one.flags, two.flags) == (1, 1)
            assert await held(here, never) == await held(here, 1) == []
            assert len((await arrival(here, one.email)).placed[0].rules) == 3

    run(scene())


def test_a_rule_whose_mailbox_is_gone_delivers_to_the_inbox_and_says_so(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            tea = await folder(here, "Tea")
            await give(here, mailbox=tea, flagged=True)
            await here.accounts.open(here.ids[BOB]).delete(tea)
            await here.submit(BOB, content=letter())
            [row] = await held(here, 1)
            assert row.flags == 4
            [placed] = (await arrival(here, row.email)).placed
            assert (placed.mailbox, placed.rules[0].gone) == (1, True)

    run(scene())


def test_junk_and_trash_are_found_by_their_roles_and_nobody_away_answers(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            account = here.accounts.open(here.ids[BOB])
            await here.store.write(
                lambda tx: vacation.put(tx, here.ids[BOB], Vacation(True, plain="Away."))
            )
            await give(here, role="junk")
            await give(here, role="trash", conditions=(Condition("subject", "is", "coffee"),))
            await here.submit(BOB, content=letter())
            await here.submit(BOB, content=letter("Coffee"))
            by_role = {box.role: box for box in await account.mailboxes()}
            [row] = await held(here, by_role[Role.JUNK].id)
            assert row.keywords == "$junk"
            assert by_role[Role.TRASH].total == 1
            assert await here.inbox(ADA) == []
            await here.submit(BOB, content=letter("Milk"))
            assert len(await here.inbox(ADA)) == 1

    run(scene())


def test_a_rule_is_heard_of_at_once_and_an_account_without_one_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await here.submit(BOB, content=letter())
            asked: list[Any] = []
            real = Rulings._rule

            async def noted(self: Rulings, *arguments: Any) -> Any:
                asked.append(arguments[1])
                return await real(self, *arguments)

            monkeypatch.setattr(Rulings, "_rule", noted)
            number = await give(here, seen=True)
            await here.submit(ADA, content=letter())
            assert asked == []
            await here.submit(BOB, content=letter())
            await here.store.write(lambda tx: rules.delete(tx, here.ids[BOB], number))
            await here.submit(BOB, content=letter())
            assert [row.flags for row in await held(here, 1)] == [0, 1, 0]
            assert len(asked) == 1

    run(scene())


def test_a_rule_that_fails_leaves_the_message_in_the_inbox_logged_and_traced(
    tmp_path: Path,
) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            tea = await folder(here, "Tea")
            await give(here, mailbox=tea)

            def spoil(tx: Any) -> Any:
                yield "UPDATE mail_rule SET content = '{'", ()

            await here.store.write(spoil)
            accepted = await here.submit(BOB, content=letter())
            assert isinstance(accepted.outcomes[0], Delivered)
            [row] = await held(here, 1)
            [placed] = (await arrival(here, row.email)).placed
            assert placed.rules == (telling.Ruled(failed=True),)
            assert any(b"rules failed" in line for line in here.logged)

    run(scene())


def test_a_sub_address_keeps_its_mailbox_unless_a_rule_names_another(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            lists = await folder(here, "lists")
            await give(here, flagged=True)
            await here.submit("bob+lists@example.net", content=letter())
            [row] = await held(here, lists)
            assert row.flags == 4

    run(scene())


def test_a_mailbox_that_was_full_is_ruled_when_there_is_room(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            tea = await folder(here, "Tea")
            number = await give(here, mailbox=tea, forward=("friend@remote.example",))
            await here.accounts.set_quota(BOB, 1)
            await here.submit(BOB, content=letter())
            assert not here.agent.tries
            await here.accounts.set_quota(BOB, None)
            await asyncio.sleep(30 * MINUTE)
            [row] = await held(here, tea)
            [placed] = (await arrival(here, row.email)).placed
            assert placed.rules == (
                telling.Ruled(number, "Tea", tea, forwarded=("friend@remote.example",)),
            )
            assert [item.to for item in here.agent.tries] == [("friend@remote.example",)]
            assert here.empty()

    run(scene())


# Copies ------------------------------------------------------------------------------------------


def test_a_copy_travels_under_the_owners_address_as_it_came(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await give(here, forward=("friend@remote.example",), name="To a friend")
            accepted = await here.submit(BOB, content=letter())
            found = here.rows("SELECT reverse_path, facts FROM trace ORDER BY at, queue_id")
            copies = [row for row in found if json.loads(row[1])["via"] == "rule"]
            [(reverse_path, facts)] = copies
            assert reverse_path == BOB
            assert json.loads(facts)["queued"][0]["to"] == "friend@remote.example"
            [prefix] = here.rows("SELECT prefix FROM queue_message")
            assert bytes(prefix[0]).startswith(b"Delivered-To: bob@example.net\r\nReceived: ")
            await asyncio.sleep(5)
            assert [item.to for item in here.agent.tries] == [("friend@remote.example",)]
            assert len(await here.inbox(BOB)) == 1
            [row] = await held(here, 1)
            [placed] = (await arrival(here, row.email)).placed
            assert placed.rules[0].forwarded == ("friend@remote.example",)
            story = await here.store.query(trace.find(accepted.queue_id))
            assert story is not None

    run(scene())


def test_two_who_forward_to_each_other_and_to_themselves_end(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await give(here, BOB, forward=(ADA, BOB))
            await give(here, ADA, forward=(BOB,))
            await here.submit(BOB, sender="far@remote.example", content=letter())
            assert len(await here.inbox(BOB)) == 1
            [copy] = await here.inbox(ADA)
            assert copy.count(b"Delivered-To:") == 2
            [row] = await held(here, 1)
            [placed] = (await arrival(here, row.email)).placed
            assert (placed.rules[0].forwarded, placed.rules[0].withheld) == ((ADA,), (BOB,))
            [row] = await held(here, 1, ADA)
            [placed] = (await arrival(here, row.email, ADA)).placed
            assert placed.rules[0].withheld == (BOB,)
            await asyncio.sleep(MINUTE)
            assert here.empty()
            assert not here.agent.tries

    run(scene())


def test_a_copy_that_comes_back_from_elsewhere_is_a_loop_the_owner_hears_of(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await give(here, forward=("friend@remote.example",))
            back = b"Delivered-To: bob@example.net\r\n" + letter()
            await here.submit(BOB, sender=BOB, content=back)
            await asyncio.sleep(MINUTE)
            assert not here.agent.tries
            [report] = await here.inbox(BOB)
            assert b"5.4.6" in report

    run(scene())


def test_what_has_passed_many_mailboxes_is_not_copied_again(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await give(here, forward=("friend@remote.example",))
            passed = [f"Delivered-To: x{n}@remote.example" for n in range(5)]
            await here.submit(BOB, content=letter("Tea", *passed))
            await here.submit(BOB, content=letter("Tea", *passed[:4]))
            await asyncio.sleep(5)
            assert len(here.agent.tries) == 1
            assert MAX_COPIES == 20

    run(scene())


def test_copies_beyond_those_of_one_message_are_withheld_and_said(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            first = tuple(f"x{n}@remote.example" for n in range(3))
            await give(here, forward=first, stop=False, position=1)
            second = ("x0@remote.example", "y@remote.example", "z@remote.example")
            await give(here, forward=second, position=2)
            await here.submit(BOB, content=letter())
            await asyncio.sleep(5)
            assert len(here.agent.tries) == 4
            [row] = await held(here, 1)
            [placed] = (await arrival(here, row.email)).placed
            assert [(item.forwarded, item.withheld) for item in placed.rules] == [
                (first, ()),
                (("x0@remote.example", "y@remote.example"), ("z@remote.example",)),
            ]

    run(scene())


def test_a_report_is_copied_under_the_null_sender_and_owes_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await give(here, forward=("friend@remote.example",))
            await here.submit(BOB, sender=None, content=letter())
            [(path,)] = here.rows("SELECT reverse_path FROM queue_message")
            assert path in (None, "")
            [(notify,)] = here.rows("SELECT notify FROM queue_recipient")
            assert notify == 0

    run(scene())


def test_a_copy_nobody_takes_is_withheld_and_the_message_arrives(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await give(here, forward=("nobody@example.org",))
            await here.submit(BOB, content=letter())
            [row] = await held(here, 1)
            [placed] = (await arrival(here, row.email)).placed
            assert placed.rules[0].withheld == ("nobody@example.org",)
            assert here.empty()

    run(scene())
