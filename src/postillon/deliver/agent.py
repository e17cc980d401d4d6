"""What the queue hands to an agent, and what an agent must promise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from postillon.mail.address import Address
from postillon.mail.envelope import Body, DeliverBy, Recipient
from postillon.mail.octets import Octets
from postillon.mail.outcome import Deferred, Outcome


class QueuedMessage(msgspec.Struct, frozen=True):
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
    by: DeliverBy | None = None  # counted from now

    @property
    def size(self) -> int:
        return len(self.prefix) + len(self.content)


class Site(msgspec.Struct, frozen=True):
    """Where the mail for a destination goes now.

    `key` names the hosts: destinations with the same key share circuit, limits and connections.
    `hosts` are their names for people. `route` is the agent's own, with which it goes there.
    `unknown`: the hosts could not be asked for now, and the destination stands for itself.
    """

    key: str
    hosts: tuple[str, ...]
    destination: str
    route: object = None
    unknown: bool = False


class DeliveryAgent(Protocol):
    async def site(self, destination: str) -> Site:
        """Find out where the mail for a domain or a next hop goes now.

        Never raises for what DNS says: where it names no hosts, the destination stands for itself,
        and `deliver` tells why.
        """

    async def reach(self, site: Site) -> Deferred | None:
        """Find out whether a destination takes part in a conversation, without any message.

        None: it does, or why it does not is for `deliver` to say of a message. Otherwise what it said,
        or that nobody answered. A connection that was made is kept for `deliver`.
        """

    async def deliver(
        self, message: QueuedMessage, site: Site, to: Sequence[Recipient]
    ) -> Sequence[Outcome]:
        """Try once and report one outcome per recipient, in order; all are for one destination.

        A failure is an outcome; an exception is a bug, and the queue then defers with 4.3.0. Must be
        safe to repeat: after a crash before the outcome is settled, the same recipients come again.
        An agent never writes to the queue.
        """
