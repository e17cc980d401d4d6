"""What an IMAP URL of this server names: octets of a message (RFC 5092), for CATENATE and URLFETCH."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postillon.access.imap.places import place_of
from postillon.access.imap.sections import Piece, header_of, octets_of, read_pieces, size_of
from postillon.account.account import Account
from postillon.account.emails import EmailRow
from postillon.account.errors import AccountError
from postillon.account.ids import MailboxId
from postillon.account.rights import Right
from postillon.mail import mime
from postillon.mail.mime import Part
from postillon.protocol.imap import names
from postillon.protocol.imap.commands import Section
from postillon.protocol.imap.urls import BadUrl, ImapUrl

if TYPE_CHECKING:
    from postillon.access.imap.server import ImapServer
    from postillon.access.imap.session import Session


@dataclass(frozen=True, slots=True)
class Linked:
    """What was found. The octets are read from where they lie when they are wanted."""

    account: Account
    row: EmailRow
    root: Part
    section: Section
    pieces: list[Piece]

    @property
    def size(self) -> int:
        return size_of(self.pieces)

    def octets(self) -> AsyncIterator[bytes]:
        """Raises EmailGone or BlobLost."""
        return read_pieces(self.pieces, self.row, self.account.content)


async def own(session: Session, url: ImapUrl) -> Linked:
    """What a client may name in a command of its own. Raises BadUrl."""
    if url.host is not None:
        await check_server(session, url)
    if url.mailbox is None:
        view = session.view
        if view is None:
            raise BadUrl("no mailbox is selected")
        return await find(view.account, view.mailbox, url, view.uid_validity)
    account, mailbox, validity = await mailbox_of(session.server, session.account, url)
    return await find(account, mailbox, url, validity)


async def check_server(session: Session, url: ImapUrl) -> None:
    """Whether the URL is of this server and of who has logged in. Raises BadUrl.

    This server goes by its own name and by every name in the domain of its user.
    """
    principal = await session.server.directory.principal(session.account.id)
    login = "" if principal is None else principal.login
    if url.user is None or url.user.lower() != login.lower():
        raise BadUrl("the URL is somebody else's")
    host, domain = url.host or "", login.rpartition("@")[2].lower()
    if host not in (session.server.hostname.lower(), domain) and not host.endswith("." + domain):
        raise BadUrl("the URL is of another server")


async def mailbox_of(
    server: ImapServer, actor: Account, url: ImapUrl
) -> tuple[Account, MailboxId, int]:
    """The mailbox a URL names, as `actor` sees it, and its UIDVALIDITY. Raises BadUrl."""
    try:
        path = names.parse(url.mailbox or b"", utf8=True)
        where = await place_of(server, actor, path)
        found = await where.there(Right.READ)
    except (AccountError, names.BadName) as error:
        raise BadUrl("there is no such mailbox") from error
    return where.account, found.id, found.uid_validity


async def find(account: Account, mailbox: MailboxId, url: ImapUrl, validity: int) -> Linked:
    if url.uid_validity not in (None, validity):
        raise BadUrl("the mailbox is another one by now")
    try:
        rows = await account.emails(mailbox, [(url.uid, url.uid)])
        if not rows:
            raise BadUrl("there is no such message")
        row, root = rows[0], mime.unpack(rows[0].structure)
        span = header_of(url.section, root)
        header = b"" if span is None else await account.content(row, *span)
    except AccountError as error:
        raise BadUrl("there is no such message") from error
    pieces = octets_of(url.section, row, root, header)
    if pieces is None:
        raise BadUrl("the message has no such part")
    return Linked(account, row, root, url.section, pieces)
