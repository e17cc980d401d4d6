"""Changes as they are pushed: which types of which accounts have a new state (RFC 8620 section 7.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Any

from postillon.access.jmap import names
from postillon.account.accounts import Accounts
from postillon.account.changes import Kind
from postillon.account.errors import AccountNotFound
from postillon.account.ids import AccountId, ModSeq
from postillon.account.news import News
from postillon.account.owned import Happened

MAIL = frozenset({"Email", "Mailbox", "Thread"})
TYPES: Mapping[int, frozenset[str]] = {
    Kind.CREATED: MAIL | {"EmailDelivery"},
    Kind.CHANGED: frozenset({"Email", "Mailbox"}),
    Kind.DELETED: MAIL,
    Kind.MOVED: MAIL,
    Kind.HIDDEN: MAIL,
    Kind.SHOWN: MAIL,
    Kind.SEEN: frozenset({"Email", "Mailbox"}),
    Kind.MAILBOX_CREATED: frozenset({"Mailbox"}),
    Kind.MAILBOX_CHANGED: frozenset({"Mailbox"}),
    Kind.MAILBOX_DELETED: frozenset({"Mailbox"}),
    Kind.GRANTED: frozenset({"Mailbox"}),
    Happened.IDENTITY_CREATED: frozenset({"Identity"}),
    Happened.IDENTITY_CHANGED: frozenset({"Identity"}),
    Happened.IDENTITY_DELETED: frozenset({"Identity"}),
    Happened.SUBMISSION_CREATED: frozenset({"EmailSubmission"}),
    Happened.SUBMISSION_CHANGED: frozenset({"EmailSubmission"}),
    Happened.SUBMISSION_DELETED: frozenset({"EmailSubmission"}),
    Happened.VACATION_CHANGED: frozenset({"VacationResponse"}),
    Happened.RULE_CREATED: frozenset({"Rule"}),
    Happened.RULE_CHANGED: frozenset({"Rule"}),
    Happened.RULE_DELETED: frozenset({"Rule"}),
    Happened.NOTICE_CREATED: frozenset({"ShareNotification"}),
    Happened.NOTICE_DELETED: frozenset({"ShareNotification"}),
}
MANY_S = 0.05  # changes that follow each other so soon are told together
Seen = dict[int, int]  # MODSEQ by account


class States:
    """What one client has been told, and what there is to tell it. To be closed.

    types: which it wants to hear of; None for all.
    """

    def __init__(self, accounts: Accounts, principal: int, types: Collection[str] | None) -> None:
        self._accounts = accounts
        self._principal = principal
        self._types = None if types is None else frozenset(types)
        self._event = asyncio.Event()
        self._seen: Seen = {}
        self._epochs: dict[int, int] = {}
        self._ends: list[Callable[[], None]] = []
        self.fresh = False  # whether there is an account that `known` did not tell of

    async def start(self, known: str = "", *, listen: bool = True) -> None:
        """Hear of changes from now on; known: an `id` from before, whose changes are told first."""
        before = _parse(known)
        shared = await self._accounts.shared_with(self._principal)
        for number in (self._principal, *(owner.id for owner in shared)):
            if listen:
                self._ends.append(self._accounts.hub.subscribe(AccountId(number), self._heard))
            news = await self._news(number, None)
            self._epochs[number] = news.epoch
            self.fresh = self.fresh or number not in before
            epoch, modseq = before.get(number, (news.epoch, news.modseq))
            self._seen[number] = modseq if epoch == news.epoch else 0
            if self._seen[number] < news.modseq:
                self._event.set()

    def close(self) -> None:
        for end in self._ends:
            end()
        self._ends.clear()

    @property
    def id(self) -> str:
        """What has been told, for another connection to go on from."""
        told = (f"{n}:{names.state(self._epochs[n], seen)}" for n, seen in self._seen.items())
        return "_".join(told)

    async def next(self, wait_s: float | None) -> dict[str, Any] | None:
        """The next StateChange, or None when nothing of interest has come in time."""
        try:
            async with asyncio.timeout(wait_s):
                while True:
                    await self._event.wait()
                    self._event.clear()
                    found = await self.look()
                    if found is not None:
                        return found
                    await asyncio.sleep(MANY_S)
        except TimeoutError:
            return None

    async def look(self) -> dict[str, Any] | None:
        """The StateChange of what has not been told yet, or None."""
        found = {}
        for number, seen in list(self._seen.items()):
            try:
                news = await self._news(number, seen)
            except AccountNotFound:  # it was removed meanwhile
                del self._seen[number]
                continue
            self._seen[number] = news.modseq
            types = frozenset[str]().union(*(TYPES.get(kind, frozenset()) for kind in news.kinds))
            wanted = types if self._types is None else types & self._types
            if wanted:
                state = names.state(news.epoch, news.modseq)
                found[names.name(names.ACCOUNT, number)] = dict.fromkeys(sorted(wanted), state)
        return {"@type": "StateChange", "changed": found} if found else None

    def _heard(self, modseq: ModSeq) -> None:
        self._event.set()

    async def _news(self, number: int, modseq: int | None) -> News:
        return await self._accounts.open(number, self._principal).news(modseq)


def _parse(text: str) -> dict[int, tuple[int, int]]:
    """The states of an `id`; what is none of ours is left out."""
    found = {}
    for part in text.split("_")[:1_000]:
        account, _, state = part.partition(":")
        epoch, _, modseq = state.partition(".")
        if all(
            item.isascii() and item.isdigit() and len(item) < 20
            for item in (account, epoch, modseq)
        ):
            found[int(account)] = int(epoch), int(modseq)
    return found
