"""An account and who acts in it: each step asks in its own transaction whether they may."""

from __future__ import annotations

from collections.abc import Callable

from postillon.account import grants
from postillon.account.errors import NotAllowed
from postillon.account.ids import AccountId, MailboxId
from postillon.account.mailboxes import Path
from postillon.account.rights import ALL, Right
from postillon.store.operation import Steps, Store, T, Tx
from postillon.store.textindexes import TextIndexes


class Acting:
    """What reading and changing an account have in common."""

    def __init__(
        self,
        store: Store,
        account: AccountId,
        texts: TextIndexes | None = None,
        actor: int | None = None,
    ) -> None:
        """actor: the principal who acts; None is the owner."""
        self._store = store
        self._texts = texts
        self.id = account
        self._actor = None if actor == account else actor

    @property
    def own(self) -> bool:
        """Whether the owner acts."""
        return self._actor is None

    @property
    def _holder(self) -> int:
        """The principal who acts."""
        return self.id if self._actor is None else self._actor

    def _refuse_others(self, mailbox: int = grants.NEW) -> None:
        if not self.own:
            raise NotAllowed(mailbox)

    def _checked(self, mailbox: MailboxId, wanted: Right, steps: Steps[T]) -> Steps[T]:
        if self._actor is None:
            return steps
        return grants.checked(self.id, mailbox, self._actor, wanted, steps)

    def _require(self, mailbox: MailboxId, wanted: Right) -> Steps[Right]:
        if self._actor is None:
            return ALL
        return (yield from grants.require(self.id, mailbox, self._actor, wanted))

    def _require_place(self, path: Path) -> Steps[None]:
        if self._actor is not None:
            yield from grants.require_place(self.id, path, self._actor)

    async def _read(self, mailbox: MailboxId, steps: Steps[T]) -> T:
        return await self._store.query(self._checked(mailbox, Right.READ, steps))

    async def _read_apart(self, mailbox: MailboxId, steps: Steps[T]) -> T:
        return await self._store.read_apart(self._checked(mailbox, Right.READ, steps))

    async def _write(
        self, mailbox: MailboxId, wanted: Right, operation: Callable[[Tx], Steps[T]]
    ) -> T:
        return await self._store.write(lambda tx: self._checked(mailbox, wanted, operation(tx)))
