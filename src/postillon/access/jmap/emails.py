"""The methods of emails (RFC 8621 section 4), and what the session says of the capability of mail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap import email_get, email_import, email_query, email_set
from postillon.access.jmap.capability import Capability
from postillon.access.jmap.context import Method, Services
from postillon.access.jmap.email_sort import PROPERTIES
from postillon.access.jmap.mail import CAPABILITY
from postillon.account.mailboxes import MAX_DEPTH, MAX_NAME

__all__ = ["CAPABILITIES", "CAPABILITY", "METHODS"]


def _account(services: Services, own: bool) -> dict[str, Any]:
    """RFC 8621 section 1.3.1."""
    return {
        "maxMailboxesPerEmail": None,
        "maxMailboxDepth": MAX_DEPTH,
        "maxSizeMailboxName": MAX_NAME,
        "maxSizeAttachmentsPerEmail": email_set.MAX_EMAIL,
        "emailQuerySortOptions": list(PROPERTIES),
        "mayCreateTopLevelMailbox": own,
    }


CAPABILITIES = (Capability(CAPABILITY, account=_account),)

METHODS: Mapping[str, Method] = {
    "Email/get": email_get.get,
    "Email/changes": email_get.changes,
    "Email/query": email_query.query,
    "Email/queryChanges": email_query.query_changes,
    "Email/set": email_set.set_,
    "Email/copy": email_import.copy,
    "Email/import": email_import.import_,
    "Email/parse": email_get.parse,
}
