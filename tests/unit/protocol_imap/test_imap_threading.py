"""Threads: the rules of RFC 5256 section 3, and what must hold for any mailbox."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postillon.protocol.imap.threading import (
    ALGORITHMS,
    Message,
    ordered_subject,
    references,
    refs,
    write,
)


def mail(
    number: int, id_: str = "", refs_: str = "", subject: str = "", *, sent: int = 0
) -> Message:
    ids = tuple(part.encode() for part in refs_.split())
    base = subject.removeprefix("Re: ")
    return Message(number, sent or number, number, id_.encode(), ids, base, base != subject)


def test_answers_stand_below_what_they_answer() -> None:
    found = references([mail(1, "a"), mail(2, "b", "a"), mail(3, "c", "a b"), mail(4, "d", "a")])
    assert write(found) == b"(1 (2 3)(4))"


def test_a_missing_parent_holds_its_children_together() -> None:
    assert write(references([mail(1, "b", "a"), mail(2, "c", "a")])) == b"((1)(2))"


def test_a_missing_parent_of_one_leaves_no_trace() -> None:
    assert write(references([mail(1, "b", "a"), mail(2, "c", "a b")])) == b"(1 2)"


def test_order_of_arrival_does_not_matter() -> None:
    found = references(
        [mail(1, "c", "a b", sent=3), mail(2, "a", sent=1), mail(3, "b", "a", sent=2)]
    )
    assert write(found) == b"(2 3 1)"


def test_a_loop_of_references_is_cut() -> None:
    found = write(references([mail(1, "a", "b"), mail(2, "b", "a")]))
    assert sorted(re.findall(rb"\d+", found)) == [b"1", b"2"]


def test_two_messages_of_one_id_are_two() -> None:
    assert write(references([mail(1, "a"), mail(2, "a"), mail(3, "b", "a")])) == b"(1 3)(2)"


def test_roots_of_one_subject_become_one_thread() -> None:
    found = references([mail(1, "a", subject="Mars"), mail(2, "b", subject="Re: Mars")])
    assert write(found) == b"(1 2)"
    found = references([mail(1, "a", subject="Mars"), mail(2, "b", subject="Mars")])
    assert write(found) == b"((1)(2))"


def test_the_answer_hangs_below_the_one_that_is_none_even_if_it_is_older() -> None:
    found = references([mail(1, "b", subject="Re: Mars"), mail(2, "a", subject="Mars")])
    assert write(found) == b"(2 1)"


def test_refs_leaves_subjects_alone_and_puts_the_newest_thread_last() -> None:
    found = refs(
        [mail(1, "a", subject="Mars"), mail(2, "b", subject="Re: Mars"), mail(3, "c", "a")]
    )
    assert write(found) == b"(2)(1 3)"


def test_ordered_subject_puts_the_first_above_the_others() -> None:
    found = ordered_subject(
        [mail(1, subject="b"), mail(2, subject="a"), mail(3, subject="Re: b"), mail(4, subject="b")]
    )
    assert write(found) == b"(1 (3)(4))(2)"


def test_a_chain_as_long_as_a_mailbox() -> None:
    chain = [mail(n, f"m{n}", f"m{n - 1}" if n > 1 else "") for n in range(1, 5_000)]
    assert write(references(chain)) == b"(" + b" ".join(b"%d" % n for n in range(1, 5_000)) + b")"


IDS = st.sampled_from(["", "a", "b", "c", "d", "e"])
MAILS = st.lists(
    st.tuples(
        IDS, st.lists(IDS.filter(bool), max_size=4), st.sampled_from(["", "x", "Re: x", "y"])
    ),
    max_size=12,
).map(
    lambda rows: [
        mail(n, id_, " ".join(refs_), subject) for n, (id_, refs_, subject) in enumerate(rows, 1)
    ]
)


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
@given(messages=MAILS)
def test_every_message_stands_once_and_brackets_match(name: str, messages: list[Message]) -> None:
    found = write(ALGORITHMS[name](messages))
    assert sorted(map(int, re.findall(rb"\d+", found))) == [m.number for m in messages]
    depth = 0
    for character in found.decode():
        depth += {"(": 1, ")": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert b"()" not in found
