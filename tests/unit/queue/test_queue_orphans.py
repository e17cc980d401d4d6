"""A recipient that nobody works on any more is found again, without a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from postillon.mail.address import parse_address
from postillon.mail.envelope import Envelope, Recipient
from postillon.queue import spool
from postillon.queue.config import QueueConfig
from postillon.queue.ids import new_queue_id
from postillon.queue.submit import Submission
from postillon.setting import minutes
from postillon.store.operation import StoreFull
from support.mailqueue import Office, office
from support.virtual import run

CONFIG = QueueConfig(lease=minutes(5))


def test_a_delivery_that_breaks_down_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, broken = spool.settle, [True]

    def settle_once_broken(*arguments: Any) -> Any:
        if broken.pop() if broken else False:
            raise RuntimeError("not foreseen")
        return settle(*arguments)

    monkeypatch.setattr(spool, "settle", settle_once_broken)

    async def scene() -> None:
        async with office(tmp_path, CONFIG) as here:
            await here.submit("far@remote.example")
            await asyncio.sleep(60)
            assert len(here.agent.tries) == 1
            assert not here.empty()
            await asyncio.sleep(600)
            assert len(here.agent.tries) == 2
            assert here.empty()

    run(scene())


def test_a_full_disk_while_recipients_are_given_back_leaves_none_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_back, full = spool.give_back, [True]

    def no_room(*arguments: Any) -> Any:
        if full.pop() if full else False:
            raise StoreFull("no room")
        return give_back(*arguments)

    async def scene() -> None:
        async with office(tmp_path, CONFIG) as here:
            await here.submit("far@remote.example")
            monkeypatch.setattr(spool, "give_back", no_room)
            await strand(here)
            await asyncio.sleep(1_200)
            assert here.empty()

    run(scene())


def test_what_is_in_hand_for_long_is_left_alone(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path, CONFIG) as here:
            here.agent.seconds = 3_000
            await here.submit("far@remote.example")
            await asyncio.sleep(3_100)
            assert len(here.agent.tries) == 1
            assert here.empty()

    run(scene())


async def strand(here: Office) -> None:
    """Leave a recipient claimed by the worker, with nobody at work on it."""
    await asyncio.sleep(10)
    assert here.empty()
    begin = here.runner.begin
    here.runner.begin = lambda accepted, content: None  # type: ignore[method-assign]
    await here.submit("other@remote.example")
    here.runner.begin = begin  # type: ignore[method-assign]


def test_lmtp_is_answered_or_reported_to_but_never_both(tmp_path: Path) -> None:
    """RFC 2033 section 4.2: a refusal given to the client is its to report."""
    looped = b"Delivered-To: bob@example.net\r\nSubject: Again\r\n\r\nHello.\r\n"

    async def scene() -> None:
        async with office(tmp_path, CONFIG) as here:
            to = tuple(
                Recipient(parse_address(path)) for path in ("bob@example.net", "nobody@example.net")
            )
            accepted = await here.submitter.submit(
                Submission(
                    Envelope(parse_address("ada@example.org"), to),
                    looped,
                    b"",
                    None,
                    {"via": "lmtp"},
                    new_queue_id(here.loop.clock()),
                    answered=True,
                )
            )
            assert [type(item).__name__ for item in accepted.outcomes] == ["Failed", "Failed"]
            await asyncio.sleep(60)
            assert here.empty()
            assert await here.inbox("ada@example.org") == []

    run(scene())
