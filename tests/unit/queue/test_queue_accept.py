"""Transition 1: what is accepted is placed or queued, each recipient once."""

from __future__ import annotations

import asyncio
import email
from pathlib import Path

import pytest

from postillon.mail.outcome import Delivered, Failed
from postillon.queue import trace
from postillon.queue.submit import SubmissionRefused
from support.mailqueue import MESSAGE, office, success
from support.virtual import run


def test_a_local_recipient_is_placed_by_the_accepting_transaction(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            accepted = await here.submit("bob@example.net")
            assert isinstance(accepted.outcomes[0], Delivered)
            [octets] = await here.inbox("bob@example.net")
            assert octets.startswith(
                b"Return-Path: <ada@example.org>\r\nDelivered-To: bob@example.net\r\nReceived: "
            )
            assert octets.endswith(MESSAGE)
            assert here.empty()
            story = await here.store.query(trace.find(accepted.queue_id))
            assert story is not None
            assert story.message_id == "<one@example.org>"
            assert story.facts["placed"][0]["uid"] == 1  # type: ignore[index]

    run(scene())


def test_local_and_remote_recipients_of_one_message_part(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            accepted = await here.submit("bob@example.net", "far@remote.example")
            assert isinstance(accepted.outcomes[0], Delivered)
            assert accepted.outcomes[1] is None
            await asyncio.sleep(1)
            assert [item.to for item in here.agent.tries] == [("far@remote.example",)]
            assert here.empty()
            story = await here.store.query(trace.find(accepted.queue_id))
            assert story is not None
            assert [event.kind for event in story.events] == ["relayed"]

    run(scene())


def test_two_ways_to_one_mailbox_place_one_copy(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await here.directory.create_alias(
                "team@example.org", ["bob@example.net", "ada@example.org", "out@remote.example"]
            )
            accepted = await here.submit("bob@example.net", "team@example.org")
            assert accepted.outcomes[1] is None
            await asyncio.sleep(1)
            assert len(await here.inbox("bob@example.net")) == 1
            assert len(await here.inbox("ada@example.org")) == 1
            assert [item.to for item in here.agent.tries] == [("out@remote.example",)]

    run(scene())


def test_a_message_that_was_here_before_fails_for_that_mailbox(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            looped = b"Delivered-To: bob@example.net\r\n" + MESSAGE
            accepted = await here.submit("bob@example.net", content=looped)
            outcome = accepted.outcomes[0]
            assert isinstance(outcome, Failed)
            assert outcome.status.code == "5.4.6"
            await asyncio.sleep(1)
            assert await here.inbox("bob@example.net") == []
            [report] = await here.inbox("ada@example.org")
            assert b"Status: 5.4.6" in report

    run(scene())


def test_too_many_hops_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            hops = b"Received: from a by b; Wed, 25 Nov 2026 12:00:00 +0000\r\n" * 51
            with pytest.raises(SubmissionRefused) as refused:
                await here.submit("bob@example.net", content=hops + MESSAGE)
            assert refused.value.permanent
            assert refused.value.status.code == "5.4.6"
            assert here.rows("SELECT COUNT(*) FROM trace") == [(0,)]

    run(scene())


def test_success_is_reported_where_it_is_wished(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await here.submit(success("bob@example.net"), success("far@remote.example"))
            await asyncio.sleep(2)
            reports = [
                email.message_from_bytes(item) for item in await here.inbox("ada@example.org")
            ]
            assert sorted(str(item["Subject"]) for item in reports) == [
                "Delivered: your message to bob@example.net",
                "Handed on: your message to far@remote.example",
            ]
            for item in reports:
                assert item.get_content_type() == "multipart/report"
                assert item["In-Reply-To"] == "<one@example.org>"
                assert item["Return-Path"] == "<>"
            assert here.empty()

    run(scene())


def test_a_distributed_address_is_reported_once_and_its_members_are_not(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await here.directory.create_alias(
                "all@example.org", ["bob@example.net", "x@remote.example"]
            )
            await here.submit(success("all@example.org"))
            await asyncio.sleep(2)
            [report] = await here.inbox("ada@example.org")
            assert b"Action: expanded" in report
            assert here.empty()

    run(scene())


def test_a_full_mailbox_waits_and_is_filled_later(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            await here.accounts.set_quota("bob@example.net", 10)
            accepted = await here.submit("bob@example.net")
            assert accepted.outcomes == (None,)
            await asyncio.sleep(3_000)
            assert await here.inbox("bob@example.net") == []
            await here.accounts.set_quota("bob@example.net", None)
            await asyncio.sleep(3_600)
            assert len(await here.inbox("bob@example.net")) == 1
            assert here.empty()

    run(scene())


def test_large_content_is_read_in_another_thread(tmp_path: Path) -> None:
    async def scene() -> None:
        async with office(tmp_path) as here:
            large = MESSAGE + b"x" * 70 + (b"y" * 76 + b"\r\n") * 20_000
            await here.submit("bob@example.net", content=large)
            [octets] = await here.inbox("bob@example.net")
            assert octets.endswith(large)

    run(scene())
