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
        """Those that can hold mail, each after the ones above it."""
        found = await self._account.mailboxes()
        depth = len(self._under)
        return [box for box in found if box.selectable and box.path[:depth] == self._under]

    async def items(self, folder: Folder) -> AsyncIterator[Item]:
        mailbox = MailboxId(int(folder.key))
        done = self._after.get(mailbox, 0)
        uids = [uid for uid in await self._account.uids(mailbox) if uid > done]
        for first in range(0, len(uids), AT_ONCE):
            some: list[Uid] = uids[first : first + AT_ONCE]
            for row in await self._account.emails(mailbox, ranges_of(some)):
                if self._wanted is None or self._wanted(row):
                    item = await self._message(folder, row)
                    if item is not None:
                        yield item

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
