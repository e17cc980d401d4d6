"""Times as people say them, in the time zone of the machine: "40 min", "11:20", "Friday 09:00"."""

from __future__ import annotations

from datetime import datetime, tzinfo

LAST = 250_000_000_000_000  # ms; what lies beyond (the year 9892) has no time at all
MINUTE, HOUR, DAY = 60, 3_600, 86_400  # seconds
MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def lasting(ms: int) -> str:
    """A duration with its two greatest units at most: "45 s", "40 min", "2 h 10 min", "3 days"."""
    seconds = max(0, ms) // 1000
    if seconds < 2 * MINUTE:
        return f"{seconds} s"
    if seconds < 2 * HOUR:
        return f"{seconds // MINUTE} min"
    if seconds < 2 * DAY:
        minutes = seconds % HOUR // MINUTE
        return f"{seconds // HOUR} h" + (f" {minutes} min" if minutes and seconds < DAY else "")
    hours = seconds % DAY // HOUR
    return f"{seconds // DAY} days" + (f" {hours} h" if hours else "")


def moment(at: int | None, now: int, zone: tzinfo | None = None) -> str:
    """A time (ms) seen from another: the clock today, the day of the week within six days, a date.

    zone None: that of the machine. A time long past or far ahead has its year.
    """
    if at is None or not 0 <= at <= LAST:
        return "-"
    then, today = _local(at, zone), _local(now, zone)
    clock = then.strftime("%H:%M")
    days = (then.date() - today.date()).days
    if days == 0:
        return clock if abs(at - now) >= 2 * MINUTE * 1000 else then.strftime("%H:%M:%S")
    if days in (-1, 1):
        return f"{'tomorrow' if days > 0 else 'yesterday'} {clock}"
    if abs(days) <= 6:
        day = DAYS[then.weekday()]
        return f"{day} {clock}" if days > 0 else f"last {day} {clock}"
    date = f"{then.day} {MONTHS[then.month - 1]}"
    return f"{date} {clock}" if then.year == today.year else f"{date} {then.year} {clock}"


def exact(at: int | None, zone: tzinfo | None = None) -> str:
    """Local date and time to the second, for a list of what happened."""
    if at is None or not 0 <= at <= LAST:
        return "-"
    return _local(at, zone).strftime("%Y-%m-%d %H:%M:%S")


def ago(at: int | None, now: int) -> str:
    """How long ago, for a column of ages."""
    return "-" if at is None else lasting(now - at)


def _local(at: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(at / 1000, zone).astimezone(zone)
