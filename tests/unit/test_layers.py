"""Imports point down the journey of a message and never sideways (docs/programmer.md)."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "src" / "postillon"

# From the top; a package may import those of lower rows only.
ROWS = (
    ("client",),
    ("server",),
    ("admin", "receive", "access"),
    ("queue",),
    ("deliver",),
    ("route",),
    ("account",),
    ("directory",),
    ("store", "net"),
    ("protocol", "mailauth", "sieve", "calendar"),
    ("mail",),
)
LEVEL = {package: -n for n, row in enumerate(ROWS) for package in row}
FOR_ALL = {"setting", "log", "meter", "clock", "__version__"}

PURE = {"mail", "protocol", "mailauth", "sieve", "calendar"}
PURE_LIBRARIES = {"idna", "msgspec", "scramp", "cryptography"}
# What would let a pure package wait, ask for the time or reach out of the process.
IMPURE = {
    "asyncio", "concurrent", "http", "multiprocessing", "select", "selectors", "signal", "socket",
    "sqlite3", "ssl", "subprocess", "threading", "time", "urllib.request",
}  # fmt: skip
OWNERS = {
    "socket": {"net", "server"},
    "dns": {"net"},
    "aiohttp": {"net", "server", "access"},
    "apsw": {"store"},
    "sqlite3": set[str](),
    "click": {"server"},
    "prometheus_client": {"server"},
}
# Methods of asyncio that open sockets.
OPENING = {
    "create_connection",
    "create_datagram_endpoint",
    "create_server",
    "create_unix_connection",
    "create_unix_server",
    "open_connection",
    "open_unix_connection",
    "start_server",
    "start_unix_server",
}


@dataclass(frozen=True)
class Import:
    """One imported module, by its whole name, and where."""

    module: str
    place: str


def modules() -> list[Path]:
    return sorted(ROOT.rglob("*.py"))


def package_of(path: Path) -> str:
    parts = path.relative_to(ROOT).parts
    return parts[0] if len(parts) > 1 else ""


def imports(path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        place = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, place)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{place}: a relative import hides where it points"
            assert node.module is not None
            if node.module == "postillon":
                for alias in node.names:
                    yield Import(f"postillon.{alias.name}", place)
            else:
                yield Import(node.module, place)


def wrong(path: Path) -> Iterator[str]:
    own = package_of(path)
    for found in imports(path):
        top, _, rest = found.module.partition(".")
        if top == "postillon":
            target = rest.partition(".")[0]
            if target in FOR_ALL or target == own or (own == "" and target in FOR_ALL):
                continue
            if own == "":
                if target != "mail":
                    yield f"{found.place}: a module for all imports {found.module}"
            elif target not in LEVEL:
                yield f"{found.place}: {found.module} is no station"
            elif LEVEL[target] >= LEVEL[own]:
                yield f"{found.place}: {own} may not import {found.module}"
        else:
            if own in PURE and (
                top in IMPURE
                or found.module in IMPURE
                or not (top in sys.stdlib_module_names or top in PURE_LIBRARIES)
            ):
                yield f"{found.place}: {own} is pure and imports {found.module}"
            if top in OWNERS and own not in OWNERS[top]:
                yield f"{found.place}: {own or 'a module for all'} may not import {top}"


def opens_sockets(path: Path) -> Iterator[str]:
    if package_of(path) in {"net", "server"}:
        return
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Attribute) and node.attr in OPENING:
            yield f"{path.relative_to(ROOT)}:{node.lineno}: only net opens sockets ({node.attr})"


def test_every_package_has_its_place_in_the_order() -> None:
    assert {package_of(path) for path in modules()} - {""} <= set(LEVEL)


def test_imports_point_down_and_never_sideways() -> None:
    assert [problem for path in modules() for problem in wrong(path)] == []


def test_only_net_opens_sockets() -> None:
    assert [problem for path in modules() for problem in opens_sockets(path)] == []


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("mail", "import asyncio"),
        ("mail", "import aiohttp"),
        ("mail", "from postillon.protocol import smtp"),
        ("access", "from postillon.receive.smtp import SmtpServer"),
        ("access", "import socket"),
        ("store", "from postillon.net.stream import Stream"),
        ("queue", "import apsw"),
        ("route", "import postillon.queue.spool"),
    ],
)
def test_the_rule_finds_what_it_forbids(
    package: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / package).mkdir()
    module = tmp_path / package / "module.py"
    module.write_text(f"from postillon.log import Log\n{line}\n")
    assert list(wrong(module)) != []
