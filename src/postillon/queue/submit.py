"""The one entrance for new mail, whatever protocol brings it: SMTP, LMTP, a client, a script.

`submit` returns when the message is durable: local recipients have it in their mailboxes, the others
lie in the queue, and this worker has begun with those it has room for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import structs

from postillon.clock import Clock, system_clock
from postillon.log import SILENT, Log
from postillon.mail.address import Address
from postillon.mail.outcome import Delivered
from postillon.meter import SILENT_METER, Meter
from postillon.queue import vacations
from postillon.queue.acceptance import (
    Accepted,
    Plan,
    Submission,
    SubmissionRefused,
    accept,
    look_up,
    plan_apart,
)
from postillon.queue.config import QueueConfig
from postillon.queue.ids import new_queue_id
from postillon.queue.rulings import Rulings
from postillon.queue.runner import QueueRunner
from postillon.queue.schedule import milliseconds
from postillon.queue.trace import IdTaken
from postillon.queue.vacations import Vacations
from postillon.route.recipient import Lookup, Recipients
from postillon.store.operation import Brief, NewBlob, Steps, Store, Tx

__all__ = ["Accepted", "Submission", "SubmissionRefused", "Submitter"]

Beside = Callable[[Tx, Plan, Accepted], Steps[None]]


class Submitter:
    """Accepts messages for one worker. Without a runner nothing is begun: the workers are woken."""

    def __init__(
        self,
        store: Store,
        recipients: Recipients,
        config: QueueConfig,
        *,
        runner: QueueRunner | None = None,
        rulings: Rulings | None = None,
        clock: Clock = system_clock,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
    ) -> None:
        self._store = store
        self._recipients = recipients
        self._config = config
        self._runner = runner
        self._clock = clock
        self._log = log
        self._meter = meter
        self._lease = milliseconds(config.lease)
        self._vacations = Vacations(store, recipients, config, clock)
        self._rulings = rulings or Rulings(store, recipients, config, clock=clock, log=log)

    @property
    def config(self) -> QueueConfig:
        return self._config

    def hear(self, topics: Sequence[str]) -> None:
        """Something was announced, by this process or another one."""
        self._vacations.hear(topics)
        self._rulings.hear(topics)

    async def lookup(self, address: Address) -> Lookup:
        """Where an address leads, for somebody who may relay."""
        return await self._recipients.lookup(address, may_relay=True)

    async def submit(self, submission: Submission, beside: Beside | None = None) -> Accepted:
        """Accept a message: durable when this returns.

        beside: steps of the same transaction, after the acceptance: both are done, or neither.

        Returns one outcome per envelope recipient; None is queued, and from here on ours to report.
        Raises SubmissionRefused for a mail loop; StoreFull or StoreStopped when the store takes no
        more. Then nothing of the message remains.
        """
        lookups = await look_up(submission, self._recipients)
        made = await plan_apart(submission, lookups, self._config, self._clock())
        await self._rulings.decide(made)
        answers = await self._vacations.answers(made)
        runner = self._runner
        if made.rows and runner is not None:
            runner.offer(made)

        def operation(tx: Tx) -> Steps[Accepted]:
            accepted = yield from accept(tx, made, self._lease)
            if beside is not None:
                yield from beside(tx, made, accepted)
            if answers:
                yield from vacations.send(tx, accepted, answers, 1)
            return accepted

        blobs = (NewBlob(submission.content), *(answer.blob for answer in answers))

        try:
            # What stands beside may change what was there before; new mail alone does not.
            accepted = await self._store.write(
                Brief(operation) if beside is None else operation, *blobs
            )
        except IdTaken:
            return await self.submit(
                structs.replace(submission, queue_id=new_queue_id(self._clock())), beside
            )
        if accepted.message is not None:
            if runner is not None:
                runner.begin(accepted, submission.content)
            self._meter.count("queue_accepted", "queued")
        else:
            self._meter.count("queue_accepted", "finished")
        placed = sum(isinstance(outcome, Delivered) for outcome in accepted.outcomes)
        if placed:
            self._meter.count("delivered_local", n=placed)
        return accepted
