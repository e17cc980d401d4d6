"""What the rules of local recipients make of a message, decided before the transaction that places it.

Who has none is kept in memory, so that mail for them costs nothing. A rule that fails is a line in the
log and a word in the trace, and the message goes its usual way.

A copy that a rule sends is a message of its own, accepted by the transaction that places the one it is
of. It is as it came (RFC 5228 section 4.2), with the owner's Delivered-To before it: coming back, it is
seen to be a loop (FAULTS 10). Reports about it go to the owner: whoever wrote learns no other address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from postillon.account import rules
from postillon.account.ids import AccountId
from postillon.account.rules import FAILED, decided
from postillon.clock import Clock
from postillon.log import SILENT, Log
from postillon.mail.address import AddressError, parse_address
from postillon.mail.envelope import Envelope, Notify, Recipient
from postillon.mail.header import MAX_HEADER, header_end, unfolded
from postillon.mail.mime import Scan
from postillon.mail.octets import Octets
from postillon.mail.rules import MAX_FORWARDS, Facts, matched
from postillon.mail.trace import delivered_to, return_path
from postillon.protocol.jmap.bodies import has_attachment
from postillon.queue.acceptance import (
    Plan,
    Ruling,
    Submission,
    SubmissionRefused,
    look_up,
    plan_apart,
)
from postillon.queue.config import QueueConfig
from postillon.queue.ids import QueueId, format_queue_id, new_queue_id
from postillon.queue.rows import Lane, QueueMessage
from postillon.route.recipient import LocalTarget, Recipients
from postillon.store.operation import EVERYTHING, Store
from postillon.store.remembered import Remembered

MAX_REMEMBERED = 20_000  # accounts without a rule
MAX_PASSED = 5  # Delivered-To fields of a message that rules still send copies of
MAX_COPIES = 20  # of one message, those of other accounts' rules among them
_PREFIX = f"{rules.TOPIC}:"


@dataclass(frozen=True, slots=True)
class Letter:
    """What is the same for all recipients of a message. header: see Submission."""

    queue_id: QueueId
    envelope: Envelope
    content: Octets
    header: bytes
    reading: Scan
    lane: Lane

    @classmethod
    def of(cls, made: Plan) -> Letter:
        what = made.submission
        return cls(what.queue_id, what.envelope, what.content, what.header, made.reading, made.lane)

    @classmethod
    def kept(cls, message: QueueMessage, content: Octets, reading: Scan) -> Letter:
        """One that waits in the queue."""
        envelope = Envelope(message.reverse_path, (), message.body, message.smtputf8)
        return cls(message.queue_id, envelope, content, message.prefix, reading, message.lane)

    def facts(self, target: LocalTarget) -> Facts:
        path = return_path(self.envelope.reverse_path)
        prefix = path + delivered_to(target.address) + self.header

        def fields() -> Sequence[tuple[bytes, bytes]]:
            content = self.content
            end = header_end(content, 0, min(len(content), MAX_HEADER))
            return unfolded(prefix + bytes(content[:end]))

        size = len(prefix) + len(self.content)
        return Facts(fields, size, lambda: has_attachment(self.reading.structure))


class Rulings:
    """For one worker."""

    def __init__(
        self,
        store: Store,
        recipients: Recipients,
        config: QueueConfig,
        *,
        clock: Clock,
        log: Log = SILENT,
    ) -> None:
        self._store = store
        self._recipients = recipients
        self._config = config
        self._clock = clock
        self._log = log
        self._without: Remembered[AccountId, bool] = Remembered(clock, MAX_REMEMBERED)

    def hear(self, topics: Sequence[str]) -> None:
        """Something was announced, by this process or another one."""
        for topic in topics:
            if topic == EVERYTHING:
                self._without.forget_all()
            elif topic.startswith(_PREFIX):
                self._without.forget(AccountId(int(topic.removeprefix(_PREFIX))))

    async def decide(self, made: Plan) -> None:
        """Ask the rules of those a message is about to be placed for."""
        if made.local:
            await self._decide(made, _Copies())

    async def _has(self, account: AccountId) -> bool:
        if self._without.find(account):
            return False
        heard = self._without.heard
        found = await self._store.query(rules.asked(account))
        if not found:
            self._without.keep(account, True, heard)
        return found

    async def ask(
        self, letter: Letter, targets: Mapping[int, LocalTarget], now: int
    ) -> dict[int, Ruling]:
        """The same for recipients whose mailboxes were full, by their numbers. now: ms."""
        return await self._rule(letter, targets, now, _Copies())

    async def _decide(self, made: Plan, copies: _Copies) -> None:
        targets = {
            item.n: item.target
            for item in made.local
            if not item.loop and await self._has(item.target.account)
        }
        if targets:
            made.rulings = await self._rule(Letter.of(made), targets, made.accepted_at, copies)

    async def _rule(
        self, letter: Letter, targets: Mapping[int, LocalTarget], now: int, copies: _Copies
    ) -> dict[int, Ruling]:
        found = {}
        sent: set[AccountId] = set()  # a second copy for one account is forwarded no second time
        for n, target in targets.items():
            try:
                ruling = await self._one(letter, target, now, copies, target.account not in sent)
            except Exception as error:  # whatever it is, the message arrives
                self._log.error(
                    "rules failed", queue_id=format_queue_id(letter.queue_id),
                    account=target.account, error=repr(error),
                )  # fmt: skip
                ruling = Ruling(FAILED)
            if ruling is not None:
                found[n] = ruling
                sent.add(target.account)
        return found

    async def _one(
        self, letter: Letter, target: LocalTarget, now: int, copies: _Copies, sends: bool
    ) -> Ruling | None:
        every = await self._store.query(rules.enabled(target.account))
        hits = matched(every, letter.facts(target))
        if not hits:
            return None
        decision = decided(hits)
        forwards, withheld = [], []
        for n, address in enumerate(decision.forwards if sends else ()):
            copy = None
            if n < MAX_FORWARDS:
                copy = await self._copy(letter, target, address, now, copies)
            if copy is None:
                withheld.append(address)
            else:
                forwards.append(copy)
        return Ruling(decision, forwards, tuple(withheld))

    async def _copy(
        self, letter: Letter, target: LocalTarget, address: str, now: int, copies: _Copies
    ) -> Plan | None:
        """None where it would go round in a circle, or nobody takes it."""
        if len(letter.reading.delivered_to) >= MAX_PASSED or copies.made >= MAX_COPIES:
            return None
        copies.made += 1
        try:
            path = parse_address(address)
        except AddressError:  # it was one when it was set
            return None
        null = letter.envelope.reverse_path is None
        utf8 = letter.envelope.smtputf8 or not (path.ascii and target.address.ascii)
        submission = Submission(
            Envelope(
                None if null else target.address,
                (Recipient(path, Notify.NEVER if null else None),),
                letter.envelope.body,
                utf8,
            ),
            letter.content,
            delivered_to(target.address) + letter.header,
            target.account,
            {"via": "rule", "copy_of": format_queue_id(letter.queue_id)},
            new_queue_id(now),
            letter.lane,
        )
        try:
            lookups = await look_up(submission, self._recipients)
            made = await plan_apart(submission, lookups, self._config, now)
        except SubmissionRefused:
            return None
        if made.refused or any(item.loop for item in made.local):
            return None
        await self._decide(made, copies)
        return made


@dataclass(slots=True)
class _Copies:
    """Counts over all that one message sets off."""

    made: int = 0
