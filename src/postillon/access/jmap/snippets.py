"""SearchSnippet/get: where in an email a search has found something (RFC 8621 section 5)."""

from __future__ import annotations

import asyncio
import html
import re
import unicodedata
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from postillon.access.jmap import names
from postillon.access.jmap.context import Context, Method
from postillon.access.jmap.email_filter import Text, check_names, parts_of
from postillon.access.jmap.mail import CAPABILITY, open_objects
from postillon.account.errors import EmailGone
from postillon.account.objects import EmailObject, Objects
from postillon.mail import digest as digests
from postillon.mail.folding import fold
from postillon.mail.part import unpack
from postillon.mail.searchable import body_texts, field_text
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import MethodError
from postillon.protocol.jmap.kinds import identifier, list_of, optional, record, reference
from postillon.protocol.jmap.standard import Condition, Filter
from postillon.store.operation import BlobLost

__all__ = ["CAPABILITY", "METHODS"]

MAX_PREVIEW = 255  # octets (section 5)
BEFORE = 60  # characters shown before the first hit
_SPACE = re.compile(r"\s+")


async def get(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    given = standard.Arguments(arguments)
    account_id = given.take("accountId", identifier)
    condition = standard.filter_of(given.take("filter", optional(record), None))
    ids = given.take("emailIds", list_of(reference))
    given.end()
    if len(ids) > context.limits.max_objects_in_get:
        raise MethodError("requestTooLarge")
    check_names(condition)
    objects = await open_objects(context, account_id)
    subject, body = _wanted(condition, "subject"), _wanted(condition, "body")
    numbers = {one: names.number(names.EMAIL, context.id_of(one) or "") or 0 for one in ids}
    found, _ = await objects.read([n for n in numbers.values() if n], whole=True)
    listed: list[dict[str, Any]] = []
    missing: list[str] = []
    for one, number in numbers.items():
        item = found.get(number)
        if item is None:
            missing.append(one)
            continue
        listed.append(
            {
                "emailId": names.name(names.EMAIL, number),
                "subject": _marked(field_text(digests.unpack(item.header), b"subject"), subject),
                "preview": await _preview(objects, item, body) if body else None,
            }
        )
    return {"accountId": account_id, "list": listed, "notFound": missing or None}


def _wanted(condition: Filter | None, where: str) -> list[str]:
    """The folded texts that are looked for there, each once."""
    found: dict[str, None] = {}
    for name, value in _positive(condition):
        if name in ("text", where):
            for part in parts_of(name, value):
                if isinstance(part, Text):
                    found.setdefault(part.wanted)
    return list(found)


def _positive(condition: Filter | None) -> Iterator[tuple[str, Any]]:
    """All conditions but those that are not to hold."""
    if isinstance(condition, Condition):
        yield from condition.properties.items()
    elif condition is not None and condition.operator != "NOT":
        for inner in condition.conditions:
            yield from _positive(inner)


async def _preview(objects: Objects, item: EmailObject, wanted: list[str]) -> str | None:
    try:
        content = await objects.octets(item)
    except (BlobLost, EmailGone):
        return None

    def look() -> str | None:
        for text in body_texts(content, unpack(item.structure)):
            line = _SPACE.sub(" ", text).strip()
            spots = _spots(line, wanted)
            if spots:
                return _cut(line, spots)
        return None

    return await asyncio.to_thread(look) if len(content) > 32 * 1024 else look()


def _marked(line: str, wanted: list[str]) -> str | None:
    spots = _spots(line, wanted)
    return _written(line, spots) if spots else None


def _spots(line: str, wanted: list[str]) -> list[tuple[int, int]]:
    """Where the texts stand, as ranges of characters that neither touch nor overlap."""
    if not wanted:
        return []
    folded: list[str] = []
    places: list[int] = []
    for n, cluster in _clusters(line):
        part = fold(cluster)
        folded.append(part)
        places += [n] * len(part)
    whole = "".join(folded)
    starts = sorted({n for n, _ in _clusters(line)} | {len(line)})
    after = dict(pairwise(starts))
    found: list[tuple[int, int]] = []
    for one in wanted:
        at = whole.find(one)
        while at >= 0 and len(found) < 100:
            last = places[at + len(one) - 1]
            found.append((places[at], after[last]))
            at = whole.find(one, at + len(one))
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(found):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged


def _clusters(line: str) -> Iterator[tuple[int, str]]:
    """Each character with the marks on it, and where it begins."""
    start = 0
    for n in range(1, len(line) + 1):
        if n == len(line) or not unicodedata.combining(line[n]):
            yield start, line[start:n]
            start = n


def _cut(line: str, spots: list[tuple[int, int]]) -> str:
    """Around the first hit, at most MAX_PREVIEW octets with the marks."""
    start = max(0, spots[0][0] - BEFORE)
    stop = min(len(line), start + MAX_PREVIEW)
    while stop > start:
        inside = [(a - start, min(b, stop) - start) for a, b in spots if start <= a < stop]
        found = _written(line[start:stop], inside)
        size = len(found.encode("utf-8", "replace"))
        if size <= MAX_PREVIEW:
            return found
        stop -= max(1, (size - MAX_PREVIEW) // 4)
        if stop <= spots[0][0]:
            start, stop = spots[0][0], min(len(line), spots[0][0] + MAX_PREVIEW // 4)
    return ""


def _written(line: str, spots: list[tuple[int, int]]) -> str:
    pieces: list[str] = []
    at = 0
    for start, stop in spots:
        pieces += (html.escape(line[at:start]), "<mark>", html.escape(line[start:stop]), "</mark>")
        at = stop
    return "".join([*pieces, html.escape(line[at:])])


METHODS: Mapping[str, Method] = {"SearchSnippet/get": get}
