"""What an operation of the API works with."""

from __future__ import annotations

from dataclasses import dataclass, replace

from postillon.account.accounts import Accounts
from postillon.admin.desk import Desk
from postillon.clock import Clock
from postillon.directory.credentials import Credentials
from postillon.directory.directory import Directory
from postillon.net.resolver import Resolver
from postillon.queue.submit import Submitter
from postillon.server.config import Configuration
from postillon.store.operation import Store


@dataclass(frozen=True, slots=True)
class Office:
    """One for each worker; each request sits at a desk of its own, with who is asking."""

    desk: Desk
    config: Configuration
    dns: Resolver
    submitter: Submitter
    clock: Clock

    @classmethod
    def of(
        cls,
        store: Store,
        config: Configuration,
        directory: Directory,
        accounts: Accounts,
        credentials: Credentials,
        dns: Resolver,
        submitter: Submitter,
        clock: Clock,
    ) -> Office:
        desk = Desk(store, directory, accounts, credentials, via="api")
        return cls(desk, config, dns, submitter, clock)

    def asked_by(self, who: str) -> Office:
        return replace(self, desk=replace(self.desk, who=who))
