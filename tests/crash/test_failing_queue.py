"""Let the disk fail at each step of the queue's work in turn: acceptance, claim, settle, report.

Whatever fails, and whether the process then lives on or ends: every acknowledged recipient ends as it
must, once; every report that is owed is written, once; what was refused is nowhere.
"""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest

from postillon.mail.envelope import Recipient
from postillon.mail.outcome import Deferred, Failed, Outcome, Status, reply
from postillon.queue.config import QueueConfig
from postillon.store.operation import StoreError, StoreStopped
from postillon.store.verify import verify
from support.faults import FailingFiles, FailingVfs, Fault
from support.mailqueue import MESSAGE, RELAYED, Office, ScriptedAgent, office, success
from support.virtual import START, run

MOST_STEPS = 1_000
LIFE_S = 900  # virtual seconds that the process with the failing disk has
REST_S = 3_600  # and the one after it, whose disk is sound
BUSY_MS = 400_000  # how long a busy mailbox stays so
CONFIG = QueueConfig(first_notice=timedelta(minutes=4), second_notice=timedelta(days=1))
ADA, BOB, STRANGER = "ada@example.org", "bob@example.net", "friend@example.com"
KINDS = [(errno.EIO, 1), (errno.ENOSPC, 1), (errno.ENOSPC, 12), (errno.EIO, MOST_STEPS)]
_names = count()

# What is sent, one after the other: sender, recipients. `subject` of message n is "n".
MESSAGES: Sequence[tuple[str, Sequence[str | Recipient]]] = (
    (ADA, ["good-0@remote.example"]),
    (ADA, ["good-1@remote.example", "busy-1@remote.example", "never-1@other.example"]),
    (STRANGER, [BOB, "good-2@remote.example"]),
    (ADA, ["busy-3@slow.example"]),
    (ADA, [success("good-4@remote.example")]),
    (ADA, ["never-5@remote.example", BOB]),
)


def answer(now: int, destination: str, to: str) -> Outcome:
    if to.startswith("never"):
        return Failed(Status("5.1.1", "refused", reply(550, "5.1.1", "No such user"), "mx"))
    if to.startswith("busy") and now < START + BUSY_MS:
        return Deferred(Status("4.2.0", "refused", reply(450, "4.2.0", "Mailbox busy"), "mx"))
    return RELAYED


class Promises:
    """What submitters were told, and what the other servers saw, over all lives of the process."""

    def __init__(self) -> None:
        self.accepted: set[int] = set()
        self.refused: set[int] = set()
        self.unknown: set[int] = set()  # the store stopped: either is right
        self.ended: Counter[tuple[str, int]] = Counter()  # final answers, by recipient and life
        self.lives = 0

    def agent(self, here: Office) -> ScriptedAgent:
        self.lives += 1
        life = self.lives

        def answering(now: int, destination: str, to: str) -> Outcome:
            outcome = answer(now, destination, to)
            if not isinstance(outcome, Deferred):
                self.ended[to, life] += 1
            return outcome

        here.agent.answer = answering
        return here.agent


def content_of(number: int) -> bytes:
    return MESSAGE.replace(b"Subject: Hello", b"Subject: message %d" % number)


async def submit(here: Office, number: int, promises: Promises) -> None:
    sender, to = MESSAGES[number]
    try:
        await here.submit(*to, sender=sender, content=content_of(number))
    except StoreStopped:
        promises.unknown.add(number)
    except StoreError:
        promises.refused.add(number)
    else:
        promises.accepted.add(number)


async def failing_life(folder: Path, fault: Fault, promises: Promises) -> None:
    name = f"failing-queue-{next(_names)}"
    vfs = FailingVfs(name, fault)
    try:
        with suppress(StoreError, OSError):
            async with office(folder, CONFIG, files=FailingFiles(fault), vfs=name) as here:
                promises.agent(here)
                for number in range(3):
                    await submit(here, number, promises)
                    await asyncio.sleep(1)
                await asyncio.gather(
                    *(submit(here, number, promises) for number in range(3, len(MESSAGES)))
                )
                with suppress(TimeoutError):
                    await asyncio.wait_for(here.store.stopped.wait(), LIFE_S)
    finally:
        vfs.unregister()


async def check(folder: Path, promises: Promises) -> None:
    """Another process with a sound disk has its time; then everything must be as promised."""
    async with office(folder, CONFIG, worker="w0@two") as here:
        promises.agent(here)
        await asyncio.sleep(REST_S)
        assert here.empty(), here.rows("SELECT * FROM queue_recipient")
        assert [f for f in await verify(here.store) if "a sweep removes it" not in f.problem] == []
        inbox = {login: [text.decode() for text in await here.inbox(login)] for login in (ADA, BOB)}
    for number, (sender, to) in enumerate(MESSAGES):
        sure, never = number in promises.accepted, number in promises.refused
        subject = f"Subject: message {number}\r\n"
        about = [text for text in inbox[ADA] if f"message {number}" in text]
        happened = False
        for item in to:
            path = str(item.forward_path) if isinstance(item, Recipient) else item
            if path == BOB:
                copies = sum(subject in text for text in inbox[BOB])
                assert copies == 1 if sure else copies <= (0 if never else 1), (
                    number,
                    path,
                    copies,
                )
            else:
                tries = [promises.ended[path, life + 1] for life in range(promises.lives)]
                assert any(tries) if sure else not (never and any(tries)), (number, path, tries)
                assert max(tries) <= 1, f"{path} was given the message {tries} times in one life"
                happened |= any(tries)
        owed = {
            word: sum(name.startswith(prefix) for name in map(_name, to))
            for word, prefix in (("failed", "never"), ("delayed", "busy"), ("relayed", "success"))
        }
        if sender == ADA and happened:
            failures = [text for text in about if "Action: failed" in text]
            assert len(failures) == min(owed["failed"], 1), (number, len(failures))
            delays = [text for text in about if "Action: delayed" in text]
            assert len(delays) <= owed["delayed"], (number, len(delays))
            assert not delays or failures or not owed["failed"]


def _name(item: str | Recipient) -> str:
    return str(item.forward_path) if isinstance(item, Recipient) else item


def fail_at(tmp_path: Path, error: int, times: int, *, first: int, stride: int) -> int:
    """Fail step `first` and each `stride` further, until the scene has no such step. Gives how many."""
    prepared = tmp_path / "prepared"

    async def prepare() -> None:
        async with office(prepared, CONFIG):
            pass

    run(prepare())
    for number, at in enumerate(range(first, MOST_STEPS, stride)):
        folder = tmp_path / f"at-{at}"
        shutil.copytree(prepared, folder)
        fault, promises = Fault(at, error, times), Promises()

        async def scene(
            folder: Path = folder, fault: Fault = fault, promises: Promises = promises
        ) -> None:
            await failing_life(folder, fault, promises)
            fault.armed = False
            await check(folder, promises)

        try:
            run(scene())
        except BaseException as broken:
            broken.add_note(f"failed at step {at}: {fault.failed[:3]}")
            raise
        if not fault.failed:
            assert len(promises.accepted) == len(MESSAGES)
            return number
        shutil.rmtree(folder)
    pytest.fail("the scene never ends")


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_a_failure_at_some_steps_of_the_queue(tmp_path: Path, kind: int) -> None:
    """Steps far apart, other ones for each kind of failure; the long form fails each in every way."""
    assert fail_at(tmp_path, *KINDS[kind], first=1 + 7 * kind, stride=37) > 3


@pytest.mark.torture
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_a_failure_at_every_step_of_the_queue(tmp_path: Path, kind: int) -> None:
    steps = fail_at(tmp_path, *KINDS[kind], first=1, stride=1)
    print(f"{steps} steps failed")
