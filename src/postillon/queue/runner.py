"""Moves what waits: claims due recipients, has an agent try them, and settles how it ended.

One per worker. What it has in hand is bounded in number and octets; the rest waits in rows, so
neither memory nor start-up depends on the length of the queue. States and what a crash leaves of
each: docs/queue.md.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from random import Random

from postillon.account.emails import Placed
from postillon.clock import Clock
from postillon.deliver.agent import DeliveryAgent, QueuedMessage
from postillon.deliver.local import Copy, deliver_copy, prepare
from postillon.log import SILENT, Log
from postillon.mail.mime import scan
from postillon.mail.octets import Octets
from postillon.mail.outcome import Deferred, Delivered, Outcome, Status
from postillon.meter import SILENT_METER, Meter
from postillon.queue import spool
from postillon.queue.acceptance import Accepted, Plan, wants_report
from postillon.queue.circuit import Circuits
from postillon.queue.config import QueueConfig
from postillon.queue.dsn import Reporter
from postillon.queue.ids import QueueId
from postillon.queue.rows import QueueMessage, QueueRecipient, State, Told, local_target
from postillon.queue.schedule import Schedule, milliseconds
from postillon.queue.spool import Result
from postillon.store.operation import (
    BlobLost,
    Steps,
    Store,
    StoreError,
    StoreStopped,
    Tx,
    WriteOperation,
)

LARGE = 256 * 1024  # octets from which content is read in another thread
POLL_S = 30.0  # the longest sleep between looks at the rows, should a wake-up be lost
BUSY_WAIT = 30_000  # ms a recipient waits on disk when its destination has enough in hand
STORE_PAUSE_S = 2.0  # after the store has refused, before it is asked again
UNTOLD_BATCH = 100  # messages with reports owed that one look takes up
UNDER_WAY = 60_000  # ms until the reports of a message that is just being tried are looked at again
REPORT_LATER = 3_600_000  # ms, when a report has to wait for the message's other recipients
STOP_PATIENCE_S = 5.0  # for deliveries under way at a clean stop
BACKLOG = 2  # times the destination's concurrency that may wait in memory
OUR_FAULT = Status("4.3.0", "an internal error; we try again")
LOST = Status("4.3.0", "the message cannot be read at the moment")


@dataclass(slots=True)
class Work:
    """Recipients of one message for one destination, in hand. `content` None is read when begun."""

    message: QueueMessage | None
    queue_id: QueueId
    destination: str
    numbers: tuple[int, ...]
    content: Octets | None = None
    size: int = 0

    @property
    def local(self) -> bool:
        return self.destination.startswith("local/")


class QueueRunner:
    def __init__(
        self,
        store: Store,
        agent: DeliveryAgent,
        reporter: Reporter,
        config: QueueConfig,
        *,
        clock: Clock,
        random: Random,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
        worker: str,
    ) -> None:
        self._store = store
        self._agent = agent
        self._reporter = reporter
        self._config = config
        self._clock = clock
        self._random = random
        self._log = log
        self._meter = meter
        self._worker = worker
        self._lease = milliseconds(config.lease)
        self._schedule = Schedule.of(config)
        self._circuits = Circuits(
            milliseconds(config.shortest_probe),
            milliseconds(config.longest_probe),
            config.max_per_destination,
        )
        self._wake = asyncio.Event()
        self._running: dict[asyncio.Task[None], Work] = {}
        self._in_flight: Counter[str] = Counter()  # deliveries under way, by destination
        self._messages: Counter[QueueId] = Counter()  # the same, by message
        self._pending: dict[str, deque[Work]] = {}  # in hand, their destination has no place yet
        self._in_hand = 0  # deliveries under way or pending
        self._memory = 0  # octets of content of those
        self._alone = False  # a suspect waits for the others to end, or is being tried
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._orphans: set[tuple[QueueId, int]] = (
            set()
        )  # claimed, but not in hand, at the last look

    # Life

    async def start(self) -> None:
        """Take over what a former life of this worker had in hand, then work until `stop`."""
        crashes = self._config.crashes

        def operation(tx: Tx) -> Steps[int]:
            return spool.take_over(tx, self._worker, crashes, mine=True)

        freed = await self._store.write(operation)
        if freed:
            self._log.warning("taken over from a former life", recipients=freed)
        self._tasks = [
            asyncio.create_task(self._run(), name="queue"),
            asyncio.create_task(self._keep_leases(), name="queue leases"),
        ]

    async def stop(self) -> None:
        """Let deliveries under way end for a moment, then give back what is in hand."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._running:
            await asyncio.wait(self._running, timeout=STOP_PATIENCE_S)
        for delivery in list(self._running):
            delivery.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

        def operation(tx: Tx) -> Steps[None]:
            return spool.give_all_back(tx, self._worker)

        with suppress(StoreError):
            await self._store.write(operation)

    def wake(self) -> None:
        """Look at the rows soon: something may be due."""
        self._wake.set()

    @property
    def in_hand(self) -> int:
        return self._in_hand

    # New mail, claimed by the transaction that accepts it

    def offer(self, made: Plan) -> None:
        """Claim in the plan what this worker can begin at once."""
        if not made.travels or self._stopping or self._alone or not self._tasks:
            return
        size = len(made.submission.content)
        wanted: dict[str, None] = {}
        for row in made.rows:
            if (
                row.state is State.WAITING
                and not row.local
                and self._has_room(len(wanted), size)
                and self._backlog(row.destination)
                and self._circuits.open_until(row.destination) is None
            ):
                wanted[row.destination] = None
        if wanted:
            made.claim(self._worker, tuple(wanted))

    def begin(self, accepted: Accepted, content: Octets) -> None:
        """Start with the rows that the accepting transaction has claimed."""
        message = accepted.message
        assert message is not None
        groups: dict[str, list[int]] = {}
        for row in accepted.rows:
            if row.state is State.CLAIMED:
                groups.setdefault(row.destination, []).append(row.n)
        for destination, numbers in groups.items():
            self._admit(
                Work(message, message.queue_id, destination, tuple(numbers), content, len(content))
            )

    def _has_room(self, more: int, octets: int) -> bool:
        return self._in_hand + more < self._config.max_active and (
            self._in_hand == 0 or self._memory + octets <= self._config.max_active_memory
        )

    def _backlog(self, destination: str) -> bool:
        """Whether one more for this destination may be kept in hand."""
        held = self._in_flight[destination] + len(self._pending.get(destination, ()))
        return held < BACKLOG * self._config.max_per_destination

    # What is due

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            wait = POLL_S
            try:
                await self._claim()
                await self._report()
                due = self._store.read(spool.next_due())
                if due is not None and not self._alone and self._has_room(0, 0):
                    wait = min(POLL_S, max(0.01, (due - self._clock()) / 1000))
            except StoreStopped:
                return
            except Exception as error:  # the queue must go on whatever happened to one look
                self._log.error("queue", error=repr(error))
                wait = STORE_PAUSE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def _report(self) -> None:
        """Tell senders what is owed to them, but for messages that are being tried just now."""
        now = self._clock()
        for queue_id in await self._store.query(spool.untold(now, UNTOLD_BATCH)):
            if self._messages[queue_id] or not await self._reporter.report(queue_id):
                later = now + (UNDER_WAY if self._messages[queue_id] else REPORT_LATER)
                await self._store.write(
                    lambda tx, owed=queue_id, at=later: spool.tell_later(owed, at)  # type: ignore[misc]
                )

    async def _claim(self) -> None:
        """Take what is due, as long as there is room."""
        now = self._clock()
        if self._store.read(spool.suspect_waits(now)):
            self._alone = True
            if self._in_hand:
                return  # the suspect waits until the others have ended; nothing new begins
            works = await self._store.write(
                lambda tx: spool.claim_suspect(tx, self._worker, self._lease)
            )
            for work in works:
                self._take(work)
            self._alone = bool(works)
            return
        self._alone = False
        while self._has_room(0, 0) and not self._stopping:
            due = self._store.read(spool.next_due())
            if due is None or due > now:
                return
            limit = self._config.max_active - self._in_hand
            works = await self._store.write(self._claim_due(limit))
            if not works:
                return
            for work in works:
                self._take(work)

    def _claim_due(self, limit: int) -> WriteOperation[list[spool.InHand]]:
        return lambda tx: spool.claim_due(tx, self._worker, self._lease, limit)

    def _take(self, found: spool.InHand) -> None:
        self._admit(Work(None, found.queue_id, found.destination, found.numbers))

    def _admit(self, work: Work) -> None:
        self._in_hand += 1
        self._memory += work.size
        if not self._launch(work):
            self._pending.setdefault(work.destination, deque()).append(work)
            if not self._in_flight[work.destination]:
                self._send_back(work.destination)

    def _launch(self, work: Work) -> bool:
        """Begin a delivery if its destination has a place for it."""
        destination = work.destination
        if not work.local and (
            self._in_flight[destination] >= self._circuits.concurrency(destination)
            or not self._circuits.allows(destination, self._clock())
        ):
            return False
        self._in_flight[destination] += 1
        self._messages[work.queue_id] += 1
        task = asyncio.create_task(self._deliver(work))
        self._running[task] = work
        task.add_done_callback(self._ended)
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        work = self._running.pop(task)
        self._in_hand -= 1
        self._memory -= work.size
        destination = work.destination
        self._in_flight[destination] -= 1
        if not self._in_flight[destination]:
            del self._in_flight[destination]
        if self._messages[work.queue_id] <= 1:
            del self._messages[work.queue_id]
        else:
            self._messages[work.queue_id] -= 1
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("delivery", error=repr(error), destination=destination)
        if self._stopping:
            return
        waiting = self._pending.get(destination)
        while waiting and self._launch(waiting[0]):
            waiting.popleft()
        if waiting and not self._in_flight[destination]:
            self._send_back(destination)
        if not waiting:
            self._pending.pop(destination, None)
        self._wake.set()

    def _send_back(self, destination: str) -> None:
        """Give what is pending for a destination that is down or busy back to the rows."""
        works = self._pending.pop(destination, deque())
        now = self._clock()
        due = self._circuits.open_until(destination) or now + BUSY_WAIT
        for work in works:
            self._in_hand -= 1
            self._memory -= work.size
        if not works:
            return
        jitter = self._random.random()

        async def give_back() -> None:
            with suppress(StoreStopped):
                await self._store.write(operation)

        def operation(tx: Tx) -> Steps[None]:
            for work in works:
                later = max(due, now) + round(jitter * 1_000)
                yield from spool.give_back(tx, self._worker, work.queue_id, work.numbers, later)

        task = asyncio.create_task(give_back())
        self._tasks.append(task)
        task.add_done_callback(self._tasks.remove)

    # One delivery

    async def _deliver(self, work: Work) -> None:
        found = self._store.read(spool.load(work.queue_id))
        if found is None:
            return
        message, recipients = found
        mine = [
            item
            for item in recipients
            if item.n in work.numbers
            and item.state is State.CLAIMED
            and item.claimed_by == self._worker
        ]
        if not mine:
            return
        content = work.content
        if content is None:
            content = await self._content(work, message)
        if content is None:
            outcomes: Sequence[Outcome] = [Deferred(LOST)] * len(mine)
        elif work.local:
            await self._place(message, mine, content)
            return
        else:
            outcomes = await self._try(message, work.destination, mine, content)
        await self._settle(message, work.destination, mine, outcomes)

    async def _content(self, work: Work, message: QueueMessage) -> Octets | None:
        try:
            if message.ref.length < LARGE:
                content = self._store.content(message.ref)
            else:
                content = await self._store.content_apart(message.ref)
        except BlobLost as error:
            self._log.error("content lost", queue_id=message.name, error=str(error))
            return None
        work.size = len(content)
        self._memory += work.size
        return content

    async def _try(
        self,
        message: QueueMessage,
        destination: str,
        mine: Sequence[QueueRecipient],
        content: Octets,
    ) -> Sequence[Outcome]:
        queued = QueuedMessage(
            message.queue_id, message.name, message.reverse_path, message.prefix, content,
            message.body, message.smtputf8, message.ret_full, message.envid,
        )  # fmt: skip
        try:
            outcomes = await self._agent.deliver(
                queued, destination, [item.recipient for item in mine]
            )
            if len(outcomes) == len(mine):
                return outcomes
            self._log.error("agent gave the wrong number of outcomes", queue_id=message.name)
        except Exception as error:  # a bug of the agent must not lose the message
            self._log.error("agent failed", queue_id=message.name, error=repr(error))
        self._circuits.abandoned(destination)
        return [Deferred(OUR_FAULT)] * len(mine)

    async def _settle(
        self,
        message: QueueMessage,
        destination: str,
        mine: Sequence[QueueRecipient],
        outcomes: Sequence[Outcome],
    ) -> None:
        now = self._clock()
        probe_at: int | None = None
        if any(isinstance(outcome, Deferred) and outcome.destination for outcome in outcomes):
            probe_at = self._circuits.failed(destination, now, self._random.random())
        elif any(outcome.status is not OUR_FAULT for outcome in outcomes):
            self._circuits.answered(destination)
        results = [
            self._result(message, item, outcome, now, probe_at)
            for item, outcome in zip(mine, outcomes, strict=True)
        ]

        def operation(tx: Tx) -> Steps[None]:
            return spool.settle(tx, message.queue_id, self._worker, results)

        while True:
            try:
                await self._store.write(operation)
                break
            except StoreStopped:
                return
            except StoreError as error:  # a full disk: what was sent must not be sent again
                self._log.error("not settled yet", queue_id=message.name, error=str(error))
                await asyncio.sleep(STORE_PAUSE_S)
        await self._aftermath(message, mine, results)

    async def _place(
        self, message: QueueMessage, mine: Sequence[QueueRecipient], content: Octets
    ) -> None:
        """Local recipients that could not be placed at once: the same operation, later."""
        copy: Copy = prepare(
            content,
            scan(content, message.prefix),
            trace=message.prefix,
            reverse_path=message.reverse_path,
            at=message.accepted_at,
            queue_id=message.queue_id,
        )

        def operation(tx: Tx) -> Steps[list[Result]]:
            results: list[Result] = []
            ref = yield from spool.ref_of(message.queue_id)
            if ref is None:
                return results
            for item in mine:
                held = yield from spool.holds(message.queue_id, item.n, self._worker)
                if not held:
                    continue
                target = local_target(item.destination, item.recipient.forward_path)
                outcome, placed = yield from deliver_copy(tx, copy, target, ref)
                results.append(self._result(message, item, outcome, tx.now, None, placed))
            yield from spool.settle(tx, message.queue_id, self._worker, results)
            return results

        try:
            results = await self._store.write(operation)
        except StoreStopped:
            return
        except StoreError as error:
            self._log.error("not placed yet", queue_id=message.name, error=str(error))
            later = self._clock() + self._schedule.shortest
            await self._store.write(
                lambda tx: spool.give_back(
                    tx, self._worker, message.queue_id, [item.n for item in mine], later
                )
            )
            return
        await self._aftermath(message, mine, results)

    def _result(
        self,
        message: QueueMessage,
        item: QueueRecipient,
        outcome: Outcome,
        now: int,
        probe_at: int | None,
        placed: Placed | None = None,
    ) -> Result:
        if isinstance(outcome, Deferred):
            if now >= message.expires_at:
                return self._told(message, item, Result(item.n, outcome, expired=True))
            if outcome.destination and probe_at is not None:
                due = self._schedule.not_past_a_mark(
                    message.accepted_at, message.expires_at, now, max(probe_at, now + 1)
                )
            else:
                hint = outcome.retry_after
                due = self._schedule.next_try(
                    message.accepted_at,
                    message.expires_at,
                    now,
                    self._random.random(),
                    None if hint is None else milliseconds(hint),
                )
            return Result(item.n, outcome, due)
        return self._told(message, item, Result(item.n, outcome, placed=placed))

    def _told(self, message: QueueMessage, item: QueueRecipient, result: Result) -> Result:
        """Tick off at once what nobody wants to hear of."""
        outcome = result.outcome
        if message.reverse_path is not None:
            good = isinstance(outcome, Delivered)
            if good and outcome.dsn:  # type: ignore[union-attr] # Delivered, as just asked
                pass  # the other host reports it (RFC 3461 section 6.2)
            else:
                state = State.DELIVERED if good else State.FAILED
                row = QueueRecipient(item.n, item.recipient, item.destination, state)
                if wants_report(row):
                    return result
        return Result(
            result.n, outcome, result.due_at, result.expired, result.attempt, Told.END,
            result.placed,
        )  # fmt: skip

    async def _aftermath(
        self, message: QueueMessage, mine: Sequence[QueueRecipient], results: Sequence[Result]
    ) -> None:
        """Log, count, and tell the sender what is owed, unless others are still under way."""
        owed = False
        now = self._clock()
        for result in results:
            outcome = result.outcome
            kind = type(outcome).__name__.lower() if not result.expired else "expired"
            status = outcome.status
            waits = isinstance(outcome, Deferred) and not result.expired
            self._log.info(
                kind,
                queue_id=message.name,
                to=str(next(item for item in mine if item.n == result.n).recipient.forward_path),
                status=status.code,
                text=str(status.remote) if status.remote else status.text,
                host=status.host,
                **({"next_try": result.due_at} if waits else {}),
            )
            self._meter.count("queue_tries", kind)
            if waits:
                owed |= self._schedule.marks_passed(message.accepted_at, now) > 0
            else:
                owed |= not result.told & Told.END
        if owed and self._messages[message.queue_id] <= 1:
            await self._reporter.report(message.queue_id)

    async def _keep_leases(self) -> None:
        """Renew what is in hand; free what dead workers have left behind."""
        crashes = self._config.crashes
        while True:
            await asyncio.sleep(self._lease / 3000)

            def operation(tx: Tx) -> Steps[int]:
                yield from spool.renew(tx, self._worker, self._lease)
                freed = yield from spool.take_over(tx, self._worker, crashes, mine=False)
                return freed

            try:
                freed = await self._store.write(operation)
                await self._find_orphans()
            except StoreStopped:
                return
            except StoreError as error:
                self._log.error("leases not renewed", error=str(error))
                continue
            if freed:
                self._log.warning("taken over from a dead worker", recipients=freed)

    async def _find_orphans(self) -> None:
        """Let go of what stands in our name though we have nothing to do with it any more.

        After a fault that nobody foresaw (a delivery that raised, a give-back on a full disk) our own
        renewals would keep it for ever. Seen at two looks, so that a claim on its way is not meant.
        """
        in_hand = {
            (work.queue_id, n)
            for works in (self._running.values(), *self._pending.values())
            for work in works
            for n in work.numbers
        }
        orphans = set(self._store.read(spool.claimed(self._worker))) - in_hand
        lost, self._orphans = sorted(orphans & self._orphans), orphans

        def operation(tx: Tx) -> Steps[None]:
            for queue_id, n in lost:
                yield from spool.give_back(tx, self._worker, queue_id, [n], tx.now)

        if lost:
            self._log.error("found orphans in the queue", recipients=len(lost))
            await self._store.write(operation)
            self.wake()
