"""Ids as JMAP shows them: those of the store with a letter for their kind, as IMAP's OBJECTID."""

from __future__ import annotations

import re

MAX_NUMBER = 2**63 - 1
_NUMBERED = re.compile(r"([A-Za-z])(0|[1-9]\d{0,18})")

ACCOUNT, MAILBOX, EMAIL, THREAD = "a", "F", "M", "T"
IDENTITY, SUBMISSION, PRINCIPAL, NOTICE, RULE = "I", "S", "P", "N", "R"


def name(kind: str, number: int) -> str:
    return f"{kind}{number}"


def number(kind: str, text: str) -> int | None:
    """None for a text that is no id of this kind: nothing has that id."""
    match = _NUMBERED.fullmatch(text)
    if match is None or match[1] != kind:
        return None
    found = int(match[2])
    return found if found <= MAX_NUMBER else None


def state(epoch: int, modseq: int) -> str:
    """A state of all data of an account (RFC 8620 section 1.2)."""
    return f"{epoch}.{modseq}"


def modseq_of(text: str, epoch: int) -> int | None:
    """The MODSEQ of a state; None for one of another epoch, or that is none of ours."""
    first, dot, second = text.partition(".")
    if not dot or first != str(epoch) or not (second.isascii() and second.isdigit()):
        return None
    found = int(second)
    return found if len(second) < 20 and found <= MAX_NUMBER else None
