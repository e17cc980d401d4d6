"""IMAP and JMAP drive one account at random: both always show the truth of one model.

A JMAP client follows by /changes and /queryChanges alone, in pieces as small as they come, and must
always end with what a client that asks for everything is told.
"""

from __future__ import annotations

import asyncio
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postillon.account.accounts import Accounts
from postillon.clock import system_clock
from support.accounts import House as Ground
from support.accounts import Time
from support.imap import Client, house
from support.jmap_mail import MailClient

FLAGS = {"$seen": "\\Seen", "$flagged": "\\Flagged", "$draft": "\\Draft", "x": "x"}
WORDS = sorted(FLAGS)
BOXES = {"F1": "INBOX", "F5": "Trash", "F6": "Archive"}
QUERIES: tuple[dict[str, Any], ...] = (
    {"filter": {"inMailbox": "F1"}, "sort": [{"property": "receivedAt", "isAscending": False}]},
    {"filter": {"hasKeyword": "$seen"}, "sort": [{"property": "size"}]},
    {"filter": {"inMailboxOtherThan": ["F5"]}, "collapseThreads": True},
    {
        "filter": {"operator": "NOT", "conditions": [{"someInThreadHaveKeyword": "x"}]},
        "sort": [{"property": "hasKeyword", "keyword": "$flagged"}, {"property": "subject"}],
    },
)
_FETCH = re.compile(rb"FETCH \(.*FLAGS \(([^)]*)\).*EMAILID \(([^)]*)\)")

numbers = st.integers(0, 9)
boxes = st.sampled_from(sorted(BOXES))
some_boxes = st.sets(boxes, min_size=1, max_size=3)
words = st.sets(st.sampled_from(WORDS), max_size=2)
actions = st.one_of(
    st.tuples(st.just("create"), some_boxes, words, st.integers(0, 2)),
    st.tuples(st.just("create"), some_boxes, words, st.integers(0, 2)),
    st.tuples(st.just("append"), boxes, words, st.booleans()),
    st.tuples(st.just("word"), numbers, st.sampled_from(WORDS), st.booleans()),
    st.tuples(st.just("words"), numbers, words),
    st.tuples(st.just("file"), numbers, some_boxes),
    st.tuples(st.just("put"), numbers, boxes, st.booleans()),
    st.tuples(st.just("destroy"), numbers),
    st.tuples(st.just("store"), boxes, numbers, st.sampled_from([*WORDS, "\\Deleted"]), st.booleans()),
    st.tuples(st.just("store"), boxes, numbers, st.just("\\Deleted"), st.booleans()),
    st.tuples(st.just("copy"), boxes, numbers, boxes),
    st.tuples(st.just("move"), boxes, numbers, boxes),
    st.tuples(st.just("expunge"), boxes),
)  # fmt: skip


@dataclass
class Model:
    """What is in each mailbox, in the order of UIDs: email and whether it is \\Deleted there."""

    there: dict[str, list[tuple[str, bool]]] = field(
        default_factory=lambda: {box: [] for box in BOXES}
    )
    words: dict[str, set[str]] = field(default_factory=dict)
    met: set[str] = field(default_factory=set)  # all emails there ever were

    def shown(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for box, items in self.there.items():
            for email, deleted in items:
                if not deleted:
                    found.setdefault(email, {"mailboxIds": {}, "keywords": {}})
                    found[email]["mailboxIds"][box] = True
                    found[email]["keywords"] = dict.fromkeys(self.words[email], True)
        return found

    def pick(self, number: int) -> str | None:
        shown = sorted(self.shown(), key=lambda one: int(one[1:]))
        return shown[number % len(shown)] if shown else None

    def add(self, email: str, box: str, words: set[str], *, deleted: bool = False) -> None:
        self.met.add(email)
        self.words[email] = set(words)
        self.there[box].append((email, deleted))

    def leave(self, email: str, box: str) -> None:
        self.there[box] = [item for item in self.there[box] if item[0] != email]

    def file(self, email: str, wanted: set[str]) -> None:
        """Only what is shown moves; where it was hidden and is wanted it comes anew."""
        before = set(self.shown()[email]["mailboxIds"])
        for box in sorted(before - wanted):
            self.leave(email, box)
        for box in sorted(wanted - before):
            self.leave(email, box)
            self.there[box].append((email, False))


class Both:
    """The two clients, the model, and a third client that only follows."""

    def __init__(self, imap: Client, jmap: MailClient, step: int) -> None:
        self.imap, self.jmap, self.model = imap, jmap, Model()
        self.step = step  # maxChanges of the follower
        self.emails: dict[str, Any] = {}
        self.threads: dict[str, Any] = {}
        self.mailboxes: dict[str, Any] = {}
        self.state = ""
        self.results: list[list[str]] = []
        self.query_states: list[str] = []

    async def start(self) -> None:
        self.mailboxes, self.state = await self._mailboxes()
        for query in QUERIES:
            found = await self.jmap("Email/query", **query)
            self.results.append(found["ids"])
            self.query_states.append(found["queryState"])

    # What is done

    async def create(self, where: set[str], words: set[str], parent: int) -> None:
        more = {"inReplyTo": ["thread@example.org"]} if parent == 0 else {}
        email = await self.jmap.email(
            *sorted(where), keywords=dict.fromkeys(words, True), subject="same", **more
        )
        for box in sorted(where, key=lambda one: int(one[1:])):
            self.model.add(email, box, words)

    async def append(self, box: str, words: set[str], deleted: bool) -> None:
        flags = " ".join([FLAGS[word] for word in words] + ["\\Deleted"] * deleted)
        content = b"References: <thread@example.org>\r\nSubject: same\r\n\r\n" + b"x" * len(words)
        await self.imap.ok(f'APPEND "{BOXES[box]}" ({flags}) {{}}', content)
        self.model.add(await self._last(box), box, words, deleted=deleted)

    async def word(self, number: int, word: str, on: bool) -> None:
        email = self.model.pick(number)
        if email is not None:
            await self._update(email, {f"keywords/{word}": True if on else None})
            (set.add if on else set.discard)(self.model.words[email], word)

    async def words(self, number: int, words: set[str]) -> None:
        email = self.model.pick(number)
        if email is not None:
            await self._update(email, {"keywords": dict.fromkeys(words, True)})
            self.model.words[email] = set(words)

    async def file(self, number: int, where: set[str]) -> None:
        email = self.model.pick(number)
        if email is not None:
            await self._update(email, {"mailboxIds": dict.fromkeys(where, True)})
            self.model.file(email, where)

    async def put(self, number: int, box: str, there: bool) -> None:
        email = self.model.pick(number)
        if email is None:
            return
        before = set(self.model.shown()[email]["mailboxIds"])
        wanted = before | {box} if there else before - {box}
        found = await self.jmap("Email/set", update={email: {f"mailboxIds/{box}": there or None}})
        if not wanted:
            assert found["notUpdated"][email]["properties"] == ["mailboxIds"]
            return
        assert found["notUpdated"] is None, found
        self.model.file(email, wanted)

    async def destroy(self, number: int) -> None:
        email = self.model.pick(number)
        if email is not None:
            found = await self.jmap("Email/set", destroy=[email])
            assert found["destroyed"] == [email]
            for box in BOXES:
                self.model.leave(email, box)

    async def store(self, box: str, number: int, word: str, on: bool) -> None:
        items = self.model.there[box]
        if not items:
            return
        at = number % len(items)
        await self._select(box)
        flag = FLAGS.get(word, word)
        await self.imap.ok(f"STORE {at + 1} {'+' if on else '-'}FLAGS ({flag})")
        email, _ = items[at]
        if word == "\\Deleted":
            items[at] = email, on
        else:
            (set.add if on else set.discard)(self.model.words[email], word)

    async def copy(self, box: str, number: int, target: str) -> None:
        items = self.model.there[box]
        if items:
            email, deleted = items[number % len(items)]
            await self._select(box)
            await self.imap.ok(f'COPY {number % len(items) + 1} "{BOXES[target]}"')
            new = await self._last(target)
            self.model.add(new, target, self.model.words[email], deleted=deleted)

    async def move(self, box: str, number: int, target: str) -> None:
        items = self.model.there[box]
        if items:
            email, deleted = items[number % len(items)]
            await self._select(box)
            await self.imap.ok(f'MOVE {number % len(items) + 1} "{BOXES[target]}"')
            self.model.leave(email, box)
            self.model.leave(email, target)
            self.model.there[target].append((email, deleted))

    async def expunge(self, box: str) -> None:
        await self._select(box)
        await self.imap.ok("EXPUNGE")
        self.model.there[box] = [item for item in self.model.there[box] if not item[1]]

    async def _update(self, email: str, patch: dict[str, Any]) -> None:
        found = await self.jmap("Email/set", update={email: patch})
        assert found["notUpdated"] is None, found
        assert found["updated"] == {email: None}

    async def _select(self, box: str) -> None:
        await self.imap.ok(f'SELECT "{BOXES[box]}"')

    async def _last(self, box: str) -> str:
        return (await self._listed(box))[-1][0]

    async def _listed(self, box: str) -> list[tuple[str, set[str]]]:
        await self._select(box)
        found = await self.imap.ok("UID FETCH 1:* (FLAGS EMAILID)")
        matches = [match for response in found if (match := _FETCH.search(response))]
        return [
            (match[2].decode(), set(match[1].decode().split()) - {"\\Recent"}) for match in matches
        ]

    # What must hold

    async def agree(self) -> None:
        await self._imap_agrees()
        emails = await self._jmap_agrees()
        mailboxes, state = await self._mailboxes()
        self._counts_agree(mailboxes, emails)
        await self._follow(emails, mailboxes)
        await self._follow_queries()
        self.state = state

    async def _imap_agrees(self) -> None:
        for box in BOXES:
            expected = [
                (
                    email,
                    {FLAGS[word] for word in self.model.words[email]}
                    | ({"\\Deleted"} if deleted else set()),
                )
                for email, deleted in self.model.there[box]
            ]
            assert await self._listed(box) == expected

    async def _jmap_agrees(self) -> dict[str, Any]:
        properties = ["threadId", "mailboxIds", "keywords", "receivedAt", "size"]
        found = await self.jmap("Email/get", ids=sorted(self.model.met), properties=properties)
        emails = {item["id"]: item for item in found["list"]}
        shown = self.model.shown()
        assert {
            email: {name: item[name] for name in ("mailboxIds", "keywords")}
            for email, item in emails.items()
        } == shown
        assert set(found["notFound"]) == self.model.met - set(shown)
        for box in BOXES:
            listed = await self.jmap("Email/query", filter={"inMailbox": box}, calculateTotal=True)
            expected = [email for email, deleted in self.model.there[box] if not deleted]
            assert set(listed["ids"]) == set(expected)
            assert listed["total"] == len(listed["ids"]) == len(expected)
        return emails

    async def _mailboxes(self) -> tuple[dict[str, Any], str]:
        found = await self.jmap("Mailbox/get")
        return {item["id"]: item for item in found["list"]}, found["state"]

    def _counts_agree(self, mailboxes: dict[str, Any], emails: dict[str, Any]) -> None:
        """RFC 8621 section 2, said once more."""

        def unread(item: Any) -> bool:
            return not set(item["keywords"]) & {"$seen", "$draft"}

        for box in BOXES:
            inside = [item for item in emails.values() if box in item["mailboxIds"]]
            threads = {item["threadId"] for item in inside}
            if box == "F5":
                open_ = {item["threadId"] for item in inside if unread(item)}
            else:
                open_ = {
                    item["threadId"]
                    for item in emails.values()
                    if unread(item) and set(item["mailboxIds"]) != {"F5"}
                } & threads
            found = mailboxes[box]
            assert found["totalEmails"] == len(inside)
            assert found["unreadEmails"] == sum(map(unread, inside))
            assert found["totalThreads"] == len(threads)
            assert found["unreadThreads"] == len(open_)

    async def _follow(self, emails: dict[str, Any], mailboxes: dict[str, Any]) -> None:
        for kind, known in (
            ("Email", self.emails), ("Thread", self.threads), ("Mailbox", self.mailboxes)
        ):  # fmt: skip
            state, more = self.state, True
            while more:
                found = await self.jmap(f"{kind}/changes", sinceState=state, maxChanges=self.step)
                told = [*found["created"], *found["updated"], *found["destroyed"]]
                assert len(set(told)) == len(told) <= self.step
                assert not set(found["created"]) & set(known)
                assert set(found["updated"]) <= set(known), (kind, found, known)
                for gone in found["destroyed"]:
                    known.pop(gone, None)
                changed = [*found["created"], *found["updated"]]
                properties = found.get("updatedProperties")
                for item in (await self.jmap(f"{kind}/get", ids=changed))["list"]:
                    if properties is not None and item["id"] in found["updated"]:
                        item = {**known[item["id"]], **{name: item[name] for name in properties}}
                    known[item["id"]] = item
                for one in found["created"]:
                    known.setdefault(one, None)  # gone again, as a later answer will say
                state, more = found["newState"], found["hasMoreChanges"]
        assert set(self.emails) == set(emails)
        for email, item in emails.items():
            for name in ("mailboxIds", "keywords"):
                assert self.emails[email][name] == item[name]
        threads: dict[str, set[str]] = {}
        for email, item in emails.items():
            threads.setdefault(item["threadId"], set()).add(email)
        assert {one: set(item["emailIds"]) for one, item in self.threads.items()} == threads
        assert self.mailboxes == mailboxes

    async def _follow_queries(self) -> None:
        for number, query in enumerate(QUERIES):
            found = await self.jmap(
                "Email/queryChanges", sinceQueryState=self.query_states[number], **query
            )
            ids = [one for one in self.results[number] if one not in found["removed"]]
            for item in found["added"]:
                assert item["id"] not in ids
                ids.insert(item["index"], item["id"])
            fresh = await self.jmap("Email/query", **query)
            assert ids == fresh["ids"], (query, found)
            self.results[number], self.query_states[number] = ids, fresh["queryState"]


async def live(script: list[tuple[Any, ...]], step: int, every: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with house(Path(folder)) as here:
            ground = Ground(
                here.store, cast(Any, None), Accounts(here.store, here.texts), cast(Any, None),
                cast(Time, system_clock),
            )  # fmt: skip
            both = Both(await here.client(), MailClient(ground, here.account), step)
            await both.start()
            for number, (action, *rest) in enumerate(script, 1):
                await getattr(both, action)(*rest)
                if number % every == 0:
                    await both.agree()
            await both.agree()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(actions, max_size=14), st.sampled_from([1, 2, 500]), st.sampled_from([1, 4]))
def test_both_show_the_same_truth(script: list[tuple[Any, ...]], step: int, every: int) -> None:
    asyncio.run(live(script, step, every))


@pytest.mark.torture
@pytest.mark.timeout(0)
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(actions, max_size=40), st.sampled_from([1, 2, 3, 500]), st.sampled_from([1, 3, 9]))
def test_both_show_the_same_truth_for_long(
    script: list[tuple[Any, ...]], step: int, every: int
) -> None:
    asyncio.run(live(script, step, every))
