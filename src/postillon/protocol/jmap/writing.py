"""Header fields from the forms in which clients give them (RFC 8621 section 4.1.2)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from postillon.mail.compose import Composer, phrase
from postillon.mail.dates import format_date
from postillon.protocol.jmap.headers import Form, HeaderProperty

MAX_VALUES = 1_000  # fields of one name in one message
_UNSAFE = re.compile(r"[\r\n\0]")
_SPACED = re.compile(r"[\s<>]")


def write_field(header: Composer, wanted: HeaderProperty, name: str, value: Any) -> None:
    """Add a field, or as many as there are where all of a name are given.

    Raises ValueError where the value cannot stand in this form.
    """
    values = value if wanted.every else [value]
    if not isinstance(values, list) or len(values) > MAX_VALUES:
        raise ValueError(f"{name}: a list of values is wanted")
    write = _WRITERS[wanted.form]
    for one in values:
        write(header, name, one)


def _raw(header: Composer, name: str, value: Any) -> None:
    header.raw(name, _text(value))


def _as_text(header: Composer, name: str, value: Any) -> None:
    header.text(name, _text(value))


def _addresses(header: Composer, name: str, value: Any) -> None:
    header.words(name, _mailboxes(value))


def _grouped(header: Composer, name: str, value: Any) -> None:
    words: list[str] = []
    groups = _list(value)
    for number, group in enumerate(groups, 1):
        if not isinstance(group, dict) or set(group) - {"name", "addresses"}:
            raise ValueError("each is a group with a name and addresses")
        inner = _mailboxes(group.get("addresses"))
        title = group.get("name")
        if title is not None:
            named = phrase(_text(title))
            inner = [*named[:-1], f"{named[-1] if named else ''}:", *inner]
            inner[-1] += ";"
        if number < len(groups) and inner:
            inner[-1] += ","
        words += inner
    header.words(name, words)


def _mailboxes(value: Any) -> list[str]:
    words: list[str] = []
    given = _list(value)
    for number, item in enumerate(given, 1):
        if not isinstance(item, dict) or set(item) - {"name", "email"}:
            raise ValueError("each has a name and an email")
        email = _text(item.get("email"))
        display = item.get("name")
        comma = "," if number < len(given) else ""
        if _UNSAFE.search(email) or "<" in email or ">" in email or not email.strip():
            raise ValueError("this is no address")
        if display:
            words += [*phrase(_text(display)), f"<{email}>{comma}"]
        else:
            words.append(f"{email}{comma}")
    return words


def _message_ids(header: Composer, name: str, value: Any) -> None:
    ids = [_text(item) for item in _list(value)]
    if any(not item or _SPACED.search(item) for item in ids):
        raise ValueError("a message id has neither spaces nor angle brackets")
    header.words(name, [f"<{item}>" for item in ids])


def _date(header: Composer, name: str, value: Any) -> None:
    text = _text(value)
    try:
        moment = datetime.fromisoformat(text.replace("z", "Z"))
    except ValueError:
        raise ValueError("a Date such as 2026-11-25T12:00:00+01:00 is wanted") from None
    if moment.tzinfo is None or "T" not in text:
        raise ValueError("a Date has a time and a zone")
    offset = moment.utcoffset()
    minutes = 0 if offset is None else int(offset.total_seconds() // 60)
    ms = round(moment.astimezone(UTC).timestamp() * 1000)
    header.structured(name, format_date(ms, minutes))


def _urls(header: Composer, name: str, value: Any) -> None:
    urls = [_text(item) for item in _list(value)]
    if any(not item or _SPACED.search(item) or not item.isascii() for item in urls):
        raise ValueError("a URL has neither spaces nor angle brackets")
    words = [f"<{item}>," for item in urls]
    if words:
        words[-1] = words[-1][:-1]
    header.words(name, words)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is wanted")
    return value


def _list(value: Any) -> Sequence[Any]:
    if not isinstance(value, list):
        raise ValueError("a list is wanted")
    return value


_WRITERS: Mapping[Form, Callable[[Composer, str, Any], None]] = {
    Form.RAW: _raw,
    Form.TEXT: _as_text,
    Form.ADDRESSES: _addresses,
    Form.GROUPED: _grouped,
    Form.MESSAGE_IDS: _message_ids,
    Form.DATE: _date,
    Form.URLS: _urls,
}
