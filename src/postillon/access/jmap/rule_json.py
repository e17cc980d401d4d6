"""Rules as JMAP shows them, and what may be in one; who asks checks mailboxes and addresses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap import names
from postillon.access.jmap.owned import only
from postillon.account.errors import BadKeyword
from postillon.account.keywords import FLAG_OF_KEYWORD, check_keyword
from postillon.account.rules import MAX_POSITION
from postillon.mail.address import AddressError, parse_address
from postillon.mail.rules import (
    COMPARISONS,
    HEADER_NAME,
    MAX_CONDITIONS,
    MAX_FORWARDS,
    MAX_KEYWORDS,
    MAX_NAME,
    MAX_SIZE,
    MAX_TEXT,
    ROLES,
    SIZES,
    TEXTS,
    Condition,
    Rule,
)
from postillon.protocol.jmap.errors import SetError, invalid_properties

PROPERTIES = (
    "id", "name", "isEnabled", "sortOrder", "matchAll", "conditions", "fileInto", "fileIntoRole",
    "markSeen", "markFlagged", "addKeywords", "forwardTo", "stop",
)  # fmt: skip
DEFAULTS: Mapping[str, Any] = {
    "isEnabled": True, "sortOrder": 0, "matchAll": True, "fileInto": None, "fileIntoRole": None,
    "markSeen": False, "markFlagged": False, "addKeywords": [], "forwardTo": [], "stop": True,
}  # fmt: skip
_SWITCHES = ("isEnabled", "matchAll", "markSeen", "markFlagged", "stop")
_PARTS = frozenset(("type", "comparison", "value", "header"))


def as_json(item: Rule) -> dict[str, Any]:
    return {
        "id": names.name(names.RULE, item.id),
        "name": item.name,
        "isEnabled": item.enabled,
        "sortOrder": item.position,
        "matchAll": item.every,
        "conditions": [_condition_json(one) for one in item.conditions],
        "fileInto": None if item.mailbox is None else names.name(names.MAILBOX, item.mailbox),
        "fileIntoRole": item.role,
        "markSeen": item.seen,
        "markFlagged": item.flagged,
        "addKeywords": list(item.keywords),
        "forwardTo": list(item.forward),
        "stop": item.stop,
    }


def _condition_json(item: Condition) -> dict[str, Any]:
    said: dict[str, Any] = {"type": item.kind, "comparison": item.comparison}
    if item.kind == "header":
        said["header"] = item.header
    if item.kind == "size":
        said["value"] = item.size
    elif item.kind != "attachment":
        said["value"] = item.text
    return said


def read(number: int, value: Mapping[str, Any]) -> Rule:
    """A whole object, all properties but `id` given. Raises SetError invalidProperties."""
    for name in _SWITCHES:
        if not isinstance(value[name], bool):
            raise invalid_properties("this is true or false", name)
    made = Rule(
        number,
        _line(value["name"], "name", MAX_NAME),
        conditions(value["conditions"]),
        _whole(value["sortOrder"], "sortOrder", MAX_POSITION),
        value["isEnabled"],
        value["matchAll"],
        _mailbox(value["fileInto"]),
        value["fileIntoRole"],
        value["markSeen"],
        value["markFlagged"],
        _keywords(value["addKeywords"]),
        _forwards(value["forwardTo"]),
        value["stop"],
    )
    if made.role is not None and made.role not in ROLES:
        raise invalid_properties(f"this is null or one of {', '.join(ROLES)}", "fileIntoRole")
    if made.role is not None and made.mailbox is not None:
        raise invalid_properties("one of both is null", "fileInto", "fileIntoRole")
    if made.mailbox is None and not (made.words or made.role or made.forward or made.stop):
        what = "a rule does something"
        raise invalid_properties(what, *PROPERTIES[PROPERTIES.index("fileInto") :])
    return made


def conditions(value: Any) -> tuple[Condition, ...]:
    """Raises SetError invalidProperties."""
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_CONDITIONS:
        raise invalid_properties(f"these are 1 to {MAX_CONDITIONS} conditions", "conditions")
    return tuple(_condition(item, f"conditions/{n}") for n, item in enumerate(value))


def _condition(value: Any, where: str) -> Condition:
    if not isinstance(value, dict):
        raise invalid_properties("this is an object", where)
    only(value, _PARTS, "a condition has no such property")
    kind, comparison = str(value.get("type")), str(value.get("comparison"))
    header, wanted = value.get("header"), value.get("value")
    known = (*TEXTS, "size", "attachment")
    if kind not in known:
        raise invalid_properties(f"this is one of {', '.join(known)}", f"{where}/type")
    possible = SIZES if kind == "size" else COMPARISONS[2:] if kind == "attachment" else COMPARISONS
    if comparison not in possible:
        raise invalid_properties(f"this is one of {', '.join(possible)}", f"{where}/comparison")
    if kind == "header":
        if not isinstance(header, str) or not HEADER_NAME.fullmatch(header):
            raise invalid_properties("this is the name of a header field", f"{where}/header")
    elif header is not None:
        raise invalid_properties("only conditions about any header have one", f"{where}/header")
    if kind == "size":
        size = _whole(wanted, f"{where}/value", MAX_SIZE)
        return Condition(kind, comparison, size=size)
    if kind == "attachment":
        if wanted is not None:
            raise invalid_properties("attachments have no value", f"{where}/value")
        return Condition(kind, comparison)
    return Condition(kind, comparison, _line(wanted, f"{where}/value", MAX_TEXT), header or "")


def _line(value: Any, name: str, most: int) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > most or not text.isprintable():
        raise invalid_properties(f"this is a line of 1 to {most} characters", name)
    return text


def _whole(value: Any, name: str, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise invalid_properties(f"this is a number from 0 to {most}", name)
    return value


def _mailbox(value: Any) -> int | None:
    if value is None:
        return None
    number = names.number(names.MAILBOX, value) if isinstance(value, str) else None
    if number is None:
        raise no_mailbox()
    return number


def no_mailbox() -> SetError:
    return invalid_properties("there is no such mailbox, or it takes no emails", "fileInto")


def _keywords(value: Any) -> tuple[str, ...]:
    texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    if not texts or len(value) > MAX_KEYWORDS:
        raise invalid_properties(f"these are at most {MAX_KEYWORDS} keywords", "addKeywords")
    try:
        found = tuple(dict.fromkeys(map(check_keyword, value)))
    except BadKeyword as error:
        raise invalid_properties(str(error), "addKeywords") from None
    if any(word in FLAG_OF_KEYWORD for word in found):
        raise invalid_properties("markSeen and markFlagged say this", "addKeywords")
    return found


def _forwards(value: Any) -> tuple[str, ...]:
    texts = isinstance(value, list) and all(isinstance(item, str) for item in value)
    if not texts or len(value) > MAX_FORWARDS:
        raise invalid_properties(f"these are at most {MAX_FORWARDS} addresses", "forwardTo")
    try:
        return tuple(dict.fromkeys(str(parse_address(item.strip())) for item in value))
    except AddressError as error:
        raise invalid_properties(str(error), "forwardTo") from None
