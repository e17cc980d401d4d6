"""To another server, over SMTP or LMTP: one outcome per recipient, with the other side's words.

Hosts are tried in the order of the route, each with its addresses, until one takes part in a mail
transaction. What a host says of a recipient is final for this try; what it says of itself (no
connection, 4yz greeting, 421, TLS that fails) sends us to the next one. So does a message that it
does not take now (MAIL 4yz) or cannot (too large, SMTPUTF8 or binary content not offered): another
host may. What the last host said then counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from postillon.deliver.agent import QueuedMessage, Site
from postillon.deliver.config import DeliverConfig
from postillon.deliver.connections import Connections, Key
from postillon.deliver.conversation import Connect, Conversation, HostFailed, begin
from postillon.log import SILENT, Log
from postillon.mail.envelope import Envelope, Recipient
from postillon.mail.header import header_end
from postillon.mail.octets import Octets
from postillon.mail.outcome import Deferred, Delivered, Failed, Outcome, Reply, Status
from postillon.meter import SILENT_METER, Meter
from postillon.net.connect import connect
from postillon.protocol.smtp.client import CannotSend, Transaction
from postillon.route.nexthop import Host, Hosts, NextHops, NoHosts

TAKEN = "the server has taken the message"
REFUSED = "the server refused"
LOST = "the connection was lost before the server answered"
IN_DOUBT = "the connection was lost after the message was sent; it may arrive twice"
NO_SENSE = "the server's answer makes no sense; the message may arrive twice"
BRIEFLY = 2.0  # seconds; who ends a connection that was idle for longer may just not keep idle ones
MAX_ADDRESSES = 10  # connected to in one try: enough for RFC 5321 section 5.1, which wants two
NOBODY = Deferred(Status("4.4.1", "no server could be reached"), destination=True)
_HINT = re.compile(
    r"(?:try again|retry|wait|come back|greylisted?)\D{0,40}?(\d{1,5})\s*(s|sec|m|min|h|hour)?",
    re.IGNORECASE,
)
_UNIT = {"s": 1, "m": 60, "h": 3600}
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\Z")


class RemoteAgent:
    """A DeliveryAgent. Keeps connections between messages; `stop` closes them."""

    def __init__(
        self,
        next_hops: NextHops,
        config: DeliverConfig | None = None,
        *,
        hostname: str,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
        connect: Connect = connect,
    ) -> None:
        self._connect = connect
        self._next_hops = next_hops
        self._config = config or DeliverConfig()
        self._hostname = hostname
        self._log = log
        self._meter = meter
        self._connections = Connections(self._config)

    async def stop(self) -> None:
        await self._connections.close()

    async def site(self, destination: str) -> Site:
        """Ask routing, which keeps what DNS says for its TTL."""
        found = await self._next_hops.find(destination)
        if isinstance(found, NoHosts):
            unknown = not found.permanent
            return Site(destination, (destination,), destination, found, unknown)
        names = tuple(dict.fromkeys(host.name for host in found.hosts))
        return Site(found.key, names, destination, found)

    async def reach(self, site: Site) -> Deferred | None:
        """Open a conversation with the first host that takes part in one, and keep it."""
        found = site.route
        assert isinstance(found, Hosts | NoHosts)
        if isinstance(found, NoHosts):
            return None if found.permanent else Deferred(found.status, destination=True)
        missed: Outcome = NOBODY
        for host in bounded(found.hosts):
            try:
                self._connections.keep(_key(found, host), await self._open(found, host))
            except HostFailed as error:
                missed = _of_failure(error, missed)
                self._meter.count("hosts_failed")
            else:
                return None
        assert isinstance(missed, Deferred)
        return missed

    async def deliver(
        self, message: QueuedMessage, site: Site, to: Sequence[Recipient]
    ) -> Sequence[Outcome]:
        """Try once; one outcome per recipient, in order."""
        found = site.route
        assert isinstance(found, Hosts | NoHosts)
        if isinstance(found, NoHosts):
            if found.permanent:
                return [Failed(found.status)] * len(to)
            return [Deferred(found.status, destination=True)] * len(to)
        outcomes: dict[int, Outcome] = {}
        open_ends: dict[int, Outcome] = dict.fromkeys(range(len(to)), NOBODY)
        for host in bounded(found.hosts):
            left = [n for n in range(len(to)) if n not in outcomes]
            try:
                await self._to_host(found, host, message, to, left, outcomes, open_ends)
            except HostFailed as error:
                for n in left:
                    open_ends[n] = _of_failure(error, open_ends[n])
                self._meter.count("hosts_failed")
                self._log.info(
                    "host failed", queue_id=message.name, host=host.name,
                    status=error.status.code, text=str(error.status.remote or error.status.text),
                )  # fmt: skip
            if len(outcomes) == len(to):
                break
        return [outcomes.get(n, open_ends[n]) for n in range(len(to))]

    async def _to_host(
        self,
        hosts: Hosts,
        host: Host,
        message: QueuedMessage,
        to: Sequence[Recipient],
        left: Sequence[int],
        outcomes: dict[int, Outcome],
        open_ends: dict[int, Outcome],
    ) -> None:
        """Send to the recipients `left`, in as many transactions as it takes. Raises HostFailed.

        Who comes into neither `outcomes` nor the exception has in `open_ends` what holds if no other
        host takes the message.
        """
        key = _key(hosts, host)
        talk = self._connections.take(key)
        kept = talk is not None
        todo = list(left)
        while todo:
            if talk is not None and self._connections.spent(key, talk):
                self._connections.keep(key, talk)  # which closes it
                talk = None
            if talk is None:
                talk = await self._open(hosts, host)
                kept = False
            batch = todo[: talk.engine.recipient_limit]
            envelope = Envelope(
                message.reverse_path, tuple(to[n] for n in batch), message.body, message.smtputf8,
                message.size, message.ret_full, message.envid, by=message.by,
            )  # fmt: skip
            try:
                tx = await talk.transact(
                    envelope,
                    message.size,
                    (message.prefix, message.content),
                    utf8_header=message.smtputf8 and not _ascii_header(message),
                    kept=kept,
                )
            except CannotSend as refused:
                failed = Failed(replace(refused.status, host=host.name))
                open_ends.update(dict.fromkeys(todo, failed))
                break
            if (said := _not_now(tx)) is not None:
                open_ends.update(dict.fromkeys(todo, _outcome(hosts, talk, said)))
                break
            again = self._judge(hosts, talk, tx, batch, outcomes, open_ends)
            if talk.engine.broken or not talk.usable:
                if talk.messages > 1 and talk.idle_for < BRIEFLY:
                    self._connections.ended_early(key, talk.messages - 1)
                talk.stream.abort()
                talk = None
                if again and kept and not tx.content_sent:
                    continue  # a kept connection may have been closed meanwhile: once more, anew
            kept = False
            if again and len(again) == len(batch):
                if talk is not None:
                    self._connections.keep(key, talk)
                raise HostFailed(_why(tx, len(batch), host.name))
            todo = again + todo[len(batch) :]
        if talk is not None:
            self._connections.keep(key, talk)

    async def _open(self, hosts: Hosts, host: Host) -> Conversation:
        """A new conversation with the first address of a host that gives one. Raises HostFailed."""
        failure: HostFailed | None = None
        for address in host.addresses:
            for clear in (False, True):
                try:
                    talk = await begin(
                        hosts, host, address, self._hostname, self._config, clear=clear,
                        connect=self._connect,
                    )  # fmt: skip
                except HostFailed as error:
                    failure = error
                    if error.tls and not hosts.tls.required and not clear:
                        continue  # opportunistic: better in clear text than not at all (RFC 7435)
                    break
                self._meter.count("connections_opened", "tls" if talk.stream.tls else "clear")
                return talk
        assert failure is not None  # a host has at least one address
        raise failure

    def _judge(
        self,
        hosts: Hosts,
        talk: Conversation,
        tx: Transaction,
        batch: Sequence[int],
        outcomes: dict[int, Outcome],
        open_ends: dict[int, Outcome],
    ) -> list[int]:
        """Turn replies into outcomes. Returns who must be tried again, here or at the next host."""
        again: list[int] = []
        name = talk.host.name
        some_accepted = bool(tx.accepted)
        for position, n in enumerate(batch):
            said = tx.reply_for(position)
            path = tx.envelope.recipients[position].forward_path
            if said is None:
                if tx.content_sent and position in tx.accepted:
                    outcomes[n] = Deferred(Status("4.4.2", IN_DOUBT, host=name))
                else:
                    again.append(n)
            elif said.code == 421:
                again.append(n)
            elif (
                said.code == 452
                and some_accepted
                and said is tx.recipients[position]
                and not said.enhanced.startswith("4.2.")  # that mailbox is full
            ):
                again.append(n)  # too many for one transaction (RFC 5321 section 4.5.3.1.10)
            elif 300 <= said.code < 400:
                # No reply to content or RCPT: it promises nothing, so nothing counts as delivered.
                outcomes[n] = Deferred(Status("4.5.0", NO_SENSE, said, name))
            elif not (path.ascii or talk.engine.offers("SMTPUTF8")):
                open_ends[n] = _outcome(hosts, talk, said)  # the engine's word: nobody was asked
            else:
                outcomes[n] = _outcome(hosts, talk, said)
        return again


def _key(hosts: Hosts, host: Host) -> Key:
    """What a connection is kept for."""
    return host.name, host.port, hosts.protocol, hosts.user, hosts.tls.security.value


def bounded(hosts: Sequence[Host]) -> list[Host]:
    """The hosts with MAX_ADDRESSES addresses in all. One with many leaves one to each behind it."""
    room, kept = MAX_ADDRESSES, []
    for behind, host in zip(reversed(range(len(hosts))), hosts, strict=True):
        addresses = host.addresses[: max(1, room - behind)]
        room -= len(addresses)
        kept.append(replace(host, addresses=addresses))
        if not room:
            break
    return kept


def _of_failure(failure: HostFailed, before: Outcome) -> Outcome:
    """A host took no part. Even a 5yz greeting is waited for: it speaks of the host, not the mail.

    before: how it stood until now; the destination is not down if another host has spoken.
    """
    status = replace(failure.status, code="4" + failure.status.code[1:])
    wish = None if status.remote is None or status.remote.permanent else hint(status.remote)
    down = isinstance(before, Deferred) and before.destination
    return Deferred(status, destination=down, retry_after=wish)


def _not_now(tx: Transaction) -> Reply | None:
    """What a host said that does not take the message now but stays; replies to RCPT mean nothing."""
    said = tx.mail
    if said is None or said.code == 421 or not 400 <= said.code < 500 or tx.accepted:
        return None
    return said


def _why(tx: Transaction, recipients: int, name: str) -> Status:
    """Why a host took no part to the end: its 421 if it gave one."""
    for position in range(recipients):
        said = tx.reply_for(position)
        if said is not None and said.code == 421:
            return Status(_code(said, "4.3.2"), LOST, said, name)
    return Status("4.4.2", LOST, host=name)


def _outcome(hosts: Hosts, talk: Conversation, said: Reply) -> Outcome:
    name = talk.host.name
    if said.positive:
        status = Status(_code(said, "2.0.0"), TAKEN, said, name)
        relayed = hosts.protocol != "lmtp"
        offers = talk.engine.offers
        return Delivered(status, relayed, relayed and offers("DSN"), offers("DELIVERBY"))
    if said.permanent:
        return Failed(Status(_code(said, "5.0.0"), REFUSED, said, name))
    return Deferred(Status(_code(said, "4.0.0"), REFUSED, said, name), retry_after=hint(said))


def _code(said: Reply, otherwise: str) -> str:
    """The enhanced code, if there is one of the right class (RFC 2034)."""
    if _ENHANCED.match(said.enhanced) and said.enhanced[0] == otherwise[0]:
        return said.enhanced
    return otherwise


def hint(said: Reply) -> timedelta | None:
    """How long the other side wishes us to wait, where its words say so. The queue bounds it."""
    found = _HINT.search(said.text[:500])
    if found is None:
        return None
    unit = (found[2] or "s").lower()[0]
    return timedelta(seconds=int(found[1]) * _UNIT[unit])


def _ascii_header(message: QueuedMessage) -> bool:
    content: Octets = message.content
    return content[: header_end(content, 0, len(content))].isascii()
