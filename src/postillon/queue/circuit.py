"""Patience with a destination that does not answer: one probe for all its mail (DESIGN section 3).

A pure state machine with the time as an argument, one per worker. While a circuit is open only one
delivery at a time goes out as the probe; the rest waits. Wait between probes = 1/4 of the downtime
between 60 s and 15 min, within 15 % at random. The first success closes it and slow start follows:
2, 4, 8 ... deliveries at once up to the limit.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

FRACTION = 4  # of the downtime
JITTER = 0.15
MAX_CIRCUITS = 10_000  # destinations remembered; the one unused longest is forgotten first
SLOW_START = 2


@dataclass(frozen=True, slots=True)
class Probing:
    """How long to wait between probes of a destination that is down (ms), and the chance in it."""

    shortest: int
    longest: int
    chance: float = 0.5  # in [0, 1): where in the 15 % the wait lies

    def after(self, downtime: int) -> int:
        """The wait when a probe has just failed so many ms after the first failure."""
        wait = min(max(downtime // FRACTION, self.shortest), self.longest)
        return round(wait * (1 + JITTER * (2 * self.chance - 1)))


@dataclass(slots=True)
class Circuit:
    """What a worker knows of one destination. Times in ms; `down_since` None while it answers."""

    down_since: int | None = None
    probe_at: int = 0
    probing: bool = False
    limit: int = 0  # deliveries at once during slow start; 0 when there is no such limit


class Circuits:
    def __init__(self, shortest: int, longest: int, limit: int) -> None:
        self._shortest = shortest
        self._longest = longest
        self._limit = limit
        self._known: OrderedDict[str, Circuit] = OrderedDict()

    def allows(self, destination: str, now: int) -> bool:
        """Whether a delivery may go out now. True makes it the probe where the circuit is open."""
        circuit = self._known.get(destination)
        if circuit is None or circuit.down_since is None:
            return True
        if circuit.probing or now < circuit.probe_at:
            return False
        circuit.probing = True
        return True

    def open_until(self, destination: str) -> int | None:
        """When the next probe is due, or None while the destination answers."""
        circuit = self._known.get(destination)
        return None if circuit is None or circuit.down_since is None else circuit.probe_at

    def down_since(self, destination: str) -> int | None:
        circuit = self._known.get(destination)
        return None if circuit is None else circuit.down_since

    def concurrency(self, destination: str) -> int:
        """How many deliveries at once the destination gets."""
        circuit = self._known.get(destination)
        if circuit is None:
            return self._limit
        if circuit.down_since is not None:
            return 1
        return circuit.limit or self._limit

    def failed(self, destination: str, now: int, chance: float) -> int:
        """A delivery could not reach the destination. Returns when to probe next (ms)."""
        circuit = self._known.get(destination)
        if circuit is None:
            circuit = self._known[destination] = Circuit()
            if len(self._known) > MAX_CIRCUITS:
                self._known.popitem(last=False)
        self._known.move_to_end(destination)
        if circuit.down_since is None:
            circuit.down_since = now
        elif now < circuit.probe_at and not circuit.probing:
            return circuit.probe_at  # a delivery that was under way when the circuit opened
        circuit.probing = False
        wait = min(max((now - circuit.down_since) // FRACTION, self._shortest), self._longest)
        circuit.probe_at = now + round(wait * (1 + JITTER * (2 * chance - 1)))
        return circuit.probe_at

    def answered(self, destination: str) -> bool:
        """A host of the destination took part in a conversation. Returns whether it was down."""
        circuit = self._known.get(destination)
        if circuit is None:
            return False
        if circuit.down_since is not None:
            circuit.down_since, circuit.probing, circuit.limit = None, False, SLOW_START
            return True
        circuit.limit *= 2
        if circuit.limit >= self._limit or circuit.limit == 0:
            del self._known[destination]  # nothing left to remember
        return False

    def abandoned(self, destination: str) -> None:
        """The probe ended without saying anything about the destination."""
        circuit = self._known.get(destination)
        if circuit is not None:
            circuit.probing = False
