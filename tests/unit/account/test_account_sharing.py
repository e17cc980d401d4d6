"""Mailboxes of others: what is granted is allowed, and nothing else; on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest

from postillon.account import grants, rights
from postillon.account.account import Account
from postillon.account.errors import (
    AccountNotFound,
    MailboxNotFound,
    NotAllowed,
    OverQuota,
    OwnersRights,
    TooManyGrants,
)
from postillon.account.flags import FlagMode
from postillon.account.grants import ANYONE, Grant
from postillon.account.ids import MailboxId
from postillon.account.keywords import DELETED, FLAGGED, SEEN
from postillon.account.ranges import EVERYTHING
from postillon.account.rights import Right
from postillon.account.roles import INBOX_ID
from postillon.directory.errors import PrincipalNotFound
from postillon.directory.principals import PrincipalKind
from support.accounts import House, append, house, message

READER = rights.parse("lr")


async def pair(home: House) -> tuple[Account, Account, int]:
    """Ada's account as hers, the same for Bob, and Bob."""
    ada = await home.account()
    bob = (await home.accounts.create("bob@example.org")).id
    return ada, home.accounts.open(ada.id, bob), bob


async def test_rights_are_written_as_they_are_read() -> None:
    assert rights.write(rights.ALL) == "lrswipkxtea"
    assert rights.parse("ael") == Right.ADMINISTER | Right.EXPUNGE | Right.LOOKUP
    assert rights.write(rights.parse("cd")) == "kxte"  # RFC 4314 section 2.1.1
    with pytest.raises(ValueError, match="no right"):
        rights.parse("lz")


async def test_nothing_is_there_for_others_until_it_is_shared(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        await append(ada)
        assert await seen.mailboxes() == []
        assert await seen.find(("INBOX",)) is None
        assert await home.accounts.shared_with(bob) == []
        with pytest.raises(MailboxNotFound):
            await seen.emails(INBOX_ID, EVERYTHING)
        with pytest.raises(AccountNotFound):
            await seen.facts()
        await ada.grant(INBOX_ID, bob, READER)
        assert [item.path for item in await seen.mailboxes()] == [("INBOX",)]
        assert [owner.id for owner in await home.accounts.shared_with(bob)] == [ada.id]
        [row] = await seen.emails(INBOX_ID, EVERYTHING)
        assert await seen.content(row) == message()
        await ada.grant(INBOX_ID, bob, rights.NONE)
        with pytest.raises(MailboxNotFound):
            await seen.content(row)


async def test_who_may_only_look_up_learns_no_counts(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        await append(ada)
        await ada.grant(INBOX_ID, bob, Right.LOOKUP)
        [found] = await seen.mailboxes()
        assert (found.total, found.unseen, found.uid_next, found.octets) == (0, 0, 1, 0)
        with pytest.raises(NotAllowed):
            await seen.find(("INBOX",), Right.READ)
        with pytest.raises(NotAllowed):
            await seen.uids(INBOX_ID)


async def test_a_mailbox_is_made_with_the_grants_of_the_one_above(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        work = await ada.create(("Work",))
        await ada.grant(work.id, bob, rights.parse("lrk"))
        below = await seen.create(("Work", "A", "B"))
        assert await ada.granted(below.id) == [Grant(bob, rights.parse("lrk"))]
        with pytest.raises(NotAllowed):
            await seen.create(("Elsewhere",))
        with pytest.raises(NotAllowed):
            await seen.delete(below.id)
        await ada.delete(work.id)  # its name stays for what is below, and so do its grants
        assert ("Work",) in [item.path for item in await seen.mailboxes()]
        for path in (("Work", "A", "B"), ("Work", "A")):
            found = await ada.find(path)
            assert found is not None
            await ada.delete(found.id)
        assert await home.rows("SELECT * FROM granted") == []


async def test_a_whole_account_is_shared_with_what_will_come(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        await ada.grant_all(bob, rights.parse("lrk"), FlagMode.REPLACE)
        assert len(await seen.mailboxes()) == len(await ada.mailboxes())
        made = await seen.create(("New",))
        assert made.rights == rights.parse("lrk")
        with pytest.raises(NotAllowed):
            await seen.grant_all(bob, rights.ALL, FlagMode.ADD)


async def test_a_mailbox_is_shared_with_all_below_it(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        await ada.create(("Work", "A", "B"))
        await ada.create(("Other",))
        work = await ada.find(("Work",))
        assert work is not None
        await ada.grant_all(bob, READER, FlagMode.REPLACE, work.id)
        assert [item.path for item in await seen.mailboxes()] == [
            ("Work",),
            ("Work", "A"),
            ("Work", "A", "B"),
        ]
        with pytest.raises(MailboxNotFound):
            await ada.grant_all(bob, READER, FlagMode.REPLACE, MailboxId(999))


async def test_a_right_comes_by_groups_in_groups_and_goes_with_the_membership(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        inner = await home.directory.create_group("inner@example.org", ["bobby@example.org"])
        outer = await home.directory.create_group("outer@example.org", ["inner@example.org"])
        await home.directory.create_alias("bobby@example.org", ["bob@example.org"])
        await ada.grant(INBOX_ID, outer.id, READER)
        await ada.grant(INBOX_ID, inner.id, Right.LOOKUP | Right.INSERT)
        [found] = await seen.mailboxes()
        assert found.rights == READER | Right.INSERT
        assert [owner.id for owner in await home.accounts.shared_with(bob)] == [ada.id]
        await home.directory.set_members("inner@example.org", [])
        assert await seen.mailboxes() == []
        await home.directory.delete_group("outer@example.org")
        assert [item.grantee for item in await ada.granted(INBOX_ID)] == [inner.id]


async def test_anyone_is_everybody_who_has_an_account(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        await ada.grant(INBOX_ID, ANYONE, READER)
        await ada.grant(INBOX_ID, bob, Right.INSERT)
        assert (await seen.mailboxes())[0].rights == READER | Right.INSERT
        assert [owner.id for owner in await home.accounts.shared_with(bob)] == [ada.id]
        assert await home.accounts.shared_with(ada.id) == []


async def test_rights_of_the_owner_and_of_those_who_cannot_log_in_are_refused(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        info = await home.accounts.create("info@example.org", kind=PrincipalKind.SHARED)
        with pytest.raises(OwnersRights):
            await ada.grant(INBOX_ID, ada.id, READER)
        for nobody in (info.id, 999):
            with pytest.raises(PrincipalNotFound):
                await ada.grant(INBOX_ID, nobody, READER)
        with pytest.raises(MailboxNotFound):
            await seen.grant(INBOX_ID, bob, rights.ALL)
        await ada.grant(INBOX_ID, bob, READER)
        with pytest.raises(NotAllowed):
            await seen.grant(INBOX_ID, bob, rights.ALL)
        with pytest.raises(NotAllowed):
            await seen.granted(INBOX_ID)
        await ada.grant(INBOX_ID, bob, Right.ADMINISTER, FlagMode.ADD)
        await seen.grant(INBOX_ID, bob, Right.INSERT, FlagMode.ADD)
        assert await seen.granted(INBOX_ID) == [Grant(bob, rights.parse("lria"))]


async def test_flags_without_a_right_stay_as_they_are(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        await append(ada, message(), INBOX_ID, FLAGGED, "mine")
        await ada.grant(INBOX_ID, bob, rights.parse("lrsi"))
        result = await seen.store_flags(INBOX_ID, EVERYTHING, "replace", SEEN | DELETED)
        assert [(item.flags, item.keywords) for item in result.updated] == [
            (SEEN | FLAGGED, "mine")
        ]
        with pytest.raises(NotAllowed):
            await seen.store_flags(INBOX_ID, EVERYTHING, "add", DELETED, frozenset({"x"}))
        placed = await append(seen, message(), INBOX_ID, SEEN | DELETED | FLAGGED, "word")
        [row] = await ada.emails(INBOX_ID, [(placed.uid, placed.uid)])
        assert (row.flags, row.keywords) == (SEEN, None)


@pytest.mark.parametrize("verb", ["copy", "move"])
async def test_emails_travel_between_accounts(tmp_path: Path, verb: str) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        own = home.accounts.open(bob)
        for n in range(3):
            await append(ada, message(f"letter {n}", Message_ID=f"<{n}@x>"), INBOX_ID, FLAGGED, "w")
        reply = message("Re: letter 1", In_Reply_To="<1@x>", Message_ID="<4@x>")
        await append(own, reply)
        await ada.grant(INBOX_ID, bob, rights.parse("lr"))
        if verb == "move":
            with pytest.raises(NotAllowed):
                await seen.move(INBOX_ID, [(2, 3)], INBOX_ID, own)
            await ada.grant(INBOX_ID, bob, rights.parse("lrte"))
        result = await getattr(seen, verb)(INBOX_ID, [(2, 3)], INBOX_ID, own)
        assert result.pairs == [(2, 2), (3, 3)]
        rows = await own.emails(INBOX_ID, EVERYTHING)
        assert [row.preview for row in rows] == ["text"] * 3
        assert rows[1].thread == rows[0].thread != rows[2].thread
        assert (rows[1].flags, rows[1].keywords) == (FLAGGED, "w")
        assert b"letter 1" in await own.content(rows[1])
        assert await ada.uids(INBOX_ID) == ([1] if verb == "move" else [1, 2, 3])
        assert (await own.facts()).emails == 3
        for account in (ada, own):
            there = await account.mailbox(INBOX_ID)
            held = await account.emails(INBOX_ID, EVERYTHING)
            assert (there.total, there.octets) == (len(held), sum(row.size for row in held))
            assert (await account.facts()).used == there.octets


async def test_a_move_into_a_full_account_changes_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        await append(ada)
        await ada.grant(INBOX_ID, bob, rights.ALL)
        await home.accounts.set_quota("bob@example.org", 10)
        before = await ada.facts()
        with pytest.raises(OverQuota):
            await seen.move(INBOX_ID, EVERYTHING, INBOX_ID, home.accounts.open(bob))
        assert await ada.facts() == before
        assert await home.accounts.open(bob).uids(INBOX_ID) == []


async def test_the_quota_of_the_owner_counts(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        await ada.grant(INBOX_ID, bob, rights.ALL)
        await home.accounts.set_quota("ada@example.org", 10)
        with pytest.raises(OverQuota):
            await append(seen)


async def test_grants_go_with_whom_they_are_for_and_whose_they_are(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, _, bob = await pair(home)
        await ada.grant_all(bob, rights.ALL, FlagMode.REPLACE)
        await home.accounts.remove("bob@example.org")
        assert await home.rows("SELECT * FROM granted") == []
        await ada.grant_all(ANYONE, rights.ALL, FlagMode.REPLACE)
        await home.accounts.remove("ada@example.org")
        assert await home.rows("SELECT * FROM granted") == []


async def test_a_change_of_rights_is_announced(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, _, bob = await pair(home)
        before = (await ada.facts()).modseq
        await ada.grant(INBOX_ID, bob, READER)
        assert (await ada.facts()).modseq == before + 1


async def test_a_mailbox_is_shared_with_so_many_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "MAX_GRANTS", 1)
    async with house(tmp_path) as home:
        ada, _, bob = await pair(home)
        await ada.grant(INBOX_ID, ANYONE, READER)
        await ada.grant(INBOX_ID, ANYONE, rights.ALL)
        with pytest.raises(TooManyGrants):
            await ada.grant(INBOX_ID, bob, READER)


async def test_what_is_private_stays_with_the_owner(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        await ada.annotate(INBOX_ID, {"/private/comment": b"a", "/shared/comment": b"b"})
        await ada.grant(INBOX_ID, bob, rights.ALL)
        assert await seen.annotations(INBOX_ID) == {"/shared/comment": b"b"}
        with pytest.raises(NotAllowed):
            await seen.annotate(INBOX_ID, {"/private/comment": b"c"})
        await seen.annotate(INBOX_ID, {"/shared/comment": None})
        with pytest.raises(MailboxNotFound):
            await seen.annotations()
        with pytest.raises(NotAllowed):
            await seen.subscriptions()
        with pytest.raises(NotAllowed):
            await seen.subscribe(("INBOX",))


async def test_a_change_of_no_flag_needs_no_right_to_change(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        ada, seen, bob = await pair(home)
        await append(ada)
        await ada.grant(INBOX_ID, bob, READER)
        assert (await seen.store_flags(INBOX_ID, EVERYTHING, "add", 0)).modseq is None
        with pytest.raises(NotAllowed):
            await seen.store_flags(INBOX_ID, EVERYTHING, "replace", 0)


async def test_how_many_owners_are_listed_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "MAX_OWNERS", 1)
    async with house(tmp_path) as home:
        ada, _, bob = await pair(home)
        for account in (ada, await home.account("eve@example.org")):
            await account.grant(INBOX_ID, ANYONE, READER)
        assert [owner.id for owner in await home.accounts.shared_with(bob)] == [ada.id]
