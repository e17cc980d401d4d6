"""The active set of one worker: what it has in hand, bounded in number, octets, and per destination.

A delivery is in hand from its claim until it is settled or given back. In between it either waits for
a place at its destination (in the order of the lanes) or is under way.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from postillon.deliver.agent import Site
from postillon.mail.octets import Octets
from postillon.queue.config import QueueConfig
from postillon.queue.ids import QueueId
from postillon.queue.rows import Lane, QueueMessage, QueueRecipient

K = TypeVar("K")
BACKLOG = 2  # times the deliveries under way up to which more are taken in hand for one destination
ENOUGH = (
    4  # the same for what is in hand already: accepted and claimed while others were on their way
)
RESERVED = 4  # 1/4 of the active set is for interactive mail alone


@dataclass(slots=True, eq=False)
class Work:
    """Recipients of one message for one destination, in hand. `content` None is read when begun.

    `site` None until the agent has said where the destination's mail goes. `probe` names the
    destination for which it is the one delivery that finds out whether it is back; "" otherwise. A
    probe has no `numbers`, for nothing is claimed, until a host has answered.
    `rows` are those that this worker has just written, for a try that begins at once.
    """

    queue_id: QueueId
    destination: str
    numbers: tuple[int, ...]
    lane: Lane
    content: Octets | None = None
    size: int = 0
    site: Site | None = None
    probe: str = ""
    rows: tuple[QueueMessage, Sequence[QueueRecipient]] | None = None

    @property
    def local(self) -> bool:
        return self.destination.startswith("local/")

    @property
    def key(self) -> str:
        return self.destination if self.site is None else self.site.key


class Hand:
    """Counts and lines of what is in hand. `key` names a destination, as in queue_destination."""

    def __init__(self, config: QueueConfig) -> None:
        self._max = config.max_active
        self._max_memory = config.max_active_memory
        self._works: set[Work] = set()
        self._memory = 0
        self._placed: set[Work] = set()  # those that have a place at their destination
        self._under_way: Counter[str] = Counter()  # the same, counted by destination
        self._messages: Counter[QueueId] = Counter()  # deliveries not settled yet, by message
        self._waiting: dict[str, tuple[deque[Work], ...]] = {}  # by destination, a line a lane

    def __len__(self) -> int:
        return len(self._works)

    def __iter__(self) -> Iterator[Work]:
        return iter(self._works)

    @property
    def memory(self) -> int:
        """Octets of content in hand."""
        return self._memory

    def room(self, lane: Lane = Lane.INTERACTIVE, more: int = 0, octets: int = 0) -> int:
        """How many deliveries more may be taken in hand, after `more` that are about to be."""
        if self._works and self._memory + octets > self._max_memory:
            return 0
        bound = self._max
        if lane is not Lane.INTERACTIVE:
            bound -= self._max // RESERVED
        return max(0, bound - len(self._works) - more)

    def take(self, work: Work) -> None:
        self._works.add(work)
        self._memory += work.size

    def read(self, work: Work, content: Octets) -> None:
        """Its content has been read from the store."""
        work.content = content
        self._memory += len(content) - work.size
        work.size = len(content)

    def drop(self, work: Work) -> None:
        """It is settled or given back."""
        self.leave(work)
        if work in self._works:
            self._works.discard(work)
            self._memory -= work.size

    def place(self, work: Work) -> None:
        """Give it a place at its destination."""
        if work not in self._placed:
            self._placed.add(work)
            self._under_way[work.key] += 1

    def placed(self, work: Work) -> bool:
        return work in self._placed

    def leave(self, work: Work) -> None:
        """It needs its place no longer: the other side has done its part."""
        if work in self._placed:
            self._placed.discard(work)
            _less(self._under_way, work.key)

    def begin(self, work: Work) -> None:
        self.place(work)
        self._messages[work.queue_id] += 1

    def end(self, work: Work) -> None:
        self.leave(work)
        _less(self._messages, work.queue_id)

    def under_way(self, key: str) -> int:
        """Deliveries to a destination that have a place there."""
        return self._under_way.get(key, 0)

    def trying(self, queue_id: QueueId) -> int:
        """The same, of one message."""
        return self._messages.get(queue_id, 0)

    def wait(self, work: Work, places: int) -> bool:
        """Let it wait in memory for a place; False: there are enough, it must wait on disk."""
        if self.held(work.key) >= ENOUGH * places:
            return False
        lines = self._waiting.setdefault(work.key, tuple(deque[Work]() for _ in Lane))
        lines[work.lane].append(work)
        return True

    def held(self, key: str) -> int:
        """Deliveries to a destination under way or waiting in memory."""
        return self.under_way(key) + sum(map(len, self._waiting.get(key, ())))

    def next(self, key: str) -> Work | None:
        """Take the next one that waits for a place, interactive mail first."""
        lines = self._waiting.get(key, ())
        found = next((line.popleft() for line in lines if line), None)
        if lines and not any(lines):
            del self._waiting[key]
        return found

    def send_back(self, key: str) -> list[Work]:
        """Take all that wait for a place."""
        return [work for line in self._waiting.pop(key, ()) for work in line]


def _less(counter: Counter[K], key: K) -> None:
    """One less; a key that counts nothing is no longer there."""
    if counter[key] <= 1:
        del counter[key]
    else:
        counter[key] -= 1
