"""What a credential may be used for.

A password is good for everything its owner may do. An app password has the names of protocols, a token
of OAuth and a key of the administration API the names of purposes.
"""

from __future__ import annotations

from collections.abc import Mapping

MAIL = "mail"  # read and change what the account holds: IMAP, POP3, JMAP
SEND = "send"  # submit mail as the account: SMTP, JMAP
ACCOUNT = "account"  # one's own settings: passwords, sessions, the second factor
ADMIN = "admin"  # the administration API, all of it; for administrators only

EVERYTHING = frozenset({MAIL, SEND, ACCOUNT, ADMIN})

# What signing in by a protocol gives, and of what one scope at least must be held for it.
PROTOCOLS: Mapping[str, frozenset[str]] = {
    "imap": frozenset({MAIL}),
    "pop3": frozenset({MAIL}),
    "smtp": frozenset({SEND}),
    "jmap": frozenset({MAIL, SEND}),
}
