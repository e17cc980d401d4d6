"""How texts are ordered: the collations that the session names (RFC 4790, RFC 5051)."""

from __future__ import annotations

from collections.abc import Callable
from unicodedata import normalize

from postillon.protocol.jmap.errors import MethodError

_UPPER = {n: n - 32 for n in range(ord("a"), ord("z") + 1)}


def _casemap(text: str) -> str:
    return text.upper() if text.isascii() else normalize("NFKD", normalize("NFC", text).upper())


COLLATIONS: dict[str, Callable[[str], str]] = {
    "i;ascii-casemap": lambda text: text.translate(_UPPER),
    "i;octet": lambda text: text,
    "i;unicode-casemap": _casemap,
}


def key_of(collation: str | None) -> Callable[[str], str]:
    """None: the one for all languages. Raises MethodError unsupportedSort."""
    found = COLLATIONS.get(collation or "i;unicode-casemap")
    if found is None:
        raise MethodError("unsupportedSort", f"there is no collation {collation}")
    return found
