"""Reading an account: bounded steps, each with the rights of who asks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from postillon.account import (
    changes,
    emails,
    grants,
    hierarchy,
    mailboxes,
    metadata,
    news,
    numbering,
    touched,
    url_keys,
)
from postillon.account import flags as flagging
from postillon.account.acting import Acting
from postillon.account.changes import MailboxChanges, Placement
from postillon.account.emails import EmailRow, Listing, Located, SortFacts
from postillon.account.errors import AccountNotFound, EmailGone, MailboxNotFound, NotAllowed
from postillon.account.grants import Grant
from postillon.account.ids import AccountId, EmailId, MailboxId, ModSeq, Uid
from postillon.account.mailboxes import Mailbox, Path
from postillon.account.marks import Mark, marks_in
from postillon.account.news import News
from postillon.account.ranges import Ranges, placements_in
from postillon.account.rights import Right
from postillon.account.roles import Role
from postillon.account.touched import Touched
from postillon.store.operation import BlobLost, Steps
from postillon.store.textindex import Hits, Wanted


class Facts(msgspec.Struct, frozen=True, gc=False):
    """The counters of an account. quota: octets; None is unlimited."""

    epoch: int  # changes when the account is restored from a backup
    modseq: ModSeq
    low_modseq: ModSeq  # changes up to it may be forgotten
    quota: int | None
    used: int  # octets
    emails: int


class Reading(Acting):
    """What is there. Raises MailboxNotFound or NotAllowed as `Acting` says."""

    async def facts(self) -> Facts:
        """Raises AccountNotFound. What is used of the quota is only the owner's to know."""
        return await self._store.query(self._facts())

    async def news(self, modseq: int | None) -> News:
        """Where the account stands, and of what kinds the changes since a MODSEQ are."""
        return await self._store.query(news.since(self.id, modseq, self._actor))

    async def touched(self, modseq: int) -> Touched:
        """Which mailboxes have changed since a MODSEQ, and how. Raises AccountNotFound."""
        return await self._store.query(touched.since(self.id, modseq, self._actor))

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
        return (
            found if self.own else {name: found[name] for name in found if metadata.is_shared(name)}
        )

    async def every_annotation(self) -> dict[MailboxId, dict[str, bytes]]:
        """The entries of all mailboxes and of the account; others see what is /shared and readable."""
        return await self._store.query(self._annotations())

    async def known_url_key(self, mailbox: MailboxId) -> bytes | None:
        """The key of the URLs that who acts has handed out of a mailbox; None: they are void."""
        return await self._read(mailbox, url_keys.find(self.id, mailbox, self._holder))

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
        return await self._read(mailbox, numbering.uids(self.id, mailbox))

    async def placements(self, mailbox: MailboxId, ranges: Ranges) -> list[Placement]:
        """Those of these UIDs that are there, ascending."""
        return await self._read(mailbox, placements_in(self.id, mailbox, ranges))

    async def marks(self, mailbox: MailboxId, low: Uid, high: Uid) -> list[Mark]:
        """Flags and keywords of all that is there from one UID to another, ascending."""
        return await self._read(mailbox, marks_in(self.id, mailbox, low, high))

    async def emails(self, mailbox: MailboxId, ranges: Ranges) -> list[EmailRow]:
        """Those of these UIDs that are there, ascending. About 1 KB each: ask for some hundreds."""
        return await self._read(mailbox, emails.rows_in(self.id, mailbox, ranges))

    async def listings(self, mailbox: MailboxId, ranges: Ranges) -> list[Listing]:
        """As `emails`, only what lists of messages show."""
        return await self._read(mailbox, emails.listings_in(self.id, mailbox, ranges))

    async def located(self, mailbox: MailboxId, ranges: Ranges) -> list[Located]:
        """As `emails`, only what their octets need."""
        return await self._read(mailbox, emails.located_in(self.id, mailbox, ranges))

    async def header_digests(self, mailbox: MailboxId, ranges: Ranges) -> list[tuple[Uid, bytes]]:
        """As `emails`, only the header digest of each, packed."""
        return await self._read(mailbox, emails.headers_in(self.id, mailbox, ranges))

    async def emails_apart(self, mailbox: MailboxId, ranges: Ranges) -> list[EmailRow]:
        """As `emails`, in another thread: for thousands."""
        return await self._read_apart(mailbox, emails.rows_in(self.id, mailbox, ranges))

    async def hits(self, questions: Sequence[Wanted]) -> list[Hits | None]:
        """What the text index says, asked in another thread. None: it cannot say.

        It knows the whole account and gives ids; `places` says which of them lie where one may read.
        How well they fit is the owner's alone: that depends on every message there is.
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
                return found if self.own else [one and replace(one, scores={}) for one in found]
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

    async def contents(
        self, rows: Sequence[EmailRow], wanted: Sequence[int], most: int
    ) -> Sequence[bytes | None]:
        """The first so many octets of each blob, got together and checked as by `content`.

        None for what is more than `most` octets or must be asked for with `content`, which says why.
        """
        if self._actor is not None:  # asked of each email alone
            return [None] * len(rows)
        asked = [
            (row.ref, stop if stop <= most else 0) for row, stop in zip(rows, wanted, strict=True)
        ]
        found = await self._store.fetch_together(asked)
        return [
            octets if stop <= most else None for octets, stop in zip(found, wanted, strict=True)
        ]

    async def ahead(self, rows: Sequence[EmailRow], octets: int) -> None:
        """Say that the first so many octets of each are about to be read with `content`."""
        await self._store.ahead([row.ref for row in rows], octets)

    def _annotations(self) -> Steps[dict[MailboxId, dict[str, bytes]]]:
        found = yield from metadata.all_of(self.id)
        if self._actor is None:
            return found
        rights = yield from grants.by_mailbox(self.id, self._actor)
        return {
            mailbox: {name: value for name, value in entries.items() if metadata.is_shared(name)}
            for mailbox, entries in found.items()
            if not (Right.LOOKUP | Right.READ) & ~rights.get(mailbox, Right(0))
        }

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
