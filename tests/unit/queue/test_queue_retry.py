"""Days of waiting in a second: retries, notices, the end, and crashes."""

from __future__ import annotations

import asyncio
import email
from pathlib import Path

import pytest

from postillon.mail.address import parse_address
from postillon.mail.envelope import Notify, Recipient
from postillon.mail.outcome import Deferred, Failed, Outcome, Status, reply
from postillon.queue.overview import listing
from postillon.queue.rows import Held
from postillon.queue.selection import Selection
from postillon.queue.verbs import Verb
from postillon.store.verify import verify
from support.mailqueue import RELAYED, Office, office
from support.orders import order
from support.virtual import START, run

HOUR = 3_600
DAY = 24 * HOUR
BUSY = Deferred(
    Status("4.2.0", "refused", reply(450, "4.2.0", "Mailbox busy"), "mx.remote.example")
)
DOWN = Deferred(Status("4.4.1", "no answer", host="mx.remote.example"), destination=True)
NEVER = Failed(Status("5.1.1", "refused", reply(550, "5.1.1", "No such user"), "mx.remote.example"))


def always(outcome: Outcome):  # type: ignore[no-untyped-def]
    return lambda now, destination, to: outcome


def until(hours: float, outcome: Outcome):  # type: ignore[no-untyped-def]
    """That outcome until so many hours have passed, success afterwards."""
    return lambda now, destination, to: outcome if now < START + hours * 3_600_000 else RELAYED


async def reports(here: Office) -> list[email.message.Message]:
    return [email.message_from_bytes(item) for item in await here.inbox("ada@example.org")]


def test_five_days_of_a_busy_mailbox_end_in_one_report(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(BUSY)
            await here.submit("far@remote.example")
            await asyncio.sleep(HOUR)
            assert 8 <= len(here.agent.tries) <= 12  # nine in the first hour, within the jitter
            await asyncio.sleep(3 * HOUR + 60)
            [notice] = await reports(here)
            assert notice["Subject"].startswith("Delayed")
            assert "Mailbox busy" in notice.as_string()
            assert "Will-Retry-Until" in notice.as_string()
            await asyncio.sleep(20 * HOUR)
            assert len(await reports(here)) == 2
            await asyncio.sleep(4 * DAY)
            assert len(await reports(here)) == 3
            failure = (await reports(here))[2]
            assert failure["Subject"] == "Not delivered: your message to far@remote.example"
            assert " in 5 days" in failure.as_string()  # so many tries
            assert 65 <= len(here.agent.tries) <= 82
            assert here.empty()
            assert await verify(here.store) == []
            last = here.agent.tries[-1].at - START
            assert 5 * DAY * 1000 <= last < 5 * DAY * 1000 + 60_000

    run(scene())


def test_a_null_sender_is_never_answered_and_waits_two_days(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(BUSY)
            await here.submit("far@remote.example", sender=None)
            await asyncio.sleep(2 * DAY + HOUR)
            assert here.empty()
            assert await reports(here) == []
            assert here.agent.tries[-1].at - START < 2 * DAY * 1000 + 60_000

    run(scene())


def test_a_refusal_is_reported_at_once_for_all_recipients_together(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(NEVER)
            await here.submit("a@remote.example", "b@remote.example")
            await asyncio.sleep(5)
            [report] = await reports(here)
            text = report.as_string()
            assert text.count("Final-Recipient:") == 2
            assert "No such user" in text
            assert here.empty()
            assert len(here.agent.tries) == 1  # both in one transaction

    run(scene())


def test_notify_never_is_kept(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = always(NEVER)
            await here.submit(Recipient(parse_address("a@remote.example"), Notify.NEVER))
            await asyncio.sleep(5)
            assert await reports(here) == []
            assert here.empty()

    run(scene())


def test_a_destination_that_is_down_gets_one_probe_for_all_its_mail(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = until(8, DOWN)
            for n in range(60):
                await here.submit(f"u{n}@remote.example")
            await asyncio.sleep(8 * HOUR)
            before = len(here.agent.tries)
            # 20 were under way when it went down; from then on one probe at a time.
            assert before < 20 + 60
            await asyncio.sleep(HOUR)
            assert here.empty()
            assert here.agent.most_at_once <= 20

    run(scene())


def test_mail_to_others_goes_on_while_one_destination_is_down(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = lambda now, destination, to: (
                DOWN if destination == "remote.example" else RELAYED
            )
            for n in range(50):
                await here.submit(f"u{n}@remote.example")
            await here.submit("x@other.example")
            await asyncio.sleep(2)
            assert ("x@other.example",) in [item.to for item in here.agent.tries]
            waiting = here.rows("SELECT COUNT(*) FROM queue_recipient WHERE state = 'waiting'")
            assert waiting == [(50,)]

    run(scene())


def test_a_hint_of_the_other_side_is_followed(tmp_path: Path) -> None:
    async def scene() -> None:
        from datetime import timedelta

        async with office(tmp_path) as here:
            grey = Deferred(Status("4.7.1", "greylisted"), retry_after=timedelta(minutes=10))
            here.agent.answer = until(0.1, grey)
            await here.submit("far@remote.example")
            await asyncio.sleep(599)
            assert len(here.agent.tries) == 1
            await asyncio.sleep(120)
            assert len(here.agent.tries) == 2
            assert here.empty()

    run(scene())


@pytest.mark.parametrize(("instance", "isolated"), [("one", True), ("two", False)])
def test_who_dies_twice_with_a_message_isolates_it(
    tmp_path: Path, instance: str, isolated: bool
) -> None:
    """A worker that dies within one life of the server; a server that dies whole blames nothing."""

    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.seconds = 100_000
            accepted = await here.submit("far@remote.example")
            for life in range(2):
                await asyncio.sleep(1)
                for task in [*here.runner._tasks, *here.runner._running]:  # as kill -9 would
                    task.cancel()
                await asyncio.sleep(0)
                here.worker = f"w0@{instance if instance == 'one' else life}"
                here.open()
                await here.runner.start()
            await asyncio.sleep(1)
            [listed] = await here.store.query(listing(Selection()))
            assert (listed.message.held is Held.ISOLATED) is isolated
            assert len(here.agent.tries) == (2 if isolated else 3)
            if isolated:
                here.agent.seconds = 0.1
                assert await order(here, Verb.RELEASE, accepted.queue_id) == 1
                await asyncio.sleep(2)
                assert here.empty()

    run(scene())


def test_what_a_dead_worker_had_in_hand_is_taken_over_when_its_lease_ends(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.seconds = 100_000
            await here.submit("far@remote.example")
            await asyncio.sleep(1)
            for task in [*here.runner._tasks, *here.runner._running]:
                task.cancel()
            await asyncio.sleep(0)
            here.worker, here.agent.seconds = "w1@one", 0.1
            here.open()
            await here.runner.start()
            await asyncio.sleep(120)
            assert not here.empty()
            await asyncio.sleep(600)
            assert here.empty()

    run(scene())


def test_a_clean_stop_gives_back_and_counts_no_crash(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.seconds = 100_000
            await here.submit("far@remote.example")
            await asyncio.sleep(1)
            await here.runner.stop()
            assert here.rows(
                "SELECT state, crashes FROM queue_recipient NATURAL JOIN queue_message"
            ) == [("waiting", 0)]

    run(scene())
