"""Answers for owners who are away (RFC 3834): which message earns one, and what it says.

The answer is accepted by the transaction that places the message, together with the note that its
sender has had one: never lost, never twice. Who is away is kept in memory, so that mail for all others
costs nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from postillon.account import vacation
from postillon.account.ids import AccountId
from postillon.account.vacation import Vacation
from postillon.clock import Clock
from postillon.directory import principals, resolution
from postillon.directory.principals import Principal
from postillon.mail.address import Address, AddressError, parse_address, quote_local
from postillon.mail.addresses import parse_mailboxes
from postillon.mail.compose import Composer, multipart, new_boundary, text_entity
from postillon.mail.envelope import Body, Envelope, Notify, Recipient
from postillon.mail.header import MAX_HEADER, header_end, unfolded
from postillon.mail.trace import new_message_id
from postillon.mail.words import decode_words
from postillon.queue.acceptance import (
    Accepted,
    Local,
    Plan,
    Submission,
    accept,
    look_up,
    plan,
)
from postillon.queue.config import QueueConfig
from postillon.queue.ids import new_queue_id
from postillon.queue.rows import Lane
from postillon.route.recipient import Recipients
from postillon.store.operation import EVERYTHING, NewBlob, Steps, Store, Tx

REMEMBERED_MS = 60_000  # who is away is asked again then, should a word of it have been lost
MAX_NAMED = 100  # addresses in To and Cc that are asked whether they are the owner's
MAX_SUBJECT = 200  # characters of the other's subject that are repeated
MAX_REFERENCES = 20
DEFAULT_TEXT = "I am away at the moment and will read your message when I am back."
# RFC 3834 section 2 and RFC 5230 section 4.6: who is a program, by name.
_PROGRAM = re.compile(
    r"owner-|.*-owner\Z|.*-request\Z|mailer-daemon\Z|postmaster\Z|listserv\Z|majordomo\Z"
    r"|no[-_.]?reply|do[-_.]?not[-_.]?reply|bounces?(?:\Z|[-+=._])|.*-bounces?\Z",
    re.IGNORECASE,
)
_LISTS = (b"list-", b"x-mailing-list", b"x-loop", b"x-been-there")


@dataclass(frozen=True, slots=True)
class Answer:
    """One that is ready. It is sent if the message was placed, and nobody was faster."""

    account: AccountId
    sender: str
    plan: Plan

    @property
    def blob(self) -> NewBlob:
        return NewBlob(self.plan.submission.content)


class Vacations:
    """For one worker."""

    def __init__(
        self,
        store: Store,
        recipients: Recipients,
        config: QueueConfig,
        clock: Clock,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._store = store
        self._recipients = recipients
        self._config = config
        self._clock = clock
        self._random = random
        self._away: frozenset[int] = frozenset()
        self._until = 0  # ms; when it is asked again

    def hear(self, topics: Sequence[str]) -> None:
        """Something was announced, by this process or another one."""
        if vacation.TOPIC in topics or EVERYTHING in topics:
            self._until = 0

    async def answers(self, made: Plan) -> list[Answer]:
        """What is to be said of a message that is about to be placed; nearly always nothing."""
        now = made.accepted_at
        if not 0 <= self._until - now <= REMEMBERED_MS:
            self._away = frozenset(await self._store.query(vacation.enabled()))
            self._until = now + REMEMBERED_MS
        if not self._away or not made.local:
            return []
        found = []
        for account in dict.fromkeys(
            item.target.account for item in made.local if wanted(made, item)
        ):
            if account in self._away:
                answer = await self._answer(AccountId(account), made)
                found += [] if answer is None else [answer]
        return found

    async def _answer(self, account: AccountId, made: Plan) -> Answer | None:
        to = made.submission.envelope.reverse_path
        if to is None or _PROGRAM.match(to.local):
            return None
        content = made.submission.content
        block = content[: header_end(content, 0, min(len(content), MAX_HEADER))]
        fields = list(unfolded(block))
        if automatic(fields):
            return None
        now, sender = made.accepted_at, "@".join(to.key)
        settings = await self._store.query(vacation.get(account))
        if not settings.holds(now):
            return None
        if await self._store.query(vacation.answered(account, sender, now)):
            return None
        owner = await self._store.query(principals.get(account))
        if owner is None or await self._owns(account, to):
            return None
        named = await self._named(account, fields)
        if named is None:
            return None
        answer = await self._planned(made, settings, owner, named, to, now)
        return None if answer.refused else Answer(account, sender, answer)

    async def _owns(self, account: AccountId, address: Address) -> bool:
        return await self._store.query(resolution.owns(account, address))

    async def _named(
        self, account: AccountId, fields: Sequence[tuple[bytes, bytes]]
    ) -> Address | None:
        """The owner's address in To or Cc: who is only in Bcc or on a list says nothing."""
        for address in addressed(fields):
            if await self._owns(account, address):
                return address
        return None

    async def _planned(
        self,
        made: Plan,
        settings: Vacation,
        owner: Principal,
        named: Address,
        to: Address,
        now: int,
    ) -> Plan:
        content = compose(
            made, settings, owner.name, named, to, now,
            new_message_id(named.domain, self._random(15)), new_boundary(self._random(18)),
        )  # fmt: skip
        utf8 = not (to.ascii and named.ascii)
        submission = Submission(
            Envelope(
                None, (Recipient(to, Notify.NEVER),),
                Body.SEVEN_BIT if content.isascii() else Body.EIGHT_BIT, utf8,
            ),
            content, b"", None, {"via": "vacation"}, new_queue_id(now), Lane.REPORT,
            made.submission.queue_id,
        )  # fmt: skip
        return plan(submission, await look_up(submission, self._recipients), self._config, now)


def send(tx: Tx, accepted: Accepted, answers: Sequence[Answer], first: int) -> Steps[None]:
    """In the transaction that has accepted the message. first: the number of the first one's blob."""
    for index, answer in enumerate(answers):
        if answer.account not in accepted.placed:
            continue
        if (yield from vacation.answer(answer.account, answer.sender, tx.now)):
            yield from accept(tx, answer.plan, 0, first + index)


def wanted(made: Plan, item: Local) -> bool:
    """Whether no rule of the owner's puts it into Junk or Trash."""
    ruling = made.rulings.get(item.n)
    return ruling is None or not ruling.decision.unwanted


def automatic(fields: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether a message says that no person wrote it to this person. fields: names in lower case."""
    for name, value in fields:
        word = value.strip().lower()
        if name == b"auto-submitted" and word.partition(b";")[0].strip() != b"no":
            return True
        if name.startswith(_LISTS):
            return True
        if name == b"precedence" and word in (b"bulk", b"junk", b"list"):
            return True
        if name == b"x-auto-response-suppress" and word != b"none":
            return True
        if name == b"content-type" and word.startswith(b"multipart/report"):
            return True
    return False


def addressed(fields: Sequence[tuple[bytes, bytes]]) -> list[Address]:
    """Those in To, Cc and their resent ones, at most MAX_NAMED."""
    found: list[Address] = []
    for name, value in fields:
        if name not in (b"to", b"cc", b"resent-to", b"resent-cc"):
            continue
        for item in parse_mailboxes(value):
            try:
                local = quote_local((item.local or b"").decode())
                found.append(parse_address(f"{local}@{(item.domain or b'').decode()}"))
            except (AddressError, UnicodeDecodeError):
                continue
            if len(found) >= MAX_NAMED:
                return found
    return found


def compose(
    made: Plan,
    settings: Vacation,
    name: str,
    named: Address,
    to: Address,
    now: int,
    message_id: str,
    boundary: str,
) -> bytes:
    """The answer, with RFC 3834's fields. named: the address that the other wrote to."""
    digest = made.reading.digest
    subject = settings.subject
    if subject is None:
        other = decode_words(digest.subject) if digest.subject else ""
        other = "".join(c if c.isprintable() else " " for c in other)[:MAX_SUBJECT]
        subject = f"Auto: {other}" if other.strip() else "Automatic reply"
    header = Composer()
    header.mailboxes("From", [(name, named)])
    header.mailboxes("To", [("", to)])
    header.text("Subject", subject)
    header.date(now)
    header.structured("Message-ID", message_id)
    header.structured("Auto-Submitted", "auto-replied")
    original = digest.id.decode("ascii", "replace")
    if original and original.isascii() and original.isprintable() and " " not in original:
        header.structured("In-Reply-To", f"<{original}>")
        earlier = [item.decode("ascii", "replace") for item in digest.references][-MAX_REFERENCES:]
        ids = [*(i for i in earlier if i.isascii() and i.isprintable() and " " not in i), original]
        header.structured("References", " ".join(f"<{item}>" for item in dict.fromkeys(ids)))
    parts = [] if settings.plain is None else [text_entity(settings.plain)]
    if settings.html is not None:
        parts.append(text_entity(settings.html, "html"))
    if len(parts) == 2:
        return multipart(header, "alternative", parts, boundary)
    header.structured("MIME-Version", "1.0")
    return bytes(header)[:-2] + (parts[0] if parts else text_entity(DEFAULT_TEXT))
