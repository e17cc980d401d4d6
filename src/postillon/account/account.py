"""One account, as the protocols see it. Reads are bounded; changes wait until durable.

Where a change is part of a larger operation (the accepting transaction delivers to many accounts), the
steps of the modules beside this one are composed instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from postillon.account import (
    across,
    emails,
    grants,
    hierarchy,
    mailboxes,
    metadata,
    notices,
    transfer,
    url_keys,
)
from postillon.account import flags as flagging  # `flags` is a parameter of half the methods
from postillon.account.arriving import ToAppend, as_new, fit
from postillon.account.emails import Placed
from postillon.account.errors import EmailGone, NotAllowed
from postillon.account.flags import FlagMode, FlagResult
from postillon.account.ids import AccountId, MailboxId, Uid
from postillon.account.keywords import ALL_FLAGS, check_keywords
from postillon.account.mailboxes import Mailbox
from postillon.account.ranges import Ranges
from postillon.account.reading import Reading
from postillon.account.rights import TAKE_OUT, Right, settable
from postillon.account.roles import INBOX_ID, Role
from postillon.account.transfer import CopyResult
from postillon.mail import mime
from postillon.mail.octets import Octets
from postillon.store.operation import NewBlob, Steps, Tx


class Account(Reading):
    """The data of one owner, as the owner or another actor may see and change it.

    Cheap to make; keeps nothing. Every method asks in its own transaction whether the actor may: it
    raises MailboxNotFound where the actor sees no such mailbox, NotAllowed where a right is missing.
    """

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
        new = [as_new(message, mailbox) for message in messages]

        def operation(tx: Tx) -> Steps[list[Placed]]:
            rights = yield from self._require(mailbox, Right.INSERT)
            placed = []
            for index, item in enumerate(new):
                dated = fit(item, tx.now, rights)
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
        *,
        least: int = 0,
    ) -> CopyResult:
        """into: whose the target is, opened for the same actor; None: this account.

        least: how many emails must still be there. Raises MailboxNotFound, OverQuota, or EmailGone
        where there are fewer; then nothing was copied.
        """
        other = into or self

        def operation(tx: Tx) -> Steps[CopyResult]:
            yield from self._require(mailbox, Right.READ)
            rights = yield from other._require(target, Right.INSERT)
            if other.id == self.id:
                result = yield from transfer.copy(tx, self.id, mailbox, ranges, target, rights)
            else:
                source = self.id, mailbox
                result = yield from across.copy(tx, source, ranges, (other.id, target), rights)
            if len(result.pairs) < least:
                raise EmailGone(0)
            return result

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
        new = as_new(message, target)
        other = into or self

        def operation(tx: Tx) -> Steps[Placed]:
            yield from self._require(mailbox, TAKE_OUT)
            rights = yield from other._require(target, Right.INSERT)
            placed = yield from emails.place(tx, other.id, fit(new, tx.now, rights), tx.blob())
            yield from transfer.discard(tx, self.id, mailbox, uid)
            return placed

        return await self._store.write(operation, NewBlob(message.content))

    async def annotate(self, mailbox: MailboxId, values: Mapping[str, bytes | None]) -> None:
        """Set entries, or remove those whose value is None, all or none. Names in lower case.

        What is /private is the owner's. Raises MailboxNotFound or TooManyAnnotations.
        """
        if not all(map(metadata.is_shared, values)):
            self._refuse_others(mailbox)
        await self._write(
            mailbox, Right.WRITE, lambda tx: metadata.store(tx, self.id, mailbox, values)
        )

    async def url_key(self, mailbox: MailboxId, fresh: bytes) -> bytes:
        """The key of the URLs that who acts hands out of a mailbox. fresh: what it is if there is none.

        Raises MailboxNotFound.
        """
        return await self._write(
            mailbox,
            Right.READ,
            lambda tx: url_keys.find_or_keep(self.id, mailbox, self._holder, fresh),
        )

    async def reset_url_keys(self, mailbox: MailboxId | None = None) -> None:
        """Void the URLs that who acts has handed out, of a mailbox or of the whole account."""
        await self._store.write(lambda tx: url_keys.forget(self.id, mailbox, self._holder))

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
            lambda tx: self._grant(tx, (mailbox,), grantee, rights, mode),
        )

    async def share(self, mailbox: MailboxId, wanted: Mapping[int, Right]) -> None:
        """Give several people or groups exactly these rights, all or none. Raises as `grant`."""

        def operation(tx: Tx) -> Steps[None]:
            for grantee, rights in wanted.items():
                yield from self._grant(tx, (mailbox,), grantee, rights)

        await self._write(mailbox, Right.ADMINISTER, operation)

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
            yield from self._grant(tx, sorted(places), grantee, rights, mode)

        await self._store.write(operation)

    def _grant(
        self,
        tx: Tx,
        places: Sequence[MailboxId],
        grantee: int,
        rights: Right,
        mode: FlagMode = FlagMode.REPLACE,
    ) -> Steps[None]:
        change = grants.change(tx, self.id, places, grantee, rights, mode)
        return notices.telling(tx, self.id, self._actor, places, grantee, change)


def _claim_recent(account: AccountId, mailbox: MailboxId) -> Steps[tuple[Uid, Uid]]:
    found = yield from mailboxes.one(account, mailbox)
    if found.recent_uid < found.uid_next:
        yield (
            "UPDATE mailbox SET recent_uid = uid_next WHERE account = ? AND mailbox = ?",
            (account, mailbox),
        )
    return found.recent_uid, found.uid_next
