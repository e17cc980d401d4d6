"""Hints between processes: delivered, bounded, never in the way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

from postillon.net.bus import BUFFER, MAX_CHANGES, Bus

Told = list[tuple[list[tuple[int, int]], list[str]]]


def into(told: Told, event: asyncio.Event | None = None, enough: int = 1):  # type: ignore[no-untyped-def]
    def on_message(changes: Sequence[tuple[int, int]], topics: Sequence[str]) -> None:
        told.append((list(changes), list(topics)))
        if event is not None and len(told) >= enough:
            event.set()

    return on_message


async def test_all_peers_are_told_but_not_the_sender(tmp_path: Path) -> None:
    told: dict[str, Told] = {"w0": [], "w1": [], "m": []}
    events = {name: asyncio.Event() for name in told}
    buses = {name: Bus(tmp_path, name) for name in told}
    for name, bus in buses.items():
        await bus.open(into(told[name], events[name]))
    buses["w0"].send([(1, 5), (2, 7), (1, 6)], ["queue"])
    async with asyncio.timeout(5):
        await events["w1"].wait()
        await events["m"].wait()
    assert told["w1"] == told["m"] == [([(1, 6), (2, 7)], ["queue"])]
    assert told["w0"] == []
    for bus in buses.values():
        bus.close()


async def test_a_command_sends_without_listening_and_many_changes_are_split(tmp_path: Path) -> None:
    told: Told = []
    event = asyncio.Event()
    worker = Bus(tmp_path, "w0")
    await worker.open(into(told, event, enough=3))
    command = Bus(tmp_path, "cli-1")
    many = [(2**40 + n, 2**50 + n) for n in range(2 * MAX_CHANGES + 1)]
    command.send(many, ["directory"])
    async with asyncio.timeout(5):
        await event.wait()
    assert [pair for changes, _ in told for pair in changes] == many
    assert [topic for _, topics in told for topic in topics] == ["directory"]
    command.close()
    worker.close()


async def test_a_long_path_works(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    told: Told = []
    event = asyncio.Event()
    one, two = Bus(folder, "w0"), Bus(folder, "w1")
    await one.open(into(told, event))
    two.send([(1, 1)])
    async with asyncio.timeout(5):
        await event.wait()
    one.close()
    two.close()


async def test_rubbish_is_dropped_and_a_failing_listener_does_not_end_it(tmp_path: Path) -> None:
    told: Told = []
    event = asyncio.Event()
    bus = Bus(tmp_path, "w0")

    def on_message(changes: Sequence[tuple[int, int]], topics: Sequence[str]) -> None:
        if topics == ["fail"]:
            raise ValueError
        into(told, event)(changes, topics)

    await bus.open(on_message)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
        for data in (b"", b"\xc1", b"\x92\x01\x02", b"\xff" * 5000):
            stranger.sendto(data, str(tmp_path / "bus" / "w0.bus"))
    other = Bus(tmp_path, "w1")
    other.send([], ["fail"])
    other.send([(3, 4)], ["queue"])
    async with asyncio.timeout(5):
        await event.wait()
    assert told == [([(3, 4)], ["queue"])]
    other.close()
    bus.close()


async def test_a_dead_peer_and_a_full_one_cost_nothing(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as dead:
        (tmp_path / "bus").mkdir()
        dead.bind(str(tmp_path / "bus" / "w0.bus"))
    sender = Bus(tmp_path, "w1")
    sender.send([(1, 1)])
    assert sender.lost == 0
    behind = Bus(tmp_path, "w0")  # takes the name over
    await behind.open(into([]))
    big = [(2**40 + n, 2**50) for n in range(MAX_CHANGES)]
    for _ in range(BUFFER // 10_000):  # without a turn of the loop nobody reads
        sender.send(big)
    assert sender.lost > 0
    sender.close()
    sender.close()
    sender.send([(1, 1)])
    behind.close()
