"""On which line of a TOML file a key stands, for the messages about it.

`tomllib` has already accepted the text when this reads it, so this follows only what decides where
lines belong: headers, keys, strings and brackets. What it does not find it leaves out.
"""

from __future__ import annotations

import re

KeyPath = tuple[str | int, ...]  # ("listener", 1, "port"): names, and positions in arrays from 0

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_OPENERS = {"[": "]", "{": "}"}


def locate(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every table header and of every key outside inline tables."""
    return _Locator(text).run()


class _Locator:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[KeyPath, int] = {}
        self._arrays: dict[KeyPath, int] = {}  # how many tables an array has so far
        self._table: KeyPath = ()

    def run(self) -> dict[KeyPath, int]:
        while self._at < len(self._text):
            self._blanks()
            if self._at >= len(self._text):
                break
            start = self._at
            character = self._text[start]
            if character == "#":
                self._comment()
            elif character == "[":
                self._header()
            else:
                self._pair()
            if self._at == start:  # not TOML: give up rather than turn in circles
                break
        return self._lines

    def _header(self) -> None:
        line = self._line()
        array = self._text.startswith("[[", self._at)
        self._at += 2 if array else 1
        path = self._inside_arrays(self._key())
        if array:
            number = self._arrays.get(path, 0)
            self._arrays[path] = number + 1
            self._lines.setdefault(path, line)
            path = (*path, number)
        self._table = path
        self._note(path, line)
        self._at = self._end_of_line()

    def _pair(self) -> None:
        line = self._line()
        path = (*self._table, *self._key())
        self._note(path, line)
        self._spaces()
        if self._at < len(self._text) and self._text[self._at] == "=":
            self._at += 1
            self._value()

    def _note(self, path: KeyPath, line: int) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], line)

    def _inside_arrays(self, names: list[str]) -> KeyPath:
        """A header below an array of tables speaks of the array's latest table."""
        path: KeyPath = ()
        for n, name in enumerate(names):
            path = (*path, name)
            if path in self._arrays and n < len(names) - 1:
                path = (*path, self._arrays[path] - 1)
        return path

    def _key(self) -> list[str]:
        names: list[str] = []
        while True:
            self._spaces()
            if self._at >= len(self._text):
                return names
            if self._text[self._at] in "\"'":
                start = self._at
                self._string()
                names.append(self._text[start + 1 : self._at - 1])
            elif match := _BARE.match(self._text, self._at):
                names.append(match[0])
                self._at = match.end()
            self._spaces()
            if not self._text.startswith(".", self._at):
                return names
            self._at += 1

    def _value(self) -> None:
        """Step over a value, however many lines it takes."""
        depth = 0
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in "\"'":
                self._string()
                continue
            if character == "#":
                self._comment()
                continue
            if character == "\n" and depth == 0:
                return
            if character in _OPENERS:
                depth += 1
            elif character in "]}":
                depth -= 1
            self._at += 1

    def _string(self) -> None:
        quote = self._text[self._at]
        if self._text.startswith(quote * 3, self._at):
            end = self._closing(quote * 3, self._at + 3)
            while self._text.startswith(quote, end):  # up to two quotes may touch the end
                end += 1
            self._at = end
        else:
            self._at = self._closing(quote, self._at + 1)

    def _closing(self, quote: str, at: int) -> int:
        while at < len(self._text) and not self._text.startswith(quote, at):
            at += 2 if self._text[at] == "\\" and quote[0] == '"' else 1
        return min(at + len(quote), len(self._text))

    def _blanks(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " \t\r\n\ufeff":
            self._at += 1

    def _spaces(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in " \t":
            self._at += 1

    def _comment(self) -> None:
        self._at = self._end_of_line()

    def _end_of_line(self) -> int:
        end = self._text.find("\n", self._at)
        return len(self._text) if end < 0 else end

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1
