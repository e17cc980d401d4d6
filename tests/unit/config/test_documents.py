"""The documents say what the tree holds."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from postillon.server import cli_reference
from postillon.server.main import COMMANDS

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_reference_of_commands_is_the_one_they_make() -> None:
    kept = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    made = cli_reference.reference()
    assert kept == made, "python -m postillon.server.cli_reference > docs/cli.md"


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    names = {match[0] for text in wanted if (match := re.match(r"[a-z0-9-]+", text))}
    web = json.loads((ROOT / "webmail" / "package.json").read_text(encoding="utf-8"))
    names |= web["dependencies"].keys()
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| (@?[a-z][a-z0-9/-]*) \|", page, re.MULTILINE)) == names


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_that_documents_name_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for word in re.findall(r"(?:^|`|sudo )postillon ([a-z][a-z-]*)", text, re.MULTILINE):
        assert word in COMMANDS, word
