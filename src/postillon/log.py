"""Structured log lines: an event and its fields, one JSON object per line.

`log.info("deferred", queue_id=..., status=...)`. Never content, never credentials. Control characters
are escaped by the JSON encoding, and every text is bounded, so no peer can forge or flood a line.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from enum import IntEnum
from functools import lru_cache

import msgspec

STDERR = 2  # the descriptor
MAX_TEXT = 1_000  # characters of one field; longer ones are cut and marked


class Level(IntEnum):
    DEBUG = 10
    INFO = 20
    WARNING = 30
    ERROR = 40


Value = str | int | float | bool | None | list[str]
_encode = msgspec.json.Encoder().encode


def _bounded(value: object) -> Value:
    if isinstance(value, str) and len(value) <= MAX_TEXT and value.isascii():
        return value  # nearly always
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if isinstance(value, list | tuple):
        return [str(_bounded(item)) for item in value[:50]]
    text = str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"


class Stderr:
    """Writes lines to standard error. What cannot be written (a full disk, a reader that is gone) costs
    lines and nothing else: no mail waits for its log. The first line after it tells how many were lost.
    """

    def __init__(self) -> None:
        self._lost = 0
        self._torn = False  # the last line was written in part

    def __call__(self, line: bytes) -> None:
        lost = self._lost
        data = (
            line if not lost else _encode({"event": "log_lines_lost", "lines": lost}) + b"\n" + line
        )
        if self._torn:
            data = b"\n" + data
        try:
            written = os.write(STDERR, data)
        except OSError:
            written = 0
        if written == len(data):
            self._lost -= lost
            self._torn = False
        else:
            self._lost += 1
            self._torn = self._torn or written > 0


to_stderr = Stderr()


@lru_cache(4)
def _stamp(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


class Log:
    """Writes lines of at least `level` to `sink`; `bound` fields stand on every line."""

    def __init__(
        self, sink: Callable[[bytes], None] = to_stderr, level: Level = Level.INFO, **bound: object
    ) -> None:
        self._sink = sink
        self._level = level
        self._bound = bound
        self._bounded = {name: _bounded(value) for name, value in bound.items()}

    def bind(self, **fields: object) -> Log:
        """A log that puts these fields on each of its lines too."""
        return Log(self._sink, self._level, **{**self._bound, **fields})

    def enabled(self, level: Level) -> bool:
        return level >= self._level

    def write(self, level: Level, event: str, fields: dict[str, object]) -> None:
        if level < self._level:
            return
        second, rest = divmod(time.time_ns() // 1_000_000, 1000)
        line: dict[str, Value] = {"at": f"{_stamp(second)}.{rest:03d}Z"}
        line["level"] = level.name.lower()
        line["event"] = event
        line |= self._bounded
        for name, value in fields.items():
            line[name] = _bounded(value)
        self._sink(_encode(line) + b"\n")

    def debug(self, event: str, /, **fields: object) -> None:
        self.write(Level.DEBUG, event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        self.write(Level.INFO, event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        self.write(Level.WARNING, event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        self.write(Level.ERROR, event, fields)


SILENT = Log(lambda line: None, Level.ERROR)
