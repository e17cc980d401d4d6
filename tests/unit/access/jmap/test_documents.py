"""The page about JMAP names all that there is."""

from __future__ import annotations

import re
from pathlib import Path

from postillon.access.jmap.registry import CAPABILITIES, METHODS

PAGE = (Path(__file__).parents[4] / "docs" / "jmap.md").read_text(encoding="utf-8")


def test_every_method_and_capability_has_its_row() -> None:
    rows = " ".join(line for line in PAGE.splitlines() if line.startswith("| "))
    named = set(re.findall(r"\b[A-Z][A-Za-z]+/[a-z][A-Za-z]+\b", rows))
    assert named == set(METHODS), "docs/jmap.md: the protocol table"
    assert set(re.findall(r"urn:(?:ietf:params|x-postillon):jmap:[a-z-]+", rows)) == set(
        CAPABILITIES
    )
