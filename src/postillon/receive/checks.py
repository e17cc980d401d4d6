"""What is asked of a message before it is accepted: three ordered lists, first refusal wins.

A check reads what is known and answers None or the reply that refuses. Nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from postillon.account.accounts import Accounts
from postillon.directory.directory import Directory
from postillon.directory.principals import Principal
from postillon.mail.address import Address, AddressError, parse_address, quote_local
from postillon.mail.addresses import Mailbox, parse_mailboxes
from postillon.mail.envelope import Envelope, Recipient
from postillon.mail.outcome import Reply, Status, reply
from postillon.receive.config import SmtpConfig
from postillon.receive.header import TopHeader
from postillon.route.recipient import UNKNOWN, LocalTarget, Lookup, Recipients

SUBMISSION = "submission"
MAX_FROM = 100  # addresses of a submitted From that are looked up; more are refused

LOGIN_FIRST = reply(530, "5.7.0", "Log in first")
TOO_MANY_TRANSACTIONS = reply(421, "4.7.0", "Too many messages in one connection; open another")
NOT_YOURS = reply(550, "5.7.1", "You may not send as this address")
TOO_MANY_RECIPIENTS = reply(452, "4.5.3", "Too many recipients; send the rest in another message")
FULL = reply(452, "4.2.2", "The mailbox is full")
NO_FROM = reply(550, "5.6.0", "A message has one From field with an address")
FROM_NOT_YOURS = reply(550, "5.7.1", "You may not send as the address in From")


@dataclass(slots=True)
class Client:
    """The connection, as the checks see it."""

    kind: str  # mx, submission or lmtp
    address: str
    principal: Principal | None = None
    transactions: int = 0

    @property
    def may_relay(self) -> bool:
        return self.principal is not None


@dataclass(slots=True)
class Arriving:
    """The mail transaction so far."""

    envelope: Envelope
    recipients: list[Recipient] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Knowledge:
    """Whom the checks ask."""

    config: SmtpConfig
    directory: Directory
    recipients: Recipients
    accounts: Accounts


MailCheck = Callable[[Knowledge, Client, Envelope], Awaitable[Reply | None]]
RcptCheck = Callable[[Knowledge, Client, Arriving, Lookup], Awaitable[Reply | None]]
ContentCheck = Callable[[Knowledge, Client, Arriving, TopHeader], Awaitable[Reply | None]]


async def logged_in(know: Knowledge, client: Client, envelope: Envelope) -> Reply | None:
    return LOGIN_FIRST if client.kind == SUBMISSION and client.principal is None else None


async def transactions_left(know: Knowledge, client: Client, envelope: Envelope) -> Reply | None:
    return TOO_MANY_TRANSACTIONS if client.transactions >= know.config.max_transactions else None


async def owns_reverse_path(know: Knowledge, client: Client, envelope: Envelope) -> Reply | None:
    """FAULTS 21. The null sender is nobody else's: a client may send read receipts."""
    if client.principal is None or envelope.reverse_path is None:
        return None
    return (
        None if await know.directory.owns(client.principal.id, envelope.reverse_path) else NOT_YOURS
    )


async def recipients_left(
    know: Knowledge, client: Client, arriving: Arriving, lookup: Lookup
) -> Reply | None:
    """RFC 5321 section 4.5.3.1.10."""
    return TOO_MANY_RECIPIENTS if len(arriving.recipients) >= know.config.max_recipients else None


async def leads_somewhere(
    know: Knowledge, client: Client, arriving: Arriving, lookup: Lookup
) -> Reply | None:
    """Existence and relaying, both decided by the route (FAULTS 9)."""
    return None if lookup.refusal is None else refusal_reply(lookup.refusal)


async def has_room(
    know: Knowledge, client: Client, arriving: Arriving, lookup: Lookup
) -> Reply | None:
    """Refuse for now if every target is a full mailbox."""
    octets = arriving.envelope.size or 0
    for target in lookup.targets:
        if not isinstance(target, LocalTarget) or await know.accounts.room(target.account, octets):
            return None
    return FULL


async def owns_from(
    know: Knowledge, client: Client, arriving: Arriving, header: TopHeader
) -> Reply | None:
    """FAULTS 21: every address in From must be the submitter's. A missing From is completed."""
    if client.principal is None or not header.froms:
        return None
    if len(header.froms) > 1:
        return NO_FROM
    mailboxes = parse_mailboxes(header.froms[0])
    if not mailboxes:
        return NO_FROM
    if len(mailboxes) > MAX_FROM:
        return FROM_NOT_YOURS
    for mailbox in mailboxes:
        address = _address(mailbox)
        if address is None or not await know.directory.owns(client.principal.id, address):
            return FROM_NOT_YOURS
    return None


MAIL_CHECKS: tuple[MailCheck, ...] = (transactions_left, logged_in, owns_reverse_path)
RCPT_CHECKS: tuple[RcptCheck, ...] = (recipients_left, leads_somewhere, has_room)
CONTENT_CHECKS: tuple[ContentCheck, ...] = (owns_from,)


def release_at(envelope: Envelope, now: int) -> int:
    """Until when its submitter lets a message wait (ms); 0: not at all."""
    if envelope.hold_for is not None:
        return now + envelope.hold_for * 1000
    return envelope.hold_until if (envelope.hold_until or 0) > now else 0  # type: ignore[return-value]


def refusal_reply(status: Status) -> Reply:
    """A status as the reply of RCPT or of the end of content."""
    if status.code.startswith("4"):
        return reply(450, status.code, status.text)
    return reply(550, status.code, status.text)


def unknown(lookup: Lookup) -> bool:
    """Whether this is what a guesser of addresses sees (FAULTS 12)."""
    return lookup.refusal is not None and lookup.refusal.code == UNKNOWN.code


def _address(mailbox: Mailbox) -> Address | None:
    """None for a group's marks, for half an address, and for what no envelope could hold."""
    if not mailbox.local or not mailbox.domain:
        return None
    try:
        local, domain = mailbox.local.decode(), mailbox.domain.decode()
        return parse_address(f"{quote_local(local)}@{domain}")
    except (AddressError, UnicodeDecodeError):
        return None
