"""The class of failure that a status means, which decides what a sender is told to do."""

from __future__ import annotations

import pytest

from postillon.mail.cause import cause_of
from postillon.mail.outcome import Reply, Status
from postillon.mail.wording.catalogue import Cause


def said(code: int, enhanced: str, status: str = "") -> Status:
    """What another server's reply becomes: its enhanced code, or a general one of its class."""
    general = f"{code // 100}.0.0"
    return Status(status or enhanced or general, "refused", Reply(code, enhanced, ("…",)), "mx")


def ours(code: str, host: str = "") -> Status:
    return Status(code, "…", host=host)


@pytest.mark.parametrize(
    ("status", "cause"),
    [
        (said(550, "5.1.1"), Cause.NO_MAILBOX),
        (said(450, "4.1.1"), Cause.NO_MAILBOX),
        (said(553, ""), Cause.NO_MAILBOX),
        (said(551, "5.1.6"), Cause.MOVED),
        (ours("5.1.2"), Cause.NO_DOMAIN),
        (ours("5.4.4"), Cause.NO_DOMAIN),
        (ours("5.1.10"), Cause.NO_MAIL),
        (said(556, ""), Cause.NO_MAIL),
        (said(550, "5.2.1"), Cause.DISABLED),
        (said(452, "4.2.2"), Cause.FULL),
        (ours("4.2.2"), Cause.FULL),
        (said(552, "5.3.4"), Cause.TOO_LARGE),
        (said(552, "5.2.3"), Cause.TOO_LARGE),
        (ours("5.2.4"), Cause.LIST),
        (said(550, "5.7.1"), Cause.REFUSED),
        (said(554, "5.7.0"), Cause.REFUSED),
        (said(554, "", "4.3.2"), Cause.REFUSED),  # a greeting that takes nothing from us
        (said(550, "5.7.1", "4.7.1"), Cause.REFUSED),
        (said(550, "5.7.2"), Cause.MEMBERS_ONLY),
        (said(550, "5.7.26"), Cause.UNVERIFIED),
        (said(421, "4.7.28"), Cause.TOO_MANY),
        (said(452, "4.5.3"), Cause.TOO_MANY),
        (ours("4.7.10", "mx"), Cause.TLS),
        (ours("4.7.5", "mx"), Cause.TLS),
        (said(550, "5.7.30"), Cause.TLS),
        (ours("5.4.6"), Cause.LOOP),
        (said(550, "5.1.8"), Cause.SENDER),
        (said(554, "5.6.0"), Cause.CONTENT),
        (ours("5.6.3", "mx"), Cause.FORM),
        (ours("5.6.7", "mx"), Cause.INTERNATIONAL),
        (ours("4.4.1", "mx"), Cause.UNREACHABLE),
        (ours("4.4.2", "mx"), Cause.UNREACHABLE),
        (ours("4.4.4", "mx"), Cause.UNREACHABLE),
        (ours("4.4.3"), Cause.DNS),
        (said(421, "4.3.2"), Cause.BUSY),
        (said(451, ""), Cause.BUSY),
        (said(450, "4.7.1"), Cause.LATER),
        (said(451, "4.7.1"), Cause.LATER),
        (ours("4.7.0", "mx"), Cause.LOGIN),
        (said(535, "5.7.8", "4.7.8"), Cause.LOGIN),
        (said(501, "5.5.4"), Cause.PROTOCOL),
        (ours("4.3.0"), Cause.OURS),
        (said(550, ""), Cause.OTHER),
        (said(554, ""), Cause.OTHER),
    ],
)
def test_a_status_has_the_cause_a_sender_can_act_on(status: Status, cause: Cause) -> None:
    assert cause_of(status) is cause


def test_any_status_has_a_cause() -> None:
    for first in "45":
        for subject in range(10):
            for detail in range(32):
                code = f"{first}.{subject}.{detail}"
                assert isinstance(cause_of(ours(code)), Cause)
                assert isinstance(cause_of(said(550, code)), Cause)
