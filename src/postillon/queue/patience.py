"""What holds for some mail at some destination: the settings of `[queue]` and the rules over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

from postillon.queue.circuit import Probing
from postillon.queue.config import Mail, QueueConfig, QueueRule
from postillon.queue.rows import Lane
from postillon.queue.schedule import Schedule, milliseconds

V = TypeVar("V")
MINUTE = 60_000  # ms
MAX_KNOWN = 10_000  # answers kept; they are cheap to find again


@dataclass(frozen=True, slots=True)
class Terms:
    """The patience that one recipient's mail gets. Times in ms."""

    schedule: Schedule
    lifetime: int
    attempts: int  # deferrals of its own after which it is given up; 0: no such limit
    probing: Probing
    concurrency: int  # deliveries one worker makes to the destination at once
    interval: int  # least time between two messages to it, all workers together; 0: none


class Patience:
    """Answers which terms hold. A pure function of the configuration, with a memory."""

    def __init__(self, config: QueueConfig) -> None:
        self._config = config
        self._known: dict[tuple[str, tuple[str, ...], Mail], Terms] = {}
        usual, report = milliseconds(config.lifetime), milliseconds(config.report_lifetime)
        self._lifetimes = {mail: report if mail is Mail.REPORT else usual for mail in Mail}

    def terms(self, destination: str, hosts: Sequence[str], mail: Mail) -> Terms:
        """The terms for mail to a destination (a domain or a next hop) that is served by `hosts`."""
        if not self._config.rule:
            destination, hosts = "", ()
        key = (destination, tuple(hosts), mail)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            found = self._known[key] = self._find(key)
        return found

    def lifetime(self, destinations: Iterable[str], mail: Mail) -> int:
        """The longest lifetime of a message to these destinations, before their hosts are known."""
        found = [self.terms(destination, (), mail).lifetime for destination in destinations]
        return max(found) if found else self._lifetimes[mail]

    def _find(self, key: tuple[str, tuple[str, ...], Mail]) -> Terms:
        destination, hosts, mail = key
        config = self._config
        names = (name_of(destination), *map(name_of, hosts))
        rules = [rule for rule in config.rule if _applies(rule, names, mail)]
        lifetime = _first((rule.lifetime for rule in rules), None)
        shortest = _first((rule.shortest_wait for rule in rules), config.shortest_wait)
        longest = _first((rule.longest_wait for rule in rules), config.longest_wait)
        probe = _first((rule.shortest_probe for rule in rules), config.shortest_probe)
        last_probe = _first((rule.longest_probe for rule in rules), config.longest_probe)
        rate = _first((rule.rate for rule in rules), config.rate)
        return Terms(
            replace(
                Schedule.of(config),
                shortest=milliseconds(shortest),
                longest=milliseconds(max(shortest, longest)),
            ),
            self._lifetimes[mail] if lifetime is None else milliseconds(lifetime),
            _first((rule.attempts for rule in rules), config.attempts),
            Probing(milliseconds(probe), milliseconds(max(probe, last_probe))),
            _first((rule.concurrency for rule in rules), config.max_per_destination),
            MINUTE // rate if rate else 0,
        )


@lru_cache(maxsize=4)
def patience_of(config: QueueConfig) -> Patience:
    """The one Patience of a configuration."""
    return Patience(config)


def mail_of(null: bool, lane: Lane) -> Mail:
    """Which mail a message is. null: its reverse-path is."""
    if null or lane is Lane.REPORT:
        return Mail.REPORT
    return Mail.BULK if lane is Lane.BULK else Mail.INTERACTIVE


def name_of(text: str) -> str:
    """The host of a next hop's spelling; a domain or host as it is."""
    if "://" in text:
        text = text.partition("://")[2].partition("?")[0].rpartition("@")[2]
        text = text.rpartition(":")[0].strip("[]")
    return text.lower()


def _applies(rule: QueueRule, names: Sequence[str], mail: Mail) -> bool:
    if rule.mail not in (Mail.ANY, mail):
        return False
    return not rule.match or any(
        matches(pattern.lower(), name) for pattern in rule.match for name in names
    )


def matches(pattern: str, name: str) -> bool:
    """Whether a pattern of a rule means a domain or host."""
    if pattern.startswith("."):
        return name.endswith(pattern)
    return pattern in ("*", name)


def _first(given: Iterable[V | None], otherwise: V) -> V:
    return next((value for value in given if value is not None), otherwise)
