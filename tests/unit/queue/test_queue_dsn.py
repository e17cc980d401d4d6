"""Who is told what, over the real queue in virtual time: words, languages, threads, and no storms."""

from __future__ import annotations

import asyncio
import email
import json
import re
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from flufl.bounce import all_failures

from postillon.mail.address import parse_address
from postillon.mail.envelope import Notify, Recipient
from postillon.mail.outcome import Deferred, Failed, Outcome, Status, reply
from postillon.queue.config import QueueConfig, QueueRule
from postillon.queue.rows import FAR, Held
from postillon.queue.trace import find
from postillon.store.operation import Steps, Tx
from postillon.store.verify import verify
from support.mailqueue import MESSAGE, RELAYED, Office, office, success
from support.virtual import START, run

HOUR = 3_600  # s
DAY = 24 * HOUR
MX = "mx.remote.example"
NEVER = Failed(Status("5.1.1", "refused", reply(550, "5.1.1", "No such user"), MX))
FULL = Deferred(Status("4.2.2", "refused", reply(452, "4.2.2", "Mailbox full"), MX))
STRANGER = "eve@stranger.example"


def always(outcome: Outcome):  # type: ignore[no-untyped-def]
    return lambda now, destination, to: outcome


async def reports(here: Office, login: str = "ada@example.org") -> list[EmailMessage]:
    messages = [
        email.message_from_bytes(item, policy=policy.default) for item in await here.inbox(login)
    ]
    return [item for item in messages if item.get_content_type() == "multipart/report"]


def words(report: EmailMessage) -> str:
    first = report.get_payload(0)
    assert isinstance(first, EmailMessage)
    return " ".join(first.get_content().split())


def fields(report: EmailMessage) -> list[EmailMessage]:
    """The groups of fields: of the message, then of each recipient."""
    part = report.get_payload(1)
    assert isinstance(part, EmailMessage)
    found = part.get_payload()
    assert isinstance(found, list)
    return found


def failures(report: EmailMessage) -> set[str]:
    _, permanent = all_failures(report)
    return {address.decode() for address in permanent}


def events(here: Office, kind: str) -> list[dict[str, object]]:
    rows = here.rows("SELECT facts FROM trace_event WHERE kind = ? ORDER BY at, queue_id", kind)
    return [json.loads(facts) for (facts,) in rows]


def told_strangers(here: Office) -> int:
    """How many reports have been accepted for other people's senders."""
    rows = here.rows("SELECT forward_paths FROM trace WHERE reverse_path = ''")
    return sum("stranger" in paths for (paths,) in rows)


# What they say --------------------------------------------------------------------------------------


def test_a_notice_after_4_and_24_hours_and_the_end_with_its_history(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(
            tmp_path, QueueConfig(lifetime=timedelta(days=2), longest_wait=timedelta(hours=4))
        ) as here:
            here.agent.answer = always(FULL)
            await here.submit("far@remote.example")
            await asyncio.sleep(4 * HOUR + 60)
            [first] = await reports(here)
            assert first["Subject"] == "Delayed, still trying: your message to far@remote.example"
            text = words(first)
            assert "The recipient's mailbox is full." in text
            assert f"{MX} said: 452 4.2.2 Mailbox full" in text
            assert "First try: Monday, 21 September 2026, 14:13 UTC" in text
            assert " in 4 hours" in text
            assert "Last answer: Monday, 21 September 2026, 18:13 UTC" in text
            assert "We give up: Wednesday, 23 September 2026, 14:13 UTC" in text
            [(due,)] = here.rows("SELECT due_at FROM queue_recipient")
            assert "Next try: Monday, 21 September 2026" in text
            assert START + 4 * HOUR * 1000 < due < START + 8 * HOUR * 1000
            await asyncio.sleep(20 * HOUR)
            assert len(await reports(here)) == 2
            await asyncio.sleep(DAY)
            last = (await reports(here))[-1]
            assert "although we kept trying for 2 days" in words(last)
            assert "Tell the recipient by other means" in words(last)
            assert " in 2 days" in words(last)
            [_, recipient] = fields(last)
            assert recipient["Action"] == "failed"
            assert recipient["Status"] == "4.2.2"
            assert here.empty()

    run(scene())


def test_clients_put_a_report_into_the_thread_of_its_message(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(NEVER)
            content = MESSAGE.replace(b"Date:", b"References: <zero@example.org>\r\nDate:")
            await here.submit("far@remote.example", content=content)
            await asyncio.sleep(5)
            [report] = await reports(here)
            assert report["In-Reply-To"] == "<one@example.org>"
            assert report["References"] == "<zero@example.org> <one@example.org>"
            assert report["Message-ID"].endswith("@mx.example.org>")
            assert report["Auto-Submitted"] == "auto-replied"
            assert report["Return-Path"] == "<>"

    run(scene())


def test_times_are_in_the_zone_of_the_senders_date(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(NEVER)
            await here.submit("a@remote.example", content=MESSAGE.replace(b"+0000", b"+0200"))
            await asyncio.sleep(5)
            [report] = await reports(here)
            assert "Sent: Monday, 21 September 2026, 16:13 UTC+2" in words(report)
            assert fields(report)[0]["Arrival-Date"] == "Mon, 21 Sep 2026 14:13:20 +0000"

    run(scene())


@pytest.mark.parametrize(
    ("account", "header", "server", "language"),
    [
        ("", b"", "en", "en"),
        ("fr-CA", b"Accept-Language: de\r\n", "de", "fr"),
        ("", b"Accept-Language: pt, de;q=0.8, en;q=0.5\r\n", "fr", "de"),
        ("", b"Content-Language: fr\r\n", "de", "fr"),
        ("", b"Content-Language: en\r\nAccept-Language: de\r\n", "fr", "de"),
        ("ja", b"", "de", "de"),
        ("", b"Content-Language: \xff\x00,;;q=\r\n", "fr", "fr"),
    ],
)
def test_the_language_is_the_accounts_then_the_messages_then_the_servers(
    tmp_path: Path, account: str, header: bytes, server: str, language: str
) -> None:
    async def scene() -> None:
        async with office(tmp_path, QueueConfig(report_language=server)) as here:
            here.agent.answer = always(NEVER)
            await here.directory.update("ada@example.org", language=account)
            await here.submit("far@remote.example", content=header + MESSAGE)
            await asyncio.sleep(5)
            [report] = await reports(here)
            assert report["Content-Language"] == language
            greeting = {"en": "Not delivered", "fr": "Non remis", "de": "Nicht zugestellt"}
            assert report["Subject"].startswith(greeting[language])
            assert failures(report) == {"far@remote.example"}

    run(scene())


def test_a_stranger_whose_address_is_ours_is_told_in_its_language(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(NEVER)
            await here.directory.update("ada@example.org", language="de")
            here.ids.pop("bob@example.net")
            ada = here.ids.pop("ada@example.org")  # so nobody submits: a stranger on port 25
            await here.submit("far@remote.example", sender="ada@example.org")
            await asyncio.sleep(5)
            here.ids["ada@example.org"] = ada
            [report] = await reports(here)
            assert report["Content-Language"] == "de"

    run(scene())


@pytest.mark.parametrize(("ret_full", "whole"), [(None, False), (False, False), (True, True)])
def test_a_failure_returns_the_message_only_where_that_was_asked(
    tmp_path: Path, ret_full: bool | None, whole: bool
) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(NEVER)
            await here.submit("far@remote.example", ret_full=ret_full)
            await asyncio.sleep(5)
            [report] = await reports(here)
            kind = report.get_payload(2).get_content_type()  # type: ignore[union-attr]
            assert kind == ("message/rfc822" if whole else "text/rfc822-headers")
            assert (b"\r\nHello.\r\n" in (await here.inbox("ada@example.org"))[0]) is whole

    run(scene())


def test_what_is_too_large_is_returned_as_its_header(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path, QueueConfig(returned_content=100)) as here:
            here.agent.answer = always(NEVER)
            await here.submit("far@remote.example", ret_full=True)
            await asyncio.sleep(5)
            [report] = await reports(here)
            kind = report.get_payload(2).get_content_type()  # type: ignore[union-attr]
            assert kind == "text/rfc822-headers"

    run(scene())


# Never a storm --------------------------------------------------------------------------------------


def test_recipients_that_fail_at_different_times_share_reports(tmp_path: Path) -> None:
    """Eight failures over 35 hours: one report a day, and one for the rest at the end."""

    def answer(now: int, destination: str, to: str) -> Outcome:
        number = int(to.partition("@")[0][1:])
        return NEVER if now >= START + number * 5 * HOUR * 1000 else FULL

    async def scene() -> None:
        async with office(tmp_path, QueueConfig(longest_wait=timedelta(hours=12))) as here:
            here.agent.answer = answer
            silent = Notify.FAILURE
            to = [Recipient(parse_address(f"u{n}@d{n}.example"), silent) for n in range(8)]
            await here.submit(*to)
            await asyncio.sleep(42 * HOUR)
            told = await reports(here)
            assert len(told) <= 3
            assert set().union(*map(failures, told)) == {f"u{n}@d{n}.example" for n in range(8)}
            assert sum(len(failures(item)) for item in told) == 8  # each of them once
            assert here.empty()

    run(scene())


def test_successes_at_different_times_share_reports_too(tmp_path: Path) -> None:
    def answer(now: int, destination: str, to: str) -> Outcome:
        number = int(to.partition("@")[0][1:])
        return RELAYED if now >= START + number * HOUR * 1000 else FULL

    async def scene() -> None:
        async with office(tmp_path, QueueConfig(longest_wait=timedelta(hours=8))) as here:
            here.agent.answer = answer
            await here.submit(*(success(f"u{n}@d{n}.example") for n in range(8)))
            await asyncio.sleep(DAY)
            told = [item for item in await reports(here) if item["Subject"].startswith("Handed")]
            assert len(told) <= 2
            assert sum(len(fields(item)) - 1 for item in told) == 8
            assert here.empty()

    run(scene())


def test_a_flood_of_failures_ends_in_one_summary_an_hour(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path, QueueConfig(reports_per_sender=5)) as here:
            here.agent.answer = always(NEVER)
            for n in range(40):
                await here.submit(f"u{n}@remote.example")
            await asyncio.sleep(HOUR / 2)
            assert len(await reports(here)) == 5
            assert not here.empty()  # the others are owed
            await asyncio.sleep(HOUR)
            told = await reports(here)
            assert len(told) == 6
            assert told[-1]["Subject"] == "Not delivered: 35 of your messages"
            assert len(failures(told[-1])) == 35
            assert set().union(*map(failures, told)) == {f"u{n}@remote.example" for n in range(40)}
            assert here.empty()
            assert [facts.get("messages") for facts in events(here, "reported")].count(35) == 35
            await asyncio.sleep(3 * HOUR)
            await here.submit("late@remote.example")  # the flood is over
            await asyncio.sleep(2 * HOUR)
            assert (await reports(here))[-1]["Subject"].endswith(
                "your message to late@remote.example"
            )
            assert await verify(here.store) == []

    run(scene())


def test_a_flood_larger_than_a_summary_is_counted_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postillon.queue.dsn.SUMMARY_MESSAGES", 10)

    async def scene() -> None:
        async with office(tmp_path, QueueConfig(reports_per_sender=1)) as here:
            here.agent.answer = always(NEVER)
            for n in range(36):
                await here.submit(f"u{n}@remote.example")
            await asyncio.sleep(2 * HOUR)
            first, summary = await reports(here)
            assert len(failures(first)) == 1
            assert summary["Subject"] == "Not delivered: 35 of your messages"
            assert len(failures(summary)) == 10
            assert "25 more messages are not listed here" in words(summary)
            assert len(events(here, "reported")) == 36
            assert here.empty()

    run(scene())


def test_one_senders_flood_holds_up_nobody_else(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path, QueueConfig(reports_per_sender=2)) as here:
            here.agent.answer = always(NEVER)
            for n in range(150):  # more than one look takes up
                await here.submit(f"u{n}@remote.example")
            await here.submit("far@remote.example", sender="bob@example.net")
            await asyncio.sleep(60)
            [report] = await reports(here, "bob@example.net")
            assert failures(report) == {"far@remote.example"}
            assert len(await reports(here)) == 2

    run(scene())


def test_notices_of_delay_beyond_the_bound_are_withheld_and_traced(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path, QueueConfig(reports_per_sender=3)) as here:
            here.agent.answer = always(FULL)
            for n in range(10):
                await here.submit(f"u{n}@d{n}.example")
            await asyncio.sleep(5 * HOUR)
            assert len(await reports(here)) == 3
            withheld = events(here, "report withheld")
            assert [(one["action"], one["why"]) for one in withheld] == [("delayed", "sender")] * 7

    run(scene())


def test_strangers_of_one_domain_are_sent_a_bounded_number_of_reports(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path, QueueConfig(reports_per_domain=3)) as here:
            here.agent.answer = lambda now, destination, to: (
                RELAYED if "stranger" in destination else NEVER
            )
            for n in range(8):
                await here.submit("far@remote.example", sender=f"e{n}@stranger.example")
            await here.submit("far@remote.example", sender="x@other-stranger.example")
            await asyncio.sleep(60)
            assert told_strangers(here) == 4
            assert [facts["why"] for facts in events(here, "report withheld")] == ["domain"] * 5
            assert here.empty()  # what is withheld is finished
            await asyncio.sleep(HOUR)
            await here.submit("far@remote.example", sender=STRANGER)
            await asyncio.sleep(60)
            assert told_strangers(here) == 5

    run(scene())


def test_one_forged_address_is_sent_a_bounded_number_of_reports(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path, QueueConfig(reports_per_sender=2)) as here:
            here.agent.answer = lambda now, destination, to: (
                RELAYED if "stranger" in destination else NEVER
            )
            for _ in range(6):
                await here.submit("far@remote.example", sender=STRANGER)
            await asyncio.sleep(3 * HOUR)
            assert told_strangers(here) == 2  # and no summary: whoever it is has not written
            assert [facts["why"] for facts in events(here, "report withheld")] == ["sender"] * 4
            assert here.empty()

    run(scene())


def test_a_report_about_a_report_is_never_sent(tmp_path: Path) -> None:
    """Neither to the null sender nor to a broken server that reports under an address of its own."""
    report = (
        b"From: MAILER-DAEMON@stranger.example\r\nContent-Type: Multipart/Report;\r\n"
        b' Report-Type="delivery-status"; boundary=x\r\n\r\n--x--\r\n'
    )

    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(NEVER)
            await here.submit("far@remote.example", sender=None)
            await here.submit("far@remote.example", sender=STRANGER, content=report)
            await asyncio.sleep(60)
            assert told_strangers(here) == 0
            assert [facts["why"] for facts in events(here, "report withheld")] == ["report"]
            assert here.empty()

    run(scene())


def test_a_report_that_fails_itself_is_not_reported(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(NEVER)  # the stranger's server too
            await here.submit("far@remote.example", sender=STRANGER)
            await asyncio.sleep(DAY)
            assert told_strangers(here) == 1
            assert here.empty()

    run(scene())


def test_a_sender_that_does_not_exist_here_is_traced_as_undeliverable(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(NEVER)
            accepted = await here.submit("far@remote.example", sender="nobody@example.org")
            await asyncio.sleep(60)
            assert here.empty()
            story = await here.store.query(find(accepted.queue_id))
            assert story is not None
            assert story.events[-1].kind == "report withheld"
            assert story.events[-1].facts["why"] == "undeliverable"

    run(scene())


def test_two_workers_report_once(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(NEVER)
            first = here.runner._reporter
            here.open()
            second = here.runner._reporter
            accepted = await here.submit("far@remote.example")
            await asyncio.sleep(0.11)  # just settled
            both = [reporter.report(accepted.queue_id) for reporter in (first, second)]
            await asyncio.gather(*both)
            await asyncio.sleep(60)
            assert len(await reports(here)) == 1
            assert here.empty()

    run(scene())


# A destination that is down -------------------------------------------------------------------------


def test_all_mail_for_a_server_that_is_down_is_told_of_its_probes(tmp_path: Path) -> None:
    """Also what arrived while it was down and was never tried itself; at both notices and the end."""
    down = Deferred(Status("4.4.1", "no answer to the connection", host=MX), destination=True)

    async def scene() -> None:
        async with office(
            tmp_path, QueueConfig(lifetime=timedelta(hours=30), longest_probe=timedelta(hours=1))
        ) as here:
            here.agent.answer = always(down)
            await here.submit("first@remote.example")
            await asyncio.sleep(HOUR)
            await here.submit("second@remote.example", sender="bob@example.net")
            await asyncio.sleep(4 * HOUR + 60)
            [report] = await reports(here, "bob@example.net")
            text = words(report)
            assert report["Subject"].startswith("Delayed")
            assert "The recipient's server cannot be reached" in text
            assert "Out of reach since: Monday, 21 September 2026, 14:13 UTC" in text
            assert re.search(r"Tries: \d+ in 5 hours, each for all mail to that server", text)
            assert f"no answer from {MX}" in text
            assert "Next try: Monday, 21 September 2026, " in text
            assert "We give up: Tuesday, 22 September 2026, 21:13 UTC" in text
            assert "First try" not in text
            [_, recipient] = fields(report)
            assert recipient["Will-Retry-Until"] == "Tue, 22 Sep 2026 21:13:20 +0000"
            await asyncio.sleep(30 * HOUR)
            told = await reports(here, "bob@example.net")
            assert [item["Subject"][:7] for item in told] == ["Delayed", "Delayed", "Not del"]
            assert "although we kept trying for 30 hours" in words(told[-1])
            assert re.search(r"Tries: \d+ in 31 hours, each for all", words(told[-1]))
            assert len(await reports(here)) == 3
            assert here.empty()

    run(scene())


def test_a_rule_that_gives_up_sooner_is_told(tmp_path: Path) -> None:
    rule = QueueRule(match=("*",), lifetime=timedelta(hours=10))

    async def scene() -> None:
        async with office(tmp_path, QueueConfig(rule=(rule,))) as here:
            here.agent.answer = always(FULL)
            await here.submit("far@remote.example")
            await asyncio.sleep(5 * HOUR)
            [report] = await reports(here)
            assert "We give up: Tuesday, 22 September 2026, 00:13 UTC" in words(report)
            await asyncio.sleep(6 * HOUR)
            assert (await reports(here))[-1]["Subject"].startswith("Not delivered")

    run(scene())


def test_mail_held_by_the_administrator_gets_no_notice(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(FULL)
            await here.submit("far@remote.example")
            await asyncio.sleep(60)
            await here.store.write(hold_all)
            await asyncio.sleep(DAY)
            assert await reports(here) == []

    def hold_all(tx: Tx) -> Steps[None]:
        yield f"UPDATE queue_message SET held = {int(Held.BY_ADMINISTRATOR)}", ()
        yield "UPDATE queue_recipient SET due_at = ?", (FAR,)

    run(scene())
