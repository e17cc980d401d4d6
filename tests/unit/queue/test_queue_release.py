"""Mail whose sender chose when it goes (RFC 4865), or until when it is of use (RFC 2852)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from postillon.mail.address import parse_address
from postillon.mail.envelope import DeliverBy, Envelope, Notify, Recipient
from postillon.mail.outcome import Deferred, Delivered, Outcome, Status
from postillon.queue import jumps, spool
from postillon.queue.ids import new_queue_id
from postillon.queue.overview import depth, show, waited_longer
from postillon.queue.rows import Lane, Told
from postillon.queue.selection import FIRST, Key, Selection, Standing, keys
from postillon.queue.spool import Result
from postillon.queue.submit import Accepted, Submission
from postillon.queue.verbs import Order, Verb, next_batch
from support.mailqueue import MESSAGE, RELAYED, Office, office
from support.virtual import START, run

HOUR = 3_600_000
BUSY = Deferred(Status("4.2.0", "later"))
FAR, BOB = "far@remote.example", "bob@example.net"


async def submit(
    here: Office, *to: str, release_at: int = 0, by: DeliverBy | None = None, **more: Notify
) -> Accepted:
    recipients = tuple(Recipient(parse_address(item), **more) for item in to)
    return await here.submitter.submit(
        Submission(
            Envelope(parse_address("ada@example.org"), recipients, by=by), MESSAGE,
            b"Received: from here by mx.example.org; Wed, 25 Nov 2026 12:00:00 +0000\r\n",
            here.ids["ada@example.org"], {"via": "test"}, new_queue_id(here.loop.clock()),
            release_at=release_at,
        )
    )  # fmt: skip


def test_a_message_waits_for_its_time_here_and_elsewhere(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await submit(here, FAR, BOB, release_at=START + 30 * HOUR)
            await asyncio.sleep(29 * 3600)
            assert not here.agent.tries
            assert await here.inbox(BOB) == []
            assert await here.inbox("ada@example.org") == []  # and no notice of a delay
            await asyncio.sleep(3600 + 60)
            assert [item.to for item in here.agent.tries] == [(FAR,)]
            assert here.agent.tries[0].at >= START + 30 * HOUR
            assert len(await here.inbox(BOB)) == 1
            assert here.empty()

    run(scene())


def test_a_time_that_is_over_lets_a_message_go_at_once(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await submit(here, FAR, BOB, release_at=START - 1)
            await asyncio.sleep(1)
            assert len(here.agent.tries) == 1
            assert len(await here.inbox(BOB)) == 1

    run(scene())


def test_a_restart_and_a_clock_that_was_set_back_leave_it_its_time(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await submit(here, FAR, release_at=START + 30 * HOUR)
            await here.runner.stop()
            here.open()
            await here.runner.start()  # looks for times that only a wrong clock can have given
            found = await here.store.query(jumps.misplaced(START))
            assert found == []
            assert await here.store.write(lambda tx: jumps.set_right(tx, [])) == 0
            await asyncio.sleep(20 * 3600)
            assert not here.agent.tries
            await asyncio.sleep(11 * 3600)
            assert len(here.agent.tries) == 1

    run(scene())


def test_its_age_counts_from_its_release(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = lambda now, destination, to: BUSY
            await submit(here, FAR, release_at=START + 100 * HOUR)
            await asyncio.sleep(104 * 3600 - 60)
            assert await here.inbox("ada@example.org") == []
            await asyncio.sleep(120)
            [notice] = await here.inbox("ada@example.org")
            assert b"Action: delayed" in notice
            assert b"Future-Release-Request: until;" in notice
            await asyncio.sleep(114 * 3600)
            assert not here.empty()  # five days from its release are not over
            await asyncio.sleep(3 * 3600)
            assert here.empty()

    run(scene())


def test_it_is_shown_as_scheduled_and_is_not_late(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            accepted = await submit(here, FAR, BOB, release_at=START + 30 * HOUR)
            await asyncio.sleep(5 * 3600)
            now = here.loop.clock()
            assert (await here.store.query(depth(now))).scheduled == 2
            assert await here.store.query(waited_longer(HOUR, now)) == 0
            for standing, number in ((Standing.SCHEDULED, 2), (Standing.WAITING, 0)):
                meant = Selection(standing=standing, at=now)
                assert len(await here.store.query(keys(meant, FIRST, 10))) == number
            found = await here.store.query(show(accepted.queue_id))
            assert found is not None
            assert found[0].message.release_at == START + 30 * HOUR

    run(scene())


async def _do(here: Office, verb: Verb, selection: Selection) -> None:
    order = Order(verb=verb, selection=replace(selection, at=here.loop.clock() + 1), who="test")
    after: Key | None = FIRST
    while after is not None:
        done = await next_batch(here.store, order, after)
        after = None if done is None else done.last


def test_only_who_names_the_message_sends_it_early(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            accepted = await submit(here, FAR, release_at=START + 30 * HOUR)
            await asyncio.sleep(60)
            await _do(here, Verb.HOLD, Selection())
            await _do(here, Verb.RELEASE, Selection())
            await _do(here, Verb.RETRY, Selection())
            await asyncio.sleep(60)
            assert not here.agent.tries
            await _do(here, Verb.RETRY, Selection(ids=(accepted.queue_id,)))
            await asyncio.sleep(60)
            assert len(here.agent.tries) == 1

    run(scene())


# RFC 2852 -----------------------------------------------------------------------------------------


def test_mode_r_gives_back_in_time_and_tries_no_more(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = lambda now, destination, to: BUSY
            await submit(here, FAR, by=DeliverBy(1800, returns=True))
            await asyncio.sleep(1795)
            assert await here.inbox("ada@example.org") == []
            await asyncio.sleep(10)
            [report] = await here.inbox("ada@example.org")
            assert b"Action: failed" in report
            assert b"Status: 5.4.7" in report
            assert b"Deliver-By-Date: " in report
            assert all(item.at < START + 1_800_000 for item in here.agent.tries)
            assert here.empty()

    run(scene())


def test_mode_n_tells_at_its_time_and_goes_on(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            here.agent.answer = lambda now, destination, to: (
                RELAYED if now > START + 2 * HOUR else BUSY
            )
            await submit(here, FAR, by=DeliverBy(1800, returns=False))
            await asyncio.sleep(1805)
            [report] = await here.inbox("ada@example.org")
            assert b"Action: delayed" in report
            await asyncio.sleep(3 * 3600)
            assert here.empty()
            relayed = (await here.inbox("ada@example.org"))[1:]
            assert [b"Action: relayed" in item for item in relayed] == [True]

    run(scene())


@pytest.mark.parametrize(
    ("mode", "there", "notify", "told"),
    [
        ("N", False, None, True),  # the next host does not keep it: the sender learns where it went
        ("N", True, None, False),
        ("NT", True, None, True),
        ("RT", True, None, True),
        ("R", True, None, False),
        ("NT", True, Notify.NEVER, False),
    ],
)
def test_a_relay_is_told_where_it_was_asked_for_or_the_time_is_lost(
    tmp_path: Path, mode: str, there: bool, notify: Notify | None, told: bool
) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            taken: Outcome = Delivered(Status("2.0.0", "taken"), relayed=True, dsn=True, by=there)
            here.agent.answer = lambda now, destination, to: taken
            more = {} if notify is None else {"notify": notify}
            await submit(here, FAR, by=DeliverBy(1800, mode[0] == "R", "T" in mode), **more)
            await asyncio.sleep(5)
            found = await here.inbox("ada@example.org")
            assert [b"Action: relayed" in item for item in found] == [True] * told
            assert here.empty()

    run(scene())


# Settling ----------------------------------------------------------------------------------------


def test_the_only_recipient_is_not_settled_by_who_has_lost_its_lease(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await here.runner.stop()
            accepted = await submit(here, FAR)
            works = await here.store.write(
                lambda tx: spool.claim_due(tx, "w1@one", 60_000, [(Lane.INTERACTIVE, 1)])
            )
            assert [item.queue_id for item in works] == [accepted.queue_id]
            result = Result(0, RELAYED, told=Told.END)

            def settled(worker: str) -> bool:
                return not here.rows("SELECT 1 FROM queue_recipient WHERE claimed_by = ?", worker)

            await here.store.write(
                lambda tx: spool.settle(tx, accepted.queue_id, "w0@one", [result])
            )
            assert not settled("w1@one")
            assert here.rows("SELECT kind FROM trace_event") == []
            await here.store.write(
                lambda tx: spool.settle(tx, accepted.queue_id, "w1@one", [result])
            )
            assert here.empty()
            assert here.rows("SELECT kind FROM trace_event") == [("relayed",)]
            await here.store.write(  # once more, as after a crash before the answer: nothing
                lambda tx: spool.settle(tx, accepted.queue_id, "w1@one", [result])
            )
            assert here.rows("SELECT kind FROM trace_event") == [("relayed",)]

    run(scene())
