"""What LMTP does otherwise (RFC 2033): one reply for each recipient after the content."""

from __future__ import annotations

from collections.abc import Sequence

from postillon.mail.outcome import Deferred, Failed, Outcome, Reply, reply
from postillon.receive.checks import refusal_reply


def replies(outcomes: Sequence[Outcome | None], queue_id: str) -> list[Reply]:
    """In the order of RCPT. None is queued: from there on it is our responsibility."""
    return [_reply(outcome, queue_id) for outcome in outcomes]


def _reply(outcome: Outcome | None, queue_id: str) -> Reply:
    if isinstance(outcome, Failed):
        return refusal_reply(outcome.status)
    if isinstance(outcome, Deferred):
        return reply(450, outcome.status.code, outcome.status.text)
    return reply(250, "2.0.0", f"Accepted as {queue_id}")
