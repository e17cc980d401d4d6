"""The two ways IMAP writes a date (RFC 3501 section 9, date and date-time)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = {name.upper().encode(): n for n, name in enumerate(MONTHS, 1)}

DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})\Z"
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
    offset = int(match[8]) * 60 + int(match[9])
    zone = timezone(timedelta(minutes=-offset if match[7] == b"-" else offset)) if offset < 1440 else None
    if zone is None:
        return None
    try:
        moment = datetime(
            int(match[3]), month, int(match[1]), int(match[4]), int(match[5]), int(match[6]), tzinfo=zone
        )
        return (moment - _EPOCH) // _MILLISECOND
    except (ValueError, OverflowError):
        return None


_LOWEST, _HIGHEST = -62_135_596_800, 253_402_300_799  # years 1 and 9999


def format_date_time(ms: int) -> bytes:
    """INTERNALDATE in UTC, quoted."""
    seconds = min(max(ms // 1000, _LOWEST), _HIGHEST)
    t = _EPOCH + timedelta(seconds=seconds)
    return b'"%02d-%s-%04d %02d:%02d:%02d +0000"' % (
        t.day, MONTHS[t.month - 1].encode(), t.year, t.hour, t.minute, t.second
    )  # fmt: skip
