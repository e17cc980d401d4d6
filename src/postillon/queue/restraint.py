"""How many reports are sent, so that they never become a storm (FAULTS 9 and 11).

Counted by each worker over the last hour and forgotten when it ends. What is not sent is never lost
without a word: the caller writes it into the trace and counts it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from enum import Enum
from typing import TypeVar

from postillon.mail.address import Address
from postillon.queue.config import QueueConfig

V = TypeVar("V")
HOUR = 3_600_000  # ms
MAX_KNOWN = (
    10_000  # senders and domains that are counted; beyond it the one unused longest is forgotten
)


class Verdict(Enum):
    """What becomes of a report. The value stands in the trace and labels the count."""

    SEND = "sent"
    LATER = "put off"  # to a summary, which speaks for many
    DOMAIN = "domain"  # too many to strangers of that domain
    ALL = "all"  # too many to strangers
    SENDER = "sender"  # too many to that address
    REPORT = "report"  # the message is itself a report
    UNDELIVERABLE = "undeliverable"  # the sender's address is one of ours and leads nowhere

    @property
    def withheld(self) -> bool:
        return self not in (Verdict.SEND, Verdict.LATER)


class Restraint:
    """Counts the reports of one worker. All times in ms."""

    def __init__(self, config: QueueConfig) -> None:
        self._config = config
        self._strangers: deque[int] = deque()
        self._domains: OrderedDict[Hashable, deque[int]] = OrderedDict()
        self._senders: OrderedDict[Hashable, deque[int]] = OrderedDict()
        self._floods: OrderedDict[Hashable, int] = OrderedDict()  # when the next summary is due

    def judge(self, to: Address, now: int, *, stranger: bool, final: bool, wished: bool) -> Verdict:
        """Whether one more report may go out; counts it if so.

        stranger: nobody has shown that the reverse-path is the sender's. final: it tells of a failure,
        which must reach the sender somehow. wished: it was asked for with NOTIFY=SUCCESS; a sender
        of ours gets all of those.
        """
        if wished and not stranger:
            return Verdict.SEND
        sender = _recent(self._senders, to.key, now)
        if stranger:
            domain = _recent(self._domains, to.domain, now)
            _forget_old(self._strangers, now)
            if len(domain) >= self._config.reports_per_domain:
                return Verdict.DOMAIN
            if len(self._strangers) >= self._config.reports:
                return Verdict.ALL
            if len(sender) >= self._config.reports_per_sender:
                return Verdict.SENDER
            domain.append(now)
            self._strangers.append(now)
        elif final and to.key in self._floods:
            return Verdict.LATER
        elif len(sender) >= self._config.reports_per_sender:
            if not final:
                return Verdict.SENDER
            _keep(self._floods, to.key, now + HOUR)
            return Verdict.LATER
        sender.append(now)
        return Verdict.SEND

    def summary_due(self, to: Address, now: int) -> bool:
        """Whether what has been put off for a sender is to be told now, in one report."""
        due = self._floods.get(to.key)
        return due is not None and due <= now

    def summarised(self, to: Address, now: int) -> None:
        """A summary has been sent: the next one may follow in an hour."""
        _keep(self._floods, to.key, now + HOUR)

    def calm(self, to: Address) -> None:
        """The flood is over: reports are sent one by one again."""
        self._floods.pop(to.key, None)


def _recent(known: OrderedDict[Hashable, deque[int]], key: Hashable, now: int) -> deque[int]:
    times = known.get(key)
    if times is None:
        times = deque()
        _keep(known, key, times)
    else:
        known.move_to_end(key)
    _forget_old(times, now)
    return times


def _keep(known: OrderedDict[Hashable, V], key: Hashable, value: V) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > MAX_KNOWN:
        known.popitem(last=False)


def _forget_old(times: deque[int], now: int) -> None:
    while times and not now - HOUR < times[0] <= now:  # or the clock was set back
        times.popleft()
