"""Dates of messages: read whatever a sender wrote, write RFC 5322 section 3.3."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

_MONTHS = {name: n for n, name in enumerate(
    (b"jan", b"feb", b"mar", b"apr", b"may", b"jun",
     b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"), 1)}  # fmt: skip
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Minutes east of UTC; a military letter is as good as unknown (RFC 5322 section 4.3).
_ZONES = {b"est": -300, b"edt": -240, b"cst": -360, b"cdt": -300, b"mst": -420, b"mdt": -360,
          b"pst": -480, b"pdt": -420, b"cet": 60, b"cest": 120, b"bst": 60}  # fmt: skip
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LONGEST = 200  # octets of a value that is looked at
MAX_OFFSET = 24 * 60  # minutes; a zone further away is read as UTC

_DATE = re.compile(
    rb"[ \t]*(?:[a-z]{2,12}[.,]{0,2}[ \t]*,?[ \t]*)?"  # day of the week, not checked
    rb"([0-9]{1,2})[ \t.-]{1,3}([a-z]{3})[a-z]{0,7}[ \t.,-]{1,3}([0-9]{2,5})[ \t,]{1,8}"
    rb"([0-9]{1,2})[:.]([0-9]{1,2})(?:[:.]([0-9]{1,2})(?:[.,][0-9]{1,9})?)?"
    rb"[ \t]*(?:(am|pm)\b[ \t]*)?(?:\(?(?:utc|gmt|ut)?([+-])([0-9]{1,4})|([a-z]{1,5}))?",
    re.IGNORECASE,
)
_ASCTIME = re.compile(
    rb"[ \t]*[a-z]{3},?[ \t]{1,4}([a-z]{3})[ \t]{1,4}([0-9]{1,2}),?[ \t]{1,4}"
    rb"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?[ \t]{1,4}(?:[a-z]{1,5}[ \t]{1,4})?([0-9]{4})",
    re.IGNORECASE,
)
_ISO = re.compile(
    rb"[ \t]*([0-9]{4})-([0-9]{2})-([0-9]{2})[T \t]([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?"
    rb"(?:\.[0-9]{1,9})?[ \t]*(?:Z|([+-])([0-9]{2}):?([0-9]{2}))?",
    re.IGNORECASE,
)
_COMMENT = re.compile(rb"\([^()]*\)")


def parse_date(raw: bytes) -> tuple[int, int] | None:
    """Milliseconds since 1970 UTC and the zone in minutes east of UTC, or None when unreadable.

    Two-digit years follow RFC 5322 section 4.3, `-0000` and unknown zones count as UTC. Also takes
    asctime and ISO 8601, which are seen in the field. Never raises.
    """
    raw = raw[:_LONGEST]
    match = _DATE.match(raw)
    if match is None and b"(" in raw:
        match = _DATE.match(_COMMENT.sub(b" ", raw))
    if match is None:
        return _other(raw)
    day, month, year, hour, minute, second, half, sign, digits, zone = match.groups()
    number = int(year)
    if len(year) == 2:
        number += 2000 if number < 50 else 1900
    elif len(year) == 3:
        number += 1900
    hours = int(hour)
    if half is not None:
        hours = hours % 12 + (12 if half.lower() == b"pm" else 0)
    offset = 0
    if digits is not None:
        offset = _offset(sign, digits)
    elif zone is not None:
        offset = _ZONES.get(zone.lower(), 0)
    return _moment(
        number, _MONTHS.get(month.lower(), 0), int(day),
        hours, int(minute), int(second or 0), offset,
    )  # fmt: skip


def format_date(at: int, offset: int = 0) -> str:
    """`Wed, 25 Nov 2026 02:14:20 +0000` for milliseconds and minutes east of UTC.

    A time that no calendar of four-digit years holds is moved to the nearest one that does.
    """
    return _date_of(at // 1000, offset)


@lru_cache(16)  # all messages of a second bear the same
def _date_of(second: int, offset: int) -> str:
    moment = _local(second * 1000, offset)
    return (
        f"{_DAY_NAMES[moment.weekday()]}, {moment.day:02} {_MONTH_NAMES[moment.month - 1]}"
        f" {moment.year:04} {moment:%H:%M:%S} {_zone(offset)}"
    )


def format_imap_date(at: int, offset: int = 0) -> str:
    """The date-time of RFC 9051 section 9, without quotes: `25-Nov-2026 02:14:20 +0000`."""
    moment = _local(at, offset)
    return (
        f"{moment.day:2}-{_MONTH_NAMES[moment.month - 1]}-{moment.year:04}"
        f" {moment:%H:%M:%S} {_zone(offset)}"
    )


_LOWEST = int(datetime(1, 1, 3, tzinfo=UTC).timestamp())
_HIGHEST = int(datetime(9999, 12, 29, tzinfo=UTC).timestamp())
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _local(at: int, offset: int) -> datetime:
    bounded = min(max(at // 1000, _LOWEST), _HIGHEST)
    return _EPOCH + timedelta(seconds=bounded, minutes=offset)


def _zone(offset: int) -> str:
    hours, minutes = divmod(abs(offset), 60)
    return f"{'-' if offset < 0 else '+'}{hours:02}{minutes:02}"


def _offset(sign: bytes, digits: bytes) -> int:
    number = int(digits)
    minutes = number * 60 if len(digits) <= 2 else number // 100 * 60 + number % 100
    if number % 100 > 59 or minutes > MAX_OFFSET:
        return 0
    return -minutes if sign == b"-" else minutes


def _other(raw: bytes) -> tuple[int, int] | None:
    match = _ASCTIME.match(raw)
    if match is not None:
        name, day, hour, minute, second, year = match.groups()
        month = _MONTHS.get(name.lower(), 0)
        return _moment(int(year), month, int(day), int(hour), int(minute), int(second or 0), 0)
    match = _ISO.match(raw)
    if match is None:
        return None
    year, number, day, hour, minute, second, sign, hours, minutes = match.groups()
    offset = _offset(sign, hours + minutes) if sign else 0
    return _moment(
        int(year), int(number), int(day), int(hour), int(minute), int(second or 0), offset
    )


def _moment(
    year: int, month: int, day: int, hour: int, minute: int, second: int, offset: int
) -> tuple[int, int] | None:
    if hour > 24 or minute > 59 or second > 60:  # 60 is a leap second
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH_DAY
    except ValueError:
        return None
    return ((days * 1440 + hour * 60 + minute - offset) * 60 + second) * 1000, offset


_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d)(?:\.\d{1,9})?(?:[Zz]|([+-])(\d\d):(\d\d))\Z", re.ASCII
)


def parse_moment(text: str) -> int | None:
    """A date-time of RFC 3339 as ms since 1970, without its fraction; None for anything else."""
    match = _MOMENT.match(text)
    if match is None or int(match[4] or 0) > 23 or int(match[5] or 0) > 59:
        return None
    leap = match[2].endswith(":60")  # counted as the second before (RFC 3339 section 5.6)
    clock = match[2][:-2] + "59" if leap else match[2]
    try:
        local = datetime.fromisoformat(f"{match[1]}T{clock}+00:00")
    except ValueError:
        return None
    minutes = int(match[4] or 0) * 60 + int(match[5] or 0)
    offset = -minutes if match[3] == "-" else minutes
    return (int(local.timestamp()) - offset * 60) * 1000


def format_moment(at: int) -> str:
    """ms as RFC 3339 in UTC, to the second: 2026-11-25T12:00:00Z."""
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
