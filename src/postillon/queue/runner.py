"""Moves what waits: claims due recipients, serves the lines of destinations, and has each tried.

One per worker. What it has in hand is bounded in number and octets; the rest waits in rows, so
neither memory nor start-up depends on the length of the queue. A recipient waits either for a time of
its own or in the line of its destination; what is in the line of one that is down or busy is read by
nobody until it is its turn. States and what a crash leaves of each: docs/queue.md.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from random import Random

from msgspec.structs import replace

from postillon.clock import Clock
from postillon.deliver.agent import DeliveryAgent, Site
from postillon.log import SILENT, Log
from postillon.mail.octets import Octets
from postillon.meter import SILENT_METER, Meter
from postillon.queue import destinations, jumps, lines, spool
from postillon.queue.acceptance import Accepted, Plan
from postillon.queue.circuit import MAX_KNOWN, Circuits
from postillon.queue.config import QueueConfig
from postillon.queue.destinations import Destination
from postillon.queue.dsn import Reporter
from postillon.queue.hand import BACKLOG, Hand, Work
from postillon.queue.ids import QueueId
from postillon.queue.jumps import ClockWatch
from postillon.queue.rows import Lane, State
from postillon.queue.rulings import Rulings
from postillon.queue.schedule import Schedule, milliseconds
from postillon.queue.trying import STORE_PAUSE_S, Tries
from postillon.store.operation import Brief, Steps, Store, StoreError, StoreStopped, Tx

POLL_S = 30.0  # the longest sleep between looks at the rows, should a wake-up be lost
UNTOLD_BATCH = 100  # messages with reports owed that one look takes up
UNDER_WAY = 60_000  # ms until the reports of a message that is just being tried are looked at again
REPORT_LATER = 3_600_000  # ms, when a report has to wait for the message's other recipients
NEXT_PROBE = 5_000  # ms until a probe that could not be made with one message is with another
STOP_PATIENCE_S = 5.0  # for deliveries under way at a clean stop
PAGE = 64  # destinations that are read at a time
PAGES = 16  # of them that one look serves at most; the next look goes on behind them
JOIN_BATCH = 2_000  # recipients of a long backlog that join a line in one transaction


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
        rulings: Rulings | None = None,
        worker: str,
        poll_s: float = POLL_S,
    ) -> None:
        self._store = store
        self._poll_s = poll_s
        self._agent = agent
        self._reporter = reporter
        self._clock = clock
        self._log = log
        self._worker = worker
        self._crashes = config.crashes
        self._lease = milliseconds(config.lease)
        self._schedule = Schedule.of(config)
        self._hand = Hand(config)
        self._circuits = Circuits(config.first_concurrency)
        self._tries = Tries(
            store, agent, reporter, config, self._hand, self._circuits, clock=clock, random=random,
            log=log, meter=meter, rulings=rulings, worker=worker,
        )  # fmt: skip
        self._wake = asyncio.Event()
        self._running: dict[asyncio.Task[bool], Work] = {}
        self._sites: OrderedDict[str, Site] = OrderedDict()  # where destinations led last
        self._lined: set[str] = set()  # destinations whose line this worker serves
        self._seen = (0, "")  # the destination the last look ended with
        self._probed: OrderedDict[str, tuple[int, int]] = OrderedDict()  # (lane, message) by key
        self._turns = Counter[str]()  # claims by due time and off lines, for the order of the lanes
        self._alone = False  # a suspect waits for the others to end, or is being tried
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        self._joining: set[str] = set()  # destinations whose backlog is just joining their line
        self._orphans: set[tuple[QueueId, int]] = set()  # claimed, not in hand, at the last look

    # Life

    async def start(self) -> None:
        """Take over what a former life of this worker had in hand, then work until `stop`."""

        def operation(tx: Tx) -> Steps[int]:
            return spool.take_over(tx, self._worker, self._crashes, mine=True)

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
        return len(self._hand)

    # New mail, claimed by the transaction that accepts it

    def offer(self, made: Plan) -> None:
        """Claim in the plan what this worker can begin at once; send to the line what must wait."""
        if not made.travels or self._stopping or self._alone or not self._tasks:
            return
        if made.release_at:
            return  # its time has not come
        size = len(made.submission.content)
        lane = made.lane
        now = self._clock()
        wanted: dict[str, None] = {}
        for destination in made.destinations:
            site = self._sites.get(destination)
            if site is not None and self._full(site, now):
                mark = self._schedule.next_mark(made.accepted_at, made.expires_at, now)
                made.line_up(destination, site.key, site.hosts, mark or now)
            elif self._hand.room(lane, len(wanted), size):
                wanted[destination] = None
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
                Work(
                    message.queue_id, destination, tuple(numbers), message.lane, content,
                    len(content), rows=(message, accepted.rows),
                )
            )  # fmt: skip

    def _full(self, site: Site, now: int) -> bool:
        """Whether mail for a destination has to join its line: it is down or has enough in hand."""
        key = site.key
        if self._circuits.closed(key, now) or key in self._lined:
            return True
        return self._hand.held(key) >= self._in_memory(site)

    def _in_memory(self, site: Site) -> int:
        """How many deliveries to a destination may be in hand: under way, or next in turn."""
        work = Work(QueueId(0), site.destination, (), Lane.INTERACTIVE, site=site)
        return BACKLOG * self._tries.pace(work).places

    # What is due

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            wait = self._poll_s
            try:
                await self._claim()
                await self._report()
                wait = await self._pause()
            except StoreStopped:
                return
            except Exception as error:  # the queue must go on whatever happened to one look
                self._log.error("queue", error=repr(error))
                wait = STORE_PAUSE_S
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()

    async def _pause(self) -> float:
        """Seconds until something is due."""
        now, lanes = self._clock(), self._lanes(tuple(Lane))

        def steps() -> Steps[list[int]]:
            found = yield from spool.next_due(lanes)
            other = yield from destinations.next_at(now)
            return [at for at in (found, other) if at is not None]

        times = await self._store.query(steps())
        if not times or not lanes or self._alone:
            return self._poll_s
        return min(self._poll_s, max(0.01, (min(times) - now) / 1000))

    def _lanes(self, order: Sequence[Lane]) -> tuple[Lane, ...]:
        """Those of the lanes for which there is room."""
        return tuple(lane for lane in order if self._hand.room(lane))

    async def _report(self) -> None:
        """Tell senders what is owed to them, but for messages that are being tried just now."""
        now = self._clock()
        for queue_id in await self._store.query(spool.untold(now, UNTOLD_BATCH)):
            trying = self._hand.trying(queue_id)
            if trying or not await self._reporter.report(queue_id):
                await self._tell_later(queue_id, now + (UNDER_WAY if trying else REPORT_LATER))

    async def _tell_later(self, queue_id: QueueId, at: int) -> None:
        await self._store.write(lambda _: spool.tell_later(queue_id, at))

    async def _claim(self) -> None:
        """Take what is due and serve the lines, as long as there is room."""
        now = self._clock()
        if await self._store.query(spool.suspect_waits(now)):
            self._alone = True
            if len(self._hand):
                return  # the suspect waits until the others have ended; nothing new begins
            works = await self._store.write(
                lambda tx: spool.claim_suspect(tx, self._worker, self._lease)
            )
            self._take(works)
            self._alone = bool(works)
            return
        self._alone = False
        while not self._stopping and (order := self._next_turn("due")):
            due = await self._store.query(spool.next_due(order))
            if due is None or due > now or not await self._claim_due(order):
                break
        for _ in range(PAGES):
            page = await self._store.query(destinations.due(now, self._seen, PAGE))
            down = [known.key for known in page if known.down][: self._hand.room()]
            await asyncio.gather(*map(self._begin_probe, down))
            for known in page:
                if self._stopping or not self._hand.room():
                    return
                if not known.down:
                    await self._serve(known)
                self._seen = (known.next_at, known.key)
            if len(page) < PAGE:
                self._seen = (0, "")
                return

    def _next_turn(self, kind: str) -> tuple[Lane, ...]:
        self._turns[kind] += 1
        return self._lanes(lines.turns(self._turns[kind]))

    async def _claim_due(self, order: Sequence[Lane]) -> bool:
        limits = [(lane, self._hand.room(lane)) for lane in order]
        works = await self._store.write(
            lambda tx: spool.claim_due(tx, self._worker, self._lease, limits)
        )
        self._take(works)
        return bool(works)

    async def _begin_probe(self, key: str) -> None:
        """Find out whether a destination that is down is back."""
        after = self._probed.pop(key, (-1, 0))

        def operation(tx: Tx) -> Steps[spool.InHand | None]:
            return lines.take_probe(tx, self._worker, self._lease, key, after)

        found = await self._store.write(Brief(operation))
        if found is None:
            return
        self._probed[key] = (int(found.lane), found.queue_id)
        if len(self._probed) > MAX_KNOWN:
            self._probed.popitem(last=False)
        self._admit(Work(found.queue_id, found.destination, (), found.lane, probe=key))

    async def _probe(self, work: Work) -> None:
        """Ask the hosts for a conversation. A message is claimed only for one that answers."""
        key = work.probe
        site = work.site = await self._route(work.destination)
        if site.key == key:  # else its message shows where the mail goes now
            missed = await self._agent.reach(site)
            if missed is not None:
                await self._tries.missed(work, missed)
                return
        works = await self._store.write(
            lambda tx: lines.claim_probed(tx, self._worker, self._lease, key, work.queue_id)
        )
        self._take(works, probe=key)

    async def _serve(self, known: Destination) -> None:
        """Take from the line of a destination that is open."""
        key = known.key
        self._lined.add(key)
        limit = self._places(known)
        if limit <= 0:
            return
        order = self._next_turn("line")
        works = await self._store.write(
            lambda tx: lines.claim(tx, self._worker, self._lease, known, limit, order)
        )
        if len(works) < limit:
            self._lined.discard(key)
        self._take(works)

    def _places(self, known: Destination) -> int:
        """How many messages of a line may be taken in hand now."""
        held = self._hand.held(known.key)
        most = self._in_memory(Site(known.key, known.hosts, known.key))
        if held > most // BACKLOG:
            return 0  # enough; claims come in handfuls
        return min(self._hand.room(), most - held)

    def _take(self, found: Sequence[spool.InHand], *, probe: str = "") -> None:
        """probe: the destination whose probe the first of them is."""
        for item in found:
            work = Work(item.queue_id, item.destination, item.numbers, item.lane)
            work.probe, probe = probe, ""
            self._admit(work)

    # In hand

    def _admit(self, work: Work) -> None:
        self._hand.take(work)
        self._start(work)

    def _start(self, work: Work) -> None:
        task = asyncio.create_task(self._carry(work))
        self._running[task] = work
        task.add_done_callback(self._ended)

    async def _carry(self, work: Work) -> bool:
        """Route a work, wait for a place, deliver. Returns whether it stays in hand, for a place."""
        if work.local:
            self._hand.begin(work)
            try:
                await self._tries.place(work)
            finally:
                self._hand.end(work)
            return False
        if not work.numbers:
            await self._probe(work)
            return False
        if work.site is None:
            work.site = await self._route(work.destination)
        if work.probe not in ("", work.key):
            if work.site.unknown:
                await self._not_probed(work, work.site)
                return False
            await self._moved(work)
        key, places = work.key, self._tries.pace(work).places
        has_place = work.probe or self._hand.placed(work)
        if not has_place and self._hand.under_way(key) >= places:
            if self._hand.wait(work, places):
                return True
            await self._tries.line_up(work)
            await self._join_rest(work)
            return False
        self._hand.begin(work)
        try:
            tried = await self._tries.deliver(work, lambda: self._leave(work))
        finally:
            self._hand.end(work)
        if not tried and self._circuits.closed(key, self._clock()):
            await self._join_rest(work)
        return False

    async def _route(self, destination: str) -> Site:
        site = await self._agent.site(destination)
        self._sites[destination] = site
        self._sites.move_to_end(destination)
        if len(self._sites) > MAX_KNOWN:
            self._sites.popitem(last=False)
        return site

    async def _not_probed(self, work: Work, site: Site) -> None:
        """DNS does not say now where its domain's mail goes: back into the line, another may probe."""
        old, work.probe = work.probe, ""
        work.site = replace(site, key=old)
        await self._tries.line_up(work)
        await self._store.write(
            lambda tx: destinations.probe_later(tx, old, self._worker, NEXT_PROBE)
        )

    async def _moved(self, work: Work) -> None:
        """Other hosts serve its domain than those it waited for: so for all mail of the domain."""
        old, work.probe = work.probe, ""

        def operation(tx: Tx) -> Steps[int]:
            left = yield from lines.leave(tx, work.destination, old, JOIN_BATCH)
            yield from destinations.probe_later(tx, old, self._worker, 0)
            return left

        while await self._store.write(operation) == JOIN_BATCH:
            pass

    async def _join_rest(self, work: Work) -> None:
        """Let what else is due for a destination that takes no more now join its line at once."""
        site = work.site
        if site is None or site.key in self._joining:
            return
        self._joining.add(site.key)
        life = self._tries.lifetime(work)
        try:
            while not self._stopping:
                if not await self._store.query(lines.more(work.destination, self._clock())):
                    return
                joined = await self._store.write(
                    lambda tx: lines.join_rest(
                        tx, work.destination, site.key, life, self._schedule, JOIN_BATCH
                    )
                )
                if joined < JOIN_BATCH:
                    return
        finally:
            self._joining.discard(site.key)

    def _ended(self, task: asyncio.Task[bool]) -> None:
        work = self._running.pop(task)
        key = work.key
        stays = False
        if not task.cancelled():
            error = task.exception()
            if error is None:
                stays = task.result()
            elif not isinstance(error, StoreStopped):
                self._log.error("delivery", error=repr(error), destination=work.destination)
        if not stays:
            self._hand.drop(work)
        if self._stopping:
            return
        self._start_next(key, work)
        if not stays:
            self._wake.set()

    def _leave(self, work: Work) -> None:
        """The destination has answered: the next one may go while this one is being written down."""
        self._hand.leave(work)
        self._start_next(work.key, work)

    def _start_next(self, key: str, work: Work) -> None:
        """Give the places of a destination to those that wait in hand for them."""
        if work.local or work.site is None:
            return
        free = self._tries.pace(work).places - self._hand.under_way(key)
        while free > 0 and (waiting := self._hand.next(key)) is not None:
            self._hand.place(waiting)
            self._start(waiting)
            free -= 1

    # Leases

    async def _keep_leases(self) -> None:
        """Renew what is in hand; free what dead workers have left behind; mend lines.

        When the clock was set, all leases are wrong until their owners have renewed them; when the
        database was away, nobody could renew: nothing is taken over at that look.
        """
        watch = ClockWatch(self._clock, asyncio.get_running_loop().time)
        doubtful = True  # at the start: what the clock was before is not known
        cut_off = False  # the last look could not be written
        while True:
            await asyncio.sleep(self._lease / 3000)
            moved = watch.moved()

            def operation(tx: Tx, renew_only: bool = bool(moved) or cut_off) -> Steps[int]:
                yield from spool.renew(tx, self._worker, self._lease)
                if renew_only:
                    return 0
                freed = yield from spool.take_over(
                    tx, self._worker, self._crashes, mine=False, lease=self._lease
                )
                return freed

            try:
                freed = await self._store.write(operation)
                cut_off = False
                if moved:
                    self._log.warning("the clock was set", seconds=moved // 1000)
                doubtful = doubtful or moved < 0
                if doubtful:
                    await self._set_right()
                    doubtful = False
                mended = await self._store.write(destinations.mend)
                await self._find_orphans()
            except StoreStopped:
                return
            except StoreError as error:
                self._log.error("leases not renewed", error=str(error))
                cut_off = True
                continue
            if freed:
                self._log.warning("taken over from a dead worker", recipients=freed)
            if mended:
                self.wake()

    async def _set_right(self) -> None:
        """Let nothing wait for a time that only a wrong clock can have given."""
        self._tries.forget_times()
        while True:
            found = await self._store.read_apart(jumps.misplaced(self._clock()))

            def operation(tx: Tx, found: list[jumps.Placed] = found) -> Steps[int]:
                return jumps.set_right(tx, found)

            changed = await self._store.write(operation)
            if changed:
                self._log.warning("times of the queue put right", rows=changed)
            if len(found) < jumps.BATCH or not changed:
                break
        self.wake()

    async def _find_orphans(self) -> None:
        """Let go of what stands in our name though we have nothing to do with it any more.

        After a fault that nobody foresaw (a delivery that raised, a give-back on a full disk) our own
        renewals would keep it for ever. Seen at two looks, so that a claim on its way is not meant.
        """
        in_hand = {(work.queue_id, n) for work in self._hand for n in work.numbers}
        orphans = set(await self._store.query(spool.claimed(self._worker))) - in_hand
        lost, self._orphans = sorted(orphans & self._orphans), orphans

        def operation(tx: Tx) -> Steps[None]:
            for queue_id, n in lost:
                yield from spool.give_back(tx, self._worker, queue_id, [n], tx.now)

        if lost:
            self._log.error("found orphans in the queue", recipients=len(lost))
            await self._store.write(operation)
            self.wake()
