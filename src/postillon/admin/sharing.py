"""What an administrator does with rights in mailboxes: who may use which, and how."""

from __future__ import annotations

from dataclasses import dataclass

from postillon.account import grants, rights
from postillon.account.account import Account
from postillon.account.flags import FlagMode
from postillon.account.grants import ANYONE
from postillon.account.ids import MailboxId
from postillon.account.rights import Right
from postillon.admin.accounts import OWNERS
from postillon.admin.audit import audited
from postillon.admin.desk import Desk
from postillon.admin.errors import Refused, nearest, refusals
from postillon.admin.moving.operations import mailbox_path
from postillon.protocol.imap import names

EVERY = "*"  # all mailboxes, those that come later among them
ANYBODY = "anyone"
# Words for what is mostly wanted, beside the letters of RFC 4314.
WORDS = {
    "none": rights.NONE,
    "read": rights.parse("lrs"),
    "write": rights.parse("lrswikxte"),
    "all": rights.ALL,
}
_MODES = {"+": FlagMode.ADD, "-": FlagMode.REMOVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareView:
    """One grant as it is shown. mailbox: as IMAP writes it; "*" is what new ones at the top get."""

    mailbox: str
    who: str  # a login, the address of a group, or "anyone"
    rights: str  # letters of RFC 4314


async def shares(desk: Desk, login: str) -> list[ShareView]:
    """Everything that an account shares, in the order of its mailboxes. Raises Refused."""
    async with refusals(desk):
        owner = await desk.directory.require(login, *OWNERS)
        account = desk.accounts.open(owner.id)
        found = await _at(desk, account, grants.NEW, EVERY)
        for mailbox in await account.mailboxes():
            found += await _at(desk, account, mailbox.id, names.text_of(mailbox.path))
        return found


@audited("account.share", "login")
async def share(
    desk: Desk, login: str, mailbox: str, who: str, text: str, *, below: bool = False
) -> list[ShareView]:
    """Give somebody rights: a word of WORDS, letters instead of what there was, or +letters, -letters.

    mailbox: as IMAP writes it, or EVERY. below: also in those that are below it now.
    Returns all that the account shares then. Raises Refused.
    """
    wanted, mode = _rights(text)
    async with refusals(desk):
        owner = await desk.directory.require(login, *OWNERS)
        account = desk.accounts.open(owner.id)
        grantee = ANYONE if who.lower() == ANYBODY else (await desk.directory.require(who)).id
        if mailbox == EVERY:
            await account.grant_all(grantee, wanted, mode)
        else:
            found = await account.find(mailbox_path(mailbox))
            if found is None:
                known = [names.text_of(item.path) for item in await account.mailboxes()]
                raise Refused(f"{owner.login} has no mailbox {mailbox}", nearest(mailbox, known))
            if below:
                await account.grant_all(grantee, wanted, mode, found.id)
            else:
                await account.grant(found.id, grantee, wanted, mode)
    return await shares(desk, login)


async def _at(desk: Desk, account: Account, mailbox: MailboxId, name: str) -> list[ShareView]:
    found = []
    for grant in await account.granted(mailbox):
        who = ANYBODY
        if grant.grantee != ANYONE:
            principal = await desk.directory.principal(grant.grantee)
            if principal is None:  # removed by somebody else in this moment
                continue
            who = principal.login
        found.append(ShareView(mailbox=name, who=who, rights=rights.write(grant.rights)))
    return found


def _rights(text: str) -> tuple[Right, FlagMode]:
    word = WORDS.get(text.lower())
    if word is not None:
        return word, FlagMode.REPLACE
    mode = _MODES.get(text[:1])
    try:
        return rights.parse(text if mode is None else text[1:]), mode or FlagMode.REPLACE
    except ValueError as error:
        raise Refused(
            f"{error}", f"rights are letters of lrswipkxtea, or one of {', '.join(WORDS)}"
        ) from error
