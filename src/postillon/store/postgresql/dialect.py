"""From the common dialect to PostgreSQL's: placeholders, and the few words of a schema that differ.

Statements are constants of the program, so each is translated once. Text is compared by its octets,
as in SQLite, whatever the database's own collation is.
"""

from __future__ import annotations

import re
from functools import lru_cache

_PLACEHOLDER = re.compile(r"'(?:[^']|'')*'|\"[^\"]*\"|--[^\n]*|\?")
_SCHEMA_WORD = re.compile(
    r"'(?:[^']|'')*'|--[^\n]*|\s*\bWITHOUT\s+ROWID\b|\bblob\b|\btext\b", re.IGNORECASE
)
MAX_STATEMENTS = 4_000  # translated texts that are kept; there are some hundreds


@lru_cache(MAX_STATEMENTS)
def translated(sql: str) -> str:
    """A statement with `$1`, `$2` ... for its `?`; quoted text and comments stay as they are."""
    number = 0

    def replace(match: re.Match[str]) -> str:
        nonlocal number
        if match[0] != "?":
            return match[0]
        number += 1
        return f"${number}"

    return _PLACEHOLDER.sub(replace, sql)


def translated_schema(sql: str) -> str:
    """A migration in PostgreSQL's words."""

    def replace(match: re.Match[str]) -> str:
        word = match[0].strip().lower()
        if word == "blob":
            return "bytea"
        if word == "text":
            return 'text COLLATE "C"'
        return "" if word.startswith("without") else match[0]

    return _SCHEMA_WORD.sub(replace, sql)
