"""One delivery from its rows to its settlement: may it go, how did it end, when is it tried again.

The row of its destination is read together with the message's, so every worker acts on what all know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from msgspec.structs import replace

from postillon.clock import Clock
from postillon.deliver.agent import DeliveryAgent, QueuedMessage, Site
from postillon.deliver.local import Copy, prepare
from postillon.log import SILENT, Log
from postillon.mail.envelope import DeliverBy
from postillon.mail.mime import scan
from postillon.mail.octets import Octets
from postillon.mail.outcome import Deferred, Delivered, Failed, Outcome, Status
from postillon.meter import SILENT_METER, Meter
from postillon.queue import destinations, lines, receipts, spool
from postillon.queue.acceptance import Ruling, place_copy, wants_report
from postillon.queue.circuit import SLOW_START, Circuits, Pace
from postillon.queue.config import QueueConfig
from postillon.queue.destinations import Destination
from postillon.queue.dsn import Reporter
from postillon.queue.hand import Hand, Work
from postillon.queue.patience import Terms, mail_of, patience_of
from postillon.queue.rate import SPAN, Rates
from postillon.queue.reason import reason_of, slows
from postillon.queue.receipts import Report
from postillon.queue.rows import QueueMessage, QueueRecipient, State, Told, local_target
from postillon.queue.rulings import Letter, Rulings
from postillon.queue.schedule import Schedule, milliseconds
from postillon.queue.spool import Result
from postillon.store.operation import BlobLost, Brief, Steps, Store, StoreError, StoreStopped, Tx

FEW = 10  # recipients whose outcome is settled in the loop's thread
STORE_PAUSE_S = 2.0  # after the store has refused, before it is asked again
OUR_FAULT = Status("4.3.0", "an internal error; we try again")
TOO_LATE = Status("5.4.7", "it was not delivered within the time that its sender has given")
LOST = Status("4.3.0", "the message cannot be read at the moment")
HELD = Status("4.3.0", "mail for this destination is held by the administrator")
ADRIFT = Status("4.4.1", "the destination did not answer")


@dataclass(slots=True)
class InTry:
    """A message with those of its recipients that are this worker's, and what holds for them.

    `until`: up to when the line it joins is left alone (ms), because the rate is used up.
    """

    work: Work
    site: Site
    message: QueueMessage
    mine: Sequence[QueueRecipient]
    known: Destination | None
    terms: Terms
    until: int = 0
    begun_at: int = 0  # ms

    @property
    def expires_at(self) -> int:
        return min(self.message.expires_at, self.message.starts_at + self.terms.lifetime)

    @property
    def schedule(self) -> Schedule:
        return self.terms.schedule.noticing(self.message.starts_at, self.message.notice_at)


class Tries:
    """Carries deliveries out for one worker's runner."""

    def __init__(
        self,
        store: Store,
        agent: DeliveryAgent,
        reporter: Reporter,
        config: QueueConfig,
        hand: Hand,
        circuits: Circuits,
        *,
        clock: Clock,
        random: Random,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
        rulings: Rulings | None = None,
        worker: str,
    ) -> None:
        self._store = store
        self._rulings = rulings
        self._agent = agent
        self._reporter = reporter
        self._hand = hand
        self._circuits = circuits
        self._patience = patience_of(config)
        self._rates = Rates(store, clock)
        self._lease = milliseconds(config.lease)
        self._clock = clock
        self._random = random
        self._log = log
        self._meter = meter
        self._worker = worker

    def pace(self, work: Work) -> Pace:
        """How many deliveries at once the destination of a routed work bears."""
        assert work.site is not None
        terms = self._terms(work.site, work)
        return self._circuits.pace(work.site.key, terms.concurrency)

    def _terms(self, site: Site, work: Work, message: QueueMessage | None = None) -> Terms:
        null = message is not None and message.reverse_path is None
        return self._patience.terms(work.destination, site.hosts, mail_of(null, work.lane))

    # May it go?

    async def deliver(self, work: Work, done: Callable[[], None]) -> bool:
        """Try a work whose destination has a place for it, and settle it.

        done: called when the destination has answered for all its recipients, before that is settled.
        False: it has gone into the line of its destination instead.
        """
        found = await self._find(work)
        if found is None or await self._too_late(found):
            return True
        may = await self._may_go(found)
        if not may:
            await self._line_up(found)
            return False
        content = await self._content(work, found.message)
        found.begun_at = self._clock()
        outcomes: Sequence[Outcome]
        if content is None:
            outcomes = [Deferred(LOST)] * len(found.mine)
        else:
            outcomes = await self._try(found, content)
            if not any(isinstance(o, Deferred) and o.destination for o in outcomes):
                done()
        await self._settle(found, outcomes)
        return True

    async def line_up(self, work: Work) -> None:
        """Let a work whose destination has no place for it wait on disk."""
        found = await self._find(work)
        if found is not None and not await self._too_late(found):
            await self._line_up(found)

    async def _find(self, work: Work) -> InTry | None:
        """What the rows say; None when nothing is left to do. Gives back a probe then."""
        site = work.site
        assert site is not None

        rows, work.rows = work.rows, None
        if rows is not None and self._clock() - rows[0].accepted_at > self._lease // 2:
            rows = None  # what was claimed is ours for its lease; by then others may have it

        def steps() -> Steps[tuple[spool.Loaded | None, Destination | None]]:
            loaded = rows or (yield from spool.load(work.queue_id))
            known = yield from destinations.for_mail(site.key, site.destination)
            return loaded, known

        loaded, known = await self._store.query(steps())
        if loaded is not None:
            message, recipients = loaded
            mine = self._mine(work, recipients)
            if mine:
                terms = self._terms(site, work, message)
                return InTry(work, site, message, mine, known, terms)
        if work.probe:
            await self._store.write(
                lambda tx: destinations.probe_later(tx, site.key, self._worker, 0)
            )
        return None

    def _mine(self, work: Work, recipients: Sequence[QueueRecipient]) -> list[QueueRecipient]:
        return [
            item
            for item in recipients
            if item.n in work.numbers
            and item.state is State.CLAIMED
            and item.claimed_by == self._worker
        ]

    async def _may_go(self, found: InTry) -> bool:
        """Whether the destination is open, or this is its probe; keeps to its rate."""
        known, work, site = found.known, found.work, found.site
        now = self._clock()
        pace = self._circuits.pace(site.key, found.terms.concurrency)
        if known is None:
            self._circuits.open(site.key)
        elif known.held:
            if known.key == site.key:
                self._circuits.close(site.key, now + lines.LATER)
            return False
        elif known.down and not work.probe:
            if known.next_at <= now and await self._store.write(
                lambda tx: destinations.take_probe(tx, site.key, self._worker, self._lease)
            ):
                work.probe = site.key
            if not work.probe:
                self._circuits.close(site.key, known.next_at)
                return False
        elif known.concurrency is not None:
            pace.heard(known.concurrency, known.updated_at)
        interval = self._interval(site, found.terms)
        if interval:
            at = await self._rates.take(site, interval)
            if at - self._clock() > SPAN:
                found.until = at - SPAN // 2
                return False
            await asyncio.sleep(max(0, at - self._clock()) / 1000)
        return True

    def _interval(self, site: Site, terms: Terms) -> int:
        """Time between two messages where the rate is bounded (ms): longer as it bears less."""
        pace = self._circuits.pace(site.key, terms.concurrency)
        return round(terms.interval * pace.ceiling / max(pace.limit, pace.threshold))

    def forget_times(self) -> None:
        """The clock has been set: what was remembered by its times is learnt anew."""
        self._circuits.forget()
        self._rates.forget()

    def lifetime(self, work: Work) -> int:
        """How long mail like a routed work may wait at the longest (ms)."""
        assert work.site is not None
        return self._terms(work.site, work).lifetime

    async def _line_up(self, found: InTry) -> None:
        """Into the line; who is owed a notice, or has outlived its time, is settled for it.

        No try is made: what the destination said to its last probe, minutes ago, holds for all.
        """
        message, known, terms, now = found.message, found.known, found.terms, self._clock()
        schedule = found.schedule
        shut = known is not None and (known.down or known.held)
        held = known is not None and known.held
        key = known.key if held and known is not None else found.site.key
        status = HELD if held else ADRIFT if known is None else known.status or ADRIFT
        outcome = Deferred(status, destination=True)
        results, rest = [], []
        passed = schedule.marks_passed(message.starts_at, now)
        for item in found.mine:
            if shut and not held and now >= found.expires_at:
                results.append(self._told(message, item, Result(item.n, outcome, expired=True)))
            elif shut and message.reverse_path is not None and passed > _notices(item.told):
                mark = schedule.next_mark(message.starts_at, found.expires_at, now)
                due_at = mark or now + lines.LATER
                results.append(Result(item.n, outcome, due_at, waits_for=key))
            else:
                rest.append(item.n)
        joining = lines.Joining(message.queue_id, tuple(rest), terms.lifetime, held)

        def operation(tx: Tx) -> Steps[None]:
            if rest:
                yield from lines.join(tx, self._worker, key, found.site.hosts, joining, schedule)
            if found.until:
                yield from destinations.pause(tx, key, found.until)
            if results:
                yield from destinations.lined_up(tx, key, found.site.hosts)
                yield from spool.settle(tx, message.queue_id, self._worker, results)

        await self._store.write(operation)
        if results:
            await self._aftermath(found, results)

    async def _content(self, work: Work, message: QueueMessage) -> Octets | None:
        if work.content is not None:
            return work.content
        try:
            content = await self._store.fetch(message.ref)
        except BlobLost as error:
            self._log.error("content lost", queue_id=message.name, error=str(error))
            return None
        self._hand.read(work, content)
        return content

    async def _try(self, found: InTry, content: Octets) -> Sequence[Outcome]:
        message = found.message
        queued = QueuedMessage(
            message.queue_id, message.name, message.reverse_path, message.prefix, content,
            message.body, message.smtputf8, message.ret_full, message.envid, self._by(message),
        )  # fmt: skip
        try:
            outcomes = await self._agent.deliver(
                queued, found.site, [item.recipient for item in found.mine]
            )
            if len(outcomes) == len(found.mine):
                return outcomes
            self._log.error("agent gave the wrong number of outcomes", queue_id=message.name)
        except Exception as error:  # a bug of the agent must not lose the message
            self._log.error("agent failed", queue_id=message.name, error=repr(error))
        return [Deferred(OUR_FAULT)] * len(found.mine)

    def _by(self, message: QueueMessage) -> DeliverBy | None:
        """What is left of the time that the sender has given."""
        if message.deliver_by is None:
            return None
        seconds = (message.deliver_by - self._clock()) // 1000
        return DeliverBy(seconds, "R" in message.by_mode, "T" in message.by_mode)

    async def _too_late(self, found: InTry) -> bool:
        """Give back what its sender has no use for any more (RFC 2852 section 4.1, by-mode R)."""
        ends_at = found.message.ends_at
        if ends_at is None or self._clock() < ends_at:
            return False
        await self._settle_here(found, [Failed(TOO_LATE)] * len(found.mine))
        if found.work.probe:
            await self._store.write(
                lambda tx: destinations.probe_later(tx, found.site.key, self._worker, 0)
            )
        return True

    # How it ended

    async def _settle(self, found: InTry, outcomes: Sequence[Outcome]) -> None:
        """Write down how a try ended, for its recipients and for its destination."""
        now, key, hosts = self._clock(), found.site.key, found.site.hosts
        terms, work, known = found.terms, found.work, found.known
        pace = self._circuits.pace(key, terms.concurrency)
        ours = all(outcome.status is OUR_FAULT or outcome.status is LOST for outcome in outcomes)
        was_down = (
            bool(work.probe)
            or (known is not None and known.down)
            or self._circuits.closed(key, now)  # found down while this one was under way
        )
        missed = [isinstance(o, Deferred) and o.destination for o in outcomes]
        down = all(missed) and (was_down or not pace.crowded(now, found.begun_at))
        slowed = any(map(slows, outcomes)) and not down
        reached = not ours and not all(missed)
        was_full = pace.full
        if slowed:
            slowed = pace.refused(now, found.begun_at)
        elif reached:
            pace.restart() if was_down else pace.answered(now)
        wait = terms.probing.at(self._random.random())
        soon = now + wait.after(0)  # for those that got in each other's way
        results = [
            self._result(found, item, outcome, now, key if down else None, soon)
            for item, outcome in zip(found.mine, outcomes, strict=True)
        ]
        adapted = known is not None and known.concurrency is not None

        def operation(tx: Tx) -> Steps[Destination | None]:
            row: Destination | None = None
            if down:
                row = yield from destinations.failed(
                    tx, key, hosts, self._worker, outcomes[0].status, wait
                )
                yield from destinations.lined_up(tx, key, hosts)
            elif ours and work.probe:
                yield from destinations.probe_later(tx, key, self._worker, lines.LATER)
            elif was_down and not ours:
                yield from destinations.answered(tx, key, SLOW_START)
            if slowed:
                yield from destinations.paced(tx, key, hosts, pace.places)
            elif reached and pace.full and adapted and not was_full:
                yield from destinations.paced(tx, key, hosts, None)
            yield from spool.settle(tx, found.message.queue_id, self._worker, results)
            return row

        few = len(results) <= FEW
        row = await self._write(Brief(operation) if few else operation, found.message)
        if row is not None:
            if row.probes == 1 and not self._circuits.closed(key, now):
                self._log.info("destination down", destination=key, status=row.status)
            self._circuits.close(key, row.next_at)
        elif was_down and reached and self._circuits.open(key):
            self._log.info("destination back", destination=key)
        await self._aftermath(found, results)

    async def missed(self, work: Work, outcome: Deferred) -> None:
        """Write down that a probe found nobody: in the row of its destination, and nowhere else."""
        site = work.site
        assert site is not None
        wait = self._terms(site, work).probing.at(self._random.random())

        def operation(tx: Tx) -> Steps[Destination]:
            return destinations.failed(tx, site.key, site.hosts, self._worker, outcome.status, wait)

        row = await self._store.write(Brief(operation))
        self._circuits.close(site.key, row.next_at)

    async def _write(self, operation: object, message: QueueMessage) -> Destination | None:
        """Until it is written: what was sent must not be sent again because a disk is full."""
        while True:
            try:
                return await self._store.write(operation)  # type: ignore[arg-type]
            except StoreStopped:
                raise
            except StoreError as error:
                self._log.error("not settled yet", queue_id=message.name, error=str(error))
                await asyncio.sleep(STORE_PAUSE_S)

    def _result(
        self,
        found: InTry,
        item: QueueRecipient,
        outcome: Outcome,
        now: int,
        line: str | None,
        soon: int,
    ) -> Result:
        """line: the destination is down, and this is its line. soon: when it was only crowded."""
        message, terms = found.message, found.terms
        if not isinstance(outcome, Deferred):
            return self._told(message, item, Result(item.n, outcome))
        starts_at, expires_at, schedule = message.starts_at, found.expires_at, found.schedule
        spent = terms.attempts and not outcome.destination and item.deferrals + 1 >= terms.attempts
        if now >= expires_at or spent:
            return self._told(message, item, Result(item.n, outcome, expired=True))
        if line is not None and not message.crashes:
            mark = schedule.next_mark(starts_at, expires_at, now)
            return Result(item.n, outcome, mark or now + lines.LATER, waits_for=line)
        if outcome.destination:
            due = schedule.not_past_a_mark(starts_at, expires_at, now, soon)
            return Result(item.n, outcome, due)
        hint = None if outcome.retry_after is None else milliseconds(outcome.retry_after)
        due = schedule.next_try(
            starts_at, expires_at, now, self._random.random(), hint, reason_of(outcome.status)
        )
        return Result(item.n, outcome, due)

    def _told(self, message: QueueMessage, item: QueueRecipient, result: Result) -> Result:
        """Tick off at once what nobody wants to hear of."""
        outcome = result.outcome
        if message.reverse_path is not None:
            if isinstance(outcome, Delivered):
                state = State.RELAYED if outcome.relayed else State.DELIVERED
                told_there = outcome.dsn  # the other host reports it (RFC 3461 section 6.2)
                traced = "T" in message.by_mode or ("N" in message.by_mode and not outcome.by)
            else:
                state, told_there, traced = State.FAILED, False, False
            row = QueueRecipient(item.n, item.recipient, item.destination, state)
            if wants_report(row, traced) and (traced or not told_there):
                return result
        return replace(result, told=Told.END)

    async def _aftermath(self, found: InTry, results: Sequence[Result]) -> None:
        """Log, count, and tell the sender what is owed, unless others are still under way."""
        message, schedule = found.message, found.schedule
        paths = {item.n: str(item.recipient.forward_path) for item in found.mine}
        owed = False
        now = self._clock()
        for result in results:
            outcome = result.outcome
            kind = type(outcome).__name__.lower() if not result.expired else "expired"
            status = outcome.status
            waits = isinstance(outcome, Deferred) and not result.expired
            facts: dict[str, object] = {}
            if waits:
                facts = {"waits_for": result.waits_for, "next_try": result.due_at}
                if result.waits_for is None:
                    del facts["waits_for"]
                else:
                    del facts["next_try"]
            self._log.info(
                kind,
                queue_id=message.name,
                to=paths[result.n],
                status=status.code,
                text=str(status.remote) if status.remote else status.text,
                host=status.host,
                **facts,
            )
            self._meter.count("queue_tries", kind)
            if waits:
                owed |= schedule.marks_passed(message.starts_at, now) > 0
            else:
                owed |= not result.told & Told.END
        if owed and self._hand.trying(message.queue_id) <= 1:
            await self._reporter.report(message.queue_id)

    # Mailboxes of ours that were full

    async def place(self, work: Work) -> None:
        """Local recipients that could not be placed at once: the same operation, later."""
        loaded = await self._store.query(spool.load(work.queue_id))
        if loaded is None:
            return
        message, recipients = loaded
        mine = self._mine(work, recipients)
        if not mine:
            return
        site = Site(work.destination, (), work.destination)
        found = InTry(work, site, message, mine, None, self._terms(site, work, message))
        if await self._too_late(found):
            return
        content = await self._content(work, message)
        if content is None:
            await self._settle_here(found, [Deferred(LOST)] * len(mine))
            return
        reading = scan(content, message.prefix)
        copy = prepare(
            content,
            reading,
            trace=message.prefix,
            reverse_path=message.reverse_path,
            at=message.starts_at,
            queue_id=message.queue_id,
        )
        try:
            report = receipts.read(content, reading.structure)
            rulings = await self._ruled(found, Letter.kept(message, content, reading))
            results = await self._store.write(
                lambda tx: self._placing(tx, found, copy, report, rulings)
            )
        except StoreStopped:
            raise
        except StoreError as error:
            self._log.error("not placed yet", queue_id=message.name, error=str(error))
            later = self._clock() + found.terms.schedule.shortest
            numbers = [item.n for item in mine]
            await self._store.write(
                lambda tx: spool.give_back(tx, self._worker, message.queue_id, numbers, later)
            )
            return
        await self._aftermath(found, results)

    async def _ruled(self, found: InTry, letter: Letter) -> Mapping[int, Ruling]:
        if self._rulings is None:
            return {}
        targets = {
            item.n: local_target(item.destination, item.recipient.forward_path)
            for item in found.mine
        }
        return await self._rulings.ask(letter, targets, self._clock())

    def _placing(
        self,
        tx: Tx,
        found: InTry,
        copy: Copy,
        report: Report | None,
        rulings: Mapping[int, Ruling],
    ) -> Steps[list[Result]]:
        results: list[Result] = []
        queue_id = found.message.queue_id
        ref = yield from spool.ref_of(queue_id)
        if ref is None:
            return results
        for item in found.mine:
            held = yield from spool.holds(queue_id, item.n, self._worker)
            if not held:
                continue
            target = local_target(item.destination, item.recipient.forward_path)
            ruling = rulings.get(item.n)
            outcome, placed, said = yield from place_copy(tx, copy, target, ref, ruling)
            if report is not None and placed is not None:
                about = found.message.about
                yield from receipts.note(tx, target.account, placed.email, report, about)
            result = self._result(found, item, outcome, tx.now, None, tx.now)
            results.append(replace(result, placed=placed, rules=said))
        yield from spool.settle(tx, queue_id, self._worker, results)
        return results

    async def _settle_here(self, found: InTry, outcomes: Sequence[Outcome]) -> None:
        now = self._clock()
        results = [
            self._result(found, item, outcome, now, None, now)
            for item, outcome in zip(found.mine, outcomes, strict=True)
        ]
        await self._store.write(
            lambda tx: spool.settle(tx, found.message.queue_id, self._worker, results)
        )
        await self._aftermath(found, results)


def _notices(told: Told) -> int:
    return bool(told & Told.FIRST_DELAY) + bool(told & Told.SECOND_DELAY)
