"""Sizes and durations as people write them: "50 MiB", "1h30m"."""

from __future__ import annotations

import re
from datetime import timedelta

SIZES = {
    "B": 1,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
    "TiB": 1024**4,
    "kB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
}
DURATIONS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1, "ms": 0.001}
# Nothing a server waits for or keeps lies beyond it, and timedelta has its own end.
LONGEST = timedelta(days=36_500)
LARGEST = 2**62

_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|w|d|h|m|s)")
_SIZE_UNITS = {name.lower(): factor for name, factor in SIZES.items()}


class UnitError(ValueError):
    """Text that is neither a size nor a duration. The message says what to write."""


def parse_size(text: str) -> int:
    """Octets of "50 MiB", "2GiB" or "800 B"; KiB is 1024, kB is 1000. Raises UnitError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or match[2].lower() not in _SIZE_UNITS:
        raise UnitError(f'{text!r} is not a size; write for example "50 MiB" or "2 GiB"')
    octets = round(float(match[1]) * _SIZE_UNITS[match[2].lower()])
    if octets > LARGEST:
        raise UnitError(f"{text!r} is too large")
    return octets


def format_size(octets: int) -> str:
    """Exact where a whole number of some unit says it, else to one decimal."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    value, unit = float(octets), 0
    while abs(value) >= 1024 and unit < len(units) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} {units[unit]}" if value == int(value) else f"{value:.1f} {units[unit]}"


def parse_duration(text: str) -> timedelta:
    """Read "90s", "30m", "5d" or "1h30m": whole or decimal numbers, each with a unit.

    Raises UnitError.
    """
    compact = text.replace(" ", "")
    parts = _DURATION.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise UnitError(f'{text!r} is not a duration; write for example "90s", "30m" or "5d"')
    total = sum(float(number) * DURATIONS[unit] for number, unit in parts)
    if total > LONGEST.total_seconds():
        raise UnitError(f"{text!r} is too long")
    return timedelta(seconds=total)


def format_duration(duration: timedelta) -> str:
    """As `parse_duration` reads it: "1h30m", "5d", "250ms"."""
    rest = round(duration / timedelta(milliseconds=1))
    if rest <= 0:
        return "0s"
    text = ""
    for unit, factor in DURATIONS.items():
        if unit == "w":
            continue  # five days and two weeks are both told in days
        count, rest = divmod(rest, round(factor * 1000))
        if count:
            text += f"{count}{unit}"
    return text
