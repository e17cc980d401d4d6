"""The whole process group is killed with -9 under load; nothing acknowledged may be lost.

The short form runs by default. The long one kills as often as POSTILLON_KILLS says (100 without it),
with one worker and with two in turn, a new data folder every 50 kills:

    POSTILLON_KILLS=1000 pytest -m torture tests/crash/test_kill.py
"""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.load import Load, Result
from support.numbered import BOXES, copies, message_of, recipients_of
from support.server import Server

CONNECTIONS = 10
KILLS = int(os.environ.get("POSTILLON_KILLS", "100"))
KILLS_OF_A_FOLDER = 50
PROGRESS = os.environ.get("POSTILLON_KILLS_LOG")  # a file that hears of each folder that survived


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
        for copy in copies(server, box):
            assert copy.whole, f"message {copy.number} in {box} is corrupt"
            found[copy.number] += 1
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


@pytest.mark.timeout(400)
@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_acknowledged_is_lost_by_kill(tmp_path: Path, workers: int) -> None:
    assert survive(tmp_path, kills=3, workers=workers, seed=20_261_125 + workers) > 0


@pytest.mark.torture
@pytest.mark.timeout(0)
def test_nothing_acknowledged_is_lost_by_many_kills(tmp_path: Path) -> None:
    for done in range(0, KILLS, KILLS_OF_A_FOLDER):
        kills = min(KILLS_OF_A_FOLDER, KILLS - done)
        workers = 1 + done // KILLS_OF_A_FOLDER % 2
        folder = tmp_path / str(done)
        kept = survive(folder, kills=kills, workers=workers, seed=50 + done)
        assert kept > 0
        shutil.rmtree(folder)
        if PROGRESS:
            with open(PROGRESS, "a") as report:
                print(f"{done + kills} kills, {workers} workers: {kept} acknowledged", file=report)
