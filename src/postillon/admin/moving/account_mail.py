"""Reading the mail of an account: of the live store, or of a backup."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

from postillon.account.account import Account
from postillon.account.emails import EmailRow
from postillon.account.errors import EmailGone
from postillon.account.ids import EmailId, MailboxId, Uid
from postillon.account.keywords import split_keywords
from postillon.account.mailboxes import Mailbox
from postillon.account.mailboxes import Path as MailboxPath
from postillon.account.ranges import ranges_of
from postillon.admin.moving.model import Bad, Folder, Item, Message
from postillon.mail import digest
from postillon.store.operation import BlobLost

AT_ONCE = 200  # rows asked for; about 1 KB each

Wanted = Callable[[EmailRow], bool]


class AccountSource:
    """All mailboxes of an account, or one with those below it, or some of its messages.

    under: path of that one mailbox. wanted: None is every message. Identities are email ids: the same
    in each backup of one account.
    """

    def __init__(
        self,
        account: Account,
        *,
        under: MailboxPath = (),
        wanted: Wanted | None = None,
    ) -> None:
        self._account, self._under, self._wanted = account, under, wanted
        self._after: dict[int, int] = {}
        self._selected: dict[MailboxId, list[Uid]] | None = None
        self.octets = 0

    def resume(self, after: dict[int, int]) -> None:
        """Leave out UIDs up to these, by mailbox."""
        self._after = after

    async def folders(self) -> Sequence[Folder]:
        boxes = await self.mailboxes()
        self.octets = sum(box.octets for box in boxes)
        return [
            Folder(box.path, str(box.id), box.role, box.subscribed, box.uid_validity)
            for box in boxes
        ]

    async def mailboxes(self) -> list[Mailbox]:
        """Those that can hold mail, each after the ones above it; of wanted messages, theirs only."""
        depth = len(self._under)
        found = [
            box
            for box in await self._account.mailboxes()
            if box.selectable and box.path[:depth] == self._under
        ]
        if self._wanted is None:
            return found
        selected = await self._select(found, self._wanted)
        return [box for box in found if box.id in selected]

    async def items(self, folder: Folder) -> AsyncIterator[Item]:
        mailbox = MailboxId(int(folder.key))
        done = self._after.get(mailbox, 0)
        if self._selected is None:
            uids = await self._account.uids(mailbox)
        else:
            uids = self._selected.get(mailbox, [])
        async for row in self._rows(mailbox, [uid for uid in uids if uid > done]):
            item = await self._message(folder, row)
            if item is not None:
                yield item

    async def _rows(self, mailbox: MailboxId, uids: Sequence[Uid]) -> AsyncIterator[EmailRow]:
        for first in range(0, len(uids), AT_ONCE):
            some = uids[first : first + AT_ONCE]
            for row in await self._account.emails(mailbox, ranges_of(some)):
                yield row

    async def _select(self, boxes: Sequence[Mailbox], wanted: Wanted) -> dict[MailboxId, list[Uid]]:
        """UIDs of the wanted messages, looked for once."""
        if self._selected is None:
            selected: dict[MailboxId, list[Uid]] = {}
            for box in boxes:
                async for row in self._rows(box.id, await self._account.uids(box.id)):
                    if wanted(row):
                        selected.setdefault(box.id, []).append(row.uid)
            self._selected = selected
        return self._selected

    async def _message(self, folder: Folder, row: EmailRow) -> Item | None:
        where = f"account {self._account.id} mailbox {'/'.join(folder.path)} UID {row.uid}"
        try:
            content = row.prefix + await self._account.content(row)
        except EmailGone:
            return None
        except BlobLost as error:
            return Bad(where, f"its octets are damaged: {error}", row.size)
        return Message(
            content, where, row.size, row.flags, split_keywords(row.keywords), row.received_at,
            f"email {row.email}".encode(), row.uid, row.saved_at, _sender(row.prefix),
        )  # fmt: skip


def by_id(emails: Sequence[int]) -> Wanted:
    """Messages with one of these ids."""
    wanted = {EmailId(email) for email in emails}
    return lambda row: row.email in wanted


def by_message_id(text: str) -> Wanted:
    """Messages with this Message-ID, with or without its brackets."""
    bare = text.strip().strip("<>").encode()
    return lambda row: digest.unpack(row.header).id == bare


def _sender(prefix: bytes) -> str:
    """The reverse-path that final delivery wrote first."""
    name, _, value = prefix.partition(b"\r\n")[0].partition(b":")
    if name.lower() != b"return-path":
        return ""
    return value.strip(b" <>").decode("utf-8", "replace")
