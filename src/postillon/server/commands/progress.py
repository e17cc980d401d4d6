"""How far long work is, on one line of a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

import click

from postillon.admin.units import UnitError, format_size, parse_size
from postillon.store.progress import Progress, Unwatched

EVERY_S = 0.2  # between two lines
WIDTH = 20  # cells of the bar
SETTLE_S = 1.0  # before a speed is worth telling


class Bar:
    """Part, octets and things done, speed and the time that is left; written to standard error."""

    def __init__(
        self, things: str, out: TextIO = sys.stderr, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._things, self._out, self._clock = things, out, clock
        self._what, self._total = "", 0
        self._octets = self._count = 0
        self._began = self._said = 0.0
        self._shown = False

    def begin(self, what: str, total: int) -> None:
        self.end()
        self._what, self._total = what, total
        self._octets = self._count = 0
        self._began = self._clock()

    def step(self, octets: int, count: int) -> None:
        self._octets += octets
        self._count += count
        now = self._clock()
        if now - self._said >= EVERY_S:
            self._said = now
            self._write(self.line(now))

    def line(self, now: float) -> str:
        """What is shown at a moment."""
        passed = now - self._began
        parts = [self._what]
        if self._total:
            part = min(self._octets / self._total, 1.0)
            full = int(part * WIDTH)
            parts.append(f"[{'#' * full}{'-' * (WIDTH - full)}] {part:4.0%}")
            parts.append(f"{format_size(self._octets)} of {format_size(self._total)}")
        elif self._octets:
            parts.append(format_size(self._octets))
        if self._count:
            parts.append(f"{self._count:,} {self._things}")
        if passed >= SETTLE_S and self._octets:
            speed = self._octets / passed
            parts.append(f"{format_size(int(speed))}/s")
            if self._total > self._octets:
                parts.append(f"{_time((self._total - self._octets) / speed)} left")
        return "  ".join(parts)

    def end(self) -> None:
        """Leave the terminal's line empty."""
        if self._shown:
            self._out.write("\r\x1b[K")
            self._out.flush()
            self._shown = False

    def _write(self, line: str) -> None:
        self._out.write(f"\r{line}\x1b[K")
        self._out.flush()
        self._shown = True


def watch(as_json: bool, things: str) -> Progress:
    """A bar where a person looks on, nothing elsewhere; it goes when the command ends."""
    if as_json or not sys.stderr.isatty():
        return Unwatched()
    bar = Bar(things)
    context = click.get_current_context(silent=True)
    if context is not None:
        context.call_on_close(bar.end)
    return bar


def rate_of(text: str | None) -> int | None:
    """Octets a second of "20 MiB". Raises UsageError."""
    if text is None:
        return None
    try:
        octets = parse_size(text)
    except UnitError as error:
        raise click.UsageError(str(error)) from None
    if octets < 1:
        raise click.UsageError("a speed is more than nothing")
    return octets


def _time(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
