"""Log lines: no line is worth more than the work it tells of."""

from __future__ import annotations

import errno
import json
import os

import pytest

from postillon.log import Level, Log, Stderr


class FullDisk:
    """Standard error on a disk that takes `room` octets of each call until `free`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.octets = b""
        self.room = 1_000_000
        monkeypatch.setattr(os, "write", self.write)

    def write(self, fd: int, data: bytes) -> int:
        assert fd == 2
        part = data[: self.room]
        if not part:
            raise OSError(errno.ENOSPC, "disk full")
        self.octets += part
        return len(part)


def test_a_full_disk_costs_lines_and_the_next_one_says_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    disk = FullDisk(monkeypatch)
    log = Log(Stderr(), Level.INFO)
    log.info("first")
    disk.room = 0
    log.info("second")
    log.info("third")
    disk.room = 5  # half a line
    log.info("fourth")
    disk.room = 1_000_000
    log.info("fifth")
    log.info("sixth")
    first, torn, lost, fifth, sixth = disk.octets.decode().splitlines()
    assert [json.loads(line)["event"] for line in (first, fifth, sixth)] == [
        "first", "fifth", "sixth",
    ]  # fmt: skip
    assert json.loads(lost) == {"event": "log_lines_lost", "lines": 3}
    assert len(torn) == 5
