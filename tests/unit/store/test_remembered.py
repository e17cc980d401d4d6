"""Answers that are kept until a change is heard of, or for a minute."""

from __future__ import annotations

from postillon.store.remembered import LASTS_MS, Remembered
from support.accounts import Time


def kept(most: int = 3) -> tuple[Remembered[str, int], Time]:
    clock = Time()
    return Remembered(clock, most), clock


def test_an_answer_is_found_until_its_key_is_forgotten() -> None:
    known, _ = kept()
    known.keep("a", 1, known.heard)
    known.keep("b", 2, known.heard)
    known.forget("a")
    assert (known.find("a"), known.find("b")) == (None, 2)
    known.forget_all()
    assert known.find("b") is None


def test_it_lasts_a_minute_and_not_longer_for_a_clock_that_is_set_back() -> None:
    known, clock = kept()
    known.keep("a", 1, known.heard)
    clock.now += LASTS_MS
    assert known.find("a") == 1
    clock.now += 1
    assert known.find("a") is None
    known.keep("a", 2, known.heard)
    clock.now -= 3_600_000
    assert known.find("a") is None


def test_an_answer_that_was_on_its_way_while_something_changed_is_not_kept() -> None:
    known, _ = kept()
    heard = known.heard
    known.forget("b")
    known.keep("a", 1, heard)
    assert known.find("a") is None


def test_of_too_many_the_one_kept_first_is_forgotten() -> None:
    known, _ = kept(most=2)
    for number, key in enumerate(("a", "b", "a", "c")):
        known.keep(key, number, known.heard)
    assert [known.find(key) for key in "abc"] == [2, None, 3]
