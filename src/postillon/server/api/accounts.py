"""Accounts: people, and shared accounts that nobody logs in to."""

from __future__ import annotations

from dataclasses import dataclass

from postillon.admin import accounts, passwords, sharing
from postillon.admin.accounts import AccountChange, AccountView, NewAccount, Removed
from postillon.admin.errors import Refused
from postillon.admin.sharing import ShareView
from postillon.server.api.office import Office
from postillon.server.api.operation import Limit, Scope, operation


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountToMake(NewAccount):
    """generate: make a password and answer with it, once. Without one nobody can log in."""

    generate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountMade:
    """password: only where one was made here; it is not shown again."""

    account: AccountView
    password: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordToSet:
    """One of both: a password, or that one is to be made."""

    password: str | None = None
    generate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewLogin:
    login: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressToAdd:
    """The address "@example.org" is the catch-all of the domain."""

    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareToSet:
    """rights: read, write, all, none, or letters of RFC 4314; + or - before letters adds or removes.

    mailbox: as IMAP writes it, or "*" for all. who: a login, a group's address, or "anyone".
    """

    mailbox: str
    who: str
    rights: str
    below: bool = False


@operation("GET", "/accounts")
async def list_accounts(
    office: Office, *, domain: str = "", text: str = "", after: str = "", limit: Limit = 100
) -> list[AccountView]:
    """Accounts by login, in pages.

    `text` is a part of a login or a name. The next page begins `after` the last login of this one.
    """
    return await accounts.page(office.desk, domain=domain, text=text, after=after, limit=limit)


@operation("POST", "/accounts", Scope.WRITE, status=201)
async def create_account(office: Office, *, body: AccountToMake) -> AccountMade:
    """Make an account; its login is its first address."""
    made = _made(body.password, body.generate)
    new = NewAccount(
        login=body.login, name=body.name, password=body.password or made, shared=body.shared,
        admin=body.admin, quota=body.quota or None, language=body.language,
    )  # fmt: skip
    return AccountMade(account=await accounts.create(office.desk, new), password=made)


@operation("GET", "/accounts/{login}")
async def get_account(office: Office, *, login: str) -> AccountView:
    """One account."""
    return await accounts.show(office.desk, login)


@operation("PATCH", "/accounts/{login}", Scope.WRITE)
async def change_account(office: Office, *, login: str, body: AccountChange) -> AccountView:
    """Change what is given. A quota of 0 is no limit."""
    return await accounts.change(office.desk, login, body)


@operation("DELETE", "/accounts/{login}", Scope.WRITE)
async def remove_account(office: Office, *, login: str) -> Removed:
    """Remove an account with all its mail. This cannot be undone."""
    return await accounts.remove(office.desk, login)


@operation("PUT", "/accounts/{login}/password", Scope.WRITE)
async def set_password(office: Office, *, login: str, body: PasswordToSet) -> AccountMade:
    """Give an account another password."""
    made = _made(body.password, body.generate)
    if not (body.password or made):
        raise Refused("no password was given", "give a password, or generate: true")
    await accounts.set_password(office.desk, login, body.password or made or "")
    return AccountMade(account=await accounts.show(office.desk, login), password=made)


@operation("POST", "/accounts/{login}/rename", Scope.WRITE)
async def rename_account(office: Office, *, login: str, body: NewLogin) -> AccountView:
    """Give an account another primary address; the old one stays its own."""
    return await accounts.rename(office.desk, login, body.login)


@operation("POST", "/accounts/{login}/addresses", Scope.WRITE, status=201)
async def add_address(office: Office, *, login: str, body: AddressToAdd) -> AccountView:
    """Give an account one more address."""
    return await accounts.add_address(office.desk, login, body.address)


@operation("DELETE", "/accounts/{login}/addresses/{address}", Scope.WRITE)
async def remove_address(office: Office, *, login: str, address: str) -> AccountView:
    """Take an additional address away from an account."""
    return await accounts.remove_address(office.desk, login, address)


@operation("GET", "/accounts/{login}/shares")
async def list_shares(office: Office, *, login: str) -> list[ShareView]:
    """Who else may use which mailboxes of an account."""
    return await sharing.shares(office.desk, login)


@operation("POST", "/accounts/{login}/shares", Scope.WRITE)
async def set_share(office: Office, *, login: str, body: ShareToSet) -> list[ShareView]:
    """Let somebody use a mailbox; returns all that the account shares then."""
    return await sharing.share(
        office.desk, login, body.mailbox, body.who, body.rights, below=body.below
    )


def _made(password: str | None, generate: bool) -> str | None:
    if password and generate:
        raise Refused("a password was given and one was to be made", "choose one of both")
    return passwords.generate() if generate else None
