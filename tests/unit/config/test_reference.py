"""The pages and files made from the declarations are those in the tree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from postillon.server.config import ConfigNotFound, Configuration, find, parse
from postillon.server.config_reader import ConfigProblems
from postillon.server.reference import reference
from postillon.server.sections import ListenerProtocol
from postillon.server.starter import starter

ROOT = Path(__file__).resolve().parents[3]


def test_the_reference_is_the_one_the_declarations_make() -> None:
    kept = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert kept == reference(), "python -m postillon.server.reference > docs/configuration.md"


def test_every_setting_has_a_purpose() -> None:
    assert not re.search(r"\| \|$", reference(), re.MULTILINE)


def test_the_starter_file_is_a_configuration(tmp_path: Path) -> None:
    made = parse(starter("mail.example.org", "data"), tmp_path)
    assert made.server.hostname == "mail.example.org"
    assert made.server.data == tmp_path / "data"
    assert made.listeners == Configuration().listeners


def test_what_the_starter_file_offers_in_comments_can_be_taken(tmp_path: Path) -> None:
    text = starter("mail.example.org", "data", listeners=(("imap", "127.0.0.1", 3143),))
    taken = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)
    assert taken != text
    made = parse(taken, tmp_path)
    assert made.route.smarthost == "smtps://user@relay.example.net"
    assert made.server.user == "postillon"
    [listener] = made.listeners
    assert (listener.protocol, listener.port) == (ListenerProtocol.IMAP, 3143)


def test_rules_between_keys_name_their_section(tmp_path: Path) -> None:
    with pytest.raises(ConfigProblems, match=r"postillon\.toml:2: queue: .*longest_wait"):
        parse('\n[queue]\nlongest_wait = "1s"\n', tmp_path)
    with pytest.raises(ConfigProblems, match=r"postillon\.toml:4: listener\[2\]: .*path"):
        parse(
            '[[listener]]\nprotocol = "imap"\n\n[[listener]]\nprotocol = "imap"\npath = "x"\n',
            tmp_path,
        )


def test_the_file_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    named, data = tmp_path / "named.toml", tmp_path / "demo"
    variable = {"POSTILLON_CONFIG": "/from/variable.toml"}
    with pytest.raises(ConfigNotFound):
        find(None, None, {})
    (tmp_path / "postillon.toml").touch()
    assert find(None, None, {}) == Path("postillon.toml")
    assert find(None, None, variable) == Path("/from/variable.toml")
    with pytest.raises(ConfigNotFound, match="demo"):
        find(None, data, variable)
    data.mkdir()
    (data / "postillon.toml").touch()
    assert find(None, data, variable) == data / "postillon.toml"
    assert find(named, data, variable) == named
