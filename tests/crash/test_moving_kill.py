"""Backup, restore, import and export are killed with -9 at random moments; nothing is lost or doubled.

The short form runs by default, the long one with `pytest -m torture tests/crash/test_moving_kill.py`.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import smtplib
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest

from postillon.account.accounts import Accounts
from postillon.admin.backup import check
from postillon.store.backup_reader import BackupStore
from postillon.store.manifest import Target
from postillon.store.opening import RESTORING
from postillon.store.operation import StoreError
from postillon.store.sqlite import open_store
from postillon.store.verify import verify
from support.server import HOST, Server

ADA, BOB = "ada@example.org", "bob@example.net"
PER_CONNECTION = 50  # messages
FROM = b"From ada@example.org Thu Nov 26 10:15:00 2026\n"


def command(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "postillon.server.main", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def killed(process: subprocess.Popen[bytes], moment: float) -> bool:
    """Kill -9 after a time; False if it had ended before, and then it must have ended well."""
    try:
        _, said = process.communicate(timeout=moment)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode == 0, said.decode()
    return False


class Writing:
    """Somebody who sends numbered messages until told to stop."""

    def __init__(self, port: int) -> None:
        self.acknowledged: list[int] = []
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Writing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with smtplib.SMTP(HOST, self._port) as client:
                self._send(client)

    def _send(self, client: smtplib.SMTP) -> None:
        first = len(self.acknowledged) + 1
        for number in range(first, first + PER_CONNECTION):
            if self._stop.is_set():
                return
            text = f"Subject: load\r\nX-Number: {number}\r\n\r\n" + "x" * 9_000
            client.sendmail("x@example.com", [BOB], text)
            self.acknowledged.append(number)


def numbers_in(target: Target, name: str) -> set[int]:
    """The numbered messages a backup holds."""

    async def read() -> set[int]:
        backup = BackupStore(target, target.manifest(name))
        try:
            account = Accounts(backup).open(2)
            rows = await account.emails(1, [(1, 2**32 - 1)])  # type: ignore[arg-type]
            contents = [await account.content(row) for row in rows]
        finally:
            backup.close()
        return {int(text.partition(b"X-Number: ")[2].split(b"\r\n")[0]) for text in contents}

    return asyncio.run(read())


def back_up_under_fire(folder: Path, *, kills: int, seed: int) -> Target:
    dice = random.Random(seed)
    target = Target(folder / "backups")
    known: dict[str, set[int]] = {}
    finished = 0
    with Server(folder / "server") as server, Writing(server.port("smtp")) as writing:
        arguments = ("backup", str(target.folder), "--config", str(server.config_file))
        for _ in range(kills):
            before = set(writing.acknowledged)
            if not killed(command(*arguments, "--rate", "2 MiB"), dice.uniform(0.3, 2.0)):
                finished += 1
                known[target.names()[-1]] = before
        before = set(writing.acknowledged)
        assert not killed(command(*arguments), 60.0)
        known[target.names()[-1]] = before
    for name in target.names():
        assert asyncio.run(check(target.folder, name)).problems == ()
        assert known.get(name, set()) <= numbers_in(target, name)
    assert before, "nothing was sent while it ran"
    assert not list(target.generations.glob(".*")), "what was unfinished has been swept"
    return target


def restore_under_fire(target: Target, into: Path, *, seed: int) -> int:
    """Restore until it comes to its end; returns how often it was killed."""
    dice = random.Random(seed)
    times = 0
    while killed(
        command("restore", str(target.folder), "--into", str(into)),
        dice.uniform(0.3, 0.8) * (1 + times),
    ):
        times += 1
        if (into / "postillon.db").exists():
            if not (into / RESTORING).exists():
                return times  # all was done but its last words
            with pytest.raises(StoreError, match="has not ended"):
                asyncio.run(open_store(into, owner="cli"))
    return times


async def sound(folder: Path) -> bool:
    store = await open_store(folder, owner="cli", fresh_ok=False)
    try:
        return await verify(store) == []
    finally:
        await store.close()


def import_under_fire(folder: Path, *, messages: int, seed: int) -> int:
    """Import until it comes to its end; returns how often it was killed. Half are twins."""
    dice = random.Random(seed)
    source = folder / "inbox"
    bodies = [b"Subject: %d\n\n%s\n\n" % (n // 2, b"x" * 500) for n in range(messages)]
    source.write_bytes(b"".join(FROM + body for body in bodies))
    server = Server(folder / "server")
    arguments = ("import", ADA, str(source), "--config", str(server.config_file))
    times = 0
    while killed(command(*arguments), dice.uniform(0.3, 0.9) * (1 + times)):
        times += 1

    async def read() -> Counter[bytes]:
        store = await open_store(server.data, server.config.store, owner="cli")
        try:
            account = Accounts(store).open(1)
            rows = await account.emails(1, [(1, 2**32 - 1)])  # type: ignore[arg-type]
            return Counter([await account.content(row) for row in rows])
        finally:
            await store.close()

    expected = Counter(body[:-1].replace(b"\n", b"\r\n") for body in bodies)
    assert asyncio.run(read()) == expected
    assert server.findings() == []
    return times


def export_under_fire(folder: Path, *, seed: int) -> None:
    """Export the import of before, killed; then what is there is imported by somebody else."""
    dice = random.Random(seed)
    server = Server(folder / "server")
    config = ("--config", str(server.config_file))
    for kind in ("mbox", "maildir", "archive"):
        out = folder / kind
        times = 0
        while killed(
            command("export", ADA, str(out), f"--{kind}", *config),
            dice.uniform(0.3, 0.8) * (1 + times),
        ):
            times += 1
        assert not killed(command("import", BOB, str(out), "--into", kind, *config), 60.0)

    async def count() -> list[int]:
        store = await open_store(server.data, server.config.store, owner="cli")
        try:
            boxes = await Accounts(store).open(2).mailboxes()
            return [box.total for box in boxes if box.total]
        finally:
            await store.close()

    [first, *others] = asyncio.run(count())
    assert others == [first, first]


@pytest.mark.timeout(110)
def test_a_killed_backup_or_restore_leaves_nothing_half(tmp_path: Path) -> None:
    target = back_up_under_fire(tmp_path, kills=1, seed=20_261_125)
    restore_under_fire(target, tmp_path / "again", seed=1)
    assert asyncio.run(sound(tmp_path / "again"))


@pytest.mark.timeout(110)
def test_a_killed_import_goes_on_and_doubles_nothing(tmp_path: Path) -> None:
    import_under_fire(tmp_path, messages=1_000, seed=20_261_125)


@pytest.mark.torture
@pytest.mark.timeout(3_000)
@pytest.mark.parametrize("seed", range(10))
def test_backup_restore_import_and_export_survive_many_kills(tmp_path: Path, seed: int) -> None:
    target = back_up_under_fire(tmp_path / "b", kills=10, seed=seed)
    for number in range(5):
        restore_under_fire(target, tmp_path / f"again{number}", seed=10 * seed + number)
        assert asyncio.run(sound(tmp_path / f"again{number}"))
    (tmp_path / "i").mkdir()
    import_under_fire(tmp_path / "i", messages=10_000, seed=seed)
    export_under_fire(tmp_path / "i", seed=seed)
