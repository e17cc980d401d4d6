"""Import, export and partial restore as an administrator asks for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from postillon.account.account import Account
from postillon.account.accounts import OWNERS
from postillon.account.emails import EmailRow
from postillon.account.errors import BadMailboxName
from postillon.account.ids import AccountId
from postillon.account.mailboxes import Mailbox, check_path
from postillon.account.mailboxes import Path as MailboxPath
from postillon.account.ranges import ranges_of
from postillon.admin.desk import Desk
from postillon.admin.errors import Refused, nearest_address, refusals
from postillon.admin.moving.account_mail import (
    AT_ONCE,
    AccountSource,
    Wanted,
    by_id,
    by_message_id,
)
from postillon.admin.moving.archive_files import LIST, ArchiveSource
from postillon.admin.moving.exporting import Exported, export
from postillon.admin.moving.importing import Imported, Importer
from postillon.admin.moving.maildir_files import MaildirSource, holds_maildir
from postillon.admin.moving.mbox_files import MboxSource, looks_like_mbox
from postillon.admin.moving.model import Source
from postillon.directory.directory import Directory
from postillon.mail import digest
from postillon.mail.mbox import Variant
from postillon.mail.words import decode_words
from postillon.protocol.imap import names
from postillon.store.backup_reader import BackupStore
from postillon.store.manifest import Target
from postillon.store.progress import Pace

SIDE = "Restored {day}"  # the mailbox below which restored mail comes; the day of the backup


@dataclass(frozen=True, slots=True)
class Found:
    """A message in a backup. received_at: ms."""

    id: int
    mailbox: str
    uid: int
    received_at: int
    size: int
    sender: str
    subject: str
    message_id: str


def mailbox_path(text: str) -> MailboxPath:
    """A path as IMAP shows it: names with "/" between them. Raises Refused."""
    try:
        return check_path(names.path_of(text))
    except (names.BadName, BadMailboxName) as error:
        raise Refused(str(error)) from error


def open_source(
    root: Path, *, variant: Variant = Variant.AUTO, nameless: bool = False, kind: str = "auto"
) -> Source:
    """What lies at a path: an mbox or a tree of them, a Maildir, or our own export.

    nameless: an mbox file has no mailbox of its own name. Raises Refused.
    """
    if not root.exists():
        raise Refused(f"there is no {root}")
    if kind == "auto":
        kind = _kind(root)
    if kind == "archive":
        return ArchiveSource(root)
    found = (
        MaildirSource(root) if kind == "maildir" else MboxSource(root, variant, nameless=nameless)
    )
    if not found.empty:
        return found
    raise Refused(f"{root} holds neither an mbox nor a Maildir")


def _kind(root: Path) -> str:
    if root.is_file():
        if looks_like_mbox(root):
            return "mbox"
        raise Refused(f"{root} is no mbox: it does not begin with a separator line")
    if (root / LIST).is_file():
        return "archive"
    return "maildir" if holds_maildir(root) else "mbox"


async def import_mail(
    desk: Desk,
    login: str,
    source: Source,
    *,
    under: MailboxPath = (),
    skip_bad: bool = False,
    pace: Pace | None = None,
) -> Imported:
    """Put all of a source into an account, below `under`; run again, it goes on. Raises Refused."""
    account = await _account(desk, login)
    importer = Importer(desk.store, account, under=under, skip_bad=skip_bad, pace=pace)
    return await importer.run(source)


async def export_mail(
    desk: Desk,
    login: str,
    kind: str,
    root: Path,
    *,
    under: MailboxPath = (),
    pace: Pace | None = None,
) -> Exported:
    """Write an account, or a mailbox with those below it, to a folder. Raises Refused."""
    account = await _account(desk, login)
    if under and await account.find(under) is None:
        raise Refused(f"{login} has no mailbox {names.text_of(under)}")
    return await export(AccountSource(account, under=under), login, kind, root, pace=pace)


async def _account(desk: Desk, login: str) -> Account:
    async with refusals(desk):
        owner = await desk.directory.require(login, *OWNERS)
    return desk.accounts.open(AccountId(owner.id))


class BackupView:
    """One account as a backup has it."""

    def __init__(self, store: BackupStore, account: Account, login: str) -> None:
        self._store, self._account, self.login = store, account, login

    @property
    def side(self) -> MailboxPath:
        """Where its mail is restored to, if nobody says otherwise."""
        day = datetime.fromtimestamp(self._store.manifest.began_at / 1000, UTC)
        return (SIDE.format(day=day.strftime("%Y-%m-%d")),)

    async def source(
        self, under: MailboxPath = (), messages: tuple[str, ...] = ()
    ) -> AccountSource:
        """All of it, a mailbox with those below, or messages by id or Message-ID. Raises Refused."""
        if under and await self._account.find(under) is None:
            raise Refused(f"the backup of {self.login} has no mailbox {names.text_of(under)}")
        return AccountSource(self._account, under=under, wanted=_wanted(messages))

    async def list(self, under: MailboxPath, match: str, limit: int) -> list[Found]:
        """Messages whose sender, subject or Message-ID holds a text, the latest first."""
        found: list[Found] = []
        source = await self.source(under)
        for mailbox in await source.mailboxes():
            uids = await self._account.uids(mailbox.id)
            for last in range(len(uids), 0, -AT_ONCE):
                some = ranges_of(uids[max(last - AT_ONCE, 0) : last])
                for row in reversed(await self._account.emails(mailbox.id, some)):
                    item = _found(mailbox, row)
                    text = f"{item.sender}\n{item.subject}\n{item.message_id}".casefold()
                    if match.casefold() in text:
                        found.append(item)
                    if len(found) >= limit:
                        return found
        return found


def _found(mailbox: Mailbox, row: EmailRow) -> Found:
    header = digest.unpack(row.header)
    return Found(
        row.email, names.text_of(mailbox.path), row.uid, row.received_at, row.size,
        decode_words(header.from_), decode_words(header.subject),
        header.id.decode("utf-8", "replace"),
    )  # fmt: skip


def _wanted(messages: tuple[str, ...]) -> Wanted | None:
    if not messages:
        return None
    numbers = [int(text) for text in messages if text.isdecimal()]
    tests = [by_message_id(text) for text in messages if not text.isdecimal()]
    ids = by_id(numbers)
    return lambda row: ids(row) or any(test(row) for test in tests)


@asynccontextmanager
async def open_backup(
    target: Path, login: str, generation: str | None = None
) -> AsyncIterator[BackupView]:
    """An account in a backup. generation: None is the latest. Raises Refused, BackupError."""
    place = Target(target)
    store = await asyncio.to_thread(BackupStore, place, place.manifest(generation))
    try:
        directory = Directory(store)
        owner = await directory.by_login(login)
        if owner is None or owner.kind not in OWNERS:
            known = [item.login for item in await directory.principals(*OWNERS)]
            raise Refused(
                f"the backup {store.manifest.name} has no account {login}",
                nearest_address(login, known),
            )
        yield BackupView(store, Account(store, AccountId(owner.id)), owner.login)
    finally:
        store.close()


async def restore_mail(
    desk: Desk,
    view: BackupView,
    source: AccountSource,
    *,
    login: str = "",
    side: MailboxPath = (),
    pace: Pace | None = None,
) -> Imported:
    """Put mail of a backup into a live account, below a mailbox of its own; nothing is overwritten.

    login: of another account than the one it was of. Run again, it goes on and doubles nothing.
    """
    return await import_mail(
        desk, login or view.login, source, under=side or view.side, skip_bad=True, pace=pace
    )
