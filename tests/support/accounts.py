"""A real store in a temporary folder, with a directory and accounts on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postillon.account.account import Account
from postillon.account.accounts import Accounts
from postillon.account.emails import Placed
from postillon.account.ids import MailboxId
from postillon.account.roles import INBOX_ID
from postillon.directory.config import AuthConfig
from postillon.directory.credentials import Credentials
from postillon.directory.directory import Directory
from postillon.mail.mime import scan
from postillon.store.operation import Steps
from support.stores import open_test_store

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore

QUICK = AuthConfig(argon2_memory=64, argon2_passes=1, scram_iterations=4_096)


class Time:
    """Milliseconds that pass only when a test says so."""

    def __init__(self, now: int = 1_790_000_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@dataclass
class House:
    store: AnyStore
    directory: Directory
    accounts: Accounts
    credentials: Credentials
    time: Time

    async def account(self, login: str = "ada@example.org", **more: Any) -> Account:
        owner = await self.accounts.create(login, **more)
        return self.accounts.open(owner.id)

    async def rows(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        def steps() -> Steps[list[tuple[Any, ...]]]:
            return (yield (sql, arguments))

        return await self.store.query(steps())

    async def do(self, operation: Callable[..., Steps[Any]]) -> Any:
        return await self.store.write(operation)


@asynccontextmanager
async def house(folder: Path, *domains: str) -> AsyncIterator[House]:
    time = Time()
    store = await open_test_store(folder / "data", owner="w0", clock=time)
    try:
        directory = Directory(store)
        for domain in domains or ("example.org",):
            await directory.create_domain(domain)
        credentials = Credentials(store, QUICK, clock=time)
        yield House(store, directory, Accounts(store), credentials, time)
    finally:
        await store.close()


def message(subject: str = "hello", body: str = "text", **headers: str) -> bytes:
    lines = [f"Subject: {subject}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", body, ""]).encode()


async def append(
    account: Account,
    content: bytes = message(),
    mailbox: MailboxId = INBOX_ID,
    flags: int = 0,
    *keywords: str,
) -> Placed:
    return await account.append(mailbox, content, scan(content), flags, frozenset(keywords))
