"""What the queue hands to an agent, and what an agent must promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from postillon.mail.address import Address
from postillon.mail.envelope import Body, Recipient
from postillon.mail.octets import Octets
from postillon.mail.outcome import Outcome


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message in hand: what travels is `prefix` and then `content`."""

    queue_id: int
    name: str  # the queue id as people read it
    reverse_path: Address | None  # None: the null sender
    prefix: bytes
    content: Octets
    body: Body = Body.SEVEN_BIT
    smtputf8: bool = False
    ret_full: bool | None = None
    envid: str = ""

    @property
    def size(self) -> int:
        return len(self.prefix) + len(self.content)


class DeliveryAgent(Protocol):
    async def deliver(
        self, message: QueuedMessage, destination: str, to: Sequence[Recipient]
    ) -> Sequence[Outcome]:
        """Try once and report one outcome per recipient, in order; all are for `destination`.

        A failure is an outcome; an exception is a bug, and the queue then defers with 4.3.0. Must be
        safe to repeat: after a crash before the outcome is settled, the same recipients come again.
        An agent never writes to the queue.
        """
