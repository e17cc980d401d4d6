"""The whole process group is killed with -9 under load; nothing acknowledged may be lost.

The short form runs by default; the long one (50 kills, `pytest -m torture tests/crash/test_kill.py`)
takes some minutes.
"""

from __future__ import annotations

import imaplib
import random
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.load import Load, Result, numbered_message
from support.server import PASSWORD, Server

BOXES = [f"box{n}@example.org" for n in range(8)]
CONNECTIONS = 10
SIZES = (600, 3_000, 10_240, 60_000)


def recipients_of(number: int) -> list[str]:
    """One to three boxes, by the number alone."""
    return [BOXES[(number + step) % len(BOXES)] for step in range(1 + number % 3)]


def message_of(number: int) -> bytes:
    return numbered_message(number, SIZES[number % len(SIZES)], "kill")


def run_until_killed(
    server: Server, numbers: list[int], moment: float, dice: random.Random
) -> Result:
    """Load the server, kill its process group after `moment` seconds."""
    killed = threading.Event()
    load = Load(
        ("127.0.0.1", server.port("smtp")),
        connections=CONNECTIONS,
        recipients=recipients_of,
        message=message_of,
        pipelining=dice.random() < 0.5,
        stop=killed.is_set,
        retry_seconds=0.05,
    )

    def kill() -> None:
        time.sleep(moment)
        server.kill()
        killed.set()

    killer = threading.Thread(target=kill)
    killer.start()
    result = load.run(numbers)
    killer.join()
    return result


def check(server: Server, acknowledged: set[int], unknown: set[int]) -> None:
    """Read every mailbox over IMAP and compare with what was acknowledged."""
    for box in BOXES:
        found: Counter[int] = Counter()
        with imaplib.IMAP4("127.0.0.1", server.port("imap")) as client:
            client.login(box, PASSWORD)
            client.select("INBOX", readonly=True)
            _, data = client.fetch("1:*", "(BODY.PEEK[])")
            for item in data:
                if not isinstance(item, tuple):
                    continue
                octets = item[1]
                number = int(octets.partition(b"X-Number: ")[2].split(b"\r\n", 1)[0])
                expected = message_of(number)
                assert octets.endswith(expected), f"message {number} in {box} is corrupt"
                found[number] += 1
        twice = [number for number, times in found.items() if times > 1]
        assert not twice, f"{box} holds twice: {twice[:10]}"
        due = {number for number in acknowledged if box in recipients_of(number)}
        lost = due - set(found)
        assert not lost, f"{box} lost {len(lost)}: {sorted(lost)[:10]}"
        strange = set(found) - due - unknown
        assert not strange, f"{box} holds what nobody sent: {sorted(strange)[:10]}"


def survive(folder: Path, *, kills: int, workers: int, seed: int) -> int:
    dice = random.Random(seed)
    acknowledged: set[int] = set()
    unknown: set[int] = set()
    following = 1
    server = Server(folder, workers=workers, logins=BOXES)
    try:
        for round_number in range(kills):
            server.start()
            numbers = list(range(following, following + 200_000))
            result = run_until_killed(server, numbers, dice.uniform(0.05, 1.2), dice)
            acknowledged |= set(result.acknowledged)
            unknown |= set(result.unknown)
            assert not result.refused, result.refused[:3]
            following = max([following, *result.acknowledged, *result.unknown]) + 1
            if round_number % 10 == 9:
                server.start()
                check(server, acknowledged, unknown)
                server.kill()
        server.start()
        check(server, acknowledged, unknown)
        assert server.stop() == 0
        assert server.findings() == []
    finally:
        server.kill()
    return len(acknowledged)


@pytest.mark.timeout(110)
@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_acknowledged_is_lost_by_kill(tmp_path: Path, workers: int) -> None:
    assert survive(tmp_path, kills=3, workers=workers, seed=20_261_125 + workers) > 0


@pytest.mark.torture
@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_acknowledged_is_lost_by_fifty_kills(tmp_path: Path, workers: int) -> None:
    assert survive(tmp_path, kills=50, workers=workers, seed=50 + workers) > 0
