"""The place of tables in docs/performance.md."""

from __future__ import annotations

from pathlib import Path

NAME = "performance.md"


def put_between(docs: Path, begin: str, end: str, text: str) -> None:
    """Replace what lies between two lines of the page."""
    page = docs / NAME
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise SystemExit(f"{page} lacks the lines {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}")
