"""The watch tells what is wrong once, in the log, in the figures and by mail, and over a restart."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from postillon.account.accounts import Accounts
from postillon.account.ids import AccountId
from postillon.account.roles import INBOX_ID
from postillon.directory.directory import Directory
from postillon.log import Log
from postillon.queue.alerts import AlertConfig
from postillon.queue.config import QueueConfig
from postillon.queue.submit import Submitter
from postillon.route.config import RouteConfig
from postillon.route.recipient import Recipients
from postillon.server.gauges import queue_gauges
from postillon.server.watch import SHARE, Watch, free_of
from postillon.store.operation import StoreFull
from postillon.store.sqlite import SqliteStore, open_store

NOW = 1_795_000_000_000
MINUTE = 60_000


class Post:
    """A store with an administrator, a watch over it, and a disk that says how full it is."""

    def __init__(self, store: SqliteStore, mail_to: tuple[str, ...], clock: list[int]) -> None:
        self.clock = clock
        self.free = 50
        self.seconds = 0.0
        self.lines: list[dict[str, Any]] = []
        self.store = store
        self.config = AlertConfig(mail_to=mail_to)
        self.open()

    def open(self) -> None:
        """As at a start of the server."""
        recipients = Recipients(Directory(self.store), RouteConfig())
        submitter = Submitter(self.store, recipients, QueueConfig(), clock=lambda: self.clock[0])
        self.watch = Watch(
            self.store, self.config, submitter, hostname="mx.example.org",
            free=lambda: (self.free, 100), clock=lambda: self.clock[0],
            log=Log(lambda line: self.lines.append(json.loads(line))), machine="here",
            timer=lambda: self.seconds,
        )  # fmt: skip

    async def look(self) -> list[str]:
        """What a look after a minute says: "alert begins disk full" and the like."""
        self.clock[0] += MINUTE
        self.seconds += 60
        self.lines.clear()
        await self.watch.look()
        return [f"{line['event']} {line.get('alert', '')}".strip() for line in self.lines]


@asynccontextmanager
async def post(folder: Path, *mail_to: str) -> AsyncIterator[Post]:
    clock = [NOW]
    store = await open_store(folder, owner="m", clock=lambda: clock[0])
    try:
        await Directory(store).create_domain("example.org")
        await Accounts(store).create("ada@example.org")
        yield Post(store, mail_to, clock)
    finally:
        await store.close()


async def test_an_alert_is_logged_once_when_it_begins_and_once_when_it_ends(tmp_path: Path) -> None:
    async with post(tmp_path) as here:
        assert await here.look() == []
        here.free = 5
        assert await here.look() == ["alert begins disk full"]
        [line] = here.lines
        assert line["level"] == "warning"
        assert line["subject"] == "here"
        assert line["text"].startswith("5.0 %")
        assert "make room" in line["remedy"]
        assert await here.look() == []
        here.open()
        assert await here.look() == []  # a restart repeats nothing
        here.free = 50
        assert await here.look() == ["alert ends disk full"]
        assert here.lines[0]["lasted_s"] == 180
        assert await here.look() == []


async def test_a_store_that_takes_nothing_does_not_silence_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with post(tmp_path) as here:
        write = here.store.write

        async def full(*arguments: Any) -> Any:
            raise StoreFull("no room")

        monkeypatch.setattr(here.store, "write", full)
        here.free = 0
        assert "alert begins disk full" in await here.look()
        assert "alert begins disk full" not in await here.look()
        monkeypatch.setattr(here.store, "write", write)
        assert await here.look() == []
        here.free = 50
        assert await here.look() == ["alert ends disk full"]


async def test_an_administrator_who_wants_it_gets_a_mail(tmp_path: Path) -> None:
    async with post(tmp_path, "ada@example.org", "nobody@example.org") as here:
        here.free = 5
        said = await here.look()
        assert said[0] == "alert begins disk full"
        [ada] = await Directory(here.store).principals()
        account = Accounts(here.store).open(AccountId(ada.id))
        [row] = await account.emails(INBOX_ID, [(1, 2**32)])
        text = (row.prefix + await account.content(row)).decode()
        assert "Subject: mx.example.org: disk full here" in text
        assert "Auto-Submitted: auto-generated" in text
        assert "What to do: make room" in text


async def test_a_look_takes_a_bounded_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with post(tmp_path) as here:
        apart, looks = here.store.read_apart, []

        async def slow(steps: Any) -> Any:
            looks.append(here.seconds)
            here.seconds += 6
            return await apart(steps)

        monkeypatch.setattr(here.store, "read_apart", slow)
        for _ in range(12):
            await here.look()
        assert looks[1] - looks[0] > SHARE * 6
        assert len(looks) == 3


async def test_the_figures_are_those_of_the_last_look(tmp_path: Path) -> None:
    async with post(tmp_path) as here:
        assert queue_gauges(here.watch.seen, here.clock[0]) == []
        here.free = 5
        await here.look()
        found = {
            gauge.name: gauge for gauge in queue_gauges(here.watch.seen, here.clock[0] + MINUTE)
        }
        assert found["alerts"].values["disk_full"] == 1
        assert found["alerts"].values["destination_down"] == 0
        assert found["queue_figures_age_seconds"].values == {"": 60}
        assert found["disk_free_octets"].values == {"": 5}
        assert set(found["queue_recipients"].values) == {
            "waiting", "in_line", "in_hand", "held", "ended",
        }  # fmt: skip


def test_the_gauges_stand_in_the_text_for_prometheus(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom postillon.server import metrics\n"
        "metrics.prepare(Path(sys.argv[1]))\n"
        "gauges = [metrics.Gauge('queue_messages', 'Messages.', {'': 7}),\n"
        "          metrics.Gauge('alerts', 'Alerts.', {'disk_full': 1}, 'kind')]\n"
        "sys.stdout.buffer.write(metrics.exposition(gauges))\n"
    )
    (tmp_path / "metrics").mkdir()
    lines = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "metrics")],
        check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    assert "postillon_queue_messages 7.0" in lines
    assert 'postillon_alerts{kind="disk_full"} 1.0' in lines
    assert "# TYPE postillon_alerts gauge" in lines


def test_the_disk_is_asked_how_much_room_it_has(tmp_path: Path) -> None:
    free, size = free_of(tmp_path)()
    assert 0 < free <= size
