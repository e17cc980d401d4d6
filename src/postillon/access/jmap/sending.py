"""What is told of the capability of sending (RFC 8621 section 1.3.2), and its bounds."""

from __future__ import annotations

from typing import Any

from postillon.access.jmap.capability import Capability
from postillon.access.jmap.context import Services
from postillon.mail.dates import format_moment

CAPABILITY = "urn:ietf:params:jmap:submission"
MAX_RECIPIENTS = 1_000  # of one message, as over SMTP
MAX_SIZE = 50 * 1024 * 1024  # octets, as over SMTP


def longest_hold(services: Services) -> int:
    """Seconds."""
    return int(services.submitter.config.longest_hold.total_seconds())


def _account(services: Services, own: bool) -> dict[str, Any] | None:
    if not own:
        return None
    held = longest_hold(services)
    least = int(services.submitter.config.least_deliver_by.total_seconds())
    extensions: dict[str, list[str]] = {
        "DSN": [], "SIZE": [str(MAX_SIZE)], "SMTPUTF8": [], "DELIVERBY": [str(least)],
    }  # fmt: skip
    if held:
        until = format_moment(services.clock() + held * 1000)[:10] + "T00:00:00Z"
        extensions["FUTURERELEASE"] = [str(held), until]
    return {"maxDelayedSend": held, "submissionExtensions": extensions}


TOLD = Capability(CAPABILITY, account=_account)
