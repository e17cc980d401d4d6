"""The administrator's verbs: what each does to whom, and whom it leaves alone."""

from __future__ import annotations

import asyncio
import email
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from postillon.mail.outcome import Deferred, Outcome, Status, reply
from postillon.queue import verbs
from postillon.queue.ids import QueueId
from postillon.queue.selection import FIRST, Selection, Standing
from postillon.queue.trace import find
from postillon.queue.verbs import Order, Verb, next_batch
from postillon.route.config import RouteConfig
from postillon.route.routes import Routes
from support.mailqueue import Office, office
from support.orders import order
from support.virtual import run

DAY = 24 * 3_600
BUSY = Deferred(Status("4.2.0", "refused", reply(450, "4.2.0", "Mailbox busy"), "mx.far.example"))


def always(outcome: Outcome):  # type: ignore[no-untyped-def]
    return lambda now, destination, to: outcome


def busy(folder: Path, scene: Any) -> None:
    """Play a scene at an office whose every try is deferred."""

    async def play() -> None:
        async with office(folder) as here:
            here.agent.answer = always(BUSY)
            await scene(here)

    run(play())


async def last_report(here: Office) -> str:
    return email.message_from_bytes((await here.inbox("ada@example.org"))[-1]).as_string()


async def events(here: Office, queue_id: QueueId) -> list[tuple[str, dict[str, object]]]:
    story = await here.store.query(find(queue_id))
    assert story is not None
    return [(event.kind, event.facts) for event in story.events]


def test_a_message_is_held_released_and_tried_now(tmp_path: Path) -> None:
    async def scene(here: Office) -> None:
        sent = await here.submit("a@far.example")
        await asyncio.sleep(1)
        assert await order(here, Verb.HOLD, sent.queue_id) == 1
        tries = len(here.agent.tries)
        await asyncio.sleep(DAY)
        assert len(here.agent.tries) == tries
        assert await order(here, Verb.RETRY, sent.queue_id) == 0  # held: release it
        assert await order(here, Verb.RELEASE, sent.queue_id) == 1
        await asyncio.sleep(1)
        assert len(here.agent.tries) == tries + 1
        assert await order(here, Verb.RETRY, sent.queue_id) == 1
        await asyncio.sleep(1)
        assert len(here.agent.tries) == tries + 2
        told = [kind for kind, facts in await events(here, sent.queue_id) if "by" in facts]
        assert told == ["held", "released", "retried"]

    busy(tmp_path, scene)


def test_bounce_tells_the_sender_in_the_words_of_the_administrator(tmp_path: Path) -> None:
    async def scene(here: Office) -> None:
        sent = await here.submit("a@far.example")
        await asyncio.sleep(1)
        text = "wrong\r\n department"
        assert await order(here, Verb.BOUNCE, sent.queue_id, text=text) == 1
        await asyncio.sleep(2)
        assert "wrong department" in await last_report(here)
        assert here.empty()

    busy(tmp_path, scene)


def test_expire_tells_the_sender_the_last_words_of_the_other_server(tmp_path: Path) -> None:
    async def scene(here: Office) -> None:
        sent = await here.submit("a@far.example")
        await asyncio.sleep(1)
        assert await order(here, Verb.EXPIRE, sent.queue_id) == 1
        await asyncio.sleep(2)
        assert "Mailbox busy" in await last_report(here)
        assert here.empty()

    busy(tmp_path, scene)


def test_drop_tells_nobody_and_the_trace_says_who(tmp_path: Path) -> None:
    async def scene(here: Office) -> None:
        sent = await here.submit("a@far.example")
        await asyncio.sleep(1)
        assert await order(here, Verb.DROP, sent.queue_id) == 1
        assert here.empty()
        assert await here.inbox("ada@example.org") == []
        kind, facts = (await events(here, sent.queue_id))[-1]
        assert (kind, facts["by"], facts["to"]) == ("dropped", "root", ["a@far.example"])

    busy(tmp_path, scene)


def test_mail_goes_another_way_and_back_to_the_configured_one(tmp_path: Path) -> None:
    async def scene(here: Office) -> None:
        sent = await here.submit("a@far.example", "b@near.example")
        await asyncio.sleep(1)
        hop = "smtp://192.0.2.1:25"
        meant = Selection(domain="far.example")
        assert await order(here, Verb.REROUTE, selection=meant, via=lambda domain: hop) == 1
        await asyncio.sleep(1)
        assert here.agent.tries[-1].destination == hop
        assert here.agent.tries[-1].to == ("a@far.example",)
        configured = Routes(RouteConfig()).destination
        assert await order(here, Verb.REROUTE, sent.queue_id, via=configured) == 1
        await asyncio.sleep(1)
        assert here.agent.tries[-1].destination == "far.example"

    busy(tmp_path, scene)


@pytest.mark.parametrize("verb", [Verb.HOLD, Verb.EXPIRE, Verb.BOUNCE, Verb.DROP])
def test_a_filter_on_recipients_leaves_the_others_of_a_message(tmp_path: Path, verb: Verb) -> None:
    async def scene(here: Office) -> None:
        await here.submit("a@far.example", "b@near.example")
        await asyncio.sleep(1)
        assert await order(here, verb, selection=Selection(recipient="A@far.example")) == 1
        tries = len(here.agent.tries)
        await asyncio.sleep(3_600)
        later = {path for item in here.agent.tries[tries:] for path in item.to}
        assert later == {"b@near.example"}

    busy(tmp_path, scene)


def test_releasing_one_recipient_of_a_held_message_keeps_the_others_held(tmp_path: Path) -> None:
    async def scene(here: Office) -> None:
        sent = await here.submit("a@far.example", "b@near.example")
        await asyncio.sleep(1)
        assert await order(here, Verb.HOLD, sent.queue_id) == 2
        assert await order(here, Verb.RELEASE, selection=Selection(recipient="a@far.example")) == 1
        tries = len(here.agent.tries)
        await asyncio.sleep(DAY)
        later = {path for item in here.agent.tries[tries:] for path in item.to}
        assert later == {"a@far.example"}
        assert await order(here, Verb.RELEASE, selection=Selection(standing=Standing.HELD)) == 1

    busy(tmp_path, scene)


@pytest.mark.parametrize("verb", [verb for verb in Verb if verb is not Verb.HOLD])
def test_who_is_in_hand_is_left_alone(tmp_path: Path, verb: Verb) -> None:
    async def scene(here: Office) -> None:
        here.agent.seconds = 100
        sent = await here.submit("a@far.example")
        await asyncio.sleep(1)
        before = here.rows("SELECT * FROM queue_recipient")
        more = {"via": lambda domain: "smtp://192.0.2.1:25"} if verb is Verb.REROUTE else {}
        assert await order(here, verb, sent.queue_id, **more) == 0
        assert here.rows("SELECT * FROM queue_recipient") == before

    busy(tmp_path, scene)


def test_who_is_in_hand_when_its_message_is_held_is_held_when_it_comes_back(tmp_path: Path) -> None:
    async def scene(here: Office) -> None:
        here.agent.seconds = 100
        sent = await here.submit("a@far.example")
        await asyncio.sleep(1)
        given = Order(verb=Verb.HOLD, selection=Selection(ids=(sent.queue_id,)), who="root")
        done = await next_batch(here.store, given, FIRST)
        assert done is not None
        assert (done.recipients, done.following) == (0, 1)
        await asyncio.sleep(DAY)
        assert len(here.agent.tries) == 1

    busy(tmp_path, scene)


def test_who_is_in_hand_when_its_message_is_released_goes_on(tmp_path: Path) -> None:
    async def scene(here: Office) -> None:
        here.agent.seconds = 100
        sent = await here.submit("a@far.example")
        await asyncio.sleep(1)
        await order(here, Verb.HOLD, sent.queue_id)
        await order(here, Verb.RELEASE, sent.queue_id)
        await asyncio.sleep(3_600)
        assert len(here.agent.tries) > 1

    busy(tmp_path, scene)


def test_batches_are_done_one_by_one_and_the_same_order_does_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(here: Office) -> None:
        monkeypatch.setattr(verbs, "BATCH", 3)
        for n in range(10):
            await here.submit(f"a{n}@far.example")
        await asyncio.sleep(5)
        given = Order(verb=Verb.DROP, selection=Selection(domain="far.example"), who="root")
        done = await next_batch(here.store, given, FIRST)  # and here its process is killed
        assert done is not None
        assert done.recipients == 3
        assert here.rows("SELECT COUNT(*) FROM queue_message") == [(7,)]
        assert await order(here, Verb.DROP, selection=given.selection) == 7
        assert here.empty()

    busy(tmp_path, scene)


def test_mail_that_comes_after_the_question_is_not_meant(tmp_path: Path) -> None:
    async def scene(here: Office) -> None:
        await here.submit("a@far.example")
        await asyncio.sleep(1)
        asked = Selection(at=here.loop.clock())
        await asyncio.sleep(1)
        late = await here.submit("b@far.example")
        await asyncio.sleep(1)
        assert await order(here, Verb.DROP, selection=asked) == 1
        assert here.rows("SELECT queue_id FROM queue_message") == [(late.queue_id,)]

    busy(tmp_path, scene)


def test_a_batch_looks_again_whether_its_recipients_are_still_meant(tmp_path: Path) -> None:
    async def scene(here: Office) -> None:
        sent = await here.submit("a@far.example")
        await asyncio.sleep(1)
        given = Order(verb=Verb.BOUNCE, selection=Selection(status="4.2"), who="root")
        stale = replace(given, selection=Selection(status="4.7"))
        done = await here.store.write(verbs.carry_out(stale, [sent.queue_id]))
        assert done.recipients == 0
        done = await here.store.write(verbs.carry_out(given, [sent.queue_id]))
        assert done.recipients == 1

    busy(tmp_path, scene)
