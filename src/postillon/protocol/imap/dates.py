"""The two ways IMAP writes a date (RFC 3501 section 9, date and date-time)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from postillon.mail.dates import format_imap_date

_NAMES = b"JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_MONTH = {name: n for n, name in enumerate(_NAMES, 1)}

DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb"([ 0-9]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2})"
    rb" ([+-])([0-9]{2})([0-9]{2})\Z"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def parse_date(raw: bytes) -> date | None:
    """`1-Feb-1994`, without its quotes."""
    match = DATE.fullmatch(raw)
    month = _MONTH.get(match[2].upper()) if match else None
    if match is None or month is None:
        return None
    try:
        return date(int(match[3]), month, int(match[1]))
    except ValueError:
        return None


def parse_date_time(raw: bytes) -> int | None:
    """` 7-Feb-1994 22:43:04 -0800` as milliseconds since 1970 UTC."""
    match = _DATE_TIME.match(raw)
    month = _MONTH.get(match[2].upper()) if match else None
    if match is None or month is None:
        return None
    offset = timedelta(hours=int(match[8]), minutes=int(match[9]))
    try:
        moment = datetime(
            int(match[3]),
            month,
            int(match[1]),
            int(match[4]),
            int(match[5]),
            int(match[6]),
            tzinfo=UTC,
        )
        return (moment - _EPOCH + (offset if match[7] == b"-" else -offset)) // _MILLISECOND
    except (ValueError, OverflowError):
        return None


def format_date_time(ms: int) -> bytes:
    """INTERNALDATE in UTC, quoted."""
    if not 0 <= ms < _WITH_FOUR_DIGITS:
        return b'"%b"' % format_imap_date(ms).encode("ascii")
    days, second = divmod(ms // 1000, 86_400)
    minute, second = divmod(second, 60)
    return b'"%b %02d:%02d:%02d +0000"' % (_day(days), *divmod(minute, 60), second)


@lru_cache(1_024)
def _day(days: int) -> bytes:
    """`25-Nov-2026`, of days since 1970."""
    return format_imap_date(days * 86_400_000)[:11].encode("ascii")


_WITH_FOUR_DIGITS = 250_000_000_000_000  # ms; a day in the year 9892
