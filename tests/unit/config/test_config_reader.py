"""Every problem of a file at once, each with its place and what to write instead."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest

from postillon.server.config_reader import (
    ConfigProblems,
    Problem,
    read_file,
    read_text,
    shown_value,
)
from postillon.setting import MIB, ConfigError, minutes, setting


class Mode(Enum):
    STRICT = "strict"
    LAX = "lax"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    name: str
    port: int = setting(25, "Port.")
    via: Path | None = setting(None, "Socket.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    on: bool = setting(True, "On.")
    size: int = setting(50 * MIB, "Size.", unit="octets")
    limit: int = setting(5, "Limit.")
    share: float = setting(0.5, "Share.")
    wait: timedelta = setting(minutes(30), "Wait.")
    longest: timedelta = setting(minutes(60), "Longest.")
    names: tuple[str, ...] = setting((), "Names.")
    mode: Mode = setting(Mode.LAX, "Mode.")
    kind: Literal["mx", "lmtp"] = setting("mx", "Kind.")
    folder: Path = setting(Path("data"), "Folder.")
    hosts: tuple[Host, ...] = setting((), "Hosts.")
    main: Host | None = setting(None, "Main.")
    maximum: int | None = setting(None, "Maximum.")

    def __post_init__(self) -> None:
        if self.wait > self.longest:
            raise ConfigError("mail", "wait <= longest must hold")


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    mail: Mail
    host: tuple[Host, ...] = setting((), "Hosts.")


def read(text: str) -> Everything:
    return read_text(text, Everything, file="p.toml", folder=Path("/base"))


def problems(text: str) -> list[Problem]:
    with pytest.raises(ConfigProblems) as caught:
        read(text)
    return list(caught.value.problems)


def test_an_empty_file_is_all_defaults_with_paths_from_its_folder() -> None:
    found = read("")
    assert found.mail == Mail(folder=Path("/base/data"))
    assert found.host == ()


def test_every_type_is_read() -> None:
    found = read(
        """
        [mail]
        on = false
        size = "20 MiB"
        share = 1
        wait = "90s"
        longest = "1h30m"
        names = ["a", "b"]
        mode = "strict"
        kind = "lmtp"
        folder = "/srv/mail"
        maximum = 7
        main = { name = "m", via = "run/m.sock" }
        hosts = [{ name = "x" }, { name = "y", port = 26 }]
        [[host]]
        name = "z"
        """
    )
    assert found.mail == Mail(
        on=False,
        size=20 * MIB,
        share=1.0,
        wait=timedelta(seconds=90),
        longest=timedelta(minutes=90),
        names=("a", "b"),
        mode=Mode.STRICT,
        kind="lmtp",
        folder=Path("/srv/mail"),
        maximum=7,
        main=Host(name="m", via=Path("/base/run/m.sock")),
        hosts=(Host(name="x"), Host(name="y", port=26)),
    )
    assert found.host == (Host(name="z"),)


def test_unknown_keys_and_sections_name_the_nearest() -> None:
    found = problems('[mail]\nsice = 3\n[mial]\n[[host]]\nname = "a"\nprot = 1\n')
    assert [(problem.line, problem.key) for problem in found] == [
        (2, "mail.sice"),
        (3, "mial"),
        (6, "host[1].prot"),
    ]
    assert [problem.hint for problem in found] == [
        "did you mean 'size'?",
        "did you mean 'mail'?",
        "did you mean 'port'?",
    ]


def test_an_unknown_key_like_no_other_lists_the_known() -> None:
    [problem] = problems("[[host]]\nname = 'a'\nzzzzzz = 1\n")
    assert problem.hint == "known here: name, port, via"


@pytest.mark.parametrize(
    ("line", "what", "hint"),
    [
        ("wait = 30", "a duration needs its unit", '"30s"'),
        ('wait = "30 parsecs"', "is not a duration", '"30m"'),
        ('size = "lots"', "is not a size", '"50 MiB"'),
        ('limit = "5"', "is text", "whole number, without quotes"),
        ("limit = -1", "is negative", "0 or more"),
        ("limit = true", "is true or false", "whole number"),
        ('on = "yes"', "is text", "true or false, without quotes"),
        ("kind = 'mc'", "is not a choice", "did you mean 'mx'? known: mx, lmtp"),
        ("mode = 'strickt'", "is not a choice", "did you mean 'strict'? known: strict, lax"),
        ("names = 'a'", "a list belongs here", 'write ["a"]'),
        ("names = [1]", "text in quotes belongs here", 'write "1"'),
        ("folder = 3", "text in quotes belongs here", 'write "3"'),
        ("main = 3", "a table belongs here", ""),
        ("share = 'x'", "a number belongs here", ""),
        ("folder = 2026-01-01", "is a date or time", ""),
    ],
)
def test_a_wrong_value_is_told_what_to_write(line: str, what: str, hint: str) -> None:
    [problem] = problems(f"\n[mail]\n{line}\n")
    assert problem.line == 3
    assert what in problem.what
    assert hint in problem.hint


def test_a_missing_key_and_a_broken_rule_point_at_their_table() -> None:
    found = problems('[mail]\nwait = "2h"\n[[host]]\nport = 1\n')
    assert [str(problem) for problem in found] == [
        "p.toml:1: mail: wait <= longest must hold",
        "p.toml:3: host[1]: the key 'name' is missing",
    ]


def test_what_is_not_toml_is_shown_with_its_line() -> None:
    [problem] = problems('[mail]\nnames = ["a"\nsize = 3\n')
    assert problem.line == 3
    assert "not TOML" in problem.what
    [problem] = problems("[mail]\nsize = ")
    assert "not TOML" in problem.what


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblems, match="No such file"):
        read_file(tmp_path / "none.toml", Everything)
    (tmp_path / "latin.toml").write_bytes(b"# ok\n# \xff\n")
    with pytest.raises(ConfigProblems, match=r"latin\.toml:2: is not UTF-8"):
        read_file(tmp_path / "latin.toml", Everything)


def test_hyphens_and_windows_line_ends_are_accepted() -> None:
    text = "[[host]]\r\nname = 'a'\r\n[mail]\r\nmaximum = 3\r\n"
    assert read(text).mail.maximum == 3


def test_shown_values_are_read_back_as_themselves() -> None:
    mail = Mail()
    names = ["on", "size", "limit", "share", "wait", "names", "mode", "kind"]
    units = {"size": "octets"}
    text = "\n".join(
        f"{name} = {shown_value(getattr(mail, name), units.get(name, ''))}" for name in names
    )
    assert read("[mail]\n" + text).mail == Mail(folder=Path("/base/data"))
