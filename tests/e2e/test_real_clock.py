"""The clock of real processes is set, forth and back, by libfaketime (apt install faketime)."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import os
import smtplib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dns import Zone
from support.name_server import name_server
from support.server import LOGINS, PASSWORD, Server

ADA, BOB = LOGINS
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
DAY_S = 86_400
QUICK = (
    'shortest_wait = "500ms"\nlongest_wait = "2s"\nshortest_probe = "500ms"\nlongest_probe = "2s"\n'
    'lease = "30s"'
)

pytestmark = pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed")


@contextlib.contextmanager
def faked(folder: Path) -> Iterator[Path]:
    """The environment of processes to be started; the file says how far off their clock is."""
    offset = folder / "clock"
    offset.write_text("+0")
    more = {
        "LD_PRELOAD": str(LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    before = {name: os.environ.get(name) for name in more}
    os.environ.update(more)
    try:
        yield offset
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def submit(server: Server, to: str, subject: str) -> None:
    with smtplib.SMTP(server.host, server.port("submission"), timeout=30) as client:
        client.login(ADA, PASSWORD)
        text = f"From: {ADA}\r\nSubject: {subject}\r\n\r\nx\r\n"
        assert client.sendmail(ADA, [to], text) == {}


def subjects(server: Server, login: str) -> list[str]:
    with imaplib.IMAP4(server.host, server.port("imap"), timeout=30) as client:
        client.login(login, PASSWORD)
        client.select("INBOX", readonly=True)
        _, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        lines = [item[1].decode().strip() for item in data if isinstance(item, tuple)]
        return sorted(line.removeprefix("Subject: ") for line in lines)


def until(server: Server, login: str, expected: list[str], seconds: float) -> None:
    pause = threading.Event()
    for _ in range(round(seconds / 0.2)):
        if subjects(server, login) == sorted(expected):
            return
        pause.wait(0.2)
    raise AssertionError((subjects(server, login), server.log()[-3_000:]))


@pytest.mark.torture  # some leases long
@pytest.mark.timeout(300)
def test_mail_arrives_though_the_clock_is_set_forth_and_back(tmp_path: Path) -> None:
    receiver = Server(tmp_path / "b", workers=1)
    zone = Zone({(BOB.partition("@")[2], "MX"): ["10 mx.b.example."],
                 ("mx.b.example", "A"): ["127.0.0.1"]})  # fmt: skip
    with name_server(zone) as resolver:
        sender = Server(
            tmp_path / "a",
            workers=2,
            logins=(ADA,),
            settings={
                "route": 'routes = ["example.net mx"]\nallow_loopback_mx = true\n'
                f"port = {receiver.port('smtp')}",
                "resolver": f'servers = ["{resolver}"]\nuse_ipv6 = false',
                "queue": QUICK,
            },
        )
        asyncio.run(sender.split("example.net"))
        with faked(tmp_path) as offset:
            sender.start()
        try:
            submit(sender, BOB, "waits")  # nobody listens yet
            offset.write_text(f"+{3 * DAY_S}")
            submit(sender, BOB, "from the future")
            threading.Event().wait(12)  # a look of the workers: a third of the lease
            offset.write_text("+0")
            submit(sender, BOB, "and back")
            assert not any(found.startswith("Not del") for found in subjects(sender, ADA))
            with receiver:
                until(receiver, BOB, ["waits", "from the future", "and back"], 60)
                offset.write_text(f"-{400 * DAY_S}")
                submit(sender, BOB, "from the past")
                until(receiver, BOB, ["waits", "from the future", "and back", "from the past"], 60)
            assert sender.stop() == 0
            assert sender.findings() == []
        finally:
            sender.kill()
