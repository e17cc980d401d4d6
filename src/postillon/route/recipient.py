"""Who is this address: aliases and groups followed to their ends, each end local or remote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from postillon.account.ids import AccountId
from postillon.directory.domains import TOPIC
from postillon.directory.resolution import (
    ForeignDomain,
    Resolution,
    ToAccount,
    ToAlias,
    ToGroup,
    ToNextHop,
    UnknownUser,
)
from postillon.mail.address import Address
from postillon.mail.outcome import Status
from postillon.route.config import RouteConfig
from postillon.route.hop import HopError, parse_next_hop
from postillon.route.routes import Routes
from postillon.store.remembered import Remembered

UNKNOWN = Status("5.1.1", "there is no such mailbox here")
DISABLED = Status("5.2.1", "this mailbox is switched off")
NO_RELAY = Status("5.7.1", "this server does not relay for you to that domain")
LOOP = Status("5.4.6", "the aliases of this address lead back to themselves")
TOO_LARGE = Status("5.2.4", "this address expands to too many others")


class Resolver(Protocol):
    """The part of the directory that is asked here."""

    async def resolve(self, address: Address) -> Resolution: ...


class LocalTarget(msgspec.Struct, frozen=True):
    """`address` is the account's primary one; `detail` that of a sub-address, "" without one."""

    account: AccountId
    address: Address
    detail: str = ""


class RemoteTarget(msgspec.Struct, frozen=True):
    address: Address
    destination: str  # see route.routes


Target = LocalTarget | RemoteTarget


class Lookup(msgspec.Struct, frozen=True):
    """Where an address leads. Either `targets`, each once, or the `refusal` it has earned."""

    targets: tuple[Target, ...]
    refusal: Status | None
    steps: tuple[str, ...]
    expanded: bool = False  # an alias or group stood between the address and its targets

    @property
    def distributed(self) -> bool:
        """Whether one address became several (RFC 3461 section 5.2.7)."""
        return self.expanded and len(self.targets) > 1


class Recipients:
    """known: for a process that hears of changes; addresses of accounts are then asked for once."""

    def __init__(
        self,
        directory: Resolver,
        config: RouteConfig,
        known: Remembered[Address, Lookup] | None = None,
    ) -> None:
        self._directory = directory
        self._config = config
        self._routes = Routes(config)
        self._known = known or Remembered(most=0)

    def hear(self, topics: Sequence[str]) -> None:
        """Something was announced, by this process or another one."""
        self._known.hear(TOPIC, topics)

    async def lookup(self, address: Address, *, may_relay: bool) -> Lookup:
        """Follow an address to its ends; reads the directory, asks nobody else.

        may_relay: whether who submits it may send to other domains. Ends of our own aliases may lie
        anywhere: an administrator has put them there.
        """
        lookup = self._known.find(address)
        if lookup is not None:
            return lookup
        heard = self._known.heard
        found = await self._directory.resolve(address)
        if not isinstance(found, ToAccount):
            return await self._follow(address, found, may_relay)
        target = LocalTarget(AccountId(found.account), found.address, found.detail)
        lookup = Lookup((target,), None, (f"{address} is account {found.address}",))
        self._known.keep(address, lookup, heard)
        return lookup

    async def _follow(self, address: Address, found: Resolution, may_relay: bool) -> Lookup:
        steps: list[str] = []
        targets: dict[object, Target] = {}
        seen = {address.key}
        waiting: list[tuple[Address, Resolution | None, int]] = [(address, found, 0)]
        refusal: Status | None = None
        expanded = False
        while waiting:
            current, answer, depth = waiting.pop()
            answer = answer if answer is not None else await self._directory.resolve(current)
            if isinstance(answer, ToAlias | ToGroup):
                expanded = True
                ends = answer.targets if isinstance(answer, ToAlias) else answer.members
                kind = "an alias of" if isinstance(answer, ToAlias) else "a group of"
                shown = ", ".join(map(str, ends[:10])) + (" ..." if len(ends) > 10 else "")
                steps.append(f"{current} is {kind} {shown or 'nobody'}")
                if depth >= self._config.alias_depth:
                    refusal = LOOP
                    steps.append(f"more than {self._config.alias_depth} aliases in a row")
                    continue
                for end in reversed(ends):
                    if end.key in seen:
                        steps.append(f"{end} has been seen already")
                        refusal = refusal or LOOP
                        continue
                    seen.add(end.key)
                    if len(seen) > self._config.max_expansion:
                        steps.append(f"more than {self._config.max_expansion} addresses")
                        return Lookup((), TOO_LARGE, tuple(steps), True)
                    waiting.append((end, None, depth + 1))
                continue
            end_or_status = self._end(current, answer, may_relay or depth > 0, steps)
            if isinstance(end_or_status, Status):
                refusal = end_or_status
            elif isinstance(end_or_status, LocalTarget):
                key = (end_or_status.account, end_or_status.detail)
                targets.setdefault(key, end_or_status)
            else:
                targets.setdefault(end_or_status.address.key, end_or_status)
        if targets:
            return Lookup(tuple(targets.values()), None, tuple(steps), expanded)
        return Lookup((), refusal or UNKNOWN, tuple(steps), expanded)

    def _end(
        self, address: Address, answer: Resolution, may_relay: bool, steps: list[str]
    ) -> Target | Status:
        if isinstance(answer, ToAccount):
            steps.append(f"{address} is account {answer.address}")
            return LocalTarget(AccountId(answer.account), answer.address, answer.detail)
        if isinstance(answer, ToNextHop):
            destination = self._split(address, answer.next_hop)
            steps.append(f"{address} is not known here, its domain is split: on to {destination}")
            return RemoteTarget(address, destination)
        if isinstance(answer, UnknownUser):
            steps.append(f"{address} is {'switched off' if answer.disabled else 'not known'} here")
            return DISABLED if answer.disabled else UNKNOWN
        assert isinstance(answer, ForeignDomain)
        if not may_relay:
            steps.append(f"{address.domain} is not ours, and the sender may not relay")
            return NO_RELAY
        destination = self._routes.destination(address.domain)
        steps.append(f"{address.domain} is not ours: on to {destination}")
        return RemoteTarget(address, destination)

    def _split(self, address: Address, next_hop: str) -> str:
        """The next hop of a split domain. One that cannot be read leaves it to the routes."""
        if next_hop:
            try:
                return str(parse_next_hop(next_hop))
            except HopError:
                pass
        return self._routes.destination(address.domain)
