"""One account, as the protocols see it. Reads are bounded; changes wait until durable.

Where a change is part of a larger operation (the accepting transaction delivers to many accounts), the
steps of the modules beside this one are composed instead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import msgspec

from postillon.account import (
    across,
    changes,
    emails,
    grants,
    hierarchy,
    mailboxes,
    metadata,
    transfer,
)
from postillon.account import flags as flagging  # `flags` is a parameter of half the methods
from postillon.account.changes import MailboxChanges, Placement
from postillon.account.emails import EmailRow, NewEmail, Placed, SortFacts
from postillon.account.errors import AccountNotFound, EmailGone, MailboxNotFound, NotAllowed
from postillon.account.flags import FlagMode, FlagResult
from postillon.account.grants import Grant
from postillon.account.ids import AccountId, EmailId, MailboxId, ModSeq, Uid
from postillon.account.keywords import ALL_FLAGS, check_keywords, join_keywords
from postillon.account.mailboxes import Mailbox, Path
from postillon.account.ranges import Ranges, placements_in
from postillon.account.rights import ALL, TAKE_OUT, Right, settable
from postillon.account.roles import INBOX_ID, Role
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
    """The data of one owner, as the owner or another actor may see and change it.

    Cheap to make; keeps nothing. Every method asks in its own transaction whether the actor may: it
    raises MailboxNotFound where the actor sees no such mailbox, NotAllowed where a right is missing.
    """

    def __init__(
        self,
        store: Store,
        account: AccountId,
        texts: TextIndexes | None = None,
        actor: int | None = None,
    ) -> None:
        """actor: the principal who acts; None is the owner."""
        self._store = store
        self._texts = texts
        self.id = account
        self._actor = None if actor == account else actor

    @property
    def own(self) -> bool:
        """Whether the owner acts."""
        return self._actor is None

    # What is there: bounded reads

    async def facts(self) -> Facts:
        """Raises AccountNotFound. What is used of the quota is only the owner's to know."""
        return await self._store.query(self._facts())

    async def mailboxes(self) -> list[Mailbox]:
        """All of them, INBOX first, each before its children."""
        return await self._store.query(self._every())

    async def mailbox(self, mailbox: MailboxId) -> Mailbox:
        """Raises MailboxNotFound."""
        return await self._store.query(self._one(mailbox))

    async def find(self, path: Sequence[str], wanted: Right = Right.LOOKUP) -> Mailbox | None:
        """The mailbox at a path; INBOX in any case at the top. Raises NotAllowed."""
        return await self._store.query(self._seen(mailboxes.find(self.id, tuple(path)), wanted))

    async def of_role(self, role: Role) -> Mailbox | None:
        return await self._store.query(self._seen(mailboxes.of_role(self.id, role)))

    async def deleted_octets(self, mailbox: MailboxId) -> int:
        """What an EXPUNGE of the mailbox would remove from it, in octets."""
        return await self._read(mailbox, emails.deleted_octets(self.id, mailbox))

    async def annotations(self, mailbox: MailboxId = metadata.ACCOUNT) -> dict[str, bytes]:
        """All entries of a mailbox, or of the account itself, sorted by name.

        Others than the owner see what is /shared.
        """
        found = await self._read(mailbox, metadata.every(self.id, mailbox))
        return found if self.own else {name: found[name] for name in found if _is_shared(name)}

    async def subscriptions(self) -> list[Path]:
        """All names subscribed to, also those that no mailbox has; sorted. The owner's alone."""
        self._refuse_others()
        return await self._store.query(_subscriptions(self.id))

    async def granted(self, mailbox: MailboxId) -> list[Grant]:
        """Who else may do what in a mailbox; `grants.NEW`: what a new one begins with."""
        steps = grants.at(self.id, mailbox)
        return await self._store.query(self._checked(mailbox, Right.ADMINISTER, steps))

    async def uids(self, mailbox: MailboxId) -> list[Uid]:
        """Ascending; for the owner empty also for a mailbox that is not there."""
        return await self._read(mailbox, emails.uids(self.id, mailbox))

    async def placements(self, mailbox: MailboxId, ranges: Ranges) -> list[Placement]:
        """Those of these UIDs that are there, ascending."""
        return await self._read(mailbox, placements_in(self.id, mailbox, ranges))

    async def emails(self, mailbox: MailboxId, ranges: Ranges) -> list[EmailRow]:
        """Those of these UIDs that are there, ascending. About 1 KB each: ask for some hundreds."""
        return await self._read(mailbox, emails.rows_in(self.id, mailbox, ranges))

    async def emails_apart(self, mailbox: MailboxId, ranges: Ranges) -> list[EmailRow]:
        """As `emails`, in another thread: for thousands."""
        return await self._read_apart(mailbox, emails.rows_in(self.id, mailbox, ranges))

    async def hits(self, questions: Sequence[Wanted]) -> list[Hits | None]:
        """What the text index says, asked in another thread. None: it cannot say.

        It knows the whole account and gives ids; `places` says which of them lie where one may read.
        """
        if self._actor is not None:
            readable = grants.anywhere(self.id, self._actor, Right.READ)
            if not await self._store.query(readable):
                return [None] * len(questions)
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
        return await self._read_apart(mailbox, wanted)

    async def sort_facts(
        self, mailbox: MailboxId, ranges: Ranges, *, header: bool
    ) -> list[SortFacts]:
        """What sorting and threading need of these emails, read in another thread."""
        return await self._read_apart(
            mailbox, emails.sort_facts(self.id, mailbox, ranges, header=header)
        )

    async def keywords(self, mailbox: MailboxId) -> list[str]:
        """All keywords in use in a mailbox, sorted."""
        return await self._read(mailbox, flagging.keywords_in(self.id, mailbox))

    async def changes(self, mailbox: MailboxId, since: int) -> MailboxChanges:
        """What changed after a MODSEQ. Raises MailboxNotFound."""
        return await self._read(mailbox, changes.since(self.id, mailbox, since))

    async def content(self, row: EmailRow, start: int = 0, stop: int | None = None) -> bytes:
        """Octets of the blob (without `row.prefix`), or a slice of them.

        Raises EmailGone when the email was removed meanwhile, BlobLost when its octets are damaged.
        """
        if self._actor is not None:
            await self._store.query(grants.require_email(self.id, row.email, self._actor))
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
            rights = yield from self._require(mailbox, Right.INSERT)
            placed = []
            for index, item in enumerate(new):
                dated = _fit(item, tx.now, rights)
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

        def operation(tx: Tx) -> Steps[FlagResult]:
            rights = yield from self._require(mailbox, Right.READ)
            meant = ALL_FLAGS if how is FlagMode.REPLACE else flags
            words = bool(checked) or how is FlagMode.REPLACE
            allowed = meant & settable(rights) or (words and Right.WRITE in rights)
            if (meant or words) and not allowed:
                raise NotAllowed(mailbox)
            return (
                yield from flagging.store_flags(
                    tx, self.id, mailbox, ranges, how, flags, checked, unchanged_since, rights
                )
            )

        return await self._store.write(operation)

    async def copy(
        self,
        mailbox: MailboxId,
        ranges: Ranges,
        target: MailboxId,
        into: Account | None = None,
    ) -> CopyResult:
        """into: whose the target is, opened for the same actor; None: this account.

        Raises MailboxNotFound or OverQuota; then nothing was copied.
        """
        other = into or self

        def operation(tx: Tx) -> Steps[CopyResult]:
            yield from self._require(mailbox, Right.READ)
            rights = yield from other._require(target, Right.INSERT)
            if other.id == self.id:
                return (yield from transfer.copy(tx, self.id, mailbox, ranges, target, rights))
            source = self.id, mailbox
            return (yield from across.copy(tx, source, ranges, (other.id, target), rights))

        return await self._store.write(operation)

    async def move(
        self,
        mailbox: MailboxId,
        ranges: Ranges,
        target: MailboxId,
        into: Account | None = None,
    ) -> CopyResult:
        """As `copy`. Raises MailboxNotFound, or OverQuota of another account; nothing was moved."""
        other = into or self

        def operation(tx: Tx) -> Steps[CopyResult]:
            yield from self._require(mailbox, TAKE_OUT)
            rights = yield from other._require(target, Right.INSERT)
            if other.id == self.id:
                return (yield from transfer.move(tx, self.id, mailbox, ranges, target, rights))
            source = self.id, mailbox
            return (yield from across.move(tx, source, ranges, (other.id, target), rights))

        return await self._store.write(operation)

    async def replace(
        self,
        mailbox: MailboxId,
        uid: Uid,
        target: MailboxId,
        message: ToAppend,
        into: Account | None = None,
    ) -> Placed:
        """Put a message into `target` and remove another one, both or neither (RFC 8508).

        into: as for `copy`. Raises EmailGone when the other is not there, or as `append`.
        """
        new = _new(message, target)
        other = into or self

        def operation(tx: Tx) -> Steps[Placed]:
            yield from self._require(mailbox, TAKE_OUT)
            rights = yield from other._require(target, Right.INSERT)
            placed = yield from emails.place(tx, other.id, _fit(new, tx.now, rights), tx.blob())
            yield from transfer.discard(tx, self.id, mailbox, uid)
            return placed

        return await self._store.write(operation, NewBlob(message.content))

    async def annotate(self, mailbox: MailboxId, values: Mapping[str, bytes | None]) -> None:
        """Set entries, or remove those whose value is None, all or none. Names in lower case.

        What is /private is the owner's. Raises MailboxNotFound or TooManyAnnotations.
        """
        if not all(map(_is_shared, values)):
            self._refuse_others(mailbox)
        await self._write(
            mailbox, Right.WRITE, lambda tx: metadata.store(tx, self.id, mailbox, values)
        )

    async def expunge(self, mailbox: MailboxId, ranges: Ranges | None = None) -> list[Uid]:
        """Remove what has \\Deleted, of these UIDs or (None) of all. Raises MailboxNotFound."""
        return await self._write(
            mailbox,
            Right.READ | Right.EXPUNGE,
            lambda tx: transfer.expunge(tx, self.id, mailbox, ranges),
        )

    async def claim_recent(self, mailbox: MailboxId) -> tuple[Uid, Uid]:
        """Take the \\Recent emails for one session: UIDs from the first up to before the second."""
        return await self._write(
            mailbox,
            Right.READ | Right.KEEP_SEEN,
            lambda tx: _claim_recent(self.id, mailbox),
        )

    # Mailboxes: changes

    async def create(self, path: Sequence[str], role: Role | None = None) -> Mailbox:
        """A use is the owner's to give.

        Raises BadMailboxName, MailboxExists, RoleTaken or TooManyMailboxes.
        """
        if role is not None:
            self._refuse_others()

        def operation(tx: Tx) -> Steps[MailboxId]:
            yield from self._require_place(tuple(path))
            return (yield from hierarchy.create(tx, self.id, tuple(path), role))

        return await self.mailbox(await self._store.write(operation))

    async def rename(self, mailbox: MailboxId, path: Sequence[str]) -> None:
        """INBOX gives its emails to a new mailbox and stays.

        Raises MailboxNotFound, BadMailboxName, MailboxExists or TooManyMailboxes.
        """
        wanted = Right.DELETE_MAILBOX | (TAKE_OUT if mailbox == INBOX_ID else Right.LOOKUP)

        def operation(tx: Tx) -> Steps[None]:
            yield from self._require(mailbox, wanted)
            yield from self._require_place(tuple(path))
            yield from hierarchy.rename(tx, self.id, mailbox, tuple(path))

        await self._store.write(operation)

    async def delete(self, mailbox: MailboxId) -> None:
        """Delete a mailbox and, in bounded steps, its emails; children stay.

        Raises MailboxNotFound, MailboxProtected or MailboxHasChildren.
        """
        await self._write(
            mailbox, Right.DELETE_MAILBOX, lambda tx: hierarchy.delete(tx, self.id, mailbox)
        )
        await self.sweep()

    async def sweep(self) -> None:
        """Finish deletions: also what a crash has left."""
        while await self._store.write(lambda tx: hierarchy.sweep(tx, self.id)):
            pass

    async def subscribe(self, path: Sequence[str], wanted: bool = True) -> None:
        """The owner's alone. Raises BadMailboxName or TooManyMailboxes."""
        self._refuse_others()
        await self._store.write(lambda tx: hierarchy.subscribe(tx, self.id, tuple(path), wanted))

    async def grant(
        self,
        mailbox: MailboxId,
        grantee: int,
        rights: Right,
        mode: FlagMode = FlagMode.REPLACE,
    ) -> None:
        """Give a principal or `grants.ANYONE` rights in a mailbox, or take them away.

        Raises MailboxNotFound, OwnersRights, TooManyGrants or PrincipalNotFound.
        """
        await self._write(
            mailbox,
            Right.ADMINISTER,
            lambda tx: grants.change(tx, self.id, (mailbox,), grantee, rights, mode),
        )

    async def grant_all(
        self, grantee: int, rights: Right, mode: FlagMode, top: MailboxId = grants.NEW
    ) -> None:
        """The same in a mailbox and all below it, or in every one with those that will come.

        The owner's alone. Raises as `grant`, and changes all or nothing.
        """
        self._refuse_others()

        def operation(tx: Tx) -> Steps[None]:
            there = yield from mailboxes.every(self.id)
            places = {top}
            for item in there:  # each after the one above it
                if item.parent in places:
                    places.add(item.id)
            yield from grants.change(tx, self.id, sorted(places), grantee, rights, mode)

        await self._store.write(operation)

    # Whether the actor may

    def _refuse_others(self, mailbox: int = grants.NEW) -> None:
        if not self.own:
            raise NotAllowed(mailbox)

    def _checked(self, mailbox: MailboxId, wanted: Right, steps: Steps[T]) -> Steps[T]:
        if self._actor is None:
            return steps
        return grants.checked(self.id, mailbox, self._actor, wanted, steps)

    def _require(self, mailbox: MailboxId, wanted: Right) -> Steps[Right]:
        if self._actor is None:
            return ALL
        return (yield from grants.require(self.id, mailbox, self._actor, wanted))

    def _require_place(self, path: Path) -> Steps[None]:
        if self._actor is not None:
            yield from grants.require_place(self.id, path, self._actor)

    async def _read(self, mailbox: MailboxId, steps: Steps[T]) -> T:
        return await self._store.query(self._checked(mailbox, Right.READ, steps))

    async def _read_apart(self, mailbox: MailboxId, steps: Steps[T]) -> T:
        return await self._store.read_apart(self._checked(mailbox, Right.READ, steps))

    async def _write(
        self, mailbox: MailboxId, wanted: Right, operation: Callable[[Tx], Steps[T]]
    ) -> T:
        return await self._store.write(lambda tx: self._checked(mailbox, wanted, operation(tx)))

    def _every(self) -> Steps[list[Mailbox]]:
        found = yield from mailboxes.every(self.id)
        return (
            found if self._actor is None else (yield from grants.shown(self.id, self._actor, found))
        )

    def _one(self, mailbox: MailboxId) -> Steps[Mailbox]:
        if self._actor is None:
            return (yield from mailboxes.one(self.id, mailbox))
        for item in (yield from self._every()):
            if item.id == mailbox:
                return item
        raise MailboxNotFound(mailbox)

    def _seen(
        self, looking: Steps[MailboxId | None], wanted: Right = Right.LOOKUP
    ) -> Steps[Mailbox | None]:
        mailbox = yield from looking
        if mailbox is None:
            return None
        try:
            found = yield from self._one(mailbox)
        except MailboxNotFound:
            return None
        if wanted & ~found.rights:
            raise NotAllowed(mailbox)
        return found

    def _facts(self) -> Steps[Facts]:
        facts = yield from _facts(self.id)
        if self._actor is None:
            return facts
        if not (yield from grants.anywhere(self.id, self._actor, Right.LOOKUP)):
            raise AccountNotFound(self.id)
        return msgspec.structs.replace(facts, quota=None, used=0, emails=0)


def _new(message: ToAppend, mailbox: MailboxId) -> NewEmail:
    return new_email(
        message.scan,
        hashlib.sha256(message.content).digest(),
        -1 if message.received_at is None else message.received_at,
        flags=message.flags & ALL_FLAGS,
        keywords=join_keywords(check_keywords(message.keywords)),
        mailbox=mailbox,
    )


def _fit(item: NewEmail, now: int, rights: Right) -> NewEmail:
    """With a date, and without the flags that the rights do not cover (RFC 4314 section 4)."""
    if item.received_at < 0:
        item = msgspec.structs.replace(item, received_at=now)
    if rights == ALL:
        return item
    keywords = item.keywords if Right.WRITE in rights else None
    return msgspec.structs.replace(item, flags=item.flags & settable(rights), keywords=keywords)


def _is_shared(entry: str) -> bool:
    return entry.startswith("/shared/")


def _facts(account: AccountId) -> Steps[Facts]:
    rows = yield (
        "SELECT epoch, modseq, low_modseq, quota, used, emails FROM account WHERE account = ?",
        (account,),
    )
    if not rows:
        raise AccountNotFound(account)
    return Facts(*rows[0])


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
