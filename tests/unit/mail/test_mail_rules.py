"""What a rule's conditions say of a message."""

from __future__ import annotations

import pytest

from postillon.mail.header import unfolded
from postillon.mail.rules import Condition, Facts, Rule, fulfils, matched

HEADER = (
    b"Received: by one\r\nReceived: by two\r\n"
    b'From: "Ren=?utf-8?q?=C3=A9?=" <Ada.L@Example.org>\r\n'
    b"To: Bob <bob@example.net>, carol@example.net\r\nCc: Dan <dan@example.net>\r\n"
    b"Subject: =?utf-8?q?Facture_no_12_r=C3=89GL=C3=89E?=\r\n  and more\r\n"
    b"List-Id: Friends of tea <tea.lists.example>\r\nX-Mark: Blue\r\n\r\n"
)


def facts(size: int = 1000, *, attached: bool = False) -> Facts:
    return Facts(lambda: unfolded(HEADER), size, lambda: attached)


def text(kind: str, comparison: str, wanted: str, header: str = "") -> Condition:
    return Condition(kind, comparison, wanted, header)


def rule(*conditions: Condition, every: bool = True, number: int = 1, **more: bool) -> Rule:
    return Rule(number, "One", conditions, every=every, **more)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (text("from", "contains", "ada.l@EXAMPLE"), True),
        (text("from", "contains", "bob"), False),
        (text("from", "is", "ada.l@example.org"), True),
        (text("from", "is", "example.org"), False),  # an address is compared as a whole
        (text("from", "isNot", "bob@example.net"), True),
        (text("to", "is", "carol@example.net"), True),
        (text("to", "is", "dan@example.net"), True),  # To or Cc
        (text("to", "contains", "Dan <"), True),
        (text("to", "notContains", "bob"), False),
        (text("subject", "contains", "RÉGLÉE"), True),  # encoded words, and beyond ASCII's case
        (text("subject", "contains", "reglee"), False),  # an accent is a difference: RFC 5051
        (text("subject", "is", "facture no 12 réglée  and more"), True),
        (text("subject", "isNot", "facture"), True),
        (text("list", "is", "tea.lists.example"), True),
        (text("list", "is", "lists.example"), False),
        (text("list", "contains", "friends OF"), True),
        (text("header", "is", "blue", "x-MARK"), True),
        (text("header", "contains", "two", "Received"), True),  # any of several
        (text("header", "notContains", "three", "Received"), True),
        (text("header", "contains", "x", "X-Absent"), False),
        (text("header", "isNot", "x", "X-Absent"), True),
    ],
)
def test_texts_are_compared_as_sieve_does(condition: Condition, expected: bool) -> None:
    assert fulfils(rule(condition), facts()) is expected


@pytest.mark.parametrize(
    ("comparison", "size", "expected"),
    [("over", 999, True), ("over", 1000, False), ("under", 1001, True), ("under", 1000, False)],
)
def test_a_size_is_neither_over_nor_under_itself(
    comparison: str, size: int, expected: bool
) -> None:
    # RFC 5228 section 5.9
    assert fulfils(rule(Condition("size", comparison, size=size)), facts(1000)) is expected


@pytest.mark.parametrize("attached", [True, False])
def test_attachments_are_there_or_not(attached: bool) -> None:
    assert fulfils(rule(Condition("attachment", "is")), facts(attached=attached)) is attached
    assert fulfils(rule(Condition("attachment", "isNot")), facts(attached=attached)) is not attached


def test_all_or_any_of_the_conditions_and_never_without_one() -> None:
    yes, no = text("subject", "contains", "facture"), text("subject", "contains", "tea")
    assert fulfils(rule(yes, no, every=False), facts())
    assert not fulfils(rule(yes, no), facts())
    assert not fulfils(rule(), facts())
    assert not fulfils(rule(every=False), facts())


def test_rules_hold_in_order_until_one_stops_and_only_enabled_ones() -> None:
    yes, no = text("subject", "contains", "facture"), text("subject", "contains", "tea")
    rules = [
        rule(yes, number=1, stop=False),
        rule(no, number=2),
        rule(yes, number=3, enabled=False),
        rule(yes, number=4),
        rule(yes, number=5),
    ]
    assert [item.id for item in matched(rules, facts())] == [1, 4]


def test_nothing_is_worked_out_that_no_condition_asks_for() -> None:
    def never() -> bool:
        raise AssertionError

    found = Facts(lambda: unfolded(HEADER), 10, never)
    assert fulfils(rule(Condition("size", "over", size=5)), found)
    assert fulfils(rule(text("subject", "contains", "12")), found)


def test_a_hostile_header_is_looked_at_within_bounds() -> None:
    many = b"X-Mark: red\r\n" * 100 + b"X-Mark: blue\r\n"
    found = Facts(lambda: unfolded(many), 10, lambda: False)
    assert not fulfils(rule(text("header", "is", "blue", "X-Mark")), found)
    long = b"Subject: " + b"a" * 64 * 1024 + b"tail\r\n"
    found = Facts(lambda: unfolded(long), 10, lambda: False)
    assert not fulfils(rule(text("subject", "contains", "tail")), found)
