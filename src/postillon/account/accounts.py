"""All accounts: making, finding and removing them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from postillon.account import grants, imports, setup
from postillon.account.account import Account
from postillon.account.changes import KEEP_MS, expire
from postillon.account.emails import room
from postillon.account.hub import Hub
from postillon.account.ids import AccountId
from postillon.account.maildrop import Maildrop
from postillon.account.objects import Objects
from postillon.account.originals import Originals
from postillon.account.rolls import Rolls
from postillon.account.uploads import Uploads
from postillon.directory import principals
from postillon.directory.addresses import Removal
from postillon.directory.credentials import write_password
from postillon.directory.domains import TOPIC
from postillon.directory.principals import Principal, PrincipalKind
from postillon.store.operation import Steps, Store, Tx
from postillon.store.remembered import Remembered
from postillon.store.textindexes import TextIndexes

MAX_QUOTA = 2**62  # octets
OWNERS = (PrincipalKind.PERSON, PrincipalKind.SHARED)


class Accounts:
    """Opens accounts, and makes and removes principals together with their data."""

    def __init__(
        self,
        store: Store,
        texts: TextIndexes | None = None,
        unlimited: Remembered[int, bool] | None = None,
    ) -> None:
        """texts: what searches of text may ask; None: they read the messages.

        unlimited: accounts without a quota, for a process that hears of changes.
        """
        self._store = store
        self._texts = texts
        self._unlimited = unlimited or Remembered(most=0)
        self._rolls = Rolls(store)
        self.hub = Hub()

    def open(self, account: AccountId | int, actor: int | None = None) -> Account:
        """The account of this id, whether or not it is there.

        actor: the principal who looks into it, with the rights that were granted; None: the owner.
        """
        return Account(self._store, AccountId(account), self._texts, actor)

    async def shared_with(self, actor: int) -> list[Principal]:
        """The owners of what others have shared with somebody, by login."""
        return await self._store.query(grants.shared_with(actor))

    def maildrop(self, account: AccountId | int, holder: str, hold_time: timedelta) -> Maildrop:
        """The inbox for one POP3 session. holder: a name like no other session's."""
        return Maildrop(
            self._store, AccountId(account), holder, hold_time // timedelta(milliseconds=1)
        )

    def uploads(self, account: AccountId | int, actor: int | None, most: int = 0) -> Uploads:
        """What was uploaded and not used yet. most: octets of all of them together."""
        return Uploads(self._store, AccountId(account), actor, most)

    def originals(self, account: AccountId | int, actor: int | None) -> Originals:
        """Emails by their ids, as octets."""
        return Originals(self._store, AccountId(account), actor)

    def objects(self, account: AccountId | int, actor: int | None = None) -> Objects:
        """As `open`, for who goes by ids."""
        return Objects(self._store, AccountId(account), self._rolls, self._texts, actor)

    async def room(self, account: AccountId | int, octets: int) -> bool:
        """Whether the account would take so many octets more now."""
        if self._unlimited.find(account):
            return True
        heard = self._unlimited.heard
        found = await self._store.query(room(AccountId(account)))
        if found is None:
            self._unlimited.keep(account, True, heard)
        return found is None or octets <= found

    def hear(self, topics: Sequence[str]) -> None:
        """Something was announced, by this process or another one."""
        self._unlimited.hear(TOPIC, topics)

    async def create(
        self,
        login: str,
        *,
        password: tuple[str, str] | None = None,
        name: str = "",
        kind: PrincipalKind = PrincipalKind.PERSON,
        admin: bool = False,
        quota: int | None = None,
        language: str = "",
    ) -> Principal:
        """A principal with its address, account, default mailboxes and password, or nothing at all.

        password: of `Credentials.prepare`; None: nobody can log in yet. quota: octets; None is
        unlimited. Raises BadName, DomainNotFound, AddressTaken or ValueError for the quota.
        """
        _check_quota(quota)

        def operation(tx: Tx) -> Steps[Principal]:
            owner = yield from principals.create(tx, login, kind, name, admin, language)
            yield from setup.set_up(tx, AccountId(owner.id), quota)
            if password is not None:
                yield from write_password(tx, owner.login, *password)
            return owner

        return await self._store.write(operation)

    async def remove(self, login: str) -> Removal:
        """Remove a principal at once, then its data in bounded steps.

        Raises BadName, PrincipalNotFound or WrongKind.
        """
        owner, removal = await self._store.write(lambda tx: _remove(tx, login))
        await self._erase(AccountId(owner.id))
        return removal

    async def set_quota(self, login: str, quota: int | None) -> None:
        """octets; None is unlimited. Raises BadName, PrincipalNotFound, WrongKind, ValueError."""
        _check_quota(quota)

        def operation(tx: Tx) -> Steps[None]:
            owner = yield from principals.require(login, *OWNERS)
            yield from setup.set_quota(AccountId(owner.id), quota)
            tx.announce(TOPIC)

        await self._store.write(operation)

    async def tidy(self, now: int) -> None:
        """For the maintenance process: finish removals and deletions, forget old changes and imports.

        now: ms. Each step is one bounded operation.
        """
        for account in await self._store.query(setup.abandoned()):
            await self._erase(account)
        before = now - KEEP_MS
        for account, doomed, old in await self._store.query(setup.needing_care(before)):
            if doomed:
                await self.open(account).sweep()
            while old and await self._forget(account, before):
                pass
        while await self._store.write(lambda tx: imports.forget(tx, now - imports.KEEP_MS)):
            pass

    async def _forget(self, account: AccountId, before: int) -> int:
        return await self._store.write(lambda tx: expire(tx, account, before))

    async def _erase(self, account: AccountId) -> None:
        while await self._store.write(lambda tx: setup.erase(account)):
            pass


def _remove(tx: Tx, login: str) -> Steps[tuple[Principal, Removal]]:
    owner = yield from principals.require(login, *OWNERS)
    removal = yield from principals.delete(tx, owner.id)
    return owner, removal


def _check_quota(quota: int | None) -> None:
    if quota is not None and not 0 <= quota <= MAX_QUOTA:
        raise ValueError("a quota is a number of octets from 0, or none")
