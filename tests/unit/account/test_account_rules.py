"""Rules are kept in order, told of, and gone with their account."""

from __future__ import annotations

from pathlib import Path

import pytest

from postillon.account import owned, rules, setup
from postillon.account.ids import AccountId, MailboxId
from postillon.account.owned import RULES
from postillon.account.rules import MAX_RULES, TooManyRules, decided
from postillon.mail.rules import Condition, Rule
from postillon.store.operation import Steps, Tx
from support.accounts import house

ABOUT = (Condition("subject", "contains", "tea"),)


def rule(name: str = "Tea", **more: object) -> Rule:
    return Rule(0, name, ABOUT, **more)  # type: ignore[arg-type] # fields of the rule


async def test_they_come_back_as_they_were_in_their_order(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        ada, store = account.id, home.store
        whole = Rule(
            0, "Whole", (*ABOUT, Condition("size", "over", size=10)), 5, True, False, 7, None, True,
            True, ("blue", "red"), ("x@remote.example",), False,
        )  # fmt: skip
        first = await store.write(lambda tx: rules.create(tx, ada, whole))
        second = await store.write(lambda tx: rules.create(tx, ada, rule("Second", position=2)))
        third = await store.write(
            lambda tx: rules.create(tx, ada, rule("Third", position=2, enabled=False))
        )
        found = await store.query(rules.every(ada))
        assert [item.id for item in found] == [second, third, first]
        assert found[2] == Rule(first, *[getattr(whole, f) for f in Rule.__struct_fields__[1:]])
        assert [item.id for item in await store.query(rules.enabled(ada))] == [second, first]
        assert await store.query(rules.asked(ada))
        assert not await store.query(rules.asked(AccountId(ada + 1)))
        assert await store.query(rules.one(ada, third)) == found[1]
        assert await store.query(rules.one(ada, 999)) is None


async def test_what_changes_is_told_like_all_that_an_account_owns(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        ada, store = account.id, home.store
        before = (await store.query(owned.state(ada))).modseq
        number = await store.write(lambda tx: rules.create(tx, ada, rule()))
        kept = await store.query(rules.one(ada, number))
        assert kept is not None
        assert await store.write(lambda tx: rules.update(tx, ada, kept))
        middle = (await store.query(owned.state(ada))).modseq
        other = await store.write(lambda tx: rules.create(tx, ada, rule()))
        assert await store.write(lambda tx: rules.delete(tx, ada, number))
        assert not await store.write(lambda tx: rules.delete(tx, ada, number))
        assert not await store.write(lambda tx: rules.update(tx, ada, kept))
        found = await store.query(owned.changes(ada, RULES, before, None))
        assert (found.created, found.updated, found.destroyed) == ((other,), (), ())
        found = await store.query(owned.changes(ada, RULES, middle, None))
        assert (found.created, found.destroyed) == ((other,), (number,))


async def test_there_are_so_many_and_none_of_an_account_that_is_erased(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        ada, store = account.id, home.store

        def fill(tx: Tx) -> Steps[None]:
            for _ in range(MAX_RULES):
                yield from rules.create(tx, ada, rule())

        await store.write(fill)
        with pytest.raises(TooManyRules):
            await store.write(lambda tx: rules.create(tx, ada, rule()))
        while await store.write(lambda tx: setup.erase(ada)):
            pass
        assert await store.query(rules.every(ada)) == []


async def test_a_mailbox_that_is_gone_is_the_inbox_and_roles_are_found(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        account = await home.account()
        ada, store = account.id, home.store
        tea = (await account.create(("Tea",))).id
        usual = MailboxId(1)
        kept = Rule(1, "a", ABOUT, mailbox=tea)
        junk = Rule(2, "b", ABOUT, role="junk")
        gone = Rule(3, "c", ABOUT, mailbox=999)
        read = Rule(4, "d", ABOUT, seen=True)
        found = await store.query(rules.places(ada, (kept, junk, gone, read), usual))
        assert found.into[0] == tea
        assert len(found.into) == 3
        assert found.into[2] == 1
        assert found.gone == {3}
        assert set(found.by_rule) == {1, 2, 3}
        assert (await store.query(rules.places(ada, (read,), tea))).into == (tea,)


def test_a_decision_joins_what_rules_add() -> None:
    one = Rule(1, "a", ABOUT, seen=True, keywords=("blue",), forward=("x@a.example", "y@a.example"))
    two = Rule(2, "b", ABOUT, role="junk", flagged=True, forward=("y@a.example",))
    found = decided((one, two))
    assert (found.flags, found.keywords) == (5, "$junk blue")
    assert found.forwards == ("x@a.example", "y@a.example")
    assert found.unwanted
    many = tuple(
        Rule(n, "", ABOUT, keywords=tuple(f"k{n}x{m}" for m in range(10))) for n in range(12)
    )
    assert len((decided(many).keywords or "").split()) == 100
