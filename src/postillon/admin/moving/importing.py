"""Putting the mail of a source into an account: in batches, each message once, however often."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from unicodedata import category, normalize

from postillon.account import imports
from postillon.account.account import Account
from postillon.account.errors import (
    AccountError,
    BadKeyword,
    BadMailboxName,
    OverQuota,
    RoleTaken,
)
from postillon.account.ids import MailboxId
from postillon.account.imports import ToImport
from postillon.account.keywords import FLAG_OF_KEYWORD, MAX_KEYWORDS, check_keyword
from postillon.account.mailboxes import MAX_NAME
from postillon.account.mailboxes import Path as MailboxPath
from postillon.admin.errors import Refused
from postillon.admin.moving.model import Bad, Folder, Message, Source
from postillon.mail.mime import scan
from postillon.mail.octets import find_octets
from postillon.store.operation import Store, StoreError
from postillon.store.progress import Pace

BATCH = 100  # messages of one transaction
BATCH_OCTETS = 4 << 20  # octets of one transaction
MAX_TOLD = 1_000  # bad messages that are named; all are counted


@dataclass(slots=True)
class Imported:
    """What became of a source."""

    placed: int = 0
    already: int = 0  # placed by an earlier run
    octets: int = 0  # of those placed
    bad_count: int = 0
    bad: list[Bad] = field(default_factory=list)
    mailboxes: list[str] = field(default_factory=list)  # made
    keywords_left_out: int = 0  # that no client could set


class Importer:
    """One run over a source into one account.

    under: a path that the source's paths are put below.
    skip_bad: go on behind what cannot be taken; else the first ends the run. Raises Refused;
    everything placed until then stays, and another run goes on behind it.
    """

    def __init__(
        self,
        store: Store,
        account: Account,
        *,
        under: MailboxPath = (),
        skip_bad: bool = False,
        pace: Pace | None = None,
    ) -> None:
        self._store, self._account = store, account
        self._under, self._skip_bad = under, skip_bad
        self._pace = pace or Pace()
        self._run = secrets.randbits(62)
        self.result = Imported()
        self._writing: asyncio.Task[None] | None = None

    async def run(self, source: Source) -> Imported:
        folders = await source.folders()
        self._pace.begin("messages", source.octets)
        try:
            for folder in folders:
                await self._folder(source, folder)
        except OverQuota as error:
            done = self.result.placed
            raise Refused(
                f"the quota is used up after {done} messages", f"{error}; then run it again"
            ) from error
        except AccountError as error:
            raise Refused(str(error)) from error
        finally:
            with contextlib.suppress(AccountError, StoreError):
                await self._settle()
        return self.result

    async def _folder(self, source: Source, folder: Folder) -> None:
        mailbox = await self._mailbox(folder)
        batch: list[Message] = []
        octets = 0
        async for item in source.items(folder):
            checked = item if isinstance(item, Bad) else _checked(item)
            if isinstance(checked, Bad):
                if not self._skip_bad:  # what came before stays placed
                    await self._put(mailbox, batch)
                    await self._settle()
                self._refuse(checked)
                continue
            batch.append(checked)
            octets += len(checked.content)
            if len(batch) >= BATCH or octets >= BATCH_OCTETS:
                await self._put(mailbox, batch)
                batch, octets = [], 0
        await self._put(mailbox, batch)
        await self._settle()

    async def _mailbox(self, folder: Folder) -> MailboxId:
        """The mailbox for a folder: that of its role or its name, or a new one."""
        path = (*self._under, *map(_usable, folder.path))
        if folder.role is not None and not self._under:
            held = await self._account.of_role(folder.role)
            if held is not None:
                return held.id
        found = await self._account.find(path)
        if found is not None and found.selectable:
            return found.id
        role = None if self._under else folder.role
        try:
            made = await self._account.create(path, role)
        except RoleTaken:
            made = await self._account.create(path)
        except BadMailboxName as error:
            raise Refused(f"{'/'.join(path)} can be no mailbox: {error.problem}") from error
        self.result.mailboxes.append("/".join(made.path))
        if folder.subscribed != made.subscribed:
            await self._account.subscribe(made.path, folder.subscribed)
        return made.id

    def _refuse(self, bad: Bad) -> None:
        if not self._skip_bad:
            raise Refused(f"{bad.where}: {bad.why}", "--skip-bad goes on without it")
        self.result.bad_count += 1
        if len(self.result.bad) < MAX_TOLD:
            self.result.bad.append(bad)
        self._pace.skip(bad.size)

    async def _put(self, mailbox: MailboxId, batch: list[Message]) -> None:
        """Begin to write a batch; the next one is read meanwhile."""
        if not batch:
            return
        marks = [
            imports.mark_of(mailbox, item.identity or hashlib.sha256(item.content).digest())
            for item in batch
        ]
        await self._settle()  # what this run has met must be counted before it is asked
        there = await self._store.query(imports.placed_before(self._account.id, self._run, marks))
        known = [mark for mark, known in zip(marks, there, strict=True) if known]
        new = [
            self._to_import(mark, item)
            for mark, item, known_ in zip(marks, batch, there, strict=True)
            if not known_
        ]
        size = sum(item.size for item in batch)
        self._writing = asyncio.create_task(self._write(mailbox, new, known, size, len(batch)))

    async def _write(
        self,
        mailbox: MailboxId,
        new: Sequence[ToImport],
        known: Sequence[bytes],
        size: int,
        count: int,
    ) -> None:
        placed = await imports.import_many(
            self._store, self._account.id, mailbox, self._run, new, known
        )
        self.result.placed += placed
        self.result.already += count - placed
        self.result.octets += sum(len(item.content) for item in new)
        self._pace.step(size, count)

    async def _settle(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await writing

    def _to_import(self, mark: bytes, item: Message) -> ToImport:
        flags = item.flags
        words: set[str] = set()
        for word in sorted(item.keywords):
            try:
                checked = check_keyword(word)
            except BadKeyword:
                self.result.keywords_left_out += 1
                continue
            if checked in FLAG_OF_KEYWORD:
                flags |= FLAG_OF_KEYWORD[checked]
            elif len(words) < MAX_KEYWORDS:
                words.add(checked)
            else:
                self.result.keywords_left_out += 1
        return ToImport(
            mark, item.content, scan(item.content), flags, frozenset(words), item.received_at
        )


def _usable(name: str) -> str:
    """The nearest name a mailbox can have: no control characters, not too long."""
    text = name.encode("utf-8", "replace").decode()
    text = "".join("_" if category(one) in {"Cc", "Zl", "Zp"} else one for one in text)
    return normalize("NFC", text).encode()[:MAX_NAME].decode("utf-8", "ignore") or "_"


def _checked(item: Message) -> Message | Bad:
    """A message IMAP could not give to a client is bad."""
    if not len(item.content):
        return Bad(item.where, "the message is empty", item.size)
    if find_octets(item.content, b"\0", 0, len(item.content)) >= 0:
        return Bad(item.where, "the message holds NUL", item.size)  # RFC 3501 section 4.3.1
    return item
