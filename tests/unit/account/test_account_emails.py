"""Placing, reading, flags, copies, moves and expunges on a real store."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from postillon.account import setup
from postillon.account.accounts import Accounts
from postillon.account.arriving import ToAppend
from postillon.account.changes import Kind
from postillon.account.emails import NewEmail, place
from postillon.account.errors import (
    AccountNotFound,
    BadKeyword,
    EmailGone,
    MailboxNotFound,
    OverQuota,
    TooManyAnnotations,
    TooManyKeywords,
)
from postillon.account.ids import AccountId, MailboxId
from postillon.account.keywords import ANSWERED, DELETED, FLAGGED, MAX_KEYWORDS, SEEN
from postillon.account.metadata import MAX_ANNOTATIONS
from postillon.account.ranges import EVERYTHING
from postillon.account.roles import INBOX_ID, Role
from postillon.mail.mime import scan
from postillon.store.operation import BlobRef
from postillon.store.remembered import Remembered
from support.accounts import append, house, message

ALL = EVERYTHING


async def test_an_appended_message_is_read_as_it_was(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        content = message("lunch", Message_ID="<1@example.org>")
        placed = await append(account, content, INBOX_ID, SEEN, "$Forwarded")
        [row] = await account.emails(INBOX_ID, [(placed.uid, placed.uid)])
        assert (row.uid, row.flags, row.keywords) == (1, SEEN, "$forwarded")
        assert await account.content(row) == content
        assert await account.content(row, 0, 7) == b"Subject"
        assert row.size == len(content)
        assert row.received_at == row.saved_at == home.time()
        inbox = await account.mailbox(INBOX_ID)
        assert (inbox.total, inbox.unseen, inbox.octets) == (1, 0, len(content))
        assert (await account.facts()).used == len(content)


async def test_several_messages_are_appended_all_or_none(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        content = message()
        account = await home.account(quota=2 * len(content))
        one = ToAppend(content, scan(content))
        before = await account.facts()
        with pytest.raises(OverQuota) as refusal:
            await account.append_many(INBOX_ID, [one, one, one])
        assert refusal.value.used == refusal.value.allowed == 2 * len(content)
        assert await account.facts() == before
        assert await account.uids(INBOX_ID) == []
        await account.append_many(INBOX_ID, [one, one])
        assert await account.uids(INBOX_ID) == [1, 2]


async def test_what_refuses_a_message_leaves_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        before = await account.facts()
        with pytest.raises(MailboxNotFound):
            await append(account, message(), MailboxId(99))
        with pytest.raises(BadKeyword):
            await append(account, message(), INBOX_ID, 0, "a b")
        with pytest.raises(TooManyKeywords):
            await append(account, message(), INBOX_ID, 0, *map(str, range(MAX_KEYWORDS + 1)))
        assert await account.facts() == before
        with pytest.raises(AccountNotFound):
            await append(home.accounts.open(77))
        assert not await home.accounts.room(77, 1)


async def test_an_operation_that_catches_a_missing_mailbox_is_not_charged(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        new = NewEmail(
            digest=b"", header=b"", structure=b"", preview="", received_at=1, mailbox=("No",)
        )

        def operation(tx):
            for mailbox in (("No",), Role.ALL, MailboxId(50)):
                try:
                    yield from place(
                        tx, AccountId(account.id), _to(new, mailbox), BlobRef(1, 0, 100)
                    )
                except MailboxNotFound:
                    continue
                raise AssertionError
            return None

        await home.do(operation)
        assert ((await account.facts()).used, (await account.facts()).emails) == (0, 0)


def _to(new: NewEmail, mailbox: object) -> NewEmail:
    return msgspec.structs.replace(new, mailbox=mailbox)


async def test_an_email_is_placed_by_id_by_role_and_by_path(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        sub = await account.create(("Lists", "a/b"))
        found = []
        for target in (INBOX_ID, Role.JUNK, ("lists",), ("Lists", "a/b"), ("inbox",)):
            new = NewEmail(
                digest=b"", header=b"", structure=b"", preview="", received_at=1, mailbox=target
            )
            try:
                placed = await home.do(lambda tx, n=new: place(tx, account.id, n, BlobRef(1, 0, 1)))
            except MailboxNotFound:
                found.append(None)
            else:
                found.append(placed.mailbox)
        junk = await account.of_role(Role.JUNK)
        assert junk
        assert found == [INBOX_ID, junk.id, None, sub.id, INBOX_ID]


async def test_answers_join_the_thread_in_either_order(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        late = message("Re: lunch", Message_ID="<2@x>", References="<1@x>")
        await append(account, late)
        await append(account, message("lunch", Message_ID="<1@x>"))
        await append(account, message("Re: lunch", Message_ID="<3@x>", References="<1@x> <2@x>"))
        await append(account, message("dinner", Message_ID="<4@x>", References="<1@x>"))
        await append(account, message("nothing"))
        threads = [row.thread for row in await account.emails(INBOX_ID, ALL)]
        assert threads[0] == threads[1] == threads[2]
        assert len(set(threads)) == 3


async def test_flags_are_added_removed_and_replaced(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        for flags in (0, SEEN, SEEN | DELETED):
            await append(account, message(), INBOX_ID, flags)
        result = await account.store_flags(INBOX_ID, ALL, "add", SEEN, frozenset({"$Junk"}))
        assert [item.flags for item in result.updated] == [SEEN, SEEN, SEEN | DELETED]
        assert {item.keywords for item in result.updated} == {"$junk"}
        assert {item.modseq for item in result.updated} == {result.modseq}
        result = await account.store_flags(INBOX_ID, [(2, 9)], "remove", SEEN | DELETED)
        assert [(item.uid, item.flags) for item in result.updated] == [(2, 0), (3, 0)]
        result = await account.store_flags(INBOX_ID, [(1, 1), (3, 3)], "replace", FLAGGED)
        assert [(item.flags, item.keywords) for item in result.updated] == [(FLAGGED, None)] * 2
        inbox = await account.mailbox(INBOX_ID)
        assert (inbox.total, inbox.unseen, inbox.deleted) == (3, 3, 0)
        assert await account.keywords(INBOX_ID) == ["$junk"]
        assert (await account.placements(INBOX_ID, [(2, 2)]))[0].keywords == "$junk"


async def test_what_is_so_already_keeps_its_modseq(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        await append(account, message(), INBOX_ID, SEEN)
        before = (await account.facts()).modseq
        result = await account.store_flags(INBOX_ID, ALL, "add", SEEN)
        assert (result.modseq, (await account.facts()).modseq) == (None, before)
        assert [item.uid for item in result.updated] == [1]


async def test_unchangedsince_refuses_what_changed_later(tmp_path: Path) -> None:
    # RFC 7162 section 3.1.3
    async with house(tmp_path) as home:
        account = await home.account()
        first = await append(account)
        await append(account)
        result = await account.store_flags(
            INBOX_ID, ALL, "add", ANSWERED, unchanged_since=first.modseq
        )
        assert ([item.uid for item in result.updated], result.refused) == ([1], [2])
        result = await account.store_flags(INBOX_ID, ALL, "add", ANSWERED, unchanged_since=0)
        assert (result.updated, result.refused, result.modseq) == ([], [1, 2], None)


async def test_the_union_of_keywords_is_bounded(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        await append(account, message(), INBOX_ID, 0, *(f"a{n}" for n in range(MAX_KEYWORDS)))
        with pytest.raises(TooManyKeywords):
            await account.store_flags(INBOX_ID, ALL, "add", 0, frozenset({"one-more"}))


async def test_the_log_says_whether_seen_was_among_what_changed(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        await append(account)
        await account.store_flags(INBOX_ID, ALL, "add", SEEN | FLAGGED)
        await account.store_flags(INBOX_ID, ALL, "add", ANSWERED)
        await account.store_flags(INBOX_ID, ALL, "remove", SEEN | DELETED)
        rows = await home.rows("SELECT kind FROM change WHERE kind < 10 ORDER BY modseq, n")
        assert [kind for (kind,) in rows] == [Kind.CREATED, Kind.SEEN, Kind.CHANGED, Kind.SEEN]


async def test_a_copy_is_a_new_email_on_the_same_octets(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        content = message(Message_ID="<1@x>")
        for flags in (SEEN, DELETED):
            await append(account, content, INBOX_ID, flags, "$Work")
        trash = await account.of_role(Role.TRASH)
        assert trash
        result = await account.copy(INBOX_ID, [(2, 2), (1, 1), (7, 9)], trash.id)
        assert result.pairs == [(1, 1), (2, 2)]
        assert result.uid_validity == trash.uid_validity
        old, new = await account.emails(INBOX_ID, ALL), await account.emails(trash.id, ALL)
        assert [row.ref for row in old] == [row.ref for row in new]
        assert [row.flags for row in new] == [SEEN, DELETED]
        assert [row.keywords for row in new] == ["$work"] * 2
        assert not {row.email for row in old} & {row.email for row in new}
        assert (await account.facts()).used == 4 * len(content)
        trash = await account.mailbox(trash.id)
        assert (trash.total, trash.unseen, trash.deleted) == (2, 1, 1)


async def test_a_copy_over_quota_copies_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        content = message()
        account = await home.account(quota=3 * len(content))
        await append(account, content)
        await append(account, content)
        with pytest.raises(OverQuota):
            await account.copy(INBOX_ID, ALL, MailboxId(2))
        assert await account.uids(MailboxId(2)) == []
        assert (await account.mailbox(MailboxId(2))).uid_next == 1


async def test_a_move_keeps_the_email_and_leaves_a_tombstone(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        start = (await account.facts()).modseq
        first = await append(account, message(), INBOX_ID, SEEN)
        before = (await account.facts()).modseq
        result = await account.move(INBOX_ID, ALL, MailboxId(6))
        assert result.pairs == [(1, 1)]
        [row] = await account.emails(MailboxId(6), ALL)
        assert (row.email, row.flags) == (first.email, SEEN)
        assert (await account.changes(INBOX_ID, before)).vanished == [1]
        assert (await account.changes(INBOX_ID, start)).vanished == []  # came and went in between
        assert [item.uid for item in (await account.changes(MailboxId(6), before)).created] == [1]
        assert (await account.mailbox(INBOX_ID)).total == 0
        await account.move(MailboxId(6), ALL, MailboxId(2))
        assert (
            await account.changes(MailboxId(6), before)
        ).vanished == []  # as above, moved in and out


async def test_a_move_within_a_mailbox_gives_new_uids(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        for _ in range(3):
            await append(account)
        assert (await account.move(INBOX_ID, [(1, 2)], INBOX_ID)).pairs == [(1, 4), (2, 5)]
        assert await account.uids(INBOX_ID) == [3, 4, 5]
        assert (await account.mailbox(INBOX_ID)).total == 3


async def test_nothing_to_copy_is_no_error_but_a_missing_mailbox_is(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        assert (await account.copy(INBOX_ID, ALL, MailboxId(2))).pairs == []
        assert (await account.move(INBOX_ID, ALL, MailboxId(2))).modseq is None
        await append(account)
        for call in (account.copy, account.move):
            with pytest.raises(MailboxNotFound):
                await call(INBOX_ID, ALL, MailboxId(99))
            with pytest.raises(MailboxNotFound):
                await call(MailboxId(99), ALL, INBOX_ID)
        with pytest.raises(MailboxNotFound):
            await account.expunge(MailboxId(99))
        with pytest.raises(MailboxNotFound):
            await account.store_flags(MailboxId(99), ALL, "add", SEEN)
        with pytest.raises(MailboxNotFound):
            await account.changes(MailboxId(99), 0)
        assert await account.uids(INBOX_ID) == [1]


async def test_expunge_removes_only_what_is_deleted(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        for flags in (DELETED, 0, DELETED, DELETED):
            await append(account, message(), INBOX_ID, flags)
        before = await account.facts()
        [row] = await account.emails(INBOX_ID, [(4, 4)])
        assert await account.expunge(INBOX_ID, [(2, 3)]) == [3]
        assert await account.expunge(INBOX_ID) == [1, 4]
        assert await account.expunge(INBOX_ID) == []
        assert await account.uids(INBOX_ID) == [2]
        assert (await account.changes(INBOX_ID, before.modseq)).vanished == [1, 3, 4]
        facts = await account.facts()
        assert (facts.emails, facts.used) == (1, before.used // 4)
        assert await account.content(row)  # the octets stay until compaction
        with pytest.raises(EmailGone):
            await account.content(msgspec.structs.replace(row, ref=BlobRef(9, 9, 9)))


async def test_recent_emails_are_claimed_once(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        await append(account)
        await append(account)
        assert await account.claim_recent(INBOX_ID) == (1, 3)
        assert await account.claim_recent(INBOX_ID) == (3, 3)
        await append(account)
        assert await account.claim_recent(INBOX_ID) == (3, 4)


async def test_many_scattered_ranges_are_read_in_order(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        content = message()
        await account.append_many(INBOX_ID, [ToAppend(content, scan(content))] * 300)
        odd = [(uid, uid) for uid in range(299, 0, -2)]
        assert [item.uid for item in await account.placements(INBOX_ID, odd)] == list(
            range(1, 300, 2)
        )
        await account.store_flags(INBOX_ID, odd, "add", DELETED)
        assert await account.expunge(INBOX_ID) == list(range(1, 300, 2))
        moved = await account.move(INBOX_ID, ALL, MailboxId(2))
        assert moved.pairs == [(uid, n + 1) for n, uid in enumerate(range(2, 301, 2))]


async def test_listeners_hear_of_their_account_only(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, bob = await home.account(), await home.account("bob@example.org")
        home.store.on_commit(lambda changes, topics: home.accounts.hub.notify(changes))
        heard: asyncio.Queue[int] = asyncio.Queue()
        stop = home.accounts.hub.subscribe(ada.id, heard.put_nowait)
        await append(bob)
        placed = await append(ada)
        assert await heard.get() == placed.modseq
        stop()
        stop()
        again = home.accounts.hub.subscribe(bob.id, heard.put_nowait)
        await append(ada)
        last = await append(bob)
        assert await heard.get() == last.modseq
        again()
        assert heard.empty()


async def test_a_message_is_replaced_or_nothing_happens(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        old = await append(account, message("draft"), INBOX_ID)
        content = message("draft, better")
        new = await account.replace(INBOX_ID, old.uid, INBOX_ID, ToAppend(content, scan(content)))
        assert await account.uids(INBOX_ID) == [new.uid]
        used = (await account.facts()).used
        with pytest.raises(EmailGone):
            await account.replace(INBOX_ID, old.uid, INBOX_ID, ToAppend(content, scan(content)))
        assert await account.uids(INBOX_ID) == [new.uid]
        assert (await account.facts()).used == used == len(content)


async def test_annotations_are_kept_counted_and_removed(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        await account.annotate(INBOX_ID, {"/private/comment": b"mine", "/shared/x": b"\0"})
        assert await account.annotations(INBOX_ID) == {
            "/private/comment": b"mine", "/shared/x": b"\0",
        }  # fmt: skip
        await account.annotate(INBOX_ID, {"/private/comment": None, "/shared/x": b"new"})
        assert await account.annotations(INBOX_ID) == {"/shared/x": b"new"}
        many = {f"/private/{number}": b"" for number in range(MAX_ANNOTATIONS)}
        with pytest.raises(TooManyAnnotations):
            await account.annotate(INBOX_ID, many)
        assert await account.annotations(INBOX_ID) == {"/shared/x": b"new"}
        assert await account.annotations() == {}
        with pytest.raises(MailboxNotFound):
            await account.annotate(MailboxId(999), {"/private/comment": b""})


async def test_annotations_go_with_their_mailbox(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        made = await account.create(("Projects",))
        await account.annotate(made.id, {"/private/comment": b"mine"})
        await account.delete(made.id)
        assert await account.annotations(made.id) == {}


async def test_room_is_asked_once_for_who_has_no_quota_and_each_time_for_who_has_one(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        ada = await home.account()
        bob = await home.account("bob@example.org", quota=1_000)
        accounts = Accounts(home.store, unlimited=Remembered(home.time))
        home.store.on_commit(lambda _, topics: accounts.hear(topics))
        assert await accounts.room(ada.id, 10**12)
        assert [await accounts.room(bob.id, size) for size in (1_000, 1_001)] == [True, False]
        await append(bob)
        assert not await accounts.room(bob.id, 1_000)
        assert not await accounts.room(999, 0)
        await accounts.set_quota("ada@example.org", 10)
        await asyncio.sleep(0)  # behind the answer comes the word of it
        assert not await accounts.room(ada.id, 11)
        await home.do(lambda tx: setup.set_quota(AccountId(ada.id), None))
        assert await accounts.room(ada.id, 11)
        await home.do(lambda tx: setup.set_quota(AccountId(ada.id), 10))  # without a word
        assert await accounts.room(ada.id, 11)
