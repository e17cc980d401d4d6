"""Answers for people as aligned tables, for programs as JSON."""

from __future__ import annotations

import dataclasses
import json
import unicodedata
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import click

from postillon.admin.units import format_size

R = TypeVar("R")

Column = tuple[str, Callable[[R], object]]


class Many(int):
    """A count that may be large: "1,234,567"."""

    def __str__(self) -> str:
        return f"{int(self):,}"


def table(rows: Sequence[R], columns: Sequence[Column[R]], empty: str) -> str:
    """Title and rows, columns two spaces apart, numbers on the right; `empty` where no row is."""
    if not rows:
        return empty
    values = [[read(row) for _, read in columns] for row in rows]
    right = [all(type(line[n]) in (int, Many) for line in values) for n in range(len(columns))]
    lines = [[title for title, _ in columns], *([shown(cell) for cell in line] for line in values)]
    widths = [max(width(line[n]) for line in lines) for n in range(len(columns))]
    return "\n".join(
        "  ".join(
            _padded(cell, widths[n], right[n], last=n == len(line) - 1)
            for n, cell in enumerate(line)
        ).rstrip()
        for line in lines
    )


def facts(pairs: Sequence[tuple[str, object]]) -> str:
    """One thing: its properties below each other."""
    longest = max(width(name) for name, _ in pairs)
    lines = []
    for name, value in pairs:
        first, *rest = value if isinstance(value, tuple | list) and value else (value,)
        lines.append(f"{name}{' ' * (longest - width(name))}  {shown(first)}".rstrip())
        lines += [f"{' ' * longest}  {shown(item)}" for item in rest]
    return "\n".join(lines)


def answer(as_json: bool, value: object, text: Callable[[], str]) -> None:
    """Print a value as JSON, or its text."""
    click.echo(to_json(value) if as_json else text())


def to_json(value: object) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, indent=2)


def shown(value: object) -> str:
    """A cell: yes and no, nothing for None, control characters made visible."""
    if value is None or value == () or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return ", ".join(shown(item) for item in value)
    return visible(str(value))


def visible(text: str) -> str:
    """Text of a peer, harmless to a terminal."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def when(at: int | None) -> str:
    """Milliseconds since 1970 as UTC, to the second."""
    if at is None:
        return "-"
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def quota(octets: int | None) -> str:
    return "unlimited" if octets is None else format_size(octets)


def width(text: str) -> int:
    """Cells of a terminal: wide characters take two, combining ones none."""
    return sum(
        0
        if unicodedata.combining(character)
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )


def _padded(cell: str, to: int, right: bool, *, last: bool) -> str:
    space = " " * (to - width(cell))
    if right:
        return space + cell
    return cell if last else cell + space


def _plain(value: Any) -> Any:  # Any: a tree of dataclasses and what JSON knows
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return _plain(value.value)
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Path):
        return str(value)
    return str(value)
