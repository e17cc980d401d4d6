"""Connections kept for a while, so that the next message to the same host needs no new one."""

from __future__ import annotations

import asyncio

from postillon.deliver.config import DeliverConfig
from postillon.deliver.conversation import Conversation

# Host, port, protocol, user, what TLS it must have: one made with less never serves who needs more.
Key = tuple[str, int, str, str, str]


MAX_LEARNT = 10_000  # hosts whose patience is remembered; the one learnt first is forgotten first


class Connections:
    """Idle conversations by what they were made for; the one used last is taken first.

    How many messages a connection carries is learnt: a host that ends one after so many gets no more
    on the next ones, and a few more again whenever that goes well.
    """

    def __init__(self, config: DeliverConfig) -> None:
        self._config = config
        self._learnt: dict[Key, int] = {}  # messages on a connection, where fewer than configured
        self._idle: dict[Key, list[Conversation]] = {}
        self._count = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    def take(self, key: Key) -> Conversation | None:
        """A kept conversation that still can be used, or None."""
        kept = self._idle.get(key)
        while kept:
            talk = kept.pop()
            self._count -= 1
            if not kept:
                del self._idle[key]
            if talk.usable and not self._stale(talk):
                talk.idle_for = asyncio.get_running_loop().time() - talk.idle_since
                return talk
            self._close(talk)
        return None

    def keep(self, key: Key, talk: Conversation) -> None:
        """Keep a conversation for the next message, or close it if it has served its time."""
        spent = self.spent(key, talk)
        learnt = self._learnt.get(key)
        if spent and talk.usable and learnt is not None and talk.messages >= learnt:
            self._learn(key, learnt + max(1, learnt // 4))  # it went well: a few more next time
        if (
            not talk.usable
            or spent
            or self._count >= self._config.max_kept
            or not self._config.idle
        ):
            self._close(talk)
            return
        talk.idle_since = asyncio.get_running_loop().time()
        self._idle.setdefault(key, []).append(talk)
        self._count += 1
        if self._sweeper is None:
            self._wait()

    def spent(self, key: Key, talk: Conversation) -> bool:
        """Whether it has carried all the messages that we or its server allow (RFC 9422)."""
        most = self._config.max_messages
        theirs = talk.engine.limits.get("MAILMAX") or most
        return talk.messages >= min(theirs, most, self._learnt.get(key, most))

    def ended_early(self, key: Key, messages: int) -> None:
        """A host has ended a connection after so many messages."""
        self._learn(key, max(1, messages))

    def _learn(self, key: Key, messages: int) -> None:
        self._learnt.pop(key, None)
        if messages < self._config.max_messages:
            self._learnt[key] = messages
            if len(self._learnt) > MAX_LEARNT:
                del self._learnt[next(iter(self._learnt))]

    async def close(self) -> None:
        """Close all of them."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for kept in self._idle.values():
            for talk in kept:
                self._close(talk)
        self._idle.clear()
        self._count = 0
        await asyncio.gather(*self._closing, return_exceptions=True)

    def _stale(self, talk: Conversation) -> bool:
        return (
            asyncio.get_running_loop().time() - talk.idle_since > self._config.idle.total_seconds()
        )

    def _close(self, talk: Conversation) -> None:
        task = asyncio.get_running_loop().create_task(talk.quit())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _wait(self) -> None:
        seconds = max(1.0, self._config.idle.total_seconds() / 2)
        self._sweeper = asyncio.get_running_loop().call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        for key in list(self._idle):
            fresh = []
            for talk in self._idle[key]:
                if talk.usable and not self._stale(talk):
                    fresh.append(talk)
                else:
                    self._count -= 1
                    self._close(talk)
            if fresh:
                self._idle[key] = fresh
            else:
                del self._idle[key]
        if self._idle:
            self._wait()
