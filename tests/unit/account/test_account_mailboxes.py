"""The tree of mailboxes and the life of an account."""

from pathlib import Path

import pytest

from postillon.account import changes, mailboxes, setup
from postillon.account.errors import (
    AccountNotFound,
    BadMailboxName,
    MailboxExists,
    MailboxHasChildren,
    MailboxNotFound,
    MailboxProtected,
    RoleTaken,
)
from postillon.account.ids import MailboxId
from postillon.account.keywords import SEEN
from postillon.account.mailboxes import MAX_DEPTH, MAX_NAME, MailboxKind, check_path
from postillon.account.ranges import EVERYTHING
from postillon.account.roles import DEFAULT_MAILBOXES, INBOX_ID, Role
from support.accounts import append, house, message


async def paths(account) -> list[tuple[str, ...]]:
    return [item.path for item in await account.mailboxes()]


async def test_an_account_begins_with_mailboxes_for_each_role(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        found = {item.name: item.role for item in await account.mailboxes()}
        assert found == dict(DEFAULT_MAILBOXES)
        assert (await account.mailboxes())[0].id == INBOX_ID
        assert all(item.subscribed and item.uid_next == 1 for item in await account.mailboxes())
        assert len({item.uid_validity for item in await account.mailboxes()}) == len(
            DEFAULT_MAILBOXES
        )


async def test_inbox_is_found_in_any_case_and_the_others_are_not(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        assert await account.find(("inBox",)) == await account.mailbox(INBOX_ID)
        assert await account.find(("sent",)) is None
        assert await account.find(("",)) is None
        assert await account.find(()) is None
        below = await account.create(("inbox", "inbox"))
        assert below.path == ("INBOX", "inbox")


async def test_create_makes_the_mailboxes_above_too(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        made = await account.create(("a", "b/c", "d"))
        assert made.path == ("a", "b/c", "d")
        assert {("a",), ("a", "b/c")} <= set(await paths(account))
        assert (await account.mailbox(made.parent)).has_children
        with pytest.raises(MailboxExists):
            await account.create(("a", "b/c"))
        with pytest.raises(RoleTaken):
            await account.create(("Bin",), Role.TRASH)
        assert await account.find(("Bin",)) is None


@pytest.mark.parametrize(
    "path",
    [
        (), ("",), ("a\0",), ("a\nb",), ("x" * (MAX_NAME + 1),), ("é" * (MAX_NAME // 2 + 1),),
        ("a",) * (MAX_DEPTH + 1), ("\ud800",), ("a", ""),
    ],
)  # fmt: skip
def test_names_that_are_none_are_refused(path: tuple[str, ...]) -> None:
    with pytest.raises(BadMailboxName):
        check_path(path)


def test_names_are_compared_in_one_normal_form() -> None:
    assert check_path(("Cafe\u0301",)) == ("Caf\u00e9",)
    assert check_path(("iNbox", "iNbox")) == ("INBOX", "iNbox")


async def test_a_renamed_mailbox_takes_its_children_along(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        child = await account.create(("a", "b"))
        top = await account.find(("a",))
        assert top
        await account.rename(top.id, ("x", "y"))
        assert (await account.mailbox(child.id)).path == ("x", "y", "b")
        with pytest.raises(BadMailboxName):
            await account.rename(top.id, ("x", "y", "b", "z"))
        with pytest.raises(MailboxExists):
            await account.rename(top.id, ("Sent",))
        with pytest.raises(MailboxExists):
            await account.rename(top.id, ("x", "y"))
        with pytest.raises(MailboxNotFound):
            await account.rename(MailboxId(99), ("z",))
        assert (await account.mailbox(top.id)).path == ("x", "y")


async def test_a_rename_cannot_push_children_too_deep(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        await account.create(("a",) * MAX_DEPTH)
        second = await account.find(("a", "a"))
        assert second
        with pytest.raises(BadMailboxName):
            await account.rename(second.id, ("n", "n", "n"))
        await account.rename(second.id, ("up",))
        assert ("up", *["a"] * (MAX_DEPTH - 2)) in await paths(account)


async def test_renaming_inbox_moves_its_emails_and_leaves_it(tmp_path: Path) -> None:
    # RFC 9051 section 6.3.6
    async with house(tmp_path) as home:
        account = await home.account()
        await account.create(("INBOX", "child"))
        await append(account, message(), INBOX_ID, SEEN)
        await append(account)
        await account.rename(INBOX_ID, ("old",))
        old = await account.find(("old",))
        assert old
        assert (old.total, old.unseen) == (2, 1)
        inbox = await account.mailbox(INBOX_ID)
        assert (inbox.total, inbox.uid_next, inbox.role) == (0, 3, Role.INBOX)
        assert ("INBOX", "child") in await paths(account)


async def test_a_deleted_mailbox_is_gone_with_its_emails(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        made = await account.create(("a",))
        await append(account, message(), made.id)
        await account.delete(made.id)
        assert await account.find(("a",)) is None
        with pytest.raises(MailboxNotFound):
            await account.mailbox(made.id)
        with pytest.raises(MailboxNotFound):
            await append(account, message(), made.id)
        assert ((await account.facts()).used, (await account.facts()).emails) == (0, 0)
        assert await home.rows("SELECT * FROM mailbox WHERE parent < 0") == []
        again = await account.create(("a",))
        assert again.uid_validity > made.uid_validity
        assert again.uid_next == 1
        with pytest.raises(MailboxProtected):
            await account.delete(INBOX_ID)


async def test_a_deleted_mailbox_with_children_stays_as_a_name(tmp_path: Path) -> None:
    # RFC 9051 section 6.3.5
    async with house(tmp_path) as home:
        account = await home.account()
        child = await account.create(("a", "b"))
        top = await account.find(("a",))
        assert top
        await append(account, message(), top.id)
        await account.delete(top.id)
        name = await account.find(("a",))
        assert name
        assert (name.kind, name.selectable, name.has_children) == (
            MailboxKind.NAME_ONLY,
            False,
            True,
        )
        assert (await account.mailbox(child.id)).path == ("a", "b")
        assert (await account.facts()).emails == 0
        with pytest.raises(MailboxHasChildren):
            await account.delete(name.id)
        with pytest.raises(MailboxNotFound):
            await append(account, message(), name.id)
        revived = await account.create(("a",))
        assert revived.selectable
        assert revived.uid_validity != top.uid_validity
        await append(account, message(), revived.id)
        await account.delete(revived.id)
        await account.delete(child.id)
        assert await account.find(("a",)) is None  # the name has gone with its last child


async def test_a_crash_in_a_deletion_is_finished_later(tmp_path: Path) -> None:
    from postillon.account import hierarchy

    async with house(tmp_path) as home:
        account = await home.account()
        made = await account.create(("a",))
        for _ in range(5):
            await append(account, message(), made.id)
        await home.do(lambda tx: hierarchy.delete(tx, account.id, made.id))
        assert await account.find(("a",)) is None
        assert (await account.facts()).emails == 5
        assert await home.do(lambda tx: hierarchy.sweep(tx, account.id, 2))
        assert (await account.facts()).emails == 3
        await account.create(("a",))  # the name is free at once
        await home.accounts.tidy(home.time())
        assert (await account.facts()).emails == 0
        assert not await home.do(lambda tx: hierarchy.sweep(tx, account.id))


async def test_a_subscription_outlives_its_mailbox_and_follows_it(tmp_path: Path) -> None:
    # RFC 9051 section 6.3.7
    async with house(tmp_path) as home:
        account = await home.account()
        made = await account.create(("a",))
        assert not made.subscribed
        await account.subscribe(("a",))
        await account.subscribe(("later",))
        assert {("a",), ("later",)} <= set(await account.subscriptions())
        await account.rename(made.id, ("b",))
        assert ("b",) in await account.subscriptions()
        assert ("a",) not in await account.subscriptions()
        await account.delete(made.id)
        assert ("b",) in await account.subscriptions()
        assert (await account.create(("later",))).subscribed
        assert (await account.create(("b",))).subscribed
        await account.subscribe(("b",), False)
        await account.subscribe(("never",), False)
        assert ("b",) not in await account.subscriptions()
        assert (await account.subscriptions()).count(("later",)) == 1


async def test_a_sub_address_means_a_mailbox_of_the_top(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        lists = await account.create(("Lists",))
        await account.create(("x", "deep"))
        top = await account.find(("x",))
        assert top
        await account.delete(top.id)  # now only a name
        for detail, wanted in [
            ("lists", lists.id), ("LISTS", lists.id), ("deep", None), ("x", None), ("", None),
            ("inbox", INBOX_ID), ("../Lists", None),
        ]:  # fmt: skip
            assert await home.store.query(mailboxes.find_detail(account.id, detail)) == wanted


async def test_old_changes_are_forgotten_and_the_caller_is_told(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        for _ in range(4):
            await append(account)
        before = (await account.facts()).modseq
        await account.store_flags(INBOX_ID, [(1, 1), (4, 4)], "add", 8 | SEEN)
        await account.expunge(INBOX_ID, [(1, 1)])
        known = await account.changes(INBOX_ID, before)
        assert known.complete
        assert (known.vanished, [item.uid for item in known.changed]) == ([1], [4])
        home.time.now += changes.KEEP_MS + 1
        await append(account)
        await home.accounts.tidy(home.time())
        after = await account.changes(INBOX_ID, before)
        assert not after.complete
        assert [item.uid for item in after.changed] == [4]
        assert [item.uid for item in after.created] == [5]
        low = (await account.facts()).low_modseq
        assert (await account.changes(INBOX_ID, low)).complete
        assert [item.uid for item in (await account.changes(INBOX_ID, low)).created] == [5]


async def test_forgetting_cuts_whole_modseqs_in_bounded_steps(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        for _ in range(5):
            await append(account)
        await account.store_flags(INBOX_ID, EVERYTHING, "add", SEEN)
        steps = 0
        while await home.do(lambda tx: changes.expire(tx, account.id, home.time() + 1, 3)):
            steps += 1
        assert steps > 1
        assert await home.rows("SELECT * FROM change") == []
        assert (await account.facts()).low_modseq == (await account.facts()).modseq


async def test_a_removed_account_leaves_no_row(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        await home.account("bob@example.org")
        await home.directory.create_alias("info@example.org", ["ada@example.org"])
        await account.create(("a", "b"))
        await account.subscribe(("later",))
        await append(account, message(Message_ID="<1@x>"))
        await home.accounts.remove("ada@example.org")
        for table in (
            "account", "mailbox", "email", "placement", "change", "thread_key", "subscription",
        ):  # fmt: skip
            assert await home.rows(f"SELECT 1 FROM {table} WHERE account = ?", account.id) == []
        with pytest.raises(AccountNotFound):
            await account.facts()
        with pytest.raises(AccountNotFound):
            await account.create(("z",))
        assert await home.rows("SELECT count(*) FROM account") == [(1,)]


async def test_a_crash_in_a_removal_is_finished_later(tmp_path: Path) -> None:
    from postillon.directory import principals

    async with house(tmp_path) as home:
        account = await home.account()
        for _ in range(3):
            await append(account)
        await home.do(lambda tx: principals.delete(tx, account.id))
        assert await home.do(lambda tx: setup.erase(account.id, 2))
        await home.accounts.tidy(home.time())
        assert await home.rows("SELECT * FROM account") == []
        assert await home.rows("SELECT * FROM email") == []


async def test_a_smaller_quota_stops_what_comes_but_keeps_what_is_there(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        await append(account)
        await home.accounts.set_quota("ada@example.org", 1)
        assert not await home.accounts.room(account.id, 1)
        assert await account.uids(INBOX_ID) == [1]
        await home.accounts.set_quota("ada@example.org", None)
        assert await home.accounts.room(account.id, 10**12)
        with pytest.raises(ValueError, match="quota"):
            await home.accounts.set_quota("ada@example.org", -1)
