"""What a status means for the sender: the class of failure that has its own words and advice."""

from __future__ import annotations

from collections.abc import Mapping

from postillon.mail.outcome import Reply, Status
from postillon.mail.wording.catalogue import Cause

# Subject and detail of an enhanced code (RFC 3463 and the registry of RFC 5248).
_DETAIL: Mapping[str, Cause] = {
    "1.1": Cause.NO_MAILBOX, "1.2": Cause.NO_DOMAIN, "1.3": Cause.NO_MAILBOX,
    "1.4": Cause.NO_MAILBOX, "1.6": Cause.MOVED, "1.7": Cause.SENDER, "1.8": Cause.SENDER,
    "1.9": Cause.SENDER, "1.10": Cause.NO_MAIL,
    "2.1": Cause.DISABLED, "2.2": Cause.FULL, "2.3": Cause.TOO_LARGE, "2.4": Cause.LIST,
    "3.4": Cause.TOO_LARGE,
    "4.1": Cause.UNREACHABLE, "4.2": Cause.UNREACHABLE, "4.3": Cause.DNS,
    "4.5": Cause.BUSY, "4.6": Cause.LOOP, "4.7": Cause.UNREACHABLE, "4.14": Cause.LOOP,
    "5.3": Cause.TOO_MANY,
    "6.3": Cause.FORM, "6.5": Cause.FORM, "6.7": Cause.INTERNATIONAL, "6.8": Cause.INTERNATIONAL,
    "6.9": Cause.INTERNATIONAL, "6.10": Cause.INTERNATIONAL,
    "7.2": Cause.MEMBERS_ONLY, "7.3": Cause.MEMBERS_ONLY, "7.4": Cause.TLS, "7.5": Cause.TLS,
    "7.8": Cause.LOGIN, "7.9": Cause.LOGIN, "7.10": Cause.TLS, "7.11": Cause.LOGIN,
    "7.20": Cause.UNVERIFIED, "7.21": Cause.UNVERIFIED, "7.22": Cause.UNVERIFIED,
    "7.23": Cause.UNVERIFIED, "7.24": Cause.UNVERIFIED, "7.25": Cause.UNVERIFIED,
    "7.26": Cause.UNVERIFIED, "7.27": Cause.SENDER, "7.28": Cause.TOO_MANY,
    "7.29": Cause.UNVERIFIED, "7.30": Cause.TLS,
}  # fmt: skip
# The rest of a subject.
_SUBJECT: Mapping[str, Cause] = {
    "3": Cause.BUSY, "4": Cause.UNREACHABLE, "5": Cause.PROTOCOL, "6": Cause.CONTENT,
    "7": Cause.REFUSED,
}  # fmt: skip
# Where there is no enhanced code, or one that says nothing (RFC 5321 section 4.2.3).
_REPLY: Mapping[int, Cause] = {
    421: Cause.BUSY, 450: Cause.BUSY, 451: Cause.BUSY, 452: Cause.BUSY, 454: Cause.TLS,
    500: Cause.PROTOCOL, 501: Cause.PROTOCOL, 502: Cause.PROTOCOL, 503: Cause.PROTOCOL,
    504: Cause.PROTOCOL, 521: Cause.NO_MAIL, 530: Cause.LOGIN, 535: Cause.LOGIN,
    551: Cause.MOVED, 553: Cause.NO_MAILBOX, 555: Cause.PROTOCOL, 556: Cause.NO_MAIL,
}  # fmt: skip
_OURS = frozenset(("4.3.0", "5.3.0"))
_NO_LOGIN = "7.0"  # with no words of the other side: it offers no way to log in


def cause_of(status: Status) -> Cause:
    """The class of failure of a status that is not a success.

    A temporary refusal for policy is greylisting or the like, a permanent one is final; a host that
    takes no mail from us at all (a 5yz greeting, which the queue waits out) refuses for policy.
    """
    said = status.remote
    subject, _, detail = status.code[2:].partition(".")
    key = f"{subject}.{detail}"
    if said is None:
        if status.code in _OURS:
            return Cause.OURS
        if key == _NO_LOGIN:
            return Cause.LOGIN
    elif said.permanent and status.code.startswith("4") and subject in ("0", "3"):
        return Cause.REFUSED
    if key in _DETAIL:
        return _DETAIL[key]
    if key == "4.4" and (said is not None or status.code.startswith("5")):
        return Cause.NO_DOMAIN  # ours is temporary: the address of a fixed next hop is not known
    if subject == "7" and _temporary(status, said):
        return Cause.LATER
    if subject in _SUBJECT:
        return _SUBJECT[subject]
    if said is not None and said.code in _REPLY:
        return _REPLY[said.code]
    return Cause.BUSY if status.code.startswith("4") and said is not None else Cause.OTHER


def _temporary(status: Status, said: Reply | None) -> bool:
    return status.code.startswith("4") and not (said is not None and said.permanent)
