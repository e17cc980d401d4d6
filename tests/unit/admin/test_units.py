"""Sizes and durations, as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postillon.admin.units import (
    UnitError,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "octets"),
    [("50 MiB", 52_428_800), ("2GiB", 2**31), ("1.5 kib", 1536), ("800 B", 800), ("1 MB", 10**6)],
)
def test_sizes(text: str, octets: int) -> None:
    assert parse_size(text) == octets


@pytest.mark.parametrize("text", ["", "5", "MiB", "-1 MiB", "1 XB", "1 MiB 2", "9" * 30 + " TiB"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UnitError):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("30m", timedelta(minutes=30)),
        ("1h30m", timedelta(minutes=90)),
        ("1h 30m", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("2w", timedelta(days=14)),
        ("0.5d", timedelta(hours=12)),
    ],
)
def test_durations(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "30", "m", "-5m", "5 parsecs", "5m!", "9" * 20 + "d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UnitError):
        parse_duration(text)


@given(st.integers(0, 10**10))
def test_a_formatted_duration_is_read_back(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


def test_sizes_for_people() -> None:
    assert [format_size(octets) for octets in (0, 1023, 1024, 1536, 2**31, 5 * 2**30 + 1)] == [
        "0 B",
        "1023 B",
        "1 KiB",
        "1.5 KiB",
        "2 GiB",
        "5.0 GiB",
    ]
