"""People are told: reports on what became of their mail (RFC 3461, RFC 3464, FAULTS 9 and 11).

What is owed is in `debt`, how much may be sent in `restraint`. A report is written in one transaction:
its own acceptance and the bits of `told`. So a crash before it leaves the debt, and a crash after it
no second report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from postillon.clock import Clock
from postillon.directory import principals
from postillon.log import SILENT, Log
from postillon.mail.address import Address
from postillon.mail.compose import new_boundary
from postillon.mail.envelope import Body, Envelope, Notify, Recipient
from postillon.mail.report import Action, Report, Reported, compose_report, compose_summary
from postillon.mail.trace import new_message_id
from postillon.mail.wording import languages
from postillon.mail.wording.catalogue import Wording
from postillon.meter import SILENT_METER, Meter
from postillon.queue import trace
from postillon.queue.acceptance import Plan, Submission, accept, look_up, plan
from postillon.queue.config import QueueConfig
from postillon.queue.debt import (
    Debt,
    count_owed,
    debt_of,
    failures_owed,
    lines_of,
    tick,
    tick_failures,
)
from postillon.queue.ids import QueueId, new_queue_id
from postillon.queue.patience import Patience, mail_of
from postillon.queue.reporting import Seen, histories, reported, see
from postillon.queue.restraint import Restraint, Verdict
from postillon.queue.rows import Lane, QueueMessage, QueueRecipient, Told
from postillon.queue.schedule import Schedule
from postillon.queue.spool import load, remove_finished
from postillon.route.recipient import Recipients
from postillon.store.operation import BlobLost, NewBlob, Steps, Store, Tx

HEADER_READ = 256 * 1024  # octets in which the original's header is looked for
SUMMARY_MESSAGES = 200  # of which a summary tells with their recipients; it counts the others
SUMMARY_RECIPIENTS = 1_000  # of which it tells; a message is not begun beyond them


@dataclass(frozen=True, slots=True)
class _Written:
    """A report on its way into the queue."""

    action: Action
    plan: Plan


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
        self._patience = Patience(config)
        self._restraint = Restraint(config)

    async def report(self, queue_id: QueueId) -> bool:
        """Tell the sender what is owed about one message. Returns whether anything was written.

        False with a debt left: it waits for other recipients of the message, or for a summary.
        """
        found = await self._store.query(load(queue_id))
        if found is None:
            return False
        message, recipients = found
        now = self._clock()
        debt = debt_of(message, recipients, self._schedule, now)
        to = message.reverse_path
        if debt.nothing:
            return False
        if to is not None and self._restraint.summary_due(to, now):
            summed = await self._summarise(to, now)
            if summed is not None:
                return summed
        seen = await self._see(message) if debt.reports else None
        written: list[_Written] = []
        withheld: list[tuple[Action, Verdict]] = []
        for action, items in debt.reports:
            assert seen is not None
            verdict = self._judge(message, seen, action, now)
            if verdict is Verdict.LATER:
                debt = debt.without(action)
                continue
            made = None
            if verdict is Verdict.SEND:
                made = await self._compose(message, seen, action, items, now)
                verdict = Verdict.UNDELIVERABLE if made is None else verdict
            if made is None:
                withheld.append((action, verdict))
            else:
                written.append(_Written(action, made))
        if debt.nothing:
            return False
        try:
            return await self._write(message, debt, written, withheld)
        except trace.IdTaken:
            return await self.report(queue_id)

    async def _write(
        self,
        message: QueueMessage,
        debt: Debt,
        written: Sequence[_Written],
        withheld: Sequence[tuple[Action, Verdict]],
    ) -> bool:
        """Make reports and ticks durable together. False: another worker was faster."""
        queue_id, to = message.queue_id, str(message.reverse_path)

        def operation(tx: Tx) -> Steps[bool]:
            if not (yield from tick(queue_id, debt.bits)):
                return False
            for index, one in enumerate(written):
                yield from accept(tx, one.plan, 0, index)
                facts: dict[str, object] = {
                    "report": one.plan.submission.queue_id, "to": to, "action": one.action.value,
                }  # fmt: skip
                yield from trace.event(queue_id, tx.now, "reported", facts)
            for action, verdict in withheld:
                facts = {"to": to, "action": action.value, "why": verdict.value}
                yield from trace.event(queue_id, tx.now, "report withheld", facts)
            yield from remove_finished(queue_id)
            return True

        blobs = [NewBlob(one.plan.submission.content) for one in written]
        done = await self._store.write(operation, *blobs)
        if done:
            for one in written:
                self._meter.count("reports", one.action.value)
                self._log.info(
                    "reported", queue_id=message.name, report=one.plan.copy.queue_id, to=to,
                    action=one.action.value,
                )  # fmt: skip
            for action, verdict in withheld:
                self._meter.count("reports_withheld", verdict.value)
                self._log.warning(
                    "report withheld", queue_id=message.name, to=to, action=action.value,
                    why=verdict.value,
                )  # fmt: skip
        return done

    def _judge(self, message: QueueMessage, seen: Seen, action: Action, now: int) -> Verdict:
        assert message.reverse_path is not None  # nothing is owed to the null sender
        stranger = message.submitter is None
        if stranger and seen.report:
            return Verdict.REPORT
        return self._restraint.judge(
            message.reverse_path,
            now,
            stranger=stranger,
            final=action is Action.FAILED,
            wished=action not in (Action.FAILED, Action.DELAYED),
        )

    # One report

    async def _compose(
        self,
        message: QueueMessage,
        seen: Seen,
        action: Action,
        items: Sequence[QueueRecipient],
        now: int,
    ) -> Plan | None:
        """The report as a message ready to be accepted; None when it cannot be delivered."""
        to = message.reverse_path
        assert to is not None
        original = seen.original
        if action is Action.FAILED and message.ret_full:
            original = replace(original, content=await self._whole(message))
        report = compose_report(
            hostname=self._hostname,
            to=to,
            recipients=await self._reported(message, action, items, now),
            original=original,
            now=now,
            message_id=new_message_id(self._hostname, self._random.randbytes(12)),
            boundary=new_boundary(self._random.randbytes(18)),
            wording=await self._wording(message, seen),
        )
        return await self._planned(report, to, now, message.queue_id)

    async def _planned(
        self, report: Report, to: Address, now: int, about: QueueId | None
    ) -> Plan | None:
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
            about,
        )
        made = plan(submission, await look_up(submission, self._recipients), self._config, now)
        return None if made.refused else made

    async def _reported(
        self, message: QueueMessage, action: Action, items: Sequence[QueueRecipient], now: int
    ) -> list[Reported]:
        numbers = [item.n for item in items]
        first = await self._store.query(histories(message.queue_id, numbers))
        lines = {}
        if action in (Action.FAILED, Action.DELAYED):
            lines = await self._store.query(lines_of(message.queue_id))
        return [
            reported(
                item,
                action,
                message.starts_at,
                self._give_up_at(message, item),
                first.get(item.n),
                lines.get(item.n),
                now,
            )
            for item in items
        ]

    def _give_up_at(self, message: QueueMessage, item: QueueRecipient) -> int:
        """When a recipient is given up (ms): sooner than its message where a rule says so."""
        host = item.status.host if item.status is not None else ""
        mail = mail_of(message.reverse_path is None, message.lane)
        terms = self._patience.terms(item.destination, (host,) if host else (), mail)
        return min(message.expires_at, message.starts_at + terms.lifetime)

    # The message it is about

    async def _see(self, message: QueueMessage) -> Seen:
        """What a report takes from the original's header; what is lost is left out."""
        ref = message.ref
        try:
            block = await self._store.fetch(ref, 0, min(ref.length, HEADER_READ))
        except BlobLost as error:
            self._log.error("content lost", queue_id=message.name, error=str(error))
            block = b""
        return see(message, block)

    async def _whole(self, message: QueueMessage) -> bytes | None:
        """All of the message, where that was asked for and it is not too large (RET=FULL)."""
        if message.ref.length > self._config.returned_content:
            return None
        try:
            return message.prefix + await self._store.fetch(message.ref)
        except BlobLost as error:
            self._log.error("content lost", queue_id=message.name, error=str(error))
            return None

    async def _wording(self, message: QueueMessage, seen: Seen) -> Wording:
        """In the sender's language: the account's, the message's, the server's, or English."""
        owner = None
        if message.submitter is not None:
            owner = await self._store.query(principals.get(message.submitter))
        elif message.reverse_path is not None:
            owner = await self._store.query(principals.by_login(str(message.reverse_path)))
        own = owner.language if owner is not None else ""
        return languages.choose((own, *seen.languages, self._config.report_language))

    # Many at once

    async def _summarise(self, to: Address, now: int) -> bool | None:
        """Tell a sender of ours of all failures that are owed, in one report.

        None when it is but one message: the flood is over, and that one is told as usual.
        """
        count = await self._store.query(count_owed(to, now))
        if count < 2:
            self._restraint.calm(to)
            return None
        owed = await self._store.query(failures_owed(to, now, 0, SUMMARY_MESSAGES))
        told: list[QueueId] = []
        messages = []
        recipients = 0
        wording: Wording | None = None
        for queue_id in owed:
            if recipients >= SUMMARY_RECIPIENTS:
                break
            found = await self._store.query(load(queue_id))
            if found is None:
                continue
            message, rows = found
            failed = [
                item for item in rows
                if item.state.bad and not item.told & Told.END and (item.final_at or 0) <= now
            ]  # fmt: skip
            seen = await self._see(message)
            wording = wording or await self._wording(message, seen)
            messages.append(
                (seen.original, await self._reported(message, Action.FAILED, failed, now))
            )
            recipients += len(failed)
            told.append(queue_id)
        if not messages or wording is None:
            return None
        report = compose_summary(
            hostname=self._hostname,
            to=to,
            messages=messages,
            more=count - len(messages),
            now=now,
            message_id=new_message_id(self._hostname, self._random.randbytes(12)),
            boundary=new_boundary(self._random.randbytes(18)),
            wording=wording,
        )
        return await self._write_summary(report, to, now, told, count)

    async def _write_summary(
        self, report: Report, to: Address, now: int, told: Sequence[QueueId], count: int
    ) -> bool:
        """The summary and the ticks of the messages it names; then those that it only counts.

        A crash in between leaves the latter owed: the next summary speaks of them again.
        """
        made = await self._planned(report, to, now, None)
        facts: dict[str, object] = {"to": str(to), "action": Action.FAILED.value, "messages": count}
        kind = "reported"
        if made is None:
            kind, facts["why"] = "report withheld", Verdict.UNDELIVERABLE.value
        else:
            facts["report"] = made.submission.queue_id

        def operation(tx: Tx) -> Steps[None]:
            if made is not None:
                yield from accept(tx, made, 0)
            if (yield from tick_failures(tx, told, now, kind, facts)) < len(told):
                raise _Overtaken

        try:
            await self._store.write(operation, *(() if made is None else (_blob(made),)))
        except trace.IdTaken:
            return await self._write_summary(report, to, now, told, count)
        except _Overtaken:
            return False  # another worker has told of one of them: look again
        self._restraint.summarised(to, now)
        if made is None:
            self._meter.count("reports_withheld", Verdict.UNDELIVERABLE.value, count)
        else:
            self._meter.count("reports", "summary")
        self._log.info("reported many", to=str(to), messages=count, **_named(made))
        rest: Sequence[QueueId] = told
        while True:
            page = failures_owed(to, now, rest[-1], SUMMARY_MESSAGES)
            rest = await self._store.query(page)
            if not rest:
                return True

            def ticking(tx: Tx, rest: Sequence[QueueId] = rest) -> Steps[int]:
                return tick_failures(tx, rest, now, kind, facts)

            await self._store.write(ticking)


class _Overtaken(Exception):
    """Another worker has told meanwhile; nothing of the operation remains."""


def _blob(made: Plan) -> NewBlob:
    return NewBlob(made.submission.content)


def _named(made: Plan | None) -> dict[str, object]:
    return {} if made is None else {"report": made.copy.queue_id}
