"""From TOML to the typed sections, with every problem found at once.

A section is a frozen dataclass made with `setting`. A value is converted by the type of its field;
what does not fit becomes a Problem that says where it stands, what is wrong and what to write.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import types
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from postillon.admin.units import UnitError, format_duration, parse_duration, parse_size
from postillon.server.toml_lines import KeyPath, locate
from postillon.setting import ConfigError

S = TypeVar("S")

MAX_FILE = 4 * 1024 * 1024  # octets; a configuration is written by hand
_TOML_POSITION = re.compile(r" \(at line (\d+), column (\d+)\)\Z|\s*\(at end of document\)\Z")


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, and where. `line` is from 1, 0 where none can be named."""

    file: str
    line: int
    key: str  # "smtp.max_size", "listener[2].port"; "" for the file as a whole
    what: str
    hint: str = ""  # what to write instead; "" where nothing better is known

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        text = f"{place}: {self.key}: {self.what}" if self.key else f"{place}: {self.what}"
        return f"{text}\n    {self.hint}" if self.hint else text


class ConfigProblems(Exception):
    """A configuration that cannot be used. Carries every problem found, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


def read_file(path: Path, schema: type[S]) -> S:
    """Read a file whose tables are the fields of `schema`. Raises ConfigProblems."""
    try:
        octets = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigProblems([Problem(str(path), 0, "", f"cannot be read: {reason}")]) from None
    if len(octets) > MAX_FILE:
        raise ConfigProblems([Problem(str(path), 0, "", f"is larger than {MAX_FILE} octets")])
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigProblems([Problem(str(path), line, "", "is not UTF-8")]) from None
    return read_text(text, schema, file=str(path), folder=path.absolute().parent)


def read_text(text: str, schema: type[S], *, file: str, folder: Path) -> S:
    """As `read_file`. Relative paths are taken from `folder`."""
    text = text.replace("\r\n", "\n")
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigProblems([_syntax(str(error), text, file)]) from None
    except RecursionError:
        raise ConfigProblems([Problem(file, 0, "", "is nested too deeply")]) from None
    reader = _Reader(file, folder, locate(text))
    value = reader.table(tree, schema, ())
    if reader.problems:
        raise ConfigProblems(sorted(reader.problems, key=lambda problem: problem.line))
    assert isinstance(value, schema)
    return value


def _syntax(message: str, text: str, file: str) -> Problem:
    match = _TOML_POSITION.search(message)
    if match is None or match[1] is None:
        what = _TOML_POSITION.sub("", message)
        return Problem(file, text.count("\n") + 1, "", f"not TOML: {what} at the end of the file")
    line = int(match[1])
    shown = text.split("\n")[line - 1].strip()
    what = f"not TOML: {message[: match.start()]}"
    return Problem(file, line, "", what, f"the line is: {shown[:120]}" if shown else "")


class _Invalid(Exception):
    """A value that does not fit its field."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


class _Reader:
    """Walks tables and types together and collects what does not fit."""

    def __init__(self, file: str, folder: Path, lines: dict[KeyPath, int]) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._folder = folder
        self._lines = lines

    def table(self, tree: dict[str, Any], section: type, path: KeyPath) -> object | None:
        """Build a section; None when something in it was wrong (and has been noted)."""
        before = len(self.problems)
        hints = get_type_hints(section)
        known = {item.name: item for item in dataclasses.fields(section) if item.init}
        values: dict[str, object] = {}
        for name, value in tree.items():
            item = known.get(_plain(name))
            if item is None:
                self._unknown(name, list(known), path)
                continue
            values[item.name] = self._field(
                value, hints[item.name], item.metadata.get("unit", ""), (*path, name)
            )
        for name, item in known.items():
            if name not in values:
                self._default(item, hints[name], values, path)
        if len(self.problems) > before:
            return None
        return self._build(section, values, path)

    def _default(
        self,
        item: dataclasses.Field[Any],
        hint: Any,
        values: dict[str, object],
        path: KeyPath,
    ) -> None:
        if dataclasses.is_dataclass(hint):  # an absent section is one without keys
            values[item.name] = self.table({}, hint, (*path, item.name))  # type: ignore[arg-type]
        elif item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING:
            self._note(path, _Invalid(f"the key {item.name!r} is missing"))
        elif isinstance(item.default, Path) and item.default != Path():
            values[item.name] = self._path(str(item.default))

    def _build(self, section: type, values: dict[str, object], path: KeyPath) -> object | None:
        try:
            return section(**values)  # type: ignore[no-any-return]
        except ConfigError as error:
            self._note(path, _Invalid(error.problem))
        except ValueError as error:
            self._note(path, _Invalid(str(error)))
        return None

    def _field(self, value: object, hint: Any, unit: str, path: KeyPath) -> object:
        try:
            return self._convert(value, hint, unit, path)
        except _Invalid as problem:
            self._note(path, problem)
            return None

    def _convert(self, value: object, hint: Any, unit: str, path: KeyPath) -> object:
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            return self._either(value, get_args(hint), unit, path)
        if origin is Literal:
            return _choice(value, {str(choice): choice for choice in get_args(hint)})
        if origin in (tuple, list):
            return self._array(value, get_args(hint)[0], unit, path)
        if origin is dict:
            return self._mapping(value, get_args(hint)[1], unit, path)
        if dataclasses.is_dataclass(hint):
            if not isinstance(value, dict):
                raise _Invalid(f"is {_kind(value)}, but a table belongs here")
            return self.table(value, hint, path)  # type: ignore[arg-type]
        if isinstance(hint, type) and issubclass(hint, Enum):
            return _choice(value, {str(choice.value): choice for choice in hint})
        if hint is Path:
            return self._path(_text(value))
        return _scalar(value, hint, unit)

    def _either(self, value: object, choices: tuple[Any, ...], unit: str, path: KeyPath) -> object:
        wanted = [choice for choice in choices if choice is not type(None)]
        if len(wanted) < len(choices) and value in ("none", ""):
            return None
        failures = []
        for choice in wanted:
            try:
                return self._convert(value, choice, unit, path)
            except _Invalid as problem:
                failures.append(problem)
        raise failures[0]

    def _array(self, value: object, of: Any, unit: str, path: KeyPath) -> object:
        if not isinstance(value, list):
            what = f"is {_kind(value)}, but a list belongs here"
            shown = f'"{value}"' if isinstance(value, str) else str(value)
            raise _Invalid(what, f"write [{shown}]" if not isinstance(value, dict) else "")
        return tuple(self._field(item, of, unit, (*path, n)) for n, item in enumerate(value))

    def _mapping(self, value: object, of: Any, unit: str, path: KeyPath) -> object:
        if not isinstance(value, dict):
            raise _Invalid(f"is {_kind(value)}, but a table belongs here")
        return {name: self._field(item, of, unit, (*path, name)) for name, item in value.items()}

    def _path(self, text: str) -> Path:
        if "\0" in text:
            raise _Invalid("a path holds no NUL")
        return self._folder / Path(text).expanduser() if text else Path()

    def _unknown(self, name: str, known: list[str], path: KeyPath) -> None:
        near = difflib.get_close_matches(_plain(name), known, n=1, cutoff=0.6)
        if near:
            hint = f"did you mean {near[0]!r}?"
        elif path:
            hint = f"known here: {', '.join(known)}"
        else:
            hint = f"known sections: {', '.join(known)}"
        what = "there is no such key" if path else "there is no such section"
        self._note((*path, name), _Invalid(what, hint))

    def _note(self, path: KeyPath, problem: _Invalid) -> None:
        line = 0
        for length in range(len(path), 0, -1):
            if line := self._lines.get(path[:length], 0):
                break
        self.problems.append(Problem(self._file, line, _shown(path), problem.what, problem.hint))


def _scalar(value: object, hint: Any, unit: str) -> object:
    if hint is bool:
        if not isinstance(value, bool):
            raise _Invalid(f"is {_kind(value)}", "write true or false, without quotes")
        return value
    if hint is timedelta:
        return _duration(value)
    if hint is int:
        return _integer(value, unit)
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _Invalid(f"is {_kind(value)}, but a number belongs here")
        return float(value)
    if hint is str:
        return _text(value)
    raise TypeError(f"a setting of type {hint!r} cannot be read from TOML")


def _duration(value: object) -> timedelta:
    if isinstance(value, int | float) and not isinstance(value, bool):
        hint = f'write "{value}s" for seconds, "{value}m" for minutes, "{value}h" or "{value}d"'
        raise _Invalid("a duration needs its unit", hint)
    if not isinstance(value, str):
        raise _Invalid(f"is {_kind(value)}", 'write a duration, for example "30m"')
    try:
        return parse_duration(value)
    except UnitError as error:
        raise _Invalid(*_split(error)) from None


def _integer(value: object, unit: str) -> int:
    if isinstance(value, str) and unit == "octets":
        try:
            return parse_size(value)
        except UnitError as error:
            raise _Invalid(*_split(error)) from None
    if isinstance(value, bool) or not isinstance(value, int):
        sized = ' or a size like "50 MiB"' if unit == "octets" else ", without quotes"
        raise _Invalid(f"is {_kind(value)}", f"write a whole number{sized}")
    if value < 0:
        raise _Invalid("is negative", "write 0 or more")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        shown = str(value).lower() if isinstance(value, bool) else value
        hint = f'write "{shown}"' if isinstance(value, bool | int | float) else ""
        raise _Invalid(f"is {_kind(value)}, but text in quotes belongs here", hint)
    return value


def _choice(value: object, choices: dict[str, Any]) -> object:
    if (isinstance(value, str) or type(value) is int) and str(value) in choices:
        return choices[str(value)]
    near = difflib.get_close_matches(str(value), list(choices), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise _Invalid(f"{value!r} is not a choice", f"{hint}known: {', '.join(choices)}")


def _split(error: UnitError) -> tuple[str, str]:
    what, _, hint = str(error).partition("; ")
    return what, hint


def _kind(value: object) -> str:
    names: list[tuple[type, str]] = [
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number"),
        (str, "text"),
        (list, "a list"),
        (dict, "a table"),
    ]
    return next((name for of, name in names if isinstance(value, of)), "a date or time")


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _shown(path: KeyPath) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part + 1}]"
        else:
            text += f".{part}" if text else part
    return text


def shown_value(value: object, unit: str = "") -> str:
    """A default as it would be written in TOML; "" for None, which has no spelling there."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return f'"{format_duration(value)}"'
    if isinstance(value, int) and not isinstance(value, Enum):
        return _shown_octets(value) if unit == "octets" else str(value)
    if isinstance(value, float):
        return str(value)
    if isinstance(value, tuple | list):
        return "[" + ", ".join(shown_value(item, unit) for item in value) + "]"
    if isinstance(value, dict):
        pairs = (f"{name} = {shown_value(item, unit)}" for name, item in value.items())
        return "{" + ", ".join(pairs) + "}"
    text = str(value.value if isinstance(value, Enum) else value)
    if isinstance(value, Path) and value == Path():
        text = ""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _shown_octets(octets: int) -> str:
    for unit, factor in (("GiB", 1024**3), ("MiB", 1024**2), ("KiB", 1024)):
        if octets and octets % factor == 0:
            return f'"{octets // factor} {unit}"'
    return str(octets)


__all__ = ["ConfigProblems", "Problem", "read_file", "read_text", "shown_value"]
