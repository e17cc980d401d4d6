"""No file descriptors left: who is connected is served on, who comes waits, and nothing spins.

The limit is lowered from outside, on workers that run already.
"""

from __future__ import annotations

import imaplib
import os
import resource
import smtplib
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.server import LOGINS, PASSWORD, Server

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and prlimit")

ADA, BOB = LOGINS
ROOM = 12  # descriptors the worker may still open
CROWD = 60  # connections that come
WATCHED_S = 2.0  # how long the worker is watched with nothing to do but to have no descriptors
TICKS = os.sysconf("SC_CLK_TCK")


class Worker:
    def __init__(self, server: Server) -> None:
        self.pid = server.workers()["w0"]
        self._proc = Path(f"/proc/{self.pid}")

    def files(self) -> list[int]:
        return [int(entry.name) for entry in (self._proc / "fd").iterdir()]

    def cpu_s(self) -> float:
        fields = (self._proc / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def limit(self, most: int) -> None:
        hard = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)[1]
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (most, hard))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("descriptors"), workers=1) as running:
        yield running
        assert "session failed" not in running.log()
        assert running.stop() == 0
        assert running.findings() == []


def greeted(sock: socket.socket, wait_s: float) -> bool:
    """Whether the server has said something to a new connection."""
    sock.settimeout(wait_s)
    try:
        return sock.recv(100).startswith((b"220 ", b"* OK"))
    except TimeoutError:
        return False


def send(client: smtplib.SMTP, subject: str) -> None:
    text = f"Subject: {subject}\r\n\r\nx\r\n"
    assert client.sendmail("eve@example.com", [BOB], text) == {}


def held(client: imaplib.IMAP4) -> int:
    client.noop()
    kind, [found] = client.search(None, "ALL")
    assert kind == "OK"
    return len(found.split())


def test_without_descriptors_those_who_are_connected_are_served_on(server: Server) -> None:
    worker = Worker(server)
    reader = imaplib.IMAP4(server.host, server.port("imap"), timeout=20)
    reader.login(BOB, PASSWORD)
    reader.select("INBOX")
    with reader, smtplib.SMTP(server.host, server.port("smtp"), timeout=20) as sender:
        send(sender, "before")
        had = held(reader)
        worker.limit(max(worker.files()) + 1 + ROOM)
        address = (server.host, server.port("smtp"))
        crowd = [socket.create_connection(address, timeout=20) for _ in range(CROWD)]
        try:
            inside = [sock for sock in crowd if greeted(sock, 0.5 / CROWD)]
            assert len(inside) < CROWD
            before = worker.cpu_s()
            threading.Event().wait(WATCHED_S)
            assert worker.cpu_s() - before < WATCHED_S / 2, "it spins"
            for number in range(5):
                send(sender, f"during {number}")
            assert held(reader) == had + 5
            assert reader.noop()[0] == "OK"
            for sock in inside:  # who leaves makes room for who waits
                sock.close()
            waiting = [sock for sock in crowd if sock not in inside]
            assert greeted(waiting[0], 20)
        finally:
            for sock in crowd:
                sock.close()
        with smtplib.SMTP(*address, timeout=20) as another:
            send(another, "after")
        assert held(reader) == had + 6
    assert "accept_failed" in server.log()


def test_a_worker_whose_last_descriptors_are_gone_recovers(server: Server) -> None:
    """Not one is left: not for the file of a large message, not for a pack, not for a connection."""
    worker = Worker(server)
    with smtplib.SMTP(server.host, server.port("smtp"), timeout=20) as sender:
        send(sender, "before")
        worker.limit(3)  # below what it has: it can open nothing
        large = "Subject: large\r\n\r\n" + "x" * 70 * 40_000
        sender.ehlo_or_helo_if_needed()
        for text, answers in (
            ("Subject: small\r\n\r\nx\r\n", (250, 451, 452)),
            (large, (451, 452)),
        ):
            assert sender.mail("eve@example.com")[0] == 250
            assert sender.rcpt(BOB)[0] == 250
            assert sender.data(text)[0] in answers
        worker.limit(1_024)
        send(sender, "after")
