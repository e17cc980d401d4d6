"""The watch over the queue in the maintenance process: figures, alerts in the log, perhaps a mail.

A scrape of the figures costs nothing: they are those of the last look. A look counts over covering
indexes in another thread and is not repeated before fifty times its own duration has passed, so that
it never takes more than two per cent of one core, however long the queue is.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import SystemRandom

from postillon.clock import Clock
from postillon.log import Log
from postillon.mail.address import AddressError, parse_address
from postillon.mail.compose import Composer, text_entity
from postillon.mail.envelope import Envelope, Notify, Recipient
from postillon.mail.trace import new_message_id
from postillon.queue import watching
from postillon.queue.acceptance import Submission, SubmissionRefused
from postillon.queue.alerts import Alert, AlertConfig, Figures, Kind, Memory, judge, remember
from postillon.queue.ids import new_queue_id
from postillon.queue.overview import Depth
from postillon.queue.rows import Lane
from postillon.queue.submit import Submitter
from postillon.queue.watching import Standing, Turn
from postillon.store.operation import Store, StoreError, StoreStopped

SHARE = 50  # times its own duration that a look is not repeated


@dataclass(frozen=True, slots=True)
class Seen:
    """What the last look has found."""

    figures: Figures
    depth: Depth
    down: int  # destinations
    active: tuple[Alert, ...]


class Watch:
    """One for each server. `seen` is None before the first look.

    free: octets free and in all on the disk of the data folder. timer: seconds that only grow.
    """

    def __init__(
        self,
        store: Store,
        config: AlertConfig,
        submitter: Submitter,
        *,
        hostname: str,
        free: Callable[[], tuple[int, int]],
        clock: Clock,
        log: Log,
        machine: str = "",
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.seen: Seen | None = None
        self._store = store
        self._config = config
        self._submitter = submitter
        self._hostname = hostname
        self._free = free
        self._clock = clock
        self._log = log
        self._machine = machine or socket.gethostname()
        self._timer = timer
        self._not_before = 0.0
        self._unwritten: dict[tuple[Kind, str], Alert] = {}  # told, but the store took no row of it

    async def look(self) -> None:
        """Measure, judge, and tell what has changed. Too early after a long look it does nothing."""
        began = self._timer()
        if began < self._not_before:
            return
        config, now = self._config, self._clock()
        figures, depth = await self._store.read_apart(watching.look(config, now))
        free, size = self._free()
        figures = replace(figures, machine=self._machine, disk_free=free, disk_size=size)
        known = await self._store.query(watching.alerts())
        down = await self._store.query(watching.down_number())
        memory = await self._memory(figures)
        going_on = {(item.alert.kind, item.alert.subject) for item in known if not item.ended_at}
        found = judge(figures, memory, config, going_on | set(self._unwritten))
        if self._unwritten or watching.changes(known, found, self._machine):
            await self._turn(found)
        self.seen = Seen(figures, depth, down, tuple(found))
        self._not_before = self._timer() + SHARE * (self._timer() - began)

    async def _memory(self, figures: Figures) -> Memory:
        before = await self._store.query(watching.recall())
        memory = remember(before, figures, self._config)
        if memory is not before:
            try:
                await self._store.write(watching.keep(memory))
            except StoreStopped:
                raise
            except StoreError as error:  # a full disk must not stop the watch that tells of it
                self._log.error("watch not remembered", error=str(error))
        return memory

    async def _turn(self, found: list[Alert]) -> None:
        mail = bool(self._config.mail_to)
        try:
            turn = await self._store.write(watching.turn(found, self._machine, mail=mail))
        except StoreStopped:
            raise
        except StoreError:
            self._tell_unwritten(found)
            return
        self._tell(turn)
        self._unwritten.clear()
        for item in turn.to_mail:
            await self._mail(item)

    def _tell_unwritten(self, found: list[Alert]) -> None:
        """The store takes nothing, which is what the alert may be about: tell each one once."""
        now = {(alert.kind, alert.subject): alert for alert in found}
        for name, alert in now.items():
            if name not in self._unwritten:
                self._begins(alert)
        self._unwritten = now

    def _tell(self, turn: Turn) -> None:
        for item in turn.begun:
            if (item.alert.kind, item.alert.subject) not in self._unwritten:
                self._begins(item.alert)
        for item in turn.ended:
            lasted = ((item.ended_at or 0) - item.began_at) // 1000
            self._log.warning(
                "alert ends", alert=item.alert.kind.value, subject=item.alert.subject,
                lasted_s=lasted,
            )  # fmt: skip

    def _begins(self, alert: Alert) -> None:
        self._log.warning(
            "alert begins", alert=alert.kind.value, subject=alert.subject, text=alert.words,
            remedy=alert.remedy,
        )  # fmt: skip

    async def _mail(self, item: Standing) -> None:
        """To each of the configured addresses; what cannot be sent is logged and not tried again."""
        for text in self._config.mail_to:
            try:
                await self._submitter.submit(self._message(item, text))
            except (AddressError, SubmissionRefused, StoreError) as error:
                self._log.error("alert not mailed", to=text, error=str(error))

    def _message(self, item: Standing, to: str) -> Submission:
        now, random = self._clock(), SystemRandom()
        address = parse_address(to)
        alert = item.alert
        header = Composer()
        header.mailboxes("From", [("Postillon", parse_address(f"postmaster@{self._hostname}"))])
        header.mailboxes("To", [("", address)])
        header.text("Subject", f"{self._hostname}: {alert.kind.value} {alert.subject}".rstrip())
        header.date(now)
        header.structured("Message-ID", new_message_id(self._hostname, random.randbytes(12)))
        header.structured("Auto-Submitted", "auto-generated")  # RFC 3834 section 5
        header.structured("MIME-Version", "1.0")
        text = (
            f"{alert.words}.\n\nWhat to do: {alert.remedy}.\n\n"
            "The log tells when it is over. About the same matter there is one mail a day at most.\n"
        )
        content = bytes(header).removesuffix(b"\r\n") + text_entity(text)
        return Submission(
            Envelope(None, (Recipient(address, Notify.NEVER),)),
            content,
            b"",
            None,
            {"via": "alert"},
            new_queue_id(now),
            Lane.REPORT,
        )


def free_of(folder: Path) -> Callable[[], tuple[int, int]]:
    """Octets that we may still write, and in all, on the disk of a folder."""

    def free() -> tuple[int, int]:
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize

    return free
