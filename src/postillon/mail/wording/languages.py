"""Which language a report is written in: the catalogues there are, and the choice among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from postillon.mail.wording.catalogue import Wording
from postillon.mail.wording.de import GERMAN
from postillon.mail.wording.en import ENGLISH
from postillon.mail.wording.fr import FRENCH

WORDINGS: Mapping[str, Wording] = {
    wording.language: wording for wording in (ENGLISH, FRENCH, GERMAN)
}
MAX_TAGS = 20  # of one header field that are looked at
_TAG = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*\Z")
_ITEM = re.compile(r"\s*([A-Za-z0-9*-]{1,100})\s*(?:;\s*[qQ]\s*=\s*([0-9.]{1,6})\s*)?\Z")


def choose(tags: Iterable[str]) -> Wording:
    """The catalogue of the first language tag (RFC 5646) that has one; English if none has."""
    for tag in tags:
        found = WORDINGS.get(tag.partition("-")[0].lower())
        if found is not None:
            return found
    return ENGLISH


def is_tag(text: str) -> bool:
    """Whether a text is shaped like a language tag: `fr`, `de-CH`."""
    return len(text) <= 35 and _TAG.match(text) is not None  # RFC 5646 section 4.4.1


def listed(value: bytes) -> list[str]:
    """The tags of Accept-Language or Content-Language, best first (RFC 3282).

    Without weights, in the order given. What cannot be read is left out; never raises.
    """
    found: list[tuple[float, str]] = []
    for item in value.decode("ascii", "replace").split(",", MAX_TAGS)[:MAX_TAGS]:
        match = _ITEM.match(re.sub(r"\([^()]*\)", " ", item))  # a comment may stand anywhere
        if match is None or not is_tag(match[1]):
            continue
        try:
            weight = 1.0 if match[2] is None else float(match[2])
        except ValueError:
            continue
        if weight > 0:
            found.append((weight, match[1]))
    return [tag for _, tag in sorted(found, key=lambda one: -one[0])]
