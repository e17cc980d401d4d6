"""What a deferral means for the next try: the bounded hints of a reply (RFC 3463, RFC 6647)."""

from __future__ import annotations

import re
from enum import Enum

from postillon.mail.outcome import Deferred, Outcome, Status

_GREY = re.compile(r"gr[ae]y[\s-]?list", re.IGNORECASE)
_FULL = re.compile(r"over\s?quota|quota exceeded|mailbox (?:is )?full", re.IGNORECASE)
MAX_TEXT = 500  # characters of a reply that are looked at


class Reason(Enum):
    """Why a recipient was deferred, as far as it changes the wait."""

    OTHER = "other"
    GREYLISTED = "greylisted"
    POLICY = "policy"  # 4.7.x: too much, too fast, not trusted yet
    FULL = "full"  # 4.2.2: its mailbox is over quota


def reason_of(status: Status) -> Reason:
    """What the code says, and where codes are used loosely, the words."""
    text = "" if status.remote is None else status.remote.text[:MAX_TEXT]
    if _GREY.search(text):
        return Reason.GREYLISTED
    if status.code == "4.2.2" or _FULL.search(text):
        return Reason.FULL
    return Reason.POLICY if status.code.startswith("4.7.") else Reason.OTHER


def slows(outcome: Outcome) -> bool:
    """Whether an outcome tells us to go slower there: 421, policy, or an answer that came too late.

    Greylisting and full mailboxes speak of a recipient and say nothing about the pace.
    """
    if not isinstance(outcome, Deferred):
        return False
    status = outcome.status
    if outcome.destination or (status.remote is not None and status.remote.code == 421):
        return True
    return status.code == "4.4.2" or reason_of(status) is Reason.POLICY
