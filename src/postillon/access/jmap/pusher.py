"""Web Push: telling clients that are not connected that something has changed (RFC 8620 section 7.2).

Every worker hears of every change. The one that first writes into the store what it is about to tell
does so, and the others leave it. What it has begun to tell is in its memory: if it dies, the client
hears with the next change.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from yarl import URL

from postillon.access.jmap.states import States
from postillon.account.accounts import Accounts
from postillon.account.errors import AccountNotFound
from postillon.account.ids import AccountId, ModSeq
from postillon.clock import Clock
from postillon.directory import push
from postillon.directory.push import PushSubscription
from postillon.directory.standing import stands
from postillon.log import SILENT, Log
from postillon.meter import SILENT_METER, Meter
from postillon.net.outward import Forbidden, Outward, OutwardError
from postillon.protocol.jmap import webpush
from postillon.store.operation import EVERYTHING, Steps, Store, StoreError

GATHER_S = 1.0  # changes of so long are told together
REFRESH_S = 600.0  # when what is shared with whom is looked at again
RETRIES_S = (15.0, 60.0, 300.0, 1_800.0, 7_200.0)
LONGEST_RETRY_S = 3_600.0  # that a push service may ask for
TTL_S = 86_400  # how long a push service keeps what it cannot deliver
ACCOUNTS_AT_ONCE = 8  # in one message, which has little room
GONE = (404, 410)  # the subscription is over (RFC 8030 section 7.3)
CODES_AN_HOUR, HOUR_MS = 50, 3_600_000  # for one principal, by each worker
MAX_COUNTED = 10_000  # principals
AGENT = "Postillon"
_encode = msgspec.json.Encoder().encode
Key = tuple[int, int]  # principal and subscription


@dataclass(slots=True)
class _Waiting:
    """What a push service could not take yet."""

    changed: dict[str, dict[str, str]]
    tries: int = 0


@dataclass(slots=True)
class _Watched:
    """A principal with subscriptions, and what ends listening to their accounts."""

    ends: list[Callable[[], None]] = field(default_factory=list)


class Pusher:
    """One per worker. hostname: ours, whose postmaster operators of push services may write to."""

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        outward: Outward,
        *,
        hostname: str,
        clock: Clock,
        random: Random | None = None,
        gather_s: float = GATHER_S,
        retries_s: Sequence[float] = RETRIES_S,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._outward = outward
        self._subject = f"mailto:postmaster@{hostname}"
        self._clock = clock
        self._random = random or SystemRandom()
        self._gather_s = gather_s
        self._retries_s = retries_s
        self._log = log
        self._meter = meter
        self._key: ec.EllipticCurvePrivateKey | None = None
        self.public_key = ""  # as clients give it to their push service (RFC 9749 section 3)
        self._watched: dict[int, _Watched] = {}
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._waiting: dict[Key, _Waiting] = {}
        self._codes: dict[int, list[int]] = {}  # when codes were sent, by principal
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._key = await self._store.write(push.server_key)
        self.public_key = webpush.base64url(webpush.encoded(self._key.public_key()))
        self._begin(self._refresh())

    async def stop(self) -> None:
        """What waits is not told any more."""
        for timer in self._timers.values():
            timer.cancel()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for principal in list(self._watched):
            self._forget(principal)

    def hear(self, topics: Sequence[str]) -> None:
        """Subscriptions were changed, here or in another process."""
        for topic in topics:
            kind, _, number = topic.partition(":")
            if topic == EVERYTHING:
                self._begin(self._watch_all())
            elif kind == push.TOPIC and number.isascii() and number.isdigit():
                self._begin(self._watch(int(number)))

    def may_verify(self, principal: int) -> bool:
        """Counts those who want a code to be sent: nobody makes us knock at doors without end."""
        since = self._clock() - HOUR_MS
        lately = [at for at in self._codes.pop(principal, ()) if at > since]
        allowed = len(lately) < CODES_AN_HOUR
        self._codes[principal] = [*lately, self._clock()] if allowed else lately
        while len(self._codes) > MAX_COUNTED:
            del self._codes[next(iter(self._codes))]
        return allowed

    def verify(self, subscription: PushSubscription) -> None:
        """Send the code that proves that the client is there, soon."""
        content = {
            "@type": "PushVerification",
            "pushSubscriptionId": str(subscription.id),
            "verificationCode": subscription.code,
        }
        self._begin(self._verify(subscription, content))

    async def states_now(self, principal: int) -> str:
        """From where on a subscription is told of changes."""
        states = States(self._accounts, principal, None)
        await states.start(listen=False)
        return states.id

    # Listening

    async def _refresh(self) -> None:
        while True:
            await self._watch_all()
            await asyncio.sleep(REFRESH_S)

    async def _watch_all(self) -> None:
        principals = await self._store.query(push.subscribed(self._clock()))
        for gone in self._watched.keys() - set(principals):
            self._forget(gone)
        for principal in principals:
            await self._watch(principal)

    async def _watch(self, principal: int) -> None:
        """Listen to the accounts that a principal sees; to none without a subscription."""
        found = await self._store.query(push.every(principal, self._clock()))
        accounts = [principal]
        if any(item.verified for item in found):
            accounts += [owner.id for owner in await self._accounts.shared_with(principal)]
        else:
            accounts = []
        self._forget(principal)
        if not accounts:
            return
        watched = self._watched[principal] = _Watched()

        def heard(modseq: ModSeq) -> None:
            self._soon(principal)

        for account in accounts:
            watched.ends.append(self._accounts.hub.subscribe(AccountId(account), heard))
        self._soon(principal)  # something may have happened before

    def _forget(self, principal: int) -> None:
        watched = self._watched.pop(principal, None)
        for end in watched.ends if watched is not None else ():
            end()

    def _soon(self, principal: int) -> None:
        if principal not in self._timers:
            wait = self._gather_s * self._random.uniform(0.9, 1.1)  # so that workers rarely meet
            loop = asyncio.get_running_loop()
            self._timers[principal] = loop.call_later(wait, self._due, principal)

    def _due(self, principal: int) -> None:
        del self._timers[principal]
        self._begin(self._round(principal))

    # Telling

    async def _round(self, principal: int) -> None:
        for subscription in await self._store.query(push.every(principal, self._clock())):
            if subscription.verified:
                await self._look(subscription)

    async def _look(self, subscription: PushSubscription) -> None:
        """Tell one subscription what there is to tell."""
        if not await self._good(subscription):
            return
        states = States(self._accounts, subscription.principal, subscription.types)
        try:
            await states.start(subscription.told, listen=False)
            found = await states.look()
        except AccountNotFound:
            return
        if found is None and not states.fresh:
            return

        told = states.id
        if not await self._store.write(lambda tx: push.claim(tx, subscription, told)):
            self._soon(subscription.principal)  # another worker tells; whether of all, is seen then
            return
        if found is not None:
            self._begin(self._tell(subscription, found["changed"]))

    async def _good(self, subscription: PushSubscription) -> bool:
        """Whether it is there still. One whose credential has gone is removed."""
        principal, now = subscription.principal, self._clock()
        found = await self._store.query(push.every(principal, now))
        if all(item.id != subscription.id for item in found):
            return False
        good = stands(principal, subscription.credential, subscription.created_at, now)
        if not await self._store.query(good):
            await self._remove(subscription)
            return False
        return True

    async def _tell(self, subscription: PushSubscription, changed: dict[str, Any]) -> None:
        key = (subscription.principal, subscription.id)
        waiting = self._waiting.get(key)
        if waiting is not None:  # it goes with what could not be told before
            for account, states in changed.items():
                waiting.changed.setdefault(account, {}).update(states)
            return
        self._waiting[key] = waiting = _Waiting(changed)
        try:
            while waiting.changed:
                some = list(waiting.changed.items())[:ACCOUNTS_AT_ONCE]
                portion = {account: dict(states) for account, states in some}  # more may come
                content = {"@type": "StateChange", "changed": portion}
                wait = await self._send(subscription, content)
                if wait is None:
                    for account, states in portion.items():
                        if waiting.changed.get(account) == states:
                            del waiting.changed[account]
                    waiting.tries = 0
                    continue
                if waiting.tries >= len(self._retries_s):
                    self._meter.count("push_given_up")
                    return
                await asyncio.sleep(max(wait, self._retries_s[waiting.tries]))
                waiting.tries += 1
                if not await self._good(subscription):
                    return
        finally:
            del self._waiting[key]

    async def _verify(self, subscription: PushSubscription, content: dict[str, Any]) -> None:
        for retry_s in (*self._retries_s[:3], None):
            wait = await self._send(subscription, content)
            if wait is None or retry_s is None:
                return
            await asyncio.sleep(max(wait, retry_s))

    async def _send(self, subscription: PushSubscription, content: dict[str, Any]) -> float | None:
        """None when there is nothing more to do about it; else s that the push service asks for."""
        try:
            answer = await self._outward.post(
                subscription.url, *self._message(subscription, _encode(content))
            )
        except Forbidden as error:
            self._log.warning("push_forbidden", url=_host(subscription.url), error=str(error))
            self._meter.count("push_messages", "forbidden")
            await self._remove(subscription)
            return None
        except OutwardError as error:
            self._log.info("push_failed", url=_host(subscription.url), error=str(error))
            self._meter.count("push_messages", "failed")
            return 0.0
        if answer.status in GONE:
            self._meter.count("push_messages", "gone")
            await self._remove(subscription)
            return None
        if answer.status == 429 or answer.status >= 500:
            self._meter.count("push_messages", "later")
            asked = answer.headers.get("Retry-After", "")
            return (
                min(float(asked), LONGEST_RETRY_S) if asked.isascii() and asked.isdigit() else 0.0
            )
        taken = 200 <= answer.status < 300
        self._meter.count("push_messages", "taken" if taken else "refused")
        if not taken:
            self._log.warning("push_refused", url=_host(subscription.url), status=answer.status)
        return None

    def _message(
        self, subscription: PushSubscription, content: bytes
    ) -> tuple[bytes, dict[str, str]]:
        assert self._key is not None  # started
        expires_at = self._clock() // 1_000 + webpush.TOKEN_S
        origin = str(URL(subscription.url).origin())
        headers = {
            "Content-Type": "application/json",
            "TTL": str(TTL_S),
            "Urgency": "normal",
            "Authorization": webpush.authorization(self._key, origin, self._subject, expires_at),
        }
        if subscription.keys is None:
            return content, headers
        salt = os.urandom(webpush.SALT)
        body = webpush.encrypt(content, subscription.keys, salt, webpush.new_key())
        return body, {**headers, "Content-Encoding": webpush.ENCODING}

    async def _remove(self, subscription: PushSubscription) -> None:
        def operation(tx: Any) -> Steps[None]:
            yield from push.remove(tx, subscription.principal, subscription.id)

        await self._store.write(operation)

    def _begin(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Any) -> None:
        try:
            await work
        except StoreError as error:
            self._log.warning("push_interrupted", error=str(error))
        except Exception as error:
            self._log.error("push_fault", error=repr(error))


def _host(url: str) -> str:
    """A URL is a secret; the log has its host."""
    return URL(url).host or ""
