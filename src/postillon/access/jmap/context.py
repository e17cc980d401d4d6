"""What a method works with: who asks, what is open, and what came before in the same request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from postillon.access.authority import Identity
from postillon.access.jmap import names
from postillon.access.jmap.pusher import Pusher
from postillon.account.account import Account
from postillon.account.accounts import Accounts
from postillon.clock import Clock
from postillon.directory.directory import Directory
from postillon.directory.guests import Guests
from postillon.log import Log
from postillon.protocol.jmap.errors import MethodError
from postillon.protocol.jmap.request import Call, Limits
from postillon.store.operation import Store

if TYPE_CHECKING:
    from postillon.queue.submit import Submitter

Method = Callable[["Context", dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Services:
    """What is the same for all requests of a worker."""

    store: Store
    accounts: Accounts
    directory: Directory
    submitter: Submitter
    pusher: Pusher
    hostname: str
    limits: Limits
    clock: Clock
    log: Log


@asynccontextmanager
async def let_in(guests: Guests, identity: Identity, longest_s: float) -> AsyncIterator[None]:
    """A connection that goes on for so long at most, and no longer than its credential is good.

    Raises TimeoutError at the end of either.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(longest_s) as patience:

        def end() -> None:
            if not patience.expired():
                patience.reschedule(loop.time())

        leave = guests.enter(identity.principal, identity.credential, end)
        try:
            yield
        finally:
            leave()


@dataclass(slots=True)
class Context:
    """Of one request. `created` grows with the ids that its calls create."""

    services: Services
    identity: Identity
    using: frozenset[str]
    created: dict[str, str] = field(default_factory=dict)
    responses: list[Call] = field(default_factory=list)
    call_id: str = ""
    _shared: dict[int, str] | None = None

    @property
    def accounts(self) -> Accounts:
        return self.services.accounts

    @property
    def limits(self) -> Limits:
        return self.services.limits

    async def account(self, account_id: str) -> Account:
        """Open an account that the caller may see. Raises MethodError accountNotFound."""
        number = names.number(names.ACCOUNT, account_id)
        owner = self.identity.principal
        if number is None or (number != owner and number not in await self.shared()):
            raise MethodError("accountNotFound")
        return self.accounts.open(number, owner)

    async def own_account(self, account_id: str) -> Account:
        """As `account`, for what is nobody's but the owner's. Raises accountNotSupportedByMethod."""
        found = await self.account(account_id)
        if not found.own:
            raise MethodError("accountNotSupportedByMethod", "this account is another's")
        return found

    async def shared(self) -> dict[int, str]:
        """The accounts of others that the caller may look into, with their logins."""
        if self._shared is None:
            found = await self.accounts.shared_with(self.identity.principal)
            self._shared = {principal.id: principal.login for principal in found}
        return self._shared

    def id_of(self, given: str) -> str | None:
        """An id as it is, a creation id ("#…") by what was created; None if nothing was."""
        return self.created.get(given[1:]) if given.startswith("#") else given

    def add(self, name: str, arguments: dict[str, Any]) -> None:
        """A further response of the call under way; it comes behind those that are there."""
        self.responses.append(Call(name, arguments, self.call_id))
