"""Who is away answers once, and only a person who wrote to them (RFC 3834, RFC 8621 section 8)."""

from __future__ import annotations

import asyncio
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from postillon.account import vacation
from postillon.account.vacation import Vacation
from support.mailqueue import Office, office
from support.virtual import START, run

BOB = "bob@example.net"
DAY = 86_400
AWAY = Vacation(True, subject="Away", plain="Back on Monday.", html="<p>Back on Monday.</p>")


def letter(*more: str, to: str = BOB) -> bytes:
    lines = [
        "From: Ada <ada@example.org>", f"To: {to}", "Subject: Lunch?", "Message-ID: <one@example.org>",
        "Date: Wed, 25 Nov 2026 12:00:00 +0000", *more, "", "Hello.", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode()


async def away(here: Office, wanted: Vacation = AWAY) -> None:
    await here.store.write(lambda tx: vacation.put(tx, here.ids[BOB], wanted))


def test_a_person_gets_one_answer_in_seven_days(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await here.submit(BOB, content=letter())
            await away(here)
            for _ in range(3):
                await here.submit(BOB, content=letter())
            [answer] = await here.inbox("ada@example.org")
            assert len(await here.inbox(BOB)) == 4
            found = message_from_bytes(answer, policy=policy.default)
            assert found["Return-Path"] == "<>"
            assert found["Auto-Submitted"] == "auto-replied"
            assert found["In-Reply-To"] == found["References"] == "<one@example.org>"
            assert (found["Subject"], found["To"]) == ("Away", "ada@example.org")
            assert BOB in found["From"]
            assert [part.get_content_type() for part in found.iter_parts()] == [
                "text/plain",
                "text/html",
            ]
            await asyncio.sleep(7 * DAY + 1)
            await here.submit(BOB, content=letter())
            assert len(await here.inbox("ada@example.org")) == 2

    run(scene())


def test_an_answer_goes_to_other_servers_by_the_queue(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await away(here)
            await here.submit(BOB, sender="friend@remote.example", content=letter())
            await asyncio.sleep(5)
            assert [item.to for item in here.agent.tries] == [("friend@remote.example",)]
            assert here.empty()

    run(scene())


@pytest.mark.parametrize(
    ("sender", "more", "to"),
    [
        (None, (), BOB),
        ("owner-list@remote.example", (), BOB),
        ("list-request@remote.example", (), BOB),
        ("noreply@remote.example", (), BOB),
        ("no-reply@remote.example", (), BOB),
        ("MAILER-DAEMON@remote.example", (), BOB),
        ("bounces+7@remote.example", (), BOB),
        (BOB, (), BOB),
        ("bob+self@example.net", (), BOB),
        ("x@remote.example", ("Auto-Submitted: auto-generated",), BOB),
        ("x@remote.example", ("Auto-Submitted: auto-replied; owner-email=x",), BOB),
        ("x@remote.example", ("List-Id: <x.example>",), BOB),
        ("x@remote.example", ("List-Unsubscribe: <mailto:x@example.com>",), BOB),
        ("x@remote.example", ("Precedence: bulk",), BOB),
        ("x@remote.example", ("X-Auto-Response-Suppress: All",), BOB),
        ("x@remote.example", ("Content-Type: multipart/report; boundary=x",), BOB),
        ("x@remote.example", (), "undisclosed-recipients:;"),
        ("x@remote.example", (), "someone@else.example"),
    ],
)
def test_programs_lists_and_oneself_get_none(
    tmp_path: Path, sender: str | None, more: tuple[str, ...], to: str
) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await away(here)
            await here.submit(BOB, sender=sender, content=letter(*more, to=to))
            await asyncio.sleep(5)
            assert not here.agent.tries
            assert len(await here.inbox(BOB)) == 1
            assert here.rows("SELECT sender FROM vacation_answer") == []

    run(scene())


@pytest.mark.parametrize(
    ("wanted", "answers"),
    [
        (Vacation(False), 0),
        (Vacation(True, START + 1), 0),
        (Vacation(True, None, START), 0),
        (Vacation(True, START, START + 60_000), 1),
        (Vacation(True), 1),
    ],
)
def test_dates_bound_it_and_it_has_words_of_its_own(
    tmp_path: Path, wanted: Vacation, answers: int
) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await away(here, wanted)
            await here.submit(
                f"Bob+x@{BOB.partition('@')[2]}", content=letter("Auto-Submitted: no")
            )
            found = await here.inbox("ada@example.org")
            assert [b"Subject: Auto: Lunch?" in item for item in found] == [True] * answers

    run(scene())


def test_two_who_are_away_do_not_answer_each_other(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await away(here)
            await here.store.write(lambda tx: vacation.put(tx, here.ids["ada@example.org"], AWAY))
            await here.submit(BOB, content=letter())
            await asyncio.sleep(DAY)
            assert len(await here.inbox("ada@example.org")) == 1
            assert len(await here.inbox(BOB)) == 1

    run(scene())


def test_who_is_away_anew_answers_everybody_anew(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await away(here)
            await here.submit(BOB, content=letter())
            await away(here, Vacation(False))
            await away(here)
            await here.submit(BOB, content=letter())
            assert len(await here.inbox("ada@example.org")) == 2

    run(scene())


def test_who_was_answered_is_remembered_in_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vacation, "MAX_ANSWERED", 3)

    async def scene() -> None:
        async with office(tmp_path) as here:
            await away(here)
            for n in range(6):
                await asyncio.sleep(1)
                await here.submit(BOB, sender=f"x{n}@remote.example", content=letter())
            rows = here.rows("SELECT sender FROM vacation_answer ORDER BY sender")
            assert rows == [(f"x{n}@remote.example",) for n in (3, 4, 5)]

    run(scene())
