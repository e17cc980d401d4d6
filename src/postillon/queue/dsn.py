"""People are told: reports on what became of their mail (RFC 3461, RFC 3464, FAULTS 9 and 11).

A report is owed from the moment a recipient is settled, or still waits at a mark of its age, until
`told` says that it was sent. It is written in one transaction: the report's own acceptance and the
bits of `told`. So a crash before it leaves the debt, and a crash after it no second report.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from postillon.clock import Clock
from postillon.log import SILENT, Log
from postillon.mail.compose import new_boundary
from postillon.mail.digest import HeaderDigest, collect, digest_of
from postillon.mail.envelope import Body, Envelope, Notify, Recipient
from postillon.mail.header import header_end, unfolded
from postillon.mail.outcome import Status
from postillon.mail.report import (
    Action,
    Original,
    Reported,
    compose_report,
    describe,
    history_line,
)
from postillon.mail.trace import new_message_id
from postillon.mail.words import decode_words
from postillon.meter import SILENT_METER, Meter
from postillon.queue import trace
from postillon.queue.acceptance import Plan, Submission, accept, look_up, plan, wants_report
from postillon.queue.config import QueueConfig
from postillon.queue.ids import QueueId, new_queue_id
from postillon.queue.rows import (
    Lane,
    QueueMessage,
    QueueRecipient,
    State,
    Told,
    read_status,
)
from postillon.queue.schedule import Schedule
from postillon.queue.spool import history, load, remove_finished
from postillon.route.recipient import Recipients
from postillon.store.operation import BlobLost, NewBlob, Steps, Store, Tx

DAY = 24 * 3_600_000  # ms
HOUR = 3_600_000  # ms
HEADER_READ = 256 * 1024  # octets in which the original's header is looked for
HISTORY_LINES = 3
MAX_DOMAINS = 10_000  # whose reports are counted; beyond it the oldest is forgotten
UNKNOWN = Status("4.0.0", "no more is known")

_ACTION = {
    State.FAILED: Action.FAILED,
    State.EXPIRED: Action.FAILED,
    State.DELIVERED: Action.DELIVERED,
    State.RELAYED: Action.RELAYED,
    State.EXPANDED: Action.EXPANDED,
    State.WAITING: Action.DELAYED,
    State.CLAIMED: Action.DELAYED,
}
_NOTICES = (Told.NOTHING, Told.FIRST_DELAY, Told.FIRST_DELAY | Told.SECOND_DELAY)


@dataclass(frozen=True, slots=True)
class Debt:
    """What has to be told, or to be ticked off in silence: recipients and their new bits."""

    reports: tuple[tuple[Action, tuple[QueueRecipient, ...]], ...]
    bits: dict[int, Told]

    @property
    def nothing(self) -> bool:
        return not self.bits


def debt_of(
    message: QueueMessage, recipients: Sequence[QueueRecipient], schedule: Schedule, now: int
) -> Debt:
    """What the sender has not been told yet; a pure function of the rows and the time."""
    bits: dict[int, Told] = {}
    groups: dict[Action, list[QueueRecipient]] = {}
    unsettled = any(not item.state.settled for item in recipients)
    reported = [
        item.final_at or 0 for item in recipients if item.state.bad and item.told & Told.END
    ]
    wait = unsettled and any(now - at < DAY for at in reported)
    marks = _NOTICES[schedule.marks_passed(message.accepted_at, now)]
    for item in recipients:
        if item.state.settled:
            if item.told & Told.END:
                continue
            if message.reverse_path is None or not wants_report(item):
                bits[item.n] = Told.END
            elif not (item.state.bad and wait):
                bits[item.n] = Told.END
                groups.setdefault(_ACTION[item.state], []).append(item)
        elif message.reverse_path is not None and marks & ~item.told and item.attempts:
            bits[item.n] = marks
            if item.recipient.wishes & Notify.DELAY and now < message.expires_at:
                groups.setdefault(Action.DELAYED, []).append(item)
    return Debt(tuple((action, tuple(items)) for action, items in groups.items()), bits)


class Backscatter:
    """How many reports strangers are sent: per domain and in all, in an hour (FAULTS 9)."""

    def __init__(self, config: QueueConfig) -> None:
        self._per_domain = config.reports_per_domain
        self._all = config.reports
        self._sent: deque[int] = deque()
        self._domains: dict[str, deque[int]] = {}

    def allows(self, domain: str, now: int) -> bool:
        """Whether one more may be sent now; counts it if so."""
        mine = self._domains.get(domain)
        if mine is None:
            if len(self._domains) >= MAX_DOMAINS:
                del self._domains[next(iter(self._domains))]
            mine = self._domains[domain] = deque()
        for times in (self._sent, mine):
            while times and times[0] <= now - HOUR:
                times.popleft()
        if len(mine) >= self._per_domain or len(self._sent) >= self._all:
            return False
        mine.append(now)
        self._sent.append(now)
        return True


class Reporter:
    """Writes the reports that are owed. One per worker; two of them cannot report twice."""

    def __init__(
        self,
        store: Store,
        recipients: Recipients,
        config: QueueConfig,
        *,
        hostname: str,
        clock: Clock,
        random: Random,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
    ) -> None:
        self._store = store
        self._recipients = recipients
        self._config = config
        self._hostname = hostname
        self._clock = clock
        self._random = random
        self._log = log
        self._meter = meter
        self._schedule = Schedule.of(config)
        self._backscatter = Backscatter(config)

    async def report(self, queue_id: QueueId) -> bool:
        """Tell the sender what is owed about one message. Returns whether anything was written."""
        found = self._store.read(load(queue_id))
        if found is None:
            return False
        message, recipients = found
        now = self._clock()
        debt = debt_of(message, recipients, self._schedule, now)
        if debt.nothing:
            return False
        plans: list[Plan] = []
        for action, items in debt.reports:
            made = await self._compose(message, action, items, now)
            if made is not None:
                plans.append(made)

        def operation(tx: Tx) -> Steps[bool]:
            for n, bits in debt.bits.items():
                rows = yield (
                    "UPDATE queue_recipient SET told = told | ? WHERE queue_id = ? AND n = ?"
                    " AND told & ? <> ? RETURNING n",
                    (int(bits), queue_id, n, int(bits), int(bits)),
                )
                if not rows:
                    return False  # another worker has told it meanwhile
            for index, made in enumerate(plans):
                yield from accept(tx, made, 0, index)
                facts = {"report": made.submission.queue_id, "to": str(message.reverse_path)}
                yield from trace.event(queue_id, tx.now, "reported", facts)
            yield from remove_finished(queue_id)
            return True

        try:
            written = await self._store.write(
                operation, *(NewBlob(made.submission.content) for made in plans)
            )
        except trace.IdTaken:
            return await self.report(queue_id)
        if written:
            for action, _ in debt.reports[: len(plans)]:
                self._meter.count("reports", action.value)
            for made in plans:
                self._log.info(
                    "reported", queue_id=message.name, report=made.copy.queue_id,
                    to=str(message.reverse_path),
                )  # fmt: skip
        return written

    async def _compose(
        self, message: QueueMessage, action: Action, items: Sequence[QueueRecipient], now: int
    ) -> Plan | None:
        """The report as a message ready to be accepted; None when it must not or cannot be sent."""
        to = message.reverse_path
        assert to is not None
        if message.submitter is None and not self._backscatter.allows(to.domain, now):
            self._meter.count("reports_suppressed")
            self._log.warning("report suppressed", queue_id=message.name, to=str(to))
            return None
        report = compose_report(
            hostname=self._hostname,
            to=to,
            recipients=[self._reported(message, action, item) for item in items],
            original=self._original(message, action),
            now=now,
            message_id=new_message_id(self._hostname, self._random.randbytes(12)),
            boundary=new_boundary(self._random.randbytes(18)),
        )
        submission = Submission(
            Envelope(
                None,
                (Recipient(to, Notify.NEVER),),
                Body.EIGHT_BIT if report.eight_bit else Body.SEVEN_BIT,
                report.smtputf8,
            ),
            report.content,
            b"",
            None,
            {"via": "report"},
            new_queue_id(now),
            Lane.REPORT,
            message.queue_id,
        )
        made = plan(submission, await look_up(submission, self._recipients), self._config, now)
        if made.refused:
            self._meter.count("reports_undeliverable")
            self._log.info("report undeliverable", queue_id=message.name, to=str(to))
            return None
        return made

    def _reported(self, message: QueueMessage, action: Action, item: QueueRecipient) -> Reported:
        delayed = action is Action.DELAYED
        return Reported(
            item.recipient.forward_path,
            action,
            item.status or UNKNOWN,
            original=item.recipient.original,
            last_try_at=item.last_at,
            next_try_at=item.due_at if delayed else None,
            give_up_at=message.expires_at if delayed else None,
            history=self._history(message, item),
        )

    def _history(self, message: QueueMessage, item: QueueRecipient) -> tuple[str, ...]:
        """The first try, how many there were, and the last: three lines at most."""
        tries = self._store.read(history(message.queue_id, item.n))
        lines = [
            history_line(at, describe(read_status(status) or UNKNOWN)) for at, _, status in tries
        ]
        if len(lines) > HISTORY_LINES or item.attempts > len(lines):
            between = f"{item.attempts - 2} more tries in between"
            lines = [lines[0], between, lines[-1]]
        return tuple(lines)

    def _original(self, message: QueueMessage, action: Action) -> Original:
        """What the report returns of the message: its header, or all of it where that was asked."""
        try:
            block = self._store.content(message.ref, 0, min(message.ref.length, HEADER_READ))
            block = block[: header_end(block, 0, len(block))]
            whole = None
            failed = action is Action.FAILED
            if failed and message.ret_full and message.ref.length <= self._config.returned_content:
                whole = message.prefix + self._store.content(message.ref)
        except BlobLost as error:
            self._log.error("content lost", queue_id=message.name, error=str(error))
            return Original(message.prefix, envid=message.envid, arrived_at=message.accepted_at)
        header = message.prefix + block
        digest: HeaderDigest = digest_of(collect(unfolded(header)))
        return Original(
            header,
            whole,
            _bracketed(digest.id),
            tuple(_bracketed(item) for item in digest.references),
            decode_words(digest.subject) if digest.subject else "",
            message.envid,
            message.accepted_at,
        )


def _bracketed(message_id: bytes | None) -> str:
    """A message id as it may stand in a field of ours; "" when it cannot."""
    if not message_id:
        return ""
    text = message_id.decode("ascii", "replace")
    return f"<{text}>" if text.isprintable() and " " not in text and "�" not in text else ""
