"""Whoever follows a shared account by /changes alone has what a client has that asks for everything.

The owner does anything to mailboxes, emails and grants. Only when the follower's own rights have
changed may a state be too old.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postillon.account import hierarchy
from postillon.account.ids import MailboxId
from postillon.account.keywords import DELETED
from postillon.account.ranges import EVERYTHING
from postillon.account.rights import Right
from support.accounts import house
from support.jmap_mail import MailClient, Refused

READER = Right.LOOKUP | Right.READ
numbers = st.integers(0, 5)
actions = st.one_of(
    st.tuples(st.just("email"), st.sets(numbers, min_size=1, max_size=2), st.booleans()),
    st.tuples(st.just("email"), st.sets(numbers, min_size=1, max_size=2), st.booleans()),
    st.tuples(st.just("file"), numbers, st.sets(numbers, min_size=1, max_size=2)),
    st.tuples(st.just("seen"), numbers, st.booleans()),
    st.tuples(st.just("destroy"), numbers),
    st.tuples(st.just("hide"), numbers),
    st.tuples(st.just("expunge"), numbers),
    st.tuples(st.just("mailbox"), numbers),
    st.tuples(st.just("rename"), numbers, numbers),
    st.tuples(st.just("delete"), numbers),
    st.tuples(st.just("drop"), numbers),
    st.tuples(st.just("subscribe"), numbers, st.booleans()),
    st.tuples(st.just("grant"), numbers, st.sampled_from([Right(0), Right.LOOKUP, READER])),
    st.tuples(st.just("grant_other"), numbers, st.sampled_from([Right(0), READER])),
    st.tuples(st.just("follow")),
    st.tuples(st.just("follow")),
)


class Shared:
    """Ada's account; Bob follows what he sees of it."""

    def __init__(self, ada: MailClient, bob: MailClient, carol: int, step: int) -> None:
        self.ada, self.bob, self.carol, self.step = ada, bob, carol, step
        self.mailboxes: dict[str, Any] = {}
        self.emails: dict[str, Any] = {}
        self.threads: dict[str, Any] = {}
        self.state = ""
        self.turned = False  # Bob's rights are others since he looked
        self.named = 0
        self.swept = True  # no email waits in a mailbox that has gone to be told of

    # What Ada does

    async def _mailboxes(self) -> list[str]:
        return [item["id"] for item in (await self.ada("Mailbox/get"))["list"]]

    async def _places(self, wanted: set[int]) -> dict[str, bool]:
        return self._some(await self._mailboxes(), wanted)

    async def _takers(self, wanted: set[int]) -> dict[str, bool]:
        """As `_places`, without names that are only there for their children."""
        there = (await self.ada("Mailbox/get"))["list"]
        return self._some([item["id"] for item in there if item["myRights"]["mayAddItems"]], wanted)

    @staticmethod
    def _some(there: list[str], wanted: set[int]) -> dict[str, bool]:
        return {there[-1 - n % len(there)]: True for n in wanted}

    async def _pick(self, number: int) -> str | None:
        there = (await self.ada("Email/query"))["ids"]
        return str(there[number % len(there)]) if there else None

    async def email(self, where: set[int], together: bool) -> None:
        more = {"inReplyTo": ["one@example.org"]} if together else {}
        await self.ada.email(*await self._takers(where), subject="same", **more)

    async def file(self, number: int, where: set[int]) -> None:
        if email := await self._pick(number):
            change = {email: {"mailboxIds": await self._takers(where)}}
            assert (await self.ada("Email/set", update=change))["notUpdated"] is None

    async def seen(self, number: int, on: bool) -> None:
        if email := await self._pick(number):
            await self.ada("Email/set", update={email: {"keywords/$seen": on or None}})

    async def destroy(self, number: int) -> None:
        if email := await self._pick(number):
            await self.ada("Email/set", destroy=[email])

    async def hide(self, number: int) -> None:
        [mailbox] = await self._numbers(number)
        await self.ada.account.store_flags(mailbox, [(1, 2)], "add", DELETED)

    async def expunge(self, number: int) -> None:
        [mailbox] = await self._numbers(number)
        await self.ada.account.expunge(mailbox, EVERYTHING)

    async def mailbox(self, number: int) -> None:
        self.named += 1
        [parent] = await self._places({number})
        await self.ada.mailbox(f"n{self.named}", parentId=parent if number % 2 else None)

    async def rename(self, number: int, other: int) -> None:
        self.named += 1
        [one], [parent] = await self._places({number}), await self._places({other})
        change = {"name": f"n{self.named}", "parentId": parent if other % 2 else None}
        await self.ada("Mailbox/set", update={one: change})  # some may not be renamed so

    async def delete(self, number: int) -> None:
        await self.ada(
            "Mailbox/set", destroy=list(await self._places({number})), onDestroyRemoveEmails=True
        )

    async def drop(self, number: int) -> None:
        """As IMAP does: children stay, emails are swept at some other time."""
        [mailbox] = await self._numbers(number)
        if mailbox > 6:
            await self.ada.account.delete(mailbox)
            self.swept = False

    async def sweep(self) -> None:
        while await self.ada.house.do(lambda tx: hierarchy.sweep(tx, self.ada.account.id, 1)):
            pass
        self.swept = True

    async def subscribe(self, number: int, on: bool) -> None:
        [one] = await self._places({number})
        await self.ada("Mailbox/set", update={one: {"isSubscribed": on}})

    async def grant(self, number: int, rights: Right) -> None:
        [mailbox] = await self._numbers(number)
        await self.ada.account.grant(mailbox, self.bob.account.id, rights)
        self.turned = True

    async def grant_other(self, number: int, rights: Right) -> None:
        [mailbox] = await self._numbers(number)
        await self.ada.account.grant(mailbox, self.carol, rights)

    async def _numbers(self, number: int) -> list[MailboxId]:
        return [MailboxId(int(one[1:])) for one in await self._places({number})]

    # What Bob sees

    async def _look(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]:
        try:
            got = await self.bob("Mailbox/get", accountId=self.ada.id)
        except Refused as error:
            if error.error["type"] != "accountNotFound":
                raise
            return {}, {}, {}, ""
        emails = await self._emails((await self._ask("Email/query"))["ids"])
        threads = await self._threads({item["threadId"] for item in emails.values()})
        return {item["id"]: item for item in got["list"]}, emails, threads, got["state"]

    async def _ask(self, method: str, **arguments: Any) -> Any:
        return await self.bob(method, accountId=self.ada.id, **arguments)

    async def _emails(self, ids: list[str]) -> dict[str, Any]:
        found = await self._ask(
            "Email/get", ids=ids, properties=["mailboxIds", "keywords", "threadId"]
        )
        assert found["notFound"] == []
        return {item["id"]: item for item in found["list"]}

    async def _threads(self, ids: set[str]) -> dict[str, Any]:
        found = await self._ask("Thread/get", ids=sorted(ids))
        assert found["notFound"] == []
        return {item["id"]: item for item in found["list"]}

    async def follow(self) -> None:
        truth = await self._look()
        *all_, now = truth
        if not self.state or not now:
            self.mailboxes, self.emails, self.threads, self.state = truth
        else:
            try:
                for kind, kept, getting in (
                    ("Mailbox", self.mailboxes, self._getting_mailboxes),
                    ("Email", self.emails, self._emails),
                    ("Thread", self.threads, lambda ids: self._threads(set(ids))),
                ):
                    await self._changes(kind, kept, getting, now)
                self.state = now
            except Refused as error:
                if error.error["type"] != "cannotCalculateChanges" or not self.turned:
                    raise
                self.mailboxes, self.emails, self.threads, self.state = truth
        if self.swept:
            assert [self.mailboxes, self.emails, self.threads] == all_
        self.turned = False

    async def _getting_mailboxes(self, ids: list[str]) -> dict[str, Any]:
        found = await self._ask("Mailbox/get", ids=ids)
        assert found["notFound"] == []
        return {item["id"]: item for item in found["list"]}

    async def _changes(self, kind: str, kept: dict[str, Any], getting: Any, now: str) -> None:
        state, more, touched = self.state, True, set()
        while more:
            found = await self._ask(f"{kind}/changes", sinceState=state, maxChanges=self.step)
            size = sum(len(found[name]) for name in ("created", "updated", "destroyed"))
            assert size <= self.step
            for one in found["destroyed"]:
                kept.pop(one, None)
                touched.discard(one)
            touched |= {*found["created"], *found["updated"]}
            state, more = found["newState"], found["hasMoreChanges"]
        assert state == now
        kept |= await getting(sorted(touched))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(actions, min_size=4, max_size=25), step=st.sampled_from([1, 2, 50]))
def test_a_follower_of_a_shared_account_misses_nothing(steps: list[Any], step: int) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with house(Path(folder)) as home:
                ada = MailClient(home, await home.account())
                bob = MailClient(home, await home.account("bob@example.org"))
                carol = await home.account("carol@example.org")
                shared = Shared(ada, bob, carol.id, step)
                for name in ("Work", "Private"):
                    await ada.mailbox(name)
                for number in (0, 2):
                    await shared.grant(number, READER)
                await shared.follow()
                for name, *given_ in steps:
                    await getattr(shared, name)(*given_)
                await shared.sweep()
                await shared.follow()

    asyncio.run(run())
