"""Text in patterns of LIKE: SQL of both databases, with ESCAPE '\\'."""

from __future__ import annotations


def escaped(text: str) -> str:
    """The text as a pattern that matches it and nothing else."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
