"""Filling the text indexes: emails that came go in, those that are gone come out.

How far an index is stands in its own file, moved by the transaction that fills it; a crash or a lost
file only means that there is more to do. `account.indexed_modseq` is a hint which accounts have
changed since, and may be behind.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import msgspec

from postillon.account.changes import Kind
from postillon.account.emails import ref_of
from postillon.account.ids import AccountId, EmailId
from postillon.log import SILENT, Log
from postillon.mail import digest, mime
from postillon.mail.folding import fold
from postillon.mail.part import Part
from postillon.mail.searchable import body_texts, field_text, header_lines, text_octets
from postillon.mail.terms import analyse
from postillon.setting import ConfigError, seconds, setting
from postillon.store.operation import BlobLost, BlobRef, Steps, Store, StoreFull, Tx
from postillon.store.textindex import COLUMNS, Document, IndexDamaged, Marks, TextIndex
from postillon.store.textindexes import Quiet, TextIndexes

FIELDS = COLUMNS[:-2]  # columns that hold one field
MAX_TEXT = 16 << 20  # octets of text parts; a message with more is read itself by each search
MAX_HEADER, MAX_LINES = 1 << 16, 900  # octets and fields of a header, for the same reason
TOGETHER = 4 << 20  # octets of messages held in memory before they are put in
AT_ONCE = 1_000  # accounts of one read


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """The index of words that text searches use (docs/store.md). On SQLite alone."""

    index: bool = setting(True, "Keep it; without it a search reads the messages themselves.")
    every: timedelta = setting(
        seconds(10), "Pause between two rounds that take up what has come since."
    )
    batch: int = setting(200, "Most messages put in at one time.")
    share: int = setting(
        25, "Part of one core that may be used while there is much to take up.", unit="percent"
    )

    def __post_init__(self) -> None:
        if self.every <= timedelta(0):
            raise ConfigError("search", "every must be longer than nothing")
        if not 1 <= self.batch <= 10_000:
            raise ConfigError("search", "batch must lie between 1 and 10,000")
        if not 1 <= self.share <= 100:
            raise ConfigError("search", "share must lie between 1 and 100")


class ToIndex(msgspec.Struct, frozen=True, gc=False):
    """An email that is to go in."""

    email: EmailId
    prefix: bytes
    ref: BlobRef
    header: bytes
    structure: bytes


class Indexer:
    """For the maintenance process. One call at a time."""

    def __init__(
        self, store: Store, indexes: TextIndexes, config: SearchConfig, log: Log = SILENT
    ) -> None:
        self._store = store
        self._indexes = indexes
        self._config = config
        self._log = log
        self._quiet = Quiet()
        # How long to pause after so much work.
        self._rest = (100 - config.share) / config.share

    async def close(self) -> None:
        """After the batch under way."""
        await asyncio.to_thread(self._quiet.close)

    async def round(self) -> int:
        """Take up what has come to any account; returns the number of messages put in."""
        total, last = 0, 0
        while accounts := await self._store.read_apart(behind(last)):
            done: list[tuple[AccountId, int]] = []
            for account, modseq in accounts:
                try:
                    total += await self.catch_up(account)
                except (IndexDamaged, StoreFull, OSError) as error:
                    self._log.error("text_index_failed", account=account, error=str(error))
                else:
                    done.append((account, modseq))
            await self._store.write(partial(_indexed, done))
            last = accounts[-1][0]
        return total

    async def catch_up(self, account: AccountId) -> int:
        """Bring one index up to date; returns the number of messages put in."""
        index = await self._quiet.run(self._indexes.writer, account)
        try:
            return await self._fill(account, index)
        except IndexDamaged:
            await self._quiet.run(index.close)
            index = await self._quiet.run(self._indexes.renew, account)
            return await self._fill(account, index)
        finally:
            await self._quiet.run(index.close)

    async def sweep(self) -> int:
        """Remove what is left of accounts that are gone, and see what is missing; returns how many."""
        found = await self._quiet.run(lambda: set(self._indexes.accounts()))
        lost = [one for one in await self._store.read_apart(_begun()) if one not in found]
        for start in range(0, len(lost), AT_ONCE):
            await self._store.write(partial(_forget, lost[start : start + AT_ONCE]))
        gone = 0
        for account in sorted(found):
            if not await self._store.query(_exists(account)):
                await self._quiet.run(self._indexes.remove, account)
                gone += 1
        return gone

    async def _fill(self, account: AccountId, index: TextIndex) -> int:
        loop = asyncio.get_running_loop()
        total = 0
        marks = await self._quiet.run(index.marks)
        while True:
            began = loop.time()
            state = await self._store.read_apart(_state(account, marks, self._config.batch))
            if state is None:  # the account is gone
                return total
            if marks.documents and (marks.epoch != state.epoch or marks.modseq > state.modseq):
                raise IndexDamaged("of another time of the account")
            gone = state.gone
            if gone is None:  # what was removed is no longer known
                live = set(await self._store.read_apart(_emails(account, marks.email)))
                gone = [e for e in await self._quiet.run(index.emails) if e not in live]
            if marks.removed + len(gone) > max(1_000, marks.documents // 2):
                raise IndexDamaged("mostly about what is gone")
            if not (gone or state.emails or marks.modseq < state.modseq):
                return total
            marks = await self._put_in(index, state, gone, marks)
            total += len(state.emails)
            await asyncio.sleep((loop.time() - began) * self._rest)
            if len(state.emails) < self._config.batch:
                return total

    async def _put_in(self, index: TextIndex, state: State, gone: list[int], marks: Marks) -> Marks:
        """One batch, in portions that memory can hold."""
        waiting: list[tuple[ToIndex, bytes | None]] = []
        octets = 0
        marks = marks._replace(
            epoch=state.epoch, modseq=state.modseq, removed=marks.removed + len(gone)
        )
        for number, item in enumerate(state.emails, 1):
            content = await self._content(state.account, item)
            waiting.append((item, content))
            octets += len(content or b"")
            if octets >= TOGETHER or number == len(state.emails):
                marks = await self._quiet.run(_add, index, waiting, marks, gone)
                waiting, gone, octets = [], [], 0
        if not state.emails:
            await self._quiet.run(index.add, (), marks, gone)
        return marks

    async def _content(self, account: AccountId, item: ToIndex) -> bytes | None:
        """None: it cannot be read, or should not."""
        if text_octets(mime.unpack(item.structure)) > MAX_TEXT:
            return None
        try:
            return await self._store.fetch(item.ref)
        except BlobLost:
            ref = await self._store.query(ref_of(account, item.email))  # compaction moves blobs
        if ref is None or ref == item.ref:
            return None
        try:
            return await self._store.fetch(ref)
        except BlobLost:
            return None


def _add(
    index: TextIndex, waiting: list[tuple[ToIndex, bytes | None]], marks: Marks, gone: list[int]
) -> Marks:
    documents = [document_of(item, content) for item, content in waiting]
    marks = marks._replace(email=documents[-1].email, documents=marks.documents + len(documents))
    index.add(documents, marks, gone)
    return marks


def document_of(item: ToIndex, content: bytes | None) -> Document:
    """The words of an email. content: its blob; None: it is not to be in the index."""
    root: Part = mime.unpack(item.structure)
    # A field that the digest has must stand in `header` too, and long headers are read in part.
    if content is None or len(item.prefix) + root.body_start > MAX_HEADER:
        return Document(item.email, None)
    header = digest.unpack(item.header)
    texts = [field_text(header, name.encode()) for name in FIELDS]
    lines = list(header_lines(item.prefix, content, root))
    if len(lines) >= MAX_LINES:
        return Document(item.email, None)
    texts.append("\n".join(lines))
    texts.append("\n".join(body_texts(content, root)))
    columns: list[str] = []
    words: set[str] = set()
    for text in texts:
        found = analyse(fold(text))
        columns.append(found.text)
        words |= found.words
    return Document(item.email, columns, words)


# Steps ----------------------------------------------------------------------------------------------


class State(msgspec.Struct, frozen=True):
    """What an account has that its index does not have yet."""

    account: AccountId
    epoch: int
    modseq: int
    emails: list[ToIndex]
    gone: list[int] | None  # emails removed; None: not known any more


def behind(last: int) -> Steps[list[tuple[AccountId, int]]]:
    """Some accounts after `last` that have changed since their index was filled, with their MODSEQ."""
    rows = yield (
        "SELECT account, modseq FROM account WHERE account > ? AND indexed_modseq < modseq"
        " ORDER BY account LIMIT ?",
        (last, AT_ONCE),
    )
    return [(AccountId(account), modseq) for account, modseq in rows]


def _indexed(done: list[tuple[AccountId, int]], tx: Tx) -> Steps[None]:
    for account, modseq in done:
        yield (
            "UPDATE account SET indexed_modseq = ? WHERE account = ? AND indexed_modseq < ?",
            (modseq, account, modseq),
        )


def _begun() -> Steps[list[AccountId]]:
    """Accounts that have an index, as far as the database knows."""
    rows = yield ("SELECT account FROM account WHERE indexed_modseq > 0", ())
    return [AccountId(account) for (account,) in rows]


def _forget(accounts: list[AccountId], tx: Tx) -> Steps[None]:
    for account in accounts:
        yield ("UPDATE account SET indexed_modseq = 0 WHERE account = ?", (account,))


def _exists(account: int) -> Steps[bool]:
    rows = yield ("SELECT 1 FROM account WHERE account = ?", (account,))
    return bool(rows)


def _state(account: AccountId, marks: Marks, limit: int) -> Steps[State | None]:
    rows = yield (
        "SELECT epoch, modseq, low_modseq, emails FROM account WHERE account = ?",
        (account,),
    )
    if not rows:
        return None
    epoch, modseq, low, number = rows[0]
    gone: list[int] | None = []
    if marks.documents:
        gone = None
        if marks.modseq >= low:
            rows = yield (
                "SELECT DISTINCT c.object FROM change c WHERE c.account = ? AND c.modseq > ?"
                " AND c.kind = ? AND c.object <= ? AND NOT EXISTS (SELECT 1 FROM email e"
                " WHERE e.account = c.account AND e.email = c.object)",
                (account, marks.modseq, int(Kind.DELETED), marks.email),
            )
            gone = [email for (email,) in rows]
    rows = yield (
        "SELECT email, prefix, pack, start, length, header, structure FROM email"
        " WHERE account = ? AND email > ? ORDER BY email LIMIT ?",
        (account, marks.email, limit),
    )
    emails = [
        ToIndex(email, prefix, BlobRef(pack, start, length), header, structure)
        for email, prefix, pack, start, length, header, structure in rows
    ]
    if gone is not None and len(emails) < limit:
        # Not every removal has a record: those of a whole mailbox have not.
        expected = marks.documents - marks.removed - len(gone) + len(emails)
        if expected > number:
            gone = None
    return State(account, epoch, modseq, emails, gone)


def _emails(account: AccountId, last: EmailId | int) -> Steps[list[int]]:
    rows = yield ("SELECT email FROM email WHERE account = ? AND email <= ?", (account, last))
    return [email for (email,) in rows]
