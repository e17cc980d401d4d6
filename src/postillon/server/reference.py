"""The reference of all settings, made from their declarations: docs/configuration.md.

`python -m postillon.server.reference` prints it; a test compares it with the file in the tree.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
import types
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from postillon.server.config import Configuration
from postillon.server.config_reader import shown_value
from postillon.setting import settings_of

INTRODUCTION = """\
# Configuration

This page is made from the declarations in the code (`python -m postillon.server.reference`); a test
holds the two together.

One file in [TOML](https://toml.io), usually `postillon.toml`. `postillon init` writes a first one,
`postillon check` explains what is wrong with one: the line, the key, the nearest known key, what to
write instead. A key that is not in the file has its default. Domains, accounts and aliases are not
here: they live in the data folder and are changed with `postillon domain`, `account`, `alias` and
`group` while the server runs.

* **Durations** are text with a unit: `"90s"`, `"30m"`, `"1h30m"`, `"5d"`.
* **Octets** are numbers, or text with a unit: `"50 MiB"` (1,048,576 each), `"50 MB"` (1,000,000 each).
* **Paths** that are relative begin at the folder of the configuration file.
* **Passwords** are never in this file; where one is needed, the path of a file is given.

The file is looked for in this order: `--config FILE`, `--data DIR` (its `postillon.toml`), the
variable `POSTILLON_CONFIG`, `./postillon.toml`, `/etc/postillon/postillon.toml`. Changes take effect
when the server is started again.
"""


def reference() -> str:
    """The whole page as Markdown."""
    return "\n".join([INTRODUCTION, *_tables(Configuration, "")])


def _tables(section: type, prefix: str) -> list[str]:
    """The tables inside a section, each followed by its own."""
    parts = []
    hints = get_type_hints(section)
    for item in dataclasses.fields(section):
        hint = hints[item.name]
        name = f"{prefix}{item.name}"
        if dataclasses.is_dataclass(hint):
            parts.append(_section(f"[{name}]", hint, ""))  # type: ignore[arg-type]
            parts += _tables(hint, f"{name}.")  # type: ignore[arg-type]
        elif get_origin(hint) is tuple and dataclasses.is_dataclass(get_args(hint)[0]):
            parts.append(_section(f"[[{name}]]", get_args(hint)[0], item.metadata["purpose"]))
    return parts


def _section(title: str, section: type, purpose: str) -> str:
    about = inspect.cleandoc(section.__doc__ or "")
    lines = [f"## `{title}`", "", *([purpose, ""] if purpose else []), about, ""]
    lines += ["| Key | Type | Default | Purpose |", "| --- | --- | --- | --- |"]
    hints = get_type_hints(section)
    for item in settings_of(section):
        if kind(hints[item.name], item.unit) == "list of table":
            continue  # has a section of its own
        default = shown_value(item.default, item.unit)
        shown = f"`{default}`" if default else "none"
        cells = (f"`{item.name}`", kind(hints[item.name], item.unit), shown, item.purpose)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, ""])


def kind(hint: Any, unit: str) -> str:  # Any: an annotation of whatever shape
    """The type of a setting in a person's words."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        wanted = [choice for choice in get_args(hint) if choice is not type(None)]
        return " or ".join(kind(choice, unit) for choice in wanted)
    if origin is Literal:
        return "one of " + ", ".join(f"`{choice}`" for choice in get_args(hint))
    if origin is tuple:
        return f"list of {kind(get_args(hint)[0], unit)}"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return "one of " + ", ".join(f"`{choice.value}`" for choice in hint)
    if hint is int and unit:
        return unit if unit == "octets" else f"number of {unit}"
    names = {bool: "true or false", int: "number", float: "number", str: "text", Path: "path"}
    return "duration" if hint is timedelta else names.get(hint, "table")


if __name__ == "__main__":
    sys.stdout.write(reference())
