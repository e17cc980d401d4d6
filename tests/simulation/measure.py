"""Outages measured on the real queue, and computed for the schedules of other servers.

Outages begin at 0; the ends of the `HOSTS` hosts of one run lie evenly within 10 % around the outage's
length, so that no row depends on where a probe happens to fall. One message goes to each at 0; in the
other scenario 1,000 messages for one host arrive evenly while it is down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from statistics import fmean

from tests.simulation.network import Outage, Peer
from tests.simulation.others import Model
from tests.simulation.world import HOUR, MINUTE, world
from tests.support.virtual import run

OUTAGES = tuple(length * MINUTE for length in (5, 15, 30, 60, 120, 240, 480, 1_440, 2_880, 5_760))
SPREAD = 0.1
MANY = 1_000


@dataclass(frozen=True)
class Row:
    """Means over all hosts, in seconds and numbers; of 1,000 messages over all of them.

    `wait`: from the end of the outage to the delivery; `last`: the same of the last message. `missed`:
    connections tried in vain. `made`: connections that were taken. `lost`: messages given up.
    """

    wait: float
    last: float
    missed: float
    made: float | None = None
    lost: int = 0


def hosts_for(length: int) -> int:
    """How many hosts one run has: fewer for long outages, whose probes are many and alike."""
    return 16 if length <= 4 * HOUR else 8


def ends(length: int, hosts: int) -> list[float]:
    """When each host of a run is back."""
    return [length * (1 + SPREAD * (2 * (n + 0.5) / hosts - 1)) for n in range(hosts)]


def one_each(length: int) -> Row:
    """One message to each of many hosts that are down."""
    return run(_one_each(length))


async def _one_each(length: int) -> Row:
    async with world(seed=length) as here:
        peers = [
            here.network.add(Peer(f"mx{n}.far.example", [Outage(0, end)]), f"d{n}.example")
            for n, end in enumerate(ends(length, hosts_for(length)))
        ]
        for n in range(len(peers)):
            await here.send(f"far@d{n}.example")
        await _until_empty(here, peers)
        waits = [peer.taken[0][0] - peer.outages[0].end for peer in peers]
        missed = fmean(len(peer.missed) for peer in peers)
        made = fmean(len(peer.attempts) - len(peer.missed) for peer in peers)
        return Row(fmean(waits), fmean(waits), missed, made)


def many(length: int, first: float) -> Row:
    """1,000 messages to one host. first: the mean wait of the first one, as `one_each` has found.

    What is measured here is what follows on it, so that the chance of one probe plays no part.
    """
    return run(_many(length, first))


async def _many(length: int, first: float) -> Row:
    async with world(seed=length) as here:
        peer = here.network.add(Peer("mx.far.example", [Outage(0, length)]), "far.example")
        for n in range(MANY):
            pause = n * length / MANY - here.loop.time()
            if pause > 0:
                await asyncio.sleep(pause)
            await here.send(f"u{n}@far.example")
        await _until_empty(here, [peer])
        times = [at for at, _ in peer.taken]
        assert len(times) == len({path for _, path in peer.taken}) == MANY
        behind = [at - times[0] for at in times]
        missed = len(peer.missed)
        made = len(peer.attempts) - missed
        return Row(first + fmean(behind), first + behind[-1], missed, made)


async def _until_empty(here: object, peers: Sequence[Peer]) -> None:
    last = max(peer.outages[0].end for peer in peers)
    await asyncio.sleep(max(0.0, last - asyncio.get_running_loop().time()))
    while here.waiting():  # type: ignore[attr-defined]
        await asyncio.sleep(MINUTE)


def computed(model: Model, length: int, messages: int, samples: int = 40) -> Row:
    """The same of another server's schedule; arrivals and ends as in the measured runs."""
    waits: list[float] = []
    lasts: list[float] = []
    missed: list[int] = []
    lost = 0
    random = Random(length)
    for end in ends(length, samples):
        arrivals = [n * end / messages for n in range(messages)]
        fate = model(arrivals, end, random)
        mine = [at - end for at in fate.left if at is not None]
        lost += messages - len(mine)
        waits += mine
        lasts += [max(mine)] if mine else []
        missed.append(fate.missed)
    if not waits:
        return Row(0, 0, fmean(missed), None, lost // samples)
    return Row(fmean(waits), fmean(lasts), fmean(missed), None, round(lost / samples))
