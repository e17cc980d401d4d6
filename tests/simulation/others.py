"""What other servers' documented default schedules make of the same outage: pure functions.

Computed, not measured: each function follows the documentation named in it, for one destination that
refuses connections from 0 until `end` and takes everything at once afterwards. All times in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0


@dataclass(frozen=True)
class Fate:
    """When each message left, in seconds (None: given up), and connections tried in vain."""

    left: tuple[float | None, ...]
    missed: int


Model = Callable[[Sequence[float], float, Random], Fate]


def per_message(
    times: Callable[[float, Random], Sequence[float]],
    arrivals: Sequence[float],
    end: float,
    random: Random,
) -> Fate:
    """Each message on its own. times: its tries after its arrival until it is given up."""
    left: list[float | None] = []
    missed = 0
    for arrival in arrivals:
        tries = [arrival + after for after in times(end - arrival, random)]
        missed += sum(at < end for at in tries)
        left.append(next((at for at in tries if at >= end), None))
    return Fate(tuple(left), missed)


def postfix(arrivals: Sequence[float], end: float, random: Random) -> Fate:
    """Postfix 3: minimal_backoff_time 300 s, maximal_backoff_time 4000 s, queue_run_delay 300 s.

    qmgr(8), postconf(5), TUNING_README ("the amount of time to cool down is the amount of time that
    has passed since the message arrived"; a destination that failed is "dead" for
    minimal_backoff_time, its mail is deferred without a try). initial_destination_concurrency 5.
    """
    scan = random.random() * 300
    due = dict.fromkeys(range(len(arrivals)), 0.0)
    waiting: set[int] = set()
    left: list[float | None] = [None] * len(arrivals)
    missed, dead_until = 0, -1.0
    events = sorted((at, n) for n, at in enumerate(arrivals))
    now = 0.0
    while events or waiting:
        now = min(scan, events[0][0] if events else scan)
        active = [events.pop(0)[1]] if events and events[0][0] <= now else []
        if not active:
            scan += 300
            active = [n for n in waiting if due[n] <= now]
        for position, n in enumerate(active):
            if now >= end and now >= dead_until:
                left[n] = now
                waiting.discard(n)
                continue
            if now >= dead_until and position < 5:
                missed += 1
            waiting.add(n)
            due[n] = now + min(max(now - arrivals[n], 300.0), 4_000.0)
        if active and now < end and now >= dead_until:
            dead_until = now + 300
    return Fate(tuple(left), missed)


def qmail(arrivals: Sequence[float], end: float, random: Random) -> Fate:
    """qmail 1.03 and netqmail: the n-th remote try (20 n) squared seconds after the first; 7 days.

    qmail-send.c (chanskip 20 for remote mail), qmail-send(8) (queuelifetime 604800). Its table of
    hosts that timed out (qmail-tcpto) holds mail back longer still; here connections are refused.
    """

    def times(_: float, __: Random) -> list[float]:
        return [float((20 * n) ** 2) for n in range(39)]

    return per_message(times, arrivals, end, random)


def exchange(arrivals: Sequence[float], end: float, random: Random) -> Fate:
    """Exchange Server 2013 to 2019: 4 tries a minute apart, 6 five minutes apart, then every 10.

    "Message retry, resubmit, and expiration intervals": QueueGlitchRetryCount 4 and -Interval 1 min,
    TransientFailureRetryCount 6 and -Interval 5 min, OutboundConnectionFailureRetryInterval 10 min
    (Mailbox server), all for the queue of a destination; MessageExpirationTimeout 2 days.
    """
    tries = [min(arrivals)]
    while tries[-1] < end:
        count = len(tries)
        tries.append(
            tries[-1] + (MINUTE if count <= 4 else 5 * MINUTE if count <= 10 else 10 * MINUTE)
        )
    left = tuple(max(tries[-1], at) if tries[-1] - at <= 2 * DAY else None for at in arrivals)
    return Fate(left, len(tries) - 1)


def exim(arrivals: Sequence[float], end: float, random: Random) -> Fate:
    """Exim 4: `* * F,2h,15m; G,16h,1h,1.5; F,4d,6h`, queue runs every 30 minutes.

    The default configuration's retry rule (specification, chapter 32), kept for the host, so all its
    mail shares it; Debian's QUEUEINTERVAL 30m. A message is tried at a queue run once the host's time
    has come; new mail is tried at once only then. Past 4 days a host's mail is given up at its try.
    """
    run = random.random() * 30 * MINUTE
    first = min(arrivals)
    retry_at, interval, missed = first, HOUR, 0
    left: list[float | None] = [None] * len(arrivals)
    waiting: set[int] = set()
    events = sorted((at, n) for n, at in enumerate(arrivals))
    while events or waiting:
        now = min(run, events[0][0] if events else run)
        if events and events[0][0] <= now:
            mine = [events.pop(0)[1]]
            waiting.update(mine)
        else:
            run += 30 * MINUTE
            mine = sorted(waiting)
        if now < retry_at or not mine:
            continue
        if now >= end:
            for n in mine:
                left[n] = now
            waiting.difference_update(mine)
            retry_at = 0.0
            continue
        missed += 1
        age = now - first
        if age < 2 * HOUR:
            retry_at = now + 15 * MINUTE
        elif age < 16 * HOUR:
            retry_at = now + interval
            interval *= 1.5
        elif age < 4 * DAY:
            retry_at = now + 6 * HOUR
        else:
            waiting.difference_update(mine)  # given up
    return Fate(tuple(left), missed)


def stalwart(arrivals: Sequence[float], end: float, random: Random) -> Fate:
    """Stalwart: each message after 2, 5, 10, 15, 30 minutes, 1 and 2 hours, then every 2; 5 days.

    stalw.art/docs, "MTA, Outbound, Schedule": retry [2m, 5m, 10m, 15m, 30m, 1h, 2h], the last one
    repeats; expire 5d.
    """

    def times(_: float, __: Random) -> list[float]:
        waits = [2, 5, 10, 15, 30, 60, 120]
        at, found = 0.0, [0.0]
        while at < 5 * DAY:
            at += (waits.pop(0) if len(waits) > 1 else waits[0]) * MINUTE
            found.append(at)
        return found

    return per_message(times, arrivals, end, random)


def mox(arrivals: Sequence[float], end: float, random: Random) -> Fate:
    """mox: each message after 7.5 minutes, then twice as long each time; given up after 8 waits.

    queue/queue.go of mjl-/mox: "immediately, 7.5m, 15m, 30m, 1h, 2h, 4h, 8h, 16h", five seconds of
    jitter; so a message lives 31 h 52 min.
    """

    def times(_: float, chance: Random) -> list[float]:
        at, found = 0.0, [0.0]
        for n in range(8):
            at += (7.5 * MINUTE + chance.randrange(-5, 5)) * 2**n
            found.append(at)
        return found

    return per_message(times, arrivals, end, random)


MODELS: dict[str, Model] = {
    "Postfix": postfix,
    "qmail": qmail,
    "Exchange": exchange,
    "Exim": exim,
    "Stalwart": stalwart,
    "mox": mox,
}
