"""Times in a person's words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from postillon.server.commands.moments import exact, lasting, moment

NOW = int(datetime(2026, 11, 25, 21, 0, tzinfo=UTC).timestamp() * 1000)  # a Wednesday
HOUR = 3_600_000


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (-5, "0 s"), (45_000, "45 s"), (119_000, "119 s"), (40 * 60_000, "40 min"),
        (HOUR + 59 * 60_000, "119 min"), (2 * HOUR, "2 h"), (2 * HOUR + 600_000, "2 h 10 min"),
        (30 * HOUR + 600_000, "30 h"), (48 * HOUR, "2 days"), (76 * HOUR, "3 days 4 h"),
    ],
)  # fmt: skip
def test_a_duration_has_its_greatest_units(ms: int, words: str) -> None:
    assert lasting(ms) == words


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (0, "21:00:00"), (1, "22:00"), (-20, "01:00"), (5, "tomorrow 02:00"),
        (-22, "yesterday 23:00"), (36, "Friday 09:00"), (-72, "last Sunday 21:00"),
        (24 * 7, "2 Dec 21:00"), (24 * 60, "24 Jan 2027 21:00"),
    ],
)  # fmt: skip
def test_a_moment_is_told_as_seen_from_now(hours: int, words: str) -> None:
    assert moment(NOW + hours * HOUR, NOW, UTC) == words


def test_times_are_those_of_the_place() -> None:
    east = timezone(timedelta(hours=3, minutes=30))
    assert moment(NOW + HOUR, NOW, east) == "01:30"
    assert exact(NOW, east) == "2026-11-26 00:30:00"
    assert (moment(None, NOW), exact(None)) == ("-", "-")
    assert (moment(1 << 62, NOW), exact(1 << 62)) == ("-", "-")
