"""An open data folder, beside the running server or without one: what every operation works on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from postillon.account.accounts import Accounts
from postillon.admin.hints import Hints
from postillon.directory.config import AuthConfig
from postillon.directory.credentials import Credentials
from postillon.directory.directory import Directory
from postillon.log import SILENT, Log
from postillon.store.choice import open_any
from postillon.store.config import StoreConfig
from postillon.store.operation import Store

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore


@dataclass(frozen=True, slots=True)
class Desk:
    """The store and the nouns on it, and who sits at it: that is kept in the audit log."""

    store: Store
    directory: Directory
    accounts: Accounts
    credentials: Credentials
    who: str = ""
    via: str = "command"

    @classmethod
    def over(cls, store: Store, auth: AuthConfig, who: str = "") -> Desk:
        return cls(store, Directory(store), Accounts(store), Credentials(store, auth), who)


@asynccontextmanager
async def open_database(
    data: Path, config: StoreConfig, *, fresh_ok: bool = False, log: Log = SILENT
) -> AsyncIterator[AnyStore]:
    """Open the store in a data folder as a tool; what is changed is told to the server's processes.

    fresh_ok: whether a store may be made where there is none. Raises StoreError.
    """
    store = await open_any(data, config, owner="cli", log=log, fresh_ok=fresh_ok)
    hints = Hints(store, data, "cli", log)
    try:
        yield store
    finally:
        try:
            await store.close()  # the hints of the last commit go out before it has ended
        finally:
            hints.close()


@asynccontextmanager
async def open_desk(
    data: Path,
    store_config: StoreConfig,
    auth: AuthConfig,
    *,
    fresh_ok: bool = False,
    log: Log = SILENT,
    who: str = "",
) -> AsyncIterator[Desk]:
    """As `open_database`, with the nouns. who: whose acts these are."""
    async with open_database(data, store_config, fresh_ok=fresh_ok, log=log) as store:
        yield Desk.over(store, auth, who)
