"""The disk is full: peers are told to come again, nothing is lost, reading goes on, and it recovers.

The processes are real, and so is the disk: a small tmpfs that holds everything, the log too. It is
filled so that it is another step that finds no room each time: the message's own file, the pack, a new
pack, the write-ahead log, the checkpoint, the log lines.
"""

from __future__ import annotations

import contextlib
import imaplib
import smtplib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.numbered import BOXES, copies, message_of, recipients_of
from support.server import PASSWORD, Server
from support.small_disk import SmallDisk, small_disk

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs tmpfs")

MIB = 1024 * 1024
DISK = 40 * MIB
LEFT = (0, 30_000, 200_000, 2 * MIB)  # octets of room that a filling leaves
REFUSED = 8  # refusals in a row after which the disk counts as full
MOST = 400  # messages that must be enough to get there
SETTINGS = {
    "store": 'pack_octets = "1 MiB"\ncheckpoint_octets = "256 KiB"',
    "smtp": 'memory = "32 KiB"',
}


class Post:
    """Sends numbered messages on one connection that lasts, and keeps account of the answers."""

    def __init__(self, server: Server, protocol: str) -> None:
        self.protocol = protocol
        kind = smtplib.LMTP if protocol == "lmtp" else smtplib.SMTP
        self.client = kind(server.host, server.port(protocol), timeout=30)

    def send(self, number: int) -> bool:
        """Whether it was taken; if not, for want of room."""
        client, boxes = self.client, recipients_of(number)
        client.ehlo_or_helo_if_needed()
        assert client.mail("friend@example.com")[0] == 250
        assert all(client.rcpt(box)[0] == 250 for box in boxes)
        answers = [client.data(message_of(number))]
        if self.protocol == "lmtp":  # one answer for each recipient
            answers += [client.getreply() for _ in boxes[1:]]
        assert len({code for code, _ in answers}) == 1
        code, words = answers[0]
        assert code == 250 or (code, words[:5]) == (452, b"4.3.1"), (code, words)
        return code == 250


def send_until_full(post: Post, numbers: Iterator[int], taken: set[int]) -> None:
    refused = 0
    for _ in range(MOST):
        number = next(numbers)
        if post.send(number):
            taken.add(number)
            refused = 0
        else:
            refused += 1
            if refused == REFUSED:
                return
    raise AssertionError("the disk was never full")


def read(server: Server, box: str, *, select: bool) -> int:
    """Log in anew, open the mailbox and read its last message. Returns how many there are."""
    with imaplib.IMAP4(server.host, server.port("imap"), timeout=30) as client:
        client.login(box, PASSWORD)
        kind, [total] = client.select("INBOX", readonly=not select)
        assert (kind, bool(total)) == ("OK", True)
        kind, data = client.fetch(
            (total or b"").decode(), "(BODY[])" if select else "(BODY.PEEK[])"
        )
        assert kind == "OK"
        assert isinstance(data[0], tuple)
        assert b"X-Number: " in data[0][1]
        return int(total or 0)


@contextlib.contextmanager
def serving(disk: SmallDisk, workers: int) -> Iterator[Server]:
    server = Server(disk.folder / "s", workers=workers, logins=BOXES, settings=SETTINGS)
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.torture)])
def test_a_full_disk_refuses_new_mail_and_loses_none(tmp_path: Path, workers: int) -> None:
    taken: set[int] = set()
    numbers = iter(range(1, 1_000_000))
    with small_disk(tmp_path / "disk", DISK) as disk, serving(disk, workers) as server:
        before = server.workers()
        posts = [Post(server, protocol) for protocol in ("smtp", "lmtp")]
        for post in posts:
            for _ in range(12):
                number = next(numbers)
                assert post.send(number)
                taken.add(number)
        for left in LEFT:
            disk.fill(left)
            for post in posts:
                send_until_full(post, numbers, taken)
            for box in BOXES[:3]:
                assert read(server, box, select=False) > 0
                assert read(server, box, select=True) > 0
            disk.free()
            for post in posts:  # on the same connections, and at once
                for _ in range(3):
                    number = next(numbers)
                    assert post.send(number)
                    taken.add(number)
        assert server.workers() == before, "a process has died"
        check(server, taken)
        assert server.stop() == 0
        assert server.findings() == []


COUNT = """
import sys
from pathlib import Path
from postillon.server import metrics
folder = Path(sys.argv[1])
folder.mkdir()
metrics.prepare(folder)
metrics.reserve(folder)
meter = metrics.PrometheusMeter()
print("ready", flush=True)
sys.stdin.readline()
for event in metrics.COUNTERS:
    for label in range(metrics.MAX_LABELS + 5):
        meter.count(event, f"{label}-" + "x" * 20)
for event in metrics.OBSERVATIONS:
    meter.observe(event, 1)
assert metrics.exposition().count(b"\\n") > 1_000
"""


def test_counting_goes_on_while_the_disk_is_full(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 4 * MIB) as disk:
        process = subprocess.Popen(
            [sys.executable, "-c", COUNT, str(disk.folder / "metrics")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        disk.fill()
        process.communicate(b"\n", timeout=60)
        assert process.returncode == 0


def check(server: Server, taken: set[int]) -> None:
    for box in BOXES:
        found: Counter[int] = Counter()
        for copy in copies(server, box):
            assert copy.whole
            found[copy.number] += 1
        assert found == Counter({number for number in taken if box in recipients_of(number)})
