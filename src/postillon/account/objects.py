"""One account by the ids of what is in it: how JMAP sees it, where IMAP sees mailboxes with UIDs.

An email is an object that lies in one or several mailboxes. What is marked \\Deleted is not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from postillon.account import emails, filing, grants, mailbox_edits, sync
from postillon.account.arriving import new_email
from postillon.account.emails import NewEmail
from postillon.account.errors import AccountError, EmailGone
from postillon.account.filing import Edit, Update
from postillon.account.ids import AccountId, EmailId, MailboxId
from postillon.account.keywords import DELETED, FLAG_OF_KEYWORD, split_keywords
from postillon.account.mailbox_edits import MailboxEdit
from postillon.account.mailboxes import Mailbox, deleted_mailboxes
from postillon.account.ranges import lists, select_emails
from postillon.account.reading import Reading
from postillon.account.roll import Counts, Roll
from postillon.account.rolls import Rolls
from postillon.account.sync import Changes, Eyes, Point
from postillon.mail import digest, mime
from postillon.mail.octets import Octets
from postillon.store.operation import BlobLost, BlobRef, NewBlob, Row, Steps, Store, T, Tx
from postillon.store.textindexes import TextIndexes

Look = Callable[[Roll, Eyes], Steps[T]]


class EmailObject(msgspec.Struct, frozen=True, gc=False):
    """An email without its octets. What stands from `prefix` on is only read when asked for."""

    email: int
    thread: int
    size: int  # octets of prefix and blob
    received_at: int
    mailboxes: tuple[int, ...]  # those that are seen, ascending
    flags: int
    keywords: str | None
    prefix: bytes = b""
    ref: BlobRef = BlobRef(0, 0, 0)
    sent_at: int | None = None
    header: bytes = b""
    structure: bytes = b""
    preview: str = ""

    @property
    def words(self) -> frozenset[str]:
        """All keywords as JMAP names them."""
        found = split_keywords(self.keywords)
        return found | {word for word, bit in FLAG_OF_KEYWORD.items() if self.flags & bit}


class Made(msgspec.Struct, frozen=True):
    """An email that has come into the account."""

    email: int
    thread: int
    size: int


class NewMessage(msgspec.Struct, frozen=True):
    """A message to be filed. keywords: as JMAP names them, lower case. received_at: ms; None: now."""

    content: Octets
    scan: mime.Scan
    digest: bytes
    mailboxes: frozenset[int]
    keywords: frozenset[str] = frozenset()
    received_at: int | None = None


class State(msgspec.Struct, frozen=True):
    """Where an account stands."""

    epoch: int
    modseq: int


class MailboxObject(msgspec.Struct, frozen=True):
    """A mailbox as it is, its place among its siblings, and what it holds."""

    mailbox: Mailbox
    position: int
    counts: Counts


class Objects(Reading):
    """Cheap to make; keeps nothing but the rolls, which are shared by all of a worker."""

    def __init__(
        self,
        store: Store,
        account: AccountId,
        rolls: Rolls,
        texts: TextIndexes | None = None,
        actor: int | None = None,
    ) -> None:
        super().__init__(store, account, texts, actor)
        self._rolls = rolls

    # Reading

    async def state(self) -> State:
        """Raises AccountNotFound."""
        facts = await self.facts()
        return State(facts.epoch, facts.modseq)

    async def look(self, looking: Look[T]) -> tuple[T, State]:
        """Run steps with the roll and with what the actor sees. Raises AccountNotFound."""

        def steps(roll: Roll) -> Steps[tuple[T, State]]:
            eyes = yield from self._eyes()
            return (yield from looking(roll, eyes)), State(roll.epoch, roll.modseq)

        return await self._rolls.ask(self.id, steps)

    async def read(
        self, wanted: Sequence[int], *, whole: bool
    ) -> tuple[dict[int, EmailObject], State]:
        """Emails by their ids; those that are not there or not seen are missing. whole: all facts."""

        def steps() -> Steps[tuple[dict[int, EmailObject], State]]:
            facts = yield from self._facts()
            eyes = yield from self._eyes()
            found = yield from _emails(self.id, wanted, eyes, whole)
            return found, State(facts.epoch, facts.modseq)

        return await self._store.query(steps())

    async def every_email(self, most: int) -> list[int]:
        """Ids of emails, ascending, at most so many."""

        def steps() -> Steps[list[int]]:
            eyes = yield from self._eyes()
            rows = yield (
                "SELECT email FROM email WHERE account = ? ORDER BY email LIMIT ?",
                (self.id, most),
            )
            seen = yield from _emails(self.id, [email for (email,) in rows], eyes, False)
            return sorted(seen)

        return await self._store.query(steps())

    async def headers(self, wanted: Sequence[int]) -> dict[int, tuple[bytes, bytes]]:
        """Packed header digest and structure of emails, read in another thread."""
        return await self._store.read_apart(_headers(self.id, wanted))

    async def every_mailbox(self) -> tuple[list[MailboxObject], State]:
        """Each with its counts; parents before children."""
        return await self.look(self._mailboxes)

    def _mailboxes(self, roll: Roll, eyes: Eyes) -> Steps[list[MailboxObject]]:
        found = yield from self._every()
        rows = yield (
            "SELECT mailbox, position FROM mailbox WHERE account = ? AND position <> 0",
            (self.id,),
        )
        position: dict[int, int] = dict(rows)
        seen = eyes.readable
        return [
            MailboxObject(
                item,
                position.get(item.id, 0),
                roll.count(item.id, seen) if eyes.reads(item.id) else Counts(),
            )
            for item in found
        ]

    async def octets(self, item: EmailObject, start: int = 0, stop: int | None = None) -> bytes:
        """Octets of the blob, without the prefix. Raises EmailGone or BlobLost."""
        try:
            return await self._store.fetch(item.ref, start, stop)
        except BlobLost:
            ref = await self._store.query(emails.ref_of(self.id, EmailId(item.email)))
            if ref is None:
                raise EmailGone(item.email) from None
            if ref == item.ref:
                raise
            return await self._store.fetch(ref, start, stop)

    # What has changed

    async def email_changes(self, since: Point, most: int | None) -> Changes:
        """Raises sync.CannotTell."""

        def steps() -> Steps[Changes]:
            facts = yield from self._facts()
            eyes = yield from self._eyes()
            return (yield from sync.email_changes(self.id, since, facts.modseq, eyes, most))

        return await self._store.query(steps())

    async def thread_changes(self, since: Point, most: int | None) -> Changes:
        """Raises sync.CannotTell."""
        return await self._changes(sync.thread_changes, since, most)

    async def mailbox_changes(self, since: Point, most: int | None) -> Changes:
        """Raises sync.CannotTell."""
        return await self._changes(sync.mailbox_changes, since, most)

    async def _changes(
        self,
        telling: Callable[[AccountId, Point, int, Eyes, int | None, Roll], Steps[Changes]],
        since: Point,
        most: int | None,
    ) -> Changes:
        def steps(roll: Roll, eyes: Eyes) -> Steps[Changes]:
            return (yield from telling(self.id, since, roll.modseq, eyes, most, roll))

        found, _ = await self.look(steps)
        return found

    # Changing emails

    async def create(self, message: NewMessage) -> Made:
        """File a message. Raises MailboxNotFound, NotAllowed, OverQuota, Bad- or TooManyKeywords."""

        def operation(tx: Tx) -> Steps[Made]:
            received_at = tx.now if message.received_at is None else message.received_at
            flags, keywords = filing.marks(message.keywords)
            new = new_email(
                message.scan, message.digest, received_at, flags=flags, keywords=keywords
            )
            return (yield from self._file(tx, new, tx.blob(), message.mailboxes, message.keywords))

        return await self._store.write(operation, NewBlob(message.content))

    async def copy(
        self,
        source: Objects,
        email: int,
        mailboxes: frozenset[int],
        keywords: frozenset[str] | None = None,
        received_at: int | None = None,
    ) -> Made:
        """File a copy of an email of another account. None: as it is there.

        Raises EmailGone, or as `create`.
        """

        def operation(tx: Tx) -> Steps[Made]:
            seen = yield from source._eyes()
            found = (yield from _emails(source.id, [email], seen, True)).get(email)
            if found is None:
                raise EmailGone(email)
            rows = yield (
                "SELECT digest, queue_id FROM email WHERE account = ? AND email = ?",
                (source.id, email),
            )
            words = found.words if keywords is None else keywords
            flags, others = filing.marks(words)
            header = digest.unpack(found.header)
            new = NewEmail(
                digest=rows[0][0], header=found.header, structure=found.structure,
                preview=found.preview, prefix=found.prefix, sent_at=found.sent_at,
                received_at=found.received_at if received_at is None else received_at,
                thread_keys=digest.thread_keys(header), flags=flags, keywords=others,
                queue_id=rows[0][1],
            )  # fmt: skip
            return (yield from self._file(tx, new, found.ref, mailboxes, words))

        return await self._store.write(operation)

    def _file(
        self,
        tx: Tx,
        new: NewEmail,
        blob: BlobRef,
        mailboxes: frozenset[int],
        keywords: frozenset[str],
    ) -> Steps[Made]:
        eyes = yield from self._eyes()
        yield from filing.check_mailboxes(self.id, mailboxes, eyes)
        filing.check_marks(keywords, mailboxes, eyes)
        first, *others = sorted(mailboxes)
        new = msgspec.structs.replace(new, mailbox=MailboxId(first))
        placed = yield from emails.place(tx, self.id, new, blob)
        if others:
            also = Update(placed.email, mailboxes=Edit(more=frozenset(others)))
            [error] = yield from filing.update(tx, self.id, [also], eyes)
            if error is not None:
                raise error
        rows = yield (
            "SELECT thread FROM email WHERE account = ? AND email = ?",
            (self.id, placed.email),
        )
        return Made(placed.email, rows[0][0], len(new.prefix) + blob.length)

    async def update(self, updates: Sequence[Update]) -> list[AccountError | None]:
        """Change emails; an error says why one was not. See filing.update."""

        def operation(tx: Tx) -> Steps[list[AccountError | None]]:
            eyes = yield from self._eyes()
            return (yield from filing.update(tx, self.id, updates, eyes))

        return await self._store.write(operation)

    async def destroy(self, gone: Sequence[int]) -> list[AccountError | None]:
        """Remove emails from everywhere; an error says why one was not."""

        def operation(tx: Tx) -> Steps[list[AccountError | None]]:
            eyes = yield from self._eyes()
            return (yield from filing.destroy(tx, self.id, gone, eyes))

        return await self._store.write(operation)

    # Changing mailboxes

    async def create_mailbox(self, edit: MailboxEdit) -> MailboxId:
        """Raises what mailbox_edits.create does, MailboxNotFound for the parent, NotAllowed."""

        def operation(tx: Tx) -> Steps[MailboxId]:
            path = yield from mailbox_edits.path_below(self.id, edit)
            yield from self._require_place(path)
            if edit.role is not None or edit.subscribed:
                self._refuse_others()
            return (yield from mailbox_edits.create(tx, self.id, path, edit))

        return await self._store.write(operation)

    async def edit_mailbox(self, mailbox: MailboxId, edit: MailboxEdit) -> None:
        """Raises what mailbox_edits.change does, MailboxNotFound, NotAllowed."""

        def operation(tx: Tx) -> Steps[None]:
            rights = yield from self._require(mailbox, mailbox_edits.needed(edit))
            del rights
            if edit.owners:
                self._refuse_others(mailbox)
            if edit.moves:
                path = yield from mailbox_edits.path_of_changed(self.id, mailbox, edit)
                yield from self._require_place(path)
            yield from mailbox_edits.change(tx, self.id, mailbox, edit)

        await self._store.write(operation)

    async def remove_mailbox(self, mailbox: MailboxId, *, with_emails: bool) -> None:
        """Raises MailboxNotFound, MailboxHasChildren, MailboxNotEmpty, MailboxProtected, NotAllowed."""
        await self._write(
            mailbox,
            mailbox_edits.REMOVING,
            lambda tx: mailbox_edits.remove(tx, self.id, mailbox, with_emails=with_emails),
        )
        while await self._store.write(lambda tx: mailbox_edits.sweep(tx, self.id)):
            pass

    # Who looks

    def _eyes(self) -> Steps[Eyes]:
        if self._actor is None:
            return Eyes()
        return Eyes((yield from grants.by_mailbox(self.id, self._actor)), self._actor)


_FEW = "email, thread, size, received_at"
_ALL = f"{_FEW}, prefix, pack, start, length, sent_at, header, structure, preview"


def _emails(
    account: AccountId, wanted: Sequence[int], eyes: Eyes, whole: bool
) -> Steps[dict[int, EmailObject]]:
    ids = list(dict.fromkeys(wanted))
    going = yield from deleted_mailboxes(account)
    places: dict[int, list[Row]] = {}
    found: dict[int, EmailObject] = {}
    placed = yield from select_emails("p.email, p.mailbox, p.flags, p.keywords", account, ids)
    for row in placed:
        if not row[2] & DELETED and row[1] not in going and eyes.reads(row[1]):
            places.setdefault(row[0], []).append(row)
    for texts, some in lists(ids):
        rows = yield (
            f"SELECT {_ALL if whole else _FEW} FROM email WHERE account = ? AND email IN ({texts})",  # noqa: S608
            (account, *some),
        )
        for row in rows:
            there = places.get(row[0])
            if there is not None:
                mailboxes = tuple(sorted({place[1] for place in there}))
                found[row[0]] = _object(row, mailboxes, there[0][2], there[0][3])
    return found


def _object(row: Row, mailboxes: tuple[int, ...], flags: int, keywords: str | None) -> EmailObject:
    few = (*row[:4], mailboxes, flags, keywords)
    if len(row) == 4:
        return EmailObject(*few)
    prefix, pack, start, length, *rest = row[4:]
    # The checker cannot count the rest.
    return EmailObject(*few, prefix, BlobRef(pack, start, length), *rest)  # type: ignore[call-arg]


def _headers(account: AccountId, wanted: Sequence[int]) -> Steps[dict[int, tuple[bytes, bytes]]]:
    found: dict[int, tuple[bytes, bytes]] = {}
    for texts, some in lists(list(wanted)):
        rows = yield (
            "SELECT email, header, structure FROM email WHERE account = ?"  # noqa: S608
            f" AND email IN ({texts})",
            (account, *some),
        )
        found |= {email: (header, structure) for email, header, structure in rows}
    return found
