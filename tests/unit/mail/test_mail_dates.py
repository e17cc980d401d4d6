"""Dates as they are met, and as we write them."""

from __future__ import annotations

import pytest

from postillon.mail.dates import format_date, format_imap_date, parse_date

AT = 1795572860000  # Wed, 25 Nov 2026 02:14:20 UTC


@pytest.mark.parametrize(
    ("raw", "offset"),
    [
        (b"Wed, 25 Nov 2026 02:14:20 +0000", 0),
        (b"25 Nov 2026 02:14:20 GMT", 0),
        (b"Wed, 25 Nov 2026 03:14:20 +0100 (CET)", 60),
        (b"Tue, 24 Nov 2026 21:14:20 EST", -300),
        (b"Tue, 24 Nov 2026 21:14:20 -0500", -300),
        (b"wed,25 nov 26 2:14:20 z", 0),
        (b"Wed, 25-Nov-2026 02:14:20 UTC", 0),
        (b"Wed (a day), 25 (x) Nov 2026 02:14:20 +0000", 0),
        (b"Wednesday, 25 November 2026 02:14:20", 0),
        (b"Wed, 25 Nov 2026 02:14:20 GMT+0000", 0),
        (b"Wed Nov 25 02:14:20 2026", 0),
        (b"Wed Nov 25 02:14:20 UTC 2026", 0),
        (b"2026-11-25T02:14:20Z", 0),
        (b"2026-11-25 03:14:20.123+01:00", 60),
        (b"Wed, 25 Nov 2026 02:14:20 +9999", 0),
    ],
)
def test_dates_are_read(raw: bytes, offset: int) -> None:
    assert parse_date(raw) == (AT, offset)


@pytest.mark.parametrize(
    "raw",
    [b"", b"now", b"32 Nov 2026 02:14:20 +0000", b"25 Foo 2026 02:14:20 +0000", b"\xff" * 1000,
     b"30 Feb 2026 00:00:00 +0000", b"25 Nov 2026 25:14:20 +0000", b"25 Nov 99999 02:14:20 +0000",
     b"0000-00-00T00:00:00Z"],
)  # fmt: skip
def test_what_is_no_date_is_none(raw: bytes) -> None:
    assert parse_date(raw) is None


def test_years_of_two_and_three_digits() -> None:
    """RFC 5322 section 4.3."""
    assert parse_date(b"1 Jan 70 00:00:00 GMT") == (0, 0)
    assert parse_date(b"1 Jan 100 00:00:00 GMT") == parse_date(b"1 Jan 2000 00:00:00 GMT")
    assert parse_date(b"1 Jan 49 00:00:00 GMT") == parse_date(b"1 Jan 2049 00:00:00 GMT")


def test_seconds_may_be_absent_or_sixty() -> None:
    assert parse_date(b"1 Jan 1970 00:01 GMT") == (60_000, 0)
    assert parse_date(b"31 Dec 1969 23:59:60 GMT") == (0, 0)


def test_dates_are_written() -> None:
    assert format_date(AT) == "Wed, 25 Nov 2026 02:14:20 +0000"
    assert format_date(AT, -90) == "Wed, 25 Nov 2026 00:44:20 -0130"
    assert format_imap_date(AT, 60) == "25-Nov-2026 03:14:20 +0100"
    assert format_imap_date(0) == " 1-Jan-1970 00:00:00 +0000"


def test_times_outside_the_calendar_are_moved_into_it() -> None:
    assert format_date(-(1 << 63), -1440).endswith("-2400")
    assert " 9999 " in format_date(1 << 63, 1440)
