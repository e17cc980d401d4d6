"""When an administrator must be told of the queue: rules over figures, without a clock or a store.

An alert begins once and ends once. Limits have a band: an alert that goes on ends only when the figure
is well below its limit, so that one that hovers there does not begin again and again.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from itertools import pairwise

from postillon.mail.address import AddressError, parse_address
from postillon.setting import ConfigError, hours, seconds, setting

BAND = 0.8  # of a limit: below it an alert ends
SINGLE = 10  # destinations, and messages, that have an alert of their own; the others share one
SAMPLES = 6  # intervals that steady growth is looked for in
LEARN = 86_400_000  # ms of watching before "more than usual" means something
MEMORY = 3 * 86_400_000  # ms: what was usual fades with this time constant
LONGEST_WORDS = 200  # characters of another server's words


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertConfig:
    """When the log, the figures and perhaps a mail tell that something is wrong with the queue."""

    every: timedelta = setting(seconds(60), "Time between two looks; longer where looks take long.")
    down: timedelta = setting(
        hours(1), "A destination with waiting mail has not answered for so long; 0s: never told."
    )
    waiting: int = setting(10_000, "More recipients wait; 0: never told.", unit="recipients")
    grows_for: timedelta = setting(
        hours(1), "The queue has grown all the time for so long; 0s: never told."
    )
    grows_by: int = setting(500, "And by at least so many in that time.", unit="recipients")
    late: timedelta = setting(
        hours(1), "Age from which mail is late. What is usual is learned in a day."
    )
    late_factor: float = setting(3.0, "So many times as much late mail as usual is told; 0: never.")
    late_least: int = setting(50, "But not less than so much.", unit="recipients")
    oldest: timedelta = setting(
        hours(0), "Any mail waits longer than this, whatever is usual; 0s: never told."
    )
    disk_free: float = setting(
        10.0, "Less of the disk with the data folder is free, in percent; 0: never told."
    )
    mail_to: tuple[str, ...] = setting(
        (), "Addresses that get a mail when an alert begins, one for each alert and day."
    )

    def __post_init__(self) -> None:
        if self.every < timedelta(seconds=1):
            raise ConfigError("alerts", "every must be at least 1 s")
        if self.late <= timedelta():
            raise ConfigError("alerts", "late must be positive")
        for text in self.mail_to:
            try:
                parse_address(text)
            except AddressError as error:
                raise ConfigError("alerts", f"mail_to: {text!r}: {error}") from None
        durations = (self.down, self.grows_for, self.oldest)
        numbers = (self.waiting, self.grows_by, self.late_factor, self.late_least, self.disk_free)
        if min(durations) < timedelta() or min(numbers) < 0 or self.disk_free > 100:
            raise ConfigError("alerts", "no limit may be negative, disk_free at most 100")


class Kind(Enum):
    DOWN = "destination down"
    MANY_DOWN = "destinations down"
    LONG = "queue long"
    GROWS = "queue grows"
    LATE = "mail late"
    OLD = "mail old"
    ISOLATED = "message isolated"
    MANY_ISOLATED = "messages isolated"
    DISK = "disk full"


@dataclass(frozen=True, slots=True)
class Alert:
    """Something an administrator must know. subject: "" where the queue as a whole is meant."""

    kind: Kind
    subject: str
    words: str
    remedy: str


@dataclass(frozen=True, slots=True)
class DownFigure:
    """A destination that does not answer though mail waits for it. since: ms."""

    key: str
    name: str
    since: int
    recipients: int
    words: str


@dataclass(frozen=True, slots=True)
class Figures:
    """What one look has found. Times in ms, sizes in octets."""

    at: int
    waiting: int
    late: int
    oldest: int | None
    down: tuple[DownFigure, ...]  # for longer than the limit, the longest first, some
    down_number: int  # for longer than the limit, all
    isolated: tuple[str, ...]  # queue ids, some
    isolated_number: int
    machine: str
    disk_free: int
    disk_size: int


@dataclass(frozen=True, slots=True)
class Memory:
    """What the watch remembers. samples: (ms, waiting); learned: ms of watching behind `usual`."""

    samples: tuple[tuple[int, int], ...] = ()
    usual: float = 0.0  # late recipients
    learned: int = 0


def remember(memory: Memory, figures: Figures, config: AlertConfig) -> Memory:
    """The memory after a look; the same where it is too early for a new sample."""
    step = _ms(config.grows_for) // SAMPLES or 600_000
    last = memory.samples[-1][0] if memory.samples else None
    if last is not None and 0 <= figures.at - last < step:
        return memory
    samples = memory.samples
    passed = 0 if last is None else figures.at - last
    if not 0 <= passed <= 2 * step + _ms(config.every):
        samples, passed = (), 0  # the server was down, or the clock jumped
    share = 1 - math.exp(-passed / MEMORY) if memory.learned else 1.0
    if memory.learned < LEARN and memory.learned:
        share = max(share, passed / (memory.learned + passed))  # a plain mean at first
    return Memory(
        (*samples, (figures.at, figures.waiting))[-SAMPLES - 1 :],
        memory.usual + share * (figures.late - memory.usual),
        memory.learned + (passed or 1),
    )


def judge(
    figures: Figures, memory: Memory, config: AlertConfig, active: Collection[tuple[Kind, str]]
) -> list[Alert]:
    """What is wrong now. active: the alerts that have begun and not ended."""
    found: list[Alert] = []
    found += _down(figures)
    found += _isolated(figures)
    for kind, limit, value, words, remedy in _limits(figures, memory, config):
        going_on = (kind, "") in active
        if limit and value > limit * (BAND if going_on else 1):
            found.append(Alert(kind, "", words, remedy))
    if (growth := _growth(memory, config, (Kind.GROWS, "") in active)) is not None:
        words = f"the queue has grown by {growth:,} recipients in {_span(config.grows_for)}"
        found.append(Alert(Kind.GROWS, "", words, "see which destination: postillon queue"))
    found += _disk(figures, config, active)
    return found


def _limits(
    figures: Figures, memory: Memory, config: AlertConfig
) -> list[tuple[Kind, float, float, str, str]]:
    """(kind, limit or 0, value, words, remedy) of what a single number tells."""
    usual = max(config.late_factor * memory.usual, config.late_least)
    age = 0 if figures.oldest is None else max(0, figures.at - figures.oldest)
    oldest = _span(timedelta(milliseconds=age))
    return [
        (Kind.LONG, config.waiting, figures.waiting,
         f"{figures.waiting:,} recipients wait, more than {config.waiting:,}",
         "see which destination: postillon queue; many of one sender: postillon queue list --from"),
        (Kind.LATE, usual if config.late_factor and memory.learned >= LEARN else 0, figures.late,
         f"{figures.late:,} recipients wait for more than {_span(config.late)};"
         f" {memory.usual:,.0f} are usual",
         f"see what they wait for: postillon queue list --older {_option(config.late)}"),
        (Kind.OLD, _ms(config.oldest), age, f"the oldest mail has waited for {oldest}",
         f"see why: postillon queue list --older {_option(config.oldest)}"),
    ]  # fmt: skip


def _down(figures: Figures) -> list[Alert]:
    found = []
    for item in figures.down[:SINGLE]:
        silent = _span(timedelta(milliseconds=figures.at - item.since))
        words = f"{item.name} has not answered for {silent}; {item.recipients:,} recipients wait"
        if item.words:
            words += f'; it said: "{item.words[:LONGEST_WORDS]}"'
        remedy = (
            "its mail goes by itself when it answers; to try at once: postillon queue retry"
            f" --destination '{item.key}'; another way: postillon queue reroute --via NEXT-HOP"
            f" --destination '{item.key}'"
        )
        found.append(Alert(Kind.DOWN, item.key, words, remedy))
    others = figures.down_number - len(found)
    if others > 0:
        words = "more destinations do not answer than have an alert of their own"
        remedy = (
            "if it is all of them look at the network and DNS; see: postillon queue destinations"
        )
        found.append(Alert(Kind.MANY_DOWN, "", words, remedy))
    return found


def _isolated(figures: Figures) -> list[Alert]:
    found = [
        Alert(
            Kind.ISOLATED,
            name,
            f"workers died with message {name} in hand; it is tried no more",
            f"see it: postillon queue show {name}; then release, bounce or drop it; report the fault",
        )
        for name in figures.isolated[:SINGLE]
    ]
    if figures.isolated_number > len(found):
        words = "more messages are isolated than have an alert of their own"
        found.append(Alert(Kind.MANY_ISOLATED, "", words, "postillon queue list --state isolated"))
    return found


def _disk(
    figures: Figures, config: AlertConfig, active: Collection[tuple[Kind, str]]
) -> list[Alert]:
    limit = config.disk_free
    if (Kind.DISK, figures.machine) in active:
        limit = min(limit / BAND, 100.0)
    if not config.disk_free or figures.disk_free * 100 >= figures.disk_size * limit:
        return []
    share = 100 * figures.disk_free / max(figures.disk_size, 1)
    words = f"{share:.1f} % of the disk with the data folder are free on {figures.machine}"
    remedy = "make room; when it is full mail is refused for the time being (452), nothing is lost"
    return [Alert(Kind.DISK, figures.machine, words, remedy)]


def _growth(memory: Memory, config: AlertConfig, going_on: bool) -> int | None:
    """By how much the queue has grown without a pause, if that is to be told."""
    if not config.grows_for or len(memory.samples) <= SAMPLES:
        return None
    numbers = [number for _, number in memory.samples]
    if going_on:
        return numbers[-1] - numbers[0] if _rises(numbers[-3:]) else None
    growth = numbers[-1] - numbers[0]
    return growth if growth >= config.grows_by and _rises(numbers) else None


def _rises(numbers: Sequence[int]) -> bool:
    return all(later > earlier for earlier, later in pairwise(numbers))


def _ms(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


def _span(duration: timedelta) -> str:
    """In one unit, rounded down: "90 minutes", "4 hours", "3 days"."""
    minutes = _ms(duration) // 60_000
    if minutes < 2:
        return f"{_ms(duration) // 1000} seconds"
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 48 * 60 else f"{minutes // 1440} days"


def _option(duration: timedelta) -> str:
    return f"{max(_ms(duration) // 60_000, 1)}m"
