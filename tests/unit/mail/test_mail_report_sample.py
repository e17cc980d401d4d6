"""The report that docs/queue.md shows is the one that is sent."""

from __future__ import annotations

import re
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from postillon.mail.address import parse_address
from postillon.mail.cause import cause_of
from postillon.mail.outcome import Reply, Status
from postillon.mail.report import Action, Original, Reported, compose_report

PAGE = Path(__file__).parents[3] / "docs" / "queue.md"
SENT = 1_796_040_000_000  # ms: Monday, 30 November 2026, 12:00 UTC
HOUR = 3_600_000  # ms
FULL = Status(
    "4.2.2", "refused", Reply(452, "4.2.2", ("Mailbox full, 51200 kB used",)), "mx1.example.net"
)


def sample() -> str:
    """Subject, text and fields of a report, as its source shows them."""
    made = compose_report(
        hostname="mail.example.org",
        to=parse_address("ada@example.org"),
        recipients=[
            Reported(
                parse_address("bob@example.net"),
                Action.FAILED,
                FULL,
                cause=cause_of(FULL),
                tries=41,
                first_try_at=SENT + 2_000,
                last_try_at=SENT + 120 * HOUR + 1_000,
                expired_after=120 * HOUR,
            )
        ],
        original=Original(
            b"From: Ada <ada@example.org>\r\n\r\n",
            subject="Minutes of Monday's meeting",
            arrived_at=SENT,
            offset=60,
        ),
        now=SENT + 120 * HOUR + 1_000,
        message_id="<x@mail.example.org>",
        boundary="=_x",
    )
    report = message_from_bytes(made.content, policy=policy.default)
    text = report.get_payload(0)
    assert isinstance(text, EmailMessage)
    fields = made.content.split(b"--=_x")[2].decode().partition("\r\n\r\n")[2]
    return (
        f"Subject: {report['Subject']}\n\n{text.get_content()}\n"
        + fields.replace("\r\n", "\n").strip()
    ).strip()


def test_the_report_in_the_documents_is_the_one_that_is_sent() -> None:
    shown = re.search(
        r"^```text\n(Subject: .*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert shown is not None
    assert _trimmed(shown[1]) == _trimmed(sample())


def _trimmed(text: str) -> list[str]:
    """Without the space that a signature's separator ends with: editors remove it."""
    return [line.rstrip() for line in text.strip().splitlines()]
