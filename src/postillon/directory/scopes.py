"""What a credential may be used for.

A password is good for everything its owner may do. An app password has the names of protocols, a token
of OAuth and a key of the administration API the names of purposes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

MAIL = "mail"  # read and change what the account holds: IMAP, POP3, JMAP
SEND = "send"  # submit mail as the account: SMTP, JMAP
ACCOUNT = "account"  # one's own settings: passwords, sessions, the second factor
ADMIN = "admin"  # the administration API, all of it; for administrators only
ADMIN_READ, ADMIN_WRITE = "admin:read", "admin:write"  # of its keys; writing includes reading

EVERYTHING = frozenset({MAIL, SEND, ACCOUNT, ADMIN})
OF_KEYS = (ADMIN_READ, ADMIN_WRITE)

# What signing in by a protocol with a credential made for it gives.
PROTOCOLS: Mapping[str, frozenset[str]] = {
    "imap": frozenset({MAIL}),
    "pop3": frozenset({MAIL}),
    "smtp": frozenset({SEND}),
    "jmap": frozenset({MAIL, SEND}),
}

# Scopes a client of OAuth may name, and what each gives: ours, those of the profile for open public
# clients (draft-ietf-mailmaint-oauth-public), and the capabilities of JMAP, which some clients name.
OFFERED: Mapping[str, frozenset[str]] = {
    MAIL: frozenset({MAIL}),
    SEND: frozenset({SEND}),
    ACCOUNT: frozenset({ACCOUNT}),
    ADMIN: frozenset({ADMIN}),
    "offline_access": frozenset(),  # a refresh token: everybody has one
    "urn:ietf:params:oauth:scope:mail": frozenset({MAIL, SEND}),
    "urn:ietf:params:jmap:core": frozenset(),
    "urn:ietf:params:jmap:mail": frozenset({MAIL}),
    "urn:ietf:params:jmap:submission": frozenset({SEND}),
    "urn:ietf:params:jmap:vacationresponse": frozenset({MAIL}),
}
USUAL = f"{MAIL} {SEND}"  # for a client that names none


def known(text: str) -> str:
    """Those of the scopes asked for that there are, in their order, each once; "" for none."""
    return " ".join(dict.fromkeys(name for name in text.split() if name in OFFERED))


def meant(text: str) -> frozenset[str]:
    """What granted scopes give."""
    empty = frozenset[str]()
    return empty.union(*(OFFERED.get(name, empty) for name in text.split()))


def of_protocols(names: Iterable[str]) -> str:
    """The scopes of an app password as they are kept. Raises ValueError naming what is no protocol."""
    chosen = set(names)
    wrong = sorted(chosen - set(PROTOCOLS))
    if wrong:
        raise ValueError(", ".join(wrong))
    return " ".join(name for name in PROTOCOLS if name in chosen)


def of_key(names: Iterable[str]) -> str:
    """The scopes of a key as they are kept. Raises ValueError naming what is none."""
    chosen = set(names)
    wrong = sorted(chosen - set(OF_KEYS))
    if wrong:
        raise ValueError(", ".join(wrong))
    return " ".join(name for name in OF_KEYS if name in chosen)
