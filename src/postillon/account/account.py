"""One account, as the protocols see it. Reads are bounded; changes wait until durable.

Where a change is part of a larger operation (the accepting transaction delivers to many accounts), the
steps of the modules beside this one are composed instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from postillon.account import changes, emails, hierarchy, mailboxes, metadata, transfer
from postillon.account import flags as flagging  # `flags` is a parameter of half the methods
from postillon.account.changes import MailboxChanges, Placement
from postillon.account.emails import EmailRow, NewEmail, Placed, SortFacts
from postillon.account.errors import AccountNotFound, EmailGone
from postillon.account.flags import FlagMode, FlagResult
from postillon.account.ids import AccountId, EmailId, MailboxId, ModSeq, Uid
from postillon.account.keywords import ALL_FLAGS, check_keywords, join_keywords
from postillon.account.mailboxes import Mailbox, Path
from postillon.account.ranges import Ranges, placements_in
from postillon.account.roles import Role
from postillon.account.transfer import CopyResult
from postillon.mail import digest, mime
from postillon.mail.octets import Octets
from postillon.store.operation import BlobLost, NewBlob, Steps, Store, T, Tx
from postillon.store.textindex import Hits, Wanted
from postillon.store.textindexes import TextIndexes


class Facts(msgspec.Struct, frozen=True, gc=False):
    """The counters of an account. quota: octets; None is unlimited."""

    epoch: int  # changes when the account is restored from a backup
    modseq: ModSeq
    low_modseq: ModSeq  # changes up to it may be forgotten
    quota: int | None
    used: int  # octets
    emails: int


class ToAppend(msgspec.Struct, frozen=True):
    """A message to append, scanned."""

    content: Octets
    scan: mime.Scan
    flags: int = 0
    keywords: frozenset[str] = frozenset()
    received_at: int | None = None  # ms; None: now


def new_email(
    scan: mime.Scan,
    content_digest: bytes,
    received_at: int,
    *,
    prefix: bytes = b"",
    flags: int = 0,
    keywords: str | None = None,
    mailbox: emails.Target = Role.INBOX,
    queue_id: int | None = None,
) -> NewEmail:
    """What a scan has found, as `place` wants it."""
    return NewEmail(
        digest=content_digest,
        header=digest.pack(scan.digest),
        structure=mime.pack(scan.structure),
        preview=scan.preview,
        received_at=received_at,
        prefix=prefix,
        sent_at=scan.digest.sent_at,
        thread_keys=scan.thread_keys,
        flags=flags,
        keywords=keywords,
        mailbox=mailbox,
        queue_id=queue_id,
    )


class Account:
    """The data of one owner. Cheap to make; keeps nothing."""

    def __init__(self, store: Store, account: AccountId, texts: TextIndexes | None = None) -> None:
        self._store = store
        self._texts = texts
        self.id = account

    # What is there: bounded reads

    async def facts(self) -> Facts:
        """Raises AccountNotFound."""
        return await self._store.query(_facts(self.id))

    async def mailboxes(self) -> list[Mailbox]:
        """All of them, INBOX first, each before its children."""
        return await self._store.query(mailboxes.every(self.id))

    async def mailbox(self, mailbox: MailboxId) -> Mailbox:
        """Raises MailboxNotFound."""
        return await self._store.query(mailboxes.one(self.id, mailbox))

    async def find(self, path: Sequence[str]) -> Mailbox | None:
        """The mailbox at a path; INBOX in any case at the top."""
        return await self._store.query(_find(self.id, tuple(path)))

    async def of_role(self, role: Role) -> Mailbox | None:
        return await self._store.query(_of_role(self.id, role))

    async def deleted_octets(self, mailbox: MailboxId) -> int:
        """What an EXPUNGE of the mailbox would remove from it, in octets."""
        return await self._store.query(emails.deleted_octets(self.id, mailbox))

    async def annotations(self, mailbox: MailboxId = metadata.ACCOUNT) -> dict[str, bytes]:
        """All entries of a mailbox, or of the account itself, sorted by name."""
        return await self._store.query(metadata.every(self.id, mailbox))

    def find_detail(self, detail: str) -> Steps[MailboxId | None]:
        """Steps to the mailbox that a sub-address means, or None: then INBOX is meant."""
        return mailboxes.find_detail(self.id, detail)

    async def subscriptions(self) -> list[Path]:
        """All names subscribed to, also those that no mailbox has; sorted."""
        return await self._store.query(_subscriptions(self.id))

    async def uids(self, mailbox: MailboxId) -> list[Uid]:
        """Ascending; empty also for a mailbox that is not there."""
        return await self._store.query(emails.uids(self.id, mailbox))

    async def placements(self, mailbox: MailboxId, ranges: Ranges) -> list[Placement]:
        """Those of these UIDs that are there, ascending."""
        return await self._store.query(placements_in(self.id, mailbox, ranges))

    async def emails(self, mailbox: MailboxId, ranges: Ranges) -> list[EmailRow]:
        """Those of these UIDs that are there, ascending. About 1 KB each: ask for some hundreds."""
        return await self._store.query(emails.rows_in(self.id, mailbox, ranges))

    async def emails_apart(self, mailbox: MailboxId, ranges: Ranges) -> list[EmailRow]:
        """As `emails`, in another thread: for thousands."""
        return await self._store.read_apart(emails.rows_in(self.id, mailbox, ranges))

    async def hits(self, questions: Sequence[Wanted]) -> list[Hits | None]:
        """What the text index says, asked in another thread. None: it cannot say."""
        answer = await self._texts.ask(self.id, questions) if self._texts is not None else None
        if answer is not None:
            marks, found = answer
            facts = await self.facts()
            # An account that was restored begins another epoch; an index is never ahead of its own.
            if marks.epoch == facts.epoch and marks.modseq <= facts.modseq:
                return found
        return [None] * len(questions)

    async def places(self, mailbox: MailboxId, hits: Hits) -> list[tuple[Uid, EmailId]]:
        """The emails of a mailbox that match or may match, ascending by UID."""
        wanted = emails.places(self.id, mailbox, hits.emails, hits.skipped, hits.upto)
        return await self._store.read_apart(wanted)

    async def sort_facts(
        self, mailbox: MailboxId, ranges: Ranges, *, header: bool
    ) -> list[SortFacts]:
        """What sorting and threading need of these emails, read in another thread."""
        return await self._store.read_apart(
            emails.sort_facts(self.id, mailbox, ranges, header=header)
        )

    async def keywords(self, mailbox: MailboxId) -> list[str]:
        """All keywords in use in a mailbox, sorted."""
        return await self._store.query(flagging.keywords_in(self.id, mailbox))

    async def changes(self, mailbox: MailboxId, since: int) -> MailboxChanges:
        """What changed after a MODSEQ. Raises MailboxNotFound."""
        return await self._store.query(changes.since(self.id, mailbox, since))

    async def content(self, row: EmailRow, start: int = 0, stop: int | None = None) -> bytes:
        """Octets of the blob (without `row.prefix`), or a slice of them.

        Raises EmailGone when the email was removed meanwhile, BlobLost when its octets are damaged.
        """
        try:
            return await self._store.fetch(row.ref, start, stop)
        except BlobLost:
            ref = await self._store.query(emails.ref_of(self.id, row.email))
            if ref is None:
                raise EmailGone(row.email) from None
            if ref == row.ref:
                raise
            return await self._store.fetch(ref, start, stop)

    async def ahead(self, rows: Sequence[EmailRow], octets: int) -> None:
        """Say that the first so many octets of each are about to be read with `content`."""
        await self._store.ahead([row.ref for row in rows], octets)

    # Emails: changes

    async def append(
        self,
        mailbox: MailboxId,
        content: Octets,
        scan: mime.Scan,
        flags: int = 0,
        keywords: frozenset[str] = frozenset(),
        received_at: int | None = None,
    ) -> Placed:
        """Put a message into a mailbox. received_at: ms; None is now.

        Raises MailboxNotFound, OverQuota, BadKeyword or TooManyKeywords.
        """
        message = ToAppend(content, scan, flags, keywords, received_at)
        [placed] = await self.append_many(mailbox, [message])
        return placed

    async def append_many(self, mailbox: MailboxId, messages: Sequence[ToAppend]) -> list[Placed]:
        """Put messages into a mailbox, all or none (RFC 3502). Raises as `append`."""
        new = [_new(message, mailbox) for message in messages]

        def operation(tx: Tx) -> Steps[list[Placed]]:
            placed = []
            for index, item in enumerate(new):
                dated = _dated(item, tx.now)
                placed.append((yield from emails.place(tx, self.id, dated, tx.blob(index))))
            return placed

        blobs = [NewBlob(message.content) for message in messages]
        return await self._store.write(operation, *blobs)

    async def store_flags(
        self,
        mailbox: MailboxId,
        ranges: Ranges,
        mode: FlagMode | str,
        flags: int,
        keywords: frozenset[str] = frozenset(),
        unchanged_since: int | None = None,
    ) -> FlagResult:
        """Add, remove or replace flags and keywords ("add", "remove", "replace").

        Raises MailboxNotFound, BadKeyword or TooManyKeywords.
        """
        checked, how = check_keywords(keywords), FlagMode(mode)
        return await self._write(
            lambda tx: flagging.store_flags(
                tx, self.id, mailbox, ranges, how, flags, checked, unchanged_since
            )
        )

    async def copy(self, mailbox: MailboxId, ranges: Ranges, target: MailboxId) -> CopyResult:
        """Raises MailboxNotFound or OverQuota; then nothing was copied."""
        return await self._write(lambda tx: transfer.copy(tx, self.id, mailbox, ranges, target))

    async def move(self, mailbox: MailboxId, ranges: Ranges, target: MailboxId) -> CopyResult:
        """Raises MailboxNotFound; then nothing was moved."""
        return await self._write(lambda tx: transfer.move(tx, self.id, mailbox, ranges, target))

    async def replace(
        self, mailbox: MailboxId, uid: Uid, target: MailboxId, message: ToAppend
    ) -> Placed:
        """Put a message into `target` and remove another one, both or neither (RFC 8508).

        Raises EmailGone when the other is not there, or as `append`.
        """
        new = _new(message, target)

        def operation(tx: Tx) -> Steps[Placed]:
            placed = yield from emails.place(tx, self.id, _dated(new, tx.now), tx.blob())
            yield from transfer.discard(tx, self.id, mailbox, uid)
            return placed

        return await self._store.write(operation, NewBlob(message.content))

    async def annotate(self, mailbox: MailboxId, values: Mapping[str, bytes | None]) -> None:
        """Set entries, or remove those whose value is None, all or none. Names in lower case.

        Raises MailboxNotFound or TooManyAnnotations.
        """
        await self._write(lambda tx: metadata.store(tx, self.id, mailbox, values))

    async def expunge(self, mailbox: MailboxId, ranges: Ranges | None = None) -> list[Uid]:
        """Remove what has \\Deleted, of these UIDs or (None) of all. Raises MailboxNotFound."""
        return await self._write(lambda tx: transfer.expunge(tx, self.id, mailbox, ranges))

    async def claim_recent(self, mailbox: MailboxId) -> tuple[Uid, Uid]:
        """Take the \\Recent emails for one session: UIDs from the first up to before the second."""
        return await self._write(lambda tx: _claim_recent(self.id, mailbox))

    # Mailboxes: changes

    async def create(self, path: Sequence[str], role: Role | None = None) -> Mailbox:
        """Raises BadMailboxName, MailboxExists, RoleTaken or TooManyMailboxes."""
        mailbox = await self._write(lambda tx: hierarchy.create(tx, self.id, tuple(path), role))
        return await self.mailbox(mailbox)

    async def rename(self, mailbox: MailboxId, path: Sequence[str]) -> None:
        """INBOX gives its emails to a new mailbox and stays.

        Raises MailboxNotFound, BadMailboxName, MailboxExists or TooManyMailboxes.
        """
        await self._write(lambda tx: hierarchy.rename(tx, self.id, mailbox, tuple(path)))

    async def delete(self, mailbox: MailboxId) -> None:
        """Delete a mailbox and, in bounded steps, its emails; children stay.

        Raises MailboxNotFound, MailboxProtected or MailboxHasChildren.
        """
        await self._write(lambda tx: hierarchy.delete(tx, self.id, mailbox))
        await self.sweep()

    async def sweep(self) -> None:
        """Finish deletions: also what a crash has left."""
        while await self._write(lambda tx: hierarchy.sweep(tx, self.id)):
            pass

    async def subscribe(self, path: Sequence[str], wanted: bool = True) -> None:
        """Raises BadMailboxName or TooManyMailboxes."""
        await self._write(lambda tx: hierarchy.subscribe(tx, self.id, tuple(path), wanted))

    async def _write(self, operation: Callable[[Tx], Steps[T]]) -> T:
        return await self._store.write(operation)


def _new(message: ToAppend, mailbox: MailboxId) -> NewEmail:
    return new_email(
        message.scan,
        hashlib.sha256(message.content).digest(),
        -1 if message.received_at is None else message.received_at,
        flags=message.flags & ALL_FLAGS,
        keywords=join_keywords(check_keywords(message.keywords)),
        mailbox=mailbox,
    )


def _dated(item: NewEmail, now: int) -> NewEmail:
    return msgspec.structs.replace(item, received_at=now) if item.received_at < 0 else item


def _facts(account: AccountId) -> Steps[Facts]:
    rows = yield (
        "SELECT epoch, modseq, low_modseq, quota, used, emails FROM account WHERE account = ?",
        (account,),
    )
    if not rows:
        raise AccountNotFound(account)
    return Facts(*rows[0])


def _find(account: AccountId, path: Path) -> Steps[Mailbox | None]:
    found = yield from mailboxes.find(account, path)
    return None if found is None else (yield from mailboxes.one(account, found))


def _of_role(account: AccountId, role: Role) -> Steps[Mailbox | None]:
    found = yield from mailboxes.of_role(account, role)
    return None if found is None else (yield from mailboxes.one(account, found))


def _subscriptions(account: AccountId) -> Steps[list[Path]]:
    there = yield from mailboxes.every(account)
    orphans = yield from hierarchy.orphan_subscriptions(account)
    return sorted([item.path for item in there if item.subscribed] + orphans)


def _claim_recent(account: AccountId, mailbox: MailboxId) -> Steps[tuple[Uid, Uid]]:
    found = yield from mailboxes.one(account, mailbox)
    if found.recent_uid < found.uid_next:
        yield (
            "UPDATE mailbox SET recent_uid = uid_next WHERE account = ? AND mailbox = ?",
            (account, mailbox),
        )
    return found.recent_uid, found.uid_next
