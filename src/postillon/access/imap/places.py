"""What a name means: a mailbox of one's own, or one that somebody else has shared (RFC 2342).

Mailboxes of people stand below `Other Users`, those of shared accounts below `Shared`, each below the
primary address of its account. A mailbox of one's own that has such a name comes first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from postillon.account.account import Account
from postillon.account.errors import AccountNotFound, MailboxNotFound
from postillon.account.mailboxes import Mailbox, Path
from postillon.account.rights import Right
from postillon.directory.principals import PrincipalKind
from postillon.protocol.imap.writer import mailbox as mailbox_name

if TYPE_CHECKING:
    from postillon.access.imap.server import ImapServer
    from postillon.access.imap.session import Session

OTHERS, SHARED = "Other Users", "Shared"
SPACES = {PrincipalKind.PERSON: OTHERS, PrincipalKind.SHARED: SHARED}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mailbox is or would be. `above`: names that only this client has before the path."""

    account: Account
    path: Path
    above: Path = ()

    async def find(self, wanted: Right = Right.LOOKUP) -> Mailbox | None:
        """Raises NotAllowed."""
        return await self.account.find(self.path, wanted)

    async def there(self, wanted: Right = Right.LOOKUP) -> Mailbox:
        """Raises MailboxNotFound or NotAllowed."""
        found = await self.find(wanted)
        if found is None:
            raise MailboxNotFound((*self.above, *self.path))
        return found


async def place(session: Session, raw: bytes) -> Place:
    """The place of a name as the client sent it. Raises BadName, or MailboxNotFound for others'."""
    return await place_of(session.server, session.account, session.path(raw))


def old_name(session: Session, raw: bytes, name: bytes) -> bytes:
    """OLDNAME for a LIST response, where the client has spelt a name in another form than ours.

    RFC 9051 section 6.3.9.7. raw: as it was sent; name: as it is written. b"" where they agree.
    """
    if not session.rev2 or raw.isascii():
        return b""
    given = mailbox_name(raw)
    return b"" if given == name else b' ("OLDNAME" (%b))' % given


async def place_of(server: ImapServer, account: Account, path: Path) -> Place:
    """The place of a path as the owner of an account sees it. Raises MailboxNotFound for others'."""
    own = Place(account, path)
    if len(path) < 2 or path[0] not in SPACES.values() or "@" not in path[1]:
        return own
    if await own.find() is not None:
        return own
    owner = await server.directory.by_login(path[1])
    if owner is None or owner.login != path[1] or SPACES[owner.kind] != path[0]:
        raise MailboxNotFound(path)
    if owner.id == account.id or not path[2:]:
        raise MailboxNotFound(path)
    other = server.accounts.open(owner.id, account.id)
    try:
        await other.facts()  # whether anything in it is shared with us
    except AccountNotFound:
        raise MailboxNotFound(path) from None
    return Place(other, path[2:], path[:2])


async def shared(session: Session) -> list[Place]:
    """The accounts in which others have shared something, in the order of their names."""
    owners = await session.server.accounts.shared_with(session.account.id)
    found = [
        Place(
            session.server.accounts.open(owner.id, session.account.id),
            (),
            (SPACES[owner.kind], owner.login),
        )
        for owner in owners
    ]
    return sorted(found, key=lambda item: item.above)
